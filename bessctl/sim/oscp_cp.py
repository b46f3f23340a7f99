"""A capacity provider or optimizer for OSCP 2.0, on aiohttp alone: the other side in tests and demos. It shares no code with our provider.

    async with Party(tls, role="cp") as cp:                        # https://127.0.0.1:<ephemeral port>/oscp/cp/2.0
        await cp.register(provider_url, token_a)                   # posts TOKEN_B, waits for the provider's TOKEN_C
        await cp.shake(heartbeat_s=60)                             # handshake, waits for the acknowledgement
        await cp.heartbeat(180)
        await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)])
        got = await cp.wait("update_group_measurements")

Everything that is received and answered stands in `events`, in the order in which it happened at this side.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web

VERSION = "2.0"
Blocks = Sequence[tuple[float, float, float]]
"""(capacity, start, end), seconds from now."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Our certificate, and the one the provider shows."""

    cert_file: Path
    key_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: received (a request came in), responded (its response went out), answered (a request of ours got its response)."""

    mono_ns: int
    kind: str
    path: str
    method: str = "POST"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(slots=True)
class Habits:
    """How this party behaves; change it at any time. The defaults are the standard."""

    status: dict[str, int] = field(default_factory=dict)
    """Path -> the status it answers with instead of 204."""
    delay_s: dict[str, float] = field(default_factory=dict)
    drop: set[str] = field(default_factory=set)
    """Paths whose requests are applied and never answered: the connection ends."""
    skew_s: float = 0.0
    """How far its clock is ahead."""
    naive_time: bool = False
    """It writes times without an offset: UTC, or those of its `zone`."""
    zone: str = ""
    correlation: bool = True
    acknowledge_path: str = "handshake_acknowledge"
    single_version_url: bool = False
    body_max: int = 1 << 20
    """Larger requests get 413."""
    chain_segments: bool = False
    """Segments name the previous one instead of the first."""
    delete_needs_body: bool = False
    """A DELETE without the registration as its body is 400."""
    adjust_needs_hours: bool = False
    """An Adjust of anything but 24 blocks of one hour is 400."""
    magnitudes: bool = False
    """It writes generation as a magnitude, and takes it only so."""


class Party:
    """One capacity provider or optimizer."""

    def __init__(self, tls: Tls, *, role: str = "cp", host: str = "127.0.0.1", port: int = 0, habits: Habits | None = None) -> None:
        self.role, self._host, self._port = role, host, port
        self.habits = habits or Habits()
        self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server_tls.load_cert_chain(tls.cert_file, tls.key_file)
        self._client_tls = ssl.create_default_context(cafile=str(tls.ca_file))
        self.events: list[Event] = []
        self.their_url = ""
        self.token_to_show = ""
        self.token_expected = f"{role}-token-b"
        self._changed = asyncio.Condition()
        self._ids = itertools.count(1)
        self.http: aiohttp.ClientSession
        self._runner: web.ServerRunner | None = None
        self._segments: dict[str, dict[int, bytes]] = {}

    async def __aenter__(self) -> Party:
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._client_tls))
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()
        await self.http.close()

    async def listen(self) -> None:
        """Serve, on the same port as before after `vanish`."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, ssl_context=self._server_tls).start()
        self._port = self._runner.addresses[0][1]

    async def vanish(self) -> None:
        """An outage: nobody listens any more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def speak(self, version: ssl.TLSVersion) -> None:
        """This version of TLS alone, both ways, on connections to come."""
        for context in (self._server_tls, self._client_tls):
            context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, version
            context.minimum_version = version

    @property
    def url(self) -> str:
        """Our base URL."""
        return f"https://{self._host}:{self._port}/oscp/{self.role}/{VERSION}"

    # --- what comes in ---

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix(f"/oscp/{self.role}/{VERSION}/")
        data = await request.read()
        if len(data) > self.habits.body_max:
            return await self._respond(request, path, 413)
        body = self._whole(request, data)
        await self._log(Event(time.monotonic_ns(), "received", path, request.method, headers=dict(request.headers), body=body))
        if path in self.habits.delay_s:
            await asyncio.sleep(self.habits.delay_s[path])
        known = request.headers.get("Authorization") == f"Token {self.token_expected}"
        status = self.habits.status.get(path, self._judged(path, request.method, body) if known else 403)
        if status == 204 and path == "register" and request.method == "POST" and body is not None:
            self.token_to_show, self.their_url = body["token"], body["version_url"][0]["base_url"]
        if path in self.habits.drop:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return await self._respond(request, path, status)

    def _whole(self, request: web.BaseRequest, data: bytes) -> Any:
        """The message: of a segmented one with its last segment, before that None."""
        count = int(request.headers.get("X-Segment-Count", "1"))
        if count > 1:
            index = int(request.headers["X-Segment-Index"])
            first = request.headers["X-Request-ID"] if index == 1 else request.headers["X-Correlation-ID"]
            parts = self._segments.setdefault(first, {})
            parts[index] = data
            if len(parts) < count:
                return None
            data = b"".join(parts[i] for i in sorted(parts))
        return json.loads(data) if data else None

    def _judged(self, path: str, method: str, body: Any) -> int:
        """What the habits of some deployed peers make of a message that the standard allows."""
        blocks = body.get("forecasted_blocks", []) if isinstance(body, dict) else []
        wrong = self.habits.delete_needs_body and method == "DELETE" and not isinstance(body, dict)
        if path == "adjust_group_capacity_forecast" and self.habits.adjust_needs_hours:
            wrong |= len(blocks) != 24 or any(not b["start_time"].endswith(":00:00.000Z") for b in blocks)
        if self.habits.magnitudes and isinstance(body, dict) and body.get("type") == "GENERATION":
            wrong |= any(b["capacity"] < 0 for b in blocks)
        return 400 if wrong else 204

    async def _respond(self, request: web.BaseRequest, path: str, status: int) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        await response.write_eof()
        await self._log(Event(time.monotonic_ns(), "responded", path, request.method, status))
        return response

    async def _log(self, event: Event) -> None:
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    async def until(self, what: str, found: Callable[[], Any], within_s: float = 20.0) -> Any:
        """Wait until something holds; each event asks again. Raises TimeoutError, naming it."""
        try:
            async with asyncio.timeout(within_s), self._changed:
                while not (value := found()):
                    await self._changed.wait()
                return value
        except TimeoutError:
            seen = ", ".join(f"{e.kind} {e.path} {e.status or ''}" for e in self.events[-20:])
            raise TimeoutError(f"{self.role}: {what} did not happen; events: {seen}") from None

    def received(self, path: str) -> list[Event]:
        """Whole messages to one path so far."""
        return [e for e in self.events if e.kind == "received" and e.path == path and (e.body is not None or e.method == "DELETE")]

    async def wait(self, path: str, count: int = 1, within_s: float = 20.0) -> Event:
        """The message number `count` to a path."""
        found: list[Event] = await self.until(f"{path} {count}", lambda: self._enough(path, count), within_s)
        return found[count - 1]

    def _enough(self, path: str, count: int) -> list[Event] | None:
        found = self.received(path)
        return found if len(found) >= count else None

    # --- what goes out ---

    def now(self) -> datetime:
        """This party's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.habits.skew_s)

    def time(self, in_s: float, now: datetime | None = None) -> str:
        """A date-time from now, as this party writes it."""
        at = (now or self.now()) + timedelta(seconds=in_s)
        if self.habits.naive_time and self.habits.zone:
            at = at.astimezone(ZoneInfo(self.habits.zone))
        text = at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        return text if self.habits.naive_time else text + "Z"

    async def send(
        self, path: str, body: Any, *, method: str = "POST", token: str | None = None, headers: dict[str, str] | None = None
    ) -> int:
        """One request to the provider; the status of its answer. `body`: JSON value or bytes. 0: the connection broke."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        heads = {
            "Authorization": f"Token {token or self.token_to_show}",
            "X-Request-ID": f"{self.role}-{next(self._ids)}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        heads = {name: value for name, value in heads.items() if value}
        said: Any = None
        try:
            async with self.http.request(
                method, f"{self.their_url}/{path}", data=io.BytesIO(data) if data else None, headers=heads
            ) as response:
                status, said = response.status, await response.read()
        except (aiohttp.ClientError, OSError):
            status = 0
        await self._log(Event(time.monotonic_ns(), "answered", path, method, status, heads, said))
        return status

    def register_body(self) -> dict[str, Any]:
        """What we register with."""
        entry = {"version": VERSION, "base_url": self.url}
        return {"token": self.token_expected, "version_url": entry if self.habits.single_version_url else [entry]}

    async def register(self, provider_url: str, token_a: str) -> None:
        """The whole sequence of OSCP 2.0 3.1.1."""
        self.their_url, self.token_to_show = provider_url, token_a
        before = len(self.received("register"))
        status = await self.send("register", self.register_body())
        if status != 204:
            raise ConnectionError(f"register was answered with {status}")
        await self.wait("register", before + 1)
        await self.until("our 204", lambda: any(e.kind == "responded" and e.path == "register" for e in self.events))

    async def shake(self, heartbeat_s: int | None = 60, measurements: Sequence[str] | None = ()) -> Event:
        """Handshake; returns the acknowledgement, which is answered."""
        wish: dict[str, Any] = {} if heartbeat_s is None else {"heartbeat_interval": heartbeat_s}
        if measurements is not None:
            wish["measurement_configuration"] = list(measurements)
        path = self.habits.acknowledge_path
        before = len(self.received(path))
        status = await self.send("handshake", {"required_behaviour": wish} if wish else {})
        if status != 204:
            raise ConnectionError(f"handshake was answered with {status}")
        event = await self.wait(path, before + 1)
        await self.until("our 204", lambda: len([e for e in self.events if e.kind == "responded" and e.path == path]) > before)
        return event

    async def acknowledge(self, heartbeat_s: int | None = 60, correlation: str = "") -> int:
        """The answer to a handshake of the provider."""
        wish: dict[str, Any] = {"measurement_configuration": []}
        if heartbeat_s is not None:
            wish["heartbeat_interval"] = heartbeat_s
        return await self.send("handshake_acknowledge", {"required_behaviour": wish}, headers={"X-Correlation-ID": correlation})

    async def heartbeat(self, offline_in_s: float) -> int:
        """Alive, at least until then."""
        return await self.send("heartbeat", {"offline_mode_at": self.time(offline_in_s)})

    def forecast_body(self, group: str, kind: str, blocks: Blocks, unit: str = "W", phase: str = "UNKNOWN") -> dict[str, Any]:
        """One UpdateGroupCapacityForecast; the clock is read once, so that blocks which touch leave no gap."""
        now = self.now()
        return {
            "group_id": group,
            "type": kind,
            "forecasted_blocks": [
                {"capacity": capacity, "phase": phase, "unit": unit, "start_time": self.time(start, now), "end_time": self.time(end, now)}
                for capacity, start, end in blocks
            ],
        }

    async def forecast(self, group: str, kind: str, blocks: Blocks, **more: str) -> int:
        """Send one."""
        return await self.send("update_group_capacity_forecast", self.forecast_body(group, kind, blocks, **more))

    def cut(self, body: Any, parts: int) -> list[tuple[bytes, dict[str, str]]]:
        """A message as segments, to be sent in any order."""
        data = json.dumps(body).encode()
        size = -(-len(data) // parts)
        idents = [f"{self.role}-{next(self._ids)}" for _ in range(parts)]
        segments = []
        for index in range(parts):
            heads = {"X-Request-ID": idents[index], "X-Segment-Index": str(index + 1), "X-Segment-Count": str(parts)}
            if index and self.habits.correlation:
                heads["X-Correlation-ID"] = idents[index - 1 if self.habits.chain_segments else 0]
            segments.append((data[index * size : (index + 1) * size], heads))
        return segments
