"""The set point of one PCS and the proof that it holds; the rules stand in setpoint.pxd."""

from libc.string cimport memcmp, memset

from .bus cimport DONE, FAILED, IDLE, QUEUED, SENT, bus_submit_command, bus_submit_poll
from .frames cimport READ_HOLDING_REGISTERS, WRITE_MULTIPLE_REGISTERS
from .layout cimport NS_PER_S

cdef enum:
    MODE_WATTS = 1              # SunSpec 704 WSetMod
    REM_SLACK_S = 2             # WSetRvrtRem counts whole seconds, and device timers are inexact
    RETRY_NS = 100000000        # a write the device refused is repeated, not hammered
    READBACK_NS = 1000000000


cdef void setpoint_init(Setpoint* s, int address, int unit_id, int64_t timeout_ns, int64_t reversion_ns) noexcept nogil:
    memset(s, 0, sizeof(Setpoint))
    s.write.function, s.readback.function = WRITE_MULTIPLE_REGISTERS, READ_HOLDING_REGISTERS
    s.write.count, s.readback.count = BLOCK_REGISTERS, BLOCK_AND_REM
    s.write.address = s.readback.address = <uint16_t> address
    s.write.unit_id = s.readback.unit_id = <uint8_t> unit_id
    s.write.timeout_ns = s.readback.timeout_ns = timeout_ns
    s.reversion_s = <uint32_t> (reversion_ns // NS_PER_S) if reversion_ns >= NS_PER_S else 1


cdef void setpoint_restart(Setpoint* s, int64_t now_ns) noexcept nogil:
    s.written = s.acked = s.held = 0
    s.retry_ns = 0
    s.readback_due_ns = now_ns
    if s.confirmed_ns == 0:
        s.confirmed_ns = now_ns


cdef void setpoint_release(Setpoint* s) noexcept nogil:
    s.yielded = s.foreign_tries = 0
    s.written = 0


# --- the block ----------------------------------------------------------------------------------------------------------------------------

cdef void put_u32(uint16_t* registers, uint32_t value) noexcept nogil:
    registers[0], registers[1] = <uint16_t> (value >> 16), <uint16_t> value


cdef inline uint32_t get_u32(const uint16_t* registers) noexcept nogil:
    return (<uint32_t> registers[0] << 16) | registers[1]


cdef void fill_block(uint16_t* registers, int32_t raw, uint32_t reversion_s) noexcept nogil:
    memset(registers, 0, BLOCK_REGISTERS * sizeof(uint16_t))
    registers[0] = 1                            # WSetEna
    registers[1] = MODE_WATTS                   # WSetMod
    put_u32(registers + 2, <uint32_t> raw)      # WSet
    put_u32(registers + 4, 0)                   # WSetRvrt: 0 W
    registers[8] = 1                            # WSetEnaRvrt: the expiry value is enabled (6, 7: WSetPct, WSetPctRvrt, unused)
    put_u32(registers + 9, reversion_s)         # WSetRvrtTms


cdef int block_holds(const uint16_t* registers, int32_t raw, uint32_t reversion_s, int64_t age_ns) noexcept nogil:
    cdef uint16_t[BLOCK_REGISTERS] ours
    cdef uint32_t left_s = get_u32(registers + BLOCK_REGISTERS)
    fill_block(ours, raw, reversion_s)
    # WSetPct and WSetPctRvrt are the other mode's business: a PCS may show there what it likes.
    ours[6], ours[7] = registers[6], registers[7]
    if left_s == 0 and get_u32(registers + 9) == reversion_s:
        return HOLDS_REVERTED
    if memcmp(ours, registers, sizeof(ours)) != 0:
        return HOLDS_OTHER
    if left_s > reversion_s or left_s + age_ns // NS_PER_S + REM_SLACK_S < reversion_s:
        return HOLDS_REVERTED
    return HOLDS_OURS


# --- out ----------------------------------------------------------------------------------------------------------------------------------

cdef bint write_due(const Setpoint* s, int64_t now_ns) noexcept nogil:
    if now_ns < s.retry_ns:
        return False
    return not s.written or s.wanted_raw != s.written_raw or now_ns - s.acked_sent_ns >= <int64_t> s.reversion_s * NS_PER_S // 3


cdef inline bint busy(const Transaction* t) noexcept nogil:
    return t.status == QUEUED or t.status == SENT


cdef void look_first(Setpoint* s, Bus* bus, int64_t now_ns) noexcept nogil:
    """The same set point again would hide what somebody else wrote meanwhile: read before writing."""
    if s.acked and not busy(&s.readback):
        if bus_submit_command(bus, &s.readback):
            s.readback_due_ns = now_ns + READBACK_NS
        else:
            s.readback.status = IDLE


cdef bint send_write(Setpoint* s, Bus* bus, int64_t now_ns) noexcept nogil:
    if s.write.status == SENT or (s.write.status == IDLE and not write_due(s, now_ns)):
        return True
    if s.written and s.wanted_raw == s.written_raw:
        look_first(s, bus, now_ns)
    fill_block(s.write.regs, s.wanted_raw, s.reversion_s)
    s.written_raw = s.wanted_raw
    s.written = 1
    s.live = s.live or s.wanted_raw != 0
    if s.write.status == QUEUED or bus_submit_command(bus, &s.write):
        return True
    s.write.status = IDLE
    s.written = 0
    return False


cdef bint setpoint_send(Setpoint* s, Bus* bus, int32_t raw, int64_t now_ns) noexcept nogil:
    cdef bint handed
    s.wanted_raw = raw
    handed = send_write(s, bus, now_ns)
    if s.acked and now_ns >= s.readback_due_ns and not busy(&s.readback):
        if bus_submit_poll(bus, &s.readback):
            s.readback_due_ns = now_ns + READBACK_NS
        else:
            s.readback.status = IDLE
    return handed


# --- back ---------------------------------------------------------------------------------------------------------------------------------

cdef void take_write(Setpoint* s, int64_t now_ns) noexcept nogil:
    if s.write.status == DONE:
        s.held = s.held and s.acked and s.acked_raw == s.written_raw
        s.acked = 1
        s.acked_raw = s.written_raw
        s.acked_sent_ns = s.write.sent_ns
        s.readback_due_ns = now_ns
    elif s.write.status == FAILED:
        # It may or may not stand there: nothing is known until the next write.
        s.written = s.acked = s.held = 0
        s.retry_ns = now_ns + RETRY_NS
    else:
        return
    s.write.status = IDLE


cdef bint changed_by_others(Setpoint* s, int64_t now_ns) noexcept nogil:
    if now_ns - s.foreign_ns > 60 * <int64_t> NS_PER_S and not s.yielded:
        s.foreign_tries = 0
    s.foreign_ns = now_ns
    s.foreign_tries += s.foreign_tries < 255
    s.held = 0
    s.yielded = s.yielded or s.foreign_tries > FOREIGN_TRIES
    # Yielding asserts 0 W once more; after that only the re-arming of the timer writes.
    s.written = s.foreign_tries > FOREIGN_TRIES + 1
    return True


cdef bint take_readback(Setpoint* s, int64_t now_ns, int32_t* found_raw) noexcept nogil:
    cdef int holds
    cdef bint done = s.readback.status == DONE
    if not done and s.readback.status != FAILED:
        return False
    s.readback.status = IDLE
    # Only the write that was acknowledged before this question was sent can be judged by it.
    if not done or not s.acked or s.acked_sent_ns > s.readback.sent_ns:
        return False
    holds = block_holds(s.readback.regs, s.acked_raw, s.reversion_s, s.readback.done_ns - s.acked_sent_ns)
    found_raw[0] = <int32_t> get_u32(s.readback.regs + 2)
    if holds == HOLDS_OURS:
        s.confirmed_ns = s.readback.sent_ns
        s.held = 1
        s.live = s.acked_raw != 0 or s.written_raw != 0
    elif holds == HOLDS_OTHER and s.held:
        return changed_by_others(s, now_ns)
    elif holds == HOLDS_REVERTED and s.write.status == IDLE:
        s.written = 0
    return False


cdef bint setpoint_take(Setpoint* s, int64_t now_ns, int32_t* found_raw) noexcept nogil:
    cdef bint foreign
    if s.write.status == DONE and s.readback.status == DONE and s.write.sent_ns > s.readback.sent_ns:
        foreign = take_readback(s, now_ns, found_raw)
        take_write(s, now_ns)
        return foreign
    take_write(s, now_ns)
    return take_readback(s, now_ns, found_raw)
