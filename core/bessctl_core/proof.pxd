# What came back of a set point and what it proves (R11); the rules stand in setpoint.pxd. Loop, nogil, bounded.

from libc.stdint cimport int64_t

from .layout cimport Inputs, SiteConfig
from .setpoint cimport Setpoint

# What a call found out; bits.
cdef enum Told:
    TOLD_NOTHING = 0
    TOLD_FOREIGN = 1            # somebody else changed the set point
    TOLD_TIMER = 2              # somebody else's reversion timer stood there at connect
    TOLD_HELD = 4               # a write was saved, or is no longer: `saving` changed

# Take what the bus finished; returns bits of Told.
cdef int setpoint_take(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil

# The device's watchdog may be fed: its set point is confirmed, or it is seen to rest.
cdef bint setpoint_feeds(const Setpoint* s, const SiteConfig* c, int64_t now_ns) noexcept nogil
