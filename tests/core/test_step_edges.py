"""The edges of the step that `make coverage` found nobody on: stops, warm starts, unknown states of charge, clocks, connections."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, START_NS, Rig, S, Slot, config, mapped

Q, M = L.Quantity, L.Mode


def running(array: Any, watts: float = 0.0, **facts: Any) -> Rig:
    rig = Rig(array, **facts).run()
    if watts:
        rig.offer(0, {"target_w": watts}, lease_until_ns=START_NS + 3000 * S)
        rig.tick(50)
    return rig


def test_R15_nothing_is_stopped_that_was_not_asked_to_stop() -> None:
    assert not running(config()).h.stopped


def test_R15_a_stop_is_not_over_in_the_moment_it_is_asked_for_nor_on_the_ramp() -> None:
    rig = running(config(ramp_w_per_s=1e5), 100e3)
    rig.h.ask_stop()
    assert not rig.h.stopped, "no tick has seen it yet"
    rig.tick()
    assert not rig.h.stopped, "power still flows"


def test_R15_a_loop_that_stands_by_stops_at_once() -> None:
    rig = Rig(config(rt_required=1), rt_refused=True)
    rig.set(Q.Q_PCS_STATE, 1)
    rig.tick(5)
    assert rig.state["mode"] == M.MODE_STANDBY
    rig.h.ask_stop()
    assert rig.h.stopped


@pytest.mark.parametrize("measured_w", [-150e3, 150e3])
def test_R5_a_warm_start_goes_on_from_measured_power_within_the_envelope(measured_w: float) -> None:
    """The BMS allows less than what still flows: the first command is the limit, not the measurement."""
    rig = Rig(config(), warm=True, follow=False)
    rig.set(Q.Q_AC_W, measured_w)
    rig.set(Q.Q_BMS_CHA_MAX_A, 100)
    rig.set(Q.Q_BMS_DIS_MAX_A, 100)
    first = next(w for w in iter(lambda: (rig.tick(), rig.power_w)[1], None) if rig.state["mode"] == M.MODE_RUN)
    assert abs(first) <= 60e3


@pytest.mark.parametrize("known", [0, 1, 2])
def test_shares_are_even_where_the_state_of_charge_is_not_known(known: int) -> None:
    array = config(units=2, balance_soc_pct=10.0)
    array[0]["unit_wh"][:2] = 400e3
    rig = Rig(array)
    for unit in range(known, 2):
        rig.freeze(Q.Q_SOC_PCT, place=unit)
        rig.values.pop((unit, Q.Q_SOC_PCT))
    rig.run()
    rig.offer(0, {"target_w": 100e3}, lease_until_ns=START_NS + 3000 * S)
    rig.tick(50)
    assert list(rig.h.out["cmd_w"])[:2] == [50e3, 50e3]


@pytest.mark.parametrize(
    "stated",
    [{"pcc_import_max_w": 50e3}, {"pcc_export_max_w": 50e3}, {"pcc_import_max_w": 50e3, "pcc_export_max_w": 50e3}],
    ids=["import", "export", "both"],
)
def test_each_side_of_the_connection_may_be_stated_alone(stated: dict[str, Any]) -> None:
    rig = Rig(config(has_meter=1, slots=(Slot(),), load_max_w=0.0, pv_max_w=0.0, **stated))
    rig.meter(0.0)
    rig.run()
    for watts, side in ((100e3, "pcc_export_max_w"), (-100e3, "pcc_import_max_w")):
        rig.offer(0, {"target_w": watts}, lease_until_ns=START_NS + 3000 * S, serial=2 if watts < 0 else 1)
        rig.tick(300)
        assert abs(rig.power_w) == (pytest.approx(50e3, rel=0.05) if side in stated else pytest.approx(100e3, rel=0.05))


def test_ticks_are_counted_one_by_one() -> None:
    rig = Rig(config())
    assert [rig.tick()["tick"] for _ in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize(("ac_w", "stopped"), [(2e3, True), (-2e3, True), (2000.1, False), (-2000.1, False)])
def test_R15_at_rest_is_a_hundredth_of_the_rating_measured(ac_w: float, stopped: bool) -> None:
    rig = running(config())
    rig.follow = False
    rig.h.ask_stop()
    rig.set(Q.Q_PCS_STATE, 7)
    rig.set(Q.Q_AC_W, ac_w)
    rig.tick(5)
    assert rig.h.stopped is stopped


def test_a_tick_at_the_same_instant_moves_no_power() -> None:
    """A clock that stands, or runs back, gives the ramp no time: never more than what was there."""
    rig = running(config(ramp_w_per_s=1e5), 10e3)
    before = rig.power_w
    rig.offer(0, {"target_w": 200e3}, lease_until_ns=START_NS + 3000 * S, serial=2)
    rig.tick(1, 0)
    assert rig.power_w == before
    rig.tick(1, -1_000_000)
    assert rig.power_w == before


def test_R2_a_limit_that_forbids_everything_finds_power_at_0_already() -> None:
    rig = running(config())
    rig.set(Q.Q_BMS_CHA_MAX_A, 0)
    rig.set(Q.Q_BMS_DIS_MAX_A, 0)
    rig.tick(5)
    assert (rig.power_w, rig.state["lo_w"], rig.state["hi_w"]) == (0, 0, 0)
    assert not math.isnan(rig.state["ess_w"])


# --- begins again with a margin, or after a rest (docs/safety.md: min_power_w, reversal_min_w) ---


def told(rig: Rig, watts: float, ticks: int = 1, period_ns: int = PERIOD_NS) -> float:
    rig.offer(0, {"target_w": watts}, lease_until_ns=rig.now_ns + 600 * S)
    rig.tick(ticks, period_ns)
    return rig.power_w


@pytest.mark.parametrize("sign", [1, -1])
def test_R2_power_below_the_least_begins_again_a_quarter_above_it_or_after_ten_seconds(sign: int) -> None:
    rig = running(config(min_power_w=2e3))
    assert told(rig, sign * 2e3) == sign * 2e3, "the first time it needs no margin"
    assert told(rig, sign * 1999.0) == 0
    assert told(rig, sign * 2499.0) == 0
    assert told(rig, sign * 2500.0) == sign * 2500
    assert told(rig, 0.0) == 0
    assert told(rig, sign * 2e3, 999) == 0
    assert told(rig, sign * 2e3) == sign * 2e3, "ten seconds later"
    assert told(rig, sign * 1999.0) == 0, "and never less"
    assert told(rig, sign * 1999.0, 2000) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_R2_a_small_wish_turns_power_around_after_ten_seconds_of_rest(sign: int) -> None:
    rig = running(config(reversal_min_w=4e3, reversal_dead_ns=0))
    assert told(rig, sign * 50e3, 10) == sign * 50e3
    assert told(rig, -sign * 3999.0, 1000) == 0
    assert told(rig, -sign * 3999.0) == -sign * 3999, "ten seconds after power came to 0"
    assert told(rig, sign * 4e3, 2) == sign * 4e3, "at the margin it waits for nothing"
    assert told(rig, -sign * 3999.0, 5) == 0
    assert told(rig, sign * 1e3, 5) == sign * 1e3, "back in the direction it came from"


def test_shares_follow_a_state_of_charge_that_is_asked_for_slowly() -> None:
    """The scenario: SunSpec 713 each second, data age 0.5 s: shares jumped between even and balanced with every poll."""
    array = config(units=2, balance_soc_pct=10.0)
    array[0]["unit_wh"][:2], array[0]["unit_data_age_ns"][:2] = 400e3, S // 2
    for unit in range(2):
        mapped(array, {Q.Q_SOC_PCT: 1.0}, unit)
    rig = Rig(array)
    rig.set(Q.Q_SOC_PCT, 70.0)
    rig.set(Q.Q_SOC_PCT, 50.0, place=1)
    rig.run()
    rig.offer(0, {"target_w": 50e3}, lease_until_ns=rig.now_ns + 100 * S)
    for unit in range(2):
        rig.freeze(Q.Q_SOC_PCT, place=unit)
    rig.tick(345)
    assert rig.h.out["cmd_w"][0] > 1.5 * rig.h.out["cmd_w"][1]
    rig.tick(10)
    assert rig.h.out["cmd_w"][0] == pytest.approx(rig.h.out["cmd_w"][1], abs=1)


# --- power that a limit forces, below the smallest that is given --------------------------------------------------------------------------

GRID, MARKET = L.SlotClass.CLASS_GRID, L.SlotClass.CLASS_MARKET
SHED = {"shed_on_ns": S, "shed_off_ns": S, "shed_margin_w": 20e3, "pcc_import_max_w": 1e6}


def forced(*classes: int, **site: Any) -> Rig:
    """Each source may force; behind the connection nothing else flows. min_power_w is 2 kW."""
    slots = tuple(Slot(klass=klass, may_force=3) for klass in classes)
    rig = Rig(config(slots=slots, has_meter=1, **{"min_power_w": 2e3, "load_max_w": 0.0, **site}))
    rig.meter(0.0)
    return rig.run()


@pytest.mark.parametrize(
    ("limits", "allowed_a", "power", "unmet", "slot"),
    [
        (({"pcc_lo_w": 1e3}, {}), 400, 0, 1e3, 0),
        (({"pcc_hi_w": -1e3}, {}), 400, 0, -1e3, 0),
        (({}, {"pcc_hi_w": -1e3}), 400, 0, -1e3, 1),
        (({"pcc_lo_w": 2e3}, {}), 400, 2e3, 0, 255),
        # the battery gives less than the least: all of it stays unmet, not only what is beyond the battery
        (({"pcc_lo_w": 50e3}, {}), 2, 0, 50e3, 0),
        (({"pcc_hi_w": -50e3}, {}), 2, 0, -50e3, 0),
        # what a better class cannot have goes before what a worse one cannot
        (({"pcc_lo_w": 1e3}, {"pcc_hi_w": -5e3}), 400, 0, 1e3, 0),
        (({"pcc_hi_w": -1e3}, {"pcc_lo_w": 5e3}), 400, 0, -1e3, 0),
        # a wish is no limit
        (({"target_w": 1e3}, {}), 400, 0, 0, 255),
    ],
)
def test_R3_a_forced_power_below_the_least_is_not_given_and_told_as_unmet(
    limits: tuple[dict[str, float], dict[str, float]], allowed_a: float, power: float, unmet: float, slot: int
) -> None:
    """The scenario: an import limit that 1 kW of discharge would keep, min_power_w 2 kW: the limit is exceeded, and nobody said so."""
    rig = forced(GRID, MARKET)
    rig.set(Q.Q_BMS_DIS_MAX_A, allowed_a)
    rig.set(Q.Q_BMS_CHA_MAX_A, allowed_a)
    for index, limit in enumerate(limits):
        rig.offer(index, limit)
    rig.tick(30)
    assert (rig.power_w, rig.state["pcc_unmet_w"], rig.state["unmet_slot"]) == pytest.approx((power, unmet, slot), abs=1)
    assert bool(rig.state["flags"] & L.Flag.FLAG_SHED) == (unmet != 0)
    assert len(rig.events(L.EventCode.EV_LIMITS_DISJOINT)) >= (unmet != 0)


@pytest.mark.parametrize("limit", [{"pcc_lo_w": 20e3}, {"pcc_hi_w": -20e3}])
def test_R3_a_forced_power_on_its_ramp_is_not_unmet(limit: dict[str, float]) -> None:
    """1 kW a tick: the first two are below the least and not given, and the limit will be met all the same."""
    rig = forced(GRID, ramp_w_per_s=1e5)
    rig.offer(0, limit)
    for _ in range(30):
        rig.tick()
        assert rig.state["unmet_slot"] == 255
    assert abs(rig.power_w) == pytest.approx(20e3, abs=1)


@pytest.mark.parametrize(("unmet_w", "sheds"), [(1999.0, False), (2499.0, False), (2500.0, True), (9e3, True)])
def test_R3_what_is_too_small_to_be_given_sheds_no_load(unmet_w: float, sheds: bool) -> None:
    """2 kW, and a quarter more with which power begins again: below that the meter alone decides, by its margin (20 kW here)."""
    rig = forced(GRID, **SHED)
    rig.set(Q.Q_BMS_DIS_MAX_A, 0)
    rig.offer(0, {"pcc_lo_w": unmet_w})
    rig.tick(30, S // 10)
    assert rig.state["pcc_unmet_w"] == unmet_w
    assert bool(rig.h.out["shed"] == 1) is sheds
