"""A single station from one file, with the hand on standard input, against the simulated CSMS (settled 17)."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bessctl.app.ocpp_station import LitePlant, link_of, read_station
from bessctl.errors import ConfigError, NotReachable
from bessctl.model.plan import Block, Plan
from bessctl.sim.csms import Csms

ROOT = Path(__file__).resolve().parents[2]


def station_file(folder: Path, **fields: object) -> Path:
    file = folder / "station.json"
    file.write_text(json.dumps({"url": "ws://x", "id": "BESS1", "state_dir": "state", "allow_plain": True, **fields}))
    return file


def test_a_station_from_a_file_with_a_hand(tmp_path: Path) -> None:
    """Boot, plug, swipe, SIGKILL as a power cut, and the transaction goes on."""

    async def station(file: Path) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        command = ("-m", "bessctl", "sim", "ocpp-station", str(file))
        return await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe, cwd=ROOT)

    async def story() -> None:
        async with asyncio.timeout(60), Csms() as csms:
            link = {"armed_by_hand": True, "back_off": {"minimum_s": 0.1, "random_range_s": 0.1}}
            file = station_file(tmp_path, url=csms.url, link=link, keys={"MeterValueSampleInterval": "1"})
            process = await station(file)
            await csms.station("BESS1")
            assert process.stdin is not None
            assert process.stdout is not None
            for order in ({"cmd": "plug_in", "connector": 1}, {"cmd": "swipe", "token": "CARD", "connectors": [1]}):
                process.stdin.write(json.dumps(order).encode() + b"\n")
                assert json.loads(await process.stdout.readline()) == {"ok": True}
            await csms.wait("MeterValues", where=lambda p: p.get("transaction_id") == 1)
            process.kill()
            await process.wait()
            again = await station(file)
            await csms.until(lambda: len(csms.of("BootNotification")) == 2)
            await csms.station("BESS1")
            assert await csms.peers["BESS1"].remote_stop(1) == "Accepted"
            await csms.wait("StopTransaction")
            assert len(csms.of("StartTransaction")) == 1
            again.kill()
            await again.wait()

    asyncio.run(story())


def test_files_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="name a station"):
        read_station(tmp_path / "none")
    with pytest.raises(ConfigError, match="id"):
        read_station(station_file(tmp_path, id=5))
    with pytest.raises(ConfigError, match="version"):
        link_of(read_station(station_file(tmp_path, version=["3"])))


def test_the_plant_follows_within_its_envelope() -> None:
    plant = LitePlant(100.0)
    assert plant.power_w(0) == 0.0
    plant.write(Plan(50, (Block(0, 10, None, None, target_w=300.0), Block(10, 20, -5.0, 5.0, target_w=-80.0))))
    assert [plant.power_w(at) for at in (5, 15, 25, 60)] == [100.0, -5.0, 0.0, 0.0]
    assert plant.snapshot().units[0].capacity_wh == 400_000.0
