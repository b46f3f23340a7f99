"""The battery's equivalent circuit: conservation of charge and energy, monotone SoC, BMS limits, contactors and trips."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.sim.cells import LFP, NMC, Chemistry, Points
from tests.sim.plants import M802, Refused, order, plant, read, write

POWERS = st.lists(st.tuples(st.integers(-200_000, 200_000), st.floats(0.5, 60.0)), min_size=1, max_size=6)
NO_BMS = {"trips": False}


def area_wh(ocv: Points, cells: int, ah: float, from_pct: float, to_pct: float) -> float:
    """Energy between two SoC along the rest curve."""

    def volts(x: float) -> float:
        for (x0, y0), (x1, y1) in itertools.pairwise(ocv):
            if x <= x1:
                return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        return ocv[-1][1]

    knots = sorted({from_pct, to_pct, *(x for x, _ in ocv if from_pct < x < to_pct)})
    return sum((b - a) * (volts(a) + volts(b)) / 2 for a, b in itertools.pairwise(knots)) / 100 * ah * cells


@settings(deadline=None, max_examples=25)
@given(POWERS)
def test_energy_balances_from_the_terminals_to_the_cells(steps: list[tuple[int, float]]) -> None:
    """AC + PCS losses = DC; DC + heat + what the RC branch holds = chemical energy; chemical energy = the area under OCV(SoC)."""
    p = plant(grid_ms=10, battery=NO_BMS)
    for w, seconds in steps:
        order(p, w)
        p.step(seconds)
    order(p, 0)
    p.step(400.0)  # the RC branch gives back what it holds
    now = p.get()
    dc_wh = now["dc_out_wh"] - now["dc_in_wh"]
    through_wh = now["inj_wh"] + now["abs_wh"]
    assert dc_wh == pytest.approx(now["inj_wh"] - now["abs_wh"] + now["pcs_loss_wh"], abs=1e-3 * through_wh + 0.1)
    assert now["chemical_wh"] == pytest.approx(dc_wh + now["bat_loss_wh"], abs=2e-3 * through_wh + 0.5)
    assert now["bat_loss_wh"] >= 0 <= now["pcs_loss_wh"]
    ah = 400_000 / (240 * 3.2)
    assert now["soc_pct"] == pytest.approx(60 - 100 * now["charge_ah"] / ah, abs=1e-6)
    low, high = sorted((60.0, now["soc_pct"]))
    sign = 1 if now["soc_pct"] < 60 else -1
    assert now["chemical_wh"] == pytest.approx(sign * area_wh(LFP.ocv, 240, ah, low, high), abs=1e-3 * through_wh + 0.5)


@settings(deadline=None, max_examples=20)
@given(st.floats(5.0, 95.0), st.sampled_from([-150_000, -20_000, 20_000, 150_000]))
def test_soc_is_monotone_under_steady_power(soc: float, w: int) -> None:
    p = plant(grid_ms=10, battery=NO_BMS, initial={"soc_pct": soc})
    order(p, w)
    p.step(1.0)
    seen = []
    for _ in range(20):
        seen.append(p.get()["soc_pct"])
        p.step(3.0)
    assert seen == sorted(seen, reverse=w > 0)
    assert seen[0] != seen[-1]


@settings(deadline=None, max_examples=15)
@given(st.sampled_from([0.01, 99.99]), st.sampled_from([-200_000, 200_000]))
def test_soc_never_leaves_its_range(soc: float, w: int) -> None:
    p = plant(grid_ms=10, battery={"trips": False, "energy_wh": 20_000}, initial={"soc_pct": soc})
    order(p, w)
    for _ in range(30):
        p.step(1.0)
        assert 0.0 <= p.get()["soc_pct"] <= 100.0


@pytest.mark.parametrize("chemistry", [LFP, NMC], ids=["lfp", "nmc"])
def test_rest_curves_rise(chemistry: Chemistry) -> None:
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(chemistry.ocv))
    assert chemistry.low_v <= chemistry.ocv[0][1] < chemistry.nominal_v < chemistry.ocv[-1][1] <= chemistry.high_v


def test_losses_warm_the_cells_and_cooling_takes_the_heat_away() -> None:
    p = plant(grid_ms=10, battery={**NO_BMS, "cooling_w_per_k": 300})
    order(p, 200_000)
    p.step(1200.0)
    warm = p.get()["temp_c"]
    assert warm > 26.0
    order(p, 0)
    p.step(1200.0)
    assert 25.0 < p.get()["temp_c"] < warm


def test_extreme_cells_stand_on_both_sides_of_the_mean() -> None:
    p = plant(battery=NO_BMS)
    for w in (150_000, -150_000):
        order(p, w)
        p.step(5.0)
        now = p.get()
        assert now["cell_v_min"] < now["v"] / 240 + 1e-3
        assert now["cell_v_max"] > now["v"] / 240 - 5e-3
        assert now["cell_v_min"] < now["cell_v_max"]


# ---- limits ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soc", "temp", "charge", "discharge"),
    [(50, 25, 1.0, 1.0), (94, 25, 0.6, 1.0), (6, 25, 1.0, 0.6), (50, 52.5, 0.5, 0.79), (50, 9, 0.5, 1.0), (50, 65, 0.0, 0.0)],
)
def test_limits_follow_soc_and_temperature(soc: float, temp: float, charge: float, discharge: float) -> None:
    p = plant(battery={**NO_BMS, "temp_spread_c": 0}, initial={"soc_pct": soc, "cell_temp_c": temp})
    now = p.get()
    assert now["a_charge_max"] == pytest.approx(312.5 * charge, rel=0.01)
    assert now["a_discharge_max"] == pytest.approx(312.5 * discharge, rel=0.01)


def test_limits_move_no_faster_than_their_slew() -> None:
    p = plant()
    p.set(cell_temp_c=65)
    p.step(1.0)
    assert p.get()["a_discharge_max"] == pytest.approx(312.5 * 0.8, rel=0.01)


# ---- contactors ------------------------------------------------------------------------------------------------------------------


def test_contactors_open_and_close_with_their_delays() -> None:
    p = plant(battery={"close_s": 2.0, "open_s": 0.5}, initial={"pcs": "off"})
    write(p, 2, M802 + 50, 2)
    p.step(0.4)
    assert read(p, 2, M802 + 22) == [6]
    p.step(0.2)
    assert (read(p, 2, M802 + 22), p.get()["contactor"]) == ([1], False)
    assert read(p, 2, M802 + 34) == [0]
    write(p, 2, M802 + 50, 1)
    p.step(1.9)
    assert read(p, 2, M802 + 22) == [2]
    p.step(0.2)
    assert (read(p, 2, M802 + 22), p.get()["contactor"]) == ([3], True)


def test_opening_under_load_faults_the_pcs() -> None:
    p = plant()
    order(p, 100_000)
    p.step(2.0)
    write(p, 2, M802 + 50, 2)
    p.step(1.0)
    now = p.get()
    assert (now["inv_state"], now["ess_w"], now["i_a"]) == (6, 0.0, 0.0)
    assert now["alarms"] & 1 << 3


# (what is injected, power that flows, seconds until the contactors begin to open, 802 Evt1 bit)
TRIPS = [
    ({"cell_v_max": 3.8}, 100_000, 0.7, 9),
    ({"cell_v_min": 2.1}, 100_000, 0.7, 11),
    ({"cell_temp_c": 65}, 0, 6.0, 1),
    ({"cell_temp_min_c": -30}, 0, 6.0, 3),
    ({"discharge_a_max": 50}, 100_000, 0.2, 7),
    ({"charge_a_max": 50}, -100_000, 0.2, 5),
]


@pytest.mark.parametrize(("inject", "w", "delay_s", "bit"), TRIPS)
def test_a_bms_row_opens_the_contactors_after_its_delay(inject: dict[str, float], w: int, delay_s: float, bit: int) -> None:
    p = plant(battery={"limit_slew_pct_per_s": 1e6})
    order(p, w)
    p.step(2.0)
    p.set(**inject)
    p.step(delay_s - 0.05)
    assert p.get()["bank_state"] == 3
    assert p.get()["events"] & 1 << bit
    p.step(0.3)
    assert p.get()["bank_state"] == 99
    assert not p.get()["contactor"]


def test_a_tripped_bank_stays_open_until_reset_and_ordered_to_connect() -> None:
    p = plant()
    p.set(cell_v_max=3.8)
    p.step(2.0)
    write(p, 2, M802 + 50, 1)
    p.step(5.0)
    assert p.get()["bank_state"] == 99
    write(p, 2, M802 + 20, 1)  # the cause is still there
    p.step(1.0)
    assert p.get()["bank_state"] == 99
    p.set(cell_v_max=None)
    p.step(0.1)
    write(p, 2, M802 + 20, 1)
    assert read(p, 2, M802 + 20) == [0]
    p.step(5.0)
    assert p.get()["bank_state"] == 1
    write(p, 2, M802 + 50, 1)
    p.step(3.0)
    assert p.get()["bank_state"] == 3


def test_set_op_takes_connect_and_disconnect_alone() -> None:
    p = plant()
    for bad in (0, 3):
        with pytest.raises(Refused, match="3"):
            write(p, 2, M802 + 50, bad)
