"""Compiles discovery and point maps into what the loop reads, decodes, verifies and writes, for one device. Pure.

Every address is frozen here: at each connect the loop verifies the checks and refuses a device that is not the one that was sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bessctl.devices import maps
from bessctl.devices.discovery import FoundDevice, FoundModel
from bessctl.devices.maps import MapPoint, MapRead
from bessctl.devices.plan import Curve, DevicePlan, Factor, Field, Point, Read, Write, states

POINTS_MAX = 60
"""More points in a curve than any device has; the loop's own bound."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a device is in the plant, with the options of its configuration that change the plan."""

    kind: str
    battery: bool = False
    """A PCS that answers for its battery."""
    storage: bool = False
    """A PCS whose 713 is asked for SoC because nobody else says it."""
    dc_positive: str = "discharge"
    meter_positive: str = "import"
    check_serial: bool = True
    reactive: Literal["", "active", "reactive"] = ""
    """Sources may ask this PCS for reactive power, and which power goes first; empty = not a register of it is written."""


def candidates(role: Role, device: FoundDevice) -> tuple[MapPoint, ...]:
    """The points this role may read, in order of preference."""
    if role.kind == "meter":
        found = device.find(*maps.METERS)
        return maps.meter_points(found.id) if found else ()
    if role.kind == "bms":
        return maps.BMS_POINTS
    battery = (*maps.BMS_POINTS, *maps.STORAGE_POINTS) if role.battery else maps.STORAGE_POINTS if role.storage else ()
    return (*maps.PCS_POINTS, *battery)


def chosen(role: Role, device: FoundDevice) -> tuple[MapPoint, ...]:
    """For each quantity the first candidate that the device implements."""
    taken: dict[str, MapPoint] = {}
    for point in candidates(role, device):
        found = device.find(point.model)
        if found is not None and point.name in found.present:
            taken.setdefault(point.quantity, point)
    return tuple(taken.values())


def compile_device(role: Role, device: FoundDevice) -> DevicePlan:
    """The plan of one device."""
    points = chosen(role, device)
    reads = tuple(_reads(role, device, points))
    used = {1, *(point.model for point in points), *_written_models(role)}
    curves = tuple(_curves(role, device))
    heartbeat = next((name for name in ("pcs_hb", "bms_hb") if name[:3] == role.kind and name in {p.quantity for p in points}), "")
    return DevicePlan(
        reads=reads,
        checks=(*_checks(device, used | {entry.model for entry in _curve_maps(curves)}, role.check_serial), *_curve_checks(curves, device)),
        writes=tuple(_writes(role, device)),
        factors=tuple(_factors(role, device)),
        heartbeat=heartbeat,
        resend="reversion",
        curves=curves,
    )


def _reads(role: Role, device: FoundDevice, points: tuple[MapPoint, ...]) -> list[Read]:
    reads = []
    for entry in maps.READS:
        found = device.find(entry.model)
        mine = tuple(point for point in points if point.model == entry.model)
        if found is not None and mine:
            count = min(entry.count, found.length + 2 - entry.offset)
            reads.append(Read(found.address + entry.offset, count, entry.pace, tuple(_point(role, entry, point) for point in mine)))
    return reads


def _point(role: Role, entry: MapRead, point: MapPoint) -> Point:
    turned = (point.turn == "dc" and role.dc_positive == "charge") or (point.turn == "meter" and role.meter_positive == "import")
    sf = None if point.sf is None else point.sf - entry.offset
    return Point(point.quantity, point.offset - entry.offset, point.kind, -point.factor if turned else point.factor, sf_offset=sf)


def _written_models(role: Role) -> tuple[int, ...]:
    return {"pcs": (703, 704, 715), "bms": (802,)}.get(role.kind, ())


def _writes(role: Role, device: FoundDevice) -> list[Write]:
    control, enter, order, bank = (device.find(model) for model in (704, 703, 715, 802))
    writes: list[Write] = []
    if role.kind == "pcs":
        writes += _setpoint(_at(control, maps.WSET_FIRST, "WSet"))
        if role.reactive:
            writes += _reactive(_at(control, maps.VARSET_FIRST, "VarSet"), role.reactive == "reactive")
        writes += _orders(_at(enter, maps.ES, "ES"), _at(order, maps.OP_CTL, "OpCtl"))
        writes += _one("beat", _at(order, maps.CONTROLLER_HB, "ControllerHb"), Field(0, "beat", "uint32"))
    if role.kind == "bms":
        writes += _one("beat", _at(bank, maps.BMS_CTRL_HB, "CtrlHb"), Field(0, "beat", "uint16"))
    if role.kind == "bms" or (role.kind == "pcs" and role.battery):
        writes += _one("open", _at(bank, maps.BMS_SET_OP, "SetOp"), Field(0, "const", idle=2))
        writes += _one("close", _at(bank, maps.BMS_SET_OP, "SetOp"), Field(0, "const", idle=1))
    return writes


def _one(program: str, address: int, field: Field, when: int = states(), once: bool = False) -> list[Write]:
    """A request of one value; none where the device has no such register."""
    count = 2 if field.kind == "uint32" else 1
    return [] if address < 0 else [Write(program, address, count, (field,), when=when, once=once)]


def _setpoint(address: int) -> list[Write]:
    """704 WSetEna to WSetRvrtTms in one FC16; WSetRvrtRem is read back behind them."""
    if address < 0:
        return []
    fields = (
        Field(0, "const", idle=1),  # WSetEna
        Field(1, "const", idle=1),  # WSetMod: watts
        Field(2, "setpoint", "int32"),  # WSet
        Field(4, "const", "int32", idle=0),  # WSetRvrt: 0 W
        Field(6, "any", "int16"),  # WSetPct and WSetPctRvrt: the other mode's business
        Field(7, "any", "int16"),
        Field(8, "const", idle=1),  # WSetEnaRvrt
        Field(9, "reversion", "uint32"),  # WSetRvrtTms
        Field(11, "remains", "uint32"),  # WSetRvrtRem
    )
    return [Write("setpoint", address, maps.WSET_COUNT, fields, back=maps.WSET_READ_BACK, verify=True)]


def _reactive(address: int, reactive_first: bool) -> list[Write]:
    """704 VarSetEna to VarSetRvrtTms in one FC16; it expires to "not enabled": the PCS's own functions."""
    if address < 0:
        return []
    fields = (
        Field(0, "enable", discharge=1),  # VarSetEna
        Field(1, "const", idle=4),  # VarSetMod: vars
        Field(2, "const", idle=int(reactive_first)),  # VarSetPri
        Field(3, "setpoint", "int32"),  # VarSet
        Field(5, "const", "int32"),  # VarSetRvrt
        Field(7, "any", "int16"),  # VarSetPct and VarSetPctRvrt: other modes' business
        Field(8, "any", "int16"),
        Field(9, "const"),  # VarSetEnaRvrt: not enabled
        Field(10, "reversion", "uint32"),  # VarSetRvrtTms
        Field(12, "remains", "uint32"),  # VarSetRvrtRem
    )
    return [Write("var", address, maps.VARSET_COUNT, fields, back=maps.VARSET_READ_BACK, verify=True)]


def _orders(permit: int, operate: int) -> list[Write]:
    """715 OpCtl by the state of the PCS; 703 ES is given before a start, and taken away only where nothing else stops the PCS, because
    some PCS take it for a grid fault."""
    running = states("starting", "running", "throttled")
    unknown = running | states("unknown")
    rows = _one("run", permit, Field(0, "const", idle=1), once=True)
    for program, value, when in (
        ("run", 3, states("standby")),
        ("run", 1, states("off", "sleeping")),
        ("standby", 2, unknown),
        ("stop", 0, unknown | states("standby")),
    ):
        rows += _one(program, operate, Field(0, "const", idle=value), when)
    if operate < 0:
        rows += _one("standby", permit, Field(0, "const", idle=0), once=True) + _one("stop", permit, Field(0, "const", idle=0), once=True)
    return rows


def _factors(role: Role, device: FoundDevice) -> list[Factor]:
    if role.kind != "pcs":
        return []
    control = device.find(704)
    watts, var = _at(control, maps.WSET_SF, "WSet"), _at(control, maps.VARSET_SF, "VarSet")
    factors = [] if watts < 0 else [Factor(watts, "sunssf", of_setpoint=True)]
    return factors if var < 0 or not role.reactive else [*factors, Factor(var, "sunssf", of_var=True)]


def _curves(role: Role, device: FoundDevice) -> list[Curve]:
    """Those with a set beside the one in force, which is always the first, and with at least two points."""
    curves = []
    for entry in maps.CURVES if role.kind == "pcs" else ():
        found = device.find(entry.model)
        if found is None or found.counts.get("NCrv", 0) < 2 or not 2 <= found.counts.get("NPt", 0) <= POINTS_MAX:
            continue
        factors = found.scale_factors
        if entry.x_sf[0] not in factors or entry.y_sf[0] not in factors:
            continue
        s_scale = 10.0 ** factors[entry.s_sf[0]] if entry.s_sf is not None and entry.s_sf[0] in factors else 0.0
        x_scale, y_scale = (10.0 ** factors[name] for name, _ in (entry.x_sf, entry.y_sf))
        curves.append(Curve(entry.kind, found.address, found.counts["NPt"], x_scale, y_scale, s_scale))
    return curves


def _curve_maps(curves: tuple[Curve, ...]) -> list[maps.CurveMap]:
    return [entry for entry in maps.CURVES if entry.kind in {curve.kind for curve in curves}]


def _curve_checks(curves: tuple[Curve, ...], device: FoundDevice) -> list[tuple[int, int]]:
    """What decides where a curve's registers are and what they mean."""
    checks = []
    for entry in _curve_maps(curves):
        found = device.find(entry.model)
        assert found is not None
        checks += [(found.address + maps.CURVE_POINTS, found.counts["NPt"]), (found.address + maps.CURVE_SETS, found.counts["NCrv"])]
        for factor in (entry.x_sf, entry.y_sf, entry.s_sf):
            if factor is not None and factor[0] in found.scale_factors:
                checks.append((found.address + factor[1], found.scale_factors[factor[0]] & 0xFFFF))
    return checks


def _at(found: FoundModel | None, offset: int, needs: str) -> int:
    """Address of a register whose point is implemented, else -1."""
    return found.address + offset if found is not None and needs in found.present else -1


def _checks(device: FoundDevice, used: set[int], serial: bool) -> list[tuple[int, int]]:
    checks = []
    for found in device.models:
        if found.id in used and device.find(found.id) is found:
            checks += [(found.address, found.id), (found.address + 1, found.length)]
    common = device.find(1)
    if serial and common is not None:
        for index, register in enumerate(device.serial_registers):
            checks.append((common.address + maps.SERIAL + index, register))
            if register == 0:  # the text ends here; what follows is padding
                break
    return checks
