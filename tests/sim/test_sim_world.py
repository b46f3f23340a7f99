"""What moves by itself in the simulated plant: age, load, PV and EVSE by CSV, the grid by script (CARD-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bessctl.errors import ConfigError
from bessctl.sim.config import PlantConfig, plant_dict
from bessctl_core.sim.plant import Plant
from tests.sim.plants import M802, order, plant, read

HOUR = 3600.0
YEAR_H = 8766.0


def battery(**params: Any) -> Plant:
    """Ten steps a second, no losses on the way, no limits in the way."""
    return plant(
        grid_ms=10,
        pcs={"w_max": 200_000, "dead_time_s": 0, "lag_s": 0, "loss_fixed_w": 0, "loss_linear": 0, "loss_quadratic": 0},
        battery={"energy_wh": 400_000, "cells": 240, "trips": False, **params},
    )


# --- age --------------------------------------------------------------------------------------------------------------------------------

# fade per 1000 cycles, fade per year, hours at 100 kW of discharge, SoH lost in percent points
FADES = [
    (0.0, 0.0, 0.25, 0.0),
    (0.0, 8766.0, 0.25, 0.25),  # time alone: one percent an hour
    (1000.0, 0.0, 0.5, 0.0625),  # an eighth of the charge one way is a sixteenth of a cycle; one percent a cycle
    (1000.0, 8766.0, 0.5, 0.5625),
]


@pytest.mark.parametrize(("per_kcycle", "per_year", "hours", "lost"), FADES)
def test_a_battery_ages_by_time_and_by_charge_turned_over(per_kcycle: float, per_year: float, hours: float, lost: float) -> None:
    it = battery(fade_pct_per_kcycle=per_kcycle, fade_pct_per_year=per_year, r_growth_pct=0)
    order(it, 100_000)
    it.step(hours * HOUR)
    assert 100 - it.get()["soh_pct"] == pytest.approx(lost, rel=0.04, abs=1e-6), "100 kW of 400 kWh, at a voltage a little off nominal"
    shown = read(it, 2, M802 + 13, 1)[0] / 10
    assert shown == pytest.approx(it.get()["soh_pct"], abs=0.06), "802 SoH says it"


def test_resting_ages_by_time_alone() -> None:
    it = battery(fade_pct_per_kcycle=1000, fade_pct_per_year=YEAR_H)
    it.step(HOUR)
    assert 100 - it.get()["soh_pct"] == pytest.approx(1.0, rel=0.01)


def test_an_aged_battery_holds_less_and_drops_more() -> None:
    """Capacity goes with SoH, resistance up by r_growth_pct for each percent lost."""
    drop, charge = {}, {}
    for soh in (100.0, 80.0):
        it = battery(soh_pct=soh, r_growth_pct=2.0, fade_pct_per_kcycle=0, fade_pct_per_year=0, soc_spread_pct=0)
        order(it, 100_000)
        it.step(0.05)
        now = it.get()
        drop[soh] = (now["ocv_v"] - now["v"]) / now["i_a"]
        it.step(HOUR / 4)
        charge[soh] = it.get()["charge_ah"] / (60.0 - it.get()["soc_pct"])
    assert drop[80.0] / drop[100.0] == pytest.approx(1.4, rel=0.01)
    assert charge[80.0] / charge[100.0] == pytest.approx(0.8, rel=0.01)


def test_age_never_ends_below_one_percent() -> None:
    it = battery(soh_pct=2, fade_pct_per_year=1e6)
    it.step(HOUR)
    assert it.get()["soh_pct"] == 1.0


# --- profiles ---------------------------------------------------------------------------------------------------------------------------


class Script(NamedTuple):
    """A key of plant.yaml that takes a script, what get() calls it, the script, (second, value), how near."""

    section: str
    key: str
    shown: str
    text: str
    points: list[tuple[float, float]]
    within: float


RAMPS = [(0.0, 1000.0), (5, 2000), (10, 3000), (15, 2000), (25, 2000), (30, 3000)]
CAR = "# a car comes and goes\n0,0\n5,0\n5.01,22000\n15,22000\n20,0\n"
SCRIPTS = [
    Script("meter", "load", "load_w", "t_s,w\n0,1000\n10,3000\n20,1000\n", RAMPS, 10),
    Script("meter", "pv", "pv_w", "0,0\n10,5000\n12,100\n20,0\n", [(5, 2500), (10, 5000), (11, 2550), (20, 0), (25, 2500)], 30),
    Script("meter", "pv", "pv_w", "0,-500\n10,-500\n", [(0, 0), (5, 0)], 1),  # a PV that takes power is a night
    Script("meter", "evse", "evse_w", CAR, [(4, 0), (6, 22000), (14, 22000), (17.5, 11000)], 60),
    # The grid is measured anew every 100 ms.
    Script("grid", "v_csv", "grid_v", "0,400\n10,400\n20,440\n30,400\n", [(5, 400), (15, 420), (20, 440), (25, 420)], 1),
    Script("grid", "hz_csv", "grid_hz", "0,50\n10,49\n20,50\n", [(5, 49.5), (10, 49), (15, 49.5), (30, 49)], 0.02),
]


@pytest.mark.parametrize("it", SCRIPTS, ids=lambda it: it.shown)
def test_a_csv_moves_the_world(tmp_path: Path, it: Script) -> None:
    """Linear between its points, repeated after the last; a heading and comments are skipped."""
    (tmp_path / "script.csv").write_text(it.text)
    tree: dict[str, Any] = {
        "pcs": {"w_max": 200_000},
        "battery": {"energy_wh": 400_000, "cells": 240},
        "grid": {"noise_v": 0, "noise_hz": 0, "noise_w": 0},
        "grid_ms": 10,
    }
    tree.setdefault(it.section, {})[it.key] = {"csv": "script.csv"} if it.section == "meter" else "script.csv"
    world = Plant(plant_dict(PlantConfig.model_validate(tree), tmp_path))
    at_s = 0.0
    for second, value in it.points:
        world.step(second - at_s)
        at_s = second
        assert world.get()[it.shown] == pytest.approx(value, abs=it.within)


def test_evse_load_adds_to_what_is_set_and_counts_at_the_connection() -> None:
    it = plant(meter={"evse_w": 7000, "evse": {"w": 11_000}, "load": {"w": 2000}, "pv": {"w": 1000}})
    it.step(0.01)
    now = it.get()
    assert now["evse_w"] == pytest.approx(18_000)
    assert now["pcc_w"] == pytest.approx(1000 - 2000 - 18_000 + now["ess_w"])


def test_a_scripted_grid_trips_the_pcs_by_its_own_curve(tmp_path: Path) -> None:
    """R12: under-voltage of 0.7 pu for two seconds, as written in the script."""
    (tmp_path / "sag.csv").write_text("t_s,v\n0,400\n5,400\n5.1,260\n9,260\n9.1,400\n60,400\n")
    it = Plant(
        plant_dict(
            PlantConfig.model_validate(
                {
                    "pcs": {"w_max": 200_000, "dead_time_s": 0, "lag_s": 0},
                    "battery": {"energy_wh": 400_000, "cells": 240},
                    "grid": {"v_csv": "sag.csv", "noise_v": 0},
                    "initial": {"soc_pct": 60, "pcs": "running"},
                    "grid_ms": 10,
                }
            ),
            tmp_path,
        )
    )
    order(it, 100_000)
    it.step(6.9)
    assert it.get()["ess_w"] == pytest.approx(100_000, rel=0.01), "rides through"
    it.step(0.5)
    assert (it.get()["ess_w"], it.get()["inv_state"]) == (0.0, 0), "tripped"
    it.step(4.0)
    assert it.get()["inv_state"] == 3, "back by the enter-service rule"


@pytest.mark.parametrize("text", ["", "t_s,w\n", "0,one\n", "0,1\n0,2\n", "5,1\n1,2\n", "0\n"])
def test_a_script_that_is_none_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    tree = {"pcs": {"w_max": 1000}, "battery": {"energy_wh": 1000, "cells": 16}, "meter": {"load": {"csv": "bad.csv"}}}
    with pytest.raises(ConfigError, match=r"bad\.csv:\d+:\d+: "):
        plant_dict(PlantConfig.model_validate(tree), tmp_path)
