"""The edges of the step that `make coverage` found nobody on: stops, warm starts, unknown states of charge, clocks, connections."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, START_NS, Rig, Row, S, Slot, config, mapped

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
    assert (rig.state["mode"], rig.h.stopped) == (M.MODE_STANDBY, False)
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


def test_R15_what_rests_before_the_request_was_seen_is_no_stop() -> None:
    rig = running(config())
    rig.set(Q.Q_PCS_STATE, 7)
    rig.tick()
    rig.h.ask_stop()
    assert (rig.state["mode"], rig.power_w, rig.h.stopped) == (M.MODE_RUN, 0, False)


@pytest.mark.parametrize("sign", [1, -1])
def test_R3_a_forced_power_too_small_to_be_given_is_told_of_the_slot_that_forces_it(sign: int) -> None:
    rig = forced(MARKET, GRID)
    rig.offer(1, {"pcc_lo_w" if sign > 0 else "pcc_hi_w": sign * 1e3}, lease_until_ns=rig.now_ns + 100 * S)
    rig.tick(50)
    assert (rig.power_w, rig.state["unmet_slot"]) == (0, 1)
    assert rig.state["pcc_unmet_w"] == pytest.approx(sign * 1e3, abs=1)


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
        (({}, {"pcc_lo_w": 1e3}), 400, 0, 1e3, 1),
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
    assert (rig.power_w, rig.state["pcc_unmet_w"]) == pytest.approx((power, unmet), abs=1)
    assert rig.state["unmet_slot"] == slot
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


# --- who takes which share, and who binds ---


NAN = math.nan
# SoC of each unit, capacity in Wh, target: the shares of 100 kW; balance_soc_pct is 10
SHARES = [
    ("1 % off the mean is level", (51.0, 49.0), (1e5, 1e5), 100e3, (50.0, 50.0)),
    ("a little more is not", (51.5, 48.5), (1e5, 1e5), 100e3, (57.5, 42.5)),
    ("nor charging", (51.5, 48.5), (1e5, 1e5), -100e3, (-42.5, -57.5)),
    ("twice at most, and a fiftieth at least", (80.0, 20.0), (1e5, 1e5), 100e3, (100 * 2 / 2.02, 100 * 0.02 / 2.02)),
    ("charging as well", (80.0, 20.0), (1e5, 1e5), -100e3, (-100 * 0.02 / 2.02, -100 * 2 / 2.02)),
    ("one that is not known takes its even part", (NAN, 55.0, 45.0), (1e5, 1e5, 1e5), 100e3, (100 / 3, 50.0, 100 / 6)),
    ("the mean is by energy", (62.0, 50.0), (3e5, 1e5), 100e3, (100 * 1.3 / 1.4, 100 * 0.1 / 1.4)),
    ("no capacity counts as 1 Wh", (54.0, 50.0), (3.0, 0.0), 100e3, (100 / 1.7, 70 / 1.7)),
]


@pytest.mark.parametrize(("story", "soc", "wh", "target_w", "kilowatts"), SHARES, ids=[row[0] for row in SHARES])
def test_the_share_of_a_unit_grows_with_its_distance_from_the_mean(
    story: str, soc: tuple[float, ...], wh: tuple[float, ...], target_w: float, kilowatts: tuple[float, ...]
) -> None:
    array = config(units=len(soc), balance_soc_pct=10.0)
    array[0]["unit_wh"][: len(wh)] = wh
    rig = Rig(array)
    for unit, value in enumerate(soc):
        rig.set(Q.Q_SOC_PCT, value, place=unit)
    rig.run()
    told(rig, target_w, 60)
    assert list(rig.h.out["cmd_w"])[: len(soc)] == pytest.approx([1e3 * kw for kw in kilowatts], abs=1.01), story


@pytest.mark.parametrize("direction", [L.Direction.DIR_CHARGE, L.Direction.DIR_DISCHARGE])
def test_a_mode_without_power_closes_the_side_that_a_row_left_open(direction: int) -> None:
    row = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_BLOCK, direction=direction)
    rig = running(config(rows=(row,)))
    rig.set(Q.Q_CELL_V_MAX, 3.7)
    rig.local(L.CommandCode.CMD_STOP)
    rig.tick(3)
    assert rig.state["mode"] == M.MODE_STOPPED
    stopped = (0.0, L.BindKind.BIND_MODE, M.MODE_STOPPED)
    assert rig.side("hi") == rig.side("lo") == stopped


@pytest.mark.parametrize("side", ["hi", "lo"])
def test_the_first_unit_that_more_than_its_rating_limits_is_named_for_the_plant(side: str) -> None:
    rig = running(config(units=4))
    limit, row_of = (Q.Q_BMS_DIS_MAX_A, Q.Q_W_MAX_DIS) if side == "hi" else (Q.Q_BMS_CHA_MAX_A, Q.Q_W_MAX_CHA)
    assert rig.side(side)[1:] == (L.BindKind.BIND_RATING, 0)
    rig.set(row_of, 190e3, place=0)
    rig.set(limit, 100.0, place=1)
    rig.h.set_devices(2, L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, 1.0)
    rig.tick()
    sign = 1 if side == "hi" else -1
    assert rig.side(side) == (sign * (190e3 + 60e3 + 0 + 200e3), L.BindKind.BIND_BMS, 1)
    rig.set(limit, 400.0, place=1)
    rig.tick()
    assert rig.side(side)[1:] == (L.BindKind.BIND_DEVICE, 2)


def test_nobody_is_published_as_nobody() -> None:
    state = running(config(units=2)).state
    assert (state["target_slot"], state["reactive_slot"], state["connect_slot"], state["unmet_slot"]) == (-1, -1, -1, 255)
    assert (state["pcc_unmet_w"], state["connect_bind"]) == (0, L.BindKind.BIND_NONE)


def test_since_moves_when_another_of_the_same_kind_binds_and_when_the_same_one_binds_otherwise() -> None:
    rig = running(config(slots=(Slot(), Slot(), Slot(required=True, default={"ess_hi_w": 40e3}))))

    def since() -> tuple[int, int, int]:
        return rig.state["hi_bind"], rig.state["hi_bind_id"], (rig.now_ns - rig.state["hi_since_ns"]) // PERIOD_NS

    kind = L.BindKind
    assert since()[:2] == (kind.BIND_DEFAULT, 2)
    rig.offer(0, {"ess_hi_w": 30e3})
    rig.tick(5)
    assert since() == (kind.BIND_SLOT, 0, 4)
    rig.offer(1, {"ess_hi_w": 20e3})
    rig.tick(3)
    assert since() == (kind.BIND_SLOT, 1, 2), "another slot"
    rig.offer(2, {"ess_hi_w": 10e3})
    rig.tick(2)
    assert since() == (kind.BIND_SLOT, 2, 1)
    rig.offer(2, {"ess_hi_w": 10e3}, fallback=({"ess_hi_w": 10e3},), lease_until_ns=rig.now_ns + 2 * PERIOD_NS, serial=2)
    rig.tick(8)
    assert since()[:2] == (kind.BIND_FALLBACK, 2)
    assert since()[2] < 7, "the same slot, by its fallback"
