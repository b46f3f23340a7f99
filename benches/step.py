"""One cycle of the pure step, pinned, in invented time, against a copy of the state that each cycle publishes.

16 plans of 96 blocks and 40 protection rows. Steady: the plans were taken before. New: all 16 are offered, checked and
taken in that very cycle. Cost: the steady cycle again while one of plans, blocks, rows and units grows and the others stand.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benches.measure import Calm, machine, median_iqr, percentiles, pin
from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, START_NS, Rig, Row, S, Slot, config, plan

WINDOWS = 20
STEADY = 5000
NEW = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--units", type=int, default=1, help="units of the plant; the 40 rows are spread over them")
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--cost", action="store_true", help="also: cost against plans, blocks, rows and units")


COSTS = {"plans": (1, 4, 16), "blocks": (1, 24, 96), "rows": (0, 40, 160, 640), "units": (1, 4, 16)}
STANDING = {"plans": 16, "blocks": 96, "rows": 40, "units": 1}


def blocks(n: int = 96) -> list[dict[str, Any]]:
    return [
        {"start_ns": START_NS + i * 10 * S, "end_ns": START_NS + (i + 1) * 10 * S, "ess_lo_w": -1e5, "ess_hi_w": 1e5, "target_w": 5e4}
        for i in range(n)
    ]


def rig(units: int = 1, plans: int = 16, n_blocks: int = 96, n_rows: int = 40) -> Rig:
    rows = tuple(Row(L.Quantity.Q_CELL_V_MAX, 3.6 + i / 100, 3.5, unit=i % units) for i in range(n_rows))
    it = Rig(config(units=units, rows=rows, slots=tuple(Slot(priority=i) for i in range(16)))).run()
    for slot in range(plans):
        it.offer(slot, *blocks(n_blocks), lease_until_ns=START_NS + 3000 * S)
    it.tick(30)
    return it


def costs() -> dict[str, dict[str, float]]:
    """p50 of the steady cycle, us, while one thing grows: {"rows": {"0": .., "640": ..}, ..}."""
    found: dict[str, dict[str, float]] = {}
    for what, sizes in COSTS.items():
        for size in sizes:
            size_of = {**STANDING, what: size}
            it = rig(size_of["units"], size_of["plans"], size_of["blocks"], size_of["rows"])
            window = np.zeros(STEADY, np.int64)
            it.h.time_ticks(window, PERIOD_NS // 100)
            found.setdefault(what, {})[str(size)] = percentiles(window, 1e-3)["p50"]
    return found


def copy_ns(size: int, n: int) -> Any:
    """The reference: one plain copy of what a cycle publishes, through numpy's memcpy."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    took = np.zeros(n, np.int64)
    for i in range(n):
        before = time.perf_counter_ns()
        np.copyto(target, source)
        took[i] = time.perf_counter_ns() - before
    return took


def run(options: argparse.Namespace) -> dict[str, Any]:
    pin(0)
    it = rig(options.units)
    cost = costs() if options.cost else {}
    offered = np.concatenate([plan(*blocks(), lease_until_ns=START_NS + 3000 * S, serial=2) for _ in range(16)])
    steady, new, ratios, discarded = [], [], [], 0
    for _ in range(options.windows):
        window, fresh = np.zeros(STEADY, np.int64), np.zeros(NEW, np.int64)
        with Calm() as calm:
            it.h.time_ticks(window, PERIOD_NS // 100)
            reference = copy_ns(L.SIZES["PlantState"], 1000)
            it.h.time_ticks(fresh, PERIOD_NS // 100, offered)
        if not calm.calm:
            discarded += 1
            continue
        steady.append(window)
        new.append(fresh)
        ratios.append(float(np.median(window) / np.median(reference)))
    judged = len(steady) >= options.windows // 2
    result: dict[str, Any] = {"bench": "step", "machine": machine(), "windows": options.windows, "discarded": discarded, "judged": judged}
    if not steady:
        return {**result, "reason": "no window was calm"}
    if not judged:
        result["reason"] = f"{discarded} of {options.windows} windows lost more than 50 ms to the hypervisor"
    all_steady, all_new = np.concatenate(steady), np.concatenate(new)
    ratio, iqr = median_iqr(ratios)
    return {
        **result, **({"cost_p50_us": cost} if cost else {}), "units": options.units, "plans": 16, "blocks": 96, "rows": 40,
        "p50_us": percentiles(all_steady, 1e-3)["p50"], "p99_us": percentiles(all_steady, 1e-3)["p99"],
        "max_us": percentiles(all_steady, 1e-3)["max"],
        "p50_all_plans_new_us": percentiles(all_new, 1e-3)["p50"], "max_all_plans_new_us": percentiles(all_new, 1e-3)["max"],
        "reference": "copy of one PlantState", "ratio_p50": round(ratio, 3), "ratio_iqr": round(iqr, 3),
        "histogram_ns": np.bincount(np.minimum(all_steady // 100, 199), minlength=200).tolist(),
    }  # fmt: skip


def text(result: dict[str, Any]) -> str:
    if "p50_us" not in result:
        return f"step: {result['reason']}"
    lines = [
        f"step, {result['plans']} plans of {result['blocks']} blocks, {result['rows']} rows, {result['units']} unit(s)",
        f"  steady     p50 {result['p50_us']} us, p99 {result['p99_us']} us, max {result['max_us']} us",
        f"  all new    p50 {result['p50_all_plans_new_us']} us, max {result['max_all_plans_new_us']} us",
        f"  p50 is {result['ratio_p50']} x a copy of the published state (IQR {result['ratio_iqr']}); "
        f"{result['discarded']} windows discarded",
    ]
    for what, row in result.get("cost_p50_us", {}).items():
        lines.append(f"  {what:8}   " + ", ".join(f"{n}: {us} us" for n, us in row.items()))
    return "\n".join(lines)


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import histogram

    histogram(path, "step, steady plans", "us", [i / 10 for i in range(200)], result.get("histogram_ns", []))
