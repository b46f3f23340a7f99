"""Split, encode, and the last look; the rules stand in dispatch.pxd. Loop, nogil, bounded."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.math cimport fabs, isfinite, trunc

from .layout cimport MAX_UNITS

# Sums of up to 16 doubles of some 1e6 W: what rounding may add.
cdef double SLACK_W = 1e-6


cdef int32_t encode_w(double w, double scale_w) noexcept nogil:
    cdef double counts
    if not isfinite(w) or not isfinite(scale_w) or scale_w <= 0:
        return 0
    counts = trunc(w / scale_w)
    # w / scale may round up to the next whole count; one step back keeps the command inside.
    if fabs(counts * scale_w) > fabs(w):
        counts -= 1 if counts > 0 else -1
    return <int32_t> max(-2147483647.0, min(2147483647.0, counts))


cdef inline double share_of(double plant_w, double available_w, double limit_w) noexcept nogil:
    """A unit's part by what it may give. Multiplied before divided: whole counts of a whole plant power stay whole."""
    cdef double w = limit_w * plant_w / available_w if available_w != 0 else 0
    return w if fabs(w) <= fabs(limit_w) else limit_w


cdef void dispatch(const SiteConfig* c, const Inputs* inp, const Envelope* e, double plant_w, Outputs* out) noexcept nogil:
    cdef int unit
    cdef double w
    for unit in range(c.n_units):
        if plant_w > 0:
            w = share_of(plant_w, e.device_hi.w, e.unit_hi[unit].w)
        else:
            w = share_of(plant_w, e.device_lo.w, e.unit_lo[unit].w)
        out.cmd_raw[unit] = encode_w(w, inp.wset_scale_w[unit])
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
    return total <= max(e.hi.w, 0.0) + SLACK_W and total >= min(e.lo.w, 0.0) - SLACK_W


cdef void command_zero(const SiteConfig* c, Outputs* out) noexcept nogil:
    cdef int unit
    for unit in range(MAX_UNITS):
        out.cmd_raw[unit] = 0
        out.cmd_w[unit] = 0
