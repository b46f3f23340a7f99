"""What is allowed now, and who says so; the rules stand in envelope.pxd. Loop, nogil, bounded."""

from libc.stdint cimport INT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.math cimport INFINITY, NAN, fabs, isfinite

from .layout cimport (
    ACT_ZERO, BIND_BMS, BIND_COMMISSION, BIND_DEVICE, BIND_METER, BIND_MODE, BIND_NONE, BIND_PHASE, BIND_RATING, BIND_REACTIVE, BIND_ROW, CLASS_MARKET, PLANT, QUANTITIES,
    Q_AC_W, Q_BMS_CHA_MAX_A, Q_BMS_DIS_MAX_A, Q_SOC_PCT, Q_W_MAX_CHA, Q_W_MAX_DIS,
)
from .commission cimport commission_share
from .connect cimport disconnects
from .pcc cimport METER_LOST, PARTS, pcc_bounds, phase_bounds
from .plans cimport Ask
from .reentry cimport gate_update
from .units cimport is_mapped, sees_in_time, unit_sees

cdef double SOC_BAND_PCT = 1.0
cdef double WEIGHT_MIN = 0.02           # a unit far off the mean still helps when the others are at their limits


# --- sides --------------------------------------------------------------------------------------------------------------------------------

cdef inline void set_side(Side* s, double w, int bind, int ident, int64_t until_ns, int64_t now_ns) noexcept nogil:
    """A new value; `since` moves only when somebody else binds."""
    if s.bind != bind or s.id != ident or s.since_ns == 0:
        s.since_ns = now_ns
    s.w, s.bind, s.id, s.until_ns = w, <uint8_t> bind, <int16_t> ident, until_ns


# Candidates for one side while it is computed: the tightest so far.
cdef struct Bound:
    double w
    int bind
    int id
    int64_t until_ns


cdef inline void at_most(Bound* b, double w, int bind, int ident, int64_t until_ns) noexcept nogil:
    if w < b.w:
        b.w, b.bind, b.id, b.until_ns = w, bind, ident, until_ns


cdef inline void at_least(Bound* b, double w, int bind, int ident, int64_t until_ns) noexcept nogil:
    if w > b.w:
        b.w, b.bind, b.id, b.until_ns = w, bind, ident, until_ns


# --- the device interval ------------------------------------------------------------------------------------------------------------------

cdef inline double reading(const Inputs* inp, int place, int quantity) noexcept nogil:
    return inp.value[place * QUANTITIES + quantity]


cdef double bms_share_w(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, int quantity, int64_t now_ns) noexcept nogil:
    """Watts on the battery's side for the current the BMS allows, at the lowest pack voltage; a limit that cannot be seen is 0. +inf only
    for a PCS that answers for its battery and has no such point."""
    cdef double amps
    if c.unit_bms_device[unit] < 0 and not is_mapped(inp, u, unit, quantity):
        return INFINITY
    if not sees_in_time(c, inp, u, unit, quantity, now_ns):
        return 0
    amps = reading(inp, unit, quantity)
    return max(0.0, amps) * c.unit_vdc_min_v[unit]


cdef double stated_rating_w(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, int quantity, int64_t now_ns) noexcept nogil:
    """The rating a PCS states of itself; +inf for one that has no such point, 0 for one that stopped stating it."""
    if not is_mapped(inp, u, unit, quantity):
        return INFINITY
    return max(0.0, reading(inp, unit, quantity)) if sees_in_time(c, inp, u, unit, quantity, now_ns) else 0


cdef void unit_ratings(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, Bound* lo, Bound* hi, int64_t now_ns) noexcept nogil:
    hi.w, hi.bind, hi.id, hi.until_ns = min(c.unit_w_dis_max[unit], c.unit_va_max[unit]), BIND_RATING, unit, 0
    lo.w, lo.bind, lo.id, lo.until_ns = -min(c.unit_w_cha_max[unit], c.unit_va_max[unit]), BIND_RATING, unit, 0
    # What the PCS states of itself can only narrow; a PCS that states nothing keeps the sealed rating.
    at_most(hi, stated_rating_w(c, inp, u, unit, Q_W_MAX_DIS, now_ns), BIND_RATING, unit, 0)
    at_least(lo, -stated_rating_w(c, inp, u, unit, Q_W_MAX_CHA, now_ns), BIND_RATING, unit, 0)
    at_most(hi, bms_share_w(c, inp, u, unit, Q_BMS_DIS_MAX_A, now_ns) * c.unit_eta[unit], BIND_BMS, unit, 0)
    at_least(lo, -bms_share_w(c, inp, u, unit, Q_BMS_CHA_MAX_A, now_ns) / c.unit_eta[unit], BIND_BMS, unit, 0)


cdef void unit_rows(const SiteConfig* c, const RowTable* rows, int place, int unit, Bound* lo, Bound* hi) noexcept nogil:
    at_most(hi, rows.share_dis[place] * c.unit_w_dis_max[unit], BIND_ROW, rows.row_dis[place], 0)
    at_least(lo, -rows.share_cha[place] * c.unit_w_cha_max[unit], BIND_ROW, rows.row_cha[place], 0)
    if rows.stop[place] >= ACT_ZERO:
        hi.w, hi.bind, hi.id, hi.until_ns = 0, BIND_ROW, rows.row_stop[place], 0
        lo[0] = hi[0]


cdef void unit_trial(const SiteConfig* c, double share, int unit, Bound* lo, Bound* hi) noexcept nogil:
    if share < 1:
        at_most(hi, share * c.unit_w_dis_max[unit], BIND_COMMISSION, unit, 0)
        at_least(lo, -share * c.unit_w_cha_max[unit], BIND_COMMISSION, unit, 0)


cdef void gates(const SiteConfig* c, const RowTable* rows, Envelope* e, int unit, bint mode_blocks, Bound* lo, Bound* hi, int64_t now_ns) noexcept nogil:
    """What was closed opens with a margin (reentry.pxd). A stop by a row has its own way back, and before the first run nothing was open."""
    cdef double charge = -lo.w
    if mode_blocks:
        e.gate_dis[unit].since_ns = e.gate_cha[unit].since_ns = 0
    elif rows.stop[unit] < ACT_ZERO and rows.stop[PLANT] < ACT_ZERO:
        gate_update(c, &e.gate_dis[unit], c.unit_w_dis_max[unit], &hi.w, &hi.bind, &hi.id, now_ns)
        gate_update(c, &e.gate_cha[unit], c.unit_w_cha_max[unit], &charge, &lo.bind, &lo.id, now_ns)
        lo.w = 0.0 - charge


cdef void unit_interval(const SiteConfig* c, const Inputs* inp, const UnitTable* u, const RowTable* rows, const Connect* connect, bint follows,
                        double share, Envelope* e, int unit, bint mode_blocks, int mode, int64_t now_ns) noexcept nogil:
    cdef Bound lo, hi
    cdef int cut = disconnects(c, connect, unit)
    unit_ratings(c, inp, u, unit, &lo, &hi, now_ns)
    unit_trial(c, share, unit, &lo, &hi)
    unit_rows(c, rows, unit, unit, &lo, &hi)
    unit_rows(c, rows, PLANT, unit, &lo, &hi)
    gates(c, rows, e, unit, mode_blocks, &lo, &hi, now_ns)
    # A stop by a row is the better answer to "who limits me" than the silence it may come from.
    if hi.w > 0 or lo.w < 0:
        if mode_blocks:
            hi.w, hi.bind, hi.id, hi.until_ns = 0, BIND_MODE, mode, 0
            lo = hi
        elif cut:
            hi.w, hi.bind, hi.id, hi.until_ns = 0, cut, connect.slot, connect.until_ns
            lo = hi
        elif not follows:
            hi.w, hi.bind, hi.id, hi.until_ns = 0, BIND_DEVICE, unit, 0
            lo = hi
    set_side(&e.unit_hi[unit], max(0.0, hi.w), hi.bind, hi.id, hi.until_ns, now_ns)
    set_side(&e.unit_lo[unit], min(0.0, lo.w), lo.bind, lo.id, lo.until_ns, now_ns)


# --- who takes which share ------------------------------------------------------------------------------------------------------------------

cdef double mean_soc(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int64_t now_ns) noexcept nogil:
    """Of the units whose SoC is known, by their energy; NaN when none is."""
    cdef int unit
    cdef double wh
    cdef double sum_wh = 0
    cdef double sum_pct_wh = 0
    for unit in range(c.n_units):
        if sees_in_time(c, inp, u, unit, Q_SOC_PCT, now_ns):
            wh = max(c.unit_wh[unit], 1.0)
            sum_wh += wh
            sum_pct_wh += wh * reading(inp, unit, Q_SOC_PCT)
    return sum_pct_wh / sum_wh if sum_wh > 0 else NAN


cdef void weigh(const SiteConfig* c, const Inputs* inp, const UnitTable* u, Envelope* e, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef double off, slope
    cdef double mean = mean_soc(c, inp, u, now_ns) if c.balance_soc_pct > 0 and c.n_units > 1 else NAN
    for unit in range(c.n_units):
        e.weight_dis[unit] = e.weight_cha[unit] = 1
        if not isfinite(mean) or not sees_in_time(c, inp, u, unit, Q_SOC_PCT, now_ns):
            continue
        off = reading(inp, unit, Q_SOC_PCT) - mean
        if fabs(off) <= SOC_BAND_PCT:
            continue
        slope = min(max(off / c.balance_soc_pct, -1.0), 1.0)
        e.weight_dis[unit] = max(WEIGHT_MIN, 1 + slope)
        e.weight_cha[unit] = max(WEIGHT_MIN, 1 - slope)


# --- the plant ----------------------------------------------------------------------------------------------------------------------------

cdef void device_interval(const SiteConfig* c, const Inputs* inp, const RowTable* rows, const UnitTable* u, const ContactorTable* contactors,
                          const Connect* connect, const Commission* k, Envelope* e, bint mode_blocks, int mode, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef int hi_by = 0
    cdef int lo_by = 0
    cdef double ess = 0
    # Where the mode allows no power nothing is shared out either.
    e.giving_hi_w = 0 if mode_blocks else u.hi_w
    e.giving_lo_w = 0 if mode_blocks else u.lo_w
    cdef double hi = e.giving_hi_w
    cdef double lo = e.giving_lo_w
    for unit in range(c.n_units):
        unit_interval(c, inp, u, rows, connect, u.follows[unit] and contactors.ready[unit], commission_share(k, unit), e, unit, mode_blocks, mode,
                      now_ns)
        hi += e.unit_hi[unit].w
        lo += e.unit_lo[unit].w
        # The plant's side is bound by the first unit that something other than its rating limits.
        if e.unit_hi[hi_by].bind == BIND_RATING and e.unit_hi[unit].bind != BIND_RATING:
            hi_by = unit
        if e.unit_lo[lo_by].bind == BIND_RATING and e.unit_lo[unit].bind != BIND_RATING:
            lo_by = unit
        ess += reading(inp, unit, Q_AC_W) if unit_sees(c, inp, unit, Q_AC_W, now_ns) else NAN
    set_side(&e.device_hi, hi, e.unit_hi[hi_by].bind, e.unit_hi[hi_by].id, e.unit_hi[hi_by].until_ns, now_ns)
    set_side(&e.device_lo, lo, e.unit_lo[lo_by].bind, e.unit_lo[lo_by].id, e.unit_lo[lo_by].until_ns, now_ns)
    e.ess_w = ess
    weigh(c, inp, u, e, now_ns)


# --- the sources --------------------------------------------------------------------------------------------------------------------------

cdef void slot_bounds(const SiteConfig* c, const SlotTable* t, Pcc* p, Envelope* e, int slot, Bound* lo, Bound* hi) noexcept nogil:
    """Narrow a class's interval by one slot's ask."""
    cdef const Ask* a = &t.ask[slot]
    cdef double pcc_lo, pcc_hi
    cdef int64_t until = a.until_ns if a.until_ns != INT64_MAX else 0     # 0 = open
    cdef int bind = a.bind
    at_most(hi, a.ess_hi_w, bind, slot, until)
    at_least(lo, a.ess_lo_w, bind, slot, until)
    if a.energize == 0:
        at_most(hi, 0, bind, slot, until)
        at_least(lo, 0, bind, slot, until)
    if isfinite(a.pcc_lo_w) or isfinite(a.pcc_hi_w):
        p.used = 1
        pcc_bounds(c, p, a.pcc_lo_w, a.pcc_hi_w, c.slot_may_force[slot], &pcc_lo, &pcc_hi)
        if p.phase == METER_LOST:
            bind, until = BIND_METER, 0
        at_most(hi, pcc_hi, bind, slot, until)
        at_least(lo, pcc_lo, bind, slot, until)


cdef void reactive_bounds(const SiteConfig* c, const Reactive* r, const Envelope* e, Bound* lo, Bound* hi) noexcept nogil:
    """Where reactive power goes first: what it leaves to active power, over all units."""
    cdef int unit
    cdef double most = e.giving_hi_w
    cdef double least = e.giving_lo_w
    for unit in range(c.n_units):
        most += min(e.unit_hi[unit].w, r.room_hi_w[unit])
        least += max(e.unit_lo[unit].w, -r.room_lo_w[unit])
    if most < e.device_hi.w:
        at_most(hi, most, BIND_REACTIVE, r.slot, 0)
    if least > e.device_lo.w:
        at_least(lo, least, BIND_REACTIVE, r.slot, 0)


cdef void lost_phase_bounds(const SiteConfig* c, const Pcc* p, int phase, double* lo, double* hi) noexcept nogil:
    """R10 for the amps of one phase: what the last sample left beside reactive power, with the worst load and PV of the site all on that
    phase; never before what was given fades to it. A worst case that the site does not state leaves nothing."""
    cdef double load = 3 * (c.load_max_w - p.room_w[phase])
    cdef double pv = 3 * (p.room_w[phase] - c.pv_max_w)
    lo[0] = min(0.0, min(load if isfinite(load) else 0.0, p.keep_w))
    hi[0] = max(0.0, max(pv if isfinite(pv) else 0.0, p.keep_w))


cdef void connection_bounds(const SiteConfig* c, Pcc* p, Bound* lo, Bound* hi) noexcept nogil:
    """The connection's own rating, of class grid; it never forces power. The worst phase binds."""
    cdef double pcc_lo = -c.pcc_import_max_w if isfinite(c.pcc_import_max_w) else -INFINITY
    cdef double pcc_hi = c.pcc_export_max_w if isfinite(c.pcc_export_max_w) else INFINITY
    cdef int bind = BIND_METER if p.phase == METER_LOST else BIND_RATING
    cdef int by = BIND_METER if p.phase == METER_LOST else BIND_PHASE
    cdef int phase
    p.used = isfinite(pcc_lo) or isfinite(pcc_hi) or isfinite(c.pcc_phase_max_a)
    pcc_bounds(c, p, pcc_lo, pcc_hi, 0, &pcc_lo, &pcc_hi)
    at_most(hi, pcc_hi, bind, PLANT, 0)
    at_least(lo, pcc_lo, bind, PLANT, 0)
    if not isfinite(c.pcc_phase_max_a):
        return
    for phase in range(1, <int> PARTS):
        if p.phase == METER_LOST:
            lost_phase_bounds(c, p, phase, &pcc_lo, &pcc_hi)
        else:
            phase_bounds(p, phase, &pcc_lo, &pcc_hi)
        at_most(hi, pcc_hi, by, PLANT if by == BIND_METER else phase - 1, 0)
        at_least(lo, pcc_lo, by, PLANT if by == BIND_METER else phase - 1, 0)


cdef void settle_class(Bound* lo, Bound* hi) noexcept nogil:
    """Disjoint limits of one class: both sides become the point nearest 0."""
    if lo.w <= hi.w:
        return
    if hi.w > 0:
        lo[0] = hi[0]
    elif lo.w < 0:
        hi[0] = lo[0]
    else:
        lo.w = hi.w = 0


cdef bint narrow(Bound* lo, Bound* hi, const Bound* class_lo, const Bound* class_hi) noexcept nogil:
    """Intersect with a worse class. False when nothing is left of it: the nearest point stays."""
    if class_lo.w > hi.w:
        lo[0] = hi[0]
        return False
    if class_hi.w < lo.w:
        hi[0] = lo[0]
        return False
    at_most(hi, class_hi.w, class_hi.bind, class_hi.id, class_hi.until_ns)
    at_least(lo, class_lo.w, class_lo.bind, class_lo.id, class_lo.until_ns)
    return True


cdef void report_unmet(Envelope* e, const Bound* lo, const Bound* hi, const Bound* asked_lo, const Bound* asked_hi) noexcept nogil:
    """R3: what a class asked for and did not get; the larger part of it, where both sides went short."""
    cdef double over = asked_lo.w - hi.w
    cdef double under = asked_hi.w - lo.w
    if over > 0 and over > -under and over > fabs(e.unmet_w):
        e.unmet_w, e.unmet_slot = over, <int16_t> asked_lo.id
    elif under < 0 and -under > fabs(e.unmet_w):
        e.unmet_w, e.unmet_slot = under, <int16_t> asked_hi.id


cdef bint ceases(const SiteConfig* c, const SlotTable* t) noexcept nogil:
    """Some source asks to cease to energise or to disconnect, also one of a class that nothing is left for."""
    cdef int slot
    for slot in range(c.n_slots):
        if t.ask[slot].energize == 0 or t.ask[slot].connect == 0:
            return True
    return False


cdef void pcc_narrowest(const SiteConfig* c, const SlotTable* t, Pcc* p) noexcept nogil:
    """The limits at the connection that grid, contracts and its own rating set: what load is shed for."""
    cdef int slot
    p.lo_w = -c.pcc_import_max_w if isfinite(c.pcc_import_max_w) else -INFINITY
    p.hi_w = c.pcc_export_max_w if isfinite(c.pcc_export_max_w) else INFINITY
    for slot in range(c.n_slots):
        if c.slot_class[slot] < CLASS_MARKET:
            p.lo_w, p.hi_w = max(p.lo_w, t.ask[slot].pcc_lo_w), min(p.hi_w, t.ask[slot].pcc_hi_w)


cdef void arbitrate(const SiteConfig* c, const SlotTable* t, Pcc* p, const Reactive* r, Envelope* e, int64_t now_ns) noexcept nogil:
    cdef Bound lo, hi, class_lo, class_hi, asked_lo, asked_hi
    cdef int rank, slot
    cdef bint left
    lo.w, lo.bind, lo.id, lo.until_ns = e.device_lo.w, e.device_lo.bind, e.device_lo.id, e.device_lo.until_ns
    hi.w, hi.bind, hi.id, hi.until_ns = e.device_hi.w, e.device_hi.bind, e.device_hi.id, e.device_hi.until_ns
    e.unmet_w, e.unmet_slot, e.cease = 0, -1, ceases(c, t)
    pcc_narrowest(c, t, p)
    for rank in range(CLASS_MARKET + 1):
        class_lo.w, class_lo.bind, class_lo.id, class_lo.until_ns = -INFINITY, BIND_NONE, -1, 0
        class_hi.w, class_hi.bind, class_hi.id, class_hi.until_ns = INFINITY, BIND_NONE, -1, 0
        if rank == 0:
            connection_bounds(c, p, &class_lo, &class_hi)
        for slot in range(c.n_slots):
            if c.slot_class[slot] == rank:
                slot_bounds(c, t, p, e, slot, &class_lo, &class_hi)
        if r.slot >= 0 and c.slot_class[r.slot] == rank:
            reactive_bounds(c, r, e, &class_lo, &class_hi)
        asked_lo, asked_hi = class_lo, class_hi
        settle_class(&class_lo, &class_hi)
        left = narrow(&lo, &hi, &class_lo, &class_hi)
        report_unmet(e, &lo, &hi, &asked_lo, &asked_hi)
        if not left:
            break
    set_side(&e.lo, lo.w, lo.bind, lo.id, lo.until_ns, now_ns)
    set_side(&e.hi, hi.w, hi.bind, hi.id, hi.until_ns, now_ns)
