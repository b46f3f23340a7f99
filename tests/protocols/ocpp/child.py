"""A station in a process of its own, to be killed: python -m tests.protocols.ocpp.child URL STATE_DIRECTORY [VERSION]."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from bessctl.protocols.ocpp.binding.clock import SystemClock
from bessctl.protocols.ocpp.binding.station import run_station
from bessctl.protocols.ocpp.config import BackOff, LinkConfig, StationConfig
from bessctl.store import Store
from tests.protocols.ocpp.fakes import FakePlans, FakePlant

LOG = logging.getLogger("child")
QUICK = BackOff(minimum_s=0.02, random_range_s=0.02, repeat_times=2)
KEYS = {"TransactionMessageRetryInterval": "0", "MeterValueSampleInterval": "1"}


async def main(url: str, path: Path, version: str) -> None:
    link = LinkConfig("cpo", url, "BESS1", (version,), allow_plain=True, back_off=QUICK, keys=KEYS)
    config = StationConfig((link,), plant_poll_s=0.02)
    await run_station(config, Store(path / "state.sqlite"), FakePlans(), FakePlant(), SystemClock(), LOG)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "1.6"))
