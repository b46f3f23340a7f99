"""The publisher against a real mosquitto: nothing lost, whatever happens between the two (PLV-1, PLV-4)."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bessctl.protocols.mqtt.binding.clock import Clock
from bessctl.protocols.mqtt.binding.run import run_mqtt
from bessctl.protocols.mqtt.config import Asset, Commands, HomeAssistant, Protocol, Tls
from bessctl.protocols.mqtt.transport.dial import _Client, dial
from bessctl.store import Store
from tests.protocols.mqtt.broker import Cable, Reader, free_port, mosquitto, reader
from tests.protocols.mqtt.harness import LivePlant, broker, config, message, running
from tests.protocols.mqtt.tiny import V5, V311, Tiny
from tests.protocols.ocpp.certificates import issue
from tests.protocols.ocpp.fakes import FakePlans


def timestamps(count: int) -> set[str]:
    return {json.loads(message(n)[1])["timestamp"] for n in range(count)}


def test_a_measurement_reaches_the_broker_in_the_schema(tmp_path: Path) -> None:
    """PLV-1: the fields of seed 004, charging positive, SoC of the operational window, net energy."""

    async def story() -> None:
        plant = LivePlant()
        plant.set(ess_w=-7000.0)
        plant.energy(import_wh=2_000_000.0, export_wh=969_596.0)
        async with mosquitto(tmp_path) as m, reader(m.port) as r, running(tmp_path, broker(m.port, interval_s=0.1), plant):
            await r.different(2)
            one = r.on("site/LR34_001")[0]
            assert list(one) == ["assetId", "timestamp", "energyValue", "powerValue", "currentStateOfCharge"]
            assert (one["assetId"], one["energyValue"], one["powerValue"], one["currentStateOfCharge"]) == (
                "LR34_001", 1_030_404.0, 7000.0, 56.25,
            )  # fmt: skip
            assert not any(retained for _, _, retained in r.messages)

    asyncio.run(story())


def test_what_was_measured_without_a_broker_is_delivered_when_it_comes(tmp_path: Path) -> None:
    """PLV-4: two days, a message a minute, spooled on disk before the broker ever was there."""
    two_days = 2 * 1440

    async def story() -> None:
        port = free_port()
        async with running(tmp_path, broker(port)) as rig:
            await rig.keep(range(two_days), at_once=1440)
            assert len(rig.publisher.spool) == two_days
        async with mosquitto(tmp_path / "m") as m, reader(m.port) as r, running(tmp_path, broker(m.port, in_flight_max=500)) as rig:
            assert len(rig.publisher.spool) == two_days
            await r.different(two_days)
            await rig.empty()
            seen = [v["timestamp"] for v in r.on("site/LR34_001")]
        assert set(seen) == timestamps(two_days)
        assert seen == sorted(seen), "oldest first"
        assert len(seen) == two_days, "no duplicates where nothing failed"

    asyncio.run(story())


def test_a_killed_broker_loses_nothing(tmp_path: Path) -> None:
    """PLV-4: killed in the middle of a backlog, three times."""

    async def story() -> None:
        async with mosquitto(tmp_path / "m") as server, Cable(server.port) as cable:
            cable.cut()  # nobody may publish before the reader is there: mosquitto keeps nothing for it
            async with running(tmp_path, broker(cable.port, resume_per_s=800.0)) as rig:
                into = Reader()
                await rig.keep(range(1000), at_once=500)
                for count in (200, 500, 800):
                    async with reader(server.port, into=into, to_the_end=True):
                        cable.mend()
                        await into.different(count)
                        await server.kill()
                    cable.cut()
                    await server.start()
                async with reader(server.port, into=into):
                    cable.mend()
                    await rig.empty()
                    await into.different(1000)
            assert set(into.counts) == timestamps(1000)

    asyncio.run(story())


def test_a_cut_network_is_noticed_and_what_was_in_flight_is_sent_again(tmp_path: Path) -> None:
    """PLV-4: bytes vanish and nobody is told; a missing PUBACK ends the connection. Duplicates carry the same asset and timestamp."""

    async def story() -> None:
        async with mosquitto(tmp_path / "m") as m, Cable(m.port) as cable, reader(m.port) as r:
            async with running(tmp_path, broker(cable.port, ack_timeout_s=0.3)) as rig:
                await rig.keep(range(10))
                await rig.empty()
                cable.cut()
                await rig.keep(range(10, 30))
                await rig.until(lambda: not rig.publisher.connected)
                assert len(rig.publisher.spool) == 20
                cable.mend()
                await rig.empty()
            await r.different(30)
            assert set(r.counts) == timestamps(30)

    asyncio.run(story())


def test_a_lost_puback_makes_a_duplicate_and_no_loss(tmp_path: Path) -> None:
    """The broker had the message, its PUBACK got lost: at least once, recognisable by asset and timestamp."""

    async def story() -> None:
        async with mosquitto(tmp_path / "m") as m, Cable(m.port) as cable, reader(m.port) as r:
            async with running(tmp_path, broker(cable.port, ack_timeout_s=0.3)) as rig:
                await rig.until(lambda: rig.publisher.connected)
                setattr(rig.publisher.outbox, "answered", lambda *_: None)  # noqa: B010 - deaf to PUBACKs
                await rig.keep(range(1))
                await r.different(1)
                await rig.until(lambda: not rig.publisher.connected)
                del rig.publisher.outbox.answered
                await rig.empty()
            assert next(iter(r.counts.values())) >= 2
            assert set(r.counts) == timestamps(1)

    asyncio.run(story())


def test_a_refused_publish_is_kept_and_raises_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reason 0x87 by the broker's access list: kept; delivered when the list was corrected."""

    async def story() -> None:
        caplog.set_level(logging.INFO, "test.mqtt")
        acl = ("topic read #", "topic write other/#")
        async with mosquitto(tmp_path / "m", acl=acl) as m, reader(m.port) as r, running(tmp_path, broker(m.port)) as rig:
            await rig.keep(range(3))
            await rig.until(lambda: rig.publisher.outbox.refused == 0x87)
            assert len(rig.publisher.spool) == 3
            assert rig.publisher.status()["refused_reason"] == 0x87
            assert rig.publisher.outbox.room(rig.publisher._desk.clock.mono_ns()) == 0, "it is not stormed"
            (tmp_path / "m/acl").write_text("topic readwrite #\n")
            assert m.process is not None
            m.process.send_signal(signal.SIGHUP)
            rig.publisher.outbox._held_until_ns = 0  # the half minute is over
            rig.publisher._wake.set()
            await rig.until(lambda: rig.publisher.outbox.refused == 0 or rig.publisher.outbox._held_until_ns > 0)
            rig.publisher.outbox._held_until_ns = 0  # in case the broker had not read its list yet
            rig.publisher._wake.set()
            await rig.empty()
            await r.different(3)
        text = caplog.text
        assert text.count("refuses our messages (reason 0x87); they are kept") == 1
        assert "takes our messages again" in text

    asyncio.run(story())


def test_receive_maximum_of_one_is_kept(tmp_path: Path) -> None:
    """MQTT 5 3.2.2.3.3."""

    async def story() -> None:
        async with mosquitto(tmp_path / "m", "max_inflight_messages 1") as m, reader(m.port) as r:
            async with running(tmp_path, broker(m.port, in_flight_max=50)) as rig:
                await rig.keep(range(40))
                await rig.empty()
                assert rig.publisher.outbox._window == 1
            await r.different(40)

    asyncio.run(story())


def test_a_session_taken_over_is_told_and_not_fought(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reason 0x8E: another client uses our id; the next try waits a minute."""

    async def story() -> None:
        async with Tiny() as tiny, running(tmp_path, broker(tiny.port)) as rig:
            await rig.until(lambda: rig.publisher.connected)
            tiny.disconnect(0x8E)
            await rig.until(lambda: "another client uses our client_id bess-1" in caplog.text)
            assert tiny.levels == [V5]

    asyncio.run(story())


@pytest.mark.parametrize("mute", [False, True])
def test_a_broker_that_knows_311_alone_gets_that(tmp_path: Path, mute: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """MQTT 5 first, 3.1.1 where 5 is refused or not answered."""
    monkeypatch.setattr("bessctl.protocols.mqtt.transport.dial.CONNECT_TIMEOUT_S", 0.3)

    async def story() -> None:
        async with Tiny({V311}, mute=mute) as tiny, running(tmp_path, broker(tiny.port)) as rig:
            await rig.keep(range(5))
            await rig.empty()
            assert tiny.levels == [V5, V311]
            assert len(tiny.payloads) == 5
            assert rig.publisher.status()["protocol"] == "3.1.1"

    asyncio.run(story())


@pytest.mark.parametrize("refused", [False, True])
def test_a_cancellation_in_the_turn_of_the_connack_ends_the_dialling(refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.12 asyncio.wait_for, which aiomqtt waits with, forgets such a cancellation: a stop would never end."""

    async def story() -> None:
        async def hold() -> None:
            async with dial(broker(tiny.port), Protocol.V5, lambda _mid, _reason: None):
                await asyncio.Event().wait()

        def on_connect(client: Any, *args: Any, **options: Any) -> None:
            original(client, *args, **options)
            task.cancel()

        original = _Client._on_connect
        monkeypatch.setattr(_Client, "_on_connect", on_connect)
        async with Tiny({V311} if refused else None) as tiny, asyncio.timeout(20):
            task = asyncio.create_task(hold())
            with pytest.raises(asyncio.CancelledError):
                await task
            assert tiny.levels == [V5]

    asyncio.run(story())


def test_a_message_whose_format_is_refused_does_not_block_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reason 0x99 would be said again for ever."""

    async def story() -> None:
        async with Tiny(puback=0x99) as tiny, running(tmp_path, broker(tiny.port)) as rig:
            await rig.keep(range(3))
            await rig.empty()
            assert len(tiny.payloads) == 3
            assert caplog.text.count("refuses the format of message") == 3

    asyncio.run(story())


def test_without_its_certificate_or_password_there_is_no_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """TLS with a private CA and a client certificate, user and password from a file of mode 0600."""
    server_cert, server_key = issue(tmp_path, "server")
    client_cert, client_key = issue(tmp_path, "client")
    words = tmp_path / "password"
    words.write_text("correct horse\n")
    words.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "users", "site", "correct horse"], check=True, capture_output=True)
    lines = (f"cafile {client_cert}", f"certfile {server_cert}", f"keyfile {server_key}", "require_certificate true")
    good = Tls(server_cert, client_cert, client_key)

    async def story() -> None:
        files = (*lines, f"password_file {tmp_path / 'users'}")
        async with mosquitto(tmp_path / "m", *files, anonymous=False) as m:
            secret = {"user": "site", "password_file": words}
            async with running(tmp_path, broker(m.port, tls=good, **secret)) as rig:
                await rig.keep(range(5))
                await rig.empty()
            for wrong in ({"tls": Tls(server_cert), **secret}, {"tls": Tls(client_cert, client_cert, client_key), **secret}, {"tls": good}):
                caplog.clear()
                async with running(tmp_path, broker(m.port, **wrong)) as rig:
                    await rig.until(lambda: "mqtt broker b1: 127.0.0.1" in caplog.text)
                    assert not rig.publisher.connected
            words.chmod(0o644)
            async with running(tmp_path, broker(m.port, tls=good, **secret)) as rig:
                await rig.until(lambda: f"password_file {words} is open to others; run: chmod 600" in caplog.text)
        assert "correct horse" not in caplog.text

    asyncio.run(story())


def test_a_rotated_certificate_is_taken_at_the_next_connect(tmp_path: Path) -> None:
    """The files are read at each dialling."""
    old_cert, old_key = issue(tmp_path, "old")
    new_cert, new_key = issue(tmp_path, "new")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(old_cert.read_bytes())
    mine = {"cert": tmp_path / "server.pem", "key": tmp_path / "server.key"}
    mine["cert"].write_bytes(old_cert.read_bytes())
    mine["key"].write_bytes(old_key.read_bytes())

    async def story() -> None:
        lines = (f"certfile {mine['cert']}", f"keyfile {mine['key']}")
        async with mosquitto(tmp_path / "m", *lines) as m, running(tmp_path, broker(m.port, tls=Tls(trusted))) as rig:
            await rig.until(lambda: rig.publisher.connected)
            await m.kill()
            mine["cert"].write_bytes(new_cert.read_bytes())
            mine["key"].write_bytes(new_key.read_bytes())
            trusted.write_bytes(new_cert.read_bytes())
            await rig.keep(range(1))
            await m.start()
            await rig.empty()

    asyncio.run(story())


def test_the_last_will_and_the_announcements_of_a_home(tmp_path: Path) -> None:
    """Availability by last will, retained discovery topics; QoS 0 works as well."""

    async def story() -> None:
        ours = {"availability_topic": "site/state", "home_assistant": HomeAssistant(), "qos": 0}
        async with mosquitto(tmp_path / "m") as m, Cable(m.port) as cable, reader(m.port) as r:
            async with running(tmp_path, broker(cable.port, **ours)) as rig:
                await r.says("site/state", "online")
                await rig.keep(range(3))
                await rig.empty()
                await r.different(3)
                power = r.on("homeassistant/sensor/bessctl_LR34_001/powerValue/config")[0]
                assert (power["state_topic"], power["availability_topic"]) == ("site/LR34_001", "site/state")
                assert power["value_template"] == "{{ value_json.powerValue }}"
            await r.says("site/state", "offline")
            before = len(r.messages)
            async with reader(m.port) as late:
                await late.says("site/state", "offline")
                assert all(retained for _, _, retained in late.messages)
                assert len(late.messages) == 4
            assert before >= 8

    asyncio.run(story())


def test_when_we_vanish_the_broker_tells_it(tmp_path: Path) -> None:
    """The last will: a connection that ends without a DISCONNECT."""

    async def story() -> None:
        told = {"availability_topic": "site/state"}
        async with (
            mosquitto(tmp_path / "m") as m,
            Cable(m.port) as cable,
            reader(m.port) as r,
            running(tmp_path, broker(cable.port, **told)),
        ):
            await r.says("site/state", "online")
            cable.snap()
            await r.says("site/state", "offline")
            await r.counted("online", 2)

    asyncio.run(story())


def test_commands_are_off_by_default_and_a_manual_plan_with_an_end_when_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Retained and expired ones ignored, each logged; subscribed again at each connect."""

    def order(power: float, age_s: float = 0.0, ttl: float = 60.0) -> bytes:
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        return json.dumps({"timestamp": at.isoformat(), "powerValue": power, "ttl": ttl}).encode()

    async def story() -> None:
        caplog.set_level(logging.INFO, "test.mqtt")
        async with mosquitto(tmp_path / "m") as m:
            async with aiomqtt.Client("127.0.0.1", m.port) as sender:
                await sender.publish("site/order", order(1.0), qos=1, retain=True)
                async with running(tmp_path, broker(m.port)) as rig:
                    await rig.until(lambda: rig.publisher.connected)
                    await sender.publish("site/order", order(9000.0), qos=1)
                    await rig.keep(range(1))
                    await rig.empty()
                    assert rig.plans.plans == []
                async with running(tmp_path, broker(m.port, commands=Commands("site/order"), protocol=Protocol.V311)) as rig:
                    await rig.until(lambda: "it is retained" in caplog.text)
                    await sender.publish("site/order", order(5000.0, age_s=31), qos=1)
                    await rig.until(lambda: "it is expired: 31 s old" in caplog.text)
                    await sender.publish("site/order", order(5000.0), qos=1)
                    await rig.until(lambda: rig.plans.plans != [])
                    assert rig.plans.target_w() == -5000.0
                    assert 0 < rig.plans.last.lease_until_ns - time.monotonic_ns() <= 60e9
                    assert "command taken: 5000 W (+ charging)" in caplog.text
            async with running(tmp_path, broker(m.port, commands=Commands("site/order"))) as rig:
                for count in (1, 2):
                    await rig.until(lambda: rig.publisher.connected)
                    async with aiomqtt.Client("127.0.0.1", m.port) as sender:
                        while len(rig.plans.plans) < count:
                            await sender.publish("site/order", order(100.0 * count), qos=1)
                            await asyncio.sleep(0.02)
                    if count == 1:
                        await m.kill()
                        await rig.until(lambda: not rig.publisher.connected)
                        await m.start()

    asyncio.run(story())


def test_several_brokers_have_a_spool_each(tmp_path: Path) -> None:
    """One is away; the other gets everything at once."""

    async def story() -> None:
        plant = LivePlant()
        commands: dict[str, Any] = {}
        async with mosquitto(tmp_path / "m") as m, reader(m.port) as r:
            both = config(
                broker(m.port, interval_s=0.05), broker(free_port(), name="b2", interval_s=0.05),
                assets=(Asset("all"), Asset("first", "u1")),
            )  # fmt: skip
            store = Store(tmp_path / "mqtt.db")
            task = asyncio.create_task(
                run_mqtt(both, store, plant, lambda _: FakePlans(), Clock(), logging.getLogger("test.mqtt"), commands=commands)
            )
            await r.different(5)
            one, two = commands["mqtt"]({})["brokers"]
            assert (one["connected"], two["connected"]) == (True, False)
            assert two["spooled"] >= 5
            assert r.on("site/all")
            assert r.on("site/first")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            store.close()

    asyncio.run(story())
