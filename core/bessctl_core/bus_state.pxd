"""The state of a bus, and what its modules share. Drivers and the loop cimport bus.pxd, which names what is theirs."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bessctl_core.frames cimport (
    DONE, FAILED, FAULT_CLOSED, FAULT_CONNECT, FAULT_NONE, FAULT_STOPPED, FAULT_TIMEOUT, Expect, Transaction,
)
from bessctl_core.link cimport Link

cdef enum:
    QUEUE_MAX = 32
    PIPELINE_MAX = 4                # questions out at once, where the device takes it
    RX_MAX = 1024
    EXCEPTION_CODES = 16
    MS = 1000000
    SILENT_NS = 50 * MS             # a line this long without a byte is silent, also behind a USB adapter that sends every 16 ms

cdef enum BusState:
    BUS_DOWN            # no connection; the next try at retry_ns
    BUS_CONNECTING      # TCP: connect() is under way
    BUS_IDLE            # connected, nothing asked
    BUS_AWAIT           # a question is out; TCP with pipelining: up to PIPELINE_MAX
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
    uint64_t slow                       # time-outs in the middle of an answer
    uint64_t crc_errors                 # the next six: frames seen, whether or not the transaction then failed
    uint64_t wrong_unit
    uint64_t wrong_function
    uint64_t wrong_length
    uint64_t wrong_echo
    uint64_t wrong_protocol
    uint64_t garbage_bytes
    uint64_t gaps                       # RTU: a silence of t3.5 inside what came; tolerated
    uint64_t echoes                     # own requests heard back
    uint64_t connects
    uint64_t connect_failures
    uint64_t disconnects
    uint64_t half_open                  # of them: nothing was answered any more
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
    int64_t give_up_ns                  # TCP: so long without any answer while questions are out ends it too; 0: never

# A question that is out.
cdef struct Flight:
    Transaction* t
    Expect expect
    int64_t deadline_ns
    uint16_t transaction_id             # TCP

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
    uint8_t exception_code              # of the last exception reply
    uint16_t transaction_id             # of the question last sent
    uint16_t timeouts_in_row
    int last_errno                      # of the last connection fault, positive
    uint32_t epoch                      # 1 at the first connection, then + 1 at each: verify the devices again
    uint64_t completed                  # transactions that became DONE or FAILED
    uint64_t rng
    int64_t backoff_ns
    int64_t retry_ns                    # DOWN
    int64_t deadline_ns                 # CONNECTING, AWAIT (of the first that ends), QUIET
    int64_t unanswered_ns               # TCP: the first question since the last answer; 0: none is out since
    int64_t worst_until_ns              # RTU: after a time-out the line stays quiet until then
    int64_t last_rx_ns
    int64_t next_tx_ns                  # not before
    Flight out[4]                       # oldest first
    int n_out
    Expect expect                       # RTU: of the question last sent, also after its time-out
    Ring urgent
    Ring commands
    Ring polls
    uint8_t passed                      # commands in a row that went before a poll that waits
    Link link
    int rx_len
    int tx_len
    int tx_done
    uint8_t rx[1024]
    uint8_t tx[264]

cdef inline int waiting(const Bus* b) noexcept nogil:
    """Questions that wait to be sent."""
    return b.urgent.count + b.commands.count + b.polls.count

cdef inline int64_t later(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b

cdef uint64_t random_u64(Bus* b) noexcept nogil
cdef Transaction* take(Ring* q) noexcept nogil
cdef void set_deadline(Bus* b) noexcept nogil
cdef void finish_out(Bus* b, int i, uint8_t fault, int64_t now_ns) noexcept nogil
cdef void finish_all_out(Bus* b, uint8_t fault, int64_t now_ns) noexcept nogil
cdef void fail_queued(Bus* b, uint8_t fault, int64_t now_ns) noexcept nogil
cdef void go_down(Bus* b, uint8_t fault, int error, int64_t now_ns) noexcept nogil
cdef void go_up(Bus* b, int64_t now_ns) noexcept nogil
cdef void connect_step(Bus* b, int64_t now_ns, short revents) noexcept nogil
