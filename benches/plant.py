"""Simulated seconds per second of the compiled plant against N plants, 10 ms steps; and N plants in real time with their servers on.

Reference: the battery's circuit alone (open-circuit voltage by a table, R0, one RC) stepped in Python in the same windows.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from benches.measure import Calm, machine, median_iqr, pin
from bessctl.sim.cells import LFP
from bessctl.sim.config import PlantConfig, plant_dict
from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer

STEP_S = 0.01
COUNTS = (1, 2, 5, 10, 25, 50)
REFERENCE_STEPS = 20_000


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=86_400.0, help="simulated seconds of the one plant; the others share as many")
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--served", type=int, default=50, help="plants in real time with servers on")
    parser.add_argument("--real-s", type=float, default=3.0)


def plants(count: int) -> list[Plant]:
    """Plants under load: a day's sine of load, a PCS that follows its orders."""
    tree: dict[str, Any] = {
        "grid_ms": 10,
        "pcs": {"w_max": 200_000, "device": {"unit": 1}},
        "battery": {"energy_wh": 400_000, "cells": 240, "device": {"unit": 2}},
        "meter": {"load": {"w": 50_000, "amplitude_w": 30_000, "period_s": 86_400}, "device": {"unit": 3}},
        "initial": {"soc_pct": 60, "pcs": "running"},
    }
    made = [Plant(plant_dict(PlantConfig.model_validate({**tree, "name": f"p{i}"}))) for i in range(count)]
    for plant in made:
        order(plant, 20_000)
    return made


def order(plant: Plant, power_w: int) -> None:
    """WSetEna 1, WSetMod 1, WSet: what a controller writes."""
    unit, address = plant.place_of_wset()
    data = bytes([0, 1, 0, 1]) + power_w.to_bytes(4, "big", signed=True)
    answer = plant.request(unit, bytes([16]) + (address - 2).to_bytes(2, "big") + bytes([0, 4, 8]) + data)
    assert answer is not None
    assert answer[0] == 16, answer.hex()


def speed(made: list[Plant], seconds: float) -> float:
    """Simulated plant seconds per second, a simulated minute at a time."""
    began, left = time.perf_counter(), seconds / len(made)
    while left > 0:
        for plant in made:
            plant.step(min(60.0, left))
        left -= 60.0
    return seconds / (time.perf_counter() - began)


def reference() -> float:
    """Simulated seconds per second of the circuit in Python."""
    soc, v1, keep = 60.0, 0.0, math.exp(-STEP_S / 30.0)
    began = time.perf_counter()
    for _ in range(REFERENCE_STEPS):
        ocv = 240 * table(soc)
        e = ocv - v1
        current = 2 * 20_000 / (e + math.sqrt(e * e - 4 * 0.04 * 20_000))
        v1 = v1 * keep + 0.028 * current * (1 - keep)
        soc -= 100 * current * STEP_S / 3600 / 520
    return REFERENCE_STEPS * STEP_S / (time.perf_counter() - began)


def table(soc: float) -> float:
    """Linear between the points."""
    points = LFP.ocv
    i = next(i for i in range(1, len(points)) if soc <= points[i][0])
    (x0, y0), (x1, y1) = points[i - 1], points[i]
    return y0 + (y1 - y0) * (soc - x0) / (x1 - x0)


def served(count: int, seconds: float) -> dict[str, Any]:
    """So many plants in real time behind their own ports: the processor they take, and what time they gave up."""
    made = plants(count)
    server = PlantServer(made)
    with server:
        cpu, began = time.process_time(), time.monotonic()
        time.sleep(seconds)
        wall = time.monotonic() - began
        share = (time.process_time() - cpu) / wall
        states = [plant.get() for plant in made]
    late_s = max((time.monotonic_ns() - state["ns"]) / 1e9 - (time.monotonic() - began - wall) for state in states)
    skipped_s = max(state["skipped_ns"] for state in states) / 1e9
    return {
        "plants": count,
        "seconds": round(wall, 2),
        "cpu_share": round(share, 4),
        "behind_s": round(max(0.0, late_s), 3),
        "given_up_s": skipped_s,
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    pin(0)
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    ratios, discarded = [], 0
    for _ in range(options.windows):
        with Calm() as calm:
            beside = reference()
            one = {count: speed(plants(count), options.seconds / options.windows) for count in COUNTS}
        discarded += not calm.calm
        for count, rate in one.items():
            rates[count].append(rate)
        ratios.append(one[1] / beside)
    result: dict[str, Any] = {
        "bench": "plant",
        "machine": machine(),
        "windows": options.windows,
        "discarded": discarded,
        "judged": discarded == 0,
    }
    if discarded:
        result["reason"] = f"{discarded} of {options.windows} windows lost more than 50 ms to the hypervisor; figures are of all of them"
    ratio, iqr = median_iqr(ratios)
    middle = {count: median_iqr(found)[0] for count, found in rates.items()}
    return {
        **result,
        "step_ms": 10,
        "simulated_per_s": {str(count): round(rate) for count, rate in middle.items()},
        "day_of_one_plant_s": round(86_400 / middle[1], 2),
        "real_time": served(options.served, options.real_s),
        "reference": "the battery's circuit alone, in Python",
        "ratio": round(ratio, 2),
        "ratio_iqr": round(iqr, 2),
    }


def text(result: dict[str, Any]) -> str:
    lines = [f"plant, {result['step_ms']} ms steps: 24 h of one plant in {result['day_of_one_plant_s']} s"]
    lines += [f"  {count:>3} plants  {rate:>9} plant seconds per second" for count, rate in result["simulated_per_s"].items()]
    real = result["real_time"]
    lines.append(
        f"  {real['plants']} plants in real time, servers on: {100 * real['cpu_share']:.1f} % of a core, {real['behind_s']} s behind"
    )
    lines.append(f"  one plant is {result['ratio']} x {result['reference']} (IQR {result['ratio_iqr']})")
    lines += [f"  not judged: {result['reason']}"] if "reason" in result else []
    return "\n".join(lines)


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import histogram

    found = result.get("simulated_per_s", {})
    histogram(
        path, "plant seconds per second against the number of plants", "plants", [int(count) for count in found], list(found.values())
    )
