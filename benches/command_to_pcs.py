"""From an OCPP RemoteStartTransaction to the PCS: until its set-point register changes, holds its final value, and power follows.

Nothing is left out: a CSMS sends the frame over a WebSocket to the supervisor's process, the station takes it, the plan goes through the
shared buffers, the loop at 100 Hz takes it with its next tick and writes the set point over Modbus TCP to the simulated plant, a process
of its own with 0.1 s dead time and 0.1 s lag. 0 -> 150 kW, n times, each at a random phase of the tick; in between a RemoteStop brings it
back to 0. Times count from the instant before the frame is handed to the CSMS's socket, on the clock that all processes share.

Reference, in the same run: the same frame through a bare WebSocket to a process that only sends it back, then a bare Modbus write of two
registers to the same PCS. What the path adds to it is the wait for the tick (0 to 10 ms) and what it does with the command.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benches import rig
from benches.bare_path import bare
from benches.measure import Calm, machine, percentiles
from bessctl.sim.csms import Csms, Peer
from bessctl_core import layout as L
from tests.scenarios.loop_rig import loop_process

N = 500
ENOUGH = 100
TARGET_W = 150_000
RATE_HZ = 100
TICK_S = 1 / RATE_HZ
AT_REST_W = 0.02 * TARGET_W
POLL_S = 0.02
PATIENCE_S = 15.0
FIGURES = {
    "answer_ms": "answer to RemoteStart",
    "register_ms": "first change of the set point",
    "final_register_ms": "set point at 150 kW",
    "power90_ms": "power at 135 kW",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=N, help="commands (about one a second)")
    parser.add_argument("--seed", type=int, default=1, help="of the random phases")


class Stamped:
    """A connection that notes when it was last given something to send."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.sent_ns = 0
        self.frame = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def send(self, frame: str) -> None:
        if "RemoteStartTransaction" in frame:
            self.frame, self.sent_ns = frame, time.monotonic_ns()
        await self._connection.send(frame)


@dataclass(frozen=True, slots=True)
class Command:
    """What became of one RemoteStart, ms after it was sent."""

    answer_ms: float
    register_ms: float
    final_register_ms: float
    power90_ms: float


@dataclass
class Seen:
    """The commands whose time was not stolen, and the reference beside each."""

    commands: list[Command] = field(default_factory=list)
    reference_ms: list[float] = field(default_factory=list)
    discarded: int = 0


# --- the path -----------------------------------------------------------------------------------------------------------------------------


class Path150:
    """One command after another, through everything."""

    def __init__(self, csms: Csms, peer: Peer, plant: rig.PlantProcess, seed: int) -> None:
        self._csms, self._peer, self._plant = csms, peer, plant
        self._random = random.Random(seed)
        self._log_at = 0
        self.stamped = Stamped(peer.connection)
        peer._connection = self.stamped

    async def until(self, what: str, found: Any) -> Any:
        """Ask the plant again until it tells."""
        until = time.monotonic() + PATIENCE_S
        while (value := found()) is None:
            if time.monotonic() > until:
                raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}; plant: {self._plant.ask(get=True)['get']}")
            await asyncio.sleep(POLL_S)
        return value

    def registers(self, after_ns: int) -> list[tuple[int, float]]:
        """Changes of the set point since the last command."""
        log = self._plant.ask(command_log=True, since=self._log_at)["command_log"]
        return [(ns, value) for _, ns, kind, value in log if kind == "wset" and ns >= after_ns]

    def crossing(self, after_ns: int, w: float, *, rising: bool) -> int | None:
        found: int | None = self._plant.ask(crossing={"after_ns": after_ns, "w": w, "rising": rising})["crossing"]
        return found

    async def ready(self) -> None:
        """Until the station calls connector 1 available: no protection row stands any more."""
        async with asyncio.timeout(PATIENCE_S):
            await self._csms.wait("StatusNotification", where=lambda said: said["connector_id"] == 1 and said["status"] == "Available")

    async def start(self) -> Command:
        """RemoteStart, and when its effects were seen."""
        await asyncio.sleep(self._random.random() * TICK_S)
        status = await self._peer.remote_start("BENCH")
        sent_ns = self.stamped.sent_ns
        if status != "Accepted":
            raise RuntimeError(f"RemoteStart was {status}")
        answered_ns = time.monotonic_ns()
        reached_ns = await self.until("90 % of the power", lambda: self.crossing(sent_ns, 0.9 * TARGET_W, rising=True))
        changes = self.registers(sent_ns)
        final_ns = next(ns for ns, value in changes if abs(value - TARGET_W) <= 0.005 * TARGET_W)
        return Command(*((ns - sent_ns) / 1e6 for ns in (answered_ns, changes[0][0], final_ns, reached_ns)))

    async def stop(self) -> None:
        """RemoteStop, and wait until the plant is at rest."""
        started = await self._csms.wait("StartTransaction")
        now_ns = time.monotonic_ns()
        status = await self._peer.remote_stop(self._csms.transaction_of(started.station, started.payload))
        if status != "Accepted":
            raise RuntimeError(f"RemoteStop was {status}")
        await self._csms.wait("StopTransaction")
        await self.until("power at rest", lambda: self.crossing(now_ns, AT_REST_W, rising=False))
        log = self._plant.ask(command_log=True, since=self._log_at)["command_log"]
        self._log_at = log[-1][0] + 1 if log else self._log_at
        self._csms.events.clear()


async def commands(csms: Csms, plant: rig.PlantProcess, options: argparse.Namespace) -> Seen:
    async with asyncio.timeout(60):
        peer = await csms.station("demo-1")
    async with bare(plant.port) as reference:
        path = Path150(csms, peer, plant, options.seed)
        await path.ready()
        await path.start()  # the first of all pays for imports and caches
        await path.stop()
        seen = Seen()
        for _ in range(options.n + options.n // 5):
            with Calm() as calm:
                ours = await path.start()
            await path.stop()
            with Calm() as calm_too:
                theirs = await reference.once(path.stamped.frame)
            if calm.calm and calm_too.calm:
                seen.commands.append(ours)
                seen.reference_ms.append(theirs)
            if len(seen.commands) >= options.n:
                break
            seen.discarded += not (calm.calm and calm_too.calm)
    return seen


async def through_everything(folder: Path, options: argparse.Namespace) -> Seen:
    cores = rig.two_cores()
    loop_core, other = cores or (None, None)
    async with Csms() as csms:
        with rig.PlantProcess(folder, other) as plant:
            paths = (("/var/lib/bessctl", str(folder / "supervisor")), ("/run/bessctl", str(folder / "run")))
            changes = [("ws://127.0.0.1:9000/ocpp", csms.url), *paths]
            if loop_core is not None:
                changes.append(("settle_s: 0.5", f"settle_s: 0.5\n  cpu: {loop_core}"))
            sealed, site = rig.site(folder, plant.port, *changes)
            with loop_process(folder, sealed) as loop, rig.supervisor(site):
                loop.attach()
                loop.until_mode(L.Mode.MODE_RUN)
                try:
                    return await commands(csms, plant, options)
                except (TimeoutError, RuntimeError, StopIteration):
                    print((folder / "supervisor.log").read_text(), file=sys.stderr)
                    raise


def run(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["PYTHONPATH"] = os.pathsep.join([*rig.IMPORTS, os.environ.get("PYTHONPATH", "")])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(through_everything(Path(folder), options))
    n, judged = len(seen.commands), len(seen.commands) >= ENOUGH
    result: dict[str, Any] = {
        "bench": "command_to_pcs", "machine": machine(), "judged": judged, "n": n, "discarded": seen.discarded, "rate_hz": RATE_HZ,
        "wall_s": round(time.monotonic() - began, 1),
    }  # fmt: skip
    if not judged:
        result["reason"] = f"{n} calm commands, {seen.discarded} discarded; {ENOUGH} are needed"
    if not n:
        return result
    for name in FIGURES:
        result[name] = percentiles([getattr(command, name) for command in seen.commands], 1, (50, 99))
    result["reference_ms"] = percentiles(seen.reference_ms, 1, (50, 99))
    result["ratio_p50"] = round(result["register_ms"]["p50"] / result["reference_ms"]["p50"], 2)
    return {**result, "register_each_ms": [round(command.register_ms, 2) for command in seen.commands]}


def text(result: dict[str, Any]) -> str:
    lines = [f"OCPP RemoteStart until the PCS follows, n = {result['n']} ({result['discarded']} discarded), loop at {result['rate_hz']} Hz"]
    for name, words in {**FIGURES, "reference_ms": "bare frame there and back, bare write"}.items():
        if name in result:
            figures = result[name]
            lines.append(f"  {words:40} p50 {figures['p50']:7.1f}  p99 {figures['p99']:7.1f}  max {figures['max']:7.1f} ms")
    if "ratio_p50" in result:
        lines.append(f"  p50 of the first change is {result['ratio_p50']} x the reference; the tick is {1000 / result['rate_hz']:g} ms")
    return "\n".join(lines if result["judged"] else [*lines, f"not judged: {result['reason']}"])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import histogram

    each = result.get("register_each_ms", [])
    counts = [sum(1 for ms in each if at <= ms < at + 1) for at in range(round(max(each, default=0)) + 2)]
    histogram(path, "RemoteStart until the set point changes", "ms", range(len(counts)), counts)
