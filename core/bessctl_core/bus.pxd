"""One Modbus master per bus: the API the loop and the drivers cimport. The rules stand on top of bus.pyx.

Use: `bus_init_*`, change `opt` if needed, then every tick `bus_submit_*` and `bus_pump`. A Transaction belongs to the bus from a submit
that returned 1 until its status is DONE or FAILED; the owner keeps its memory alive so long. One thread per bus; nothing here waits.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bessctl_core.frames cimport (
    Transaction,
    Status, IDLE, QUEUED, SENT, DONE, FAILED,
    Fault, FAULT_NONE, FAULT_TIMEOUT, FAULT_EXCEPTION, FAULT_CRC, FAULT_WRONG_UNIT, FAULT_WRONG_FUNCTION, FAULT_WRONG_LENGTH,
    FAULT_WRONG_ECHO, FAULT_WRONG_PROTOCOL, FAULT_GARBAGE, FAULT_CONNECT, FAULT_CLOSED, FAULT_STOPPED, FAULT_BAD_REQUEST,
    FAULT_QUEUE_FULL, FAULT_COUNT,
)
from bessctl_core.bus_state cimport (
    EXCEPTION_CODES, QUEUE_MAX, Bus, BusCounters, BusOptions,
    BusState, BUS_DOWN, BUS_CONNECTING, BUS_IDLE, BUS_AWAIT, BUS_QUIET, BUS_CLOSED,
)

cdef bint bus_init_tcp(Bus* b, const char* ip, uint16_t port, int user_timeout_ms, uint64_t seed) noexcept nogil
cdef bint bus_init_rtu(
    Bus* b, const char* path, uint32_t baud, char parity, uint8_t stop_bits, bint rs485, uint64_t seed) noexcept nogil
cdef bint bus_submit_command(Bus* b, Transaction* t) noexcept nogil
cdef bint bus_submit_urgent(Bus* b, Transaction* t) noexcept nogil
cdef bint bus_submit_poll(Bus* b, Transaction* t) noexcept nogil
cdef bint bus_alike(const Bus* b, const Transaction* t) noexcept nogil
cdef int bus_pump(Bus* b, int64_t now_ns) noexcept nogil
cdef int bus_step(Bus* b, int64_t now_ns, short revents) noexcept nogil
cdef int bus_fd(const Bus* b) noexcept nogil
cdef short bus_events(const Bus* b) noexcept nogil
cdef int64_t bus_deadline_ns(const Bus* b) noexcept nogil
cdef void bus_close(Bus* b, int64_t now_ns) noexcept nogil
