"""Schedules are instants, not windows: once, at listed date-times; or weekly, at a wall time on days of the week in a zone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from bessctl.errors import UsageError
from bessctl.policy.zones import instant, local, zone

NS = 1_000_000_000
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Once:
    """Listed instants, UTC ns."""

    at_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weekly:
    """A wall time on some days; 0 = Monday."""

    days: frozenset[int]
    at: time
    zone: str


Schedule = Once | Weekly


def moment(text: str) -> int:
    """An ISO 8601 date-time with zone, UTC ns. Raises UsageError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(f"{text!r} is no date-time with a zone; write one like 2026-01-31T06:00:00+01:00")
    return round(at.timestamp() * 1000) * 1_000_000


def day_number(word: str) -> int:
    """0 = Monday; any case, the first three letters are enough. Raises UsageError."""
    low = word.strip().lower()
    found = [n for n, day in enumerate(DAYS) if low in {day, day[:3]}]
    if not found:
        raise UsageError(f"{word!r} is no day of the week; write one of {', '.join(DAYS)}")
    return found[0]


def clock(text: str) -> time:
    """HH:MM. Raises UsageError."""
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise UsageError(f"{text!r} is no time of day; write HH:MM") from None


def instants(schedule: Schedule, from_ns: int, to_ns: int) -> list[int]:
    """Every instant of the schedule in [from, to), ordered, UTC ns."""
    if isinstance(schedule, Once):
        return sorted({at for at in schedule.at_ns if from_ns <= at < to_ns})
    found = {instant(day, schedule.at, zone(schedule.zone)) * NS for day in _days(schedule, from_ns, to_ns)}
    return sorted(at for at in found if from_ns <= at < to_ns)


def _days(schedule: Weekly, from_ns: int, to_ns: int) -> list[date]:
    """Its dates; one more at each end, because a gap may move an instant to the next day."""
    tz = zone(schedule.zone)
    day, last = local(from_ns / NS, tz).date() - timedelta(days=2), local(to_ns / NS, tz).date() + timedelta(days=1)
    found = []
    while day <= last:
        if day.weekday() in schedule.days:
            found.append(day)
        day += timedelta(days=1)
    return found
