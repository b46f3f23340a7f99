# Set points in memory that wears (dev_nv_interval_ns): what may be written of what is wanted.
#
# Rules
# - It is rounded toward 0 to whole steps, and each write costs a grant of the budget. Grants come at the sealed interval and are saved up to
#   the sealed number; a start begins with none.
# - With no grant left, power is not raised; it is lowered in tenths of the rating, so that what stands there is never more than what was
#   commanded and a fall costs ten writes at most. 0 W is always written. That it is held back is told (`saving`).
#
# Loop, nogil, bounded.

from libc.stdint cimport int32_t, int64_t

from .layout cimport SiteConfig
from .setpoint cimport Setpoint

cdef void wear_restart(Setpoint* s, const SiteConfig* c, double count_w, int64_t now_ns) noexcept nogil

# What the budget allows of a wanted set point; counts what it costs nowhere.
cdef int32_t affordable(const Setpoint* s, int32_t wanted) noexcept nogil

# The same, with the grants of the time that passed; sets `saving`. What does not wear passes as it is.
cdef int32_t budgeted(Setpoint* s, const SiteConfig* c, int32_t raw, int64_t now_ns) noexcept nogil

# A write goes out.
cdef void spend(Setpoint* s) noexcept nogil
