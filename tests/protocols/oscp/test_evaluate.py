"""From forecasts to limits: units, phases, signs, gaps, ends, overlaps, what was never received (OSCP-4, OSCP-5). Rows are decisions."""

from decimal import Decimal
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.oscp.messages.records import Block, BlockUnit, CapacityForecastType, Phase
from bessctl.protocols.oscp.session.clock import FOREVER_NS
from bessctl.protocols.oscp.session.evaluate import Electrics, Profile, Rules, Series, evaluate, profile, watts

T = CapacityForecastType
HOUR = 3600 * 10**9
VOLTS = Electrics(230.0)


def block(capacity: float, start: float = 0, end: float = 1, unit: BlockUnit = BlockUnit.W, phase: Phase = Phase.UNKNOWN) -> Block:
    """Hours."""
    return Block(Decimal(str(capacity)), phase, unit, round(start * HOUR), round(end * HOUR))


def series(**kinds: list[tuple[float, float, float]]) -> Series:
    """consumption=[(capacity, start, end)], in hours."""
    return {T[name.upper()]: profile(T[name.upper()], [block(*b) for b in blocks], VOLTS, 0) for name, blocks in kinds.items()}


U, P = BlockUnit, Phase
# (value, unit, phase, hours, watts) with 230 V: OSCP 2.0 5.4.1, 5.5; row 13
VALUES = [
    (1000, U.W, P.UNKNOWN, 1, 1000),
    (1000, U.W, P.ALL, 1, 1000),
    (1000, U.W, P.TWO, 1, 3000),
    (1.5, U.KW, P.UNKNOWN, 1, 1500),
    (1.5, U.KW, P.THREE, 1, 4500),
    (1000, U.WH, P.UNKNOWN, 0.25, 4000),
    (1000, U.WH, P.ALL, 2, 500),
    (2, U.KWH, P.UNKNOWN, 0.25, 8000),
    (2, U.KWH, P.ONE, 1, 6000),
    (10, U.A, P.UNKNOWN, 1, 3 * 10 * 230),
    (10, U.A, P.ONE, 1, 3 * 10 * 230),
    (30, U.A, P.ALL, 1, 30 * 230),
]


@pytest.mark.parametrize(("value", "unit", "phase", "hours", "expected"), VALUES)
def test_each_unit_and_phase_as_watts_of_the_group(value: float, unit: BlockUnit, phase: Phase, hours: float, expected: float) -> None:
    assert watts(block(value, 0, hours, unit, phase), VOLTS) == pytest.approx(expected)
    assert watts(block(-value, 0, hours, unit, phase), VOLTS) == pytest.approx(-expected)


def test_amperes_leave_to_active_power_what_reactive_power_does_not_take() -> None:
    """Row 13: P <= sqrt(S2 - Q2)."""
    limit = block(10, unit=U.A)
    assert watts(limit, Electrics(230.0, 3000.0)) == pytest.approx(sqrt(6900**2 - 3000**2))
    assert watts(limit, Electrics(230.0, 7000.0)) == 0
    assert watts(limit, Electrics(200.0)) == 6000
    assert watts(block(30, unit=U.A, phase=P.ALL), Electrics(230.0, amps_per_phase=True)) == 3 * 30 * 230


def test_of_overlapping_blocks_the_most_restrictive_rules_at_each_instant() -> None:
    """Row 11."""
    found = profile(T.CONSUMPTION, [block(10, 0, 4), block(4, 1, 2), block(7, 1.5, 3), block(9, 6, 7)], VOLTS)
    assert [found.at(round(h * HOUR)) for h in (0, 1, 1.5, 2, 3, 4, 6, 7)] == [10, 4, 4, 7, 10, None, 9, None]
    assert found.tightest == 4
    assert found.end_ns == 7 * HOUR


# (phases and values, watts) row 13: single phases 3 x the smallest, mixed: all hold
PHASES = [
    ([(P.ONE, 10), (P.TWO, 8), (P.THREE, 12)], 24),
    ([(P.ONE, 10), (P.ALL, 20)], 20),
    ([(P.ONE, 5), (P.UNKNOWN, 20)], 15),
]


@pytest.mark.parametrize(("said", "expected"), PHASES)
def test_of_phases_the_smallest_binds(said: list[tuple[Phase, float]], expected: float) -> None:
    assert profile(T.CONSUMPTION, [block(value, phase=phase) for phase, value in said], VOLTS).at(0) == expected


# (values that overlap, optimum): the one that asks for least; of opposite signs 0
OPTIMA = [([5, 8], 5), ([-5, -8], -5), ([5, -8], 0), ([0, 8], 0), ([-8], -8)]


@pytest.mark.parametrize(("values", "expected"), OPTIMA)
def test_an_optimum_stays_signed_and_of_several_the_least_rules(values: list[float], expected: float) -> None:
    assert profile(T.OPTIMUM, [block(value) for value in values], VOLTS).at(0) == expected


LIVE = {"consumption": [(100, 0, 2), (50, 4, 5)], "generation": [(-80, 0, 2)]}
FALL = {"fallback_consumption": [(20, 0, 3), (10, 5, 6)], "fallback_generation": [(-90, 0, 6)]}
Z = Rules()
# (series, rules, hour, online, consumption, generation)
SIDES = [
    # live, and its sign: row 2
    ({**LIVE, **FALL}, Z, 1, True, 100, 80),
    ({"consumption": [(100, 0, 2)], "generation": [(80, 0, 2)]}, Z, 1, True, 100, 80),
    # offline: the fallback, never wider than what is live (row 1: FR.01.07, FR.02.07)
    ({**LIVE, **FALL}, Z, 1, False, 20, 80),
    # row 10: in a gap of the live series the fallback; after that ends its tightest value; in its gap that and the no-forecast limit
    ({**LIVE, **FALL}, Z, 2.5, True, 20, 90),
    ({**LIVE, **FALL}, Z, 3.5, True, 0, 90),
    ({**LIVE, **FALL}, Rules(15), 3.5, True, 10, 90),
    ({**LIVE, **FALL}, Rules(5), 3.5, True, 5, 90),
    ({**LIVE, **FALL}, Z, 4.5, True, 50, 90),
    ({**LIVE, **FALL}, Z, 4.5, False, 0, 90),
    ({**LIVE, **FALL}, Z, 9, True, 10, 90),
    ({**LIVE, **FALL}, Z, 9, False, 10, 90),
    # no fallback at all
    (LIVE, Z, 1, False, 0, 0),
    (LIVE, Z, 9, True, 0, 0),
    (LIVE, Rules(30), 1, False, 30, 30),
    (LIVE, Rules(200), 1, False, 100, 80),
    # a type never received: row 12
    ({"consumption": [(100, 0, 2)]}, Z, 1, True, 100, 0),
    ({"consumption": [(100, 0, 2)]}, Rules(0, True), 1, True, 100, None),
    ({"consumption": [(100, 0, 2)]}, Rules(0, True), 1, False, 0, None),
    ({"generation": [(-80, 0, 2)]}, Rules(0, True), 1, True, 0, 80),
    ({"consumption": [(9, 0, 2)], "fallback_generation": [(-5, 0, 2)]}, Rules(0, True), 1, True, 9, 5),
    # an optimizer says nothing about limits
    ({"optimum": [(5, 0, 2)]}, Rules(limits=False), 1, True, None, None),
    # no trusted date: each series as its most restrictive value, fallback included (design R8)
    ({**LIVE, **FALL}, Z, None, True, 0, 80),
    ({**LIVE, **FALL}, Rules(7), None, False, 7, 80),
    ({"consumption": [(100, 0, 2)], "fallback_consumption": [(9, 0, 2), (8, 2, 3)]}, Z, None, True, 8, 0),
    ({"consumption": [(100, 0, 2)], "fallback_consumption": [(9, 1, 2)]}, Z, None, True, 0, 0),
    (LIVE, Z, None, True, 0, 0),
    ({"consumption": [(100, 0, 2)]}, Rules(500, True), None, True, 100, None),
]


@pytest.mark.parametrize(("given_", "rules", "hour", "online", "consumption", "generation"), SIDES)
def test_what_holds(  # noqa: PLR0917 - a row of the table
    given_: dict[str, list[tuple[float, float, float]]],
    rules: Rules,
    hour: float | None,
    online: bool,
    consumption: float,
    generation: float,
) -> None:
    said = evaluate(series(**given_), rules, None if hour is None else round(hour * HOUR), online=online)
    assert (said.consumption_w, said.generation_w) == (consumption, generation)


YIELDS = Electrics(230.0, yields_below_va=20_000.0)
A20, A40, W = (20, U.A), (40, U.A), (5_000, U.W)  # 13.8 and 27.6 kVA
# (live and fallback consumption as [value and unit, from, to], hour, online, reactive power yields) row 13; the plant has 20 kVA
AMPERES: list[tuple[list[Any], list[Any], float, bool, bool]] = [
    ([(A20, 0, 2)], [], 1, True, True),
    ([(A40, 0, 2)], [], 1, True, False),  # more than the plant could give: its reactive power is in nobody's way
    ([(W, 0, 2)], [], 1, True, False),
    ([(W, 0, 2), (A20, 1, 2)], [], 0.5, True, False),
    ([(W, 0, 2), (A20, 1, 2)], [], 1, True, True),  # all of them hold
    ([(A20, 0, 2)], [], 3, True, False),
    # a gap of the live series: what the fallback says; its gaps and its end hold its tightest value
    ([(W, 0, 1)], [(A20, 0, 4)], 0.5, True, False),
    ([(W, 0, 1)], [(A20, 0, 4)], 2, True, True),
    ([(W, 0, 1)], [(A20, 0, 4)], 9, True, True),
    ([(W, 0, 1)], [(A20, 2, 4)], 1, True, True),
    # offline both hold
    ([(W, 0, 1)], [(A20, 0, 4)], 0.5, False, True),
    ([(A20, 0, 4)], [(W, 0, 4)], 1, False, True),
    ([(A20, 0, 1)], [(W, 0, 4)], 2, False, False),
]


@pytest.mark.parametrize(("live", "fallback", "hour", "online", "yields"), AMPERES)
def test_reactive_power_yields_where_amperes_bind(live: list[Any], fallback: list[Any], hour: float, online: bool, yields: bool) -> None:
    given_ = {
        kind: profile(kind, [block(capacity, start, end, unit=unit) for (capacity, unit), start, end in rows], YIELDS)
        for kind, rows in ((T.CONSUMPTION, live), (T.FALLBACK_CONSUMPTION, fallback))
        if rows
    }
    assert evaluate(given_, Z, round(hour * HOUR), online=online).no_var == yields
    assert evaluate(given_, Z, None, online=online).no_var == any(unit is U.A and c == 20 for (c, unit), *_ in (*live, *fallback))


def test_without_permission_or_as_a_wish_amperes_move_no_reactive_power() -> None:
    blocks = [block(20, unit=U.A)]
    assert not evaluate({T.CONSUMPTION: profile(T.CONSUMPTION, blocks, VOLTS)}, Z, 0, online=True).no_var
    assert not evaluate({T.OPTIMUM: profile(T.OPTIMUM, blocks, YIELDS)}, Z, 0, online=True).no_var


# (optimum, consumption, generation, followed) FR.01.09
WITHIN = [(24, 32, 10, 24), (40, 32, 10, 32), (-4, 32, 10, -4), (-20, 32, 10, -10), (0, 32, 10, 0)]


@pytest.mark.parametrize(("optimum", "consumption", "generation", "followed"), WITHIN)
def test_an_optimum_lies_within_the_limits_and_ends_with_them(
    optimum: float, consumption: float, generation: float, followed: float
) -> None:
    """FR.01.09, by clamping: types come one a message, so none of them can be refused for another (row 1)."""
    given_ = series(optimum=[(optimum, 0, 1)], consumption=[(consumption, 0, 1)], generation=[(-generation, 0, 1)])
    assert evaluate(given_, Z, 0, online=True).optimum_w == followed
    assert evaluate(given_, Z, 0, online=False).optimum_w is None
    assert evaluate(given_, Z, None, online=True).optimum_w is None
    assert evaluate(given_, Z, HOUR, online=True).optimum_w is None


CAPACITIES = st.integers(0, 1000)
BLOCKS = st.lists(
    st.tuples(CAPACITIES, st.integers(0, 30), st.integers(1, 10)).map(lambda b: (float(b[0]), b[1], b[1] + b[2])), min_size=1, max_size=12
)


def by_hand(blocks: list[tuple[float, float, float]], hour: float) -> float | None:
    """The most restrictive of the blocks that cover an instant, looked up the slow way."""
    return min((capacity for capacity, start, end in blocks if start <= hour < end), default=None)


@given(BLOCKS, st.integers(-4, 180))
def test_a_profile_is_what_its_blocks_say(blocks: list[tuple[float, float, float]], quarter: int) -> None:
    found: Profile = profile(T.CONSUMPTION, [block(*b) for b in blocks], VOLTS)
    hour = quarter / 4
    assert found.at(round(hour * HOUR)) == by_hand(blocks, hour)
    change = found.change_after(round(hour * HOUR))
    assert change > hour * HOUR
    if change < FOREVER_NS:
        assert found.at(change) != found.at(round(hour * HOUR))
        assert all(found.at(t) == found.at(round(hour * HOUR)) for t in (change - 1, (change + round(hour * HOUR)) // 2))


SERIES = st.fixed_dictionaries(
    {"consumption": BLOCKS}, optional={"fallback_consumption": BLOCKS, "generation": BLOCKS, "fallback_generation": BLOCKS}
)


@given(SERIES, st.integers(0, 45), CAPACITIES)
def test_offline_is_never_wider_than_online_where_a_live_block_speaks(
    given_: dict[str, list[tuple[float, float, float]]], hour: int, none_w: int
) -> None:
    """OSCP-5: losing a provider never gives more than it allowed for the same instant, and an unknown date gives least of all."""
    all_of = series(**given_)
    rules = Rules(float(none_w))
    live, lost = (evaluate(all_of, rules, hour * HOUR, online=online) for online in (True, False))
    unknown = evaluate(all_of, rules, None, online=True)
    assert live.consumption_w is not None
    assert lost.consumption_w is not None
    assert lost.consumption_w <= live.consumption_w or by_hand(given_["consumption"], hour) is None
    assert unknown.consumption_w is not None
    assert unknown.consumption_w <= lost.consumption_w
    assert unknown.consumption_w <= live.consumption_w


def test_ten_thousand_overlapping_blocks_are_no_burden() -> None:
    """A megabyte of nonsense becomes a profile in n log n: each block is looked at a few times, not once per other block."""
    found = profile(T.CONSUMPTION, [block(i, i / 100, 200 + i / 100) for i in range(1, 10_000)], VOLTS)
    assert found.at(150 * HOUR) == 1
    assert found.at(250 * HOUR) == 5001
