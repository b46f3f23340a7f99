"""Dialling a CSMS: websocket, TLS, subprotocol, BasicAuth, size limits. Takes no decision of the protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from bessctl.errors import NotReachable
from bessctl.protocols.ocpp.config import LinkConfig, Tls
from bessctl.protocols.ocpp.transport.credentials import authorization
from bessctl.protocols.ocpp.transport.tls import client_context, security_event

OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 2.0
MAX_QUEUE = 16

Connection = ClientConnection
__all__ = ["Connection", "ConnectionClosed", "NoConnection", "dial", "endpoint"]


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
            max_size=link.max_frame_bytes,
            max_queue=MAX_QUEUE,
        )
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError, EOFError) as e:
        raise NoConnection(f"ocpp link {link.name}: {endpoint(link, url)}: {type(e).__name__}: {e}", security_event(e)) from e
    async with connection:
        if connection.subprotocol not in subprotocols:
            raise NoConnection(f"ocpp link {link.name}: the CSMS agreed to none of {', '.join(subprotocols)}")
        yield connection
