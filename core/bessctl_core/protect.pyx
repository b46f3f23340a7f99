"""The protection table; the rules of a row stand in protect.pxd. Loop, nogil, bounded."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.math cimport NAN, isfinite
from libc.string cimport memset

from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport (
    ACT_BLOCK, ACT_DERATE, ACT_WARN, ACT_ZERO, BLIND_HOLDS, BLIND_TRIPS, CURVE_POINTS, DIR_BOTH, DIR_CHARGE, DIR_DISCHARGE, EV_ROW_DROPOFF,
    EV_ROW_LATCHED, EV_ROW_PICKUP, QUANTITIES, Q_INPUT_0, Q_INPUT_LAST, RESET_AUTO, RESET_LOCAL, TEST_BITS, TEST_THRESHOLD, TICK_EVENTS, TIER_WARN,
)

cdef enum:
    EVENTS_LEFT = 8         # of the tick's events, for everybody who speaks after the rows
    STATE_MAX = 31

cdef uint32_t ALL_BITS = 0xFFFFFFFF
cdef double BITS_MAX = 4294967295.0


cdef void rows_init(RowTable* t) noexcept nogil:
    cdef int row
    memset(t, 0, sizeof(RowTable))
    t.retripped = -1
    for row in range(MAX_ROWS):
        t.held_share[row] = 1
    clear_demands(t)


cdef void rows_recall(const SiteConfig* c, RowTable* t, int row) noexcept nogil:
    cdef int i
    t.latched[row] = 1
    t.told[row] = TOLD_LATCHED
    for i in range(c.row_curve_count[row]):
        t.held_share[row] = min(t.held_share[row], c.row_curve_share[row * CURVE_POINTS + i])


cdef void clear_demands(RowTable* t) noexcept nogil:
    cdef int place
    for place in range(PLACES):
        t.share_cha[place] = t.share_dis[place] = 1
        t.row_cha[place] = t.row_dis[place] = t.row_stop[place] = -1
        t.stop[place] = t.tripped[place] = 0


# --- what a row sees ----------------------------------------------------------------------------------------------------------------------

cdef bint row_sees(const SiteConfig* c, const Inputs* inp, int row, int64_t now_ns) noexcept nogil:
    cdef int at = c.row_unit[row] * QUANTITIES + c.row_quantity[row]
    return inp.sampled_ns[at] > 0 and now_ns - inp.sampled_ns[at] <= c.row_max_age_ns[row] and isfinite(inp.value[at])


cdef double row_value(const SiteConfig* c, const Inputs* inp, int row) noexcept nogil:
    """What the row judges. A field or code that is none counts as all bits, or as the last state."""
    cdef double value = inp.value[c.row_unit[row] * QUANTITIES + c.row_quantity[row]]
    cdef uint32_t bits = ALL_BITS
    if c.row_test[row] == TEST_THRESHOLD:
        return value
    if 0 <= value <= BITS_MAX:
        bits = <uint32_t> value
    if c.row_test[row] == TEST_BITS:
        return <double> (bits & c.row_mask[row])
    return <double> ((c.row_mask[row] >> (bits if bits < STATE_MAX else STATE_MAX)) & 1)


cdef inline bint is_beyond(const SiteConfig* c, int row, double value) noexcept nogil:
    return value >= c.row_pickup[row] if c.row_above[row] else value <= c.row_pickup[row]


cdef inline bint is_back(const SiteConfig* c, int row, double value) noexcept nogil:
    return value <= c.row_dropoff[row] if c.row_above[row] else value >= c.row_dropoff[row]


# --- the state of a row -------------------------------------------------------------------------------------------------------------------

cdef void set_blind(RowTable* t, int row, int64_t now_ns) noexcept nogil:
    if not t.blind[row] and not t.active[row]:
        t.since_ns[row] = now_ns
    t.blind[row] = 1
    t.turning_ns[row] = t.well_ns[row] = 0


cdef void see_again(RowTable* t, int row, bint beyond, int64_t dropoff_delay_ns, int64_t now_ns) noexcept nogil:
    """A blind row sees: it goes on acting until what it sees has been well for its drop-off delay, or until it is active."""
    if t.active[row]:
        t.blind[row] = 0
    elif beyond:
        t.well_ns[row] = 0
    else:
        t.well_ns[row] = t.well_ns[row] or now_ns
        t.blind[row] = now_ns - t.well_ns[row] < dropoff_delay_ns


cdef void move(const SiteConfig* c, const Inputs* inp, RowTable* t, int row, bint seen, bint may_latch, int64_t now_ns) noexcept nogil:
    """The state table of one row."""
    cdef int64_t dropoff_delay_ns = c.row_dropoff_delay_ns[row] if may_latch else 0
    cdef double value = row_value(c, inp, row)
    cdef bint beyond = not seen or is_beyond(c, row, value)
    cdef bint turning = seen and is_back(c, row, value) if t.active[row] else beyond
    if not seen and c.row_blind[row] == BLIND_HOLDS:
        set_blind(t, row, now_ns)
        return
    if not turning:
        t.turning_ns[row] = 0
    else:
        t.turning_ns[row] = t.turning_ns[row] or now_ns
        if now_ns - t.turning_ns[row] >= (dropoff_delay_ns if t.active[row] else c.row_pickup_delay_ns[row]):
            t.turning_ns[row] = 0
            t.active[row] = not t.active[row]
            t.since_ns[row] = now_ns
    if t.blind[row]:
        see_again(t, row, beyond, dropoff_delay_ns, now_ns)


cdef void say(const SiteConfig* c, const Inputs* inp, EventSink* sink, int row, int code, int level, int64_t now_ns) noexcept nogil:
    # What could not be seen is no value: the reader must not take the last good one for the cause.
    emit(sink, now_ns, code, level, c.row_unit[row], row, -1, c.row_action[row],
         row_value(c, inp, row) if row_sees(c, inp, row, now_ns) else NAN, c.row_pickup[row])


cdef void tell(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, int row, bint may_latch, int64_t now_ns) noexcept nogil:
    """Each pickup once, with what was seen or that nothing was, its latch, and its drop-off; what only the start brought is not told."""
    cdef int level = LEVEL_WARNING if c.row_tier[row] == TIER_WARN else LEVEL_ALARM
    cdef int what = TOLD_ACTIVE if t.active[row] else TOLD_BLIND if t.blind[row] else 0
    if sink.count >= TICK_EVENTS - EVENTS_LEFT:
        return
    if may_latch and what > (t.told[row] & (TOLD_BLIND | TOLD_ACTIVE)):
        t.told[row] |= what
        say(c, inp, sink, row, EV_ROW_PICKUP, level, now_ns)
    elif what == 0 and t.told[row] & (TOLD_BLIND | TOLD_ACTIVE):
        t.told[row] &= TOLD_LATCHED
        say(c, inp, sink, row, EV_ROW_DROPOFF, LEVEL_INFO, now_ns)
    if t.latched[row] and not t.told[row] & TOLD_LATCHED:
        t.told[row] |= TOLD_LATCHED
        say(c, inp, sink, row, EV_ROW_LATCHED, LEVEL_ALARM, now_ns)


cdef void latch(RowTable* t, int row) noexcept nogil:
    # A row that is active again while its reset waits for the journal stays latched.
    if t.latched[row] and not t.resetting[row]:
        return
    if t.resetting[row]:
        t.retripped = <int16_t> row
    t.resetting[row] = 0
    t.latched_new = 1
    t.latched[row] = 1


cdef inline bint is_input(const SiteConfig* c, int row) noexcept nogil:
    return Q_INPUT_0 <= c.row_quantity[row] <= Q_INPUT_LAST


cdef bint pressed(const SiteConfig* c, const Inputs* inp, RowTable* t, int row, bint seen, int64_t now_ns) noexcept nogil:
    """R13: a digital input is seen active, and has been for its pickup delay. What is only unseen is not pressed."""
    if not (seen and is_input(c, row) and c.row_blind[row] == BLIND_TRIPS and is_beyond(c, row, row_value(c, inp, row))):
        t.pressed_ns[row] = 0
        return False
    t.pressed_ns[row] = t.pressed_ns[row] or now_ns
    return now_ns - t.pressed_ns[row] >= c.row_pickup_delay_ns[row]


# --- what a row does ----------------------------------------------------------------------------------------------------------------------

cdef double curve_share(const SiteConfig* c, int row, double x) noexcept nogil:
    """The polyline of a derating row at x, flat beyond its ends; x ascending."""
    cdef const double* xs = &c.row_curve_x[row * CURVE_POINTS]
    cdef const double* shares = &c.row_curve_share[row * CURVE_POINTS]
    cdef int n = c.row_curve_count[row]
    cdef int i
    if n < 1 or not isfinite(x):
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


cdef void derate(const SiteConfig* c, const Inputs* inp, RowTable* t, int row) noexcept nogil:
    cdef double share = 0 if t.blind[row] else curve_share(c, row, row_value(c, inp, row))
    if t.latched[row]:
        t.held_share[row] = share = min(t.held_share[row], share)
    lower_shares(t, c.row_unit[row], row, c.row_direction[row], share)


cdef void demand(const SiteConfig* c, const Inputs* inp, RowTable* t, int row) noexcept nogil:
    """What this row takes away now."""
    cdef int place = c.row_unit[row]
    cdef int action = c.row_action[row]
    cdef bint acts = t.active[row] or t.latched[row]
    if action == ACT_DERATE:
        derate(c, inp, t, row)
        return
    if action == ACT_WARN or not (acts or t.blind[row]):
        return
    if action == ACT_BLOCK:
        lower_shares(t, place, row, c.row_direction[row], 0)
        lower_shares(t, place, row, DIR_BOTH & ~c.row_direction[row], 1 - c.row_other_cut[row])
        return
    action = action if acts else ACT_ZERO
    if action > t.stop[place]:
        t.stop[place], t.row_stop[place] = <uint8_t> action, <int16_t> row
    if t.latched[row]:
        t.tripped[place] = 1


cdef void rows_update(const SiteConfig* c, const Inputs* inp, RowTable* t, EventSink* sink, bint may_latch, int64_t now_ns) noexcept nogil:
    cdef int row
    cdef bint seen, latches
    clear_demands(t)
    t.latched_new, t.input_lost, t.retripped = 0, 0, -1
    for row in range(c.n_rows):
        seen = row_sees(c, inp, row, now_ns)
        t.input_lost = t.input_lost or (not seen and is_input(c, row))
        move(c, inp, t, row, seen, may_latch, now_ns)
        latches = pressed(c, inp, t, row, seen, now_ns) or may_latch
        if t.active[row] and latches and c.row_reset[row] != RESET_AUTO:
            latch(t, row)
        tell(c, inp, t, sink, row, latches, now_ns)
        demand(c, inp, t, row)


# --- reset --------------------------------------------------------------------------------------------------------------------------------

cdef int rows_ask_reset(const SiteConfig* c, RowTable* t, bint local) noexcept nogil:
    cdef int row
    for row in range(c.n_rows):
        if t.latched[row] and (t.active[row] and not t.blind[row] or c.row_reset[row] == RESET_LOCAL and not local):
            return row
    for row in range(c.n_rows):
        t.resetting[row] = t.latched[row]
        if t.resetting[row] and t.blind[row]:
            t.active[row] = 0
    return -1


cdef void rows_keep(RowTable* t) noexcept nogil:
    memset(t.resetting, 0, sizeof(t.resetting))


cdef int rows_reset(const SiteConfig* c, RowTable* t) noexcept nogil:
    cdef int row
    cdef int cleared = 0
    for row in range(c.n_rows):
        if t.resetting[row]:
            t.latched[row] = t.resetting[row] = 0
            t.told[row] &= ~TOLD_LATCHED
            t.held_share[row] = 1
            cleared += 1
    return cleared
