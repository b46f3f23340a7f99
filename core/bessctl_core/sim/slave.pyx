"""A Modbus slave as pure functions: one request PDU in, one reply PDU out. Modbus Application Protocol V1.1b3, chapter 6.

Functions 03 and 04 (both read the same registers: SunSpec devices are seen with either), 06, 16. Exceptions: 1 another function;
2 address outside the chain, or not writable; 3 wrong count or a value the point cannot have; any other by injection.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from bessctl_core.sim.controls cimport write_apply, write_check
from bessctl_core.sim.types cimport Image, SimPlant


cdef inline int u16(const uint8_t* at) noexcept nogil:
    return (at[0] << 8) | at[1]


cdef int refuse(int function, int code, uint8_t* out) noexcept nogil:
    out[0] = <uint8_t>(function | 0x80)
    out[1] = <uint8_t>code
    return 2


cdef int read_registers(const Image* im, const uint8_t* pdu, int n, uint8_t* out) noexcept nogil:
    cdef int at, count, i
    if n != 5:
        return refuse(pdu[0], 3, out)
    at = u16(pdu + 1) - im.base
    count = u16(pdu + 3)
    if count < 1 or count > 125:
        return refuse(pdu[0], 3, out)
    if at < 0 or at + count > im.n:
        return refuse(pdu[0], 2, out)
    out[0] = pdu[0]
    out[1] = <uint8_t>(2 * count)
    for i in range(count):
        out[2 + 2 * i] = <uint8_t>(im.regs[at + i] >> 8)
        out[3 + 2 * i] = <uint8_t>(im.regs[at + i] & 0xFF)
    return 2 + 2 * count


cdef int write_registers(SimPlant* p, Image* im, const uint8_t* pdu, int n, uint8_t* out, int64_t now_ns) noexcept nogil:
    cdef uint16_t[123] values
    cdef int count = 1
    cdef int first = 3
    cdef int at, i, code
    if pdu[0] == 16:
        count = u16(pdu + 3) if n >= 6 else 0
        first = 6
        if count < 1 or count > 123 or pdu[5] != 2 * count:
            return refuse(pdu[0], 3, out)
    if n != first + 2 * count:
        return refuse(pdu[0], 3, out)
    for i in range(count):
        values[i] = <uint16_t>u16(pdu + first + 2 * i)
    at = u16(pdu + 1) - im.base
    code = write_check(im, at, count, values)
    if code != 0:
        return refuse(pdu[0], code, out)
    write_apply(p, im, at, count, values, now_ns)
    memcpy(out, pdu, 5)
    return 5


cdef int slave_answer(SimPlant* p, Image* im, const uint8_t* pdu, int n, uint8_t* out, int64_t now_ns) noexcept nogil:
    """Length of the reply PDU in `out` (at least 253 bytes), 0 where the device says nothing. `now_ns` is the plant's time."""
    im.requests += 1
    if n < 1 or im.silent:
        return 0
    if im.exception:
        return refuse(pdu[0], im.exception, out)
    if pdu[0] == 3 or pdu[0] == 4:
        return read_registers(im, pdu, n, out)
    if im.write_exception and (pdu[0] == 6 or pdu[0] == 16):
        return refuse(pdu[0], im.write_exception, out)
    if pdu[0] == 6 or pdu[0] == 16:
        return write_registers(p, im, pdu, n, out, now_ns)
    return refuse(pdu[0], 1, out)


cdef uint16_t crc16(const uint8_t* data, int n) noexcept nogil:
    """Modbus over Serial Line V1.02, 6.2.2; sent low byte first."""
    cdef uint16_t crc = 0xFFFF
    cdef int i, bit
    for i in range(n):
        crc ^= data[i]
        for bit in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


cdef int rtu_length(const uint8_t* data, int n) noexcept nogil:
    """Length of the request frame that starts at `data`: -1 not known yet, 0 not to be told from its function code."""
    if n < 2:
        return -1
    if 1 <= data[1] <= 6:
        return 8
    if data[1] == 15 or data[1] == 16:
        return 9 + data[6] if n >= 7 else -1
    return 0
