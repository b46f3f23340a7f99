"""Many CSMSs at once on one supervisor: how fast it answers, what it costs, and a RemoteStart among them until the PCS's register.

Everything is there: `bessctl supervise` with SQLite FULL, the loop at 100 Hz, a simulated plant behind Modbus TCP; the good CSMSs are this
process, over TLS, half 1.6 and half 2.0.1. On every good link a transaction runs and tells its values each second, through the store;
together they may have nearly all the plant can give; in the end one of a higher priority claims the whole plant too. Beside them hostile
CSMSs (benches/ocpp_hostile.py): a third pours garbage, a third floods with good CALLs, a third reads nothing.

    ms            a CALL of the CSMS (GetConfiguration, GetVariables) until its answer, one link after the other
    register_ms   a RemoteStart on a link of its own until the PCS's set point changes, where no more than 50 ms of the machine's time was
                  stolen meanwhile; register_disturbed_ms are the others, for each of which another start was made (a fifth more at most)
    cpu_core      of the supervisor, in cores; cores what each process took, `csms` is this one; rss_mb the supervisor's memory
    over_w        the most that all grants together, the target of OCPP's slot, were above the same tick's envelope; looked at every 10 ms
    contended     what was claimed in the end, the envelope, and the target of OCPP's slot meanwhile
    reconnect     all good connections cut at once: when they are back, and the most in any second
    plain         as many charge points of the package `ocpp` on `websockets`, 1.6, without store, plant and hostile peers, in the same run
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benches import rig
from benches.measure import Calm, machine, percentiles, steal_s
from benches.ocpp_csms import Park, Peer
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl.sim.certificate import self_signed
from bessctl_core import layout as L
from tests.scenarios.loop_rig import Loop, found_devices, loop_process
from tests.sites import EXAMPLE

ENOUGH_S = 30
CONTEND_S = 3
LOOKS = 30
PATIENCE_S = 300
"""For all links to be there: on a loaded machine the site file alone takes a minute to read."""
STEAL_MAX_S = 1.0
PLANT_W, SHARED_W, PROBE_W = 200_000, 180_000, 10_000
OCPP_SLOT = 2
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
GET = {"key": ["HeartbeatInterval"]}
GET_201 = {"getVariableData": [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--links", type=int, default=200, help="good CSMSs, half of each version")
    parser.add_argument("--hostile", type=int, default=200, help="hostile CSMSs beside them")
    parser.add_argument("--seconds", type=float, default=60, help="of each measurement")
    parser.add_argument("--starts", type=int, default=100, help="RemoteStarts to the register")


@dataclass
class Seen:
    """What was measured."""

    ms: list[float] = field(default_factory=list)
    register_ms: list[float] = field(default_factory=list)
    disturbed_ms: list[float] = field(default_factory=list)
    messages_per_s: float = 0.0
    rss_mb: float = 0.0
    transactions: int = 0
    most_w: float = 0.0
    over_w: float = float("-inf")
    contended: dict[str, float] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)
    hostile: dict[str, int] = field(default_factory=dict)
    reconnect: dict[str, float] = field(default_factory=dict)
    stolen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """What the kernel tells of a process."""

    pid: int

    def cpu_s(self) -> float:
        """Processor time so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mb(self) -> float:
        """Resident memory now, MiB."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Costs:
    """What each process took of the machine between two instants, in cores; `others` is what nobody of ours took."""

    def __init__(self, processes: dict[str, Process]) -> None:
        self._processes = processes
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        busy = [int(f) / TICKS_PER_S for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:8]]
        each = {name: process.cpu_s() for name, process in self._processes.items()}
        return {"wall": time.monotonic(), "all": sum(busy) - busy[3] - busy[4], **each}

    def cores(self) -> dict[str, float]:
        now = self._now()
        used = {name: now[name] - before for name, before in self._before.items()}
        wall, whole = used.pop("wall"), used.pop("all")
        return {name: round(s / wall, 3) for name, s in {**used, "others": whole - sum(used.values())}.items()}


def link(name: str, port: int, ca_file: Path, version: str, watts: float) -> dict[str, Any]:
    return {
        "name": name,
        "url": f"wss://127.0.0.1:{port}/ocpp",
        "charge_point_id": name,
        "version": [version],
        "role": "operator",
        "tls": {"ca_file": str(ca_file)},
        "lease_s": 60,
        "remote_start_w": watts,
        "keys": {"MeterValueSampleInterval": "1"},
        "back_off": {"minimum_s": 2, "random_range_s": 8, "repeat_times": 2},
    }


def site_of(folder: Path, plant_port: int, csms_port: int, hostile_port: int, options: argparse.Namespace) -> tuple[Path, Path]:
    """The example site with these links: the sealed file and the site's own."""
    yaml, ca_file = YAML(), folder / "csms.pem"
    site = yaml.load(EXAMPLE.read_text().replace("port: 5020", f"port: {plant_port}"))
    site["paths"] = {"state_dir": str(folder / "supervisor"), "run_dir": str(folder / "run")}
    each_w = SHARED_W / options.links
    links = [link(f"good-{n}", csms_port, ca_file, ("1.6", "2.0.1")[n % 2], each_w) for n in range(options.links)]
    links += [link(f"hostile-{n}", hostile_port, ca_file, ("1.6", "2.0.1")[n % 2], each_w) for n in range(options.hostile)]
    # The probe begins and ends a transaction twice a second: more than a CSMS may without being told in the site file.
    links.append({**link("probe", csms_port, ca_file, "1.6", PROBE_W), "calls_per_s": 20.0})
    links.append({**link("greedy", csms_port, ca_file, "1.6", PLANT_W), "priority": 1})
    site["ocpp"]["links"] = links
    file, sealed = folder / "site.yaml", folder / "site.sealed"
    with file.open("w") as out:
        yaml.dump(site, out)
    sealed.write_bytes(seal(load_site(file), found_devices()).content)
    return sealed, file


def good(park: Park) -> list[Peer]:
    return [p for name, p in park.peers.items() if name.startswith("good") and p.booted]


async def begin_all(park: Park) -> int:
    """A transaction on every good link, spread over a second; returns how many were accepted."""
    accepted = 0
    for n, peer in enumerate(good(park)):
        start: tuple[str, dict[str, Any]] = ("RemoteStartTransaction", {"idTag": f"T{n}", "connectorId": 1})
        if peer.new:
            start = ("RequestStartTransaction", {"idToken": {"idToken": f"T{n}", "type": "Central"}, "remoteStartId": n, "evseId": 1})
        answer, _ = await peer.ask(*start)
        accepted += answer["status"] == "Accepted"
        await asyncio.sleep(1 / 200)
    return accepted


async def round_trips(peers: list[Peer], seconds: float) -> list[float]:
    """One CALL after the other, through all links."""
    found, until = [], time.monotonic() + seconds
    n = 0
    while time.monotonic() < until:
        peer = peers[n % len(peers)]
        _, took = await peer.ask("GetVariables", GET_201) if peer.new else await peer.ask("GetConfiguration", GET)
        found.append(took)
        n += 1
        await asyncio.sleep(0.02)
    return found


async def registers(park: Park, plant: rig.PlantProcess, count: int, seen: Seen) -> None:
    """RemoteStart and RemoteStop on the probe's link; ms until the set point changed."""
    since = 0
    for _ in range(count + count // 5):
        if len(seen.register_ms) >= count:
            return
        log = plant.ask(command_log=True, since=since)["command_log"]
        since = log[-1][0] + 1 if log else since
        before = park.last_transaction
        with Calm() as calm:
            took_ms = await register(park.peers["probe"], plant, since)
        if took_ms is None:
            continue
        (seen.register_ms if calm.calm else seen.disturbed_ms).append(took_ms)
        async with asyncio.timeout(PATIENCE_S):
            while park.last_transaction == before:  # noqa: ASYNC110 - its StartTransaction is on its way
                await asyncio.sleep(0.01)
        await park.peers["probe"].ask("RemoteStopTransaction", {"transactionId": park.last_transaction})
        await asyncio.sleep(0.3)


async def register(probe: Peer, plant: rig.PlantProcess, since: int) -> float | None:
    """One RemoteStart: ms from its sending until the set point changed; None = it was rejected, or nothing changed."""
    began_ns = time.monotonic_ns()
    answer, _ = await probe.ask("RemoteStartTransaction", {"idTag": "PROBE", "connectorId": 1})
    if answer["status"] != "Accepted":
        return None
    for _ in range(LOOKS):
        await asyncio.sleep(0.1)
        log = plant.ask(command_log=True, since=since)["command_log"]
        changes: list[int] = [ns for _, ns, kind, _ in log if kind == "wset" and ns >= began_ns]
        if changes:
            return (changes[0] - began_ns) / 1e6
    return None


async def reconnects(park: Park, count: int) -> dict[str, float]:
    """All good connections cut at once."""
    park.dials.clear()
    began = time.monotonic()
    peers = good(park)
    for peer in peers:
        del park.peers[peer.ident]
        peer.connection.transport.abort()
    await park.until(lambda: len(park.dials) >= count, PATIENCE_S)
    times = sorted(at - began for at in park.dials)
    per_second = Counter(int(at) for at in times)
    return {"n": len(times), "first_s": round(times[0], 1), "last_s": round(times[-1], 1), "most_per_s": max(per_second.values())}


async def watch(loop: Loop, seen: Seen) -> None:
    """The sum of the grants is the target of OCPP's slot; the envelope is what the loop allows in the same tick."""
    while True:
        state = loop.now()
        target_w = state["slot_target_w"][OCPP_SLOT]
        if not math.isnan(target_w):  # nobody asks
            seen.over_w = max(seen.over_w, target_w - state["hi_w"])
        await asyncio.sleep(0.01)


async def contend(park: Park, loop: Loop, seen: Seen) -> None:
    """More is claimed than there is, for a while; `watch` looks on."""
    answer, _ = await park.peers["greedy"].ask("RemoteStartTransaction", {"idTag": "GREEDY", "connectorId": 1})
    await asyncio.sleep(CONTEND_S)
    state = loop.now()
    target_w, envelope_w = float(state["slot_target_w"][OCPP_SLOT]), float(state["hi_w"])
    claimed_w = SHARED_W + (PLANT_W if answer["status"] == "Accepted" else 0)
    seen.contended = {"claimed_w": claimed_w, "envelope_w": round(envelope_w, 1), "target_w": round(target_w, 1)}
    await park.peers["greedy"].ask("RemoteStopTransaction", {"transactionId": park.last_transaction})


async def measured(
    park: Park, plant: rig.PlantProcess, processes: dict[str, Process], options: argparse.Namespace, seen: Seen, *, loop: Loop
) -> None:
    process, singles = processes["supervisor"], ("probe", "greedy")
    await park.until(
        lambda: len(good(park)) >= options.links and all(n in park.peers and park.peers[n].booted for n in singles), PATIENCE_S
    )
    await asyncio.sleep(3)
    seen.transactions = await begin_all(park)
    await asyncio.sleep(5)
    before, costs, at, stolen = sum(park.messages.values()), Costs(processes), time.monotonic(), steal_s()
    seen.ms = await round_trips(good(park), options.seconds)
    seen.messages_per_s = (sum(park.messages.values()) - before) / (time.monotonic() - at)
    seen.cores, seen.stolen_s = costs.cores(), steal_s() - stolen
    seen.rss_mb = process.rss_mb()
    await registers(park, plant, options.starts, seen)
    log = plant.ask(command_log=True, since=0)["command_log"]
    seen.most_w = max((value for _, _, kind, value in log if kind == "wset"), default=0.0)
    await contend(park, loop, seen)
    seen.reconnect = await reconnects(park, options.links)


@contextmanager
def plain_process(url: str, ca_file: Path, count: int) -> Iterator[Process]:
    command = [sys.executable, "-m", "benches.plain_ocpp", url, str(ca_file), str(count)]
    with subprocess.Popen(command) as process:
        try:
            yield Process(process.pid)
        finally:
            process.kill()


async def plain(context: ssl.SSLContext, ca_file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same CSMS, the package's charge point."""
    async with Park(context) as park:
        with plain_process(f"wss://127.0.0.1:{park.port}", ca_file, options.links) as process:
            await park.until(lambda: sum(p.booted for p in park.peers.values()) >= options.links, PATIENCE_S)
            await asyncio.sleep(3)
            before, cpu, at = sum(park.messages.values()), process.cpu_s(), time.monotonic()
            ms = await round_trips(list(park.peers.values()), options.seconds)
            wall = time.monotonic() - at
            rate = (sum(park.messages.values()) - before) / wall
            used, rss = (process.cpu_s() - cpu) / wall, process.rss_mb()
    return {"messages_per_s": round(rate, 1), "cpu_core": round(used, 3), "rss_mb": round(rss, 1), "ms": percentiles(ms, 1, (50, 99))}


@dataclass(frozen=True, slots=True)
class HostileProcess:
    pid: int
    port: int


@contextmanager
def hostile_process(folder: Path, seen: Seen) -> Iterator[HostileProcess]:
    """The hostile CSMSs; what they did is in `seen` afterwards."""
    command = [sys.executable, "-m", "benches.ocpp_hostile", str(folder / "csms.pem"), str(folder / "csms.key")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield HostileProcess(process.pid, int(process.stdout.readline()))
        process.stdin.close()
        seen.hostile = json.loads(process.stdout.readline())


async def everything(folder: Path, options: argparse.Namespace) -> tuple[Seen, dict[str, Any]]:
    ca_file = folder / "csms.pem"
    self_signed(ca_file, folder / "csms.key", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, folder / "csms.key")
    seen = Seen()
    async with Park(context) as park:
        with rig.PlantProcess(folder, None) as plant, hostile_process(folder, seen) as hostile:
            sealed, site = site_of(folder, plant.port, park.port, hostile.port, options)
            with loop_process(folder, sealed) as loop, rig.supervisor(site) as supervisor:
                loop.attach()
                loop.until_mode(L.Mode.MODE_RUN)
                watching = asyncio.create_task(watch(loop, seen))
                pids = {
                    "supervisor": supervisor.pid,
                    "csms": os.getpid(),
                    "hostile": hostile.pid,
                    "loop": loop.process.pid,
                    "plant": plant.pid,
                }
                try:
                    await measured(park, plant, {name: Process(pid) for name, pid in pids.items()}, options, seen, loop=loop)
                except TimeoutError:
                    print((folder / "supervisor.log").read_text()[-4000:], file=sys.stderr)
                    raise
                finally:
                    watching.cancel()
    return seen, await plain(context, ca_file, options)


def run(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["PYTHONPATH"] = os.pathsep.join([*rig.IMPORTS, os.environ.get("PYTHONPATH", "")])
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen, reference = asyncio.run(everything(Path(folder), options))
    others = seen.cores["others"] / (os.cpu_count() or 1)
    judged = options.seconds >= ENOUGH_S and seen.stolen_s <= STEAL_MAX_S and others < 0.1
    result: dict[str, Any] = {
        "bench": "ocpp", "machine": machine(), "judged": judged, "connections": options.links, "transactions": seen.transactions,
        "messages_per_s": round(seen.messages_per_s, 1), "cpu_core": seen.cores["supervisor"], "rss_mb": round(seen.rss_mb, 1),
        "ms": percentiles(seen.ms, 1, (50, 99)), "hostile": {"peers": options.hostile, **seen.hostile},
        "register_ms": percentiles(seen.register_ms, 1, (50, 99)) if seen.register_ms else {}, "register_n": len(seen.register_ms),
        "register_disturbed_ms": [round(ms, 1) for ms in seen.disturbed_ms],
        "most_w": seen.most_w, "envelope_w": PLANT_W, "over_w": round(seen.over_w, 3), "contended": seen.contended,
        "reconnect": seen.reconnect, "cores": seen.cores, "plain": reference, "wall_s": round(time.monotonic() - began, 1),
    }  # fmt: skip
    ours, theirs = (r["cpu_core"] / max(r["messages_per_s"], 1e-9) for r in (result, reference))
    result["ratio_cpu_per_message"] = round(ours / max(theirs, 1e-9), 2)
    result["ratio_ms_p99"] = round(result["ms"]["p99"] / max(reference["ms"]["p99"], 1e-9), 2)
    if not judged:
        result["reason"] = f"{options.seconds:g} s of {ENOUGH_S}, {seen.stolen_s:.1f} s stolen, other processes used {others:.0%}"
    return result


def text(result: dict[str, Any]) -> str:
    lines = [f"{k}: {json.dumps(v)}" for k, v in result.items() if k not in {"bench", "machine"}]
    return "\n".join([f"{result['connections']} CSMSs on one supervisor", *("  " + line for line in lines)])


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import histogram

    shown = [result["ms"]["p50"], result["ms"]["p99"], result["plain"]["ms"]["p50"], result["plain"]["ms"]["p99"]]
    histogram(path, "round trip: ours p50, p99; plain p50, p99", "ms", range(len(shown)), shown)
