"""Modbus RTU at real baud rates: cycles of FC03 x 20 and FC16 x 4 on a pseudo-terminal whose far end is paced frame by frame.

The simulated plant, a process of its own, holds each request until its last character would have arrived, thinks for its declared time, and
hands its answer over when the answer's last character would have arrived. The limit is what no master can pass: the character times of the
bytes that were really sent, max(t3.5, 1.75 ms) of silence before each question, and the device's declared time, which is its thinking and
its own pause of 3.5 characters. Achieved is what the loop's master does, waiting as the loop waits. Ratio: achieved to limit.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benches import rig
from benches.measure import Calm, machine, percentiles, realtime
from bessctl_core.master import Master

BAUDS = (9600, 19200, 115200)
TURNAROUND_S = 0.002
READS, WRITES = 20, 4
READ_AT, WRITE_AT = 40072, 40320
QUESTION = 8 + 9 + 2 * WRITES
ANSWER = 5 + 2 * READS + 8
SECONDS = 4.0
WINDOWS = 3
PRIORITY = 40
PLANT = """\
plants:
  - pcs: {{w_max: 200000, device: {{unit: 1, answer_ms: {answer_ms}}}}}
    battery: {{energy_wh: 400000, cells: 240, device: {{unit: 2}}}}
    meter: {{device: {{unit: 3}}}}
server: {{tcp_port: null, rtu: {{baud: {baud}, paced: true}}}}
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of a window")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="calm windows for each rate")


def limit_s(baud: int) -> float:
    """The shortest a cycle can take: four frames, our silence before each question, and twice the device's time and pause."""
    character_s = 11 / baud
    return (QUESTION + ANSWER) * character_s + 2 * max(3.5 * character_s, 0.00175) + 2 * (TURNAROUND_S + 3.5 * character_s)


def window(master: Master, seconds: float, baud: int) -> Any:
    """What each cycle of a window took, ns."""
    count = max(3, round(seconds / limit_s(baud)))
    took_ns = np.zeros(count, np.int64)
    master.cycles(1, READ_AT, READS, WRITE_AT, [0] * WRITES, took_ns)
    return took_ns


def at_baud(folder: Path, baud: int, options: argparse.Namespace) -> dict[str, Any]:
    """Calm windows at one rate."""
    kept, discarded = [], 0
    cores = rig.two_cores()
    plants = PLANT.format(answer_ms=1e3 * TURNAROUND_S, baud=baud)
    with (
        rig.PlantProcess(folder, cores[1] if cores else None, plants) as plant,
        Master.rtu(plant.lines[0], baud, "E", timeout_s=1.0) as master,
    ):
        window(master, 0.2, baud)
        for _ in range(3 * options.windows):
            before = time.monotonic()
            with Calm() as calm:
                took_ns = window(master, options.seconds, baud)
            wall_s = time.monotonic() - before
            discarded += not calm.calm
            if calm.calm:
                kept.append((len(took_ns) / wall_s, took_ns))
            if len(kept) == options.windows:
                break
        faults = sum(master.counters()[name] for name in ("failed_timeout", "crc_errors", "garbage_bytes"))
    if not kept:
        return {"judged": False, "discarded": discarded}
    achieved = float(np.median([cps for cps, _ in kept]))
    return {
        "achieved_cps": round(achieved, 3), "limit_cps": round(1 / limit_s(baud), 3), "ratio": round(achieved * limit_s(baud), 4),
        "cycle_ms": percentiles(np.concatenate([took for _, took in kept]), 1e-6, (50, 99)), "faults": faults,
        "discarded": discarded, "judged": len(kept) == options.windows,
    }  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    realtime(PRIORITY)
    with tempfile.TemporaryDirectory() as folder:
        found = {str(baud): at_baud(Path(folder), baud, options) for baud in BAUDS}
    judged = all(one["judged"] for one in found.values())
    result = {"bench": "rtu", "machine": machine(), "judged": judged, "turnaround_ms": 1e3 * TURNAROUND_S, "baud": found}
    return result if judged else {**result, "reason": f"fewer than {options.windows} calm windows at one of the rates"}


def text(result: dict[str, Any]) -> str:
    lines = [f"Modbus RTU, FC03 x {READS} and FC16 x {WRITES}, paced by the frame, {result['turnaround_ms']:g} ms in the device"]
    for baud, found in result["baud"].items():
        if "ratio" in found:
            told = f"{found['achieved_cps']:8.2f} cycles/s of {found['limit_cps']:8.2f}: {found['ratio']:.3f}"
            lines.append(f"  {baud:>7} baud  {told}  p99 {found['cycle_ms']['p99']:.1f} ms, faults {found['faults']}")
    return "\n".join(lines if result["judged"] else [*lines, f"not judged: {result['reason']}"])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    rows = {f"{baud} baud": {"achieved": f["achieved_cps"], "limit": f["limit_cps"]} for baud, f in result["baud"].items() if "ratio" in f}
    bars(path, "Modbus RTU", "cycles/s", rows)
