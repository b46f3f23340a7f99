"""Doors to the pure Modbus framing for tests, fuzzers and tools. Rules on top of frames.pyx. Any thread."""

from collections.abc import Sequence

FAULTS: tuple[str, ...]
"""Why a transaction failed, by number; the words `status` and BusError use."""
VERDICTS: tuple[str, ...]
"""more, ok, exception, wrong, stale, broken, foreign, noise: what judge says of the front of a buffer."""

def crc(data: bytes) -> int:
    """CRC-16/MODBUS; its low byte goes first on the wire."""

def encode(transaction_id: int | None, unit: int, function: int, address: int, count: int, regs: Sequence[int] = ()) -> bytes:
    """The request as bytes: Modbus/TCP with a transaction id, RTU with None. ValueError when the standard knows no such request."""

def judge(
    data: bytes,
    transaction_id: int | None,
    unit: int,
    function: int,
    address: int,
    count: int,
    regs: Sequence[int] = (),
    final: bool = False,
) -> tuple[str, str, int, int, list[int] | None]:
    """(verdict, fault, exception code, bytes done with, registers) of the front of `data` against the request described by the rest.

    `regs` is what a write sent. Registers come with verdict `ok` of a read alone. RTU (transaction id None): `final` says that the line
    has fallen silent.
    """
