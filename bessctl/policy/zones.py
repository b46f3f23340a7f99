"""Local wall time -> instants, from the pinned tzdata package alone: the same on every machine, whatever its system carries.

Two traps. A time in the gap of spring does not exist: it means the first valid instant after it. A time that comes twice in autumn fires
once, the first time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from bessctl.errors import UsageError


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises UsageError for one that does not exist."""
    parts = name.split("/")
    if not all(part and part not in {".", ".."} and part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts):
        raise UsageError(f"{name!r} is no IANA time zone; write one like Europe/Brussels")
    try:
        with resources.files("tzdata").joinpath("zoneinfo", *parts).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError) as e:
        raise UsageError(f"there is no IANA time zone {name!r}; write one like Europe/Brussels") from e


def instant(day: date, at: time, tz: ZoneInfo) -> int:
    """Seconds since 1970 of a wall time; the rules for gap and overlap stand above."""
    wall = datetime.combine(day, at, tzinfo=tz)
    first = int(wall.timestamp())
    if datetime.fromtimestamp(first, tz).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return first  # fold 0 is the first of two
    # In the gap fold 0 reads the clock as it was before, fold 1 as it is after: the change lies between the two.
    low, high = int(wall.replace(fold=1).timestamp()), first
    before = datetime.fromtimestamp(low, tz).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, tz).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def local(seconds: float, tz: ZoneInfo) -> datetime:
    """The wall clock at an instant."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(tz)
