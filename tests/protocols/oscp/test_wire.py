"""The provider and its peers over real TLS sockets: registration, handshake, heartbeats, forecasts, what follows when they stop."""

import asyncio
import gzip
import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessctl.errors import OperationFailed, Refused, UsageError
from bessctl.protocols.oscp.binding.commands import Commands
from bessctl.protocols.oscp.config import Role
from bessctl.protocols.oscp.session.outbox import Kind
from bessctl.protocols.oscp.transport.client import Client
from bessctl.protocols.oscp.transport.tls import client_context
from bessctl.sim.oscp_cp import Party, Tls
from tests.protocols.oscp.certificates import issue
from tests.protocols.oscp.rig import DSO, Rig, S, config_of, online, party, provider


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


def head_of(cp: Party, ident: str, **headers: object) -> str:
    """The head of a forecast, written by hand."""
    named = "".join(f"\n{name.replace('_', '-')}: {value}" for name, value in headers.items())
    head = f"POST /oscp/fp/2.0/{FORECAST} HTTP/1.1\nHost: x\nauthorization: tOKEN {cp.token_to_show}\nx-request-id: {ident}"
    return f"{head}\ncontent-type: application/json{named}"


async def connect(rig: Rig, head: str, body: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Bytes on the wire, as no client library would send them."""
    context = ssl.create_default_context(cafile=str(rig.tls.ca_file))
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, ssl=context)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    await writer.drain()
    return reader, writer


async def raw(rig: Rig, head: str, body: bytes = b"") -> bytes:
    """The head of what comes back."""
    reader, writer = await connect(rig, head, body)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


FORECAST = "update_group_capacity_forecast"
# (method, path, headers that replace the good ones, body, status)
STATUSES: list[tuple[str, str, dict[str, str], Any, int]] = [
    ("POST", "heartbeat", {"Authorization": ""}, {}, 401),
    ("POST", "heartbeat", {"Authorization": "Bearer x"}, {}, 401),
    ("POST", "heartbeat", {"Authorization": "Token unknown"}, {}, 403),
    ("POST", "nothing", {}, {}, 404),
    ("POST", "adjust_group_capacity_forecast", {}, {}, 404),
    ("POST", "../../2.1/heartbeat", {}, {}, 404),
    ("GET", "heartbeat", {}, None, 405),
    ("PUT", "heartbeat", {}, {}, 405),
    ("PATCH", "register", {}, {}, 405),
    ("POST", FORECAST, {"Content-Type": "text/plain"}, {}, 415),
    ("POST", FORECAST, {"Content-Type": "application/json; charset=utf-8"}, {}, 400),
    ("POST", FORECAST, {}, b"x" * (1 << 20) + b"y", 413),
    ("POST", FORECAST, {"X-Request-ID": ""}, {}, 400),
    ("POST", FORECAST, {}, b'{"capacity": NaN}', 400),
    ("POST", FORECAST, {}, b'{"group_id": "a", "group_id": "b"}', 400),
    ("POST", FORECAST, {"X-Segment-Index": "2", "X-Segment-Count": "1"}, {}, 400),
    ("POST", FORECAST, {"Content-Encoding": "gzip"}, b"no gzip", 400),
]


def test_each_status_and_its_sentence(tls: Tls, tmp_path: Path) -> None:
    """OSCP-9, 4.1.3: errors carry a message; a wrong message changes nothing."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)])
            for method, path, headers, body, status in STATUSES:
                got = await cp.send(path, body, method=method, headers=headers)
                assert (method, path, headers, got) == (method, path, headers, status)
                assert set(json.loads(cp.events[-1].body)) == {"message"}
            assert rig.slot.allowed()[0] == -50_000

    run(play())


def test_what_http_allows_is_understood(tls: Tls, tmp_path: Path) -> None:
    """Row 29: chunks, gzip, header names and the word `token` in any case, a body in pieces."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            body = json.dumps(cp.forecast_body("feeder-7", "CONSUMPTION", [(777, 0, 900)])).encode()
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:])) + b"0\r\n\r\n"
            assert b" 204 " in await raw(rig, head_of(cp, "c1", transfer_encoding="chunked"), chunks)
            assert rig.slot.allowed()[0] == -777
            body = gzip.compress(json.dumps(cp.forecast_body("feeder-7", "CONSUMPTION", [(888, 0, 900)])).encode())
            assert await cp.send(FORECAST, body, headers={"Content-Encoding": "gzip"}) == 204
            assert rig.slot.allowed()[0] == -888

    run(play())


def test_a_gzip_bomb_is_too_large(tls: Tls, tmp_path: Path) -> None:
    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            bomb = gzip.compress(b" " * (64 << 20))
            assert await cp.send(FORECAST, bomb, headers={"Content-Encoding": "gzip"}) in {400, 413}

    run(play())


# (version, is it spoken?) OSCP-9, 4.1.1
TLS_VERSIONS = [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(("version", "spoken"), TLS_VERSIONS)
def test_tls_versions(tls: Tls, tmp_path: Path, version: ssl.TLSVersion, spoken: bool) -> None:
    """Both ways: a peer that speaks one version alone, as client and as server."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, party(rig) as cp:
            cp.speak(version)
            cp.their_url, cp.token_to_show = rig.url, rig.invite()
            assert await cp.send("register", cp.register_body()) == (204 if spoken else 0)
            if spoken:
                await cp.wait("register")

    run(play())


def test_a_provider_whose_certificate_is_not_trusted_gets_no_token(tls: Tls, tmp_path: Path) -> None:
    """4.1.1: the server certificate is what tells us that it is the peer."""

    async def play() -> None:
        stranger = issue(tmp_path, "stranger")
        async with provider(config_of(tls), tmp_path, tls) as rig, Party(replace_tls(stranger, tls)) as cp:
            cp.their_url, cp.token_to_show = rig.url, rig.invite()
            assert await cp.send("register", cp.register_body()) == 204
            await rig.until("refused", lambda: any("certificate" in line.lower() for line in rig.logs))
            assert cp.received("register") == []

    run(play())


def test_a_peer_whose_trust_file_is_not_there_yet_has_no_other_wait_and_needs_no_restart(tls: Tls, tmp_path: Path) -> None:
    async def play() -> None:
        config = config_of(tls, DSO, replace(DSO, name="other"))
        late = tmp_path / "late.pem"
        config = replace(config, peers=(config.peers[0], replace(config.peers[1], ca_file=late)))
        async with provider(config, tmp_path, tls) as rig, party(rig) as cp, Party(tls) as other:
            assert any("late.pem" in line for line in rig.logs)
            await cp.register(rig.url, rig.invite())
            other.their_url, other.token_to_show = rig.url, rig.invite("other")
            assert await other.send("register", other.register_body()) == 204
            await cp.shake()
            assert other.received("register") == []
            assert tls.ca_file is not None
            late.write_bytes(tls.ca_file.read_bytes())
            rig.clock.leap(600)
            rig.poke()
            await other.wait("register")

    run(play())


def replace_tls(shown: Tls, trusted: Tls) -> Tls:
    """Shows one certificate, trusts another."""
    return Tls(shown.cert_file, shown.key_file, trusted.ca_file)


def test_a_204_that_was_lost_is_given_again_and_the_message_applied_once(tls: Tls, tmp_path: Path) -> None:
    """Row 18, row 29: the connection ends after we applied it; the peer repeats with its id."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            body = json.dumps(cp.forecast_body("feeder-7", "CONSUMPTION", [(50_000, 0, 900)])).encode()
            _, writer = await connect(rig, head_of(cp, "lost", content_length=len(body)), body)
            await rig.until("applied", lambda: rig.slot.plans and rig.slot.allowed()[0] == -50_000)
            writer.transport.abort()
            await cp.forecast("feeder-7", "CONSUMPTION", [(40_000, 0, 900)])
            written = len(rig.slot.plans)
            assert await cp.send(FORECAST, body, headers={"X-Request-ID": "lost"}) == 204
            assert (len(rig.slot.plans), rig.slot.allowed()[0]) == (written, -40_000)
            await cp.shake()

    run(play())


def test_nothing_is_acknowledged_before_it_is_on_disk(tls: Tls, tmp_path: Path) -> None:
    """A store that cannot keep answers 503 and ends the provider; the limit is in force all the same."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            rig.store.close()
            assert await cp.forecast("feeder-7", "CONSUMPTION", [(1000, 0, 900)]) == 503
            assert rig.slot.allowed()[0] == -1000
            await rig.until("it ends", rig.task.done)

    with pytest.raises(ExceptionGroup) as caught:
        run(play())
    assert caught.group_contains(OperationFailed)


def test_a_slow_peer_delays_no_other(tls: Tls, tmp_path: Path) -> None:
    """One peer takes seconds for each message and leaves a body unfinished; the other is served at once meanwhile."""

    async def play() -> None:
        peers = (DSO, replace(DSO, name="slow"))
        async with provider(config_of(tls, *peers), tmp_path, tls) as rig, online(rig) as cp, online(rig, "slow") as slow:
            slow.habits.delay_s = {"heartbeat": 60.0}
            await slow.send("handshake", {"required_behaviour": {"heartbeat_interval": 1}})
            await slow.wait("heartbeat")
            _, hanging = await connect(rig, head_of(slow, "h", content_length=99999), b"{")
            began = len(slow.events)
            for count in range(50):
                assert await cp.forecast("feeder-7", "CONSUMPTION", [(1000 + count, 0, 900)]) == 204
            assert rig.slot.allowed()[0] == -1049
            assert [e for e in slow.events[began:] if e.kind == "responded" and e.path == "heartbeat"] == []
            hanging.close()

    run(play())


def test_no_message_of_ours_arrives_while_the_peers_request_is_unanswered(tls: Tls, tmp_path: Path) -> None:
    """FR.01 of 1.8, row 26: timers included. The request is held open by a body that does not end."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig, heartbeat_s=1) as cp:
            reader, writer = await connect(rig, head_of(cp, "h", content_length=2), b"{")
            await rig.until("it is being read", lambda: not rig.peer().free)
            rig.clock.leap(30)
            rig.poke()
            await rig.until("a heartbeat waits", lambda: rig.peer().outbox.waits(Kind.HEARTBEAT))
            seen = len(cp.received("heartbeat"))
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert len(cp.received("heartbeat")) == seen
            writer.write(b"}")
            assert b" 400 " in await reader.readuntil(b"\r\n\r\n")
            await cp.wait("heartbeat", seen + 1)
            writer.close()

    run(play())


def test_segments_both_ways(tls: Tls, tmp_path: Path) -> None:
    """OSCP-9: a day of quarters in five pieces, backwards; and a backlog to a peer that takes two kilobytes at a time (413)."""

    async def play() -> None:
        peer = replace(DSO, measure_interval_s=60.0, heartbeat_s=None)
        async with provider(config_of(tls, peer), tmp_path, tls) as rig, online(rig) as cp:
            body = cp.forecast_body("feeder-7", "CONSUMPTION", [(1000 - i, 900 * i, 900 * i + 900) for i in range(96)])
            for data, headers in reversed(cp.cut(body, 5)):
                assert rig.slots["oscp"].plans == []
                assert await cp.send(FORECAST, data, headers=headers) == 204
            await rig.until("limits", lambda: rig.slot.plans and rig.slot.allowed()[0] == -1000)
            cp.habits.body_max = 2000
            for _ in range(12):
                rig.clock.leap(60)
                rig.desk.observe()
            await rig.until("taken", lambda: not rig.peer().metering.waiting and cp.received("update_group_measurements"))
            message = cp.received("update_group_measurements")[-1]
            assert int(message.headers["X-Segment-Count"]) > 1
            assert len(message.body["measurements"]) >= 30

    run(play())


def test_an_optimizer_and_a_provider_at_once(tls: Tls, tmp_path: Path) -> None:
    """OSCP-8: handshake with the optimizer is ours; it gets the forecast, its OPTIMUM becomes the target, never a limit."""

    async def play() -> None:
        peers = (DSO, replace(DSO, name="optimizer", roles=frozenset({Role.CO})))
        async with provider(config_of(tls, *peers), tmp_path, tls) as rig, online(rig) as cp, party(rig, "co") as co:
            await co.register(rig.url, rig.invite("optimizer"))
            shake = await co.wait("handshake")
            assert await co.acknowledge(correlation=shake.headers["X-Request-ID"]) == 204
            await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)])
            forwarded = await co.wait(FORECAST)
            assert forwarded.body["type"] == "CONSUMPTION"
            assert await co.forecast("feeder-7", "OPTIMUM", [(70_000, 0, 900)]) == 204
            assert await co.forecast("feeder-7", "CONSUMPTION", [(70_000, 0, 900)]) == 403
            assert (rig.slot.allowed()[0], rig.slot.target()) == (-50_000, -70_000)

    run(play())


def test_a_compliance_error_reaches_the_provider(tls: Tls, tmp_path: Path) -> None:
    """OSCP-6: measured beyond the limit for longer than it may be."""

    async def play() -> None:
        async with provider(config_of(tls, compliance_s=0.05), tmp_path, tls) as rig, online(rig) as cp:
            await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)])
            asked = cp.events[-1].headers["X-Request-ID"]
            rig.plant.set(pcc_w=-60_000.0)
            error = await cp.wait("group_capacity_compliance_error")
            assert error.headers["X-Correlation-ID"] == asked
            assert "60000 W are consumed, 50000 W are allowed" in error.body["message"]

    run(play())


def test_after_a_restart_fallback_rules_until_the_provider_is_back(tls: Tls, tmp_path: Path) -> None:
    """OSCP-5, row 20: series and tokens from disk; our handshake goes out; the fallback until it is complete."""

    async def play() -> None:
        config = config_of(tls)
        async with Party(tls) as cp:
            async with provider(config, tmp_path, tls) as rig:
                await cp.register(rig.url, rig.invite())
                await cp.shake()
                await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)])
                await cp.forecast("feeder-7", "FALLBACK_CONSUMPTION", [(5_000, 0, 900)])
            seen = len(cp.received("handshake"))
            async with provider(config, tmp_path, tls) as rig:
                assert rig.slot.allowed() == (-5_000, 0)
                await cp.wait("handshake", seen + 1)
                assert await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)]) == 403
                await cp.shake()
                await rig.until("live", lambda: rig.slot.allowed() == (-50_000, 0))

    run(play())


def test_a_new_loop_process_gets_the_plan_again_and_a_loop_that_is_away_is_told(tls: Tls, tmp_path: Path) -> None:
    async def play() -> None:
        async with provider(config_of(tls, compliance_s=0.05), tmp_path, tls) as rig, online(rig) as cp:
            rig.slot.away = True
            assert await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)]) == 204
            error = await cp.wait("group_capacity_compliance_error")
            assert "could not be put into force" in error.body["message"]
            rig.slot.away = False
            await rig.until("written", lambda: rig.slot.plans)
            rig.plant.set(tick=100)
            await rig.until("seen", lambda: rig.desk.snapshot and rig.desk.snapshot.tick == 100)
            written = len(rig.slot.plans)
            rig.plant.set(tick=1)
            await rig.until("written again", lambda: len(rig.slot.plans) > written)

    run(play())


def test_the_operator_registers_looks_and_removes(tls: Tls, tmp_path: Path) -> None:
    """What `bessctl oscp` asks; registration begun by us (OSCP-1)."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, party(rig) as cp:
            commands = Commands(rig.desk, rig.lines)
            assert [p["state"] for p in commands.answer({"action": "peers"})["peers"]] == ["unregistered"]
            cp.token_expected = "their-a"
            commands.answer({"action": "register", "peer": "dso", "url": cp.url, "token": "their-a"})
            await cp.wait("register")
            cp.token_expected = "their-b"
            assert await cp.send("register", cp.register_body()) == 204
            assert [p["state"] for p in commands.answer({"action": "peers"})["peers"]] == ["registered"]
            await cp.shake()
            await cp.forecast("feeder-7", "CONSUMPTION", [(9, 0, 900), (8, 900, 1800)])
            await rig.until("online", lambda: rig.peer().connection.online)
            rows = commands.answer({"action": "forecast"})["forecasts"]
            assert [(r["rules"], r["consumption_w"]) for r in rows] == [("live", 9.0), ("live", 8.0), ("live", 0.0)]
            assert commands.answer({"action": "remove", "peer": "dso"}) == {"removed": "dso"}
            await rig.until("told", lambda: [e for e in cp.received("register") if e.method == "DELETE"])
            assert rig.slot.last.blocks == ()
            for wrong in (
                {"action": "remove", "peer": "nobody"},
                {"action": "dance"},
                {"action": "register", "peer": "dso", "url": "http://x"},
            ):
                with pytest.raises(UsageError):
                    commands.answer(wrong)
            with pytest.raises(Refused):
                commands.answer({"action": "remove", "peer": "dso"})

    run(play())


def test_keep_alive_that_the_peer_closes_costs_nothing(tls: Tls, tmp_path: Path) -> None:
    """Row 29: an outage of the peer between two messages; the next one is sent again with its id until it is taken."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            await cp.vanish()
            assert await cp.send("handshake", {}) == 204
            await rig.until("tried", lambda: any("handshake_acknowledge: None" in line for line in rig.logs))
            await cp.listen()
            rig.clock.leap(2)
            rig.poke()
            await cp.wait("handshake_acknowledge", 2)

    run(play())


def test_a_message_whose_connection_is_being_made_waits_for_our_answer_too(tls: Tls, tmp_path: Path) -> None:
    """FR.01 of 1.8: between handing a message out and writing it a request of the peer may begin; then it is held at the socket."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            line = rig.lines["dso"]
            async with Client(lambda: client_context(tls.ca_file), line.ready, 10) as client:
                line.began()
                sending = asyncio.create_task(client.send("POST", f"{cp.url}/heartbeat", {"X-Request-ID": "held"}, b"{}"))
                done, _ = await asyncio.wait({sending}, timeout=0.2)
                assert not done
                assert "held" not in {e.headers["X-Request-ID"] for e in cp.received("heartbeat")}
                line.answered()
                assert (await sending).status == 403, "it went out without a token"

    run(play())


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_corrected_clock_moves_the_plan_at_once_and_not_the_lease(tls: Tls, tmp_path: Path, hours: int) -> None:
    """Nothing comes from the peer meanwhile: the provider sees by itself that the date has changed."""

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig, online(rig) as cp:
            await cp.forecast("feeder-7", "CONSUMPTION", [(10, -5000, -1800), (20, -1800, 1800), (30, 1800, 5000)])
            assert rig.slot.allowed()[0] == -20
            lease_ns = rig.slot.last.lease_until_ns
            rig.clock.correct(3600 * hours)
            # Blocks that were past when they came are not kept: an hour back nothing is agreed.
            await rig.until("another block", lambda: rig.slot.allowed()[0] == (-30 if hours == 1 else 0))
            assert rig.slot.last.lease_until_ns == lease_ns
            rig.clock.trusted = False
            await rig.until("the tightest of all", lambda: rig.slot.allowed()[0] == 0)

    run(play())
