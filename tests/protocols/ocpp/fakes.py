"""A plant and a slot that exist in a test alone."""

from __future__ import annotations

import time
from dataclasses import replace

from bessctl.errors import PlanRefused
from bessctl.model.plan import Plan
from bessctl.model.snapshot import Alarm, Binding, Limit, PlantSnapshot, UnitSnapshot

UNIT = UnitSnapshot(
    "u1", "run", 0.0, ac_w=0.0, ac_v=230.0, ac_hz=50.0, soc_pct=55.0, soh_pct=98.0, cell_temp_max_c=24.5, capacity_wh=500_000.0
)
SNAPSHOT = PlantSnapshot(
    tick=1,
    now_ns=0,
    mode="run",
    ess_w=0.0,
    pcc_w=0.0,
    command_w=0.0,
    lo=Limit(-200_000.0, Binding("device", "u1")),
    hi=Limit(200_000.0, Binding("device", "u1")),
    target_w=None,
    target_source="",
    units=(UNIT,),
)


class FakePlant:
    """A PlantView whose state a test sets."""

    def __init__(self, state: PlantSnapshot | None = SNAPSHOT) -> None:
        self.state = state
        self.reads = 0

    def snapshot(self) -> PlantSnapshot | None:
        self.reads += 1
        return self.state

    def set(self, **changes: object) -> None:
        assert self.state is not None
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def energy(self, *, import_wh: float = 0.0, export_wh: float = 0.0) -> None:
        """Lifetime counters of the only unit."""
        assert self.state is not None
        self.set(units=(replace(self.state.units[0], import_wh=import_wh, export_wh=export_wh),))

    def limits(self, lo_w: float, hi_w: float, binding: Binding) -> None:
        self.set(lo=Limit(lo_w, binding), hi=Limit(hi_w, binding))

    def alarm(self, code: str, tier: str = "trip") -> None:
        self.set(alarms=(Alarm(code, tier, "u1", active=True, latched=tier == "trip"),))


class FakePlans:
    """A PlanWriter that keeps what it was given, and holds it to the rules of a slot."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def write(self, plan: Plan) -> int:
        for series in (plan.blocks, plan.fallback):
            _check(series)
        self.plans.append(plan)
        return len(self.plans)

    def now_ns(self) -> int:
        return time.monotonic_ns()

    @property
    def last(self) -> Plan:
        return self.plans[-1]

    def target_w(self, at_ns: int | None = None) -> float | None:
        """The target of the newest plan at an instant, its lease regarded."""
        now = time.monotonic_ns() if at_ns is None else at_ns
        if not self.plans or self.last.lease_until_ns <= now:
            return None
        return next((b.target_w for b in self.last.blocks if b.start_ns <= now < b.end_ns), None)


def _check(series: tuple[object, ...]) -> None:
    end = None
    for block in series:
        start_ns, end_ns = block.start_ns, block.end_ns  # type: ignore[attr-defined]
        lo, hi = block.ess_lo_w, block.ess_hi_w  # type: ignore[attr-defined]
        if start_ns >= end_ns or (end is not None and start_ns < end):
            raise PlanRefused("blocks overlap or are empty")
        if (lo is not None and lo > 0) or (hi is not None and hi < 0):
            raise PlanRefused("ess limits must contain 0")
        end = end_ns
    if len(series) > 96:
        raise PlanRefused("too many blocks")
