# The protection table: one row, one threshold, one action; one loop over all of them.
#
# Rules of a row. It is *beyond* when its value passes the pickup, and also when the value is missing, NaN, infinite or older than the row
# allows: what cannot be seen is taken as violated. It is *back* when a valid value has returned past the drop-off. Between the two it keeps its state.
#
#   state      condition                             next
#   idle       beyond for pickup_delay               active (event)
#   active     back for dropoff_delay                idle (event); a latched row keeps acting until it is reset
#
# A row with a reset rule latches as it becomes active, except while the loop acquires its inputs (R5): then it acts, but neither latches nor
# speaks, and is idle as soon as it is back, without its drop-off delay: what was only not there yet must not hold the plant once it is. One
# that is still active once they are all there latches and speaks. It can be reset when it is idle again, all latched rows at once or none; a
# row that becomes active again before the journal holds the reset stays latched, and calls the whole reset off.
# A derating row acts by its curve on every tick, active or not; missing data is a share of 0. Falls act at once, rises are ramped by R2.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .events cimport EventSink
from .layout cimport MAX_ROWS, PLACES, Inputs, SiteConfig

cdef struct RowTable:
    int64_t turning_ns[MAX_ROWS]    # since when beyond (idle) or back (active); 0 = neither
    int64_t since_ns[MAX_ROWS]      # since when active
    uint8_t active[MAX_ROWS]
    uint8_t latched[MAX_ROWS]
    uint8_t resetting[MAX_ROWS]     # reset asked; the latch goes once the journal holds it
    uint8_t told[MAX_ROWS]          # its pickup was an event, so its drop-off will be one
    uint8_t latched_new             # a latch fell in this tick: journal it
    int16_t retripped               # a row that fell again in this tick while its reset waited; -1 none
    # What the rows demand, per unit and for the plant:
    double share_cha[PLACES]        # of the rating, 0..1
    double share_dis[PLACES]
    int16_t row_cha[PLACES]         # the row behind it, -1 none
    int16_t row_dis[PLACES]
    int16_t row_stop[PLACES]        # the row behind `stop`
    uint8_t stop[PLACES]            # strongest of ACT_ZERO, ACT_STANDBY, ACT_OPEN; 0 none
    uint8_t tripped[PLACES]         # a latched row stops this place

cdef void rows_init(RowTable* t) noexcept nogil

# One tick of all rows. `may_latch` is false while the loop acquires.
cdef void rows_update(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, bint may_latch, int64_t now_ns) noexcept nogil

# Is this row's value there and fresh?
cdef bint row_sees(const SiteConfig* c, const Inputs* inp, int row, int64_t now_ns) noexcept nogil

# Ask for a reset of everything that is latched. -1: accepted (rows are marked), else the first row that forbids it: it is still active, or
# it is marked local and `local` is not set.
cdef int rows_ask_reset(const SiteConfig* c, RowTable* t, bint local) noexcept nogil

# Take the marks away: nothing is reset.
cdef void rows_keep(RowTable* t) noexcept nogil

# The journal holds it: marked latches go. Returns how many.
cdef int rows_reset(const SiteConfig* c, RowTable* t) noexcept nogil
