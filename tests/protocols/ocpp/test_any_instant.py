"""A power cut at any instant, as often as one likes: nothing lost, nothing sent twice as new (OCPP-19, settled 9, 17).

The disk is a list of writes, in batches that are there whole or not at all; frames go out after their batch; a CSMS may have taken a frame
whose answer never came. Real processes are killed in test_power_cut.py; here, thousands of instants cost a second.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.protocols.ocpp.session import writes as w
from bessctl.protocols.ocpp.session.clock import Now
from tests.protocols.ocpp.sansio import LINK, Talk, saved_after

KEYS = {"MeterValueSampleInterval": "10", "AllowOfflineTxForUnknownId": "true", "LocalPreAuthorize": "true", "StopTxnAlignedData": "SoC"}
TRANSACTION = {"StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent", "DataTransfer"}


class PowerIsGoneError(Exception):
    """Ours is no more."""


class World:
    """What outlives the station: its disk, and the CSMS's memory of every message it took."""

    def __init__(self, version: str, seed: int) -> None:
        self.version, self.random = version, Random(seed)
        self.disk: list[w.Write] = []
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.numbers: dict[str, int] = {}
        self.begun = 0
        self.now: Now | None = None


class Station(Talk):
    """Lives for so many outputs; then the power goes in the middle of one."""

    def __init__(self, world: World, lives: int) -> None:
        self.world, self.left = world, lives
        link = replace(LINK, version=(world.version,), keys=KEYS, armed_by_hand=True)
        super().__init__(link, saved_after(world.disk), version=world.version)
        self.station._core.rng = Random(world.random.random())  # ids are random across boots
        self.now = self.now if world.now is None else world.now.later(5)
        self.writes = world.disk
        self.replies["StartTransaction"] = self._number
        self.replies["DataTransfer"] = lambda p: {"status": "UnknownVendorId"}

    def take(self, out: w.Output) -> w.Output:
        self.left, self.world.now = self.left - 1, self.now
        if self.left < 0:
            if self.world.random.random() < 0.5:  # the last batch came to the disk
                self.writes += out.writes
                for text in out.frames[: self.world.random.randint(0, len(out.frames))]:
                    self._took(text)
            raise PowerIsGoneError
        for text in out.frames:
            self._took(text)
        return super().take(out)

    def _took(self, text: str) -> None:
        frame = json.loads(text)
        if frame[0] == 2 and frame[2] in TRANSACTION:
            self.world.taken.append((frame[2], frame[3]))

    def _number(self, payload: dict[str, Any]) -> dict[str, Any]:
        """An identical message is a retry and keeps its number."""
        number = self.world.numbers.setdefault(json.dumps(payload, sort_keys=True), len(self.world.numbers) + 1)
        return {"transactionId": number, "idTagInfo": {"status": "Accepted"}}

    def live(self) -> None:
        """What may happen at a station, at random, until the power goes."""
        random = self.world.random
        while True:
            match random.randint(0, 6):
                case 0:
                    self.connect()
                case 1:
                    self.disconnect()
                case 2 | 3:
                    before = self.station.transactions.active()
                    self.hand(random.choice(("plug_in", "plug_out")), connector=1)
                    self._count(before is None)
                case 4 | 5:
                    before = self.station.transactions.active()
                    self.hand("swipe", token="CARD", connectors=(1,))
                    self._count(before is None)
                case _:
                    self.plant.energy(export_wh=self.world.random.randint(0, 10**6))
                    self.look()
            self.pass_time(random.choice((1.0, 7.0, 30.0)))

    def _count(self, idle: bool) -> None:
        """The hand was told: what it was told stands."""
        self.world.begun += idle and self.station.transactions.active() is not None

    def settle(self) -> None:
        """The CSMS is there, and whatever runs comes to its end."""
        self.connect()
        self.pass_time(120)
        self.hand("plug_in", connector=1)
        self.hand("plug_out", connector=1)
        self.pass_time(120)


def story(version: str, seed: int) -> World:
    world = World(version, seed)
    for _ in range(6):
        with contextlib.suppress(PowerIsGoneError):
            Station(world, world.random.randint(1, 60)).live()
    Station(world, 10**9).settle()
    return world


def distinct(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An identical payload is a retry."""
    return list({json.dumps(p, sort_keys=True): p for p in found}.values())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_1_6_after_any_number_of_power_cuts(seed: int) -> None:
    world = story("1.6", seed)
    starts = distinct([p for a, p in world.taken if a == "StartTransaction"])
    stops = distinct([p for a, p in world.taken if a == "StopTransaction"])
    assert len(starts) >= world.begun, "a transaction that the hand was told of is lost"
    assert sorted(p["transactionId"] for p in stops) == list(range(1, len(starts) + 1)), "each start has its one end"
    for number, stop in ((p["transactionId"], p) for p in stops):
        own = [p for a, p in world.taken if a == "MeterValues" and p.get("transactionId") == number]
        stamps = [p["meterValue"][0]["timestamp"] for p in distinct(own)]
        assert stamps == sorted(set(stamps)), "values in time, none twice as new"
        assert all(stamp <= stop["timestamp"] for stamp in stamps)
    left = saved_after(world.disk)
    assert (left.queue, left.transactions) == ([], [])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_2_0_1_after_any_number_of_power_cuts(seed: int) -> None:
    world = story("2.0.1", seed)
    by_name: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for event in distinct([p for a, p in world.taken if a == "TransactionEvent"]):
        by_name[event["transactionInfo"]["transactionId"]][event["seqNo"]].append(event)
    assert len(by_name) >= world.begun
    for messages in by_name.values():
        assert sorted(messages) == list(range(len(messages))), "no number is missing"
        assert all(len(same) == 1 for same in messages.values()), "none is another message's"
        kinds = [messages[n][0]["eventType"] for n in sorted(messages)]
        assert (kinds[0], kinds[-1], kinds.count("Started"), kinds.count("Ended")) == ("Started", "Ended", 1, 1)
    left = saved_after(world.disk)
    assert ([q for q in left.queue if type(q.record).__name__ != "SecurityEvent"], left.transactions) == ([], [])


def test_the_story_is_one() -> None:
    """The cuts fall into transactions: otherwise the properties hold for nothing."""
    worlds = [story("1.6", seed) for seed in range(30)]
    assert sum(len(world.numbers) for world in worlds) > 30
    assert sum(len([1 for a, _ in world.taken if a == "StartTransaction"]) for world in worlds) > sum(
        len(world.numbers) for world in worlds
    )


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_seed_of_before(version: str) -> None:
    """The same seed is the same story."""
    assert story(version, 7).taken == story(version, 7).taken
