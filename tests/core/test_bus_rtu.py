"""The bus on a serial line: each trap of a line without transaction ids, on real pseudo-terminals, in time handed in (CARD-1)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import threading
import tty
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core.master import BusError, Master
from bessctl_core.tell import link_fault
from tests.core.bus_rig import MS, PATIENCE_S, SECOND, RtuRig, registers_reply, rtu_frame
from tests.core.preload import in_a_process

GOOD = registers_reply([7, 8])
RIGHT = rtu_frame(1, GOOD)
OK = ("done", "none", 0, [7, 8])
SILENT_NS = 50 * MS

# One character is 11 bits; the wire time of a question of 8 bytes and its answer of 9 at 9600 baud.
CHAR_NS = 11 * SECOND // 9600
WIRE_NS = 17 * CHAR_NS


@pytest.fixture
def rig() -> Iterator[RtuRig]:
    with RtuRig() as made:
        yield made


def works(rig: RtuRig) -> bool:
    """A whole round trip, with values of its own."""
    ticket, _ = rig.ask()
    rig.give(rtu_frame(1, registers_reply([0xAAAA, 0x5555])))
    return rig.outcome(ticket) == ("done", "none", 0, [0xAAAA, 0x5555])


def time_out(rig: RtuRig) -> None:
    """To the deadline of the question that is out."""
    while rig.master.state == "await":
        rig.due()


# What is right


def test_a_read_and_a_write(rig: RtuRig) -> None:
    ticket, question = rig.ask()
    assert question.hex() == "01030064000285d4"
    rig.give(RIGHT)
    assert rig.outcome(ticket) == OK
    ticket, _ = rig.ask(fc=16, address=5, count=2, regs=[1, 2])
    rig.give(rtu_frame(1, struct.pack(">BHH", 16, 5, 2)))
    assert rig.outcome(ticket) == ("done", "none", 0, None)


def test_an_answer_in_pieces_with_a_gap_at_every_cut(rig: RtuRig) -> None:
    """t1.5 within a frame is not enforced: drivers and USB adapters tear frames apart."""
    for cut in range(1, len(RIGHT)):
        ticket, _ = rig.ask()
        rig.give(RIGHT[:cut])
        rig.pump(SILENT_NS)
        assert rig.outcome(ticket)[0] == "sent"
        rig.give(RIGHT[cut:])
        assert rig.outcome(ticket) == OK


# Silence


@pytest.mark.parametrize(("baud", "silence_ns"), [(1200, 32_083_334), (9600, 4_010_417), (19200, 2_005_209), (38400, 1_750_000)])
def test_the_line_is_silent_for_t35_before_a_question(baud: int, silence_ns: int) -> None:
    """Serial Line V1.02, 2.5.1.1: 3.5 characters of 11 bits, 1.75 ms above 19200 baud."""
    with RtuRig(baud=baud) as rig:
        rig.ask(count=2)
        rig.give(RIGHT)
        rig.master.submit(1, 3, 0, 1)
        assert abs(rig.master.deadline_ns() - rig.now_ns - silence_ns) <= 10
        rig.pump(silence_ns - 100)
        assert rig.master.state == "idle"
        rig.pump(110)
        assert rig.master.state == "await"


def test_bytes_on_a_line_that_nobody_asked_push_the_question_back(rig: RtuRig) -> None:
    rig.pump(SECOND)
    rig.give(b"\x55\xaa")
    rig.master.submit(1, 3, 0, 1)
    rig.pump()
    assert rig.master.state == "idle"
    rig.due()
    assert rig.master.state == "await"
    assert rig.counter("garbage_bytes") == 2


def test_the_time_on_the_wire_is_added_to_the_devices_time(rig: RtuRig) -> None:
    rig.ask(timeout_ns=300 * MS)
    assert rig.master.deadline_ns() == rig.now_ns + 300 * MS + WIRE_NS


# After a time-out


def test_after_a_time_out_the_line_stays_quiet_for_the_rest_of_the_worst_time(rig: RtuRig) -> None:
    ticket, _ = rig.ask(timeout_ns=300 * MS)
    sent = rig.now_ns
    time_out(rig)
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")
    assert rig.master.state == "quiet"
    follower = rig.master.submit(2, 3, 0, 1)
    assert rig.master.deadline_ns() == sent + SECOND + WIRE_NS
    rig.pump(100 * MS)
    assert rig.outcome(follower)[0] == "queued"
    rig.due()
    assert rig.outcome(follower)[0] == "sent"


def test_a_devices_own_worst_time_goes_before_the_buss(rig: RtuRig) -> None:
    rig.ask(timeout_ns=300 * MS, worst_ns=400 * MS)
    sent = rig.now_ns
    time_out(rig)
    assert rig.master.deadline_ns() == sent + 400 * MS + WIRE_NS


def test_a_late_answer_is_never_the_answer_to_another_address(rig: RtuRig) -> None:
    """libmodbus and pymodbus return it as the value of the next address: same unit, same function, same count."""
    rig.ask(address=1)
    time_out(rig)
    ticket = rig.master.submit(1, 3, 2, 2)
    rig.give(rtu_frame(1, registers_reply([1111, 2222])))
    assert rig.outcome(ticket)[0] == "queued"
    assert rig.counter("late_replies") == 1
    rig.due()
    rig.peer_read(8)
    rig.give(RIGHT)
    assert rig.outcome(ticket) == OK


def test_a_late_answer_that_nobody_read_is_flushed(rig: RtuRig) -> None:
    """It lies in the driver's buffer when the next question goes out."""
    rig.ask(address=1)
    time_out(rig)
    rig.peer_send(rtu_frame(1, registers_reply([1111, 2222])))
    assert select.select([rig.master.fileno()], [], [], PATIENCE_S)[0]
    ticket = rig.master.submit(1, 3, 2, 2)
    rig.now_ns = rig.master.deadline_ns() + SECOND
    rig.master.pump(rig.now_ns, 0)  # told of no bytes, it looks for none
    assert rig.outcome(ticket)[0] == "sent"
    rig.peer_read(8)
    rig.give(RIGHT)
    assert rig.outcome(ticket) == OK


def test_a_late_answer_with_another_count_is_passed_over(rig: RtuRig) -> None:
    """Later than the worst time it claimed; but its length differs, and the wait goes on."""
    ticket, _ = rig.ask()
    rig.give(rtu_frame(1, registers_reply([1, 2, 3])) + RIGHT)
    assert rig.outcome(ticket) == OK
    assert rig.counter("wrong_length") == 1


def test_a_late_confirmation_of_another_write_is_passed_over(rig: RtuRig) -> None:
    ticket, _ = rig.ask(fc=16, address=5, count=2, regs=[1, 2])
    rig.give(rtu_frame(1, struct.pack(">BHH", 16, 6, 2)))
    assert rig.outcome(ticket)[0] == "sent"
    rig.give(rtu_frame(1, struct.pack(">BHH", 16, 5, 2)))
    assert rig.outcome(ticket) == ("done", "none", 0, None)
    assert rig.counter("wrong_echo") == 1


def test_slow_loris_bytes_never_extend_the_deadline(rig: RtuRig) -> None:
    ticket, _ = rig.ask(timeout_ns=300 * MS)
    deadline = rig.now_ns + 300 * MS + WIRE_NS
    for i in range(8):
        rig.now_ns += 39 * MS
        rig.give(RIGHT[i : i + 1])
    assert rig.outcome(ticket)[0] == "sent"
    rig.now_ns = deadline
    rig.pump()
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")
    rig.give(RIGHT[8:])
    assert rig.counter("late_replies") == 1
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")


# What comes in front, behind and instead


@pytest.mark.parametrize(
    "front",
    [
        pytest.param(b"\x00", id="leading 0x00"),
        pytest.param(b"\xff", id="leading 0xff"),
        pytest.param(b"\xf8\xfe", id="driver switching on"),
        pytest.param(b"\x00\x00\x55\xff\xff", id="garbage"),
        pytest.param(rtu_frame(2, GOOD), id="another unit's frame"),
        pytest.param(rtu_frame(2, b"\x83\x02"), id="another unit's exception"),
        pytest.param(rtu_frame(1, registers_reply([9, 9], 4)), id="another function's answer"),
        pytest.param(rtu_frame(1, b"\x90\x03"), id="another function's exception"),
        pytest.param(RIGHT[:-1] + b"\x00", id="the answer, damaged"),
        pytest.param(RIGHT[:3] + RIGHT[4:], id="the answer, a byte lost"),
        pytest.param(RIGHT[:-2], id="the answer without its check sum"),
        pytest.param(RIGHT[1:], id="the answer without its unit"),
    ],
)
def test_what_comes_in_front_is_dropped(rig: RtuRig, front: bytes) -> None:
    ticket, _ = rig.ask()
    rig.give(front + RIGHT)
    rig.pump(SILENT_NS)
    assert rig.outcome(ticket) == OK
    assert works(rig)


@pytest.mark.parametrize("behind", [b"\x00", b"\xff\xff", RIGHT, rtu_frame(1, registers_reply([9, 9])), RIGHT[:4]])
def test_what_comes_behind_is_dropped(rig: RtuRig, behind: bytes) -> None:
    ticket, _ = rig.ask()
    rig.give(RIGHT + behind)
    assert rig.outcome(ticket) == OK
    assert rig.counter("garbage_bytes") == len(behind)
    assert works(rig)


@pytest.mark.parametrize(
    ("instead", "fault", "counter"),
    [
        (b"", "timeout", None),
        (RIGHT[:5], "timeout", None),
        (b"\x00\x55\xff", "garbage", None),
        (RIGHT[:-1] + b"\x00", "crc", "crc_errors"),
        (rtu_frame(2, GOOD), "wrong_unit", "wrong_unit"),
        (rtu_frame(1, registers_reply([7, 8], 4)), "wrong_function", "wrong_function"),
        (rtu_frame(1, registers_reply([7])), "wrong_length", "wrong_length"),
        (rtu_frame(2, GOOD) + b"\x00", "wrong_unit", "wrong_unit"),
    ],
)
def test_what_comes_instead_is_the_reason_at_the_deadline(rig: RtuRig, instead: bytes, fault: str, counter: str | None) -> None:
    ticket, _ = rig.ask()
    if instead:
        rig.give(instead)
    time_out(rig)
    assert rig.outcome(ticket) == ("failed", fault, 0, None)
    assert counter is None or rig.counter(counter) == 1
    assert works(rig)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11])
def test_exceptions_end_the_question_at_once(rig: RtuRig, code: int) -> None:
    ticket, _ = rig.ask()
    rig.give(rtu_frame(1, bytes([0x83, code])))
    assert rig.outcome(ticket) == ("failed", "exception", code, None)
    assert rig.counter(f"exception_{code}") == 1
    assert works(rig)


def test_a_frame_inside_another_units_frame_is_not_an_answer(rig: RtuRig) -> None:
    """A register block may hold the bytes of a whole valid frame."""
    ticket, _ = rig.ask()
    inside = b"\0" + rtu_frame(1, registers_reply([1111, 2222]))
    stranger = rtu_frame(2, bytes([3, len(inside)]) + inside)
    for i in range(len(stranger)):
        rig.give(stranger[i : i + 1])
    assert rig.outcome(ticket)[0] == "sent"
    rig.give(RIGHT)
    assert rig.outcome(ticket) == OK


def test_an_exception_inside_our_own_answer_is_data(rig: RtuRig) -> None:
    inside = rtu_frame(1, b"\x83\x02") + b"\0"
    ticket, _ = rig.ask(count=3)
    for byte in rtu_frame(1, bytes([3, 6]) + inside):
        rig.give(bytes([byte]))
    assert rig.outcome(ticket) == ("done", "none", 0, list(struct.unpack(">3H", inside)))


def test_noise_that_looks_like_a_long_frame_costs_a_silence_not_the_answer(rig: RtuRig) -> None:
    ticket, _ = rig.ask(fc=16, address=5, count=2, regs=[1, 2])
    rig.give(b"\x07" + rtu_frame(1, struct.pack(">BHH", 16, 5, 2)))  # unit 7, FC01, 16 bytes: 21 in all
    assert rig.outcome(ticket)[0] == "sent"
    assert rig.master.deadline_ns() == rig.now_ns + SILENT_NS
    rig.due()
    assert rig.outcome(ticket) == ("done", "none", 0, None)


def test_waiting_for_the_rest_of_a_frame_does_not_spin(rig: RtuRig) -> None:
    rig.ask()
    rig.give(RIGHT[:4])
    rig.due()
    assert rig.master.deadline_ns() > rig.now_ns + 100 * MS


def test_a_flood_is_worked_off_in_bounded_steps(rig: RtuRig) -> None:
    ticket, _ = rig.ask()
    rig.give(b"\x00" * 40 + RIGHT)
    while rig.outcome(ticket)[0] == "sent":
        assert rig.master.deadline_ns() <= rig.now_ns
        rig.pump()
    assert rig.outcome(ticket) == OK
    assert rig.counter("garbage_bytes") == 40


# Local echo


def test_our_own_question_heard_back_is_dropped(rig: RtuRig) -> None:
    ticket, question = rig.ask()
    rig.give(question + RIGHT)
    assert rig.outcome(ticket) == OK
    assert (rig.counter("echoes"), rig.counter("garbage_bytes")) == (1, 0)


def test_an_echo_that_resembles_the_answer(rig: RtuRig) -> None:
    """Address 0x04xx: the third byte of question and answer are the same."""
    for cut in range(1, 8):
        ticket, question = rig.ask(address=0x0405)
        rig.give(question[:cut])
        rig.give(question[cut:] + RIGHT)
        assert rig.outcome(ticket) == OK


def test_on_a_line_with_echo_a_single_write_needs_two_copies(rig: RtuRig) -> None:
    """FC06 is confirmed by its own bytes: the echo alone would confirm a write no device ever saw."""
    _, question = rig.ask()
    rig.give(question + RIGHT)
    ticket, question = rig.ask(fc=6, address=5, count=1, regs=[42])
    rig.give(question)
    assert rig.outcome(ticket)[0] == "sent"
    rig.give(question)
    assert rig.outcome(ticket) == ("done", "none", 0, None)
    ticket, question = rig.ask(fc=6, address=5, count=1, regs=[42])
    rig.give(question)
    time_out(rig)
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")


def test_on_a_line_without_echo_a_single_write_needs_one(rig: RtuRig) -> None:
    assert works(rig)
    for fc in (5, 6):
        ticket, question = rig.ask(fc=fc, address=5, count=1, regs=[1])
        rig.give(question)
        assert rig.outcome(ticket) == ("done", "none", 0, None)


def test_before_anything_was_learnt_about_the_line_a_single_write_needs_one(rig: RtuRig) -> None:
    """The price of not asking a device that knows FC06 alone; a driver reads first."""
    ticket, question = rig.ask(fc=6, address=5, count=1, regs=[1])
    rig.give(question)
    assert rig.outcome(ticket) == ("done", "none", 0, None)


# The line itself


def test_a_question_the_line_did_not_take_is_taken_back(rig: RtuRig) -> None:
    """Nobody reads the other end: the driver's buffer fills until a question is stuck half-way."""
    ticket = 0
    while rig.master.events() & select.POLLOUT == 0:
        ticket = rig.master.submit(1, 16, 0, 123, [0] * 123, timeout_ns=300 * MS)
        rig.due()
        if rig.master.events() & select.POLLOUT == 0:
            time_out(rig)
            rig.due()
    time_out(rig)
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")
    os.set_blocking(rig.other_end, False)
    arrived = 0
    while select.select([rig.other_end], [], [], 0)[0]:
        arrived += len(os.read(rig.other_end, 65536))
    assert arrived < rig.counter("bytes_out")
    rig.due()
    assert works(rig)


def test_the_line_vanishes(rig: RtuRig) -> None:
    ticket, _ = rig.ask()
    waiting = rig.master.submit(1, 3, 0, 1)
    rig.hang_up()
    rig.settle(lambda: rig.master.state == "down")
    assert rig.outcome(ticket)[:2] == rig.outcome(waiting)[:2] == ("failed", "closed")
    rig.due()
    assert rig.master.state == "down"
    assert rig.counter("connect_failures") == 1


def unplug_and_plug_in(rig: RtuRig) -> None:
    rig.hang_up()
    rig.settle(lambda: rig.master.state == "down")
    rig.connect()


def test_the_line_comes_back_as_a_new_epoch(tmp_path: Path) -> None:
    with RtuRig(name=tmp_path / "line") as rig:
        assert works(rig)
        unplug_and_plug_in(rig)
        assert rig.master.epoch == 2
        assert works(rig)


def test_what_was_learnt_about_echo_ends_with_the_connection(tmp_path: Path) -> None:
    with RtuRig(name=tmp_path / "line") as rig:
        _, question = rig.ask()
        rig.give(question + RIGHT)
        unplug_and_plug_in(rig)
        ticket, question = rig.ask(fc=6, address=5, count=1, regs=[1])
        rig.give(question)
        assert rig.outcome(ticket) == ("done", "none", 0, None)


def test_no_such_line_and_no_line_at_all(tmp_path: Path) -> None:
    ordinary = tmp_path / "file"
    ordinary.touch()
    for path, error in ((tmp_path / "none", errno.ENOENT), (ordinary, errno.ENOTTY)):
        with Master.rtu(str(path)) as master, pytest.raises(BusError, match="connect") as caught:
            master.read(1, 3, 0, 1)
        assert caught.value.fault == "connect"
        assert master.last_errno == error


RS485 = """
import json, os, pathlib, struct, sys
from bessctl_core.master import Master
other, line = os.openpty()
with Master.rtu(os.ttyname(line), rs485=True) as master:
    master.pump(0)
    print(json.dumps([master.state, (pathlib.Path(sys.argv[1]) / "rs485").read_bytes().hex()]))
"""


def test_the_kernel_is_asked_to_turn_the_lines_direction(tmp_path: Path) -> None:
    """TIOCSRS485 at the ioctl seam, because a pseudo-terminal has no transceiver: enabled, RTS high while sending, no delays of ours."""
    state, raw = in_a_process(tmp_path, "rs485_fake.c", RS485, RS485_FAKE=str(tmp_path / "rs485"))
    flags, before_ms, after_ms = struct.unpack_from("III", bytes.fromhex(raw))
    assert (state, flags, before_ms, after_ms) == ("idle", 0b11, 0, 0)


def test_a_line_without_rs485_is_refused_when_rs485_was_asked_for() -> None:
    """Falling back in silence would leave the transceiver deaf or the line blocked."""
    other, line = os.openpty()
    with Master.rtu(os.ttyname(line), rs485=True) as master:
        master.pump(0)
        assert (master.state, master.counters()["connect_failures"]) == ("down", 1)
        assert master.last_errno == errno.EOPNOTSUPP
        assert "does not turn the RS-485 direction (TIOCSRS485): take rs485 out of the bus" in link_fault(10, master.last_errno)
    os.close(other)
    os.close(line)


@pytest.mark.parametrize(
    ("baud", "parity", "stop_bits"), [(300, "E", 1), (1_000_000, "E", 1), (9600, "M", 1), (9600, "N", 3), (9600, "N", 0)]
)
def test_settings_nobody_means_are_refused(baud: int, parity: str, stop_bits: int) -> None:
    with pytest.raises(ValueError, match="no such serial line setting"):
        Master.rtu("/dev/null", baud, parity, stop_bits)


TCGETS2 = 0x802C542A  # struct termios2: the speeds as numbers


@pytest.mark.parametrize("baud", [1200, 9600, 14400, 115200, 921600])
@pytest.mark.parametrize(("parity", "stop_bits"), [("N", 1), ("E", 1), ("O", 1), ("N", 2)])
def test_the_line_is_raw_and_as_configured(baud: int, parity: str, stop_bits: int) -> None:
    """Parity does not exist on a pseudo-terminal; everything else reads back."""
    other, line = os.openpty()
    with Master.rtu(os.ttyname(line), baud, parity, stop_bits) as master:
        master.pump(0)
        assert master.state == "idle"
        iflag, oflag, cflag, lflag, _, cc, _, ospeed = struct.unpack("4IB19s2I", fcntl.ioctl(line, TCGETS2, b"\0" * 44))
        assert ospeed == baud
        assert iflag == (0 if parity == "N" else termios.INPCK)
        assert oflag == lflag == 0
        assert cflag & termios.CSIZE == termios.CS8
        assert cflag & termios.CLOCAL
        assert bool(cflag & termios.CSTOPB) == (stop_bits == 2)
        assert cc[termios.VMIN] == 1
    os.close(other)
    os.close(line)


def test_the_line_is_ours_alone_and_free_again_afterwards() -> None:
    other, line = os.openpty()
    path = os.ttyname(line)
    with Master.rtu(path) as first, Master.rtu(path) as second:
        first.pump(0)
        second.pump(0)
        assert (first.state, second.state, second.last_errno) == ("idle", "down", errno.EBUSY)
        assert struct.unpack("i", fcntl.ioctl(line, 0x80045440, b"\0" * 4))[0] == 1  # TIOCGEXCL
        first.close()
        second.pump(SECOND)
        assert second.state == "idle"
    os.close(other)
    os.close(line)


# Never a wrong value

PIECE = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.sampled_from([b"\x00", b"\xff", b"\x01", b"\x01\x03", b"\x01\x03\x04", rtu_frame(1, b"\x83\x02"), RIGHT]),
    st.builds(rtu_frame, st.integers(2, 247), st.lists(st.integers(0, 65535), max_size=4).map(registers_reply)),
    st.builds(rtu_frame, st.just(1), st.lists(st.integers(0, 65535), min_size=3, max_size=5).map(registers_reply)),
    # the right answer cut, or with one byte or one burst of up to 16 bits damaged (which a CRC-16 always sees)
    st.builds(lambda a, b: RIGHT[a:b], st.integers(0, 4), st.integers(5, 8)),
    st.builds(
        lambda at, burst: (int.from_bytes(RIGHT, "big") ^ (burst << (8 * at))).to_bytes(9, "big"), st.integers(0, 7), st.integers(1, 0xFFFF)
    ),
)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(PIECE, min_size=1, max_size=6), cuts=st.lists(st.integers(0, 120), max_size=3))
def test_whatever_the_line_gives_the_value_is_the_right_one_or_none(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    with RtuRig() as rig:
        ticket, _ = rig.ask()
        edges = sorted({min(c, len(stream)) for c in cuts} | {0, len(stream)})
        for a, b in pairwise(edges):
            rig.give(stream[a:b])
        time_out(rig)
        status, fault, code, regs = rig.outcome(ticket)
        if status == "done":
            assert regs == [7, 8]
            assert RIGHT in stream
        else:
            assert regs is None
            assert (code == 2) == (fault == "exception")
        assert works(rig)


# The waiting calls


def test_read_write_and_cycle_wait_for_their_answers() -> None:
    device, line = os.openpty()
    tty.setraw(line)

    def serve() -> None:
        while question := os.read(device, 300):
            while len(question) < 8 or (question[1] == 16 and len(question) < 9 + question[6]):
                question += os.read(device, 300)
            if question[:4] == b"\x01\x06\xff\xff":
                return
            pdu = registers_reply([question[3]] * question[5]) if question[1] == 3 else question[1:6]
            os.write(device, rtu_frame(1, pdu))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Master.rtu(os.ttyname(line), 115200, "N", 2, timeout_s=PATIENCE_S) as master:
        assert master.read(1, 3, 40, 3) == [40, 40, 40]
        master.write(1, 40, [1, 2, 3])
        assert master.cycle(1, 40, 20, 100, [1, 2, 3, 4]) > 0
        assert master.counters()["ok"] == 4
        master.submit(1, 6, 0xFFFF, 1, [0])
        while master.state == "idle":
            master.pump(2**62)
        thread.join(PATIENCE_S)
    os.close(device)
    os.close(line)
