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
