"""Registers become measurements; see points.pxd."""

from libc.math cimport NAN
from libc.stdint cimport int16_t, int32_t, uint32_t
from libc.string cimport memcpy, memset

from .layout cimport (
    ABSENT_SUNSPEC, ABSENT_VALUE, PT_BIT, PT_BITS16, PT_BITS32, PT_ENUM16, PT_FLOAT32, PT_INT16, PT_INT32, PT_INT64, PT_SUNSSF, PT_UINT16, PT_UINT32,
    PT_UINT64,
    Q_BMS_ALARM, Q_BMS_HB, Q_BMS_STATE, Q_LOC_REM, Q_PCS_ALARM, Q_PCS_CONN, Q_PCS_HB, Q_PCS_STATE, QUANTITIES,
)

cdef double[21] POW10 = [1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]

cdef uint64_t FNV_START = 0xCBF29CE484222325
cdef uint64_t FNV_PRIME = 0x100000001B3
cdef uint64_t MOST_NEGATIVE_32 = 0x80000000
cdef uint64_t ALL_ONES_32 = 0xFFFFFFFF


cdef void index_points(const SiteConfig* c, PointIndex* index) noexcept nogil:
    cdef int read, point
    cdef int n = 0
    memset(index, 0, sizeof(PointIndex))
    for read in range(c.n_reads):
        index.first[read] = n
        for point in range(c.n_points):
            if c.point_read[point] == read:
                index.points[n] = point
                n += 1
    for read in range(c.n_reads, MAX_READS + 1):
        index.first[read] = n


cdef int type_registers(int point_type) noexcept nogil:
    if point_type in (PT_INT16, PT_UINT16, PT_ENUM16, PT_BITS16, PT_SUNSSF):
        return 1
    if point_type == PT_UINT64 or point_type == PT_INT64:
        return 4
    return 2


cdef int point_end(int point_type, int offset) noexcept nogil:
    return (offset >> 4) + 1 if point_type == PT_BIT else offset + type_registers(point_type)


cdef double scale_of(uint16_t sunssf) noexcept nogil:
    cdef int16_t exponent = <int16_t> sunssf
    return POW10[exponent + 10] if -10 <= exponent <= 10 else NAN


cdef uint64_t bits_of(const uint16_t* registers, int count, bint low_first) noexcept nogil:
    cdef uint64_t bits = 0
    cdef int i
    for i in range(count):
        bits = (bits << 16) | registers[count - 1 - i if low_first else i]
    return bits


cdef int bit_of(const uint16_t* registers, int bit) noexcept nogil:
    """Bit i as the frames lay bits: lowest first."""
    return (registers[bit >> 4] >> (bit & 15)) & 1


cdef double float_of(uint32_t bits) noexcept nogil:
    cdef float value
    memcpy(&value, &bits, sizeof(float))
    return value


cdef bint is_absent(int point_type, uint64_t bits) noexcept nogil:
    """The values by which SunSpec says "not implemented" (Information Model Specification, data types)."""
    if point_type == PT_INT16:
        return bits == 0x8000
    if point_type == PT_UINT16 or point_type == PT_ENUM16 or point_type == PT_BITS16:
        return bits == 0xFFFF
    if point_type == PT_INT32:
        return bits == MOST_NEGATIVE_32
    if point_type == PT_UINT32 or point_type == PT_BITS32:
        return bits == ALL_ONES_32
    if point_type == PT_INT64:
        return bits == <uint64_t> 1 << 63
    return point_type == PT_UINT64 and bits == ~<uint64_t> 0


cdef double number_of(int point_type, uint64_t bits) noexcept nogil:
    if point_type == PT_INT16:
        return <int16_t> bits
    if point_type == PT_INT32:
        return <int32_t> bits
    if point_type == PT_INT64:
        return <double> <int64_t> bits
    if point_type == PT_SUNSSF:
        return scale_of(<uint16_t> bits)
    if point_type == PT_FLOAT32:
        return float_of(<uint32_t> bits)
    return <double> bits


cdef double typed_value(int point_type, bint low_first, int absent, uint64_t absent_bits, const uint16_t* registers) noexcept nogil:
    cdef uint64_t bits = bits_of(registers, type_registers(point_type), low_first)
    if (absent == ABSENT_SUNSPEC and is_absent(point_type, bits)) or (absent == ABSENT_VALUE and bits == absent_bits):
        return NAN
    return number_of(point_type, bits)


cdef double meaning_of(const SiteConfig* c, int point, uint64_t code) noexcept nogil:
    """A code of the device by the profile's list; one that is not listed is no value."""
    cdef int i
    for i in range(c.point_map_first[point], c.point_map_first[point] + c.point_map_count[point]):
        if c.map_code[i] == code:
            return c.map_value[i]
    return NAN


cdef uint64_t masked(uint64_t bits, uint64_t mask) noexcept nogil:
    cdef int i
    if mask == 0:
        return bits
    for i in range(64):
        if (mask >> i) & 1:
            return (bits & mask) >> i
    return bits


cdef double coded_value(const SiteConfig* c, int point, const uint16_t* registers) noexcept nogil:
    """A point of bits: a part of them, or what its code means."""
    cdef int kind = c.point_type[point]
    cdef uint64_t bits = bits_of(registers + c.point_offset[point], type_registers(kind), c.point_low_first[point])
    if (c.point_absent[point] == ABSENT_SUNSPEC and is_absent(kind, bits)) or (
            c.point_absent[point] == ABSENT_VALUE and bits == c.point_absent_bits[point]):
        return NAN
    bits = masked(bits, c.point_mask[point])
    return meaning_of(c, point, bits) if c.point_map_count[point] > 0 else <double> bits


cdef double point_value(const SiteConfig* c, int point, const uint16_t* registers, const double* factors) noexcept nogil:
    cdef double value
    if c.point_type[point] == PT_BIT:
        return bit_of(registers, c.point_offset[point]) ^ (c.point_scale[point] < 0)
    if c.point_map_count[point] > 0 or c.point_mask[point] != 0:
        value = coded_value(c, point, registers)
    else:
        value = typed_value(c.point_type[point], c.point_low_first[point], c.point_absent[point], c.point_absent_bits[point],
                            registers + c.point_offset[point])
    value *= c.point_scale[point]
    if c.point_sf_offset[point] >= 0:
        value *= scale_of(registers[c.point_sf_offset[point]])
    if c.point_factor[point] > 0:
        value *= factors[c.point_factor[point] - 1]
    if c.point_sign_mask[point] != 0 and registers[c.point_sign_offset[point]] & c.point_sign_mask[point]:
        value = -value
    return value + c.point_add[point]


cdef bint is_analogue(int quantity) noexcept nogil:
    return quantity not in (Q_PCS_STATE, Q_PCS_ALARM, Q_PCS_CONN, Q_PCS_HB, Q_BMS_STATE, Q_BMS_ALARM, Q_BMS_HB, Q_LOC_REM)


cdef uint64_t take_points(const SiteConfig* c, const PointIndex* index, int read, const uint16_t* registers, int64_t sent_ns,
                          Inputs* inp) noexcept nogil:
    cdef uint64_t fingerprint = FNV_START
    cdef int i, point, at
    for i in range(index.first[read], index.first[read + 1]):
        point = index.points[i]
        at = c.point_place[point] * QUANTITIES + c.point_quantity[point]
        inp.value[at] = point_value(c, point, registers, inp.factor)
        inp.sampled_ns[at] = sent_ns
        if is_analogue(c.point_quantity[point]) and c.point_type[point] != PT_BIT:
            fingerprint = (fingerprint ^ bits_of(registers + c.point_offset[point], type_registers(c.point_type[point]), False)) * FNV_PRIME
    return fingerprint
