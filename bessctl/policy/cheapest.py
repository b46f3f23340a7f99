"""The least-cost way through the steps, exactly, in a few milliseconds and without a solver. Pure.

The cost of a step is convex and piecewise linear in the energy it stores, and so is then the cost-to-go V(E): a list of slopes, ascending.
Going backward, V before a step is the infimal convolution of V after it with the step's cost, and for convex piecewise linear functions
that is a merge of two sorted lists of slopes; a band at an edge cuts the list at both ends. Going forward, each step takes the energy at
which the slopes balance. No grid of energies and no tolerance: 7 days of quarter hours are some 2000 insertions into a sorted list.

What makes the cost convex where nature does not: at a negative price it pays to burn energy in a circle of charging and discharging. We do
not: from 0 outward a slope may only rise (`_convex`), so that energy is bought at a negative price and never thrown away for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from bessctl.policy.problem import Battery, Kind, Step
from bessctl.policy.reach import Bounds, stored_wh

PER_WH = 1e-3
"""Prices are per kWh."""
WEIGHT_OTHER, WEIGHT_FORCE, WEIGHT_PEAK, WEIGHT_SELF = 1e6, 1e4, 1e3, 10.0
"""Wishes in units of the highest price: what rules before us, what a policy orders, what saves the peak, what it prefers."""
WEIGHT_RESERVE = 1e3
TIE = 1e-6
"""Of plans that cost the same the one that moves later: the latest safe start."""

Segment = tuple[float, float]
"""(slope per Wh, Wh)."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A convex piecewise linear function: `at` are the ends of its segments, one more than `slopes`."""

    at: list[float]
    slopes: list[float]


@dataclass(frozen=True, slots=True)
class StepCost:
    """Cost of a step over the energy it stores: from `least_wh` (discharging) on, segments of ascending slope."""

    least_wh: float
    segments: list[Segment]


def step_cost(step: Step, battery: Battery, scale: float, urgency: float) -> StepCost:
    """`scale`: the highest price; `urgency`: 1 at the first step, 0 at the last."""
    lo_w, hi_w = _open(step)
    marks = {lo_w, hi_w, 0.0, step.net_w}
    if step.wish is not None:
        marks.add(step.wish.power_w)
    if step.import_max_w is not None:
        marks.add(step.net_w - step.import_max_w)
    powers = sorted((w for w in marks if lo_w <= w <= hi_w), reverse=True)
    stored = [stored_wh(battery, w, step.hours) for w in powers]
    costs = [_cost(step, w, scale, urgency) for w in powers]
    segments = [
        ((costs[i + 1] - costs[i]) / (stored[i + 1] - stored[i]), stored[i + 1] - stored[i])
        for i in range(len(stored) - 1)
        if stored[i + 1] > stored[i]
    ]
    return StepCost(stored[0], _convex(segments, stored[0], TIE * scale * PER_WH * (1 + urgency)))


def _open(step: Step) -> tuple[float, float]:
    """Powers between 0 and a wish that must be followed; the limits otherwise."""
    if step.wish is None or step.wish.kind is Kind.SELF:
        return step.lo_w, step.hi_w
    return min(0.0, step.wish.power_w), max(0.0, step.wish.power_w)


def _cost(step: Step, power_w: float, scale: float, urgency: float) -> float:
    """Money, and the wishes in units of money. What the load can have now is not saved for the load of later."""
    imported_w = step.net_w - power_w
    paid = step.buy * max(0.0, imported_w) - step.sell * max(0.0, -imported_w)
    if step.import_max_w is not None:
        paid += WEIGHT_PEAK * scale * max(0.0, imported_w - step.import_max_w)
    if step.wish is not None:
        weight = {Kind.OTHER: WEIGHT_OTHER, Kind.SELF: WEIGHT_SELF * (1 + 0.01 * urgency)}.get(step.wish.kind, WEIGHT_FORCE)
        paid += weight * scale * abs(power_w - step.wish.power_w)
    return paid * step.hours * PER_WH


def money(step: Step, power_w: float) -> float:
    """What a power costs by the tariff alone."""
    imported_w = step.net_w - power_w
    return (step.buy * max(0.0, imported_w) - step.sell * max(0.0, -imported_w)) * step.hours * PER_WH


def _convex(segments: list[Segment], least_wh: float, tie: float) -> list[Segment]:
    """Slopes may only rise from 0 outward, on both sides of it; moving at all costs a tie more."""
    at, zero = least_wh, len(segments)
    for i, (_, length) in enumerate(segments):
        if at >= -1e-12:
            zero = i
            break
        at += length
    out = list(segments)
    for i in range(zero + 1, len(out)):
        out[i] = (max(out[i][0], out[i - 1][0]), out[i][1])
    for i in range(min(zero, len(out) - 1) - 1, -1, -1):
        out[i] = (min(out[i][0], out[i + 1][0]), out[i][1])
    return [(slope + (tie if i >= zero else -tie), length) for i, (slope, length) in enumerate(out)]


class CostToGo:
    """V at one edge, changed step by step from the last edge to the first."""

    def __init__(self, lo_wh: float, hi_wh: float, slope: float) -> None:
        self._lo = lo_wh
        self._slopes = [slope] if hi_wh > lo_wh else []
        self._lengths = [hi_wh - lo_wh] if hi_wh > lo_wh else []

    def before(self, cost: StepCost) -> None:
        """One step earlier: what a step stores moves the energy up, so the energy before it lies lower by as much."""
        most_wh = cost.least_wh + sum(length for _, length in cost.segments)
        self._lo -= most_wh
        for slope, length in cost.segments:
            i = bisect_left(self._slopes, -slope)
            self._slopes.insert(i, -slope)
            self._lengths.insert(i, length)

    def cut(self, lo_wh: float, hi_wh: float) -> None:
        """Only energies within a band."""
        drop = lo_wh - self._lo
        if drop > 0:
            self._lo += self._drop(drop, 0)
        excess = self._lo + sum(self._lengths) - hi_wh
        if excess > 0:
            self._drop(excess, -1)

    def _drop(self, length: float, end: int) -> float:
        """Take so much off one end; returns how much there was."""
        rest = length
        while rest > 0 and self._lengths:
            here = self._lengths[end]
            if here > rest:
                self._lengths[end] = here - rest
                return length
            rest -= here
            del self._lengths[end], self._slopes[end]
        return length - rest

    def dislike_below(self, energy_wh: float, slope: float) -> None:
        """A cost that rises with every Wh below an energy."""
        at = self._lo
        for i, length in enumerate(self._lengths):
            if at >= energy_wh:
                return
            if at + length > energy_wh:
                self._slopes.insert(i, self._slopes[i])
                self._lengths[i : i + 1] = [energy_wh - at, at + length - energy_wh]
            self._slopes[i] -= slope
            at += length

    def curve(self) -> Curve:
        """As it is now."""
        return Curve(list(accumulate(self._lengths, initial=self._lo)), list(self._slopes))


@dataclass(frozen=True, slots=True)
class Way:
    """Where it begins and what it goes through. `value`: what a kWh left at the end is worth."""

    steps: Sequence[Step]
    battery: Battery
    energy_wh: float
    floor_wh: float
    reserve_wh: float
    value: float


def way(w: Way, bands: dict[int, Bounds]) -> list[float]:
    """Energy at the end of each step. The bands must be reachable (reach.py says which are)."""
    scale = max([1e-3, *(abs(s.buy) for s in w.steps), *(abs(s.sell) for s in w.steps)])
    n = len(w.steps)
    costs = [step_cost(step, w.battery, scale, 1 - k / n) for k, step in enumerate(w.steps)]
    curves = _backward(w, bands, costs, scale)
    energy_wh = w.energy_wh
    found = []
    for cost, curve in zip(costs, curves, strict=True):
        energy_wh += _stored(energy_wh, cost, curve)
        found.append(energy_wh)
    return found


def _backward(w: Way, bands: dict[int, Bounds], costs: list[StepCost], scale: float) -> list[Curve]:
    """V after each step."""
    top, bottom = max(w.energy_wh, w.battery.capacity_wh), min(w.energy_wh, w.floor_wh)
    go = CostToGo(bottom, top, -w.value * PER_WH)
    curves: list[Curve] = []
    for k in range(len(costs), 0, -1):
        if k in bands:
            go.cut(bands[k].lo_wh, bands[k].hi_wh)
        if w.energy_wh < w.reserve_wh:
            go.dislike_below(w.reserve_wh, WEIGHT_RESERVE * scale * PER_WH * w.steps[k - 1].hours)
        curves.append(go.curve())
        go.before(costs[k - 1])
        go.cut(bottom, top)
    return curves[::-1]


def _stored(energy_wh: float, cost: StepCost, after: Curve) -> float:
    """Where the slopes balance: storing more would cost more than it saves later."""
    stored = cost.least_wh
    for slope, length in cost.segments:
        best = after.at[bisect_left(after.slopes, -slope)] - energy_wh
        if best <= stored:
            break
        if best <= stored + length:
            stored = best
            break
        stored += length
    most = cost.least_wh + sum(length for _, length in cost.segments)
    within = min(after.at[-1] - energy_wh, max(after.at[0] - energy_wh, stored))
    return min(most, max(cost.least_wh, within))
