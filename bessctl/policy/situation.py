"""The plant and everybody's plans -> the planner's problem. Pure.

What is expected of the others: a source that is live goes on renewing its plan, so its series holds to its end and its sealed default after
it and in its gaps. One whose lease is over has its fallback and, since lapsing never widens, what its series still says; its target is
gone. A limit that devices or protection set now is expected to stay for `derating_holds_s`. The load is what the forecast says, else what
it is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from bessctl.model.plan import Block, Plan, Scope
from bessctl.model.snapshot import Binding, Limit, PlantSnapshot
from bessctl.plan.window import plant_soc_pct
from bessctl.policy.config import PolicyConfig, SlotFacts
from bessctl.policy.problem import Problem, Span
from bessctl.policy.tables import Table, pieces

NS = 1_000_000_000
OF_DEVICES = {"bms", "row", "device", "meter"}
"""Kinds of bindings that come from devices and protection."""


@dataclass(frozen=True, slots=True)
class Now:
    """Two clocks read together, ns."""

    mono_ns: int
    utc_ns: int

    def utc(self, mono_ns: int) -> int:
        """A loop instant as UTC, to the second: two clocks are never read at once."""
        return round((mono_ns + self.utc_ns - self.mono_ns) / NS) * NS


@dataclass(frozen=True, slots=True)
class Tables:
    """The files of the policy, as read last."""

    tariff: Table | None = None
    forecast: Table | None = None


def soc_pct(config: PolicyConfig, snapshot: PlantSnapshot) -> float | None:
    """Of the operational window; None while it is missing."""
    return plant_soc_pct(snapshot.units, config.soc_min_pct, config.soc_max_pct)


def resting(mono_ns: int) -> PlantSnapshot:
    """A plant of which nothing is known, for a plan without one."""
    free = Limit(0.0, Binding("none", ""))
    return PlantSnapshot(0, mono_ns, "run", None, None, 0.0, free, free, None, "")


def problem(  # noqa: PLR0917 - what a plan depends on, one by one
    config: PolicyConfig, snapshot: PlantSnapshot, soc: float, others: Mapping[str, Plan], tables: Tables, now: Now
) -> Problem:
    """Everything the plan of this moment depends on."""
    end = now.utc_ns + round(config.horizon_s * NS)
    cap = config.battery.capacity_wh
    net_w = snapshot.ess_w - snapshot.pcc_w if snapshot.ess_w is not None and snapshot.pcc_w is not None else 0.0
    return Problem(
        now_ns=now.utc_ns,
        energy_wh=soc / 100 * cap,
        battery=config.battery,
        bands=config.bands,
        forces=config.forces,
        peak_shaving=config.peak_shaving,
        self_consumption=config.self_consumption,
        reserve_wh=config.reserve_pct / 100 * cap,
        spans=tuple(spans(config, snapshot, others, now, end)),
        prices=pieces(tables.tariff, now.utc_ns, end) if tables.tariff else (),
        site=pieces(tables.forecast, now.utc_ns, end) if tables.forecast else (),
        load_w=max(0.0, net_w),
        pv_w=max(0.0, -net_w),
        tariff=tables.tariff is not None,
        horizon_ns=round(config.horizon_s * NS),
        step_ns=round(config.step_s * NS),
        margin=config.margin,
        tolerance_wh=config.soc_tolerance_pct / 100 * cap,
    )


def spans(config: PolicyConfig, snapshot: PlantSnapshot, others: Mapping[str, Plan], now: Now, end_ns: int) -> Iterator[Span]:
    """Everybody else's limits and targets, the highest rank first."""
    yield from _devices(config, snapshot, now)
    c = config.connection
    if c.import_max_w is not None or c.export_max_w is not None:
        lo = None if c.import_max_w is None else -max(0.0, c.import_max_w - c.charging_before_us_w)
        hi = None if c.export_max_w is None else max(0.0, c.export_max_w - c.discharging_before_us_w)
        yield Span(now.utc_ns, end_ns, "connection", pcc_lo_w=lo, pcc_hi_w=hi)
    states = {slot.source: slot.state for slot in snapshot.slots}
    for slot in sorted(config.slots, key=lambda s: s.priority):
        plan = None if states.get(slot.name) == "empty" else others.get(slot.name)
        yield from _slot(config, slot, plan, states.get(slot.name) == "lapsed", now, end_ns)


def _devices(config: PolicyConfig, snapshot: PlantSnapshot, now: Now) -> Iterator[Span]:
    until = now.utc_ns + round(config.derating_holds_s * NS)
    if until <= now.utc_ns:
        return

    def bound(limit: Limit) -> bool:
        return limit.binding.kind in OF_DEVICES

    if bound(snapshot.lo):
        yield Span(now.utc_ns, until, str(snapshot.lo.binding), ess_lo_w=min(0.0, snapshot.lo.value_w))
    if bound(snapshot.hi):
        yield Span(now.utc_ns, until, str(snapshot.hi.binding), ess_hi_w=max(0.0, snapshot.hi.value_w))


def _slot(config: PolicyConfig, slot: SlotFacts, plan: Plan | None, lapsed: bool, now: Now, end_ns: int) -> Iterator[Span]:  # noqa: PLR0917
    who = f"source:{slot.name}"
    if plan is None:
        yield from _stated(slot.default, now.utc_ns, end_ns, who)
        return
    series = plan.fallback if lapsed else plan.blocks
    covered = [(now.utc_ns, now.utc_ns)]
    for block in series:
        start, stop = max(now.utc_ns, now.utc(block.start_ns)), min(end_ns, now.utc(block.end_ns))
        if start < stop:
            covered.append((start, stop))
            yield from _stated(block, start, stop, who, targets=not lapsed and slot.priority < config.priority)
    if lapsed and slot.binding:
        for block in plan.blocks:
            yield from _stated(block, max(now.utc_ns, now.utc(block.start_ns)), min(end_ns, now.utc(block.end_ns)), who)
    for (_, before), (after, _) in pairwise([*covered, (end_ns, end_ns)]):
        yield from _stated(slot.default, before, after, who)


def _stated(block: Block, start_ns: int, end_ns: int, who: str, targets: bool = False) -> Iterator[Span]:
    """What a block says; ceasing to energise and disconnecting are a limit of 0 both ways. Nothing where it says nothing."""
    lo, hi = (0.0, 0.0) if block.energize is False or block.connect is False else (block.ess_lo_w, block.ess_hi_w)
    target = block.target_w if targets else None
    if start_ns < end_ns and any(value is not None for value in (lo, hi, block.pcc_lo_w, block.pcc_hi_w, target)):
        yield Span(start_ns, end_ns, who, lo, hi, block.pcc_lo_w, block.pcc_hi_w, target, block.target_scope is Scope.PCC)
