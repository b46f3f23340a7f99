"""The outcome of a run as another process can hand it over: a Result without signals and site, which no pickle takes. Pure.

Its reader has the scenario and the site already and puts the outcome together with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bessctl.hil.judge import Finding
from bessctl.hil.place import Evidence
from bessctl.hil.record import Recording
from bessctl.hil.results import Reaction, Result
from bessctl.hil.scenario import Scenario
from bessctl.hil.signals import Signals


@dataclass(frozen=True)
class Outcome:
    """A Result without what its reader knows: the findings are in the scenario's order."""

    verdict: str
    why: str
    findings: list[tuple[str, str, float | None]]
    record: Recording | None
    evidence: Evidence | None
    facts: dict[str, Any]
    reactions: list[Reaction]
    took_s: float


def outcome(result: Result) -> Outcome:
    """What is handed over."""
    findings = [(f.verdict, f.why, f.took_s) for f in result.findings]
    return Outcome(result.verdict, result.why, findings, result.record, result.evidence, result.facts, result.reactions, result.took_s)


def together(scenario: Scenario, place: str, sabotage: str, signals: Signals, it: Outcome) -> Result:
    """The Result as run_one gives it."""
    findings = [Finding(e, *found) for e, found in zip(scenario.expectations, it.findings, strict=False)]
    return Result(
        scenario, place, it.verdict, findings, it.record, it.evidence, it.facts, it.reactions, signals, it.why, sabotage, it.took_s
    )  # fmt: skip
