"""Demands of all links -> one Plan for our slot. The only place where a demand gets the plant's sign. Pure.

- The target is the sum of what the links get of what they want, + for connector 1 (discharge), - for connector 2 (charge), dealt out as the
  ledger does: the sum of the grants. What is dealt now is taken for the time to come too, until the plant is seen otherwise.
- It never asks for more than the block's own cap, for the envelope is no wider.
- An owner's cap becomes ess limits of both signs, and the fallback: when the lease lapses the target goes, the limit stays.
- The lease of the plan is that of the link heard last; a link heard earlier contributes only up to its own lease, so that each
  link lapses by itself, also with the supervisor dead. Those ends are rounded down to `GRID_NS`, which bounds their number.
- No demand at all is an empty plan: no target, no limit.
- A series too long for a slot is shortened into something more restrictive, from the far end; it is written again long before that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter

from bessctl.model.plan import Block, Lapse, Plan
from bessctl.plan.shorten import shortened
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.demand import Demand
from bessctl.protocols.ocpp.session.ledger import deal
from bessctl.protocols.ocpp.session.plant import Direction

GRID_NS = NS
SLACK_NS = NS // 50
SIGN = {Direction.DISCHARGE: 1.0, Direction.CHARGE: -1.0}


_Step = tuple[int, int, float]
"""[start, end) monotonic ns, a cap's magnitude in W."""
_Want = tuple[int, int, float, float]
"""[start, end) monotonic ns, the W that are wanted, signed, and the magnitude below which none are worth having."""


def plan_of(demands: Sequence[Demand], now_ns: int, most_w: float = math.inf) -> Plan:
    """The whole slot; `most_w` is what the ledger deals out to all of them.
    Where nobody's lease stands, caps alone are left and the plan needs no lease to speak of."""
    lease = max((d.lease_until_ns for d in demands if d.lease_until_ns > now_ns), default=now_ns + NS)
    wanted = [want for d in sorted(demands, key=attrgetter("rank")) for want in _wanted(d, lease, now_ns)]
    caps = [(s.start_ns, s.end_ns, s.watts) for d in demands for s in d.cap if s.watts is not None]
    return Plan(lease, _blocks(wanted, caps, now_ns, most_w), _blocks([], caps, now_ns, most_w), Lapse.FALLBACK, dated=False)


def _wanted(demand: Demand, lease_ns: int, now_ns: int) -> list[_Want]:
    """What one link wants, signed, and ended where its lease ends."""
    sign, end = SIGN[demand.direction] if demand.direction else 0.0, None
    if demand.lease_until_ns != lease_ns:
        end = demand.lease_until_ns // GRID_NS * GRID_NS
        if end <= now_ns:
            return []
    return [
        (s.start_ns, s.end_ns if end is None else min(s.end_ns, end), sign * s.watts, s.least_w)
        for s in demand.wanted
        if s.watts is not None and (end is None or s.start_ns < end)
    ]


def _blocks(wanted: Sequence[_Want], caps: Sequence[_Step], now_ns: int, most_w: float) -> tuple[Block, ...]:
    spans = [*((start, end) for start, end, _, _ in wanted), *((start, end) for start, end, _ in caps)]
    edges = sorted({now_ns, *(edge for span in spans for edge in span if edge > now_ns)})
    found: list[Block] = []
    for start, end in pairwise(edges):
        wants = [(w, least_w) for begins, ends, w, least_w in wanted if begins <= start < ends]
        cap = min((w for begins, ends, w in caps if begins <= start < ends), default=None)
        if wants or cap is not None:
            target = _granted(wants, most_w if cap is None else min(most_w, cap)) if wants else None
            _append(found, Block(start, end, None if cap is None else 0.0 - cap, cap, target_w=target))
    return shortened(found)


def _granted(wants: Sequence[tuple[float, float]], most_w: float) -> float:
    """The sum of what they get; one direction is used at a time, so that all have one sign."""
    total = 0.0 + sum(w for w, _ in wants)
    if abs(total) <= most_w and not any(least_w for _, least_w in wants):
        return total
    return 0.0 + math.copysign(sum(deal([(abs(w), least_w) for w, least_w in wants], most_w)), total)


def _append(blocks: list[Block], block: Block) -> None:
    last = blocks[-1] if blocks else None
    same = last and (last.end_ns, last.ess_hi_w, last.target_w) == (block.start_ns, block.ess_hi_w, block.target_w)
    if last and same:
        blocks[-1] = Block(last.start_ns, block.end_ns, last.ess_lo_w, last.ess_hi_w, target_w=last.target_w)
    else:
        blocks.append(block)


def same(a: Plan, b: Plan, now_ns: int) -> bool:
    """Do both say the same from now on, leases apart? Starts may differ by SLACK_NS: two clocks are read one after the other."""
    return _same_series(a.blocks, b.blocks, now_ns) and _same_series(a.fallback, b.fallback, now_ns)


def _same_series(a: Sequence[Block], b: Sequence[Block], now_ns: int) -> bool:
    live_a, live_b = ([x for x in series if x.end_ns > now_ns + SLACK_NS] for series in (a, b))
    if len(live_a) != len(live_b):
        return False
    return all(
        (x.target_w, x.ess_lo_w, x.ess_hi_w) == (y.target_w, y.ess_lo_w, y.ess_hi_w)
        and abs(max(x.start_ns, now_ns) - max(y.start_ns, now_ns)) <= SLACK_NS
        for x, y in zip(live_a, live_b, strict=True)
    )
