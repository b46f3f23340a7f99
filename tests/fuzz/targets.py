"""What is fuzzed: everything that takes bytes another party wrote. Each target takes any bytes and fails only where a promise is broken.

tcp, rtu        one judgement of a frame decoder, against a second reading of the standard written here
stream_tcp, stream_rtu      a bus with one question out: what comes may fail it, and never be a wrong value
plans           the segment that a supervisor writes: plans, their sequence numbers, the ring of requests
plan            a whole plan into the step: the command stays within what the unit may give
sealed          the sealed configuration
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from functools import cache

from bessctl_core import bounds, frames, layout, ports, sealed
from bessctl_core.segment import LoopSegments
from tests.core.bus_rig import MS, RtuRig, TcpRig
from tests.core.rig import START_NS, Rig, S, Slot, config

Target = Callable[[bytes], None]

QUESTIONS = ((1, 3, 100, 2), (7, 4, 0, 125), (1, 1, 5, 19), (2, 2, 0, 2000), (1, 16, 9, 3), (1, 6, 9, 1), (3, 5, 0, 1), (1, 15, 3, 11))
TID = 0x1234
REGS = (7, 8, 9)
HASH = bytes(32)


# --- frames -------------------------------------------------------------------------------------------------------------------------------


def right(pdu: bytes, function: int, address: int, count: int) -> bool:
    """Whether a PDU is the good answer, by the Application Protocol V1.1b3 alone."""
    bits = function in (1, 2, 15)
    if function <= 4:
        size = (count + 7) // 8 if bits else 2 * count
        return len(pdu) == 2 + size and pdu[0] == function and pdu[1] == size
    value = (0xFF00 if REGS[0] else 0) if function == 5 else REGS[0] if function == 6 else count
    return pdu == struct.pack(">BHH", function, address, value)


def tcp(data: bytes) -> None:
    """First byte: which question; the rest: what the stream holds."""
    unit, function, address, count = QUESTIONS[data[0] % len(QUESTIONS)] if data else QUESTIONS[0]
    stream = data[1:]
    verdict, _, _, used, regs = frames.judge(stream, TID, unit, function, address, count, REGS)
    assert 0 <= used <= len(stream)
    if verdict == "ok":
        tid, protocol, length, found = struct.unpack_from(">HHHB", stream)
        assert (tid, protocol, found, used) == (TID, 0, unit, 6 + length)
        assert right(stream[7:used], function, address, count)
        if regs is not None and function in (3, 4):
            assert regs == list(struct.unpack(f">{count}H", stream[9:used]))


def rtu(data: bytes) -> None:
    """First byte: which question, and whether the line is silent; then everything that can be said is said."""
    first = data[0] if data else 0
    unit, function, address, count = QUESTIONS[first % len(QUESTIONS)]
    line = data[1:]
    for _ in range(len(line) + 1):
        verdict, _, _, used, _ = frames.judge(line, None, unit, function, address, count, REGS, bool(first & 0x80))
        assert 0 <= used <= len(line)
        if verdict == "more":
            return
        assert used > 0, "it would judge the same bytes for ever"
        if verdict == "ok":
            frame = line[:used]
            assert frame[0] == unit
            assert frames.crc(frame[:-2]) == struct.unpack("<H", frame[-2:])[0]
            assert right(frame[1:-2], function, address, count)
        line = line[used:]


# --- a whole bus --------------------------------------------------------------------------------------------------------------------------


@cache
def tcp_rig() -> TcpRig:
    return TcpRig(max_timeouts=0)


@cache
def rtu_rig() -> RtuRig:
    return RtuRig()


def stream_tcp(data: bytes) -> None:
    """The bytes answer a read of two registers, the transaction id filled in where they hold 0xFFFF at the place of one."""
    rig = tcp_rig()
    if rig.master.state != "idle":
        rig.drop_peer()
        while rig.master.state != "idle":
            rig.due()
            rig.settle(lambda: rig.master.state in ("idle", "down"))
        rig.accept()
    ticket, question = rig.ask(timeout_ns=100 * MS)
    stream = data[:600].replace(b"\xff\xff\0\0", question[:2] + b"\0\0")
    if stream:
        rig.give(stream)
    rig.pump(100 * MS)
    status, _, _, regs = rig.outcome(ticket)
    assert status in ("done", "failed")
    if status == "done":
        assert regs is not None
        assert question[:2] + b"\0\0\0\x07\x01\x03\x04" + struct.pack(">2H", *regs) in stream


def stream_rtu(data: bytes) -> None:
    """The bytes answer a read of two registers; FFFF at the end of a frame stands for its check sum."""
    rig = rtu_rig()
    ticket, _ = rig.ask(timeout_ns=20 * MS, worst_ns=20 * MS)
    line = bytes(data[:300])
    at = line.find(b"\xff\xff")
    if at > 0:
        line = line[:at] + struct.pack("<H", frames.crc(line[:at])) + line[at + 2 :]
    if line:
        rig.give(line)
    while rig.master.state != "idle":
        rig.due()
    status, _, _, regs = rig.outcome(ticket)
    assert status in ("done", "failed")
    if status == "done":
        assert regs is not None
        body = b"\x01\x03\x04" + struct.pack(">2H", *regs)
        assert body + struct.pack("<H", frames.crc(body)) in line


# --- segments -----------------------------------------------------------------------------------------------------------------------------


@cache
def shared() -> tuple[LoopSegments, mmap.mmap]:
    loop = LoopSegments(HASH)
    port = ports.PlanPort(loop.plans_fd, HASH)
    port.write(0, 2**60, 0, [(10, 20, -1.0, 1.0, None, None, 0.5, 0, 0, 0.0, None, None, None)])
    return loop, mmap.mmap(loop.plans_fd, 0)


def plans(data: bytes) -> None:
    """Writes of three bytes place and one value into what the supervisor may write; then the loop's side reads everything."""
    loop, memory = shared()
    for k in range(0, min(len(data) - 3, 4 * 64), 4):
        memory[int.from_bytes(data[k : k + 3], "little") % len(memory)] = data[k + 3]
    for slot in range(layout.LIMITS["slots"]):
        try:
            plan = loop.take_plan(slot)
        except BlockingIOError:
            continue  # no whole copy in a few tries: the loop keeps its last good one
        assert plan is None or len(plan) == layout.SIZES["Plan"]
    for _ in range(3):
        loop.take_command()


@cache
def plant() -> Rig:
    rig = Rig(config(slots=(Slot(), Slot(klass=0, may_force=3)), pcc_import_max_w=3e5, pcc_export_max_w=3e5)).run()
    rig.meter(20e3)
    return rig


def plan(data: bytes) -> None:
    """Any bytes as a Plan, serial, boot and lease made valid where the first byte says so; the step holds its limits."""
    rig = plant()
    raw = bytearray(data[1:].ljust(layout.SIZES["Plan"], b"\0")[: layout.SIZES["Plan"]])
    if data and data[0] & 1:
        struct.pack_into("<QQQq", raw, 0, 1, 2, 1 + data[0], rig.now_ns + 100 * S)
    rig.h.offer_plan((data[0] >> 1 & 1) if data else 0, bytes(raw))
    state = rig.tick(3)
    assert abs(rig.power_w) <= 200_000
    assert state["lo_w"] == state["lo_w"] and state["hi_w"] == state["hi_w"]  # noqa: PT018 (NaN)
    assert state["internal"] == 0, "R1 found a command beyond its limits"
    assert rig.now_ns > START_NS


def sealed_file(data: bytes) -> None:
    """Read, or refused with a reason; what is read has only indexes that exist, or is refused for that."""
    try:
        site = sealed.unpack(data)
    except sealed.SealError:
        return
    bounds.fault_of(site)


TARGETS: dict[str, Target] = {
    "tcp": tcp, "rtu": rtu, "stream_tcp": stream_tcp, "stream_rtu": stream_rtu, "plans": plans, "plan": plan, "sealed": sealed_file,
}  # fmt: skip
