"""The PCS: dead time, lag and ramp against their formulas, the P-Q circle, the state machine as a table, grid trips, faults."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core.sim.plant import Plant
from tests.sim.plants import M702, M703, M704, M715, order, plant, read, words, write

OFF, STARTING, RUNNING, SHUTTING_DOWN, FAULT, STANDBY = 0, 2, 3, 5, 6, 7


def test_dead_time_then_first_order_lag() -> None:
    p = plant(pcs={"dead_time_s": 0.1, "lag_s": 0.1})
    order(p, 150_000)
    p.step(0.1)
    assert p.get()["ess_w"] == 0.0
    for k in range(1, 20):
        p.step(0.02)
        assert p.get()["ess_w"] == pytest.approx(150_000 * (1 - math.exp(-0.2 * k)), rel=1e-6)


def test_90_percent_is_reached_after_dead_time_and_2_3_time_constants() -> None:
    p = plant()
    order(p, 150_000)
    p.step(1.0)
    at = p.crossing(0, 135_000)
    assert at is not None
    assert at / 1e9 == pytest.approx(0.1 + 0.1 * math.log(10), abs=1.1e-3)


def test_ramp_bounds_every_step() -> None:
    p = plant(pcs={"ramp_w_per_s": 50_000, "dead_time_s": 0, "lag_s": 0})
    assert read(p, 1, M704 + 49) == [25]  # WRmp, % of WMax per second
    order(p, 100_000)
    seen = [0.0]
    for _ in range(30):
        p.step(0.1)
        seen.append(p.get()["ess_w"])
    assert max(b - a for a, b in itertools.pairwise(seen)) <= 5_000 + 1e-6
    assert seen[-1] == pytest.approx(100_000)


def test_percent_mode_is_of_wmax() -> None:
    p = plant()
    write(p, 1, M704 + 28, -300 & 0xFFFF)
    write(p, 1, M704 + 22, 1, 0)
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(-60_000, rel=1e-6)


def var_order(p: Plant, var: int, reactive_first: int = 0) -> None:
    write(p, 1, M704 + 37, reactive_first)
    write(p, 1, M704 + 38, *words(var))
    write(p, 1, M704 + 35, 1)


WATTS = st.integers(-400_000, 400_000)
ORDERS = st.lists(
    st.tuples(
        st.integers(-400_000, 400_000),
        st.integers(-400_000, 400_000),
        st.integers(0, 1),
        st.sampled_from([220, 180, 120]),
        st.floats(0.01, 0.6),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=40)
@given(ORDERS, st.sampled_from([0, 80_000]))
def test_never_outside_the_circle_nor_the_ratings(orders: list[tuple[int, int, int, int, float]], ramp: int) -> None:
    p = plant(pcs={"ramp_w_per_s": ramp}, battery={"trips": False})
    for w, var, first, kva, seconds in orders:
        write(p, 1, M702 + 31, kva * 100)
        order(p, w)
        var_order(p, var, first)
        for _ in range(4):
            p.step(max(seconds / 4, 0.001))
            now = p.get()
            assert math.hypot(now["ess_w"], now["ess_var"]) <= kva * 1000 * (1 + 1e-9)
            assert abs(now["ess_w"]) <= 200_000 * (1 + 1e-9)


@pytest.mark.parametrize(("first", "w", "var"), [(0, 200_000, 91_652), (1, 175_999, 132_000)])
def test_priority_says_which_of_p_and_q_yields(first: int, w: float, var: float) -> None:
    p = plant()
    order(p, 200_000)
    var_order(p, 200_000, first)
    p.step(3.0)
    assert p.get()["ess_w"] == pytest.approx(w, rel=1e-3)
    assert p.get()["ess_var"] == pytest.approx(var, rel=1e-3)


MODES = [
    # VarSetMod, VarSetPct in tenths, active power, reactive power: WMax 200 kW, VarMax 132 kvar, VAMax 220 kVA
    (0, 300, 50_000, 60_000),
    (1, 500, 50_000, 66_000),
    (1, -500, 50_000, -66_000),
    (2, 500, 180_000, 63_246),
    (3, -400, 50_000, -88_000),
]


@pytest.mark.parametrize(("mode", "tenths", "w", "var"), MODES)
def test_reactive_power_as_a_percentage(mode: int, tenths: int, w: int, var: float) -> None:
    """704 VarSetMod: % of WMax, of VarMax, of what active power leaves, of VAMax."""
    p = plant()
    order(p, w)
    write(p, 1, M704 + 42, tenths & 0xFFFF)
    write(p, 1, M704 + 35, 1, mode, 0)
    p.step(3.0)
    assert p.get()["ess_var"] == pytest.approx(var, rel=1e-3)


FACTORS = [
    # active power, while injecting: PF, excitation; while absorbing: PF, excitation; reactive power
    (100_000, (900, 0), None, 48_432),
    (100_000, (900, 1), None, -48_432),
    (-100_000, (900, 0), None, 0),
    (-100_000, (900, 0), (800, 1), -75_000),
    (-100_000, None, (800, 0), 75_000),
    (200_000, (800, 0), None, 91_652),  # the circle
]


@pytest.mark.parametrize(("w", "inject", "absorb", "var"), FACTORS)
def test_a_power_factor_for_each_direction(w: int, inject: tuple[int, int] | None, absorb: tuple[int, int] | None, var: float) -> None:
    p = plant()
    order(p, w)
    for at, ena, factor in ((59, 2, inject), (63, 8, absorb)):
        if factor is not None:
            write(p, 1, M704 + at, *factor)
            write(p, 1, M704 + ena, 1, 0, 0, 3)
    p.step(2.9)
    assert p.get()["ess_var"] == pytest.approx(var, rel=1e-2, abs=1)
    p.step(2.0)
    assert p.get()["ess_var"] == pytest.approx(0, abs=10), "their own reversion"


def test_fixed_var_goes_before_a_power_factor() -> None:
    p = plant()
    order(p, 100_000)
    write(p, 1, M704 + 59, 800, 1)
    write(p, 1, M704 + 2, 1)
    var_order(p, 30_000)
    p.step(2.0)
    assert p.get()["ess_var"] == pytest.approx(30_000, rel=1e-3)


# ---- the state machine -----------------------------------------------------------------------------------------------------------

# (from, OpCtl, passes through, ends in, power at the end)
TABLE = [
    ("off", 0, [], OFF, 0),
    ("off", 1, [STARTING], RUNNING, 100_000),
    ("off", 2, [STARTING], STANDBY, 0),
    ("off", 3, [], OFF, 0),
    ("running", 0, [SHUTTING_DOWN], OFF, 0),
    ("running", 1, [], RUNNING, 100_000),
    ("running", 2, [SHUTTING_DOWN], STANDBY, 0),
    ("running", 3, [], RUNNING, 100_000),
    ("standby", 0, [], OFF, 0),
    ("standby", 1, [STARTING], RUNNING, 100_000),
    ("standby", 2, [], STANDBY, 0),
    ("standby", 3, [STARTING], RUNNING, 100_000),
]


@pytest.mark.parametrize(("before", "op", "through", "after", "w"), TABLE)
def test_op_ctl(before: str, op: int, through: list[int], after: int, w: float) -> None:
    p = plant(initial={"pcs": before})
    order(p, 100_000)
    p.step(2.0)
    write(p, 1, M715 + 8, op)
    seen = [p.get()["inv_state"]]
    for _ in range(300):
        p.step(0.01)
        state = p.get()["inv_state"]
        if state != seen[-1]:
            seen.append(state)
    start = {"off": OFF, "running": RUNNING, "standby": STANDBY}[before]
    assert seen == ([start, *through, after] if after != start else [start])
    assert p.get()["ess_w"] == pytest.approx(w, rel=1e-3)


def test_a_running_pcs_without_an_enabled_set_point_idles() -> None:
    p = plant()
    order(p, 100_000)
    p.step(2.0)
    write(p, 1, M704 + 22, 0)
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(0.0, abs=1.0)


def test_permit_service_withdrawn_stops_and_given_back_starts_after_the_delay() -> None:
    p = plant(pcs={"enter_service": {"delay_s": 3}})
    order(p, 100_000)
    p.step(1.0)
    write(p, 1, M703 + 2, 0)
    p.step(2.0)
    assert p.get()["inv_state"] == OFF
    write(p, 1, M703 + 2, 1)
    p.step(1.5)
    assert (p.get()["inv_state"], read(p, 1, M703 + 15, 2)) == (OFF, [0, 2])
    p.step(2.0)
    assert p.get()["inv_state"] == STARTING
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)


# (grid, seconds it takes, Alrm bit)
GRID = [
    ({"grid_v": 400 * 1.25}, 0.16, 10),
    ({"grid_v": 400 * 1.15}, 2.0, 10),
    ({"grid_v": 400 * 0.6}, 2.0, 11),
    ({"grid_hz": 52.0}, 0.2, 8),
    ({"grid_hz": 47.0}, 0.2, 9),
]


@pytest.mark.parametrize(("grid", "delay_s", "bit"), GRID)
def test_an_abnormal_grid_trips_after_its_time_and_service_returns(grid: dict[str, float], delay_s: float, bit: int) -> None:
    p = plant()
    order(p, 100_000)
    p.step(1.0)
    p.set(**grid)
    p.step(0.101 + delay_s - 0.15)  # voltage and frequency are measured every 100 ms
    assert p.get()["inv_state"] == RUNNING
    p.step(0.2)
    assert (p.get()["inv_state"], p.get()["ess_w"]) == (OFF, 0.0)
    assert p.get()["alarms"] & 1 << bit
    p.set(grid_v=400, grid_hz=50)
    p.step(3.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)
    assert p.get()["alarms"] == 0


def test_a_lost_grid_stops_at_once() -> None:
    p = plant()
    order(p, 100_000)
    p.step(1.0)
    p.set(grid_v=0)
    p.step(0.002)
    assert p.get()["ess_w"] == 0.0
    assert p.get()["alarms"] & 1 << 4


def test_a_fault_needs_its_cause_gone_a_reset_and_a_start() -> None:
    p = plant()
    order(p, 100_000)
    p.step(1.0)
    p.set(fault=1 << 7)
    p.step(0.01)
    assert (p.get()["inv_state"], p.get()["ess_w"]) == (FAULT, 0.0)
    write(p, 1, M715 + 7, 1)
    p.step(1.0)
    assert p.get()["inv_state"] == FAULT
    p.set(fault=0)
    p.step(1.0)
    assert p.get()["inv_state"] == FAULT
    write(p, 1, M715 + 7, 1)
    assert read(p, 1, M715 + 7) == [0]
    p.step(3.0)
    assert p.get()["inv_state"] == OFF  # a release never restarts
    write(p, 1, M715 + 8, 1)
    p.step(3.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)


def test_a_pcs_can_ignore_set_points_and_can_be_wired_the_wrong_way() -> None:
    p = plant()
    order(p, 100_000)
    p.step(2.0)
    p.set(ignore_setpoints=True)
    order(p, 20_000)
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(100_000, rel=1e-3)
    p.set(ignore_setpoints=False, wrong_sign=True)
    p.step(2.0)
    assert p.get()["ess_w"] == pytest.approx(-20_000, rel=1e-3)


def test_the_command_log_tells_when_a_register_changed_and_to_what() -> None:
    p = plant()
    p.step(1.5)
    order(p, 42_000)
    order(p, 42_000)
    p.step(0.5)
    order(p, -7_000)
    assert p.command_log() == [
        (0, 1_500_000_000, "wset", 42_000.0),
        (1, 1_500_000_000, "wset_ena", 1.0),
        (2, 2_000_000_000, "wset", -7_000.0),
    ]
    assert p.command_log(since=2) == [(2, 2_000_000_000, "wset", -7_000.0)]
    assert p.get()["wset_writes"] == 3


def test_the_command_log_is_a_ring() -> None:
    p = plant()
    for n in range(9000):
        write(p, 1, M704 + 24, *words(n + 1))
    log = p.command_log()
    assert (len(log), log[0][0], log[-1][3]) == (8192, 9000 - 8192, 9000.0)


def test_the_power_trace_has_one_entry_a_step() -> None:
    p = plant(grid_ms=10)
    order(p, 100_000)
    p.step(1.0)
    trace = p.power_trace()
    assert [ns for ns, _ in trace] == [10_000_000 * k for k in range(1, 101)]
    assert trace[-1][1] == p.get()["ess_w"]
    assert p.power_trace(500_000_000, 520_000_000) == trace[50:52]
    assert p.crossing(0, 50_000) == next(ns for ns, w in trace if w >= 50_000)
    assert p.crossing(0, 150_000) is None
    assert p.crossing(990_000_000, 150_000, rising=False) == 1_000_000_000


def test_physics_is_stepped_on_its_grid_alone() -> None:
    p = plant(grid_ms=10)
    for _ in range(7):
        p.step(0.004)
    assert p.get()["ns"] == 20_000_000
    p.step(0.037)
    assert p.get()["ns"] == 60_000_000
