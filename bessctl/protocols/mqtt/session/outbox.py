"""What may be sent to a broker now, and what its answers mean. One per broker; no I/O, time handed in (CLOCK_MONOTONIC ns).

Rules
- Messages go oldest first. At most `window` of them wait for their PUBACK; the broker's Receive Maximum (MQTT 5 3.2.2.3.3) lowers it.
- At most `rate_per_s` messages a second: after an outage the backlog comes paced, a broker that just came back is not drowned.
- A PUBACK below 0x80 ends a message: 0x10, nobody subscribed, is the broker's business.
- A refusal (0x87 not authorised, 0x97 quota, ...) keeps the message, raises an alarm and holds the queue for HOLD_S, doubled each time up
  to HOLD_LONGEST_S. The first PUBACK that is none clears the alarm.
- 0x99, payload format invalid, would be said again for ever: the message is buried, with a log line.
- When the connection goes, what was in flight is sent again over the next one: at least once, never lost.
- A PUBACK that does not come within `ack_timeout_s` means a dead connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NS = 1_000_000_000
REFUSED = 0x80
PAYLOAD_INVALID = 0x99
HOLD_S = 30
HOLD_LONGEST_S = 900
RECEIVE_MAXIMUM = 65_535


class Verdict(Enum):
    """What became of a message that was answered."""

    DONE = "done"
    KEPT = "kept"
    BURIED = "buried"


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that was answered."""

    seq: int
    verdict: Verdict
    reason: int


class Outbox:
    """See above. `cursor` is the last message handed out; what is fetched next has a higher number."""

    def __init__(self, window: int, rate_per_s: float, ack_timeout_s: float) -> None:
        self._window_wanted = window
        self._window = 0
        self._gap_ns = round(NS / rate_per_s)
        self._burst_ns = max(self._gap_ns, NS // 10)
        self._ack_timeout_ns = round(ack_timeout_s * NS)
        self._in_flight: dict[int, tuple[int, int]] = {}
        self._spent_ns = 0
        self._held_until_ns = 0
        self._hold_s = HOLD_S
        self.cursor = 0
        self.refused = 0
        """Reason code of the refusal that stands; 0 = none."""

    def connected(self, receive_maximum: int = RECEIVE_MAXIMUM) -> None:
        """A fresh connection: everything not yet done is handed out again."""
        self._window = max(1, min(self._window_wanted, receive_maximum))
        self._forget()
        self._held_until_ns = 0

    def disconnected(self) -> None:
        """Nothing may be sent; nothing is in flight any more."""
        self._window = 0
        self._forget()

    def _forget(self) -> None:
        self._in_flight.clear()
        self.cursor = 0

    @property
    def in_flight(self) -> frozenset[int]:
        """Messages without an answer."""
        return frozenset(seq for seq, _ in self._in_flight.values())

    def room(self, now_ns: int) -> int:
        """How many messages may be sent now."""
        if now_ns < self._held_until_ns:
            return 0
        paced = (now_ns + self._burst_ns - max(self._spent_ns, now_ns)) // self._gap_ns
        return max(0, min(self._window - len(self._in_flight), paced))

    def sent(self, mid: int, seq: int, now_ns: int) -> None:
        """A message left under this packet id."""
        self._in_flight[mid] = (seq, now_ns)
        self._spent_ns = max(self._spent_ns, now_ns) + self._gap_ns
        self.cursor = seq

    def answered(self, mid: int, reason: int, now_ns: int) -> Answer | None:
        """The broker answered; None for a packet id that is not ours or of an earlier connection."""
        entry = self._in_flight.pop(mid, None)
        if entry is None:
            return None
        seq = entry[0]
        if reason < REFUSED:
            self.refused, self._hold_s = 0, HOLD_S
            return Answer(seq, Verdict.DONE, reason)
        if reason == PAYLOAD_INVALID:
            return Answer(seq, Verdict.BURIED, reason)
        self.refused = reason
        if now_ns >= self._held_until_ns:  # a whole window may be refused at once: that is one refusal
            self._held_until_ns = now_ns + self._hold_s * NS
            self._hold_s = min(HOLD_LONGEST_S, 2 * self._hold_s)
        self.cursor = min(self.cursor, seq - 1)
        return Answer(seq, Verdict.KEPT, reason)

    def dead(self, now_ns: int) -> bool:
        """A PUBACK is overdue."""
        oldest = min((at for _, at in self._in_flight.values()), default=now_ns)
        return now_ns - oldest > self._ack_timeout_ns

    def wake_ns(self, now_ns: int, more: bool) -> int | None:
        """When to look again if nothing happens before; `more`: messages wait. None = only an event matters."""
        instants = [at + self._ack_timeout_ns + 1 for _, at in self._in_flight.values()]
        if more and len(self._in_flight) < self._window:
            instants.append(max(self._held_until_ns, self._spent_ns + self._gap_ns - self._burst_ns))
        return min(instants, default=None)
