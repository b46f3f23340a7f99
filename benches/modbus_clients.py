"""The clients that the Modbus bench compares: each runs blocks of cycles (FC03 x 20, then FC16 x 4) on a connection of its own.

A block returns what each cycle took, in ns, measured by the client itself; compiled clients run a whole block without Python.
"""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import time
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, ModbusSerialClient, ModbusTcpClient

from benches import native
from bessctl_core.master import Master

READS, WRITES = 20, 4
READ_AT, WRITE_AT = 100, 200
TIMEOUT_S = 2.0
BAUD = 115200


class Client(Protocol):
    name: str

    def block(self, cycles: int) -> Any: ...
    def close(self) -> None: ...


class Server:
    """The compiled far end, a process of its own on `core` (None: anywhere), with `lines` pseudo-terminals."""

    def __init__(self, core: int | None, priority: int, lines: int) -> None:
        program = str(native.compiled("modbus_server"))
        arguments = [program, str(-1 if core is None else core), str(priority), str(lines)]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port, *self.lines = self._process.stdout.readline().split()
        self.port = int(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _address(took_ns: Any) -> Any:
    return took_ns.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))


class Bessctl:
    """The product's own bus, driven as the loop drives it: absolute deadlines, ppoll, every check."""

    name = "bessctl"

    def __init__(self, master: Master) -> None:
        self._master = master
        self._master.read(1, 3, READ_AT, READS)

    @classmethod
    def tcp(cls, port: int) -> Self:
        return cls(Master.tcp("127.0.0.1", port, TIMEOUT_S))

    @classmethod
    def rtu(cls, line: str) -> Self:
        """Without the silence between frames, which the other clients do not keep and a pseudo-terminal does not need."""
        return cls(Master.rtu(line, BAUD, "N", 1, TIMEOUT_S, silence_s=0.0))

    def block(self, cycles: int) -> Any:
        took_ns = np.zeros(cycles, np.int64)
        self._master.cycles(1, READ_AT, READS, WRITE_AT, range(WRITES), took_ns)
        return took_ns

    def close(self) -> None:
        self._master.close()


class Bare:
    """Blocking calls in plain C: the limit."""

    name = "bare_c"

    def __init__(self, *, port: int = 0, line: str = "") -> None:
        self._library = native.library("modbus_bare")
        self._serial = int(bool(line))
        self._fd = self._library.bare_open_rtu(line.encode()) if line else self._library.bare_open_tcp(port)
        if self._fd < 0:
            raise OSError("the bare client cannot connect")

    def block(self, cycles: int) -> Any:
        took_ns = np.zeros(cycles, np.int64)
        if self._library.bare_cycles(self._fd, self._serial, cycles, READS, WRITES, _address(took_ns)):
            raise OSError("a cycle of the bare client failed")
        return took_ns

    def close(self) -> None:
        self._library.bare_close(self._fd)


class Libmodbus:
    """libmodbus. Raises native.Unbuildable where it is not installed."""

    name = "libmodbus"

    def __init__(self, *, port: int = 0, line: str = "") -> None:
        self._library = native.library("modbus_libmodbus", packages=("libmodbus",))
        self._library.peer_open_tcp.restype = self._library.peer_open_rtu.restype = ctypes.c_void_p
        self._library.peer_version.restype = ctypes.c_char_p
        self.version = self._library.peer_version().decode()
        self._it = ctypes.c_void_p(self._library.peer_open_rtu(line.encode()) if line else self._library.peer_open_tcp(port))
        if not self._it:
            raise OSError("libmodbus cannot connect")

    def block(self, cycles: int) -> Any:
        took_ns = np.zeros(cycles, np.int64)
        if self._library.peer_cycles(self._it, cycles, READS, WRITES, _address(took_ns)):
            raise OSError("a cycle of libmodbus failed")
        return took_ns

    def close(self) -> None:
        self._library.peer_close(self._it)


class PymodbusSync:
    """pymodbus, blocking."""

    name = "pymodbus_sync"

    def __init__(self, *, port: int = 0, line: str = "") -> None:
        self._it: Any = (
            ModbusSerialClient(line, baudrate=BAUD, timeout=TIMEOUT_S)
            if line
            else ModbusTcpClient("127.0.0.1", port=port, timeout=TIMEOUT_S)
        )
        if not self._it.connect():
            raise OSError("pymodbus cannot connect")

    def block(self, cycles: int) -> Any:
        took_ns, values = np.zeros(cycles, np.int64), list(range(WRITES))
        for i in range(cycles):
            start_ns = time.perf_counter_ns()
            read = self._it.read_holding_registers(READ_AT, count=READS, device_id=1)
            written = self._it.write_registers(WRITE_AT, values, device_id=1)
            took_ns[i] = time.perf_counter_ns() - start_ns
            if read.isError() or written.isError():
                raise OSError("a cycle of pymodbus failed")
        return took_ns

    def close(self) -> None:
        self._it.close()


class PymodbusAsync:
    """pymodbus on asyncio, in a loop of its own that runs only during a block."""

    name = "pymodbus_async"

    def __init__(self, *, port: int = 0, line: str = "") -> None:
        self._loop = asyncio.new_event_loop()
        self._it: Any = None
        self._loop.run_until_complete(self._connect(port, line))

    async def _connect(self, port: int, line: str) -> None:
        self._it = (
            AsyncModbusSerialClient(line, baudrate=BAUD, timeout=TIMEOUT_S)
            if line
            else AsyncModbusTcpClient("127.0.0.1", port=port, timeout=TIMEOUT_S)
        )
        if not await self._it.connect():
            raise OSError("pymodbus cannot connect")

    async def _block(self, cycles: int) -> Any:
        took_ns, values = np.zeros(cycles, np.int64), list(range(WRITES))
        for i in range(cycles):
            start_ns = time.perf_counter_ns()
            read = await self._it.read_holding_registers(READ_AT, count=READS, device_id=1)
            written = await self._it.write_registers(WRITE_AT, values, device_id=1)
            took_ns[i] = time.perf_counter_ns() - start_ns
            if read.isError() or written.isError():
                raise OSError("a cycle of pymodbus failed")
        return took_ns

    def block(self, cycles: int) -> Any:
        return self._loop.run_until_complete(self._block(cycles))

    async def _close(self) -> None:
        self._it.close()

    def close(self) -> None:
        self._loop.run_until_complete(self._close())
        self._loop.close()


TCP: tuple[Callable[[int], Client], ...] = (
    Bessctl.tcp,
    lambda port: Bare(port=port),
    lambda port: Libmodbus(port=port),
    lambda port: PymodbusSync(port=port),
    lambda port: PymodbusAsync(port=port),
)
RTU: tuple[Callable[[str], Client], ...] = (
    Bessctl.rtu,
    lambda line: Bare(line=line),
    lambda line: Libmodbus(line=line),
    lambda line: PymodbusSync(line=line),
    lambda line: PymodbusAsync(line=line),
)
