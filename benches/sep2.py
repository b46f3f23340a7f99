"""IEEE 2030.5: the processor time of one poll cycle (20 programs with 50 events each), against pydantic-xml reading the same bytes.

Ours: from the bodies of the answers to the finished plan. Three kinds of cycles: every event's status changed, so that each list is read
anew and what it plans stays; the same with one event cancelled, so that schedule and plan are made anew; nothing changed, as it mostly
is. Theirs: the parsing alone, by the models of envoy-schema, which are pydantic-xml's.
Then how late the step begins an event whose instant falls anywhere in a tick, and how far that instant is from the server's own second:
with this machine's clock trusted and on UTC as the server's is, and without it after twelve polls of Time, each 60 s and each 900 s.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benches.measure import Calm, machine, median_iqr, percentiles, pin
from bessctl.protocols.sep2.session.clock import NS, ServerClock
from bessctl.protocols.sep2.session.tree import jitter_s
from tests.core.rig import PERIOD_NS
from tests.protocols.sep2.rig import World, offer, step

WINDOWS = 12
PROGRAMS, EVENTS = 20, 50
STARTS = 200
SKEWS, POLLS, TRIP_NS = 50, 12, 20_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--programs", type=int, default=PROGRAMS)
    parser.add_argument("--events", type=int, default=EVENTS)


def rss_kib() -> int:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def client_rss_kib(programs: int, events: int) -> int:
    """What a client with these events takes more than one without, each in a process of its own: packages apart."""
    code = "from benches.sep2 import rss_kib, world; it = world({}, {}); it.plan(); import gc; gc.collect(); print(rss_kib())"
    found = [
        int(subprocess.run([sys.executable, "-c", code.format(*size)], capture_output=True, text=True, check=True).stdout)
        for size in ((programs, 0), (programs, events))
    ]
    return found[1] - found[0]


def world(programs: int, events: int) -> World:
    """A server with its programs, and a client that has found everything once."""
    it = World()
    for p in range(programs):
        it.tree.program(f"p{p}", p)
        for e in range(events):
            it.tree.event(f"p{p}", f"{p * 1000 + e + 1:06X}", it.at(1000 + 60 * e), 60, target_w=1000 * p + e, randomize_start=30)
    it.run(60)
    return it


def cycle(it: World, *, changed: bool, cancelled: bool = False) -> float:
    """One poll of every program's controls and the plan of it, ms of processor time. The server's part is done before."""
    if changed:
        for event in it.tree.events.values():
            event.status_s += 1
    if cancelled:
        it.tree.cancel(next(e.mrid for e in reversed(it.tree.events.values()) if not e.sticky))
    nodes = [node for node in it.client.discovery.tree.nodes() if node.kind == "dercs"]
    bodies = {node.url: it.tree.handle("GET", node.url.removeprefix("https://utility.example") + "?s=0&l=255").body for node in nodes}
    from bessctl.protocols.sep2.messages.wire import Reply, Request

    began = time.process_time_ns()
    for node in nodes:
        reply = Reply(200, bodies[node.url], it.now_ns, it.now_ns)
        it.client.answered(Request("GET", node.url, node.key), reply, it.now_ns)
    it.plan()
    return (time.process_time_ns() - began) / 1e6


def reference(it: World) -> float:
    """pydantic-xml on the same bodies, ms of processor time."""
    from envoy_schema.server.schema.sep2.der import DERControlListResponse

    nodes = [node for node in it.client.discovery.tree.nodes() if node.kind == "dercs"]
    bodies = [it.tree.handle("GET", node.url.removeprefix("https://utility.example") + "?s=0&l=255").body for node in nodes]
    began = time.process_time_ns()
    for body in bodies:
        DERControlListResponse.from_xml(body)
    return (time.process_time_ns() - began) / 1e6


def start_lateness_us(count: int) -> list[float]:
    """How long after an event's own instant the step first commands it, in invented time."""
    it = World()
    it.tree.program("a", 1)
    it.tree.event("a", "E1", it.at(20), 3000, target_w=50_000)
    it.open()
    plan = it.plan()
    rng = Random(1)
    late = []
    for _ in range(count):
        rig = step()
        (block,) = [b for b in plan.blocks if b.target_w]
        rig.now_ns = block.start_ns - 5 * PERIOD_NS - rng.randrange(PERIOD_NS)
        offer_now(rig, plan)
        while rig.power_w == 0:
            rig.tick(1)
        late.append((rig.now_ns - block.start_ns) / 1e3)
    return late


def second_error_ms(rate_s: int, *, own_clock: bool) -> list[float]:
    """How far off the server's second is found after POLLS polls, over all of its fractions, in invented time."""
    found, rng, jitter_ns = [], Random(1), round(jitter_s(rate_s) * NS)
    for fraction in range(SKEWS):
        clock, now_ns, true_ns = ServerClock(), 10**12, 10**18 + fraction * NS // SKEWS
        for _ in range(POLLS):
            got_ns = now_ns + TRIP_NS
            clock.observe((now_ns + TRIP_NS // 2 + true_ns) // NS, now_ns, got_ns, true_ns if own_clock else None)
            earliest_ns = got_ns + rate_s * NS
            now_ns = clock.aim(earliest_ns + rng.randrange(jitter_ns), earliest_ns, earliest_ns + jitter_ns)
        found.append(abs((clock.offset_ns or 0) - true_ns) / 1e6)
    return found


def offer_now(rig: Any, plan: Any) -> None:
    rig.tick(1)
    offer(rig, plan)


def run(options: argparse.Namespace) -> dict[str, Any]:
    pin(0)
    it = world(options.programs, options.events)
    ours: list[float] = []
    anew: list[float] = []
    quiet: list[float] = []
    theirs: list[float] = []
    discarded = 0
    for _ in range(options.windows):
        with Calm() as calm:
            mine, peers = cycle(it, changed=True), reference(it)
            replanned, still = cycle(it, changed=True, cancelled=True), cycle(it, changed=False)
        if calm.calm:
            ours.append(mine)
            anew.append(replanned)
            quiet.append(still)
            theirs.append(peers)
        else:
            discarded += 1
    judged = len(ours) >= max(1, options.windows // 2)
    result: dict[str, Any] = {"bench": "sep2", "machine": machine(), "windows": options.windows, "discarded": discarded, "judged": judged}
    if not judged:
        result["reason"] = f"{discarded} of {options.windows} windows lost more than 50 ms to the hypervisor"
    if not ours:
        return result
    ratio, iqr = median_iqr([b / a for a, b in zip(ours, theirs, strict=True)])
    anew_ratio, _ = median_iqr([b / a for a, b in zip(anew, theirs, strict=True)])
    quiet_ratio, _ = median_iqr([b / a for a, b in zip(quiet, theirs, strict=True)])
    late = start_lateness_us(STARTS)
    return {
        **result, "programs": options.programs, "events": options.events, "cpu_ms": round(float(np.median(ours)), 3),
        "replanned_cpu_ms": round(float(np.median(anew)), 3), "replanned_ratio": round(anew_ratio, 3),
        "unchanged_cpu_ms": round(float(np.median(quiet)), 3), "unchanged_ratio": round(quiet_ratio, 3),
        "pydantic_xml_cpu_ms": round(float(np.median(theirs)), 3), "ratio": round(ratio, 3), "ratio_iqr": round(iqr, 3),
        "start_lateness_us": percentiles(late), "tick_us": PERIOD_NS / 1e3,
        "second_error_ms": {
            name: percentiles(second_error_ms(rate_s, own_clock=own))
            for name, rate_s, own in (("own_clock", 900, True), ("polled_60_s", 60, False), ("polled_900_s", 900, False))
        },
        "rss_kib": client_rss_kib(options.programs, options.events), "cycles_ms": [round(ms, 3) for ms in ours],
    }  # fmt: skip


def text(result: dict[str, Any]) -> str:
    if "cpu_ms" not in result:
        return f"sep2: {result['reason']}"
    late = result["start_lateness_us"]
    return (
        f"sep2, {result['programs']} programs of {result['events']} events\n"
        f"  poll cycle, XML to plan   {result['cpu_ms']} ms of processor time with every event changed, "
        f"{result['replanned_cpu_ms']} ms with a new plan too, {result['unchanged_cpu_ms']} ms with nothing changed\n"
        f"  pydantic-xml, XML alone   {result['pydantic_xml_cpu_ms']} ms: {result['ratio']} x ours (IQR {result['ratio_iqr']}), "
        f"{result['replanned_ratio']} x with a new plan, {result['unchanged_ratio']} x where nothing changed\n"
        f"  an event begins           p50 {late['p50']} us, max {late['max']} us after its instant; a tick has {result['tick_us']:g} us\n"
        f"  the server's second       max {result['second_error_ms']['own_clock']['max']} ms off with our own clock trusted, else "
        f"{result['second_error_ms']['polled_60_s']['max']} ms after 12 polls each 60 s, "
        f"{result['second_error_ms']['polled_900_s']['max']} ms each 900 s\n"
        f"  memory                    {result['rss_kib']} KiB for the events and the plan of them (and the scripted server's own copy)\n"
        f"  {result['discarded']} windows discarded"
    )


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import histogram

    counts, edges = np.histogram(np.asarray(result.get("cycles_ms") or [0.0]), bins=20)
    histogram(path, "sep2, one poll cycle with every list changed", "ms", [float(e) for e in edges[:-1]], [int(c) for c in counts])
