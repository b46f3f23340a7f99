"""OCPP-J framing (OCPP-J 1.6 section 4, 2.0.1 part 4 section 4): text <-> one of three frames.

CALL        [2, id, action, payload]
CALLRESULT  [3, id, payload]
CALLERROR   [4, id, code, description, details]

What cannot be read is one of two things, and the dialects differ in what follows (rules in `RpcRules`):
- `Garbage`: no id can be read, or the type is unknown. 1.6 logs and ignores it.
- `Broken`: a CALL whose id can be read but whose rest is wrong: answered by a CALLERROR with that id.
Neither ever closes a connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """The peer asks."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallResult:
    """The peer answers."""

    id: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallError:
    """The peer could not answer."""

    id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A CALL with a readable id and something wrong in it."""

    id: str
    code: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """Nothing that could be answered to anybody. `unknown_type`: it was an array with an unknown MessageTypeId."""

    reason: str
    id: str | None = None
    unknown_type: bool = False


Frame = Call | CallResult | CallError | Broken | Garbage


@dataclass(frozen=True, slots=True)
class RpcRules:
    """Where the versions differ on malformed input (settled question 8). None = log and ignore."""

    format_violation: str
    unreadable: str | None
    """Code of the CALLERROR with id "-1" for a frame without readable id."""
    unknown_type: str | None


CODES = frozenset(
    {
        "FormatViolation",
        "FormationViolation",
        "GenericError",
        "InternalError",
        "Malformed",
        "MessageTypeNotSupported",
        "NotImplemented",
        "NotSupported",
        "OccurenceConstraintViolation",
        "OccurrenceConstraintViolation",
        "PropertyConstraintViolation",
        "ProtocolError",
        "RpcFrameworkError",
        "SecurityError",
        "TypeConstraintViolation",
    }
)
"""What an error of a peer may be called, by either version (1.6J table 7, 2.0.1 part 4 table 8) and as some spell it."""
RULES_16 = RpcRules("FormationViolation", None, None)
RULES_201 = RpcRules("FormatViolation", "RpcFrameworkError", "MessageTypeNotSupported")


_HEAD = re.compile(rb'[\s\0]*\[\s*([234])\s*,\s*"([^"\\\x00-\x1f\x80-\xff]{1,36})"\s*,')
_OUR_CALL = f"[{CALL},"


def is_call(text: str) -> bool:
    """Is this text of ours a CALL, and not an answer?"""
    return text.startswith(_OUR_CALL)


def too_long(text: str | bytes, rules: RpcRules, most: int) -> Frame:
    """What to make of a message that is longer than `most` bytes and may be cut: its first words say whom to answer. Never raises."""
    why = f"the message is longer than {most} bytes" + ("" if len(text) > most else ", or begins with a zero byte")
    head = _HEAD.match(text[:100].encode(errors="replace") if isinstance(text, str) else text[:100])
    if head is None:
        return Garbage(why)
    kind, ident = int(head[1]), head[2].decode("ascii")
    return Broken(ident, rules.format_violation, "", why) if kind == CALL else CallError(ident, "Malformed", why)


def parse(text: str | bytes, rules: RpcRules) -> Frame:
    """Read one websocket message. Never raises."""
    try:
        array = orjson.loads(text)
    except orjson.JSONDecodeError as e:
        return Garbage(f"not JSON: {e}")
    if not isinstance(array, list) or not array:
        return Garbage("not a JSON array with elements")
    kind, ident = array[0], array[1] if len(array) > 1 else None
    if not isinstance(ident, str) or not ident:
        return Garbage("messageId is not a string")
    if isinstance(kind, bool) or kind not in (CALL, CALL_RESULT, CALL_ERROR):
        return Garbage(f"MessageTypeId {str(kind)[:20]!r} is unknown", ident, unknown_type=True)
    if kind == CALL:
        return _call(ident, array, rules)
    return _result(ident, array) if kind == CALL_RESULT else _error(ident, array)


def _call(ident: str, array: list[Any], rules: RpcRules) -> Frame:
    if len(array) != 4:
        return Broken(ident, rules.format_violation, "", f"a CALL has 4 elements, this one {len(array)}")
    action, payload = array[2], array[3]
    if not isinstance(action, str):
        return Broken(ident, rules.format_violation, "action", "the action is not a string")
    if not isinstance(payload, dict):
        return Broken(ident, rules.format_violation, "payload", "the payload is not an object")
    return Call(ident, action, payload)


def _result(ident: str, array: list[Any]) -> Frame:
    if len(array) != 3 or not isinstance(array[2], dict):
        return CallError(ident, "Malformed", "the CALLRESULT is not [3, id, object]")
    return CallResult(ident, array[2])


def _error(ident: str, array: list[Any]) -> Frame:
    code = array[2] if len(array) > 2 and isinstance(array[2], str) else "Malformed"
    description = array[3] if len(array) > 3 and isinstance(array[3], str) else ""
    return CallError(ident, code, description)


def call_text(ident: str, action: str, payload: Payload) -> str:
    """A CALL as text."""
    return orjson.dumps([CALL, ident, action, payload]).decode()


def result_text(ident: str, payload: Payload) -> str:
    """A CALLRESULT as text."""
    return orjson.dumps([CALL_RESULT, ident, payload]).decode()


def error_text(ident: str, code: str, description: str, details: Payload | None = None) -> str:
    """A CALLERROR as text; the description is cut to the 255 characters the standard allows."""
    return orjson.dumps([CALL_ERROR, ident, code, description[:255], details or {}]).decode()
