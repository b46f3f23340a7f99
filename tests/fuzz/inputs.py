"""Inputs for fuzzing: seeds that make sense, and changes of them, the same for the same seed. Pure."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from bessctl_core import frames, layout, sealed
from tests.core.bus_rig import registers_reply, rtu_frame, tcp_frame
from tests.core.rig import plan
from tests.fuzz.targets import QUESTIONS, TID

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
INTERESTING = (0, 1, 2, 3, 4, 5, 6, 15, 16, 0x7F, 0x80, 0x83, 0xFE, 0xFF)
LONGEST = 4096


def seeds(target: str) -> list[bytes]:
    """A few good inputs, and whatever the corpus keeps."""
    kept = [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]
    return MADE.get(target, lambda: [b"\0"])() + kept


def _answers() -> list[tuple[int, int, bytes]]:
    """(question, unit, PDU) of a good answer to each question, and of an exception."""
    found = []
    for index, (unit, function, address, count) in enumerate(QUESTIONS):
        size = (count + 7) // 8 if function in (1, 2) else 2 * count
        good = bytes([function, size]) + bytes(size) if function <= 4 else struct.pack(">BHH", function, address, count)
        found += [(index, unit, good), (index, unit, bytes([function | 0x80, 2]))]
    return found


def _tcp() -> list[bytes]:
    return [bytes([index]) + tcp_frame(TID, unit, pdu) for index, unit, pdu in _answers()]


def _rtu() -> list[bytes]:
    return [bytes([index]) + rtu_frame(unit, pdu) for index, unit, pdu in _answers()]


def _stream_tcp() -> list[bytes]:
    good = tcp_frame(0xFFFF, 1, registers_reply([7, 8]))
    return [good, tcp_frame(1, 1, registers_reply([9, 9])) + good, good[:-1], good + good]


def _stream_rtu() -> list[bytes]:
    body = bytes([1]) + registers_reply([7, 8])
    other = bytes([2]) + registers_reply([7, 8])
    return [body + b"\xff\xff", other + struct.pack("<H", frames.crc(other)) + body + b"\xff\xff", b"\0" + body + b"\xff\xff"]


def _plan() -> list[bytes]:
    blocks = ({"target_w": 5e4}, {"ess_lo_w": -1e4, "ess_hi_w": 1e4}, {"pcc_lo_w": -1e5, "pcc_hi_w": 0.0, "target_w": -2e5})
    return [bytes([3]) + plan(block).tobytes() for block in blocks]


def _sealed() -> list[bytes]:
    return [sealed.pack(bytes(layout.SIZES["SiteConfig"]), {"site": "x"})]


MADE = {"tcp": _tcp, "rtu": _rtu, "stream_tcp": _stream_tcp, "stream_rtu": _stream_rtu, "plan": _plan, "sealed": _sealed}


def changed(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """The same input with one to four changes."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        _change(made, others, chance)
    return bytes(made[: max(LONGEST, len(data))])


def _change(made: bytearray, others: list[bytes], chance: random.Random) -> None:
    kind = chance.randrange(8)
    at = chance.randrange(len(made)) if made else 0
    if not made or kind == 0:
        made[at:at] = chance.randbytes(chance.randint(1, 8))
    elif kind == 1:
        made[at] ^= 1 << chance.randrange(8)
    elif kind == 2:
        made[at] = chance.choice(INTERESTING)
    elif kind == 3:
        del made[at : at + chance.randint(1, 8)]
    elif kind == 4:
        made[at:at] = made[at : at + chance.randint(1, 32)]
    elif kind == 5:
        made[at : at + 8] = struct.pack("<d", chance.choice((float("nan"), float("inf"), -1e308, 1e308, 0.0, -0.0)))
    elif kind == 6:
        made[at : at + 8] = struct.pack("<q", chance.choice((0, -1, 2**62, -(2**63), 2**63 - 1)))
    else:
        other = chance.choice(others)
        cut = chance.randrange(len(other)) if other else 0
        made[at:] = other[cut:]
