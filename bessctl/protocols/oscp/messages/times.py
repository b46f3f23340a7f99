"""RFC 3339 date-times (OSCP 2.0 1.3.3, 1.9.1), as nanoseconds of UTC since 1970.

Strict: an offset must be there, at most 3 fractional digits, no week dates, no date alone. `datetime.fromisoformat` takes all of these.
Peers that write no offset are told apart by their quirk `naive_time`: reject (the standard), utc, or local (this machine's zone). When the
clocks change, a local time is written twice or never: then it may mean either of two instants, an hour apart.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

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
    """The instant; of two that it may mean the earlier one. Raises Malformed with what is wrong."""
    return instants(written, naive)[0]


@lru_cache(maxsize=4096)
def instants(written: str, naive: NaiveTime = NaiveTime.REJECT) -> tuple[int, int]:
    """The earliest and the latest instant that may be meant. Raises Malformed with what is wrong.

    A forecast names each instant twice, and its five types the same ones.
    """
    form = _FORM.fullmatch(written)
    if form is None:
        raise Malformed(f"{written[:40]!r} is no RFC 3339 date-time with at most 3 fractional digits")
    hour, second, offset = form.group(4, 6, 8)
    if offset is None and naive is NaiveTime.REJECT:
        raise Malformed(f"{written!r} has no time zone offset (OSCP 2.0 1.9.1)")
    if hour > "23" or (offset is not None and offset[4:] > "59"):  # newer Pythons take more than the standard does
        raise Malformed(f"{written!r} is no date-time: its hours or minutes do not exist")
    leap = second == "60"  # a leap second is the instant after :59
    try:
        plain = f"{written[:17]}59{written[19:]}" if leap else written
        first, last = (_since_epoch(at + timedelta(seconds=leap)) for at in _zoned(datetime.fromisoformat(plain.upper()), naive))
        return min(first, last), max(first, last)
    except (ValueError, OverflowError) as e:
        raise Malformed(f"{written!r} is no date-time: {e}") from e


def _since_epoch(at: datetime) -> int:
    return max(-FOREVER_NS, min(FOREVER_NS, (at - _EPOCH) // _MICROSECOND * 1000))


def _zoned(at: datetime, naive: NaiveTime) -> tuple[datetime, datetime]:
    """Both readings; they differ only for a local time that exists twice or never."""
    if at.tzinfo is not None:
        return at, at
    if naive is NaiveTime.LOCAL:
        return at.replace(fold=0).astimezone(UTC), at.replace(fold=1).astimezone(UTC)
    return at.replace(tzinfo=UTC), at.replace(tzinfo=UTC)


def written(at_ns: int) -> str:
    """UTC with Z and milliseconds, rounded down. An instant beyond the calendar is its last one."""
    try:
        at = _EPOCH + timedelta(milliseconds=at_ns // 1_000_000)
    except OverflowError:
        at = datetime.max.replace(tzinfo=UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z".rjust(24, "0")
