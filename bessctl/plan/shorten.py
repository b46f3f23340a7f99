"""Makes a series of blocks short enough for a slot, without ever allowing more than the original at any instant.

Rules.
- Neighbours that touch and say the same become one block; nothing is lost.
- If that is not enough, neighbours are merged in pairs from the far end, in as many rounds as it takes: the near future stays exact.
- A merged block allows what both allowed: each limit is the tighter one. A gap between them belongs to the merged block too, so the
  slot's sealed default, which speaks in gaps, is intersected as well. The block never reaches beyond the two.
- Where the targets are the same it stays. Two ess targets become the one nearer 0, of opposite signs 0; anything else is no target.
- The slower rate, "disconnect" and "cease to energise" before anything else; reactive power only where both say the same.
- Blocks whose pcc limits have nothing in common cannot be merged. A series that stays too long is refused: a wish cut off would be wider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter

from bessctl.errors import PlanRefused
from bessctl.model.plan import MAX_BLOCKS, Block, QKind, Scope

NO_DEFAULT = Block(0, 0)


def tighter(pick: Callable[[Iterable[float]], float], *limits: float | None) -> float | None:
    """The tighter of the limits that are stated: `pick` is max for lower ones, min for upper ones."""
    stated = [limit for limit in limits if limit is not None]
    return pick(stated) if stated else None


def common_target(a: Block, b: Block) -> float | None:
    """The target that asks for no more than either."""
    if a.target_w is None or b.target_w is None or a.target_scope != b.target_scope:
        return None
    if a.target_w == b.target_w:
        return a.target_w
    if a.target_scope != Scope.ESS:
        return None  # which of two powers at the PCC asks more of the BESS depends on the rest of the site
    return min(a.target_w, b.target_w, key=abs) if a.target_w * b.target_w > 0 else 0.0


def common_order(a: bool | None, b: bool | None) -> bool | None:
    """Of `energize` and `connect`: ceasing and opening win."""
    if a is False or b is False:
        return False
    return a if a == b else None


def merged(a: Block, b: Block, default: Block = NO_DEFAULT) -> Block | None:
    """One block in place of `a` and, later, `b`; None when their limits have nothing in common. `default`: the slot's sealed limits."""
    between = default if a.end_ns < b.start_ns else NO_DEFAULT
    pcc_lo_w = tighter(max, a.pcc_lo_w, b.pcc_lo_w, between.pcc_lo_w)
    pcc_hi_w = tighter(min, a.pcc_hi_w, b.pcc_hi_w, between.pcc_hi_w)
    if pcc_lo_w is not None and pcc_hi_w is not None and pcc_lo_w > pcc_hi_w:
        return None
    same_q = a.end_ns == b.start_ns and (a.q_kind, a.q_value, a.q_absorb) == (b.q_kind, b.q_value, b.q_absorb)
    target_w = common_target(a, b) if a.end_ns == b.start_ns else None
    return Block(
        a.start_ns,
        b.end_ns,
        ess_lo_w=tighter(max, a.ess_lo_w, b.ess_lo_w, between.ess_lo_w),
        ess_hi_w=tighter(min, a.ess_hi_w, b.ess_hi_w, between.ess_hi_w),
        pcc_lo_w=pcc_lo_w,
        pcc_hi_w=pcc_hi_w,
        target_w=target_w,
        target_scope=a.target_scope if target_w is not None else Scope.ESS,
        q_kind=a.q_kind if same_q else QKind.NONE,
        q_value=a.q_value if same_q else 0.0,
        q_absorb=a.q_absorb if same_q else None,
        energize=common_order(a.energize, b.energize),
        connect=common_order(a.connect, b.connect),
        rate_w_per_s=tighter(min, a.rate_w_per_s, b.rate_w_per_s),
    )


_words = attrgetter(*(field.name for field in fields(Block) if field.name not in {"start_ns", "end_ns"}))


def says_the_same(a: Block, b: Block) -> bool:
    """Nothing but the time differs."""
    return bool(_words(a) == _words(b))


def joined(blocks: Sequence[Block]) -> list[Block]:
    """Neighbours that touch and say the same, as one."""
    out: list[Block] = []
    for block in blocks:
        if out and out[-1].end_ns == block.start_ns and says_the_same(out[-1], block):
            out[-1] = replace(out[-1], end_ns=block.end_ns)
        else:
            out.append(block)
    return out


def one_round(blocks: list[Block], excess: int, default: Block) -> list[Block]:
    """Merge up to `excess` disjoint pairs, from the end."""
    out: list[Block] = []
    at = len(blocks) - 1
    while at >= 0:
        pair = merged(blocks[at - 1], blocks[at], default) if excess > 0 and at > 0 else None
        out.append(pair or blocks[at])
        at -= 2 if pair else 1
        excess -= 1 if pair else 0
    return out[::-1]


def shortened(blocks: Sequence[Block], most: int = MAX_BLOCKS, default: Block = NO_DEFAULT) -> tuple[Block, ...]:
    """At most `most` blocks that nowhere allow more than `blocks`, which are ordered, do not overlap and hold finite numbers.

    `default` states the limits that the slot's sealed default sets in gaps. Raises PlanRefused when it cannot be done.
    """
    if len(blocks) <= most:
        return tuple(blocks)
    short = joined(blocks)
    while len(short) > most:
        fewer = one_round(short, len(short) - most, default)
        if len(fewer) == len(short):
            raise PlanRefused(
                f"{len(blocks)} blocks, a slot holds {most}, and their pcc limits are too different to merge; send fewer blocks"
            )
        short = fewer
    return tuple(short)
