"""The one listener for all peers. Each request: who is it, may it, its body, its answer; and only then whatever follows from it.

The order "204 first, then the acknowledgement" (OSCP 2.0 1.8 FR.01, 4.3.2) holds because the response is written to its end here before
`answered` tells the session that messages of ours may go to that peer. A handler that returns its response lets the server write it
later, and a message started meanwhile arrives first.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from bessctl.errors import OperationFailed
from bessctl.protocols.oscp.messages import headers as heads
from bessctl.protocols.oscp.messages.answers import Answer
from bessctl.protocols.oscp.messages.wire import Malformed

BODY_MAX = 1 << 20
BODY_WITHIN_S = 20.0
KEEP_ALIVE_S = 120.0
ENDPOINTS = ("register", "handshake", "handshake_acknowledge", "heartbeat", "update_group_capacity_forecast")


class Guest(Protocol):
    """A peer whose token was found, for the length of one request."""

    def admitted(self) -> bool:
        """False: it asks too often."""

    async def receive(self, endpoint: str, method: str, headers: heads.Headers, body: bytes) -> Answer:
        """The answer, once what it depends on is on disk."""

    def answered(self) -> None:
        """The response is on the wire, or nobody listens to it any more."""


class Door(Protocol):
    """Finds out who knocks."""

    def guest(self, token: str) -> Guest | None:
        """The peer of a token."""

    def endpoint(self, path: str) -> str:
        """The standard name of a path below our base URL; some peers write one otherwise."""


class Listener:
    """Serves from `async with` to its end. Raises OperationFailed when the port cannot be had."""

    def __init__(self, door: Door, base_url: str, host: str, port: int, context: ssl.SSLContext) -> None:
        self._door, self._host, self._port, self._context = door, host, port, context
        self._base = urlsplit(base_url).path + "/"
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None, keepalive_timeout=KEEP_ALIVE_S), shutdown_timeout=0.5)
        self.port = 0

    async def __aenter__(self) -> Listener:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._context)
        try:
            await site.start()
        except OSError as e:
            await self._runner.cleanup()
            raise OperationFailed(f"oscp: cannot listen on {self._host}:{self._port}: {e.strerror or e}; choose another port") from e
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        endpoint = self._door.endpoint(request.path.removeprefix(self._base)) if request.path.startswith(self._base) else ""
        if endpoint not in ENDPOINTS:
            return await _respond(request, Answer(404, f"nothing is served at {request.path[:100]}"))
        allowed = ("POST", "PUT", "DELETE") if endpoint == "register" else ("POST",)
        if request.method not in allowed:
            return await _respond(request, Answer(405, f"{endpoint} takes {', '.join(allowed)}"), allow=", ".join(allowed))
        try:
            guest = self._door.guest(heads.token(request.headers))
        except heads.Unauthorized as e:
            return await _respond(request, Answer(401, str(e)))
        if guest is None:
            return await _respond(request, Answer(403, "this token is not known here"))
        try:
            return await _respond(request, await self._served(request, endpoint, guest))
        finally:
            guest.answered()

    async def _served(self, request: web.BaseRequest, endpoint: str, guest: Guest) -> Answer:
        if not guest.admitted():
            return Answer(429, "too many requests; send fewer")
        try:
            headers = heads.read(request.headers)
            body = await _body(request)
        except Malformed as e:
            return Answer(400, str(e))
        except web.HTTPException as e:
            return Answer(e.status, e.text or e.reason)
        return await guest.receive(endpoint, request.method, headers, body)


async def _body(request: web.BaseRequest) -> bytes:
    """All of it, whatever its transfer coding. Raises an HTTPException with the status that says why not."""
    if request.content_type != "application/json" and request.body_exists and request.method != "DELETE":
        raise web.HTTPUnsupportedMediaType(text="the body must be application/json (OSCP 2.0 4.1)")
    if (request.content_length or 0) > BODY_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_MAX, request.content_length or 0, text=f"at most {BODY_MAX} bytes; send it in segments")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > BODY_MAX:
                    raise web.HTTPRequestEntityTooLarge(BODY_MAX, len(data), text=f"at most {BODY_MAX} bytes; send it in segments")
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from None
    except web.RequestPayloadError as e:
        raise web.HTTPBadRequest(text=f"the body could not be read: {e}") from e
    return bytes(data)


async def _respond(request: web.BaseRequest, answer: Answer, *, allow: str = "") -> web.StreamResponse:
    """Write the whole response; it is on the wire when this returns. A peer that is gone is no error: it will ask again."""
    body = answer.body
    head = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
    if allow:
        head["Allow"] = allow
    if answer.status == 401:
        head["WWW-Authenticate"] = "Token"
    if not body and answer.status != 204:
        head["Content-Length"] = "0"
    response = web.StreamResponse(status=answer.status, headers=head)
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof(body)
    return response
