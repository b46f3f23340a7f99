"""What a peer says about a group over all time, made once per message; a plan of many groups is then a merge of columns. Pure.

A track is `evaluate` at every instant at which its answer may change: four columns over `starts`, UTC ns, the first of them the beginning
of time. A missing limit is infinite, a missing OPTIMUM minus infinite, so that the tightest of many is a minimum. Columns are made whole,
not instant by instant: on a small controller a message must be in force within a few milliseconds. A property test holds both equal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress, pairwise
from math import inf
from operator import itemgetter, or_

from bessctl.protocols.oscp.messages.records import CapacityForecastType
from bessctl.protocols.oscp.session.evaluate import FALLBACK_OF, LIVE, Limits, Profile, Rules, Series, evaluate, unstated

BEGIN_NS = -(2**63)
UNLIMITED, NO_WISH = inf, -inf

Column = Sequence[float]


@dataclass(frozen=True, slots=True)
class Track:
    """From each of `starts` to the next: magnitudes of both capacities, the OPTIMUM (+ is consumption), whether reactive power yields."""

    starts: tuple[int, ...]
    consumption: tuple[float, ...]
    generation: tuple[float, ...]
    optimum: tuple[float, ...]
    no_var: tuple[bool, ...]

    def after(self, utc_ns: int) -> tuple[int, ...]:
        """When it changes later than an instant."""
        return self.starts[bisect_right(self.starts, utc_ns) :]

    def at(self, grid: Grid) -> tuple[Column, Column, Column, Column]:
        """Its columns at some instants."""
        pick = grid.pick(self.starts)
        return pick(self.consumption), pick(self.generation), pick(self.optimum), pick(self.no_var)


class Grid:
    """Instants at which tracks are read, ascending. Tracks that change at the same instants are read in the same way."""

    def __init__(self, edges: Sequence[int]) -> None:
        self.edges = edges
        self._picks: dict[tuple[int, ...], Callable[[Column], Column]] = {}

    def pick(self, starts: tuple[int, ...]) -> Callable[[Column], Column]:
        """What takes a column over `starts` to one over the edges."""
        found = self._picks.get(starts)
        if found is None:
            found = self._picks[starts] = _picker([bisect_right(starts, edge) - 1 for edge in self.edges])
        return found


def _picker(index: list[int]) -> Callable[[Column], Column]:
    if not index:
        return lambda _: ()
    if index[-1] - index[0] == len(index) - 1 and len(set(index)) == len(index):
        return itemgetter(slice(index[0], index[-1] + 1))
    return itemgetter(*index) if len(index) > 1 else lambda column: (column[index[0]],)


def _track(series: Series, rules: Rules, *, online: bool) -> Track:
    """`evaluate` over all time."""
    edges = sorted({BEGIN_NS, *(start for profile in series.values() for start in profile.starts)})
    consumption, generation = (_side(series, kind, rules, edges, online=online) for kind in LIVE)
    optimum = _optimum(series, edges, consumption, generation) if online else [NO_WISH] * len(edges)
    yields = [_yields(series, kind, edges, online=online) for kind in LIVE]
    said = list(zip(consumption, generation, optimum, map(or_, *yields), strict=True))
    keep = [True, *(a != b for a, b in pairwise(said))]
    columns = zip(*compress(said, keep), strict=True)
    return Track(tuple(compress(edges, keep)), *columns)


def _values(profile: Profile, edges: Sequence[int]) -> list[float | None]:
    return [profile.values[at] if at >= 0 else None for at in [bisect_right(profile.starts, edge) - 1 for edge in edges]]


def _side(series: Series, kind: CapacityForecastType, rules: Rules, edges: Sequence[int], *, online: bool) -> list[float]:
    """One capacity: rows 1, 10 and 12, as `evaluate` has them."""
    if unstated(series, kind, rules):
        return [UNLIMITED] * len(edges)
    fallback = _fallback(series.get(FALLBACK_OF[kind]), rules, edges)
    if kind not in series:
        return fallback
    live = _values(series[kind], edges)
    if online:
        return [f if w is None else w for w, f in zip(live, fallback, strict=True)]
    return [f if w is None else min(w, f) for w, f in zip(live, fallback, strict=True)]


def _yields(series: Series, kind: CapacityForecastType, edges: Sequence[int], *, online: bool) -> list[bool]:
    """Whether reactive power yields to a side (row 13): to the live series, else to the fallback; offline to both."""
    live, fallback = series.get(kind), series.get(FALLBACK_OF[kind])
    ours, other = _yielding(live, edges), _yielding(fallback, edges, beyond=True)
    if not any(other):
        return ours
    if live is None or not online:
        return list(map(or_, ours, other))
    return [o if w is None else y for w, y, o in zip(_values(live, edges), ours, other, strict=True)]


def _yielding(profile: Profile | None, edges: Sequence[int], *, beyond: bool = False) -> list[bool]:
    """`beyond`: what yields somewhere does so in its gaps and after its end too, where its tightest value holds."""
    if profile is None or not profile.yielding:
        return [False] * len(edges)
    spoken = _values(profile, edges) if beyond else edges
    return [value is None or profile.yields_at(edge) for value, edge in zip(spoken, edges, strict=True)]


def _fallback(profile: Profile | None, rules: Rules, edges: Sequence[int]) -> list[float]:
    if profile is None:
        return [rules.no_forecast_limit_w] * len(edges)
    gap = min(profile.tightest, rules.no_forecast_limit_w)
    rest = [profile.tightest if edge >= profile.end_ns else gap for edge in edges]
    return [r if w is None else w for w, r in zip(_values(profile, edges), rest, strict=True)]


def _optimum(series: Series, edges: Sequence[int], consumption: Sequence[float], generation: Sequence[float]) -> list[float]:
    """FR.01.09: within both."""
    if CapacityForecastType.OPTIMUM not in series:
        return [NO_WISH] * len(edges)
    wished = _values(series[CapacityForecastType.OPTIMUM], edges)
    return [NO_WISH if w is None else max(min(w, c), 0.0 - g) for w, c, g in zip(wished, consumption, generation, strict=True)]


def _numbers(limits: Limits) -> tuple[float, float, float, bool]:
    return (
        UNLIMITED if limits.consumption_w is None else limits.consumption_w,
        UNLIMITED if limits.generation_w is None else limits.generation_w,
        NO_WISH if limits.optimum_w is None else limits.optimum_w,
        limits.no_var,
    )


class Tracks:
    """Both tracks of one peer about one group, and what holds while the date is not known. Equal only to itself."""

    def __init__(self, series: Series, rules: Rules) -> None:
        self._series, self._rules = series, rules

    @cached_property
    def online(self) -> Track:
        """While the peer is believed."""
        return _track(self._series, self._rules, online=True)

    @cached_property
    def offline(self) -> Track:
        """After its lease."""
        return _track(self._series, self._rules, online=False)

    @cached_property
    def undated(self) -> tuple[float, float, float, bool]:
        """Without a date, and beyond what a plan can hold: the most restrictive of all."""
        return _numbers(evaluate(self._series, self._rules, None, online=False))

    def at(self, before: Grid, after: Grid) -> tuple[Column, Column, Column, Column]:
        """Online over the first edges, offline over the rest."""
        live, rest = self.online.at(before), self.offline.at(after)
        if not after.edges:
            return live
        if not before.edges:
            return rest
        return ((*live[0], *rest[0]), (*live[1], *rest[1]), (*live[2], *rest[2]), (*live[3], *rest[3]))
