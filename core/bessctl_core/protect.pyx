"""The protection table; the rules of a row stand in protect.pxd. Loop, nogil, bounded."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.math cimport NAN, isfinite
from libc.string cimport memset

from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport (
    ACT_BLOCK, ACT_DERATE, ACT_WARN, ACT_ZERO, CURVE_POINTS, DIR_CHARGE, DIR_DISCHARGE, EV_ROW_DROPOFF, EV_ROW_LATCHED, EV_ROW_PICKUP,
    QUANTITIES, RESET_AUTO, RESET_LOCAL, TIER_WARN,
)


cdef void rows_init(RowTable* t) noexcept nogil:
    memset(t, 0, sizeof(RowTable))
    t.retripped = -1
    clear_demands(t)


cdef void clear_demands(RowTable* t) noexcept nogil:
    cdef int place
    for place in range(PLACES):
        t.share_cha[place] = t.share_dis[place] = 1
        t.row_cha[place] = t.row_dis[place] = t.row_stop[place] = -1
        t.stop[place] = t.tripped[place] = 0


cdef bint row_sees(const SiteConfig* c, const Inputs* inp, int row, int64_t now_ns) noexcept nogil:
    cdef int at = c.row_unit[row] * QUANTITIES + c.row_quantity[row]
    return inp.sampled_ns[at] > 0 and now_ns - inp.sampled_ns[at] <= c.row_max_age_ns[row] and isfinite(inp.value[at])


cdef inline double row_value(const SiteConfig* c, const Inputs* inp, int row) noexcept nogil:
    return inp.value[c.row_unit[row] * QUANTITIES + c.row_quantity[row]]


cdef double curve_share(const SiteConfig* c, int row, double x) noexcept nogil:
    """The polyline of a derating row at x, flat beyond its ends; x ascending."""
    cdef const double* xs = &c.row_curve_x[row * CURVE_POINTS]
    cdef const double* shares = &c.row_curve_share[row * CURVE_POINTS]
    cdef int n = c.row_curve_count[row]
    cdef int i
    if n < 1:
        return 0
    if x <= xs[0]:
        return shares[0]
    for i in range(1, n):
        if x <= xs[i]:
            return shares[i - 1] + (shares[i] - shares[i - 1]) * (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return shares[n - 1]


cdef void lower_shares(RowTable* t, int place, int row, int direction, double share) noexcept nogil:
    if direction & DIR_CHARGE and share < t.share_cha[place]:
        t.share_cha[place], t.row_cha[place] = share, <int16_t> row
    if direction & DIR_DISCHARGE and share < t.share_dis[place]:
        t.share_dis[place], t.row_dis[place] = share, <int16_t> row


cdef void demand(const SiteConfig* c, const Inputs* inp, RowTable* t, int row, bint seen) noexcept nogil:
    """What this row takes away now."""
    cdef int place = c.row_unit[row]
    cdef int action = c.row_action[row]
    if action == ACT_DERATE:
        lower_shares(t, place, row, c.row_direction[row], curve_share(c, row, row_value(c, inp, row)) if seen else 0)
        return
    if action == ACT_WARN or not (t.active[row] or t.latched[row]):
        return
    if action == ACT_BLOCK:
        lower_shares(t, place, row, c.row_direction[row], 0)
        return
    if action > t.stop[place]:
        t.stop[place], t.row_stop[place] = <uint8_t> action, <int16_t> row
    if t.latched[row]:
        t.tripped[place] = 1


cdef void say(const SiteConfig* c, const Inputs* inp, EventSink* sink, int row, int code, int level, int64_t now_ns) noexcept nogil:
    # What could not be seen is no value: the reader must not take the last good one for the cause.
    emit(sink, now_ns, code, level, c.row_unit[row], row, -1, c.row_action[row],
         row_value(c, inp, row) if row_sees(c, inp, row, now_ns) else NAN, c.row_pickup[row])


cdef void move(const SiteConfig* c, const Inputs* inp, RowTable* t, int row, bint seen, bint may_latch, int64_t now_ns) noexcept nogil:
    """The state table of one row."""
    cdef int64_t dropoff_delay_ns = c.row_dropoff_delay_ns[row] if may_latch else 0
    cdef double value = row_value(c, inp, row)
    cdef bint above = c.row_above[row]
    cdef bint turning
    if t.active[row]:
        turning = seen and (value <= c.row_dropoff[row] if above else value >= c.row_dropoff[row])
    else:
        turning = not seen or (value >= c.row_pickup[row] if above else value <= c.row_pickup[row])
    if not turning:
        t.turning_ns[row] = 0
        return
    if t.turning_ns[row] == 0:
        t.turning_ns[row] = now_ns
    if now_ns - t.turning_ns[row] < (dropoff_delay_ns if t.active[row] else c.row_pickup_delay_ns[row]):
        return
    t.turning_ns[row] = 0
    t.active[row] = not t.active[row]
    t.since_ns[row] = now_ns


cdef void tell(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, int row, bint may_latch, int64_t now_ns) noexcept nogil:
    """Each pickup once, and its drop-off; what only the start brought is not told."""
    if t.active[row] and may_latch and not t.told[row]:
        t.told[row] = 1
        say(c, inp, sink, row, EV_ROW_PICKUP, LEVEL_WARNING if c.row_tier[row] == TIER_WARN else LEVEL_ALARM, now_ns)
    elif t.told[row] and not t.active[row]:
        t.told[row] = 0
        say(c, inp, sink, row, EV_ROW_DROPOFF, LEVEL_INFO, now_ns)


cdef void latch(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, int row, int64_t now_ns) noexcept nogil:
    # A row that is active again while its reset waits for the journal stays latched.
    if t.latched[row] and not t.resetting[row]:
        return
    if t.resetting[row]:
        t.retripped = <int16_t> row
    t.resetting[row] = 0
    t.latched_new = 1
    if not t.latched[row]:
        t.latched[row] = 1
        say(c, inp, sink, row, EV_ROW_LATCHED, LEVEL_ALARM, now_ns)


cdef void rows_update(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, bint may_latch, int64_t now_ns) noexcept nogil:
    cdef int row
    cdef bint seen
    clear_demands(t)
    t.latched_new, t.retripped = 0, -1
    for row in range(c.n_rows):
        seen = row_sees(c, inp, row, now_ns)
        move(c, inp, t, row, seen, may_latch, now_ns)
        tell(c, inp, t, sink, row, may_latch, now_ns)
        if t.active[row] and may_latch and c.row_reset[row] != RESET_AUTO:
            latch(c, inp, t, sink, row, now_ns)
        demand(c, inp, t, row, seen)


cdef int rows_ask_reset(const SiteConfig* c, RowTable* t, bint local) noexcept nogil:
    cdef int row
    for row in range(c.n_rows):
        if t.latched[row] and (t.active[row] or c.row_reset[row] == RESET_LOCAL and not local):
            return row
    for row in range(c.n_rows):
        t.resetting[row] = t.latched[row]
    return -1


cdef void rows_keep(RowTable* t) noexcept nogil:
    memset(t.resetting, 0, sizeof(t.resetting))


cdef int rows_reset(const SiteConfig* c, RowTable* t) noexcept nogil:
    cdef int row
    cdef int cleared = 0
    for row in range(c.n_rows):
        if t.resetting[row]:
            t.latched[row] = t.resetting[row] = 0
            cleared += 1
    return cleared
