"""Our requests to one peer: pooled connections, one pool a peer, so that a slow one has nobody waiting behind it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any

import aiohttp

from bessctl.errors import UsageError
from bessctl.protocols.oscp.messages.answers import said

ANSWER_MAX = 16 * 1024
IDLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's response; status None: there was none, `text` says why."""

    status: int | None
    text: str = ""


class Client:
    """Towards one peer. `gate` is awaited when a connection is there and the request is about to be written (OSCP 2.0 1.8 FR.01).

    `context` makes the peer's trust; while it cannot (UsageError: its file is not there yet) nothing is sent, and each request asks again:
    what is wrong with one peer is no other's business.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext], gate: Callable[[], Awaitable[None]], timeout_s: float) -> None:
        self._context, self._gate, self._timeout_s = context, gate, timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        return self

    def open(self) -> str:
        """Make ready to send. Why that cannot be; empty = it can."""
        try:
            self._session = self._session or self._made(self._context())
        except UsageError as e:
            return str(e)
        return ""

    def _made(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._wait)
        trace.on_connection_reuseconn.append(self._wait)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=2, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _wait(self, _session: aiohttp.ClientSession, _context: SimpleNamespace, _parameters: Any) -> None:
        await self._gate()

    async def send(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Reply:
        """One request, one reply. Never raises for what network or peer do. Redirects are not followed: a token goes nowhere else."""
        if why := self.open():
            return Reply(None, why)
        assert self._session is not None
        try:
            async with self._session.request(method, url, headers=headers, data=body or None, allow_redirects=False) as response:
                text = await response.content.read(ANSWER_MAX)
                return Reply(response.status, "" if response.status == 204 else said(text))
        except TimeoutError:
            return Reply(None, f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as e:
            return Reply(None, f"{type(e).__name__}: {e}")
