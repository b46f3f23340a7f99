"""R16: which units were tried, and what the others may give; the rules stand in commission.pxd. Loop, nogil, bounded."""

from libc.math cimport NAN

from .events cimport LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport EV_COMMISSION, NS_PER_S

cdef double CAP_SHARE = 0.05
cdef int64_t TRIAL_NS = 120 * <int64_t> NS_PER_S

# EV_COMMISSION's detail.
cdef enum:
    NEVER_TRIED = 0
    TRIAL_BEGINS = 1
    TRIAL_OVER = 2
    PROVED = 3


cdef void tell(EventSink* sink, int detail, int level, int unit, int64_t now_ns) noexcept nogil:
    emit(sink, now_ns, EV_COMMISSION, level, unit, -1, -1, detail, NAN, CAP_SHARE)


cdef void commission_init(const SiteConfig* c, Commission* k, const uint8_t* done, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int unit
    k.trial = -1
    for unit in range(c.n_units):
        k.done[unit] = done != NULL and done[unit] != 0
        if not k.done[unit]:
            tell(sink, NEVER_TRIED, LEVEL_WARNING, unit, now_ns)


cdef void commission_try(Commission* k, int unit, EventSink* sink, int64_t now_ns) noexcept nogil:
    if k.trial >= 0 and unit != k.trial:
        tell(sink, TRIAL_OVER, LEVEL_INFO, k.trial, now_ns)
    if unit >= 0 and unit != k.trial:
        tell(sink, TRIAL_BEGINS, LEVEL_INFO, unit, now_ns)
    k.trial, k.trial_until_ns = <int16_t> unit, now_ns + TRIAL_NS


cdef void commission_update(Commission* k, EventSink* sink, int64_t now_ns) noexcept nogil:
    if k.trial >= 0 and now_ns >= k.trial_until_ns:
        commission_try(k, -1, sink, now_ns)


cdef void commission_settle(const SiteConfig* c, Commission* k, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int unit
    for unit in range(c.n_units):
        if k.asked[unit]:
            k.done[unit], k.asked[unit] = 1, 0
            tell(sink, PROVED, LEVEL_INFO, unit, now_ns)


cdef double commission_share(const Commission* k, int unit) noexcept nogil:
    if k.trial >= 0 and k.trial != unit:
        return 0
    return 1 if k.done[unit] else CAP_SHARE


cdef bint commission_complete(const SiteConfig* c, const Commission* k) noexcept nogil:
    cdef int unit
    for unit in range(c.n_units):
        if not k.done[unit]:
            return False
    return True
