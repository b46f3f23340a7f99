"""One HTTP request at a time over one kept connection, through aiohttp. Bodies are bounded; redirects are the session's to judge."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType

import aiohttp

from bessctl.protocols.sep2.config import Sep2Config
from bessctl.protocols.sep2.messages.codec import MAX_BYTES
from bessctl.protocols.sep2.messages.wire import MEDIA_TYPE, NoReply, Reply, Request
from bessctl.protocols.sep2.transport.tls import client_context

PLAUSIBLE_NS = 1_735_689_600 * 10**9
"""2025-01-01: a wall clock before this was never set."""


def utc_offset_ns() -> int | None:
    """UTC minus CLOCK_MONOTONIC; None while the wall clock is not set."""
    utc_ns = time.time_ns()
    return utc_ns - time.monotonic_ns() if utc_ns >= PLAUSIBLE_NS else None


def retry_after_s(text: str | None, now: datetime) -> float | None:
    """Retry-After as seconds: a number, or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


class Http:
    """A connection to the server. `async with` it; supervisor thread."""

    def __init__(self, config: Sep2Config) -> None:
        self._timeout = aiohttp.ClientTimeout(total=config.timeout_s)
        self._context = client_context(config.tls) if config.url.startswith("https:") else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Http:
        connector = aiohttp.TCPConnector(ssl=self._context or True, limit=2, keepalive_timeout=75)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, auto_decompress=False, headers={"User-Agent": "bessctl"}, trust_env=False
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._session is not None
        await self._session.close()

    async def ask(self, request: Request) -> Reply | NoReply:
        """What became of it. Raises nothing but cancellation."""
        assert self._session is not None
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}
        if request.body:
            headers["Content-Type"] = MEDIA_TYPE
        sent_ns = time.monotonic_ns()
        try:
            async with self._session.request(
                request.method, request.url, data=request.body or None, headers=headers, allow_redirects=False
            ) as response:
                body = await _bounded(response)
                return Reply(
                    response.status,
                    body,
                    sent_ns,
                    time.monotonic_ns(),
                    response.headers.get("Content-Type", ""),
                    response.headers.get("Location", ""),
                    retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
                    utc_offset_ns(),
                )
        except TimeoutError:  # before OSError, of which it is one
            return NoReply(f"nothing within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ssl.SSLError, asyncio.IncompleteReadError, ValueError) as e:
            return NoReply(f"{type(e).__name__}: {e}"[:300])


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as it is of use; what is larger is refused before it is whole."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ValueError(f"a body in {response.headers['Content-Encoding'][:20]!r}, which was not asked for")
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ValueError(f"a body of more than {MAX_BYTES} bytes")
    return bytes(body)
