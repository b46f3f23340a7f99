"""One Modbus master per bus: the API the loop and the drivers cimport. The rules stand on top of bus.pyx.

Use: `bus_init_*`, change `opt` if needed, then every tick `bus_submit_*` and `bus_pump`. A Transaction belongs to the bus from a submit
that returned 1 until its status is DONE or FAILED; the owner keeps its memory alive so long. One thread per bus; nothing here waits.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bessctl_core.frames cimport (
    Expect, Transaction,
    Status, IDLE, QUEUED, SENT, DONE, FAILED,
    Fault, FAULT_NONE, FAULT_TIMEOUT, FAULT_EXCEPTION, FAULT_CRC, FAULT_WRONG_UNIT, FAULT_WRONG_FUNCTION, FAULT_WRONG_LENGTH,
    FAULT_WRONG_ECHO, FAULT_WRONG_PROTOCOL, FAULT_GARBAGE, FAULT_CONNECT, FAULT_CLOSED, FAULT_STOPPED, FAULT_BAD_REQUEST,
    FAULT_QUEUE_FULL, FAULT_COUNT,
)
from bessctl_core.link cimport Link

cdef enum:
    QUEUE_MAX = 32
    RX_MAX = 1024
    EXCEPTION_CODES = 16

cdef enum BusState:
    BUS_DOWN            # no connection; the next try at retry_ns
    BUS_CONNECTING      # TCP: connect() is under way
    BUS_IDLE            # connected, nothing asked
    BUS_AWAIT           # one question is out
    BUS_QUIET           # RTU: a question timed out, its answer may still come
    BUS_CLOSED          # bus_close: nothing is ever tried again

cdef enum Echo:
    ECHO_UNKNOWN
    ECHO_NO
    ECHO_YES

cdef struct BusCounters:
    # Since init; only ever rising.
    uint64_t ok
    uint64_t faults[15]                 # by Fault: how transactions ended (FAULT_COUNT entries)
    uint64_t exceptions[16]             # by exception code; 0: codes above 15
    uint64_t late_replies               # answers after their time-out: a time-out too short
    uint64_t crc_errors                 # the next five: frames seen, whether or not the transaction then failed
    uint64_t wrong_unit
    uint64_t wrong_function
    uint64_t wrong_length
    uint64_t wrong_echo
    uint64_t garbage_bytes
    uint64_t echoes                     # own requests heard back
    uint64_t connects
    uint64_t connect_failures
    uint64_t disconnects
    uint64_t bytes_in
    uint64_t bytes_out

cdef struct BusOptions:
    # Set to its defaults by bus_init_*; may be changed until the first pump.
    int64_t connect_timeout_ns          # 1 s
    int64_t backoff_min_ns              # 100 ms; doubled at each failure, +-25 %, back to this after a good answer
    int64_t backoff_max_ns              # 5 s
    int64_t min_gap_ns                  # 0: the least time from an answer to the next question
    int64_t silence_ns                  # RTU: t3.5 before sending; TCP: 0
    int64_t worst_ns                    # RTU: 1 s, the worst time any device takes to answer; TCP: 0
    int64_t char_ns                     # RTU: one character of 11 bits on the wire; TCP: 0
    uint16_t max_timeouts               # TCP: 3 in a row end the connection; RTU: 0, never

cdef struct Ring:
    Transaction* slot[32]
    uint8_t head
    uint8_t count

cdef struct Bus:
    BusOptions opt
    BusCounters count
    uint8_t state
    uint8_t echo
    uint8_t heard                       # RTU: our own question was heard back since it was sent
    uint8_t suspect                     # RTU: the fault last seen while waiting
    uint8_t settled                     # RTU: what is in rx was judged with the line silent
    uint8_t more                        # bytes are left to look at though nothing new came
    uint16_t transaction_id             # of the question last sent
    uint16_t timeouts_in_row
    int last_errno                      # of the last connection fault, positive
    uint32_t epoch                      # 1 at the first connection, then + 1 at each: verify the devices again
    uint64_t completed                  # transactions that became DONE or FAILED
    uint64_t rng
    int64_t backoff_ns
    int64_t retry_ns                    # DOWN
    int64_t deadline_ns                 # CONNECTING, AWAIT, QUIET
    int64_t sent_ns
    int64_t worst_until_ns              # RTU: after a time-out the line stays quiet until then
    int64_t last_rx_ns
    int64_t next_tx_ns                  # not before
    Transaction* current
    Expect expect
    Ring commands
    Ring polls
    Link link
    int rx_len
    int tx_len
    int tx_done
    uint8_t rx[1024]
    uint8_t tx[264]

cdef bint bus_init_tcp(Bus* b, const char* ip, uint16_t port, int user_timeout_ms, uint64_t seed) noexcept nogil
cdef bint bus_init_rtu(
    Bus* b, const char* path, uint32_t baud, char parity, uint8_t stop_bits, bint rs485, uint64_t seed) noexcept nogil
cdef bint bus_submit_command(Bus* b, Transaction* t) noexcept nogil
cdef bint bus_submit_poll(Bus* b, Transaction* t) noexcept nogil
cdef int bus_pump(Bus* b, int64_t now_ns) noexcept nogil
cdef int bus_step(Bus* b, int64_t now_ns, short revents) noexcept nogil
cdef int bus_fd(const Bus* b) noexcept nogil
cdef short bus_events(const Bus* b) noexcept nogil
cdef int64_t bus_deadline_ns(const Bus* b) noexcept nogil
cdef void bus_close(Bus* b, int64_t now_ns) noexcept nogil
