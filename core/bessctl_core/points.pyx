"""Registers become measurements; see points.pxd."""

from libc.math cimport NAN
from libc.stdint cimport int16_t, int32_t, uint32_t
from libc.string cimport memcpy, memset

from .layout cimport (
    PT_BITS32, PT_ENUM16, PT_FLOAT32, PT_INT16, PT_INT32, PT_INT64, PT_UINT16, PT_UINT32, PT_UINT64,
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
    if point_type == PT_INT16 or point_type == PT_UINT16 or point_type == PT_ENUM16:
        return 1
    if point_type == PT_UINT64 or point_type == PT_INT64:
        return 4
    return 2


cdef double scale_of(uint16_t sunssf) noexcept nogil:
    cdef int16_t exponent = <int16_t> sunssf
    return POW10[exponent + 10] if -10 <= exponent <= 10 else NAN


cdef uint64_t bits_of(const uint16_t* registers, int count) noexcept nogil:
    cdef uint64_t bits = 0
    cdef int i
    for i in range(count):
        bits = (bits << 16) | registers[i]
    return bits


cdef double float_of(uint32_t bits) noexcept nogil:
    cdef float value
    memcpy(&value, &bits, sizeof(float))
    return value


cdef double number_of(int point_type, uint64_t bits) noexcept nogil:
    # NaN for the value by which SunSpec says "not implemented" (Information Model Specification, data types).
    if point_type == PT_INT16:
        return NAN if bits == 0x8000 else <double> <int16_t> bits
    if point_type == PT_UINT16 or point_type == PT_ENUM16:
        return NAN if bits == 0xFFFF else <double> bits
    if point_type == PT_INT32:
        return NAN if bits == MOST_NEGATIVE_32 else <double> <int32_t> bits
    if point_type == PT_UINT32 or point_type == PT_BITS32:
        return NAN if bits == ALL_ONES_32 else <double> bits
    if point_type == PT_INT64:
        return NAN if bits == <uint64_t> 1 << 63 else <double> <int64_t> bits
    if point_type == PT_UINT64:
        return NAN if bits == ~<uint64_t> 0 else <double> bits
    return float_of(<uint32_t> bits) if point_type == PT_FLOAT32 else NAN


cdef double point_value(const SiteConfig* c, int point, const uint16_t* registers) noexcept nogil:
    cdef int kind = c.point_type[point]
    cdef double value = number_of(kind, bits_of(registers + c.point_offset[point], type_registers(kind))) * c.point_scale[point]
    if c.point_sf_offset[point] >= 0:
        value *= scale_of(registers[c.point_sf_offset[point]])
    return value


cdef bint is_analogue(int quantity) noexcept nogil:
    return quantity not in (Q_PCS_STATE, Q_PCS_ALARM, Q_PCS_CONN, Q_PCS_HB, Q_BMS_STATE, Q_BMS_ALARM, Q_BMS_HB, Q_LOC_REM)


cdef uint64_t take_points(const SiteConfig* c, const PointIndex* index, int read, const uint16_t* registers, int64_t sent_ns,
                          Inputs* inp) noexcept nogil:
    cdef uint64_t fingerprint = FNV_START
    cdef int i, point, at
    for i in range(index.first[read], index.first[read + 1]):
        point = index.points[i]
        at = c.point_place[point] * QUANTITIES + c.point_quantity[point]
        inp.value[at] = point_value(c, point, registers)
        inp.sampled_ns[at] = sent_ns
        if is_analogue(c.point_quantity[point]):
            fingerprint = (fingerprint ^ bits_of(registers + c.point_offset[point], type_registers(c.point_type[point]))) * FNV_PRIME
    return fingerprint
