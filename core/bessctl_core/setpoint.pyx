"""The set point of one PCS and the proof that it holds; the rules stand in setpoint.pxd."""

from libc.string cimport memcmp, memcpy, memset

from .bus cimport DONE, FAILED, IDLE, QUEUED, SENT, bus_submit_command, bus_submit_poll, bus_submit_urgent
from .layout cimport (
    MAX_UNITS, NS_PER_S, SRC_REVERSION, SRC_SETPOINT, WF_VERIFY,
)
from .question cimport busy, question_of
from .wear cimport budgeted, spend, wear_restart
from .writes cimport HOLDS_OTHER, HOLDS_OURS, HOLDS_REVERTED, field_found, fill_row, row_holds, rows_of

cdef enum:
    RETRY_NS = 100000000        # a write the device refused is repeated, not hammered
    READBACK_NS = 1000000000
    HURRY_NS = 1000000000

cdef int64_t WORN_RETRY_NS = 10 * <int64_t> NS_PER_S   # nor repeated often where it wears and the budget is used up


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
    s.retry_ns = 0
    s.back_row = -1
    s.readback_due_ns = now_ns
    wear_restart(s, c, count_w, now_ns)
    if s.confirmed_ns == 0:
        s.confirmed_ns = now_ns


cdef void setpoint_release(Setpoint* s) noexcept nogil:
    s.yielded = s.foreign_tries = 0
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
    if s.acked and not busy(&s.readback) and (s.back_row >= 0 or now_ns >= s.readback_due_ns):
        s.readback_due_ns = now_ns + READBACK_NS if s.back_row < 0 else s.readback_due_ns
        ask_back(s, c, bus, False)
    return handed


# --- back ---------------------------------------------------------------------------------------------------------------------------------

cdef void lose_write(Setpoint* s, int64_t now_ns) noexcept nogil:
    # It may or may not stand there: nothing is known until the next write.
    s.written = s.acked = s.held = s.under_way = 0
    memset(s.known, 0, sizeof(s.known))
    s.retry_ns = now_ns + (RETRY_NS if s.step_raw == 0 or s.grants > 0 else WORN_RETRY_NS)


cdef void take_write(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    if s.write.status == FAILED:
        lose_write(s, now_ns)
    elif s.write.status == DONE and s.under_way:
        s.known[s.row] = 1
        memcpy(&s.regs[s.row * ROW_REGISTERS], s.write.regs, s.write.count * sizeof(uint16_t))
        s.row += 1
        skip_rows(s, c, inp, now_ns)
        if s.row >= s.rows.count:
            s.under_way = 0
            s.held = s.held and s.acked and s.acked_raw == s.written_raw
            s.acked = 1
            s.acked_raw = s.written_raw
            s.readback_due_ns = now_ns
        s.acked_sent_ns = s.write.sent_ns
        if not s.under_way and c.dev_confirm_ack[s.device]:
            s.held = 1
            s.confirmed_ns = s.write.sent_ns
            s.live = s.acked_raw != 0
    elif s.write.status != DONE:
        return
    s.write.status = IDLE


cdef int changed_by_others(Setpoint* s, int64_t now_ns) noexcept nogil:
    if now_ns - s.foreign_ns > 60 * <int64_t> NS_PER_S and not s.yielded:
        s.foreign_tries = 0
    s.foreign_ns = now_ns
    s.foreign_tries += s.foreign_tries < 255
    s.held = 0
    memset(s.known, 0, sizeof(s.known))
    s.yielded = s.yielded or s.foreign_tries > FOREIGN_TRIES
    # Yielding asserts 0 W once more; after that only the re-arming of the timer writes.
    s.written = s.foreign_tries > FOREIGN_TRIES + 1
    return TOLD_FOREIGN


cdef int field_of(const SiteConfig* c, int row, int source) noexcept nogil:
    cdef int i
    for i in range(c.write_field[row], c.write_field[row] + c.write_fields[row]):
        if c.field_source[i] == source:
            return i
    return -1


cdef int32_t power_found(const Setpoint* s, const SiteConfig* c, int row) noexcept nogil:
    """The set point somebody else wrote, as far as one signed register tells it."""
    cdef int field = field_of(c, row, SRC_SETPOINT)
    cdef int64_t found = field_found(c, field, s.readback.regs) if field >= 0 else 0
    return <int32_t> (-found if field >= 0 and c.field_scale[field] < 0 else found)


cdef int foreign_timer(Setpoint* s, const SiteConfig* c, int row) noexcept nogil:
    """At connect: a timer that runs, or is set to run, for another time than ours."""
    cdef int field = field_of(c, row, SRC_REVERSION)
    cdef double s_found
    if field < 0:
        return TOLD_NOTHING
    s_found = field_found(c, field, s.readback.regs) * c.field_scale[field]
    if s_found <= 0 or s_found == <double> (s.reversion_ns // NS_PER_S):
        return TOLD_NOTHING
    s.found_timer_s = <uint32_t> min(s_found, 4294967295.0)
    return TOLD_TIMER


cdef void adopt(Setpoint* s, const SiteConfig* c, int row) noexcept nogil:
    # A set point that wears and stands there is not written again: what was read counts as acknowledged.
    cdef int i = row - s.rows.first
    if s.step_raw > 0:
        s.known[i] = 1
        memcpy(&s.regs[i * ROW_REGISTERS], s.readback.regs, c.write_count[row] * sizeof(uint16_t))


cdef void adopted(Setpoint* s, int64_t now_ns) noexcept nogil:
    """The look at connect is over."""
    s.looked = 1
    s.back_row = -1


cdef int take_look(Setpoint* s, const SiteConfig* c) noexcept nogil:
    cdef int told = TOLD_NOTHING
    cdef int row = s.rows.first + s.back_row
    # A row that cannot be read is not waited for: commands come first.
    if s.readback.status == DONE:
        told = foreign_timer(s, c, row)
        adopt(s, c, row)
    s.back_row += 1
    return told


cdef bint round_over(const Setpoint* s, const SiteConfig* c) noexcept nogil:
    cdef int i
    for i in range(s.back_row, s.rows.count):
        if c.write_flags[s.rows.first + i] & WF_VERIFY:
            return False
    return True


cdef bint again(const Setpoint* s, const SiteConfig* c) noexcept nogil:
    """An acknowledged write that does not stand there is repeated where nothing repeats it anyway; one that wears only within its budget."""
    return c.dev_resend_ns[s.device] == 0 and (s.step_raw == 0 or s.grants > 0)


cdef int judge(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef Values v = values_of(s, s.acked_raw, now_ns)
    cdef int row = s.rows.first + s.back_row
    cdef int holds = row_holds(c, row, inp, &v, s.readback.regs, s.readback.done_ns - s.acked_sent_ns)
    s.round_ns = s.round_ns or s.readback.sent_ns
    s.back_row += 1
    if holds == HOLDS_OURS:
        if round_over(s, c):
            s.back_row = -1
            s.confirmed_ns = s.round_ns
            s.held = 1
            s.live = s.acked_raw != 0 or s.written_raw != 0
        return TOLD_NOTHING
    s.back_row = -1
    if holds == HOLDS_OTHER and s.held:
        s.found_raw = power_found(s, c, row)
        return changed_by_others(s, now_ns)
    if s.write.status == IDLE and not s.under_way and (holds == HOLDS_REVERTED or again(s, c)):
        memset(s.known, 0, sizeof(s.known))
        s.written = 0
    return TOLD_NOTHING


cdef bint overtaken(const Setpoint* s) noexcept nogil:
    """A write may have changed what was read before its acknowledgement came."""
    return s.under_way and (s.rows.count > 1 or (s.write.status == SENT and s.write.sent_ns <= s.readback.sent_ns))


cdef int take_readback(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef bint done = s.readback.status == DONE
    cdef int told = TOLD_NOTHING
    if not done and s.readback.status != FAILED:
        return TOLD_NOTHING
    if not s.looked:
        told = take_look(s, c)
        if round_over(s, c):
            adopted(s, now_ns)
    elif not done or not s.acked or s.acked_sent_ns > s.readback.sent_ns or overtaken(s):
        # Only the write that was acknowledged before this question was sent can be judged by it.
        s.back_row = -1
    else:
        told = judge(s, c, inp, now_ns)
    s.readback.status = IDLE
    return told


cdef int setpoint_take(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int told
    if s.write.status == DONE and s.readback.status == DONE and s.write.sent_ns > s.readback.sent_ns:
        told = take_readback(s, c, inp, now_ns)
        take_write(s, c, inp, now_ns)
    else:
        take_write(s, c, inp, now_ns)
        told = take_readback(s, c, inp, now_ns)
    if s.saving != s.told_saving:
        s.told_saving = s.saving
        told |= TOLD_HELD
    return told
