# The mode of the machine, the requests that change it, and what the journal must hold before they count.
#
# Rules. The first that applies is the mode:
#   stopping         SIGTERM was received; ends with the process
#   standby          real-time priority is required and was refused
#   tripped          an internal trip, a latched stop of the plant, or of every unit; a reset ends it
#   out_of_service   by the operator; only a local start ends it
#   stopped          by the operator; only a local start ends it
#   run              every required input was valid for settle_s since the start, the last trip or the last stop
#   start_failed     not yet, and acquire_timeout is over: not a latch, run follows as soon as the inputs are there
#   acquire          not yet
# Nothing latches before the first run (R5) but a digital input that is seen active (R13). Only run allows power; stopping takes what is left to 0.
#
# A warm start skips settle_s. Until its inputs are complete nothing is sent, so that the PCS keeps what it has; a row that sees its value and
# stands, or warm_gap without complete inputs, makes a cold start of it.
#
# Requests. Stop and out-of-service act at once; start and reset act when the journal holds them; all are acknowledged only then (R6). A reset
# is refused while a latched row sees that it is still active, and for rows marked local when it does not come by the operator's own socket; internal
# trips are local. A trial and its proof (R16) are the local operator's alone. What trips again before the journal holds the reset calls it off, and it is answered as refused. The network may ask for
# nothing but a reset. A newer request of the same kind replaces one that still waits, which is answered as refused.

from libc.stdint cimport int64_t

from .layout cimport Inputs, JournalRecord, SiteConfig
from .state cimport StartFacts, StepState

cdef void modes_init(const SiteConfig* c, StepState* s, const StartFacts* facts, const JournalRecord* journal) noexcept nogil

# The request of this tick, if any.
cdef void take_command(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil

# What the disk has confirmed since the last tick.
cdef void settle_pending(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil

# The mode of this tick; after the rows were evaluated.
cdef void modes_update(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil

cdef void trip_internal(StepState* s, int bit, int64_t now_ns) noexcept nogil

# The operator's own wish does not outlive a stop, out of service or a trip, and none is taken while they last: `start` gives no power that
# somebody asked for before.
cdef bint keeps_operator_out(const StepState* s) noexcept nogil

# Decides whether a record is due in this tick.
cdef void journal_update(StepState* s, int64_t now_ns) noexcept nogil
cdef void journal_fill(const StepState* s, JournalRecord* record) noexcept nogil
