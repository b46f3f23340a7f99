"""The pure parts of the driver for Python: decoding registers, and what a read-back says about a set point. Tests and tools only."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t
from libc.string cimport memset

from .layout cimport QUANTITIES, Inputs
from .points cimport PointIndex, index_points, take_points
from .sealed cimport SealedSite
from .setpoint cimport BLOCK_AND_REM, BLOCK_REGISTERS, block_holds, fill_block

# setpoint.pxd's Holds, in its order.
HOLDS = ("ours", "reverted", "other")


def decode(SealedSite site, int read, registers) -> dict:
    """{(place, quantity): value} of one read's registers, as the tick decodes them."""
    cdef Inputs inp
    cdef PointIndex index
    cdef uint16_t[125] block
    cdef int i, at
    memset(&inp, 0, sizeof(Inputs))
    memset(block, 0, sizeof(block))
    for i, value in enumerate(registers):
        block[i] = value
    index_points(&site.config, &index)
    take_points(&site.config, &index, read, block, 1, &inp)
    return {
        divmod(at, QUANTITIES): inp.value[at] for at in range(<int> (sizeof(inp.value) // sizeof(double))) if inp.sampled_ns[at]
    }


def fingerprint(SealedSite site, int read, registers) -> int:
    """What stays the same as long as no analogue of the read changes in any bit."""
    cdef Inputs inp
    cdef PointIndex index
    cdef uint16_t[125] block
    cdef int i
    memset(block, 0, sizeof(block))
    for i, value in enumerate(registers):
        block[i] = value
    index_points(&site.config, &index)
    return take_points(&site.config, &index, read, block, 1, &inp)


def setpoint_block(int32_t raw, uint32_t reversion_s) -> list:
    """The eleven registers that are written."""
    cdef uint16_t[BLOCK_REGISTERS] block
    fill_block(block, raw, reversion_s)
    return [block[i] for i in range(BLOCK_REGISTERS)]


def setpoint_holds(registers, int32_t raw, uint32_t reversion_s, int64_t age_ns) -> str:
    """One of HOLDS: what thirteen registers read back say about a set point written `age_ns` ago."""
    cdef uint16_t[BLOCK_AND_REM] block
    if len(registers) != BLOCK_AND_REM:
        raise ValueError(f"{BLOCK_AND_REM} registers, not {len(registers)}")
    for i in range(BLOCK_AND_REM):
        block[i] = registers[i]
    return HOLDS[block_holds(block, raw, reversion_s, age_ns)]
