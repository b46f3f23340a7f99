"""From an OSCP forecast to the limit in force in the loop, and what forecasts cost the supervisor.

The path: a capacity provider posts UpdateGroupCapacityForecast over TLS on a kept connection; the supervisor's process checks it, writes
the plan, has it on disk and answers; the loop at 100 Hz takes the plan with its next tick. n times, each at a random phase of the tick.
In force is the tick that first publishes the new limit; times count from the instant before the request is handed to the socket.
Reference, in the same run: the same request to a bare aiohttp server over TLS that answers 204 at once.

Twice: `alone`, one group and one block; and `crowd`, where 50 more groups on the same slot have said all five types in 96 blocks each, and
the message that is timed has 96 blocks too. `tick_us`: the loop's step beside each, from its own histogram.

The cost, in this process alone: 50 groups with all five types of 96 blocks each: one message taken in, one slot's plan from all of them
(`change`: after a new message of one of them), and one look at all of them, as the supervisor does four times a second.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from benches import rig
from benches.measure import TICKS_PER_S, Calm, machine, percentiles
from bessctl.app.lines import request_line
from bessctl.corelink.health import percentile_us
from bessctl.protocols.oscp.binding.observe import failure
from bessctl.protocols.oscp.binding.plans import Calendar, renewed, same_but_leases
from bessctl.protocols.oscp.config import GroupConfig, PeerConfig, Role, Scope
from bessctl.protocols.oscp.session.peer import RATE_PER_S
from bessctl.sim.certificate import self_signed
from bessctl.sim.oscp_cp import Party, Tls
from bessctl_core import layout as L
from tests.protocols.oscp.rig import PLANT
from tests.protocols.oscp.sansio import START, Talk
from tests.protocols.oscp.test_live import site_file
from tests.scenarios.loop_rig import Loop, loop_process, plant_server, wait_for

N, ENOUGH, GROUPS, ROUNDS = 300, 100, 50, 20
TICK_S = 0.01
GROUP = "feeder-7"
TYPES = ("CONSUMPTION", "GENERATION", "FALLBACK_CONSUMPTION", "FALLBACK_GENERATION", "OPTIMUM")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=N, help="forecasts")
    parser.add_argument("--groups", type=int, default=GROUPS, help="groups of the cost part")
    parser.add_argument("--seed", type=int, default=1, help="of the random phases")


@dataclass
class Seen:
    """ms, of the forecasts whose time was not stolen; bins of the loop's step and processor time of the supervisor meanwhile."""

    step_bins: list[int] = field(default_factory=list)
    cpu_ms: float = 0.0
    """For each forecast, everything that the supervisor did meanwhile."""
    answered: list[float] = field(default_factory=list)
    in_force: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    discarded: int = 0


# --- the path ---


QUARTER_S, BLOCKS = 900, 96


def day(first_w: float, index: int = 0) -> list[float]:
    """A day of quarter hours; the one that holds now has the first value."""
    return [first_w, *(1000.0 + 7 * ((k * 13 + index) % 50) for k in range(1, BLOCKS))]


def body(cp: Party, group: str, kind: str, values: list[float]) -> dict[str, Any]:
    """The message: one value for a day, or one for each quarter hour, as providers cut theirs."""
    if len(values) == 1:
        return cp.forecast_body(group, kind, [(values[0], -60, 86_400)])
    first_s = int(time.time()) // QUARTER_S * QUARTER_S
    times = [datetime.fromtimestamp(first_s + QUARTER_S * k, UTC).isoformat(timespec="milliseconds") for k in range(len(values) + 1)]
    sign = -1 if kind.endswith("GENERATION") else 1
    blocks = [
        {"capacity": sign * value, "phase": "UNKNOWN", "unit": "W", "start_time": start, "end_time": end}
        for value, (start, end) in zip(values, pairwise(times), strict=True)
    ]
    return {"group_id": group, "type": kind, "forecasted_blocks": blocks}


async def forecast(loop: Loop, cp: Party, values: list[float]) -> tuple[float, float]:
    """ms until the answer, and until the tick in which it is in force."""
    message = body(cp, GROUP, "CONSUMPTION", values)
    began_ns = time.monotonic_ns()
    status = await cp.send("update_group_capacity_forecast", message)
    answered_ns = time.monotonic_ns()
    if status != 204:
        raise RuntimeError(f"the forecast was answered with {status}")
    until = time.monotonic() + 5
    while (state := loop.now())["lo_w"] != -values[0]:
        if time.monotonic() > until:
            raise TimeoutError(f"the loop never took {values[0]} W")
        await asyncio.sleep(0.001)
    return (answered_ns - began_ns) / 1e6, (state["now_ns"] - began_ns) / 1e6


async def bare(cp: Party, values: list[float]) -> float:
    """The same request to a server that only answers, ms."""
    message = body(cp, GROUP, "CONSUMPTION", values)
    began_ns = time.monotonic_ns()
    async with cp.http.post(f"{cp.url}/update_group_capacity_forecast", json=message) as answer:
        await answer.read()
    return (time.monotonic_ns() - began_ns) / 1e6


@dataclass(frozen=True)
class Bench:
    """What a path needs."""

    loop: Loop
    cp: Party
    supervisor: int
    options: argparse.Namespace

    def cpu_ms(self) -> float:
        """Processor time that the supervisor used so far."""
        fields = Path(f"/proc/{self.supervisor}/stat").read_text().rpartition(")")[2].split()
        return 1e3 * (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def one_by_one(bench: Bench, values: Callable[[float], list[float]]) -> Seen:
    """Forecasts at random phases of the tick."""
    loop, cp, options = bench.loop, bench.cp, bench.options
    await forecast(loop, cp, values(9_999))
    seen, phases, before, cpu_ms = Seen(), random.Random(options.seed), loop.now()["step_bins"], bench.cpu_ms()
    for count in range(options.n + options.n // 5):
        await asyncio.sleep(phases.random() * TICK_S)
        with Calm() as calm:
            answered, in_force = await forecast(loop, cp, values(10_000 + count))
            reference = await bare(cp, values(1))
        if calm.calm:
            seen.answered.append(answered)
            seen.in_force.append(in_force)
            seen.reference.append(reference)
        seen.discarded += not calm.calm
        if count % 50 == 0:
            await cp.heartbeat(170)
        if len(seen.in_force) >= options.n:
            break
    seen.cpu_ms = (bench.cpu_ms() - cpu_ms) / (len(seen.in_force) + seen.discarded)
    seen.step_bins = [int(b) - int(a) for a, b in zip(before, loop.now()["step_bins"], strict=True)]
    return seen


async def fill(cp: Party, groups: int) -> None:
    """All five types of everybody else's day, no faster than a peer may send."""
    for index in range(groups):
        for kind in TYPES:
            status = await cp.send("update_group_capacity_forecast", body(cp, f"g{index}", kind, day(150_000 + index, index)))
            if status != 204:
                raise RuntimeError(f"a forecast was answered with {status}")
            await asyncio.sleep(1 / RATE_PER_S)


async def forecasts(loop: Loop, site: Path, tls: Tls, supervisor: int, options: argparse.Namespace) -> dict[str, Seen]:
    def token() -> Any:
        try:
            answer = request_line(site.parent / "run" / "supervisor.sock", {"command": "oscp", "action": "register", "peer": "dso"})
        except OSError:
            return None
        return answer if answer["ok"] else None

    given = await asyncio.to_thread(wait_for, "the supervisor", token)
    async with Party(tls) as cp:
        await cp.register(given["base_url"], given["token"])
        await cp.shake()
        bench = Bench(loop, cp, supervisor, options)
        alone = await one_by_one(bench, lambda first_w: [first_w])
        await fill(cp, options.groups)
        await cp.heartbeat(170)
        return {"alone": alone, "crowd": await one_by_one(bench, day)}


def crowded(site: Path, groups: int) -> None:
    """More groups on the same slot."""
    names = [f"g{index}" for index in range(groups)]
    entry = f"    - {{id: {GROUP}, source: oscp, scope: ess, missing_generation: zero}}\n"
    more = "".join(entry.replace(GROUP, name) for name in names)
    text = site.read_text()
    assert entry in text
    site.write_text(text.replace(entry, entry + more).replace(f"groups: [{GROUP}]", f"groups: [{', '.join([GROUP, *names])}]"))


def path(folder: Path, options: argparse.Namespace) -> dict[str, Seen]:
    tls = Tls(folder / "cp.pem", folder / "cp.key", folder / "cp.pem")
    self_signed(tls.cert_file, tls.key_file, "127.0.0.1")
    with plant_server() as server:
        site = site_file(folder, server.port, tls)
        crowded(site, options.groups)
        with loop_process(folder, site.with_suffix(".sealed")) as loop, rig.supervisor(site) as process:
            loop.attach()
            loop.until_mode(L.Mode.MODE_RUN)
            return asyncio.run(forecasts(loop, site, tls, process.pid, options))


# --- the cost ---


def timed(work: Any, times: int = ROUNDS) -> list[float]:
    """ms each."""
    took = []
    for _ in range(times):
        began_ns = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - began_ns) / 1e6)
    return took


def say(talk: Talk, group: str, kind: str, values: list[float]) -> float:
    """On the quarter hours since the story began; ms that taking it in took."""
    since_s, sign = (talk.now.mono_ns - START.mono_ns) / 1e9, -1 if kind.endswith("GENERATION") else 1
    blocks = [(sign * value, QUARTER_S * k - since_s, QUARTER_S * (k + 1) - since_s) for k, value in enumerate(values)]
    message = json.dumps(talk.forecast_body(kind, *blocks, group=group)).encode()
    began_ns = time.perf_counter_ns()
    if talk.post("update_group_capacity_forecast", message) != 204:
        raise RuntimeError(talk.said)
    return (time.perf_counter_ns() - began_ns) / 1e6


def cost(groups: int) -> dict[str, Any]:
    names = tuple(f"g{i}" for i in range(groups))
    peer = PeerConfig("dso", frozenset({Role.CP}), names)
    talk = Talk(peer, groups=tuple(GroupConfig(name, "oscp", Scope.PCC) for name in names)).online(60)
    taken_ms = []
    for index, name in enumerate(names):
        for kind in TYPES:
            talk.now = talk.now.later(0.1)  # no faster than a peer may send
            taken_ms.append(say(talk, name, kind, day(1000, index)))
    first_ms = timed(talk.plan, 1)[0]

    def look() -> None:
        for group in talk.site.groups:
            voice = talk.voices.voice(talk.peer, group, optimum=False)
            assert voice is not None
            failure(PLANT, group, voice.says(talk.now.utc_ns, online=True), 1000.0, "")

    def renew() -> None:
        voices = talk.voices.of("oscp")
        assert same_but_leases(voices, calendar) == subject
        renewed(plan, voices, talk.now.mono_ns, 10**15)

    def change() -> None:
        say(talk, "g0", "CONSUMPTION", day(next(values)))
        began_ns = time.perf_counter_ns()
        talk.plan()
        changed_ms.append((time.perf_counter_ns() - began_ns) / 1e6)

    calendar, plan = Calendar((talk.now.utc_ns or 0) - talk.now.mono_ns), talk.plan()
    subject = same_but_leases(talk.voices.of("oscp"), calendar)
    costs = {f"{name}_ms": percentiles(timed(work), 1, (50, 99)) for name, work in (("plan", talk.plan), ("renew", renew), ("look", look))}
    values, changed_ms = itertools.count(2000.0), list[float]()
    timed(change)
    return {
        "groups": groups, "blocks": groups * len(TYPES) * BLOCKS, "message_ms": percentiles(taken_ms, 1, (50, 99)),
        "first_plan_ms": round(first_ms, 2),
        **costs, "change_ms": percentiles(changed_ms, 1, (50, 99)),
    }  # fmt: skip


def told(seen: Seen) -> dict[str, Any]:
    """A path's figures."""
    figures: dict[str, Any] = {"n": len(seen.in_force), "discarded": seen.discarded}
    if not seen.in_force:
        return figures
    for name in ("answered", "in_force", "reference"):
        figures[f"{name}_ms"] = percentiles(getattr(seen, name), 1, (50, 99))
    figures["ratio_p50"] = round(figures["in_force_ms"]["p50"] / figures["reference_ms"]["p50"], 2)
    figures["supervisor_cpu_ms"] = round(seen.cpu_ms, 2)
    figures["tick_us"] = {f"p{share:g}": round(percentile_us(seen.step_bins, share / 100), 1) for share in (50, 99)}
    return figures


def run(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["PYTHONPATH"] = os.pathsep.join([*rig.IMPORTS, os.environ.get("PYTHONPATH", "")])
    costs = cost(options.groups)
    with tempfile.TemporaryDirectory() as folder:
        seen = path(Path(folder), options)
    paths = {name: told(it) for name, it in seen.items()}
    n = min(it["n"] for it in paths.values())
    result: dict[str, Any] = {"bench": "oscp", "machine": machine(), "judged": n >= ENOUGH, "cost": costs, **paths}
    if n < ENOUGH:
        result["reason"] = f"{n} calm forecasts; {ENOUGH} are needed"
    return {**result, "in_force_each_ms": [round(ms, 2) for ms in seen["crowd"].in_force]}


def text(result: dict[str, Any]) -> str:
    costs, words = result["cost"], {"answered_ms": "its 204", "in_force_ms": "in force", "reference_ms": "bare aiohttp over TLS"}
    crowd = f"{costs['groups']} groups of 5 types of {BLOCKS} blocks"
    lines = ["OSCP forecast until it limits in the loop at 100 Hz"]
    for name in ("alone", "crowd"):
        it = result[name]
        what = "one block, one group" if name == "alone" else f"{BLOCKS} blocks beside {crowd}"
        lines.append(f"{what}: n = {it['n']} ({it['discarded']} discarded)")
        for key, said in words.items():
            if key in it:
                lines.append(f"  {said:24} p50 {it[key]['p50']:7.1f}  p99 {it[key]['p99']:7.1f}  max {it[key]['max']:7.1f} ms")
        if "tick_us" in it:
            lines.append(f"  processor time of the supervisor for each {it['supervisor_cpu_ms']:.1f} ms, looks at the plant included")
            lines.append(f"  the loop's step          p50 {it['tick_us']['p50']:7.1f}  p99 {it['tick_us']['p99']:7.1f} us")
    lines.append(f"cost in the supervisor, {crowd}: one message p50 {costs['message_ms']['p50']:.2f} ms")
    lines.append(f"  plan from all of them p50 {costs['plan_ms']['p50']:.1f} ms (first {costs['first_plan_ms']:.0f} ms)")
    lines.append(f"  after one of them changed p50 {costs['change_ms']['p50']:.1f} ms")
    lines.append(f"  its lease renewed p50 {costs['renew_ms']['p50']:.2f} ms")
    lines.append(f"  one look at all of them p50 {costs['look_ms']['p50']:.2f} ms")
    return "\n".join(lines if result["judged"] else [*lines, f"not judged: {result['reason']}"])


def picture(result: dict[str, Any], path_: Path) -> None:
    from benches.pictures import histogram

    each = result.get("in_force_each_ms", [])
    counts = [sum(1 for ms in each if at <= ms < at + 1) for at in range(round(max(each, default=0)) + 2)]
    histogram(path_, "OSCP forecast until it limits", "ms", range(len(counts)), counts)
