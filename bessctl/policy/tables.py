"""Prices or powers over the day -> pieces of time. Pure; bessctl.config.tables reads the file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta

from bessctl.policy.problem import Piece
from bessctl.policy.zones import instant, local, zone

NS = 1_000_000_000

Values = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Period:
    """Each of these days (0 = Monday) from `start` to `end` on the wall clock; an end not after the start is on the next day."""

    days: frozenset[int]
    start: time
    end: time
    values: Values


@dataclass(frozen=True, slots=True)
class Dated:
    """One stretch of time, UTC ns."""

    start_ns: int
    end_ns: int
    values: Values


@dataclass(frozen=True, slots=True)
class Table:
    """A file of prices or powers."""

    zone: str
    otherwise: Values
    periods: tuple[Period, ...] = ()
    dated: tuple[Dated, ...] = ()


def pieces(table: Table, from_ns: int, to_ns: int) -> tuple[Piece, ...]:
    """What the table says between two instants; a later piece rules before an earlier one."""
    found = [Piece(from_ns, to_ns, table.otherwise)]
    tz = zone(table.zone)
    day, last = local(from_ns / NS, tz).date() - timedelta(days=1), local(to_ns / NS, tz).date()
    while day <= last:
        for period in table.periods:
            if day.weekday() in period.days:
                over = day if period.end > period.start else day + timedelta(days=1)
                found.append(Piece(instant(day, period.start, tz) * NS, instant(over, period.end, tz) * NS, period.values))
        day += timedelta(days=1)
    found += [Piece(row.start_ns, row.end_ns, row.values) for row in table.dated]
    return tuple(p for p in found if p.start_ns < to_ns and p.end_ns > from_ns and p.start_ns < p.end_ns)
