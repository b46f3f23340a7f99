"""A connected socket, plain or TLS, as an asyncio transport that costs little: 200 links live in one thread.

asyncio moves each TLS record through two memory BIOs, two transports and a read buffer per connection; here OpenSSL reads and writes the
socket itself. Per message that is one call for each direction, and per connection no buffer of its own.

- Read at most `CHUNK` at once, so that a peer that floods cannot hold the event loop; what OpenSSL has left of a record is read next turn.
- What the socket does not take waits here; above the high mark the protocol is told to pause, below the low one to go on.
- Errors and the peer's end reach the protocol by `connection_lost`, never inside its own call.
- Renegotiation is off in our contexts (transport/tls): a write never waits for a read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

CHUNK = 4 * 1024
HIGH, LOW = 64 * 1024, 16 * 1024
LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire(asyncio.Transport):
    """Supervisor thread. Owns the socket, whose handshake is over; `protocol.connection_made` is called at once."""

    def __init__(self, sock: socket.socket, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()})
        self._sock = sock
        self._secure = sock if isinstance(sock, ssl.SSLSocket) else None
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._high, self._low = HIGH, LOW
        self._full = False
        self._reading = False
        self._closing = False
        self._over = False
        protocol.connection_made(self)
        self.resume_reading()

    # Reading.

    def pause_reading(self) -> None:
        """Leave the rest in the kernel, whose window tells the peer."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    def resume_reading(self) -> None:
        """Read again, beginning with what OpenSSL holds already."""
        if self._reading or self._closing:
            return
        self._reading = True
        self._loop.add_reader(self._sock, self._readable)
        self._again()

    def is_reading(self) -> bool:
        """Is it looked for more?"""
        return self._reading

    def _again(self) -> None:
        """A record that OpenSSL has read makes no socket readable."""
        if self._reading and self._secure is not None and self._secure.pending():
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        if not self._reading:
            return
        try:
            data = self._sock.recv(CHUNK)
        except LATER:
            return
        except OSError as e:
            self._end(e)
            return
        if data:
            self._protocol.data_received(data)
            self._again()
        else:
            self._protocol.eof_received()
            self.close()

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or line up behind what waits."""
        if self._over or self._closing:
            return
        sent = 0 if self._waiting else self._send(data)
        if sent == len(data) or self._over:
            return
        if not self._waiting:
            self._loop.add_writer(self._sock, self._writable)
        self._waiting += memoryview(data)[sent:]
        if len(self._waiting) > self._high and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """TLS has no half-closed connection, and a websocket needs none."""
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As in asyncio: low is a quarter of high where nothing else is said."""
        self._high = HIGH if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """What waits."""
        return len(self._waiting)

    def _send(self, data: Any) -> int:
        try:
            return self._sock.send(data)
        except LATER:
            return 0
        except OSError as e:
            self._end(e)
            return 0

    def _writable(self) -> None:
        sent = self._send(self._waiting)
        if self._over:
            return
        del self._waiting[:sent]
        if self._full and len(self._waiting) <= self._low:
            self._full = False
            self._protocol.resume_writing()
        if not self._waiting:
            self._loop.remove_writer(self._sock)
            if self._closing:
                self._end(None)

    # The end.

    def is_closing(self) -> bool:
        """Is the end near, or past?"""
        return self._closing or self._over

    def close(self) -> None:
        """Send what waits, then end."""
        if self._closing or self._over:
            return
        self.pause_reading()
        self._closing = True
        if not self._waiting:
            self._end(None)

    def abort(self) -> None:
        """End now."""
        self._end(None)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whose transport this is."""
        return self._protocol

    def _end(self, error: OSError | None) -> None:
        if self._over:
            return
        self._over = True
        self.pause_reading()
        self._loop.remove_writer(self._sock)
        self._waiting.clear()
        self._loop.call_soon(self._lost, error)

    def _lost(self, error: OSError | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            with suppress(OSError, ValueError):
                if self._secure is not None and error is None:
                    self._secure.unwrap()  # our part of the farewell; the peer's is not waited for
            self._sock.close()


async def connected(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    """A socket on which TCP and, with a context, TLS stand: each address of the name is tried. Raises what the last one failed with."""
    trouble: OSError = OSError(f"{host} has no address")
    for family, kind, proto, _, address in await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with ExitStack() as stack:
            sock = stack.enter_context(socket.socket(family, kind, proto))
            sock.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(sock, address)
            except OSError as e:
                trouble = e
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                sock = stack.enter_context(await _handshake(sock, host, context))
            stack.pop_all()
            return sock
    raise trouble


async def _handshake(sock: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        secure = stack.enter_context(context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False))
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await _until(secure, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _until(secure, loop.add_writer, loop.remove_writer)
            else:
                stack.pop_all()
                return secure


async def _until(sock: socket.socket, add: Callable[..., object], remove: Callable[[socket.socket], object]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    add(sock, tell)
    try:
        await ready
    finally:
        remove(sock)
