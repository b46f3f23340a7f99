"""The plant as OSCP counts it: samples of its units for measurements, and what is not complied with. Signs are turned here, once. Pure."""

from __future__ import annotations

from bessctl.model.snapshot import PlantSnapshot, UnitSnapshot
from bessctl.protocols.oscp.config import GroupConfig, Scope
from bessctl.protocols.oscp.messages.records import CapacityForecastType
from bessctl.protocols.oscp.session.compliance import Failure
from bessctl.protocols.oscp.session.evaluate import Limits
from bessctl.protocols.oscp.session.metering import METER, UnitSample

T = CapacityForecastType


def samples(plant: PlantSnapshot | None) -> list[UnitSample]:
    """Plant + is discharge, OSCP + is consumption."""
    return [_sample(unit) for unit in plant.units] if plant is not None else []


def meter_sample(plant: PlantSnapshot | None) -> UnitSample | None:
    """The connection point as its own meter counts it: all that went in and out of the site. None where it counts nothing."""
    if plant is None or plant.meter.import_wh is None or plant.meter.export_wh is None:
        return None
    return UnitSample(METER, plant.meter.import_wh, plant.meter.export_wh)


def _sample(unit: UnitSnapshot) -> UnitSample:
    stored = None if unit.soc_pct is None or unit.capacity_wh is None else unit.soc_pct / 100 * unit.capacity_wh
    return UnitSample(unit.name, unit.import_wh, unit.export_wh, None if unit.ac_w is None else 0.0 - unit.ac_w, stored)


def failure(plant: PlantSnapshot | None, group: GroupConfig, limits: Limits, margin_w: float, refused: str) -> Failure | None:
    """What the plant does against a peer's live limits now (row 21). `refused`: why the loop did not take the plan; empty = it did."""
    kind = T.CONSUMPTION if limits.consumption_w is not None else T.GENERATION
    if refused:
        return Failure(kind, f"the limits could not be put into force: {refused}")
    if plant is not None and plant.unmet_source == group.source and abs(plant.unmet_w) > margin_w:
        side = T.CONSUMPTION if plant.unmet_w > 0 else T.GENERATION
        return Failure(side, f"the plant cannot follow: {abs(plant.unmet_w):.0f} W more than it can do would be needed")
    power_w = None if plant is None else plant.ess_w if group.scope is Scope.ESS else plant.pcc_w
    if power_w is None:
        return Failure(kind, "the power of the group cannot be measured")
    if limits.consumption_w is not None and -power_w > limits.consumption_w + margin_w:
        return Failure(T.CONSUMPTION, f"{-power_w:.0f} W are consumed, {limits.consumption_w:.0f} W are allowed")
    if limits.generation_w is not None and power_w > limits.generation_w + margin_w:
        return Failure(T.GENERATION, f"{power_w:.0f} W are generated, {limits.generation_w:.0f} W are allowed")
    return None
