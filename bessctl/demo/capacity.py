"""The demo's capacity provider (OSCP 2.0): its forecast limits the BESS, it dies and its fallback rules, it returns, it is removed."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessctl.errors import OperationFailed
from bessctl.sim.certificate import self_signed
from bessctl.sim.oscp_cp import Party, Tls

if TYPE_CHECKING:
    from bessctl.demo.story import Story

PEER, GROUP, SOURCE = "dso", "feeder-7", "oscp"
LIMIT_W = 40_000.0
FALLBACK_W = 10_000.0
RATING_W = 200_000.0
OFFLINE_S = 1.5
DAY_S = 86_400
MS = 1e-6


def files(folder: Path) -> Tls:
    """One certificate for both sides, made for this demo alone."""
    tls = Tls(folder / "oscp.pem", folder / "oscp.key", folder / "oscp.pem")
    if not tls.cert_file.exists():
        self_signed(tls.cert_file, tls.key_file, "127.0.0.1")
    return tls


def section(tls: Tls) -> dict[str, Any]:
    """The site's section: one provider, one group at the PCS's terminals."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return {
        "base_url": f"https://127.0.0.1:{port}/oscp/fp/2.0",
        "listen": {"host": "127.0.0.1", "port": port, "cert_file": str(tls.cert_file), "key_file": str(tls.key_file)},
        "groups": [{"id": GROUP, "source": SOURCE, "scope": "ess", "missing_generation": "zero"}],
        "peers": [{"name": PEER, "roles": ["cp"], "kind": "dso", "groups": [GROUP], "grace_s": 0, "ca_file": str(tls.ca_file)}],
    }


def slot() -> dict[str, Any]:
    """Its slot: limits of the grid, for as long as it is believed, and its fallback after that. Before it spoke all the plant can do."""
    before = {"ess_lo_w": -RATING_W, "ess_hi_w": RATING_W}
    return {
        "name": SOURCE, "class": "grid", "priority": 1, "scopes": ["ess"], "lease_max_s": 3600, "required": True, "default_limits": before,
    }  # fmt: skip


async def act(story: Story, provider: Party, power_w: float) -> None:
    """All of it, while a transaction discharges `power_w`."""
    await _commission(story, provider)
    limit_ms = await _limit(story, provider)
    fallback_ms = await _die(story, provider)
    await _return(story, provider, power_w)
    story.findings["capacity"] = {"forecast_to_register_ms": limit_ms, "fallback_error_ms": fallback_ms, "returned": True}


def _operator(story: Story, *words: str) -> str:
    code, answer = story.stage.control("oscp", *words)
    if code:
        raise OperationFailed(f"bessctl oscp {words[0]} ended with {code}: {answer}")
    return answer


async def _commission(story: Story, provider: Party) -> None:
    given = json.loads(_operator(story, "register", PEER, "-o", "json"))
    await provider.register(given["base_url"], given["token"])
    await provider.shake()
    story.say("OSCP: the capacity provider registered, tokens were exchanged, hands were shaken")


async def _limit(story: Story, provider: Party) -> float:
    sent_ns = time.monotonic_ns()
    await _forecast(provider, "GENERATION", -LIMIT_W)
    register_ns = await story.watch.set_point("falls to 40 kW", lambda w: 0 < w <= LIMIT_W, sent_ns)
    for kind, capacity_w in (("FALLBACK_GENERATION", -FALLBACK_W), ("CONSUMPTION", LIMIT_W), ("FALLBACK_CONSUMPTION", FALLBACK_W)):
        await _forecast(provider, kind, capacity_w)
    await story.power(LIMIT_W)
    took_ms = round((register_ns - sent_ns) * MS, 2)
    story.say(f"  a forecast of {LIMIT_W / 1e3:.0f} kW: the PCS's set point followed {took_ms:.1f} ms after it was sent")
    return took_ms


async def _forecast(provider: Party, kind: str, capacity_w: float) -> None:
    status = await provider.forecast(GROUP, kind, [(capacity_w, 0, DAY_S)])
    if status != 204:
        raise OperationFailed(f"the forecast {kind} was answered with {status}")


async def _die(story: Story, provider: Party) -> float:
    """The last heartbeat says when it is to be counted offline; then nobody answers."""
    await provider.heartbeat(OFFLINE_S)
    lost_ns = time.monotonic_ns()
    await provider.vanish()
    story.say(f"OSCP: the provider dies; its last heartbeat was good for {OFFLINE_S:g} s")
    shot = await story.watch.until("its lease lapses", lambda s: any(x.source == SOURCE and x.state == "lapsed" for x in s.slots))
    lease_ns = next(x.lease_until_ns for x in shot.slots if x.source == SOURCE)
    register_ns = await story.watch.set_point("falls to the fallback", lambda w: 0 < w <= FALLBACK_W, lost_ns)
    await story.power(FALLBACK_W)
    late_ms = round((register_ns - lease_ns) * MS, 2)
    story.say(f"  fallback capacity {FALLBACK_W / 1e3:.0f} kW in the PCS's register {late_ms:.1f} ms after that instant")
    return late_ms


async def _return(story: Story, provider: Party, power_w: float) -> None:
    await provider.listen()
    await provider.shake()
    await story.power(LIMIT_W)
    story.say("OSCP: the provider is back and shook hands again; its forecast rules")
    _operator(story, "remove", PEER)
    await story.power(power_w)
    story.say("operator: bessctl oscp remove; the limit is gone")
