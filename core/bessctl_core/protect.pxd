# The protection table: one row, one threshold, one action; one loop over all of them.
#
# What a row judges: its value (TEST_THRESHOLD), the number that the bits of its mask make in a bit field (TEST_BITS), or 1 when a code is in
# its mask and 0 when it is not (TEST_STATES). It sees its value when that is there, a finite number, and no older than the row allows.
#
# What it sees. It is *beyond* when what it judges passes the pickup, and *back* once past the drop-off. Between the two it keeps its state.
#   state      condition                             next
#   idle       beyond for pickup_delay               active (event)
#   active     back for dropoff_delay                idle (event); a latched row keeps acting until it is reset
#
# What it cannot see is violated, never skipped:
#   BLIND_HOLDS  the row is blind: it acts at once and without delay, a stop as ACT_ZERO, until it saw for dropoff_delay a value that is not
#                beyond. It neither becomes active nor idle meanwhile, and blindness never latches: how long a device may be silent, and
#                whether that needs a reset, the data-age rows say.
#   BLIND_TRIPS  what is not seen is beyond, with all that follows: a broken wire is an emergency stop (R13), and data that never came have an
#                infinite age.
#
# A row with a reset rule latches as it becomes active, except while the loop acquires its inputs (R5): then it acts, but neither latches nor
# speaks, and knows no drop-off delay: what was only not there yet must not hold the plant once it is. One that is still active once they are
# all there latches and speaks. A digital input is no measurement that settles, but somebody's hand on a button: a row of BLIND_TRIPS on one
# that is seen active for pickup_delay latches and speaks also while the loop acquires, for however long that lasts (R13, ADR 0060). Latched rows are reset all at once or not at all: none may be active and see it. One that is active and blind
# may be reset: blindness goes on acting, and a value that is beyond latches it again. A row that becomes active again before the journal
# holds the reset stays latched, and calls the whole reset off.
#
# What it does. A derating row acts by its curve on every tick, active or not, with a share of 0 while it is blind; latched, it keeps the
# smallest share since it latched (after a restart the smallest of its curve). A block takes its directions and row_other_cut of the other
# one: an empty battery may be charged again, gently. Falls act at once, rises are ramped by R2.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .events cimport EventSink
from .layout cimport MAX_ROWS, PLACES, Inputs, SiteConfig

# Bits of `told`.
cdef enum Told:
    TOLD_BLIND = 1
    TOLD_ACTIVE = 2
    TOLD_LATCHED = 4

cdef struct RowTable:
    int64_t turning_ns[MAX_ROWS]    # since when beyond (idle) or back (active); 0 = neither
    int64_t well_ns[MAX_ROWS]       # blind: since when it sees a value that is not beyond; 0 = it does not
    int64_t since_ns[MAX_ROWS]      # since when active or blind
    int64_t pressed_ns[MAX_ROWS]    # a digital input: since when it is seen active; 0 = it is not
    double held_share[MAX_ROWS]     # of a latched derating row
    uint8_t active[MAX_ROWS]
    uint8_t blind[MAX_ROWS]
    uint8_t latched[MAX_ROWS]
    uint8_t resetting[MAX_ROWS]     # reset asked; the latch goes once the journal holds it
    uint8_t told[MAX_ROWS]          # Told: what was an event; an event that found no room is told in the next tick
    uint8_t latched_new             # a latch fell in this tick: journal it
    uint8_t input_lost              # a row on a digital input does not see it
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

# The journal says that this row is latched.
cdef void rows_recall(const SiteConfig* c, RowTable* t, int row) noexcept nogil

# One tick of all rows. `may_latch` is false while the loop acquires: then only digital inputs latch.
cdef void rows_update(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, bint may_latch, int64_t now_ns) noexcept nogil

# Is this row's value there and fresh?
cdef bint row_sees(const SiteConfig* c, const Inputs* inp, int row, int64_t now_ns) noexcept nogil

# Ask for a reset of everything that is latched. -1: accepted (rows are marked), else the first row that forbids it: it sees that it is still
# active, or it is marked local and `local` is not set.
cdef int rows_ask_reset(const SiteConfig* c, RowTable* t, bint local) noexcept nogil

# Take the marks away: nothing is reset.
cdef void rows_keep(RowTable* t) noexcept nogil

# The journal holds it: marked latches go. Returns how many.
cdef int rows_reset(const SiteConfig* c, RowTable* t) noexcept nogil
