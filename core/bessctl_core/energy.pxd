# Energy registers: what flowed in each direction, per unit at its AC terminals and at the connection.
#
# Rules. A register never goes backwards; the journal holds all of them, at least each 10 s, and knows a unit by its key, so that they follow it
# through a changed configuration. A unit that left keeps its place as long as there is room.
#
# The device's own counter is primary (SunSpec 701 TotWhInj, TotWhAbs; a meter's TotWhExp, TotWhImp): what it advances from one reading to the
# next counts, also over the time in which no loop ran. Between two readings, and where there is no counter, the integral of measured power
# counts; what it counted ahead of the counter is taken off the counter's next advance. Ahead by more than two of the counter's steps, the
# register waits for it. (A step is the largest advance between two readings, lately.)
#
# A counter that falls has rolled over if the way around a range of 2^32 or of a power of ten could have flowed since the reading before; else
# it is another device or was reset: it is read anew from there, and the integral counts for what lies between. The same holds for an advance
# that cannot have flowed. A counter that stands still for a minute while the integral passes four of its steps is stuck, and the integral goes
# on alone.
# Over each CHECK_STEPS steps, counter and integral are compared. Each of these is an event, once.

from libc.stdint cimport int64_t, uint8_t, uint64_t

from .events cimport EventSink
from .layout cimport MAX_UNITS, PLACES, Inputs, JournalRecord, SiteConfig

cdef enum:
    IMPORT = 0
    EXPORT = 1

cdef enum EnergyFault:
    ENERGY_ROLLED = 1       # told as information
    ENERGY_REPLACED = 2     # another counter, or a reset one
    ENERGY_STUCK = 3
    ENERGY_DIFFERS = 4      # counter and integral disagree by more than DIFFERS_SHARE

# One register and the counter behind it.
cdef struct Register:
    double wh
    double seen_wh          # the counter as last read; NaN = never
    int64_t seen_ns         # when; 0 = before this start
    int64_t moved_ns        # when it advanced last
    double ahead_wh         # counted by the integral and not yet by the counter
    double step_wh          # 0 = not known
    double since_wh         # integral since the counter advanced
    double held_wh          # of it, what waits for the counter
    double checked_wh       # counter and integral since the last comparison
    double integral_wh
    uint8_t stuck
    uint8_t differs

cdef struct Energy:
    Register of[2][PLACES]  # IMPORT, EXPORT; places as in the inputs
    uint64_t key[MAX_UNITS]
    int64_t off_ns          # how long no loop ran before this start; -1 unknown

# At start; `journal` NULL: nothing is known of before.
cdef void energy_init(const SiteConfig* c, Energy* e, const JournalRecord* journal, int64_t off_ns) noexcept nogil

# One tick of `elapsed_ns`.
cdef void energy_update(const SiteConfig* c, const Inputs* inp, Energy* e, EventSink* sink, int64_t elapsed_ns, int64_t now_ns) noexcept nogil

cdef void energy_fill(const Energy* e, JournalRecord* record) noexcept nogil
