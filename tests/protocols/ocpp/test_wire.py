"""The transport of a link over real sockets, plain and TLS (OCPP-2, OCPP-10): nothing lost, in order, however slow, however it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bessctl.protocols.ocpp.transport.wire import CHUNK, Wire, connected
from tests.protocols.ocpp.certificates import issue, server_context

PATIENCE_S = 20
SMALL = 32 * 1024
SECURE = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER 0: the end of the socket is a reset


class Notes(asyncio.Protocol):
    """What a transport tells its protocol."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.told: list[str] = []
        self.error: Exception | None = None
        self.ended = asyncio.Event()
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        self.changed.set()

    def eof_received(self) -> bool | None:
        self.told.append("eof")
        return None

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")
        self.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc
        self.ended.set()

    async def until(self, size: int) -> bytes:
        while len(b"".join(self.chunks)) < size:
            self.changed.clear()
            await self.changed.wait()
        return b"".join(self.chunks)


Far = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def pair(folder: Path, *, secure: bool) -> AsyncIterator[tuple[Wire, Notes, Far]]:
    """A wire, its protocol, and the far end of it."""
    peers: asyncio.Queue[Far] = asyncio.Queue()
    theirs = ours = None
    if secure:
        cert, key = issue(folder, "far")
        theirs, ours = server_context(cert, key), ssl.create_default_context(cafile=str(cert))
    async with asyncio.timeout(PATIENCE_S):
        server = await asyncio.start_server(lambda r, w: peers.put_nowait((r, w)), "127.0.0.1", 0, ssl=theirs)
        notes = Notes()
        wire = Wire(await connected("127.0.0.1", server.sockets[0].getsockname()[1], ours), notes)
        far = await peers.get()
        try:
            yield wire, notes, far
        finally:
            wire.abort()
            await notes.ended.wait()
            far[1].transport.abort()
            server.close()
            await server.wait_closed()


@SECURE
def test_a_slow_reader_gets_everything_in_order(secure: bool, tmp_path: Path) -> None:
    """Far more than the sockets hold: the protocol is told to pause, and to go on; close sends what waits."""

    async def story() -> None:
        async with pair(tmp_path, secure=secure) as (wire, notes, (reader, writer)):
            wire.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            said = b"".join(n.to_bytes(4, "big") for n in range(400_000))
            pieces = [said[at : at + 100_000] for at in range(0, len(said), 100_000)]
            for piece in pieces:
                wire.write(piece)
            assert notes.told == ["made", "pause"]
            assert wire.get_write_buffer_size() > 0
            wire.close()
            wire.write(b"too late")
            assert await reader.read(-1) == said
            await notes.ended.wait()
            assert (notes.told, notes.error) == (["made", "pause", "resume", "lost"], None)

    asyncio.run(story())


@SECURE
def test_a_record_longer_than_a_chunk_is_read_to_its_end(secure: bool, tmp_path: Path) -> None:
    """What OpenSSL holds of it makes no socket readable; a protocol that pauses within it finds the rest when it goes on."""

    async def story() -> None:
        async with pair(tmp_path, secure=secure) as (wire, notes, (_, writer)):
            said = bytes(range(256)) * 64
            writer.write(said)
            assert await notes.until(len(said)) == said
            assert max(len(chunk) for chunk in notes.chunks) <= CHUNK
            notes.chunks.clear()
            writer.write(said)
            await notes.until(1)
            wire.pause_reading()
            held = len(b"".join(notes.chunks))
            for _ in range(20):
                await asyncio.sleep(0)
            assert (len(b"".join(notes.chunks)), wire.is_reading()) == (held, False)
            wire.resume_reading()
            assert await notes.until(len(said)) == said

    asyncio.run(story())


@SECURE
def test_the_far_end_says_farewell(secure: bool, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, secure=secure) as (wire, notes, (_, writer)):
            writer.close()
            await notes.ended.wait()
            assert (notes.told, notes.error) == (["made", "eof", "lost"], None)
            assert wire.is_closing()

    asyncio.run(story())


@SECURE
def test_the_far_end_is_torn_off(secure: bool, tmp_path: Path) -> None:
    """A reset reaches the protocol as the reason of the end, once, also where it comes while we write."""

    async def story() -> None:
        async with pair(tmp_path, secure=secure) as (wire, notes, (_, writer)):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            writer.transport.abort()
            while not wire.is_closing():
                wire.write(b"x" * 1000)
                await asyncio.sleep(0)
            await notes.ended.wait()
            assert notes.told.count("lost") == 1
            assert isinstance(notes.error, OSError)

    asyncio.run(story())


def test_a_name_has_more_than_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refuses, the second is taken; where none is left the last one's error is told."""

    async def story() -> None:
        async with pair(tmp_path, secure=False) as (wire, _, _):
            port = wire.get_extra_info("peername")[1]
            found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]

            async def addresses(*_: object, **__: object) -> object:
                return found

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses)
            with await connected("csms.example", port, None) as sock:
                assert sock.getpeername() == ("127.0.0.1", port)
            del found[1]
            with pytest.raises(ConnectionRefusedError):
                await connected("csms.example", port, None)

    asyncio.run(story())


def test_a_handshake_that_is_given_up_leaves_no_socket(tmp_path: Path) -> None:
    """A peer that takes the connection and says nothing."""
    cert, _ = issue(tmp_path, "far")

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            dialling = asyncio.create_task(connected("127.0.0.1", server.getsockname()[1], ssl.create_default_context(cafile=str(cert))))
            silent, _ = await asyncio.get_running_loop().run_in_executor(None, server.accept)
            with silent:
                assert await asyncio.get_running_loop().run_in_executor(None, silent.recv, 1) == b"\x16"  # a ClientHello
                dialling.cancel()
                await asyncio.wait([dialling])
                assert dialling.cancelled()
                while silent.recv(65536):  # ends: the socket is closed
                    pass

    asyncio.run(story())
