"""SIGKILL at each step of a transaction: nothing lost, nothing sent twice as new (OCPP-19)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest

from bessctl.sim.csms import Csms, Event, Policy

ROOT = Path(__file__).parents[3]


class Dialled(Protocol):
    @property
    def url(self) -> str: ...


@contextlib.contextmanager
def child(csms: Dialled, path: Path, version: str = "1.6") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.protocols.ocpp.child", csms.url, str(path), version]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


async def cut(process: subprocess.Popen[bytes], csms: Csms) -> None:
    """The power goes; the CSMS notices."""
    process.send_signal(signal.SIGKILL)
    await csms.until(lambda: "BESS1" not in csms.peers)


def distinct(events: list[Event]) -> list[dict[str, Any]]:
    """The different payloads: an identical one is a retry."""
    return list({str(sorted(e.payload.items())): e.payload for e in events}.values())


# What the CSMS has in hand, unanswered, when the power goes; how many transactions were begun by then.
STEPS = [
    "StartTransaction",  # begun, the CSMS saw it, we never learnt its number
    "MeterValues",
    "StopTransaction",
    "StatusNotification",
]


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_the_csms_holds_an_answer_back(step: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with asyncio.timeout(60), Csms(policy=Policy()) as csms:
            with child(csms, tmp_path) as process:
                peer = await csms.station("BESS1")
                await csms.wait("StatusNotification", 3)
                seen = len(csms.of(step))
                csms.policy.delay_s[step] = 3600
                asking = asyncio.create_task(_drive(peer, csms, step))
                await csms.wait(step, seen + 1)
                await cut(process, csms)
                asking.cancel()
            csms.policy.delay_s.clear()
            with child(csms, tmp_path):
                await csms.until(lambda: len(csms.of("BootNotification")) == 2)
                peer = await csms.station("BESS1")
                await csms.wait("StartTransaction")
                if step != "StopTransaction":
                    await csms.wait("MeterValues", len(csms.of("MeterValues")) + 1)
                    assert await peer.remote_stop(1) == "Accepted"
                await csms.wait("StopTransaction", 2 if step == "StopTransaction" else 1)
                await csms.wait("StatusNotification", where=lambda p: p["connector_id"] == 1 and p["status"] == "Available")
            starts, stops = distinct(csms.of("StartTransaction")), distinct(csms.of("StopTransaction"))
            assert len(starts) == len(stops) == 1
            assert stops[0]["transaction_id"] == 1
            _ordered(csms)

    asyncio.run(story())


async def _drive(peer: Any, csms: Csms, step: str) -> None:
    assert await peer.remote_start("TAG1") == "Accepted"
    if step == "StopTransaction":
        await csms.wait("StatusNotification", where=lambda p: p["status"] == "Charging")
        await peer.remote_stop(1)


def _ordered(csms: Csms) -> None:
    """Delivered in the order things happened: the start, values in time, the end; a retry repeats the one before it."""
    kinds = [e.action for e in csms.events if e.action in {"StartTransaction", "MeterValues", "StopTransaction"}]
    assert kinds == sorted(kinds, key=["StartTransaction", "MeterValues", "StopTransaction"].index)
    stamps = [e.payload["meter_value"][0]["timestamp"] for e in csms.of("MeterValues")]
    assert stamps == sorted(stamps)


def test_an_accepted_start_is_never_forgotten(tmp_path: Path) -> None:
    """Killed as soon as RemoteStart was answered: the transaction is on disk, and its StartTransaction comes after the power does."""

    async def one(csms: Csms, n: int) -> None:
        csms.policy.delay_s["StartTransaction"] = 3600
        with child(csms, tmp_path) as process:
            await csms.wait("BootNotification", 2 * n - 1)
            peer = await csms.station("BESS1")
            assert await peer.remote_start(f"TAG{n}") == "Accepted"
            await cut(process, csms)
        csms.policy.delay_s.clear()
        with child(csms, tmp_path) as process:
            await csms.wait("MeterValues", where=lambda p: p.get("transaction_id") == n)
            assert await csms.peers["BESS1"].remote_stop(n) == "Accepted"
            await csms.wait("StopTransaction", where=lambda p: p["transaction_id"] == n)
            await cut(process, csms)

    async def story() -> None:
        async with asyncio.timeout(100), Csms() as csms:
            for n in (1, 2):
                await one(csms, n)
            assert [p["id_tag"] for p in distinct(csms.of("StartTransaction"))] == ["TAG1", "TAG2"]
            assert [p["transaction_id"] for p in distinct(csms.of("StopTransaction"))] == [1, 2]

    asyncio.run(story())


def test_2_0_1_killed_in_the_middle_of_a_transaction(tmp_path: Path) -> None:
    """SIGKILL with the start unanswered, at an update, with the end unanswered: every number once, none missing, one transaction."""

    async def story() -> None:
        async with asyncio.timeout(60), Csms(versions=("2.0.1",)) as csms:
            with child(csms, tmp_path, "2.0.1") as process:
                peer = await csms.station201("BESS1")
                csms.policy.delay_s["TransactionEvent"] = 3600
                assert (await peer.start_transaction("TAG1")).status == "Accepted"
                await csms.wait("TransactionEvent")
                await cut201(process, csms)
            csms.policy.delay_s.clear()
            with child(csms, tmp_path, "2.0.1") as process:
                await csms.wait("TransactionEvent", where=lambda p: p["event_type"] == "Updated")
                await cut201(process, csms)
            with child(csms, tmp_path, "2.0.1") as process:
                await csms.until(lambda: len(csms.of("BootNotification")) == 3)
                peer = await csms.station201("BESS1")
                updates = max(p["seq_no"] for p in distinct(csms.of("TransactionEvent")))
                await csms.wait("TransactionEvent", where=lambda p: p["seq_no"] > updates)
                csms.policy.delay_s["TransactionEvent"] = 3600
                name = csms.of("TransactionEvent")[0].payload["transaction_info"]["transaction_id"]
                await peer.connection.send(f'[2,"x","RequestStopTransaction",{{"transactionId":"{name}"}}]')
                await csms.until(lambda: "BESS1" in csms.peers201 and len(csms.of("TransactionEvent")) > updates)
                await cut201(process, csms)
            csms.policy.delay_s.clear()
            with child(csms, tmp_path, "2.0.1"):
                peer = await csms.station201("BESS1")
                if not [e for e in csms.of("TransactionEvent") if e.payload["event_type"] == "Ended"]:
                    await peer.stop_transaction(name)
                await csms.wait("TransactionEvent", where=lambda p: p["event_type"] == "Ended")
            told = distinct(csms.of("TransactionEvent"))
            assert len({p["transaction_info"]["transaction_id"] for p in told}) == 1
            assert sorted(p["seq_no"] for p in told) == list(range(len(told)))

    asyncio.run(story())


async def cut201(process: subprocess.Popen[bytes], csms: Csms) -> None:
    process.send_signal(signal.SIGKILL)
    await csms.until(lambda: "BESS1" not in csms.peers201)


def test_2_0_1_killed_at_any_instant(tmp_path: Path) -> None:
    """SIGKILL wherever it is: while dialling, between two messages, while one is written. Every number once, none missing."""
    random = Random(5)

    async def story() -> None:
        async with asyncio.timeout(100), Csms(versions=("2.0.1",)) as csms:
            for life in range(3):
                with child(csms, tmp_path, "2.0.1") as process:
                    if life == 0:
                        assert (await (await csms.station201("BESS1")).start_transaction("TAG1")).status == "Accepted"
                    enough = len(csms.events) + random.randint(0, 2)
                    await csms.until(lambda enough=enough: len(csms.events) >= enough)
                    await asyncio.sleep(random.uniform(0.0, 0.1))
                    await cut201(process, csms)
            with child(csms, tmp_path, "2.0.1"):
                name = (await csms.wait("TransactionEvent")).payload["transaction_info"]["transaction_id"]
                assert await (await csms.station201("BESS1")).stop_transaction(name) == "Accepted"
                await csms.wait("TransactionEvent", where=lambda p: p["event_type"] == "Ended")
            told = distinct(csms.of("TransactionEvent"))
            assert {p["transaction_info"]["transaction_id"] for p in told} == {name}
            assert sorted(p["seq_no"] for p in told) == list(range(len(told)))
            assert [p["event_type"] for p in sorted(told, key=lambda p: p["seq_no"])][:: len(told) - 1] == ["Started", "Ended"]

    asyncio.run(story())


class Judge:
    """A CSMS that is a process: what it heard, line by line."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port
        self.heard: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def until(self, count: int, action: str) -> None:
        while len(self.of(action)) < count:
            assert self._process.stdout is not None
            self.heard.append(tuple(json.loads(await self._process.stdout.readline())))

    def of(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.heard if name == action]


@contextlib.asynccontextmanager
async def judge(version: str, port: int = 0) -> AsyncIterator[Judge]:
    """Killed at the end."""
    command = (sys.executable, "-m", "tests.protocols.ocpp.csms_child", str(port), version)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Judge(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


TOLD = {"1.6": "MeterValues", "2.0.1": "TransactionEvent"}


@pytest.mark.parametrize("version", ["2.0.1"])
def test_the_csms_process_is_killed_and_another_comes(version: str, tmp_path: Path) -> None:
    """OCPP-19: it knows nothing of before. The station dials by itself, boots no second time, and tells on, every number once."""

    async def story() -> None:
        async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
            async with judge(version) as first:
                stack.enter_context(child(first, tmp_path, version))
                await first.until(2, TOLD[version])
            async with judge(version, first.port) as second:
                await second.until(2, TOLD[version])
        assert (len(first.of("BootNotification")), len(second.of("BootNotification"))) == (1, 0)
        told = [*first.of(TOLD[version]), *second.of(TOLD[version])]
        if version == "1.6":
            stamps = [p["meter_value"][0]["timestamp"] for p in told]
            assert stamps == sorted(stamps)
            assert {p["transaction_id"] for p in told} == {1}
        else:
            different = {str(sorted(p.items())): p for p in told}
            assert sorted(p["seq_no"] for p in different.values()) == list(range(len(different)))

    asyncio.run(story())
