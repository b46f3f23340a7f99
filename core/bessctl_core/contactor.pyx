"""The contactors of each battery; the rules stand in contactor.pxd. Loop, nogil, bounded."""

from libc.math cimport fabs

from libc.stdint cimport int64_t, uint8_t

from .connect cimport disconnects
from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport (
    ACT_OPEN, BIND_OPEN, EV_CONTACTOR, MODE_ACQUIRE, MODE_RUN, MODE_START_FAILED, PLANT, QUANTITIES, Q_BMS_STATE, Q_DC_A, Q_DC_V, Q_PACK_A, Q_PACK_V,
    Q_PCS_STATE,
)
from .units cimport is_mapped, unit_sees

# SunSpec 802 State, 701 InvSt.
cdef enum:
    BANK_DISCONNECTED = 1
    BANK_CONNECTED = 3
    BANK_SUSPENDING = 6         # 4 standby, 5 SoC protection: connected all of them
    INVST_OFF = 0
    INVST_SLEEPING = 1
    INVST_STANDBY = 7

cdef int CLOSE_TRIES = 3
cdef double PRECHARGE_SHARE = 0.05


cdef inline double reading(const Inputs* inp, int unit, int quantity) noexcept nogil:
    return inp.value[unit * QUANTITIES + quantity]


cdef bint connected(const SiteConfig* c, const Inputs* inp, int unit, int64_t now_ns) noexcept nogil:
    return unit_sees(c, inp, unit, Q_BMS_STATE, now_ns) and BANK_CONNECTED <= reading(inp, unit, Q_BMS_STATE) <= BANK_SUSPENDING


cdef bint disconnected(const SiteConfig* c, const Inputs* inp, int unit, int64_t now_ns) noexcept nogil:
    return unit_sees(c, inp, unit, Q_BMS_STATE, now_ns) and reading(inp, unit, Q_BMS_STATE) == BANK_DISCONNECTED


cdef bint precharged(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, int64_t now_ns) noexcept nogil:
    """Where nobody measures one of the two, the BMS's word counts."""
    cdef double pack_v = reading(inp, unit, Q_PACK_V)
    if not is_mapped(inp, u, unit, Q_DC_V) or not is_mapped(inp, u, unit, Q_PACK_V):
        return True
    return unit_sees(c, inp, unit, Q_DC_V, now_ns) and fabs(reading(inp, unit, Q_DC_V) - pack_v) <= PRECHARGE_SHARE * pack_v


cdef bint small_since(const SiteConfig* c, const Inputs* inp, int unit, int quantity, int64_t since_ns) noexcept nogil:
    return inp.sampled_ns[unit * QUANTITIES + quantity] >= since_ns and fabs(reading(inp, unit, quantity)) < c.unit_open_a[unit]


cdef bint may_open(const SiteConfig* c, const Inputs* inp, const ContactorTable* t, int unit, int64_t now_ns) noexcept nogil:
    """The PCS rests and hardly anything flows, or it has been long enough."""
    cdef double state = reading(inp, unit, Q_PCS_STATE)
    cdef bint rests = unit_sees(c, inp, unit, Q_PCS_STATE, now_ns) and (
        state == INVST_OFF or state == INVST_SLEEPING or state == INVST_STANDBY)
    if now_ns - t.since_ns[unit] >= c.unit_open_wait_ns[unit]:
        return True
    return rests and (small_since(c, inp, unit, Q_DC_A, t.since_ns[unit]) or small_since(c, inp, unit, Q_PACK_A, t.since_ns[unit]))


cdef void go(ContactorTable* t, int unit, int step, EventSink* sink, int64_t now_ns) noexcept nogil:
    t.step[unit], t.since_ns[unit] = <uint8_t> step, now_ns
    emit(sink, now_ns, EV_CONTACTOR, LEVEL_ALARM if step == BATTERY_GAVE_UP else LEVEL_WARNING if step == BATTERY_OPENING else LEVEL_INFO, unit,
         -1, -1, step, t.tries[unit], 0)


cdef void begin_opening(ContactorTable* t, int unit, bint by_row, EventSink* sink, int64_t now_ns) noexcept nogil:
    """What is open already, and not by us, is not ours to close when a plan ends; a row ends with a reset, and then somebody wants it closed."""
    t.asked[unit] = 1
    if t.step[unit] == BATTERY_GAVE_UP and not by_row:
        return
    t.ours[unit], t.tries[unit] = by_row or t.ours[unit] or t.step[unit] != BATTERY_OPEN, 0
    go(t, unit, BATTERY_OPENING, sink, now_ns)


cdef void open_it(const SiteConfig* c, const Inputs* inp, ContactorTable* t, int unit, bint by_row, EventSink* sink, int64_t now_ns) noexcept nogil:
    """A row or a plan asks for open contactors."""
    if not t.asked[unit]:
        begin_opening(t, unit, by_row, sink, now_ns)
    t.ours[unit] = t.ours[unit] or by_row
    t.ordered[unit] = t.ordered[unit] or may_open(c, inp, t, unit, now_ns)
    if t.step[unit] == BATTERY_OPENING and t.disconnected[unit]:
        go(t, unit, BATTERY_OPEN, sink, now_ns)
    t.ready[unit] = 0
    t.fault[unit] = t.ordered[unit] and not t.disconnected[unit]


cdef void try_closing(const SiteConfig* c, ContactorTable* t, int unit, EventSink* sink, int64_t now_ns) noexcept nogil:
    if t.step[unit] == BATTERY_GAVE_UP or (t.step[unit] == BATTERY_CLOSING and now_ns - t.since_ns[unit] < c.unit_close_wait_ns[unit]):
        return
    if t.tries[unit] >= CLOSE_TRIES:
        go(t, unit, BATTERY_GAVE_UP, sink, now_ns)
        return
    t.tries[unit] += 1
    go(t, unit, BATTERY_CLOSING, sink, now_ns)


cdef void close_it(const SiteConfig* c, const Inputs* inp, const UnitTable* u, ContactorTable* t, int unit, int mode, EventSink* sink,
                   int64_t now_ns) noexcept nogil:
    """Nothing asks for open contactors."""
    cdef bint closing = t.step[unit] == BATTERY_CLOSING
    cdef bint allowed = mode == MODE_ACQUIRE or mode == MODE_START_FAILED or (mode == MODE_RUN and (t.ours[unit] or closing))
    t.asked[unit] = t.ordered[unit] = t.fault[unit] = 0
    if connected(c, inp, unit, now_ns) and (t.ready[unit] or precharged(c, inp, u, unit, now_ns)):
        t.ready[unit], t.ours[unit], t.tries[unit] = 1, 0, 0
        if t.step[unit] != BATTERY_CLOSED:
            go(t, unit, BATTERY_CLOSED, sink, now_ns)
        return
    t.ready[unit] = 0
    t.fault[unit] = mode == MODE_RUN and t.disconnected[unit] and not allowed
    if allowed and (closing or t.disconnected[unit]):
        try_closing(c, t, unit, sink, now_ns)
    elif closing or (t.step[unit] == BATTERY_CLOSED and t.disconnected[unit]):
        go(t, unit, BATTERY_OPEN, sink, now_ns)


cdef void contactors_update(const SiteConfig* c, const Inputs* inp, const UnitTable* u, const RowTable* rows, const Connect* k, ContactorTable* t,
                            int mode, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int unit
    cdef bint by_row
    for unit in range(c.n_units):
        t.disconnected[unit] = disconnected(c, inp, unit, now_ns)
        t.away[unit] = unit_sees(c, inp, unit, Q_BMS_STATE, now_ns) and not connected(c, inp, unit, now_ns)
        by_row = max(rows.stop[unit], rows.stop[PLANT]) >= ACT_OPEN
        if by_row or disconnects(c, k, unit) == BIND_OPEN:
            open_it(c, inp, t, unit, by_row, sink, now_ns)
        elif not is_mapped(inp, u, unit, Q_BMS_STATE):
            t.step[unit], t.ready[unit] = BATTERY_UNKNOWN, 1
            t.asked[unit] = t.ordered[unit] = t.ours[unit] = t.fault[unit] = 0
        else:
            close_it(c, inp, u, t, unit, mode, sink, now_ns)


cdef void contactors_order(const SiteConfig* c, const ContactorTable* t, Outputs* out) noexcept nogil:
    cdef int unit
    for unit in range(c.n_units):
        out.cmd_open[unit] = t.ordered[unit]
        out.cmd_close[unit] = t.step[unit] == BATTERY_CLOSING


cdef void contactors_retry(const SiteConfig* c, ContactorTable* t) noexcept nogil:
    cdef int unit
    for unit in range(c.n_units):
        if t.step[unit] == BATTERY_GAVE_UP:
            # Ours to close from here on, whatever opened it.
            t.step[unit], t.tries[unit], t.ours[unit] = BATTERY_OPEN, 0, 1
