"""From a threshold crossed at a device to the set-point register: a cell grows hot, the row acts, the PCS's register holds 0.

The loop is the real process at 100 Hz. Its devices are simulated in another: a PCS, its battery, and a second PCS on the same bus that fell
silent and is probed. Over TCP and over serial lines paced by the frame. N crossings, each at a random phase of poll plan and tick; between
them the cell cools, the row lets go and power is back. The crossing counts from before the plant was told of it, so every figure is on the
long side. `bound_ms` is what `bessctl check` prints for that row (poll, tick, longest transaction, one answer lost, quiet time).
`decision_ticks`: ticks from the one that saw the value to the one that commanded 0; 0 is the same tick.

`..._4pcs`: four PCS on a line, each its own battery's voice; the cells of all grow hot together, and the last of the four registers counts.
Their bound is the largest that `check` prints for the four rows.

Slow lines are run several at a time, each with a loop and a plant of its own. A crossing during which the host stole more than 50 ms is
discarded, and another one made in its place, up to TRIES times as many as are asked for.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from benches import rig
from benches.measure import Calm, machine, percentiles
from bessctl.config.load import LoadedSite, load_site
from bessctl.config.report import report
from bessctl.config.seal import seal
from bessctl.hil.stagefiles import found_in_process
from bessctl.sim import config as sim_config
from bessctl.sim.run import make_server
from bessctl_core import layout as L
from tests.scenarios.loop_rig import SLOTS, S, block, loop_process
from tests.sites import EXAMPLE

N = 1000
ENOUGH = 1000
TRIES = 3
BUSES = {"tcp": 0, "rtu_9600": 9600, "rtu_19200": 19200, "rtu_115200": 115200, "rtu_9600_4pcs": 9600, "rtu_115200_4pcs": 115200}
LANES = {"tcp": 1, "rtu_9600": 8, "rtu_19200": 4, "rtu_115200": 2, "rtu_9600_4pcs": 8, "rtu_115200_4pcs": 2}
MANY = 4
TARGET_W = 50_000
COOL_C, HOT_C, PICKUP_C = 25.0, 45.0, 40.0
PATIENCE_S = 60.0
LOOK_S = 0.001
PLANT = """\
plants:
  - grid_ms: 10
    pcs: {{w_max: 200000, start_s: 0.1, dead_time_s: 0, lag_s: 0.05, device: {{unit: 1, serial: A, answer_ms: {answer_ms}}}}}
    battery: {{energy_wh: 400000, cells: 240, device: {{unit: 2, serial: B, answer_ms: {answer_ms}}}}}
    meter: {{device: {{unit: 3, serial: C}}}}
  - grid_ms: 10
    combined: true
    pcs: {{w_max: 200000, start_s: 0.1, device: {{unit: 11, serial: D, answer_ms: {answer_ms}}}}}
    battery: {{energy_wh: 400000, cells: 240, device: {{unit: 12, serial: E}}}}
    meter: {{device: {{unit: 13, serial: F}}}}
server: {{shared_bus: true, tcp_port: {port}, rtu: {rtu}}}
"""
ONE_OF_MANY = """\
  - grid_ms: 10
    combined: true
    pcs: {{w_max: 200000, start_s: 0.1, dead_time_s: 0, lag_s: 0.05, device: {{unit: {unit}, serial: P{unit}, answer_ms: {answer_ms}}}}}
    battery: {{energy_wh: 400000, cells: 240, device: {{unit: {battery}, serial: B{unit}}}}}
    meter: {{device: {{unit: {meter}, serial: M{unit}}}}}
"""


def plants(many: bool, **words: Any) -> str:
    """The simulated plants of a lane."""
    if not many:
        return PLANT.format(**words)
    each = [ONE_OF_MANY.format(unit=i, battery=100 + i, meter=200 + i, **words) for i in range(1, MANY + 1)]
    return "plants:\n" + "".join(each) + PLANT[PLANT.index("server:") :].format(**words)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=N, help="calm crossings for each bus (1000 to be judged)")
    parser.add_argument("--bus", choices=list(BUSES), action="append", help="only this one; may be given again")
    parser.add_argument("--seed", type=int, default=1, help="of the random phases")


# --- the site -----------------------------------------------------------------------------------------------------------------------------


def tree(baud: int, line: str, port: int, folder: Path, many: bool = False) -> dict[str, Any]:
    """The example site as two units on one bus, or as many PCS that answer for their batteries, with times that fit the line."""
    site: dict[str, Any] = YAML(typ="safe").load(EXAMPLE.read_text())
    slow = baud > 0
    timing = {"timeout_s": 0.05, "worst_s": 0.1, "response_s": 0.002, "poll": {"fast_s": 0.05, "slow_s": 5.0, "state_s": 2.0}}
    site["paths"] = {"state_dir": str(folder / "state"), "run_dir": str(folder / "run")}
    site["loop"] |= {"acquire_timeout_s": 300, "max_uncontrolled_s": 60, "frozen_s": 60, "ramp_w_per_s": 1e8}
    where = {"rtu": {"device": line, "baud": baud, "parity": "even"}} if slow else {"tcp": {"host": "127.0.0.1", "port": port}}
    site["buses"] = [{"name": "line", **where}]
    kinds = [("pcs1", "pcs", 1), ("bms1", "bms", 2), ("pcs2", "pcs", 11)]
    if many:
        kinds = [(f"pcs{i}", "pcs", i) for i in range(1, MANY + 1)]
    site["devices"] = [{"name": name, "kind": kind, "bus": "line", "modbus_id": ident, **timing} for name, kind, ident in kinds]
    ages = {"reversion_s": 30, "data_age_s": 40 if slow else 2, "confirm_s": 50}
    unit = {**site["units"][0], **ages}
    alone = {key: value for key, value in unit.items() if key != "bms"}
    others = [{**alone, "name": f"unit{i}", "pcs": f"pcs{i}"} for i in range(1 if many else 2, MANY + 1 if many else 3)]
    site["units"] = others if many else [unit, *others]
    site["sources"] = [source for source in site["sources"] if source["name"] == "manual"]
    site["pcc"] = {}
    site["protection"] = table(site["protection"])
    for part in ("ocpp", "oscp", "mqtt", "sep2", "storage"):
        site.pop(part, None)
    return site


def table(rows: dict[str, Any]) -> dict[str, Any]:
    """The example's rows, patient with old data; the one that is measured acts at once and lets go by itself."""
    for name in [name for name in rows if name.startswith(("pcc_", "meter_"))]:
        rows.pop(name)
    for row in rows.values():
        for tier in row.values():
            if isinstance(tier, dict) and "act_within_ms" in tier:
                tier["act_within_ms"] = 60000
    for name in ("pcs_data_age", "bms_data_age"):
        rows[name] = {"trip": {"pickup_s": 50, "dropoff_s": 30, "action": "zero", "reset": "auto"}}
    rows["not_following"]["trip"]["pickup_delay_s"] = 20
    rows["cell_temp_high"] = {"trip": {"pickup_c": PICKUP_C, "dropoff_c": 35, "action": "zero", "reset": "auto"}}
    return rows


class Crossing(NamedTuple):
    """ms to the register, decision ticks, and whether the host stole no time meanwhile."""

    took_ms: float
    ticks: int | None
    calm: bool


@dataclass
class Lane:
    """One loop, one plant, one bus."""

    folder: Path
    baud: int
    seed: int
    many: bool = False
    loaded: LoadedSite = field(init=False)

    def open(self, stack: ExitStack) -> None:
        rtu = f"{{baud: {self.baud}, paced: true}}" if self.baud else "null"
        made = plants(self.many, answer_ms=2, port="null" if self.baud else 0, rtu=rtu)
        self.plant = stack.enter_context(rig.PlantProcess(self.folder, None, made))
        self.crossing_plants = range(MANY if self.many else 1)
        file = self.folder / "site.yaml"
        line = self.plant.lines[0] if self.baud else ""
        with file.open("w") as out:
            YAML().dump(tree(self.baud, line, self.plant.port, self.folder, self.many), out)
        self.loaded = load_site(file)
        found = found_in_process(self.loaded, make_server(sim_config.load(self.folder / "plant.yaml"), tcp_port=None, rtu=None))
        sealed = self.folder / "site.sealed"
        sealed.write_bytes(seal(self.loaded, found).content)
        self.loop = stack.enter_context(loop_process(self.folder, sealed))
        self.loop.attach()
        self.random = random.Random(self.seed)
        self.log_at = [0] * len(self.crossing_plants)

    def bound_ms(self) -> float:
        """What `bessctl check` prints for the row, at most."""
        rows = [row for row in report(self.loaded)["rows"] if (row["row"], row["tier"]) == ("cell_temp_high", "trip")]
        return max(float(row["to_wire_ms"]) for row in rows if self.many or row["unit"] == "unit1")

    def begin(self) -> None:
        """Power from unit 1, unit 2's PCS silent; or from all."""
        self.loop.until("it runs", lambda s: s["mode"] == L.Mode.MODE_RUN, 400)
        if not self.many:
            self.plant.ask(set={"pcs_silent": 1}, plant=1)
            self.loop.until("the neighbour is dead", lambda s: s["pcs_state"][1] == L.DeviceState.DEV_DOWN, 120)
        self.loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 3600 * S, 0, [block(TARGET_W * len(self.crossing_plants))])
        self.back()

    def writes(self, holds: Any, what: str) -> int:
        """The instant at which the set-point registers of all that crossed had become as wished, ns."""
        return max(self.written(plant, holds, what) for plant in self.crossing_plants)

    def written(self, plant: int, holds: Any, what: str) -> int:
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            log = self.plant.ask(command_log=True, since=self.log_at[plant], plant=plant)["command_log"]
            self.log_at[plant] = log[-1][0] + 1 if log else self.log_at[plant]
            for _, ns, kind, value in log:
                if kind == "wset" and holds(value):
                    return int(ns)
            time.sleep(5 * LOOK_S)
        raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}")

    def back(self) -> None:
        """Cool, and power again."""
        self.set(cell_temp_c=COOL_C)
        self.writes(lambda watts: watts > 0, "power is back")

    def set(self, **values: float) -> None:
        """At every plant that crosses."""
        for plant in self.crossing_plants:
            self.plant.ask(set=values, plant=plant)

    def decision(self) -> int | None:
        """Ticks between seeing the value and commanding 0; None when a tick was missed in between."""
        at, seen, before = L.Quantity.Q_CELL_TEMP_MAX_C, None, None
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            state = self.loop.now()
            tick = state["tick"]
            if seen is None and state["value"][at] >= PICKUP_C:
                seen = tick if before is None or tick - before <= 1 else -1
            if state["unit_command_w"][0] == 0:
                return None if seen is None or seen < 0 else tick - seen
            before = tick
            time.sleep(LOOK_S)
        raise TimeoutError(f"not within {PATIENCE_S:g} s: the loop commands 0")

    def crossing(self) -> Crossing:
        time.sleep(self.random.random() * 0.2)
        with Calm() as window:
            crossed_ns = time.monotonic_ns()
            self.set(cell_temp_c=HOT_C)
            ticks = self.decision()
            reached_ns = self.writes(lambda watts: watts == 0, "0 W in the register")
        self.back()
        return Crossing((reached_ns - crossed_ns) / 1e6, ticks, window.calm)


# --- the bench ----------------------------------------------------------------------------------------------------------------------------


def crossings(lane: Lane, count: int, stop: threading.Event) -> list[Crossing]:
    """Until that many were calm."""
    found: list[Crossing] = []
    lane.begin()
    while sum(one.calm for one in found) < count and len(found) < TRIES * count and not stop.is_set():
        found.append(lane.crossing())
    return found


def on_bus(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All crossings of one bus."""
    lanes = max(1, min(LANES[name], options.n))
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        made = []
        for number in range(lanes):
            place = Path(folder) / str(number)
            place.mkdir()
            made.append(Lane(place, BUSES[name], options.seed + number, name.endswith("pcs")))
            made[-1].open(stack)
        with ThreadPoolExecutor(lanes) as pool:
            jobs = [pool.submit(crossings, lane, -(-options.n // lanes), stop) for lane in made]
            try:
                found = [one for job in jobs for one in job.result()]
            finally:
                stop.set()
        bound_ms = made[0].bound_ms()
    return figures(found, bound_ms)


def figures(found: list[Crossing], bound_ms: float) -> dict[str, Any]:
    calm = [one.took_ms for one in found if one.calm]
    ticks = [one.ticks for one in found if one.calm and one.ticks is not None]
    result: dict[str, Any] = {"n": len(calm), "discarded": len(found) - len(calm), "bound_ms": bound_ms}
    if calm:
        result["crossing_to_register_ms"] = percentiles(calm, 1, (50, 99))
        result["within_bound"] = result["crossing_to_register_ms"]["p99"] < bound_ms
    if ticks:
        result["decision_ticks"] = {"max": max(ticks), "same_tick": sum(t == 0 for t in ticks), "n": len(ticks)}
    return result


def run(options: argparse.Namespace) -> dict[str, Any]:
    names = options.bus or list(BUSES)
    found = {name: on_bus(name, options) for name in names}
    judged = all(one["n"] >= ENOUGH for one in found.values())
    result = {"bench": "trip", "machine": machine(), "judged": judged, "rate_hz": 100, "buses": found}
    return result if judged else {**result, "reason": f"{ENOUGH} calm crossings are needed on each bus"}


def text(result: dict[str, Any]) -> str:
    lines = ["from a crossed threshold to 0 W in the PCS's register, a dead neighbour on the bus, loop at 100 Hz"]
    for name, found in result["buses"].items():
        if "crossing_to_register_ms" in found:
            f, ticks = found["crossing_to_register_ms"], found.get("decision_ticks", {})
            told = f"p50 {f['p50']:7.1f}  p99 {f['p99']:7.1f}  max {f['max']:7.1f} ms, check says {found['bound_ms']:.1f}"
            lines.append(f"  {name:15} {told}; decided in the tick of arrival {ticks.get('same_tick', 0)} of {ticks.get('n', 0)}")
    return "\n".join(lines if result["judged"] else [*lines, f"not judged: {result['reason']}"])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    rows = {
        name: {"p50": f["crossing_to_register_ms"]["p50"], "p99": f["crossing_to_register_ms"]["p99"], "bound": f["bound_ms"]}
        for name, f in result["buses"].items()
        if "crossing_to_register_ms" in f
    }
    bars(path, "threshold to register", "ms", rows)
