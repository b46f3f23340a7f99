"""Dialling a CSMS: websocket, TLS, subprotocol, BasicAuth, size limits. Takes no decision of the protocol."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from bessctl.errors import NotReachable
from bessctl.protocols.ocpp.config import LinkConfig, Tls
from bessctl.protocols.ocpp.transport.cap import Cap
from bessctl.protocols.ocpp.transport.credentials import authorization
from bessctl.protocols.ocpp.transport.tls import client_context, security_event

OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 2.0
MAX_QUEUE = (2, 0)
READ_BUFFER = 16 * 1024
CONTROLS = 16
PAUSE_S = 0.1
__all__ = ["Connection", "ConnectionClosed", "NoConnection", "dial", "endpoint"]


class Connection(ClientConnection):
    """A connection whose peer cannot make it cost more than its part (`cap`).

    A message longer than the link takes arrives cut to one byte more. More than CONTROLS pings and pongs at once, and nothing is read
    for PAUSE_S.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop's."""
        super().connection_made(transport)
        assert self.protocol.max_message_size is not None
        self._cap = Cap(self.protocol.max_message_size - 1)
        if isinstance(transport, sslproto._SSLProtocolTransport):
            transport.set_read_buffer_limits(READ_BUFFER)

    def data_received(self, data: bytes) -> None:
        """The event loop's."""
        super().data_received(self._cap.feed(data))
        if self._cap.controls > CONTROLS:
            self.transport.pause_reading()
            self.loop.call_later(PAUSE_S, self._go_on)

    @property
    def held_up(self) -> bool:
        """Do we read nothing now, because what came before is not taken yet?"""
        return self.recv_messages.paused

    def _go_on(self) -> None:
        if not self.recv_messages.paused:
            self.transport.resume_reading()


class NoConnection(NotReachable):
    """A dialling that failed; `event` is the security event it was, if any."""

    def __init__(self, message: str, event: str = "") -> None:
        super().__init__(message)
        self.event = event


def endpoint(link: LinkConfig, url: str | None = None) -> str:
    """The URL with the charge point's identity, percent-encoded (OCPP-J 3.1.1)."""
    return f"{(url or link.url).rstrip('/')}/{quote(link.charge_point_id, safe='')}"


@asynccontextmanager
async def dial(
    link: LinkConfig, subprotocols: tuple[str, ...], *, url: str | None = None, tls: Tls | None = None
) -> AsyncIterator[Connection]:
    """A connection whose peer agreed to one of the subprotocols; `url` and `tls` where they are others than the site's.

    Raises NoConnection (with what failed) or UsageError.
    """
    header, where = authorization(link), url or link.url
    secure = client_context(tls or link.tls) if where.startswith("wss://") else None
    try:
        connection = await connect(
            endpoint(link, url),
            subprotocols=[cast(Subprotocol, s) for s in subprotocols],
            additional_headers={"Authorization": header} if header else None,
            user_agent_header="bessctl",
            ssl=secure,
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=link.max_frame_bytes + 1,
            max_queue=MAX_QUEUE,
            create_connection=Connection,
        )
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError, EOFError) as e:
        raise NoConnection(f"ocpp link {link.name}: {endpoint(link, url)}: {type(e).__name__}: {e}", security_event(e)) from e
    assert isinstance(connection, Connection)
    async with connection:
        if connection.subprotocol not in subprotocols:
            raise NoConnection(f"ocpp link {link.name}: the CSMS agreed to none of {', '.join(subprotocols)}")
        yield connection
