"""1.6 and 2.0.1 on real sockets on one plant: negotiation, interlock, priority, floods, the hand (OCPP-1, OCPP-10, OCPP-17)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ocpp.v201 import call as call201

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.clock import SystemClock
from bessctl.protocols.ocpp.binding.flow import BURST_S, MOST_S, SLOWER, Flow
from bessctl.protocols.ocpp.binding.handsocket import read_order
from bessctl.protocols.ocpp.binding.secrets import Secrets
from bessctl.protocols.ocpp.binding.station import run_station
from bessctl.protocols.ocpp.config import LinkConfig, StationConfig, Tls
from bessctl.protocols.ocpp.messages.records import TokenReply, TxStarted
from bessctl.protocols.ocpp.session import writes as w
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.plant import Direction
from bessctl.sim.csms import Csms
from bessctl.store import Statement, Store
from tests.protocols.ocpp.certificates import issue, server_context
from tests.protocols.ocpp.fakes import FakePlans, FakePlant
from tests.protocols.ocpp.harness import LOG, QUICK, link_to, station
from tests.protocols.ocpp.sansio import Talk
from tests.protocols.ocpp.test_dialect16 import STAMP
from tests.protocols.ocpp.test_ledger import reading


@pytest.mark.parametrize(
    ("offered", "spoken", "agreed"),
    [
        (("2.0.1", "1.6"), ("1.6",), "1.6"),
        (("2.0.1", "1.6"), ("2.0.1",), "2.0.1"),
        (("1.6",), ("2.0.1", "1.6"), "1.6"),
        (("2.0.1",), ("2.0.1", "1.6"), "2.0.1"),
    ],
)
def test_the_csms_chooses_among_what_is_offered(offered: tuple[str, ...], spoken: tuple[str, ...], agreed: str, tmp_path: Path) -> None:
    """OCPP-1: subprotocol negotiation, with the fall-back to what the CSMS speaks."""

    async def story() -> None:
        async with Csms(versions=spoken) as csms, station(csms, tmp_path, version=offered):
            await (csms.station("BESS1") if agreed == "1.6" else csms.station201("BESS1"))

    asyncio.run(story())


def test_from_boot_to_stop_in_2_0_1_over_tls(tmp_path: Path) -> None:
    """CARD-2, OCPP-2: the whole job against a CSMS of the `ocpp` package."""
    cert, key = issue(tmp_path, "csms")

    async def story() -> None:
        csms = Csms(context=server_context(cert, key), versions=("2.0.1",))
        keys = {"MeterValueSampleInterval": "1"}
        async with csms, station(csms, tmp_path, version=("2.0.1",), tls=Tls(ca_file=cert), keys=keys) as rig:
            rig.plant.energy(export_wh=1000.0)
            peer = await csms.station201("BESS1")
            answer = await peer.start_transaction("TAG1")
            assert answer.status == "Accepted"
            assert rig.plans.target_w() == 150_000.0
            await csms.wait("TransactionEvent", where=lambda p: p["event_type"] == "Updated")
            report = await peer.ask(call201.GetBaseReport(request_id=1, report_base="FullInventory"))
            assert report.status == "Accepted"
            await csms.wait("NotifyReport", where=lambda p: not p["tbc"])
            rig.plant.energy(export_wh=2500.0)
            await rig.seen()
            assert await peer.stop_transaction(answer.transaction_id) == "Accepted"
            await csms.wait("TransactionEvent", where=lambda p: p["event_type"] == "Ended")
            assert rig.plans.target_w() is None

    asyncio.run(story())


@contextlib.asynccontextmanager
async def running(path: Path, *links: LinkConfig, **config: Any) -> AsyncIterator[tuple[FakePlant, FakePlans, Store]]:
    """A station with several links until the block ends."""
    store, plant, plans = Store(path / "state.sqlite"), FakePlant(), FakePlans()
    made = StationConfig(links, plant_poll_s=0.01, renew_s=0.05, **config)
    task = asyncio.create_task(run_station(made, store, plans, plant, SystemClock(), LOG))
    try:
        async with asyncio.timeout(30):
            yield plant, plans, store
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        store.close()


def test_both_versions_share_the_plant(tmp_path: Path) -> None:
    """Settled 2: the sum is one target; the other direction is Unavailable on both; a higher priority takes from a lower one.
    The target is the sum of the grants: within the envelope, though more is claimed."""

    async def story() -> None:
        async with Csms() as old, Csms(versions=("2.0.1",)) as new:
            a = link_to(old)
            b = replace(link_to(new), name="new", version=("2.0.1",), priority=1)
            async with running(tmp_path, a, b) as (_, plans, store):
                first, second = await old.station("BESS1"), await new.station201("BESS1")
                assert await first.remote_start("T") == "Accepted"
                assert (await second.start_transaction("T", evse=2)).status == "Rejected"
                await new.wait("StatusNotification", where=lambda p: p["evse_id"] == 2 and p["connector_status"] == "Unavailable")
                answer = await second.start_transaction("T", evse=1)
                assert answer.status == "Accepted"
                # 150 kW each are claimed, of which the envelope leaves 200: the later one is served first.
                await new.wait("TransactionEvent", where=lambda p: p["transaction_info"].get("charging_state") == "Charging")
                assert plans.target_w() == 200_000.0
                assert await second.stop_transaction(answer.transaction_id) == "Accepted"
                await new.wait("TransactionEvent", where=lambda p: p["event_type"] == "Ended")
                assert plans.target_w() == 150_000.0
                assert store.read("SELECT count(*) FROM ocpp_tx WHERE link = 'cpo'") == [(1,)]

    asyncio.run(story())


def test_a_higher_priority_is_served_first() -> None:
    ledger = Ledger()
    ledger.observe(reading())
    assert ledger.ask("low", "1", Direction.DISCHARGE, 150_000.0).claim_w == 150_000.0
    assert ledger.ask("high", "2", Direction.DISCHARGE, 150_000.0, 5).claim_w == 150_000.0
    assert (ledger.granted_w("high", "2"), ledger.granted_w("low", "1")) == (150_000.0, 50_000.0)
    assert ledger.offered_w("low", Direction.DISCHARGE) == 50_000.0
    assert ledger.ask("same", "3", Direction.DISCHARGE, 150_000.0).claim_w == 0.0


def test_a_flood_is_read_at_a_part_of_its_rate() -> None:
    """OCPP-10: no frame is refused and none is answered wrong; beyond the rate the peer waits in its own socket."""
    flow, now_s = Flow(2.0), 0.0
    burst = 0
    while (pause_s := flow.pause_s(now_s, rushed=True)) == 0.0:
        burst += 1
    assert burst == 2 * BURST_S
    read = 0
    while now_s < 400.0:
        now_s, read = now_s + pause_s, read + 1
        pause_s = flow.pause_s(now_s, rushed=True)
    assert read == 400 * 2 / SLOWER
    assert flow.pause_s(now_s + pause_s, 10.0, rushed=True) == MOST_S, "what is malformed counts more, and is read again all the same"
    rested_s = now_s + pause_s + MOST_S + 10.0
    assert sum(flow.pause_s(rested_s) == 0.0 for _ in range(100)) == 20, "who rests gets it back at the full rate"


def test_who_waits_for_answers_is_read_at_the_rate() -> None:
    """A CSMS in a hurry that keeps to OCPP-J 4.1.1, one CALL after the other: no worse than its rate."""
    flow, now_s, read = Flow(2.0), 0.0, 0
    while now_s < 400.0:
        now_s, read = now_s + flow.pause_s(now_s) + 0.05, read + 1
    assert read >= 380 * 2


def test_who_keeps_to_the_rate_never_waits() -> None:
    quiet = Flow(2.0)
    assert all(quiet.pause_s(n / 2) == 0.0 for n in range(1000))
    assert all(quiet.pause_s(500.0, 0.0) == 0.0 for _ in range(1000)), "answers to what we asked are free"


@pytest.mark.parametrize(
    ("text", "charge"),
    [('[3,"x",{}]', 10.0), ("{", 10.0), ('[2,"a","Nonsense",{}]', 10.0), ('[2,"a","GetLocalListVersion",{}]', 1.0)],
)
def test_what_a_frame_counts(text: str, charge: float) -> None:
    from tests.protocols.ocpp.sansio import Talk  # noqa: PLC0415

    assert Talk().booted().raw(text).charge == charge


def test_a_flood_does_not_hold_up_another_link(tmp_path: Path) -> None:
    async def story() -> None:
        async with Csms() as bad, Csms() as good:
            loud = replace(link_to(bad), calls_per_s=20.0)
            async with running(tmp_path, loud, replace(link_to(good), name="good")):
                flooder, peer = await bad.station("BESS1"), await good.station("BESS1")
                await good.wait("StatusNotification", 3)
                flood = asyncio.create_task(_flood(flooder))
                for _ in range(3):
                    assert await peer.change_configuration("HeartbeatInterval", "60") == "Accepted"
                flood.cancel()
                assert "BESS1" in bad.peers

    asyncio.run(story())


async def _flood(peer: Any) -> None:
    for _ in range(300):
        await peer.connection.send('[2,"x","GetConfiguration",{}]')


def test_a_bad_certificate_is_told_after_the_good_one(tmp_path: Path) -> None:
    """Settled 1: the security event follows once a connection stands."""
    expired, expired_key = issue(tmp_path, "old", days=-1)
    cert, key = issue(tmp_path, "csms")
    both = tmp_path / "both.pem"
    both.write_text(expired.read_text() + cert.read_text())

    async def story() -> None:
        context = server_context(expired, expired_key)
        async with Csms(context=context) as csms:
            port = csms.port
            async with station(csms, tmp_path, tls=Tls(ca_file=both)) as rig:
                await rig.until(lambda: rig.plant.reads > 0)
                await rig.until(lambda: bool(rig.store.read("SELECT 1 FROM ocpp_queue WHERE data LIKE '%InvalidCentral%'")))
                await csms.stop()
                async with Csms(context=server_context(cert, key), port=port) as better:
                    await better.station("BESS1")
                    await better.wait("SecurityEventNotification", where=lambda p: p["type"] == "InvalidCentralSystemCertificate")

    asyncio.run(story())


def test_the_hand_at_its_socket(tmp_path: Path) -> None:
    """Settled 17."""

    async def story() -> None:
        async with Csms() as csms:
            hand = tmp_path / "hand.sock"
            async with running(tmp_path, link_to(csms, armed_by_hand=True), hand_socket=hand):
                await csms.station("BESS1")
                reader, writer = await asyncio.open_unix_connection(hand)

                async def ask(**order: Any) -> dict[str, Any]:
                    writer.write(json.dumps(order).encode() + b"\n")
                    answer: dict[str, Any] = json.loads(await reader.readline())
                    return answer

                assert await ask(cmd="plug_in", connector=1) == {"ok": True}
                assert await ask(cmd="swipe", token="CARD", connectors=[1]) == {"ok": True}
                await csms.wait("StartTransaction")
                assert (await ask(cmd="plug_in", connector=9))["ok"] is False
                assert (await ask(cmd="plug_in", connector="1"))["ok"] is False
                assert await ask(cmd="disconnect") == {"ok": True}
                await csms.until(lambda: not csms.peers)
                assert await ask(cmd="plug_out", connector=1) == {"ok": True}
                assert await ask(cmd="connect") == {"ok": True}
                stopped = await csms.wait("StopTransaction")
                assert stopped.payload["reason"] == "EVDisconnected"
                assert hand.stat().st_mode & 0o777 == 0o600
                writer.close()

    asyncio.run(story())


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"cmd": 1}', b'{"cmd": "swipe", "more": 1}', b'{"link": "x"}'])
def test_orders_that_are_none(line: bytes) -> None:
    with pytest.raises(UsageError):
        read_order(line, ("cpo",))


def holding(folder: Path, text: bytes) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text in p.read_bytes()]


def test_a_token_is_nowhere_on_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Settled 11, OCPP-18: with the CSMS silent and the message waiting, neither file nor log holds the token; delivered, it is erased."""
    caplog.set_level(logging.DEBUG, "test.ocpp")

    async def story() -> None:
        async with Csms() as csms, station(csms, tmp_path) as rig:
            peer = await rig.peer()
            csms.policy.delay_s["StartTransaction"] = 3600
            assert await peer.remote_start("SECRETTOKEN42") == "Accepted"
            await csms.wait("StartTransaction")
            await rig.store.write(())
            assert holding(tmp_path, b"SECRETTOKEN42") == []
            assert "sealed:" in str(rig.store.read("SELECT data FROM ocpp_queue"))

    asyncio.run(story())
    assert "SECRETTOKEN42" not in caplog.text


def test_what_is_old_is_forgotten(tmp_path: Path) -> None:
    """OCPP-18: audit and buried messages go after the retention time; a buried message has no token."""
    store, secrets = Store(tmp_path / "s.sqlite"), Secrets(bytes(32))
    store.migrate(tables.NAMESPACE, tables.LADDER)
    day = 86_400 * 10**9
    rows = tables.audit_statements("cpo", w.Audit("a", "old"), 1 * day, 0) + tables.audit_statements(
        "cpo", w.Audit("a", "new"), 99 * day, 0
    )
    item = w.QueueItem(1, TxStarted("t", 1, "TOKEN", 0, STAMP))
    rows += tables.statements(w.Enqueue(item), "cpo", secrets) + tables.statements(w.Bury(1, "why"), "cpo", secrets)
    rows += tables.audit_statements("cpo", w.Audit("a", "undated"), None, 0)
    store.submit([*rows, *tables.retention_statements(100 * day, 90)]).result(10)
    assert store.read("SELECT detail FROM ocpp_audit") == [("new",), ("undated",)]
    assert store.read("SELECT utc_ns FROM ocpp_buried") == [(100 * day,)], "dated by a clock that is trusted, not by SQLite's"
    assert "id_token" not in str(store.read("SELECT data FROM ocpp_buried"))
    store.submit(tables.retention_statements(191 * day, 90)).result(10)
    assert store.read("SELECT detail FROM ocpp_audit") == []
    assert store.read("SELECT data FROM ocpp_buried") == []
    store.close()


def test_a_cached_token_is_kept_no_longer_than_the_site_keeps_anything() -> None:
    """OCPP-18: one that is learnt again is young again; one of before we knew the date is dated first."""
    talk = Talk().booted()
    day = 86_400 * 10**9
    for n, token in enumerate(("OLD", "YOUNG")):
        talk.station.tokens.learn(token, TokenReply("Accepted"))
        talk.now = talk.now.later(86_400 * (1 - n))
        talk.take(talk.station.tick(talk.now))
    now_ns = talk.now.utc_ns
    assert now_ns is not None
    undated = replace(talk.station.tokens._cache["old"], learnt_ns=None)
    talk.station.tokens._cache["undated"] = undated
    for before, left in (
        (0, {"old", "young", "undated"}),
        (now_ns - day // 2, {"young", "undated"}),
        (now_ns + day, set()),
    ):
        talk.station.tokens.expire(before)
        talk.take(talk.station.tick(talk.now))
        assert {token for token in ("old", "young", "undated") if talk.station.tokens.held(token)[1]} == left
    assert talk.restarted().station.tokens.known("YOUNG") is None


def test_a_store_of_before_is_taken_over(tmp_path: Path) -> None:
    """A transaction that ran when the product was updated goes on; its token is no longer known."""
    store = Store(tmp_path / "s.sqlite")
    store.migrate(tables.NAMESPACE, tables.LADDER[:1])
    old = '{"id":"t","connector":1,"id_token":"T","started":{"utc_ns":1,"mono_ns":1,"boot":"b"},"meter_start_wh":0,"claim_w":1.0,"order":1}'
    store.submit([Statement("INSERT INTO ocpp_tx VALUES ('cpo', 't', ?)", (old,))]).result(10)
    store.migrate(tables.NAMESPACE, tables.LADDER)
    assert tables.load(store, "cpo", Secrets(bytes(32))).transactions[0].token == ""
    store.close()


def test_back_off_is_what_the_csms_set(tmp_path: Path) -> None:
    from tests.protocols.ocpp.sansio import LINK, Talk  # noqa: PLC0415

    assert Talk(replace(LINK, back_off=QUICK)).station.back_off() == QUICK
    talk = Talk(replace(LINK, back_off=QUICK, keys={"OCPPCommCtrlr.RetryBackOffWaitMinimum": "7"}))
    assert talk.station.back_off().minimum_s == 7.0
