"""Reads one field at a time out of a parsed object; every refusal names the field. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from bessctl.protocols.oscp.messages.times import NaiveTime, instants
from bessctl.protocols.oscp.messages.wire import Malformed

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

INT_MAX = 2**31 - 1
DECIMAL_PLACES = 8
DECIMAL_MAX = Decimal(10) ** 12
URL_MAX = 255
TEXT_MAX = 1000


@cache
def _members(family: type[E]) -> dict[str, E]:
    """By name; an Enum makes this anew each time it is asked."""
    return dict(family.__members__)


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object. `at` is where it stands, for messages; null counts as absent. Unknown fields are left alone."""

    value: dict[str, Any]
    at: str = ""
    naive: NaiveTime = NaiveTime.REJECT

    def name(self, key: str) -> str:
        return f"{self.at}.{key}" if self.at else key

    def has(self, key: str) -> bool:
        return self.value.get(key) is not None

    def need(self, key: str) -> Any:
        if not self.has(key):
            raise Malformed(f"{self.name(key)} is missing")
        return self.value[key]

    def text(self, key: str, longest: int = TEXT_MAX) -> str:
        value = self.need(key)
        if not isinstance(value, str) or not value:
            raise Malformed(f"{self.name(key)} must be a string that is not empty")
        if len(value) > longest:
            raise Malformed(f"{self.name(key)} is longer than {longest} characters")
        return value

    def word(self, key: str, family: type[E]) -> E:
        value = self.need(key)
        members: dict[str, E] = _members(family)
        if not isinstance(value, str) or value not in members:
            raise Malformed(f"{self.name(key)} must be one of {', '.join(members)}")
        return members[value]

    def integer(self, key: str, least: int) -> int:
        value = self.need(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= INT_MAX:
            raise Malformed(f"{self.name(key)} must be an integer of 32 bits from {least}")
        return value

    def decimal(self, key: str) -> Decimal:
        value = self.need(key)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise Malformed(f"{self.name(key)} must be a number")
        number = Decimal(value)
        if not abs(number) <= DECIMAL_MAX:
            raise Malformed(f"{self.name(key)} is beyond {DECIMAL_MAX:.0e}")
        if _places(number) > DECIMAL_PLACES and _places(number.normalize()) > DECIMAL_PLACES:
            raise Malformed(f"{self.name(key)} has more than {DECIMAL_PLACES} decimal places")
        return number

    def time(self, key: str) -> int:
        return self.times(key)[0]

    def times(self, key: str) -> tuple[int, int]:
        """The earliest and the latest instant that may be meant."""
        value = self.need(key)
        if not isinstance(value, str):
            raise Malformed(f"{self.name(key)} must be a date-time string")
        try:
            return instants(value, self.naive)
        except Malformed as e:
            raise Malformed(f"{self.name(key)}: {e}") from e

    def part(self, key: str) -> Fields:
        value = self.need(key)
        if not isinstance(value, dict):
            raise Malformed(f"{self.name(key)} must be an object")
        return Fields(value, self.name(key), self.naive)

    def items(self, key: str, read: Callable[[Fields], T], least: int = 1) -> tuple[T, ...]:
        value = self.need(key)
        if not isinstance(value, list) or len(value) < least:
            raise Malformed(f"{self.name(key)} must be an array of at least {least}")
        found = []
        for index, item in enumerate(value):
            at = f"{self.name(key)}[{index}]"
            if not isinstance(item, dict):
                raise Malformed(f"{at} must be an object")
            found.append(read(Fields(item, at, self.naive)))
        return tuple(found)

    def words(self, key: str, family: type[E]) -> tuple[E, ...]:
        value = self.need(key)
        if not isinstance(value, list):
            raise Malformed(f"{self.name(key)} must be an array")
        return tuple(Fields({"": item}, f"{self.name(key)}[{index}]").word("", family) for index, item in enumerate(value))
