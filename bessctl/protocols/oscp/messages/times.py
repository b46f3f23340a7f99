"""RFC 3339 date-times (OSCP 2.0 1.3.3, 1.9.1), as nanoseconds of UTC since 1970.

Strict: an offset must be there, at most 3 fractional digits, no week dates, no date alone. `datetime.fromisoformat` takes all of these.
Peers that write no offset are told apart by their quirk `naive_time`: reject (the standard), utc, or local (this machine's zone).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bessctl.protocols.oscp.messages.wire import Malformed

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,3}))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)  # RFC 3339 5.6: T and Z in either case
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FOREVER_NS = 2**63 - 1
"""What lies beyond 64 bits of nanoseconds (1677 to 2262) is held at their end: "year 9999" is for ever."""


class NaiveTime(StrEnum):
    """What a date-time without an offset means."""

    REJECT = "reject"
    UTC = "utc"
    LOCAL = "local"


def utc_ns(written: str, naive: NaiveTime = NaiveTime.REJECT) -> int:
    """The instant. Raises Malformed with what is wrong."""
    form = _FORM.fullmatch(written)
    if form is None:
        raise Malformed(f"{written[:40]!r} is no RFC 3339 date-time with at most 3 fractional digits")
    year, month, day, hour, minute, second, fraction, offset = form.groups()
    if offset is None and naive is NaiveTime.REJECT:
        raise Malformed(f"{written!r} has no time zone offset (OSCP 2.0 1.9.1)")
    leap = second == "60"  # a leap second is the instant after :59
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second))
        at = _zoned(at, offset, naive) + timedelta(seconds=leap, milliseconds=int((fraction or "0").ljust(3, "0")))
        return max(-FOREVER_NS, min(FOREVER_NS, (at - _EPOCH) // _MICROSECOND * 1000))
    except (ValueError, OverflowError) as e:
        raise Malformed(f"{written!r} is no date-time: {e}") from e


def _zoned(at: datetime, offset: str | None, naive: NaiveTime) -> datetime:
    if offset is None and naive is NaiveTime.LOCAL:
        return at.astimezone(UTC)
    at = at.replace(tzinfo=UTC)
    if offset is None or offset in "Zz":
        return at
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f"offset {offset}")
    east = timedelta(hours=hours, minutes=minutes)
    return at - east if offset[0] == "+" else at + east


def written(at_ns: int) -> str:
    """UTC with Z and milliseconds, rounded down. An instant beyond the calendar is its last one."""
    try:
        at = _EPOCH + timedelta(milliseconds=at_ns // 1_000_000)
    except OverflowError:
        at = datetime.max.replace(tzinfo=UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z".rjust(24, "0")
