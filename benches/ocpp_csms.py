"""The good CSMSs of the bench `ocpp`, on one TLS port: light, so that what is measured is the station."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

NOW = "2026-01-01T00:00:00Z"


class Peer:
    """One connected station."""

    def __init__(self, ident: str, connection: ServerConnection) -> None:
        self.ident = ident
        self.connection = connection
        self.new = connection.subprotocol == "ocpp2.0.1"
        self.booted = False
        self._waiting: dict[str, asyncio.Future[tuple[Any, int]]] = {}
        self._ids = itertools.count()

    async def ask(self, action: str, payload: dict[str, Any]) -> tuple[Any, float]:
        """Send a CALL; its answer, and ms until it came."""
        ident = f"q{next(self._ids)}"
        answer: asyncio.Future[tuple[Any, int]] = asyncio.get_running_loop().create_future()
        self._waiting[ident] = answer
        began_ns = time.monotonic_ns()
        await self.connection.send(orjson.dumps([2, ident, action, payload]).decode())
        found, at_ns = await answer
        return found, (at_ns - began_ns) / 1e6

    def answered(self, frame: list[Any]) -> None:
        waiting = self._waiting.pop(frame[1], None)
        if waiting is not None and not waiting.done():
            waiting.set_result((frame[2], time.monotonic_ns()))


class Park:
    """Every CSMS. `messages` counts CALLs of good stations; `dials` are the times (s) at which good ones connected."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._numbers = itertools.count(1)
        self.peers: dict[str, Peer] = {}
        self.messages: Counter[str] = Counter()
        self.dials: list[float] = []
        self.last_transaction = 0
        self._server: Server | None = None

    async def __aenter__(self) -> Park:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            ssl=self._context,
            subprotocols=["ocpp2.0.1", "ocpp1.6"],  # type: ignore[list-item]
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def until(self, holds: Callable[[], bool], patience_s: float) -> None:
        async with asyncio.timeout(patience_s):
            while not holds():  # noqa: ASYNC110 - also looks at what is no event
                await asyncio.sleep(0.05)

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        ident = connection.request.path.rsplit("/", 1)[-1]
        with contextlib.suppress(ConnectionClosed):
            await self._good(Peer(ident, connection))

    async def _good(self, peer: Peer) -> None:
        self.peers[peer.ident] = peer
        self.dials.append(time.monotonic())
        async for text in peer.connection:
            frame = orjson.loads(text)
            if frame[0] != 2:
                peer.answered(frame)
                continue
            self.messages[frame[2]] += 1
            peer.booted |= frame[2] == "BootNotification"
            await peer.connection.send(orjson.dumps([3, frame[1], self._answer(frame[2])]).decode())

    def _answer(self, action: str) -> dict[str, Any]:
        if action == "BootNotification":
            return {"currentTime": NOW, "interval": 3600, "status": "Accepted"}
        if action == "StartTransaction":
            self.last_transaction = next(self._numbers)
            return {"transactionId": self.last_transaction, "idTagInfo": {"status": "Accepted"}}
        if action == "DataTransfer":
            return {"status": "Accepted"}
        return {"currentTime": NOW} if action == "Heartbeat" else {}
