"""Split, encode, and the last look; the rules stand in dispatch.pxd. Loop, nogil, bounded."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.math cimport copysign, fabs, isfinite, trunc
from libc.string cimport memset

from .envelope cimport Side
from .layout cimport MAX_UNITS

# Sums of up to 16 doubles of some 1e6 W: what rounding may add.
cdef double SLACK_W = 1e-6


cdef int32_t encode_w(double w, double scale_w) noexcept nogil:
    cdef double counts
    # Written so that a NaN fails.
    if not scale_w > 0:
        return 0
    counts = trunc(w / scale_w)
    if not isfinite(counts):
        return 0
    # w / scale may round up to the next whole count; one step back keeps the command inside.
    if fabs(counts * scale_w) > fabs(w):
        counts -= 1 if counts > 0 else -1
    return <int32_t> max(-2147483647.0, min(2147483647.0, counts))


cdef inline double share_of(double w, double available_w, double limit_w, double weight) noexcept nogil:
    """A unit's part by what it may give. Multiplied before divided: whole counts of a whole plant power stay whole."""
    cdef double part = limit_w * weight * w / available_w if available_w != 0 else 0
    return part if fabs(part) < fabs(limit_w) else limit_w


cdef inline double left_for_us(double plant_w, double giving_lo_w, double giving_hi_w) noexcept nogil:
    """The plant's power without what others may be giving, never through 0."""
    return max(0.0, plant_w - giving_hi_w) if plant_w > 0 else min(0.0, plant_w - giving_lo_w)


cdef void share_out(const SiteConfig* c, double w, const double* limit, const double* weight, double* given) noexcept nogil:
    cdef int unit, rounds
    cdef double left = w
    cdef double available
    cdef bint again = True
    cdef uint8_t[MAX_UNITS] full
    memset(full, 0, sizeof(full))
    for rounds in range(c.n_units):
        if not again:
            break
        available, again = 0, False
        for unit in range(c.n_units):
            available += 0 if full[unit] else limit[unit] * weight[unit]
        for unit in range(c.n_units):
            if not full[unit]:
                given[unit] = share_of(left, available, limit[unit], weight[unit])
        for unit in range(c.n_units):
            if not full[unit] and given[unit] == limit[unit]:
                full[unit], again = 1, True
                left -= limit[unit]
        if fabs(left) <= SLACK_W or left * w <= 0:
            break


cdef void unit_limits(const SiteConfig* c, const Side* side, const double* room_w, double w, double* limit) noexcept nogil:
    """What each unit may give, beside its reactive power where that goes first; all of it where the plant's power asks for more."""
    cdef int unit
    cdef double total = 0
    for unit in range(c.n_units):
        limit[unit] = side[unit].w if fabs(side[unit].w) <= room_w[unit] else copysign(room_w[unit], side[unit].w)
        total += limit[unit]
    if fabs(w) > fabs(total):
        for unit in range(c.n_units):
            limit[unit] = side[unit].w


cdef void dispatch(const SiteConfig* c, const Inputs* inp, const Envelope* e, const Reactive* r, double plant_w, Outputs* out) noexcept nogil:
    cdef int unit
    cdef double[MAX_UNITS] limit
    cdef double[MAX_UNITS] given
    cdef double w = left_for_us(plant_w, e.giving_lo_w, e.giving_hi_w)
    if w > 0:
        unit_limits(c, e.unit_hi, r.room_hi_w, w, limit)
        share_out(c, w, limit, e.weight_dis, given)
    else:
        unit_limits(c, e.unit_lo, r.room_lo_w, w, limit)
        share_out(c, w, limit, e.weight_cha, given)
    for unit in range(c.n_units):
        out.cmd_raw[unit] = encode_w(given[unit], inp.wset_scale_w[unit])
        out.cmd_w[unit] = out.cmd_raw[unit] * inp.wset_scale_w[unit] if out.cmd_raw[unit] != 0 else 0


cdef bint commands_hold(const SiteConfig* c, const Inputs* inp, const Envelope* e, const Outputs* out) noexcept nogil:
    cdef int unit
    cdef double w
    cdef double least = 0
    cdef double most = 0
    cdef double total = 0
    for unit in range(c.n_units):
        w = out.cmd_raw[unit] * inp.wset_scale_w[unit] if out.cmd_raw[unit] != 0 else 0
        # Written so that a NaN fails.
        if not (w <= e.unit_hi[unit].w + SLACK_W and w >= e.unit_lo[unit].w - SLACK_W):
            return False
        total += w
        least, most = min(least, w), max(most, w)
    if least < 0 and most > 0:
        return False    # R2: never against each other
    return total <= max(e.hi.w - e.giving_hi_w, 0.0) + SLACK_W and total >= min(e.lo.w - e.giving_lo_w, 0.0) - SLACK_W


cdef void command_zero(const SiteConfig* c, Outputs* out) noexcept nogil:
    cdef int unit
    for unit in range(MAX_UNITS):
        out.cmd_raw[unit] = 0
        out.cmd_w[unit] = 0
