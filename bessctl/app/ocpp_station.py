"""A single OCPP station from one file, on a plant that follows at once: what a conformance harness needs (`bessctl sim ocpp-station FILE`).

    url: wss://csms.example/ocpp      # ws:// needs `allow_plain: true`
    id: BESS1
    version: ["2.0.1", "1.6"]         # offered in this order
    state_dir: ./station              # SIGKILL at any instant does as a power cut
    keys: {HeartbeatInterval: "60", "OCPPCommCtrlr.OfflineThreshold": "30"}
    envelope_w: 200000
    role: owner

The hand at the station comes by standard input and by a Unix socket `hand.sock` in the state directory, JSON lines
(bessctl/protocols/ocpp/binding/handsocket.py). The state is the same store, the same sessions, the same sockets as on a site; only the
plant is a few lines: its power is the plan's target, within the envelope, and its energy registers count it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bessctl.app import stations
from bessctl.config.base import PositiveWatts, Strict
from bessctl.config.ocpp import Link, Ocpp
from bessctl.errors import ConfigError, NotReachable
from bessctl.model.plan import Plan
from bessctl.model.snapshot import Binding, Limit, PlantSnapshot, UnitSnapshot
from bessctl.protocols.ocpp.binding.clock import SystemClock
from bessctl.protocols.ocpp.binding.station import run_station
from bessctl.store import Store

CAPACITY_WH = 400_000.0
RETRY_S = 0.05


class StationFile(Strict):
    """The file. `link` carries whatever else a site's OCPP link may say."""

    url: str
    id: str
    version: Annotated[list[str], Field(min_length=1)] = Field(default=["2.0.1", "1.6"])
    state_dir: str
    keys: dict[str, str] = Field(default={})
    envelope_w: PositiveWatts = 200_000.0
    role: str = "owner"
    allow_plain: bool = False
    link: dict[str, Any] = Field(default={})


class LitePlant:
    """A plant that follows its plan at once: the slot and the view of it in one. Supervisor thread."""

    def __init__(self, envelope_w: float) -> None:
        self._most = envelope_w
        self._plan: Plan | None = None
        self._serial = 0
        self._at_ns = time.monotonic_ns()
        self._wh = {1: 0.0, -1: 0.0}

    def write(self, plan: Plan) -> int:
        """PlanWriter."""
        self._plan = plan
        self._serial += 1
        return self._serial

    def now_ns(self) -> int:
        """PlanWriter."""
        return time.monotonic_ns()

    def power_w(self, at_ns: int) -> float:
        """What the plan wants at an instant, within the envelope; + = discharge."""
        plan = self._plan
        if plan is None or plan.lease_until_ns <= at_ns:
            return 0.0
        block = next((b for b in plan.blocks if b.start_ns <= at_ns < b.end_ns), None)
        if block is None or block.target_w is None:
            return 0.0
        lo = max(-self._most, -self._most if block.ess_lo_w is None else block.ess_lo_w)
        hi = min(self._most, self._most if block.ess_hi_w is None else block.ess_hi_w)
        return max(lo, min(hi, block.target_w))

    def snapshot(self) -> PlantSnapshot:
        """PlantView: integrates the power since the last look."""
        now = time.monotonic_ns()
        power = self.power_w(now)
        self._wh[1 if power >= 0 else -1] += abs(power) * (now - self._at_ns) / 3.6e12
        self._at_ns = now
        device = Binding("device", "u1")
        return PlantSnapshot(
            tick=1,
            now_ns=now,
            mode="run",
            ess_w=power,
            pcc_w=power,
            command_w=power,
            lo=Limit(-self._most, device),
            hi=Limit(self._most, device),
            target_w=power,
            target_source="ocpp",
            units=(self._unit(power),),
        )

    def _unit(self, power: float) -> UnitSnapshot:
        return UnitSnapshot(
            "u1",
            "run",
            power,
            ac_w=power,
            ac_v=230.0,
            ac_hz=50.0,
            soc_pct=60.0,
            soh_pct=99.0,
            cell_temp_max_c=25.0,
            import_wh=self._wh[-1],
            export_wh=self._wh[1],
            capacity_wh=CAPACITY_WH,
        )


def read_station(path: Path) -> StationFile:
    """The file (YAML, of which JSON is a part), checked. Raises NotReachable, ConfigError."""
    try:
        return StationFile.model_validate(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))
    except OSError as e:
        raise NotReachable(f"{path}: {e.strerror or e}; name a station's file") from e
    except (YAMLError, ValidationError) as e:
        raise ConfigError(f"{path}:1:1", f"{_first(e)}; correct the file") from e


def _first(error: YAMLError | ValidationError) -> str:
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def link_of(given: StationFile) -> Link:
    """The file's CSMS as a site's link. Raises ConfigError."""
    told = {
        "name": "csms",
        "url": given.url,
        "charge_point_id": given.id,
        "version": given.version,
        "role": given.role,
        "allow_plain": given.allow_plain,
        "keys": given.keys,
        **given.link,
    }
    try:
        return Link.model_validate(told)
    except ValidationError as e:
        raise ConfigError("station", f"{_first(e)}; correct the file") from e


def _folder(path: Path, given: StationFile) -> Path:
    folder = (path.parent / given.state_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def run(path: Path) -> None:
    """Until standard input ends or the task is cancelled; SIGKILL is a power cut."""
    given = read_station(path)
    folder = _folder(path, given)
    link = link_of(given)
    config = stations.station(
        Ocpp(links=[link], state_dir=str(folder), hand_socket=str(folder / "hand.sock"), play_updates=True), path.parent
    )
    plant, store = LitePlant(given.envelope_w), Store(folder / "state.sqlite")
    station = asyncio.create_task(run_station(config, store, plant, plant, SystemClock(), logging.getLogger("station")))
    typing = asyncio.create_task(_standard_input(folder / "hand.sock"))
    try:
        await asyncio.wait({station, typing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (station, typing):
            task.cancel()
        outcomes = await asyncio.gather(station, typing, return_exceptions=True)
        store.close()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _standard_input(hand: Path) -> None:
    """Each line goes to the hand's socket, its answer to standard output. A closed input (no terminal) waits for ever."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        to_hand, from_hand = await _hand(hand)
        from_hand.write(line)
        print((await to_hand.readline()).decode().strip(), flush=True)
        from_hand.close()
    await asyncio.Event().wait()


async def _hand(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The station's own socket; it may take a moment until it is there, and lines may come before."""
    while True:
        try:
            return await asyncio.open_unix_connection(path)
        except OSError:
            await asyncio.sleep(RETRY_S)
