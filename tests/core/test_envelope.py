"""The envelope: how far power may go now, and who says so. Device interval, sources by class, the meter."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import FOREVER, PERIOD_NS, PLANT, RUNNING, Q, Rig, Row, S, Slot, config, mapped

B = L.BindKind
D = L.Direction
GRID, CONTRACT, MARKET = L.SlotClass.CLASS_GRID, L.SlotClass.CLASS_CONTRACT, L.SlotClass.CLASS_MARKET
UP, DOWN, FROZEN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, L.DeviceState.DEV_FROZEN
NAN, INF = float("nan"), float("inf")


def rig(
    units: int = 1, *, slots: tuple[Slot, ...] = (Slot(),), rows: tuple[Row, ...] = (), load_w: float | None = None, **site: Any
) -> Rig:
    r = Rig(config(units, rows=rows, slots=slots, has_meter=int(load_w is not None), **site))
    if load_w is not None:
        r.meter(load_w)
    return r.run()


# --- the device interval ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "lo", "hi"),
    [
        ({}, (-200e3, B.BIND_RATING), (200e3, B.BIND_RATING)),
        # the rating the PCS states can only narrow
        ({Q.Q_W_MAX_DIS: 80e3}, (-200e3, B.BIND_RATING), (80e3, B.BIND_RATING)),
        ({Q.Q_W_MAX_CHA: 70e3}, (-70e3, B.BIND_RATING), (200e3, B.BIND_RATING)),
        ({Q.Q_W_MAX_DIS: 900e3, Q.Q_W_MAX_CHA: 900e3}, (-200e3, B.BIND_RATING), (200e3, B.BIND_RATING)),
        ({Q.Q_W_MAX_DIS: -5.0}, (-200e3, B.BIND_RATING), (0, B.BIND_RATING)),
        # R5: a point that turns to its not-implemented value is a violation, not a point that is not there
        ({Q.Q_W_MAX_DIS: NAN}, (-200e3, B.BIND_RATING), (0, B.BIND_RATING)),
        ({Q.Q_W_MAX_CHA: INF}, (0, B.BIND_RATING), (200e3, B.BIND_RATING)),
        # R14: amps at the lowest pack voltage (600 V)
        ({Q.Q_BMS_DIS_MAX_A: 100.0}, (-200e3, B.BIND_RATING), (60e3, B.BIND_BMS)),
        ({Q.Q_BMS_CHA_MAX_A: 50.0}, (-30e3, B.BIND_BMS), (200e3, B.BIND_RATING)),
        ({Q.Q_BMS_DIS_MAX_A: 0.0, Q.Q_BMS_CHA_MAX_A: -1.0}, (0, B.BIND_BMS), (0, B.BIND_BMS)),
        ({Q.Q_BMS_DIS_MAX_A: NAN}, (-200e3, B.BIND_RATING), (0, B.BIND_BMS)),
        ({Q.Q_BMS_DIS_MAX_A: INF}, (-200e3, B.BIND_RATING), (0, B.BIND_BMS)),
        # the PCS
        ({Q.Q_PCS_STATE: 4}, (-200e3, B.BIND_RATING), (200e3, B.BIND_RATING)),
        *(({Q.Q_PCS_STATE: state}, (0, B.BIND_DEVICE), (0, B.BIND_DEVICE)) for state in (0, 1, 2, 5, 6, 7, NAN)),
        # R15: local control, and a switch whose place cannot be read
        ({Q.Q_LOC_REM: 0}, (-200e3, B.BIND_RATING), (200e3, B.BIND_RATING)),
        ({Q.Q_LOC_REM: 1}, (0, B.BIND_DEVICE), (0, B.BIND_DEVICE)),
        ({Q.Q_LOC_REM: NAN}, (0, B.BIND_DEVICE), (0, B.BIND_DEVICE)),
    ],
)
def test_what_a_unit_may_give_and_who_says_so(values: dict[int, float], lo: tuple[float, int], hi: tuple[float, int]) -> None:
    """CARD-1: the capacity limits of the loop."""
    r = rig()
    for quantity, value in values.items():
        r.set(quantity, value)
    state = r.tick()
    assert (state["unit_lo_w"][0], state["unit_lo_bind"][0]) == lo
    assert (state["unit_hi_w"][0], state["unit_hi_bind"][0]) == hi
    assert (r.side("lo"), r.side("hi")) == ((*lo, 0), (*hi, 0))


def test_R14_amps_become_watts_on_the_safe_side_of_the_efficiency() -> None:
    """hi_w = DCL x Vdc_min x eta, lo_w = -CCL x Vdc_min / eta: at the AC terminals the battery gives less and takes more."""
    array = config()
    array[0]["unit_eta"][0], array[0]["unit_vdc_min_v"][0] = 0.8, 500
    r = Rig(array).run()
    r.set(Q.Q_BMS_DIS_MAX_A, 100)
    r.set(Q.Q_BMS_CHA_MAX_A, 100)
    state = r.tick()
    assert (state["device_lo_w"], state["device_hi_w"]) == (-62_500, 40_000)


def test_R14_without_a_bms_of_its_own_the_pcs_answers_for_its_battery() -> None:
    array = config()
    array[0]["unit_bms_device"][0] = -1
    r = Rig(array)
    for quantity in (Q.Q_BMS_DIS_MAX_A, Q.Q_BMS_CHA_MAX_A):
        del r.values[0, quantity]
    r.h.set_devices(0, UP, DOWN, 1.0)
    r.run()
    assert (r.state["device_lo_w"], r.state["device_hi_w"]) == (-200e3, 200e3)


def answering(**site: Any) -> Rig:
    """A PCS that answers for its battery and brings the battery's limits itself, as with SunSpec 802 in its own chain."""
    array = config(**site)
    array[0]["unit_bms_device"][0] = -1
    r = Rig(array)
    r.h.set_devices(0, UP, DOWN, 1.0)
    return r.run()


@pytest.mark.parametrize(("amps", "watts"), [(100.0, 60e3), (0.0, 0.0), (-1.0, 0.0), (NAN, 0.0), (INF, 0.0), (-INF, 0.0)])
@pytest.mark.parametrize(("limit", "side"), [(Q.Q_BMS_DIS_MAX_A, "hi"), (Q.Q_BMS_CHA_MAX_A, "lo")])
def test_R14_what_the_pcs_says_for_its_battery_binds_like_a_bms(limit: int, side: str, amps: float, watts: float) -> None:
    """The scenario: 802 in the PCS's own chain says 0 A, and 150 kW of charging were commanded."""
    r = answering()
    r.offer(0, {"target_w": 150e3 if side == "hi" else -150e3})
    r.set(limit, amps)
    r.tick(30)
    assert r.side(side)[:2] == (watts if side == "hi" else -watts, B.BIND_BMS)
    assert abs(r.power_w) == watts


@pytest.mark.parametrize(("limit", "side"), [(Q.Q_BMS_DIS_MAX_A, "hi"), (Q.Q_BMS_CHA_MAX_A, "lo")])
def test_R14_what_the_pcs_said_for_its_battery_grows_old(limit: int, side: str) -> None:
    r = answering()
    r.freeze(limit)
    r.tick(99)
    assert abs(r.side(side)[0]) == 200e3
    r.tick()
    assert r.side(side)[:2] == (0, B.BIND_BMS)


@pytest.mark.parametrize(
    ("period_s", "ticks"), [(0.1, 99), (1 / 3, 99), (0.334, 200), (1.0, 399)], ids=["fast", "three chances", "just not", "slow"]
)
@pytest.mark.parametrize("point", [Q.Q_W_MAX_DIS, Q.Q_W_MAX_CHA, Q.Q_BMS_DIS_MAX_A, Q.Q_BMS_CHA_MAX_A, Q.Q_LOC_REM, Q.Q_PCS_CONN])
def test_R4_what_decides_about_a_unit_may_be_as_old_as_its_pace_allows(point: int, period_s: float, ticks: int) -> None:
    """The unit's data age of 1 s; where three periods are more than that, those as well."""
    r = Rig(mapped(config(), {point: period_s}))
    r.set(point, {Q.Q_LOC_REM: 0.0, Q.Q_PCS_CONN: 1.0}.get(Q(point), 300e3))
    r.run().freeze(point)
    r.tick(ticks)
    assert (r.state["device_lo_w"], r.state["device_hi_w"]) == (-200e3, 200e3)
    r.tick()
    assert 0 in {r.state["device_lo_w"], r.state["device_hi_w"]}


@pytest.mark.parametrize("point", [Q.Q_W_MAX_DIS, Q.Q_BMS_CHA_MAX_A, Q.Q_LOC_REM, Q.Q_PCS_CONN, Q.Q_BMS_STATE, Q.Q_DC_V])
def test_R5_a_start_waits_for_what_decides_about_a_unit(point: int) -> None:
    """By the sealed configuration a device brings it: until it came once it is not absent, but not known."""
    r = Rig(mapped(config(), {point: 0.1}))
    r.values.pop((0, point), None)
    state = r.tick(100)
    assert (state["mode"], r.power_w) == (L.Mode.MODE_ACQUIRE, 0)
    r.set(point, {Q.Q_LOC_REM: 0.0, Q.Q_PCS_CONN: 1.0, Q.Q_BMS_STATE: 3.0, Q.Q_DC_V: 768.0}.get(Q(point), 300e3))
    r.run()
    assert (r.state["device_lo_w"], r.state["device_hi_w"]) == (-200e3, 200e3)


@pytest.mark.parametrize("how", [NAN, INF, -INF, None])
@pytest.mark.parametrize("point", [Q.Q_LOC_REM, Q.Q_PCS_CONN])
def test_R5_a_pcs_whose_word_about_grid_or_control_is_gone_does_not_obey(point: int, how: float | None) -> None:
    """R12, R15. The scenario: ConnSt turned to its not-implemented value, and 150 kW went on."""
    r = rig()
    r.offer(0, {"target_w": 150e3})
    r.set(point, float(point == Q.Q_PCS_CONN))
    r.tick(30)
    assert r.power_w == 150e3
    if how is None:
        r.freeze(point)
    else:
        r.set(point, how)
    r.tick(101)
    assert (r.power_w, r.side("hi")) == (0, (0, B.BIND_DEVICE, 0))


@pytest.mark.parametrize(("point", "side"), [(Q.Q_W_MAX_DIS, "hi"), (Q.Q_W_MAX_CHA, "lo")])
def test_R4_a_rating_that_is_not_stated_any_more_is_none(point: int, side: str) -> None:
    """The scenario: the block of 702 was 30 s old, and 150 kW were commanded by it."""
    r = rig()
    r.set(point, 180e3)
    r.tick()
    r.freeze(point)
    r.tick(99)
    assert abs(r.side(side)[0]) == 180e3
    r.tick()
    assert r.side(side) == (0, B.BIND_RATING, 0)


def test_apparent_power_bounds_the_active() -> None:
    array = config()
    array[0]["unit_va_max"][0] = 120e3
    r = Rig(array).run()
    assert (r.state["device_lo_w"], r.state["device_hi_w"]) == (-120e3, 120e3)


@pytest.mark.parametrize("limit", [Q.Q_BMS_DIS_MAX_A, Q.Q_BMS_CHA_MAX_A, Q.Q_PCS_STATE])
def test_R4_old_data_of_a_unit_close_its_interval(limit: int) -> None:
    r = rig()
    r.freeze(limit)
    r.tick(90)
    assert r.state["device_hi_w"] - r.state["device_lo_w"] == 400e3
    r.tick(20)
    closed = {Q.Q_BMS_DIS_MAX_A: (False, True), Q.Q_BMS_CHA_MAX_A: (True, False), Q.Q_PCS_STATE: (True, True)}[Q(limit)]
    assert (r.state["device_lo_w"] == 0, r.state["device_hi_w"] == 0) == closed


@pytest.mark.parametrize("state", [DOWN, L.DeviceState.DEV_VERIFYING, L.DeviceState.DEV_REFUSED, FROZEN])
@pytest.mark.parametrize("which", ["pcs", "bms"])
def test_R4_a_unit_whose_pcs_or_bms_is_not_there_gives_nothing(state: int, which: str) -> None:
    """CARD-1: silent, not yet verified, another device, or a heartbeat that stands still."""
    r = rig(2, slots=(Slot(),))
    r.offer(0, {"target_w": 300e3})
    r.tick(20)
    r.h.set_devices(1, state if which == "pcs" else UP, state if which == "bms" else UP, 1.0)
    r.tick()
    assert (r.state["unit_hi_w"][1], r.state["unit_hi_bind"][1], r.state["unit_hi_bind_id"][1]) == (0, B.BIND_DEVICE, 1)
    assert list(r.h.out["cmd_w"][:2]) == [200e3, 0]
    assert r.side("hi") == (200e3, B.BIND_DEVICE, 1)


@pytest.mark.parametrize("scale", [NAN, 0.0, -1.0, INF])
def test_a_unit_whose_set_point_cannot_be_encoded_gives_nothing(scale: float) -> None:
    """The envelope says what can be had: a PCS that has not told its scale factor cannot be told a power."""
    r = rig()
    r.h.set_devices(0, UP, UP, scale)
    state = r.tick()
    assert (state["device_lo_w"], state["device_hi_w"]) == (0, 0)
    assert r.side("hi")[1] == B.BIND_DEVICE


@pytest.mark.parametrize("code", [L.CommandCode.CMD_STOP, L.CommandCode.CMD_OUT_OF_SERVICE])
def test_a_mode_without_power_is_named(code: int) -> None:
    r = rig()
    r.local(code)
    state = r.tick()
    assert (r.side("lo"), r.side("hi")) == ((0, B.BIND_MODE, state["mode"]), (0, B.BIND_MODE, state["mode"]))


def test_since_moves_when_another_binds_and_until_says_when_it_ends() -> None:
    r = rig()
    t = r.now_ns
    r.offer(0, {"ess_hi_w": 50e3, "end_ns": t + S}, {"ess_hi_w": 60e3, "start_ns": t + S}, lease_until_ns=t + 10 * S)
    r.tick()
    since = r.now_ns
    assert (r.state["hi_since_ns"], r.state["hi_until_ns"]) == (since, t + S)
    r.tick(100)
    assert (r.state["hi_w"], r.state["hi_since_ns"], r.state["hi_until_ns"]) == (60e3, since, t + 10 * S)
    r.set(Q.Q_BMS_DIS_MAX_A, 10)
    r.tick()
    assert (r.state["hi_bind"], r.state["hi_since_ns"], r.state["hi_until_ns"]) == (B.BIND_BMS, r.now_ns, 0)


# --- sources ------------------------------------------------------------------------------------------------------------------------------


def test_within_a_class_limits_intersect_and_the_tighter_is_named() -> None:
    r = rig(slots=(Slot(), Slot()))
    r.offer(0, {"ess_hi_w": 90e3, "ess_lo_w": -10e3})
    r.offer(1, {"ess_hi_w": 80e3, "ess_lo_w": -20e3})
    r.tick()
    assert (r.side("lo"), r.side("hi")) == ((-10e3, B.BIND_SLOT, 0), (80e3, B.BIND_SLOT, 1))


@pytest.mark.parametrize("classes", [(GRID, MARKET), (MARKET, GRID), (CONTRACT, CONTRACT)])
def test_no_class_widens_another(classes: tuple[int, int]) -> None:
    """OCPP-9: whoever asks, a limit stays."""
    r = rig(slots=(Slot(klass=classes[0]), Slot(klass=classes[1])))
    r.offer(0, {"ess_hi_w": 30e3})
    r.offer(1, {"ess_hi_w": 150e3, "target_w": 150e3})
    r.tick(10)
    assert (r.side("hi"), r.power_w) == ((30e3, B.BIND_SLOT, 0), 30e3)


def test_OCPP9_a_command_beyond_the_envelope_is_clamped_and_says_by_whom() -> None:
    """OCPP-9, CARD-1: over-voltage of a cell blocks charging; an external command to charge gets 0 and the row's name."""
    row = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_BLOCK, direction=D.DIR_CHARGE)
    r = rig(rows=(row,))
    r.set(Q.Q_CELL_V_MAX, 3.65)
    r.offer(0, {"target_w": -100e3})
    r.tick(10)
    assert r.power_w == 0
    (event,) = r.events(L.EventCode.EV_TARGET_CLAMPED)
    assert (event["value"], event["limit"], event["detail"], event["place"], event["slot"]) == (-100e3, 0, B.BIND_ROW, 0, 0)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick(20)
    assert r.power_w == -100e3


def test_energize_0_stops_the_plant_whatever_others_want() -> None:
    r = rig(slots=(Slot(klass=MARKET), Slot(klass=GRID)))
    r.offer(1, {"target_w": 50e3, "energize": 1})
    r.offer(0, {"energize": 0})
    r.tick(5)
    assert (r.power_w, r.side("hi"), r.h.out["cmd_run"][0]) == (0, (0, B.BIND_SLOT, 0), 2)


# --- the meter ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load_w", "block", "lo", "hi"),
    [
        # pcc = ess - load: an import limit of 50 kW with 30 kW of load leaves 20 kW of charging
        (30e3, {"pcc_lo_w": -50e3}, -20e3, 200e3),
        (30e3, {"pcc_hi_w": 10e3}, -200e3, 40e3),
        (-40e3, {"pcc_hi_w": 60e3}, -200e3, 20e3),
        # out of reach without forcing: 0 is left
        (80e3, {"pcc_lo_w": -50e3}, 0, 200e3),
        (-80e3, {"pcc_hi_w": 50e3}, -200e3, 0),
    ],
)
def test_a_pcc_limit_is_an_ess_limit_beside_the_rest_of_the_site(load_w: float, block: dict[str, float], lo: float, hi: float) -> None:
    r = rig(load_w=load_w)
    r.offer(0, block)
    r.tick()
    assert (r.state["lo_w"], r.state["hi_w"]) == (lo, hi)


FORCE = [
    # may_force, limits, load -> power
    (0, {"pcc_lo_w": -50e3}, 80e3, 0),
    (D.DIR_DISCHARGE, {"pcc_lo_w": -50e3}, 80e3, 30e3),
    (D.DIR_CHARGE, {"pcc_lo_w": -50e3}, 80e3, 0),
    (D.DIR_BOTH, {"pcc_lo_w": -50e3}, 80e3, 30e3),
    (0, {"pcc_hi_w": 50e3}, -80e3, 0),
    (D.DIR_CHARGE, {"pcc_hi_w": 50e3}, -80e3, -30e3),
    (D.DIR_DISCHARGE, {"pcc_hi_w": 50e3}, -80e3, 0),
    (D.DIR_BOTH, {"pcc_hi_w": 50e3}, -80e3, -30e3),
]


@pytest.mark.parametrize(("force", "block", "load_w", "power"), FORCE)
def test_R3_pcc_limit_may_force_only_where_its_slot_may(force: int, block: dict[str, float], load_w: float, power: float) -> None:
    r = rig(slots=(Slot(may_force=force),), load_w=load_w)
    r.offer(0, block)
    r.tick(30)
    assert r.power_w == pytest.approx(power)


def test_R3_ess_limits_never_force() -> None:
    r = rig(slots=(Slot(may_force=D.DIR_BOTH),))
    for block in ({"ess_lo_w": 10e3}, {"ess_hi_w": -10e3}):
        r.offer(0, block)
        r.tick(5)
        assert (r.power_w, r.state["slot_fault"][0]) == (0, L.PlanFault.PLAN_RANGE)


DISJOINT = [
    # rows: classes of slot 0 and 1, their blocks, -> lo = hi, unmet, unmet slot; no load, so pcc is ess; both may force
    # better class first, the worse gets the nearest point
    ((GRID, CONTRACT), {"ess_hi_w": 30e3}, {"pcc_lo_w": 50e3}, 30e3, 20e3, 1),
    ((CONTRACT, GRID), {"ess_hi_w": 30e3}, {"pcc_lo_w": 50e3}, 50e3, -20e3, 0),
    ((GRID, MARKET), {"ess_lo_w": -30e3}, {"pcc_hi_w": -50e3}, -30e3, -20e3, 1),
    ((MARKET, CONTRACT), {"ess_lo_w": -30e3}, {"pcc_hi_w": -50e3}, -50e3, 20e3, 0),
    ((GRID, CONTRACT), {"pcc_lo_w": 50e3}, {"pcc_hi_w": -50e3}, 50e3, -100e3, 1),
    # same class: nearest 0
    ((GRID, GRID), {"ess_hi_w": 30e3}, {"pcc_lo_w": 50e3}, 30e3, 20e3, 1),
    ((GRID, GRID), {"ess_lo_w": -30e3}, {"pcc_hi_w": -50e3}, -30e3, -20e3, 1),
    ((MARKET, MARKET), {"pcc_hi_w": -40e3}, {"pcc_lo_w": 50e3}, 0, 50e3, 1),
    ((MARKET, MARKET), {"pcc_hi_w": -60e3}, {"pcc_lo_w": 50e3}, 0, -60e3, 0),
    # the device interval never yields
    ((GRID, MARKET), {"pcc_lo_w": 300e3}, {"ess_hi_w": 10e3}, 200e3, 100e3, 0),
    ((GRID, GRID), {"pcc_hi_w": -300e3}, {}, -200e3, -100e3, 0),
    ((GRID, GRID), {"pcc_lo_w": 350e3}, {"ess_hi_w": 220e3}, 200e3, 150e3, 0),
]


@pytest.mark.parametrize("case", DISJOINT)
def test_R3_disjoint_limits_yield_by_class_and_the_rest_is_told(
    case: tuple[tuple[int, int], dict[str, float], dict[str, float], float, float, int],
) -> None:
    """CARD-1: one point is left, the rest is published with its source and is an event."""
    classes, first, second, point, unmet, slot = case
    r = rig(slots=tuple(Slot(klass=klass, may_force=D.DIR_BOTH) for klass in classes), load_w=0)
    r.offer(0, first)
    r.offer(1, second)
    r.tick(60)
    assert (r.state["lo_w"], r.state["hi_w"]) == (point, point)
    assert (r.state["pcc_unmet_w"], r.state["unmet_slot"]) == (unmet, slot)
    assert r.power_w == point
    events = r.events(L.EventCode.EV_LIMITS_DISJOINT)
    assert (len(events), events[0]["slot"], events[0]["value"]) == (1, slot, unmet)


LEFT_OUT = [
    # classes of slots 0 to 2 and their blocks -> unmet, unmet slot: what the best class went short of, not what a worse one would have
    ((GRID, CONTRACT, MARKET), ({"ess_lo_w": -30e3}, {"pcc_hi_w": -50e3}, {"pcc_hi_w": -80e3}), -20e3, 1),
    ((GRID, CONTRACT, MARKET), ({"ess_hi_w": 30e3}, {"pcc_lo_w": 50e3}, {"pcc_lo_w": 80e3}), 20e3, 1),
    # a class that contradicts itself leaves 0; less than that is no news
    ((GRID, GRID, MARKET), ({"pcc_lo_w": 50e3}, {"pcc_hi_w": -60e3}, {"pcc_hi_w": -20e3}), -60e3, 1),
    ((GRID, GRID, MARKET), ({"pcc_lo_w": 60e3}, {"pcc_hi_w": -50e3}, {"pcc_lo_w": 20e3}), 60e3, 0),
]


@pytest.mark.parametrize(("classes", "blocks", "unmet", "slot"), LEFT_OUT)
def test_R3_of_several_that_go_short_the_one_that_shed_load_would_help_is_told(
    classes: tuple[int, ...], blocks: tuple[dict[str, float], ...], unmet: float, slot: int
) -> None:
    r = rig(slots=tuple(Slot(klass=klass, may_force=D.DIR_BOTH) for klass in classes), load_w=0)
    for place, block in enumerate(blocks):
        r.offer(place, block)
    r.tick(60)
    assert (r.state["pcc_unmet_w"], r.state["unmet_slot"]) == (unmet, slot)


def test_R3_limits_that_meet_leave_nothing_unmet() -> None:
    r = rig(slots=(Slot(klass=GRID, may_force=3), Slot(klass=MARKET, may_force=3)), load_w=0)
    r.offer(0, {"pcc_lo_w": 50e3})
    r.offer(1, {"pcc_hi_w": 50e3})
    r.tick(10)
    assert (r.state["pcc_unmet_w"], r.state["unmet_slot"], r.power_w) == (0, 255, 50e3)


def test_R3_a_tripped_unit_does_not_yield_to_a_forced_limit() -> None:
    r = rig(slots=(Slot(klass=GRID, may_force=3),), load_w=0, rows=(Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False),))
    r.offer(0, {"pcc_lo_w": 50e3})
    r.tick(10)
    r.set(Q.Q_CELL_V_MIN, 2.7)
    r.tick()
    assert (r.power_w, r.state["pcc_unmet_w"], r.side("lo")[1]) == (0, 50e3, B.BIND_ROW)


METER: dict[str, Any] = {"load_max_w": 100e3, "pv_max_w": 60e3}


@pytest.mark.parametrize(
    ("block", "held", "worst"),
    [
        # import limit 150 kW, load 20 kW: 130 kW of charging; at worst 100 kW of load leave 50
        ({"pcc_lo_w": -150e3}, (-130e3, 200e3), (-50e3, 200e3)),
        # export limit 150 kW: at worst 60 kW of PV leave 90
        ({"pcc_hi_w": 150e3}, (-200e3, 170e3), (-200e3, 90e3)),
        # R10: min(0, ...) and max(0, ...): a stale meter never commands power
        ({"pcc_lo_w": -50e3}, (-30e3, 200e3), (0, 200e3)),
        ({"pcc_hi_w": 10e3}, (-200e3, 30e3), (-200e3, 0)),
        ({"pcc_lo_w": 40e3}, (60e3, 200e3), (0, 200e3)),
        ({"pcc_hi_w": -70e3}, (-200e3, -50e3), (-200e3, 0)),
    ],
)
def test_a_stale_meter_is_held_for_a_while_then_the_worst_of_the_site_counts(
    block: dict[str, float], held: tuple[float, float], worst: tuple[float, float]
) -> None:
    r = rig(slots=(Slot(may_force=3),), load_w=20e3, **METER)
    r.offer(0, block, lease_until_ns=r.now_ns + 100 * S)
    r.tick(30)
    assert (r.state["lo_w"], r.state["hi_w"]) == held
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(499)
    assert (r.state["lo_w"], r.state["hi_w"]) == held
    assert r.state["pcc_w"] == pytest.approx(r.power_w - 20e3)
    r.tick(2)
    assert (r.state["lo_w"], r.state["hi_w"]) == worst
    assert r.state["pcc_w"] != r.state["pcc_w"]
    for side, value, before in zip(("lo", "hi"), worst, held, strict=True):
        if value != before:
            assert r.side(side)[1:] == (B.BIND_METER, 0)
    r.frozen.clear()
    r.tick(30)
    assert (r.state["lo_w"], r.state["hi_w"]) == held


@pytest.mark.parametrize(("age_ns", "held"), [(5 * S, True), (5 * S + 1, False)])
def test_a_meter_is_held_for_its_time_to_the_nanosecond(age_ns: int, held: bool) -> None:
    """R10's hold counts from when the sample was asked for."""
    r = rig(load_w=20e3, **METER)
    r.offer(0, {"pcc_lo_w": -150e3}, lease_until_ns=r.now_ns + 100 * S)
    r.tick()
    r.freeze(Q.Q_PCC_W, place=PLANT)
    asked_ns = r.state["sampled_ns"][PLANT * L.LIMITS["quantities"] + Q.Q_PCC_W]
    r.tick(1, asked_ns + age_ns - r.now_ns)
    assert r.state["lo_w"] == (-130e3 if held else -50e3)


@pytest.mark.parametrize("field", ["load_max_w", "pv_max_w"])
def test_a_site_that_does_not_state_its_worst_gives_nothing_without_its_meter(field: str) -> None:
    r = rig(load_w=0, **(METER | {field: NAN}))
    r.offer(0, {"pcc_lo_w": -150e3, "pcc_hi_w": 150e3}, lease_until_ns=r.now_ns + 100 * S)
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(510)
    assert (r.state["lo_w"], r.state["hi_w"]) == ((0, 90e3) if field == "load_max_w" else (-50e3, 0))


@pytest.mark.parametrize("how", ["nan", "infinite", "frozen", "down"])
def test_a_sample_that_says_nothing_is_no_sample(how: str) -> None:
    """R4: a NaN or a meter whose heartbeat stands still renew nothing."""
    r = rig(load_w=20e3, **METER)
    r.offer(0, {"pcc_lo_w": -150e3}, lease_until_ns=r.now_ns + 100 * S)
    r.tick()
    if how in ("frozen", "down"):
        r.h.set_meter(FROZEN if how == "frozen" else DOWN)
    else:
        r.load_w = NAN if how == "nan" else -INF
    r.tick(350)
    assert r.state["lo_w"] == -130e3
    r.tick(270)
    assert r.state["lo_w"] == -50e3


def test_a_pcc_target_is_kept_beside_the_load_and_is_0_without_a_meter() -> None:
    r = rig(load_w=30e3, **METER)
    r.offer(0, {"target_w": 0.0, "target_scope": 1}, lease_until_ns=r.now_ns + 100 * S)
    r.tick(30)
    assert r.power_w == 30e3
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(499)
    assert r.power_w == 30e3
    r.tick(2)
    assert r.power_w == 0


@pytest.mark.parametrize(
    ("load_w", "lo", "hi"),
    [(0.0, (-80e3, B.BIND_RATING), (50e3, B.BIND_RATING)), (100e3, (0, B.BIND_RATING), (150e3, B.BIND_RATING))],
)
def test_the_connection_binds_as_a_rating_and_never_forces(load_w: float, lo: tuple[float, int], hi: tuple[float, int]) -> None:
    r = rig(load_w=load_w, pcc_import_max_w=80e3, pcc_export_max_w=50e3, **METER)
    assert (r.side("lo"), r.side("hi")) == ((*lo, PLANT), (*hi, PLANT))


@pytest.mark.parametrize("klass", [GRID, CONTRACT, MARKET])
@pytest.mark.parametrize(("forced", "point", "unmet"), [({"pcc_lo_w": 120e3}, 50e3, 70e3), ({"pcc_hi_w": -120e3}, -80e3, -40e3)])
def test_R3_nobody_forces_more_through_the_connection_than_it_carries(
    klass: int, forced: dict[str, float], point: float, unmet: float
) -> None:
    """Its rating stands among the limits of the best class, so that the grid's own wish yields to it as well."""
    r = rig(slots=(Slot(klass=klass, may_force=D.DIR_BOTH),), load_w=0, pcc_import_max_w=80e3, pcc_export_max_w=50e3, **METER)
    r.offer(0, forced)
    r.tick(60)
    assert (r.state["lo_w"], r.state["hi_w"], r.power_w) == (point, point, point)
    assert (r.state["pcc_unmet_w"], r.state["unmet_slot"]) == (unmet, 0)


def test_the_connection_without_a_meter_is_kept_by_the_worst_of_the_site() -> None:
    """Missing is a violation, never skipped; the configuration check refuses such a site anyway."""
    r = rig(pcc_import_max_w=180e3, pcc_export_max_w=70e3, **METER)
    assert (r.side("lo"), r.side("hi")) == ((-80e3, B.BIND_METER, PLANT), (10e3, B.BIND_METER, PLANT))


def test_an_old_lease_is_not_an_open_end() -> None:
    """until: 0 = open; else an instant that comes."""
    r = rig()
    r.offer(0, {"ess_hi_w": 10e3, "end_ns": FOREVER}, lapse=L.LapseRule.LAPSE_ZERO, lease_until_ns=r.now_ns + PERIOD_NS)
    r.tick(2)
    assert (r.side("hi"), r.state["hi_until_ns"] in (0, FOREVER)) == ((0, B.BIND_FALLBACK, 0), True)
    assert RUNNING == 3
