"""Quantities that follow from others; the rules stand in derive.pxd. Loop, nogil, bounded."""

from libc.math cimport INFINITY, NAN, fabs, isfinite, isnan
from libc.string cimport memset

from .events cimport LEVEL_ALARM, LEVEL_INFO, emit
from .layout cimport (
    DEV_FROZEN, EV_FLAG, FLAG_SOC_FROZEN, PLANT, QUANTITIES, Q_AC_W, Q_ASTRAY_PCT, Q_BMS_AGE_S, Q_BMS_CHA_MAX_A, Q_BMS_DIS_MAX_A, Q_BMS_HB,
    Q_BMS_HB_AGE_S, Q_BMS_STATE, Q_CELL_TEMP_MAX_C, Q_CELL_TEMP_MIN_C, Q_CELL_TEMP_SPREAD_C, Q_CELL_V_MAX, Q_CELL_V_MIN, Q_CELL_V_SPREAD,
    Q_CHA_A_OVER, Q_CONFLICT_PCT, Q_CONTACTOR_FAULT, Q_DC_A, Q_DC_W, Q_DIS_A_OVER, Q_FOLLOW_ERROR_PCT, Q_LOC_REM, Q_METER_AGE_S, Q_PACK_A,
    Q_PACK_V, Q_PCC_W, Q_PCS_AGE_S, Q_PCS_HB, Q_PCS_HB_AGE_S, Q_SOC_PCT, Q_TARGET_OVER_PCT,
)
from .units cimport is_mapped, unit_sees

cdef enum:
    LOCAL_CONTROL = 1       # SunSpec 715 LocRemCtl

cdef double WH_PER_W_NS = 1.0 / 3.6e12


cdef void derive_init(DeriveState* d) noexcept nogil:
    cdef int i
    memset(d, 0, sizeof(DeriveState))
    for i in range(BEATS):
        d.beat[i] = NAN
    for i in range(MAX_UNITS):
        d.soc_pct[i] = NAN


cdef inline double reading(const Inputs* inp, int place, int quantity) noexcept nogil:
    return inp.value[place * QUANTITIES + quantity]


cdef inline int64_t asked_ns(const Inputs* inp, int place, int quantity) noexcept nogil:
    return inp.sampled_ns[place * QUANTITIES + quantity]


cdef inline void put(Inputs* inp, int place, int quantity, double value, int64_t sampled_ns) noexcept nogil:
    inp.value[place * QUANTITIES + quantity] = value
    inp.sampled_ns[place * QUANTITIES + quantity] = sampled_ns


# --- ages ---------------------------------------------------------------------------------------------------------------------------------

cdef void data_age(Inputs* inp, int place, int quantity, int of_quantity, int device_state, int64_t now_ns) noexcept nogil:
    """The age is always known: what never arrived is infinitely old, and so is what a frozen device says (R4)."""
    cdef int64_t sampled_ns = asked_ns(inp, place, of_quantity)
    put(inp, place, quantity, <double> (now_ns - sampled_ns) * 1e-9 if sampled_ns > 0 and device_state != DEV_FROZEN else INFINITY, now_ns)


cdef void beat_age(Inputs* inp, DeriveState* d, int unit, int beat, int quantity, int of_quantity, int64_t now_ns) noexcept nogil:
    cdef double value = reading(inp, unit, of_quantity)
    if not isnan(value) and value != d.beat[beat] and asked_ns(inp, unit, of_quantity) > 0:
        d.beat[beat], d.beat_ns[beat] = value, asked_ns(inp, unit, of_quantity)
    put(inp, unit, quantity, <double> (now_ns - d.beat_ns[beat]) * 1e-9 if d.beat_ns[beat] > 0 else INFINITY, now_ns)


# --- the battery --------------------------------------------------------------------------------------------------------------------------

cdef void difference(Inputs* inp, int unit, int quantity, int of_quantity, int less_quantity, double sign) noexcept nogil:
    """`sign` times one value, less another; as old as the older of the two."""
    put(inp, unit, quantity, sign * reading(inp, unit, of_quantity) - reading(inp, unit, less_quantity),
        min(asked_ns(inp, unit, of_quantity), asked_ns(inp, unit, less_quantity)))


cdef double battery_w(const SiteConfig* c, const Inputs* inp, int unit, int64_t now_ns) noexcept nogil:
    """What flows at the battery, + discharge; NaN when nobody measures it."""
    if unit_sees(c, inp, unit, Q_PACK_A, now_ns) and unit_sees(c, inp, unit, Q_PACK_V, now_ns):
        return reading(inp, unit, Q_PACK_A) * reading(inp, unit, Q_PACK_V)
    return reading(inp, unit, Q_DC_W) if unit_sees(c, inp, unit, Q_DC_W, now_ns) else NAN


cdef void doubt_soc(const SiteConfig* c, Inputs* inp, DeriveState* d, int unit, EventSink* sink, int64_t elapsed_ns, int64_t now_ns) noexcept nogil:
    """R4: a SoC that does not move with the coulomb count is invalid until it moves."""
    cdef double soc = reading(inp, unit, Q_SOC_PCT)
    cdef double w = battery_w(c, inp, unit, now_ns)
    cdef bint frozen
    if not isnan(soc) and soc != d.soc_pct[unit]:
        d.soc_pct[unit], d.counted_wh[unit] = soc, 0
    elif isfinite(w):
        d.counted_wh[unit] += w * <double> elapsed_ns * WH_PER_W_NS
    frozen = c.soc_stuck_pct > 0 and fabs(d.counted_wh[unit]) * 100 > c.soc_stuck_pct * c.unit_wh[unit]
    if frozen != d.soc_frozen[unit]:
        d.soc_frozen[unit] = frozen
        emit(sink, now_ns, EV_FLAG, LEVEL_ALARM if frozen else LEVEL_INFO, unit, -1, -1, FLAG_SOC_FROZEN, frozen, NAN)
    if frozen:
        inp.value[unit * QUANTITIES + Q_SOC_PCT] = NAN


cdef void battery(Inputs* inp, const UnitTable* u, const ContactorTable* contactors, int unit) noexcept nogil:
    cdef int current = Q_PACK_A if is_mapped(inp, u, unit, Q_PACK_A) else Q_DC_A
    difference(inp, unit, Q_DIS_A_OVER, current, Q_BMS_DIS_MAX_A, 1)
    difference(inp, unit, Q_CHA_A_OVER, current, Q_BMS_CHA_MAX_A, -1)
    difference(inp, unit, Q_CELL_V_SPREAD, Q_CELL_V_MAX, Q_CELL_V_MIN, 1)
    difference(inp, unit, Q_CELL_TEMP_SPREAD_C, Q_CELL_TEMP_MAX_C, Q_CELL_TEMP_MIN_C, 1)
    put(inp, unit, Q_CONTACTOR_FAULT, contactors.fault[unit], asked_ns(inp, unit, Q_BMS_STATE))
    if contactors.away[unit]:
        inp.value[unit * QUANTITIES + Q_PACK_V] = NAN


# --- does it do what it is told? ------------------------------------------------------------------------------------------------------------

cdef double astray_w(double w, double command_w, double lo_w, double hi_w) noexcept nogil:
    """Beyond the unit's limits, or against its command; 0 = neither."""
    cdef double beyond = max(w - hi_w, lo_w - w)
    cdef double against = -w if command_w > 0 else w if command_w < 0 else 0
    return max(0.0, max(beyond, against))


cdef inline double conflict_w(double ac_w, double dc_w) noexcept nogil:
    return min(fabs(ac_w), fabs(dc_w)) if ac_w * dc_w < 0 else 0


cdef void following(const SiteConfig* c, Inputs* inp, const UnitTable* u, const Envelope* e, int unit, int64_t now_ns) noexcept nogil:
    cdef double w = reading(inp, unit, Q_AC_W)
    cdef double dc_w = battery_w(c, inp, unit, now_ns)
    cdef double pct = 100.0 / max(1.0, max(c.unit_w_dis_max[unit], c.unit_w_cha_max[unit]))
    cdef double astray = NAN
    cdef double error = NAN
    cdef double conflict = NAN
    if isfinite(w):
        astray = error = 0
        if u.obeys[unit] and reading(inp, unit, Q_LOC_REM) != LOCAL_CONTROL:
            astray = astray_w(w, u.command_w[unit], e.unit_lo[unit].w, e.unit_hi[unit].w) * pct
            error = fabs(w - u.command_w[unit]) * pct
        if isfinite(dc_w):
            conflict = conflict_w(w, dc_w) * pct
    put(inp, unit, Q_ASTRAY_PCT, astray, asked_ns(inp, unit, Q_AC_W))
    put(inp, unit, Q_FOLLOW_ERROR_PCT, error, asked_ns(inp, unit, Q_AC_W))
    put(inp, unit, Q_CONFLICT_PCT, conflict, asked_ns(inp, unit, Q_AC_W))


cdef void target(const SiteConfig* c, Inputs* inp, double wanted_w, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef double could_w = 0
    cdef double w = 0 if isnan(wanted_w) else wanted_w
    for unit in range(c.n_units):
        could_w += c.unit_w_dis_max[unit] if w > 0 else c.unit_w_cha_max[unit]
    put(inp, PLANT, Q_TARGET_OVER_PCT, 100 * max(0.0, fabs(w) - could_w) / max(1.0, could_w), now_ns)


cdef void derive(const SiteConfig* c, Inputs* inp, DeriveState* d, const UnitTable* units, const Envelope* envelope,
                 const ContactorTable* contactors, double wanted_w, EventSink* sink, int64_t elapsed_ns, int64_t now_ns) noexcept nogil:
    cdef int unit, bms_state
    for unit in range(c.n_units):
        bms_state = inp.bms_state[unit] if c.unit_bms_device[unit] >= 0 else inp.pcs_state[unit]
        data_age(inp, unit, Q_PCS_AGE_S, Q_AC_W, inp.pcs_state[unit], now_ns)
        data_age(inp, unit, Q_BMS_AGE_S, Q_PACK_V, bms_state, now_ns)
        beat_age(inp, d, unit, 2 * unit, Q_PCS_HB_AGE_S, Q_PCS_HB, now_ns)
        beat_age(inp, d, unit, 2 * unit + 1, Q_BMS_HB_AGE_S, Q_BMS_HB, now_ns)
        doubt_soc(c, inp, d, unit, sink, elapsed_ns, now_ns)
        battery(inp, units, contactors, unit)
        following(c, inp, units, envelope, unit, now_ns)
    data_age(inp, PLANT, Q_METER_AGE_S, Q_PCC_W, inp.meter_state, now_ns)
    target(c, inp, wanted_w, now_ns)
