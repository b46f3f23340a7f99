"""The power conversion system: what the registers order becomes power at the AC terminals.

Reactive power: VarSet where it is enabled, else the power factor of the direction in which active power is ordered, else none.

Order of work: registers -> settings of 702 and WMaxLimPct -> P-Q circle -> ramp -> dead time -> first-order lag -> P-Q circle again
-> what the battery can give. The lag keeps a convex mixture of ordered points, so it cannot leave the circle; the ramp can, which
is what the second circle is for. WMaxLimPct limits both directions.

States (SunSpec 701 InvSt):
- OFF. Wants to run, 703 ES permitted, grid inside the enter-service window for ESDlyTms, contactors closed, nothing latched: STARTING.
- STARTING, for start_s: then STANDBY if standby is wanted, else RUNNING.
- RUNNING follows the set point. THROTTLED is RUNNING where a limit cuts the set point (shown, not a state of its own).
- SHUTTING_DOWN: ordered to 0 W; below 0.5 % of the rating: STANDBY if standby is wanted and running is permitted, else OFF.
- STANDBY: connected, 0 W. OpCtl 3 or 1 leaves it, through STARTING with exit_standby_s.
- FAULT: 0 W at once. AlarmReset leaves it to OFF when no cause is left, with running no longer wanted: a release never restarts.
A grid trip is no fault: power stops at once, the state is OFF, and the enter-service rule starts it again.

OpCtl (715): 0 stop; 1 start, out of standby too; 2 enter standby, from OFF as well; 3 exit standby, which does not start a stopped PCS.
ControllerHb (715): once it has been written, standing still for controller_timeout_s means 0 W (until it moves) or standby.
"""

from libc.math cimport exp, fabs, fmax, fmin, isnan, sqrt
from libc.stdint cimport uint32_t

from bessctl_core.sim.battery cimport battery_max_w, battery_min_w
from bessctl_core.sim.types cimport (
    DELAY_MAX, ST_FAULT, ST_OFF, ST_RUNNING, ST_SHUTTING_DOWN, ST_STANDBY, ST_STARTING, ST_THROTTLED, Battery, Grid, Pcs, PcsControls,
)

# 701 Alrm bits
cdef uint32_t AL_DC_DISCONNECT = 1 << 3
cdef uint32_t AL_GRID_DISCONNECT = 1 << 4
cdef uint32_t AL_MANUFACTURER = 1 << 16
cdef uint32_t[4] ROW_ALARM = [1 << 10, 1 << 11, 1 << 8, 1 << 9]


cdef void pcs_prepare(Pcs* p, double dt_s) noexcept nogil:
    """Constants that depend on the step; call once, and again after the parameters changed."""
    cdef double steps = p.par.dead_time_s / dt_s + 0.5
    p.delay_n = <int>fmin(fmax(steps, 0.0), DELAY_MAX - 1)
    p.delay_at = 0
    p.lag_a = 1.0 - exp(-dt_s / p.par.lag_s) if p.par.lag_s > 0.0 else 1.0


cdef double clamp(double x, double lo, double hi) noexcept nogil:
    return fmin(fmax(x, lo), hi)


cdef double ramp(double now, double goal, double step) noexcept nogil:
    return clamp(goal, now - step, now + step) if step > 0.0 else goal


cdef double row_value(const Pcs* p, const Grid* g, int row) noexcept nogil:
    """How far beyond its threshold; positive = beyond."""
    cdef double pu = g.v / p.par.v_nom
    if p.row_kind[row] == 0:
        return pu - p.row_at[row]
    if p.row_kind[row] == 1:
        return p.row_at[row] - pu
    if p.row_kind[row] == 2:
        return g.hz - p.row_at[row]
    return p.row_at[row] - g.hz


cdef bint grid_trips(Pcs* p, const Grid* g, double dt_s) noexcept nogil:
    cdef int row
    cdef bint trip = False
    for row in range(p.rows):
        if row_value(p, g, row) <= 0.0:
            p.row_s[row] = 0.0
            continue
        p.alarms |= ROW_ALARM[p.row_kind[row]]
        p.row_s[row] += dt_s
        trip = trip or p.row_s[row] >= p.row_delay_s[row]
    if g.v < 0.1 * p.par.v_nom:
        p.alarms |= AL_GRID_DISCONNECT
        trip = True
    return trip


cdef void supervise(Pcs* p, double dt_s) noexcept nogil:
    p.heartbeat_age_s += dt_s
    if not p.heartbeat_seen or p.par.controller_timeout_s <= 0.0:
        return
    if p.heartbeat_age_s < p.par.controller_timeout_s - 1e-9:
        return
    p.alarms |= AL_MANUFACTURER
    if not p.heartbeat_lost and p.par.controller_standby != 0.0:
        p.standby_wanted = 1
    p.heartbeat_lost = 1


cdef bint may_enter(const Pcs* p, const Grid* g, const Battery* b) noexcept nogil:
    cdef double pct = 100.0 * g.v / p.par.v_nom
    if not p.run_wanted or not p.ctl.es or p.latched or p.injected_fault or not b.contactor:
        return False
    return p.ctl.es_v_lo_pct <= pct <= p.ctl.es_v_hi_pct and p.ctl.es_hz_lo <= g.hz <= p.ctl.es_hz_hi


cdef void start(Pcs* p, double seconds) noexcept nogil:
    p.state = ST_STARTING
    p.state_s = seconds


cdef void stop_now(Pcs* p, int state) noexcept nogil:
    """Cease to energise: no ramp, no lag, and no order of before is still under way in the dead time."""
    cdef int i
    p.state = state
    p.w = 0.0
    p.var = 0.0
    p.ramped_w = 0.0
    p.ramped_var = 0.0
    for i in range(p.delay_n):
        p.delay_w[i] = 0.0
        p.delay_var[i] = 0.0


cdef void faults(Pcs* p, const Battery* b) noexcept nogil:
    if p.state not in (ST_OFF, ST_FAULT) and not b.contactor:
        p.latched |= AL_DC_DISCONNECT
    p.latched |= p.injected_fault
    p.alarms |= p.latched
    if p.latched and p.state != ST_FAULT:
        stop_now(p, ST_FAULT)


cdef void advance_state(Pcs* p, bint enter, double dt_s) noexcept nogil:
    cdef bint stay = p.run_wanted and p.ctl.es
    if p.state == ST_OFF:
        p.es_left_s = p.es_left_s - dt_s if enter else p.ctl.es_delay_s
        if enter and p.es_left_s <= 1e-9:
            p.es_left_s = 0.0
            start(p, p.par.start_s)
    elif p.state == ST_STARTING:
        p.state_s -= dt_s
        if not stay:
            p.state = ST_OFF
        elif p.state_s <= 1e-9:
            p.state = ST_STANDBY if p.standby_wanted else ST_RUNNING
    elif p.state == ST_RUNNING:
        if not stay or p.standby_wanted:
            p.state = ST_SHUTTING_DOWN
    elif p.state == ST_SHUTTING_DOWN:
        if fabs(p.w) < 0.005 * p.par.w_max:
            stop_now(p, ST_STANDBY if stay and p.standby_wanted else ST_OFF)
        elif stay and not p.standby_wanted:
            p.state = ST_RUNNING
    elif p.state == ST_STANDBY:
        if not stay:
            p.state = ST_OFF
        elif not p.standby_wanted:
            start(p, p.par.exit_standby_s)


cdef double ordered_var(const PcsControls* c, double w) noexcept nogil:
    cdef double left, pf
    if c.var_ena:
        left = sqrt(fmax(0.0, c.va_max * c.va_max - w * w))
        if c.var_mode == 4:
            return c.var_var
        if c.var_mode == 1:
            return c.var_pct / 100.0 * (c.var_inj_max if c.var_pct > 0.0 else c.var_abs_max)
        return c.var_pct / 100.0 * (c.w_max if c.var_mode == 0 else left if c.var_mode == 2 else c.va_max)
    if w == 0.0 or not c.pf_ena[0 if w > 0.0 else 1]:
        return 0.0
    pf = c.pf[0 if w > 0.0 else 1]
    left = fabs(w) * sqrt(fmax(0.0, 1.0 - pf * pf)) / fmax(1e-3, fabs(pf))
    return left if pf > 0.0 else -left


cdef void order(Pcs* p) noexcept nogil:
    """What the registers order, within every setting and the circle; p.throttled where a limit cut it."""
    cdef double share = p.ctl.wlim_pct / 100.0 if p.ctl.wlim_ena else 1.0
    cdef double cap = fmin(p.ctl.va_max, p.ctl.w_max * share)
    cdef double w = p.ctl.w_w if p.ctl.w_ena else 0.0
    cdef double q = 0.0
    cdef double asked = w
    if p.state != ST_RUNNING or (p.heartbeat_lost and p.par.controller_standby == 0.0):
        w = 0.0
        asked = 0.0
    w = clamp(w, -fmin(p.ctl.charge_w_max, cap), fmin(p.ctl.discharge_w_max, cap))
    if p.state == ST_RUNNING and not (p.heartbeat_lost and p.par.controller_standby == 0.0):
        q = ordered_var(&p.ctl, w)
    q = clamp(q, -fmin(p.ctl.var_abs_max, p.ctl.va_max), fmin(p.ctl.var_inj_max, p.ctl.va_max))
    circle(p.ctl.va_max, p.ctl.var_first, &w, &q)
    p.throttled = w != asked
    p.order_w = w
    p.order_var = q


cdef void circle(double va, int var_first, double* w, double* q) noexcept nogil:
    cdef double s2 = w[0] * w[0] + q[0] * q[0]
    cdef double room
    if s2 <= va * va:
        return
    if var_first:
        room = sqrt(fmax(0.0, va * va - q[0] * q[0]))
        w[0] = clamp(w[0], -room, room)
    else:
        room = sqrt(fmax(0.0, va * va - w[0] * w[0]))
        q[0] = clamp(q[0], -room, room)
    s2 = w[0] * w[0] + q[0] * q[0]
    if s2 > va * va:                    # the first in rank alone is outside: the set was made smaller while power flowed
        w[0] *= va / sqrt(s2)
        q[0] *= va / sqrt(s2)


cdef void follow(Pcs* p, const Battery* b, double dt_s) noexcept nogil:
    cdef double goal_w, goal_q
    p.ramped_w = ramp(p.ramped_w, p.order_w, p.ctl.ramp_w_per_s * dt_s)
    p.ramped_var = p.order_var
    goal_w = p.ramped_w
    goal_q = p.ramped_var
    if p.delay_n > 0:
        goal_w = p.delay_w[p.delay_at]
        goal_q = p.delay_var[p.delay_at]
        p.delay_w[p.delay_at] = p.ramped_w
        p.delay_var[p.delay_at] = p.ramped_var
        p.delay_at = (p.delay_at + 1) % p.delay_n
    if p.wrong_sign:
        goal_w = -goal_w
    if not p.ignore_setpoints:
        p.w += (goal_w - p.w) * p.lag_a
        p.var += (goal_q - p.var) * p.lag_a
    circle(p.ctl.va_max, p.ctl.var_first, &p.w, &p.var)
    p.w = clamp(p.w, fmin(0.0, battery_min_w(b)), battery_max_w(b) * 0.97)
    if p.state not in (ST_RUNNING, ST_SHUTTING_DOWN):
        p.w = 0.0
        p.var = 0.0


cdef void account(Pcs* p, double dt_s) noexcept nogil:
    cdef double hours = dt_s / 3600.0
    cdef double s = sqrt(p.w * p.w + p.var * p.var)
    cdef double share = s / p.par.va_max
    cdef bint switching = p.state in (ST_RUNNING, ST_SHUTTING_DOWN)
    p.loss_w = p.par.loss_fixed_w + p.par.loss_linear * s + p.par.loss_quadratic * share * share if switching else 0.0
    p.dc_w = p.w + p.loss_w
    p.loss_wh += p.loss_w * hours
    p.inj_wh += fmax(p.w, 0.0) * hours
    p.abs_wh += fmax(-p.w, 0.0) * hours
    p.inj_varh += fmax(p.var, 0.0) * hours
    p.abs_varh += fmax(-p.var, 0.0) * hours
    p.sink_c += (25.0 + 35.0 * share * share - p.sink_c) * fmin(1.0, dt_s / 120.0)
    if not isnan(p.pin_sink_c):
        p.sink_c = p.pin_sink_c


cdef void pcs_step(Pcs* p, const Grid* grid, const Battery* bat, double dt_s) noexcept nogil:
    """One step of the converter. p.w, p.var and p.dc_w hold over the step; the battery is stepped with p.dc_w afterwards."""
    cdef bint trip
    p.alarms = 0
    supervise(p, dt_s)
    trip = grid_trips(p, grid, dt_s)
    faults(p, bat)
    if trip and p.state not in (ST_OFF, ST_FAULT):
        stop_now(p, ST_OFF)
    advance_state(p, may_enter(p, grid, bat) and not trip, dt_s)
    order(p)
    follow(p, bat, dt_s)
    account(p, dt_s)


cdef void pcs_order(Pcs* p, int op_ctl) noexcept nogil:
    if op_ctl == 0:
        p.run_wanted = 0
        p.standby_wanted = 0
    elif op_ctl == 1:
        p.run_wanted = 1
        p.standby_wanted = 0
    elif op_ctl == 2:
        p.run_wanted = 1
        p.standby_wanted = 1
    elif op_ctl == 3:
        p.standby_wanted = 0


cdef void pcs_reset(Pcs* p) noexcept nogil:
    """715 AlarmReset. A cause that is still there latches again at the next step."""
    p.latched = 0
    if p.state == ST_FAULT:
        p.state = ST_OFF
        p.run_wanted = 0
        p.standby_wanted = 0
        p.es_left_s = p.ctl.es_delay_s


cdef int pcs_feed(Pcs* p, unsigned int heartbeat) noexcept nogil:
    """ControllerHb written. Only a changed value counts. Returns 1 when this ended a loss."""
    cdef int back = 0
    if p.heartbeat_seen and heartbeat == p.heartbeat:
        return 0
    back = p.heartbeat_lost
    p.heartbeat_seen = 1
    p.heartbeat = heartbeat
    p.heartbeat_age_s = 0.0
    p.heartbeat_lost = 0
    return back


cdef int pcs_shown_state(const Pcs* p) noexcept nogil:
    return ST_THROTTLED if p.state == ST_RUNNING and p.throttled else p.state
