# What is written: the rows of the sealed write table become registers, and registers read back become a verdict. Pure.
#
# Rules
# - A number that does not fit its field is cut to the field's end nearest to it, never wrapped.
# - What comes from a measurement is rounded toward 0; missing, not a number or older than the unit's data age, it is the field's idle value.
# - A read-back is ours when every field but SRC_ANY holds what we would write now and the reversion timer, where it is read back, runs and
#   was re-armed by our write. A timer at 0 whose time is ours has reverted by itself; anything else was written by somebody else.
#
# - Reactive power that is released to the PCS has no counts: SRC_ENABLE fields say so, the others are written as for 0, and only the former
#   are judged; no timer runs.
#
# Loop, nogil, bounded by the fields of one row.

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from .layout cimport Inputs, SiteConfig

# Instead of counts: reactive power is the PCS's own. Encoding ends one above it.
cdef extern from *:
    """
    #define SETPOINT_RELEASED INT32_MIN
    """
    const int32_t RELEASED "SETPOINT_RELEASED"

cdef enum Holds:
    HOLDS_OURS                  # all of it ours, timer re-armed
    HOLDS_REVERTED              # ours, but the timer is over
    HOLDS_OTHER                 # another value, mode or time

# What fields are filled from.
cdef struct Values:
    int64_t now_ns
    int64_t reversion_ns
    int32_t raw                 # counts of the set point
    uint32_t beat
    int unit

# The rows of one device and program: first row and how many.
cdef struct Rows:
    int first
    int count

cdef Rows rows_of(const SiteConfig* c, int device, int program) noexcept nogil

# The value of one field in whole counts of the device.
cdef int64_t field_counts(const SiteConfig* c, int field, const Inputs* inp, const Values* v) noexcept nogil

# The value of one field as it stands in registers read from the row's first register on.
cdef int64_t field_found(const SiteConfig* c, int field, const uint16_t* registers) noexcept nogil

# All registers of a row.
cdef void fill_row(const SiteConfig* c, int row, const Inputs* inp, const Values* v, uint16_t* registers) noexcept nogil

# What write_back registers say about a row written `age_ns` ago.
cdef int row_holds(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers, int64_t age_ns) noexcept nogil

# What a row is seen to say about power.
cdef enum Power:
    POWER_NOT_SAID              # none of its fields is power, and nothing in it is foreign
    POWER_NONE                  # every field of power holds what 0 W writes, every other one what 0 W or our set point does
    POWER_SOME

cdef int row_power(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers) noexcept nogil

# The first field of a row that does not hold what we would write; -1 = none.
cdef int first_other(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers) noexcept nogil
