"""Start, stop, heartbeat and contactor; the rules stand in orders.pxd. Loop, nogil, bounded."""

from libc.math cimport fabs, isnan
from libc.stdint cimport uint8_t, uint16_t

from .bus cimport IDLE, QUEUED, SENT, Transaction, bus_submit_command
from .layout cimport DEV_PCS, NS_PER_S, Q_BMS_STATE, Q_DC_A, Q_PACK_A, Q_PCS_STATE, QUANTITIES

cdef int64_t SWITCH_REPEAT_NS = 2 * <int64_t> NS_PER_S
cdef int64_t OPEN_WAIT_NS = 2 * <int64_t> NS_PER_S
cdef double OPEN_CURRENT_A = 5.0

# SunSpec 701 InvSt, 715 OpCtl, 802 SetOp and State.
cdef enum:
    INV_OFF = 0
    INV_SLEEPING = 1
    INV_STARTING = 2
    INV_RUNNING = 3
    INV_THROTTLED = 4
    INV_STANDBY = 7
    INV_UNKNOWN = -1
    OP_STOP = 0
    OP_START = 1
    OP_ENTER_STANDBY = 2
    OP_EXIT_STANDBY = 3
    SETOP_DISCONNECT = 2
    BMS_DISCONNECTED = 1
    NOTHING = -1


cdef inline bint busy(const Transaction* t) noexcept nogil:
    return t.status == QUEUED or t.status == SENT


cdef int inverter_state(const SiteConfig* c, const Device* dev, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int at = dev.unit * QUANTITIES + Q_PCS_STATE
    if isnan(inp.value[at]) or now_ns - inp.sampled_ns[at] > c.unit_data_age_ns[dev.unit]:
        return INV_UNKNOWN
    return <int> inp.value[at]


cdef int operation_for(int run, int state) noexcept nogil:
    """The 715 OpCtl that leads from a state to what is wanted; NOTHING when it is there, on its way, or in fault."""
    cdef bint running = state == INV_STARTING or state == INV_RUNNING or state == INV_THROTTLED
    if run == RUN_RUN:
        if state == INV_STANDBY:
            return OP_EXIT_STANDBY
        return OP_START if state == INV_OFF or state == INV_SLEEPING else NOTHING
    if run == RUN_STANDBY:
        return OP_ENTER_STANDBY if running or state == INV_UNKNOWN else NOTHING
    return OP_STOP if running or state == INV_UNKNOWN or state == INV_STANDBY else NOTHING


cdef void write_register(Device* dev, Bus* bus, int address, int value, int64_t now_ns) noexcept nogil:
    dev.switch.address, dev.switch.count, dev.switch.regs[0] = <uint16_t> address, 1, <uint16_t> value
    if bus_submit_command(bus, &dev.switch):
        dev.switch_next_ns = now_ns + SWITCH_REPEAT_NS
    else:
        dev.switch.status = IDLE


cdef void send_switch(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int run, int64_t now_ns) noexcept nogil:
    cdef int permit_at = c.dev_es_addr[dev.index]
    cdef int opctl_at = c.dev_opctl_addr[dev.index]
    cdef int permit = 1 if run == RUN_RUN else 2
    cdef int operation
    if run != dev.last_run:
        dev.last_run = <uint8_t> run
        dev.switch_next_ns = 0
    if busy(&dev.switch) or now_ns < dev.switch_next_ns or (run == RUN_RUN and not dev.setpoint.acked):
        return
    # 703 ES: permitted before the start; taken away only where nothing else stops the PCS, because some PCS take it for a grid fault.
    if permit_at >= 0 and dev.es_written != permit and (run == RUN_RUN or opctl_at < 0):
        write_register(dev, bus, permit_at, 1 if run == RUN_RUN else 0, now_ns)
        dev.es_pending = permit if busy(&dev.switch) else 0
        return
    operation = operation_for(run, inverter_state(c, dev, inp, now_ns))
    if opctl_at >= 0 and operation != NOTHING:
        write_register(dev, bus, opctl_at, operation, now_ns)


cdef void send_beat(const SiteConfig* c, Device* dev, Bus* bus, uint32_t beat) noexcept nogil:
    if c.dev_hb_addr[dev.index] < 0 or beat == dev.beat_sent or busy(&dev.beat):
        return
    dev.beat.address = <uint16_t> c.dev_hb_addr[dev.index]
    if c.dev_kind[dev.index] == DEV_PCS:        # 715 ControllerHb has 32 bits, 802 CtrlHb 16
        dev.beat.count, dev.beat.regs[0], dev.beat.regs[1] = 2, <uint16_t> (beat >> 16), <uint16_t> beat
    else:
        dev.beat.count, dev.beat.regs[0] = 1, <uint16_t> beat
    if bus_submit_command(bus, &dev.beat):
        dev.beat_sent = beat
    else:
        dev.beat.status = IDLE


cdef bint current_small(const Inputs* inp, int unit, int64_t since_ns) noexcept nogil:
    """A current measured since `since_ns` that is nearly nothing."""
    cdef int dc = unit * QUANTITIES + Q_DC_A
    cdef int pack = unit * QUANTITIES + Q_PACK_A
    cdef bint by_pcs = inp.sampled_ns[dc] >= since_ns and fabs(inp.value[dc]) < OPEN_CURRENT_A
    cdef bint by_bms = inp.sampled_ns[pack] >= since_ns and fabs(inp.value[pack]) < OPEN_CURRENT_A
    return by_pcs or by_bms


cdef void send_contactor(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, int64_t now_ns) noexcept nogil:
    cdef int state
    if not out.cmd_open[dev.unit]:
        dev.open_since_ns = 0
        return
    if dev.open_since_ns == 0:
        dev.open_since_ns = now_ns
    if busy(&dev.switch) or now_ns < dev.switch_next_ns or inp.value[dev.unit * QUANTITIES + Q_BMS_STATE] == BMS_DISCONNECTED:
        return
    state = inverter_state(c, dev, inp, now_ns)
    if now_ns - dev.open_since_ns >= OPEN_WAIT_NS or (
            out.cmd_raw[dev.unit] == 0 and (state == INV_OFF or state == INV_SLEEPING or state == INV_STANDBY)
            and current_small(inp, dev.unit, dev.open_since_ns)):
        write_register(dev, bus, c.dev_contactor_addr[dev.index], SETOP_DISCONNECT, now_ns)
