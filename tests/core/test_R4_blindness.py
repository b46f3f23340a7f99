"""R4: what cannot be seen takes power away at once, and latches nothing; how long a device may be silent, its data-age row decides.

Scenario it was written for: somebody pulls the BMS's cable and puts it back within a second. All of its rows latched, and the plant waited
for a reset that nobody had to think about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PLANT, Q, Rig, Row, S, Slot, config

A, D, E, M = L.Action, L.Direction, L.EventCode, L.Mode
NAN = float("nan")
ANY = L.ResetRule.RESET_ANY
TRIPS = L.BlindRule.BLIND_TRIPS

HIGH = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=A.ACT_OPEN, reset=ANY, dropoff_s=0.1, max_age_s=0.3)
LOW = Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False, action=A.ACT_BLOCK, direction=D.DIR_DISCHARGE, other_cut=0.9, reset=ANY, max_age_s=0.3)
HOT = Row(Q.Q_CELL_TEMP_MAX_C, 55, 50, action=A.ACT_STANDBY, reset=ANY, max_age_s=0.3)
BMS = (Q.Q_CELL_V_MAX, Q.Q_CELL_V_MIN, Q.Q_CELL_TEMP_MAX_C, Q.Q_PACK_V)
AGE = Row(Q.Q_BMS_AGE_S, 1.0, 0.3, action=A.ACT_STANDBY, reset=ANY)


def rig(*rows: Row, target_w: float = 100e3, **words: Any) -> Rig:
    r = Rig(config(rows=rows, slots=(Slot(),), **words)).run()
    r.offer(0, {"target_w": target_w})
    r.tick(5)
    return r


def states(r: Rig, n: int) -> list[int]:
    return list(r.state["row_active"][:n])


def latches(r: Rig, n: int) -> list[int]:
    return list(r.state["row_latched"][:n])


def test_R4_a_cable_that_is_off_for_07_seconds_stops_power_and_latches_nothing() -> None:
    """The scenario: a BMS cable off for 0.7 s."""
    r = rig(HIGH, LOW, HOT, AGE)
    r.freeze(*BMS)
    r.tick(70)
    assert (r.power_w, states(r, 4), latches(r, 4)) == (0, [2, 2, 2, 0], [0, 0, 0, 0])
    assert (r.h.out["cmd_open"][0], r.h.out["cmd_run"][0], r.state["mode"]) == (0, 1, M.MODE_RUN), "blindness stops power, not machines"
    r.frozen.clear()
    r.tick(40)
    assert (r.power_w, states(r, 4)) == (100e3, [0, 0, 0, 0]), "no reset was needed"


def test_R4_the_data_age_row_latches_a_silence_that_lasts() -> None:
    r = rig(HIGH, LOW, HOT, AGE)
    r.freeze(*BMS)
    r.tick(120)
    assert (latches(r, 4), r.state["mode"]) == ([0, 0, 0, 1], M.MODE_TRIPPED)
    r.frozen.clear()
    r.tick(100)
    assert r.power_w == 0
    r.local(L.CommandCode.CMD_RESET)
    r.tick()
    r.disk()
    r.tick(40)
    assert r.state["mode"] == M.MODE_RUN


@pytest.mark.parametrize(
    ("row", "interval"),
    [
        (HIGH, (0, 0)),
        (replace(HIGH, action=A.ACT_WARN), (-200e3, 200e3)),
        (replace(HIGH, action=A.ACT_ZERO), (0, 0)),
        (replace(HIGH, action=A.ACT_BLOCK, direction=D.DIR_CHARGE), (0, 200e3)),
        (replace(LOW, quantity=Q.Q_CELL_V_MAX), (-20e3, 0)),
        (replace(HIGH, action=A.ACT_DERATE, curve=((3.4, 1.0), (3.6, 0.0))), (0, 0)),
    ],
)
@pytest.mark.parametrize("delay_s", [0.0, 5.0])
def test_R4_blindness_acts_in_its_own_direction_without_delay(row: Row, interval: tuple[float, float], delay_s: float) -> None:
    r = rig(replace(row, pickup_s=delay_s))
    r.set(Q.Q_CELL_V_MAX, NAN)
    state = r.tick()
    assert (state["device_lo_w"], state["device_hi_w"]) == pytest.approx(interval)


def test_R4_it_acts_on_until_the_value_was_well_for_the_drop_off_delay() -> None:
    r = rig(replace(HIGH, pickup_s=0.2))
    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick()
    for value, n in ((3.3, 9), (NAN, 1), (3.3, 9), (3.65, 5), (3.3, 10)):
        r.set(Q.Q_CELL_V_MAX, value)
        r.tick(n)
        assert states(r, 1) == [2], value
    r.tick()
    assert states(r, 1) == [0]


def test_R4_a_value_that_comes_back_beyond_its_threshold_latches_by_what_is_seen() -> None:
    r = rig(replace(HIGH, pickup_s=0.05))
    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick(10)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(5)
    assert (states(r, 1), latches(r, 1), r.power_w) == ([2], [0], 0), "no gap between the two"
    r.tick()
    assert (states(r, 1), latches(r, 1)) == ([1], [1])
    assert [event["value"] == 3.7 for event in r.events(E.EV_ROW_PICKUP)] == [False, True]


def test_R4_blindness_between_pickup_and_drop_off_is_over_when_it_sees() -> None:
    """3.55 V is between 3.5 and 3.6: it was not beyond before the cable went, and it is not beyond now."""
    r = rig(HIGH)
    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick(3)
    r.set(Q.Q_CELL_V_MAX, 3.55)
    r.tick(12)
    assert (states(r, 1), latches(r, 1)) == ([0], [0])


def test_R4_a_row_that_was_beyond_stays_so_through_its_blindness() -> None:
    r = rig(replace(HIGH, reset=L.ResetRule.RESET_AUTO))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick(50)
    r.set(Q.Q_CELL_V_MAX, 3.55)
    r.tick(50)
    assert states(r, 1) == [1], "back is only what is seen past the drop-off"


def test_R4_a_latched_row_that_went_blind_can_be_reset_and_still_gives_no_power() -> None:
    """The contactors a row opened may hide its value for good: the reset is the operator's to give, and blindness goes on acting."""
    r = rig(replace(HIGH, action=A.ACT_ZERO))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick()
    r.local(L.CommandCode.CMD_RESET)
    r.tick()
    r.disk()
    r.tick(60)
    assert (latches(r, 1), states(r, 1), r.power_w) == ([0], [2], 0)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(30)
    assert (states(r, 1), r.power_w) == ([1], 0), "what is seen is beyond, so it goes on"


@pytest.mark.parametrize(("seconds", "latched"), [(0.29, 0), (0.32, 1)])
def test_R4_an_input_that_trips_unseen_is_beyond_when_it_is_too_old(seconds: float, latched: int) -> None:
    """R13: a broken wire is an emergency stop."""
    row = Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, action=A.ACT_STANDBY, reset=ANY, blind=TRIPS, max_age_s=0.3)
    r = Rig(config(rows=(row,), slots=(Slot(),)))
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.run()
    r.freeze(Q.Q_INPUT_0, place=PLANT)
    r.tick(round(seconds * 100))
    assert latches(r, 1) == [latched]
    assert bool(r.state["flags"] & L.Flag.FLAG_INPUT_LOST) is bool(latched)


INPUTS = [Row(quantity, 1, 0, unit=PLANT, action=A.ACT_WARN, max_age_s=0.3) for quantity in (Q.Q_INPUT_0, Q.Q_INPUT_LAST)]


@pytest.mark.parametrize("lost", [(), (0,), (1,), (0, 1), (2,)], ids=str)
def test_R4_inputs_that_cannot_be_read_are_told_together_and_nothing_else_is(lost: tuple[int, ...]) -> None:
    """R13: the first and the last input, and a row that is on none."""
    r = Rig(config(rows=(*INPUTS, replace(HIGH, action=A.ACT_WARN)), slots=(Slot(),)))
    for row in INPUTS:
        r.set(row.quantity, 0, place=PLANT)
    r.run()
    for which in lost:
        r.freeze((Q.Q_INPUT_0, Q.Q_INPUT_LAST, Q.Q_CELL_V_MAX)[which], place=0 if which == 2 else PLANT)
    r.tick(50)
    assert bool(r.state["flags"] & L.Flag.FLAG_INPUT_LOST) is (0 in lost or 1 in lost)
    r.frozen.clear()
    r.tick(2)
    assert not r.state["flags"] & L.Flag.FLAG_INPUT_LOST
    assert [bool(event["value"]) for event in r.events(E.EV_FLAG)] == [True, False] * (0 in lost or 1 in lost)


def test_R4_since_when_a_row_acts_is_when_it_began_to_whatever_it_sees_meanwhile() -> None:
    r = rig(HIGH, replace(HIGH, pickup=9.0, dropoff=8.0))

    def since() -> list[int]:
        return list(r.state["row_since_ns"][:2])

    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick()
    blind = r.now_ns
    assert since() == [blind, blind]
    r.tick(10)
    assert since() == [blind, blind], "still the same blindness"
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(20)
    beyond = blind + 11 * 10_000_000
    assert since() == [beyond, blind], "the first sees that it is beyond, the second that all is well"
    r.set(Q.Q_CELL_V_MAX, NAN)
    r.tick(5)
    assert since() == [beyond, r.now_ns - 4 * 10_000_000], "what is active stays so when it goes blind"


def test_R4_every_row_of_a_lost_device_is_told_though_one_tick_has_no_room_for_all() -> None:
    """32 events fit in a tick; what found no room is told in the next, latches included."""
    rows = tuple(replace(HIGH, pickup=3.6 + i / 1000, action=A.ACT_ZERO) for i in range(40))
    r = rig(*rows)
    r.set(Q.Q_CELL_V_MAX, 3.9)
    r.tick(5)
    for code in (E.EV_ROW_PICKUP, E.EV_ROW_LATCHED):
        assert sorted(event["row"] for event in r.events(code)) == list(range(40))


def test_R4_soc_that_stands_still_while_energy_flows_is_no_soc_until_it_moves() -> None:
    """R4: 200 kW out of 100 kWh for 90 s are 5 %: a SoC that shows none of it is frozen."""
    low = Row(Q.Q_SOC_PCT, 5, 8, above=False, action=A.ACT_BLOCK, direction=D.DIR_DISCHARGE)
    r = rig(low, soc_stuck_pct=4.0, unit_wh=100e3)
    r.set(Q.Q_PACK_A, 260.0)  # at 768 V
    for _ in range(100):
        r.tick(1, S // 2)
    assert states(r, 1) == [0]
    for _ in range(100):
        r.tick(1, S // 2)
    assert (states(r, 1), bool(r.state["flags"] & L.Flag.FLAG_SOC_FROZEN), r.state["device_hi_w"]) == ([2], True, 0)
    assert r.state["device_lo_w"] == -200e3, "charging is still allowed"
    r.set(Q.Q_SOC_PCT, 49.0)
    r.tick(2)
    assert (states(r, 1), bool(r.state["flags"] & L.Flag.FLAG_SOC_FROZEN)) == ([0], False)
    assert [event["value"] for event in r.events(E.EV_FLAG)] == [1.0, 0.0]
