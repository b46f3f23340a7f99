# What each source asks for at this instant.
#
# Rules. A slot holds the last plan that was accepted. Before its lease ends the block that covers now speaks: limits, target, rate. In a gap
# the slot's sealed default speaks. After the lease the target is gone, and the limits follow the plan's lapse rule:
#   fallback  the fallback block that covers now; in its gaps and after its end the sealed default
#   hold      the limits of the live series until its blocks end, then the sealed default
#   zero      ess [0, 0]
#   drop      nothing (only in a slot of class market sealed as advisory)
# In a required slot a limit that a live block does not state is that of the sealed default: no statement takes none away (R7).
# Lapsing never widens: in a slot of class grid or contract the limits after the lease are intersected with what the live series says for the
# same instant, whatever the lapse rule; where neither fallback nor default says anything the last limits stay as well; and drop is refused.
# Reactive power is a wish like a target: it ends with the lease, but for what the fallback series itself asks for, and only a slot with the
# scope `reactive` may have it.
# A slot nothing was written to states its sealed default. A plan that breaks a rule is refused whole and the last good one runs on. A plan
# with serial 0 was never written and is no plan.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from .events cimport EventSink
from .layout cimport MAX_SLOTS, Plan, SiteConfig

cdef enum:
    NO_ENERGIZE = 2
    NO_CONNECT = 2

# What one slot asks now. Limits that are not stated are -inf / +inf, a missing target is has_target 0.
cdef struct Ask:
    double ess_lo_w
    double ess_hi_w
    double pcc_lo_w
    double pcc_hi_w
    double target_w
    double rate_w_per_s     # 0 = none
    double q_value          # QControl says what it is
    double q_absorb
    int64_t since_ns
    int64_t until_ns        # when to ask again
    uint8_t has_target
    uint8_t target_scope
    uint8_t q_kind          # QControl
    uint8_t energize        # 0 cease, 1 energise, NO_ENERGIZE
    uint8_t connect         # 0 open, 1 closed, NO_CONNECT
    uint8_t bind            # BIND_SLOT, BIND_DEFAULT or BIND_FALLBACK

cdef struct SlotTable:
    Ask ask[MAX_SLOTS]
    uint8_t state[MAX_SLOTS]
    uint8_t fault[MAX_SLOTS]
    int32_t live_at[MAX_SLOTS]      # cursors: blocks before them are over
    int32_t fallback_at[MAX_SLOTS]
    Plan plan[MAX_SLOTS]

# PlanFault of a plan for a slot; PLAN_OK when it may be taken.
cdef int plan_fault(const SiteConfig* c, int slot, const Plan* plan, uint64_t boot_hi, uint64_t boot_lo, int64_t now_ns) noexcept nogil

cdef void slots_init(const SiteConfig* c, SlotTable* t, int64_t now_ns) noexcept nogil
cdef void slot_take(const SiteConfig* c, SlotTable* t, int slot, const Plan* plan, int64_t now_ns) noexcept nogil
cdef void slot_clear(const SiteConfig* c, SlotTable* t, int slot, int64_t now_ns) noexcept nogil

# Brings every ask up to now; a lapse is an event.
cdef void slots_update(const SiteConfig* c, SlotTable* t, EventSink* sink, int64_t now_ns) noexcept nogil
