"""The events of one tick; see events.pxd."""

from libc.math cimport NAN

from .layout cimport EV_FLAG, TICK_EVENTS, Event


cdef void emit(EventSink* sink, int64_t now_ns, int code, int level, int place, int row, int slot,
               int32_t detail, double value, double limit) noexcept nogil:
    cdef Event* event
    if sink.count >= TICK_EVENTS:
        sink.dropped += 1
        return
    event = &sink.item[sink.count]
    sink.count += 1
    event.seq = 0
    event.at_ns, event.value, event.limit, event.detail = now_ns, value, limit, detail
    event.place, event.row, event.slot = <int16_t> place, <int16_t> row, <int16_t> slot
    event.code, event.level = <uint8_t> code, <uint8_t> level


cdef void tell_flags(EventSink* sink, uint32_t before, uint32_t after, uint32_t mask, int64_t now_ns) noexcept nogil:
    cdef uint32_t changed = (before ^ after) & mask
    cdef uint32_t flag
    cdef bint up
    while changed:
        flag = changed & -changed
        up = after & flag
        emit(sink, now_ns, EV_FLAG, LEVEL_ALARM if up else LEVEL_INFO, -1, -1, -1, <int32_t> flag, up, NAN)
        changed &= ~flag
