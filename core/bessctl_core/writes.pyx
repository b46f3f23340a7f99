"""The write table: registers out of values, and a verdict out of registers; the rules stand in writes.pxd."""

from libc.math cimport fabs, isfinite, isnan, trunc
from libc.stdint cimport int16_t, uint8_t
from libc.string cimport memcpy, memset

from .layout cimport (
    NS_PER_S, PT_BITS16, PT_BITS32, PT_ENUM16, PT_FLOAT32, PT_INT16, PT_INT32, PT_INT64, PT_UINT16, PT_UINT32, PT_UINT64, QUANTITIES,
    SRC_ANY, SRC_BEAT, SRC_CHARGE, SRC_CONST, SRC_DIRECTION, SRC_DISCHARGE, SRC_ENABLE, SRC_INPUT, SRC_MAGNITUDE, SRC_REMAINS, SRC_REVERSION,
    SRC_SETPOINT, SRC_SHED, SRC_TOGGLE,
)
from .points cimport type_registers

cdef enum:
    REM_SLACK_S = 2             # reversion timers count whole seconds, and device timers are inexact

# Doubles hold whole numbers up to here.
cdef double EXACT = 9007199254740992.0


cdef Rows rows_of(const SiteConfig* c, int device, int program) noexcept nogil:
    cdef Rows rows
    cdef int i
    rows.first = rows.count = 0
    for i in range(c.n_writes):
        if c.write_device[i] == device and c.write_program[i] == program:
            if rows.count == 0:
                rows.first = i
            rows.count += 1
    return rows


# --- out ----------------------------------------------------------------------------------------------------------------------------------

cdef double least_of(int kind) noexcept nogil:
    if kind == PT_INT16:
        return -32768.0
    if kind == PT_INT32:
        return -2147483648.0
    if kind == PT_INT64 or kind == PT_FLOAT32:
        return -EXACT
    return 0.0


cdef double most_of(int kind) noexcept nogil:
    if kind == PT_INT16:
        return 32767.0
    if kind == PT_UINT16 or kind == PT_ENUM16 or kind == PT_BITS16:
        return 65535.0
    if kind == PT_INT32:
        return 2147483647.0
    if kind == PT_UINT32 or kind == PT_BITS32:
        return 4294967295.0
    return EXACT


cdef int64_t whole(double counts, int kind) noexcept nogil:
    return <int64_t> max(least_of(kind), min(most_of(kind), trunc(counts)))


cdef int64_t by_direction(const SiteConfig* c, int field, int32_t raw) noexcept nogil:
    if raw == 0:
        return c.field_idle[field]
    return c.field_discharge[field] if raw > 0 else c.field_charge[field]


cdef int64_t measured(const SiteConfig* c, int field, const Inputs* inp, const Values* v) noexcept nogil:
    cdef int at = v.unit * QUANTITIES + c.field_quantity[field]
    cdef double scale = c.field_scale[field]
    if c.field_factor[field] > 0:
        scale *= inp.factor[c.field_factor[field] - 1]
    if v.now_ns - inp.sampled_ns[at] > c.unit_data_age_ns[v.unit] or not isfinite(inp.value[at]) or not isfinite(scale) or scale == 0:
        return c.field_idle[field]
    return whole(inp.value[at] / scale, c.field_type[field])


cdef int64_t seconds(const SiteConfig* c, int field, int64_t reversion_ns) noexcept nogil:
    return whole(<double> reversion_ns / NS_PER_S / c.field_scale[field], c.field_type[field])


cdef int64_t field_counts(const SiteConfig* c, int field, const Inputs* inp, const Values* v) noexcept nogil:
    cdef int source = c.field_source[field]
    cdef int64_t raw = v.raw if v.raw != RELEASED else 0
    if source == SRC_ENABLE:
        return c.field_idle[field] if v.raw == RELEASED else c.field_discharge[field]
    if source == SRC_SETPOINT:
        raw = -raw if c.field_scale[field] < 0 else raw
    elif source == SRC_MAGNITUDE:
        raw = -raw if raw < 0 else raw
    elif source == SRC_CHARGE:
        raw = -raw if raw < 0 else 0
    elif source == SRC_DISCHARGE:
        raw = raw if raw > 0 else 0
    elif source == SRC_DIRECTION:
        return by_direction(c, field, <int32_t> raw)
    elif source == SRC_REVERSION:
        return seconds(c, field, v.reversion_ns)
    elif source == SRC_BEAT:
        return v.beat
    elif source == SRC_TOGGLE:
        return c.field_discharge[field] if v.beat & 1 else c.field_idle[field]
    elif source == SRC_SHED:
        return c.field_discharge[field] if v.raw else c.field_idle[field]
    elif source == SRC_INPUT:
        return measured(c, field, inp, v)
    else:
        return c.field_idle[field]
    return whole(<double> raw, c.field_type[field])


cdef void put(uint16_t* registers, int kind, bint low_first, int64_t value) noexcept nogil:
    cdef int n = type_registers(kind)
    cdef int i
    cdef uint64_t bits = <uint64_t> value
    cdef float number
    cdef uint32_t number_bits
    if kind == PT_FLOAT32:
        number = <float> value
        memcpy(&number_bits, &number, sizeof(float))
        bits = number_bits
    for i in range(n):
        registers[i if low_first else n - 1 - i] = <uint16_t> (bits >> (16 * i))


cdef void fill_row(const SiteConfig* c, int row, const Inputs* inp, const Values* v, uint16_t* registers) noexcept nogil:
    cdef int i
    memset(registers, 0, c.write_count[row] * sizeof(uint16_t))
    for i in range(c.write_field[row], c.write_field[row] + c.write_fields[row]):
        if c.field_offset[i] < c.write_count[row]:
            put(registers + c.field_offset[i], c.field_type[i], c.field_low_first[i], field_counts(c, i, inp, v))


# --- back ---------------------------------------------------------------------------------------------------------------------------------

cdef int64_t field_found(const SiteConfig* c, int field, const uint16_t* registers) noexcept nogil:
    cdef int kind = c.field_type[field]
    cdef int n = type_registers(kind)
    cdef int at = c.field_offset[field]
    cdef int i
    cdef uint64_t bits = 0
    cdef uint32_t number_bits
    cdef float number
    for i in range(n):
        bits = (bits << 16) | registers[at + (n - 1 - i if c.field_low_first[field] else i)]
    if kind == PT_FLOAT32:
        number_bits = <uint32_t> bits
        memcpy(&number, &number_bits, sizeof(float))
        return -1 if isnan(number) or fabs(number) > EXACT else <int64_t> number
    if kind == PT_INT16:
        return <int16_t> bits
    return <int32_t> bits if kind == PT_INT32 else <int64_t> bits


cdef bint same(const SiteConfig* c, int field, int64_t ours, const uint16_t* registers) noexcept nogil:
    """What stands there is bit for bit what we would write."""
    cdef uint16_t[4] wanted
    cdef int i
    put(wanted, c.field_type[field], c.field_low_first[field], ours)
    for i in range(type_registers(c.field_type[field])):
        if registers[c.field_offset[field] + i] != wanted[i]:
            return False
    return True


cdef int first_other(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers) noexcept nogil:
    cdef int i
    for i in range(c.write_field[row], c.write_field[row] + c.write_fields[row]):
        if c.field_source[i] != SRC_ANY and c.field_source[i] != SRC_REMAINS and not same(c, i, field_counts(c, i, inp, v), registers):
            return i
    return -1


cdef inline bint is_power(int source) noexcept nogil:
    return source == SRC_SETPOINT or source == SRC_MAGNITUDE or source == SRC_CHARGE or source == SRC_DISCHARGE


cdef int row_power(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers) noexcept nogil:
    cdef int power = POWER_NOT_SAID
    cdef int i, source
    cdef Values none = v[0]
    none.raw = 0
    for i in range(c.write_field[row], c.write_field[row] + c.write_fields[row]):
        source = c.field_source[i]
        if source == SRC_ANY or source == SRC_REMAINS:
            continue
        if is_power(source):
            power = POWER_NONE
        if not same(c, i, field_counts(c, i, inp, &none), registers) \
                and (is_power(source) or not same(c, i, field_counts(c, i, inp, v), registers)):
            return POWER_SOME
    return power


cdef bint is_released(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers) noexcept nogil:
    cdef int i
    for i in range(c.write_field[row], c.write_field[row] + c.write_fields[row]):
        if c.field_source[i] == SRC_ENABLE and not same(c, i, field_counts(c, i, inp, v), registers):
            return False
    return True


cdef int row_holds(const SiteConfig* c, int row, const Inputs* inp, const Values* v, const uint16_t* registers, int64_t age_ns) noexcept nogil:
    cdef int i
    cdef bint has_timer = False
    cdef bint our_time = True
    cdef double left_s = 0
    cdef double reversion_s = <double> v.reversion_ns / NS_PER_S
    if v.raw == RELEASED:
        return HOLDS_OURS if is_released(c, row, inp, v, registers) else HOLDS_OTHER
    for i in range(c.write_field[row], c.write_field[row] + c.write_fields[row]):
        if c.field_source[i] == SRC_REMAINS:
            has_timer = True
            left_s = field_found(c, i, registers) * c.field_scale[i]
        elif c.field_source[i] == SRC_REVERSION:
            our_time = our_time and same(c, i, seconds(c, i, v.reversion_ns), registers)
    if has_timer and left_s == 0 and our_time:
        return HOLDS_REVERTED
    if first_other(c, row, inp, v, registers) >= 0:
        return HOLDS_OTHER
    if has_timer and (left_s > reversion_s or left_s + age_ns // NS_PER_S + REM_SLACK_S < reversion_s):
        return HOLDS_REVERTED
    return HOLDS_OURS
