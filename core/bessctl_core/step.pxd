# One cycle as a pure function: the same in the loop, in tests, in simulated time and in benches.
#
# step_run reads the sealed configuration and the inputs, changes the state, and fills the commands and the published state. It knows no
# clock, no socket and no file; two calls with equal arguments do equal things. Loop, nogil, bounded, no allocation.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from .events cimport EventSink
from .layout cimport Inputs, JournalRecord, Outputs, Plan, PlantState, SiteConfig
from .plans cimport SlotTable
from .protect cimport RowTable
from .envelope cimport Envelope
from .ramp cimport RampState

# What the loop knows at start beyond the configuration.
cdef struct StartFacts:
    int64_t now_ns
    int64_t realtime_s          # wall clock, trusted or not: only differences of starts are taken
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint8_t config_hash[32]
    uint8_t journal_found       # a record was read
    uint8_t journal_broken      # files exist, no record in them can be believed
    uint8_t warm                # same boot and hash, last tick less than warm_gap ago
    uint8_t rt_refused          # real-time priority was refused

cdef struct StepState:
    EventSink sink
    SlotTable slots
    RowTable rows
    Envelope envelope
    RampState ramp
    uint64_t tick
    int64_t last_ns
    int64_t mode_since_ns
    int64_t valid_since_ns      # acquire: since when every required point is valid; 0 = not now
    uint8_t mode
    uint8_t operator_mode
    uint8_t internal
    uint8_t warm
    uint8_t warm_done
    uint8_t resetting           # a reset waits for the journal
    uint8_t stop_asked          # SIGTERM: ramp to 0, standby
    uint64_t reset_command_id
    uint64_t reset_journal_seq
    uint64_t mode_command_id    # a stop or out-of-service waits for the journal
    uint64_t mode_journal_seq
    uint64_t journal_seq
    uint8_t journal_due
    uint32_t flags
    int64_t energy_journal_ns
    uint8_t config_hash[32]
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    int64_t start_realtime_s[3]
    double import_wh[16]
    double export_wh[16]
    double unit_command_w[16]

# Once, before the first tick. `journal` may be NULL when none was found. Raises the journal's sequence: a first record is due at once.
cdef void step_init(const SiteConfig* c, StepState* s, const StartFacts* facts, const JournalRecord* journal) noexcept nogil

# A plan that arrived in `slot` since the last tick: checked against its sealed slot, then taken whole or refused whole (an event says why).
cdef void step_offer_plan(const SiteConfig* c, StepState* s, int slot, const Plan* plan, int64_t now_ns) noexcept nogil

# The operator's and supervisor's requests; at most one a tick through Inputs.command0.
# One cycle. `out` and `pub` are overwritten.
cdef void step_run(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns, Outputs* out, PlantState* pub) noexcept nogil

# SIGTERM: from the next tick on ramp to 0 and standby. step_stopped says when that is reached by command and measurement.
cdef void step_ask_stop(StepState* s) noexcept nogil
cdef bint step_stopped(const SiteConfig* c, const Inputs* inp, const StepState* s) noexcept nogil

# The record that Outputs.journal_due asks for, without its crc.
cdef void step_journal(const StepState* s, JournalRecord* record) noexcept nogil
