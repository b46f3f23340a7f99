"""Compiles discovery and point maps into what the loop reads, decodes, verifies and writes, for one device. Pure.

Every address is frozen here: at each connect the loop verifies the checks and refuses a device that is not the one that was sealed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.devices import maps
from bessctl.devices.discovery import FoundDevice, FoundModel
from bessctl.devices.maps import MapPoint, MapRead, Pace


@dataclass(frozen=True, slots=True)
class Point:
    """A value in a read: register offset inside it, type, scale factor's offset (-1 none), fixed factor with its sign."""

    quantity: str
    offset: int
    kind: str
    sf_offset: int
    scale: float


@dataclass(frozen=True, slots=True)
class Read:
    """One request and what is decoded from it."""

    address: int
    count: int
    pace: Pace
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Writes:
    """First registers of what is written; -1 = the device has it not."""

    wset: int = -1
    wset_sf: int = -1
    heartbeat: int = -1
    op_ctl: int = -1
    es: int = -1
    contactor: int = -1


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """All the loop knows about one device's registers. `heartbeat`: the quantity that must move, or empty."""

    reads: tuple[Read, ...]
    checks: tuple[tuple[int, int], ...]
    writes: Writes
    heartbeat: str

    def quantities(self) -> set[str]:
        """What is measured."""
        return {point.quantity for read in self.reads for point in read.points}


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
    writes = _writes(role, device)
    used = {1, *(point.model for point in points), *_written_models(role)}
    checks = tuple(_checks(device, used, role.check_serial))
    heartbeat = next((name for name in ("pcs_hb", "bms_hb") if name[:3] == role.kind and name in {p.quantity for p in points}), "")
    return DevicePlan(reads, checks, writes, heartbeat)


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
    sf = -1 if point.sf is None else point.sf - entry.offset
    return Point(point.quantity, point.offset - entry.offset, point.kind, sf, -point.factor if turned else point.factor)


def _written_models(role: Role) -> tuple[int, ...]:
    return {"pcs": (703, 704, 715), "bms": (802,)}.get(role.kind, ())


def _writes(role: Role, device: FoundDevice) -> Writes:
    control, enter, order, bank = (device.find(model) for model in (704, 703, 715, 802))
    if role.kind == "bms":
        return Writes(heartbeat=_at(bank, maps.BMS_CTRL_HB, "CtrlHb"), contactor=_at(bank, maps.BMS_SET_OP, "SetOp"))
    if role.kind != "pcs":
        return Writes()
    return Writes(
        wset=_at(control, maps.WSET_FIRST, "WSet"),
        wset_sf=_at(control, maps.WSET_SF, "WSet"),
        heartbeat=_at(order, maps.CONTROLLER_HB, "ControllerHb"),
        op_ctl=_at(order, maps.OP_CTL, "OpCtl"),
        es=_at(enter, maps.ES, "ES"),
        contactor=_at(bank, maps.BMS_SET_OP, "SetOp") if role.battery else -1,
    )


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
