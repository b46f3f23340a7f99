"""AdjustGroupCapacityForecast (OSCP 2.0 2.3.1, 3.2.3, 4.4.2): asking a provider for another capacity.

Rules. Off by default; a DSO or TSO is asked only where its entry says `explicit` (row 16). Values are absolute. "Incidentally": at most
once in 15 minutes for a group and type. A peer whose quirk is `adjust_hours` gets 24 blocks of one hour: those that the wish touches
with its value, the others with what holds there now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bessctl.errors import Refused
from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.records import Block, BlockUnit, CapacityForecastType, Forecast, Phase
from bessctl.protocols.oscp.session.clock import NS, Now
from bessctl.protocols.oscp.session.common import Common
from bessctl.protocols.oscp.session.forecasts import Forecasts
from bessctl.protocols.oscp.session.outbox import Kind, Message, Outbox

HOUR_NS = 3600 * NS
HOURS = 24
AGAIN_NS = 15 * 60 * NS
LIVE = {CapacityForecastType.CONSUMPTION, CapacityForecastType.GENERATION}


@dataclass(frozen=True, slots=True)
class Wish:
    """The capacity wanted from start to end (UTC), a magnitude in W."""

    group: str
    type: CapacityForecastType
    capacity_w: float
    start_ns: int
    end_ns: int


class Adjustments:
    """Of one peer."""

    def __init__(self, common: Common, outbox: Outbox, forecasts: Forecasts) -> None:
        self._common, self._outbox, self._forecasts = common, outbox, forecasts
        self._asked_ns: dict[tuple[str, CapacityForecastType], int] = {}

    def ask(self, wish: Wish, now: Now, *, online: bool, allowed_w: Callable[[int], float | None]) -> None:
        """Have it asked. `allowed_w`: what the peer allows at an instant of UTC. Raises Refused with the rule."""
        self._judge(wish, now, online=online)
        self._asked_ns[wish.group, wish.type] = now.mono_ns
        blocks: Sequence[Block] = (_block(wish.capacity_w, wish.start_ns, wish.end_ns),)
        if self._common.config.quirks.adjust_hours and now.utc_ns is not None:
            blocks = _hours(wish, now.utc_ns, allowed_w)
        body = codec.to_bytes(Forecast(wish.group, wish.type, self._forecasts.mirrored(wish.type, blocks)))
        self._outbox.put(Message(Kind.ADJUST, body, self._common.new_id(), key=f"{wish.group} {wish.type}"))

    def _judge(self, wish: Wish, now: Now, *, online: bool) -> None:
        config = self._common.config
        if not config.may_adjust:
            raise Refused(f"peer {config.name!r} is not to be asked for capacity: adjust is {config.adjust}, its kind {config.kind}")
        if wish.group not in config.groups or wish.type not in LIVE:
            raise Refused(f"peer {config.name!r} gives no {wish.type} for group {wish.group!r}")
        if not online:
            raise Refused(f"peer {config.name!r} is not online")
        if not wish.start_ns < wish.end_ns or wish.capacity_w < 0:
            raise Refused("a wish needs a start before its end and a capacity of 0 or above")
        asked_ns = self._asked_ns.get((wish.group, wish.type))
        if asked_ns is not None and now.mono_ns - asked_ns < AGAIN_NS:
            raise Refused(f"peer {config.name!r} was asked {(now.mono_ns - asked_ns) / NS:.0f} s ago; at most once in 15 minutes")


def _block(capacity_w: float, start_ns: int, end_ns: int) -> Block:
    return Block(Decimal(capacity_w).quantize(Decimal("0.001")), Phase.UNKNOWN, BlockUnit.W, start_ns, end_ns)


def _hours(wish: Wish, utc_ns: int, allowed_w: Callable[[int], float | None]) -> list[Block]:
    first_ns = utc_ns // HOUR_NS * HOUR_NS
    blocks = []
    for start_ns in range(first_ns, first_ns + HOURS * HOUR_NS, HOUR_NS):
        touched = wish.start_ns < start_ns + HOUR_NS and start_ns < wish.end_ns
        blocks.append(_block(wish.capacity_w if touched else allowed_w(start_ns) or 0.0, start_ns, start_ns + HOUR_NS))
    return blocks
