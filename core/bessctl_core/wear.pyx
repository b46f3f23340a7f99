"""The budget of a set point in memory that wears; the rules stand in wear.pxd."""

from libc.math cimport isfinite

from .writes cimport RELEASED

cdef enum:
    TENTHS = 10


cdef inline int32_t counts_of(double w, double count_w) noexcept nogil:
    cdef double counts = w / count_w if isfinite(count_w) and count_w > 0 else 1
    return <int32_t> max(1.0, min(2147483647.0, counts))


cdef void wear_restart(Setpoint* s, const SiteConfig* c, double count_w, int64_t now_ns) noexcept nogil:
    if c.dev_nv_interval_ns[s.device] > 0:
        s.step_raw = counts_of(c.dev_nv_step_w[s.device], count_w)
        s.coarse_raw = max(s.step_raw, counts_of(c.unit_va_max[s.unit] / TENTHS, count_w))
        s.grant_ns = s.grant_ns or now_ns


cdef inline int32_t toward_zero(int32_t raw, int32_t step) noexcept nogil:
    return raw - raw % step     # C's remainder has the sign of raw


cdef int32_t affordable(const Setpoint* s, int32_t wanted) noexcept nogil:
    cdef int32_t whole_steps = toward_zero(wanted, s.step_raw)
    cdef int32_t stands = s.written_raw
    cdef bint away
    if not s.written or s.grants > 0 or whole_steps == stands or whole_steps == 0:
        return whole_steps
    away = (stands >= 0 and whole_steps > stands) or (stands <= 0 and whole_steps < stands)
    if away:
        return stands
    return 0 if (stands > 0) != (whole_steps > 0) else toward_zero(whole_steps, s.coarse_raw)


cdef void refill(Setpoint* s, const SiteConfig* c, int64_t now_ns) noexcept nogil:
    cdef int64_t interval_ns = c.dev_nv_interval_ns[s.device]
    cdef int64_t n = (now_ns - s.grant_ns) // interval_ns
    if n > 0:
        s.grant_ns += n * interval_ns
        s.grants = <int32_t> min(s.grants + n, <int64_t> c.dev_nv_burst[s.device])


cdef int32_t budgeted(Setpoint* s, const SiteConfig* c, int32_t raw, int64_t now_ns) noexcept nogil:
    cdef int32_t given
    if s.step_raw == 0 or raw == RELEASED or s.written_raw == RELEASED:
        return raw
    refill(s, c, now_ns)
    given = affordable(s, raw)
    s.saving = given != toward_zero(raw, s.step_raw)
    return given


cdef void spend(Setpoint* s) noexcept nogil:
    s.writes += 1
    if s.step_raw > 0 and s.grants > 0:
        s.grants -= 1
