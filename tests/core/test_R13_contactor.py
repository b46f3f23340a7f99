"""R13: contactors open after power and PCS, close before them, and nothing closes by itself.

Scenario it was written for: a fire input opens; the contactors must not break the full current of the battery, and when the alarm is
released nobody wants a battery to connect itself to a burnt cable.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bessctl_core import layout as L
from tests.core.rig import PLANT, Q, Rig, Row, Slot, config

A, E, M = L.Action, L.EventCode, L.Mode
RESET, START = L.CommandCode.CMD_RESET, L.CommandCode.CMD_START
OFF, RUNNING, STANDBY = 0, 3, 7
DISCONNECTED, INITIALIZING, CONNECTED, FAULT = 1, 2, 3, 99
STOP, RUN, REST = 0, 1, 2
CLOSED, OPENING, OPEN, CLOSING, GAVE_UP = range(1, 6)

FIRE = Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, action=A.ACT_OPEN, reset=L.ResetRule.RESET_LOCAL, blind=L.BlindRule.BLIND_TRIPS, max_age_s=0.3)
FAULTY = Row(Q.Q_CONTACTOR_FAULT, 1, 0, action=A.ACT_WARN, tier=L.Tier.TIER_WARN)


def plant(*rows: Row, bank: int = CONNECTED, run: bool = True) -> Rig:
    r = Rig(config(rows=rows or (FIRE, FAULTY), slots=(Slot(),)))
    r.set(Q.Q_BMS_STATE, bank)
    r.set(Q.Q_DC_V, 768.0 if bank == CONNECTED else 0.0)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.offer(0, {"target_w": 100e3})
    return r.run() if run else r


def order(r: Rig) -> tuple[int, int, int]:
    return r.h.out["cmd_run"][0], r.h.out["cmd_open"][0], r.h.out["cmd_close"][0]


def fire(r: Rig) -> None:
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.set(Q.Q_PACK_A, 130.0)
    r.set(Q.Q_DC_A, 130.0)
    r.tick()


def put_out(r: Rig) -> None:
    """PCS off, current gone, contactors open, fire out."""
    r.set(Q.Q_PCS_STATE, OFF)
    r.set(Q.Q_PACK_A, 0.5)
    r.set(Q.Q_DC_A, 0.5)
    r.tick(2)
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.tick(2)


def reset(r: Rig) -> None:
    r.local(RESET)
    r.tick()
    r.disk()
    r.tick(2)


def test_R13_first_power_then_the_pcs_then_the_contactors() -> None:
    """The scenario: a fire input at 130 A."""
    r = plant()
    fire(r)
    assert (r.power_w, order(r)) == (0, (STOP, 0, 0)), "power and stop in the tick of the fire, nothing is broken yet"
    r.tick(50)
    assert order(r) == (STOP, 0, 0), "the PCS still runs"
    r.set(Q.Q_PCS_STATE, OFF)
    r.tick(20)
    assert order(r) == (STOP, 0, 0), "a current still flows"
    r.set(Q.Q_PACK_A, 4.9)
    r.tick(2)
    assert order(r) == (STOP, 1, 0)


@pytest.mark.parametrize(("pcs", "amps"), [(RUNNING, 130.0), (OFF, 130.0), (RUNNING, 0.0)])
def test_R13_after_its_time_it_opens_whatever_flows(pcs: int, amps: float) -> None:
    r = plant()
    fire(r)
    r.set(Q.Q_PCS_STATE, pcs)
    r.set(Q.Q_PACK_A, amps)
    r.set(Q.Q_DC_A, amps)
    r.tick(199)
    assert order(r) == (STOP, 0, 0)
    r.tick(1)
    assert order(r) == (STOP, 1, 0)


def test_R13_a_current_measured_before_the_order_proves_nothing() -> None:
    r = plant()
    r.freeze(Q.Q_PACK_A, Q.Q_DC_A)
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.set(Q.Q_PCS_STATE, OFF)
    r.tick(20)
    assert order(r) == (STOP, 0, 0), "the last sample says 0 A, and is older than the fire"


def test_R13_a_release_never_closes_and_a_reset_closes_before_the_pcs_starts() -> None:
    r = plant()
    fire(r)
    put_out(r)
    assert r.state["unit_contactor"][0] == OPEN
    r.tick(300)
    assert (order(r), r.state["mode"]) == ((STOP, 1, 0), M.MODE_TRIPPED), "released is not reset"
    reset(r)
    r.set(Q.Q_PCS_STATE, STANDBY)
    r.tick(30)
    assert (order(r), r.power_w) == ((REST, 0, 1), 0), "the battery first"
    r.set(Q.Q_BMS_STATE, INITIALIZING)
    r.tick(30)
    assert order(r)[0] == REST
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.set(Q.Q_DC_V, 600.0)
    r.tick(30)
    assert order(r)[0] == REST, "connected, and not yet precharged"
    r.set(Q.Q_DC_V, 760.0)
    r.tick(40)
    assert (order(r), r.state["unit_contactor"][0], r.state["mode"]) == ((RUN, 0, 0), CLOSED, M.MODE_RUN)


def test_R13_what_trips_again_while_it_closes_opens_again() -> None:
    r = plant()
    fire(r)
    put_out(r)
    reset(r)
    r.tick(10)
    assert r.state["unit_contactor"][0] == CLOSING
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(2)
    assert (order(r)[2], r.state["unit_contactor"][0] in (OPENING, OPEN)) == (0, True)


def test_R13_three_tries_then_it_waits_for_the_operator() -> None:
    r = plant(bank=DISCONNECTED, run=False)
    r.tick(2)
    assert (order(r), r.state["unit_contactor"][0]) == ((REST, 0, 1), CLOSING), "a cold start connects what is open"
    r.tick(3100)
    assert (order(r)[2], r.state["unit_contactor"][0], bool(r.state["flags"] & L.Flag.FLAG_CONTACTOR)) == (0, GAVE_UP, True)
    assert [event["value"] for event in r.events(E.EV_CONTACTOR) if event["detail"] == CLOSING] == [1, 2, 3]
    r.tick(3000)
    assert order(r)[2] == 0
    r.local(START)
    r.tick()
    r.disk()
    r.tick(3)
    assert order(r)[2] == 1


def test_R13_a_battery_that_opens_by_itself_is_not_connected_again_while_we_run() -> None:
    r = plant()
    r.tick(20)
    assert r.power_w == 100e3
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.tick(200)
    assert (order(r), r.power_w, r.state["row_active"][1], r.state["unit_contactor"][0]) == ((REST, 0, 0), 0, 1, OPEN)


@pytest.mark.parametrize("state", [INITIALIZING, FAULT])
def test_R13_a_battery_that_is_not_connected_carries_nothing(state: int) -> None:
    r = plant()
    r.tick(20)
    r.set(Q.Q_BMS_STATE, state)
    r.tick(2)
    assert (r.power_w, order(r)) == (0, (REST, 0, 0))


def test_R13_contactors_that_do_not_open_are_a_fault() -> None:
    r = plant()
    fire(r)
    r.set(Q.Q_PCS_STATE, OFF)
    r.set(Q.Q_PACK_A, 0.0)
    r.tick(3)
    assert r.state["row_active"][1] == 1
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.tick(3)
    assert r.state["row_active"][1] == 0


def test_R13_the_voltage_behind_open_contactors_is_no_under_voltage() -> None:
    """802 V is measured outside of them: 0 V would latch the pack's under-voltage, and nothing could ever close again."""
    low = Row(Q.Q_PACK_V, 655, 700, above=False, action=A.ACT_BLOCK, reset=L.ResetRule.RESET_ANY)
    r = plant(FIRE, low)
    fire(r)
    r.set(Q.Q_PCS_STATE, OFF)
    r.set(Q.Q_PACK_A, 0.0)
    r.set(Q.Q_DC_A, 0.0)
    r.tick(2)
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.tick()
    r.set(Q.Q_PACK_V, 0.0)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.tick(100)
    assert (r.state["row_active"][1], r.state["row_latched"][1]) == (2, 0)
    reset(r)
    r.tick(5)
    assert order(r)[2] == 1, "and it closes with the voltage unseen"
    assert replace(low).quantity == Q.Q_PACK_V


def test_R13_a_bms_without_a_state_is_taken_at_its_data() -> None:
    r = Rig(config(slots=(Slot(),)))
    r.offer(0, {"target_w": 100e3})
    r.run()
    r.tick(5)
    assert (r.power_w, order(r), r.state["unit_contactor"][0]) == (100e3, (RUN, 0, 0), 0)


# --- by the codes of SunSpec 802 and 701 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bank", [0, 1, 2, 3, 4, 5, 6, 7, 99])
def test_R13_a_battery_is_loaded_in_every_state_in_which_its_contactors_are_closed(bank: int) -> None:
    """802 State: connected, standby, SoC protection, suspending."""
    r = plant()
    r.set(Q.Q_BMS_STATE, bank)
    r.tick(2)
    assert (order(r)[0], r.power_w > 0) == ((RUN, True) if 3 <= bank <= 6 else (REST, False))


@pytest.mark.parametrize("pcs", range(9))
def test_R13_contactors_open_once_the_pcs_rests(pcs: int) -> None:
    """701 InvSt: off, sleeping, standby."""
    r = plant()
    r.set(Q.Q_PCS_STATE, pcs)
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(2)
    assert order(r)[1] == (pcs in (OFF, 1, STANDBY))


def test_R13_a_pcs_that_said_long_ago_that_it_rests_is_no_resting_one() -> None:
    r = plant()
    r.set(Q.Q_PCS_STATE, OFF)
    r.tick()
    r.freeze(Q.Q_PCS_STATE)
    r.tick(101)
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(5)
    assert order(r)[1] == 0


@pytest.mark.parametrize(
    ("dc_a", "pack_a", "opens"),
    [(4.9, 90.0, 1), (90.0, 4.9, 1), (-4.9, 90.0, 1), (5.0, 90.0, 0), (-5.1, -90.0, 0), (90.0, -5.0, 0), (float("nan"), float("nan"), 0)],
)
def test_R13_one_of_the_two_currents_below_its_limit_is_enough(dc_a: float, pack_a: float, opens: int) -> None:
    """PCS and BMS measure the same current, and not every site has both."""
    r = plant()
    r.set(Q.Q_PCS_STATE, OFF)
    r.set(Q.Q_DC_A, dc_a)
    r.set(Q.Q_PACK_A, pack_a)
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(2)
    assert order(r)[1] == opens


@pytest.mark.parametrize(
    ("dc_v", "ready"), [(768.0, True), (730.0, True), (729.0, False), (806.0, True), (807.0, False), (0.0, False), (float("nan"), False)]
)
def test_R13_precharged_is_within_5_percent_of_the_packs_voltage(dc_v: float, ready: bool) -> None:
    r = plant(bank=DISCONNECTED, run=False)
    r.tick(2)
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.set(Q.Q_DC_V, dc_v)
    r.tick(40)
    assert (r.state["unit_contactor"][0] == CLOSED) is ready
    assert order(r)[0] == (RUN if ready else REST)


@pytest.mark.parametrize("unmeasured", [Q.Q_DC_V, Q.Q_PACK_V])
def test_R13_where_nobody_measures_both_voltages_the_word_of_the_bms_counts(unmeasured: int) -> None:
    r = plant(bank=CONNECTED, run=False)
    del r.values[0, unmeasured]
    r.run()
    assert r.state["unit_contactor"][0] == CLOSED


def test_R13_a_voltage_that_does_not_come_any_more_is_no_precharge() -> None:
    r = plant(bank=DISCONNECTED, run=False)
    r.tick(2)
    r.set(Q.Q_DC_V, 768.0)
    r.tick()
    r.freeze(Q.Q_DC_V)
    r.tick(101)
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.tick(20)
    assert r.state["unit_contactor"][0] == CLOSING


def test_R13_once_loaded_a_battery_needs_no_precharge() -> None:
    """The DC link sags under load: that is no reason to stop."""
    r = plant()
    r.set(Q.Q_DC_V, 600.0)
    r.tick(30)
    assert (order(r)[0], r.power_w) == (RUN, 100e3)


# --- what is told -------------------------------------------------------------------------------------------------------------------------


def told(r: Rig) -> list[tuple[int, int, float]]:
    """Each step of the battery: what, how grave, after how many orders to close."""
    assert all((event["place"], event["row"], event["slot"]) == (0, -1, -1) for event in r.events(E.EV_CONTACTOR))
    return [(event["detail"], event["level"], event["value"]) for event in r.events(E.EV_CONTACTOR)]


def test_R13_each_step_is_told_once() -> None:
    r = plant()
    fire(r)
    put_out(r)
    r.tick(50)
    reset(r)
    r.tick(10)
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.set(Q.Q_DC_V, 768.0)
    r.tick(50)
    assert told(r) == [(CLOSED, 0, 0), (OPENING, 1, 0), (OPEN, 0, 0), (CLOSING, 0, 1), (CLOSED, 0, 0)]


def test_R13_an_order_to_close_has_its_time_and_the_last_one_is_an_alarm() -> None:
    """unit_close_wait is 10 s; afterwards the three tries are there again with each start."""
    r = plant(bank=DISCONNECTED, run=False)
    r.tick()
    for count in (1, 2, 3):
        r.tick(999)
        assert len(told(r)) == count, "not before"
        r.tick()
        assert len(told(r)) == count + 1
    assert told(r) == [(CLOSING, 0, 1), (CLOSING, 0, 2), (CLOSING, 0, 3), (GAVE_UP, 2, 3)]
    r.local(START)
    r.tick()
    r.disk()
    r.tick(2)
    assert told(r)[-1] == (CLOSING, 0, 1)


def test_R13_a_battery_that_closed_has_all_its_tries_again() -> None:
    r = plant(bank=DISCONNECTED, run=False)
    r.tick(1500)
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.set(Q.Q_DC_V, 768.0)
    r.tick(50)
    fire(r)
    put_out(r)
    reset(r)
    r.tick(5)
    assert told(r)[-1] == (CLOSING, 0, 1)


def test_R13_a_fault_is_a_battery_that_is_not_as_ordered() -> None:
    """Open without an order while we run; while it acquires and closes it is none."""
    r = plant(bank=DISCONNECTED, run=False)
    r.tick(5)
    assert r.state["row_active"][1] == 0, "it is being closed"
    r.set(Q.Q_BMS_STATE, CONNECTED)
    r.set(Q.Q_DC_V, 768.0)
    r.tick(30)
    assert r.state["row_active"][1] == 0
    r.set(Q.Q_BMS_STATE, INITIALIZING)
    r.tick(5)
    assert r.state["row_active"][1] == 0, "not open either"
    r.set(Q.Q_BMS_STATE, DISCONNECTED)
    r.tick(5)
    assert r.state["row_active"][1] == 1


def test_R13_one_battery_opens_and_the_other_goes_on() -> None:
    hot = Row(Q.Q_CELL_TEMP_MAX_C, 60, 55, action=A.ACT_OPEN, reset=L.ResetRule.RESET_LOCAL, unit=1)
    r = Rig(config(2, rows=(hot,), slots=(Slot(),)))
    for unit in (0, 1):
        r.set(Q.Q_BMS_STATE, CONNECTED, place=unit)
    r.offer(0, {"target_w": 100e3})
    r.run()
    r.set(Q.Q_CELL_TEMP_MAX_C, 61.0, place=1)
    r.set(Q.Q_PCS_STATE, OFF, place=1)
    r.tick(10)
    assert (list(r.out["cmd_open"][:2]), list(r.out["cmd_run"][:2])) == ([0, 1], [RUN, STOP])
    assert list(r.out["cmd_w"][:2]) == [100e3, 0]
