"""How a limit at the point of common coupling answers a step of load: every meter, lag and dead time of R10, in invented time.

Nothing is timed: the site is a model (tests/core/site_model.py), the figures are the same on every machine. The reference of each is
what R10 allows. The picture has a panel for every cell: a case in each row, a meter, lag and dead time in each column; the power at the
connection after the step, with the phase of the meter that took longest, the limit, and the time that is allowed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benches.measure import machine
from tests.core.pcc_cases import CASES, GRID, STEP_S, bound_s, cleared_s, overshoot, stepped

SHOWN_S = (-0.2, 2.2)
EVERY = 2
"""Of the trace, one sample of so many is drawn."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--phases", type=int, default=4, help="at so many phases of the meter's period the load changes")
    parser.add_argument("--case", choices=CASES, help="only this one")


def cell(meter_s: float, lag_s: float, dead_s: float) -> str:
    return f"meter {meter_s:g} s, lag {lag_s:g} s, dead {dead_s:g} s"


def drawn(trace: list[Any], at_s: float) -> tuple[list[float], list[float]]:
    """The power at the connection around the step: s after it, kW."""
    shown = [entry for entry in trace if SHOWN_S[0] < entry[0] - at_s < SHOWN_S[1]][::EVERY]
    return [round(t - at_s, 3) for t, _, _, _ in shown], [round(p / 1e3, 3) for _, p, _, _ in shown]


def run(options: argparse.Namespace) -> dict[str, Any]:
    rows, curves = [], {}
    for name in [options.case] if options.case else CASES:
        for meter_s, lag_s, dead_s in GRID:
            worst_s = worst_over = -1.0
            for phase in range(options.phases):
                at_s = STEP_S + (phase / options.phases + 0.01) * meter_s
                s = stepped(CASES[name], meter_s, lag_s, dead_s, at_s)
                if cleared_s(CASES[name], s, at_s) > worst_s:
                    worst_s, curves[f"{name}; {cell(meter_s, lag_s, dead_s)}"] = cleared_s(CASES[name], s, at_s), drawn(s.trace, at_s)
                worst_over = max(worst_over, overshoot(CASES[name], s, at_s))
            allowed_s = bound_s(meter_s, lag_s, dead_s)
            rows.append(
                {
                    "case": name, "meter_s": meter_s, "lag_s": lag_s, "dead_s": dead_s, "cleared_s": round(worst_s, 3),
                    "allowed_s": round(allowed_s, 3), "ratio": round(worst_s / allowed_s, 3), "overshoot_pct": round(100 * worst_over, 2),
                }
            )  # fmt: skip
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
    from benches.pictures import panels

    rows = list(dict.fromkeys(row["case"] for row in result["grid"]))
    columns = [cell(*values) for values in GRID]
    allowed = {cell(*values): bound_s(*values) for values in GRID}
    shown = {
        (name, column): (*result["curves"][f"{name}; {column}"], CASES[name].limit_w / 1e3, allowed[column])
        for name in rows
        for column in columns
    }
    panels(path, "power at the connection after a step of load; s, kW", rows, columns, shown)
