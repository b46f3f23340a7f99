"""The dispatcher of one connection: message ids, one CALL of ours at a time, answers matched, time-outs on the monotonic clock.

Rules
- At most one CALL of ours is unanswered (OCPP-J 4.1.1). A reply to any other id is ignored: it is late or was never asked for.
- CALLs of the peer are handled as they come, also while an earlier one still waits for its answer.
- Malformed input is answered or ignored as the dialect's rules say (settled question 8); it never closes the connection.
- A message longer than the link takes is answered by its first words, or ignored: it is not read further.
- A new connection is a new `Rpc`: ids of before mean nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from bessctl.protocols.ocpp.messages import frames
from bessctl.protocols.ocpp.messages.frames import Payload, RpcRules
from bessctl.protocols.ocpp.messages.records import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """Our CALL that waits for its answer. `seq` is its place in the transaction queue, if it came from there."""

    id: str
    request: Request
    seq: int | None
    until_ns: int


@dataclass(frozen=True, slots=True)
class Called:
    """The peer asks."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Answered:
    """The peer answered our CALL; payload None = it could not, `code` and `why` say so."""

    asked: Asked
    payload: Payload | None
    code: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What came was wrong; `reply` goes back, if anything does."""

    field: str
    why: str
    reply: str | None = None


CUT = (b"\0", "\0")
"""What a message begins with of which the transport let only the first words pass."""

Event = Called | Answered | Rejected


def message_ids(new_id: Callable[[], str]) -> Callable[[], str]:
    """Ids for one connection, of 36 characters at most; by their beginning, drawn once, unlike those of any other (2.0.1 part 4, 4.1.4)."""
    beginning = new_id()[:23]
    numbers = count(1)
    return lambda: f"{beginning}-{next(numbers)}"


class Rpc:
    """One connection. Supervisor thread; no I/O."""

    def __init__(self, rules: RpcRules, new_id: Callable[[], str], timeout_ns: int, most_bytes: int = 2**20) -> None:
        self._rules = rules
        self._most = most_bytes
        self._new_id = new_id
        self._timeout_ns = timeout_ns
        self.asked: Asked | None = None

    def ask(self, request: Request, seq: int | None, action: str, payload: Payload, mono_ns: int) -> str:
        """The text of a new CALL. Only while none waits."""
        if self.asked is not None:
            raise RuntimeError("a CALL is unanswered")
        self.asked = Asked(self._new_id(), request, seq, mono_ns + self._timeout_ns)
        return frames.call_text(self.asked.id, action, payload)

    def receive(self, text: str | bytes) -> Event:
        """What a websocket message means."""
        too_long = len(text) > self._most or text[:1] in CUT
        match frames.too_long(text, self._rules, self._most) if too_long else frames.parse(text, self._rules):
            case frames.Call(ident, action, payload):
                return Called(ident, action, payload)
            case frames.CallResult(ident, payload):
                return self._answered(ident, payload, "", "")
            case frames.CallError(ident, code, description):
                return self._answered(ident, None, code, description)
            case frames.Broken(ident, code, field, reason):
                return Rejected(field, reason, frames.error_text(ident, code, reason))
            case frames.Garbage() as garbage:
                return self._garbage(garbage)

    def expired(self, mono_ns: int) -> Asked | None:
        """Our CALL, if its time is over; it is forgotten."""
        if self.asked is None or mono_ns < self.asked.until_ns:
            return None
        asked, self.asked = self.asked, None
        return asked

    def _answered(self, ident: str, payload: Payload | None, code: str, why: str) -> Event:
        if self.asked is None or self.asked.id != ident:
            return Rejected("messageId", "an answer to no open call: late, or never asked for")
        asked, self.asked = self.asked, None
        return Answered(asked, payload, code, why)

    def _garbage(self, garbage: frames.Garbage) -> Rejected:
        code = self._rules.unknown_type if garbage.unknown_type else self._rules.unreadable
        reply = frames.error_text(garbage.id or "-1", code, garbage.reason) if code else None
        return Rejected("frame", garbage.reason, reply)
