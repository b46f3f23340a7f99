"""Which other capacity a plan would need: more, where a provider's limit keeps it from a target; less, where it leaves most of one unused.

Pure. Nothing is asked for here, and asking moves no limit: whoever gives capacity may answer with another forecast, or not at all.
More: the steps before an unreachable target in which that provider binds, with as much more power as would reach it, up to the rating.
Less: a stretch of the coming day in which a provider binds and the plan, with a quarter more, uses less than half of what is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bessctl.policy.problem import Battery, Done, Outcome, Unmet

SOURCE = "source:"
DAY_NS = 24 * 3600 * 1_000_000_000
KEPT = 1.25
WORTH_IT = 0.5
LEAST_W = 1000.0


@dataclass(frozen=True, slots=True)
class Need:
    """A capacity for one direction over a stretch of time (UTC ns), as a magnitude where it may be counted: terminals or connection."""

    source: str
    charging: bool
    ess_w: float
    pcc_w: float
    start_ns: int
    end_ns: int


def needs(outcome: Outcome, battery: Battery, *, less: bool) -> list[Need]:
    """More first; nobody is asked for more and for less of the same."""
    more = [need for unmet in outcome.unmet for need in _more(outcome, battery, unmet)]
    asked = {(need.source, need.charging) for need in more}
    return more + [need for need in (_less(outcome) if less else ()) if (need.source, need.charging) not in asked]


def _bound(steps: Sequence[Done], who: str, *, charging: bool) -> list[Done]:
    return [d for d in steps if (d.step.lo_who if charging else d.step.hi_who) == who]


def _more(outcome: Outcome, battery: Battery, unmet: Unmet) -> Iterator[Need]:
    charging = unmet.reachable_pct < unmet.wanted_pct[0]
    before = [d for d in outcome.steps if d.step.start_ns < unmet.at_ns]
    steps = _bound(before, unmet.because, charging=charging) if unmet.because.startswith(SOURCE) else []
    if not steps:
        return
    wanted_pct = unmet.wanted_pct[0] if charging else unmet.wanted_pct[1]
    missing_wh = abs(wanted_pct - unmet.reachable_pct) / 100 * outcome.capacity_wh
    ac_wh = missing_wh / battery.charge_efficiency if charging else missing_wh * battery.discharge_efficiency
    extra_w = ac_wh / sum(d.step.hours for d in steps)
    rating_w = battery.charge_max_w if charging else battery.discharge_max_w
    given_w = max(_given_w(d, charging=charging) for d in steps)
    wanted_w = min(rating_w, given_w + extra_w)
    yield _need(steps, unmet.because, wanted_w, charging=charging)


def _less(outcome: Outcome) -> Iterator[Need]:
    coming = [d for d in outcome.steps if d.step.start_ns < outcome.now_ns + DAY_NS]
    for charging in (True, False):
        for who in sorted({d.step.lo_who if charging else d.step.hi_who for d in coming}):
            steps = _bound(coming, who, charging=charging)
            used_w = KEPT * max(0.0, *(-d.power_w if charging else d.power_w for d in steps))
            given_w = min(_given_w(d, charging=charging) for d in steps)
            wanted_w = max(LEAST_W, used_w)
            if who.startswith(SOURCE) and wanted_w < WORTH_IT * given_w:
                yield _need(steps, who, wanted_w, charging=charging)


def _given_w(done: Done, *, charging: bool) -> float:
    return -done.step.lo_w if charging else done.step.hi_w


def _need(steps: Sequence[Done], who: str, wanted_w: float, *, charging: bool) -> Need:
    """At the connection point the load is served too, and the sun counts against it."""
    pcc_w = max(0.0, *(wanted_w + (d.step.net_w if charging else -d.step.net_w) for d in steps))
    return Need(who.removeprefix(SOURCE), charging, round(wanted_w), round(pcc_w), steps[0].step.start_ns, steps[-1].step.end_ns)
