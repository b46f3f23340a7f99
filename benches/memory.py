"""Memory of the two processes, and how long `bessctl version` takes.

Loop: VmRSS of the process on a sealed configuration of 16 units, each with its own PCS and battery (all simulated and answering), with
16 plans of 96 blocks in its slots, its memory locked. Supervisor: VmRSS beside that loop, with one OCPP connection. Both after a minute.
MB are 10^6 bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benches import rig
from benches.measure import machine
from benches.park import UNITS, park_site, plants_yaml
from bessctl.sim.csms import Csms
from bessctl_core import layout as L
from tests.scenarios.loop_rig import Loop, S, block, loop_process

AFTER_S = 60.0
RUNS = 11
BLOCKS = 96


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--after", type=float, default=AFTER_S, help="seconds until memory is read")
    parser.add_argument("--runs", type=int, default=RUNS, help="starts of `bessctl version`")


def status_mb(pid: int) -> dict[str, float]:
    """VmRSS, VmHWM and VmLck of a process, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    named = dict(line.split(":", 1) for line in lines if line.startswith(("VmRSS", "VmHWM", "VmLck")))
    return {name: round(int(value.split()[0]) * 1024 / 1e6, 2) for name, value in named.items()}


def fill_slots(loop: Loop) -> int:
    """A full plan in every slot; how many the loop has taken."""
    plans, now_ns = loop.plans(), time.monotonic_ns()
    blocks = [block(10e3, now_ns + i * 30 * S, now_ns + (i + 1) * 30 * S) for i in range(BLOCKS)]
    for slot in range(L.LIMITS["slots"]):
        plans.write(slot, now_ns + 3500 * S, L.LapseRule.LAPSE_ZERO, blocks, blocks)
    state = loop.until("every plan is taken", lambda state: list(state["slot_state"]).count(L.SlotState.SLOT_LIVE) == L.LIMITS["slots"])
    loop.let_go()
    return sum(1 for serial in state["slot_serial"] if serial)


async def both(folder: Path, after_s: float) -> dict[str, Any]:
    cores = rig.two_cores()
    async with Csms() as csms:
        with rig.PlantProcess(folder, cores[1] if cores else None, plants_yaml()) as plant:
            sealed, site = park_site(folder, plant.ports, csms.url)
            with loop_process(folder, sealed) as loop:
                loop.attach()
                loop.until("every PCS is up", lambda state: list(state["pcs_state"][:UNITS]) == [L.DeviceState.DEV_UP] * UNITS)
                taken = fill_slots(loop)
                with rig.supervisor(site) as supervisor:
                    async with asyncio.timeout(60):
                        await csms.station("demo-1")
                    await asyncio.sleep(after_s)
                    state = loop.now()
                    return {
                        "plans": taken,
                        "units": UNITS,
                        "locked": not state["flags"] & L.Flag.FLAG_MLOCK_REFUSED,
                        "loop": status_mb(loop.process.pid),
                        "supervisor": status_mb(supervisor.pid),
                    }


def wall_s(command: list[str], runs: int) -> float:
    """Median of the wall time of a command."""
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - start)
    return round(statistics.median(took), 4)


def run(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["PYTHONPATH"] = os.pathsep.join([*rig.IMPORTS, os.environ.get("PYTHONPATH", "")])
    version_s = wall_s([sys.executable, "-m", "bessctl", "version"], options.runs)
    python_s = wall_s([sys.executable, "-c", "pass"], options.runs)
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(both(Path(folder), options.after))
    reasons = [] if seen["locked"] else ["the loop's memory could not be locked here"]
    if options.after < AFTER_S:
        reasons.append(f"read after {options.after:g} s; {AFTER_S:g} are needed")
    result = {
        "bench": "memory", "machine": machine(), "judged": not reasons, "after_s": options.after, "units": seen["units"],
        "plans": seen["plans"], "locked": seen["locked"], "loop_rss_mb": seen["loop"]["VmRSS"], "loop_peak_mb": seen["loop"]["VmHWM"],
        "loop_locked_mb": seen["loop"]["VmLck"], "supervisor_rss_mb": seen["supervisor"]["VmRSS"],
        "supervisor_peak_mb": seen["supervisor"]["VmHWM"], "version_s": version_s, "python_s": python_s,
        "ratio_version_to_python": round(version_s / python_s, 2),
    }  # fmt: skip
    return {**result, **({"reason": "; ".join(reasons)} if reasons else {})}


def text(result: dict[str, Any]) -> str:
    lines = [
        f"memory after {result['after_s']:g} s, {result['units']} units, {result['plans']} plans of {BLOCKS} blocks",
        f"  loop        {result['loop_rss_mb']:7.1f} MB resident, {result['loop_locked_mb']:.1f} MB locked",
        f"  supervisor  {result['supervisor_rss_mb']:7.1f} MB resident, one OCPP connection",
        f"  bessctl version in {result['version_s']:.3f} s; Python alone takes {result['python_s']:.3f} s",
    ]
    return "\n".join(lines if result["judged"] else [*lines, f"not judged: {result['reason']}"])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    bars(path, "resident memory", "MB", {"processes": {"loop": result["loop_rss_mb"], "supervisor": result["supervisor_rss_mb"]}})
