"""From forecasts to limits: one pure function, `evaluate`, and what it looks at.

Rules (rows of docs/conformance/oscp.md).
- A series becomes a profile once, when it arrives: stretches in watts, overlaps already resolved to the most restrictive value (11).
- Units: KW and W are powers. WH and KWH are energies of a block: divided by its length they are a power cap. A is a current: with the
  lower of measured and nominal voltage it is an apparent power S, of which sqrt(S2 - Q2) is left for P; where it is less than the plant
  could give, our own reactive power yields first (13).
- Phases: UNKNOWN and ALL are the sum (A: UNKNOWN is per phase, ALL the sum unless the peer's quirk says per phase); a single phase
  counts three times, so the smallest of three binds (13).
- Signs: limits are magnitudes here. CONSUMPTION >= 0; GENERATION = abs(x) (2). OPTIMUM stays signed, + is consumption.
- Online: the live series; in its gaps the fallback series; else the no-forecast limit (10).
- Offline: the fallback series, never wider than what the live series says for the same instant (1). After its end its most restrictive
  value; in its gaps that and the no-forecast limit.
- A GENERATION that was never received is 0 or no statement, as commissioned (12).
- No trusted date: every series rules as its most restrictive value, fallback included, and what would hold in a gap of the fallback
  too; no target (design R8).
- OPTIMUM lies within the limits (FR.01.09), only online.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from bessctl.protocols.oscp.messages.records import Block, BlockUnit, CapacityForecastType, Phase
from bessctl.protocols.oscp.session.clock import FOREVER_NS

T = CapacityForecastType
LIVE = (T.CONSUMPTION, T.GENERATION)
FALLBACK_OF = {T.CONSUMPTION: T.FALLBACK_CONSUMPTION, T.GENERATION: T.FALLBACK_GENERATION}
HOUR_NS = 3600 * 10**9
FACTOR = {BlockUnit.W: 1.0, BlockUnit.KW: 1e3, BlockUnit.WH: 1.0, BlockUnit.KWH: 1e3}
SINGLE = (Phase.ONE, Phase.TWO, Phase.THREE)


@dataclass(frozen=True, slots=True)
class Electrics:
    """What amperes need to become watts: phase to neutral voltage, already the lower of measured and nominal, and reactive power."""

    voltage_v: float
    reactive_var: float = 0.0
    amps_per_phase: bool = False
    yields_below_va: float = 0.0
    """A smaller apparent power leaves none for reactive power of ours; 0: we may not ask for any."""

    def apparent_va(self, amperes: float, phase: Phase) -> float:
        """Of a current, all phases together."""
        phases = 1.0 if phase is Phase.ALL and not self.amps_per_phase else 3.0
        return phases * abs(amperes) * self.voltage_v

    def watts(self, amperes: float, phase: Phase) -> float:
        """Active power that a current of this size allows, signed as the current."""
        apparent = self.apparent_va(amperes, phase)
        watts = sqrt(max(apparent * apparent - self.reactive_var * self.reactive_var, 0.0))
        return -watts if amperes < 0 else watts


def watts(block: Block, electrics: Electrics) -> float:
    """One block's value as a power of the whole group, in OSCP's sign."""
    value = float(block.capacity)
    if block.unit is BlockUnit.A:
        return electrics.watts(value, block.phase)
    value *= FACTOR[block.unit] * (3.0 if block.phase in SINGLE else 1.0)
    if block.unit in (BlockUnit.WH, BlockUnit.KWH):
        return value * HOUR_NS / (block.end_ns - block.start_ns)
    return value


def yields(block: Block, electrics: Electrics) -> bool:
    """Does the block leave no room for reactive power (row 13)?"""
    return block.unit is BlockUnit.A and electrics.apparent_va(float(block.capacity), block.phase) < electrics.yields_below_va


@dataclass(frozen=True, slots=True)
class Profile:
    """A series as stretches: `values[i]` holds from `starts[i]` to `starts[i + 1]`, None is a gap. The last one is always a gap."""

    starts: tuple[int, ...]
    values: tuple[float | None, ...]
    tightest: float
    """The most restrictive value of all (for OPTIMUM without meaning)."""
    whole: bool = True
    """It speaks at every instant from its receipt to its end."""
    yielding: tuple[bool, ...] = ()
    """Per stretch: reactive power yields to it. Empty: nowhere."""

    def at(self, when_ns: int) -> float | None:
        """The value at an instant."""
        index = bisect_right(self.starts, when_ns) - 1
        return self.values[index] if index >= 0 else None

    def yields_at(self, when_ns: int) -> bool:
        """Does reactive power yield to it at an instant?"""
        index = bisect_right(self.starts, when_ns) - 1
        return index >= 0 and bool(self.yielding) and self.yielding[index]

    def change_after(self, when_ns: int) -> int:
        """When the value changes next."""
        index = bisect_right(self.starts, when_ns)
        return self.starts[index] if index < len(self.starts) else FOREVER_NS

    @property
    def end_ns(self) -> int:
        """Nothing is said from here on."""
        return self.starts[-1]


class _Open:
    """The blocks that cover an instant, each side of zero apart: the value nearest zero is at hand, whatever ends or begins."""

    def __init__(self) -> None:
        self._sides: tuple[list[tuple[float, int]], list[tuple[float, int]]] = ([], [])

    def add(self, value: float, end_ns: int) -> None:
        heapq.heappush(self._sides[value < 0], (abs(value), end_ns))

    def nearest_zero(self, now_ns: int) -> float | None:
        """Of several values the one that asks for least; of opposite signs 0; None where nothing covers the instant."""
        for side in self._sides:
            while side and side[0][1] <= now_ns:
                heapq.heappop(side)
        positive, negative = self._sides
        if positive and negative:
            return 0.0
        if negative:
            return -negative[0][0]
        return positive[0][0] if positive else None


def profile(kind: CapacityForecastType, blocks: Sequence[Block], electrics: Electrics, received_ns: int | None = None) -> Profile:
    """All of a series' blocks, in any order, overlapping or not. At least one block. n log n, whatever a peer sends.

    `received_ns`: UTC of its receipt, where known; it will never be earlier again.
    """
    signed = kind is T.OPTIMUM
    valued = [(b.start_ns, b.end_ns, watts(b, electrics) if signed else abs(watts(b, electrics))) for b in blocks]
    valued.sort()
    edges = sorted({edge for start, end, _ in valued for edge in (start, end)})
    spans = [] if signed else sorted((b.start_ns, b.end_ns) for b in blocks if yields(b, electrics))
    starts: list[int] = []
    values: list[float | None] = []
    yielding: list[bool] = []
    open_, following, yields_to = _Open(), 0, _until(spans)
    for edge in edges:
        while following < len(valued) and valued[following][0] == edge:
            open_.add(valued[following][2], valued[following][1])
            following += 1
        value, yielded = open_.nearest_zero(edge), bool(spans) and yields_to(edge) > edge
        if not values or values[-1] != value or yielding[-1] != yielded:
            starts.append(edge)
            values.append(value)
            yielding.append(yielded)
    whole = received_ns is not None and starts[0] <= received_ns and None not in values[:-1]
    return Profile(tuple(starts), tuple(values), min(abs(v) for _, _, v in valued), whole, tuple(yielding) if spans else ())


def _until(spans: Sequence[tuple[int, int]]) -> Callable[[int], int]:
    """For instants that only rise: when the last of the spans begun by then ends."""
    following, ends_ns = 0, -FOREVER_NS

    def until(edge: int) -> int:
        nonlocal following, ends_ns
        while following < len(spans) and spans[following][0] <= edge:
            ends_ns = max(ends_ns, spans[following][1])
            following += 1
        return ends_ns

    return until


@dataclass(frozen=True, slots=True)
class Rules:
    """What was agreed at commissioning for a group."""

    no_forecast_limit_w: float = 0.0
    generation_may_be_missing: bool = False
    """Row 12, `site_limit`."""
    limits: bool = True
    """False: nothing was ever said about limits (an optimizer), so there are none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer allows one group: magnitudes in W, None = it says nothing. `optimum_w`: + is consumption."""

    consumption_w: float | None
    generation_w: float | None
    optimum_w: float | None
    next_change_ns: int
    no_var: bool = False
    """Amperes are limited: reactive power of ours is to be 0 (row 13)."""


Series = Mapping[CapacityForecastType, Profile]


def evaluate(series: Series, rules: Rules, now_ns: int | None, *, online: bool) -> Limits:
    """What holds at an instant of UTC (None: the date is not known), and until when. Pure; a few microseconds."""
    if now_ns is None:
        anywhere = any(series[kind].yielding for kind in series if kind is not T.OPTIMUM)
        return Limits(_tightest(series, T.CONSUMPTION, rules), _tightest(series, T.GENERATION, rules), None, FOREVER_NS, anywhere)
    side = _live if online else _offline
    consumption, generation = side(series, T.CONSUMPTION, rules, now_ns), side(series, T.GENERATION, rules, now_ns)
    optimum = series[T.OPTIMUM].at(now_ns) if online and T.OPTIMUM in series else None
    if optimum is not None:
        optimum = _within(optimum, consumption, generation)
    no_var = any(_yields(series, kind, now_ns, online=online) for kind in LIVE)
    return Limits(consumption, generation, optimum, min((p.change_after(now_ns) for p in series.values()), default=FOREVER_NS), no_var)


def _within(optimum: float, consumption: float | None, generation: float | None) -> float:
    if consumption is not None:
        optimum = min(optimum, consumption)
    return optimum if generation is None else max(optimum, 0.0 - generation)


def unstated(series: Series, kind: CapacityForecastType, rules: Rules) -> bool:
    """Row 12: nothing was ever said about this side, and that was agreed to be no statement."""
    return not rules.limits or (kind is T.GENERATION and rules.generation_may_be_missing and not series.keys() & {kind, FALLBACK_OF[kind]})


def _live(series: Series, kind: CapacityForecastType, rules: Rules, now_ns: int) -> float | None:
    if unstated(series, kind, rules):
        return None
    value = series[kind].at(now_ns) if kind in series else None
    return _fallback(series, kind, rules, now_ns) if value is None else value


def _offline(series: Series, kind: CapacityForecastType, rules: Rules, now_ns: int) -> float | None:
    if unstated(series, kind, rules):
        return None
    fallback = _fallback(series, kind, rules, now_ns)
    live = series[kind].at(now_ns) if kind in series else None
    return fallback if live is None else min(live, fallback)


def _yields(series: Series, kind: CapacityForecastType, now_ns: int, *, online: bool) -> bool:
    """Of the series that hold on a side: live, else fallback; offline both."""
    live, fallback = series.get(kind), series.get(FALLBACK_OF[kind])
    speaks = live is not None and live.at(now_ns) is not None
    by_live = live is not None and live.yields_at(now_ns)
    if speaks and online:
        return by_live
    if fallback is None or not fallback.yielding:
        return by_live
    return by_live or fallback.at(now_ns) is None or fallback.yields_at(now_ns)


def _fallback(series: Series, kind: CapacityForecastType, rules: Rules, now_ns: int) -> float:
    """The fallback series of a side; its own gaps and end included."""
    fallback = series.get(FALLBACK_OF[kind])
    if fallback is None:
        return rules.no_forecast_limit_w
    value = fallback.at(now_ns)
    if value is not None:
        return value
    return fallback.tightest if now_ns >= fallback.end_ns else min(fallback.tightest, rules.no_forecast_limit_w)


def _tightest(series: Series, kind: CapacityForecastType, rules: Rules) -> float | None:
    if unstated(series, kind, rules):
        return None
    known = [series[k].tightest for k in (kind, FALLBACK_OF[kind]) if k in series]
    fallback = series.get(FALLBACK_OF[kind])
    return min(known if fallback is not None and fallback.whole else [*known, rules.no_forecast_limit_w])
