"""A small CSMS (OCPP 1.6J; 2.0.1 by `csms201`) on the PyPI packages `ocpp` and `websockets`: the third-party judge of our station.

It routes, validates and names messages by the `ocpp` package alone and shares no code with our codec. Everything received and
sent is logged with time stamps (`events`), and can be waited for.

    async with Csms() as csms:                      # ws://127.0.0.1:<ephemeral port>
        peer = await csms.station("BESS1")          # connected and BootNotification accepted
        await peer.remote_start("TAG1", connector=1)
        started = await csms.wait("StartTransaction")
        await peer.set_profile(profile_of([(0, 60_000)]))
        await peer.remote_stop(1)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import itertools
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, cast

from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

F = TypeVar("F", bound=Callable[..., Any])
_QUIET = logging.getLogger("bessctl.sim.csms")


def route(action: Action) -> Callable[[F], F]:
    """The package's routing decorator, which has no types."""
    return cast(Callable[[F], F], on(action))


def after_route(action: Action) -> Callable[[F], F]:
    """The package's hook for what follows an answer."""
    return cast(Callable[[F], F], after(action))


def utc_text() -> str:
    """Now, as OCPP writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True, slots=True)
class Event:
    """A message from a station. `mono_ns`: CLOCK_MONOTONIC when it was taken in hand."""

    mono_ns: int
    station: str
    action: str
    payload: dict[str, Any]


@dataclass(slots=True)
class Policy:
    """How the CSMS answers. Change it at any time."""

    boot: str = "Accepted"
    interval_s: int = 60
    tags: dict[str, str] | None = None
    """idTag -> status; None = every tag is Accepted, one that is not listed is Invalid."""
    delay_s: dict[str, float] = field(default_factory=dict)
    """Seconds to wait before an action is answered."""
    drop: set[str] = field(default_factory=set)
    """Actions that close the connection instead of being answered."""
    fail: set[str] = field(default_factory=set)
    """Actions that are answered by a CALLERROR."""
    clock: Callable[[], str] = utc_text


class Peer(ChargePoint):  # type: ignore[misc]
    """One connected station, seen from the CSMS; its handlers are routed by the `ocpp` package."""

    def __init__(self, csms: Csms, ident: str, connection: ServerConnection) -> None:
        super().__init__(ident, connection, response_timeout=15, logger=_QUIET)
        self.csms = csms
        self.connection = connection
        self.booted = False
        self._accepting = False

    async def _take(self, action: str, payload: dict[str, Any]) -> None:
        await self.csms.take(self, action, payload)

    @route(Action.boot_notification)
    async def on_boot(self, **payload: Any) -> Any:
        policy = self.csms.policy
        self._accepting = policy.boot == "Accepted" and "BootNotification" not in policy.drop
        await self._take("BootNotification", payload)
        return call_result.BootNotification(policy.clock(), policy.interval_s, policy.boot)

    @after_route(Action.boot_notification)
    async def after_boot(self, **payload: Any) -> None:
        """The answer is out: from now on the station may be asked for anything."""
        self.booted = self._accepting
        await self.csms.tell()

    @route(Action.heartbeat)
    async def on_heartbeat(self, **payload: Any) -> Any:
        await self._take("Heartbeat", payload)
        return call_result.Heartbeat(self.csms.policy.clock())

    @route(Action.status_notification)
    async def on_status(self, **payload: Any) -> Any:
        await self._take("StatusNotification", payload)
        return call_result.StatusNotification()

    @route(Action.authorize)
    async def on_authorize(self, **payload: Any) -> Any:
        await self._take("Authorize", payload)
        return call_result.Authorize({"status": self.csms.tag_status(payload["id_tag"])})

    @route(Action.start_transaction)
    async def on_start(self, **payload: Any) -> Any:
        await self._take("StartTransaction", payload)
        number = self.csms.transaction_of(self.id, payload)
        return call_result.StartTransaction(number, {"status": self.csms.tag_status(payload["id_tag"])})

    @route(Action.meter_values)
    async def on_meter(self, **payload: Any) -> Any:
        await self._take("MeterValues", payload)
        return call_result.MeterValues()

    @route(Action.stop_transaction)
    async def on_stop(self, **payload: Any) -> Any:
        await self._take("StopTransaction", payload)
        return call_result.StopTransaction()

    @route(Action.data_transfer)
    async def on_data(self, **payload: Any) -> Any:
        await self._take("DataTransfer", payload)
        return call_result.DataTransfer("Accepted")

    @route(Action.diagnostics_status_notification)
    async def on_diagnostics(self, **payload: Any) -> Any:
        await self._take("DiagnosticsStatusNotification", payload)
        return call_result.DiagnosticsStatusNotification()

    @route(Action.firmware_status_notification)
    async def on_firmware(self, **payload: Any) -> Any:
        await self._take("FirmwareStatusNotification", payload)
        return call_result.FirmwareStatusNotification()

    @route(Action.security_event_notification)
    async def on_security(self, **payload: Any) -> Any:
        await self._take("SecurityEventNotification", payload)
        return call_result.SecurityEventNotification()

    @route(Action.log_status_notification)
    async def on_log(self, **payload: Any) -> Any:
        await self._take("LogStatusNotification", payload)
        return call_result.LogStatusNotification()

    # What an operator does. Each returns the answer; a CALLERROR raises the `ocpp` package's exception.

    async def ask(self, request: Any) -> Any:
        """Any request of the `ocpp` package."""
        return await self.call(request, suppress=False)

    async def remote_start(self, tag: str, *, connector: int | None = 1, profile: dict[str, Any] | None = None) -> str:
        """RemoteStartTransaction; returns the status."""
        answer = await self.ask(call.RemoteStartTransaction(tag, connector, profile))
        return str(answer.status)

    async def remote_stop(self, transaction: int) -> str:
        """RemoteStopTransaction; returns the status."""
        return str((await self.ask(call.RemoteStopTransaction(transaction))).status)

    async def set_profile(self, profile: dict[str, Any], *, connector: int = 1) -> str:
        """SetChargingProfile; `profile` as `profile_of` makes it. Returns the status."""
        return str((await self.ask(call.SetChargingProfile(connector, profile))).status)

    async def change_configuration(self, key: str, value: str) -> str:
        """ChangeConfiguration; returns the status."""
        return str((await self.ask(call.ChangeConfiguration(key, value))).status)

    async def trigger(self, message: str, connector: int | None = None) -> str:
        """TriggerMessage; returns the status."""
        return str((await self.ask(call.TriggerMessage(message, connector))).status)

    async def reset(self, kind: str = "Soft") -> str:
        """Reset; returns the status."""
        return str((await self.ask(call.Reset(kind))).status)


def profile_of(
    limits: Sequence[tuple[int, float]],
    *,
    ident: int = 1,
    purpose: str = "TxProfile",
    stack: int = 0,
    start: str | None = None,
    transaction: int | None = None,
    unit: str = "W",
    duration_s: int | None = None,
) -> dict[str, Any]:
    """A charging profile in the package's words: `limits` are (seconds from start, W or A)."""
    schedule: dict[str, Any] = {
        "charging_rate_unit": unit,
        "charging_schedule_period": [{"start_period": at, "limit": limit} for at, limit in limits],
        "start_schedule": start or utc_text(),
    }
    if duration_s is not None:
        schedule["duration"] = duration_s
    profile: dict[str, Any] = {
        "charging_profile_id": ident,
        "stack_level": stack,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Absolute",
        "charging_schedule": schedule,
    }
    return profile if transaction is None else {**profile, "transaction_id": transaction}


class AnyPeer(Protocol):
    """A connected station of either version, as the server sees it."""

    id: str
    connection: ServerConnection
    booted: bool

    async def start(self) -> None:
        """Serve it until it is gone."""


class Csms:
    """The server. `passwords`: BasicAuth, charge point id -> password (bytes); None = nobody is asked.

    `versions` as the server prefers them; a station of 2.0.1 is a `csms201.Peer201`.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        context: ssl.SSLContext | None = None,
        passwords: dict[str, bytes] | None = None,
        port: int = 0,
        versions: Sequence[str] = ("1.6",),
    ) -> None:
        self.versions = tuple(versions)
        self.peers201: dict[str, Any] = {}
        self.policy = policy or Policy()
        self.events: list[Event] = []
        self.peers: dict[str, Peer] = {}
        self._context = context
        self._passwords = passwords
        self._port = port
        self._server: Server | None = None
        self._news = asyncio.Condition()
        self._numbers = itertools.count(1)
        self._transactions: dict[tuple[Any, ...], int] = {}

    async def __aenter__(self) -> Csms:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self._port,
            subprotocols=[f"ocpp{version}" for version in self.versions],  # type: ignore[misc]
            ssl=self._context,
            process_request=self._admit,
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close every connection and the port; `__aenter__` of a new one on the same port is a CSMS restart."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """What a station is configured with."""
        return f"{'wss' if self._context else 'ws'}://127.0.0.1:{self.port}"

    async def station(self, ident: str) -> Peer:
        """The station of an id, once it is connected and its boot was accepted."""
        await self.until(lambda: ident in self.peers and self.peers[ident].booted)
        return self.peers[ident]

    def of(self, action: str, station: str | None = None) -> list[Event]:
        """What came of an action so far."""
        return [e for e in self.events if e.action == action and station in (None, e.station)]

    async def wait(self, action: str, count: int = 1, *, where: Callable[[dict[str, Any]], bool] | None = None) -> Event:
        """The count-th message of an action (that meets `where`), once it has come."""

        def found() -> list[Event]:
            return [e for e in self.of(action) if where is None or where(e.payload)]

        await self.until(lambda: len(found()) >= count)
        return found()[count - 1]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; looked at whenever a message or a connection came."""
        async with self._news:
            await self._news.wait_for(holds)

    async def station201(self, ident: str) -> Any:
        """As `station`, of 2.0.1: a `csms201.Peer201`."""
        await self.until(lambda: ident in self.peers201 and self.peers201[ident].booted)
        return self.peers201[ident]

    async def take(self, peer: AnyPeer, action: str, payload: dict[str, Any]) -> None:
        """A message came: log it, then do to it what the policy says."""
        self.events.append(Event(time.monotonic_ns(), peer.id, action, payload))
        await self.tell()
        if action in self.policy.drop:
            await peer.connection.close()
        if action in self.policy.fail:
            raise RuntimeError(f"{action} fails by policy")
        if action in self.policy.delay_s:
            # The package handles one message after the other; a station that hangs up must not be waited for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.policy.delay_s[action]):
                    await peer.connection.wait_closed()

    def tag_status(self, tag: str) -> str:
        """What the id-tag list says."""
        return "Accepted" if self.policy.tags is None else self.policy.tags.get(tag, "Invalid")

    def transaction_of(self, station: str, payload: dict[str, Any]) -> int:
        """A transaction's number; an identical message is a retry and keeps its number."""
        key = (station, *sorted((k, str(v)) for k, v in payload.items()))
        if key not in self._transactions:
            self._transactions[key] = next(self._numbers)
        return self._transactions[key]

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        ident = connection.request.path.rsplit("/", 1)[-1]
        if connection.subprotocol == "ocpp2.0.1":
            from bessctl.sim.csms201 import Peer201  # noqa: PLC0415 - its package is slow to import

            await self._serve_one(Peer201(self, ident, connection), self.peers201)
        else:
            await self._serve_one(Peer(self, ident, connection), self.peers)

    async def _serve_one(self, peer: Any, peers: dict[str, Any]) -> None:
        ident = peer.id
        peers[ident] = peer
        await self.tell()
        try:
            await peer.start()
        except ConnectionClosed:
            pass
        finally:
            if peers.get(ident) is peer:
                del peers[ident]
            await self.tell()

    async def tell(self) -> None:
        """Something changed: whoever waits looks again."""
        async with self._news:
            self._news.notify_all()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._passwords is None:
            return None
        ident = request.path.rsplit("/", 1)[-1]
        return None if _presented(request.headers) == (ident, self._passwords.get(ident)) else connection.respond(401, "who are you?\n")


def _presented(headers: Headers) -> tuple[str, bytes] | None:
    kind, _, value = headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(value, validate=True).partition(b":")
        return (user.decode(), password) if kind == "Basic" else None
    except (binascii.Error, UnicodeDecodeError):
        return None
