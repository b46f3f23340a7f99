"""PlantSnapshot -> Reading. The sign is the same on both sides: positive = discharge. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bessctl.model.snapshot import PlantSnapshot
from bessctl.protocols.sep2.session.plant import Reading

OURS = frozenset({"warn", "derate", "trip"})
CLOSED, OPEN = frozenset({"closed", "opening"}), frozenset({"open", "closing", "gave_up"})
"""What a contactor is while it is ordered otherwise: as it was."""


def reading_of(snapshot: PlantSnapshot, source: str, manual: str = "manual") -> Reading:
    """The battery inverter as 2030.5 sees it. A target of the operator while ours stands is an opt-out; a protection clamp is not."""
    units = snapshot.units
    mine = next((slot for slot in snapshot.slots if slot.source == source), None)
    vars_ = [unit.ac_var for unit in units]
    available = snapshot.mode in {"run", "stopping", "stopped"}
    connected = _connected(snapshot, unknown=available)
    return Reading(
        values={
            "w": snapshot.ess_w,
            "hz": _mean(unit.ac_hz for unit in units),
            "var": None if not vars_ or None in vars_ else sum(v or 0.0 for v in vars_),
            "v": _mean(unit.ac_v for unit in units),
        },
        soc_pct=_soc(snapshot),
        running=snapshot.mode == "run" and connected,
        connected=connected,
        available=available,
        local_control=any(alarm.code == "local_control" and alarm.active for alarm in snapshot.alarms),
        charge_now_w=max(0.0, -snapshot.lo.value_w),
        discharge_now_w=max(0.0, snapshot.hi.value_w),
        capacity_wh=_total(unit.capacity_wh for unit in units),
        alarms={alarm.code: alarm.tier for alarm in snapshot.alarms if (alarm.active or alarm.latched) and alarm.tier in OURS},
        overridden=bool(mine and mine.target_w is not None and snapshot.target_source == manual),
    )


def _connected(snapshot: PlantSnapshot, *, unknown: bool) -> bool:
    states = {unit.contactor for unit in snapshot.units}
    return bool(states & CLOSED) or (unknown and not (states and states <= OPEN))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _total(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if not known or None in known else sum(v or 0.0 for v in known)


def _soc(snapshot: PlantSnapshot) -> float | None:
    """By capacity where every unit tells its own, else the mean; None while any is missing."""
    units = snapshot.units
    if not units or any(unit.soc_pct is None for unit in units):
        return None
    whole = _total(unit.capacity_wh for unit in units)
    if not whole:
        return _mean(unit.soc_pct for unit in units)
    return sum((unit.soc_pct or 0.0) * (unit.capacity_wh or 0.0) for unit in units) / whole
