# One device over its bus: connect, verify, then poll and command. The rules stand on top of driver.pyx.
#
# All functions: loop, nogil, bounded. A device never waits for another: it hands questions to its bus and looks next tick what came of them.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from .bus cimport Bus, Transaction
from .events cimport EventSink
from .layout cimport Inputs, Outputs, SiteConfig
from .setpoint cimport Setpoint
from .writes cimport Rows

cdef enum:
    LIMIT_ROWS = 8
    LIMIT_REGISTERS = 16

cdef enum Phase:
    PHASE_OFFLINE
    PHASE_VERIFY
    PHASE_SCALE
    PHASE_UP

cdef struct Device:
    Setpoint setpoint
    Setpoint reactive           # of PR_VAR, where there is one
    Transaction setup           # verification, one read at a time
    Transaction beat            # our heartbeat
    Transaction switch          # start, stop, contactor
    Transaction limits          # the battery's, mirrored
    Rows orders[3]              # by Outputs.cmd_run
    Rows open_rows
    Rows close_rows
    Rows beat_rows
    Rows limit_rows
    Rows prepare_rows
    Rows shed_rows
    uint64_t beat_ticks         # ticks of one beat
    int64_t order_since_ns      # since when the order is not obeyed
    int64_t limit_next_ns
    int64_t limit_known[8]      # when row i was acknowledged with limit_regs[i]; 0 = not on this connection
    int64_t prepare_next_ns
    int64_t prepare_found       # a setting that is not ours, and what we would have
    int64_t prepare_ours
    int64_t retry_ns            # OFFLINE: not before
    int64_t backoff_ns
    int64_t seen_ns             # newest sample
    int64_t alive_ns            # newest sample in which something moved
    int64_t switch_next_ns
    int64_t contactor_next_ns   # the order to the contactors is not repeated before
    int64_t shed_next_ns        # the load-shed output is written again
    int64_t shed_heard_ns       # when it was last acknowledged, or a new order began
    uint32_t epoch              # connection it was verified on
    uint32_t shed_epoch         # connection the load-shed output was written on
    uint32_t beat_sent
    int32_t index
    int32_t unit                # or PLANT
    int32_t check_at            # first check not asked yet
    int32_t check_first         # checks under way
    int32_t check_count
    int32_t refused_register    # what the last refusal was about
    int32_t refused_found
    int32_t factor_at           # factor asked now
    int32_t order_row           # next row of the order
    int32_t order_under_way     # row whose transaction is out; -1 = none of the order
    int32_t beat_row
    int32_t limit_row
    int32_t prepare_row
    int32_t prepare_register
    int32_t start_tries
    uint32_t order_once         # rows marked once that are done
    double heartbeat
    uint16_t limit_regs[8 * 16]
    uint8_t phase
    uint8_t silent              # transactions in a row without an answer
    uint8_t refused
    uint8_t frozen
    uint8_t loaded              # it should see power: a unit of its is commanded
    uint8_t told_down
    uint8_t start_given_up
    uint8_t believed            # up, and not refused for its settings
    uint8_t said_hello          # its first read was asked on this connection, see verify.pyx
    uint8_t limit_changed       # a row of this round was written: so are those behind it
    uint8_t prepare_asked
    uint8_t prepare_differs
    uint8_t prepare_writes
    uint8_t shed_order          # ShedOrder, and which of them was written last
    uint8_t shed_sent
    uint8_t last_run
    uint8_t last_contactor      # what was ordered last: 0 nothing, 1 open, 2 close

cdef void device_init(const SiteConfig* c, int index, Device* dev) noexcept nogil

# DeviceState, for the step.
cdef int device_state(const Device* dev) noexcept nogil

# What came back since the last tick. Fills in the device's part of the inputs that are no measurements.
cdef void device_take(const SiteConfig* c, Device* dev, const Bus* bus, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil

# Commands and verification out. `ticks`: the loop's, for our heartbeats. False: a command was due and the bus could not take it.
cdef bint device_send(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, uint64_t ticks,
                      EventSink* sink, int64_t now_ns) noexcept nogil

# The operator reset or started at the machine: what we gave up is ours to try again.
cdef void device_release(Device* dev) noexcept nogil

# A transaction of this device ended: an answer (also a refusal) says that it is there.
cdef void device_note(Device* dev, const Bus* bus, const Transaction* t, EventSink* sink, int64_t now_ns) noexcept nogil

# What came of a question beside the polls: noted, and the transaction is free again. ANSWERED counts on this connection alone.
cdef enum Outcome:
    NOTHING_YET
    ANSWERED
    NOT_ANSWERED

cdef Outcome device_outcome(Device* dev, const Bus* bus, Transaction* t, EventSink* sink, int64_t now_ns) noexcept nogil

# A read came in; `moved`: an analogue changed since the read before.
cdef void device_seen(const SiteConfig* c, Device* dev, const Inputs* inp, bint moved, int64_t sent_ns) noexcept nogil

# Nothing of our own making flows there any more: 0 W proved by read-back and not running. A device that is not up proves nothing; it counts
# as stopped only if it was never given power since 0 W was last proved.
cdef bint device_stopped(const SiteConfig* c, const Device* dev, const Inputs* inp) noexcept nogil
