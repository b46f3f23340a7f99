"""How a limit at the point of common coupling answers a step of load: every meter, lag and dead time of R10, in invented time.

Nothing is timed: the site is a model (tests/core/site_model.py), the figures are the same on every machine. The reference of each is
what R10 allows. The picture shows an import limit of 0 and 120 kW of load that come at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benches.measure import machine
from tests.core.pcc_cases import CASES, GRID, STEP_S, bound_s, cleared_s, overshoot, stepped

SHOWN = "import of 0, forced"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--phases", type=int, default=4, help="at so many phases of the meter's period the load changes")
    parser.add_argument("--case", choices=CASES, help="only this one")


def run(options: argparse.Namespace) -> dict[str, Any]:
    rows, curves = [], {}
    for name in [options.case] if options.case else CASES:
        for meter_s, lag_s, dead_s in GRID:
            worst_s = worst_over = 0.0
            for phase in range(options.phases):
                at_s = STEP_S + (phase / options.phases + 0.01) * meter_s
                s = stepped(CASES[name], meter_s, lag_s, dead_s, at_s)
                worst_s = max(worst_s, cleared_s(CASES[name], s, at_s))
                worst_over = max(worst_over, overshoot(CASES[name], s, at_s))
            allowed_s = bound_s(meter_s, lag_s, dead_s)
            rows.append(
                {
                    "case": name, "meter_s": meter_s, "lag_s": lag_s, "dead_s": dead_s, "cleared_s": round(worst_s, 3),
                    "allowed_s": round(allowed_s, 3), "ratio": round(worst_s / allowed_s, 3), "overshoot_pct": round(100 * worst_over, 2),
                }
            )  # fmt: skip
            if name == (options.case or SHOWN):
                shown = [entry for entry in s.trace if -0.2 < entry[0] - at_s < 2.0]
                curves[f"meter {meter_s:g} s, lag {lag_s:g} s, dead {dead_s:g} s"] = (
                    [round(t - at_s, 3) for t, _, _, _ in shown],
                    [round(p / 1e3, 3) for _, p, _, _ in shown],
                )
    return {
        "bench": "pcc", "machine": machine(), "judged": True, "grid": rows, "max_ratio": max(row["ratio"] for row in rows),
        "max_overshoot_pct": max(row["overshoot_pct"] for row in rows), "curves": curves,
    }  # fmt: skip


def text(result: dict[str, Any]) -> str:
    lines = ["pcc: slowest answer per case, against what R10 allows"]
    for name in dict.fromkeys(row["case"] for row in result["grid"]):
        row = max((row for row in result["grid"] if row["case"] == name), key=lambda row: float(row["ratio"]))
        lines.append(
            f"  {name:30} {row['cleared_s']:5.2f} s of {row['allowed_s']:.2f} s (meter {row['meter_s']:g} s, lag {row['lag_s']:g} s, "
            f"dead time {row['dead_s']:g} s)"
        )
    return "\n".join([*lines, f"  largest overshoot {result['max_overshoot_pct']:g} % of the step"])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import curves

    curves(path, "power at the connection after a step of load", "s after the step", "kW", result["curves"], log=False)
