"""The operational window: the one place where the BMS's SoC and the SoC of plans, policies and telemetry are turned into each other.

0 % and 100 % of the window are the BMS's SoC `lo_pct` and `hi_pct`. What is sent to an optimiser, and every SoC of a policy, is on the
window; what the BMS says and what protection rows compare is not (PLV-5). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from bessctl.model.snapshot import UnitSnapshot


def operational_pct(bms_pct: float, lo_pct: float, hi_pct: float) -> float:
    """SoC on the window, within 0 and 100: beyond its edges nothing is left to use, or to fill."""
    return min(100.0, max(0.0, 100.0 * (bms_pct - lo_pct) / (hi_pct - lo_pct)))


def bms_pct(operational: float, lo_pct: float, hi_pct: float) -> float:
    """The BMS's SoC that is this share of the window."""
    return lo_pct + operational / 100.0 * (hi_pct - lo_pct)


def plant_soc_pct(units: Iterable[UnitSnapshot], lo_pct: float, hi_pct: float) -> float | None:
    """SoC of several units together on the window, weighted by capacity; None when one of them is missing: a guess is no SoC."""
    energy = capacity = 0.0
    for unit in units:
        if unit.soc_pct is None:
            return None
        weight = unit.capacity_wh or 1.0
        energy += weight * operational_pct(unit.soc_pct, lo_pct, hi_pct)
        capacity += weight
    return energy / capacity if capacity else None
