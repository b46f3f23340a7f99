# One cycle as a pure function: the same in the loop, in tests, in simulated time and in benches.
#
# step_run reads the sealed configuration and the inputs, changes the state, and fills the commands and the published state. It knows no
# clock, no socket and no file; two calls with equal arguments do equal things. Loop, nogil, bounded, no allocation.
#
# The caller drains state.sink after each step_run and sets its count to 0.

from libc.stdint cimport int64_t

from .layout cimport Inputs, JournalRecord, Outputs, Plan, PlantState, SiteConfig
from .state cimport StartFacts, StepState

# Once, before the first tick. `journal` is NULL when none was found. A first record is due at once (it holds this start).
cdef void step_init(const SiteConfig* c, StepState* s, const StartFacts* facts, const JournalRecord* journal) noexcept nogil

# A plan that arrived in `slot` since the last tick: checked against its sealed slot, then taken whole or refused whole (an event says why).
cdef void step_offer_plan(const SiteConfig* c, StepState* s, int slot, const Plan* plan, int64_t now_ns) noexcept nogil

# A plan that cannot be had, by its PlanFault: told once, the last good one runs on.
cdef void step_refuse_plan(StepState* s, int slot, int fault, int64_t now_ns) noexcept nogil

# One cycle. The derived quantities of `inp` are written by it; `out` and the step's part of `pub` are overwritten.
cdef void step_run(const SiteConfig* c, Inputs* inp, StepState* s, int64_t now_ns, Outputs* out, PlantState* pub) noexcept nogil

# SIGTERM: from the next tick on ramp to 0, then standby. step_stopped: commanded and measured so.
cdef void step_ask_stop(StepState* s) noexcept nogil
cdef bint step_stopped(const SiteConfig* c, const Inputs* inp, const StepState* s, int64_t now_ns) noexcept nogil

# The record that Outputs.journal_due asks for, without its crc.
cdef void step_journal(const StepState* s, JournalRecord* record) noexcept nogil
