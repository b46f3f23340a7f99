"""One device over its bus.

Rules
- After each connection, and after each silence, everything is verified again: every sealed check is read and must hold the sealed value; then
  the factors are read: scale factors and ratings that other values are multiplied with. Only then is the device up and polled; it is
  commanded once the settings it needs stand (prepare.pxd).
- A check that fails is a refusal with both values: this is not the device that was sealed. It is tried again with a back-off, because devices
  are exchanged while we run, and it is told again only when another value is found.
- Three transactions in a row without an answer: the device is down, and from then on it is probed every 5 s, behind every command that waits.
  One that was silent less often is looked for again sooner. An exception reply is an answer; what it refused stays old, and the age of the
  data speaks (R4).
- A device that answers while its heartbeat stands still for frozen_ns is frozen (R4). One without a heartbeat is taken as frozen when under
  load none of its analogues changes in any bit.
- Commands to a PCS: the set point (setpoint.pxd) first, then that of reactive power, then the other orders (orders.pxd). Reactive power that is
  not confirmed is told and flagged; the heartbeat, which stands for active power, goes on. A PCS switched to local control is not commanded
  at all (R15).
- Our heartbeats count the loop's progress (feed.pxd). A PCS gets none while its set point is unconfirmed (R11), so that its
  own watchdog acts, but for one that is seen to rest at 0 W (setpoint.pxd), and none under local control. A BMS always gets its beat: without
  it, it may open its contactors under somebody's power.

Phase      leaves to    when
OFFLINE    VERIFY       the bus is connected, and it is another connection or retry_ns is reached
VERIFY     SCALE        every check holds
           OFFLINE      a check does not hold (refused), no answer, connection over
SCALE      UP           every factor is a number within its range; devices without factors pass at once
           OFFLINE      as above
UP         OFFLINE      three times no answer, connection over
"""

from libc.math cimport NAN, isnan
from libc.stdint cimport int32_t
from libc.string cimport memset

from .bus cimport (
    BUS_IDLE, BUS_QUIET, DONE, FAILED, FAULT_CLOSED, FAULT_CONNECT, FAULT_EXCEPTION, FAULT_NONE, IDLE, QUEUE_MAX, bus_submit_poll,
)
from .confirm cimport tell_setpoint, watch_confirmation
from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit
from .feed cimport beat_taken, feed_init, feed_restart, limits_taken, send_beat, send_limits
from .layout cimport (
    DEV_DOWN, DEV_FROZEN, DEV_IO, DEV_PCS, DEV_REFUSED, DEV_UP, DEV_VERIFYING, EV_DEVICE_DOWN, EV_DEVICE_FROZEN, EV_DEVICE_REFUSED,
    EV_DEVICE_UP, MAX_UNITS,
    NS_PER_S, PR_SETPOINT, PR_VAR, QC_NONE, Q_LOC_REM, Q_NONE, Q_PCS_STATE, QUANTITIES,
)
from .orders cimport RUN_STANDBY, RUN_STOP, order_taken, orders_init, orders_restart, send_contactor, send_switch
from .prepare cimport PREPARE_REFUSED, prepare_init, prepare_restart, prepare_send, prepare_take, prepared
from .proof cimport setpoint_feeds, setpoint_take
from .question cimport busy, ended, question_of
from .setpoint cimport Setpoint, setpoint_init, setpoint_release, setpoint_restart, setpoint_send
from .verify cimport Finding, checks_hold, count_var, count_w, forget_factors, next_checks, next_factor, take_factor
from .writes cimport RELEASED

cdef enum:
    SILENT_MAX = 3
    DOUBTED = 2                 # so often without an answer: its neighbours do not wait for it any more
    BACKOFF_MIN_NS = 250000000

cdef int64_t BACKOFF_MAX_NS = 10 * <int64_t> NS_PER_S
cdef int64_t PROBE_NS = 5 * <int64_t> NS_PER_S

# SunSpec 701 InvSt on its way, 715 LocRemCtl.
cdef enum:
    INV_STARTING = 2
    INV_SHUTTING_DOWN = 5
    LOCAL_CONTROL = 1


cdef inline bint connected(const Bus* bus) noexcept nogil:
    return BUS_IDLE <= bus.state <= BUS_QUIET


cdef inline bint is_unit(const Device* dev) noexcept nogil:
    return 0 <= dev.unit < MAX_UNITS


cdef inline bint takes_setpoint(const SiteConfig* c, const Device* dev) noexcept nogil:
    return c.dev_kind[dev.index] == DEV_PCS and dev.setpoint.rows.count > 0 and is_unit(dev)


cdef inline bint takes_reactive(const SiteConfig* c, const Device* dev) noexcept nogil:
    return takes_setpoint(c, dev) and dev.reactive.rows.count > 0


cdef void device_init(const SiteConfig* c, int index, Device* dev) noexcept nogil:
    memset(dev, 0, sizeof(Device))
    dev.index = index
    dev.unit = c.dev_place[index]
    dev.heartbeat = NAN
    dev.refused_register = -1
    question_of(c, index, &dev.setup)
    question_of(c, index, &dev.beat)
    question_of(c, index, &dev.switch)
    question_of(c, index, &dev.limits)
    setpoint_init(&dev.setpoint, c, index, PR_SETPOINT)
    setpoint_init(&dev.reactive, c, index, PR_VAR)
    if is_unit(dev):
        orders_init(c, dev)
        feed_init(c, dev)
        prepare_init(c, dev)


cdef int device_state(const Device* dev) noexcept nogil:
    if dev.refused:
        return DEV_REFUSED
    if dev.phase == PHASE_UP:
        return DEV_FROZEN if dev.frozen else DEV_UP
    return DEV_DOWN if dev.phase == PHASE_OFFLINE else DEV_VERIFYING


# --- down, refused, up --------------------------------------------------------------------------------------------------------------------

cdef void tell_down(Device* dev, const Bus* bus, int fault, EventSink* sink, int64_t now_ns) noexcept nogil:
    if not dev.told_down:
        dev.told_down = 1
        emit(sink, now_ns, EV_DEVICE_DOWN, LEVEL_WARNING, dev.unit, dev.index, -1, fault, bus.last_errno, NAN)


cdef void go_offline(Device* dev, int64_t now_ns) noexcept nogil:
    dev.phase = PHASE_OFFLINE
    dev.retry_ns = now_ns + dev.backoff_ns
    dev.backoff_ns = min(max(2 * dev.backoff_ns, <int64_t> BACKOFF_MIN_NS), BACKOFF_MAX_NS)


cdef void lose(Device* dev, const Bus* bus, int fault, EventSink* sink, int64_t now_ns) noexcept nogil:
    go_offline(dev, now_ns)
    if dev.silent >= SILENT_MAX:
        dev.retry_ns = now_ns + PROBE_NS
    dev.frozen = 0
    tell_down(dev, bus, fault, sink, now_ns)


cdef void refuse(Device* dev, int register, double found, double expected, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int32_t what = -1 if isnan(found) else <int32_t> found
    go_offline(dev, now_ns)
    if not dev.refused or dev.refused_register != register or dev.refused_found != what:
        emit(sink, now_ns, EV_DEVICE_REFUSED, LEVEL_ALARM, dev.unit, dev.index, -1, register, found, expected)
    dev.refused = dev.told_down = 1
    dev.refused_register, dev.refused_found = register, what


cdef void believe(Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    dev.refused = dev.told_down = 0
    dev.believed = 1
    emit(sink, now_ns, EV_DEVICE_UP, LEVEL_INFO, dev.unit, dev.index, -1, 0, NAN, NAN)


cdef void come_up(const SiteConfig* c, Device* dev, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    dev.phase = PHASE_UP
    dev.silent = 0
    dev.backoff_ns = 0
    dev.seen_ns = dev.alive_ns = now_ns
    if is_unit(dev):
        orders_restart(dev, now_ns)
        feed_restart(dev)
        prepare_restart(dev)
    if takes_setpoint(c, dev):
        inp.wset_scale_w[dev.unit] = count_w(c, dev, inp)
        setpoint_restart(&dev.setpoint, c, inp.wset_scale_w[dev.unit], now_ns)
    if takes_reactive(c, dev):
        inp.varset_scale_var[dev.unit] = count_var(c, dev, inp)
        setpoint_restart(&dev.reactive, c, inp.varset_scale_var[dev.unit], now_ns)
    # One that was refused for its settings is believed again when they stand.
    dev.believed = 0
    if not dev.refused:
        believe(dev, sink, now_ns)


cdef void device_note(Device* dev, const Bus* bus, const Transaction* t, EventSink* sink, int64_t now_ns) noexcept nogil:
    if t.fault == FAULT_NONE or t.fault == FAULT_EXCEPTION:
        dev.silent = 0
        return
    dev.silent += dev.silent < 255
    if dev.phase == PHASE_UP and dev.silent >= SILENT_MAX:
        lose(dev, bus, t.fault, sink, now_ns)


cdef Outcome device_outcome(Device* dev, const Bus* bus, Transaction* t, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef bint good = t.status == DONE and t.epoch == dev.epoch
    if not ended(t):
        return NOTHING_YET
    device_note(dev, bus, t, sink, now_ns)
    t.status = IDLE
    return ANSWERED if good else NOT_ANSWERED


# --- verification -------------------------------------------------------------------------------------------------------------------------

cdef void begin(const SiteConfig* c, Device* dev, const Bus* bus, Inputs* inp) noexcept nogil:
    dev.phase = PHASE_VERIFY
    dev.epoch = bus.epoch
    dev.check_at = dev.factor_at = dev.said_hello = 0
    forget_factors(c, dev, inp)
    if takes_setpoint(c, dev):
        inp.wset_scale_w[dev.unit] = inp.varset_scale_var[dev.unit] = NAN


cdef void take_prepare(const SiteConfig* c, Device* dev, const Bus* bus, const Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int found = prepare_take(c, dev, inp, sink, now_ns)
    device_note(dev, bus, &dev.setup, sink, now_ns)
    if found == PREPARE_REFUSED and dev.phase == PHASE_UP:
        refuse(dev, dev.prepare_register, <double> dev.prepare_found, <double> dev.prepare_ours, sink, now_ns)


cdef void take_setup(const SiteConfig* c, Device* dev, const Bus* bus, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef Finding finding
    if not ended(&dev.setup):
        return
    if dev.phase == PHASE_UP:
        take_prepare(c, dev, bus, inp, sink, now_ns)
    elif dev.phase != PHASE_VERIFY and dev.phase != PHASE_SCALE:
        pass
    elif dev.setup.fault == FAULT_EXCEPTION and dev.setup.exception_code <= 3:
        # "No such function, register or value": an answer that the sealed device would not give.
        refuse(dev, dev.setup.address, NAN, NAN, sink, now_ns)
    elif dev.setup.status == FAILED:
        dev.silent += dev.silent < 255 and dev.setup.fault != FAULT_CLOSED and dev.setup.fault != FAULT_CONNECT
        lose(dev, bus, dev.setup.fault, sink, now_ns)
    elif not (checks_hold(c, dev, &finding) if dev.phase == PHASE_VERIFY else take_factor(c, dev, inp, &finding)):
        refuse(dev, finding.register, finding.found, finding.expected, sink, now_ns)
    dev.setup.status = IDLE


cdef void send_setup(const SiteConfig* c, Device* dev, Bus* bus) noexcept nogil:
    if busy(&dev.setup) or bus.polls.count >= QUEUE_MAX:
        return
    if dev.phase == PHASE_VERIFY and not next_checks(c, dev):
        dev.phase = PHASE_SCALE
    if dev.phase == PHASE_SCALE and not next_factor(c, dev):
        return
    if not bus_submit_poll(bus, &dev.setup):
        dev.setup.status = IDLE
        dev.check_at = dev.check_first if dev.phase == PHASE_VERIFY else dev.check_at
        dev.said_hello = 0


# --- replies ------------------------------------------------------------------------------------------------------------------------------

cdef void follow_connection(const SiteConfig* c, Device* dev, const Bus* bus, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    if not connected(bus):
        if dev.phase != PHASE_OFFLINE:
            lose(dev, bus, FAULT_CLOSED, sink, now_ns)
        elif bus.count.connect_failures or bus.count.disconnects:
            tell_down(dev, bus, FAULT_CONNECT, sink, now_ns)
        return
    if dev.phase != PHASE_OFFLINE and dev.epoch != bus.epoch:
        lose(dev, bus, FAULT_CLOSED, sink, now_ns)
    if dev.phase == PHASE_OFFLINE and not busy(&dev.setup) and (dev.epoch != bus.epoch or now_ns >= dev.retry_ns):
        begin(c, dev, bus, inp)


cdef void take_setpoint(const SiteConfig* c, Device* dev, Setpoint* s, double scale, const Bus* bus, const Inputs* inp, EventSink* sink,
                        int64_t now_ns) noexcept nogil:
    if ended(&s.write):
        device_note(dev, bus, &s.write, sink, now_ns)
    if ended(&s.readback):
        device_note(dev, bus, &s.readback, sink, now_ns)
    tell_setpoint(dev, s, setpoint_take(s, c, inp, now_ns), scale, sink, now_ns)
    watch_confirmation(c, dev, s, scale, sink, now_ns)


cdef void take_orders(const SiteConfig* c, Device* dev, const Bus* bus, EventSink* sink, int64_t now_ns) noexcept nogil:
    if ended(&dev.switch):
        order_taken(c, dev)
    if ended(&dev.beat):
        beat_taken(dev)
    if ended(&dev.limits):
        limits_taken(c, dev, now_ns)
    device_outcome(dev, bus, &dev.switch, sink, now_ns)
    device_outcome(dev, bus, &dev.beat, sink, now_ns)
    device_outcome(dev, bus, &dev.limits, sink, now_ns)


cdef void watch_heartbeat(const SiteConfig* c, Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef bint frozen = dev.phase == PHASE_UP and c.frozen_ns > 0 and dev.seen_ns - dev.alive_ns > c.frozen_ns
    if frozen and not dev.frozen:
        emit(sink, now_ns, EV_DEVICE_FROZEN, LEVEL_ALARM, dev.unit, dev.index, -1, 0, dev.heartbeat, NAN)
    elif dev.frozen and not frozen and dev.phase == PHASE_UP:
        emit(sink, now_ns, EV_DEVICE_UP, LEVEL_INFO, dev.unit, dev.index, -1, 0, NAN, NAN)
    dev.frozen = frozen


cdef void device_take(const SiteConfig* c, Device* dev, const Bus* bus, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    follow_connection(c, dev, bus, inp, sink, now_ns)
    take_setup(c, dev, bus, inp, sink, now_ns)
    take_orders(c, dev, bus, sink, now_ns)
    if takes_setpoint(c, dev):
        take_setpoint(c, dev, &dev.setpoint, inp.wset_scale_w[dev.unit], bus, inp, sink, now_ns)
        inp.unconfirmed[dev.unit] = dev.setpoint.unconfirmed
    if takes_reactive(c, dev):
        take_setpoint(c, dev, &dev.reactive, inp.varset_scale_var[dev.unit], bus, inp, sink, now_ns)
        inp.unconfirmed[dev.unit] = inp.unconfirmed[dev.unit] or dev.reactive.unconfirmed
    if dev.phase == PHASE_SCALE and not busy(&dev.setup) and not next_factor(c, dev):
        come_up(c, dev, inp, sink, now_ns)
    if dev.phase == PHASE_UP and not dev.believed and prepared(dev):
        believe(dev, sink, now_ns)
    watch_heartbeat(c, dev, sink, now_ns)


cdef void device_seen(const SiteConfig* c, Device* dev, const Inputs* inp, bint moved, int64_t sent_ns) noexcept nogil:
    cdef int quantity = c.dev_hb_quantity[dev.index]
    cdef double beat
    dev.seen_ns = max(dev.seen_ns, sent_ns)
    if quantity == Q_NONE:
        # Inputs that stand still are the ordinary case.
        if moved or not dev.loaded or c.dev_kind[dev.index] == DEV_IO:
            dev.alive_ns = dev.seen_ns
        return
    beat = inp.value[c.dev_place[dev.index] * QUANTITIES + quantity]
    if not isnan(beat) and beat != dev.heartbeat:
        dev.heartbeat = beat
        dev.alive_ns = dev.seen_ns


# --- commands -----------------------------------------------------------------------------------------------------------------------------

cdef bint is_local(const Device* dev, const Inputs* inp) noexcept nogil:
    return inp.value[dev.unit * QUANTITIES + Q_LOC_REM] == LOCAL_CONTROL


cdef void hands_off(Device* dev, int64_t now_ns) noexcept nogil:
    # Once it is remote again everything is asserted anew and the time to confirm starts over.
    dev.setpoint.written = dev.setpoint.acked = dev.setpoint.held = dev.setpoint.under_way = 0
    dev.reactive.written = dev.reactive.acked = dev.reactive.held = dev.reactive.under_way = 0
    dev.setpoint.confirmed_ns = dev.reactive.confirmed_ns = dev.order_since_ns = now_ns


cdef bint command_pcs(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, EventSink* sink,
                      int64_t now_ns) noexcept nogil:
    cdef Setpoint* s = &dev.setpoint
    cdef bint handed
    s.may_hurry = dev.silent < DOUBTED
    handed = setpoint_send(s, c, inp, bus, 0 if s.yielded else out.cmd_raw[dev.unit], now_ns)
    if takes_reactive(c, dev) and not dev.reactive.yielded:
        handed = setpoint_send(&dev.reactive, c, inp, bus, RELEASED if out.reactive == QC_NONE else out.cmd_var_raw[dev.unit], now_ns) and handed
    send_switch(c, dev, bus, inp, RUN_STANDBY if s.yielded else out.cmd_run[dev.unit], sink, now_ns)
    send_limits(c, dev, bus, inp, now_ns)
    return handed


cdef bint command_unit(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, EventSink* sink,
                       int64_t now_ns) noexcept nogil:
    cdef bint handed = True
    if takes_setpoint(c, dev):
        handed = command_pcs(c, dev, bus, inp, out, sink, now_ns)
    if dev.open_rows.count > 0:
        send_contactor(c, dev, bus, inp, out, now_ns)
    return handed


cdef bint device_send(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, uint64_t ticks,
                      EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef bint handed = True
    cdef bint commands
    if dev.phase == PHASE_VERIFY or dev.phase == PHASE_SCALE:
        send_setup(c, dev, bus)
    if dev.phase != PHASE_UP or not is_unit(dev) or out.silent:
        return True
    commands = takes_setpoint(c, dev)
    if commands and is_local(dev, inp):
        hands_off(dev, now_ns)
        return True
    if prepared(dev):
        handed = command_unit(c, dev, bus, inp, out, sink, now_ns)
    else:
        prepare_send(c, dev, bus, inp, now_ns)
    if not commands or setpoint_feeds(&dev.setpoint, c, now_ns):
        send_beat(c, dev, bus, inp, ticks, now_ns)
    return handed


cdef void device_release(Device* dev) noexcept nogil:
    setpoint_release(&dev.setpoint)
    setpoint_release(&dev.reactive)
    dev.start_given_up = 0
    dev.start_tries = 0


cdef bint device_stopped(const SiteConfig* c, const Device* dev, const Inputs* inp) noexcept nogil:
    cdef double state
    if not takes_setpoint(c, dev) or is_local(dev, inp):
        return True
    if dev.phase != PHASE_UP:
        return not dev.setpoint.live
    state = inp.value[dev.unit * QUANTITIES + Q_PCS_STATE]
    if dev.orders[<int> RUN_STOP].count > 0 and INV_STARTING <= state <= INV_SHUTTING_DOWN:
        return False
    return dev.setpoint.held and dev.setpoint.acked_raw == 0
