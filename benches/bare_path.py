"""The reference of the whole path: a frame by WebSocket to another process and back, then a write to the PCS by Modbus, nothing else."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve

# SunSpec 715 ControllerHb of the simulated PCS: a write that moves nothing.
CONTROLLER_HB = 40422


class Bare:
    """A frame there and back by WebSocket, then its heartbeat's two registers by Modbus."""

    def __init__(self, port: int) -> None:
        self._modbus = socket.create_connection(("127.0.0.1", port))
        self._modbus.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connected: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self._done = asyncio.Event()
        self._number = 0

    async def accept(self, connection: ServerConnection) -> None:
        self._connected.set_result(connection)
        await self._done.wait()

    async def once(self, frame: str) -> float:
        connection = await self._connected
        start = time.perf_counter()
        await connection.send(frame)
        await connection.recv()
        self._number = (self._number + 1) & 0x7FFF
        self._modbus.sendall(struct.pack(">HHHBBHHBI", self._number, 0, 11, 1, 16, CONTROLLER_HB, 2, 4, self._number))
        answer = self._modbus.recv(64)
        took = time.perf_counter() - start
        if len(answer) != 12 or answer[7] != 16:
            raise RuntimeError(f"the PCS answered {answer.hex()} to the bare write")
        return took * 1e3

    def close(self) -> None:
        self._done.set()
        self._modbus.close()


@asynccontextmanager
async def bare(port: int) -> AsyncIterator[Bare]:
    it = Bare(port)
    async with serve(it.accept, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benches.echo", url)
        try:
            yield it
        finally:
            it.close()
            process.kill()
            await process.wait()
