"""Modbus frames, pure: what we send is what the standard prints, and nothing but the right answer is ever a value."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl_core import frames
from tests.core.bus_rig import registers_reply, rtu_frame, tcp_frame


class Example(NamedTuple):
    """A row of Modbus Application Protocol V1.1b3: the PDUs it prints, and what we hand over and get back."""

    section: str
    function: int
    address: int
    size: int
    written: list[int]
    question: str
    response: str
    read: list[int] | None


EXAMPLES = [
    Example("6.1", 1, 0x13, 0x13, [], "01 0013 0013", "01 03 CD6B05", [0x6BCD, 0x0005]),
    Example("6.2", 2, 0xC4, 0x16, [], "02 00C4 0016", "02 03 ACDB35", [0xDBAC, 0x0035]),
    Example("6.3", 3, 0x6B, 3, [], "03 006B 0003", "03 06 022B 0000 0064", [0x022B, 0, 0x64]),
    Example("6.4", 4, 8, 1, [], "04 0008 0001", "04 02 000A", [0x000A]),
    Example("6.5 on", 5, 0xAC, 1, [1], "05 00AC FF00", "05 00AC FF00", None),
    Example("6.5 off", 5, 0xAC, 1, [0], "05 00AC 0000", "05 00AC 0000", None),
    Example("6.6", 6, 1, 1, [3], "06 0001 0003", "06 0001 0003", None),
    Example("6.11", 15, 0x13, 10, [0x01CD], "0F 0013 000A 02 CD01", "0F 0013 000A", None),
    Example("6.12", 16, 1, 2, [0x000A, 0x0102], "10 0001 0002 04 000A 0102", "10 0001 0002", None),
]
each_example = pytest.mark.parametrize("row", EXAMPLES, ids=[row.section for row in EXAMPLES])

# A question for the tables below: unit 17, FC03, address 107, 3 registers, transaction 9.
UNIT, FC, ADDRESS, COUNT, TID = 17, 3, 107, 3, 9
GOOD = registers_reply([555, 0, 100])


def tcp(data: bytes, *, fc: int = FC, count: int = COUNT, regs: tuple[int, ...] = ()) -> tuple[str, str, int, int, list[int] | None]:
    return frames.judge(data, TID, UNIT, fc, ADDRESS, count, regs)


def rtu(
    data: bytes, *, fc: int = FC, count: int = COUNT, regs: tuple[int, ...] = (), final: bool = False
) -> tuple[str, str, int, int, list[int] | None]:
    return frames.judge(data, None, UNIT, fc, ADDRESS, count, regs, final)


def test_the_check_sum_of_the_catalogue() -> None:
    assert frames.crc(b"123456789") == 0x4B37  # CRC-16/MODBUS


def both_ways(row: Example) -> list[tuple[int | None, bytes]]:
    """The printed response as Modbus/TCP (with its transaction id) and as RTU."""
    pdu = bytes.fromhex(row.response)
    return [(7, tcp_frame(7, 5, pdu)), (None, rtu_frame(5, pdu))]


@each_example
def test_requests_are_those_the_standard_prints(row: Example) -> None:
    pdu = bytes.fromhex(row.question)
    assert frames.encode(0x1234, 5, row.function, row.address, row.size, row.written) == tcp_frame(0x1234, 5, pdu)
    assert frames.encode(None, 5, row.function, row.address, row.size, row.written) == rtu_frame(5, pdu)


@each_example
def test_responses_are_read_as_the_standard_prints(row: Example) -> None:
    for transaction_id, frame in both_ways(row):
        verdict = frames.judge(frame, transaction_id, 5, row.function, row.address, row.size, row.written)
        assert verdict == ("ok", "none", 0, len(frame), row.read)


@each_example
def test_a_part_of_a_response_is_never_a_verdict(row: Example) -> None:
    for transaction_id, frame in both_ways(row):
        for cut in range(len(frame)):
            verdict = frames.judge(frame[:cut], transaction_id, 5, row.function, row.address, row.size, row.written)
            assert verdict == ("more", "none", 0, 0, None), cut


@pytest.mark.parametrize(
    ("transaction_id", "unit", "function", "address", "count"),
    [
        # counts (6.1 to 6.12)
        (1, 1, 3, 0, 0),
        (1, 1, 3, 0, 126),
        (1, 1, 4, 0, 126),
        (1, 1, 1, 0, 2001),
        (1, 1, 15, 0, 1969),
        (1, 1, 16, 0, 124),
        (1, 1, 6, 0, 2),
        # beyond the last address
        (1, 1, 3, 65535, 2),
        # functions that are not ours
        (1, 1, 0, 0, 1),
        (1, 1, 7, 0, 1),
        (1, 1, 23, 0, 1),
        # on a serial line nobody answers a broadcast, and 248 upward is reserved
        (None, 0, 3, 0, 1),
        (None, 248, 3, 0, 1),
    ],
)
def test_what_the_standard_does_not_know_is_not_sent(
    transaction_id: int | None, unit: int, function: int, address: int, count: int
) -> None:
    with pytest.raises(ValueError, match="no such Modbus request"):
        frames.encode(transaction_id, unit, function, address, count)


@pytest.mark.parametrize("function", [1, 2, 3, 4, 15, 16])
def test_the_largest_requests_and_answers_fit(function: int) -> None:
    count = {1: 2000, 2: 2000, 15: 1968, 16: 123}.get(function, 125)
    frame = frames.encode(None, 247, function, 65536 - count, count, [0xFFFF] * 125)
    assert len(frame) <= 256
    if function <= 4:
        size = 250
        reply = rtu_frame(247, bytes([function, size]) + b"\xff" * size)
        assert frames.judge(reply, None, 247, function, 65536 - count, count)[4] == [0xFFFF] * 125


def test_bits_beyond_the_count_are_neither_sent_nor_read() -> None:
    assert frames.encode(None, 1, 15, 0, 3, [0xFFFF])[6:8] == bytes([1, 0b111])
    assert frames.judge(rtu_frame(1, bytes([1, 1, 0xFF])), None, 1, 1, 0, 3)[4] == [0b111]


TCP_ROWS = [
    ("right", tcp_frame(TID, UNIT, GOOD), "ok", "none"),
    # the transaction is ours, the answer is not right
    ("wrong unit", tcp_frame(TID, 18, GOOD), "wrong", "wrong_unit"),
    ("wrong function", tcp_frame(TID, UNIT, registers_reply([555, 0, 100], 4)), "wrong", "wrong_function"),
    ("fewer registers", tcp_frame(TID, UNIT, registers_reply([555, 0])), "wrong", "wrong_length"),
    ("more registers", tcp_frame(TID, UNIT, registers_reply([555, 0, 100, 1])), "wrong", "wrong_length"),
    ("byte count lies", tcp_frame(TID, UNIT, b"\x03\x04" + GOOD[2:]), "wrong", "wrong_length"),
    ("trailing bytes inside", tcp_frame(TID, UNIT, GOOD + b"\0"), "wrong", "wrong_length"),
    ("exception", tcp_frame(TID, UNIT, b"\x83\x04"), "exception", "exception"),
    ("exception of another function", tcp_frame(TID, UNIT, b"\x84\x04"), "wrong", "wrong_function"),
    ("exception too long", tcp_frame(TID, UNIT, b"\x83\x04\x00"), "wrong", "wrong_length"),
    # another transaction's, whatever it says
    ("stale", tcp_frame(TID - 1, UNIT, GOOD), "stale", "none"),
    ("stale exception", tcp_frame(TID - 1, UNIT, b"\x83\x04"), "stale", "none"),
    # out of step
    ("wrong protocol", tcp_frame(TID, UNIT, GOOD, protocol=1), "broken", "wrong_protocol"),
    ("length 0", tcp_frame(TID, UNIT, GOOD, length=0), "broken", "wrong_length"),
    ("length 2", tcp_frame(TID, UNIT, GOOD, length=2), "broken", "wrong_length"),
    ("length 255", tcp_frame(TID, UNIT, GOOD, length=255), "broken", "wrong_length"),
    # the length promises more than came: waiting is all there is to do
    ("length too large", tcp_frame(TID, UNIT, GOOD, length=len(GOOD) + 2), "more", "none"),
]


@pytest.mark.parametrize(("name", "frame", "verdict", "fault"), TCP_ROWS, ids=[row[0] for row in TCP_ROWS])
def test_tcp_verdicts(name: str, frame: bytes, verdict: str, fault: str) -> None:
    got = tcp(frame)
    assert got[:2] == (verdict, fault)
    assert (got[4] is not None) == (verdict == "ok")
    assert got[3] == (0 if verdict in ("broken", "more") else len(frame))


RTU_ROWS = [
    ("right", rtu_frame(UNIT, GOOD), "ok", "none", 11),
    ("right, bytes behind", rtu_frame(UNIT, GOOD) + b"\x11\x03", "ok", "none", 11),
    ("exception", rtu_frame(UNIT, b"\x83\x06"), "exception", "exception", 5),
    # whole valid frames that are not the answer go as a whole
    ("another unit", rtu_frame(18, GOOD), "foreign", "wrong_unit", 11),
    ("another function", rtu_frame(UNIT, registers_reply([1, 2, 3], 4)), "foreign", "wrong_function", 11),
    ("fewer registers", rtu_frame(UNIT, registers_reply([1, 2])), "foreign", "wrong_length", 9),
    ("exception of another function", rtu_frame(UNIT, b"\x84\x02"), "foreign", "wrong_function", 5),
    # bytes that begin nothing go alone
    ("check sum", rtu_frame(UNIT, GOOD)[:-1] + b"\0", "noise", "crc", 1),
    ("check sum swapped", rtu_frame(UNIT, GOOD)[:-2] + rtu_frame(UNIT, GOOD)[:-3:-1], "noise", "crc", 1),
    ("leading 0x00", b"\0" + rtu_frame(UNIT, GOOD), "noise", "garbage", 1),
    ("leading 0xFF", b"\xff" + rtu_frame(UNIT, GOOD), "noise", "garbage", 1),
    ("unknown function", rtu_frame(UNIT, b"\x2b\x0e\x01"), "noise", "garbage", 1),
    ("odd byte count", bytes([UNIT, 3, 5]), "noise", "garbage", 1),
    ("byte count 0", bytes([UNIT, 3, 0]), "noise", "garbage", 1),
    ("stranger, damaged", rtu_frame(18, GOOD)[:-1] + b"\0", "noise", "garbage", 1),
]


@pytest.mark.parametrize(("name", "frame", "verdict", "fault", "used"), RTU_ROWS, ids=[row[0] for row in RTU_ROWS])
def test_rtu_verdicts(name: str, frame: bytes, verdict: str, fault: str, used: int) -> None:
    got = rtu(frame)
    assert got[:2] == (verdict, fault)
    assert got[3] == used
    assert (got[4] is not None) == (verdict == "ok")


def test_a_strangers_half_frame_is_waited_for_until_the_line_is_silent_ours_to_the_deadline() -> None:
    stranger, ours = rtu_frame(18, GOOD)[:6], rtu_frame(UNIT, GOOD)[:6]
    assert rtu(stranger)[0] == "more"
    assert rtu(stranger, final=True)[0] == "noise"
    assert rtu(ours)[0] == rtu(ours, final=True)[0] == "more"


@pytest.mark.parametrize(
    ("function", "count", "written", "reply"),
    [
        (6, 1, (42,), struct.pack(">BHH", 6, ADDRESS + 1, 42)),
        (6, 1, (42,), struct.pack(">BHH", 6, ADDRESS, 43)),
        (5, 1, (1,), struct.pack(">BHH", 5, ADDRESS, 0)),
        (16, 2, (1, 2), struct.pack(">BHH", 16, ADDRESS + 1, 2)),
        (16, 2, (1, 2), struct.pack(">BHH", 16, ADDRESS, 1)),
        (15, 9, (1,), struct.pack(">BHH", 15, ADDRESS, 8)),
    ],
)
def test_a_write_is_done_only_when_its_echo_repeats_it(function: int, count: int, written: tuple[int, ...], reply: bytes) -> None:
    assert tcp(tcp_frame(TID, UNIT, reply), fc=function, count=count, regs=written)[:2] == ("wrong", "wrong_echo")
    assert rtu(rtu_frame(UNIT, reply), fc=function, count=count, regs=written)[:2] == ("foreign", "wrong_echo")


@given(data=st.binary(max_size=300), fc=st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16]), final=st.booleans())
def test_any_bytes_get_a_verdict_within_bounds_and_never_a_value(data: bytes, fc: int, final: bool) -> None:
    for verdict, _fault, _code, used, regs in (tcp(data, fc=fc, count=1), rtu(data, fc=fc, count=1, final=final)):
        assert verdict in frames.VERDICTS
        assert regs is None
        assert 0 <= used <= len(data)
        assert (used == 0) == (verdict in ("more", "broken"))


@given(damage=st.integers(1, 255), where=st.integers(0, 10))
def test_no_damaged_byte_of_an_rtu_answer_goes_unseen(damage: int, where: int) -> None:
    frame = bytearray(rtu_frame(UNIT, GOOD))
    frame[where] ^= damage
    assert rtu(bytes(frame), final=True)[0] not in ("ok", "exception")


@given(regs=st.lists(st.integers(0, 65535), min_size=1, max_size=125), unit=st.integers(1, 247), address=st.integers(0, 65000))
def test_what_the_device_says_is_what_is_read(regs: list[int], unit: int, address: int) -> None:
    pdu = registers_reply(regs)
    assert frames.judge(rtu_frame(unit, pdu), None, unit, 3, address, len(regs))[4] == regs
    assert frames.judge(tcp_frame(1, unit, pdu), 1, unit, 3, address, len(regs))[4] == regs
