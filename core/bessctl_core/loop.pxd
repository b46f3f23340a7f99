# The whole machine in one structure, and its tick: read, update, write.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .fleet cimport Fleet
from .gpio cimport Lines
from .journal cimport JournalBox
from .layout cimport HISTOGRAM_BINS, SKIPS, CurvePlan, Inputs, JournalRecord, Outputs, Plan, PlantState, SiteConfig
from .ring cimport CommandRing
from .segment cimport LoopSide
from .state cimport StepState

# How well the loop keeps its periods. Deadlines are absolute: a tick that comes late moves none of the next ones.
cdef struct Pace:
    int64_t period_ns
    int64_t deadline_ns         # of the tick that runs or comes next
    int64_t slept_ns            # when the wait for it began
    int64_t late_ns             # how late it began
    uint64_t periods            # ticks run
    uint64_t missed             # periods skipped because a tick came or ended too late
    uint64_t missed_own         # of them: the tick had begun in time and took too long by itself
    uint64_t missed_told        # missed when the last event was raised
    uint64_t missed_second      # missed at the beginning of the running second
    uint64_t overrun            # missed in the second before
    int64_t told_ns
    int64_t second_ns
    uint64_t skips              # see PlantState
    int64_t skip_ns[SKIPS]
    uint32_t skip_periods[SKIPS]
    int64_t wake_max_ns
    int64_t step_max_ns
    int64_t done_max_ns
    uint32_t wake_bins[HISTOGRAM_BINS]
    uint32_t step_bins[HISTOGRAM_BINS]
    uint32_t done_bins[HISTOGRAM_BINS]

cdef struct Machine:
    const SiteConfig* config
    LoopSide* shared
    JournalBox* journal
    CommandRing local           # the operator's own requests, written by the control thread
    uint64_t local_taken
    Fleet fleet
    Lines lines
    Inputs inp
    StepState step
    Outputs out
    Pace pace
    int signal_fd
    int notify_fd               # -1: nobody supervises us
    int event_fd                # wakes the thread that tells events and answers the operator
    int64_t stop_ns             # when the orderly stop began; 0 = none
    int64_t journal_behind_ns   # since when a record waits for the disk; 0 = none does
    bint journal_late
    int64_t watchdog_ns         # when the service manager was fed last
    uint32_t mlock_refused
    uint32_t affinity_refused
    uint32_t flags_told         # of these two
    CurvePlan curves            # what the curves of the PCS are to be
    CurvePlan curves_offered    # where it is copied to before it is looked at
    Plan plan                   # where a plan is copied to before it is offered
    JournalRecord record
    PlantState state

# One tick at `now_ns`. Loop, nogil, bounded.
cdef void tick(Machine* m, int64_t now_ns) noexcept nogil

# Ticks until an orderly stop is over. True when every PCS that is up was read back at 0 W and at rest.
cdef bint run_ticks(Machine* m) noexcept nogil
