"""One unit as the step sees it; the rules stand in units.pxd. Loop, nogil, bounded."""

from libc.math cimport fabs, isfinite

from libc.string cimport memset

from .layout cimport (
    DEV_UP, QUANTITIES, Q_AC_W, Q_BMS_CHA_MAX_A, Q_BMS_DIS_MAX_A, Q_BMS_STATE, Q_DC_V, Q_LOC_REM, Q_PACK_V, Q_PCS_CONN, Q_PCS_STATE, Q_W_MAX_CHA,
    Q_W_MAX_DIS,
)

# SunSpec 701 InvSt.
cdef enum:
    INVST_OFF = 0
    INVST_SLEEPING = 1
    INVST_RUNNING = 3
    INVST_THROTTLED = 4
    INVST_STANDBY = 7
    DISCONNECTED = 0            # ConnSt
    REMOTE = 0                  # SunSpec 715 LocRemCtl
    DECIDING = 9

# What decides whether and how far a unit may be loaded, where a device brings it.
cdef int[DECIDING] DECIDES = [
    Q_PCS_CONN, Q_LOC_REM, Q_W_MAX_DIS, Q_W_MAX_CHA, Q_BMS_DIS_MAX_A, Q_BMS_CHA_MAX_A, Q_BMS_STATE, Q_DC_V, Q_PACK_V,
]

cdef double REST_SHARE = 0.01           # of the rating: below it a measured power counts as none
cdef int64_t REST_NS = 1000000000       # after it a PCS that reports rest must measure rest


cdef bint unit_sees(const SiteConfig* c, const Inputs* inp, int unit, int quantity, int64_t now_ns) noexcept nogil:
    cdef int at = unit * QUANTITIES + quantity
    return inp.sampled_ns[at] > 0 and now_ns - inp.sampled_ns[at] <= c.unit_data_age_ns[unit] and isfinite(inp.value[at])


cdef bint is_mapped(const Inputs* inp, const UnitTable* u, int unit, int quantity) noexcept nogil:
    return u.age_ns[unit * QUANTITIES + quantity] > 0 or inp.sampled_ns[unit * QUANTITIES + quantity] > 0


cdef bint sees_in_time(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, int quantity, int64_t now_ns) noexcept nogil:
    cdef int at = unit * QUANTITIES + quantity
    return inp.sampled_ns[at] > 0 and now_ns - inp.sampled_ns[at] <= max(c.unit_data_age_ns[unit], u.age_ns[at]) and isfinite(inp.value[at])


cdef bint unit_arrived(const Inputs* inp, const UnitTable* u, int unit) noexcept nogil:
    cdef int i, at
    for i in range(DECIDING):
        at = unit * QUANTITIES + DECIDES[i]
        if u.age_ns[at] > 0 and inp.sampled_ns[at] == 0:
            return False
    return True


cdef void units_init(const SiteConfig* c, UnitTable* u) noexcept nogil:
    cdef int point, unit
    cdef int64_t period_ns, age_ns
    memset(u, 0, sizeof(UnitTable))
    for point in range(c.n_points):
        unit = c.point_place[point]
        if 0 <= unit < c.n_units:
            age_ns, period_ns = c.unit_data_age_ns[unit], c.read_period_ns[c.point_read[point]]
            u.age_ns[unit * QUANTITIES + c.point_quantity[point]] = age_ns if 3 * period_ns <= age_ns else age_ns + 3 * period_ns


cdef bint obeys(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, int64_t now_ns) noexcept nogil:
    cdef double state = inp.value[unit * QUANTITIES + Q_PCS_STATE]
    if inp.pcs_state[unit] != DEV_UP:
        return False
    if is_mapped(inp, u, unit, Q_LOC_REM) and not (
            sees_in_time(c, inp, u, unit, Q_LOC_REM, now_ns) and inp.value[unit * QUANTITIES + Q_LOC_REM] == REMOTE):
        return False
    # R12: off the grid it gives nothing. What it does there is its own affair.
    if is_mapped(inp, u, unit, Q_PCS_CONN) and not (
            sees_in_time(c, inp, u, unit, Q_PCS_CONN, now_ns) and inp.value[unit * QUANTITIES + Q_PCS_CONN] != DISCONNECTED):
        return False
    if not isfinite(inp.wset_scale_w[unit]) or inp.wset_scale_w[unit] <= 0:
        return False
    if not (unit_sees(c, inp, unit, Q_AC_W, now_ns) and unit_sees(c, inp, unit, Q_PCS_STATE, now_ns)):
        return False
    return state == INVST_RUNNING or state == INVST_THROTTLED


cdef bint reports_rest(const SiteConfig* c, const Inputs* inp, int unit, int64_t now_ns) noexcept nogil:
    cdef double state = inp.value[unit * QUANTITIES + Q_PCS_STATE]
    if inp.pcs_state[unit] != DEV_UP or not unit_sees(c, inp, unit, Q_PCS_STATE, now_ns):
        return False
    return state == INVST_OFF or state == INVST_SLEEPING or state == INVST_STANDBY


cdef void listen(const SiteConfig* c, const Inputs* inp, UnitTable* u, int unit, int64_t now_ns) noexcept nogil:
    """What is measured, since when nothing is, and since when it says that it rests."""
    cdef int at = unit * QUANTITIES + Q_AC_W
    u.heard[unit] = inp.pcs_state[unit] == DEV_UP and unit_sees(c, inp, unit, Q_AC_W, now_ns)
    if u.heard[unit]:
        u.silent_ns[unit] = 0
        if inp.sampled_ns[at] > u.measured_ns[unit]:
            u.measured_w[unit], u.measured_ns[unit] = inp.value[at], inp.sampled_ns[at]
            u.command_lo_w[unit] = u.command_hi_w[unit] = u.command_w[unit]
    elif u.silent_ns[unit] == 0:
        u.silent_ns[unit] = now_ns
    if not reports_rest(c, inp, unit, now_ns):
        u.resting_ns[unit] = 0
    elif u.resting_ns[unit] == 0:
        u.resting_ns[unit] = now_ns


cdef inline int64_t reverted_ns(const SiteConfig* c, int unit) noexcept nogil:
    """Device timers run late by half; then comes the PCS's own ramp."""
    return c.unit_reversion_ns[unit] + c.unit_reversion_ns[unit] // 2 + c.unit_ramp_to_zero_ns[unit]


cdef void count(const SiteConfig* c, UnitTable* u, int unit, int64_t now_ns) noexcept nogil:
    """What a unit that does not obey may be giving."""
    cdef double w = u.measured_w[unit] if fabs(u.measured_w[unit]) > REST_SHARE * c.unit_va_max[unit] else 0
    cdef double lo = 0
    cdef double hi = 0
    if u.resting_ns[unit] and (not u.heard[unit] or now_ns - u.resting_ns[unit] < REST_NS):
        w = 0
    elif not u.heard[unit]:
        if now_ns - u.silent_ns[unit] >= reverted_ns(c, unit):
            w = 0
        else:
            w = u.measured_w[unit]
            lo, hi = u.command_lo_w[unit], u.command_hi_w[unit]
    u.giving_lo_w[unit] = min(0.0, min(lo, w))
    u.giving_hi_w[unit] = max(0.0, max(hi, w))


cdef void units_update(const SiteConfig* c, const Inputs* inp, UnitTable* u, int64_t now_ns) noexcept nogil:
    cdef int unit
    u.lo_w = u.hi_w = 0
    for unit in range(c.n_units):
        listen(c, inp, u, unit, now_ns)
        u.obeys[unit] = obeys(c, inp, u, unit, now_ns)
        u.follows[unit] = u.obeys[unit] and (c.unit_bms_device[unit] < 0 or inp.bms_state[unit] == DEV_UP)
        u.giving_lo_w[unit] = u.giving_hi_w[unit] = 0
        if not u.obeys[unit]:
            count(c, u, unit, now_ns)
        u.lo_w += u.giving_lo_w[unit]
        u.hi_w += u.giving_hi_w[unit]


cdef void units_note(const SiteConfig* c, const Outputs* out, UnitTable* u) noexcept nogil:
    cdef int unit
    cdef double w
    for unit in range(c.n_units):
        w = out.cmd_w[unit]
        u.command_w[unit] = w
        u.command_lo_w[unit], u.command_hi_w[unit] = min(u.command_lo_w[unit], w), max(u.command_hi_w[unit], w)
