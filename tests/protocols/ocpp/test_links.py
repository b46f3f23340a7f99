"""Links on real sockets: TLS, BasicAuth, bad frames, flaps, restarts (OCPP-2, OCPP-7, OCPP-19; settled 1, 5, 7, 8)."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ocpp.v16 import call
from ocpp.v201 import call as call201

from bessctl.errors import OperationFailed, UsageError
from bessctl.protocols.ocpp.binding import link as link_module
from bessctl.protocols.ocpp.binding import station as station_module
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.clock import SystemClock
from bessctl.protocols.ocpp.binding.desk import Desk
from bessctl.protocols.ocpp.binding.keeper import Keeper
from bessctl.protocols.ocpp.binding.link import Link, Shared
from bessctl.protocols.ocpp.binding.outbox import Outbox
from bessctl.protocols.ocpp.binding.pace import Pace
from bessctl.protocols.ocpp.binding.secrets import Secrets
from bessctl.protocols.ocpp.binding.station import run_station
from bessctl.protocols.ocpp.binding.updater import FileUpdater
from bessctl.protocols.ocpp.config import BackOff, Role, StationConfig, Tls
from bessctl.protocols.ocpp.messages.records import Boot
from bessctl.protocols.ocpp.session.backoff import Retry
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.writes import Output, PutState
from bessctl.protocols.ocpp.transport.credentials import authorization
from bessctl.sim.csms import Csms, Policy
from bessctl.store import BatchRefused, Statement, Store
from tests.protocols.ocpp.certificates import issue, server_context
from tests.protocols.ocpp.fakes import FakePlans, FakePlant
from tests.protocols.ocpp.harness import LOG, link_to, station
from tests.protocols.ocpp.sansio import LINK
from tests.protocols.ocpp.test_files import NETWORK
from tests.protocols.ocpp.test_frames import BAD


def password(path: Path, text: str) -> Path:
    file = path / "password"
    file.write_text(text)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_with_basic_auth(version: ssl.TLSVersion, tmp_path: Path) -> None:
    """OCPP-2: profile 2."""
    cert, key = issue(tmp_path, "csms")

    async def story() -> None:
        context = server_context(cert, key, version=version)
        link: dict[str, Any] = {"tls": Tls(ca_file=cert), "password_file": password(tmp_path, "s3cret\n")}
        async with Csms(context=context, passwords={"BESS1": b"s3cret"}) as csms, station(csms, tmp_path, **link) as rig:
            assert (await rig.peer()).id == "BESS1"
            assert csms.url.startswith("wss:")

    asyncio.run(story())


def test_client_certificate(tmp_path: Path) -> None:
    """OCPP-2: profile 3."""
    cert, key = issue(tmp_path, "csms")
    own, own_key = issue(tmp_path, "station")

    async def story() -> None:
        tls = Tls(cert, own, own_key)
        async with Csms(context=server_context(cert, key, client_ca=own)) as csms, station(csms, tmp_path, tls=tls) as rig:
            assert await rig.peer()

    asyncio.run(story())


def refused(tmp_path: Path, caplog: pytest.LogCaptureFixture, csms: Csms, **link: Any) -> str:
    """Dial a CSMS that must not be reached; returns what the log says."""
    caplog.set_level(logging.INFO)

    async def story() -> None:
        async with csms, station(csms, tmp_path, **link) as rig:
            await rig.until(lambda: any("dialling again" in r.message for r in caplog.records))
            assert csms.events == []

    asyncio.run(story())
    return caplog.text


@pytest.mark.parametrize(("host", "days", "says"), [("127.0.0.2", 1, "mismatch"), ("127.0.0.1", -1, "expired")])
def test_a_wrong_certificate_is_refused(host: str, days: int, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Settled 1."""
    cert, key = issue(tmp_path, "csms", host=host, days=days)
    assert says in refused(tmp_path, caplog, Csms(context=server_context(cert, key)), tls=Tls(ca_file=cert))


def test_an_unknown_authority_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = issue(tmp_path, "csms")
    other, _ = issue(tmp_path, "other")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(tmp_path, caplog, Csms(context=server_context(cert, key)), tls=Tls(ca_file=other))


def test_a_wrong_password_is_told_without_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = refused(tmp_path, caplog, Csms(passwords={"BESS1": b"right"}), password_file=password(tmp_path, "wrongwrong"))
    assert "401" in text
    assert "wrongwrong" not in text


def test_passwords_are_files_of_our_own(tmp_path: Path) -> None:
    """Settled 12: hex stands for 20 bytes; a file open to others is refused."""

    class At:
        url = "ws://x"

    file = password(tmp_path, "00ff" * 10)
    link = link_to(At(), password_file=file, password_encoding="hex", allow_plain=True)  # type: ignore[arg-type]
    assert authorization(link) == "Basic QkVTUzE6AP8A/wD/AP8A/wD/AP8A/wD/AP8="
    file.write_text("no hex")
    with pytest.raises(UsageError, match="not hexadecimal"):
        authorization(link)
    file.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        authorization(link)
    file.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        authorization(link)


def test_malformed_frames_never_close_a_good_connection(tmp_path: Path) -> None:
    """Settled 8, on the wire, with a good CALL after each."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path) as rig:
            peer = await rig.peer()
            await csms.wait("StatusNotification", 3)
            for text, *_ in BAD:
                await peer.connection.send(text)
                await peer.connection.send(b"\xff\xfe")
            assert await peer.change_configuration("HeartbeatInterval", "60") == "Accepted"
            assert csms.peers["BESS1"] is peer

    asyncio.run(story())


def test_calls_are_served_while_ours_is_unanswered(tmp_path: Path) -> None:
    """Concurrent handlers: the CSMS holds our BootNotification back and asks meanwhile."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path) as rig:
            peer = await rig.peer()
            await csms.wait("StatusNotification", 3)
            csms.policy.delay_s["Heartbeat"] = 3600
            assert await peer.trigger("Heartbeat") == "Accepted"
            await csms.wait("Heartbeat")
            await peer.connection.send('[2,"x1","GetConfiguration",{"key":["NumberOfConnectors"]}]')
            await peer.connection.send('[2,"x2","RemoteStartTransaction",{"idTag":"T"}]')
            await rig.until(lambda: rig.plans.target_w() == 150_000.0)

    asyncio.run(story())


@pytest.mark.parametrize("action", ["BootNotification", "StartTransaction", "StopTransaction"])
def test_a_link_that_breaks_under_a_message_comes_back(action: str, tmp_path: Path) -> None:
    """OCPP-19: the connection closed instead of an answer; sent again as it was."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path) as rig:
            if action == "BootNotification":
                csms.policy.drop.add(action)
                await csms.wait(action, 2)
                csms.policy.drop.clear()
            peer = await rig.peer()
            await csms.wait("StatusNotification", 3)
            csms.policy.drop |= {action} - {"BootNotification"}
            await peer.connection.send('[2,"x","RemoteStartTransaction",{"idTag":"T"}]')
            await csms.wait("StartTransaction")
            if action == "StartTransaction":
                await csms.wait(action, 2)
                csms.policy.drop.clear()
            await csms.wait("StatusNotification", where=lambda p: p["status"] == "Charging")
            await csms.peers["BESS1"].connection.send('[2,"y","RemoteStopTransaction",{"transactionId":1}]')
            await csms.wait("StopTransaction", 2 if action == "StopTransaction" else 1)
            csms.policy.drop.clear()
            for kept in ("StartTransaction", "StopTransaction"):
                assert len({str(e.payload) for e in csms.of(kept)}) == 1

    asyncio.run(story())


def test_the_supervisor_restarts_and_the_transaction_goes_on(tmp_path: Path) -> None:
    """OCPP-19: same transaction, the plan written again once the boot was accepted, never before."""

    async def story() -> None:
        async with Csms() as csms:
            async with station(csms, tmp_path) as rig:
                assert await (await rig.peer()).remote_start("T") == "Accepted"
                await csms.wait("StatusNotification", where=lambda p: p["status"] == "Charging")
            csms.policy.boot = "Pending"
            csms.policy.interval_s = 1
            async with station(csms, tmp_path) as rig:
                await csms.wait("BootNotification", 2)
                assert rig.plans.plans == []
                csms.policy.boot = "Accepted"
                await rig.peer()
                await rig.until(lambda: rig.plans.target_w() == 150_000.0)
                assert len(csms.of("StartTransaction")) == 1
                assert await csms.peers["BESS1"].remote_stop(1) == "Accepted"
                await csms.wait("StopTransaction")

    asyncio.run(story())


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
def test_reset_begins_the_station_anew(kind: str, reason: str, tmp_path: Path) -> None:
    """OCPP-7: a new boot over a new connection, counted on disk; the transaction's end is delivered."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path, role=Role.OWNER) as rig:
            peer = await rig.peer()
            assert await peer.remote_start("T") == "Accepted"
            await csms.wait("StatusNotification", where=lambda p: p["status"] == "Charging")
            assert await peer.reset(kind) == "Accepted"
            await csms.wait("BootNotification", 2)
            stop = await csms.wait("StopTransaction")
            assert stop.payload["reason"] == reason
            assert rig.store.read("SELECT value FROM ocpp_state WHERE name = 'boots'") == [("2",)]
            assert rig.plans.target_w() is None

    asyncio.run(story())


def test_an_owners_hard_reset_is_handed_up(tmp_path: Path) -> None:
    """Settled 5: Hard from an owner restarts the supervisor, from an operator its own station."""

    async def story() -> None:
        told: list[str] = []
        async with Csms() as csms:
            store = Store(tmp_path / "s.sqlite")
            for role in (Role.OPERATOR, Role.OWNER):
                config = StationConfig((link_to(csms, role=role),))
                run = run_station(config, store, FakePlans(), FakePlant(), SystemClock(), LOG, on_hard_reset=told.append)
                boots = len(csms.of("BootNotification"))
                task = asyncio.create_task(run)
                await csms.wait("BootNotification", boots + 1)
                await (await csms.station("BESS1")).reset("Hard")
                await csms.wait("BootNotification", boots + 2)
                task.cancel()
                await asyncio.wait([task])
                await csms.until(lambda: not csms.peers)
            store.close()
        assert told == ["cpo"]

    asyncio.run(story())


def test_the_lease_lapses_when_the_peer_is_silent(tmp_path: Path) -> None:
    """The lease is renewed by frames from the peer (pongs among them) and by nothing else."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path, lease_s=0.6, keys={"MeterValueSampleInterval": "0"}) as rig:
            peer = await rig.peer()
            assert await peer.remote_start("T") == "Accepted"
            first = rig.plans.last.lease_until_ns
            await rig.until(lambda: rig.plans.last.lease_until_ns > first + 1_000_000_000)
            assert rig.plans.target_w() == 150_000.0
            csms.policy.drop.add("BootNotification")
            await csms.stop()
            await rig.until(lambda: rig.plans.target_w() is None)
            assert rig.plans.last.fallback == ()

    asyncio.run(story())


def test_two_links_share_the_plant(tmp_path: Path) -> None:
    """Settled 2: two CSMSs discharge together; each sees its own transaction; a crash of neither peer touches the other."""

    async def story() -> None:
        async with Csms() as a, Csms() as b:
            store, plans = Store(tmp_path / "s.sqlite"), FakePlans()
            links = (link_to(a), link_to(b, name="utility"))
            task = asyncio.create_task(run_station(StationConfig(links, plant_poll_s=0.01), store, plans, FakePlant(), SystemClock(), LOG))
            one, two = await a.station("BESS1"), await b.station("BESS1")
            assert await one.remote_start("T") == "Accepted"
            assert await two.remote_start("U", connector=2) == "Rejected"
            assert await two.remote_start("U") == "Accepted"
            assert plans.target_w() == 200_000.0
            await b.wait("StartTransaction")
            assert [e.payload["id_tag"] for e in a.of("StartTransaction")] == ["T"]
            assert await two.remote_stop(1) == "Accepted"
            assert plans.target_w() == 150_000.0
            task.cancel()
            await asyncio.wait([task])
            store.close()

    asyncio.run(story())


def test_what_the_store_refuses_takes_its_own_link_down_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A CSMS whose messages cannot be kept begins anew from the store, is answered nothing meanwhile, and keeps no power that was
    not kept; the other CSMSs notice nothing (issue 5: bad input never stops another one)."""
    monkeypatch.setattr(station_module, "CRASH_S", 0.2)

    async def story() -> None:
        async with Csms() as a, Csms() as b:
            store, plans = Store(tmp_path / "s.sqlite"), FakePlans()
            links = (link_to(a), link_to(b, name="utility"))
            task = asyncio.create_task(run_station(StationConfig(links, plant_poll_s=0.01), store, plans, FakePlant(), SystemClock(), LOG))
            one, two = await a.station("BESS1"), await b.station("BESS1")
            refuse = "BEGIN SELECT RAISE(ABORT, 'never'); END"
            await store.write([Statement(f"CREATE TRIGGER no BEFORE INSERT ON ocpp_tx WHEN NEW.link = 'cpo' {refuse}")])
            lost = asyncio.create_task(one.remote_start("T"))
            await one.connection.wait_closed()
            lost.cancel()
            async with asyncio.timeout(10):
                while await two.remote_start("U", connector=2) != "Accepted":
                    assert not (await asyncio.wait([task], timeout=0.01))[
                        0
                    ]  # until the link began anew: then the other direction is free again
            await store.write([Statement("DROP TRIGGER no")])
            await a.until(lambda: a.peers.get("BESS1", one) is not one and a.peers["BESS1"].booted)
            assert await (await a.station("BESS1")).remote_start("T") == "Rejected"
            assert two.connection.close_code is None
            task.cancel()
            await asyncio.wait([task])
            store.close()

    asyncio.run(story())
    assert "ocpp link cpo crashed" in caplog.text
    assert "refused a batch: never" in caplog.text


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (OperationFailed("the disk is full"), True),
        (ExceptionGroup("", [ValueError(), ExceptionGroup("", [OperationFailed("the disk is full")])]), True),
        (BatchRefused("a number of more than 64 bits"), False),
        (ExceptionGroup("", [BatchRefused("a number"), ValueError()]), False),
    ],
)
def test_a_store_that_keeps_nothing_ends_the_station(error: Exception, ends: bool) -> None:
    assert station_module._of_store(error) is ends


def test_frames_wait_for_every_batch_before_them(tmp_path: Path) -> None:
    """OCPP-19: frames of a step that keeps nothing itself overtook what an earlier step had yet to keep."""

    class Wire:
        """A connection that takes a frame and says whether the disk was done by then."""

        full = False

        def __init__(self, kept: Future[None]) -> None:
            self.kept, self.frames = kept, asyncio.Queue[tuple[str, bool]]()

        def write(self, text: str, /) -> None:
            self.frames.put_nowait((text, self.kept.done()))

        async def drain(self) -> None:
            return

    async def story() -> None:
        kept: Future[None] = Future()
        store = Store(tmp_path / "s.sqlite")
        store.migrate(tables.NAMESPACE, tables.LADDER)
        store.submit = lambda statements: kept  # type: ignore[method-assign]
        desk = Desk(StationConfig(()), FakePlans(), FakePlant(), SystemClock(), ledger=Ledger(), log=LOG)
        keeper = Keeper(store, desk.ledger)
        link = Link(
            LINK, Shared(Boot("v", "m"), store, desk, Random(1), LOG, Secrets(bytes(32)), tmp_path, FileUpdater(tmp_path), keeper, Pace())
        )
        wire = Wire(kept)
        link._outbox = Outbox(wire)
        link._carry_out(Output(writes=[PutState("boots", "1")]))
        link._carry_out(Output(frames=['[2,"a","Heartbeat",{}]']))
        link._carry_out(Output(frames=['[3,"b",{"status":"Unlocked"}]']))
        link._carry_out(Output(frames=['[3,"c",{"status":"Accepted"}]'], writes=[PutState("boots", "2")]), heard=True)
        asyncio.get_running_loop().call_later(0.01, kept.set_result, None)
        sent = [await wire.frames.get() for _ in range(3)]
        assert [(text[:6], kept) for text, kept in sent] == [('[2,"a"', True), ('[3,"b"', True), ('[3,"c"', True)]
        store.close()

    asyncio.run(story())


def test_an_answer_that_keeps_nothing_waits_for_no_disk(tmp_path: Path) -> None:
    """OCPP-12: with 200 links that write all the time it waited for the batches of others."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path) as rig:
            peer = await rig.peer()
            assert await peer.remote_start("T") == "Accepted"
            await csms.wait("StatusNotification", where=lambda p: p["status"] == "Charging")
            csms.policy.delay_s["MeterValues"] = 0.1
            assert await peer.trigger("MeterValues", 1) == "Accepted"
            await csms.wait("MeterValues")
            real, held = rig.store.submit, list[Future[None]]()

            def submit(statements: Any) -> Future[None]:
                held.append(Future())
                return held[-1]

            rig.store.submit = submit  # type: ignore[method-assign]
            await rig.until(lambda: bool(held))
            answer = await peer.call(call.GetConfiguration(key=["HeartbeatInterval"]))
            assert answer.configuration_key
            assert not any(batch.done() for batch in held)
            rig.store.submit = real  # type: ignore[method-assign]

    asyncio.run(story())


def test_a_message_too_long_never_closes_a_good_connection(tmp_path: Path) -> None:
    """OCPP-10: whole, in fragments, as an answer, of any length; each leaves a line in the audit, and a good CALL follows."""

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path, max_frame_bytes=1000) as rig:
            peer = await rig.peer()
            await csms.wait("StatusNotification", 3)
            for text in ('[2,"a","DataTransfer",{"vendorId":"', '[3,"a",{"x":"', "not json "):
                await peer.connection.send(text + "x" * 3000)
                await peer.connection.send([text, *["x" * 900] * 5])
            assert await peer.change_configuration("HeartbeatInterval", "60") == "Accepted"
            assert csms.peers["BESS1"] is peer
            assert rig.store.read(
                "SELECT count(*) FROM ocpp_audit WHERE detail LIKE '%longer than 1000 bytes%' OR detail LIKE '%open call%'"
            ) == [(6,)]

    asyncio.run(story())


def test_a_pong_behind_a_flood_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OCPP-10: what we do not read yet is no silence; a flooding CSMS was dialled anew every 40 s, TLS handshake and all."""
    monkeypatch.setattr(link_module, "PONG_TIMEOUT_S", 0.05)

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path, calls_per_s=4.0, lease_s=0.3) as rig:
            peer = await rig.peer()
            for n in range(300):
                await peer.connection.send(f'[2,"{n}","GetConfiguration",{{"key":["HeartbeatInterval"]}}]')
            answered = asyncio.create_task(peer.connection.ping())
            reads = rig.plant.reads
            await rig.until(lambda: rig.plant.reads > reads + 40)
            assert csms.peers["BESS1"] is peer
            answered.cancel()

    asyncio.run(story())


def test_a_csms_that_comes_back_is_dialled_without_delay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Settled 7: each good connection takes the back-off to its beginning, though only the first of all sends a BootNotification."""
    caplog.set_level(logging.INFO)

    async def story() -> None:
        waits = BackOff(minimum_s=0.02, random_range_s=0.001, repeat_times=10)
        async with Csms() as csms, station(csms, tmp_path, back_off=waits) as rig:
            await csms.station("BESS1")
            for _ in range(6):
                was = csms.peers["BESS1"]
                await was.connection.close()
                await csms.until(lambda was=was: csms.peers.get("BESS1", was) is not was)
                await csms.peers["BESS1"].call(call.GetLocalListVersion())
            await rig.until(lambda: caplog.text.count("dialling again in") >= 6)
            assert len(csms.of("BootNotification")) == 1

    asyncio.run(story())
    assert set(re.findall(r"dialling again in (.*) s", caplog.text)) == {"0.0"}


def test_a_csms_that_is_gone_is_left_for_the_other(tmp_path: Path) -> None:
    """B09, B10: the owner names a second CSMS; the first goes away; the second gets a BootNotification of its own, and the link stays."""

    async def story() -> None:
        async with Csms(versions=("2.0.1",)) as other:
            async with Csms(versions=("2.0.1",)) as first:
                keys = {"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "1"}
                async with station(first, tmp_path, version=("2.0.1",), role=Role.OWNER, keys=keys) as rig:
                    peer = await first.station201("BESS1")
                    await peer.ask(call201.SetNetworkProfile(2, {**NETWORK, "ocppCsmsUrl": other.url, "securityProfile": 0}))
                    place = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
                    answer = await peer.ask(call201.SetVariables([{**place, "attributeValue": "1,2"}]))
                    assert answer.set_variable_result[0]["attribute_status"] == "Accepted"
                    await first.stop()
                    peer = await other.station201("BESS1")
                    await peer.connection.close()
                    await other.until(lambda: other.peers201.get("BESS1", peer) is not peer)
                    await other.peers201["BESS1"].ask(call201.GetLocalListVersion())
                    await rig.until(lambda: rig.store.read("SELECT value FROM ocpp_state WHERE name = 'network_good'") == [("2",)])
            assert len(other.of("BootNotification")) == 1

    asyncio.run(story())


def test_redialling_is_random_doubles_and_holds() -> None:
    """Settled 7."""
    retry = Retry(lambda: BackOff(10.0, 5.0, 3), Random(4))
    waits = [retry.next_s() for _ in range(6)]
    assert all(low <= wait <= low + 5.0 for wait, low in zip(waits, (10, 20, 40, 80, 80, 80), strict=True))
    assert len(set(waits)) == 6
    retry.good()
    assert retry.next_s() <= 15.0


def test_policies_of_the_judge(tmp_path: Path) -> None:
    """The CSMS's id-tag list and failures reach the station as the standard says."""

    async def story() -> None:
        async with Csms(policy=Policy(tags={"GOOD": "Accepted"})) as csms, station(csms, tmp_path) as rig:
            peer = await rig.peer()
            assert await peer.remote_start("BAD") == "Accepted"
            stop = await csms.wait("StopTransaction")
            assert stop.payload["reason"] == "DeAuthorized"

    asyncio.run(story())
