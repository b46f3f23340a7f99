"""The protection table, second part: latches and their reset, what the start leaves alone, and rows on derived quantities and ages."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bessctl_core import layout as L
from tests.core.rig import PLANT, Q, Rig, Row, Slot, config

A = L.Action
D = L.Direction
E = L.EventCode
RESET = L.CommandCode.CMD_RESET
NAN, INF = float("nan"), float("inf")

OVER = Row(Q.Q_CELL_V_MAX, 3.6, 3.5)
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


# --- latch and reset ----------------------------------------------------------------------------------------------------------------------


def test_a_latched_row_acts_until_it_is_reset() -> None:
    """CARD-1."""
    r = rig(LATCHING)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    assert (active(r), latched(r), r.state["mode"]) == (True, True, L.Mode.MODE_TRIPPED)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick(200)
    assert (active(r), latched(r), r.power_w, r.h.out["cmd_run"][0]) == (False, True, 0, 2)
    assert r.side("hi")[1:] == (L.BindKind.BIND_ROW, 0), "the answer to who limits me is the row, not the mode"


def test_a_latched_block_keeps_its_direction_shut_and_does_not_stop_the_plant() -> None:
    r = rig(replace(LATCHING, action=A.ACT_BLOCK, direction=D.DIR_CHARGE))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, 3.3)
    state = r.tick()
    assert (state["device_lo_w"], state["mode"], r.power_w) == (0, L.Mode.MODE_RUN, 100e3)


def test_a_row_that_resets_itself_never_latches() -> None:
    r = rig(replace(OVER, action=A.ACT_OPEN))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    assert (active(r), latched(r)) == (True, False)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick(20)
    assert r.power_w == 100e3


def trip(r: Rig, *, back: bool = True) -> None:
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    if back:
        r.set(Q.Q_CELL_V_MAX, 3.3)
        r.tick()


@pytest.mark.parametrize(
    ("reset", "local", "back", "done"),
    [
        (L.ResetRule.RESET_ANY, False, True, True),
        (L.ResetRule.RESET_ANY, True, True, True),
        (L.ResetRule.RESET_LOCAL, True, True, True),
        # refused
        (L.ResetRule.RESET_LOCAL, False, True, False),
        (L.ResetRule.RESET_ANY, True, False, False),
        (L.ResetRule.RESET_LOCAL, True, False, False),
    ],
)
def test_R6_who_may_reset_what_and_when(reset: int, local: bool, back: bool, done: bool) -> None:
    """OCPP-9: a protocol cannot lift what is marked local, and nobody lifts what still stands."""
    r = rig(replace(LATCHING, reset=reset))
    trip(r, back=back)
    r.h.command(21, RESET, local=local)
    r.tick()
    r.disk()
    r.tick(30)
    assert latched(r) is not done
    code = E.EV_COMMAND_DONE if done else E.EV_COMMAND_REFUSED
    assert [(event["value"], event["row"]) for event in r.events(code)] == [(21, -1 if done else 0)]
    assert len(r.events(E.EV_RESET_DONE if done else E.EV_RESET_REFUSED)) == 1


def test_one_row_that_forbids_it_keeps_all_of_them() -> None:
    other = replace(LATCHING, quantity=Q.Q_CELL_V_MIN, reset=L.ResetRule.RESET_LOCAL)
    r = rig(LATCHING, other)
    r.set(Q.Q_CELL_V_MIN, 3.7)
    trip(r)
    r.set(Q.Q_CELL_V_MIN, 3.2)
    r.tick()
    r.remote(RESET)
    r.tick()
    r.disk()
    r.tick()
    assert (latched(r, 0), latched(r, 1)) == (True, True)
    assert r.events(E.EV_RESET_REFUSED)[0]["detail"] == 1
    r.local(RESET)
    r.tick()
    r.disk()
    r.tick()
    assert (latched(r, 0), latched(r, 1)) == (False, False)


def test_R6_a_reset_counts_once_the_journal_holds_it() -> None:
    r = rig(LATCHING)
    trip(r)
    r.local(RESET, 33)
    r.tick()
    due = r.h.out["journal_seq"]
    assert r.h.out["journal_due"]
    r.h.journalled(due - 1)
    r.tick(300)
    assert (latched(r), r.power_w, r.events(E.EV_COMMAND_DONE)) == (True, 0, [])
    r.h.journalled(due)
    r.tick()
    assert not latched(r)
    assert [event["value"] for event in r.events(E.EV_COMMAND_DONE)] == [33]
    r.tick(30)
    assert r.power_w == 100e3


def test_R6_what_trips_again_while_its_reset_waits_stays_latched_and_the_reset_is_refused() -> None:
    r = rig(LATCHING, replace(LATCHING, quantity=Q.Q_CELL_V_MIN))
    r.set(Q.Q_CELL_V_MIN, 3.7)
    trip(r)
    r.set(Q.Q_CELL_V_MIN, 3.2)
    r.tick()
    r.local(RESET, 33)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    assert r.h.out["journal_due"], "the record on its way says unlatched; a new one must follow"
    assert list(r.record["latched"][:2]) == [1, 1]
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick()
    r.disk()
    r.tick(5)
    assert (latched(r, 0), latched(r, 1), r.power_w) == (True, True, 0)
    assert not r.events(E.EV_COMMAND_DONE)
    assert [(event["value"], event["row"]) for event in r.events(E.EV_COMMAND_REFUSED)] == [(33, 0)]
    assert not r.events(E.EV_RESET_DONE)


def test_a_reset_with_the_number_0_is_answered_like_any_other() -> None:
    r = rig(LATCHING)
    trip(r)
    r.local(RESET, 0)
    r.tick()
    r.disk()
    r.tick()
    assert not latched(r)
    assert [event["value"] for event in r.events(E.EV_COMMAND_DONE)] == [0]


def test_a_reset_leaves_alone_what_was_not_latched_and_is_blind() -> None:
    """The second row stops the PCS by itself and can be seen no more: the reset of the first does not start it."""
    r = rig(LATCHING, replace(OVER, quantity=Q.Q_CELL_V_MIN, action=A.ACT_STANDBY))
    trip(r)
    r.set(Q.Q_CELL_V_MIN, 3.7)
    r.tick(2)
    r.freeze(Q.Q_CELL_V_MIN)
    r.tick(150)
    assert (r.state["row_active"][1], r.h.out["cmd_run"][0]) == (3, 2), "active and blind: stopped"
    r.local(RESET)
    r.tick()
    r.disk()
    r.tick(30)
    assert (latched(r, 0), r.state["row_active"][1], r.h.out["cmd_run"][0]) == (False, 3, 2)


# --- the start ----------------------------------------------------------------------------------------------------------------------------


def test_R5_nothing_latches_and_nothing_is_told_while_the_inputs_come_in() -> None:
    r = Rig(config(rows=(LATCHING,)))
    r.freeze(Q.Q_CELL_V_MAX)
    state = r.tick(50)
    assert (state["mode"], active(r), latched(r)) == (L.Mode.MODE_ACQUIRE, True, False)
    r.frozen.clear()
    r.run()
    assert not {E.EV_ROW_PICKUP, E.EV_ROW_DROPOFF, E.EV_ROW_LATCHED} & set(r.codes())


@pytest.mark.parametrize("row", [LATCHING, replace(OVER, action=A.ACT_WARN, tier=L.Tier.TIER_WARN)])
def test_R5_what_stands_at_the_end_of_the_start_latches_and_is_told_then(row: Row) -> None:
    r = Rig(config(rows=(row,), slots=(Slot(),)))
    r.offer(0, {"target_w": 100e3})
    r.set(Q.Q_CELL_V_MAX, 3.7)
    powers = []
    for _ in range(60):
        r.tick()
        powers.append(r.power_w)
    assert len(r.events(E.EV_ROW_PICKUP)) == 1
    assert latched(r) is (row.reset != 0)
    assert (max(powers) == 0) is (row.reset != 0)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick(2)
    assert len(r.events(E.EV_ROW_DROPOFF)) == 1


ESTOP = Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, blind=L.BlindRule.BLIND_TRIPS, action=A.ACT_OPEN, reset=L.ResetRule.RESET_LOCAL)


def starting(row: Row, *others: Row) -> Rig:
    """The start waits for a cell voltage that does not come; the contact is closed."""
    r = Rig(config(rows=(row, LATCHING, *others), slots=(Slot(),)))
    r.offer(0, {"target_w": 100e3})
    r.freeze(Q.Q_CELL_V_MAX)
    r.set(row.quantity, 0, place=PLANT)
    r.tick(20)
    return r


def comes_well(r: Rig) -> None:
    r.frozen.clear()
    r.tick(60)


@pytest.mark.parametrize("waits", [20, 600])
@pytest.mark.parametrize("reset", [L.ResetRule.RESET_LOCAL, L.ResetRule.RESET_ANY])
def test_R13_a_button_pressed_during_the_start_is_not_forgotten(reset: int, waits: int) -> None:
    """ADR 0060. The scenario: somebody presses and releases the emergency stop at night, while a start waits for a silent BMS; in the
    morning the BMS answers, and the plant must not begin by itself. In acquire as in start_failed."""
    r = starting(replace(ESTOP, reset=reset))
    r.tick(waits)
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(3)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.tick(3)
    assert (latched(r), r.state["mode"], r.h.out["journal_due"] or r.h.out["journal_seq"] > 1) == (True, L.Mode.MODE_TRIPPED, True)
    assert [len(r.events(code)) for code in (E.EV_ROW_PICKUP, E.EV_ROW_LATCHED, E.EV_ROW_DROPOFF)] == [1, 1, 1]
    assert not latched(r, 1), "a value that was not there yet latches nothing (R5)"
    comes_well(r)
    assert (latched(r), r.state["mode"], r.power_w) == (True, L.Mode.MODE_TRIPPED, 0)
    r.local(RESET)
    r.tick()
    r.disk()
    r.tick(60)
    assert (latched(r), r.state["mode"], r.power_w) == (False, L.Mode.MODE_RUN, 100e3)


@pytest.mark.parametrize(("pressed", "held"), [(1, False), (10, False), (11, True)])
def test_R13_a_contact_that_bounces_during_the_start_is_no_button(pressed: int, held: bool) -> None:
    """Its pickup delay counts from when it was seen open, also for one that acts already because it was not seen before."""
    r = Rig(config(rows=(replace(ESTOP, pickup_s=0.1), LATCHING), slots=(Slot(),)))
    r.freeze(Q.Q_CELL_V_MAX)
    r.tick(30)
    assert active(r), "not seen is active"
    r.set(Q.Q_INPUT_0, 1, place=PLANT)
    r.tick(pressed)
    r.set(Q.Q_INPUT_0, 0, place=PLANT)
    r.tick(20)
    assert latched(r) is held


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (replace(ESTOP, reset=L.ResetRule.RESET_AUTO), 1.0),
        (replace(ESTOP, blind=L.BlindRule.BLIND_HOLDS), 1.0),
        (replace(ESTOP, quantity=Q.Q_INPUT_0 - 1), 1.0),
        (replace(ESTOP, quantity=Q.Q_INPUT_LAST + 1), 1.0),
        (ESTOP, NAN),
        (ESTOP, 0.5),
    ],
    ids=["resets itself", "no input of R13", "before the inputs", "behind the inputs", "unreadable", "not beyond"],
)
def test_R5_nothing_else_latches_during_the_start(row: Row, value: float) -> None:
    r = starting(row)
    r.set(row.quantity, value, place=PLANT)
    r.tick(20)
    r.set(row.quantity, 0, place=PLANT)
    comes_well(r)
    assert (latched(r), r.state["mode"], r.power_w) == (False, L.Mode.MODE_RUN, 100e3)


@pytest.mark.parametrize("quantity", [Q.Q_INPUT_0, Q.Q_INPUT_LAST])
def test_R13_every_input_counts(quantity: int) -> None:
    r = starting(replace(ESTOP, quantity=quantity))
    r.set(quantity, 1, place=PLANT)
    r.tick()
    assert latched(r)


# --- derived quantities -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amps", "limit", "over_dis", "over_cha"),
    [(100.0, 400.0, -300.0, -500.0), (450.0, 400.0, 50.0, -850.0), (-450.0, 400.0, -850.0, 50.0), (0.0, 0.0, 0.0, 0.0)],
)
def test_current_is_compared_with_what_the_bms_allows_in_its_direction(amps: float, limit: float, over_dis: float, over_cha: float) -> None:
    r = rig(Row(Q.Q_DIS_A_OVER, 1, 0), Row(Q.Q_CHA_A_OVER, 1, 0))
    r.set(Q.Q_PACK_A, amps)
    r.set(Q.Q_BMS_DIS_MAX_A, limit)
    r.set(Q.Q_BMS_CHA_MAX_A, limit)
    r.tick()
    assert (r.h.value(0, Q.Q_DIS_A_OVER), r.h.value(0, Q.Q_CHA_A_OVER)) == (over_dis, over_cha)
    assert (active(r, 0), active(r, 1)) == (over_dis >= 1, over_cha >= 1)


@pytest.mark.parametrize("has_bms", [True, False])
@pytest.mark.parametrize(
    ("pack_a", "dc_a", "judged"), [(-450.0, None, -450.0), (-450.0, 5.0, -450.0), (None, -450.0, -450.0), (NAN, 5.0, NAN)]
)
def test_the_batterys_own_current_is_judged_and_the_dc_sides_where_nobody_else_measures(
    has_bms: bool, pack_a: float | None, dc_a: float | None, judged: float
) -> None:
    """The scenario: a hybrid inverter without a BMS measures the battery's amps and no DC side: its current rows never saw anything."""
    array = config(rows=(Row(Q.Q_CHA_A_OVER, 1, 0),))
    array[0]["unit_bms_device"][0] = 0 if has_bms else -1
    r = Rig(array)
    for quantity, amps in ((Q.Q_PACK_A, pack_a), (Q.Q_DC_A, dc_a)):
        del r.values[0, quantity]
        if amps is not None:
            r.set(quantity, amps)
    r.tick(2)
    assert r.h.value(0, Q.Q_CHA_A_OVER) == pytest.approx(-judged - 400, nan_ok=True)


@pytest.mark.parametrize(("dc_w", "conflict_pct"), [(None, 38.4), (20e3, 38.4)])
def test_energy_is_compared_with_what_flows_at_the_battery_also_without_a_bms(dc_w: float | None, conflict_pct: float) -> None:
    """100 A into the pack at 768 V while 100 kW are said to be given."""
    array = config()
    array[0]["unit_bms_device"][0] = -1
    r = Rig(array, follow=False)
    r.set(Q.Q_AC_W, 100e3)
    r.set(Q.Q_PACK_A, -100.0)
    if dc_w is not None:
        r.set(Q.Q_DC_W, dc_w)
    r.tick(2)
    assert r.h.value(0, Q.Q_CONFLICT_PCT) == pytest.approx(conflict_pct)


def test_what_is_taken_away_stays_away_until_the_device_answers_again() -> None:
    """derive.pxd: the pack voltage of a battery that is not connected is none, for everybody behind, until a new answer came."""
    r = rig()
    r.set(Q.Q_BMS_STATE, 3.0)
    r.tick()
    r.freeze(Q.Q_PACK_V)
    r.set(Q.Q_BMS_STATE, 2.0)
    r.tick(2)
    assert math.isnan(r.h.value(0, Q.Q_PACK_V))
    r.set(Q.Q_BMS_STATE, 3.0)
    r.tick(5)
    assert math.isnan(r.h.value(0, Q.Q_PACK_V)), "connected again, and not asked since"
    r.frozen.clear()
    r.tick()
    assert r.h.value(0, Q.Q_PACK_V) == 768.0


@pytest.mark.parametrize("lost", [Q.Q_PACK_A, Q.Q_BMS_DIS_MAX_A])
def test_a_comparison_is_as_old_as_the_older_of_its_two(lost: int) -> None:
    r = rig(Row(Q.Q_DIS_A_OVER, 1, 0))
    r.freeze(lost)
    r.tick(90)
    assert not active(r)
    r.tick(20)
    assert active(r)


@pytest.mark.parametrize(("age", "of"), [(Q.Q_PCS_AGE_S, Q.Q_AC_W), (Q.Q_BMS_AGE_S, Q.Q_PACK_V), (Q.Q_METER_AGE_S, Q.Q_PCC_W)])
def test_R4_the_age_of_a_devices_data_is_a_row_of_its_own(age: int, of: int) -> None:
    place = PLANT if of == Q.Q_PCC_W else 0
    r = Rig(config(rows=(Row(age, 0.5, 0.1, unit=place),), has_meter=1))
    r.meter(0)
    r.run()
    r.freeze(of, place=place)
    r.tick(49)
    assert not active(r)
    assert r.h.value(place, age) == pytest.approx(0.491)
    r.tick(1)
    assert active(r), "sent 1 ms before the last sample's tick, so 0.501 s old"


@pytest.mark.parametrize(
    ("age", "states"),
    [
        (Q.Q_PCS_AGE_S, (L.DeviceState.DEV_FROZEN, L.DeviceState.DEV_UP)),
        (Q.Q_BMS_AGE_S, (L.DeviceState.DEV_UP, L.DeviceState.DEV_FROZEN)),
    ],
)
def test_R4_what_a_frozen_device_says_is_infinitely_old(age: int, states: tuple[int, int]) -> None:
    """It answers in time and its heartbeat stands still: its data are stale, however fresh they look."""
    r = rig(Row(age, 0.5, 0.1, action=A.ACT_STANDBY, reset=L.ResetRule.RESET_ANY))
    r.h.set_devices(0, *states, 1.0)
    r.tick()
    assert (active(r), latched(r), r.power_w, r.h.value(0, age)) == (True, True, 0, INF)


def test_R4_a_frozen_meter_is_infinitely_old_too() -> None:
    r = Rig(config(rows=(Row(Q.Q_METER_AGE_S, 0.5, 0.1, unit=PLANT),), has_meter=1))
    r.meter(0)
    r.run()
    r.h.set_meter(L.DeviceState.DEV_FROZEN)
    r.tick()
    assert active(r)
