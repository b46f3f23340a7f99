"""How fast the plant's power may change; the rules stand in ramp.pxd. Loop, nogil, bounded."""

from libc.math cimport INFINITY


cdef inline int sign(double w) noexcept nogil:
    return (w > 0) - (w < 0)


cdef void ramp_init(RampState* r, double start_w, int64_t now_ns) noexcept nogil:
    r.w, r.last_ns, r.turned_ns, r.last_sign = start_w, now_ns, 0, 0


cdef inline double toward(double w, double goal, double step) noexcept nogil:
    return min(w + step, goal) if goal > w else max(w - step, goal)


cdef void arrive_at_zero(RampState* r, int64_t now_ns) noexcept nogil:
    r.last_sign, r.turned_ns, r.w = sign(r.w), now_ns, 0


cdef void cut_by_limits(RampState* r, double lo_w, double hi_w, int64_t now_ns) noexcept nogil:
    """What limits take away toward 0 is gone at once. A limit on the near side (it asks for power) is approached by the ramp."""
    if r.w > 0 and hi_w < r.w:
        if hi_w <= 0:
            arrive_at_zero(r, now_ns)
        else:
            r.w = hi_w
    elif r.w < 0 and lo_w > r.w:
        if lo_w >= 0:
            arrive_at_zero(r, now_ns)
        else:
            r.w = lo_w


cdef double ramp_next(RampState* r, double wanted_w, double lo_w, double hi_w, double rate_w_per_s, double source_rate, int64_t dead_ns,
                      int64_t period_ns, int64_t now_ns) noexcept nogil:
    cdef double dt_s = <double> min(max(now_ns - r.last_ns, <int64_t> 0), 2 * period_ns) * 1e-9
    cdef double inward = source_rate * dt_s if source_rate > 0 else INFINITY
    cdef double outward = (min(rate_w_per_s, source_rate) if source_rate > 0 else rate_w_per_s) * dt_s
    r.last_ns = now_ns
    cut_by_limits(r, lo_w, hi_w, now_ns)
    if r.w != 0 and sign(wanted_w) != sign(r.w):
        # Toward 0, and no further in this tick.
        if inward >= abs(r.w):
            arrive_at_zero(r, now_ns)
        else:
            r.w = toward(r.w, 0, inward)
    elif abs(wanted_w) < abs(r.w):
        r.w = toward(r.w, wanted_w, inward)
    elif r.w != 0 or sign(wanted_w) * r.last_sign >= 0 or now_ns - r.turned_ns >= dead_ns:
        r.w = toward(r.w, wanted_w, outward)
    return r.w
