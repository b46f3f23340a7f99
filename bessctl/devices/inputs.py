"""The read plan of a device of kind io: one request for each table that inputs lie in. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bessctl.devices.plan import DevicePlan, Point, Read

FUNCTIONS = {"coil": 1, "discrete_input": 2, "holding_register": 3, "input_register": 4}
BITS_OF_A_REGISTER = 16


@dataclass(frozen=True, slots=True)
class Contact:
    """One input: its number in the plant, where it lies, and what is read while it is closed."""

    index: int
    table: str
    address: int
    bit: int
    closed_is: int


def compile_inputs(contacts: Iterable[Contact]) -> DevicePlan:
    """Each table from its first to its last address at once, fast."""
    tables: dict[str, list[Contact]] = {}
    for contact in contacts:
        tables.setdefault(contact.table, []).append(contact)
    return DevicePlan(tuple(_read(table, members) for table, members in tables.items()))


def _read(table: str, contacts: list[Contact]) -> Read:
    first = min(contact.address for contact in contacts)
    count = max(contact.address for contact in contacts) - first + 1
    return Read(first, count, "fast", tuple(_point(table, contact, first) for contact in contacts), FUNCTIONS[table])


def _point(table: str, contact: Contact, first: int) -> Point:
    """1 = active: set when a closed contact reads 0, clear when it reads 1."""
    at = contact.address - first
    offset = at if FUNCTIONS[table] <= FUNCTIONS["discrete_input"] else at * BITS_OF_A_REGISTER + contact.bit
    return Point(f"input_{contact.index}", offset, "bit", scale=-1.0 if contact.closed_is else 1.0)
