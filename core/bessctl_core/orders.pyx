"""Start, stop and contactor; the rules stand in orders.pxd. Loop, nogil, bounded."""

from libc.math cimport NAN, isnan
from libc.stdint cimport uint8_t, uint32_t

from .bus cimport DONE, IDLE, bus_submit_command
from .events cimport LEVEL_ALARM, emit
from .layout cimport (
    EV_ORDER_LATE, EV_START_GIVEN_UP, PR_CLOSE, PR_OPEN, PR_RUN, PR_STANDBY, PR_STOP, Q_BMS_STATE, Q_PCS_STATE, QUANTITIES,
    WF_ONCE,
)
from .question cimport busy
from .writes cimport Rows, Values, fill_row, rows_of

# SunSpec 701 InvSt, 802 State.
cdef enum:
    INV_OFF = 0
    INV_SLEEPING = 1
    INV_RUNNING = 3
    INV_THROTTLED = 4
    INV_STANDBY = 7
    INV_UNKNOWN = -1
    BMS_DISCONNECTED = 1
    BMS_CONNECTING = 2
    UNKNOWN_BIT = 15
    ORDER_NONE = 0
    ORDER_OPEN = 1
    ORDER_CLOSE = 2


cdef void orders_init(const SiteConfig* c, Device* dev) noexcept nogil:
    dev.orders[<int> RUN_STOP] = rows_of(c, dev.index, PR_STOP)
    dev.orders[<int> RUN_RUN] = rows_of(c, dev.index, PR_RUN)
    dev.orders[<int> RUN_STANDBY] = rows_of(c, dev.index, PR_STANDBY)
    dev.open_rows = rows_of(c, dev.index, PR_OPEN)
    dev.close_rows = rows_of(c, dev.index, PR_CLOSE)
    dev.last_run = 255
    dev.order_under_way = -1


cdef void orders_restart(Device* dev, int64_t now_ns) noexcept nogil:
    dev.last_run = 255
    dev.order_under_way = -1
    dev.switch_next_ns = 0
    dev.order_since_ns = now_ns


cdef int inverter_state(const SiteConfig* c, const Device* dev, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int at = dev.unit * QUANTITIES + Q_PCS_STATE
    if isnan(inp.value[at]) or now_ns - inp.sampled_ns[at] > c.unit_data_age_ns[dev.unit]:
        return INV_UNKNOWN
    return <int> inp.value[at]


cdef uint16_t state_bit(int state) noexcept nogil:
    return <uint16_t> (1 << (state if 0 <= state < UNKNOWN_BIT else <int> UNKNOWN_BIT))


cdef bint submit_order(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int row, int64_t now_ns) noexcept nogil:
    cdef Values v
    v.now_ns, v.reversion_ns, v.raw, v.beat, v.unit = now_ns, c.unit_reversion_ns[dev.unit], 0, 0, dev.unit
    dev.switch.function = c.write_function[row]
    dev.switch.address, dev.switch.count = <uint16_t> c.write_addr[row], <uint16_t> c.write_count[row]
    fill_row(c, row, inp, &v, dev.switch.regs)
    if bus_submit_command(bus, &dev.switch):
        dev.switch_next_ns = now_ns + c.dev_order_repeat_ns[dev.index]
        return True
    dev.switch.status = IDLE
    return False


# --- start and stop -----------------------------------------------------------------------------------------------------------------------

cdef int next_row(const SiteConfig* c, const Device* dev, const Rows* rows, uint16_t state) noexcept nogil:
    """The next row of an order that fits the state; -1 when none is left."""
    cdef int i
    for i in range(dev.order_row, rows.count):
        if c.write_when[rows.first + i] & state and not (dev.order_once >> i) & 1:
            return i
    return -1


cdef void order_taken(const SiteConfig* c, Device* dev) noexcept nogil:
    cdef int i = dev.order_under_way
    dev.order_under_way = -1
    if i < 0 or dev.last_run > 2:
        return
    dev.order_row = 0
    if dev.switch.status == DONE:
        if c.write_flags[dev.orders[dev.last_run].first + i] & WF_ONCE:
            dev.order_once |= <uint32_t> 1 << i
        dev.order_row = i + 1
        dev.switch_next_ns = 0


cdef bint reached(int run, int state) noexcept nogil:
    if run == RUN_RUN:
        return state == INV_RUNNING or state == INV_THROTTLED
    return state == INV_OFF or state == INV_SLEEPING or state == INV_STANDBY


cdef void watch_order(const SiteConfig* c, Device* dev, int run, int state, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int64_t timeout_ns = c.dev_order_timeout_ns[dev.index]
    if timeout_ns <= 0 or dev.orders[run].count == 0 or reached(run, state):
        dev.order_since_ns = now_ns
        dev.start_tries = 0 if run == RUN_RUN else dev.start_tries
        return
    if now_ns - dev.order_since_ns <= timeout_ns:
        return
    dev.order_since_ns = now_ns
    emit(sink, now_ns, EV_ORDER_LATE, LEVEL_ALARM, dev.unit, dev.index, -1, run, state if state >= 0 else NAN, timeout_ns * 1e-9)
    if run != RUN_RUN or c.dev_start_tries[dev.index] <= 0:
        return
    dev.start_tries += 1
    if dev.start_tries >= c.dev_start_tries[dev.index]:
        dev.start_given_up = 1
        emit(sink, now_ns, EV_START_GIVEN_UP, LEVEL_ALARM, dev.unit, dev.index, -1, dev.start_tries, NAN, NAN)


cdef bint may_start(const Device* dev, const Inputs* inp) noexcept nogil:
    """The set point stands, and no battery says that it is away."""
    cdef double battery = inp.value[dev.unit * QUANTITIES + Q_BMS_STATE]
    return dev.setpoint.acked and battery != BMS_DISCONNECTED and battery != BMS_CONNECTING


cdef void new_order(Device* dev, int run, int64_t now_ns) noexcept nogil:
    dev.last_run = <uint8_t> run
    dev.order_row = 0
    dev.order_once = 0
    dev.order_under_way = -1
    dev.switch_next_ns = 0
    dev.order_since_ns = now_ns


cdef void send_switch(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int run, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int i
    cdef int state = inverter_state(c, dev, inp, now_ns)
    if run == RUN_RUN and dev.start_given_up:
        run = RUN_STANDBY
    if run != dev.last_run:
        new_order(dev, run, now_ns)
    if run == RUN_RUN and not may_start(dev, inp):
        dev.order_since_ns = now_ns
        return
    watch_order(c, dev, run, state, sink, now_ns)
    if busy(&dev.switch) or now_ns < dev.switch_next_ns:
        return
    i = next_row(c, dev, &dev.orders[run], state_bit(state))
    if i >= 0:
        if submit_order(c, dev, bus, inp, dev.orders[run].first + i, now_ns):
            dev.order_under_way = i
    elif dev.order_row > 0:
        # The rows that fit are through: what shows no effect is ordered again later.
        dev.order_row = 0
        dev.switch_next_ns = now_ns + c.dev_order_repeat_ns[dev.index]


# --- contactor ----------------------------------------------------------------------------------------------------------------------------

cdef void send_contactor(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, int64_t now_ns) noexcept nogil:
    cdef bint opens = out.cmd_open[dev.unit]
    cdef int order = ORDER_OPEN if opens else ORDER_CLOSE if out.cmd_close[dev.unit] else ORDER_NONE
    cdef const Rows* rows = &dev.open_rows if opens else &dev.close_rows
    cdef int64_t switch_next_ns = dev.switch_next_ns
    if order != dev.last_contactor:
        dev.last_contactor = <uint8_t> order
        dev.contactor_next_ns = 0
    if order == ORDER_NONE or rows.count == 0 or busy(&dev.switch) or now_ns < dev.contactor_next_ns:
        return
    # An order to open is repeated until the BMS says that it is open; one to close only while it says that it is.
    if (inp.value[dev.unit * QUANTITIES + Q_BMS_STATE] == BMS_DISCONNECTED) == opens:
        return
    if submit_order(c, dev, bus, inp, rows.first, now_ns):
        dev.contactor_next_ns = now_ns + c.dev_order_repeat_ns[dev.index]
    # Start and stop of a PCS that answers for its battery keep their own time.
    dev.switch_next_ns = switch_next_ns
