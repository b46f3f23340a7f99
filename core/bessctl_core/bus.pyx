"""One Modbus master per bus: a state machine the loop pumps, which never waits, allocates or leaves a transaction without an end.

Rules
- One question is out at a time. What is urgent goes before other commands, commands go before polls, each in its order. After IN_A_ROW
  commands a poll that waits has its turn: set points that change without an end must not leave the loop blind. The urgent waits for no turn;
  it is for what takes power away.
- TCP, where the device takes it (Transaction.pipelined): up to PIPELINE_MAX questions are out, each with its own id and deadline. A
  question that is not pipelined waits until nothing is out, and nothing passes it meanwhile.
- After a time-out what else waits for the same unit goes behind what waits for others: a dead device costs its neighbours one time-out.
  On a serial line polls of that unit whose answer would look like the one that is missing go last of all (bus_alike).
- A deadline is absolute, set when the question is sent: bytes that trickle in never extend it.
- Every transaction ends: answered, refused, timed out, or failed at once with the reason when its connection ends or cannot be had.
  Nothing is repeated here: whether to ask again is the driver's decision.
- A connection given up is reset, not closed: the kernel would go on delivering an old command, perhaps behind a newer one on the next
  connection. A serial line drops what it has not sent for the same reason.
- TCP: an answer is known by its transaction id. A late one is dropped and counted. A stream out of step is closed, as is one that is
  half-open behind a gateway that still acknowledges: `max_timeouts` questions in a row unanswered, or none answered for give_up_ns.
- RTU: an answer has no id. What is not the answer is dropped and the wait goes on to the deadline, so that the answer is never left over
  for the next question. After a time-out the line stays quiet for the rest of the device's worst time, and what comes then is a late
  reply. The receive buffer is flushed before each question, which waits for t3.5 of silence (Serial Line V1.02, 2.5.1.1).
- RTU with local echo: our own question heard back is dropped. FC05 and FC06 are answered by the same bytes; that they are an echo is
  known once any other question of this connection was heard back. A driver therefore reads first after each connection.
- Each connection has an epoch: when it changes, everything known about the devices must be verified again. Tries to connect are spaced
  by a back-off that doubles, with jitter, and returns to its minimum after the first answer, not the first connection: a device that
  accepts and hangs up is not hammered.

State       leaves to      when
DOWN        CONNECTING     retry_ns reached and the connection is under way; IDLE when it is there at once
CONNECTING  IDLE, DOWN     connected; refused or connect_timeout_ns over
IDLE        AWAIT, DOWN    a question is queued and next_tx_ns reached; the peer closed
AWAIT       IDLE           answered, or (TCP) timed out, and nothing else is out
            QUIET          timed out (RTU)
            DOWN           the connection ended; the stream is out of step; too many time-outs (TCP)
QUIET       IDLE, DOWN     the worst time of the device is over; the line is gone
any         CLOSED         bus_close
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from bessctl_core.bus_listen cimport receive_step
from bessctl_core.bus_state cimport (
    BUS_AWAIT, BUS_CLOSED, BUS_CONNECTING, BUS_DOWN, BUS_IDLE, BUS_QUIET, MS, PIPELINE_MAX, QUEUE_MAX, SILENT_NS, Flight, Ring,
    connect_step, fail_queued, finish_all_out, finish_out, go_down, later, random_u64, set_deadline, take, waiting,
)
from bessctl_core.frames cimport Expect, encode_rtu, encode_tcp, expect_of, reply_length, request_ok
from bessctl_core.link cimport LINK_RTU, LINK_TCP, link_close, link_flush, link_init_rtu, link_init_tcp, link_send
from bessctl_core.posix_io cimport ETIMEDOUT, POLLIN, POLLOUT

cdef enum:
    T35_FAST_NS = 1750000           # above 19200 baud (Serial Line V1.02, 2.5.1.1)
    T35_FAST_BAUD = 19200
    IN_A_ROW = 2                    # commands that pass a poll that waits: estimate.py counts them


cdef inline bint is_up(const Bus* b) noexcept nogil:
    return BUS_IDLE <= b.state <= BUS_QUIET


# Starting

cdef void init_common(Bus* b, uint64_t seed) noexcept nogil:
    b.rng = seed if seed else 0x9E3779B97F4A7C15
    b.transaction_id = <uint16_t>random_u64(b)
    b.opt.connect_timeout_ns = 1000 * MS
    b.opt.backoff_min_ns = 100 * MS
    b.opt.backoff_max_ns = <int64_t>5000 * MS


cdef bint bus_init_tcp(Bus* b, const char* ip, uint16_t port, int user_timeout_ms, uint64_t seed) noexcept nogil:
    """A bus to one TCP peer; `ip` numeric. False when it is not. The first pump connects."""
    memset(b, 0, sizeof(Bus))
    init_common(b, seed)
    b.opt.max_timeouts = 3
    return link_init_tcp(&b.link, ip, port, user_timeout_ms)


cdef bint bus_init_rtu(
        Bus* b, const char* path, uint32_t baud, char parity, uint8_t stop_bits, bint rs485, uint64_t seed) noexcept nogil:
    """A bus on one serial line. False when a setting is out of range. The first pump opens it."""
    memset(b, 0, sizeof(Bus))
    if not link_init_rtu(&b.link, path, baud, parity, stop_bits, rs485):
        return False
    init_common(b, seed)
    b.opt.char_ns = <int64_t>11 * 1000 * MS / baud
    b.opt.silence_ns = T35_FAST_NS if baud > T35_FAST_BAUD else b.opt.char_ns * 7 / 2
    b.opt.worst_ns = 1000 * MS
    return True


# Queues

cdef bint refuse(Bus* b, Transaction* t, uint8_t fault) noexcept nogil:
    t.status = FAILED
    t.fault = fault
    t.exception_code = 0
    b.count.faults[fault] += 1
    return False


cdef bint submit(Bus* b, Ring* q, Transaction* t) noexcept nogil:
    if t.status == QUEUED or t.status == SENT:
        return False
    if b.state == BUS_CLOSED:
        return refuse(b, t, FAULT_STOPPED)
    if not request_ok(t, b.link.kind == LINK_RTU):
        return refuse(b, t, FAULT_BAD_REQUEST)
    if q.count >= QUEUE_MAX:
        return refuse(b, t, FAULT_QUEUE_FULL)
    q.slot[(q.head + q.count) % QUEUE_MAX] = t
    q.count += 1
    t.status = QUEUED
    t.fault = FAULT_NONE
    t.exception_code = 0
    return True


cdef bint bus_submit_command(Bus* b, Transaction* t) noexcept nogil:
    """Queues t before the polls. False: never sent; FAILED with its fault, or untouched if it is under way already."""
    return submit(b, &b.commands, t)


cdef void withdraw(Ring* q, const Transaction* t) noexcept nogil:
    cdef int i
    cdef int kept = 0
    for i in range(q.count):
        if q.slot[(q.head + i) % QUEUE_MAX] != t:
            q.slot[(q.head + kept) % QUEUE_MAX] = q.slot[(q.head + i) % QUEUE_MAX]
            kept += 1
    q.count = <uint8_t> kept


cdef bint bus_submit_urgent(Bus* b, Transaction* t) noexcept nogil:
    """Queues t before every other command, behind what was urgent before it; a command that waits already is put there. Result as
    bus_submit_command, but that True also stands for one that was urgent already."""
    cdef int i
    if t.status != QUEUED:
        return submit(b, &b.urgent, t)
    for i in range(b.urgent.count):
        if b.urgent.slot[(b.urgent.head + i) % QUEUE_MAX] == t:
            return True
    if b.urgent.count >= QUEUE_MAX:
        return True
    withdraw(&b.commands, t)
    b.urgent.slot[(b.urgent.head + b.urgent.count) % QUEUE_MAX] = t
    b.urgent.count += 1
    return True


cdef bint bus_submit_poll(Bus* b, Transaction* t) noexcept nogil:
    """Queues t behind the commands. Result as bus_submit_command."""
    return submit(b, &b.polls, t)


# Sending

cdef void push(Bus* b, int64_t now_ns) noexcept nogil:
    cdef int n = link_send(&b.link, b.tx + b.tx_done, b.tx_len - b.tx_done)
    if n < 0:
        go_down(b, FAULT_CLOSED, -n, now_ns)
        return
    b.tx_done += n
    b.count.bytes_out += n


cdef void prepare_rtu(Bus* b, Transaction* t, int64_t now_ns) noexcept nogil:
    # A profile states how long a device thinks; what the frames take on the wire is ours to add.
    cdef int64_t wire_ns
    link_flush(&b.link, False)
    b.count.garbage_bytes += b.rx_len
    b.rx_len = 0
    b.heard = 0
    b.suspect = FAULT_NONE
    b.settled = 0
    b.tx_len = encode_rtu(b.tx, t)
    wire_ns = (b.tx_len + reply_length(&b.expect)) * b.opt.char_ns
    b.deadline_ns = now_ns + wire_ns + t.timeout_ns
    b.worst_until_ns = now_ns + wire_ns + later(t.timeout_ns, t.worst_ns if t.worst_ns else b.opt.worst_ns)


cdef void ask(Bus* b, Transaction* t, int64_t now_ns) noexcept nogil:
    cdef Flight* out = &b.out[b.n_out]
    expect_of(&b.expect, t)
    b.tx_done = 0
    out.t, out.expect, out.deadline_ns = t, b.expect, now_ns + t.timeout_ns
    if b.link.kind == LINK_TCP:
        b.transaction_id += 1
        out.transaction_id = b.transaction_id
        b.tx_len = encode_tcp(b.tx, b.transaction_id, t)
        note_asked(b, now_ns)
    else:
        prepare_rtu(b, t, now_ns)
        out.deadline_ns = b.deadline_ns
    t.status = SENT
    t.sent_ns = now_ns
    t.epoch = b.epoch
    b.n_out += 1
    b.state = BUS_AWAIT
    set_deadline(b)
    push(b, now_ns)


cdef void note_asked(Bus* b, int64_t now_ns) noexcept nogil:
    # Patience with a silent connection counts only while questions are out: after a pause it begins anew.
    if b.unanswered_ns == 0 or (b.n_out == 0 and b.opt.give_up_ns and now_ns - b.unanswered_ns >= b.opt.give_up_ns):
        b.unanswered_ns = now_ns


cdef inline Ring* next_ring(Bus* b) noexcept nogil:
    if b.urgent.count:
        return &b.urgent
    return &b.commands if b.commands.count and not (b.polls.count and b.passed >= IN_A_ROW) else &b.polls


cdef inline Transaction* next_question(Bus* b) noexcept nogil:
    cdef Ring* q = next_ring(b)
    if q == &b.commands:
        b.passed += b.passed < IN_A_ROW
    elif q == &b.polls:
        b.passed = 0
    return take(q)


cdef bint may_ask(Bus* b, int64_t now_ns) noexcept nogil:
    """Whether the next question that waits may go out now."""
    cdef Ring* q = next_ring(b)
    cdef int i
    if q.count == 0 or now_ns < b.next_tx_ns:
        return False
    if b.state == BUS_IDLE:
        return True
    if b.state != BUS_AWAIT or b.link.kind != LINK_TCP or b.n_out >= PIPELINE_MAX or not q.slot[q.head].pipelined:
        return False
    for i in range(b.n_out):
        if not b.out[i].t.pipelined:
            return False
    return True


cdef void send_step(Bus* b, int64_t now_ns) noexcept nogil:
    cdef int i
    if b.state == BUS_AWAIT and b.tx_done < b.tx_len:
        push(b, now_ns)
    for i in range(PIPELINE_MAX):
        if (b.state == BUS_AWAIT and b.tx_done < b.tx_len) or not may_ask(b, now_ns):
            break
        ask(b, next_question(b), now_ns)


# Time

cdef bint bus_alike(const Bus* b, const Transaction* t) noexcept nogil:
    """RTU, after a time-out: the answer that is missing, should it still come, could be taken for the answer to this question."""
    cdef Expect asked
    if b.link.kind != LINK_RTU or b.timeouts_in_row == 0:
        return False
    expect_of(&asked, t)
    return (asked.unit_id == b.expect.unit_id and asked.function == b.expect.function
            and reply_length(&asked) == reply_length(&b.expect))


cdef void defer(const Bus* b, Ring* q, uint8_t unit_id, bint by_length) noexcept nogil:
    # What waits for this unit goes to the end, and last what is answered alike; the order is kept otherwise.
    cdef Transaction* t
    cdef int i, behind
    cdef Ring made
    made.head = made.count = 0
    for behind in range(3):
        for i in range(q.count):
            t = q.slot[(q.head + i) % QUEUE_MAX]
            if (t.unit_id == unit_id) + (t.unit_id == unit_id and by_length and bus_alike(b, t)) == behind:
                made.slot[made.count] = t
                made.count += 1
    q[0] = made


cdef void give_up_question(Bus* b, int i, int64_t now_ns) noexcept nogil:
    cdef uint8_t unit_id = b.out[i].t.unit_id
    b.timeouts_in_row += 1
    b.count.slow += b.rx_len > 0
    finish_out(b, i, b.suspect if b.suspect else FAULT_TIMEOUT, now_ns)
    defer(b, &b.urgent, unit_id, False)         # a write is answered by its own address
    defer(b, &b.commands, unit_id, False)
    defer(b, &b.polls, unit_id, True)


cdef void timed_out_tcp(Bus* b, int64_t now_ns) noexcept nogil:
    cdef bint cut = b.tx_done < b.tx_len
    cdef bint silent = b.opt.give_up_ns and b.timeouts_in_row and b.unanswered_ns and now_ns - b.unanswered_ns >= b.opt.give_up_ns
    cdef int i = 0
    while i < b.n_out:
        if now_ns >= b.out[i].deadline_ns:
            give_up_question(b, i, now_ns)
        else:
            i += 1
    b.state = BUS_AWAIT if b.n_out else BUS_IDLE
    if b.n_out:
        set_deadline(b)
    if cut or silent or (b.opt.max_timeouts and b.timeouts_in_row >= b.opt.max_timeouts):
        go_down(b, FAULT_TIMEOUT, ETIMEDOUT, now_ns)


cdef void timed_out_rtu(Bus* b, int64_t now_ns) noexcept nogil:
    if b.tx_done < b.tx_len:
        link_flush(&b.link, True)
    give_up_question(b, 0, now_ns)
    b.deadline_ns = later(b.worst_until_ns, now_ns)
    b.state = BUS_QUIET


cdef void time_step(Bus* b, int64_t now_ns) noexcept nogil:
    if b.state == BUS_AWAIT and now_ns >= b.deadline_ns:
        if b.link.kind == LINK_TCP:
            timed_out_tcp(b, now_ns)
        else:
            timed_out_rtu(b, now_ns)
    if b.state == BUS_QUIET and now_ns >= b.deadline_ns:
        b.state = BUS_IDLE


# What the loop calls

cdef int bus_step(Bus* b, int64_t now_ns, short revents) noexcept nogil:
    """bus_pump for a caller that knows from poll what is ready (0: nothing), which saves the calls that would find nothing."""
    cdef uint64_t before = b.completed
    if b.state == BUS_DOWN or b.state == BUS_CONNECTING:
        connect_step(b, now_ns, revents)
    if is_up(b):
        receive_step(b, now_ns, revents)
        time_step(b, now_ns)
        send_step(b, now_ns)
    return <int>(b.completed - before)


cdef int bus_pump(Bus* b, int64_t now_ns) noexcept nogil:
    """Moves on what can be moved on: at most 512 bytes, 16 frames, and one question (with pipelining PIPELINE_MAX). Returns how many
    transactions ended."""
    return bus_step(b, now_ns, POLLIN | POLLOUT)


cdef int bus_fd(const Bus* b) noexcept nogil:
    """The descriptor to poll; -1 when there is none (poll ignores it)."""
    return b.link.fd


cdef short bus_events(const Bus* b) noexcept nogil:
    """The poll events worth a pump."""
    if b.state == BUS_CONNECTING:
        return POLLOUT
    if b.state == BUS_AWAIT and b.tx_done < b.tx_len:
        return POLLIN | POLLOUT
    return POLLIN


cdef int64_t bus_deadline_ns(const Bus* b) noexcept nogil:
    """The instant at which a pump is due even if nothing becomes ready; it may be past."""
    if b.more:
        return 0
    if b.state == BUS_DOWN:
        return 0 if waiting(b) else b.retry_ns
    if b.state == BUS_IDLE:
        return b.next_tx_ns if waiting(b) else INT64_MAX
    if b.state == BUS_CLOSED:
        return INT64_MAX
    if b.rx_len > 0 and b.link.kind == LINK_RTU and not b.settled and b.last_rx_ns + SILENT_NS < b.deadline_ns:
        return b.last_rx_ns + SILENT_NS
    return b.deadline_ns


cdef void bus_close(Bus* b, int64_t now_ns) noexcept nogil:
    """Ends everything: what waits fails as `stopped`, nothing is tried again. Idempotent."""
    link_close(&b.link, b.n_out > 0)
    b.state = BUS_CLOSED
    finish_all_out(b, FAULT_STOPPED, now_ns)
    fail_queued(b, FAULT_STOPPED, now_ns)
