# What is written again and again: our heartbeat into the watchdog of a device, and the battery's limits into its PCS.
#
# Rules
# - Every beat goes out as the rows of PR_BEAT, with a number that the loop's own ticks make: who hangs does not feed. The period is the
#   profile's, a third of the device's time-out or less.
# - A battery's limits go to the PCS as a second layer (PR_LIMITS): looked at once a second, written when a register changes and every minute;
#   what follows a row that was written is written too, because some devices take limits over by a word behind them.
#   A limit that is missing or old is written as its idle value, which is the safe one.

from libc.stdint cimport int64_t, uint64_t

from .bus cimport Bus
from .driver cimport Device
from .layout cimport Inputs, SiteConfig

cdef void feed_init(const SiteConfig* c, Device* dev) noexcept nogil
cdef void feed_restart(Device* dev) noexcept nogil

# The transactions of beat and limits ended, right or wrong.
cdef void beat_taken(Device* dev) noexcept nogil
cdef void limits_taken(const SiteConfig* c, Device* dev, int64_t now_ns) noexcept nogil

# `ticks`: the loop's, since start.
cdef void send_beat(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, uint64_t ticks, int64_t now_ns) noexcept nogil
cdef void send_limits(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int64_t now_ns) noexcept nogil
