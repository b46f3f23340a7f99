"""A series made shorter never allows more than it did, at any instant (design 2, "plan")."""

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bessctl.errors import PlanRefused
from bessctl.model.plan import Block, QKind, Scope
from bessctl.plan.shorten import NO_DEFAULT, joined, shortened

# A series of the tests below ends before this.
INSTANTS = range(3 + 8 * 7)

watts = st.integers(-5, 5).map(float)
below = st.none() | st.integers(-5, 0).map(float)
above = st.none() | st.integers(0, 5).map(float)


@st.composite
def limits(draw: st.DrawFn) -> dict[str, float | None]:
    pcc = sorted([draw(watts), draw(watts)])
    return {
        "ess_lo_w": draw(below),
        "ess_hi_w": draw(above),
        "pcc_lo_w": pcc[0] if draw(st.booleans()) else None,
        "pcc_hi_w": pcc[1] if draw(st.booleans()) else None,
    }


@st.composite
def series(draw: st.DrawFn) -> list[Block]:
    blocks, now = [], draw(st.integers(0, 3))
    for _ in range(draw(st.integers(0, 8))):
        now += draw(st.sampled_from([0, 0, 1, 3]))
        end = now + draw(st.integers(1, 4))
        blocks.append(
            Block(
                now,
                end,
                **draw(limits()),
                target_w=draw(st.none() | watts),
                target_scope=draw(st.sampled_from(Scope)),
                q_kind=draw(st.sampled_from(QKind)),
                energize=draw(st.sampled_from([None, True, False])),
                connect=draw(st.sampled_from([None, True, False])),
                rate_w_per_s=draw(st.none() | st.integers(1, 3).map(float)),
            )
        )
        now = end
    return blocks


defaults = limits().map(lambda stated: Block(0, 0, **stated))  # type: ignore[arg-type]


def speaking(blocks: list[Block] | tuple[Block, ...], t: int, default: Block) -> Block:
    return next((b for b in blocks if b.start_ns <= t < b.end_ns), default)


def interval(lo: float | None, hi: float | None) -> tuple[float, float]:
    return (-math.inf if lo is None else lo, math.inf if hi is None else hi)


def within(inner: tuple[float, float], outer: tuple[float, float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


@given(blocks=series(), most=st.integers(1, 6), default=defaults)
@example(blocks=[Block(0, 1, ess_hi_w=5.0), Block(3, 4, ess_hi_w=5.0)], most=1, default=Block(0, 0, ess_hi_w=0.0))
@example(blocks=[Block(0, 1, target_w=5.0), Block(1, 2, target_w=-5.0)], most=1, default=NO_DEFAULT)
def test_a_shortened_series_is_nowhere_wider(blocks: list[Block], most: int, default: Block) -> None:
    try:
        short = shortened(blocks, most, default)
    except PlanRefused:
        assert any(b.pcc_lo_w is not None or b.pcc_hi_w is not None for b in blocks)
        return
    assert len(short) <= most
    for t in INSTANTS:
        was, now = speaking(blocks, t, default), speaking(short, t, default)
        assert within(interval(now.ess_lo_w, now.ess_hi_w), interval(was.ess_lo_w, was.ess_hi_w))
        assert within(interval(now.pcc_lo_w, now.pcc_hi_w), interval(was.pcc_lo_w, was.pcc_hi_w))
        if now.target_w is not None:
            assert was.target_w is not None
            assert was.target_scope == now.target_scope
            assert abs(now.target_w) <= abs(was.target_w)
            assert now.target_w * was.target_w >= 0
        assert now.energize is False or was.energize is not False
        assert now.connect is False or was.connect is not False
        assert was.rate_w_per_s is None or (now.rate_w_per_s is not None and now.rate_w_per_s <= was.rate_w_per_s)


@given(blocks=series(), most=st.integers(1, 6), default=defaults)
def test_a_shortened_series_is_still_a_series_and_covers_no_more_time(blocks: list[Block], most: int, default: Block) -> None:
    try:
        short = shortened(blocks, most, default)
    except PlanRefused:
        return
    assert all(b.start_ns < b.end_ns for b in short)
    assert all(a.end_ns <= b.start_ns for a, b in pairwise(short))
    for b in short:
        assert (b.ess_lo_w or 0.0) <= 0 <= (b.ess_hi_w or 0.0)
        assert b.pcc_lo_w is None or b.pcc_hi_w is None or b.pcc_lo_w <= b.pcc_hi_w
    assert not blocks or (short[0].start_ns, short[-1].end_ns) == (blocks[0].start_ns, blocks[-1].end_ns)


@given(blocks=series())
def test_joining_equal_neighbours_changes_nothing(blocks: list[Block]) -> None:
    for t in INSTANTS:
        was, now = speaking(blocks, t, NO_DEFAULT), speaking(joined(blocks), t, NO_DEFAULT)
        assert (was.ess_lo_w, was.ess_hi_w, was.pcc_lo_w, was.pcc_hi_w, was.target_w, was.energize, was.connect, was.rate_w_per_s) == (
            now.ess_lo_w, now.ess_hi_w, now.pcc_lo_w, now.pcc_hi_w, now.target_w, now.energize, now.connect, now.rate_w_per_s,
        )  # fmt: skip


def test_a_series_that_fits_is_left_alone() -> None:
    blocks = tuple(Block(t, t + 1, target_w=1.0) for t in range(96))
    assert shortened(blocks) is not None
    assert shortened(blocks) == blocks


def test_equal_steps_cost_no_resolution_and_the_far_end_pays_first() -> None:
    same = [Block(t, t + 1, ess_hi_w=5.0) for t in range(50)]
    rising = [Block(t, t + 1, ess_hi_w=float(t)) for t in range(50, 150)]
    short = shortened(same + rising)
    assert short[0] == Block(0, 50, ess_hi_w=5.0)
    assert short[1:91] == tuple(rising[:90])
    assert short[-1] == Block(148, 150, ess_hi_w=148.0)


def test_what_has_nothing_in_common_is_refused() -> None:
    blocks = [Block(t, t + 1, pcc_lo_w=float(t), pcc_hi_w=float(t)) for t in range(97)]
    with pytest.raises(PlanRefused, match="97 blocks, a slot holds 96"):
        shortened(blocks)
