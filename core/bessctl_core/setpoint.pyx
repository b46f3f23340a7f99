"""The set point of one PCS: when it is written, and how; the rules stand in setpoint.pxd. What comes back is proof.pyx."""

from libc.string cimport memcmp, memset

from .bus cimport IDLE, QUEUED, SENT, bus_submit_command, bus_submit_poll, bus_submit_urgent
from .layout cimport MAX_UNITS, NS_PER_S, WF_VERIFY
from .question cimport busy, question_of
from .wear cimport budgeted, spend, wear_restart
from .writes cimport fill_row, rows_of

cdef enum:
    READBACK_NS = 1000000000
    HURRY_NS = 1000000000


cdef void setpoint_init(Setpoint* s, const SiteConfig* c, int device, int program) noexcept nogil:
    memset(s, 0, sizeof(Setpoint))
    s.device, s.unit = device, c.dev_place[device]
    s.rows = rows_of(c, device, program)
    question_of(c, device, &s.write)
    question_of(c, device, &s.readback)
    if s.rows.count and 0 <= s.unit < MAX_UNITS:
        # Timers of devices count whole seconds.
        s.reversion_ns = max(c.unit_reversion_ns[s.unit] // NS_PER_S * NS_PER_S, <int64_t> NS_PER_S)


cdef void setpoint_restart(Setpoint* s, const SiteConfig* c, double count_w, int64_t now_ns) noexcept nogil:
    s.written = s.acked = s.held = s.under_way = s.looked = 0
    memset(s.known, 0, sizeof(s.known))
    s.retry_ns = s.rest_ns = 0
    s.back_row = -1
    s.readback_due_ns = now_ns
    wear_restart(s, c, count_w, now_ns)
    if s.confirmed_ns == 0:
        s.confirmed_ns = now_ns


cdef void setpoint_release(Setpoint* s) noexcept nogil:
    s.yielded = s.foreign_tries = s.doubted = 0
    s.written = 0


cdef Values values_of(const Setpoint* s, int32_t raw, int64_t now_ns) noexcept nogil:
    cdef Values v
    v.now_ns, v.reversion_ns, v.raw, v.beat, v.unit = now_ns, s.reversion_ns, raw, 0, s.unit
    return v


# --- out ----------------------------------------------------------------------------------------------------------------------------------

cdef bint resend_due(const Setpoint* s, const SiteConfig* c, int64_t now_ns) noexcept nogil:
    cdef int64_t period_ns = c.dev_resend_ns[s.device]
    return period_ns > 0 and s.written_raw != RELEASED and now_ns - s.acked_sent_ns >= period_ns


cdef bint write_due(const Setpoint* s, const SiteConfig* c, int64_t now_ns) noexcept nogil:
    if now_ns < s.retry_ns:
        return False
    return not s.written or s.wanted_raw != s.written_raw or resend_due(s, c, now_ns)


cdef bint ask_back(Setpoint* s, const SiteConfig* c, Bus* bus, bint command) noexcept nogil:
    """Ask for the next row of the round, or begin one."""
    cdef int first = s.rows.first
    cdef int i = max(s.back_row, 0)
    while i < s.rows.count and not c.write_flags[first + i] & WF_VERIFY:
        i += 1
    if i >= s.rows.count:
        return False
    s.readback.function = c.write_read_function[first + i]
    s.readback.address, s.readback.count = <uint16_t> c.write_addr[first + i], <uint16_t> c.write_back[first + i]
    if not (bus_submit_command(bus, &s.readback) if command else bus_submit_poll(bus, &s.readback)):
        s.readback.status = IDLE
        return False
    if s.back_row < 0:
        s.round_ns = 0
        s.seen = 0
    s.back_row = i
    return True


cdef void look_first(Setpoint* s, const SiteConfig* c, Bus* bus, int64_t now_ns) noexcept nogil:
    """The same set point again would hide what somebody else wrote meanwhile: read before writing."""
    if s.acked and not busy(&s.readback) and s.back_row < 0 and ask_back(s, c, bus, True):
        s.readback_due_ns = now_ns + READBACK_NS


cdef bint stands_there(const Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    """The row to be sent was acknowledged with the same registers already."""
    cdef uint16_t[125] registers
    cdef Values v = values_of(s, s.written_raw, now_ns)
    cdef int row = s.rows.first + s.row
    if not s.known[s.row]:
        return False
    fill_row(c, row, inp, &v, registers)
    return memcmp(registers, &s.regs[s.row * ROW_REGISTERS], c.write_count[row] * sizeof(uint16_t)) == 0


cdef int32_t through_zero(const Setpoint* s, int32_t raw) noexcept nogil:
    # Where what was last told may still stand in another direction, 0 goes between.
    if s.rows.count > 1 and s.written and ((s.written_raw > 0 and raw < 0) or (s.written_raw < 0 and raw > 0)):
        return 0
    return raw


cdef void begin(Setpoint* s, const SiteConfig* c, int32_t raw, int64_t now_ns) noexcept nogil:
    # What wears and stands there already, as read at connect, is left alone.
    s.whole = (not s.written and s.step_raw == 0) or resend_due(s, c, now_ns)
    s.written_raw = through_zero(s, raw)
    s.written = s.under_way = 1
    s.row = 0
    s.begun_ns = now_ns
    s.live = s.live or s.written_raw != 0


cdef inline bint toward_zero(int32_t stands, int32_t raw) noexcept nogil:
    return stands != 0 and ((raw < stands) if stands > 0 else (raw > stands))


cdef bint falls(const Setpoint* s) noexcept nogil:
    """What is wanted is less, or the other way, than what the PCS may be holding."""
    return (s.written and toward_zero(s.written_raw, s.wanted_raw)) or (s.acked and toward_zero(s.acked_raw, s.wanted_raw)) \
        or (s.wanted_raw == 0 and s.live)


cdef void look_for_hurry(Setpoint* s, int64_t now_ns) noexcept nogil:
    if s.hurry or not s.may_hurry or not falls(s):
        return
    if s.wanted_raw == 0:
        s.hurry = 1
    elif s.hurried_ns == 0 or now_ns - s.hurried_ns >= HURRY_NS:
        s.hurry = 1
        s.hurried_ns = now_ns


cdef bint hand_over(Setpoint* s, Bus* bus) noexcept nogil:
    if s.hurry:
        return bus_submit_urgent(bus, &s.write)
    return s.write.status == QUEUED or bus_submit_command(bus, &s.write)


cdef bint submit_row(Setpoint* s, const SiteConfig* c, const Inputs* inp, Bus* bus, int64_t now_ns) noexcept nogil:
    cdef Values v = values_of(s, s.written_raw, now_ns)
    cdef int row = s.rows.first + s.row
    s.write.function = c.write_function[row]
    s.write.address, s.write.count = <uint16_t> c.write_addr[row], <uint16_t> c.write_count[row]
    fill_row(c, row, inp, &v, s.write.regs)
    if hand_over(s, bus):
        return True
    s.write.status = IDLE
    s.written = s.under_way = 0
    return False


cdef void skip_rows(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    while s.row < s.rows.count and not s.whole and stands_there(s, c, inp, now_ns):
        s.row += 1


cdef bint send_sequence(Setpoint* s, const SiteConfig* c, const Inputs* inp, Bus* bus, int64_t now_ns) noexcept nogil:
    if s.write.status == SENT:
        return True
    if s.under_way:
        look_for_hurry(s, now_ns)
        if s.write.status == QUEUED and s.row == 0:
            s.written_raw = through_zero(s, s.wanted_raw) if s.rows.count == 1 else s.written_raw
            s.live = s.live or s.written_raw != 0
            return submit_row(s, c, inp, bus, now_ns)
        return hand_over(s, bus) if s.write.status == QUEUED else submit_row(s, c, inp, bus, now_ns)
    if not write_due(s, c, now_ns):
        return True
    if s.written and s.wanted_raw == s.written_raw:
        look_first(s, c, bus, now_ns)
    s.hurry = 0
    look_for_hurry(s, now_ns)
    begin(s, c, s.wanted_raw, now_ns)
    skip_rows(s, c, inp, now_ns)
    if s.row >= s.rows.count:       # it changes no register: acknowledged as it stands
        s.under_way = 0
        s.acked = 1
        s.acked_raw = s.written_raw
        s.acked_sent_ns = s.readback_due_ns = now_ns
        return True
    spend(s)
    return submit_row(s, c, inp, bus, now_ns)


cdef bint look_at_connect(Setpoint* s, const SiteConfig* c, Bus* bus) noexcept nogil:
    """False until the rows were read once on this connection, or cannot be."""
    if s.looked:
        return True
    if busy(&s.readback):
        return False
    if c.dev_confirm_ack[s.device] or not ask_back(s, c, bus, True):
        s.looked = 1
        s.back_row = -1
    return s.looked


cdef bint setpoint_send(Setpoint* s, const SiteConfig* c, const Inputs* inp, Bus* bus, int32_t raw, int64_t now_ns) noexcept nogil:
    cdef bint handed
    if not look_at_connect(s, c, bus):
        return True
    s.asked_raw = raw
    s.wanted_raw = budgeted(s, c, raw, now_ns)
    handed = send_sequence(s, c, inp, bus, now_ns)
    if (s.acked or s.unconfirmed) and not busy(&s.readback) and (s.back_row >= 0 or now_ns >= s.readback_due_ns):
        s.readback_due_ns = now_ns + READBACK_NS if s.back_row < 0 else s.readback_due_ns
        ask_back(s, c, bus, False)
    return handed
