"""What we have to send to one peer: one message at a time, the urgent first.

Rules.
- One message is under way at a time; nothing is handed out while a request of the peer is unanswered (OSCP 2.0 1.8 FR.01, row 26).
- A message of the same kind and key replaces one that still waits: the newest state is what counts. Measurements are never replaced.
- No answer, 429 or 5xx: the same message again with the same X-Request-ID, after a pause that doubles from 1 s to 60 s; kinds that are
  worth nothing later are given up after their number of tries. Any sign of life of the peer ends the pause.
- Any other answer but 204 ends the message; its owner is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from bessctl.protocols.oscp.session.clock import FOREVER_NS, NS, Now

PAUSE_FIRST_NS = NS
PAUSE_LONGEST_NS = 60 * NS


class Kind(IntEnum):
    """What is sent, in the order of urgency."""

    UNREGISTER = 0
    REGISTER = 1
    ACKNOWLEDGE = 2
    HANDSHAKE = 3
    HEARTBEAT = 4
    COMPLIANCE = 5
    ADJUST = 6
    FORECAST = 7
    GROUP_MEASUREMENTS = 8
    ASSET_MEASUREMENTS = 9


PATHS = {
    Kind.UNREGISTER: "register", Kind.REGISTER: "register", Kind.ACKNOWLEDGE: "handshake_acknowledge", Kind.HANDSHAKE: "handshake",
    Kind.HEARTBEAT: "heartbeat", Kind.COMPLIANCE: "group_capacity_compliance_error", Kind.ADJUST: "adjust_group_capacity_forecast",
    Kind.FORECAST: "update_group_capacity_forecast", Kind.GROUP_MEASUREMENTS: "update_group_measurements",
    Kind.ASSET_MEASUREMENTS: "update_asset_measurements",
}  # fmt: skip
TRIES = {Kind.UNREGISTER: 3, Kind.REGISTER: 12, Kind.ACKNOWLEDGE: 5, Kind.HANDSHAKE: 1, Kind.HEARTBEAT: 1, Kind.ADJUST: 3}
"""How often a message is tried; kinds that are not named are tried until they are replaced."""
BEFORE_ONLINE = {Kind.UNREGISTER, Kind.REGISTER, Kind.ACKNOWLEDGE, Kind.HANDSHAKE}


@dataclass(slots=True)
class Message:
    """One message of ours. `base_url` and `token` None = those of the peer's record when it is sent."""

    kind: Kind
    body: bytes
    request_id: str
    correlation_id: str | None = None
    key: str = ""
    method: str = "POST"
    base_url: str | None = None
    token: str | None = None
    tries: int = 0


class Outbox:
    """The messages that wait for one peer."""

    def __init__(self) -> None:
        self._waiting: list[Message] = []
        self._pause_ns = 0
        self._not_before_ns = 0
        self.under_way: Message | None = None

    def put(self, message: Message) -> None:
        """Have it sent; it takes the place of a waiting one of its kind and key."""
        self.drop(message.kind, message.key)
        self._waiting.append(message)
        self._waiting.sort(key=lambda m: m.kind)

    def drop(self, kind: Kind, key: str | None = None) -> None:
        """Take waiting messages of a kind out."""
        self._waiting = [m for m in self._waiting if m.kind != kind or (key is not None and m.key != key)]

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting) + (self.under_way is not None)

    def waits(self, kind: Kind) -> bool:
        """A message of this kind waits or is under way."""
        under_way = self.under_way is not None and self.under_way.kind == kind
        return under_way or any(m.kind == kind for m in self._waiting)

    def next(self, now: Now, *, online: bool) -> Message | None:
        """The message to be sent now; it is under way from here on."""
        if self.under_way is not None or now.mono_ns < self._not_before_ns:
            return None
        message = next((m for m in self._waiting if online or m.kind in BEFORE_ONLINE), None)
        if message is not None:
            self._waiting.remove(message)
            message.tries += 1
            self.under_way = message
        return message

    def wake_ns(self, *, online: bool) -> int:
        """When `next` may have something."""
        if self.under_way is not None or not any(online or m.kind in BEFORE_ONLINE for m in self._waiting):
            return FOREVER_NS
        return self._not_before_ns

    def done(self, message: Message) -> None:
        """It was answered, whatever the answer."""
        self.under_way = None
        self.alive()

    def again(self, message: Message, now: Now) -> bool:
        """It was not answered, or not now. True: it will be tried again."""
        self.under_way = None
        self._pause_ns = min(PAUSE_LONGEST_NS, max(PAUSE_FIRST_NS, 2 * self._pause_ns))
        self._not_before_ns = now.mono_ns + self._pause_ns
        replaced = any((m.kind, m.key) == (message.kind, message.key) for m in self._waiting)
        if replaced or message.tries >= TRIES.get(message.kind, FOREVER_NS):
            return False
        self._waiting.append(message)
        self._waiting.sort(key=lambda m: m.kind)
        return True

    def alive(self) -> None:
        """The peer showed that it is there."""
        self._pause_ns = self._not_before_ns = 0
