"""The forecasts of one peer: which are taken, and until when each group's are believed (OSCP 2.0 3.2, 4.4.1).

Rules.
- Taken only online. Unknown group: 400; another peer's group: 403; from an optimizer only OPTIMUM (rows 5, 15).
- CONSUMPTION below 0 is 400; GENERATION in the sign the peer's entry allows (row 2).
- A message replaces the whole series of its (group, type) at once (FR.01.04, row 9). Blocks that are wholly past are dropped; when
  nothing is left, 400 and the old series stays (row 11).
- A group's forecasts are believed for forecast_max_age_s after the last of them; not configured: 3 x the longest interval seen between
  messages of one type since the last handshake, 45 minutes while none is known (FR.02.03, row 22).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bessctl.protocols.oscp.config import GenerationSign, Role
from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.records import Block, CapacityForecastType, Forecast
from bessctl.protocols.oscp.session.clock import NS, Now, seconds
from bessctl.protocols.oscp.session.common import Common, Refusal
from bessctl.protocols.oscp.session.kept import PutSeries, StoredSeries

T = CapacityForecastType
UNKNOWN_AGE_NS = 45 * 60 * NS
INTERVALS = 3
SEEN = 4
SHORTEST_NS = 10 * NS
"""Messages of one type closer than this are one update in two messages, no interval."""
CONSUMPTIONS = {T.CONSUMPTION, T.FALLBACK_CONSUMPTION}
GENERATIONS = {T.GENERATION, T.FALLBACK_GENERATION}


class Forecasts:
    """Of one peer."""

    def __init__(self, common: Common, known_groups: Iterable[str], stored: Iterable[StoredSeries], now: Now) -> None:
        self._common, self._config = common, common.config
        self._known_groups = frozenset(known_groups)
        self.series: dict[tuple[str, T], StoredSeries] = {}
        self._of: dict[str, dict[T, StoredSeries]] = {}
        for kept in stored:
            if kept.group in self._config.groups:
                self._put(kept)
        self.fresh: list[StoredSeries] = []
        """Taken since the owner last looked."""
        self._received_ns: dict[tuple[str, T], int] = {}
        self._intervals_ns: dict[str, list[int]] = {}
        self._last_ns: dict[str, int] = {}
        for kept in self.series.values():
            self._remember(kept, now)

    def _remember(self, kept: StoredSeries, now: Now) -> None:
        """How old a stored series is now; unknown = too old."""
        if kept.received_utc_ns is not None and now.utc_ns is not None:
            received_ns = now.mono_ns - max(0, now.utc_ns - kept.received_utc_ns)
            self._last_ns[kept.group] = max(received_ns, self._last_ns.get(kept.group, received_ns))

    def take(self, body: bytes, request_id: str, now: Now) -> None:
        """An UpdateGroupCapacityForecast. Raises Refusal, Malformed."""
        message = codec.forecast(body, self._config.quirks.naive_time)
        self._judge_group(message)
        self._judge_sign(message)
        blocks = message.blocks if now.utc_ns is None else tuple(b for b in message.blocks if b.end_ns > (now.utc_ns or 0))
        if not blocks:
            raise Refusal(400, "all blocks are past; the forecast before this one stays")
        stored = StoredSeries(message.group_id, message.type, request_id, now.utc_ns, blocks)
        self._time(message, now)
        self._put(stored)
        self.fresh.append(stored)
        self._common.writes.append(PutSeries(stored))
        self._common.moved = True

    def _put(self, stored: StoredSeries) -> None:
        self.series[stored.group, stored.type] = stored
        self._of.setdefault(stored.group, {})[stored.type] = stored

    def _judge_group(self, message: Forecast) -> None:
        if message.group_id not in self._known_groups:
            raise Refusal(400, f"there is no group {message.group_id[:60]!r} here")
        if message.group_id not in self._config.groups:
            raise Refusal(403, f"group {message.group_id!r} is another party's")
        if Role.CP not in self._config.roles and message.type is not T.OPTIMUM:
            raise Refusal(403, f"an optimizer sends OPTIMUM, not {message.type}")

    def _judge_sign(self, message: Forecast) -> None:
        capacities = [b.capacity for b in message.blocks]
        if message.type in CONSUMPTIONS and min(capacities) < 0:
            raise Refusal(400, f"{message.type} must be 0 or above (FR.01.05)")
        if message.type not in GENERATIONS:
            return
        sign = self._config.quirks.generation_sign
        if sign is GenerationSign.NEGATIVE and max(capacities) > 0:
            raise Refusal(400, f"{message.type} must be 0 or below (FR.01.06)")
        if sign is GenerationSign.MAGNITUDE and min(capacities) < 0:
            raise Refusal(400, f"{message.type} is agreed to be sent as a magnitude")
        negative = min(capacities) < 0
        if any(capacities) and negative != self._common.record.generation_negative:
            self._common.keep(generation_negative=negative)

    def _time(self, message: Forecast, now: Now) -> None:
        key, group = (message.group_id, message.type), message.group_id
        before_ns = self._received_ns.get(key)
        if before_ns is not None and now.mono_ns - before_ns >= SHORTEST_NS:
            seen = self._intervals_ns.setdefault(group, [])
            seen.append(now.mono_ns - before_ns)
            del seen[:-SEEN]
        self._received_ns[key] = self._last_ns[group] = now.mono_ns

    def handshaken(self) -> None:
        """Intervals are learnt anew: a pause before the handshake is none."""
        self._received_ns.clear()
        self._intervals_ns.clear()

    def clear(self) -> None:
        """Nothing was ever said."""
        self.series.clear()
        self._of.clear()
        self._last_ns.clear()
        self.handshaken()

    def interval_ns(self, group: str) -> int | None:
        """The longest interval between this group's forecasts lately; None while unknown."""
        return max(self._intervals_ns.get(group, ()), default=None)

    def lease_ns(self, group: str) -> int:
        """Monotonic: until when the forecasts of a group are believed; 0 = there are none."""
        if group not in self._last_ns:
            return 0
        if self._config.forecast_max_age_s is not None:
            return self._last_ns[group] + seconds(self._config.forecast_max_age_s)
        interval_ns = self.interval_ns(group)
        return self._last_ns[group] + (UNKNOWN_AGE_NS if interval_ns is None else INTERVALS * interval_ns)

    def of(self, group: str) -> dict[T, StoredSeries]:
        """The series of a group by type."""
        return self._of.get(group, {})

    def mirrored(self, kind: T, blocks: Iterable[Block]) -> tuple[Block, ...]:
        """Blocks for this peer, with generation in its own sign (row 2)."""
        if kind not in GENERATIONS:
            return tuple(blocks)
        negative = self._common.record.generation_negative
        return tuple(replace(b, capacity=-abs(b.capacity) if negative else abs(b.capacity)) for b in blocks)
