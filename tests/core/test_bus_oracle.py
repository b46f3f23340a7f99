"""Slaves of other people's making answer the bus: pymodbus and libmodbus, over TCP and over a serial line (CARD-1, CARD-3)."""

from __future__ import annotations

import asyncio
import os
import select
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pymodbus.server import ModbusBaseServer, ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bessctl_core.master import BusError, Master
from tests.core import libmodbus
from tests.core.bus_rig import PATIENCE_S

HOLDING = [1000 + i for i in range(200)]
INPUTS = [5000 + i for i in range(200)]
COILS = [i % 3 == 0 for i in range(64)]
DISCRETE = [i % 5 == 0 for i in range(64)]


def device(unit: int) -> SimDevice:
    """Four blocks of their own, as old devices have them."""
    return SimDevice(
        id=unit,
        simdata=(
            [SimData(0, values=COILS, datatype=DataType.BITS)],
            [SimData(0, values=DISCRETE, datatype=DataType.BITS)],
            [SimData(0, values=HOLDING, datatype=DataType.REGISTERS)],
            [SimData(0, values=INPUTS, datatype=DataType.REGISTERS)],
        ),
    )


@contextmanager
def serving(make: Callable[[], ModbusBaseServer]) -> Iterator[ModbusBaseServer]:
    """The slave in an event loop of its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> ModbusBaseServer:
        server = make()
        await server.serve_forever(background=True)
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE_S)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


@contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Two serial lines wired to each other."""
    pairs = [os.openpty() for _ in range(2)]
    for _, line in pairs:
        tty.setraw(line)
    ends = [end for end, _ in pairs]
    wake, stop = os.pipe()

    def carry() -> None:
        while wake not in (ready := select.select([*ends, wake], [], [])[0]):
            for end in ready:
                os.write(ends[1 - ends.index(end)], os.read(end, 512))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.write(stop, b"x")
        thread.join(PATIENCE_S)
        for fd in (*ends, *(line for _, line in pairs), wake, stop):
            os.close(fd)


@contextmanager
def tcp_master() -> Iterator[Master]:
    with serving(lambda: ModbusTcpServer(device(1), address=("127.0.0.1", 0))) as server:
        port = server.transport.sockets[0].getsockname()[1]
        with Master.tcp("127.0.0.1", port, timeout_s=PATIENCE_S) as master:
            yield master


@contextmanager
def rtu_master() -> Iterator[Master]:
    def server() -> ModbusBaseServer:
        return ModbusSerialServer(device(1), port=lines[1], baudrate=115200, parity="N", stopbits=2)

    with null_modem() as lines, serving(server), Master.rtu(lines[0], 115200, "N", 2, timeout_s=PATIENCE_S) as master:
        yield master


@contextmanager
def libmodbus_tcp() -> Iterator[Master]:
    with libmodbus.slave("tcp") as port, Master.tcp("127.0.0.1", port, timeout_s=PATIENCE_S) as master:
        yield master


@contextmanager
def libmodbus_rtu() -> Iterator[Master]:
    with (
        null_modem() as lines,
        libmodbus.slave("rtu", lines[1], "115200", "N", "2"),
        Master.rtu(lines[0], 115200, "N", 2, timeout_s=PATIENCE_S) as master,
    ):
        yield master


@pytest.fixture(params=[tcp_master, rtu_master, libmodbus_tcp, libmodbus_rtu], ids=["tcp", "rtu", "libmodbus-tcp", "libmodbus-rtu"])
def master(request: pytest.FixtureRequest) -> Iterator[Master]:
    with request.param() as made:
        yield made


def test_every_read(master: Master) -> None:
    assert master.read(1, 3, 0, 125) == HOLDING[:125]
    assert master.read(1, 3, 199, 1) == HOLDING[199:]
    assert master.read(1, 4, 40, 7) == INPUTS[40:47]
    for address, count in ((0, 1), (0, 16), (3, 37), (0, 64)):
        assert master.read(1, 1, address, count) == [int(b) for b in COILS[address : address + count]]
        assert master.read(1, 2, address, count) == [int(b) for b in DISCRETE[address : address + count]]


def test_every_write_is_found_again(master: Master) -> None:
    master.write(1, 10, [42], fc=6)
    master.write(1, 20, list(range(123)))
    assert master.read(1, 3, 10, 1) == [42]
    assert master.read(1, 3, 20, 123) == list(range(123))
    master.write(1, 5, [1], fc=5)
    master.write(1, 6, [0], fc=5)
    master.write(1, 20, [1, 1, 0, 1, 0, 1, 1, 0, 1, 1], fc=15)
    assert master.read(1, 1, 5, 2) == [1, 0]
    assert master.read(1, 1, 20, 10) == [1, 1, 0, 1, 0, 1, 1, 0, 1, 1]


def test_what_the_device_refuses_comes_with_its_code(master: Master) -> None:
    for _ in range(2):
        with pytest.raises(BusError, match="exception 2") as caught:
            master.read(1, 3, 60000, 2)
        assert caught.value.exception_code == 2
    assert master.read(1, 3, 0, 1) == HOLDING[:1]


def test_two_hundred_cycles_without_a_fault(master: Master) -> None:
    for i in range(200):
        master.cycle(1, 0, 20, 100, [i, i + 1, i + 2, i + 3])
    assert master.read(1, 3, 100, 4) == [199, 200, 201, 202]
    counters = master.counters()
    assert counters["ok"] == 401
    assert [name for name, value in counters.items() if value and name.startswith(("failed", "wrong", "garbage", "late", "crc"))] == []
