"""One control cycle, FC03 of 20 registers and then FC16 of 4, over TCP and over a serial line (a pseudo-terminal).

bessctl against bare blocking C: both in this process with a connection each, in blocks of 100 cycles that take turns, the order swapped
each pair; the figure is the median over the pairs of the ratio of the blocks' medians. libmodbus and pymodbus take a block each now and
then in between. The server is compiled, in a process of its own on another core. Clients and server run with real-time priority where
it is permitted, so that ordinary processes do not stand between a request and its answer.

What the other core does matters all the same: on a virtual machine a core that is busy is woken by an interrupt through the hypervisor
(some 30 us), an idle one by a word in memory. Four of them a cycle hide what clients differ in, so where other processes were busy nothing
is judged. `one_core` repeats TCP with client and server on one core, which needs no such interrupt: quiet figures also beside load, but a
client's preparation for the answer no longer runs while the server works. Across cores most of a cycle is waking; what bare C reaches
against pymodbus there (`limit_cycles_to_pymodbus_sync`) is the most that anybody can.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benches import modbus_clients, native
from benches.measure import Calm, Others, cores, machine, median_iqr, percentiles, pin, realtime
from benches.modbus_clients import Client, Server

PAIRS = 300
CYCLES = 100
EVERY = 10
PRIORITY = 40
ENOUGH = 100
OTHERS_MAX = 0.25
PEERS = ("libmodbus", "pymodbus_sync", "pymodbus_async")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of blocks, bessctl against bare C (100 at least to be judged)")
    parser.add_argument("--cycles", type=int, default=CYCLES, help="cycles a block")
    parser.add_argument("--every", type=int, default=EVERY, help="pairs between the blocks of the other clients")


class Blocks:
    """What one client's blocks took."""

    def __init__(self) -> None:
        self.took_ns: list[Any] = []
        self.cycles_per_s: list[float] = []

    def add(self, took_ns: Any, wall_s: float) -> None:
        self.took_ns.append(took_ns)
        self.cycles_per_s.append(len(took_ns) / wall_s)

    def figures(self) -> dict[str, float]:
        told = percentiles(np.concatenate(self.took_ns), 1e-3, (50, 99))
        return {"p50_us": told["p50"], "p99_us": told["p99"], "cycles_per_s": round(float(np.median(self.cycles_per_s)), 1)}


def one_block(client: Client, cycles: int) -> tuple[Any, float]:
    start = time.perf_counter()
    took_ns = client.block(cycles)
    return took_ns, time.perf_counter() - start


def pair(clients: Sequence[Client], cycles: int) -> dict[str, tuple[Any, float]]:
    return {client.name: one_block(client, cycles) for client in clients}


class Comparison:
    """bessctl and bare C in turns, the other clients now and then."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self.clients = {client.name: client for client in clients}
        self.blocks = {name: Blocks() for name in self.clients}
        self.ratios: list[float] = []
        self.to_sync: dict[str, list[float]] = {"bessctl": [], "bare_c": []}
        self.discarded = 0

    def run(self, pairs: int, cycles: int, every: int) -> None:
        ours, bare = self.clients["bessctl"], self.clients["bare_c"]
        for number in range(pairs):
            with Calm() as calm:
                took = pair((ours, bare) if number % 2 else (bare, ours), cycles)
            if not calm.calm:
                self.discarded += 1
                continue
            for name, block in took.items():
                self.blocks[name].add(*block)
            self.ratios.append(float(np.median(took["bessctl"][0]) / np.median(took["bare_c"][0])))
            if number % every == 0:
                self.others({name: block[1] / cycles for name, block in took.items()}, cycles)

    def others(self, cycle_s: dict[str, float], cycles: int) -> None:
        for name in PEERS:
            if name not in self.clients:
                continue
            with Calm() as calm:
                # The slow ones take fewer cycles: a window of theirs should not be longer than the noise either.
                few = cycles if name == "libmodbus" else max(1, cycles // 5)
                took_ns, wall_s = one_block(self.clients[name], few)
            if calm.calm:
                self.blocks[name].add(took_ns, wall_s)
                if name == "pymodbus_sync":
                    for client, ratios in self.to_sync.items():
                        ratios.append(wall_s / few / cycle_s[client])

    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            "pairs": len(self.ratios),
            "discarded": self.discarded,
            "clients": {name: blocks.figures() for name, blocks in self.blocks.items() if blocks.took_ns},
        }
        if self.ratios:
            ratio, iqr = median_iqr(self.ratios)
            result |= {"ratio_p50_to_bare": round(ratio, 4), "ratio_iqr": round(iqr, 4)}
        if self.to_sync["bessctl"]:
            result["ratio_cycles_to_pymodbus_sync"] = round(median_iqr(self.to_sync["bessctl"])[0], 2)
            result["limit_cycles_to_pymodbus_sync"] = round(median_iqr(self.to_sync["bare_c"])[0], 2)
        return result


def compare(makers: Sequence[Any], where: Sequence[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Open every client that can be had, run, close. `where`: a port or a line for each maker."""
    absent = {}
    with ExitStack() as stack:
        clients: list[Client] = []
        for make, place in zip(makers, where, strict=True):
            try:
                clients.append(make(place))
            except native.Unbuildable as exc:
                absent["libmodbus"] = str(exc).splitlines()[0]
                continue
            stack.callback(clients[-1].close)
        comparison = Comparison(clients)
        pair(clients[:2], options.cycles)
        comparison.run(options.pairs, options.cycles, options.every)
    return {**comparison.result(), **({"absent": absent} if absent else {})}


def run(options: argparse.Namespace) -> dict[str, Any]:
    here = cores()
    pinned = len(here) > 1 and pin(0)
    priority = PRIORITY if realtime(PRIORITY) else 0
    few = argparse.Namespace(**{**vars(options), "pairs": min(options.pairs, ENOUGH)})
    with Others() as others:
        with Server(here[1] if pinned else None, priority, len(modbus_clients.RTU)) as server:
            tcp = compare(modbus_clients.TCP, [server.port] * len(modbus_clients.TCP), options)
            rtu = compare(modbus_clients.RTU, server.lines, options)
        with Server(here[0] if pinned else None, priority, 0) as server:
            one_core = compare(modbus_clients.TCP, [server.port] * len(modbus_clients.TCP), few)
    reasons = []
    if min(tcp["pairs"], rtu["pairs"]) < ENOUGH:
        reasons.append(f"{tcp['pairs']} pairs over TCP and {rtu['pairs']} over RTU were calm, of {options.pairs}; {ENOUGH} are needed")
    if others.share > OTHERS_MAX:
        reasons.append(
            f"other processes used {100 * others.share:.0f} % of the processors: waking a busy core costs every client the same more"
        )
    result = {
        "bench": "modbus", "machine": machine(), "judged": not reasons, "pinned": pinned, "rt_priority": priority,
        "others_pct": round(100 * others.share, 1), **tcp, "rtu": rtu, "one_core": one_core,
    }  # fmt: skip
    return {**result, **({"reason": "; ".join(reasons)} if reasons else {})}


def _table(title: str, part: dict[str, Any]) -> list[str]:
    lines = [f"{title}: FC03 x 20 and FC16 x 4, {part['pairs']} pairs, {part['discarded']} discarded"]
    for name, figures in part["clients"].items():
        lines.append(
            f"  {name:15} p50 {figures['p50_us']:9.1f} us  p99 {figures['p99_us']:9.1f} us  {figures['cycles_per_s']:9.0f} cycles/s"
        )
    lines += [f"  {name:15} {reason}" for name, reason in part.get("absent", {}).items()]
    if "ratio_p50_to_bare" in part:
        lines.append(f"  bessctl / bare C: {part['ratio_p50_to_bare']:.3f} (IQR {part['ratio_iqr']:.3f})")
    if "ratio_cycles_to_pymodbus_sync" in part:
        lines.append(
            f"  bessctl does {part['ratio_cycles_to_pymodbus_sync']:.2f} x the cycles of pymodbus, blocking; bare C does"
            f" {part['limit_cycles_to_pymodbus_sync']:.2f} x"
        )
    return lines


def text(result: dict[str, Any]) -> str:
    lines = [
        *_table("Modbus TCP", result),
        *_table("Modbus RTU on a pseudo-terminal", result["rtu"]),
        *_table("Modbus TCP, client and server on one core", result["one_core"]),
    ]
    if not result["judged"]:
        lines.append(f"not judged: {result['reason']}")
    return "\n".join(lines)


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    groups = {"TCP": result["clients"], "RTU": result["rtu"]["clients"], "TCP on one core": result["one_core"]["clients"]}
    bars(
        path,
        "one control cycle",
        "us (p50)",
        {group: {name: f["p50_us"] for name, f in clients.items()} for group, clients in groups.items()},
    )
