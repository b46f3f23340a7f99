"""Who asks for reactive power, how much there is, and who gives it; the rules stand in reactive.pxd. Loop, nogil, bounded."""

from libc.math cimport INFINITY, NAN, copysign, fabs, isfinite, isnan, sqrt
from libc.stdint cimport int16_t, int32_t, uint8_t
from libc.string cimport memset

from .dispatch cimport encode_w, share_out
from .layout cimport ACT_ZERO, NS_PER_S, PLANT, QC_AVAILABLE, QC_NONE, QC_PF, QC_VAR
from .plans cimport Ask
from .ramp cimport ramp_init, ramp_next

# What rounding of some 1e6 may add.
cdef double SLACK_VAR = 1e-6


# --- who asks ---------------------------------------------------------------------------------------------------------------------------

cdef int asking_slot(const SiteConfig* c, const SlotTable* slots) noexcept nogil:
    """Lowest priority number, then lowest index. -1 nobody."""
    cdef int slot
    cdef int best = -1
    for slot in range(c.n_slots):
        if slots.ask[slot].q_kind != QC_NONE and (best < 0 or c.slot_priority[slot] < c.slot_priority[best]):
            best = slot
    return best


cdef void choose(const SiteConfig* c, const SlotTable* slots, Reactive* r) noexcept nogil:
    cdef const Ask* ask
    r.slot = <int16_t> asking_slot(c, slots)
    r.kind, r.value, r.absorb = QC_NONE, NAN, NAN
    if r.slot >= 0:
        ask = &slots.ask[r.slot]
        r.kind, r.value, r.absorb = ask.q_kind, ask.q_value, ask.q_absorb


# --- who can ----------------------------------------------------------------------------------------------------------------------------

cdef inline bint is_able(const SiteConfig* c, const Inputs* inp, const RowTable* rows, const UnitTable* u, int unit) noexcept nogil:
    if not u.follows[unit] or rows.stop[unit] >= ACT_ZERO or rows.stop[PLANT] >= ACT_ZERO:
        return False
    return isfinite(inp.varset_scale_var[unit]) and inp.varset_scale_var[unit] > 0


cdef inline double beside(double va, double other) noexcept nogil:
    """What the circle leaves beside the other power."""
    return sqrt(max(0.0, va * va - other * other))


cdef void share(const SiteConfig* c, double var, const double* cap, double* given) noexcept nogil:
    """A plant's reactive power over its units: in proportion to apparent power, each within its cap."""
    cdef int unit
    cdef double[MAX_UNITS] limit
    cdef double[MAX_UNITS] weight
    for unit in range(c.n_units):
        limit[unit] = copysign(cap[unit], var)
        weight[unit] = c.unit_va_max[unit] / cap[unit] if cap[unit] > 0 else 0
        given[unit] = 0
    share_out(c, var, limit, weight, given)


cdef void move(const SiteConfig* c, Reactive* r, double wanted, int64_t now_ns) noexcept nogil:
    """Once a tick: toward 0 at once, away from it at the plant's rate."""
    ramp_next(&r.ramp, wanted, -INFINITY, INFINITY, c.reactive_ramp_var_per_s, 0, 0, <int64_t> (NS_PER_S / c.rate_hz), now_ns)


cdef void narrow_by_var(const SiteConfig* c, Reactive* r) noexcept nogil:
    cdef int unit
    cdef double[MAX_UNITS] cap
    cdef double[MAX_UNITS] given
    for unit in range(c.n_units):
        cap[unit] = min(c.unit_var_max[unit], c.unit_va_max[unit]) if r.able[unit] else 0
    share(c, r.ramp.w, cap, given)
    for unit in range(c.n_units):
        if r.able[unit]:
            r.room_hi_w[unit] = r.room_lo_w[unit] = beside(c.unit_va_max[unit], given[unit])


cdef inline double pf_room(double va, double pf) noexcept nogil:
    return INFINITY if isnan(pf) else va * fabs(pf)


cdef void narrow(const SiteConfig* c, Reactive* r) noexcept nogil:
    """The active power that reactive power leaves, where it goes first."""
    cdef int unit
    for unit in range(c.n_units):
        r.room_hi_w[unit] = r.room_lo_w[unit] = INFINITY
    if not c.reactive_first:
        return
    if r.kind == QC_VAR:
        narrow_by_var(c, r)
    elif r.kind == QC_PF:
        for unit in range(c.n_units):
            if r.able[unit]:
                r.room_hi_w[unit] = pf_room(c.unit_va_max[unit], r.value)
                r.room_lo_w[unit] = pf_room(c.unit_va_max[unit], r.absorb)


cdef void reactive_prepare(const SiteConfig* c, const Inputs* inp, const SlotTable* slots, const RowTable* rows, const UnitTable* u,
                           Reactive* r, bint allowed, int64_t now_ns) noexcept nogil:
    cdef int unit
    choose(c, slots, r)
    for unit in range(c.n_units):
        r.able[unit] = allowed and is_able(c, inp, rows, u, unit)
    if not allowed or r.kind == QC_NONE:
        ramp_init(&r.ramp, 0, now_ns)
    elif r.kind == QC_VAR:
        move(c, r, r.value, now_ns)
    narrow(c, r)


# --- how much -----------------------------------------------------------------------------------------------------------------------------

cdef inline double by_power_factor(double w, double pf) noexcept nogil:
    """The reactive power that goes with an active one; excitation by the sign of pf."""
    return 0 if isnan(pf) or w == 0 else copysign(fabs(w) * sqrt(max(0.0, 1.0 - pf * pf)) / fabs(pf), pf)


cdef double wanted(const SiteConfig* c, const Reactive* r, const Outputs* out) noexcept nogil:
    """Of the whole plant, before circle and rating; NaN when nobody asks."""
    cdef int unit
    cdef double var = 0
    if r.kind == QC_VAR:
        return r.value
    if r.kind == QC_AVAILABLE:
        return r.value * r.max_var
    if r.kind != QC_PF:
        return NAN
    for unit in range(c.n_units):
        var += by_power_factor(out.cmd_w[unit], r.value if out.cmd_w[unit] > 0 else r.absorb)
    return var


cdef void encode(const SiteConfig* c, const Inputs* inp, Reactive* r, const double* given, Outputs* out) noexcept nogil:
    cdef int unit
    r.command_var = 0
    for unit in range(c.n_units):
        out.cmd_var_raw[unit] = encode_w(given[unit], inp.varset_scale_var[unit]) if r.able[unit] else 0
        out.cmd_var[unit] = out.cmd_var_raw[unit] * inp.varset_scale_var[unit] if out.cmd_var_raw[unit] != 0 else 0
        r.command_var += out.cmd_var[unit]


cdef void reactive_dispatch(const SiteConfig* c, const Inputs* inp, Reactive* r, Outputs* out, bint cease, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef double[MAX_UNITS] cap
    cdef double[MAX_UNITS] given
    r.max_var = 0
    for unit in range(c.n_units):
        cap[unit] = min(c.unit_var_max[unit], beside(c.unit_va_max[unit], out.cmd_w[unit])) if r.able[unit] and not cease else 0
        r.max_var += cap[unit]
    r.wanted_var = wanted(c, r, out)
    out.reactive = r.kind
    if r.kind == QC_NONE or cease:
        reactive_zero(r, out, now_ns)
        return
    if r.kind != QC_VAR:
        move(c, r, r.wanted_var, now_ns)
    # What cannot be given is not wound up: it comes back by the ramp.
    r.ramp.w = min(max(r.ramp.w, -r.max_var), r.max_var)
    share(c, r.ramp.w, cap, given)
    encode(c, inp, r, given, out)


# --- the last look ------------------------------------------------------------------------------------------------------------------------

cdef bint reactive_holds(const SiteConfig* c, const Inputs* inp, const Reactive* r, const Outputs* out) noexcept nogil:
    cdef int unit
    cdef double w, var, va
    for unit in range(c.n_units):
        w = out.cmd_raw[unit] * inp.wset_scale_w[unit] if out.cmd_raw[unit] != 0 else 0
        var = out.cmd_var_raw[unit] * inp.varset_scale_var[unit] if out.cmd_var_raw[unit] != 0 else 0
        va = c.unit_va_max[unit] + SLACK_VAR
        # Written so that a NaN fails.
        if not (fabs(var) <= c.unit_var_max[unit] + SLACK_VAR and w * w + var * var <= va * va):
            return False
        if var != 0 and (not r.able[unit] or r.kind == QC_NONE):
            return False
    return True


cdef void reactive_zero(Reactive* r, Outputs* out, int64_t now_ns) noexcept nogil:
    r.command_var = 0
    ramp_init(&r.ramp, 0, now_ns)
    memset(out.cmd_var, 0, sizeof(out.cmd_var))
    memset(out.cmd_var_raw, 0, sizeof(out.cmd_var_raw))
