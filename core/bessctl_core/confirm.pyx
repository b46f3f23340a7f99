"""What is told of a set point; see confirm.pxd."""

from libc.math cimport NAN
from libc.stdint cimport int32_t

from .driver cimport PHASE_UP
from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport (
    EV_REACTIVE_FOREIGN, EV_REACTIVE_UNCONFIRMED, EV_REVERSION_FOREIGN, EV_SETPOINT_FOREIGN, EV_SETPOINT_HELD, EV_UNCONFIRMED,
)
from .proof cimport TOLD_FOREIGN, TOLD_HELD, TOLD_TIMER
from .writes cimport RELEASED


cdef inline double told(int32_t raw, double scale) noexcept nogil:
    return NAN if raw == RELEASED else raw * scale


cdef void watch_confirmation(const SiteConfig* c, Device* dev, Setpoint* s, double scale, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int code = EV_UNCONFIRMED if s == &dev.setpoint else EV_REACTIVE_UNCONFIRMED
    cdef bint late = s.confirmed_ns != 0 and now_ns - s.confirmed_ns > c.unit_confirm_ns[dev.unit]
    late = late or s.yielded
    if late and not s.unconfirmed and dev.phase == PHASE_UP:
        emit(sink, now_ns, code, LEVEL_ALARM, dev.unit, dev.index, -1, s.yielded, told(s.wanted_raw, scale), NAN)
    s.unconfirmed = late


cdef void tell_setpoint(Device* dev, Setpoint* s, int found, double scale, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int code = EV_SETPOINT_FOREIGN if s == &dev.setpoint else EV_REACTIVE_FOREIGN
    if found & TOLD_TIMER:
        emit(sink, now_ns, EV_REVERSION_FOREIGN, LEVEL_WARNING, dev.unit, dev.index, -1, 0, s.found_timer_s, s.reversion_ns * 1e-9)
    if found & TOLD_HELD:
        emit(sink, now_ns, EV_SETPOINT_HELD, LEVEL_WARNING if s.saving else LEVEL_INFO, dev.unit, dev.index, -1, s.saving,
             s.written_raw * scale, s.asked_raw * scale)
    if found & TOLD_FOREIGN:
        emit(sink, now_ns, code, LEVEL_ALARM, dev.unit, dev.index, -1, s.foreign_tries, s.found_raw * scale, told(s.acked_raw, scale))
