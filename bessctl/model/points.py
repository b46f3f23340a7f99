"""Every data point that the plant publishes, and its name of IEC 61850 (7-420; MMXU, MMTR, MMDC, CALH and GGIO of 7-4): one table.

Where a name is used: `bessctl points` and docs/points.md (all of them), the DataTransfer messages and the device model of OCPP (what OCPP
has no word for, OCPP-8, OCPP-20). Logical devices: BESS is the plant at its AC terminals, BESS_<unit> one PCS with its battery, PCC the
connection to the grid. A sign is always the plant's: positive = toward the grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any

from bessctl.model.snapshot import PlantSnapshot

VENDOR = "bessctl"
"""Of our DataTransfer messages and custom data."""


class Scope(StrEnum):
    """What a point belongs to."""

    PLANT = "plant"
    UNIT = "unit"
    PCC = "pcc"


DEVICES = {Scope.PLANT: "BESS", Scope.UNIT: "BESS_{unit}", Scope.PCC: "PCC"}


@dataclass(frozen=True, slots=True)
class Point:
    """`field`: where it is in a snapshot (model/snapshot.py), dots between the parts. `component`.`variable`: logical node, data object."""

    scope: Scope
    field: str
    component: str
    variable: str
    unit: str
    about: str
    instance: int = 1

    @property
    def name(self) -> str:
        """As OCPP's DataTransfer and device model have it: the plant there is one, and needs no instance."""
        return f"{self.component}.{self.variable}"

    def reference(self, unit: str = "") -> str:
        """The object reference, as IEC 61850-7-2 writes it."""
        return f"{DEVICES[self.scope].format(unit=unit)}/{self.component}{self.instance}.{self.variable}"


def _plant(field: str, name: str, unit: str, about: str) -> Point:
    return Point(Scope.PLANT, field, *_split(name), unit, about)


def _unit(field: str, name: str, unit: str, about: str) -> Point:
    return Point(Scope.UNIT, field, *_split(name), unit, about)


def _pcc(field: str, name: str, unit: str, about: str, instance: int = 1) -> Point:
    return Point(Scope.PCC, field, *_split(name), unit, about, instance)


def _split(name: str) -> tuple[str, str]:
    component, _, variable = name.partition(".")
    return component, variable


SOC = _unit("soc_pct", "DSTO.SocEffWhPct", "Percent", "state of charge, of the energy it holds now when full")
SOH = _unit("soh_pct", "DSTO.EffWhPct", "Percent", "state of health: the energy it holds now when full, of its rating")
CELL_TEMP_MAX = _unit("cell_temp_max_c", "SBAT.CelTmpMax", "Celsius", "temperature of the warmest cell")
AVAILABLE_WH = _plant("available_wh", "DSTO.SocWh", "Wh", "energy that can be discharged: state of charge of the rating")
VOLTAGE = _unit("ac_v", "MMXU.PhV", "V", "voltage phase to neutral, mean of the phases")

TABLE: tuple[Point, ...] = (
    _plant("mode", "DSTO.DEROpSt", "", "what the plant does: acquire, run, stopped, tripped ..."),
    _plant("ess_w", "MMXU.TotW", "W", "active power, all units, as measured"),
    _plant("command_w", "DPMC.WSpt", "W", "active power that the units are told, together"),
    _plant("target_w", "DPMC.ReqTotW", "W", "active power that the ruling source wants"),
    _plant("target_source", "DPMC.WTopFct", "", "who wants it"),
    _plant("lo.value_w", "DSTO.AvlChaW", "W", "lower edge of the envelope: what may be charged, not above 0"),
    _plant("lo.binding", "DPMC.WMinSpt.origin", "", "who or what sets the lower edge, since and until when"),
    _plant("hi.value_w", "DSTO.AvlDschW", "W", "upper edge of the envelope: what may be discharged, not below 0"),
    _plant("hi.binding", "DPMC.WMaxSpt.origin", "", "who or what sets the upper edge, since and until when"),
    _plant("import_wh", "DSTO.ChaWhTot", "Wh", "energy charged, all units, AC side, lifetime"),
    _plant("export_wh", "DSTO.DschWhTot", "Wh", "energy discharged, all units, AC side, lifetime"),
    _plant("soc_pct", SOC.name, SOC.unit, "state of charge of all units together, by their capacities"),
    AVAILABLE_WH,
    _plant("unmet_w", "DPMC.DifWEsp", "W", "what a limit asks for and cannot have"),
    _plant("unmet_source", "DPMC.DifWSpt.origin", "", "whose limit that is"),
    _plant("reactive.kind", "DPMC.VArTopFct", "", "how reactive power is asked for: var, pf, available, none"),
    _plant("reactive.source", "DPMC.VArSpt.origin", "", "who asks for reactive power"),
    _plant("reactive.wanted_var", "DPMC.ReqTotVAr", "var", "reactive power wanted, + = injected"),
    _plant("reactive.command_var", "DPMC.VArSpt", "var", "reactive power that the units are told, together"),
    _plant("reactive.measured_var", "MMXU.TotVAr", "var", "reactive power, all units, as measured"),
    _plant("reactive.most_var", "DPMC.ReqTotVArMax", "var", "reactive power that may be given now, either way"),
    _plant("disconnected_by", "DPMC.CeaEgzCtl.origin", "", "whose plan has the plant disconnected"),
    _plant("shedding", "GGIO.SPCSO", "", "the load-shed output"),
    _plant("alarms", "CALH.GrAlm", "", "rows that trip (GrAlm) and that warn or derate (GrWrn); one by one: ALARMS"),
    _unit("state", "DSTO.DEROpSt", "", "what the unit does, or which device is missing"),
    _unit("command_w", "DSTO.WSpt", "W", "active power that the unit is told"),
    _unit("command_var", "DSTO.VArSpt", "var", "reactive power that the unit is told"),
    _unit("ac_w", "MMXU.TotW", "W", "active power at its AC terminals"),
    _unit("ac_var", "MMXU.TotVAr", "var", "reactive power at its AC terminals"),
    VOLTAGE,
    _unit("ac_hz", "MMXU.Hz", "Hz", "frequency"),
    _unit("dc_v", "MMDC.Vol", "V", "voltage between battery and PCS"),
    _unit("dc_a", "MMDC.Amp", "A", "current between battery and PCS, + = out of the battery"),
    SOC,
    SOH,
    _unit("capacity_wh", "DSTO.WhRtg", "Wh", "rated energy"),
    CELL_TEMP_MAX,
    _unit("cell_temp_min_c", "SBAT.CelTmpMin", "Celsius", "temperature of the coldest cell"),
    _unit("cell_v_max_v", "SBAT.CelVolHi", "V", "voltage of the highest cell"),
    _unit("cell_v_min_v", "SBAT.CelVolLo", "V", "voltage of the lowest cell"),
    _unit("import_wh", "DSTO.ChaWhTot", "Wh", "energy charged, AC side, lifetime"),
    _unit("export_wh", "DSTO.DschWhTot", "Wh", "energy discharged, AC side, lifetime"),
    _unit("contactor", "DBAT.DCSwCls", "", "the battery's contactors: closed, opening, open, closing, gave_up, unknown"),
    _unit("curves", "DVVR.Beh", "", "curves that are ours, and how they stand: Volt-Var; DVWC.Beh Volt-Watt, DWVR.Beh Watt-Var"),
    _pcc("pcc_w", "MMXU.TotW", "W", "active power at the connection, + = export"),
    _pcc("meter.phase_v", "MMXU.PhV", "V", "voltages phase to neutral at the connection"),
    _pcc("meter.import_wh", "MMTR.DmdWh", "Wh", "the meter's own register of energy taken from the grid"),
    _pcc("meter.export_wh", "MMTR.SupWh", "Wh", "the meter's own register of energy given to the grid"),
    _pcc("pcc_import_wh", "MMTR.DmdWh", "Wh", "energy taken from the grid, counted by the loop", 2),
    _pcc("pcc_export_wh", "MMTR.SupWh", "Wh", "energy given to the grid, counted by the loop", 2),
)

NO_POINTS = {
    "tick": "counts the snapshots; no quantity of the plant",
    "now_ns": "the instant of the whole snapshot: attribute t of each of its points",
    "name": "the unit itself: part of the logical device's name",
    "units": "each is a logical device of its own",
    "slots": "what sources wrote into their slots: plans, not data of the plant; what comes of them is DPMC",
    "reactive": "its parts are points",
    "meter": "its parts are points",
    "lo": "its parts are points",
    "hi": "its parts are points",
}
"""Members of a snapshot that are no data points, and why."""

# Words that must all occur in the code of a protection row, and the data object that says the row stands: trip, else warning.
ALARMS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("cell", "v", "high"), "SBAT.CelVolHiAlm", "SBAT.CelVolHiAlm"),
    (("cell", "v", "low"), "SBAT.CelVolLoAlm", "SBAT.CelVolLoAlm"),
    (("cell", "v", "spread"), "SBAT.UnbVolAlm", "SBAT.UnbVolWrn"),
    (("cell", "temp", "high"), "SBAT.IntnTmpHiAlm", "SBAT.IntnTmpHiWrn"),
    (("cell", "temp", "low"), "SBAT.IntnTmpLoAlm", "SBAT.IntnTmpLoWrn"),
    (("pack", "v", "high"), "SBAT.ExtVolHiAlm", "SBAT.ExtVolHiAlm"),
    (("pack", "v", "low"), "SBAT.ExtVolLoAlm", "SBAT.ExtVolLoAlm"),
    (("discharge", "current", "high"), "SBAT.DschAmpHiAlm", "SBAT.DschAmpHiWrn"),
    (("charge", "current", "high"), "SBAT.ChaAmpHiAlm", "SBAT.ChaAmpHiWrn"),
    (("soc", "high"), "DSTO.SocHiAlm", "DSTO.SocHiWrn"),
    (("soc", "low"), "DSTO.SocLoAlm", "DSTO.SocLoWrn"),
)


def alarm_name(code: str, tier: str) -> str:
    """The data object of an alarm; one without an object of its own is in the group's."""
    words, trip = set(code.split("_")), tier == "trip"
    found = next((names for needed, *names in ALARMS if words.issuperset(needed)), ["CALH.GrAlm", "CALH.GrWrn"])
    return found[0] if trip else found[1]


def values(snapshot: PlantSnapshot) -> Iterator[tuple[Point, str, Any]]:
    """Every point with its object reference and its value now; None = not measured."""
    for point in TABLE:
        read = attrgetter(point.field)
        if point.scope is Scope.UNIT:
            yield from ((point, point.reference(unit.name), read(unit)) for unit in snapshot.units)
        elif point.field == "alarms":
            yield from ((point, _alarm(a.unit, alarm_name(a.code, a.tier)), a.code) for a in snapshot.alarms)
        else:
            yield point, point.reference(), read(snapshot)


def _alarm(unit: str, name: str) -> str:
    component, _, variable = name.partition(".")
    return Point(Scope.UNIT if unit else Scope.PLANT, "", component, variable, "", "").reference(unit)
