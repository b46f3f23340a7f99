"""The point of common coupling in closed loop; the rules stand in pcc.pxd. Loop, nogil, bounded."""

from libc.math cimport INFINITY, NAN, fabs, isfinite, isnan, sqrt
from libc.string cimport memcpy, memset

from .layout cimport (
    DEV_UP, DIR_CHARGE, DIR_DISCHARGE, NS_PER_S, PLANT, QUANTITIES, Q_PCC_L1_A, Q_PCC_L1_V, Q_PCC_L1_W, Q_PCC_W,
)

cdef int64_t SPACING_NS = 20000000
cdef int64_t SETTLED_NS = 1000000000    # dead time and four lags of any PCS we drive
cdef int64_t REPEAT_NS = 1000000000
cdef double STILL_SHARE = 0.005         # of the rating: a command that moves less stands still
cdef double TRIM_SHARE = 0.05
cdef double TRIM_GAIN = 0.25            # of what is missing, with each sample
cdef double STEP_SHARE = 0.02           # of the rating: a movement that can tell a sign
cdef double SIGN_SHARE = 0.25
cdef int SIGN_COUNT = 3
cdef double SIGN_LEAST = -1.4           # the meter moved against us by about what we moved
cdef double SIGN_MOST = -0.6
cdef double WIDTH_SHARE = 0.5           # of our own movement: as far as it may be uncertain


cdef void pcc_init(Pcc* p, int64_t now_ns) noexcept nogil:
    memset(p, 0, sizeof(Pcc))
    p.phase, p.anchor_ns = METER_LOST, now_ns


cdef inline int parts(const SiteConfig* c) noexcept nogil:
    return PARTS if isfinite(c.pcc_phase_max_a) else 1


cdef double rated_w(const SiteConfig* c) noexcept nogil:
    cdef int unit
    cdef double w = 0
    for unit in range(c.n_units):
        w += c.unit_va_max[unit]
    return w


# --- what the BESS gave -----------------------------------------------------------------------------------------------------------------

cdef void remember(History* h, int64_t ns, double w) noexcept nogil:
    """A new measurement. One that follows too soon replaces the newest, so that the newest is always there."""
    cdef int before = (h.last + HISTORY - 1) % HISTORY
    if h.count and ns <= h.ns[h.last]:
        return
    if h.count < 2 or ns - h.ns[before] >= SPACING_NS:
        h.last = (h.last + 1) % HISTORY
        h.count = min(h.count + 1, <int> HISTORY)
    h.ns[h.last], h.w[h.last] = ns, w


cdef void range_of(const History* h, int64_t since_ns, int64_t until_ns, double* lo, double* hi) noexcept nogil:
    """Least and greatest from the last measurement at or before `since_ns` to the first at or after `until_ns`; both ends as far as there
    are measurements."""
    cdef int i, at
    lo[0] = hi[0] = h.w[h.last]
    for i in range(h.count):
        at = (h.last + HISTORY - i) % HISTORY
        if h.ns[at] >= until_ns:
            lo[0] = hi[0] = h.w[at]
        else:
            lo[0], hi[0] = min(lo[0], h.w[at]), max(hi[0], h.w[at])
        if h.ns[at] <= since_ns:
            break


cdef bint ess_range(const SiteConfig* c, const UnitTable* u, const Pcc* p, bint still, double* lo, double* hi) noexcept nogil:
    """What all units gave while the waiting sample was measured; False while a measurement behind it is still to come."""
    cdef int unit
    cdef double unit_lo, unit_hi
    lo[0] = hi[0] = 0
    for unit in range(c.n_units):
        if not u.heard[unit]:
            lo[0] += u.giving_lo_w[unit]
            hi[0] += u.giving_hi_w[unit]
            continue
        if p.unit[unit].ns[p.unit[unit].last] < p.asked_ns and not still:
            return False
        range_of(&p.unit[unit], p.since_ns, p.asked_ns, &unit_lo, &unit_hi)
        lo[0] += unit_lo
        hi[0] += unit_hi
    return True


# --- samples ------------------------------------------------------------------------------------------------------------------------------

cdef double room(const Inputs* inp, double limit_a, int phase) noexcept nogil:
    """The active power that a phase may carry beside the reactive power it carries now; NaN when that is not measured."""
    cdef int at = PLANT * QUANTITIES + phase
    cdef double v = inp.value[at + Q_PCC_L1_V]
    cdef double va = v * inp.value[at + Q_PCC_L1_A]
    cdef double w = inp.value[at + Q_PCC_L1_W]
    if not (isfinite(va) and isfinite(w)):
        return NAN
    return sqrt(max(0.0, v * limit_a * v * limit_a - max(0.0, va * va - w * w)))


cdef bint read_sample(const SiteConfig* c, const Inputs* inp, double* w, double* rooms) noexcept nogil:
    """The meter's powers now; False when one that is needed is missing or no number."""
    cdef int phase
    w[0] = inp.value[PLANT * QUANTITIES + Q_PCC_W]
    rooms[0] = 0
    for phase in range(parts(c) - 1):
        w[1 + phase] = inp.value[PLANT * QUANTITIES + Q_PCC_L1_W + phase]
        rooms[1 + phase] = room(inp, c.pcc_phase_max_a, phase)
        if not isfinite(rooms[1 + phase]):
            return False
    return isfinite(w[0])


cdef bint repeats(const SiteConfig* c, const Pcc* p, const double* w) noexcept nogil:
    cdef int i
    for i in range(parts(c)):
        if w[i] != p.heard_w[i]:
            return False
    return p.heard_ns > 0


cdef void hear(const SiteConfig* c, const Inputs* inp, Pcc* p) noexcept nogil:
    """A sample that came: it renews the age; if it is new it waits to be taken. While one waits others are let go."""
    cdef double[PARTS] w
    cdef double[PARTS] rooms
    cdef int64_t asked = inp.sampled_ns[PLANT * QUANTITIES + Q_PCC_W]
    cdef int64_t since = asked
    if inp.meter_state != DEV_UP or asked <= p.heard_ns or not read_sample(c, inp, w, rooms):
        return
    if repeats(c, p, w):
        p.repeated_ns = asked
        p.heard_ns = asked
        if asked - p.taken_ns < REPEAT_NS:
            return
        since = asked - REPEAT_NS
    elif p.repeated_ns:
        since, p.repeated_ns = p.repeated_ns, 0
    p.heard_ns = asked
    memcpy(p.heard_w, w, sizeof(w))
    if p.asked_ns == 0:
        p.asked_ns, p.since_ns = asked, since - c.meter_delay_ns
        memcpy(p.sample_w, w, sizeof(w))
        memcpy(p.sample_room_w, rooms, sizeof(rooms))


cdef void correct(const SiteConfig* c, Pcc* p, double ess_lo, double ess_hi) noexcept nogil:
    """The rest, moved as far as the sample proves it wrong; the first one is taken as it is."""
    cdef int i
    cdef double share, lo, hi
    for i in range(parts(c)):
        share = 1.0 if i == 0 else 1.0 / 3
        lo, hi = p.sample_w[i] - ess_hi * share, p.sample_w[i] - ess_lo * share
        p.rest_w[i] = min(max(p.rest_w[i], lo), hi) if p.known else 0.5 * (lo + hi)
        p.room_w[i] = p.sample_room_w[i]


cdef void watch_sign(const SiteConfig* c, Pcc* p, double ess_w, double width_w) noexcept nogil:
    cdef double own = ess_w - p.seen_ess_w
    cdef double answer = p.sample_w[0] - p.seen_pcc_w
    cdef double ratio
    cdef bint first = not p.known
    if not first and width_w > WIDTH_SHARE * fabs(own):
        return      # caught in the middle of a movement: the next sample tells of all of it
    p.seen_ess_w, p.seen_pcc_w = ess_w, p.sample_w[0]
    if first or not p.used:
        p.wrong_w, p.wrong_count = 0, 0
        return
    if fabs(own) < STEP_SHARE * rated_w(c):
        return
    ratio = answer / own
    if SIGN_LEAST <= ratio <= SIGN_MOST:
        p.wrong_w += fabs(own)
        p.wrong_count += 1
    elif ratio > 0:
        p.wrong_w -= fabs(own) * min(ratio, 1.0)
    if p.wrong_w <= 0:
        p.wrong_w, p.wrong_count = 0, 0
    if p.wrong_count >= SIGN_COUNT and p.wrong_w >= SIGN_SHARE * rated_w(c):
        p.wrong, p.wrong_w, p.wrong_count = 1, 0, 0


cdef void learn_trim(const SiteConfig* c, const UnitTable* u, Pcc* p, bint still, double ess_w) noexcept nogil:
    cdef int unit
    cdef double most = TRIM_SHARE * rated_w(c)
    for unit in range(c.n_units):
        if not u.follows[unit]:
            p.trim_w = 0
            return
    if still and p.command_w != 0:
        p.trim_w += TRIM_GAIN * (min(max(p.command_w - ess_w, -most), most) - p.trim_w)


cdef void take(const SiteConfig* c, const UnitTable* u, Pcc* p, int64_t now_ns) noexcept nogil:
    cdef double lo, hi
    cdef bint still = now_ns - p.anchor_ns >= SETTLED_NS
    if p.asked_ns == 0 or not ess_range(c, u, p, still, &lo, &hi):
        return
    watch_sign(c, p, 0.5 * (lo + hi), hi - lo)
    correct(c, p, lo, hi)
    learn_trim(c, u, p, still, 0.5 * (lo + hi))
    p.known, p.taken_ns, p.asked_ns = 1, p.asked_ns, 0


# --- age ----------------------------------------------------------------------------------------------------------------------------------

cdef void grow_old(const SiteConfig* c, Pcc* p, double ramp_w, int64_t elapsed_ns, int64_t now_ns) noexcept nogil:
    cdef int64_t age = now_ns - p.heard_ns
    cdef double fade = c.ramp_w_per_s * <double> elapsed_ns * 1e-9
    if not p.known:
        p.phase, p.keep_w = METER_LOST, 0
    elif age <= c.meter_age_ns:
        p.phase, p.keep_w = METER_FRESH, ramp_w
    elif age <= c.meter_hold_ns:
        p.phase = METER_HELD
        # What was given up meanwhile does not come back on an old sample's word.
        p.keep_w = min(p.keep_w, max(0.0, ramp_w)) if p.keep_w > 0 else max(p.keep_w, min(0.0, ramp_w))
    else:
        p.phase = METER_LOST
        p.keep_w = max(0.0, p.keep_w - fade) if p.keep_w > 0 else min(0.0, p.keep_w + fade)


cdef void pcc_update(const SiteConfig* c, const Inputs* inp, const UnitTable* u, Pcc* p, double ramp_w, int64_t now_ns) noexcept nogil:
    cdef int unit
    if not c.has_meter:
        return
    for unit in range(c.n_units):
        if u.heard[unit]:
            remember(&p.unit[unit], u.measured_ns[unit], u.measured_w[unit])
    hear(c, inp, p)
    take(c, u, p, now_ns)
    grow_old(c, p, ramp_w, <int64_t> (NS_PER_S / c.rate_hz), now_ns)


cdef void pcc_note(const SiteConfig* c, Pcc* p, double command_w, int64_t now_ns) noexcept nogil:
    if command_w * p.command_w < 0 or command_w == 0:
        p.trim_w = 0
    p.command_w = command_w
    if fabs(command_w - p.anchor_w) > STILL_SHARE * rated_w(c):
        p.anchor_w, p.anchor_ns = command_w, now_ns


# --- limits and targets ---------------------------------------------------------------------------------------------------------------------

cdef double side(const Pcc* p, double by_rest, double worst, double keep, bint force) noexcept nogil:
    """The least power for a lower limit, by what is known or by the worst case; above 0 only by force. An upper limit is a lower one with
    every sign turned."""
    cdef double least = by_rest if p.known else 0
    if p.phase == METER_FRESH:
        return least if force else min(0.0, least)
    if force and least > 0 and (p.phase == METER_HELD or keep > 0):
        return min(least, max(0.0, keep))
    if p.phase == METER_LOST:
        # A worst case that the site does not state leaves nothing.
        least = min(0.0 if isnan(worst) else worst, keep)
    return min(0.0, least)


cdef void pcc_bounds(const SiteConfig* c, const Pcc* p, double pcc_lo, double pcc_hi, int force, double* lo, double* hi) noexcept nogil:
    cdef double shift = p.trim_w - p.rest_w[0]
    lo[0], hi[0] = -INFINITY, INFINITY
    if isfinite(pcc_lo):
        lo[0] = side(p, pcc_lo + shift, pcc_lo + c.load_max_w, p.keep_w, force & DIR_DISCHARGE)
    if isfinite(pcc_hi):
        hi[0] = -side(p, -(pcc_hi + shift), -(pcc_hi - c.pv_max_w), -p.keep_w, force & DIR_CHARGE)


cdef void phase_bounds(const Pcc* p, int phase, double* lo, double* hi) noexcept nogil:
    lo[0], hi[0] = 3 * (-p.room_w[phase] - p.rest_w[phase]) + p.trim_w, 3 * (p.room_w[phase] - p.rest_w[phase]) + p.trim_w
    lo[0], hi[0] = min(0.0, lo[0]), max(0.0, hi[0])


cdef double pcc_target(const Pcc* p, double target_w) noexcept nogil:
    cdef double w = target_w - p.rest_w[0] + p.trim_w if p.known else 0
    if p.phase == METER_FRESH:
        return w
    if p.phase == METER_LOST:
        return p.keep_w
    return min(max(w, min(0.0, p.keep_w)), max(0.0, p.keep_w))
