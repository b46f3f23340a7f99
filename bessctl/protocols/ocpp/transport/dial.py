"""Dialling a CSMS: websocket, TLS, subprotocol, BasicAuth, size limits. Takes no decision of the protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from bessctl.errors import NotReachable
from bessctl.protocols.ocpp.config import LinkConfig, Tls
from bessctl.protocols.ocpp.transport.cap import Cap
from bessctl.protocols.ocpp.transport.credentials import authorization
from bessctl.protocols.ocpp.transport.masks import Masks
from bessctl.protocols.ocpp.transport.tls import client_context, security_event
from bessctl.protocols.ocpp.transport.wire import Wire, connected

OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 2.0
MAX_QUEUE = (2, 0)
CONTROLS = 16
PAUSE_S = 0.1
TEXT = Opcode.TEXT
UNAUTHORIZED = "FailedToAuthenticateAtCsms"
"""The security event of a CSMS that refuses our credentials."""
__all__ = ["UNAUTHORIZED", "Connection", "ConnectionClosed", "NoConnection", "dial", "endpoint"]


class Connection(ClientConnection):
    """A connection whose peer cannot make it cost more than its part (`cap`).

    A message longer than the link takes arrives cut to one byte more. More than CONTROLS pings and pongs at once, and nothing is read
    for PAUSE_S.

    What is said most of the time, one short whole text message, takes a short cut in both directions: the library's state does not change
    by it (RFC 6455 5.4).
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop's."""
        super().connection_made(transport)
        assert self.protocol.max_message_size is not None
        self._cap = Cap(self.protocol.max_message_size - 1)
        self._masks = Masks()

    def data_received(self, data: bytes) -> None:
        """The event loop's."""
        if self._cap.is_one_small_text(data) and self.protocol.state is OPEN:
            self.recv_messages.put(Frame(TEXT, data[2:]))
            return
        super().data_received(self._cap.feed(data))
        if self._cap.controls > CONTROLS:
            self.transport.pause_reading()
            self.loop.call_later(PAUSE_S, self._go_on)

    @property
    def full(self) -> bool:
        """Does the peer read more slowly than we write?"""
        return self.paused

    def write(self, text: str) -> None:
        """Send a message without waiting. On a connection that is closing it goes nowhere: whoever reads learns of the end."""
        if self.protocol.state is OPEN:
            self.transport.write(self._masks.frame(text.encode()))

    @property
    def more(self) -> bool:
        """Is something here that was not taken yet?"""
        return len(self.recv_messages.frames) > 0

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
    where = endpoint(link, url)
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            connection = await _open(link, where, subprotocols, tls or link.tls)
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError, ssl.SSLError, EOFError) as e:
        event = UNAUTHORIZED if isinstance(e, InvalidStatus) and e.response.status_code == 401 else security_event(e)
        why = str(e) or f"no answer within {OPEN_TIMEOUT_S:.0f} s"
        raise NoConnection(f"ocpp link {link.name}: {where}: {type(e).__name__}: {why}", event) from e
    async with connection:
        if connection.subprotocol not in subprotocols:
            raise NoConnection(f"ocpp link {link.name}: the CSMS agreed to none of {', '.join(subprotocols)}")
        yield connection


async def _open(link: LinkConfig, where: str, subprotocols: tuple[str, ...], tls: Tls) -> Connection:
    uri, header = parse_uri(where), authorization(link)
    protocol = ClientProtocol(uri, subprotocols=[cast(Subprotocol, s) for s in subprotocols], max_size=link.max_frame_bytes + 1)
    connection = Connection(protocol, ping_interval=None, close_timeout=CLOSE_TIMEOUT_S, max_queue=MAX_QUEUE)
    wire = Wire(await connected(uri.host, uri.port, client_context(tls) if uri.secure else None), connection)
    try:
        await connection.handshake({"Authorization": header} if header else None, "bessctl")
    except BaseException:
        wire.abort()
        raise
    return connection
