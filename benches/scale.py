"""What more devices cost, and what a larger configuration costs the step.

devices   n of them on Modbus TCP, each with a connection of its own and 5 ms to answer, in a process on another core. A cycle asks all at
          once, in one thread, as the loop looks after its buses, and is over when the last has answered; beside it the slowest of them
          asked alone. And the real loop at 100 Hz with as many devices: how many periods it missed by its own doing.
step      one cycle of the pure step, one size changed at a time: plans, blocks, protection rows, units.

A number of devices during which the host stole more than 50 ms is measured again, up to TRIES times.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from benches import rig
from benches.measure import Calm, machine, percentiles, pin, realtime
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl.hil.stagefiles import found_in_process
from bessctl.sim import config as sim_config
from bessctl.sim.run import make_server
from bessctl_core import layout as L
from bessctl_core.master import Master, read_together
from tests.core.rig import PERIOD_NS, START_NS, Rig, Row, S, Slot, config
from tests.scenarios.loop_rig import loop_process
from tests.sites import EXAMPLE

DEVICES = (1, 4, 16, 32)
ANSWER_MS = 5.0
CYCLES = 200
ALONE = 20
SECONDS = 5.0
PRIORITY = 40
STEPS = 2000
TRIES = 10
PLANT = """\
  - grid_ms: 10
    pcs: {{w_max: 200000, start_s: 0.1, device: {{unit: 1, serial: P{n}, answer_ms: {ms}}}}}
    battery: {{energy_wh: 400000, cells: 240, device: {{unit: 2, serial: B{n}, answer_ms: {ms}}}}}
    meter: {{device: {{unit: 3, serial: M{n}}}}}
"""
BASE = {"plans": 4, "blocks": 24, "rows": 40, "units": 1}
GRID = {"plans": (1, 4, 16), "blocks": (1, 24, 96), "rows": (10, 40, 160, 640), "units": (1, 4, 16)}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cycles", type=int, default=CYCLES, help="cycles for each number of devices")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the loop runs with each number of devices")


# --- devices ------------------------------------------------------------------------------------------------------------------------------


def plants(count: int) -> str:
    """So many plants, each with a port of its own."""
    return "plants:\n" + "".join(PLANT.format(n=n, ms=ANSWER_MS) for n in range(count))


def parallel(folder: Path, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Cycles over `count` connections; several may lead to one plant, each answered by itself."""
    cores = rig.two_cores()
    with rig.PlantProcess(folder, cores[1] if cores else None, plants(min(count, 16))) as plant, ExitStack() as stack:
        ports = [plant.ports[n % len(plant.ports)] for n in range(count)]
        masters = [stack.enter_context(Master.tcp("127.0.0.1", port, timeout_s=1.0)) for port in ports]
        for master in masters:
            master.read(1, 3, 40000, 2)
        with Calm() as calm:
            alone_ms = max(cycle_ms([master], ALONE) for master in masters)
            together_ms = cycle_ms(masters, options.cycles)
    return {
        "cycle_p50_ms": round(together_ms, 3), "slowest_device_ms": round(alone_ms, 3), "ratio": round(together_ms / alone_ms, 4),
        "calm": calm.calm,
    }  # fmt: skip


def cycle_ms(masters: list[Master], cycles: int) -> float:
    """Median time until all of them have their answer."""
    took_ns = np.zeros((cycles, len(masters) + 1), np.int64)
    read_together(masters, 1, 40072, 60, took_ns)
    return float(np.median(took_ns[:, -1])) / 1e6


def site(folder: Path, ports: list[int], devices: int) -> Path:
    """The example site with that many devices, each on a bus of its own, and units for all of them."""
    tree: dict[str, Any] = YAML(typ="safe").load(EXAMPLE.read_text())
    tree["paths"] = {"state_dir": str(folder / "state"), "run_dir": str(folder / "run")}
    timing = {"timeout_s": 0.2, "response_s": 0.005, "poll": {"fast_s": 0.05}}
    tree["buses"], tree["devices"], tree["units"], unit = [], [], [], tree["units"][0]
    for n in range(max(1, devices // 2)):
        for name, kind, ident in ((f"pcs{n}", "pcs", 1), (f"bms{n}", "bms", 2))[: 1 if devices == 1 else 2]:
            tree["buses"].append({"name": f"{name}lan", "tcp": {"host": f"127.0.0.{ident}", "port": ports[n]}})
            tree["devices"].append({"name": name, "kind": kind, "bus": f"{name}lan", "modbus_id": ident, **timing})
        tree["units"].append({**unit, "name": f"unit{n}", "pcs": f"pcs{n}", "bms": f"bms{n}", "data_age_s": 2})
        if devices == 1:
            tree["units"][-1].pop("bms")
    tree["sources"] = [source for source in tree["sources"] if source["name"] == "manual"]
    tree["pcc"] = {}
    tree["protection"] = {name: row for name, row in tree["protection"].items() if not name.startswith(("pcc_", "meter_"))}
    for part in ("ocpp", "oscp", "mqtt", "sep2", "storage"):
        tree.pop(part, None)
    file = folder / "site.yaml"
    with file.open("w") as out:
        YAML().dump(tree, out)
    return file


def in_the_loop(folder: Path, devices: int, options: argparse.Namespace) -> dict[str, Any]:
    """The real loop with that many devices for a while."""
    text = plants(max(1, devices // 2))
    if devices == 1:
        text = text.replace("  - grid_ms: 10\n", "  - grid_ms: 10\n    combined: true\n")
    cores = rig.two_cores()
    # Every loopback address reaches the plant, so that each device has a connection, and a bus, of its own.
    with rig.PlantProcess(folder, cores[1] if cores else None, text + "server: {host: 0.0.0.0}\n") as plant:
        loaded = load_site(site(folder, plant.ports, devices))
        server = make_server(sim_config.load(folder / "plant.yaml"), tcp_port=None)
        buses = [bus.name for bus in loaded.site.buses]
        found = found_in_process(loaded, Twice(server, buses))
        sealed = folder / "site.sealed"
        sealed.write_bytes(seal(loaded, found).content)
        with loop_process(folder, sealed) as loop:
            loop.attach()
            loop.until("it runs", lambda s: s["mode"] == L.Mode.MODE_RUN, 60)
            before = loop.now()
            with Calm() as calm:
                ticks = before["tick"] + int(options.seconds * 100)
                after = loop.until("a while", lambda s: s["tick"] >= ticks, 60)
    names = ("missed_own", "missed", "periods")
    return {**{name: after[name] - before[name] for name in names}, "calm_loop": calm.calm}


Measure = Callable[[Path, int, argparse.Namespace], dict[str, Any]]


class Twice:
    """The plants as discovery wants them: one for each bus, in the buses' order."""

    def __init__(self, server: Any, buses: list[str]) -> None:
        each = 1 if len(buses) == 1 else 2
        self.plants = [server.plants[index // each] for index in range(len(buses))]


# --- the step -----------------------------------------------------------------------------------------------------------------------------


def step_us(plans: int, blocks: int, rows: int, units: int) -> float:
    """Median cost of a steady cycle."""
    table = tuple(Row(L.Quantity.Q_CELL_V_MAX, 3.6 + i / 1000, 3.5, unit=i % units) for i in range(rows))
    it = Rig(config(units=units, rows=table, slots=tuple(Slot(priority=i) for i in range(16)))).run()
    series = [
        {"start_ns": START_NS + i * 10 * S, "end_ns": START_NS + (i + 1) * 10 * S, "ess_lo_w": -1e5, "ess_hi_w": 1e5, "target_w": 5e4}
        for i in range(blocks)
    ]
    for slot in range(plans):
        it.offer(slot, *series, lease_until_ns=START_NS + 3000 * S)
    it.tick(30)
    took_ns = np.zeros(STEPS, np.int64)
    it.h.time_ticks(took_ns, PERIOD_NS // 100)
    return percentiles(took_ns, 1e-3, (50,))["p50"]


def step_grid() -> dict[str, dict[str, float]]:
    """One size at a time, the others as in BASE."""
    return {name: {str(size): step_us(**{**BASE, name: size}) for size in sizes} for name, sizes in GRID.items()}


def calmly(measure: Measure, calm: str, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Once more while time was stolen meanwhile, TRIES times at most."""
    found: dict[str, Any] = {}
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), count, options)
        if found[calm]:
            break
    return found


def run(options: argparse.Namespace) -> dict[str, Any]:
    step = step_grid()
    devices = {str(count): calmly(in_the_loop, "calm_loop", count, options) for count in DEVICES}
    if rig.two_cores():
        pin(0)
    realtime(PRIORITY)
    for count in DEVICES:
        devices[str(count)] |= calmly(parallel, "calm", count, options)
    judged = all(found["calm"] and found["calm_loop"] for found in devices.values())
    result = {"bench": "scale", "machine": machine(), "judged": judged, "rate_hz": 100, "devices": devices, "step_us": step, "base": BASE}
    return result if judged else {**result, "reason": "time was stolen while one of the numbers was measured"}


def text(result: dict[str, Any]) -> str:
    lines = [f"devices of {ANSWER_MS:g} ms on Modbus TCP, asked in parallel; the loop at {result['rate_hz']} Hz"]
    for count, f in result["devices"].items():
        told = f"cycle p50 {f['cycle_p50_ms']:7.3f} ms, slowest device {f['slowest_device_ms']:7.3f} ms, ratio {f['ratio']:.3f}"
        lines.append(f"  {count:>3}  {told}; missed by the loop itself {f['missed_own']} of {f['periods']}")
    lines.append(f"the step, us p50; otherwise {', '.join(f'{value} {name}' for name, value in result['base'].items())}")
    for name, sizes in result["step_us"].items():
        lines.append(f"  {name:8} {'  '.join(f'{size}: {us:.2f}' for size, us in sizes.items())}")
    return "\n".join(lines if result["judged"] else [*lines, f"not judged: {result['reason']}"])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    rows = {f"{n} devices": {"cycle": f["cycle_p50_ms"], "slowest": f["slowest_device_ms"]} for n, f in result["devices"].items()}
    bars(path, "a cycle over all devices", "ms", rows)
