"""Modbus frames, pure: bytes out of a question, a verdict out of bytes. See frames.pxd for the words.

Rules
- A reply is a value only if unit, function, byte count, length and (RTU) check sum or (TCP) transaction id all fit the question; a
  write counts as done only if its echo repeats address and count or value. Everything else is a verdict with a fault, never a value.
- TCP: frames are found by the length in the MBAP header alone. A wrong protocol id or an impossible length means that the stream is
  out of step; nothing after it can be trusted, so that it must be closed (Modbus Messaging on TCP/IP 1.0b, 3.1.3).
- RTU: a frame is found by its header and proved by its check sum; silence proves nothing behind a USB adapter. A byte that begins no
  valid frame is dropped alone, a valid frame that is not the answer is dropped whole, so that nothing inside it is taken for an answer.
  While the header at the front may still be the answer, waiting is right; a header of someone else's frame is waited for as well, until
  the caller says that the line has fallen silent (`final`).
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

FAULTS = (
    "none", "timeout", "exception", "crc", "wrong_unit", "wrong_function", "wrong_length", "wrong_echo", "wrong_protocol", "garbage",
    "connect", "closed", "stopped", "bad_request", "queue_full",
)
VERDICTS = ("more", "ok", "exception", "wrong", "stale", "broken", "foreign", "noise")

cdef uint16_t CRC_TABLE[256]


cdef void fill_crc_table() noexcept nogil:
    # Polynomial 0xA001, the reflected 0x8005 (Serial Line V1.02, 6.2.2).
    cdef int i, k
    cdef uint16_t c
    for i in range(256):
        c = <uint16_t>i
        for k in range(8):
            c = (c >> 1) ^ 0xA001 if c & 1 else c >> 1
        CRC_TABLE[i] = c


fill_crc_table()


cdef uint16_t crc16(const uint8_t* data, int n) noexcept nogil:
    """The check sum of n bytes; on the wire its low byte comes first."""
    cdef uint16_t c = 0xFFFF
    cdef int i
    for i in range(n):
        c = (c >> 8) ^ CRC_TABLE[(c ^ data[i]) & 0xFF]
    return c


cdef inline uint16_t be16(const uint8_t* p) noexcept nogil:
    return <uint16_t>((p[0] << 8) | p[1])


cdef inline void put16(uint8_t* p, uint16_t v) noexcept nogil:
    p[0] = <uint8_t>(v >> 8)
    p[1] = <uint8_t>v


cdef inline bint is_bits(uint8_t function) noexcept nogil:
    return function == READ_COILS or function == READ_DISCRETE_INPUTS or function == WRITE_MULTIPLE_COILS


cdef inline bint is_read(uint8_t function) noexcept nogil:
    return READ_COILS <= function <= READ_INPUT_REGISTERS


cdef inline bint is_single(uint8_t function) noexcept nogil:
    return function == WRITE_SINGLE_COIL or function == WRITE_SINGLE_REGISTER


cdef inline bint is_known(uint8_t function) noexcept nogil:
    return READ_COILS <= function <= WRITE_SINGLE_REGISTER or WRITE_MULTIPLE_COILS <= function <= WRITE_MULTIPLE_REGISTERS


cdef inline int data_bytes(uint8_t function, uint16_t count) noexcept nogil:
    return (count + 7) >> 3 if is_bits(function) else 2 * count


cdef int count_max(uint8_t function) noexcept nogil:
    # Application Protocol V1.1b3, 6.1 to 6.12.
    if is_single(function):
        return 1
    if function == WRITE_MULTIPLE_COILS:
        return 1968
    if function == WRITE_MULTIPLE_REGISTERS:
        return 123
    return 2000 if is_bits(function) else 125


cdef bint request_ok(const Transaction* t, bint rtu) noexcept nogil:
    """Whether this can be asked at all. On RTU unit 0 is a broadcast that nobody answers and 248 to 255 are reserved."""
    if not is_known(t.function) or t.count < 1 or t.count > count_max(t.function):
        return False
    if <int>t.address + t.count > 65536 or t.timeout_ns <= 0:
        return False
    return not rtu or 1 <= t.unit_id <= 247


cdef inline uint16_t wire_value(const Transaction* t) noexcept nogil:
    # FC05 knows two values only: 0xFF00 on, 0 off (6.5).
    if t.function == WRITE_SINGLE_COIL:
        return 0xFF00 if t.regs[0] else 0
    return t.regs[0]


cdef void expect_of(Expect* e, const Transaction* t) noexcept nogil:
    """What will answer this question."""
    e.unit_id = t.unit_id
    e.function = t.function
    e.address = t.address
    e.count = t.count
    e.value = wire_value(t) if is_single(t.function) else 0


cdef int reply_length(const Expect* e) noexcept nogil:
    """Bytes of the good answer on a serial line."""
    return 5 + data_bytes(e.function, e.count) if is_read(e.function) else 8


cdef void put_data(uint8_t* out, const Transaction* t, int n) noexcept nogil:
    cdef int i
    if is_bits(t.function):
        for i in range(n):
            out[i] = <uint8_t>(t.regs[i >> 1] >> (8 * (i & 1)))
        if t.count & 7:
            out[n - 1] &= <uint8_t>((1 << (t.count & 7)) - 1)
    else:
        for i in range(t.count):
            put16(out + 2 * i, t.regs[i])


cdef void take_data(uint16_t* regs, const uint8_t* data, const Expect* e, int n) noexcept nogil:
    cdef int i
    cdef int bits = e.count & 15
    if is_bits(e.function):
        for i in range(n):
            regs[i >> 1] = data[i] if not i & 1 else <uint16_t>(regs[i >> 1] | (data[i] << 8))
        if bits:
            regs[e.count >> 4] &= <uint16_t>((1 << bits) - 1)
    else:
        for i in range(e.count):
            regs[i] = be16(data + 2 * i)


cdef int encode_pdu(uint8_t* out, const Transaction* t) noexcept nogil:
    cdef int n
    out[0] = t.function
    put16(out + 1, t.address)
    put16(out + 3, wire_value(t) if is_single(t.function) else t.count)
    if is_read(t.function) or is_single(t.function):
        return 5
    n = data_bytes(t.function, t.count)
    out[5] = <uint8_t>n
    put_data(out + 6, t, n)
    return 6 + n


cdef int encode_tcp(uint8_t* out, uint16_t transaction_id, const Transaction* t) noexcept nogil:
    """Writes at most ADU_TCP_MAX bytes, returns how many. The request must be request_ok."""
    cdef int n = encode_pdu(out + 7, t)
    put16(out, transaction_id)
    put16(out + 2, 0)
    put16(out + 4, <uint16_t>(n + 1))
    out[6] = t.unit_id
    return 7 + n


cdef int encode_rtu(uint8_t* out, const Transaction* t) noexcept nogil:
    """Writes at most ADU_RTU_MAX bytes, returns how many. The request must be request_ok."""
    cdef int n = 1 + encode_pdu(out + 1, t)
    cdef uint16_t c
    out[0] = t.unit_id
    c = crc16(out, n)
    out[n] = <uint8_t>c
    out[n + 1] = <uint8_t>(c >> 8)
    return n + 2


cdef inline void verdict(Reply* r, uint8_t what, uint8_t fault, int used) noexcept nogil:
    r.verdict = what
    r.fault = fault
    r.exception_code = 0
    r.used = used


cdef void judge_pdu(const uint8_t* pdu, int n, const Expect* e, uint16_t* regs, Reply* r) noexcept nogil:
    # One whole PDU of the right unit; n >= 2. Sets verdict and fault, leaves `used`.
    cdef int size = data_bytes(e.function, e.count)
    r.verdict = FRAME_WRONG
    if pdu[0] == e.function | 0x80 and n == 2:
        r.verdict = FRAME_EXCEPTION
        r.fault = FAULT_EXCEPTION
        r.exception_code = pdu[1]
    elif pdu[0] & 0x7F != e.function:
        r.fault = FAULT_WRONG_FUNCTION
    elif pdu[0] & 0x80 or n != (2 + size if is_read(e.function) else 5):
        r.fault = FAULT_WRONG_LENGTH
    elif is_read(e.function):
        judge_data(pdu, size, e, regs, r)
    elif be16(pdu + 1) != e.address or be16(pdu + 3) != (e.value if is_single(e.function) else e.count):
        r.fault = FAULT_WRONG_ECHO
    else:
        r.verdict = FRAME_OK
        r.fault = FAULT_NONE


cdef inline void judge_data(const uint8_t* pdu, int size, const Expect* e, uint16_t* regs, Reply* r) noexcept nogil:
    if pdu[1] != size:
        r.fault = FAULT_WRONG_LENGTH
        return
    if regs is not NULL:
        take_data(regs, pdu + 2, e, size)
    r.verdict = FRAME_OK
    r.fault = FAULT_NONE


cdef void judge_tcp(const uint8_t* buf, int n, uint16_t transaction_id, const Expect* e, uint16_t* regs, Reply* r) noexcept nogil:
    """Verdict on the front of a TCP stream. `regs` (may be NULL) is written on FRAME_OK alone."""
    cdef int length
    verdict(r, FRAME_MORE, FAULT_NONE, 0)
    if n >= 4 and be16(buf + 2) != 0:
        verdict(r, FRAME_BROKEN, FAULT_WRONG_PROTOCOL, 0)
        return
    if n < 6:
        return
    length = be16(buf + 4)
    if length < 3 or length > 254:
        verdict(r, FRAME_BROKEN, FAULT_WRONG_LENGTH, 0)
    elif n >= 6 + length:
        r.used = 6 + length
        if be16(buf) != transaction_id:
            r.verdict = FRAME_STALE
        elif buf[6] != e.unit_id:
            verdict(r, FRAME_WRONG, FAULT_WRONG_UNIT, r.used)
        else:
            judge_pdu(buf + 7, length - 1, e, regs, r)


cdef int frame_length(const uint8_t* b, int n, const Expect* e) noexcept nogil:
    # Bytes of the reply that begins at b (n >= 1); 0: cannot be said yet; -1: no reply begins like this.
    if b[0] != e.unit_id and (b[0] == 0 or b[0] > 247):
        return -1
    if n < 2:
        return 0
    if not is_known(b[1] & 0x7F):
        return -1
    if b[1] & 0x80:
        return 5
    if not is_read(b[1]):
        return 8
    if n < 3:
        return 0
    if b[2] == 0 or b[2] > 250 or (b[2] & 1 and not is_bits(b[1])):
        return -1
    return 5 + b[2]


cdef bint may_be_answer(const uint8_t* b, int n, const Expect* e) noexcept nogil:
    # Whether the n bytes that are there are the beginning of the answer, good or exception.
    if b[0] != e.unit_id:
        return False
    if n < 2 or b[1] == e.function | 0x80:
        return True
    if b[1] != e.function:
        return False
    if n < 3:
        return True
    if is_read(e.function):
        return b[2] == data_bytes(e.function, e.count)
    return b[2] == e.address >> 8


cdef void judge_rtu(const uint8_t* buf, int n, bint final, const Expect* e, uint16_t* regs, Reply* r) noexcept nogil:
    """Verdict on the front of what a serial line gave. `final`: the line is silent, a stranger's half frame is not waited for."""
    cdef int need
    cdef bint ours
    verdict(r, FRAME_MORE, FAULT_NONE, 0)
    if n < 1:
        return
    need = frame_length(buf, n, e)
    ours = may_be_answer(buf, n, e)
    if need < 0:
        verdict(r, FRAME_NOISE, FAULT_GARBAGE, 1)
    elif need == 0 or n < need:
        if final and not ours:
            verdict(r, FRAME_NOISE, FAULT_GARBAGE, 1)
    elif crc16(buf, need - 2) != (buf[need - 2] | (buf[need - 1] << 8)):
        verdict(r, FRAME_NOISE, FAULT_CRC if ours else FAULT_GARBAGE, 1)
    elif buf[0] != e.unit_id:
        verdict(r, FRAME_FOREIGN, FAULT_WRONG_UNIT, need)
    else:
        r.used = need
        judge_pdu(buf + 1, need - 3, e, regs, r)
        if r.verdict == FRAME_WRONG:
            r.verdict = FRAME_FOREIGN


# What follows lets tests, fuzzers and tools drive the code above; the loop never comes here.

cdef Transaction question(int unit, int function, int address, int count, regs):
    cdef Transaction t
    cdef int i
    memset(&t, 0, sizeof(t))
    t.unit_id = unit
    t.function = function
    t.address = address
    t.count = count
    t.timeout_ns = 1
    for i, value in enumerate(regs[:REGS_MAX]):
        t.regs[i] = value
    return t


cdef object told(Reply* r, Transaction* t):
    n = (t.count + 15) >> 4 if is_bits(t.function) else t.count
    regs = [t.regs[i] for i in range(n)] if r.verdict == FRAME_OK and is_read(t.function) else None
    return VERDICTS[r.verdict], FAULTS[r.fault], r.exception_code, r.used, regs


def crc(data):
    cdef bytes octets = bytes(data)
    return crc16(<const uint8_t*><char*>octets, len(octets))


def encode(transaction_id, unit, function, address, count, regs=()):
    cdef uint8_t out[264]
    cdef Transaction t = question(unit, function, address, count, regs)
    if not request_ok(&t, transaction_id is None):
        raise ValueError("no such Modbus request")
    n = encode_rtu(out, &t) if transaction_id is None else encode_tcp(out, transaction_id, &t)
    return (<char*>out)[:n]


def judge(data, transaction_id, unit, function, address, count, regs=(), final=False):
    cdef bytes octets = bytes(data)
    cdef Transaction t = question(unit, function, address, count, regs)
    cdef Expect e
    cdef Reply r
    expect_of(&e, &t)
    if transaction_id is None:
        judge_rtu(<const uint8_t*><char*>octets, len(octets), final, &e, t.regs, &r)
    else:
        judge_tcp(<const uint8_t*><char*>octets, len(octets), transaction_id, &e, t.regs, &r)
    return told(&r, &t)
