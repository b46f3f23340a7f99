"""`bessctl sim oscp-cp SCRIPT`: a capacity provider or optimizer that plays a script of forecasts and outages, for demos and first steps.

    provider: https://127.0.0.1:8443/oscp/fp/2.0   # the flexibility provider's base URL
    token_file: token-a                            # what `bessctl oscp register` printed
    role: cp
    cert_file: cp.pem                              # made when it is missing: name it as ca_file of the peer
    key_file: cp.key
    ca_file: fp.pem                                # the provider's certificate
    heartbeat_s: 10
    offline_after_s: 30
    steps:
      - {at_s: 0, forecast: {group: feeder-7, type: FALLBACK_CONSUMPTION, blocks: [[5000, 0, 86400]]}}
      - {at_s: 0, forecast: {group: feeder-7, type: CONSUMPTION, unit: KW, blocks: [[50, 0, 900], [20, 900, 1800]]}}
      - {at_s: 60, outage_s: 45}                   # nobody answers, no heartbeats; then a new handshake

Blocks are [capacity, start, end], seconds from the moment they are sent.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bessctl.errors import ConfigError, NotReachable, OperationFailed
from bessctl.sim.certificate import self_signed
from bessctl.sim.oscp_cp import Event, Party, Tls


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Forecast(_Strict):
    """One UpdateGroupCapacityForecast."""

    group: str
    type: Literal["CONSUMPTION", "GENERATION", "FALLBACK_CONSUMPTION", "FALLBACK_GENERATION", "OPTIMUM"]
    unit: Literal["A", "W", "KW", "WH", "KWH"] = "W"
    phase: Literal["UNKNOWN", "ONE", "TWO", "THREE", "ALL"] = "UNKNOWN"
    blocks: Annotated[list[tuple[float, float, float]], Field(min_length=1)]


class Step(_Strict):
    """What happens at an instant of the script: a forecast, or an outage."""

    at_s: Annotated[float, Field(ge=0)]
    forecast: Forecast | None = None
    outage_s: Annotated[float, Field(gt=0)] | None = None


class Script(_Strict):
    """The file."""

    provider: Annotated[str, Field(pattern=r"^https://.*[^/]$")]
    token_file: str
    role: Literal["cp", "co"] = "cp"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    cert_file: str
    key_file: str
    ca_file: str
    heartbeat_s: Annotated[float, Field(gt=0)] = 10.0
    offline_after_s: Annotated[float, Field(gt=0)] = 30.0
    steps: list[Step] = Field(default=[])


def load(file: Path) -> Script:
    """Read a script. Raises NotReachable, ConfigError."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only this command pays for it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return Script.model_validate(YAML(typ="safe", pure=True).load(file.read_text()))
    except OSError as e:
        raise NotReachable(f"{file}: {e.strerror or e}; name a script") from e
    except (YAMLError, ValidationError) as e:
        first = e.errors(include_url=False)[0] if isinstance(e, ValidationError) else None
        words = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(e).splitlines()[0]
        raise ConfigError(f"{file}:1:1", f"{words}; correct the script") from e


class Player:
    """One performance."""

    def __init__(self, script: Script, folder: Path, tell: Any) -> None:
        self._script, self._folder, self._tell = script, folder, tell
        self._told = 0
        self._away = asyncio.Event()

    async def run(self) -> None:
        """Register, shake hands, play; then heartbeats until cancelled."""
        script, folder = self._script, self._folder
        tls = Tls(folder / script.cert_file, folder / script.key_file, folder / script.ca_file)
        if not tls.cert_file.exists():
            self_signed(tls.cert_file, tls.key_file, script.host)
        token = (folder / script.token_file).read_text(encoding="ascii").strip()
        async with Party(tls, role=script.role, host=script.host, port=script.port) as party:
            await party.register(script.provider, token)
            async with asyncio.TaskGroup() as tasks:
                await self._shake(party, tasks)
                tasks.create_task(self._beat(party))
                tasks.create_task(self._report(party))
                await self._play(party)

    async def _shake(self, party: Party, tasks: asyncio.TaskGroup) -> None:
        """A capacity provider starts the handshake; an optimizer acknowledges whenever it is asked."""
        if party.role == "cp":
            await party.shake(heartbeat_s=60)
            return
        first = asyncio.Event()
        tasks.create_task(self._acknowledge(party, first))
        await first.wait()

    async def _acknowledge(self, party: Party, first: asyncio.Event) -> None:
        for count in itertools.count(1):
            asked = await party.wait("handshake", count, 1e9)
            await party.acknowledge(correlation=asked.headers["X-Request-ID"])
            first.set()

    async def _play(self, party: Party) -> None:
        now_s = 0.0
        for step in sorted(self._script.steps, key=lambda s: s.at_s):
            await asyncio.sleep(max(0.0, step.at_s - now_s))
            now_s = max(now_s, step.at_s)
            if step.forecast is not None:
                it = step.forecast
                await party.forecast(it.group, it.type, it.blocks, unit=it.unit, phase=it.phase)
            if step.outage_s is not None:
                await self._outage(party, step.outage_s)
                now_s += step.outage_s

    async def _outage(self, party: Party, seconds: float) -> None:
        self._away.set()
        await party.vanish()
        await asyncio.sleep(seconds)
        await party.listen()
        if party.role == "cp":
            await party.shake(heartbeat_s=60)
        self._away.clear()

    async def _beat(self, party: Party) -> None:
        while True:
            if not self._away.is_set():
                await party.heartbeat(self._script.offline_after_s)
            await asyncio.sleep(self._script.heartbeat_s)

    async def _report(self, party: Party) -> None:
        while True:
            await party.until("something happens", lambda: len(party.events) > self._told, 1e9)
            for event in party.events[self._told :]:
                self._tell(event)
            self._told = len(party.events)


def line(event: Event, output: str) -> str:
    """One event for people or programs."""
    body = event.body.decode(errors="replace") if isinstance(event.body, bytes) else event.body
    if output == "json":
        return json.dumps({"at_ns": event.mono_ns, "event": event.kind, "path": event.path, "status": event.status, "body": body})
    said = json.dumps(body) if body else ""
    return f"{event.mono_ns / 1e9:12.3f}  {event.kind:9}  {event.method:6} {event.path:32} {event.status or '':4} {said}"


def run_script(file: Path, *, output: str, duration_s: float | None, out: TextIO = sys.stdout) -> None:
    """Play until Ctrl-C or `duration_s`. Raises NotReachable, ConfigError, OperationFailed."""
    player = Player(load(file), file.parent, lambda event: print(line(event, output), file=out, flush=True))

    async def limited() -> None:
        try:
            async with asyncio.timeout(duration_s):
                await player.run()
        except TimeoutError as e:
            if e.args:  # not ours: something that was waited for did not happen
                raise OperationFailed(str(e)) from e

    try:
        asyncio.run(limited())
    except OSError as e:
        raise OperationFailed(f"{file}: {e}; check the files, the provider and the token") from e
