"""What of a plan may rule while nobody knows the time of day (R8).

Rules.
- A plan whose instants were read off a time of day (`Plan.dated`) rules as its most restrictive value: each limit is the tightest of all
  its blocks, fallback included, and of the slot's sealed default, which would speak in gaps. It holds from now on without an end, and
  after the lease as well.
- Targets and reactive power do not return: nobody knows whether their hour has come. The slowest rate stays.
- pcc limits that exclude each other become the point nearest 0, as the loop does with limits of one class (R3).
- A plan of durations ("50 kW for ten minutes"), or one that follows a peer's own clock, says so (`dated` False) and is left alone.
"""

from __future__ import annotations

from functools import reduce

from bessctl.model.plan import FOREVER_NS, Block, Plan
from bessctl.plan.shorten import common_order, tighter


def undated(plan: Plan, default: Block, now_ns: int) -> Plan:
    """The plan for a time without a date. Pure; `default`: the slot's sealed limits."""
    stated = [*plan.blocks, *plan.fallback]
    if not stated:
        return plan
    every = [*stated, default]
    pcc_lo_w, pcc_hi_w = _settled(tighter(max, *(b.pcc_lo_w for b in every)), tighter(min, *(b.pcc_hi_w for b in every)))
    block = Block(
        now_ns,
        FOREVER_NS,
        ess_lo_w=tighter(max, *(b.ess_lo_w for b in every)),
        ess_hi_w=tighter(min, *(b.ess_hi_w for b in every)),
        pcc_lo_w=pcc_lo_w,
        pcc_hi_w=pcc_hi_w,
        energize=reduce(common_order, (b.energize for b in stated)),
        connect=reduce(common_order, (b.connect for b in stated)),
        rate_w_per_s=tighter(min, *(b.rate_w_per_s for b in stated)),
    )
    return Plan(plan.lease_until_ns, (block,), (block,), plan.lapse)


def _settled(lo_w: float | None, hi_w: float | None) -> tuple[float | None, float | None]:
    if lo_w is None or hi_w is None or lo_w <= hi_w:
        return lo_w, hi_w
    point = hi_w if hi_w > 0 else min(lo_w, 0.0)
    return point, point
