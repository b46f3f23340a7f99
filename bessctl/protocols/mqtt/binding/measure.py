"""PlantSnapshot -> Measurement: where the plant's sign (positive = discharge) becomes the wire's (positive = charging). Pure.

A measurement that cannot be made honestly is not made: power is required by the schema, so without it, without a trusted wall clock or from
a snapshot that stands still there is none, and the reason is told. A missing SoC is null, and told as well (PLV-1): never made up.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.model.snapshot import PlantSnapshot, UnitSnapshot
from bessctl.plan.window import plant_soc_pct
from bessctl.protocols.mqtt.config import Asset, EnergyValue, Window
from bessctl.protocols.mqtt.messages.measurement import Measurement

AGE_MAX_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no measurement."""

    why: str


@dataclass(frozen=True, slots=True)
class Instant:
    """Two clocks read together; `utc_ns` None while the wall clock is not trusted."""

    mono_ns: int
    utc_ns: int | None


def measured(snapshot: PlantSnapshot | None, asset: Asset, window: Window, energy: EnergyValue, now: Instant) -> Measurement | Missing:
    """One asset. The timestamp is the instant of the snapshot, not that of the message."""
    if snapshot is None:
        return Missing("no loop is attached")
    age_ns = now.mono_ns - snapshot.now_ns
    if age_ns > AGE_MAX_NS:
        return Missing(f"the loop's newest state is {age_ns / 1e9:.0f} s old")
    if now.utc_ns is None:
        return Missing("the wall clock is not trusted")
    units = snapshot.units if asset.unit is None else tuple(u for u in snapshot.units if u.name == asset.unit)
    if not units:
        return Missing(f"the loop has no unit {asset.unit!r}")
    power = snapshot.ess_w if asset.unit is None else units[0].ac_w
    if power is None:
        return Missing("power is not measured")
    soc = plant_soc_pct(units, window.lo_pct, window.hi_pct)
    return Measurement(asset.name, now.utc_ns - age_ns, _energy_wh(units, energy), 0.0 - power, soc)


def _energy_wh(units: tuple[UnitSnapshot, ...], energy: EnergyValue) -> float:
    charged, discharged = sum(u.import_wh for u in units), sum(u.export_wh for u in units)
    match energy:
        case EnergyValue.IMPORT:
            return charged
        case EnergyValue.EXPORT:
            return discharged
        case EnergyValue.NET:
            return charged - discharged
