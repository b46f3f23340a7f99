"""The battery and its management system: an equivalent circuit, a heat balance, limits, contactors and trips.

Circuit of the pack: V = OCV(SoC) - V1 - R0 I, one RC branch for V1, I positive for discharge. SoC is the coulomb count. Losses in
R0 and R1 heat one thermal mass. Age takes capacity and adds resistance: by time and by charge turned over, both along straight lines. Two extreme cells stand for the spread: one with more charge, one with less, both with more
resistance; their voltages are what a BMS reports as CellVMax and CellVMin.

The BMS: DISCONNECTED --connect--> INITIALIZING --close_s--> CONNECTED --disconnect--> SUSPENDING --open_s--> DISCONNECTED.
A row beyond its limit for its delay latches its Evt1 bit, opens the contactors whatever flows, and ends in FAULT; a reset leaves
FAULT once no row is beyond its limit any more, to DISCONNECTED (never back to CONNECTED by itself). The limits AChaMax and
ADisChaMax are the nameplate times the lower of the SoC and temperature factors, moved at most limit_slew_pct_per_s.
"""

from libc.math cimport exp, fabs, fmax, fmin, isnan, sqrt
from libc.stdint cimport uint32_t

from bessctl_core.sim.types cimport (
    BANK_CONNECTED, BANK_DISCONNECTED, BANK_FAULT, BANK_INITIALIZING, BANK_SUSPENDING, BMS_ROWS, Battery, Polyline,
)

# 802 Evt1 bits of the rows, in the order of row_excess(): alarm, and warning (its neighbour)
cdef uint32_t[BMS_ROWS] ROW_ALARM = [1 << 5, 1 << 7, 1 << 9, 1 << 11, 1 << 1, 1 << 3]


cdef double poly(const Polyline* p, double x) noexcept nogil:
    cdef int i = 1
    if p.n == 0:
        return 1.0
    if x <= p.x[0]:
        return p.y[0]
    while i < p.n:
        if x <= p.x[i]:
            return p.y[i - 1] + (p.y[i] - p.y[i - 1]) * (x - p.x[i - 1]) / (p.x[i] - p.x[i - 1])
        i += 1
    return p.y[p.n - 1]


cdef double capacity_ah(const Battery* b) noexcept nogil:
    """What is left of the nameplate."""
    return b.par.energy_wh * b.par.soh_pct / 100.0 / (b.par.cells * b.par.cell_nominal_v)


cdef inline double aged(const Battery* b) noexcept nogil:
    """Factor on the resistances."""
    return 1.0 + b.par.r_growth_pct / 100.0 * (100.0 - b.par.soh_pct)


cdef void ageing_step(Battery* b, double dt_s) noexcept nogil:
    cdef double cycles = fabs(b.i_a) * dt_s / 3600.0 / (2.0 * capacity_ah(b))
    b.par.soh_pct = fmax(1.0, b.par.soh_pct - b.par.fade_pct_per_kcycle * cycles / 1000.0 - b.par.fade_pct_per_year * dt_s / 31557600.0)


cdef double current_for(const Battery* b, double dc_w) noexcept nogil:
    """Current that gives `dc_w` at the terminals; the most the circuit can give where it cannot give so much."""
    cdef double e = b.ocv_v - b.v1
    cdef double r0 = b.par.r0_ohm * aged(b)
    cdef double d = e * e - 4.0 * r0 * dc_w
    if d <= 0.0:
        return e / (2.0 * r0)
    return 2.0 * dc_w / (e + sqrt(d))


cdef void cell_values(Battery* b) noexcept nogil:
    cdef double half = b.par.soc_spread_pct / 2.0
    cdef double drop = b.i_a * b.par.r0_ohm * aged(b) * (1.0 + b.par.r_spread_pct / 100.0) + b.v1
    cdef double high = poly(&b.ocv, b.soc_pct + half) - drop / b.par.cells
    cdef double low = poly(&b.ocv, b.soc_pct - half) - drop / b.par.cells
    b.cell_v_max = fmax(high, low) if isnan(b.pin_cell_v_max) else b.pin_cell_v_max
    b.cell_v_min = fmin(high, low) if isnan(b.pin_cell_v_min) else b.pin_cell_v_min
    b.cell_c_max = b.temp_c + b.par.temp_spread_c / 2.0 if isnan(b.pin_cell_c_max) else b.pin_cell_c_max
    b.cell_c_min = b.temp_c - b.par.temp_spread_c / 2.0 if isnan(b.pin_cell_c_min) else b.pin_cell_c_min


cdef double slew(double now, double goal, double step) noexcept nogil:
    return fmin(goal, now + step) if goal > now else fmax(goal, now - step)


cdef double limit_goal(const Battery* b, const Polyline* soc, const Polyline* temp, double nameplate_a) noexcept nogil:
    if b.state != BANK_CONNECTED:
        return 0.0
    return nameplate_a * fmin(poly(soc, b.soc_pct), fmin(poly(temp, b.cell_c_max), poly(temp, b.cell_c_min)))


cdef void current_limits(Battery* b, double dt_s) noexcept nogil:
    cdef double share = b.par.limit_slew_pct_per_s / 100.0 * dt_s
    b.a_charge_max = slew(
        b.a_charge_max, limit_goal(b, &b.charge_soc, &b.charge_temp, b.par.charge_a_max), share * b.par.charge_a_max)
    b.a_discharge_max = slew(
        b.a_discharge_max, limit_goal(b, &b.discharge_soc, &b.discharge_temp, b.par.discharge_a_max), share * b.par.discharge_a_max)


cdef double row_excess(const Battery* b, int row) noexcept nogil:
    """How far row is beyond its limit: positive = beyond."""
    cdef double more = 1.0 + b.par.over_current_pct / 100.0
    if row == 0:
        return -b.i_a - b.a_charge_max * more - 5.0
    if row == 1:
        return b.i_a - b.a_discharge_max * more - 5.0
    if row == 2:
        return b.cell_v_max - b.par.cell_v_high
    if row == 3:
        return b.par.cell_v_low - b.cell_v_min
    if row == 4:
        return b.cell_c_max - b.par.cell_c_high
    return b.par.cell_c_low - b.cell_c_min


cdef double row_delay_s(const Battery* b, int row) noexcept nogil:
    return b.par.over_current_s if row < 2 else b.par.cell_v_s if row < 4 else b.par.cell_c_s


cdef void rows_step(Battery* b, double dt_s) noexcept nogil:
    cdef int row
    b.alarms = b.injected_evt
    for row in range(BMS_ROWS):
        if row_excess(b, row) <= 0.0:
            b.row_s[row] = 0.0
            continue
        b.alarms |= ROW_ALARM[row]
        b.row_s[row] += dt_s
        if b.par.trips != 0.0 and b.row_s[row] >= row_delay_s(b, row):
            b.latched |= ROW_ALARM[row]
    if b.latched and b.state != BANK_FAULT and b.after_open != BANK_FAULT:
        open_contactors(b, BANK_FAULT)


cdef void open_contactors(Battery* b, int then) noexcept nogil:
    b.state = BANK_SUSPENDING
    b.state_s = b.par.open_s
    b.after_open = then


cdef void contactor_step(Battery* b, double dt_s) noexcept nogil:
    if b.state != BANK_INITIALIZING and b.state != BANK_SUSPENDING:
        return
    b.state_s -= dt_s
    if b.state_s > 1e-9:
        return
    if b.state == BANK_INITIALIZING:
        b.state = BANK_CONNECTED
        b.contactor = 1
    else:
        b.state = b.after_open
        b.after_open = 0
        b.contactor = 0


cdef void heartbeat_step(Battery* b, double dt_s) noexcept nogil:
    """802 CtrlHb standing still is an event, not a trip: the bank has no say over who commands it."""
    b.ctrl_hb_age_s += dt_s
    if b.ctrl_hb_seen and b.par.ctrl_hb_timeout_s > 0.0 and b.ctrl_hb_age_s > b.par.ctrl_hb_timeout_s:
        b.alarms |= 1                                       # COMMUNICATION_ERROR


cdef void electric_step(Battery* b, double dc_w, double dt_s) noexcept nogil:
    cdef double hours = dt_s / 3600.0
    cdef double old_v1 = b.v1
    cdef double keep = exp(-dt_s / b.par.tau1_s)
    cdef double r0 = b.par.r0_ohm * aged(b)
    cdef double r1 = b.par.r1_ohm * aged(b)
    cdef double heat_w
    b.i_a = current_for(b, dc_w) if b.contactor else 0.0
    b.v = b.ocv_v - b.v1 - r0 * b.i_a
    heat_w = b.i_a * b.i_a * r0 + old_v1 * old_v1 / r1
    b.chemical_wh += b.ocv_v * b.i_a * hours
    b.loss_wh += heat_w * hours
    if b.i_a > 0.0:
        b.dc_out_wh += b.v * b.i_a * hours
    else:
        b.dc_in_wh -= b.v * b.i_a * hours
    b.charge_ah += b.i_a * hours
    b.cycled_ah += fabs(b.i_a) * hours
    b.soc_pct = fmin(100.0, fmax(0.0, b.soc_pct - 100.0 * b.i_a * hours / capacity_ah(b)))
    b.v1 = old_v1 * keep + r1 * b.i_a * (1.0 - keep)
    b.ocv_v = b.par.cells * poly(&b.ocv, b.soc_pct)
    b.temp_c += (heat_w - b.par.cooling_w_per_k * (b.temp_c - b.par.ambient_c)) / b.par.heat_capacity_j_per_k * dt_s


cdef void battery_step(Battery* b, double dc_w, double dt_s) noexcept nogil:
    """One step with `dc_w` taken from the terminals (negative: put in)."""
    electric_step(b, dc_w, dt_s)
    ageing_step(b, dt_s)
    cell_values(b)
    contactor_step(b, dt_s)
    current_limits(b, dt_s)
    rows_step(b, dt_s)
    heartbeat_step(b, dt_s)


cdef double battery_max_w(const Battery* b) noexcept nogil:
    """Most DC power the battery can give now, whatever its BMS says: nothing when empty or disconnected."""
    cdef double e = b.ocv_v - b.v1
    if not b.contactor or b.soc_pct <= 0.0:
        return 0.0
    return 0.9 * e * e / (4.0 * b.par.r0_ohm * aged(b))


cdef double battery_min_w(const Battery* b) noexcept nogil:
    """Most DC power it can take, as a negative number: nothing when full or disconnected."""
    if not b.contactor or b.soc_pct >= 100.0:
        return 0.0
    return -1e12


cdef void battery_settle(Battery* b) noexcept nogil:
    """At rest at its SoC and temperature: what a test that sets either expects to find."""
    b.v1 = 0.0
    b.i_a = 0.0
    b.ocv_v = b.par.cells * poly(&b.ocv, b.soc_pct)
    b.v = b.ocv_v
    cell_values(b)
    b.a_charge_max = limit_goal(b, &b.charge_soc, &b.charge_temp, b.par.charge_a_max)
    b.a_discharge_max = limit_goal(b, &b.discharge_soc, &b.discharge_temp, b.par.discharge_a_max)


cdef void bms_order(Battery* b, int set_op) noexcept nogil:
    """802 SetOp: 1 connect, 2 disconnect. A bank in FAULT does not connect."""
    if set_op == 1 and b.state == BANK_DISCONNECTED:
        b.state = BANK_INITIALIZING
        b.state_s = b.par.close_s
    elif set_op == 2 and (b.state == BANK_CONNECTED or b.state == BANK_INITIALIZING):
        open_contactors(b, BANK_DISCONNECTED)


cdef void bms_reset(Battery* b) noexcept nogil:
    cdef int row
    for row in range(BMS_ROWS):
        if row_excess(b, row) > 0.0:
            return
    b.latched = 0
    if b.state == BANK_FAULT:
        b.state = BANK_DISCONNECTED
