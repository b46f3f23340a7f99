"""A command on the wire: {"timestamp": ISO 8601 with zone, "powerValue": W with + charging, "ttl": seconds}. No more and no less."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import orjson

from bessctl.errors import UsageError

KEYS = {"timestamp", "powerValue", "ttl"}
MAX_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Command:
    """Charge with so many watts (negative = discharge) until `ttl_s` after `utc_ns`, the sender's instant."""

    utc_ns: int
    charging_w: float
    ttl_s: float


def decode(payload: bytes) -> Command:
    """Raises UsageError with the field that is wrong."""
    if len(payload) > MAX_BYTES:
        raise UsageError(f"a command has at most {MAX_BYTES} bytes, this one {len(payload)}")
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError as e:
        raise UsageError(f"no JSON: {e}") from e
    if not isinstance(fields, dict) or set(fields) != KEYS:
        raise UsageError(f"a command is one object with exactly {', '.join(sorted(KEYS))}")
    return Command(_instant(fields["timestamp"]), _number(fields, "powerValue"), _number(fields, "ttl"))


def _number(fields: dict[str, object], key: str) -> float:
    value = fields[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{key} must be a finite number, is {value!r}")
    return float(value)


def _instant(value: object) -> int:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(f"timestamp must be ISO 8601 with a zone, is {value!r}")
    return round(at.timestamp() * 1000) * 1_000_000
