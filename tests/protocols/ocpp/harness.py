"""A whole station on real sockets against the third-party CSMS, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bessctl.protocols.ocpp.binding.clock import SystemClock
from bessctl.protocols.ocpp.binding.station import run_station
from bessctl.protocols.ocpp.config import BackOff, LinkConfig, StationConfig
from bessctl.sim.csms import Csms, Peer
from bessctl.store import Store
from tests.protocols.ocpp.fakes import FakePlans, FakePlant

LOG = logging.getLogger("test.ocpp")
QUICK = BackOff(minimum_s=0.02, random_range_s=0.02, repeat_times=2)


def link_to(csms: Csms, **changes: object) -> LinkConfig:
    """A link to a CSMS, with waits that suit a test."""
    base = LinkConfig(
        "cpo",
        csms.url,
        "BESS1",
        allow_plain=csms.url.startswith("ws:"),
        calls_per_s=1000.0,
        back_off=QUICK,
        keys={"TransactionMessageRetryInterval": "0"},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class Rig:
    """What a test holds in its hands."""

    csms: Csms
    plant: FakePlant
    plans: FakePlans
    store: Store
    task: asyncio.Task[None]

    async def peer(self) -> Peer:
        return await self.csms.station("BESS1")

    async def seen(self) -> None:
        """Wait until the station has read the plant as it is now."""
        reads = self.plant.reads
        await self.until(lambda: self.plant.reads > reads + 1)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something our side does: looked at after every turn of the loop."""
        while not holds():
            assert not self.task.done(), self.task.result()
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def station(
    csms: Csms, path: Path, *, plant: FakePlant | None = None, plans: FakePlans | None = None, **link: object
) -> AsyncIterator[Rig]:
    """Run a station with one link until the block ends."""
    store = Store(path / "state.sqlite")
    plant, plans = plant or FakePlant(), plans or FakePlans()
    config = StationConfig((link_to(csms, **link),), plant_poll_s=0.01, renew_s=0.05, play_updates=True)
    task = asyncio.create_task(run_station(config, store, plans, plant, SystemClock(), LOG))
    try:
        async with asyncio.timeout(30):
            yield Rig(csms, plant, plans, store, task)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        store.close()
