# What a device is told besides its set point: start and stop of a PCS, our heartbeat, the contactor of a battery.
#
# Rules
# - A PCS is started only once a set point of this connection was acknowledged, and permitted (703 ES) before it is started (715 OpCtl).
# - Each order is repeated every 2 s until the state the device reports agrees: an order that failed once is never forgotten.
# - A stop or standby is also sent to a PCS whose state is not known; a start never is.
# - The contactor opens only when the set point is 0, the PCS does not run and hardly any current flows, or OPEN_WAIT_NS after it was
#   ordered (R13).

from libc.stdint cimport int64_t, uint32_t

from .bus cimport Bus
from .driver cimport Device
from .layout cimport Inputs, Outputs, SiteConfig

# Outputs.cmd_run.
cdef enum:
    RUN_STOP = 0
    RUN_RUN = 1
    RUN_STANDBY = 2

cdef void send_switch(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int run, int64_t now_ns) noexcept nogil
cdef void send_beat(const SiteConfig* c, Device* dev, Bus* bus, uint32_t beat) noexcept nogil
cdef void send_contactor(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, int64_t now_ns) noexcept nogil
