# Settings that must stand before a device is commanded: remote control, our own watchdog time, other tools' reversion timers off.
#
# Rules
# - After each connection every row of PR_PREPARE is read first. What stands already is left alone: settings often live in memory that wears.
# - What differs is told with both values, because somebody set it, then written and read again. A device that keeps its own value after two
#   writes is refused with both values: it would not do what we say.
# - A row that is not to be verified is written once.
# - Until all of them stand no set point is written; measurements are read meanwhile.

from libc.stdint cimport int64_t

from .bus cimport Bus
from .driver cimport Device
from .events cimport EventSink
from .layout cimport Inputs, SiteConfig

cdef enum PrepareFound:
    PREPARED_SO_FAR
    PREPARE_REFUSED         # dev.refused_register and dev.prepare_found, dev.prepare_ours say why

cdef void prepare_init(const SiteConfig* c, Device* dev) noexcept nogil
cdef void prepare_restart(Device* dev) noexcept nogil
cdef bint prepared(const Device* dev) noexcept nogil
cdef void prepare_send(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int64_t now_ns) noexcept nogil

# The transaction dev.setup ended while the device is up.
cdef int prepare_take(const SiteConfig* c, Device* dev, const Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil
