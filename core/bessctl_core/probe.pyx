"""The pure parts of the driver for Python: decoding registers, and what a read-back says about a set point. Tests and tools only."""

from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t
from libc.string cimport memset

from .layout cimport MAX_FACTORS, PLACES, QUANTITIES, Inputs
from .points cimport PointIndex, index_points, take_points
from .sealed cimport SealedSite
from .writes cimport RELEASED, Values, fill_row, row_holds

# writes.pxd's Holds, in its order.
HOLDS = ("ours", "reverted", "other")


cdef void clear(Inputs* inp):
    cdef int i
    memset(inp, 0, sizeof(Inputs))
    for i in range(PLACES * QUANTITIES):
        inp.value[i] = NAN
    for i in range(MAX_FACTORS):
        inp.factor[i] = NAN


# Instead of counts: reactive power is the PCS's own.
released = RELEASED


def decode(SealedSite site, int read, registers, factors=()) -> dict:
    """{(place, quantity): value} of one read's registers, as the tick decodes them. `factors`: as read at connect, in the table's order."""
    cdef Inputs inp
    cdef PointIndex index
    cdef uint16_t[125] block
    cdef int i, at
    clear(&inp)
    for i, value in enumerate(factors):
        inp.factor[i] = value
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
    clear(&inp)
    memset(block, 0, sizeof(block))
    for i, value in enumerate(registers):
        block[i] = value
    index_points(&site.config, &index)
    return take_points(&site.config, &index, read, block, 1, &inp)


cdef Values values_of(SealedSite site, int row, int32_t raw):
    cdef Values v
    v.unit = site.config.dev_place[site.config.write_device[row]]
    v.now_ns, v.reversion_ns, v.raw, v.beat = 0, site.config.unit_reversion_ns[v.unit], raw, 0
    return v


def written(SealedSite site, int row, int32_t raw, uint32_t beat=0, inputs=()) -> list:
    """The registers of one row of the write table. `inputs`: (place, quantity, value), measured now."""
    cdef uint16_t[125] block
    cdef Inputs inp
    cdef Values v = values_of(site, row, raw)
    cdef int i
    v.beat = beat
    clear(&inp)
    for place, quantity, value in inputs:
        inp.value[place * QUANTITIES + quantity] = value
    fill_row(&site.config, row, &inp, &v, block)
    return [block[i] for i in range(site.config.write_count[row])]


def read_back(SealedSite site, int row, registers, int32_t raw, int64_t age_ns) -> str:
    """One of HOLDS: what registers read back say about a row written `age_ns` ago."""
    cdef uint16_t[125] block
    cdef Inputs inp
    cdef Values v = values_of(site, row, raw)
    cdef int i
    if len(registers) != site.config.write_back[row]:
        raise ValueError(f"{site.config.write_back[row]} registers, not {len(registers)}")
    clear(&inp)
    for i in range(len(registers)):
        block[i] = registers[i]
    return HOLDS[row_holds(&site.config, row, &inp, &v, block, age_ns)]
