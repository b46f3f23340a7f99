"""Demands of all links -> one Plan for our slot. The only place where a demand gets the plant's sign. Pure.

- The target is the sum of what the links want, + for connector 1 (discharge), - for connector 2 (charge), as far as the ledger deals
  power out: the sum of the grants. What is dealt now is taken for the time to come too, until the plant is seen otherwise.
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
from dataclasses import dataclass
from itertools import pairwise

from bessctl.model.plan import Block, Lapse, Plan
from bessctl.plan.shorten import shortened
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.demand import Demand, Stretch
from bessctl.protocols.ocpp.session.plant import Direction

GRID_NS = NS
SLACK_NS = NS // 50
SIGN = {Direction.DISCHARGE: 1.0, Direction.CHARGE: -1.0}


@dataclass(frozen=True, slots=True)
class _Part:
    """One link's series, already signed and ended where its lease ends."""

    sign: float
    wanted: tuple[Stretch, ...]
    cap: tuple[Stretch, ...]


def plan_of(demands: Sequence[Demand], now_ns: int, most_w: float = math.inf) -> Plan:
    """The whole slot; `most_w` is what the ledger deals out to all of them.
    Where nobody's lease stands, caps alone are left and the plan needs no lease to speak of."""
    lease = max((d.lease_until_ns for d in demands if d.lease_until_ns > now_ns), default=now_ns + NS)
    parts = [_part(d, lease, now_ns) for d in demands]
    return Plan(lease, _blocks(parts, now_ns, most_w), _blocks(parts, now_ns, None), Lapse.FALLBACK, dated=False)


def _part(demand: Demand, lease_ns: int, now_ns: int) -> _Part:
    sign = SIGN[demand.direction] if demand.direction else 0.0
    if demand.lease_until_ns == lease_ns:
        return _Part(sign, demand.wanted, demand.cap)
    end = demand.lease_until_ns // GRID_NS * GRID_NS
    if end <= now_ns:
        return _Part(sign, (), demand.cap)
    ended = tuple(Stretch(s.start_ns, min(s.end_ns, end), s.watts) for s in demand.wanted if s.start_ns < end)
    return _Part(sign, ended, demand.cap)


def _blocks(parts: Sequence[_Part], now_ns: int, most_w: float | None) -> tuple[Block, ...]:
    """`most_w` None = caps alone."""
    series = [s for p in parts for s in (p.cap if most_w is None else (*p.wanted, *p.cap))]
    edges = sorted({now_ns, *(e for s in series for e in (s.start_ns, s.end_ns) if e > now_ns)})
    found: list[Block] = []
    for start, end in pairwise(edges):
        block = _block(parts, start, end, most_w)
        if block is not None:
            _append(found, block)
    return shortened(found)


def _block(parts: Sequence[_Part], start: int, end: int, most_w: float | None) -> Block | None:
    cap = min((w for p in parts if (w := _at(p.cap, start)) is not None), default=None)
    wanted = [] if most_w is None else [p.sign * w for p in parts if (w := _at(p.wanted, start)) is not None]
    target = None
    if wanted and most_w is not None:
        most = most_w if cap is None else min(most_w, cap)
        target = 0.0 + max(-most, min(most, sum(wanted)))
    if target is None and cap is None:
        return None
    return Block(start, end, None if cap is None else 0.0 - cap, cap, target_w=target)


def _at(series: Sequence[Stretch], at_ns: int) -> float | None:
    return next((s.watts for s in series if s.start_ns <= at_ns < s.end_ns), None)


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
