# The contactors of each battery: when they are opened, and when a battery may be loaded (R13).
#
# Rules
# - Opening: power goes to 0 and the PCS is stopped first. The order to open goes out once the PCS is at rest and a current measured since then
#   is below unit_open_a, or unit_open_wait after it was asked for, whatever flows: then the contactors are the smaller harm. It stands
#   until the row that asks is reset, or the plan that asks (connect.pxd) does so no more.
# - A battery may be loaded when its BMS says that it is connected (SunSpec 802 State) and, before a PCS is started, the PCS's DC link is within
#   5 % of the pack's voltage (precharged), where both are measured. One whose BMS has no such point may always be loaded.
# - Closing is ordered while the loop acquires its inputs, and after a reset of what opened it or the end of the plan that did: never because
#   of a release alone, and never for a battery that opened by itself while we ran. Each order has unit_close_wait; after three of them it
#   waits for a start or reset of the operator (flag, event).
# - The fault of a battery (Q_CONTACTOR_FAULT) is 1 while it is not as ordered: closed with the order to open out, or open without one while
#   we run.
#
#   step      condition                                                    next
#   unknown   the BMS has a State and says: connected                      closed
#   any       a row asks to open; but for gave_up: a plan does             opening
#   opening   the BMS says: disconnected                                   open
#   open      nothing asks to open any more, and the mode may close        closing
#   closing   connected and precharged                                     closed
#   closing   the last try is over                                         gave_up
#   gave_up   the operator starts or resets                                closing
#   closing   the mode does not allow it any more                          open
#   closed    the BMS says: disconnected; while acquiring                  closing, else open

from libc.stdint cimport int64_t, uint8_t

from .connect cimport Connect
from .events cimport EventSink
from .layout cimport MAX_UNITS, Inputs, Outputs, SiteConfig
from .protect cimport RowTable
from .units cimport UnitTable

cdef enum ContactorStep:
    BATTERY_UNKNOWN = 0
    BATTERY_CLOSED = 1
    BATTERY_OPENING = 2
    BATTERY_OPEN = 3
    BATTERY_CLOSING = 4
    BATTERY_GAVE_UP = 5

cdef struct ContactorTable:
    int64_t since_ns[MAX_UNITS]     # of the step, or of the last order to close
    uint8_t step[MAX_UNITS]
    uint8_t tries[MAX_UNITS]
    uint8_t asked[MAX_UNITS]        # a row or a plan asks for open contactors
    uint8_t ordered[MAX_UNITS]      # the order to open is out
    uint8_t ours[MAX_UNITS]         # it was opened by us, or the operator wants it closed
    uint8_t ready[MAX_UNITS]        # the battery may be loaded
    uint8_t disconnected[MAX_UNITS] # its BMS says: disconnected
    uint8_t away[MAX_UNITS]         # its BMS says anything but connected: what is measured behind the contactors is not the battery
    uint8_t fault[MAX_UNITS]

# After the rows and the mode. Loop, nogil, bounded.
cdef void contactors_update(const SiteConfig* c, const Inputs* inp, const UnitTable* u, const RowTable* rows, const Connect* k, ContactorTable* t,
                            int mode, EventSink* sink, int64_t now_ns) noexcept nogil

# The orders of this tick.
cdef void contactors_order(const SiteConfig* c, const ContactorTable* t, Outputs* out) noexcept nogil

# The operator started or reset: batteries that could not be connected are tried again.
cdef void contactors_retry(const SiteConfig* c, ContactorTable* t) noexcept nogil
