"""Energy registers; the rules stand in energy.pxd. Loop, nogil, bounded."""

from libc.math cimport NAN, fabs, isfinite, isnan
from libc.string cimport memset

from .events cimport LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport EV_ENERGY, NS_PER_S, PLANT, QUANTITIES, Q_AC_W, Q_EXPORT_WH, Q_IMPORT_WH, Q_PCC_W
from .units cimport unit_sees

cdef double WH_PER_W_NS = 1.0 / 3.6e12
cdef double AHEAD_STEPS = 2
cdef double STUCK_STEPS = 4
cdef double CHECK_STEPS = 200
cdef double FADE = 0.99               # of the step, with each advance
cdef int64_t READ_NS = 5 * <int64_t> NS_PER_S    # a counter that was not read for so long is not waited for
cdef int64_t STUCK_NS = 60 * <int64_t> NS_PER_S
cdef double DIFFERS_SHARE = 0.05
cdef double POWER_MARGIN = 1.2          # of the rating: more cannot have flowed
cdef int64_t UNKNOWN_OFF_NS = 86400 * <int64_t> NS_PER_S
cdef double RANGE_32 = 4294967296.0
cdef double ROLL_SHARE = 0.1           # of its range: nearer to its end a counter must have been
cdef double STEP_WH = 1000              # the largest step of a counter whose step is not known yet


# --- start --------------------------------------------------------------------------------------------------------------------------------

cdef inline uint64_t key_of(const SiteConfig* c, int unit) noexcept nogil:
    """Who a unit is; one that was sealed without a key is its place in the list."""
    return c.unit_key[unit] if c.unit_key[unit] else <uint64_t> unit + 1


cdef int place_for(const SiteConfig* c, const Energy* e, uint64_t key) noexcept nogil:
    """Where a journalled unit stands now: its own place, a free one behind the units, or -1."""
    cdef int place
    for place in range(MAX_UNITS):
        if e.key[place] == key:
            return place
    for place in range(c.n_units, MAX_UNITS):
        if e.key[place] == 0:
            return place
    return -1


cdef void recall(Energy* e, const JournalRecord* journal, int place, int journalled) noexcept nogil:
    e.of[IMPORT][place].wh, e.of[EXPORT][place].wh = journal.import_wh[journalled], journal.export_wh[journalled]
    e.of[IMPORT][place].seen_wh, e.of[EXPORT][place].seen_wh = journal.import_seen_wh[journalled], journal.export_seen_wh[journalled]


cdef void energy_init(const SiteConfig* c, Energy* e, const JournalRecord* journal, int64_t off_ns) noexcept nogil:
    cdef int place, way, at
    memset(e, 0, sizeof(Energy))
    e.off_ns = off_ns
    for way in range(2):
        for place in range(PLACES):
            e.of[way][place].seen_wh = NAN
    for place in range(c.n_units):
        e.key[place] = key_of(c, place)
    if journal == NULL:
        return
    recall(e, journal, PLANT, PLANT)
    for place in range(MAX_UNITS):
        at = place_for(c, e, journal.unit_key[place]) if journal.unit_key[place] else -1
        if at >= 0:
            e.key[at] = journal.unit_key[place]
            recall(e, journal, at, place)


cdef void energy_fill(const Energy* e, JournalRecord* record) noexcept nogil:
    cdef int place
    for place in range(MAX_UNITS):
        record.unit_key[place] = e.key[place]
    for place in range(PLACES):
        record.import_wh[place], record.export_wh[place] = e.of[IMPORT][place].wh, e.of[EXPORT][place].wh
        record.import_seen_wh[place], record.export_seen_wh[place] = e.of[IMPORT][place].seen_wh, e.of[EXPORT][place].seen_wh


# --- the counter ----------------------------------------------------------------------------------------------------------------------------

cdef double possible_wh(const SiteConfig* c, const Energy* e, const Register* r, int way, int place, int64_t sampled_ns) noexcept nogil:
    """The most that a counter can have advanced: what was measured since it did, the rated power while nobody looked, and its step."""
    cdef int unit
    cdef double rated = 0
    cdef int64_t off = e.off_ns if e.off_ns >= 0 else UNKNOWN_OFF_NS
    cdef int64_t unseen = sampled_ns - r.seen_ns if r.seen_ns else off + 60 * <int64_t> NS_PER_S
    if place < PLANT:
        rated = c.unit_va_max[place]
    else:
        rated = c.pcc_import_max_w if way == IMPORT else c.pcc_export_max_w
        if not isfinite(rated):
            rated = 0
            for unit in range(c.n_units):
                rated += 10 * c.unit_va_max[unit]
    return POWER_MARGIN * (rated * <double> max(unseen, <int64_t> NS_PER_S) * WH_PER_W_NS + r.since_wh) + max(2 * r.step_wh, STEP_WH)


cdef double around(double seen_wh, double value_wh, double possible) noexcept nogil:
    """The advance of a counter that rolled over between two readings; NaN when no range explains it."""
    cdef double span = RANGE_32 * 1e-3
    cdef double decimal = 1e5
    cdef int k
    for k in range(8):
        if 0 <= value_wh + span - seen_wh <= min(possible, ROLL_SHARE * span):
            return value_wh + span - seen_wh
        if 0 <= value_wh + decimal - seen_wh <= min(possible, ROLL_SHARE * decimal):
            return value_wh + decimal - seen_wh
        span, decimal = span * 10, decimal * 10
    return NAN


cdef void tell(Register* r, EventSink* sink, int place, int fault, double value, double expected, int64_t now_ns) noexcept nogil:
    emit(sink, now_ns, EV_ENERGY, LEVEL_INFO if fault == ENERGY_ROLLED else LEVEL_WARNING, place, -1, -1, fault, value, expected)


cdef double advance(const SiteConfig* c, Energy* e, Register* r, EventSink* sink, int way, int place, double value, int64_t sampled_ns,
                    int64_t now_ns) noexcept nogil:
    """How far the counter came since the reading before; 0 for one that is read anew."""
    cdef double possible, moved
    if isnan(r.seen_wh):
        return 0
    possible = possible_wh(c, e, r, way, place, sampled_ns)
    moved = value - r.seen_wh
    if moved < 0:
        moved = around(r.seen_wh, value, possible)
        if isfinite(moved):
            tell(r, sink, place, ENERGY_ROLLED, value, r.seen_wh, now_ns)
    if moved <= possible:
        return moved
    tell(r, sink, place, ENERGY_REPLACED, value, r.seen_wh, now_ns)
    r.ahead_wh, r.step_wh, r.since_wh, r.checked_wh, r.integral_wh, r.stuck = 0, 0, 0, 0, 0, 0
    return 0


cdef void compare(Register* r, EventSink* sink, int place, double moved, int64_t now_ns) noexcept nogil:
    """The cross-check: over many steps counter and integral tell the same."""
    cdef bint differs
    r.checked_wh += moved
    if r.stuck:
        r.checked_wh = r.integral_wh = 0
    if r.step_wh == 0 or max(r.checked_wh, r.integral_wh) < CHECK_STEPS * r.step_wh:
        return
    differs = fabs(r.checked_wh - r.integral_wh) > DIFFERS_SHARE * max(r.checked_wh, r.integral_wh)
    if differs and not r.differs:
        tell(r, sink, place, ENERGY_DIFFERS, r.checked_wh, r.integral_wh, now_ns)
    r.differs, r.checked_wh, r.integral_wh = differs, 0, 0


cdef void take_counter(const SiteConfig* c, const Inputs* inp, Energy* e, EventSink* sink, int way, int place, int64_t now_ns) noexcept nogil:
    cdef Register* r = &e.of[way][place]
    cdef int at = place * QUANTITIES + (Q_IMPORT_WH if way == IMPORT else Q_EXPORT_WH)
    cdef double value = inp.value[at]
    cdef double moved
    if inp.sampled_ns[at] <= r.seen_ns or not isfinite(value):
        return
    moved = advance(c, e, r, sink, way, place, value, inp.sampled_ns[at], now_ns)
    r.seen_wh, r.seen_ns = value, inp.sampled_ns[at]
    if moved > 0:
        compare(r, sink, place, moved, now_ns)
        r.step_wh = max(FADE * r.step_wh, moved)
        r.moved_ns = now_ns
        r.wh += max(0.0, moved - r.ahead_wh)
        r.ahead_wh = max(0.0, r.ahead_wh - moved)
        r.since_wh, r.held_wh, r.stuck = 0, 0, 0


# --- the integral ---------------------------------------------------------------------------------------------------------------------------

cdef bint waits(Register* r, EventSink* sink, int place, int64_t now_ns) noexcept nogil:
    """The register is far enough ahead of a counter that is read and moves."""
    if r.step_wh <= 0 or r.stuck or now_ns - r.seen_ns > READ_NS:
        return False
    if r.since_wh > STUCK_STEPS * r.step_wh and now_ns - r.moved_ns > STUCK_NS:
        tell(r, sink, place, ENERGY_STUCK, r.seen_wh, r.since_wh, now_ns)
        r.stuck, r.checked_wh, r.integral_wh = 1, 0, 0
        return False
    return r.ahead_wh > AHEAD_STEPS * r.step_wh


cdef void integrate(Register* r, EventSink* sink, int place, double wh, int64_t now_ns) noexcept nogil:
    r.integral_wh += wh
    r.since_wh += wh
    r.held_wh += wh
    if wh == 0 or waits(r, sink, place, now_ns):
        return
    r.wh += r.held_wh
    if not isnan(r.seen_wh):
        r.ahead_wh += r.held_wh
    r.held_wh = 0


cdef void energy_update(const SiteConfig* c, const Inputs* inp, Energy* e, EventSink* sink, int64_t elapsed_ns, int64_t now_ns) noexcept nogil:
    cdef int place
    cdef double wh
    for place in range(PLACES):
        if c.n_units <= place < PLANT or (place == PLANT and not c.has_meter):
            continue
        if place < PLANT:
            wh = inp.value[place * QUANTITIES + Q_AC_W] if unit_sees(c, inp, place, Q_AC_W, now_ns) else 0
        else:
            wh = inp.value[PLANT * QUANTITIES + Q_PCC_W] if meter_sees(c, inp, now_ns) else 0
        wh *= <double> elapsed_ns * WH_PER_W_NS
        integrate(&e.of[EXPORT if wh > 0 else IMPORT][place], sink, place, fabs(wh), now_ns)
        take_counter(c, inp, e, sink, IMPORT, place, now_ns)
        take_counter(c, inp, e, sink, EXPORT, place, now_ns)


cdef inline bint meter_sees(const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int at = PLANT * QUANTITIES + Q_PCC_W
    return inp.sampled_ns[at] > 0 and now_ns - inp.sampled_ns[at] <= c.meter_age_ns and isfinite(inp.value[at])
