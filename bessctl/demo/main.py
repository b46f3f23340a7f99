"""`bessctl demo [--duration S] [-o json] [--keep]`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bessctl.demo import capacity, utility
from bessctl.demo.health import health
from bessctl.demo.show import Screen
from bessctl.demo.stage import Stage, raise_on_sigterm, stage
from bessctl.demo.story import HEARTBEAT_S, LEASE_S, Story
from bessctl.demo.watch import Watch
from bessctl.errors import OperationFailed
from bessctl.model.snapshot import PlantSnapshot
from bessctl.sim.csms import Csms, Policy
from bessctl.sim.oscp_cp import Party


def summary(story: Story, rate_hz: float) -> dict[str, Any]:
    """The one object of `-o json`."""
    state = story.watch.link.state()
    if state is None:
        raise OperationFailed("the loop publishes nothing any more")
    now = health(state)
    kill = story.findings.get("supervisor_kill", {})
    period_ms = 1e3 / rate_hz
    return {
        "commands": story.commands,
        "loop": {
            "rate_hz": rate_hz,
            "periods": now.periods,
            "missed": now.missed,
            "missed_own": now.missed_own,
            "wake_us": {"p50": now.wake_p50_us, "p99": now.wake_p99_us, "max": now.wake_max_us},
        },
        **story.findings,
        "ok": bool(kill.get("resumed"))
        and bool(story.findings.get("capacity", {}).get("returned"))
        and story.findings.get("utility", {}).get("responses") == [1, 2, 3]
        and kill["missed_own"] == 0
        and 0 <= kill["fallback_error_ms"] <= 2 * period_ms,
    }


def sentences(result: dict[str, Any]) -> str:
    """The summary for people."""
    loop, kill = result["loop"], result["supervisor_kill"]
    lines = ["", "summary", *(f"  {c['action']:24} -> PCS register {c['latency_ms']:8.2f} ms" for c in result["commands"])]
    lines.append(f"  trip detected -> standby ordered  {result['trip']['detect_to_command_ms']:8.2f} ms")
    feeder = result["capacity"]
    lines.append(f"  OSCP forecast            -> PCS register {feeder['forecast_to_register_ms']:8.2f} ms")
    lines.append(
        f"  provider gone: its fallback {feeder['fallback_error_ms']:.1f} ms after its lease ended; it returned: {feeder['returned']}"
    )
    lines.append(f"  utility's event -> PCS register, from its second {result['utility']['start_error_ms']:+8.2f} ms")
    lines.append(f"  supervisor killed: 0 W {kill['fallback_error_ms']:.1f} ms after its lease ended")
    lines.append(f"  own misses meanwhile {kill['missed_own']}, transaction resumed: {kill['resumed']}")
    wake = loop["wake_us"]
    lines.append(
        f"  loop at {loop['rate_hz']:g} Hz: {loop['periods']} periods, {loop['missed']} missed ({loop['missed_own']} own), "
        f"wake-up p50 {wake['p50']:.0f} us, p99 {wake['p99']:.0f} us, max {wake['max']:.0f} us"
    )
    lines.append(f"  ok: {result['ok']}")
    return "\n".join(lines)


async def perform(it: Stage, screen: Screen, duration_s: float) -> dict[str, Any]:
    """The whole play on a stage."""
    screen.say("starting the simulated plant")
    it.start_plant()
    tls = capacity.files(it.folder)
    async with Csms(policy=Policy(interval_s=HEARTBEAT_S)) as csms, Party(tls) as provider, utility.served(it.folder) as server:
        it.write_site(csms.url, LEASE_S, server)
        screen.say("sealing the configuration, devices online")
        it.seal()
        it.start("loop")

        def look(shot: PlantSnapshot) -> None:
            state = story.watch.link.state()
            if state is not None:
                screen.look(shot, health(state))

        story = Story(it, Watch(it, look), csms, provider, server, screen.say)
        began = asyncio.get_running_loop().time()
        await story.play()
        await story.watch.pause(max(0.0, duration_s - (asyncio.get_running_loop().time() - began)))
        return summary(story, story.watch.link.site.rate_hz)


def main(duration_s: float, output: str, keep: bool) -> int:
    """Exit code of the command."""
    raise_on_sigterm()
    with stage(keep=keep) as it, Screen(sys.stderr if output == "json" else sys.stdout) as screen:
        result = asyncio.run(perform(it, screen, duration_s))
    print(json.dumps(result) if output == "json" else sentences(result))
    return 0 if result["ok"] else 1
