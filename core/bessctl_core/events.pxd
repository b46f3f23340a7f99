# What one tick has to say. Raised anywhere in the tick, drained by the loop into the event ring after it.
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t

from .layout cimport TICK_EVENTS, Event

cdef struct EventSink:
    int32_t count
    int32_t dropped             # since start
    Event item[TICK_EVENTS]

# Levels, as in logs.
cdef enum:
    LEVEL_INFO = 0
    LEVEL_WARNING = 1
    LEVEL_ALARM = 2

# place, row, slot: -1 where it has none. Loop, nogil, bounded.
cdef void emit(EventSink* sink, int64_t now_ns, int code, int level, int place, int row, int slot,
               int32_t detail, double value, double limit) noexcept nogil

# An event for each of the flags in `mask` that went up or down.
cdef void tell_flags(EventSink* sink, uint32_t before, uint32_t after, uint32_t mask, int64_t now_ns) noexcept nogil
