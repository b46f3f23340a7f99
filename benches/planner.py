"""Seven days of quarter hours planned: prices, load, sun, a band each morning. Beside it HiGHS solves the same problem as a linear program.

The two must agree on the cost: HiGHS gets the steps, limits and bands of our own plan and no hint of its powers. Our time is the whole
plan, from the problem to the outcome; that of HiGHS is the solver alone, its matrices given, and the import of scipy is told apart.
Plain greedy (greedy.py) makes the same plan as well, of the same steps and bands: what it costs above ours, and its time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benches.greedy import Greedy
from benches.measure import Calm, machine, median_iqr
from bessctl.policy.cheapest import money
from bessctl.policy.planner import plan
from bessctl.policy.problem import Band, Battery, Outcome, Piece, Problem
from bessctl.policy.schedule import Weekly, clock

HOUR = 3600 * 1_000_000_000
START = 490_680 * HOUR
GREEDY_ROUNDS = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=20)


def week(days: int, seed: int) -> Problem:
    """A site with 100 kW of sun, an uneven load and a price for each hour."""
    rng = Random(seed)
    hours = range(24 * days)
    buy = [round(0.2 + 0.15 * rng.random() + 0.1 * (17 <= h % 24 < 21), 4) for h in hours]
    prices = tuple(Piece(START + h * HOUR, START + (h + 1) * HOUR, (("buy", buy[h]), ("sell", 0.05))) for h in hours)
    site = tuple(
        Piece(
            START + h * HOUR, START + (h + 1) * HOUR,
            (("load_w", 30e3 + 40e3 * rng.random()), ("pv_w", 100e3 * max(0.0, 1 - abs(h % 24 - 13) / 6))),
        ) for h in hours
    )  # fmt: skip
    band = Band("morning", Weekly(frozenset(range(5)), clock("06:00"), "Europe/Brussels"), 80, 100)
    return Problem(
        START, 80e3, Battery(320e3, 150e3, 200e3), bands=(band,), prices=prices, site=site, tariff=True, horizon_ns=24 * days * HOUR,
        margin=0.0,
    )  # fmt: skip


def program(p: Problem, outcome: Outcome) -> dict[str, Any]:
    """The linear program of the same steps: charge, discharge, import, export and stored energy of each."""
    from scipy.sparse import diags, eye, hstack, vstack

    steps, n = [d.step for d in outcome.steps], len(outcome.steps)
    hours = np.array([s.hours for s in steps])
    gain, loss = p.battery.charge_efficiency, 1 / p.battery.discharge_efficiency
    prices = np.concatenate([np.array([s.buy for s in steps]) * hours, -np.array([s.sell for s in steps]) * hours])
    c = np.concatenate([np.zeros(2 * n), prices, np.zeros(n)]) / 1000
    c[-1] = -worth(p, outcome) / 1000
    one, none = eye(n), diags(np.zeros(n))
    balance = hstack([-one, one, one, -one, none])
    stored = hstack([diags(-gain * hours), diags(loss * hours), none, none, one - eye(n, k=-1)])
    begin = np.zeros(n)
    begin[0] = p.energy_wh
    bands = {target.edge - 1: (target.lo_wh, target.hi_wh) for target, _ in outcome.met}
    bounds: list[tuple[float, float | None]] = [(0, -s.lo_w) for s in steps] + [(0, s.hi_w) for s in steps] + [(0, None)] * (2 * n)
    bounds += [bands.get(k, (0, p.battery.capacity_wh)) for k in range(n)]
    b = np.concatenate([[s.net_w for s in steps], begin])
    return {"c": c, "A_eq": vstack([balance, stored]).tocsr(), "b_eq": b, "bounds": bounds, "method": "highs"}


def worth(p: Problem, outcome: Outcome) -> float:
    """Of a kWh left over, as the planner values it."""
    steps = [d.step for d in outcome.steps]
    return sum(s.buy * s.hours for s in steps) / sum(s.hours for s in steps) * p.battery.discharge_efficiency


def cost_of(p: Problem, outcome: Outcome) -> float:
    """Money less what the energy left over is worth, as the linear program counts it."""
    paid = sum(money(d.step, d.power_w) for d in outcome.steps)
    return paid - worth(p, outcome) * outcome.steps[-1].energy_wh / 1000


@dataclass
class Beside:
    """Greedy on the same problems."""

    above_pct: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    def add(self, p: Problem, outcome: Outcome) -> None:
        before = time.perf_counter()
        greedy = Greedy(p, [d.step for d in outcome.steps])
        paid = greedy.plan([target for target, _ in outcome.met], worth(p, outcome))
        self.took_ms.append(1e3 * (time.perf_counter() - before))
        cost = paid - worth(p, outcome) * float(greedy.energy_wh[-1]) / 1000
        mine = cost_of(p, outcome)
        self.above_pct.append(100 * (cost - mine) / abs(mine))

    def told(self) -> dict[str, float]:
        return {"greedy_ms": round(float(np.median(self.took_ms)), 1), "greedy_above_pct": round(float(np.median(self.above_pct)), 2)}


def run(options: argparse.Namespace) -> dict[str, Any]:
    from scipy.optimize import linprog

    ours, theirs, ratios, gaps, greedy, discarded = [], [], [], [], Beside(), 0
    outcome = plan(week(options.days, 0))
    for seed in range(options.rounds):
        p = week(options.days, seed)
        with Calm() as calm:
            before = time.perf_counter()
            outcome = plan(p)
            mine = time.perf_counter() - before
            lp = program(p, outcome)
            before = time.perf_counter()
            solved = linprog(**lp)
            other = time.perf_counter() - before
        if solved.status != 0:
            raise RuntimeError(f"HiGHS did not solve it: {solved.message}")
        gaps.append(cost_of(p, outcome) - solved.fun)
        if seed < GREEDY_ROUNDS:
            greedy.add(p, outcome)
        if not calm.calm:
            discarded += 1
            continue
        ours.append(mine)
        theirs.append(other)
        ratios.append(mine / other)
    judged = len(ours) >= options.rounds // 2
    result: dict[str, Any] = {
        "bench": "planner", "machine": machine(), "days": options.days, "steps": len(outcome.steps), "rounds": options.rounds,
        "discarded": discarded, "judged": judged, "cost_above_highs_max": round(max(gaps), 6), "targets_met": len(outcome.met),
    }  # fmt: skip
    if not ours:
        return {**result, "reason": "no round was calm"}
    ratio, iqr = median_iqr(ratios)
    return {
        **result, **({} if judged else {"reason": f"{discarded} of {options.rounds} rounds lost more than 50 ms to the hypervisor"}),
        "plan_ms": round(1e3 * float(np.median(ours)), 3), "plan_max_ms": round(1e3 * max(ours), 3),
        "reference": "scipy linprog (HiGHS), solver alone", "highs_ms": round(1e3 * float(np.median(theirs)), 3),
        "ratio": round(ratio, 3), "ratio_iqr": round(iqr, 3), **greedy.told(), **footprint(),
        "soc_pct": [round(100 * d.energy_wh / outcome.capacity_wh, 1) for d in outcome.steps],
    }  # fmt: skip


def footprint() -> dict[str, float]:
    """What the imports alone cost a process, MB of resident memory."""

    def resident(code: str) -> float:
        code += "; import re; print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read()).group(1))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return int(done.stdout) / 1024

    bare = resident("pass")
    planner, highs = resident("import bessctl.policy.planner") - bare, resident("import scipy.optimize") - bare
    return {"planner_import_mb": round(planner, 1), "highs_import_mb": round(highs, 1)}


def text(result: dict[str, Any]) -> str:
    if "plan_ms" not in result:
        return f"planner: {result['reason']}"
    return (
        f"planner, {result['days']} days in {result['steps']} steps, {result['targets_met']} targets\n"
        f"  ours   {result['plan_ms']} ms (max {result['plan_max_ms']} ms), import {result['planner_import_mb']} MB\n"
        f"  HiGHS  {result['highs_ms']} ms, import {result['highs_import_mb']} MB\n"
        f"  greedy {result['greedy_ms']} ms, and costs {result['greedy_above_pct']} % more\n"
        f"  ours takes {result['ratio']} x the time of HiGHS (IQR {result['ratio_iqr']})\n"
        f"  our cost is above that of HiGHS by {result['cost_above_highs_max']} at most; {result['discarded']} rounds discarded"
    )


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import curves

    soc = result.get("soc_pct", [])
    hours = list(accumulate([0.25] * len(soc)))
    curves(path, "planner: SoC over the days", "hours", "%", {"SoC": (hours, soc)}, log=False)
