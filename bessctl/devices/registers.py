"""Looks at a device whose profile states registers: its identity, and which of the profile's points it gives. Blocking; reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan

from bessctl.corelink.modbus import Line
from bessctl.devices.address import Address
from bessctl.devices.compiler import FUNCTIONS, Role, compile_device
from bessctl.devices.discovery import FoundDevice
from bessctl.devices.plan import REGISTERS, DevicePlan, Read
from bessctl.devices.profile import IdentityRule, Profile
from bessctl.errors import OperationFailed

PARITY = {"none": "N", "even": "E", "odd": "O"}

Decode = Callable[[DevicePlan, Read, list[int]], dict[str, float]]
"""What registers of a read mean; NaN = not there."""


@contextmanager
def connected(address: Address, modbus_id: int, timeout_s: float) -> Iterator[Line]:
    """A connection, closed afterwards."""
    if address.host:
        line = Line.tcp(str(address), (address.host, address.port), modbus_id, timeout_s)
    else:
        line = Line.rtu(str(address), (address.path, address.baud, PARITY[address.parity], address.stop_bits), modbus_id, timeout_s)
    try:
        yield line
    finally:
        line.close()


def text_of(registers: list[int]) -> str:
    """A text of two characters a register."""
    raw = b"".join(register.to_bytes(2, "big") for register in registers)
    return raw.split(b"\0")[0].decode("ascii", errors="replace").strip()


def number_of(rule: IdentityRule, registers: list[int], low_first: bool) -> int:
    """An unsigned number."""
    ordered = reversed(registers) if low_first else registers
    return int.from_bytes(b"".join(register.to_bytes(2, "big") for register in ordered), "big")


def size_of(rule: IdentityRule) -> int:
    """Registers of an identity value."""
    return rule.length if rule.type == "string" else REGISTERS[rule.type]


def look(profile: Profile, address: Address, modbus_id: int, timeout_s: float, decode: Decode) -> FoundDevice:
    """Look at one device. Raises NotReachable when nobody answers, OperationFailed when what answers is another device."""
    with connected(address, modbus_id, timeout_s) as line:
        texts, checks = identity(profile, line)
        missing = tuple(sorted(absent(profile, line, decode)))
    return FoundDevice(
        where=str(address),
        modbus_id=modbus_id,
        base=0,
        manufacturer=texts.get("manufacturer", ""),
        model=texts.get("model", ""),
        version=texts.get("version", ""),
        serial=texts.get("serial", ""),
        serial_registers=(),
        models=(),
        profile=profile.profile,
        missing=missing,
        checks=tuple(checks),
    )


def identity(profile: Profile, line: Line) -> tuple[dict[str, str], list[tuple[int, int]]]:
    """What the device says of itself; holding registers of it are checks for every connect."""
    texts: dict[str, str] = {}
    checks: list[tuple[int, int]] = []
    for rule in profile.identity:
        assert rule.register_ is not None
        registers = line.read(FUNCTIONS[profile.bus.read], rule.register_, size_of(rule))
        if registers is None:
            raise OperationFailed(
                f"{line.where}: has no {rule.name} at register {rule.register_}; this is no {profile.profile}, or the id is wrong"
            )
        found = text_of(registers) if rule.type == "string" else str(number_of(rule, registers, profile.word_order == "low_first"))
        if rule.is_ is not None and found != str(rule.is_):
            raise OperationFailed(f"{line.where}: its {rule.name} is {found!r}, that of {profile.profile} is {str(rule.is_)!r}")
        texts[rule.means] = found
        checks += [(rule.register_ + i, register) for i, register in enumerate(registers)]
    return texts, checks


def absent(profile: Profile, line: Line, decode: Decode) -> Iterator[str]:
    """Quantities whose registers the device refuses, or which stand at their `not there` value."""
    plan = compile_device(profile, Role(profile.kind, battery=True), FoundDevice.blank())
    for read in plan.reads:
        registers = line.read(read.function, read.address, read.count)
        if registers is None:
            yield from (point.quantity for point in read.points)
            continue
        values = decode(plan, read, registers)
        yield from (quantity for quantity, value in values.items() if isnan(value))
