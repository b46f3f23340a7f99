"""Demands -> the slot's plan: sign, leases of many links, caps, length (OCPP-6, OCPP-9; settled 2, 4)."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.model.plan import MAX_BLOCKS, Block
from bessctl.protocols.ocpp.binding.plans import plan_of, same
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.demand import Demand, Stretch
from bessctl.protocols.ocpp.session.plant import Direction

OUT, IN = Direction.DISCHARGE, Direction.CHARGE
END = 1000


def want(
    watts: list[tuple[int, float]], *, lease: int = 60, way: Direction = OUT, link: str = "a", cap: list[tuple[int, float]] | None = None
) -> Demand:
    if cap is None:
        cap = []
    return Demand(link, lease * NS, way, series(watts), series(cap))


def series(points: list[tuple[int, float]]) -> tuple[Stretch, ...]:
    ends = [*(s for s, _ in points[1:]), END][: len(points)]
    return tuple(Stretch(s * NS, e * NS, w) for (s, w), e in zip(points, ends, strict=True))


def told(blocks: tuple[Block, ...]) -> list[tuple[int, float | None, float | None, float | None]]:
    return [(b.start_ns // NS, b.ess_lo_w, b.ess_hi_w, b.target_w) for b in blocks]


def test_one_link_is_its_whole_schedule() -> None:
    plan = plan_of([want([(0, 150.0), (100, 30.0)])], 0)
    assert told(plan.blocks) == [(0, None, None, 150.0), (100, None, None, 30.0)]
    assert plan.blocks[-1].end_ns == END * NS
    assert (plan.lease_until_ns, plan.fallback) == (60 * NS, ())


def test_connector_2_is_negative() -> None:
    """Positive power is discharge; the sign is turned here and nowhere else."""
    assert plan_of([want([(0, 150.0)], way=IN)], 0).blocks[0].target_w == -150.0


def test_links_add_up_and_each_lapses_by_itself() -> None:
    plan = plan_of([want([(0, 100.0)], lease=60), want([(0, 50.0)], lease=20, link="b")], 0)
    assert told(plan.blocks) == [(0, None, None, 150.0), (20, None, None, 100.0)]
    assert plan.lease_until_ns == 60 * NS


def test_a_link_past_its_lease_gives_no_target_but_its_cap() -> None:
    silent = want([(0, 70.0)], lease=5, link="b", cap=[(0, 80.0)])
    plan = plan_of([want([(0, 100.0)]), silent], 10 * NS)
    assert told(plan.blocks) == [(10, -80.0, 80.0, 80.0)]


def test_caps_are_limits_of_both_signs_and_the_fallback() -> None:
    plan = plan_of([want([(0, 100.0)], cap=[(0, 60.0), (50, 0.0)])], 0)
    assert told(plan.blocks) == [(0, -60.0, 60.0, 60.0), (50, 0.0, 0.0, 0.0)]
    assert told(plan.fallback) == [(0, -60.0, 60.0, None), (50, 0.0, 0.0, None)]


def test_what_is_wanted_is_cut_to_what_is_dealt() -> None:
    """OCPP-17: the sum of the grants; each block by its own cap too."""
    wanted = [want([(0, 100.0), (50, 20.0)], lease=60, way=IN), want([(0, 50.0)], lease=30, way=IN, link="b")]
    assert told(plan_of(wanted, 0, 120.0).blocks) == [(0, None, None, -120.0), (30, None, None, -100.0), (50, None, None, -20.0)]


def test_nothing_wanted_is_an_empty_plan() -> None:
    plan = plan_of([], 5)
    assert (plan.blocks, plan.fallback) == ((), ())


def test_a_series_too_long_is_shortened_to_less() -> None:
    points = [(s, float(s)) for s in range(150)]
    blocks = plan_of([want(points, cap=[(s, 500.0 - s) for s in range(150)])], 0).blocks
    assert len(blocks) <= MAX_BLOCKS
    assert (blocks[0].target_w, blocks[0].ess_hi_w, blocks[-1].end_ns) == (0.0, 500.0, END * NS)
    for block in blocks:
        assert (block.target_w or 0.0) <= block.start_ns / NS
        assert block.ess_hi_w is not None
        assert block.ess_hi_w <= 500.0 - block.start_ns / NS


POINTS = st.dictionaries(st.integers(0, 400), st.floats(0, 1e5), min_size=1, max_size=30).map(lambda d: sorted({0: 1.0, **d}.items()))
DEMANDS = st.builds(
    lambda points, lease, way, cap: want(points, lease=lease, way=way, cap=cap),
    POINTS,
    st.integers(1, 500),
    st.just(OUT),
    st.just([]) | POINTS,
)


@settings(max_examples=40)
@given(st.lists(DEMANDS, max_size=4), st.integers(0, 300))
def test_a_plan_never_asks_for_more_than_was_wanted(demands: list[Demand], now_s: int) -> None:
    now = now_s * NS
    plan = plan_of(demands, now)
    for blocks in (plan.blocks, plan.fallback):
        assert len(blocks) <= MAX_BLOCKS
        assert all(b.start_ns < b.end_ns for b in blocks)
        assert all(a.end_ns <= b.start_ns for a, b in itertools.pairwise(blocks))
    for block in plan.blocks:
        alive = [d for d in demands if d.lease_until_ns > block.start_ns or d.lease_until_ns == plan.lease_until_ns]
        most = sum(max((s.watts or 0.0) for s in d.wanted) for d in alive)
        assert (block.target_w or 0.0) <= most + 1e-6
    assert same(plan, plan, now)


def test_sameness_forgives_the_clocks_and_nothing_else() -> None:
    one, other = want([(0, 100.0), (50, 10.0)]), want([(0, 100.0), (51, 10.0)])
    assert same(plan_of([one], 0), plan_of([one], 10 * NS), 10 * NS)
    assert not same(plan_of([one], 0), plan_of([other], 0), 0)
    assert not same(plan_of([one], 0), plan_of([], 0), 0)
    assert not same(plan_of([one], 0), plan_of([want([(0, 100.0), (50, 11.0)])], 0), 0)
