"""Modbus frames, pure: a request becomes bytes, bytes become a verdict against the request they must answer.

Modbus Application Protocol V1.1b3 and Modbus over Serial Line V1.02. No socket, no clock, no state: what is not exactly the expected
answer is never a value. Both functions that judge a reply look at the front of the buffer only and say how many bytes are done with.
All functions: any thread, nogil, bounded by the length of one frame.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    REGS_MAX = 125      # FC03/04: 125 registers; FC01/02: 2000 bits = 125 x 16
    ADU_TCP_MAX = 260
    ADU_RTU_MAX = 256

cdef enum Function:
    READ_COILS = 1
    READ_DISCRETE_INPUTS = 2
    READ_HOLDING_REGISTERS = 3
    READ_INPUT_REGISTERS = 4
    WRITE_SINGLE_COIL = 5
    WRITE_SINGLE_REGISTER = 6
    WRITE_MULTIPLE_COILS = 15
    WRITE_MULTIPLE_REGISTERS = 16

cdef enum Status:
    IDLE                # the owner's; also the state of zeroed memory
    QUEUED
    SENT
    DONE                # the answer was right; regs hold it
    FAILED              # fault says why; regs are as they were

cdef enum Fault:
    FAULT_NONE
    FAULT_TIMEOUT           # nothing that answers came in time
    FAULT_EXCEPTION         # the device said no: exception_code
    FAULT_CRC               # RTU: the right header, a wrong check sum
    FAULT_WRONG_UNIT
    FAULT_WRONG_FUNCTION
    FAULT_WRONG_LENGTH      # byte count, or frame length
    FAULT_WRONG_ECHO        # a write was answered with another address, count or value
    FAULT_WRONG_PROTOCOL    # MBAP: the stream is no Modbus/TCP, or out of step
    FAULT_GARBAGE           # RTU: bytes that are no frame, and no answer
    FAULT_CONNECT           # no connection: refused, unreachable, no such line (bus.last_errno)
    FAULT_CLOSED            # the connection ended while this was waiting (bus.last_errno)
    FAULT_STOPPED           # bus_close
    FAULT_BAD_REQUEST       # never sent: count, address, unit or function out of range
    FAULT_QUEUE_FULL        # never sent
    FAULT_COUNT

cdef enum Verdict:
    FRAME_MORE              # nothing can be said yet
    FRAME_OK                # the answer; regs filled
    FRAME_EXCEPTION         # the answer is no: exception_code
    FRAME_WRONG             # TCP: our transaction id, but no right answer: fault
    FRAME_STALE             # TCP: the answer to another transaction
    FRAME_BROKEN            # TCP: the stream cannot be trusted any more: close it
    FRAME_FOREIGN           # RTU: a whole valid frame that is not our answer: fault
    FRAME_NOISE             # RTU: this byte begins no frame: fault CRC or GARBAGE

cdef struct Transaction:
    # One question to one device. The owner fills the first block, the bus the second; from QUEUED to DONE or FAILED it is the bus's.
    # Bits (FC01, 02, 05, 15): bit i is (regs[i >> 4] >> (i & 15)) & 1. FC05 and 06 write regs[0] with count 1.
    uint64_t tag            # the owner's own
    int64_t timeout_ns      # the device's time to answer; on RTU the time of both frames on the wire is added
    int64_t worst_ns        # RTU: the device's worst time to answer, after a time-out the line stays quiet so long; 0: the bus's default
    uint16_t address        # as on the wire, from 0
    uint16_t count
    uint8_t unit_id
    uint8_t function
    uint8_t pipelined       # TCP: may be asked while other such questions of this connection are out

    uint8_t status
    uint8_t fault
    uint8_t exception_code
    uint32_t epoch          # connection it was sent on
    int64_t sent_ns         # data age counts from here
    int64_t done_ns
    uint16_t regs[125]      # payload of a write, result of a read

cdef struct Expect:
    # What a reply must answer: kept apart from the Transaction so that a late reply can be known after its owner took it back.
    uint16_t address
    uint16_t count
    uint16_t value          # FC05, 06: as on the wire
    uint8_t unit_id
    uint8_t function

cdef struct Reply:
    int used                # bytes at the front that are done with
    uint8_t verdict
    uint8_t fault
    uint8_t exception_code

cdef uint16_t crc16(const uint8_t* data, int n) noexcept nogil
cdef bint request_ok(const Transaction* t, bint rtu) noexcept nogil
cdef void expect_of(Expect* e, const Transaction* t) noexcept nogil
cdef int reply_length(const Expect* e) noexcept nogil
cdef int encode_tcp(uint8_t* out, uint16_t transaction_id, const Transaction* t) noexcept nogil
cdef int encode_rtu(uint8_t* out, const Transaction* t) noexcept nogil
cdef void judge_tcp(const uint8_t* buf, int n, uint16_t transaction_id, const Expect* e, uint16_t* regs, Reply* r) noexcept nogil
cdef void judge_rtu(const uint8_t* buf, int n, bint final, const Expect* e, uint16_t* regs, Reply* r) noexcept nogil
