"""Deployed peers, each played by a party that has its quirk (row 28), over real TLS; and what the same peer meets without the agreement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bessctl.errors import Refused, UsageError
from bessctl.protocols.oscp.binding.commands import Commands
from bessctl.protocols.oscp.config import Adjust, GenerationSign, PeerConfig, ResumeOn, Scope
from bessctl.protocols.oscp.messages.times import NaiveTime, instants
from bessctl.sim.oscp_cp import Habits, Party, Tls
from tests.protocols.oscp.rig import DSO, GROUP, Rig, S, TestClock, config_of, online, provider

FORECAST, ADJUST = "update_group_capacity_forecast", "adjust_group_capacity_forecast"
Play = Callable[[Rig, Party], Awaitable[None]]


def run(tls: Tls, folder: Path, peer: PeerConfig, habits: Habits, play: Play) -> None:
    """A provider with this peer, online, and the play."""

    async def all_of_it() -> None:
        async with provider(config_of(tls, peer), folder, tls) as rig, online(rig, habits=habits) as cp:
            await play(rig, cp)

    asyncio.run(all_of_it())


def with_quirks(**quirks: Any) -> PeerConfig:
    return replace(DSO, adjust=Adjust.ON, quirks=replace(DSO.quirks, **quirks))


def ask(rig: Rig, kind: str = "CONSUMPTION", capacity_w: float = 60_000) -> None:
    """The operator, or a policy, wants another capacity from in a minute for half an hour."""
    wish = {"group": "feeder-7", "type": kind, "capacity_w": capacity_w, "in_s": 60, "for_s": 1800}
    Commands(rig.desk, rig.lines).answer({"action": "adjust", "peer": "dso", **wish})


# --- what a peer writes ---

# (quirks agreed, the peer's habits)
WRITES: list[tuple[dict[str, Any], Habits]] = [
    ({"acknowledge_path": "handshake_acknowledgment"}, Habits(acknowledge_path="handshake_acknowledgment")),
    ({"naive_time": NaiveTime.UTC}, Habits(naive_time=True)),
    ({"single_version_url": True}, Habits(single_version_url=True)),
    ({"correlation": False}, Habits(correlation=False)),
    ({"generation_sign": GenerationSign.MAGNITUDE}, Habits(magnitudes=True)),
    ({}, Habits(chain_segments=True)),
    ({}, Habits(skew_s=50)),
    ({}, Habits(status={"handshake": 404})),
]


@pytest.mark.parametrize(("quirks", "habits"), WRITES)
def test_a_deployed_peer_with_its_quirk(tls: Tls, tmp_path: Path, quirks: dict[str, Any], habits: Habits) -> None:
    """Registration, handshake, heartbeat and a segmented forecast, as that peer does them."""
    peer = with_quirks(**quirks)

    async def play(rig: Rig, cp: Party) -> None:
        assert await cp.heartbeat(60) == 204
        body = cp.forecast_body("feeder-7", "GENERATION", [(7 if habits.magnitudes else -7, -60, 900)])
        for data, headers in cp.cut(body, 3):
            assert await cp.send(FORECAST, data, headers=headers) == 204
        await rig.until("limits", lambda: rig.slot.plans and rig.slot.allowed()[1] == 7)
        sent = [e.headers for e in cp.events if e.kind == "received"]
        assert any("X-Correlation-ID" in h for h in sent) == peer.quirks.correlation

    run(tls, tmp_path, peer, habits, play)


# (UTC at both sides) summer; the hour that exists twice, both times and across its middle and its end; before the one that never is
NIGHTS = ["2026-07-01T12:00", "2026-10-25T00:10", "2026-10-25T01:10", "2026-10-25T00:50", "2026-10-25T01:50", "2026-03-29T00:50"]


@pytest.mark.parametrize("at", NIGHTS)
def test_a_peer_that_writes_local_times_over_a_change_of_the_clocks(
    tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Row 28: nothing it says is refused, what it allows is in force, and nothing wider is, whichever of two instants a time may mean."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    instants.cache_clear()
    ahead_s = datetime.fromisoformat(at + "Z").timestamp() - time.time()
    clock = TestClock()
    clock.correct(ahead_s)

    async def play() -> None:
        habits = Habits(naive_time=True, zone="Europe/Berlin", skew_s=ahead_s)
        peer = with_quirks(naive_time=NaiveTime.LOCAL)
        async with provider(config_of(tls, peer), tmp_path, tls, clock) as rig, online(rig, habits=habits) as cp:
            assert await cp.heartbeat(60) == 204
            assert 55 < (rig.peer().connection.lease_ns - clock.now().mono_ns) / 1e9 < 63, "the next such instant, not one an hour off"
            blocks = [(-50 + i, -60 + 900 * i, 840 + 900 * i) for i in range(8)]
            assert await cp.forecast("feeder-7", "GENERATION", blocks) == 204
            await rig.until("limits", lambda: rig.slot.plans)
            meant = [(clock.now().mono_ns + 900 * S * i, 50 - i) for i in range(8)]
            live = rig.slot.last.blocks
            allowed = [next(b.pcc_hi_w or 0.0 for b in live if b.start_ns <= at_ns < b.end_ns) for at_ns, _ in meant]
            assert all(0 < given <= limit for given, (_, limit) in zip(allowed, meant, strict=True)), allowed
            if at.startswith("2026-07"):
                assert allowed == [limit for _, limit in meant]

    try:
        asyncio.run(play())
    finally:
        monkeypatch.undo()
        time.tzset()
        instants.cache_clear()


# (sign agreed, what the peer sends, status)
SIGNS = [
    (GenerationSign.MAGNITUDE, -7, 400),
    (GenerationSign.NEGATIVE, 7, 400),
    (GenerationSign.AUTO, 7, 204),
    (GenerationSign.AUTO, -7, 204),
]


@pytest.mark.parametrize(("sign", "capacity", "status"), SIGNS)
def test_generation_in_the_sign_that_was_agreed(tls: Tls, tmp_path: Path, sign: GenerationSign, capacity: float, status: int) -> None:
    """Row 2; and our own messages mirror the peer."""

    async def play(rig: Rig, cp: Party) -> None:
        assert await cp.forecast("feeder-7", "GENERATION", [(capacity, -60, 900)]) == status
        if status == 204:
            assert rig.slot.allowed()[1] == 7
            ask(rig, "GENERATION")
            told = await cp.wait(ADJUST)
            assert told.body["forecasted_blocks"][0]["capacity"] == (60_000 if capacity > 0 else -60_000)

    run(tls, tmp_path, with_quirks(generation_sign=sign), Habits(magnitudes=capacity > 0), play)


@pytest.mark.parametrize(("per_phase", "allowed_w"), [(False, 2_300), (True, 6_900)])
def test_amperes_of_all_phases(tls: Tls, tmp_path: Path, per_phase: bool, allowed_w: float) -> None:
    """Row 13: 10 A with phase ALL are the sum of the phases, or what each of them may carry."""

    async def play(rig: Rig, cp: Party) -> None:
        assert await cp.forecast("feeder-7", "CONSUMPTION", [(10, -60, 900)], unit="A", phase="ALL") == 204
        await rig.until("limits", lambda: rig.slot.plans and rig.slot.allowed()[0] == -allowed_w)

    run(tls, tmp_path, with_quirks(amps_per_phase=per_phase), Habits(), play)


# --- what a peer wants to read ---


@pytest.mark.parametrize(("quirk", "status"), [(True, 204), (False, 400)])
def test_a_delete_with_the_registration_as_its_body(tls: Tls, tmp_path: Path, quirk: bool, status: int) -> None:
    """4.3.1; the peer is gone for us either way."""

    async def play(rig: Rig, cp: Party) -> None:
        Commands(rig.desk, rig.lines).answer({"action": "remove", "peer": "dso"})
        await cp.until("an answer", lambda: [e for e in cp.events if e.kind == "responded" and e.method == "DELETE"])
        [answer] = [e for e in cp.events if e.kind == "responded" and e.method == "DELETE"]
        assert (answer.status, rig.peer().state) == (status, "unregistered")

    run(tls, tmp_path, with_quirks(delete_body=quirk), Habits(delete_needs_body=True), play)


@pytest.mark.parametrize(("quirk", "blocks", "status"), [(True, 24, 204), (False, 1, 400)])
def test_an_adjust_in_hours_alone(tls: Tls, tmp_path: Path, quirk: bool, blocks: int, status: int) -> None:
    """4.4.2: 24 hours, those that the wish touches with its value."""

    async def play(rig: Rig, cp: Party) -> None:
        await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, -3600, 90_000)])
        ask(rig)
        told = await cp.wait(ADJUST)
        values = [b["capacity"] for b in told.body["forecasted_blocks"]]
        assert (len(values), 60_000 in values, set(values) <= {50_000, 60_000}) == (blocks, True, True)
        await cp.until("its answer", lambda: [e for e in cp.events if (e.kind, e.path, e.status) == ("responded", ADJUST, status)])

    run(tls, tmp_path, with_quirks(adjust_hours=quirk), Habits(adjust_needs_hours=True), play)


@pytest.mark.parametrize(("resume_on", "status"), [(ResumeOn.HEARTBEAT, 204), (ResumeOn.HANDSHAKE, 403)])
def test_a_peer_that_never_shakes_hands_again(tls: Tls, tmp_path: Path, resume_on: ResumeOn, status: int) -> None:
    """Row 8: back by a heartbeat where that was agreed, else fallback until a handshake."""

    async def play(rig: Rig, cp: Party) -> None:
        await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, -60, 900)])
        await cp.forecast("feeder-7", "FALLBACK_CONSUMPTION", [(5_000, -60, 900)])
        await cp.heartbeat(30)
        rig.clock.leap(60)
        rig.poke()
        await rig.until("fallback", lambda: rig.slot.allowed()[0] == -5_000)
        assert await cp.heartbeat(60) == status
        assert rig.slot.allowed()[0] == (-50_000 if status == 204 else -5_000)

    run(tls, tmp_path, replace(DSO, resume_on=resume_on), Habits(status={"handshake": 404}), play)


# --- AdjustGroupCapacityForecast, and the forecast that answers it ---


def test_a_wish_for_capacity_reaches_the_provider_and_its_answer_limits(tls: Tls, tmp_path: Path) -> None:
    """OSCP-6, 3.2.3: absolute values; the provider answers with an ordinary forecast, or not at all."""

    async def play(rig: Rig, cp: Party) -> None:
        await cp.forecast("feeder-7", "CONSUMPTION", [(20_000, -60, 900)])
        ask(rig)
        wish = await cp.wait(ADJUST)
        [block] = wish.body["forecasted_blocks"]
        assert (wish.body["group_id"], wish.body["type"], block["capacity"], block["unit"]) == ("feeder-7", "CONSUMPTION", 60_000, "W")
        assert rig.slot.allowed()[0] == -20_000, "asking moves nothing"
        headers = {"X-Correlation-ID": wish.headers["X-Request-ID"]}
        body = cp.forecast_body("feeder-7", "CONSUMPTION", [(60_000, -60, 900)])
        assert await cp.send(FORECAST, body, headers=headers) == 204
        assert rig.slot.allowed()[0] == -60_000
        with pytest.raises(Refused, match="at most once in 15 minutes"):
            ask(rig)
        for wrong in ({"capacity_w": -1}, {"type": "OPTIMISM"}, {"for_s": True}, {"peer": "nobody"}):
            words = {"peer": "dso", "group": "feeder-7", "type": "CONSUMPTION", "capacity_w": 1, "in_s": 0, "for_s": 60, **wrong}
            with pytest.raises(UsageError):
                Commands(rig.desk, rig.lines).answer({"action": "adjust", **words})

    run(tls, tmp_path, with_quirks(), Habits(), play)


@pytest.mark.parametrize(("scope", "charging", "kind", "capacity"), [
    (Scope.PCC, True, "CONSUMPTION", 45_000), (Scope.ESS, True, "CONSUMPTION", 15_000), (Scope.PCC, False, "GENERATION", -45_000),
])  # fmt: skip
def test_what_a_policy_needs_is_asked_of_the_providers_of_its_slot(  # noqa: PLR0917 - a row of the table
    tls: Tls, tmp_path: Path, scope: Scope, charging: bool, kind: str, capacity: float
) -> None:
    """3.2.3: counted where the group counts; refused where nobody is to be asked."""
    need = {"action": "need", "source": "oscp", "charging": charging, "ess_w": 15_000, "pcc_w": 45_000, "in_s": 0, "for_s": 900}

    async def play() -> None:
        config = config_of(tls, with_quirks(), groups=(replace(GROUP, scope=scope),))
        async with provider(config, tmp_path, tls) as rig, online(rig) as cp:
            commands = Commands(rig.desk, rig.lines)
            assert commands.answer(need) == {"asked": ["dso"]}
            told = await cp.wait(ADJUST)
            assert (told.body["type"], told.body["forecasted_blocks"][0]["capacity"]) == (kind, capacity)
            with pytest.raises(Refused, match="at most once in 15 minutes"):
                commands.answer(need)
            with pytest.raises(Refused, match="no provider of source 'ems'"):
                commands.answer({**need, "source": "ems"})

    asyncio.run(play())


def test_a_provider_that_is_not_to_be_asked_is_not_asked(tls: Tls, tmp_path: Path) -> None:
    """Row 16: off by default."""

    async def play(rig: Rig, cp: Party) -> None:
        with pytest.raises(Refused, match="adjust is off"):
            ask(rig)
        assert not cp.received(ADJUST)

    run(tls, tmp_path, DSO, Habits(), play)
