"""Each fault of a line that a scenario can inject: what arrives instead of an answer, byte by byte (CARD-6).

Sent on as the scenario's player sends it, and then each answer is spoilt instead of some: a client with a socket, or with a serial line,
compares what comes with what came before.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import tty
from collections.abc import Callable
from typing import NamedTuple

import pytest

from bessctl.hil.faults import LINE, LINE_SERIAL, LINE_TCP, injection
from bessctl.sim.process import obey
from bessctl_core import frames
from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer
from tests.hil.test_fault_wire import PCS, SOON_S, received, served
from tests.sim.plants import BASE, M701, config

LATER_S = 1.0

READ = struct.pack(">BHH", 3, M701 + 10, 6)


class Spoilt(NamedTuple):
    """How an answer arrives: a function of question, clean answer and what came."""

    word: str
    seen: Callable[[bytes, bytes, bytes | None], bool]
    patience_s: float = SOON_S


def half(clean: bytes) -> bytes:
    return clean[: len(clean) // 2]


def body(got: bytes | None, at: int) -> bytes:
    return b"" if got is None else got[at:]


TCP = [
    Spoilt("late answers", lambda q, clean, got: got == b""),
    Spoilt("late answers", lambda q, clean, got: got == clean, LATER_S),
    Spoilt("slow bytes", lambda q, clean, got: got == half(clean)),
    Spoilt("slow bytes", lambda q, clean, got: got == clean, LATER_S),
    Spoilt("another unit", lambda q, clean, got: body(got, 6)[:2] == bytes([clean[6] ^ 0x10, 3])),
    Spoilt("another function", lambda q, clean, got: body(got, 6)[:2] == bytes([1, 4])),
    Spoilt("too few registers", lambda q, clean, got: body(got, 8) == bytes([10]) + b"\x5a" * 10),
    Spoilt("busy", lambda q, clean, got: body(got, 4) == bytes([0, 3, 1, 0x83, 6])),
    Spoilt("bytes in front", lambda q, clean, got: got is not None and got.endswith(clean) and len(got) == len(clean) + 5),
    Spoilt("bytes behind", lambda q, clean, got: got is not None and got.startswith(clean) and len(got) == len(clean) + 6),
    Spoilt("another protocol", lambda q, clean, got: body(got, 2)[:2] == b"\0\1"),
    Spoilt("impossible length", lambda q, clean, got: body(got, 4)[:2] == b"\xff\xff"),
    Spoilt("stale answers", lambda q, clean, got: got is not None and got[1] == (q[1] - 1) & 0xFF and got.endswith(clean)),
    Spoilt("closing", lambda q, clean, got: got is None),
    Spoilt("half open", lambda q, clean, got: got == b""),
    Spoilt("cut", lambda q, clean, got: got is None),
]


@pytest.mark.parametrize("row", TCP, ids=lambda row: f"{row.word} {row.patience_s:g}")
def test_a_fault_of_a_tcp_line_is_seen_on_the_wire(row: Spoilt) -> None:
    with served() as wire:
        question = wire.question(PCS, READ)
        clean = wire.raw(question)
        assert clean is not None
        assert not row.seen(question, clean, clean) or row.patience_s == LATER_S
        wire.inject("line", row.word)
        if wire_is_spoilt(row.word):
            wire.server.disturb(noise_per_mille=1000)  # each answer, not one of five
        try:
            got = wire.raw(question, row.patience_s)
        except OSError:
            got = None  # reset instead of closed
        assert row.seen(question, clean, got), got
        wire.inject("line", "well")
        again = socket.create_connection(("127.0.0.1", wire.server.port))
        again.sendall(question)
        assert received(again, SOON_S) == clean, "well again"
        again.close()


def wire_is_spoilt(word: str) -> bool:
    return "spoil" in {**LINE, **LINE_TCP, **LINE_SERIAL}[word]


def test_one_session_turns_the_second_away_and_the_first_goes_on() -> None:
    with served() as wire:
        wire.inject("line", "one session")
        assert wire.regs(PCS, BASE) is not None
        second = socket.create_connection(("127.0.0.1", wire.server.port))
        assert select.select([second], [], [], 10)[0]
        assert second.recv(10) == b"", "closed"
        second.close()
        assert wire.regs(PCS, BASE) is not None


SERIAL = [
    Spoilt("noisy", lambda q, clean, got: got is not None and len(got) == len(clean) and got != clean and not valid(got)),
    Spoilt("late answers", lambda q, clean, got: got == b""),
    Spoilt("slow bytes", lambda q, clean, got: got == half(clean)),
    Spoilt("another unit", lambda q, clean, got: valid(got) and body(got, 0)[:2] == bytes([clean[0] ^ 0x10, 3])),
    Spoilt("another function", lambda q, clean, got: valid(got) and body(got, 0)[:2] == bytes([1, 4])),
    Spoilt("too few registers", lambda q, clean, got: valid(got) and body(got, 2)[:1] == bytes([10])),
    Spoilt("busy", lambda q, clean, got: valid(got) and body(got, 0)[:3] == bytes([1, 0x83, 6])),
    Spoilt("bytes in front", lambda q, clean, got: got is not None and got.endswith(clean) and len(got) == len(clean) + 3),
    Spoilt("bytes behind", lambda q, clean, got: got is not None and got.startswith(clean) and len(got) == len(clean) + 2),
    Spoilt("zero in front", lambda q, clean, got: got == b"\0" + clean),
    Spoilt("another unit in front", lambda q, clean, got: got is not None and got.endswith(clean) and valid(got[: len(clean)])),
    Spoilt("gaps", lambda q, clean, got: got == half(clean), 0.005),
    Spoilt("echo", lambda q, clean, got: got == q + clean),
    Spoilt("half open", lambda q, clean, got: got == b""),
]


def valid(frame: bytes | None) -> bool:
    return frame is not None and len(frame) > 3 and frames.crc(frame[:-2]).to_bytes(2, "little") == frame[-2:]


@pytest.mark.parametrize("row", SERIAL, ids=lambda row: row.word)
def test_a_fault_of_a_serial_line_is_seen_on_the_wire(row: Spoilt) -> None:
    plant = Plant(config())
    with PlantServer([plant], rtu={"baud": 115_200, "paced": False}, tcp_port=None, real_time=False) as server:
        fd = os.open(server.pty_path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        question = bytes([PCS]) + READ
        question += frames.crc(question).to_bytes(2, "little")
        clean = heard(fd, question, SOON_S)
        assert valid(clean)
        obeyed = obey(server, json.dumps({"disturb": injection("line", row.word, 0.0, ["unit1"], []).values}))
        assert obeyed.get("ok"), obeyed
        if wire_is_spoilt(row.word):
            server.disturb(noise_per_mille=1000)
        assert row.seen(question, clean, heard(fd, question, row.patience_s))
        os.close(fd)


def heard(fd: int, question: bytes, patience_s: float) -> bytes:
    os.write(fd, question)
    got = b""
    while select.select([fd], [], [], patience_s if got else SOON_S)[0]:
        got += os.read(fd, 512)
    return got


# --- nothing is left out ----------------------------------------------------------------------------------------------------------------


def test_every_fault_of_a_line_is_in_these_tables() -> None:
    on_tcp, on_serial = {row.word for row in TCP}, {row.word for row in SERIAL}
    by_themselves = {"well", "joined", "one session"}
    assert {*LINE, *LINE_TCP} - by_themselves == on_tcp
    assert {*LINE, *LINE_SERIAL} - by_themselves - {"cut"} == on_serial
