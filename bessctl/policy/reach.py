"""Which energies can be reached at each edge, which targets can be met together, and who prevents the rest. Pure.

The battery's energy is one number and each step moves it by anything between two ends that hold 0, so what can be reached is an interval,
and intervals say everything: a target is reachable together with those already accepted if and only if its band meets the interval of
energies that can be reached from now *and* from which the later ones can still be met.

Targets are taken by priority (10 first), then by time. One that cannot be met is replaced by the nearest energy that can be reached, and
reported with who prevents more: of everybody whose limit stands in the way, the one without whom most would be reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bessctl.policy.problem import RATING, Battery, Kind, Problem, Step, Target, Unmet, Wish

SLACK_WH = 1e-6


@dataclass(slots=True)
class Bounds:
    """Energy range at an edge; `by` names what narrowed it."""

    lo_wh: float
    hi_wh: float
    by: str = ""


@dataclass(slots=True)
class Accepted:
    """Bands at edges that the plan will keep, and what it will not."""

    bands: dict[int, Bounds] = field(default_factory=dict)
    met: list[Target] = field(default_factory=list)
    unmet: list[Unmet] = field(default_factory=list)


def stored_wh(battery: Battery, power_w: float, hours: float) -> float:
    """How much a power changes the energy: positive while charging."""
    return -power_w * hours * (battery.charge_efficiency if power_w < 0 else 1.0 / battery.discharge_efficiency)


def powers(step: Step) -> tuple[float, float]:
    """The powers a step leaves open: its limits; nothing but the wish where another source's target rules; up to the wish where a policy
    forces or holds."""
    wish = step.wish
    if wish is None or wish.kind is Kind.SELF:
        return step.lo_w, step.hi_w
    if wish.kind is Kind.OTHER:
        return wish.power_w, wish.power_w
    return min(0.0, wish.power_w), max(0.0, wish.power_w)


@dataclass(slots=True)
class Reach:
    """Forward and backward ranges through the same steps. `floor_wh`: nothing is discharged below it."""

    battery: Battery
    steps: Sequence[Step]
    energy_wh: float
    floor_wh: float
    moves: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for step in self.steps:
            lo_w, hi_w = powers(step)
            self.moves.append((stored_wh(self.battery, hi_w, step.hours), stored_wh(self.battery, lo_w, step.hours)))

    def forward(self, bands: dict[int, Bounds]) -> list[tuple[float, float]]:
        """What can be reached at each edge while the bands before it are met."""
        lo = hi = self.energy_wh
        found = [_cut((lo, hi), bands.get(0))]
        for k, (down, up) in enumerate(self.moves, 1):
            lo, hi = found[-1]
            floor, cap = min(lo, self.floor_wh), max(hi, self.battery.capacity_wh)
            reached = min(cap, max(floor, lo + down)), max(min(hi, self.floor_wh), min(self.battery.capacity_wh, hi + up))
            found.append(_cut(reached, bands.get(k)))
        return found

    def backward(self, bands: dict[int, Bounds]) -> list[tuple[float, float]]:
        """From which energies at each edge the bands after it can be met (that edge's own too)."""
        bottom, top = min(self.energy_wh, self.floor_wh), max(self.energy_wh, self.battery.capacity_wh)
        found = [_cut((bottom, top), bands.get(len(self.moves)))]
        for k in range(len(self.moves) - 1, -1, -1):
            down, up = self.moves[k]
            lo, hi = found[-1]
            # A battery that is full or empty stops by itself: what cannot move further stays.
            before = bottom if lo <= bottom else lo - up, top if hi >= top else hi - down
            found.append(_cut((max(bottom, before[0]), min(top, before[1])), bands.get(k)))
        return found[::-1]


def _cut(interval: tuple[float, float], band: Bounds | None) -> tuple[float, float]:
    if band is None:
        return interval
    lo, hi = max(interval[0], band.lo_wh), min(interval[1], band.hi_wh)
    return (lo, hi) if lo <= hi else (min(interval[1], lo), min(interval[1], lo)) if interval[1] < lo else (max(interval[0], hi),) * 2


def accept(p: Problem, steps: Sequence[Step], targets: Iterable[Target], floor_wh: float) -> Accepted:
    """Take the targets one by one; the rules stand above."""
    reach = Reach(p.battery, steps, p.energy_wh, floor_wh)
    out = Accepted()
    for target in sorted(targets, key=lambda t: (-t.priority, t.at_ns, t.name)):
        ranges = _ranges(reach, out.bands, target)
        if all(_meets(r, target) for r in ranges) and _holds(reach, out.bands, target):
            _take(out.bands, target, target.lo_wh, target.hi_wh)
            out.met.append(target)
            continue
        worst = max(ranges, key=lambda r: _miss(r, target))
        out.unmet.append(_report(p, reach, out, target, _nearest(worst, target)))
        _come_near(reach, out.bands, target)
    return out


def _nearest(interval: tuple[float, float], target: Target) -> float:
    """The energy of an interval that is nearest to the band."""
    lo, hi = interval
    return hi if hi < target.lo_wh else lo if lo > target.hi_wh else min(hi, max(lo, target.lo_wh))


def _miss(interval: tuple[float, float], target: Target) -> float:
    return max(target.lo_wh - interval[1], interval[0] - target.hi_wh)


def _come_near(reach: Reach, bands: dict[int, Bounds], target: Target) -> None:
    """Edge by edge: the band where it can be met, the nearest energy where it cannot."""
    for k in range(target.edge, target.edge + target.hold_edges + 1):
        here = replace(target, edge=k, hold_edges=0)
        (interval,) = _ranges(reach, bands, here)
        if _meets(interval, here):
            _take(bands, here, target.lo_wh, target.hi_wh)
        else:
            nearest = _nearest(interval, here)
            _take(bands, here, nearest, nearest)


def _ranges(reach: Reach, bands: dict[int, Bounds], target: Target) -> list[tuple[float, float]]:
    forward, backward = reach.forward(bands), reach.backward(bands)
    span = range(target.edge, target.edge + target.hold_edges + 1)
    return [(max(forward[k][0], backward[k][0]), min(forward[k][1], backward[k][1])) for k in span]


def _meets(interval: tuple[float, float], target: Target) -> bool:
    return interval[0] <= target.hi_wh + SLACK_WH and interval[1] >= target.lo_wh - SLACK_WH


def _holds(reach: Reach, bands: dict[int, Bounds], target: Target) -> bool:
    """A band that lasts: every edge by itself can be met; can all of them by one way?"""
    if not target.hold_edges:
        return True
    trial = dict(bands)
    _take(trial, target, target.lo_wh, target.hi_wh)
    forward, backward = reach.forward(trial), reach.backward(trial)
    return all(
        max(forward[k][0], backward[k][0]) <= min(forward[k][1], backward[k][1]) + SLACK_WH
        for k in range(target.edge, target.edge + target.hold_edges + 1)
    )


def _take(bands: dict[int, Bounds], target: Target, lo_wh: float, hi_wh: float) -> None:
    for k in range(target.edge, target.edge + target.hold_edges + 1):
        before = bands.get(k)
        lo, hi = (lo_wh, hi_wh) if before is None else (max(lo_wh, before.lo_wh), min(hi_wh, before.hi_wh))
        bands[k] = Bounds(min(lo, hi), max(lo, hi), target.name)


# --- why not? -----------------------------------------------------------------------------------------------------------------------------


def _report(p: Problem, reach: Reach, out: Accepted, target: Target, nearest: float) -> Unmet:
    cap = p.battery.capacity_wh
    wanted = (100 * target.lo_wh / cap, 100 * target.hi_wh / cap)
    return Unmet(target.name, target.at_ns, wanted, 100 * nearest / cap, _because(p, reach, out, target, nearest))


def _because(p: Problem, reach: Reach, out: Accepted, target: Target, nearest: float) -> str:
    """The one without whom most would be reached."""
    more = nearest < target.lo_wh
    gains: dict[str, float] = {}
    for name in {band.by for band in out.bands.values()}:
        without = {k: band for k, band in out.bands.items() if band.by != name}
        gains[f"policy:{name}"] = _gain(reach, without, target, nearest, more)
    for who in _limiters(reach.steps[: target.edge + target.hold_edges], more):
        freed = Reach(p.battery, [_freed(s, who, p.battery) for s in reach.steps], reach.energy_wh, reach.floor_wh)
        gains[who] = _gain(freed, out.bands, target, nearest, more)
    if not more and reach.floor_wh > 0:
        gains["reserve"] = _gain(replace(reach, floor_wh=0.0, moves=[]), out.bands, target, nearest, more)
    best = max(gains, key=lambda name: gains[name], default=RATING)
    return best if gains.get(best, 0.0) > SLACK_WH else RATING


def _gain(reach: Reach, bands: dict[int, Bounds], target: Target, nearest: float, more: bool) -> float:
    """How much nearer one would come."""
    ranges = _ranges(reach, bands, target)
    return min(hi for _, hi in ranges) - nearest if more else nearest - max(lo for lo, _ in ranges)


def _limiters(steps: Sequence[Step], more: bool) -> set[str]:
    """Everybody who narrows a step on the side that matters."""
    found = {step.lo_who if more else step.hi_who for step in steps}
    found |= {step.wish.who for step in steps if step.wish is not None and step.wish.kind is not Kind.SELF}
    return found - {RATING}


def _freed(step: Step, who: str, battery: Battery) -> Step:
    """The step as it would be without somebody's limits and wishes."""
    wish: Wish | None = None if step.wish is not None and step.wish.who == who else step.wish
    lo_w = -battery.charge_max_w if step.lo_who == who else step.lo_w
    hi_w = battery.discharge_max_w if step.hi_who == who else step.hi_w
    return replace(step, lo_w=lo_w, hi_w=hi_w, wish=wish)
