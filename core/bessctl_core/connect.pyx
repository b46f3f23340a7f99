"""A plan that disconnects the plant; the rules stand in connect.pxd. Loop, nogil, bounded."""

from libc.stdint cimport INT64_MAX

from .events cimport LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport BIND_CEASE, BIND_NONE, BIND_OPEN, EV_CONNECT


cdef void connect_init(Connect* k) noexcept nogil:
    k.since_ns, k.until_ns, k.slot, k.bind = 0, 0, -1, BIND_NONE


cdef inline bint goes_before(const SiteConfig* c, int slot, int other) noexcept nogil:
    if c.slot_class[slot] != c.slot_class[other]:
        return c.slot_class[slot] < c.slot_class[other]
    return c.slot_priority[slot] < c.slot_priority[other]


cdef int who_disconnects(const SiteConfig* c, const SlotTable* slots) noexcept nogil:
    cdef int slot
    cdef int best = -1
    for slot in range(c.n_slots):
        if slots.ask[slot].connect == 0 and (best < 0 or goes_before(c, slot, best)):
            best = slot
    return best


cdef int own_contactors(const SiteConfig* c) noexcept nogil:
    cdef int unit
    cdef int n = 0
    for unit in range(c.n_units):
        n += c.unit_opens[unit] != 0
    return n


cdef void connect_update(const SiteConfig* c, const SlotTable* slots, Connect* k, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int slot = who_disconnects(c, slots)
    cdef int before = k.slot
    if slot != before:
        k.slot, k.since_ns = <int16_t> slot, now_ns if slot >= 0 else 0
        emit(sink, now_ns, EV_CONNECT, LEVEL_WARNING if slot >= 0 else LEVEL_INFO, -1, -1, slot if slot >= 0 else before, slot >= 0,
             own_contactors(c), c.n_units)
    k.bind, k.until_ns = BIND_NONE, 0
    if slot >= 0:
        k.bind = slots.ask[slot].bind
        k.until_ns = slots.ask[slot].until_ns if slots.ask[slot].until_ns != INT64_MAX else 0


cdef int disconnects(const SiteConfig* c, const Connect* k, int unit) noexcept nogil:
    if k.slot < 0:
        return BIND_NONE
    return BIND_OPEN if c.unit_opens[unit] else BIND_CEASE
