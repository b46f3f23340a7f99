"""Date-times of the wire: RFC 3339 with `Z`, milliseconds at most. In the program: whole nanoseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_utc(utc_ns: int) -> str:
    """As every peer reads it: always `Z` (some refuse `+00:00`), milliseconds only where there are any."""
    ms = utc_ns // 1_000_000
    text = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return text + "Z"


def parse_utc(text: str) -> int:
    """Nanoseconds since 1970. A time without zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except OverflowError as e:
        raise ValueError(f"{text!r} is out of range") from e
