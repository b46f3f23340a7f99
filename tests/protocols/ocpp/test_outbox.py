"""What goes out and what it waits for (OCPP-12, OCPP-19); what 200 links have in common: the way to the store, turns to dial."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path

import pytest

from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.keeper import Keeper
from bessctl.protocols.ocpp.binding.outbox import Outbox, Outgoing
from bessctl.protocols.ocpp.binding.pace import Pace
from bessctl.protocols.ocpp.binding.readings import reading_of
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.store import Statement, Store
from tests.protocols.ocpp.fakes import FakePlant

Batch = Future[None]

# what is lined up, in order: kind, batch it waits for; batches on disk; what goes, in order
ORDER = [
    # an answer that keeps nothing does not wait for what others keep
    (["call 1", "answer -"], "", ["answer -"]),
    (["call 1", "call 1", "answer -", "answer -"], "", ["answer -", "answer -"]),
    # one that keeps something waits, and those behind it: answers keep their order
    (["answer 1", "answer -"], "", []),
    (["answer 1", "answer -"], "1", ["answer 1", "answer -"]),
    # a CALL waits for all before it, also where its own batch is there
    (["call 2", "call 1"], "1", []),
    (["answer 1", "call -"], "", []),
    (["answer 1", "call 1"], "1", ["answer 1", "call 1"]),
    (["call 1", "answer 2", "call 2"], "1", ["call 1"]),
    (["call 1", "answer 2", "call 2"], "12", ["call 1", "answer 2", "call 2"]),
    # what will never be on disk is never said
    (["answer x", "call -"], "", []),
]


class Peer:
    """A wire that notes what goes out; while `full` it takes nothing."""

    def __init__(self, *, full: bool = False) -> None:
        self.sent: list[str] = []
        self.full = full
        self._room = asyncio.Event()

    def write(self, text: str, /) -> None:
        self.sent.append(text)

    async def drain(self) -> None:
        while self.full:
            await self._room.wait()
            self._room.clear()

    def reads(self) -> None:
        self.full = False
        self._room.set()


@pytest.mark.parametrize(("lined_up", "on_disk", "goes"), ORDER)
def test_what_may_go(lined_up: list[str], on_disk: str, goes: list[str]) -> None:
    async def story() -> None:
        batches: dict[str, Batch] = {name: Future() for name in "12x"}
        batches["x"].set_exception(OSError("the disk is full"))
        for name in on_disk:
            batches[name].set_result(None)
        peer = Peer()
        outbox = Outbox(peer)
        for text in lined_up:
            kind, _, batch = text.partition(" ")
            outbox.put(Outgoing(batches.get(batch), (text,), answers=kind == "answer"))
        assert peer.sent == goes

    asyncio.run(story())


def test_a_hang_up_follows_what_was_said_before_it() -> None:
    async def story() -> None:
        batch, peer = Batch(), Peer()
        outbox = Outbox(peer)
        outbox.put(Outgoing(batch, ("answer",), answers=True))
        outbox.put(Outgoing(batch, (), hang_up=True))
        running = asyncio.create_task(outbox.run())
        await asyncio.sleep(0)
        assert not running.done()
        batch.set_result(None)
        outbox.wake()
        await running
        outbox.put(Outgoing(None, ("too late",)))
        assert peer.sent == ["answer"]

    asyncio.run(story())


def test_a_peer_that_reads_slowly_is_waited_for() -> None:
    """OCPP-10: what it does not take waits here, in order, and goes on by itself."""

    async def story() -> None:
        peer = Peer(full=True)
        outbox = Outbox(peer)
        running = asyncio.create_task(outbox.run())
        for n in range(3):
            outbox.put(Outgoing(None, (str(n),)))
        await asyncio.sleep(0)
        assert peer.sent == []
        peer.reads()
        async with asyncio.timeout(10):
            while len(peer.sent) < 3:  # noqa: ASYNC110 - as many turns of the event loop as it takes
                await asyncio.sleep(0)
        assert peer.sent == ["0", "1", "2"]
        running.cancel()

    asyncio.run(story())


class Disk(Store):
    """A store that takes batches and leaves it to the test when they are kept."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Statement], Batch]] = []

    def submit(self, statements: object) -> Batch:
        self.batches.append((list(statements), Batch()))  # type: ignore[call-overload]
        return self.batches[-1][1]


def test_the_accounts_go_along_once_for_each_move_of_energy() -> None:
    """200 links that tell their energy each second wrote the totals of all 200 each time."""

    async def story() -> None:
        disk, plant, ledger = Disk(), FakePlant(), Ledger()
        keeper = Keeper(disk, ledger)
        one = Statement("SELECT 1")

        def kept(*, energy: bool) -> int:
            keeper.keep([one], lambda error: None, energy=energy)
            return sum("ocpp_account" in s.sql for s in disk.batches[-1][0])

        assert [kept(energy=e) for e in (False, True, True)] == [0, 2, 0]
        plant.energy(export_wh=5.0)
        ledger.observe(reading_of(plant.state, "ocpp"))  # type: ignore[arg-type]
        assert [kept(energy=e) for e in (False, True, True)] == [0, 2, 0]
        ledger.observe(reading_of(plant.state, "ocpp"))  # type: ignore[arg-type]
        assert kept(energy=True) == 0
        assert disk.batches[1][0][1:] == tables.account_statements(Ledger().accounts())

    asyncio.run(story())


def test_many_batches_that_come_to_disk_together_are_told_together() -> None:
    async def story() -> None:
        disk, told, turns = Disk(), list[int](), 0
        keeper = Keeper(disk, Ledger())
        for n in range(50):
            keeper.keep([], lambda error, n=n: told.append(n), energy=False)
        loop = asyncio.get_running_loop()

        def settle() -> None:
            for _, batch in disk.batches:
                batch.set_result(None)

        await loop.run_in_executor(None, settle)
        while len(told) < 50:
            turns += 1
            await asyncio.sleep(0)
        assert told == list(range(50))
        assert turns <= 3

    asyncio.run(story())


def test_a_failed_batch_is_told_as_one() -> None:
    async def story() -> None:
        disk, told = Disk(), asyncio.Queue[BaseException | None]()
        Keeper(disk, Ledger()).keep([], told.put_nowait, energy=False)
        disk.batches[0][1].set_exception(OSError("full"))
        assert isinstance(await told.get(), OSError)

    asyncio.run(story())


def test_turns_to_dial_are_instants() -> None:
    """OCPP-10: 200 links that lost their CSMS together come one after the other; one that is late takes nobody's turn."""
    pace = Pace(0.5)
    assert [pace.wait_s(10.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    assert pace.wait_s(11.0) == 1.0
    assert pace.wait_s(100.0) == 0.0


def test_the_store_of_a_real_link_keeps_its_accounts(tmp_path: Path) -> None:
    """The totals are on disk with the first message that tells of them."""

    async def story() -> None:
        store = Store(tmp_path / "s.sqlite")
        store.migrate(tables.NAMESPACE, tables.LADDER)
        plant, ledger = FakePlant(), Ledger()
        plant.energy(export_wh=7.0)
        ledger.observe(reading_of(plant.state, "ocpp"))  # type: ignore[arg-type]
        kept = asyncio.get_running_loop().create_future()
        Keeper(store, ledger).keep([], kept.set_result, energy=True)
        await kept
        assert tables.load_accounts(store) == ledger.accounts()
        store.close()

    asyncio.run(story())
