"""A line with faults: what becomes of one answer, kind by kind. Pure, no Python, no GIL.

Where registers are forged they read 0x5A5A, which as a temperature, a voltage or a power would show at once. A frame that is spoilt in
its meaning keeps a right check sum (serial) or length (TCP): only what it says is wrong. A kind that a link cannot have changes nothing.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memmove, memset

from bessctl_core.sim.slave cimport crc16

cdef uint8_t[8] NOISE = [0xAA, 0x55, 0xAA, 0x55, 0xAA, 0x01, 0x02, 0x03]


cdef int sealed(bint tcp, uint8_t* frame, int n) noexcept nogil:
    """Length or check sum put right again; n counts an old check sum."""
    cdef uint16_t crc
    if tcp:
        frame[4] = <uint8_t>((n - 6) >> 8)
        frame[5] = <uint8_t>((n - 6) & 0xFF)
        return n
    crc = crc16(frame, n - 2)
    frame[n - 2] = <uint8_t>(crc & 0xFF)
    frame[n - 1] = <uint8_t>(crc >> 8)
    return n


cdef void forge(uint8_t* pdu) noexcept nogil:
    if pdu[0] == 3 or pdu[0] == 4:
        memset(pdu + 2, 0x5A, pdu[1])


cdef int in_front(uint8_t* answer, int n, const uint8_t* more, int count) noexcept nogil:
    memmove(answer + count, answer, n)
    memcpy(answer, more, count)
    return n + count


cdef int behind(uint8_t* answer, int n, int count) noexcept nogil:
    memcpy(answer + n, NOISE, count)
    return n + count


cdef int of_another(bint tcp, uint8_t* answer, int n) noexcept nogil:
    """Somebody else's answer of the very same shape in front of the right one: another transaction (TCP), another unit (serial)."""
    memcpy(answer + n, answer, n)
    forge(answer + (7 if tcp else 1))
    if tcp:
        answer[1] = <uint8_t>(answer[1] - 1)
    else:
        answer[0] ^= 0x10
    sealed(tcp, answer, n)
    return 2 * n


cdef int misread(int kind, bint tcp, uint8_t* answer, int n) noexcept nogil:
    """Valid frames that say something else."""
    cdef uint8_t* pdu = answer + (7 if tcp else 1)
    if kind == SPOIL_UNIT:
        answer[6 if tcp else 0] ^= 0x10
        forge(pdu)
    elif kind == SPOIL_FUNCTION:
        forge(pdu)
        pdu[0] = 4 if pdu[0] == 3 else 3 if pdu[0] == 4 else 6
    elif kind == SPOIL_COUNT and pdu[0] == 3 and pdu[1] > 2:
        pdu[1] = <uint8_t>(pdu[1] - 2)
        forge(pdu)
        n -= 2
    elif kind == SPOIL_BUSY:
        pdu[0] |= 0x80
        pdu[1] = 6
        n = 9 if tcp else 5
    return sealed(tcp, answer, n)


cdef int spoil_tcp(int kind, uint8_t* answer, int n) noexcept nogil:
    if kind == SPOIL_PROTOCOL:
        answer[3] = 1
    elif kind == SPOIL_LENGTH:
        answer[4] = answer[5] = 0xFF
    elif kind == SPOIL_STALE:
        return of_another(True, answer, n)
    elif kind == SPOIL_FRONT:
        return in_front(answer, n, NOISE, 5)
    elif kind == SPOIL_BEHIND:
        return behind(answer, n, 6)
    elif kind == SPOIL_CLOSE:
        return 0
    return n


cdef int spoil_serial(int kind, const uint8_t* question, int question_n, uint8_t* answer, int n) noexcept nogil:
    cdef uint8_t zero = 0
    if kind == SPOIL_BIT:
        answer[n // 2] ^= 0x10
    elif kind == SPOIL_FRONT:
        return in_front(answer, n, NOISE, 3)
    elif kind == SPOIL_BEHIND:
        return behind(answer, n, 2)
    elif kind == SPOIL_ZERO:
        return in_front(answer, n, &zero, 1)
    elif kind == SPOIL_OTHER:
        return of_another(False, answer, n)
    elif kind == SPOIL_ECHO:
        return in_front(answer, n, question, question_n)
    return n


cdef int spoil(int kind, bint tcp, const uint8_t* question, int question_n, uint8_t* answer, int n, int* first) noexcept nogil:
    """What arrives instead of the n bytes of `answer` (room for FRAME_ROOM): its length, 0 = the connection ends. `first`: so many
    bytes of it come in time, the rest spoil_wait_ns later."""
    if kind in (SPOIL_UNIT, SPOIL_FUNCTION, SPOIL_COUNT, SPOIL_BUSY):
        n = misread(kind, tcp, answer, n)
    elif tcp:
        n = spoil_tcp(kind, answer, n)
    else:
        n = spoil_serial(kind, question, question_n, answer, n)
    first[0] = n
    if kind == SPOIL_LATE:
        first[0] = 0
    elif kind == SPOIL_SLOW or (kind == SPOIL_GAP and not tcp):
        first[0] = n // 2
    return n


cdef int64_t spoil_wait_ns(int kind) noexcept nogil:
    """How much later the rest comes."""
    return SPOIL_GAP_NS if kind == SPOIL_GAP else SPOIL_LATE_NS
