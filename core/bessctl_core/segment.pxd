# The two shared segments between the loop and everyone else, and the loop's side of them.
#
#   plans segment   header | MAX_SLOTS hand-over buffers of Plan | CommandRing | one of CurvePlan   the supervisor maps it for writing
#   state segment   header | hand-over buffer of PlantState | EventRing              everyone maps it for reading only
#
# Rules. The loop process creates both as memfds, maps them and seals them: their size can never change again (a file that shrinks under
# an mlocked loop kills it by SIGBUS), and the state can be mapped for writing by nobody but the loop, not even by reopening the descriptor
# through /proc. The header is written once and read by peers alone; the loop takes nothing from it. Of what others write the loop believes
# only what it has copied to private memory and range-checked there.
#
# The epoch is another number for each loop process. A peer compares it with the one it attached under; 0 says that the loop took leave.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from .events cimport EventSink
from .handover cimport Handover
from .layout cimport MAX_SLOTS, Command, CurvePlan, Plan, PlantState
from .ring cimport CommandRing, EventRing

cdef enum:
    SEGMENT_HEADER = 256        # bytes that the header takes; what follows is aligned to 64

cdef struct SegmentHeader:
    uint8_t magic[8]            # "BESSPLAN" or "BESSTATE"
    uint32_t layout_version
    uint32_t payload_size       # sizeof(Plan) or sizeof(PlantState)
    uint32_t entry_size         # sizeof(Command) or sizeof(Event)
    int32_t loop_pid
    uint64_t total_size
    uint64_t epoch
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint8_t config_hash[32]

# What the tick needs: plain pointers into the segments, and what the reader must remember in memory of its own. The loop may copy it.
cdef struct LoopSide:
    Handover* plan[MAX_SLOTS]
    CommandRing* commands
    Handover* curves
    Handover* state
    EventRing* events
    uint64_t plan_seen[MAX_SLOTS]   # version of the plan taken last
    uint64_t curves_seen
    uint64_t plan_retries           # tries that found a plan changing under the copy
    uint64_t command_tail           # commands taken

# Offsets and sizes; a function because hand-over buffers round their payload up.
cdef size_t plan_offset(int slot) noexcept nogil
cdef size_t commands_offset() noexcept nogil
cdef size_t curves_offset() noexcept nogil
cdef size_t plans_size() noexcept nogil
cdef size_t events_offset() noexcept nogil
cdef size_t state_size() noexcept nogil

# Loop. 1 and a whole copy in `plan` when `slot` holds another plan than last time; 0 when it does not, or the slot does not exist; -1 when
# no whole copy could be had, asked again with the next call. What the plan says is still unchecked. Bounded: four copies.
cdef int loop_take_plan(LoopSide* side, int slot, Plan* plan) noexcept nogil

# The same for the curves of the PCS, of which there is one plan.
cdef int loop_take_curves(LoopSide* side, CurvePlan* curves) noexcept nogil

# Loop. True and the next command of the supervisor; `local` is 0 whatever the sender wrote, the code is unchecked. At most one entry is
# looked at, so a call may return False though more wait.
cdef bint loop_take_command(LoopSide* side, Command* command) noexcept nogil

# Loop, after each step: publish the state (commands_taken and plan_reads_retried are filled in here), then the events, and empty the sink.
cdef void loop_publish(LoopSide* side, PlantState* state, EventSink* sink) noexcept nogil

# A whole segment in memory; unmapped when the last port on it goes.
cdef class Mapping:
    cdef unsigned char* address
    cdef size_t size

# Both segments, created and owned. `side` may be used while the object lives.
cdef class LoopSegments:
    cdef LoopSide side
    cdef Mapping plans
    cdef Mapping state
    cdef readonly int plans_fd      # read-write, for the supervisor alone
    cdef readonly int state_fd      # read-only, for anyone
    cdef readonly unsigned long long epoch
