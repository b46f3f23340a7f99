"""Date-times of the wire: RFC 3339 with `Z`, milliseconds at most. In the program: whole nanoseconds since 1970, UTC, of 64 bits.

That is from 1677 to 2262. A date beyond is taken for the first or the last of these: peers write 9999-12-31 and mean "for ever".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

NS = 1_000_000_000
FIRST_NS, LAST_NS = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_utc(utc_ns: int) -> str:
    """As every peer reads it: always `Z` (some refuse `+00:00`), milliseconds only where there are any."""
    seconds, ms = divmod(utc_ns // 1_000_000, 1000)
    return f"{_second(seconds)}.{ms:03d}Z" if ms else _second(seconds) + "Z"


@lru_cache(maxsize=64)
def _second(utc_s: int) -> str:
    """200 links tell their values in the same seconds."""
    return (_EPOCH + timedelta(seconds=utc_s)).replace(tzinfo=None).isoformat(timespec="seconds")


def parse_utc(text: str) -> int:
    """Nanoseconds since 1970, of 64 bits. A time without zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return min(max(ns, FIRST_NS), LAST_NS)
