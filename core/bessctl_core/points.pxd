# Registers become measurements: types, word order, scale, sign, codes, and the values by which a device says "not there".
#
# value = raw x point_scale x the scale factor of the block x the factor read at connect, its sign turned by a status bit, + point_add. A part
# of a bit field, or a code that the profile translates, is taken before that; a code that is not listed is NaN.
#
# A point that is not there, whose scale factor is not there or out of -10..10, or that turns to its not-implemented value, is NaN: the step
# takes that for a violation, never for "nothing to report" (R5). Counters and bit fields come through a double exactly up to 2^53.

from libc.stdint cimport int64_t, uint16_t, uint64_t

from .layout cimport MAX_POINTS, MAX_READS, Inputs, SiteConfig

# Which points lie in which read, found once at start: points[first[r]] .. points[first[r + 1] - 1].
cdef struct PointIndex:
    int first[MAX_READS + 1]
    int points[MAX_POINTS]

cdef void index_points(const SiteConfig* c, PointIndex* index) noexcept nogil

# Registers that a type takes.
cdef int type_registers(int point_type) noexcept nogil

# Ten to the power of a SunSpec scale factor; NaN for "not implemented" and for anything outside -10..10.
cdef double scale_of(uint16_t sunssf) noexcept nogil

# A number of a type in its registers; NaN for "not there" (Absent).
cdef double typed_value(int point_type, bint low_first, int absent, uint64_t absent_bits, const uint16_t* registers) noexcept nogil
# Registers that hold an item of a type at an offset (of bits for PT_BIT) end before this one.
cdef int point_end(int point_type, int offset) noexcept nogil

# The value of one point in its block of registers. Loop, nogil, bounded.
cdef double point_value(const SiteConfig* c, int point, const uint16_t* registers, const double* factors) noexcept nogil

# All points of one read into the inputs, as of `sent_ns`. Returns a fingerprint of what was measured: it stays the same as long as no
# analogue changes in any bit. Loop, nogil, bounded by the points of that read.
cdef uint64_t take_points(const SiteConfig* c, const PointIndex* index, int read, const uint16_t* registers, int64_t sent_ns,
                          Inputs* inp) noexcept nogil
