"""R9: a unit that falls silent counts at the worst of what it may be giving until it is proved stopped; then its share moves."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.pcc_cases import site
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, S, Slot, config
from tests.core.site_model import Pcs

UP, DOWN, FROZEN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, L.DeviceState.DEV_FROZEN
OFF, SLEEPING, RUNNING, FAULT, STANDBY = 0, 1, 3, 6, 7
REVERSION_S, RAMP_S = 2.0, 0.5
PROVED_S = 1.5 * REVERSION_S + RAMP_S


def rig(units: int = 2, target_w: float = 100e3, **limits: float) -> Rig:
    """Units of 200 kW that give what they are told; reversion 2 s, ramp to 0 in 0.5 s."""
    array = config(units, slots=(Slot(may_force=3),), reversal_dead_ns=0)
    array[0]["unit_reversion_ns"][:units] = round(REVERSION_S * S)
    array[0]["unit_ramp_to_zero_ns"][:units] = round(RAMP_S * S)
    r = Rig(array).run()
    r.offer(0, {"target_w": target_w, **limits}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(30)
    return r


def commands(r: Rig) -> list[float]:
    return list(r.h.out["cmd_w"][: r.units])


def lose(r: Rig, unit: int, how: str) -> None:
    """`down`: the PCS does not answer; `power`: its power turns to no number; `old`: its data stands still until it is too old."""
    if how == "down":
        r.h.set_devices(unit, DOWN, UP, 1.0)
    elif how == "power":
        r.follow = False
        r.set(Q.Q_AC_W, float("nan"), place=unit)
    else:
        r.freeze(Q.Q_AC_W, Q.Q_PCS_STATE, place=unit)
        r.tick(round(S / PERIOD_NS))


@pytest.mark.parametrize("how", ["down", "power", "old"])
@pytest.mark.parametrize("target_w", [100e3, -100e3])
def test_R9_the_share_of_a_silent_unit_stays_with_it_until_it_is_proved_stopped(how: str, target_w: float) -> None:
    """The scenario: one of two PCS loses its cable under load."""
    r = rig(target_w=target_w)
    assert commands(r) == [target_w / 2] * 2
    lose(r, 1, how)
    r.tick()
    assert commands(r) == [target_w / 2, 0]
    side = "hi" if target_w > 0 else "lo"
    assert r.state[f"unit_giving_{side}_w"][:2] == [0, target_w / 2]
    r.tick(round(PROVED_S * S / PERIOD_NS) - 2)
    assert commands(r) == [target_w / 2, 0]
    r.tick(3)
    assert commands(r) == [target_w, 0]
    assert r.state[f"unit_giving_{side}_w"][:2] == [0, 0]


@pytest.mark.parametrize("state", [OFF, SLEEPING, STANDBY])
def test_R9_a_unit_that_reports_stopped_gives_its_share_up_in_the_next_tick(state: int) -> None:
    r = rig()
    r.set(Q.Q_PCS_STATE, state, place=1)
    r.tick()
    assert commands(r) == [100e3, 0]


@pytest.mark.parametrize("how", ["down", "old"])
def test_R9_a_word_of_rest_counts_only_from_a_pcs_that_is_there_and_while_it_is_new(how: str) -> None:
    """Its last word was standby, and then it fell silent: what it gives now nobody knows."""
    r = rig()
    r.follow = False
    r.set(Q.Q_PCS_STATE, STANDBY, place=1)
    if how == "down":
        r.h.set_devices(1, DOWN, UP, 1.0)
        r.tick(2)
    else:
        r.tick()
        r.freeze(Q.Q_PCS_STATE, place=1)
        r.tick(99)
        assert r.state["unit_giving_hi_w"][1] == 0
        r.tick(2)
    assert (commands(r), r.state["unit_giving_hi_w"][1]) == ([50e3, 0], 50e3)


def test_R9_a_unit_stopped_by_its_protection_hands_over_in_the_same_tick() -> None:
    r = rig()
    r.set(Q.Q_BMS_DIS_MAX_A, 0.0, place=1)
    r.tick()
    assert commands(r) == [100e3, 0]


def test_R9_a_unit_that_reports_rest_and_goes_on_giving_is_counted_by_its_power() -> None:
    """Its word is believed for a second."""
    r = rig()
    r.follow = False
    r.set(Q.Q_PCS_STATE, STANDBY, place=1)
    r.tick(99)
    assert commands(r) == [100e3, 0]
    r.tick(3)
    assert commands(r) == [50e3, 0]
    r.set(Q.Q_AC_W, 0.0, place=1)
    r.tick()
    assert commands(r) == [100e3, 0]


@pytest.mark.parametrize(("state", "switch"), [(FAULT, 0), (RUNNING, 1)])
def test_R9_a_unit_beyond_our_command_counts_with_what_is_measured(state: int, switch: int) -> None:
    """In fault, or switched to local: it gives what somebody else decides, and the plant's limit holds for both."""
    r = rig(ess_hi_w=120e3)
    r.follow = False
    r.set(Q.Q_PCS_STATE, state, place=1)
    r.set(Q.Q_LOC_REM, switch, place=1)
    for measured, ours in ((80e3, 20e3), (130e3, 0), (10e3, 90e3), (0.0, 100e3), (-30e3, 100e3)):
        r.set(Q.Q_AC_W, measured, place=1)
        r.tick(2)
        assert commands(r) == [ours, 0], measured


@pytest.mark.parametrize(("measured", "counts"), [(2000.0, 0.0), (2001.0, 2001.0), (3900.0, 3900.0), (float("nan"), 0.0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_R9_what_a_meter_shows_of_a_pcs_that_gives_nothing_is_nothing(measured: float, counts: float, sign: int) -> None:
    """Up to 1 % of its 200 kW."""
    r = rig(target_w=sign * 100e3)
    r.follow = False
    r.set(Q.Q_PCS_STATE, FAULT, place=1)
    r.set(Q.Q_AC_W, 0.0, place=1)
    r.tick(2)
    r.set(Q.Q_AC_W, sign * measured, place=1)
    r.tick(2)
    assert commands(r) == [sign * (100e3 - counts), 0]


@pytest.mark.parametrize(("reversion_s", "ramp_s", "ticks"), [(2.0, 0.5, 350), (2.0, 0.0, 300), (0.0, 0.5, 50), (4.0, 1.0, 700)])
def test_R9_a_silent_unit_counts_for_one_and_a_half_reversions_and_its_own_ramp(reversion_s: float, ramp_s: float, ticks: int) -> None:
    """Device timers run late by half."""
    array = config(2, slots=(Slot(may_force=3),), reversal_dead_ns=0)
    array[0]["unit_reversion_ns"][:2] = round(reversion_s * S)
    array[0]["unit_ramp_to_zero_ns"][:2] = round(ramp_s * S)
    r = Rig(array).run()
    r.offer(0, {"target_w": 100e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(30)
    lose(r, 1, "down")
    r.tick(ticks)
    assert r.state["unit_giving_hi_w"][1] == 50e3
    r.tick()
    assert r.state["unit_giving_hi_w"][1] == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_R9_every_command_since_the_last_measurement_may_be_what_it_gives(sign: int) -> None:
    """Its line broke at 100 kW, unnoticed; the command that took it to 0 never arrived."""
    r = rig(target_w=sign * 200e3)
    r.freeze(Q.Q_AC_W, Q.Q_PCS_STATE, place=1)
    r.follow = False
    r.tick(20)
    r.offer(0, {"target_w": 0.0}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(20)
    assert commands(r) == [0, 0]
    r.tick(70)
    assert r.state["unit_giving_hi_w" if sign > 0 else "unit_giving_lo_w"][1] == sign * 100e3
    r.offer(0, {"target_w": sign * 150e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(30)
    assert commands(r) == [sign * 50e3, 0]


@pytest.mark.parametrize("sign", [1, -1])
def test_R9_a_command_not_yet_obeyed_counts_as_well(sign: int) -> None:
    """Dead time: told to give 100 kW, last measured at 0, then silent."""
    r = rig(target_w=0.0)
    r.follow = False
    r.offer(0, {"target_w": sign * 200e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(4)
    lose(r, 1, "down")
    r.tick(2)
    assert commands(r) == [sign * 100e3, 0]
    assert (r.state["unit_giving_lo_w"][1], r.state["unit_giving_hi_w"][1]) == ((0, 100e3) if sign > 0 else (-100e3, 0))


def test_R9_the_last_measurement_counts_where_a_command_was_not_followed_yet() -> None:
    """Told to give 0, still measured at 100 kW, then silent."""
    r = rig(target_w=200e3)
    r.follow = False
    r.offer(0, {"target_w": 0.0}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(3)
    lose(r, 1, "down")
    r.offer(0, {"target_w": 150e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(10)
    assert commands(r) == [50e3, 0]


def test_R9_units_never_run_against_a_silent_one_that_may_be_giving() -> None:
    """It gave 100 kW toward the grid; a target of -60 kW is for the whole plant, and the rest of it takes no more than that."""
    r = rig(target_w=200e3)
    lose(r, 1, "down")
    r.offer(0, {"target_w": -60e3, "ess_lo_w": -60e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(30)
    assert commands(r) == [-60e3, 0]


@pytest.mark.parametrize("lost", [(1,), (0, 2), (1, 2, 3)])
def test_R9_a_plant_limit_holds_for_commands_and_silent_units_together(lost: tuple[int, ...]) -> None:
    r = rig(4, target_w=400e3)
    for unit in lost:
        lose(r, unit, "down")
    for hi_w in (400e3, 250e3, 90e3, 0.0, 320e3):
        r.offer(0, {"target_w": 400e3, "ess_hi_w": hi_w}, lease_until_ns=r.now_ns + 600 * S)
        r.tick(20)
        counted = sum(r.state["unit_giving_hi_w"])
        assert counted == 100e3 * len(lost)
        assert sum(commands(r)) == pytest.approx(max(0.0, min(hi_w, 400e3) - counted), abs=4)


def test_R9_a_unit_that_comes_back_is_commanded_again_at_once() -> None:
    r = rig()
    lose(r, 1, "down")
    r.tick(30)
    r.h.set_devices(1, UP, UP, 1.0)
    r.tick()
    assert commands(r) == [50e3, 50e3]


@pytest.mark.parametrize("gone", ["goes on", "stops", "reverts"])
@pytest.mark.parametrize("meter_s", [0.1, 1.0])
def test_R9_the_connection_holds_whatever_a_silent_unit_does(gone: str, meter_s: float) -> None:
    """Two units, export limit 150 kW, no load: the second falls silent at 75 kW and goes on, stops at once, or reverts later. None of that
    is known until it must have reverted."""
    keys: dict[str, Any] = {"unit_reversion_ns": 4 * S, "unit_ramp_to_zero_ns": S // 2}
    s = site({"target_w": 200e3, "pcc_hi_w": 150e3}, meter_s=meter_s, lag_s=0.1, dead_s=0.1, load=lambda _: 0.0, units=2,
             pcs=[Pcs(0.1, 0.1), Pcs(0.1, 0.1)], site_keys=keys)  # fmt: skip
    s.run(3)
    assert s.pcc_w == pytest.approx(150e3, abs=3e3)
    s.rig.h.set_devices(1, DOWN, UP, 1.0)
    s.asked[1].period_s = 1e9
    lost_s = s.now_s
    silent = s.pcs[1]
    kept = silent.acting_w

    def behave(now_s: float, command_w: float) -> None:
        assert command_w == 0
        left = kept if gone == "goes on" or (gone == "reverts" and now_s < lost_s + 2) else 0.0
        silent.w += (left - silent.w) * 0.1

    silent.advance = behave  # type: ignore[method-assign]
    s.run(6)
    assert max(p for _, p, _, _ in s.since(lost_s)) <= 150e3 + 0.02 * 250e3
    if gone == "goes on":
        assert s.rig.power_w == pytest.approx(75e3, abs=2e3), "its power is in the meter's word already and not taken away twice"


# --- the split over units -----------------------------------------------------------------------------------------------------------------


def balanced(
    socs: list[float], target_w: float, balance_pct: float = 10.0, limits: dict[int, float] | None = None, wh: Any = 400e3
) -> list[float]:
    array = config(len(socs), slots=(Slot(),), balance_soc_pct=balance_pct)
    array[0]["unit_wh"][: len(socs)] = wh
    r = Rig(array).run()
    for unit, soc in enumerate(socs):
        r.set(Q.Q_SOC_PCT, soc, place=unit)
    for unit, amps in (limits or {}).items():
        r.set(Q.Q_BMS_DIS_MAX_A, amps, place=unit)
    r.offer(0, {"target_w": target_w})
    r.tick(30)
    return commands(r)


@pytest.mark.parametrize("target_w", [100e3, -100e3])
def test_R9_units_share_so_that_their_soc_grows_equal(target_w: float) -> None:
    """45, 50, 55 %: the fuller one discharges more and charges less; the sum is what was asked for."""
    low, middle, high = (abs(w) for w in balanced([45, 50, 55], target_w))
    assert low + middle + high == pytest.approx(100e3, abs=3)
    first, last = (low, high) if target_w > 0 else (high, low)
    assert first == pytest.approx(middle / 2, rel=1e-3)
    assert last == pytest.approx(middle * 1.5, rel=1e-3)


def test_R9_a_soc_within_the_band_or_not_known_changes_no_share() -> None:
    assert balanced([50.0, 50.9, 49.1], 90e3) == [30e3] * 3
    assert balanced([50.0, float("nan"), 50.0], 90e3) == [30e3] * 3
    assert balanced([20.0, 80.0], 100e3, balance_pct=0.0) == [50e3] * 2


def test_R9_the_mean_is_by_energy_and_units_without_a_capacity_count_alike() -> None:
    """40 and 60 %: with three times the energy in the second the mean is 55 %, else 50 %; a unit 10 points off takes double or nothing."""
    assert balanced([40.0, 60.0], 100e3, wh=(100e3, 300e3)) == pytest.approx([100e3 * 0.02 / 1.52, 100e3 * 1.5 / 1.52], abs=1)
    assert balanced([45.0, 55.0], 100e3, wh=0.0) == balanced([45.0, 55.0], 100e3) == pytest.approx([25e3, 75e3], abs=1)


def test_R9_what_a_favoured_unit_cannot_take_goes_to_the_others() -> None:
    """The fuller one is limited to 30 kW (50 A at 600 V); all the rest comes from the other, and at full power both give all."""
    assert balanced([40.0, 60.0], 100e3, limits={1: 50.0}) == [70e3, 30e3]
    assert balanced([40.0, 60.0], 400e3) == [200e3, 200e3]
    assert balanced([5.0, 60.0, 60.0], 390e3)[1:] == [pytest.approx(390e3 * 2 / 4.02, abs=1)] * 2


@pytest.mark.parametrize("units", [1, 2, 5, 16])
def test_R9_any_power_within_the_limits_is_given_whole_and_in_one_direction(units: int) -> None:
    """Availability, SoC and rating differ; the split loses a count per unit at most."""
    array = config(units, slots=(Slot(),), balance_soc_pct=10.0, ramp_w_per_s=1e12, reversal_dead_ns=0)
    for unit in range(units):
        array[0]["unit_w_dis_max"][unit] = array[0]["unit_w_cha_max"][unit] = 20e3 + 11e3 * unit
        array[0]["unit_wh"][unit] = 1e5 * (1 + unit % 3)
    r = Rig(array).run()
    for unit in range(units):
        r.set(Q.Q_SOC_PCT, 20 + 37 * unit % 60, place=unit)
    most = sum(20e3 + 11e3 * unit for unit in range(units))
    for share, sign in itertools.product((0.001, 0.2, 0.5, 0.9, 0.999, 1.0), (1, -1)):
        r.offer(0, {"target_w": sign * share * most})
        r.tick(3)
        watts = commands(r)
        assert all(w * sign >= 0 for w in watts)
        assert abs(sum(watts)) == pytest.approx(share * most, abs=units)
    assert r.state["internal"] == 0
    assert PLANT == 16
