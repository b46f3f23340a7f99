"""Reactive power: fixed var, power factor, share of what is left; on each unit's circle; split, ramp, and 0 where it must be.

SEP2-10 (opModFixedVar, opModFixedPFInjectW, opModFixedPFAbsorbW). Units are rated 200 kVA; positive is injected.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, PLAN, Q, Rig, Row, S, Slot, config, plan

A, B, F, K = L.Action, L.BindKind, L.PlanFault, L.QControl
NAN = math.nan
ESS, PCC, REACTIVE = (1 << scope for scope in (0, 1, 2))
VAR, PF, AVAILABLE = ({"q_kind": int(kind)} for kind in (K.QC_VAR, K.QC_PF, K.QC_AVAILABLE))
ANY = Slot(scopes=ESS | REACTIVE)


def rig(units: int = 1, slots: tuple[Slot, ...] = (ANY,), rows: tuple[Row, ...] = (), *, va: tuple[float, ...] = (),
        var_max: float = 200e3, **site: Any) -> Rig:  # fmt: skip
    c = config(units, rows=rows, slots=slots, **site)
    c[0]["unit_var_max"][:units] = var_max
    for unit, rated in enumerate(va):
        for field in ("unit_va_max", "unit_w_dis_max", "unit_w_cha_max"):
            c[0][field][unit] = rated
    return Rig(c).run()


def given_var(r: Rig) -> list[float]:
    return list(r.h.out["cmd_var"][: r.units])


def ask(r: Rig, *blocks: dict[str, Any], slot: int = 0, ticks: int = 3, **words: Any) -> dict[str, Any]:
    r.offer(slot, *blocks, **{"lease_until_ns": r.now_ns + 600 * S} | words)
    return r.tick(ticks)


# --- is it a plan? ----------------------------------------------------------------------------------------------------------------------

FAULTS = [
    (VAR | {"q_value": 50e3}, 0, "fixed var"),
    (VAR | {"q_value": -50e3}, 0, "absorbed"),
    (PF | {"q_value": 0.95}, 0, "power factor while injecting alone"),
    (PF | {"q_value": NAN, "q_absorb": -0.9}, 0, "while absorbing alone"),
    (PF | {"q_value": -1.0, "q_absorb": 1.0}, 0, "unity either way"),
    (AVAILABLE | {"q_value": -1.0}, 0, "all that is left"),
    (VAR | {"q_value": NAN}, F.PLAN_NUMBER, "no number"),
    (VAR | {"q_value": math.inf}, F.PLAN_NUMBER, "infinite"),
    (AVAILABLE | {"q_value": NAN}, F.PLAN_NUMBER, "no share"),
    (PF | {"q_value": NAN}, F.PLAN_NUMBER, "no factor at all"),
    (PF | {"q_value": 0.0}, F.PLAN_RANGE, "a factor of 0"),
    (PF | {"q_value": 1.01}, F.PLAN_RANGE, "above unity"),
    (PF | {"q_value": 0.9, "q_absorb": -1.5}, F.PLAN_RANGE, "below"),
    (PF | {"q_value": -math.inf}, F.PLAN_RANGE, "infinite factor"),
    (AVAILABLE | {"q_value": 1.01}, F.PLAN_RANGE, "more than there is"),
    ({"q_kind": 4, "q_value": 0.5}, F.PLAN_KIND, "unknown kind"),
]


@pytest.mark.parametrize(("block", "fault", "what"), FAULTS, ids=[row[2] for row in FAULTS])
def test_what_a_plan_may_ask_for(block: dict[str, Any], fault: int, what: str) -> None:
    r = rig()
    assert ask(r, block)["slot_fault"][0] == fault, what


def test_reactive_power_needs_its_own_scope() -> None:
    r = rig(slots=(Slot(scopes=ESS | PCC),))
    assert ask(r, VAR | {"q_value": 1e3})["slot_fault"][0] == F.PLAN_SCOPE


# --- how much -----------------------------------------------------------------------------------------------------------------------------

TAN = math.tan(math.acos(0.9))
FACTORS = [
    # active power, factor while discharging, while charging, reactive power
    (100e3, 0.9, NAN, 100e3 * TAN),
    (100e3, -0.9, NAN, -100e3 * TAN),
    (-100e3, 0.9, NAN, 0.0),
    (-100e3, NAN, 0.9, 100e3 * TAN),
    (-100e3, NAN, -0.9, -100e3 * TAN),
    (-100e3, 0.9, -0.9, -100e3 * TAN),
    (100e3, 0.9, -0.9, 100e3 * TAN),
    (0.0, 0.9, 0.9, 0.0),
    (100e3, 1.0, NAN, 0.0),
]


@pytest.mark.parametrize(("w", "inject", "absorb", "var"), FACTORS)
def test_a_power_factor_goes_with_active_power_by_its_direction_and_excitation(w: float, inject: float, absorb: float, var: float) -> None:
    """SEP2-10: opModFixedPFInjectW while power flows toward the grid, opModFixedPFAbsorbW from it."""
    r = rig()
    state = ask(r, PF | {"target_w": w, "q_value": inject, "q_absorb": absorb}, ticks=5)
    assert state["command_var"] == pytest.approx(var, abs=1)
    assert state["wanted_var"] == pytest.approx(var, abs=1)


def test_a_share_of_what_active_power_leaves() -> None:
    r = rig()
    assert ask(r, AVAILABLE | {"target_w": 160e3, "q_value": -0.5})["command_var"] == pytest.approx(-0.5 * 120e3, abs=1)
    assert r.state["reactive_max_var"] == pytest.approx(120e3)


def test_away_from_zero_it_is_ramped_and_toward_zero_at_once() -> None:
    """R2, for reactive power."""
    r = rig(reactive_ramp_var_per_s=1e6)
    ask(r, VAR | {"q_value": 50e3}, ticks=1)
    seen = [r.state["command_var"]] + [r.tick(1)["command_var"] for _ in range(5)]
    assert seen == [10e3, 20e3, 30e3, 40e3, 50e3, 50e3]
    assert ask(r, VAR | {"q_value": 20e3}, ticks=1)["command_var"] == 20e3
    assert ask(r, VAR | {"q_value": -20e3}, ticks=1)["command_var"] == 0
    assert r.tick(2)["command_var"] == -20e3


# --- the circle ---------------------------------------------------------------------------------------------------------------------------


def test_active_power_goes_first_unless_the_site_says_otherwise() -> None:
    state = ask(rig(), VAR | {"q_value": 200e3, "target_w": 160e3}, ticks=30)
    assert (state["command_w"], state["command_var"]) == (160e3, pytest.approx(120e3, abs=1))
    assert (state["hi_w"], state["wanted_var"], state["reactive_max_var"]) == (200e3, 200e3, pytest.approx(120e3))


@pytest.mark.parametrize("sign", [1, -1])
def test_reactive_power_first_narrows_active_power_and_says_who(sign: int) -> None:
    r = rig(reactive_first=1)
    state = ask(r, VAR | {"q_value": -120e3, "target_w": sign * 200e3}, ticks=30)
    assert (state["command_w"], state["command_var"]) == (pytest.approx(sign * 160e3, abs=1), -120e3)
    w, *who = r.side("hi" if sign > 0 else "lo")
    assert w == pytest.approx(sign * 160e3)
    assert who == [B.BIND_REACTIVE, 0]
    assert (state["device_hi_w"], state["device_lo_w"]) == (200e3, -200e3), "the device interval does not move"


def test_a_power_factor_that_goes_first_keeps_its_angle() -> None:
    r = rig(reactive_first=1)
    state = ask(r, PF | {"q_value": 0.8, "target_w": 200e3}, ticks=30)
    assert (state["command_w"], state["command_var"]) == (pytest.approx(160e3, abs=1), pytest.approx(120e3, abs=2))


def test_a_better_class_that_forces_power_gets_it_and_reactive_power_what_is_left() -> None:
    """The market's var go first against the market's watts, not against an import limit of the grid."""
    r = Rig(config(1, slots=(Slot(klass=0, priority=1, may_force=L.Direction.DIR_BOTH), ANY), has_meter=1, reactive_first=1))
    r.meter(180e3)
    r.run()
    ask(r, {"pcc_lo_w": 0.0})
    state = ask(r, VAR | {"q_value": 160e3}, slot=1, ticks=30)
    assert state["command_w"] == pytest.approx(180e3, abs=2)
    assert state["command_var"] == pytest.approx(math.sqrt(200e3**2 - 180e3**2), rel=1e-3)


def test_reactive_power_that_goes_first_takes_no_more_room_than_the_unit_can_give() -> None:
    """60 kvar of a unit of 200 kVA leave 190.8 kW, whatever is asked for."""
    state = ask(rig(reactive_first=1, var_max=60e3), VAR | {"q_value": -200e3, "target_w": 200e3}, ticks=30)
    assert (state["command_w"], state["command_var"]) == (pytest.approx(math.sqrt(200e3**2 - 60e3**2), abs=1), -60e3)


def test_after_a_stop_it_comes_by_the_ramp() -> None:
    r = rig(reactive_ramp_var_per_s=1e6)
    ask(r, VAR | {"q_value": 100e3}, ticks=20)
    for code, ticks in ((L.CommandCode.CMD_STOP, 50), (L.CommandCode.CMD_START, 2)):
        r.local(code)
        r.tick()
        r.disk()
        assert r.tick(ticks)["command_var"] == 0
    seen = [r.tick()["command_var"] for _ in range(30)]
    assert [var for var in seen if var][:3] == [10e3, 20e3, 30e3]


def test_a_units_own_rating_of_reactive_power_holds() -> None:
    r = rig(var_max=60e3)
    assert ask(r, VAR | {"q_value": -200e3}, ticks=30)["command_var"] == -60e3


# --- who gives it -------------------------------------------------------------------------------------------------------------------------


def test_units_share_by_apparent_power() -> None:
    r = rig(2, va=(300e3, 100e3), var_max=300e3)
    ask(r, VAR | {"q_value": 200e3}, ticks=30)
    assert given_var(r) == [150e3, 50e3]


def test_what_one_cannot_take_goes_to_the_others() -> None:
    """Unit 0 charges nothing and discharges at its limit; it has only what its circle leaves."""
    r = rig(2, rows=(Row(Q.Q_SOC_PCT, 5, 8, above=False, action=A.ACT_BLOCK, direction=L.Direction.DIR_DISCHARGE, unit=1),))
    r.set(Q.Q_SOC_PCT, 4.0, place=1)
    ask(r, VAR | {"q_value": 300e3, "target_w": 160e3}, ticks=60)
    assert r.h.out["cmd_w"][:2] == [160e3, 0]
    assert given_var(r) == [pytest.approx(120e3, abs=1), pytest.approx(180e3, abs=1)]


def test_the_best_priority_rules_and_the_next_follows_when_it_ends() -> None:
    r = rig(slots=(Slot(scopes=ESS | REACTIVE, priority=5), Slot(scopes=REACTIVE, priority=2)))
    ask(r, VAR | {"q_value": 10e3})
    assert ask(r, VAR | {"q_value": 20e3}, slot=1, lease_until_ns=r.now_ns + S)["command_var"] == 20e3
    assert (r.state["reactive_slot"], r.state["slot_q_value"][:2]) == (1, [10e3, 20e3])
    assert r.tick(120)["command_var"] == 10e3
    assert (r.state["reactive_slot"], r.state["slot_q_kind"][1]) == (0, K.QC_NONE)


@pytest.mark.parametrize(("fallback", "var"), [((), None), (({"ess_hi_w": 1e3},), None), ((VAR | {"q_value": 5e3},), 5e3)])
def test_a_lapsed_wish_is_gone_unless_the_fallback_series_asks_itself(fallback: tuple[dict[str, Any], ...], var: float | None) -> None:
    """A current limit in the fallback was counted without reactive power (OSCP row 13)."""
    r = rig()
    ask(r, VAR | {"q_value": 10e3}, fallback=fallback, lease_until_ns=r.now_ns + S)
    r.tick(120)
    assert r.state["slot_state"][0] == L.SlotState.SLOT_LAPSED
    assert (r.state["command_var"], r.state["reactive_kind"]) == ((0, K.QC_NONE) if var is None else (var, K.QC_VAR))


def test_blocks_follow_each_other_and_nobody_asks_in_a_gap() -> None:
    r = rig()
    now = r.now_ns
    ask(r, VAR | {"q_value": 10e3, "end_ns": now + S}, PF | {"q_value": 0.9, "target_w": 50e3, "start_ns": now + 2 * S})
    assert (r.state["command_var"], r.state["reactive_kind"]) == (10e3, K.QC_VAR)
    r.tick(120)
    assert (r.h.out["reactive"], r.state["command_var"], r.state["reactive_slot"]) == (K.QC_NONE, 0, -1)
    assert math.isnan(r.state["wanted_var"])
    assert r.tick(120)["command_var"] == pytest.approx(50e3 * TAN, abs=1)


# --- where there is none ------------------------------------------------------------------------------------------------------------------


def test_the_lease_ends_and_the_pcs_has_its_reactive_power_back() -> None:
    """Grid-code functions stay in the PCS: without a source none of its reactive power is ours, whatever the lapse rule."""
    for lapse in (0, 1, 2):
        r = rig()
        ask(r, VAR | {"q_value": 10e3}, lease_until_ns=r.now_ns + S, lapse=lapse, fallback=({"ess_hi_w": 7e3},))
        assert r.h.out["reactive"] == K.QC_VAR
        r.tick(120)
        assert (r.h.out["reactive"], given_var(r)) == (K.QC_NONE, [0])


STOPS = {
    "a row brings the unit to 0": lambda r: r.set(Q.Q_CELL_V_MAX, 4.0),
    "its PCS is silent": lambda r: r.h.set_devices(0, L.DeviceState.DEV_DOWN, L.DeviceState.DEV_UP, 1.0),
    "its battery is gone": lambda r: r.h.set_devices(0, L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, 1.0),
    "it stands by": lambda r: r.set(Q.Q_PCS_STATE, 7.0),
    "local control": lambda r: r.set(Q.Q_LOC_REM, 1.0),
    "it takes no var": lambda r: r.h.set_reactive(0, NAN),
    "a count without worth": lambda r: r.h.set_reactive(0, 0.0),
}


@pytest.mark.parametrize("why", STOPS)
def test_a_unit_that_cannot_gives_none_and_the_other_takes_its_share(why: str) -> None:
    r = rig(2, rows=(Row(Q.Q_CELL_V_MAX, 3.6, 3.5),))
    ask(r, VAR | {"q_value": 100e3})
    assert given_var(r) == [50e3, 50e3]
    STOPS[why](r)
    r.tick(2)
    assert given_var(r) == [0, 100e3]


@pytest.mark.parametrize("how", ["trip", "stop", "cease", "sigterm"])
def test_the_plant_at_zero_gives_no_reactive_power_either(how: str) -> None:
    """Trip, operator's stop, cease to energise, orderly stop: 0 at once, and by the ramp again afterwards."""
    row = Row(Q.Q_PCC_HZ, 51.5, 51.0, unit=16, action=A.ACT_STANDBY)
    r = Rig(config(1, slots=(ANY, Slot()), rows=(row,), reactive_ramp_var_per_s=1e6))
    r.set(Q.Q_PCC_HZ, 50.0, place=16)
    r.run()
    ask(r, VAR | {"q_value": 100e3}, ticks=20)
    assert r.state["command_var"] == 100e3
    if how == "trip":
        r.set(Q.Q_PCC_HZ, 52.0, place=16)
    elif how == "stop":
        r.local(L.CommandCode.CMD_STOP)
    elif how == "cease":
        ask(r, {"energize": 0}, slot=1, ticks=0)
    else:
        r.h.ask_stop()
    assert r.tick(1)["command_var"] == 0
    if how == "trip":
        r.set(Q.Q_PCC_HZ, 50.0, place=16)
        assert r.tick(1)["command_var"] == 10e3


# --- whatever happens ---------------------------------------------------------------------------------------------------------------------

ASKS = st.one_of(
    st.tuples(st.just(1), st.sampled_from((0.0, 1.0, 150e3, -150e3, 1e9, -1e9)), st.just(NAN)),
    st.tuples(st.just(2), st.sampled_from((0.8, -0.8, 1e-6, NAN)), st.sampled_from((0.5, -1.0))),
    st.tuples(st.just(3), st.sampled_from((0.0, 0.3, -1.0)), st.just(NAN)),
)
HAPPENS = st.lists(
    st.tuples(
        ASKS, st.sampled_from((0.0, 90e3, -90e3, 1e9, -1e9)), st.integers(0, 2), st.sampled_from((3.0, 7.0)),
        st.sampled_from((1.0, 7.0, NAN)), st.integers(1, 4),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(happens=HAPPENS, first=st.booleans(), ramp=st.sampled_from((1e6, 1e9)))
def test_no_unit_ever_leaves_its_circle(happens: list[Any], first: bool, ramp: float) -> None:
    """R1: it asserts the same and never has to; and reactive power moves away from 0 no faster than its ramp."""
    r = rig(3, va=(200e3, 100e3, 50e3), reactive_first=int(first), reactive_ramp_var_per_s=ramp, var_max=90e3)
    for (kind, value, absorb), target, unit, pcs_state, scale, ticks in happens:
        r.set(Q.Q_PCS_STATE, pcs_state, place=unit)
        r.h.set_reactive(unit, scale)
        r.offer(0, {"target_w": target, "q_kind": kind, "q_value": value, "q_absorb": absorb}, lease_until_ns=r.now_ns + 600 * S)
        for _ in range(ticks):
            before = r.state["command_var"]
            state = r.tick(1)
            for at, rated in enumerate((200e3, 100e3, 50e3)):
                w, var = r.h.out["cmd_w"][at], r.h.out["cmd_var"][at]
                assert math.hypot(w, var) <= rated + 1e-6
                assert abs(var) <= 90e3
                assert var == 0 or (state["pcs_state"][at] == L.DeviceState.DEV_UP and r.values[at, Q.Q_PCS_STATE] == 3.0)
            assert not state["internal"]
            assert state["command_var"] * before >= 0
            assert abs(state["command_var"]) <= abs(before) + ramp * PERIOD_NS / S + 3 * 7


def test_a_plan_of_the_harness_has_the_layout_of_the_loop() -> None:
    p = plan(VAR | {"q_value": 5.0}).view(PLAN)[0]["live"]
    assert (p["q_kind"][0], p["q_value"][0], math.isnan(p["q_absorb"][0])) == (K.QC_VAR, 5.0, True)
