# What a device is told besides its set point: start and stop of a PCS, the contactor of a battery.
#
# Rules
# - An order is a program of rows (writes.pxd), each with the states in which it makes sense; the rows that fit the state the device reports
#   are sent in their order, each after the one before was acknowledged. A row marked `once` goes once per connection and order (a permission);
#   the others are sent again every dev_order_repeat_ns until the state agrees: an order that failed once is never forgotten.
# - A PCS is started only once a set point of this connection was acknowledged, and not while its battery says that it is disconnected or
#   still connecting (R13).
# - A stop or standby is also sent to a PCS whose state is not known; a start only where the profile says so.
# - An order whose state is not reached within dev_order_timeout_ns is told, each time anew. After dev_start_tries late starts we give up: standby
#   until the operator resets or starts at the machine.
# - When the contactors of a battery open and close the step says (contactor.pxd, R13); the order is repeated until the BMS reports it.

from libc.stdint cimport int64_t, uint16_t

from .bus cimport Bus
from .driver cimport Device
from .events cimport EventSink
from .layout cimport Inputs, Outputs, SiteConfig

# Outputs.cmd_run.
cdef enum:
    RUN_STOP = 0
    RUN_RUN = 1
    RUN_STANDBY = 2

cdef void orders_init(const SiteConfig* c, Device* dev) noexcept nogil

# The device came (back): everything is ordered anew.
cdef void orders_restart(Device* dev, int64_t now_ns) noexcept nogil

# The transaction of an order ended.
cdef void order_taken(const SiteConfig* c, Device* dev) noexcept nogil

cdef void send_switch(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int run, EventSink* sink, int64_t now_ns) noexcept nogil
cdef void send_contactor(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, int64_t now_ns) noexcept nogil

# Hand one row to the bus. False: it could not take it.
cdef bint submit_order(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int row, int64_t now_ns) noexcept nogil

# Bit of a state in write_when.
cdef uint16_t state_bit(int state) noexcept nogil
