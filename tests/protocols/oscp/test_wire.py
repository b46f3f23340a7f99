"""The provider and its peers over real TLS sockets: registration, handshake, heartbeats, forecasts, what follows when they stop."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bessctl.sim.oscp_cp import Tls
from tests.protocols.oscp.rig import DSO, S, config_of, online, party, provider


def run(coroutine: object) -> None:
    asyncio.run(coroutine)  # type: ignore[arg-type]


def test_registration_brings_token_c_and_revokes_a(tls: Tls, tmp_path: Path) -> None:
    """OSCP-1: A opens register, B is what we show, C is what the peer shows from then on."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, party(rig) as cp:
            token_a = rig.invite()
            await cp.register(rig.url, token_a)
            reply = cp.received("register")[0]
            assert reply.headers["Authorization"] == f"Token {cp.token_expected}"
            assert reply.headers["X-Correlation-ID"] == "cp-1"
            assert reply.body["version_url"] == [{"version": "2.0", "base_url": rig.config.base_url}]
            await rig.until("registered", lambda: rig.peer().common.record.registered)
            assert cp.token_to_show not in (token_a, cp.token_expected)
            assert await cp.send("handshake", {}, token=token_a) == 403
            assert await cp.send("handshake", {}) == 204
            assert cp.token_to_show not in (tmp_path / "oscp.db").read_bytes().decode("latin-1")

    run(play())


def test_the_204_is_on_the_wire_before_the_acknowledgement(tls: Tls, tmp_path: Path) -> None:
    """OSCP-2, FR.01 of 1.8: at the peer the answer to its handshake comes first, in every one of 50 runs."""

    async def play() -> None:
        async with provider(config_of(tls, replace(DSO, handshake=False)), tmp_path, tls) as rig, party(rig) as cp:
            await cp.register(rig.url, rig.invite())
            await rig.until("registered", lambda: rig.peer().common.record.registered)
            for count in range(1, 51):
                await cp.shake()
                mine = [e.kind for e in cp.events if e.path.startswith("handshake") and e.kind != "responded"]
                assert mine == ["answered", "received"] * count

    run(play())


def test_a_forecast_limits_and_the_fallback_rules_when_the_peer_is_gone(tls: Tls, tmp_path: Path) -> None:
    """OSCP-3, OSCP-4, OSCP-5."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig, heartbeat_s=None) as cp:
            for kind, capacity in (("CONSUMPTION", 50_000), ("GENERATION", -40_000), ("FALLBACK_CONSUMPTION", 5_000)):
                assert await cp.forecast("feeder-7", kind, [(capacity, 0, 900)]) == 204
            assert rig.slot.allowed() == (-50_000, 40_000)
            assert await cp.heartbeat(60) == 204
            rig.clock.leap(61)
            assert rig.slot.allowed() == (-50_000, 40_000), "60 s and 2 s of grace"
            rig.clock.leap(2)
            assert rig.slot.allowed() == (-5_000, 0), "no FALLBACK_GENERATION: nothing is allowed"
            assert await cp.heartbeat(60) == 403
            assert await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)]) == 403
            await cp.shake()
            await rig.until("live again", lambda: rig.slot.allowed() == (-50_000, 40_000))
            assert rig.slot.last.lease_until_ns <= rig.clock.now().mono_ns + 180 * S

    run(play())


@pytest.mark.parametrize("before", ["heartbeat", "update_group_capacity_forecast"])
def test_nothing_is_served_before_the_handshake(tls: Tls, tmp_path: Path, before: str) -> None:
    """OSCP-2, 3.1.2: 403."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, party(rig) as cp:
            await cp.register(rig.url, rig.invite())
            assert await cp.send(before, {"offline_mode_at": cp.time(60)}) == 403

    run(play())
