# What is told of a set point: not confirmed in time, changed by somebody else, a timer found that is not ours, a write saved. Loop, nogil, bounded.
#
# Of reactive power the same is told by its own events, in var; NaN stands for "released to the PCS".

from libc.stdint cimport int64_t

from .driver cimport Device
from .events cimport EventSink
from .layout cimport SiteConfig
from .setpoint cimport Setpoint

# R11: beyond confirm_ns without a proof, or yielded to somebody else. `scale`: what one count is worth.
cdef void watch_confirmation(const SiteConfig* c, Device* dev, Setpoint* s, double scale, EventSink* sink, int64_t now_ns) noexcept nogil

# What setpoint_take found.
cdef void tell_setpoint(Device* dev, Setpoint* s, int found, double scale, EventSink* sink, int64_t now_ns) noexcept nogil
