"""Passed, failed or not run: a pure function of what was expected and what was recorded.

- An expectation counts from its step. It passes when its condition comes true within its time and then stays true for its `holding for`.
- `never` passes when the condition was not seen once until its end, and the record reaches that far.
- An event is looked for from the step's instant on.
- What the record does not reach far enough to decide is not run, never passed; so is everything of a scenario that was not begun.
- A missing value (NaN, a stale word) meets no condition; for `never` it is no sighting, but what must hold does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.hil.quantity import show
from bessctl.hil.record import Recording
from bessctl.hil.scenario import Expectation, Scenario

PASSED, FAILED, NOT_RUN, NOT_JUDGED = "passed", "failed", "not run", "not judged"
"""`not judged`: played while the machine took away so much time that neither a pass nor a failure would say anything (busy.py)."""


@dataclass(frozen=True)
class Finding:
    """The verdict on one expectation. `took_s`: from the step to when it came true."""

    expectation: Expectation
    verdict: str
    why: str = ""
    took_s: float | None = None


def judge(scenario: Scenario, record: Recording) -> list[Finding]:
    """Every expectation of the scenario, in its order."""
    return [_one(expectation, record) for expectation in scenario.expectations]


def verdict(findings: list[Finding], record: Recording) -> str:
    """Of the whole scenario: one failure fails it, one thing not played leaves it not run."""
    if any(finding.verdict == FAILED for finding in findings):
        return FAILED
    if record.ended or not findings or any(finding.verdict == NOT_RUN for finding in findings):
        return NOT_RUN
    return PASSED


def _one(e: Expectation, record: Recording) -> Finding:
    if record.until_s < e.from_s:
        return Finding(e, NOT_RUN, record.ended or "its step was not reached")
    if e.signal is None:
        return _event(e, record)
    return _never(e, record) if e.never else _comes(e, record)


def _event(e: Expectation, record: Recording) -> Finding:
    end_s = e.until_s if e.never else e.from_s + e.within_s
    seen = [(t, event) for t, event in record.events if e.from_s - 1e-6 <= t <= end_s + 1e-6 and event.code == e.code and _about(e, event)]
    if seen and e.never:
        return Finding(e, FAILED, f"seen at {seen[0][0]:.3f} s: {seen[0][1].text}")
    if seen:
        return Finding(e, PASSED, seen[0][1].text, seen[0][0] - e.from_s)
    if record.until_s < end_s - 0.1:
        return Finding(e, NOT_RUN, record.ended or "the record ends before")
    return Finding(e, PASSED if e.never else FAILED, "" if e.never else f"did not come within {e.within_s:g} s")


def _about(e: Expectation, event: object) -> bool:
    return not e.about or e.about in (
        getattr(event, "row", ""),
        getattr(event, "device", ""),
        getattr(event, "source", ""),
        getattr(event, "unit", ""),
    )


def _never(e: Expectation, record: Recording) -> Finding:
    assert e.signal is not None
    for t, value in record.series(e.signal, e.from_s):
        if t > e.until_s + 1e-9:
            break
        if e.condition.holds(value):
            return Finding(e, FAILED, f"seen at {t:.3f} s: {show(value, e.signal.dimension)}", t - e.from_s)
    if record.until_s < e.until_s - 0.1:
        return Finding(e, NOT_RUN, record.ended or "the record ends before")
    return Finding(e, PASSED)


def _comes(e: Expectation, record: Recording) -> Finding:
    """The first stretch that begins in time and lasts long enough."""
    assert e.signal is not None
    slack = record.grain_s if e.within_s == 0 else 1e-9
    since: float | None = None
    worst: float | str = float("nan")
    for t, value in record.series(e.signal, e.from_s):
        if not e.condition.holds(value):
            since, worst = None, value
            if t > e.from_s + e.within_s + slack:
                break
            continue
        since = t if since is None else since
        if since > e.from_s + e.within_s + slack:
            break
        if t - since >= e.holding_s - 1e-9:
            return Finding(e, PASSED, "", since - e.from_s)
    if since is not None and since <= e.from_s + e.within_s + slack:
        return Finding(e, NOT_RUN, record.ended or f"true since {since:.3f} s, the record ends before {e.holding_s:g} s are over")
    if record.until_s < e.from_s + e.within_s - 0.1:
        return Finding(e, NOT_RUN, record.ended or "the record ends before")
    return Finding(e, FAILED, f"not within {e.within_s:g} s; was {show(worst, e.signal.dimension)}")
