"""PlantSnapshot -> Reading: where the plant's sign (positive = discharge) becomes two directions of magnitudes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bessctl.model.snapshot import Limit, PlantSnapshot
from bessctl.protocols.ocpp.session.plant import Reading, Side, Trouble

OUR_KINDS = frozenset({"source", "fallback"})
"""Kinds of bindings by which a slot's own plan limits, live or lapsed; its sealed default is the site's word, not ours."""


def reading_of(snapshot: PlantSnapshot, source: str) -> Reading:
    """The plant as stations see it. `source` is our slot: a limit of its own does not count against us.

    Voltage is phase to neutral, current per phase, of all units together and balanced.
    """
    power = snapshot.ess_w
    discharge = None if power is None else max(0.0, power)
    charge = None if power is None else max(0.0, -power)
    voltage = _mean(u.ac_v for u in snapshot.units)
    return Reading(
        discharge=_side(snapshot.hi, snapshot.hi.value_w, source, discharge, snapshot.export_wh),
        charge=_side(snapshot.lo, -snapshot.lo.value_w, source, charge, snapshot.import_wh),
        running=snapshot.mode == "run",
        mode=snapshot.mode,
        voltage_v=voltage,
        current_a=None if power is None or not voltage else abs(power) / (3 * voltage),
        frequency_hz=_mean(u.ac_hz for u in snapshot.units),
        soc_pct=snapshot.soc_pct,
        soh_pct=min((u.soh_pct for u in snapshot.units if u.soh_pct is not None), default=None),
        temperature_c=max((u.cell_temp_max_c for u in snapshot.units if u.cell_temp_max_c is not None), default=None),
        available_wh=snapshot.available_wh,
        troubles=tuple(Trouble(a.code, a.tier) for a in snapshot.alarms if a.active or a.latched),
    )


def _side(limit: Limit, offered_w: float, source: str, power_w: float | None, wh: float) -> Side:
    # `0.0 +` turns a negative zero into zero.
    offered = 0.0 + max(0.0, offered_w)
    ours = limit.binding.kind in OUR_KINDS and limit.binding.name == source
    return Side(offered, str(limit.binding), ours, power_w, round(wh * 1000))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
