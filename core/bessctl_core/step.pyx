"""One cycle as a pure function; see step.pxd. Loop, nogil, bounded.

Validate, protect, decide the mode, allow, want, ramp, split, encode, look once more, publish: in this order, each in its own module.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.math cimport INFINITY, NAN, fabs, isfinite, isnan
from libc.string cimport memset

from .connect cimport connect_init, connect_update, disconnects
from .contactor cimport BATTERY_GAVE_UP, contactors_order, contactors_update
from .derive cimport derive, derive_init
from .commission cimport commission_complete, commission_update
from .dispatch cimport command_zero, commands_hold, dispatch
from .energy cimport energy_update
from .envelope cimport Envelope, arbitrate, device_interval
from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit, tell_flags
from .layout cimport (
    ACT_OPEN, ACT_STANDBY, BIND_NONE, BIND_OPEN, CLASS_MARKET, EV_LIMITS_DISJOINT, EV_METER, EV_PLAN_ACCEPTED, EV_PLAN_REFUSED, EV_TARGET_CLAMPED,
    FLAG_CONTACTOR, FLAG_INPUT_LOST, FLAG_LOCAL_CONTROL, FLAG_METER_STALE, FLAG_RT_REFUSED, FLAG_SHED, FLAG_SHED_UNCONFIRMED,
    FLAG_SOC_FROZEN,
    FLAG_UNCOMMISSIONED, FLAG_UNCONFIRMED,
    MAX_UNITS, MODE_ACQUIRE, MODE_RUN, MODE_STANDBY, MODE_STOPPING, NS_PER_S, PLANT, PLAN_OK, PLAN_STOPPED,
    QUANTITIES, Q_AC_W, Q_LOC_REM, Q_PCS_STATE, SCOPE_PCC, TRIP_ASSERTION, TRIP_METER_SIGN,
)
from .modes cimport journal_fill, journal_update, keeps_operator_out, modes_init, modes_update, settle_pending, take_command, trip_internal
from .pcc cimport METER_FRESH, METER_LOST, pcc_init, pcc_note, pcc_target, pcc_update
from .plans cimport Ask, plan_fault, slot_take, slots_init, slots_update
from .protect cimport rows_init, rows_update
from .publish cimport publish
from .ramp cimport ramp_init, ramp_next
from .reactive cimport reactive_dispatch, reactive_holds, reactive_prepare, reactive_zero
from .shed cimport SHED_ON, shed_init, shed_update
from .units cimport unit_sees, units_init, units_note, units_update

# cmd_run, and SunSpec 701 InvSt of a PCS at rest: off, sleeping, standby.
cdef enum:
    RUN_STOP = 0
    RUN_RUN = 1
    RUN_STANDBY = 2
    INVST_OFF = 0
    INVST_SLEEPING = 1
    INVST_STANDBY = 7

cdef double MIN_POWER_MARGIN = 1.25
cdef int64_t REST_NS = 10 * <int64_t> NS_PER_S      # after it either direction is as good as the other
cdef double REST_SHARE = 0.01       # of the rating: below it a measured power counts as none


cdef void step_init(const SiteConfig* c, StepState* s, const StartFacts* facts, const JournalRecord* journal) noexcept nogil:
    memset(s, 0, sizeof(StepState))
    rows_init(&s.rows)
    derive_init(&s.derived)
    units_init(c, &s.units)
    slots_init(c, &s.slots, facts.now_ns)
    ramp_init(&s.ramp, 0, facts.now_ns)
    pcc_init(&s.pcc, facts.now_ns)
    connect_init(&s.connect)
    shed_init(&s.shed, facts.now_ns)
    modes_init(c, s, facts, journal)
    s.target_slot, s.wanted_w, s.envelope.unmet_slot, s.reactive.slot = -1, NAN, -1, -1
    if facts.rt_refused:
        s.flags |= FLAG_RT_REFUSED


cdef void step_refuse_plan(StepState* s, int slot, int fault, int64_t now_ns) noexcept nogil:
    if s.slots.fault[slot] != fault:
        emit(&s.sink, now_ns, EV_PLAN_REFUSED, LEVEL_WARNING, -1, -1, slot, fault, 0, 0)
    s.slots.fault[slot] = <uint8_t> fault


cdef void step_offer_plan(const SiteConfig* c, StepState* s, int slot, const Plan* plan, int64_t now_ns) noexcept nogil:
    cdef int fault
    if slot < 0 or slot >= c.n_slots or plan.serial == 0:
        return
    fault = plan_fault(c, slot, plan, s.boot_id_hi, s.boot_id_lo, now_ns)
    if fault == PLAN_OK and c.slot_operator[slot] and keeps_operator_out(s):
        fault = PLAN_STOPPED
    if fault != PLAN_OK:
        step_refuse_plan(s, slot, fault, now_ns)
        return
    if s.slots.plan[slot].serial == 0 or s.slots.fault[slot] != PLAN_OK:
        emit(&s.sink, now_ns, EV_PLAN_ACCEPTED, LEVEL_INFO, -1, -1, slot, <int> plan.serial, 0, 0)
    slot_take(c, &s.slots, slot, plan, now_ns)


# --- measure: what units and site give -------------------------------------------------------------------------------------------------

cdef void tell_meter(const SiteConfig* c, StepState* s, int64_t now_ns) noexcept nogil:
    """A meter that falls silent, is lost, and is there again: once each, and never before its first sample."""
    if not s.pcc.known or s.pcc.phase == s.meter_told:
        return
    s.meter_told = s.pcc.phase
    emit(&s.sink, now_ns, EV_METER, LEVEL_INFO if s.pcc.phase == METER_FRESH else LEVEL_ALARM, PLANT, -1, -1, s.pcc.phase,
         <double> (now_ns - s.pcc.heard_ns) * 1e-9, <double> c.meter_age_ns * 1e-9)


cdef void measure(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    units_update(c, inp, &s.units, now_ns)
    pcc_update(c, inp, &s.units, &s.pcc, s.ramp.w, now_ns)
    tell_meter(c, s, now_ns)
    if s.pcc.wrong:
        s.pcc.wrong = 0
        trip_internal(s, TRIP_METER_SIGN, now_ns)


# --- want: the target of the best source -----------------------------------------------------------------------------------------------

cdef int target_slot(const SiteConfig* c, const StepState* s) noexcept nogil:
    """The slot whose target rules: lowest priority number, then lowest index. -1 none."""
    cdef int slot
    cdef int best = -1
    for slot in range(c.n_slots):
        if s.slots.ask[slot].has_target and (best < 0 or c.slot_priority[slot] < c.slot_priority[best]):
            best = slot
    return best


cdef double wanted_power(const SiteConfig* c, StepState* s) noexcept nogil:
    """The target as ess power, NaN when nobody has one."""
    cdef const Ask* ask
    s.target_slot = <int16_t> target_slot(c, s)
    if s.target_slot < 0:
        return NAN
    ask = &s.slots.ask[s.target_slot]
    if ask.target_scope == SCOPE_PCC:
        s.pcc.used = 1
        return pcc_target(&s.pcc, ask.target_w)
    return ask.target_w


cdef double clamp_target(StepState* s, double wanted, int64_t now_ns) noexcept nogil:
    """Within the envelope; whoever takes something away is named once, by an event, for as long as it is the same."""
    cdef double given = min(max(wanted, s.envelope.lo.w), s.envelope.hi.w)
    cdef int bind = BIND_NONE
    cdef int ident = -1
    if wanted > s.envelope.hi.w:
        bind, ident = s.envelope.hi.bind, s.envelope.hi.id
    elif wanted < s.envelope.lo.w:
        bind, ident = s.envelope.lo.bind, s.envelope.lo.id
    if bind != BIND_NONE and (bind != s.clamped_bind or ident != s.clamped_id):
        emit(&s.sink, now_ns, EV_TARGET_CLAMPED, LEVEL_INFO, ident, bind, s.target_slot, bind, wanted, given)
    s.clamped_bind, s.clamped_id = <uint8_t> bind, <int16_t> ident
    return given


cdef double keep_direction(const SiteConfig* c, const StepState* s, double given, int64_t now_ns) noexcept nogil:
    """A wish turns the power around only by a margin, or after a rest: nothing chatters around 0. Limits that force power turn it at once."""
    cdef double was = s.ramp.w if s.ramp.w != 0 else s.ramp.last_sign
    if given * was >= 0 or fabs(given) >= c.reversal_min_w or s.envelope.lo.w > 0 or s.envelope.hi.w < 0:
        return given
    return given if s.ramp.w == 0 and now_ns - s.ramp.turned_ns >= REST_NS else 0


cdef double worth_giving(const SiteConfig* c, StepState* s, double w, int64_t now_ns) noexcept nogil:
    """Nothing below min_power_w; having fallen below it, power begins again with a margin or after a rest."""
    cdef double least = c.min_power_w
    if not s.giving and s.rested_ns and now_ns - s.rested_ns < REST_NS:
        least *= MIN_POWER_MARGIN
    if fabs(w) >= least:
        s.giving = w != 0
        return w
    if s.giving:
        s.rested_ns = now_ns
    s.giving = 0
    return 0


cdef void leave_unmet(Envelope* e, double w) noexcept nogil:
    """R3: power that a limit forces, and that is too small to be given, stays unmet. A limit that still ramps up is none of that."""
    cdef double forced = min(max(0.0, e.lo.w), e.hi.w)
    if forced == 0 or fabs(w) < fabs(forced):
        return
    if e.unmet_w * forced > 0:
        e.unmet_w += forced
        return
    # Only slots force power: whose limit it is, is the id of the side.
    e.unmet_w, e.unmet_slot = forced, e.lo.id if forced > 0 else e.hi.id


cdef double next_power(const SiteConfig* c, StepState* s, int64_t now_ns) noexcept nogil:
    """The plant's power for this tick: target, limits, ramp."""
    cdef double rate = 0
    cdef double wanted, given, w
    s.wanted_w = wanted_power(c, s)
    wanted = 0 if isnan(s.wanted_w) else s.wanted_w
    given = keep_direction(c, s, clamp_target(s, wanted, now_ns), now_ns)
    # A source's rate is for its own wish; where limits force power, the plant's own rate counts.
    if s.target_slot >= 0 and given * wanted >= 0 and fabs(given) <= fabs(wanted):
        rate = s.slots.ask[s.target_slot].rate_w_per_s
    if s.warm and s.mode == MODE_RUN:
        # R5: the PCS still gives what it gave; that is the first command, and the ramp starts there.
        ramp_init(&s.ramp, s.envelope.ess_w if isfinite(s.envelope.ess_w) else 0, now_ns)
        given = min(max(s.ramp.w, s.envelope.lo.w), s.envelope.hi.w)
        s.warm = 0
    if s.mode == MODE_STOPPING:
        # Even limits that force power give way to an orderly stop.
        rate, given = c.ramp_w_per_s, 0
    w = ramp_next(&s.ramp, given, s.envelope.lo.w, s.envelope.hi.w, c.ramp_w_per_s, rate, c.reversal_dead_ns,
                  <int64_t> (NS_PER_S / c.rate_hz), now_ns)
    given = worth_giving(c, s, w, now_ns)
    if given == 0:
        leave_unmet(&s.envelope, w)
    return given


# --- command ------------------------------------------------------------------------------------------------------------------------------

cdef int run_state(const SiteConfig* c, const StepState* s, int unit) noexcept nogil:
    cdef int stop = max(s.rows.stop[unit], s.rows.stop[PLANT])
    if stop >= ACT_OPEN or disconnects(c, &s.connect, unit) == BIND_OPEN:
        return RUN_STOP
    if stop >= ACT_STANDBY or s.envelope.cease or not s.contactors.ready[unit]:
        return RUN_STANDBY
    if s.mode == MODE_STOPPING:
        return RUN_RUN if s.ramp.w != 0 else RUN_STANDBY
    return RUN_RUN if s.mode == MODE_RUN else RUN_STANDBY


cdef void command(const SiteConfig* c, const Inputs* inp, StepState* s, double plant_w, Outputs* out, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef double total = 0
    memset(out, 0, sizeof(Outputs))
    dispatch(c, inp, &s.envelope, &s.reactive, plant_w, out)
    reactive_dispatch(c, inp, &s.reactive, out, s.envelope.cease, now_ns)
    if not commands_hold(c, inp, &s.envelope, out) or not reactive_holds(c, inp, &s.reactive, out):
        trip_internal(s, TRIP_ASSERTION, now_ns)
        command_zero(c, out)
        reactive_zero(&s.reactive, out, now_ns)
        ramp_init(&s.ramp, 0, now_ns)
    for unit in range(c.n_units):
        out.cmd_run[unit] = <uint8_t> run_state(c, s, unit)
        total += out.cmd_w[unit]
    contactors_order(c, &s.contactors, out)
    units_note(c, out, &s.units)
    pcc_note(c, &s.pcc, total, now_ns)
    out.silent = s.warm and s.mode == MODE_ACQUIRE


cdef bint sheds(const SiteConfig* c, const StepState* s) noexcept nogil:
    """R3, R10: the meter is stale, or something better than a market's wish is unmet."""
    cdef int slot = s.envelope.unmet_slot
    if s.flags & FLAG_METER_STALE:
        return True
    # The connection's own rating forces nothing, so an unmet limit is always that of a slot. By less than the smallest power that is given no
    # load is shed: there the meter decides alone, by shed_margin_w.
    return slot >= 0 and c.slot_class[slot] < CLASS_MARKET and fabs(s.envelope.unmet_w) >= MIN_POWER_MARGIN * c.min_power_w


cdef void raise_flags(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef bint disjoint = s.envelope.unmet_slot >= 0
    cdef uint32_t before = s.flags
    s.flags &= ~(FLAG_LOCAL_CONTROL | FLAG_UNCONFIRMED | FLAG_METER_STALE | FLAG_SHED | FLAG_SOC_FROZEN | FLAG_CONTACTOR | FLAG_INPUT_LOST
                 | FLAG_UNCOMMISSIONED | FLAG_SHED_UNCONFIRMED)
    if not commission_complete(c, &s.commission):
        s.flags |= FLAG_UNCOMMISSIONED
    for unit in range(c.n_units):
        if inp.value[unit * QUANTITIES + Q_LOC_REM] == 1:
            s.flags |= FLAG_LOCAL_CONTROL
        if inp.unconfirmed[unit]:
            s.flags |= FLAG_UNCONFIRMED
        if s.derived.soc_frozen[unit]:
            s.flags |= FLAG_SOC_FROZEN
        if s.contactors.step[unit] == BATTERY_GAVE_UP:
            s.flags |= FLAG_CONTACTOR
    if s.rows.input_lost and s.mode != MODE_ACQUIRE:
        s.flags |= FLAG_INPUT_LOST
    if s.pcc.known and s.pcc.phase != METER_FRESH:
        s.flags |= FLAG_METER_STALE | FLAG_SHED
    if disjoint:
        s.flags |= FLAG_SHED
    shed_update(c, &s.pcc, &s.shed, sheds(c, s), s.envelope.unmet_w if disjoint else NAN, &s.sink, now_ns)
    if s.shed.order == SHED_ON:
        s.flags |= FLAG_SHED
    if inp.shed_unconfirmed:
        s.flags |= FLAG_SHED_UNCONFIRMED
    if disjoint and not s.disjoint:
        emit(&s.sink, now_ns, EV_LIMITS_DISJOINT, LEVEL_ALARM, -1, -1, s.envelope.unmet_slot, 0, s.envelope.unmet_w, 0)
    s.disjoint = disjoint
    tell_flags(&s.sink, before, s.flags, FLAG_LOCAL_CONTROL | FLAG_INPUT_LOST | FLAG_SHED_UNCONFIRMED, now_ns)


cdef void step_run(const SiteConfig* c, Inputs* inp, StepState* s, int64_t now_ns, Outputs* out, PlantState* pub) noexcept nogil:
    s.tick += 1
    s.release = 0
    derive(c, inp, &s.derived, &s.units, &s.envelope, &s.contactors, s.wanted_w, &s.sink, now_ns - s.last_ns, now_ns)
    settle_pending(c, inp, s, now_ns)
    take_command(c, inp, s, now_ns)
    commission_update(&s.commission, &s.sink, now_ns)
    slots_update(c, &s.slots, &s.sink, now_ns)
    connect_update(c, &s.slots, &s.connect, &s.sink, now_ns)
    rows_update(c, inp, &s.rows, &s.sink, s.acquired, now_ns)
    measure(c, inp, s, now_ns)
    modes_update(c, inp, s, now_ns)
    contactors_update(c, inp, &s.units, &s.rows, &s.connect, &s.contactors, s.mode, &s.sink, now_ns)
    device_interval(c, inp, &s.rows, &s.units, &s.contactors, &s.connect, &s.commission, &s.envelope,
                    s.mode != MODE_RUN and s.mode != MODE_STOPPING, s.mode, now_ns)
    reactive_prepare(c, inp, &s.slots, &s.rows, &s.units, &s.reactive, s.mode == MODE_RUN, now_ns)
    arbitrate(c, &s.slots, &s.pcc, &s.reactive, &s.envelope, now_ns)
    command(c, inp, s, next_power(c, s, now_ns), out, now_ns)
    energy_update(c, inp, &s.energy, &s.sink, now_ns - s.last_ns, now_ns)
    raise_flags(c, inp, s, now_ns)
    journal_update(s, now_ns)
    out.shed = s.shed.order
    out.journal_due, out.journal_seq, out.release = s.journal_due, s.journal_seq, s.release
    s.journal_due = 0
    s.last_ns = now_ns
    publish(c, inp, s, out, pub, now_ns)


cdef void step_ask_stop(StepState* s) noexcept nogil:
    s.stop_asked = 1
    s.journal_due = 1


cdef bint step_stopped(const SiteConfig* c, const Inputs* inp, const StepState* s, int64_t now_ns) noexcept nogil:
    """Commanded to rest, and each PCS that answers is measured at rest."""
    cdef int unit
    cdef double state
    if not s.stop_asked or s.mode not in (MODE_STOPPING, MODE_STANDBY) or s.ramp.w != 0:
        return False
    for unit in range(c.n_units):
        if not unit_sees(c, inp, unit, Q_PCS_STATE, now_ns):
            continue
        state = inp.value[unit * QUANTITIES + Q_PCS_STATE]
        if state not in (INVST_OFF, INVST_SLEEPING, INVST_STANDBY):
            return False
        # Written so that a NaN is no rest.
        if not (unit_sees(c, inp, unit, Q_AC_W, now_ns)
                and fabs(inp.value[unit * QUANTITIES + Q_AC_W]) <= REST_SHARE * c.unit_va_max[unit]):
            return False
    return True


cdef void step_journal(const StepState* s, JournalRecord* record) noexcept nogil:
    journal_fill(s, record)
