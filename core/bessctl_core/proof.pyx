"""What came back of a set point and what it proves; see proof.pxd."""

from libc.stdint cimport int32_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from .bus cimport DONE, FAILED, IDLE, SENT
from .layout cimport NS_PER_S, SRC_REVERSION, SRC_SETPOINT, WF_VERIFY
from .setpoint cimport ROW_REGISTERS, SEEN_NO_POWER, SEEN_OTHER, SEEN_POWER, skip_rows, values_of
from .writes cimport HOLDS_OTHER, HOLDS_OURS, HOLDS_REVERTED, POWER_NONE, POWER_SOME, Values, field_found, row_holds, row_power

cdef enum:
    FOREIGN_TRIES = 3
    RETRY_NS = 100000000        # a write the device refused is repeated, not hammered

cdef int64_t WORN_RETRY_NS = 10 * <int64_t> NS_PER_S   # nor repeated often where it wears and the budget is used up


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


cdef void confirm(Setpoint* s) noexcept nogil:
    s.confirmed_ns = s.round_ns
    s.held = 1
    s.live = s.acked_raw != 0 or s.written_raw != 0
    s.rest_ns = s.doubted = 0


cdef void note_rest(Setpoint* s) noexcept nogil:
    """A round of an unconfirmed set point is over, or it found power."""
    if s.seen & SEEN_NO_POWER and not s.seen & SEEN_POWER:
        s.rest_ns = s.round_ns
        return
    s.doubted = s.doubted or (s.rest_ns != 0 and s.acked)
    s.rest_ns = 0


cdef int not_ours(Setpoint* s, const SiteConfig* c, int row, int holds, int64_t now_ns) noexcept nogil:
    if holds == HOLDS_OTHER and s.held:
        s.found_raw = power_found(s, c, row)
        return changed_by_others(s, now_ns)
    if s.write.status == IDLE and not s.under_way and (holds == HOLDS_REVERTED or again(s, c)):
        memset(s.known, 0, sizeof(s.known))
        s.written = 0
    return TOLD_NOTHING


cdef int judge(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil:
    """A row that was read. Without an acknowledgement it can be nothing but at rest."""
    cdef Values v = values_of(s, s.acked_raw if s.acked else s.wanted_raw, now_ns)
    cdef int row = s.rows.first + s.back_row
    cdef int power = row_power(c, row, inp, &v, s.readback.regs)
    cdef int holds = row_holds(c, row, inp, &v, s.readback.regs, s.readback.done_ns - s.acked_sent_ns) if s.acked else <int> HOLDS_OTHER
    cdef bint over
    s.round_ns = s.round_ns or s.readback.sent_ns
    s.seen |= SEEN_POWER if power == POWER_SOME else SEEN_NO_POWER if power == POWER_NONE else 0
    s.seen |= SEEN_OTHER if holds != HOLDS_OURS else 0
    s.back_row += 1
    over = round_over(s, c)
    if not over and (not s.seen & SEEN_OTHER or (s.unconfirmed and not s.held and not s.seen & SEEN_POWER)):
        return TOLD_NOTHING
    s.back_row = -1
    if over and not s.seen & SEEN_OTHER:
        confirm(s)
        return TOLD_NOTHING
    if s.unconfirmed:
        note_rest(s)
    return not_ours(s, c, row, holds, now_ns) if s.acked else TOLD_NOTHING


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
    elif not done or s.acked_sent_ns > s.readback.sent_ns or overtaken(s) or not (s.acked or s.unconfirmed):
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


cdef bint setpoint_feeds(const Setpoint* s, const SiteConfig* c, int64_t now_ns) noexcept nogil:
    if not s.unconfirmed:
        return True
    return s.rest_ns != 0 and now_ns - s.rest_ns <= c.unit_confirm_ns[s.unit] and not s.doubted and not s.yielded
