"""One problem -> the steps of its horizon and the targets at their edges. Pure.

A step ends at each point of the grid (multiples of the step since 1970), and wherever a limit, a price, a forecast, a forced stretch or a
target's instant begins or ends: within a step nothing changes. Limits only shrink: each side is the tightest of the rating and of what
everybody states, and always holds 0. A limit at the connection point becomes one of the battery by the forecast of load and PV.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

from bessctl.policy.problem import RATING, Band, Force, Kind, Piece, Problem, Span, Step, Target, Wish
from bessctl.policy.schedule import instants

NS = 1_000_000_000
MAX_EDGES = 4096
S = TypeVar("S", Span, Piece)


@dataclass(slots=True)
class Grid:
    """Steps between edges; `edges` has one more than `steps`."""

    edges: list[int]
    steps: list[Step] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)


def grid(p: Problem, margin: float) -> Grid:
    """The steps, with `margin` of the power that is ours to plan kept back."""
    forced = list(_forced(p))
    g = Grid(_edges(p, forced))
    spans, prices, site = _cover(g.edges, p.spans), _cover(g.edges, p.prices), _cover(g.edges, p.site)
    for k, (start, end) in enumerate(pairwise(g.edges)):
        step = _bare(p, start, end, _values(site[k]), _values(prices[k]))
        for span in spans[k]:
            step = _limited(step, span)
        wish = _wish(p, step, spans[k], forced)
        g.steps.append(replace(step, lo_w=(1 - margin) * step.lo_w, hi_w=(1 - margin) * step.hi_w, wish=wish))
    for band in p.bands:
        g.targets += _targets(p, band, g.edges)
    return g


def _bare(p: Problem, start_ns: int, end_ns: int, site: dict[str, float], price: dict[str, float]) -> Step:
    """Ratings, forecast and prices. Without a tariff import costs what export earns: there is nothing to be gained."""
    power = {"load_w": p.load_w, "pv_w": p.pv_w} | site
    buy, sell = (price.get("buy", 0.0), price.get("sell", 0.0)) if p.tariff else (1.0, 1.0)
    return Step(
        start_ns, end_ns, -p.battery.charge_max_w, p.battery.discharge_max_w, RATING, RATING,
        net_w=power["load_w"] - power["pv_w"], buy=buy, sell=min(buy, sell),
        import_max_w=p.peak_shaving.import_max_w if p.peak_shaving is not None else None,
    )  # fmt: skip


def _values(pieces: Sequence[Piece]) -> dict[str, float]:
    return {name: value for piece in pieces for name, value in piece.values}


def _forced(p: Problem) -> Iterable[tuple[int, int, Force]]:
    """Every stretch that a force policy covers within the horizon; one that began already goes on."""
    for force in p.forces:
        length = round(force.for_s * NS)
        for at in instants(force.schedule, p.now_ns - length, p.now_ns + p.horizon_ns):
            yield at, at + length, force


def _edges(p: Problem, forced: list[tuple[int, int, Force]]) -> list[int]:
    end = p.now_ns + p.horizon_ns
    first = -(-p.now_ns // p.step_ns) * p.step_ns
    found = {p.now_ns, end, *range(first, end, p.step_ns)}
    found |= {at for span in p.spans for at in (span.start_ns, span.end_ns)}
    found |= {at for piece in (*p.prices, *p.site) for at in (piece.start_ns, piece.end_ns)}
    for start, stop, _ in forced:
        found |= {start, stop}
    for band in p.bands:
        for at in instants(band.schedule, p.now_ns - round(band.hold_s * NS), end + 1):
            found |= {at, at + round(band.hold_s * NS)}
    edges = sorted(at for at in found if p.now_ns <= at <= end)
    return edges[:MAX_EDGES]  # a horizon of too many changes ends earlier: what is near stays exact


def _cover(edges: list[int], stretches: Sequence[S]) -> list[list[S]]:
    """For each step the stretches that cover it; edges stand at every beginning and end."""
    found: list[list[S]] = [[] for _ in edges[1:]]
    for stretch in stretches:
        first = max(0, bisect_right(edges, stretch.start_ns) - 1)
        for k in range(first, min(len(found), bisect_left(edges, stretch.end_ns))):
            found[k].append(stretch)
    return found


def _limited(step: Step, span: Span) -> Step:
    """The step with what a span states; the tighter side wins and is named. 0 is always allowed."""
    los = [w for w in (span.ess_lo_w, None if span.pcc_lo_w is None else span.pcc_lo_w + step.net_w) if w is not None]
    his = [w for w in (span.ess_hi_w, None if span.pcc_hi_w is None else span.pcc_hi_w + step.net_w) if w is not None]
    lo_w, hi_w = min(0.0, max(los, default=step.lo_w)), max(0.0, min(his, default=step.hi_w))
    return replace(
        step,
        lo_w=max(step.lo_w, lo_w), lo_who=span.who if lo_w > step.lo_w else step.lo_who,
        hi_w=min(step.hi_w, hi_w), hi_who=span.who if hi_w < step.hi_w else step.hi_who,
    )  # fmt: skip


def _wish(p: Problem, step: Step, spans: Sequence[Span], forced: list[tuple[int, int, Force]]) -> Wish | None:
    """Another source's target rules before ours; then the force of the highest priority; then self-consumption."""
    for span in spans:
        if span.target_w is not None:
            power = span.target_w + step.net_w if span.target_at_pcc else span.target_w
            return Wish(Kind.OTHER, _within(step, power), span.who)
    here = [force for start, end, force in forced if start <= step.start_ns < end]
    if here:
        force = max(here, key=lambda f: f.priority)
        kind = Kind.FORCE if force.power_w else Kind.HOLD
        return Wish(kind, _within(step, force.power_w), f"policy:{force.name}")
    return Wish(Kind.SELF, _within(step, step.net_w), "policy:self_consumption") if p.self_consumption else None


def _within(step: Step, power_w: float) -> float:
    return min(step.hi_w, max(step.lo_w, power_w))


def _targets(p: Problem, band: Band, edges: list[int]) -> list[Target]:
    cap, hold = p.battery.capacity_wh, round(band.hold_s * NS)
    lo, hi = band.lo_pct / 100 * cap, band.hi_pct / 100 * cap
    if hi - lo < 2 * p.tolerance_wh:
        middle = (lo + hi) / 2
        lo, hi = max(0.0, middle - p.tolerance_wh), min(cap, middle + p.tolerance_wh)
    found = []
    for at in instants(band.schedule, p.now_ns - hold, p.now_ns + p.horizon_ns + 1):
        # One that holds already: where we are is where we are, so its next edge is the first that can be planned.
        edge = bisect_left(edges, at) if at >= p.now_ns else 1
        last = bisect_left(edges, at + hold)
        if edge < len(edges):
            found.append(Target(band.name, edges[edge], edge, lo, hi, band.priority, max(0, min(last, len(edges) - 1) - edge)))
    return found
