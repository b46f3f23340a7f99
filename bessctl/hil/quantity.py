"""What a scenario may write as a value: a number with its unit, or a word. SI values come out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS: dict[str, dict[str, float]] = {
    "W": {"W": 1.0, "kW": 1e3, "MW": 1e6},
    "var": {"var": 1.0, "kvar": 1e3},
    "W/s": {"W/s": 1.0, "kW/s": 1e3, "MW/s": 1e6},
    "V": {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    "A": {"A": 1.0, "kA": 1e3},
    "C": {"C": 1.0, "°C": 1.0},
    "%": {"%": 1.0},
    "Hz": {"Hz": 1.0, "mHz": 1e-3},
    "s": {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "": {"": 1.0, "times": 1.0},
}
"""Dimension, named by its SI unit -> how it may be written."""

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(\S*)")


class BadValue(ValueError):
    """What is written is no value of that kind; the message says what is allowed."""


def quantity(text: object, dimension: str) -> float:
    """SI value of "150 kW". Raises BadValue for another dimension, no unit, or no number."""
    known = UNITS[dimension]
    found = _NUMBER.fullmatch(str(text).strip())
    if found is None:
        raise BadValue(
            f"{text!r} is no value; write a number and one of the units {', '.join(filter(None, known))}, for example {_example(known)}"
        )
    number, unit = float(found[1]), found[2]
    if unit not in known:
        told = f"{unit!r} is no unit of it" if unit else "the unit is missing"
        raise BadValue(f"{text!r}: {told}; allowed: {', '.join(name or 'none' for name in known)}")
    return number * known[unit]


def _example(known: dict[str, float]) -> str:
    return f"'{10 if len(known) > 1 else 50} {list(known)[min(1, len(known) - 1)]}'".replace(" '", "'")


def show(value: float | str, dimension: str) -> str:
    """A value for people."""
    if isinstance(value, str):
        return value
    if value != value:  # noqa: PLR0124 (NaN)
        return "no valid value"
    if dimension in {"W", "var"} and abs(value) >= 1000:
        return f"{value / 1e3:.4g} k{dimension}"
    return f"{value:.4g} {dimension}".rstrip()


@dataclass(frozen=True)
class Condition:
    """`lo <= value <= hi`, or one of `words`, or none of them (`other_than`). `text` is how it was written."""

    text: str
    lo: float = float("-inf")
    hi: float = float("inf")
    words: tuple[str, ...] = ()
    other_than: bool = False

    def holds(self, value: float | str) -> bool:
        """A missing value meets nothing."""
        if self.words:
            return (value in self.words) != self.other_than
        return isinstance(value, float | int) and self.lo <= value <= self.hi


_BETWEEN = re.compile(r"(?:between\s+)?(.+?)\s+(?:to|and)\s+(.+)")
_ABOUT = re.compile(r"(.+?)\s*(?:\+-|±|\+/-)\s*(.+)")


def condition(text: object, dimension: str) -> Condition:
    """ "at most 1 kW", "at least 5 A", "145 kW to 155 kW", "150 kW +- 2 kW". Raises BadValue."""
    words = str(text).strip()
    for start, side in (("at most ", "hi"), ("at least ", "lo"), ("below ", "hi"), ("above ", "lo")):
        if words.startswith(start):
            value = quantity(words.removeprefix(start), dimension)
            return Condition(words, hi=value) if side == "hi" else Condition(words, lo=value)
    if about := _ABOUT.fullmatch(words):
        middle, slack = quantity(about[1], dimension), abs(quantity(about[2], dimension))
        return Condition(words, middle - slack, middle + slack)
    if between := _BETWEEN.fullmatch(words):
        lo, hi = quantity(between[1], dimension), quantity(between[2], dimension)
        if lo > hi:
            raise BadValue(f"{words!r}: nothing lies between; the smaller value comes first")
        return Condition(words, lo, hi)
    value = quantity(words, dimension)
    if dimension:
        raise BadValue(f"{words!r}: a measured value never is exactly that; write 'at most', 'at least', 'A to B' or 'A +- B'")
    return Condition(words, value, value)


def word_condition(text: object, words: tuple[str, ...]) -> Condition:
    """ "tripped", "run or acquire", "not run". Raises BadValue with the words that exist."""
    told = "yes" if text is True else "no" if text is False else str(text).strip()
    other_than = told.startswith("not ")
    wanted = tuple(part.strip() for part in told.removeprefix("not ").split(" or "))
    if unknown := [word for word in wanted if words and word not in words]:
        raise BadValue(f"{unknown[0]!r} is none of its words; allowed: {', '.join(words)}, 'A or B', 'not A'")
    return Condition(told, words=wanted, other_than=other_than)
