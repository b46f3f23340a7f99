"""Which command from a broker counts (issue: off by default; retained and expired ones ignored, each logged). Pure.

Rules. A retained message is a memory of the broker, not an order. A command is expired when it is older than `age_max_s` on arrival or
when its TTL is over; one from the future (more than SLACK_S) was dated by a wrong clock. Its TTL counts from the sender's instant, so that
a duplicate (QoS 1 may deliver twice) changes nothing. Without a trusted clock of our own no command counts. The newest instant rules: what
was overtaken on the way is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.errors import UsageError
from bessctl.protocols.mqtt.config import Commands
from bessctl.protocols.mqtt.messages.command import Command, decode

NS = 1_000_000_000
SLACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """Charge with so many watts for so long from now."""

    charging_w: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Ignored:
    """Why a message is no order."""

    why: str


class Orders:
    """The commands of one broker."""

    def __init__(self, config: Commands) -> None:
        self._config = config
        self._newest_ns = 0

    def judge(self, payload: bytes, retained: bool, utc_ns: int | None) -> Order | Ignored:
        """`utc_ns`: now, None while the wall clock is not trusted."""
        if retained:
            return Ignored("it is retained: a memory of the broker, not an order")
        if utc_ns is None:
            return Ignored("the wall clock is not trusted: whether it is expired cannot be known")
        try:
            command = decode(payload)
        except UsageError as e:
            return Ignored(str(e))
        return self._fresh(command, utc_ns)

    def _fresh(self, command: Command, utc_ns: int) -> Order | Ignored:
        age_s = (utc_ns - command.utc_ns) / NS
        if not 0 < command.ttl_s <= self._config.ttl_max_s:
            return Ignored(f"ttl {command.ttl_s:g} s is not within 0 and {self._config.ttl_max_s:g} s")
        if age_s < -SLACK_S:
            return Ignored(f"it is dated {-age_s:.0f} s ahead of our clock")
        if age_s > self._config.age_max_s or age_s >= command.ttl_s:
            return Ignored(f"it is expired: {age_s:.0f} s old")
        if command.utc_ns < self._newest_ns:
            return Ignored("a newer command came before it")
        self._newest_ns = command.utc_ns
        return Order(command.charging_w, command.ttl_s - max(0.0, age_s))
