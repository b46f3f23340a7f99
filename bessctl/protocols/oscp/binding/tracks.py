"""What a peer says about a group over all time, made once per message; a plan of many groups is then a merge of columns. Pure.

A track is `evaluate` at every instant at which its answer may change: three columns over `starts`, UTC ns, the first of them the beginning
of time. A missing limit is infinite, a missing OPTIMUM minus infinite, so that the tightest of many is a minimum.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from operator import itemgetter

from bessctl.protocols.oscp.session.evaluate import Limits, Rules, Series, evaluate

BEGIN_NS = -(2**63)
UNLIMITED, NO_WISH = inf, -inf

Column = Sequence[float]


@dataclass(frozen=True, slots=True)
class Track:
    """Magnitudes of both capacities, and the OPTIMUM (+ is consumption), from each of `starts` to the next."""

    starts: tuple[int, ...]
    consumption: tuple[float, ...]
    generation: tuple[float, ...]
    optimum: tuple[float, ...]

    def after(self, utc_ns: int) -> tuple[int, ...]:
        """When it changes later than an instant."""
        return self.starts[bisect_right(self.starts, utc_ns) :]

    def at(self, edges: Sequence[int]) -> tuple[Column, Column, Column]:
        """Its three columns at some instants, ascending."""
        if not edges:
            return (), (), ()
        first = bisect_right(self.starts, edges[0]) - 1
        last = first + len(edges)
        if self.starts[first + 1 : last] == tuple(edges[1:]):  # peers that count in the same quarter hours
            return self.consumption[first:last], self.generation[first:last], self.optimum[first:last]
        index = [bisect_right(self.starts, edge) - 1 for edge in edges]
        if len(index) == 1:
            return (self.consumption[index[0]],), (self.generation[index[0]],), (self.optimum[index[0]],)
        pick = itemgetter(*index)
        return pick(self.consumption), pick(self.generation), pick(self.optimum)


def _track(series: Series, rules: Rules, *, online: bool) -> Track:
    edges = sorted({start for profile in series.values() for start in profile.starts})
    starts: list[int] = []
    said: list[tuple[float, float, float]] = []
    for at_ns in (BEGIN_NS, *edges):
        values = _numbers(evaluate(series, rules, at_ns, online=online))
        if not said or said[-1] != values:
            starts.append(at_ns)
            said.append(values)
    consumption, generation, optimum = zip(*said, strict=True)
    return Track(tuple(starts), consumption, generation, optimum)


def _numbers(limits: Limits) -> tuple[float, float, float]:
    return (
        UNLIMITED if limits.consumption_w is None else limits.consumption_w,
        UNLIMITED if limits.generation_w is None else limits.generation_w,
        NO_WISH if limits.optimum_w is None else limits.optimum_w,
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
    def undated(self) -> tuple[float, float, float]:
        """Without a date, and beyond what a plan can hold: the most restrictive of all."""
        return _numbers(evaluate(self._series, self._rules, None, online=False))

    def at(self, edges: Sequence[int], until_ns: int) -> tuple[Column, Column, Column]:
        """Online before `until_ns`, offline from it on; one of the edges is `until_ns`, or it lies outside of them."""
        cut = bisect_left(edges, until_ns)
        if cut == len(edges):
            return self.online.at(edges)
        if cut == 0:
            return self.offline.at(edges)
        before, after = self.online.at(edges[:cut]), self.offline.at(edges[cut:])
        return (*before[0], *after[0]), (*before[1], *after[1]), (*before[2], *after[2])
