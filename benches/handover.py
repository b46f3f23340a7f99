"""The hand-over of a plan and of a state, against plain copies of the same size in the same windows; then under fire.

Quiet: one thread, pinned; runs of 16 writes, of 16 reads and of 16 copies, in an order that turns from window to window. A write goes round
four slots, so it is held against copies that go round four places; a read against copies that go round one.
Flooded: a writer on another core that never pauses, while the loop's own function takes plans and looks at every byte.
Killed: writers that die by SIGKILL at random instants; can the value still be read?
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benches.measure import Calm, machine, median_iqr, percentiles, pin
from bessctl_core import layout as L
from bessctl_core.handover import Channel
from bessctl_core.segment import LoopSegments
from tests.core.loop_rig import on_another_core, told
from tests.core.writer_nursery import SIZE, SLOT

WINDOWS = 30
RUNS = 1000
BATCH = 16
READS = 100_000
KILLS = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--reads", type=int, default=READS, help="whole plans to be taken from the flooding writer")
    parser.add_argument("--kills", type=int, default=KILLS)


class Quiet:
    """What is timed for values of one size: each yields nanoseconds per operation, one figure per run of BATCH."""

    def __init__(self, size: int) -> None:
        self.channel = Channel(bytearray(Channel.bytes_for(size) + 64), size)
        self.payload, self.four, self.one = bytes(size), bytearray(4 * size), bytearray(size)
        self.channel.write(self.payload)
        self.timed: dict[str, Callable[[Any], None]] = {
            "write": lambda ns: self.channel.time_writes(self.payload, ns, BATCH),
            "copy_four": lambda ns: self.channel.time_copies(self.four, ns, BATCH),
            "read": lambda ns: self.channel.time_reads(ns, BATCH),
            "copy_one": lambda ns: self.channel.time_copies(self.one, ns, BATCH),
        }

    def window(self, turn: int) -> dict[str, Any]:
        names = list(self.timed)
        taken = {}
        for name in names[turn % 4 :] + names[: turn % 4]:
            ns = np.zeros(RUNS, np.int64)
            self.timed[name](ns)
            taken[name] = ns / BATCH
        return taken


def quiet_case(name: str, windows: int) -> dict[str, Any]:
    """One structure; discarded windows are counted."""
    size = L.SIZES[name]
    quiet = Quiet(size)
    quiet.window(0)
    kept: list[dict[str, Any]] = []
    for turn in range(windows):
        with Calm() as calm:
            taken = quiet.window(turn)
        if calm.calm:
            kept.append(taken)
    case: dict[str, Any] = {"value": name, "bytes": size, "discarded": windows - len(kept)}
    if not kept:
        return case
    for timed in quiet.timed:
        case[f"{timed}_ns"] = percentiles(np.concatenate([window[timed] for window in kept]))
    for timed, reference in (("write", "copy_four"), ("read", "copy_one")):
        ratios = [float(np.median(window[timed]) / np.median(window[reference])) for window in kept]
        ratio, iqr = median_iqr(ratios)
        case[f"ratio_{timed}_p50"], case[f"ratio_{timed}_iqr"] = round(ratio, 3), round(iqr, 3)
    return case


def flooded(reads: int) -> dict[str, int]:
    """Take `reads` whole plans from a writer that never pauses."""
    loop = LoopSegments(bytes(32))
    taken = torn = unread = 0
    with on_another_core("flood-plans", loop.plans_fd, fds=(loop.plans_fd,)) as nursery:
        told(nursery)
        while taken < reads:
            try:
                plan = loop.take_plan(SLOT)
            except BlockingIOError:
                unread += 1
                continue
            taken += plan is not None
            torn += plan is not None and plan != plan[:1] * SIZE
    return {"taken": taken, "torn": torn, "four_tries_failed": unread, "retries": loop.plan_retries}


def killed(kills: int) -> dict[str, int]:
    loop = LoopSegments(bytes(32))
    with on_another_core("kill-plans", loop.plans_fd, kills, fds=(loop.plans_fd,)) as nursery:
        return told(nursery)


def run(options: argparse.Namespace) -> dict[str, Any]:
    under_fire = {"flooded": flooded(options.reads), "killed": killed(options.kills)}
    about = machine()
    pin(0)
    cases = [quiet_case(name, options.windows) for name in ("Plan", "PlantState")]
    discarded = max(case["discarded"] for case in cases)
    judged = discarded <= options.windows // 2
    result: dict[str, Any] = {
        "bench": "handover", "machine": about, "windows": options.windows, "discarded": discarded, "judged": judged,
        "reference": "memcpy of the same size in the same windows", "cases": cases, **under_fire,
        "torn": under_fire["flooded"]["torn"] + under_fire["killed"]["torn"], "retries": under_fire["flooded"]["retries"],
    }  # fmt: skip
    if not judged:
        result["reason"] = f"{discarded} of {options.windows} windows lost more than 50 ms to the hypervisor"
    return result


def line(case: dict[str, Any]) -> str:
    if "write_ns" not in case:
        return f"  {case['value']}: no window was calm"
    return (
        f"  {case['value']:10} {case['bytes']:6} B  write p50 {case['write_ns']['p50']} ns = {case['ratio_write_p50']} x memcpy, "
        f"read p50 {case['read_ns']['p50']} ns = {case['ratio_read_p50']} x memcpy"
    )


def text(result: dict[str, Any]) -> str:
    flood, kill = result["flooded"], result["killed"]
    return "\n".join(
        (
            "hand-over, one thread",
            *(line(case) for case in result["cases"]),
            f"flooded by another core: {flood['taken']} plans taken, {flood['torn']} torn, {flood['retries']} tries repeated, "
            f"{flood['four_tries_failed']} reads that gave up after four",
            f"writers killed: {kill['kills']}, of them {kill['halfway']} in the middle of a slot; {kill['unreadable']} left it unreadable, "
            f"{kill['torn']} torn",
        )
    )


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import curves

    case, names = result["cases"][0], ("write", "copy_four", "read", "copy_one")
    figures = {name: case[f"{name}_ns"] for name in names if f"{name}_ns" in case}
    series = {name: ([0.5, 0.01, 0.001], [each["p50"], each["p99"], each["p999"]]) for name, each in figures.items()}
    curves(path, "hand-over of one plan", "share of operations that took longer", "ns", series)
