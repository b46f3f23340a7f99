# The load-shed output of one device over its bus (PR_SHED): a coil or a register.
#
# Rules
# - What the step orders (shed.pxd) is written when it changes, after each connection, and every dev_order_repeat_ns: a module that falls back
#   by itself, or that somebody else writes, is set again. While the step knows nothing, nothing is written.
# - The device's answer, which repeats address and value, is the proof. Without one for CONFIRM_NS it is unconfirmed: a flag, raised by the step.
# - The device keeps what it has when the loop dies. What it does then is a matter of its own watchdog.
#
# Such a device belongs to the plant, not to a unit, so its transaction for orders is free for this. Loop, nogil, bounded.

from libc.stdint cimport int64_t

from .bus cimport Bus
from .driver cimport Device
from .layout cimport Inputs, Outputs, SiteConfig

cdef void shed_output_init(const SiteConfig* c, Device* dev) noexcept nogil

# Before device_take: its transaction may have ended.
cdef void shed_output_taken(Device* dev, int64_t now_ns) noexcept nogil

# Writes what is due; also takes note of the order while the device is away.
cdef void shed_output_send(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, int64_t now_ns) noexcept nogil

cdef bint shed_output_unconfirmed(const Device* dev, int64_t now_ns) noexcept nogil
