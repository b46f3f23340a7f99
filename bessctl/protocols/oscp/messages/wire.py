"""JSON as OSCP allows it, both ways. Python's own reader takes NaN, Infinity, 1e400 and duplicate keys; none of them passes here.

Numbers with a point or an exponent are read as Decimal, so that "at most 8 decimal places" (OSCP 2.0 1.3.3) can be judged.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from bessctl.errors import Refused

MAX_NUMBER = 40
"""Characters of a number; a longer one is no quantity."""


class Malformed(Refused):
    """A message breaks the standard: answered with 400. The text names the field and what is wrong with it."""


def parse(data: bytes) -> dict[str, Any]:
    """One JSON object in UTF-8. Raises Malformed."""
    try:
        value = json.loads(
            data.decode("utf-8"), parse_float=_fraction, parse_int=_whole, parse_constant=_constant, object_pairs_hook=_object
        )
    except Malformed:
        raise
    except UnicodeDecodeError as e:
        raise Malformed(f"the body is not UTF-8 (byte {e.start})") from e
    except RecursionError as e:
        raise Malformed("the body is nested too deeply") from e
    except ValueError as e:
        raise Malformed(f"the body is not JSON: {e}") from e
    if not isinstance(value, dict):
        raise Malformed("the body must be one JSON object")
    return value


def text(value: dict[str, Any]) -> bytes:
    """Compact JSON in ASCII; a Decimal is written as it stands. Records of ours never hold NaN: json refuses it."""
    return _ENCODER.encode(value).encode("ascii")


class _Encoder(json.JSONEncoder):
    """Decimals become plain numbers: json knows floats alone, and these are written with repr, so nothing is lost at 8 places."""

    def default(self, o: object) -> Any:
        if isinstance(o, Decimal):
            return int(o) if o == o.to_integral_value() else float(o)
        return super().default(o)


_ENCODER = _Encoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _fraction(written: str) -> Decimal:
    if len(written) > MAX_NUMBER:
        raise Malformed(f"{written[:12]}... has too many digits")
    return Decimal(written)


def _whole(written: str) -> int:
    if len(written) > MAX_NUMBER:
        raise Malformed(f"{written[:12]}... has too many digits")
    return int(written)


def _constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Malformed(f"key {twice!r} stands twice")
    return found
