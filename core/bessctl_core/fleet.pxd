# All buses and all devices of the site: what the loop reads from and writes to.
#
# All functions but fleet_init: loop, nogil, bounded by the sealed numbers of buses, devices, reads and points.

from libc.stdint cimport int64_t, uint64_t

from .bus cimport Bus, Transaction
from .curves cimport CurveWriter
from .driver cimport Device
from .events cimport EventSink
from .layout cimport MAX_BUSES, MAX_DEVICES, MAX_READS, CurvePlan, Inputs, Outputs, PlantState, SiteConfig
from .points cimport PointIndex
from .service cimport ServiceWriter

cdef struct Fleet:
    Bus bus[MAX_BUSES]
    Device device[MAX_DEVICES]
    CurveWriter curve[MAX_DEVICES]
    ServiceWriter service[MAX_DEVICES]
    Transaction read[MAX_READS]
    int64_t read_due_ns[MAX_READS]
    uint64_t read_print[MAX_READS]      # fingerprint of the last answer, see points.pxd
    PointIndex points
    uint64_t ticks                      # the source of our heartbeats

# Once. -1, or the bus that cannot be had as sealed (an address that is no number, a baud rate that does not exist).
cdef int fleet_init(const SiteConfig* c, Fleet* f, Inputs* inp, int64_t now_ns) noexcept nogil

# Read: replies that came become inputs.
cdef void fleet_take(const SiteConfig* c, Fleet* f, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil

# Write: commands first, then what is due to be read, and everything that fits on the wire now. True when each command that was due was
# handed to its bus, as far as that bus is connected.
cdef bint fleet_send(const SiteConfig* c, Fleet* f, const Inputs* inp, const Outputs* out, EventSink* sink,
                     int64_t now_ns) noexcept nogil

# What the curves and the enter service of each PCS want done next; after the commands. `plan` may say nothing.
cdef void fleet_curves(const SiteConfig* c, Fleet* f, const CurvePlan* plan, EventSink* sink, int64_t now_ns) noexcept nogil

# Sleep until an absolute instant; while a question is out or waits, keep its bus going. Never longer, whatever the peers send.
cdef void fleet_wait(const SiteConfig* c, Fleet* f, int64_t until_ns) noexcept nogil

# Nothing of our own making flows any more at any PCS.
cdef bint fleet_stopped(const SiteConfig* c, const Fleet* f, const Inputs* inp) noexcept nogil

# The operator reset or started at the machine: set points we yielded to somebody else are ours again.
cdef void fleet_release(const SiteConfig* c, Fleet* f) noexcept nogil

# The counters of the buses into the published state.
cdef void fleet_account(const SiteConfig* c, const Fleet* f, PlantState* state) noexcept nogil

cdef void fleet_close(const SiteConfig* c, Fleet* f, int64_t now_ns) noexcept nogil
