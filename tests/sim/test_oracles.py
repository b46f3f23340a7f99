"""The simulated battery against PyPI `thevenin`, the simulated PCS's trip and ride-through against EPRI's `opender` (CARD-6).

thevenin's solver has no wheel for aarch64: the lock has both for x86-64 alone, where nothing here is ever skipped.
"""

import platform
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from bessctl.sim.cells import LFP
from tests.sim.plants import order, plant

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="thevenin and opender are compared with on x86-64 alone")

V_WITHIN = 0.003  # of a cell
SOC_WITHIN_PCT = 0.1
TEMP_WITHIN_K = 0.1
TRIP_WITHIN_S = 0.13  # the simulated grid is measured anew every 100 ms


def test_the_battery_is_that_of_thevenin_within_three_millivolts() -> None:
    """One large cell: an hour of discharge, rest and charge at constant power; voltage, state of charge and temperature."""
    thevenin: Any = import_module("thevenin")
    ah, r0, r1, tau, heat, cooling = 202.0, 0.45e-3, 0.30e-3, 30.0, 4200.0, 0.485
    x, y = zip(*LFP.ocv, strict=True)
    model = thevenin.Simulation(
        {
            "num_RC_pairs": 1,
            "soc0": 0.6,
            "capacity": ah,
            "gamma": 0.0,
            "ce": 1.0,
            "mass": 1.0,
            "isothermal": False,
            "Cp": heat,
            "T_inf": 298.15,
            "h_therm": cooling,
            "A_therm": 1.0,
            "ocv": lambda soc: np.interp(100 * soc, x, y),
            "M_hyst": lambda soc: 0.0,
            "R0": lambda soc, t: r0,
            "R1": lambda soc, t: r1,
            "C1": lambda soc, t: tau / r1,
        }
    )
    experiment = thevenin.Experiment(max_step=5.0)
    for watts, seconds in ((300.0, 1500.0), (0.0, 600.0), (-200.0, 1500.0)):
        experiment.add_step("power_W", watts, (seconds, 10.0))
    theirs = model.run(experiment).vars
    ours = plant(
        grid_ms=10,
        pcs={"w_max": 1000, "dead_time_s": 0, "lag_s": 0, "loss_fixed_w": 0, "loss_linear": 0, "loss_quadratic": 0},
        battery={
            "energy_wh": ah * LFP.nominal_v,
            "cells": 1,
            "r0_ohm": r0,
            "r1_ohm": r1,
            "tau1_s": tau,
            "heat_capacity_j_per_k": heat,
            "cooling_w_per_k": cooling,
            "charge_a_max": 200,
            "discharge_a_max": 200,
            "trips": False,
            "fade_pct_per_kcycle": 0,
            "fade_pct_per_year": 0,
        },
        initial={"soc_pct": 60, "pcs": "running"},
    )
    for watts, seconds in ((300, 1500), (0, 600), (-200, 1500)):
        order(ours, watts)
        for _ in range(seconds // 100):
            ours.step(100.0)
            now = ours.get()
            t_s = now["ns"] / 1e9
            for name, mine, within in (
                ("voltage_V", now["v"], V_WITHIN),
                ("soc", now["soc_pct"] / 100, SOC_WITHIN_PCT / 100),
                ("temperature_K", now["temp_c"] + 273.15, TEMP_WITHIN_K),
            ):
                if t_s % 1500 > 60:  # both step at the change of power, at instants of their own
                    assert mine == pytest.approx(float(np.interp(t_s, theirs["time_s"], theirs[name])), abs=within), (name, t_s)


# Volts in pu or hertz, how long, whether an IEEE 1547-2018 device of these settings trips.
DISTURBANCES = [
    (1.21, 60.0, 1.0, True),
    (1.19, 60.0, 1.0, False),
    (1.12, 60.0, 3.0, True),
    (1.09, 60.0, 3.0, False),
    (0.40, 60.0, 1.0, True),
    (0.65, 60.0, 3.0, True),
    (0.65, 60.0, 1.0, False),
    (0.75, 60.0, 3.0, False),
    (1.0, 62.1, 1.0, True),
    (1.0, 61.9, 1.0, False),
    (1.0, 56.4, 1.0, True),
    (1.0, 57.0, 1.0, False),
]
TRIPS = [
    {"kind": "over_voltage", "at": 1.2, "delay_s": 0.16},
    {"kind": "over_voltage", "at": 1.1, "delay_s": 2.0},
    {"kind": "under_voltage", "at": 0.7, "delay_s": 2.0},
    {"kind": "under_voltage", "at": 0.45, "delay_s": 0.16},
    {"kind": "over_frequency", "at": 62.0, "delay_s": 0.16},
    {"kind": "under_frequency", "at": 56.5, "delay_s": 0.16},
]


def theirs_trips_after(opender: Any, v_pu: float, hz: float, seconds: float) -> float | None:
    opender.DER.t_s = 0.01
    der = opender.DER_BESS(
        NP_P_MAX=200_000, NP_VA_MAX=220_000, NP_P_MAX_CHARGE=200_000, NP_VA_MAX_CHARGE=220_000, NP_BESS_CAPACITY=400_000, NP_AC_V_NOM=400
    )
    settings = {
        "OV2_TRIP_V": 1.2,
        "OV2_TRIP_T": 0.16,
        "OV1_TRIP_V": 1.1,
        "OV1_TRIP_T": 2.0,
        "UV1_TRIP_V": 0.7,
        "UV1_TRIP_T": 2.0,
        "UV2_TRIP_V": 0.45,
        "UV2_TRIP_T": 0.16,
        "OF2_TRIP_F": 62.0,
        "OF2_TRIP_T": 0.16,
        "UF2_TRIP_F": 56.5,
        "UF2_TRIP_T": 0.16,
    }
    for name, value in settings.items():
        setattr(der.der_file, name, value)
    for _ in range(100):
        der.update_der_input(p_dem_pu=0.5, v_pu=1.0, f=60.0)
        der.run()
    for tick in range(round(seconds * 100)):
        der.update_der_input(p_dem_pu=0.5, v_pu=v_pu, f=hz)
        der.run()
        if "trip" in str(der.der_status).lower():
            return (tick + 1) * 0.01
    return None


def ours_trips_after(v_pu: float, hz: float, seconds: float) -> float | None:
    it = plant(grid_ms=10, pcs={"w_max": 200_000, "v_nom": 400, "hz_nom": 60, "trips": TRIPS, "dead_time_s": 0, "lag_s": 0})
    order(it, 100_000)
    it.step(1.0)
    it.set(grid_v=400 * v_pu, grid_hz=hz)
    for tick in range(round(seconds * 100) + 10):
        it.step(0.01)
        if it.get()["inv_state"] == 0:
            return (tick + 1) * 0.01
    return None


@pytest.mark.parametrize(("v_pu", "hz", "seconds", "trips"), DISTURBANCES)
def test_the_pcs_trips_and_rides_through_as_opender_does(v_pu: float, hz: float, seconds: float, trips: bool) -> None:
    opender: Any = import_module("opender")
    theirs, mine = theirs_trips_after(opender, v_pu, hz, seconds), ours_trips_after(v_pu, hz, seconds)
    assert (theirs is not None, mine is not None) == (trips, trips), (theirs, mine)
    if theirs is not None and mine is not None:
        assert mine == pytest.approx(theirs, abs=TRIP_WITHIN_S), (theirs, mine)
