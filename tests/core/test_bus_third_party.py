"""pymodbus and libmodbus as slaves that misbehave: their own frames, spoilt, over TCP and a serial line. Never a wrong value (CARD-1).

What tests/scenarios/test_bus_faults.py does with our simulated plant under a running loop: here with a stranger at the bus alone.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymodbus.server import ModbusBaseServer, ModbusSerialServer, ModbusTcpServer

from bessctl_core import frames
from bessctl_core.master import BusError, Master
from tests.core import libmodbus
from tests.core.test_bus_oracle import HOLDING, device, null_modem, serving

TIMEOUT_S = 0.3
FORGED = b"\x5a\x5a"
RIGHT = HOLDING[10:14]

Spoil = Callable[[bytes], bytes]


class Spoiler:
    """pymodbus's trace_packet: passes everything on, and spoils one answer when told to."""

    def __init__(self) -> None:
        self.spoil: Spoil | None = None
        self.echo, self.question = False, b""

    def __call__(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self.question = data
            return data
        spoil, self.spoil = self.spoil, None
        return (self.question if self.echo else b"") + (data if spoil is None else spoil(data))


def crc(body: bytes) -> bytes:
    return body + struct.pack("<H", frames.crc(body))


def forged(answer: bytes, at: int) -> bytes:
    """The registers of an answer replaced, from `at` on."""
    return FORGED * ((len(answer) - at) // 2)


# name -> what becomes of the answer, the fault of the question (None: it is answered right), the counter that rises
TCP: dict[str, tuple[Spoil, str | None, str]] = {
    "another unit": (lambda a: a[:6] + b"\x09" + a[7:9] + forged(a, 9), "wrong_unit", "wrong_unit"),
    "another function": (lambda a: a[:7] + b"\x04" + a[8:9] + forged(a, 9), "wrong_function", "wrong_function"),
    "another byte count": (lambda a: a[:8] + bytes([a[8] - 2]) + forged(a, 9), "wrong_length", "wrong_length"),
    "another protocol": (lambda a: a[:2] + b"\0\1" + a[4:], "wrong_protocol", "wrong_protocol"),
    "an impossible length": (lambda a: a[:4] + b"\x7f\xff" + a[6:], "wrong_length", "wrong_length"),
    "another transaction": (lambda a: bytes([a[0] ^ 0x40]) + a[1:9] + forged(a, 9), "timeout", "late_replies"),
    "another transaction, then the right one": (lambda a: bytes([a[0] ^ 0x40]) + a[1:9] + forged(a, 9) + a, None, "late_replies"),
    "busy": (lambda a: a[:4] + b"\0\3" + a[6:7] + bytes([a[7] | 0x80, 6]), "exception", "exception_6"),
    "half of it": (lambda a: a[:11], "timeout", "slow"),
    "nothing": (lambda a: b"", "timeout", "failed_timeout"),
}
RTU: dict[str, tuple[Spoil, str | None, str]] = {
    "another unit": (lambda a: crc(b"\x09" + a[1:3] + FORGED * 4), "wrong_unit", "wrong_unit"),
    "another unit in front": (lambda a: crc(b"\x09" + a[1:3] + FORGED * 4) + a, None, "wrong_unit"),
    "another function": (lambda a: crc(a[:1] + b"\x04" + a[2:3] + FORGED * 4), "wrong_function", "wrong_function"),
    "another byte count": (lambda a: crc(a[:2] + b"\x06" + FORGED * 3), "wrong_length", "wrong_length"),
    "a wrong check sum": (lambda a: a[:3] + FORGED * 4 + a[-2:], "crc", "crc_errors"),
    "a zero in front": (lambda a: b"\0" + a, None, "garbage_bytes"),
    "bytes behind": (lambda a: a + b"\xaa\x55", None, "garbage_bytes"),
    "busy": (lambda a: crc(a[:1] + b"\x83\x06"), "exception", "exception_6"),
    "half of it": (lambda a: a[:6], "timeout", "slow"),
    "nothing": (lambda a: b"", "timeout", "failed_timeout"),
}


@contextmanager
def over_tcp(spoiler: Spoiler) -> Iterator[Master]:
    with serving(lambda: ModbusTcpServer(device(1), address=("127.0.0.1", 0), trace_packet=spoiler)) as server:
        port = server.transport.sockets[0].getsockname()[1]
        with Master.tcp("127.0.0.1", port, timeout_s=TIMEOUT_S) as master:
            yield master


@contextmanager
def over_rtu(spoiler: Spoiler) -> Iterator[Master]:
    def server() -> ModbusBaseServer:
        return ModbusSerialServer(device(1), port=lines[1], baudrate=115200, parity="N", stopbits=2, trace_packet=spoiler)

    with null_modem() as lines, serving(server), Master.rtu(lines[0], 115200, "N", 2, timeout_s=TIMEOUT_S, worst_s=TIMEOUT_S) as master:
        yield master


@pytest.fixture(scope="module", params=[over_tcp, over_rtu], ids=["tcp", "rtu"])
def station(request: pytest.FixtureRequest) -> Iterator[tuple[Master, Spoiler, dict[str, Any]]]:
    spoiler = Spoiler()
    with request.param(spoiler) as master:
        yield master, spoiler, TCP if request.param is over_tcp else RTU


def answers(master: Master) -> None:
    """Connected again, and a right answer: what is asserted afterwards is the spoilt one alone."""
    for _ in range(200):
        try:
            assert master.read(1, 3, 10, 4) == RIGHT
            return
        except BusError:
            threading.Event().wait(0.05)
    pytest.fail("the slave does not answer any more")


def counter(master: Master, name: str) -> int:
    return master.counters().get(name, 0)


@pytest.mark.parametrize("name", sorted({*TCP, *RTU}))
def test_a_slave_of_other_peoples_making_spoils_its_answer(station: tuple[Master, Spoiler, dict[str, Any]], name: str) -> None:
    master, spoiler, table = station
    if name not in table:
        return
    spoil, fault, rises = table[name]
    answers(master)
    before = counter(master, rises)
    spoiler.spoil = spoil
    if fault is None:
        assert master.read(1, 3, 10, 4) == RIGHT
        master.read(1, 3, 0, 1)  # what lay behind the answer is found by the next question at the latest
    else:
        with pytest.raises(BusError) as caught:
            master.read(1, 3, 10, 4)
        assert caught.value.fault == fault
    assert counter(master, rises) > before


def test_a_line_that_hears_itself_and_a_slave_of_other_peoples_making() -> None:
    """Local echo from the first question on: dropped and counted, in front of answers to reads and to writes of several registers."""
    spoiler = Spoiler()
    spoiler.echo = True
    with over_rtu(spoiler) as master:
        for _ in range(3):
            assert master.read(1, 3, 10, 4) == RIGHT
        master.write(1, 20, [7, 8, 9])
        assert master.read(1, 3, 20, 3) == [7, 8, 9]
        assert (counter(master, "echoes"), counter(master, "failed_timeout")) == (5, 0)


# --- libmodbus --------------------------------------------------------------------------------------------------------------------------

# How the answer is spoilt -> the fault of the question, the counter that rises; over TCP libmodbus puts a transaction id of its own on
# what is no answer, which is a late reply to nobody.
LIBMODBUS = {
    "nothing": (("timeout", "failed_timeout"), ("timeout", "failed_timeout")),
    "late": (("timeout", "late_replies"), ("timeout", "late_replies")),
    "busy": (("exception", "exception_6"), ("exception", "exception_6")),
    "another unit": (("timeout", "late_replies"), ("wrong_unit", "wrong_unit")),
    "another function": (("timeout", "late_replies"), ("wrong_function", "wrong_function")),
    "another byte count": (("timeout", "late_replies"), ("wrong_length", "wrong_length")),
    "byte by byte": (("timeout", "slow"), ("timeout", "slow")),
}


@contextmanager
def libmodbus_station(name: str) -> Iterator[Master]:
    if name == "tcp":
        with libmodbus.slave("tcp") as port, Master.tcp("127.0.0.1", port, timeout_s=TIMEOUT_S) as master:
            yield master
    else:
        with (
            null_modem() as lines,
            libmodbus.slave("rtu", lines[1], "115200", "N", "2"),
            Master.rtu(lines[0], 115200, "N", 2, timeout_s=TIMEOUT_S, worst_s=2 * TIMEOUT_S) as master,
        ):
            yield master


@pytest.fixture(scope="module", params=["tcp", "rtu"])
def stranger(request: pytest.FixtureRequest) -> Iterator[tuple[Master, int]]:
    with libmodbus_station(request.param) as master:
        yield master, request.param == "rtu"


@pytest.mark.parametrize("how", LIBMODBUS)
def test_libmodbus_spoils_its_answer(stranger: tuple[Master, int], how: str) -> None:
    """What libmodbus's own master would hand out as the next value is never a value here."""
    master, kind = stranger
    fault, rises = LIBMODBUS[how][kind]
    answers(master)
    before = counter(master, rises)
    master.write(1, libmodbus.ARM, [1000 + libmodbus.ARM + libmodbus.HOW[how]], fc=6)
    with pytest.raises(BusError) as caught:
        master.read(1, 3, 10, 4)
    assert caught.value.fault == fault
    answers(master)
    assert counter(master, rises) > before
