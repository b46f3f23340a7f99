"""The part of the supervisor that keeps the policies: looks at the plant each second, plans again when anything changed, writes the slot.

Plans again when what the plan depends on changed (somebody's plan, a limit of the devices, a file, the reserve), when the SoC left the
plan by more than DRIFT_PCT, when the plant came back, and every `replan_s`; not more often than every CALM_NS, unless the reserve is
reached. The lease is renewed by planning alone, and planning needs a fresh state of the plant: with the plant silent the slot lapses by
itself. An unreachable target is told once, when it becomes so, and once when it can be met again. With a reserve and no SoC nothing is
discharged: what is missing is a violation.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bessctl.errors import BessctlError, NotReachable, PlanRefused, UsageError
from bessctl.model.plan import Plan, PlanWriter
from bessctl.model.snapshot import PlantSnapshot, PlantView
from bessctl.policy.blocks import plan_of
from bessctl.policy.config import PolicyConfig
from bessctl.policy.needs import Need, needs
from bessctl.policy.planner import plan
from bessctl.policy.problem import Outcome, Problem, Span
from bessctl.policy.report import report
from bessctl.policy.situation import Now, Tables, problem, soc_pct

NS = 1_000_000_000
LOOK_S = 1.0
FRESH_NS = 5 * NS
CALM_NS = 5 * NS
DRIFT_PCT = 1.0
PLAUSIBLE_NS = 1_735_689_600 * NS
"""2025-01-01: a wall clock before this was never set (R8: without trusted time no time-of-day blocks)."""


@dataclass(frozen=True)
class Outside:
    """What the keeper is given: the plant, its slot, the other sources' plans as they were written last, files and clocks."""

    plant: PlantView
    writer: PlanWriter
    others: Callable[[], Mapping[str, Plan]]
    tables: Callable[[], Tables]
    utc_ns: Callable[[], int] = time.time_ns
    ask: Callable[[Need], None] = lambda _: None
    """Asks who gives capacity for another; raises BessctlError when that is refused."""


@dataclass(frozen=True, slots=True)
class _Due:
    """What is to be planned, what it depends on, and when that was."""

    problem: Problem
    depends: object
    now: Now


class Keeper:
    """See above. Supervisor thread."""

    def __init__(self, config: PolicyConfig, outside: Outside, log: logging.Logger) -> None:
        self.config, self._out, self._log = config, outside, log
        self.outcome: Outcome | None = None
        self.trouble = ""
        self.files_trouble = ""
        """What is wrong with a tariff or forecast file; plans are made all the same."""
        self._guard = self._guard_planned = False
        self._depends: object = None
        self._planned_ns = 0
        self._writes = 0
        self._told: dict[tuple[str, int], str] = {}
        self._tables = Tables()

    async def run(self) -> None:
        """Until cancelled. Planning takes tens of milliseconds, more on a small controller: a thread does it, so that no protocol waits."""
        while True:
            due = self._due_now()
            if due is not None:
                self._planned(due, await asyncio.to_thread(plan, due.problem))
            await asyncio.sleep(LOOK_S)

    def look(self) -> bool:
        """One look at the plant, with the planning in it; True when a plan was written. Raises nothing of ours."""
        plans = self._writes
        due = self._due_now()
        if due is not None:
            self._planned(due, plan(due.problem))
        return self._writes > plans

    def _due_now(self) -> _Due | None:
        """Look at the plant; what is to be planned, where it is time. Without SoC or date the limits alone are written here."""
        snapshot = self._out.plant.snapshot()
        mono = self._out.writer.now_ns()
        if snapshot is None or mono - snapshot.now_ns > FRESH_NS:
            self._say("no fresh state of the plant")
            self._depends = None
            return None
        now = Now(mono, self._out.utc_ns())
        self._read_tables()
        soc = soc_pct(self.config, snapshot)
        self._watch_reserve(soc)
        if soc is None or now.utc_ns < PLAUSIBLE_NS:
            self._without_plan(now, "the SoC is missing" if soc is None else "the wall clock is not trusted")
            return None
        asked = problem(self.config, snapshot, soc, self._out.others(), self._tables, now)
        depends = self._signature(asked, snapshot)
        return _Due(asked, depends, now) if self._due(depends, soc, now) else None

    def _planned(self, due: _Due, outcome: Outcome) -> None:
        self.outcome = outcome
        self._tell(outcome)
        self._ask(outcome)
        self._write(plan_of(self.config, outcome, self._guard, due.now), due.now.mono_ns, due.depends)

    def _due(self, depends: object, soc: float, now: Now) -> bool:
        """Is it time for another plan?"""
        if self._depends is None or self._guard != self._guard_planned:
            return True
        since = now.mono_ns - self._planned_ns
        return since >= self.config.replan_s * NS or (since >= CALM_NS and (depends != self._depends or self._drifted(soc, now)))

    def _read_tables(self) -> None:
        """A file that is wrong or unreadable keeps its last good content; before there was any, plans are made without it: the reserve and
        what was ordered must not wait for a tariff."""
        trouble = ""
        try:
            self._tables = self._out.tables()
        except (UsageError, NotReachable) as e:
            trouble = str(e)
        if trouble and trouble != self.files_trouble:
            self._log.error("policy: planning with what was read before: %s", trouble)
        elif self.files_trouble and not trouble:
            self._log.info("policy: its files are good again")
        self.files_trouble = trouble

    def _watch_reserve(self, soc: float | None) -> None:
        if self.config.reserve_pct <= 0:
            return
        if soc is None or soc <= self.config.reserve_pct:
            self._guard = True
        elif soc > self.config.reserve_pct + self.config.reserve_hysteresis_pct:
            self._guard = False

    def _without_plan(self, now: Now, why: str) -> None:
        """The limits alone; renewed like a plan."""
        self._say(why)
        if self.outcome is None and self._depends == why and now.mono_ns - self._planned_ns < self.config.lease_s * NS / 4:
            return
        self.outcome = None
        self._write(plan_of(self.config, None, self._guard, now), now.mono_ns, why)

    def _signature(self, asked: Problem, snapshot: PlantSnapshot) -> object:
        """What a plan depends on but time, energy and a load that was only measured."""
        end = asked.now_ns + asked.horizon_ns

        def steady(span: Span) -> Span:
            lasting = span.who.startswith("source:") and span.end_ns < end
            return replace(span, start_ns=span.start_ns if span.start_ns > asked.now_ns else 0, end_ns=span.end_ns if lasting else 0)

        return tuple(steady(span) for span in asked.spans), self._tables, snapshot.mode

    def _drifted(self, soc: float, now: Now) -> bool:
        """Away from where the plan said it would be."""
        if self.outcome is None:
            return True
        before, at = self.outcome.energy_wh, self.outcome.now_ns
        for done in self.outcome.steps:
            if now.utc_ns < done.step.end_ns:
                share = (now.utc_ns - at) / (done.step.end_ns - at)
                expected = before + share * (done.energy_wh - before)
                return abs(soc - 100 * expected / self.outcome.capacity_wh) > DRIFT_PCT
            before, at = done.energy_wh, done.step.end_ns
        return True

    def _write(self, written: Plan, mono_ns: int, depends: object) -> None:
        try:
            self._out.writer.write(written)
            self._writes += 1
        except (PlanRefused, NotReachable) as e:
            self._say(f"slot {self.config.source} did not take the plan: {e}")
            self._depends = None
            return
        if self.outcome is not None:
            self._say("")
        self._depends, self._planned_ns, self._guard_planned = depends, mono_ns, self._guard

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self._log.warning("policy: %s", trouble)
        elif self.trouble and not trouble:
            self._log.info("policy: planning again")
        self.trouble = trouble

    def _tell(self, outcome: Outcome) -> None:
        """Unreachable targets, when they become so and when they no longer are."""
        found = {(u.name, u.at_ns): u for u in outcome.unmet}
        for key, unmet in found.items():
            if self._told.get(key) != unmet.because:
                self._log.error(
                    "policy %s: %.1f to %.1f %% cannot be reached at %s UTC, %.1f %% can; %s prevents more",
                    unmet.name, *unmet.wanted_pct, time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(unmet.at_ns / NS)), unmet.reachable_pct,
                    unmet.because,
                )  # fmt: skip
        for name, at_ns in self._told.keys() - found.keys():
            if at_ns > outcome.now_ns:
                self._log.info("policy %s: reachable again", name)
        self._told = {key: unmet.because for key, unmet in found.items()}

    def _ask(self, outcome: Outcome) -> None:
        """Off by default. A refusal (not to be asked, asked a moment ago) is no trouble of ours."""
        for need in needs(outcome, self.config.battery, less=self.config.ask_less) if self.config.ask_more else ():
            try:
                self._out.ask(need)
            except BessctlError as e:
                self._log.debug("policy: source %s was not asked for %g W: %s", need.source, need.ess_w, e)
                continue
            way = "charging" if need.charging else "discharging"
            self._log.info("policy: source %s was asked for %g W of %s", need.source, need.ess_w, way)

    def answer(self, _: dict[str, Any]) -> dict[str, Any]:
        """The operator's command "plan". Raises NotReachable while there is none."""
        if self.outcome is None:
            raise NotReachable(f"there is no plan: {self.trouble or 'the plant was not seen yet'}")
        return {"plan": report(self.outcome, self.config), "trouble": self.trouble or self.files_trouble}


async def run_policy(
    config: PolicyConfig, outside: Outside, log: logging.Logger, commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]
) -> None:
    """Keep the policies until cancelled; `commands` gets "plan"."""
    keeper = Keeper(config, outside, log)
    commands["plan"] = keeper.answer
    await keeper.run()
