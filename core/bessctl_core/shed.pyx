"""Whether load is to be shed; the rules stand in shed.pxd. Loop, nogil, bounded."""

from libc.math cimport NAN, fabs, isfinite

from .events cimport LEVEL_ALARM, LEVEL_INFO, emit
from .layout cimport EV_SHED
from .pcc cimport METER_FRESH, PARTS


cdef void shed_init(Shed* s, int64_t now_ns) noexcept nogil:
    s.order, s.since_ns, s.turning_ns, s.wanted = SHED_UNKNOWN, now_ns, now_ns, 0


cdef double excess_w(const SiteConfig* c, const Pcc* p) noexcept nogil:
    """How far a fresh meter is beyond the connection's limits; 0 = it is not."""
    cdef int phase
    cdef double w = max(0.0, max(p.heard_w[0] - p.hi_w, p.lo_w - p.heard_w[0]))
    if p.phase != METER_FRESH:
        return 0
    if isfinite(c.pcc_phase_max_a):
        for phase in range(1, <int> PARTS):
            w = max(w, 3 * (fabs(p.heard_w[phase]) - p.room_w[phase]))
    return w if w > c.shed_margin_w else 0


cdef void shed_update(const SiteConfig* c, const Pcc* p, Shed* s, bint unmet, double unmet_w, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef double over_w = excess_w(c, p)
    cdef bint wanted = unmet or over_w > 0
    if c.shed_on_ns <= 0:
        return
    # Before anything was ordered each change of mind begins the wait anew; afterwards only a wish for the other order waits.
    if wanted != s.wanted or s.order == wanted:
        s.turning_ns = now_ns
    s.wanted = wanted
    if s.order == wanted or now_ns - s.turning_ns < (c.shed_on_ns if wanted else c.shed_off_ns):
        return
    s.order, s.since_ns = <uint8_t> wanted, now_ns
    emit(sink, now_ns, EV_SHED, LEVEL_ALARM if wanted else LEVEL_INFO, -1, -1, -1, wanted,
         unmet_w if unmet else over_w if wanted else NAN, <double> (c.shed_on_ns if wanted else c.shed_off_ns) * 1e-9)
