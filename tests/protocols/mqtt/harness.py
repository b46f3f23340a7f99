"""Our side: a publisher with a store, a plant and clocks of the test."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from bessctl.model.snapshot import PlantSnapshot
from bessctl.protocols.mqtt.binding.clock import Clock
from bessctl.protocols.mqtt.binding.desk import Desk
from bessctl.protocols.mqtt.binding.publisher import Publisher, Shared
from bessctl.protocols.mqtt.config import Asset, BackOff, Broker, MqttConfig, Window
from bessctl.protocols.mqtt.messages.measurement import Measurement, encode
from bessctl.store import Store
from tests.protocols.ocpp.fakes import FakePlans, FakePlant

SECOND = 1_000_000_000
SOME_TIME = 1_760_000_000 * SECOND
NEVER_S = 1e9
"""An interval after which nothing is measured in a test that hands in its own measurements."""


def broker(port: int, **changes: Any) -> Broker:
    """A broker on this machine that is dialled again at once."""
    options: dict[str, Any] = {
        "name": "b1", "host": "127.0.0.1", "port": port, "topic": "site/{asset}", "client_id": "bess-1", "tls": None,
        "interval_s": NEVER_S, "resume_per_s": 100_000.0, "back_off": BackOff(0.02, 0.2, 0.01), "spool_days": 7e6,
    }  # fmt: skip
    return Broker(**(options | changes))


def config(*brokers: Broker, **changes: Any) -> MqttConfig:
    options: dict[str, Any] = {"brokers": brokers, "assets": (Asset("LR34_001"),), "window": Window(10, 90)}
    return MqttConfig(**(options | changes))


def message(number: int, asset: str = "LR34_001") -> tuple[str, bytes]:
    """A measurement; its timestamp is its number, so that each can be told from any other."""
    return asset, encode(Measurement(asset, SOME_TIME + number * SECOND, 1000.0 + number, -5000.0, 50.0))


class LivePlant(FakePlant):
    """A plant whose loop runs: its state is always of this moment."""

    def snapshot(self) -> PlantSnapshot | None:
        self.set(now_ns=time.monotonic_ns())
        return super().snapshot()


class Rig:
    """A publisher that can be stopped and built anew over the same file, as after a power cut."""

    def __init__(self, store: Store, configured: Broker, plant: FakePlant | None = None, whole: MqttConfig | None = None) -> None:
        self.plant, self.plans = plant or FakePlant(), FakePlans()
        self.log = logging.getLogger("test.mqtt")
        whole = whole or config(configured)
        desk = Desk(whole, self.plant, lambda _: self.plans, Clock(), self.log)
        self.publisher = Publisher(configured, Shared(whole, desk, store, Random(1), self.log))

    async def keep(self, numbers: range, at_once: int = 100) -> None:
        """Hand in measurements in batches."""
        for start in range(numbers.start, numbers.stop, at_once):
            await self.publisher.keep([message(n) for n in range(start, min(numbers.stop, start + at_once))])

    async def until(self, condition: Any, within_s: float = 30) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.005)

    async def empty(self, within_s: float = 30) -> None:
        """Everything was acknowledged."""
        await self.until(lambda: len(self.publisher.spool) == 0, within_s)


@asynccontextmanager
async def running(folder: Path, configured: Broker, plant: FakePlant | None = None, whole: MqttConfig | None = None) -> AsyncIterator[Rig]:
    """A rig whose publisher runs; cancelled at the end, like at a stop."""
    store = Store(folder / "mqtt.db", group_s=0.0)
    rig = Rig(store, configured, plant, whole)
    task = asyncio.create_task(rig.publisher.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.close()
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()
