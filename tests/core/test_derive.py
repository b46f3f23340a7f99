"""Quantities that follow from others, one by one: their value, and how old they are. NaN is no statement, and nothing hides it."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, S, Slot, config

UP, DOWN, FROZEN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, L.DeviceState.DEV_FROZEN
E = L.EventCode
MS = S // 1000


def rig(units: int = 1, **site: Any) -> Rig:
    array = config(units, slots=(Slot(),), has_meter=1, **site)
    array[0]["unit_wh"][:units] = 100e3
    r = Rig(array, follow=False)
    r.meter(0.0)
    return r.run()


def asked_ns(r: Rig, quantity: int, place: int = 0) -> int:
    return int(r.state["sampled_ns"][place * L.LIMITS["quantities"] + quantity])


# --- of two values ------------------------------------------------------------------------------------------------------------------------

PAIRS = [
    # quantity, the two it is made of, with values -> its value
    (Q.Q_DIS_A_OVER, (Q.Q_PACK_A, 130.0), (Q.Q_BMS_DIS_MAX_A, 100.0), 30.0),
    (Q.Q_DIS_A_OVER, (Q.Q_PACK_A, -130.0), (Q.Q_BMS_DIS_MAX_A, 100.0), -230.0),
    (Q.Q_CHA_A_OVER, (Q.Q_PACK_A, -130.0), (Q.Q_BMS_CHA_MAX_A, 100.0), 30.0),
    (Q.Q_CHA_A_OVER, (Q.Q_PACK_A, 130.0), (Q.Q_BMS_CHA_MAX_A, 100.0), -230.0),
    (Q.Q_CELL_V_SPREAD, (Q.Q_CELL_V_MAX, 3.5), (Q.Q_CELL_V_MIN, 3.25), 0.25),
    (Q.Q_CELL_TEMP_SPREAD_C, (Q.Q_CELL_TEMP_MAX_C, 31.0), (Q.Q_CELL_TEMP_MIN_C, 24.0), 7.0),
    (Q.Q_CELL_TEMP_SPREAD_C, (Q.Q_CELL_TEMP_MAX_C, 31.0), (Q.Q_CELL_TEMP_MIN_C, -4.0), 35.0),
    (Q.Q_CELL_V_SPREAD, (Q.Q_CELL_V_MAX, nan), (Q.Q_CELL_V_MIN, 3.25), nan),
    (Q.Q_DIS_A_OVER, (Q.Q_PACK_A, 130.0), (Q.Q_BMS_DIS_MAX_A, nan), nan),
]


@pytest.mark.parametrize(("quantity", "first", "second", "value"), PAIRS)
def test_what_is_made_of_two_values_is_their_difference_and_as_old_as_the_older(
    quantity: int, first: tuple[int, float], second: tuple[int, float], value: float
) -> None:
    for younger, older in ((first[0], second[0]), (second[0], first[0])):
        r = rig()
        r.set(*first)
        r.set(*second)
        r.tick(2)
        before_ns = asked_ns(r, older)
        r.freeze(older)
        r.tick(20)
        assert r.h.value(0, quantity) == pytest.approx(value, nan_ok=True)
        assert (asked_ns(r, quantity), asked_ns(r, younger)) == (before_ns, before_ns + 20 * PERIOD_NS)


def test_currents_are_the_batterys_own_where_it_measures_them_else_those_of_the_pcs() -> None:
    r = Rig(config(slots=(Slot(),)), follow=False)
    del r.values[0, Q.Q_PACK_A]
    r.set(Q.Q_DC_A, 450.0)
    r.run()
    assert r.h.value(0, Q.Q_DIS_A_OVER) == 50.0
    r.set(Q.Q_PACK_A, 410.0)
    r.tick()
    assert r.h.value(0, Q.Q_DIS_A_OVER) == 10.0


# --- ages ---------------------------------------------------------------------------------------------------------------------------------

AGES = [
    # age, of which quantity, where
    (Q.Q_PCS_AGE_S, Q.Q_AC_W, 0),
    (Q.Q_BMS_AGE_S, Q.Q_PACK_V, 0),
    (Q.Q_PCS_AGE_S, Q.Q_AC_W, 1),
    (Q.Q_BMS_AGE_S, Q.Q_PACK_V, 1),
    (Q.Q_METER_AGE_S, Q.Q_PCC_W, PLANT),
]


@pytest.mark.parametrize(("age", "of", "place"), AGES)
def test_the_age_of_a_device_counts_from_its_question_and_is_always_known(age: int, of: int, place: int) -> None:
    r = rig(2)
    assert r.h.value(place, age) == pytest.approx(0.001)
    r.freeze(of, place=place)
    r.tick(30)
    assert r.h.value(place, age) == pytest.approx(0.301)
    assert asked_ns(r, age, place) == r.now_ns


@pytest.mark.parametrize(("age", "of", "place"), AGES)
def test_what_never_came_is_infinitely_old(age: int, of: int, place: int) -> None:
    r = Rig(config(2, slots=(Slot(),), has_meter=1))
    r.freeze(of, place=place)
    r.tick(5)
    assert r.h.value(place, age) == inf


@pytest.mark.parametrize(("which", "old"), [("pcs", (inf, 0.001, 0.001)), ("bms", (0.001, inf, 0.001)), ("meter", (0.001, 0.001, inf))])
def test_R4_what_a_frozen_device_says_is_infinitely_old(which: str, old: tuple[float, ...]) -> None:
    r = rig()
    r.h.set_devices(0, FROZEN if which == "pcs" else UP, FROZEN if which == "bms" else UP, 1.0)
    r.h.set_meter(FROZEN if which == "meter" else UP)
    r.tick()
    ages = [r.h.value(place, age) for age, place in ((Q.Q_PCS_AGE_S, 0), (Q.Q_BMS_AGE_S, 0), (Q.Q_METER_AGE_S, PLANT))]
    assert ages == [pytest.approx(value) for value in old]


@pytest.mark.parametrize(("bms_device", "pcs", "bms", "age_s"), [(-1, FROZEN, UP, inf), (-1, UP, FROZEN, 0.001), (0, FROZEN, UP, 0.001)])
def test_R4_without_a_bms_of_its_own_the_pcs_speaks_for_the_battery(bms_device: int, pcs: int, bms: int, age_s: float) -> None:
    array = config(slots=(Slot(),))
    array[0]["unit_bms_device"][0] = bms_device
    r = Rig(array)
    r.h.set_devices(0, pcs, bms, 1.0)
    r.tick(3)
    assert r.h.value(0, Q.Q_BMS_AGE_S) == pytest.approx(age_s)


@pytest.mark.parametrize("unit", [0, 1, 2])
@pytest.mark.parametrize(("beat", "age"), [(Q.Q_PCS_HB, Q.Q_PCS_HB_AGE_S), (Q.Q_BMS_HB, Q.Q_BMS_HB_AGE_S)])
def test_R4_each_heartbeat_has_its_own_last_change(beat: int, age: int, unit: int) -> None:
    """All of them count on, each from its own number, but for one that stands still after the fifth beat."""
    r = rig(3)
    beats = {(place, quantity): 100.0 * place + quantity for place in range(3) for quantity in (Q.Q_PCS_HB, Q.Q_BMS_HB)}
    assert r.h.value(unit, age) == inf, "none came"
    for count in range(20):
        for (place, quantity), first in beats.items():
            r.set(quantity, first + (count if (place, quantity) != (unit, beat) else min(count, 4)), place=place)
        r.tick()
    for place, quantity in beats:
        seen = r.h.value(place, Q.Q_PCS_HB_AGE_S if quantity == Q.Q_PCS_HB else Q.Q_BMS_HB_AGE_S)
        assert seen == pytest.approx(0.151 if (place, quantity) == (unit, beat) else 0.001)
    r.set(beat, nan, place=unit)
    r.tick()
    assert r.h.value(unit, age) == pytest.approx(0.161), "no number is no beat"


# --- state of charge ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("amps", "volts", "dc_w"), [(50.0, 720.0, nan), (nan, 720.0, 36e3), (50.0, nan, 36e3)])
def test_R4_soc_that_stands_still_is_doubted_by_the_energy_counted_at_the_battery(
    amps: float, volts: float, dc_w: float, sign: int
) -> None:
    """2 % of 100 kWh at 36 kW: after 200 s. The pack's own current and voltage count, else the PCS's DC power."""
    r = rig(soc_stuck_pct=2.0)
    for quantity, value in ((Q.Q_PACK_A, sign * amps), (Q.Q_PACK_V, volts), (Q.Q_DC_W, sign * dc_w)):
        r.set(quantity, value)
    r.tick(2)
    r.set(Q.Q_SOC_PCT, 49.0)
    r.tick()
    r.tick(200, S)
    assert (r.h.value(0, Q.Q_SOC_PCT), r.state["flags"] & L.Flag.FLAG_SOC_FROZEN) == (49.0, 0)
    r.tick(1)
    assert r.h.value(0, Q.Q_SOC_PCT) != r.h.value(0, Q.Q_SOC_PCT)
    assert r.state["flags"] & L.Flag.FLAG_SOC_FROZEN
    r.tick(50)
    r.set(Q.Q_SOC_PCT, 48.0)
    r.tick()
    assert (r.h.value(0, Q.Q_SOC_PCT), r.state["flags"] & L.Flag.FLAG_SOC_FROZEN) == (48.0, 0)
    told = [(e["place"], e["row"], e["slot"], e["level"], e["detail"], e["value"]) for e in r.events(E.EV_FLAG)]
    assert told == [(0, -1, -1, 2, L.Flag.FLAG_SOC_FROZEN, 1), (0, -1, -1, 0, L.Flag.FLAG_SOC_FROZEN, 0)]


def test_R4_energy_that_comes_back_is_no_reason_to_doubt() -> None:
    """Net: half a cycle there and back leaves SoC where it was."""
    r = rig(soc_stuck_pct=2.0)
    r.set(Q.Q_PACK_V, 720.0)
    for amps, ticks in ((50.0, 150), (-50.0, 300), (50.0, 300)):
        r.set(Q.Q_PACK_A, amps)
        r.tick(ticks, S)
    assert r.h.value(0, Q.Q_SOC_PCT) == 50.0


@pytest.mark.parametrize("pct", [0.0, -1.0])
def test_R4_a_site_that_states_no_such_share_doubts_nothing(pct: float) -> None:
    r = rig(soc_stuck_pct=pct)
    r.set(Q.Q_PACK_A, 100.0)
    r.tick(300, S)
    assert r.h.value(0, Q.Q_SOC_PCT) == 50.0


# --- does it do what it is told? ----------------------------------------------------------------------------------------------------------

FOLLOWING = [
    # command, measured -> beyond its limits or against its command, distance to the command; % of the 200 kW it can do
    (100e3, 100e3, 0.0, 0.0),
    (100e3, 90e3, 0.0, 5.0),
    (100e3, 110e3, 0.0, 5.0),
    (100e3, 0.0, 0.0, 50.0),
    (100e3, -20e3, 10.0, 60.0),
    (-100e3, 20e3, 10.0, 60.0),
    (-100e3, -120e3, 0.0, 10.0),
    (100e3, 170e3, 10.0, 35.0),
    (-100e3, -170e3, 10.0, 35.0),
    (0.0, 160e3, 5.0, 80.0),
    (0.0, -160e3, 5.0, 80.0),
    (0.0, 20e3, 0.0, 10.0),
    (100e3, nan, nan, nan),
]


@pytest.mark.parametrize(("command", "measured", "astray", "error"), FOLLOWING)
def test_R12_power_beyond_limits_or_against_the_command_goes_astray(command: float, measured: float, astray: float, error: float) -> None:
    """The unit may give and take 150 kW."""
    r = rig()
    for quantity in (Q.Q_BMS_DIS_MAX_A, Q.Q_BMS_CHA_MAX_A):
        r.set(quantity, 250.0)
    r.offer(0, {"target_w": command})
    r.set(Q.Q_AC_W, command)
    r.tick(30)
    assert r.power_w == command
    r.set(Q.Q_AC_W, measured)
    r.tick()
    assert r.h.value(0, Q.Q_ASTRAY_PCT) == pytest.approx(astray, nan_ok=True)
    assert r.h.value(0, Q.Q_FOLLOW_ERROR_PCT) == pytest.approx(error, nan_ok=True)
    assert asked_ns(r, Q.Q_ASTRAY_PCT) == asked_ns(r, Q.Q_FOLLOW_ERROR_PCT) == asked_ns(r, Q.Q_CONFLICT_PCT) == r.now_ns - MS


@pytest.mark.parametrize(("switch", "state", "ours"), [(0.0, 3, True), (1.0, 3, False), (0.0, 7, False)])
def test_R15_a_unit_that_is_not_ours_to_command_goes_nowhere_astray(switch: float, state: int, ours: bool) -> None:
    r = rig()
    r.set(Q.Q_LOC_REM, switch)
    r.set(Q.Q_PCS_STATE, state)
    r.tick(3)
    r.set(Q.Q_AC_W, 240e3)
    r.tick()
    assert (r.h.value(0, Q.Q_ASTRAY_PCT), r.h.value(0, Q.Q_FOLLOW_ERROR_PCT)) == ((20.0, 120.0) if ours else (0, 0))


def test_the_switch_to_local_counts_in_its_own_tick() -> None:
    r = rig()
    r.set(Q.Q_LOC_REM, 1.0)
    r.set(Q.Q_AC_W, 240e3)
    r.tick()
    assert r.h.value(0, Q.Q_ASTRAY_PCT) == 0


@pytest.mark.parametrize(
    ("ac_w", "dc_w", "conflict"),
    [(50e3, -20e3, 10.0), (-20e3, 50e3, 10.0), (50e3, 52e3, 0.0), (-50e3, -48e3, 0.0), (50e3, 0.0, 0.0), (0.0, 5e3, 0.0), (50e3, nan, nan)],
)
def test_ac_and_battery_that_flow_apart_are_in_conflict_by_the_smaller_of_the_two(ac_w: float, dc_w: float, conflict: float) -> None:
    r = rig()
    r.set(Q.Q_PACK_A, nan)
    r.set(Q.Q_AC_W, ac_w)
    r.set(Q.Q_DC_W, dc_w)
    r.tick(2)
    assert r.h.value(0, Q.Q_CONFLICT_PCT) == pytest.approx(conflict, nan_ok=True)


@pytest.mark.parametrize(("dis", "cha", "pct"), [(100e3, 200e3, 25.0), (200e3, 100e3, 25.0), (400e3, 100e3, 12.5), (1.0, 1.0, 5e6)])
def test_shares_are_of_the_larger_rating(dis: float, cha: float, pct: float) -> None:
    array = config(slots=(Slot(),))
    array[0]["unit_w_dis_max"][0], array[0]["unit_w_cha_max"][0] = dis, cha
    r = Rig(array, follow=False).run()
    r.set(Q.Q_AC_W, 50e3)
    r.tick()
    assert r.h.value(0, Q.Q_FOLLOW_ERROR_PCT) == pytest.approx(pct)


@pytest.mark.parametrize(
    ("target_w", "pct"), [(900e3, 50.0), (-900e3, 200.0), (600e3, 0.0), (-300e3, 0.0), (-450e3, 50.0), (500e3, 0.0), (None, 0.0)]
)
def test_a_target_beyond_what_the_plant_can_do_is_told_in_percent_of_it(target_w: float | None, pct: float) -> None:
    """Two units that give 300 kW and take 150 each."""
    array = config(2, slots=(Slot(),))
    array[0]["unit_w_dis_max"][:2], array[0]["unit_w_cha_max"][:2] = 300e3, 150e3
    r = Rig(array).run()
    r.offer(0, {} if target_w is None else {"target_w": target_w})
    r.tick(3)
    assert r.h.value(PLANT, Q.Q_TARGET_OVER_PCT) == pytest.approx(pct)
    assert asked_ns(r, Q.Q_TARGET_OVER_PCT, PLANT) == r.now_ns


def test_a_plant_that_can_do_nothing_is_measured_by_a_watt() -> None:
    array = config(slots=(Slot(),))
    array[0]["unit_w_dis_max"][0] = array[0]["unit_w_cha_max"][0] = 1.0
    r = Rig(array).run()
    r.offer(0, {"target_w": 3.0})
    r.tick(3)
    assert r.h.value(PLANT, Q.Q_TARGET_OVER_PCT) == pytest.approx(200.0)
