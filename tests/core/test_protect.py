"""The protection table: a row picks up, drops off, latches and is reset by its numbers alone, and what cannot be seen is violated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, Row, S, Slot, config

A = L.Action
D = L.Direction
E = L.EventCode
RESET = L.CommandCode.CMD_RESET
NAN, INF = float("nan"), float("inf")

OVER = Row(Q.Q_CELL_V_MAX, 3.6, 3.5)
UNDER = Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False)
LATCHING = replace(OVER, action=A.ACT_STANDBY, reset=L.ResetRule.RESET_ANY)


def rig(*rows: Row, units: int = 1, target_w: float | None = 100e3) -> Rig:
    r = Rig(config(units, rows=rows, slots=(Slot(),))).run()
    if target_w is not None:
        r.offer(0, {"target_w": target_w})
    r.tick(5)
    return r


def active(r: Rig, row: int = 0) -> bool:
    return bool(r.state["row_active"][row])


def latched(r: Rig, row: int = 0) -> bool:
    return bool(r.state["row_latched"][row])


@pytest.mark.parametrize(
    ("row", "value", "beyond"),
    [
        # above: at the pickup is beyond
        (OVER, 3.5999, False),
        (OVER, 3.6, True),
        (OVER, 3.7, True),
        # below: likewise
        (UNDER, 2.8001, False),
        (UNDER, 2.8, True),
        (UNDER, 2.7, True),
        # what is no number
        (OVER, NAN, True),
        (UNDER, NAN, True),
        (OVER, INF, True),
        (OVER, -INF, True),
        (UNDER, INF, True),
        (UNDER, -INF, True),
    ],
)
def test_a_row_picks_up_at_its_threshold_and_when_its_value_is_no_number(row: Row, value: float, beyond: bool) -> None:
    """CARD-1: detection and command in the same tick."""
    r = rig(row)
    r.set(row.quantity, value)
    r.tick()
    assert (active(r), r.power_w) == (beyond, 0 if beyond else 100e3)


@pytest.mark.parametrize(
    ("row", "value", "back"),
    [
        (OVER, 3.5001, False),
        (OVER, 3.5, True),
        (UNDER, 2.8999, False),
        (UNDER, 2.9, True),
        (OVER, NAN, False),
        (UNDER, INF, False),
    ],
)
def test_a_row_drops_off_past_its_own_threshold_and_never_unseen(row: Row, value: float, back: bool) -> None:
    r = rig(row)
    r.set(row.quantity, row.pickup)
    r.tick()
    r.set(row.quantity, value)
    r.tick()
    assert active(r) is not back


@pytest.mark.parametrize("age_ns", [0, 999_999_999, S, S + 1, 5 * S])
def test_R4_a_value_counts_until_it_is_older_than_the_row_allows(age_ns: int) -> None:
    """The age runs from when the request was sent."""
    r = rig(OVER)
    r.freeze(Q.Q_CELL_V_MAX)
    r.h.set(0, Q.Q_CELL_V_MAX, 3.3, r.now_ns + PERIOD_NS - age_ns)
    r.tick()
    assert active(r) is (age_ns > S)


def test_an_event_of_what_could_not_be_seen_carries_no_value() -> None:
    """The last good value beside its threshold would send the operator to the wrong cause: the cells are well, the cable is not."""
    r = rig(LATCHING)
    r.freeze(Q.Q_CELL_V_MAX)
    r.tick(150)
    told = {event["code"]: event["value"] for event in r.seen}
    assert told[E.EV_ROW_PICKUP] != told[E.EV_ROW_PICKUP], "NaN"


def test_a_value_that_never_came_is_a_violation() -> None:
    r = Rig(config(rows=(Row(Q.Q_SOH_PCT, 0, 1, above=False),)))
    r.tick(50)
    assert active(r)
    assert r.power_w == 0


@pytest.mark.parametrize(("delay_s", "ticks"), [(0.0, 1), (0.01, 2), (0.03, 4), (0.1, 11)])
def test_pickup_waits_for_its_delay_in_real_elapsed_time(delay_s: float, ticks: int) -> None:
    r = rig(replace(OVER, pickup_s=delay_s))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(ticks - 1)
    assert not active(r)
    r.tick()
    assert (active(r), r.power_w) == (True, 0)
    late = rig(replace(OVER, pickup_s=delay_s))
    late.set(Q.Q_CELL_V_MAX, 3.7)
    late.tick()
    late.tick(1, S)
    assert active(late), "one late tick counts for the time it took"


@pytest.mark.parametrize(("delay_s", "ticks"), [(0.0, 1), (0.02, 3), (0.1, 11)])
def test_drop_off_waits_for_its_delay(delay_s: float, ticks: int) -> None:
    r = rig(replace(OVER, dropoff_s=delay_s))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick(ticks - 1)
    assert not ticks > 1 or active(r)
    r.tick()
    assert not active(r)


def test_a_delay_starts_anew_when_the_value_returns_between() -> None:
    r = rig(replace(OVER, pickup_s=0.05, dropoff_s=0.05))
    for _ in range(5):
        r.set(Q.Q_CELL_V_MAX, 3.7)
        r.tick(5)
        r.set(Q.Q_CELL_V_MAX, 3.59)
        r.tick()
        assert not active(r)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(6)
    assert active(r)
    for _ in range(5):
        r.set(Q.Q_CELL_V_MAX, 3.3)
        r.tick(5)
        r.set(Q.Q_CELL_V_MAX, 3.51)
        r.tick()
        assert active(r)


def test_within_the_band_a_row_keeps_its_state() -> None:
    r = rig(Row(Q.Q_SOC_PCT, 10, 15, above=False))
    for soc, expected in ((12, False), (10, True), (12, True), (14.9, True), (15, False), (12, False)):
        r.set(Q.Q_SOC_PCT, soc)
        r.tick()
        assert active(r) is expected, soc


def test_each_pickup_and_drop_off_is_told_once() -> None:
    r = rig(OVER)
    for value in (3.7, 3.7, 3.3, 3.3):
        r.set(Q.Q_CELL_V_MAX, value)
        r.tick()
    (up,) = r.events(E.EV_ROW_PICKUP)
    (down,) = r.events(E.EV_ROW_DROPOFF)
    assert (up["row"], up["place"], up["value"], up["limit"], up["level"]) == (0, 0, 3.7, 3.6, 2)
    assert (down["row"], down["at_ns"] - up["at_ns"]) == (0, 2 * PERIOD_NS)


BITS = Row(Q.Q_BMS_ALARM, 1, 0, test=L.RowTest.TEST_BITS, mask=0b0110)
STATES = Row(Q.Q_BMS_ALARM, 1, 0, test=L.RowTest.TEST_STATES, mask=1 << 3 | 1 << 5)
TOP, LAST = replace(BITS, mask=1 << 31), replace(STATES, mask=1 << 31)
ALL = 2.0**32


@pytest.mark.parametrize(
    ("row", "value", "beyond"),
    [
        # bits: those of the mask alone
        (BITS, 0, False), (BITS, 0b1001, False), (BITS, 0b0010, True), (BITS, 0b0100, True), (BITS, 0b1111, True),
        (TOP, ALL / 2 - 1, False), (TOP, ALL / 2, True), (TOP, ALL - 1, True),
        # a field that is none has all its bits
        (BITS, -1, True), (BITS, ALL, True), (BITS, 1.5 * ALL, True), (BITS, 3 * ALL, True), (BITS, NAN, True),
        # a code is one of those named
        (STATES, 0, False), (STATES, 2, False), (STATES, 3, True), (STATES, 4, False), (STATES, 5, True), (STATES, 31, False),
        # beyond the last state, and what is no code, counts as the last
        (LAST, 30, False), (LAST, 31, True), (LAST, 32, True), (LAST, 1000, True), (LAST, -1, True), (LAST, ALL, True),
        (LAST, 2 * ALL, True), (STATES, 35, False), (STATES, -1, False), (STATES, ALL + 3, False),
    ],
)  # fmt: skip
def test_bits_and_states_are_judged_by_their_mask(row: Row, value: float, beyond: bool) -> None:
    r = Rig(config(rows=(row,), slots=(Slot(),)))
    r.set(row.quantity, 0)
    r.run().offer(0, {"target_w": 100e3})
    r.tick(5)
    assert r.power_w == 100e3
    r.set(row.quantity, value)
    r.tick()
    assert (active(r), r.power_w) == (beyond, 0 if beyond else 100e3)


# --- actions ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "direction", "interval", "run", "opened"),
    [
        (A.ACT_WARN, D.DIR_BOTH, (-200e3, 200e3), 1, 0),
        (A.ACT_BLOCK, D.DIR_CHARGE, (0, 200e3), 1, 0),
        (A.ACT_BLOCK, D.DIR_DISCHARGE, (-200e3, 0), 1, 0),
        (A.ACT_BLOCK, D.DIR_BOTH, (0, 0), 1, 0),
        (A.ACT_ZERO, D.DIR_BOTH, (0, 0), 1, 0),
        (A.ACT_STANDBY, D.DIR_BOTH, (0, 0), 2, 0),
        (A.ACT_OPEN, D.DIR_BOTH, (0, 0), 0, 0),  # first power and PCS, then the contactors: test_R13_contactor.py
    ],
)
def test_what_each_action_takes_away(action: int, direction: int, interval: tuple[float, float], run: int, opened: int) -> None:
    r = rig(replace(OVER, action=action, direction=direction))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    state = r.tick()
    assert (state["device_lo_w"], state["device_hi_w"]) == interval
    assert (r.h.out["cmd_run"][0], r.h.out["cmd_open"][0]) == (run, opened)
    if action != A.ACT_WARN:
        sides = [side for side, w in (("lo", interval[0]), ("hi", interval[1])) if w == 0]
        assert [r.side(side)[1:] for side in sides] == [(L.BindKind.BIND_ROW, 0)] * len(sides)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    state = r.tick()
    assert (state["device_lo_w"], state["device_hi_w"]) == (-200e3, 200e3)


def test_the_strongest_of_several_rows_is_named() -> None:
    rows = (OVER, replace(OVER, action=A.ACT_OPEN), replace(OVER, action=A.ACT_STANDBY))
    r = rig(*rows)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    assert r.side("hi")[1:] == (L.BindKind.BIND_ROW, 1)
    assert r.h.out["cmd_run"][0] == 0


CURVE = ((45.0, 1.0), (50.0, 0.5), (50.0, 0.2), (60.0, 0.0))
DERATE = Row(Q.Q_CELL_TEMP_MAX_C, 45, 44, action=A.ACT_DERATE, tier=L.Tier.TIER_DERATE, curve=CURVE)


@pytest.mark.parametrize(
    ("celsius", "share"),
    [
        # before the first point, at each, between them, a vertical step, behind the last
        (-40, 1.0),
        (45, 1.0),
        (46, 0.9),
        (47.5, 0.75),
        (50, 0.5),
        (50.000001, 0.2),
        (55, 0.1),
        (60, 0.0),
        (99, 0.0),
        # nothing to see
        (NAN, 0.0),
        (-INF, 0.0),
    ],
)
def test_derating_follows_its_polyline_and_missing_data_is_nothing(celsius: float, share: float) -> None:
    r = rig(DERATE)
    r.set(Q.Q_CELL_TEMP_MAX_C, celsius)
    state = r.tick()
    assert state["device_hi_w"] == pytest.approx(200e3 * share, abs=0.01)
    assert state["device_lo_w"] == pytest.approx(-200e3 * share, abs=0.01)
    assert r.power_w == pytest.approx(min(100e3, 200e3 * share), abs=1.01)
    if 0 < share < 1:
        assert r.side("hi")[1:] == (L.BindKind.BIND_ROW, 0)


@pytest.mark.parametrize(
    ("direction", "lo", "hi"),
    [(D.DIR_CHARGE, -100e3, 200e3), (D.DIR_DISCHARGE, -200e3, 100e3), (D.DIR_BOTH, -100e3, 100e3)],
)
def test_derating_takes_away_its_own_direction(direction: int, lo: float, hi: float) -> None:
    r = rig(replace(DERATE, direction=direction))
    r.set(Q.Q_CELL_TEMP_MAX_C, 50)
    state = r.tick()
    assert (state["device_lo_w"], state["device_hi_w"]) == (lo, hi)


def test_a_curve_of_one_point_and_one_of_none() -> None:
    for curve, share in ((((45.0, 0.5),), 0.5), ((), 0.0)):
        r = rig(replace(DERATE, curve=curve))
        assert r.tick()["device_hi_w"] == 200e3 * share


@pytest.mark.parametrize("blind", [L.BlindRule.BLIND_HOLDS, L.BlindRule.BLIND_TRIPS])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_what_is_no_number_derates_to_nothing_also_where_the_curve_ends_above_0(value: float, blind: int) -> None:
    r = rig(replace(DERATE, blind=blind, curve=((45.0, 0.9), (60.0, 0.3))))
    r.set(Q.Q_CELL_TEMP_MAX_C, 70)
    assert r.tick()["device_hi_w"] == pytest.approx(60e3)
    r.set(Q.Q_CELL_TEMP_MAX_C, value)
    assert r.tick()["device_hi_w"] == 0


def test_old_data_derates_to_nothing() -> None:
    r = rig(DERATE)
    r.freeze(Q.Q_CELL_TEMP_MAX_C)
    r.tick(90)
    assert r.power_w == 100e3
    r.tick(20)
    assert r.power_w == 0


def test_the_lowest_of_several_curves_binds() -> None:
    r = rig(DERATE, replace(DERATE, quantity=Q.Q_CELL_TEMP_MIN_C))
    r.set(Q.Q_CELL_TEMP_MAX_C, 46)
    r.set(Q.Q_CELL_TEMP_MIN_C, 49)
    state = r.tick()
    assert state["device_hi_w"] == pytest.approx(120e3)
    assert r.side("hi")[1:] == (L.BindKind.BIND_ROW, 1)


# --- places -------------------------------------------------------------------------------------------------------------------------------


def test_a_row_of_one_unit_leaves_the_others_alone() -> None:
    r = rig(replace(LATCHING, unit=1), units=3, target_w=300e3)
    r.set(Q.Q_CELL_V_MAX, 3.7, place=1)
    state = r.tick()
    assert [state["unit_hi_w"][unit] for unit in range(3)] == [200e3, 0, 200e3]
    assert list(r.h.out["cmd_run"][:3]) == [1, 2, 1]
    assert state["mode"] == L.Mode.MODE_RUN, "the plant runs on with what is left"
    assert r.power_w == 300e3


def test_a_row_of_the_plant_takes_all_units() -> None:
    row = Row(Q.Q_PCC_HZ, 51.5, 51.0, unit=PLANT, action=A.ACT_STANDBY, reset=L.ResetRule.RESET_ANY)
    array = config(3, rows=(row,), slots=(Slot(),))
    r = Rig(array)
    r.set(Q.Q_PCC_HZ, 50.0, place=PLANT)
    r.run()
    r.set(Q.Q_PCC_HZ, 52.0, place=PLANT)
    state = r.tick()
    assert [state["unit_hi_w"][unit] for unit in range(3)] == [0, 0, 0]
    assert {(state["unit_hi_bind"][unit], state["unit_hi_bind_id"][unit]) for unit in range(3)} == {(L.BindKind.BIND_ROW, 0)}
    assert state["mode"] == L.Mode.MODE_TRIPPED


def test_a_curve_of_the_plant_derates_each_unit() -> None:
    row = Row(Q.Q_PCC_HZ, 50.2, 50.1, unit=PLANT, action=A.ACT_DERATE, curve=((50.2, 1.0), (51.2, 0.0)))
    r = Rig(config(2, rows=(row,)))
    r.set(Q.Q_PCC_HZ, 50.7, place=PLANT)
    r.run()
    assert r.state["device_hi_w"] == pytest.approx(200e3)


def test_R5_what_was_only_missing_at_start_holds_nothing_once_it_is_there() -> None:
    """R5: rows that were active for want of data are idle when the plant runs, whatever their drop-off delay; power follows at once."""
    r = Rig(config(rows=(replace(OVER, dropoff_s=60.0),)))
    r.frozen.update(r.values)
    r.tick(20)
    assert r.h.state["row_active"][0]
    r.frozen.clear()
    r.run()
    assert not r.h.state["row_active"][0]
    r.offer(0, {"target_w": 50_000.0})
    r.tick(20)
    assert r.power_w == 50_000.0


def test_rows_that_speak_all_at_once_leave_eight_events_of_the_tick_to_others_and_tell_the_rest_in_the_next() -> None:
    """A tick has 32 events; a storm of rows must not hide a change of mode."""
    rows = tuple(Row(Q.Q_CELL_V_MAX, 3.5, 3.4, action=L.Action.ACT_WARN, tier=L.Tier.TIER_WARN) for _ in range(40))
    r = Rig(config(rows=rows, slots=(Slot(),))).run()
    r.seen.clear()
    r.set(Q.Q_CELL_V_MAX, 3.6)
    told = []
    for _ in range(3):
        r.tick()
        told.append(len(r.events(L.EventCode.EV_ROW_PICKUP)))
    assert told == [24, 40, 40]
