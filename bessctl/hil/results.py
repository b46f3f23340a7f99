"""The result of one scenario at one place, and what is measured in it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from bessctl.hil.judge import FAILED, NOT_JUDGED, NOT_RUN, PASSED, Finding
from bessctl.hil.place import Evidence
from bessctl.hil.record import Recording
from bessctl.hil.scenario import Scenario
from bessctl.hil.signals import Signals

SETTLED_SHARE = 0.02
"""Power counts as settled within this share of the largest power seen, of where it goes."""
LEVELS = {"warning", "alarm"}


@dataclass(frozen=True)
class Reaction:
    """How long the loop took after something happened: until its first warning, until the PCS's register changed, until power stood."""

    what: str
    at_s: float
    detect_s: float | None
    act_s: float | None
    settle_s: float | None


@dataclass
class Result:
    """One scenario, played or not. `sabotage`: the protection that was taken away."""

    scenario: Scenario
    place: str
    verdict: str
    findings: list[Finding] = field(default_factory=list)
    record: Recording | None = None
    evidence: Evidence | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    reactions: list[Reaction] = field(default_factory=list)
    signals: Signals | None = None
    why: str = ""
    sabotage: str = ""
    took_s: float = 0.0
    earlier: tuple[str, ...] = ()
    """Why it was played again: of each run before that was not judged."""

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def as_it_must(self) -> bool:
        """Passed; or, with its protection taken away, seen to fail."""
        return self.verdict == (FAILED if self.sabotage else PASSED)

    def scenario_hash(self) -> str:
        """Of the file: the acceptance numbers were fixed before the run."""
        return hashlib.sha256(self.scenario.file.read_bytes()).hexdigest()


def reactions(scenario: Scenario, record: Recording, signals: Signals) -> list[Reaction]:
    """One for each step that injected something, up to the next step that does."""
    steps = [step for step in scenario.steps if step.injections and record.until_s > step.at_s]
    found = []
    for step, following in zip(steps, [*steps[1:], None], strict=False):
        end_s = following.at_s if following is not None else min(scenario.lasts_s, record.until_s)
        what = "; ".join(injection.told for injection in step.injections)
        found.append(
            Reaction(
                what,
                step.at_s,
                _detect(record, step.at_s, end_s),
                _act(record, step.at_s, end_s),
                _settle(record, signals, step.at_s, end_s),
            )
        )
    return found


def _detect(record: Recording, from_s: float, end_s: float) -> float | None:
    return next((t - from_s for t, event in record.events if from_s <= t < end_s and event.level in LEVELS), None)


def _act(record: Recording, from_s: float, end_s: float) -> float | None:
    return next((t - from_s for t, _, kind, _ in record.commands if from_s <= t < end_s and kind in {"wset", "opctl", "setop"}), None)


def _settle(record: Recording, signals: Signals, from_s: float, end_s: float) -> float | None:
    """When power was last outside its final band; None when it never moved."""
    power = [(t, float(value)) for t, value in record.series(signals.find("power"), from_s) if t <= end_s]
    if len(power) < 2:
        return None
    band = SETTLED_SHARE * max(1000.0, *(abs(value) for _, value in power))
    final = power[-1][1]
    outside = [t for t, value in power if not abs(value - final) <= band]
    return outside[-1] - from_s if outside else None


def spread(values: list[float]) -> dict[str, float] | None:
    """p50, p99 and max; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return {"p50": _at(ordered, 0.5), "p99": _at(ordered, 0.99), "max": ordered[-1], "n": len(ordered)}


def _at(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def times(results: list[Result]) -> dict[str, dict[str, float] | None]:
    """Detect, act and settle over everything that was injected; without what was played with a protection taken away."""
    every = [reaction for result in results if not result.sabotage for reaction in result.reactions]
    return {
        name: spread([value for reaction in every if (value := getattr(reaction, f"{name}_s")) is not None])
        for name in ("detect", "act", "settle")
    }


def counted(results: list[Result]) -> dict[str, int]:
    """How many have which verdict."""
    return {word: sum(result.verdict == word for result in results) for word in (PASSED, FAILED, NOT_RUN, NOT_JUDGED)}
