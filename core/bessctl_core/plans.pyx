"""What each source asks for at this instant; the rules stand in plans.pxd. Loop, nogil, bounded."""

from libc.math cimport INFINITY, NAN, fabs, isfinite, isnan
from libc.stdint cimport INT64_MAX
from libc.string cimport memcpy

from .events cimport LEVEL_WARNING, emit
from .layout cimport (
    BIND_DEFAULT, BIND_FALLBACK, BIND_SLOT, CLASS_CONTRACT, EV_PLAN_LAPSED, HAS_CONNECT, HAS_ENERGIZE, HAS_ESS_HI, HAS_ESS_LO, HAS_PCC_HI, HAS_PCC_LO,
    HAS_RATE, HAS_TARGET, LAPSE_DROP, LAPSE_FALLBACK, LAPSE_HOLD, LAPSE_ZERO, MAX_BLOCKS, PLAN_BOOT, PLAN_COUNT, PLAN_DROP, PLAN_KIND,
    PLAN_LEASE, PLAN_NUMBER, PLAN_OK, PLAN_ORDER, PLAN_RANGE, PLAN_SCOPE, QC_AVAILABLE, QC_NONE, QC_PF, QC_VAR, SCOPE_ESS, SCOPE_PCC, SCOPE_REACTIVE, SLOT_EMPTY, SLOT_LAPSED, SLOT_LIVE, Series,
)


# --- is it a plan? ----------------------------------------------------------------------------------------------------------------------

cdef inline bint stated_number(const Series* s, int i, int bit, double value) noexcept nogil:
    return not s.stated[i] & bit or isfinite(value)


cdef inline bint scope_allowed(const SiteConfig* c, int slot, int scope) noexcept nogil:
    return (c.slot_scopes[slot] >> scope) & 1


cdef inline bint is_binding(const SiteConfig* c, int slot) noexcept nogil:
    """Grid and contract limits never widen by lapsing."""
    return c.slot_class[slot] <= CLASS_CONTRACT


cdef inline int factor_fault(double pf) noexcept nogil:
    """A power factor, NaN where none is stated."""
    if isnan(pf):
        return PLAN_OK
    return PLAN_RANGE if pf == 0 or fabs(pf) > 1 else PLAN_OK


cdef int reactive_fault(const SiteConfig* c, int slot, const Series* s, int i) noexcept nogil:
    cdef int kind = s.q_kind[i]
    if kind == QC_NONE:
        return PLAN_OK
    if kind > QC_AVAILABLE:
        return PLAN_KIND
    if not scope_allowed(c, slot, SCOPE_REACTIVE):
        return PLAN_SCOPE
    if kind == QC_PF:
        if isnan(s.q_value[i]) and isnan(s.q_absorb[i]):
            return PLAN_NUMBER
        return max(factor_fault(s.q_value[i]), factor_fault(s.q_absorb[i]))
    if not isfinite(s.q_value[i]):
        return PLAN_NUMBER
    return PLAN_RANGE if kind == QC_AVAILABLE and fabs(s.q_value[i]) > 1 else PLAN_OK


cdef int block_fault(const SiteConfig* c, int slot, const Series* s, int i) noexcept nogil:
    cdef int stated = s.stated[i]
    cdef bint pcc = stated & (HAS_PCC_LO | HAS_PCC_HI)
    cdef bint ess = stated & (HAS_ESS_LO | HAS_ESS_HI)
    if not (stated_number(s, i, HAS_ESS_LO, s.ess_lo_w[i]) and stated_number(s, i, HAS_ESS_HI, s.ess_hi_w[i])
            and stated_number(s, i, HAS_PCC_LO, s.pcc_lo_w[i]) and stated_number(s, i, HAS_PCC_HI, s.pcc_hi_w[i])
            and stated_number(s, i, HAS_TARGET, s.target_w[i]) and stated_number(s, i, HAS_RATE, s.rate_w_per_s[i])):
        return PLAN_NUMBER
    if stated & HAS_ESS_LO and s.ess_lo_w[i] > 0 or stated & HAS_ESS_HI and s.ess_hi_w[i] < 0:
        return PLAN_RANGE
    if stated & HAS_PCC_LO and stated & HAS_PCC_HI and s.pcc_lo_w[i] > s.pcc_hi_w[i]:
        return PLAN_RANGE
    if stated & HAS_RATE and s.rate_w_per_s[i] <= 0:
        return PLAN_RANGE
    if stated & HAS_ENERGIZE and s.energize[i] > 1 or stated & HAS_CONNECT and s.connect[i] > 1:
        return PLAN_KIND
    if stated & HAS_TARGET:
        if s.target_scope[i] > SCOPE_PCC:
            return PLAN_KIND
        if not scope_allowed(c, slot, s.target_scope[i]):
            return PLAN_SCOPE
    if pcc and not scope_allowed(c, slot, SCOPE_PCC) or ess and not scope_allowed(c, slot, SCOPE_ESS):
        return PLAN_SCOPE
    return reactive_fault(c, slot, s, i)


cdef int series_fault(const SiteConfig* c, int slot, const Series* s) noexcept nogil:
    cdef int i, fault
    if s.count < 0 or s.count > MAX_BLOCKS:
        return PLAN_COUNT
    for i in range(s.count):
        if s.start_ns[i] < 0 or s.end_ns[i] <= s.start_ns[i] or i and s.start_ns[i] < s.end_ns[i - 1]:
            return PLAN_ORDER
        fault = block_fault(c, slot, s, i)
        if fault != PLAN_OK:
            return fault
    return PLAN_OK


cdef int plan_fault(const SiteConfig* c, int slot, const Plan* plan, uint64_t boot_hi, uint64_t boot_lo, int64_t now_ns) noexcept nogil:
    cdef int fault
    if plan.boot_id_hi != boot_hi or plan.boot_id_lo != boot_lo:
        return PLAN_BOOT
    # The lease is an absolute instant; written this way round nothing can overflow.
    if plan.lease_until_ns < 0 or plan.lease_until_ns - now_ns > c.slot_max_lease_ns[slot]:
        return PLAN_LEASE
    if plan.lapse < LAPSE_FALLBACK or plan.lapse > LAPSE_DROP:
        return PLAN_KIND
    if plan.lapse == LAPSE_DROP and (not c.slot_advisory[slot] or is_binding(c, slot)):
        return PLAN_DROP
    fault = series_fault(c, slot, &plan.live)
    return fault if fault != PLAN_OK else series_fault(c, slot, &plan.fallback)


# --- which block speaks? ----------------------------------------------------------------------------------------------------------------

cdef int block_now(const Series* s, int32_t* cursor, int64_t now_ns) noexcept nogil:
    """Index of the block that covers now, -1 in a gap or after the end. The cursor only moves on; time never runs backwards here."""
    while cursor[0] < s.count and s.end_ns[cursor[0]] <= now_ns:
        cursor[0] += 1
    return cursor[0] if cursor[0] < s.count and s.start_ns[cursor[0]] <= now_ns else -1


cdef inline int64_t next_change(const Series* s, int cursor, int block) noexcept nogil:
    if block >= 0:
        return s.end_ns[block]
    return s.start_ns[cursor] if cursor < s.count else INT64_MAX


cdef void ask_nothing(Ask* a) noexcept nogil:
    a.ess_lo_w, a.ess_hi_w, a.pcc_lo_w, a.pcc_hi_w = -INFINITY, INFINITY, -INFINITY, INFINITY
    a.target_w, a.rate_w_per_s, a.has_target, a.target_scope, a.energize = 0, 0, 0, SCOPE_ESS, NO_ENERGIZE
    a.q_kind, a.q_value, a.q_absorb, a.connect = QC_NONE, NAN, NAN, NO_CONNECT


cdef void limit_by_ask(Ask* a, const Ask* other) noexcept nogil:
    """Intersect the ask's limits with those of another one."""
    a.ess_lo_w, a.ess_hi_w = max(a.ess_lo_w, other.ess_lo_w), min(a.ess_hi_w, other.ess_hi_w)
    a.pcc_lo_w, a.pcc_hi_w = max(a.pcc_lo_w, other.pcc_lo_w), min(a.pcc_hi_w, other.pcc_hi_w)
    a.energize, a.connect = min(a.energize, other.energize), min(a.connect, other.connect)


cdef void limit_by_block(Ask* a, const Series* s, int i) noexcept nogil:
    """Intersect the ask's limits with those the block states; ceasing to energise and disconnecting are limits too."""
    cdef int stated = s.stated[i]
    if stated & HAS_ESS_LO:
        a.ess_lo_w = max(a.ess_lo_w, s.ess_lo_w[i])
    if stated & HAS_ESS_HI:
        a.ess_hi_w = min(a.ess_hi_w, s.ess_hi_w[i])
    if stated & HAS_PCC_LO:
        a.pcc_lo_w = max(a.pcc_lo_w, s.pcc_lo_w[i])
    if stated & HAS_PCC_HI:
        a.pcc_hi_w = min(a.pcc_hi_w, s.pcc_hi_w[i])
    if stated & HAS_ENERGIZE and (a.energize == NO_ENERGIZE or s.energize[i] == 0):
        a.energize = s.energize[i]
    if stated & HAS_CONNECT and (a.connect == NO_CONNECT or s.connect[i] == 0):
        a.connect = s.connect[i]
    if stated & HAS_RATE:
        a.rate_w_per_s = s.rate_w_per_s[i]


cdef inline void ask_reactive(Ask* a, const Series* s, int i) noexcept nogil:
    a.q_kind, a.q_value, a.q_absorb = s.q_kind[i], s.q_value[i], s.q_absorb[i]


cdef bint limit_by_default(const SiteConfig* c, int slot, Ask* a, int without) noexcept nogil:
    """The sealed default, but for what is stated otherwise (Stated); False when the slot has none."""
    cdef int stated = c.slot_default[slot] & ~without
    if stated & HAS_ESS_LO:
        a.ess_lo_w = max(a.ess_lo_w, c.slot_ess_lo_w[slot])
    if stated & HAS_ESS_HI:
        a.ess_hi_w = min(a.ess_hi_w, c.slot_ess_hi_w[slot])
    if stated & HAS_PCC_LO:
        a.pcc_lo_w = max(a.pcc_lo_w, c.slot_pcc_lo_w[slot])
    if stated & HAS_PCC_HI:
        a.pcc_hi_w = min(a.pcc_hi_w, c.slot_pcc_hi_w[slot])
    return stated != 0


cdef void ask_default(const SiteConfig* c, SlotTable* t, int slot, int64_t until_ns, int64_t now_ns) noexcept nogil:
    cdef Ask* a = &t.ask[slot]
    ask_nothing(a)
    limit_by_default(c, slot, a, 0)
    a.bind, a.since_ns, a.until_ns = BIND_DEFAULT, now_ns, until_ns


cdef void ask_live(const SiteConfig* c, SlotTable* t, int slot, int64_t now_ns) noexcept nogil:
    cdef const Plan* plan = &t.plan[slot]
    cdef Ask* a = &t.ask[slot]
    cdef int block = block_now(&plan.live, &t.live_at[slot], now_ns)
    cdef int64_t until = min(next_change(&plan.live, t.live_at[slot], block), plan.lease_until_ns)
    if block < 0:
        ask_default(c, t, slot, until, now_ns)
        return
    ask_nothing(a)
    limit_by_block(a, &plan.live, block)
    if c.slot_required[slot]:
        limit_by_default(c, slot, a, plan.live.stated[block])
    if plan.live.stated[block] & HAS_TARGET:
        a.has_target, a.target_w, a.target_scope = 1, plan.live.target_w[block], plan.live.target_scope[block]
    ask_reactive(a, &plan.live, block)
    a.bind, a.since_ns, a.until_ns = BIND_SLOT, now_ns, until


cdef void ask_lapsed(const SiteConfig* c, SlotTable* t, int slot, int64_t now_ns) noexcept nogil:
    cdef const Plan* plan = &t.plan[slot]
    cdef Ask* a = &t.ask[slot]
    cdef Ask before = a[0]
    cdef bint binding = is_binding(c, slot)
    cdef bint spoken = False
    cdef int live = block_now(&plan.live, &t.live_at[slot], now_ns)
    cdef int fallback = block_now(&plan.fallback, &t.fallback_at[slot], now_ns)
    ask_nothing(a)
    a.bind, a.since_ns = BIND_FALLBACK, now_ns
    a.until_ns = min(next_change(&plan.live, t.live_at[slot], live), next_change(&plan.fallback, t.fallback_at[slot], fallback))
    if plan.lapse == LAPSE_DROP:
        return
    if plan.lapse == LAPSE_ZERO:
        a.ess_lo_w = a.ess_hi_w = 0
        spoken = True
    if plan.lapse == LAPSE_FALLBACK and fallback >= 0:
        limit_by_block(a, &plan.fallback, fallback)
        ask_reactive(a, &plan.fallback, fallback)
        spoken = True
    if live >= 0 and (plan.lapse == LAPSE_HOLD or binding):
        limit_by_block(a, &plan.live, live)
        spoken = spoken or plan.lapse == LAPSE_HOLD
    if not spoken:
        spoken = limit_by_default(c, slot, a, 0)
        a.bind = BIND_DEFAULT
    if not spoken and binding:
        # Nothing speaks for a binding source: what bound last goes on binding.
        limit_by_ask(a, &before)
        a.bind = BIND_FALLBACK


# --- the table ----------------------------------------------------------------------------------------------------------------------------

cdef void slots_init(const SiteConfig* c, SlotTable* t, int64_t now_ns) noexcept nogil:
    cdef int slot
    for slot in range(c.n_slots):
        slot_clear(c, t, slot, now_ns)


cdef void slot_clear(const SiteConfig* c, SlotTable* t, int slot, int64_t now_ns) noexcept nogil:
    t.plan[slot].serial = 0
    t.plan[slot].lease_until_ns = 0
    t.fault[slot] = PLAN_OK
    t.state[slot] = SLOT_EMPTY
    ask_default(c, t, slot, INT64_MAX, now_ns)


cdef void slot_take(const SiteConfig* c, SlotTable* t, int slot, const Plan* plan, int64_t now_ns) noexcept nogil:
    memcpy(&t.plan[slot], plan, sizeof(Plan))
    t.live_at[slot] = t.fallback_at[slot] = 0
    t.fault[slot] = PLAN_OK
    if t.state[slot] != SLOT_LAPSED or now_ns < plan.lease_until_ns:    # a plan that comes lapsed after a lapsed one lapses no second time
        t.state[slot] = SLOT_LIVE
    t.ask[slot].until_ns = now_ns       # ask again in this tick


cdef void slots_update(const SiteConfig* c, SlotTable* t, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int slot
    for slot in range(c.n_slots):
        if now_ns < t.ask[slot].until_ns:
            continue
        if t.state[slot] == SLOT_EMPTY:
            continue
        if now_ns < t.plan[slot].lease_until_ns:
            ask_live(c, t, slot, now_ns)
        else:
            if t.state[slot] == SLOT_LIVE:
                t.state[slot] = SLOT_LAPSED
                emit(sink, now_ns, EV_PLAN_LAPSED, LEVEL_WARNING, -1, -1, slot, t.plan[slot].lapse, 0, 0)
            ask_lapsed(c, t, slot, now_ns)
