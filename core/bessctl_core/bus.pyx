"""One Modbus master per bus: a state machine the loop pumps, which never waits, allocates or leaves a transaction without an end.

Rules
- One question is out at a time. Commands go before polls, each in its order.
- A deadline is absolute, set when the question is sent: bytes that trickle in never extend it.
- Every transaction ends: answered, refused, timed out, or failed at once with the reason when its connection ends or cannot be had.
  Nothing is repeated here: whether to ask again is the driver's decision.
- A connection given up is reset, not closed: the kernel would go on delivering an old command, perhaps behind a newer one on the next
  connection. A serial line drops what it has not sent for the same reason.
- TCP: an answer is known by its transaction id. A late one is dropped and counted. A stream out of step is closed, as is one on which
  `max_timeouts` questions in a row stayed unanswered (a peer that is half-open behind a gateway still acknowledges).
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
AWAIT       IDLE           answered, or (TCP) timed out
            QUIET          timed out (RTU)
            DOWN           the connection ended; the stream is out of step; too many time-outs (TCP)
QUIET       IDLE, DOWN     the worst time of the device is over; the line is gone
any         CLOSED         bus_close
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memmove, memset

from bessctl_core.frames cimport (
    FRAME_BROKEN, FRAME_EXCEPTION, FRAME_FOREIGN, FRAME_MORE, FRAME_OK, FRAME_STALE, WRITE_SINGLE_COIL, WRITE_SINGLE_REGISTER,
    Reply, encode_rtu, encode_tcp, expect_of, judge_rtu, judge_tcp, reply_length, request_ok,
)
from bessctl_core.link cimport (
    LINK_RTU, LINK_TCP, link_check, link_close, link_flush, link_init_rtu, link_init_tcp, link_open, link_recv, link_send,
)
from bessctl_core.posix_io cimport EINPROGRESS, EPROTO, ETIMEDOUT, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP

cdef enum:
    FRAMES_PER_STEP = 16
    BYTES_PER_STEP = 512
    MS = 1000000
    SILENT_NS = 50 * MS             # a line this long without a byte is silent, also behind a USB adapter that sends every 16 ms
    T35_FAST_NS = 1750000           # above 19200 baud (Serial Line V1.02, 2.5.1.1)
    T35_FAST_BAUD = 19200


cdef inline bint is_up(const Bus* b) noexcept nogil:
    return BUS_IDLE <= b.state <= BUS_QUIET


cdef inline int64_t later(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b


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


cdef uint64_t random_u64(Bus* b) noexcept nogil:
    # xorshift64: good enough to keep controllers from knocking in step.
    b.rng ^= b.rng << 13
    b.rng ^= b.rng >> 7
    b.rng ^= b.rng << 17
    return b.rng


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
    """Queues t before every poll. False: never sent; FAILED with its fault, or untouched if it is under way already."""
    return submit(b, &b.commands, t)


cdef bint bus_submit_poll(Bus* b, Transaction* t) noexcept nogil:
    """Queues t behind the commands. Result as bus_submit_command."""
    return submit(b, &b.polls, t)


cdef Transaction* take(Ring* q) noexcept nogil:
    cdef Transaction* t = NULL
    if q.count:
        t = q.slot[q.head]
        q.head = (q.head + 1) % QUEUE_MAX
        q.count -= 1
    return t


# Endings

cdef void finish(Bus* b, Transaction* t, uint8_t fault, int64_t now_ns) noexcept nogil:
    t.fault = fault
    t.done_ns = now_ns
    t.status = DONE if fault == FAULT_NONE else FAILED
    b.count.faults[fault] += 1
    b.count.ok += fault == FAULT_NONE
    b.completed += 1


cdef void finish_current(Bus* b, uint8_t fault, int64_t now_ns) noexcept nogil:
    cdef Transaction* t = b.current
    b.current = NULL
    if t is not NULL:
        finish(b, t, fault, now_ns)


cdef void fail_queued(Bus* b, uint8_t fault, int64_t now_ns) noexcept nogil:
    while b.commands.count:
        finish(b, take(&b.commands), fault, now_ns)
    while b.polls.count:
        finish(b, take(&b.polls), fault, now_ns)


cdef void go_down(Bus* b, uint8_t fault, int error, int64_t now_ns) noexcept nogil:
    # `fault` ends the question that is out; whoever waits behind it learns only that there is no connection any more.
    link_close(&b.link, True)
    b.last_errno = error
    b.count.connect_failures += fault == FAULT_CONNECT
    b.count.disconnects += fault != FAULT_CONNECT
    b.rx_len = b.tx_len = b.tx_done = 0
    b.more = 0
    b.backoff_ns = later(b.backoff_ns, b.opt.backoff_min_ns)
    b.retry_ns = now_ns + b.backoff_ns * 3 / 4 + <int64_t>(random_u64(b) % (<uint64_t>b.backoff_ns / 2 + 1))
    b.backoff_ns = b.backoff_ns * 2 if b.backoff_ns < b.opt.backoff_max_ns / 2 else b.opt.backoff_max_ns
    b.state = BUS_DOWN
    finish_current(b, fault, now_ns)
    fail_queued(b, FAULT_CONNECT if fault == FAULT_CONNECT else FAULT_CLOSED, now_ns)


cdef void bus_close(Bus* b, int64_t now_ns) noexcept nogil:
    """Ends everything: what waits fails as `stopped`, nothing is tried again. Idempotent."""
    link_close(&b.link, b.current is not NULL)
    b.state = BUS_CLOSED
    finish_current(b, FAULT_STOPPED, now_ns)
    fail_queued(b, FAULT_STOPPED, now_ns)


# Connecting

cdef void go_up(Bus* b, int64_t now_ns) noexcept nogil:
    b.epoch += 1
    b.count.connects += 1
    b.timeouts_in_row = 0
    b.echo = ECHO_UNKNOWN
    b.next_tx_ns = now_ns + b.opt.silence_ns
    b.state = BUS_IDLE


cdef void connected(Bus* b, int rc, int64_t now_ns) noexcept nogil:
    if rc == 0:
        go_up(b, now_ns)
    elif rc != -EINPROGRESS:
        go_down(b, FAULT_CONNECT, -rc, now_ns)
    elif b.state == BUS_CONNECTING and now_ns >= b.deadline_ns:
        go_down(b, FAULT_CONNECT, ETIMEDOUT, now_ns)
    elif b.state == BUS_DOWN:
        b.deadline_ns = now_ns + b.opt.connect_timeout_ns
        b.state = BUS_CONNECTING


cdef void connect_step(Bus* b, int64_t now_ns, short revents) noexcept nogil:
    if b.state == BUS_CONNECTING and (revents or now_ns >= b.deadline_ns):
        connected(b, link_check(&b.link), now_ns)
    elif b.state == BUS_DOWN and now_ns >= b.retry_ns:
        connected(b, link_open(&b.link), now_ns)
    elif b.state == BUS_DOWN:
        fail_queued(b, FAULT_CONNECT, now_ns)


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
    expect_of(&b.expect, t)
    b.tx_done = 0
    if b.link.kind == LINK_TCP:
        b.transaction_id += 1
        b.tx_len = encode_tcp(b.tx, b.transaction_id, t)
        b.deadline_ns = now_ns + t.timeout_ns
    else:
        prepare_rtu(b, t, now_ns)
    t.status = SENT
    t.sent_ns = now_ns
    t.epoch = b.epoch
    b.current = t
    b.state = BUS_AWAIT
    push(b, now_ns)


cdef void send_step(Bus* b, int64_t now_ns) noexcept nogil:
    cdef Transaction* t
    if b.state == BUS_AWAIT and b.tx_done < b.tx_len:
        push(b, now_ns)
    elif b.state == BUS_IDLE and now_ns >= b.next_tx_ns:
        t = take(&b.commands if b.commands.count else &b.polls)
        if t is not NULL:
            ask(b, t, now_ns)


# Receiving

cdef void note(Bus* b, uint8_t fault) noexcept nogil:
    if fault == FAULT_CRC:
        b.count.crc_errors += 1
    elif fault == FAULT_WRONG_UNIT:
        b.count.wrong_unit += 1
    elif fault == FAULT_WRONG_FUNCTION:
        b.count.wrong_function += 1
    elif fault == FAULT_WRONG_LENGTH:
        b.count.wrong_length += 1
    elif fault == FAULT_WRONG_ECHO:
        b.count.wrong_echo += 1


cdef void answered(Bus* b, const Reply* r, int64_t now_ns) noexcept nogil:
    b.timeouts_in_row = 0
    b.backoff_ns = b.opt.backoff_min_ns
    b.next_tx_ns = later(b.next_tx_ns, now_ns + b.opt.min_gap_ns)
    b.state = BUS_IDLE
    note(b, r.fault)
    if r.verdict == FRAME_EXCEPTION:
        b.current.exception_code = r.exception_code
        b.count.exceptions[r.exception_code if r.exception_code < EXCEPTION_CODES else 0] += 1
    finish_current(b, r.fault, now_ns)


cdef void drop_front(Bus* b, int n) noexcept nogil:
    b.rx_len -= n
    if b.rx_len > 0 and n > 0:
        memmove(b.rx, b.rx + n, b.rx_len)


cdef void look_tcp(Bus* b, int64_t now_ns) noexcept nogil:
    cdef Reply r
    cdef int i
    cdef int pos = 0
    for i in range(FRAMES_PER_STEP):
        judge_tcp(b.rx + pos, b.rx_len - pos, b.transaction_id, &b.expect, NULL if b.current is NULL else b.current.regs, &r)
        if r.verdict == FRAME_MORE:
            break
        pos += r.used
        if r.verdict == FRAME_BROKEN:
            note(b, r.fault)
            go_down(b, r.fault, EPROTO, now_ns)
            return
        if r.verdict == FRAME_STALE or b.current is NULL:
            b.count.late_replies += 1
        elif b.tx_done < b.tx_len:
            # An answer to a question that is not asked to its end yet.
            go_down(b, FAULT_WRONG_PROTOCOL, EPROTO, now_ns)
            return
        else:
            answered(b, &r, now_ns)
    drop_front(b, pos)
    b.more = r.verdict != FRAME_MORE and b.rx_len > 0


cdef inline bint same_bytes_answer(const Bus* b) noexcept nogil:
    return b.expect.function == WRITE_SINGLE_COIL or b.expect.function == WRITE_SINGLE_REGISTER


cdef int own_echo(Bus* b, int pos, bint final) noexcept nogil:
    # Bytes of our own question at pos; -1: it may become that; 0: it is not.
    cdef int n = b.rx_len - pos
    if b.state != BUS_AWAIT or b.heard or b.echo == ECHO_NO or (b.echo == ECHO_UNKNOWN and same_bytes_answer(b)):
        return 0
    if memcmp(b.rx + pos, b.tx, b.tx_len if n > b.tx_len else n) != 0:
        return 0
    if n < b.tx_len:
        return 0 if final else -1
    b.heard = 1
    b.echo = ECHO_YES
    b.count.echoes += 1
    return b.tx_len


cdef void not_the_answer(Bus* b, const Reply* r) noexcept nogil:
    note(b, r.fault)
    if r.verdict != FRAME_FOREIGN:
        b.count.garbage_bytes += 1
    if r.fault != FAULT_GARBAGE or b.suspect == FAULT_NONE:
        b.suspect = r.fault


cdef void answered_rtu(Bus* b, const Reply* r, int64_t now_ns) noexcept nogil:
    # In QUIET the owner has been told "time-out" long ago.
    if b.state == BUS_QUIET:
        b.count.late_replies += 1
        return
    if b.echo == ECHO_UNKNOWN and not same_bytes_answer(b):
        b.echo = ECHO_NO
    answered(b, r, now_ns)


cdef void look_rtu(Bus* b, int64_t now_ns) noexcept nogil:
    cdef Reply r
    cdef int i, echo
    cdef int pos = 0
    cdef bint final = now_ns - b.last_rx_ns >= SILENT_NS
    b.more = 0
    for i in range(FRAMES_PER_STEP):
        if b.state == BUS_IDLE or pos >= b.rx_len:
            break
        echo = own_echo(b, pos, final)
        if echo < 0:
            break
        if echo > 0:
            pos += echo
            continue
        judge_rtu(b.rx + pos, b.rx_len - pos, final, &b.expect, NULL if b.current is NULL else b.current.regs, &r)
        if r.verdict == FRAME_MORE:
            break
        pos += r.used
        if r.verdict == FRAME_OK or r.verdict == FRAME_EXCEPTION:
            answered_rtu(b, &r, now_ns)
        else:
            not_the_answer(b, &r)
    else:
        b.more = pos < b.rx_len
    b.settled = final and not b.more
    drop_front(b, pos)
    if b.state == BUS_IDLE:
        drop_unasked(b)


cdef void drop_unasked(Bus* b) noexcept nogil:
    b.count.garbage_bytes += b.rx_len
    b.rx_len = 0
    b.more = 0


cdef bint receive(Bus* b, int64_t now_ns) noexcept nogil:
    # False: the connection is over.
    cdef int space = RX_MAX - b.rx_len
    cdef int n = link_recv(&b.link, b.rx + b.rx_len, space if space < BYTES_PER_STEP else BYTES_PER_STEP) if space else 0
    if n < 0:
        go_down(b, FAULT_CLOSED, -n, now_ns)
        return False
    if n > 0:
        b.rx_len += n
        b.count.bytes_in += n
        b.last_rx_ns = now_ns
        b.settled = 0
        b.next_tx_ns = later(b.next_tx_ns, now_ns + b.opt.silence_ns)
    return True


cdef void receive_step(Bus* b, int64_t now_ns, short revents) noexcept nogil:
    cdef int before = b.rx_len
    if revents & (POLLIN | POLLERR | POLLHUP | POLLRDHUP) and not receive(b, now_ns):
        return
    if b.link.kind == LINK_TCP:
        if b.rx_len > before or b.more:
            look_tcp(b, now_ns)
    elif b.rx_len > 0:
        look_rtu(b, now_ns)


# Time

cdef void timed_out(Bus* b, int64_t now_ns) noexcept nogil:
    cdef bint cut = b.tx_done < b.tx_len
    b.timeouts_in_row += 1
    finish_current(b, b.suspect if b.suspect else FAULT_TIMEOUT, now_ns)
    if b.link.kind == LINK_TCP:
        b.state = BUS_IDLE
        if cut or (b.opt.max_timeouts and b.timeouts_in_row >= b.opt.max_timeouts):
            go_down(b, FAULT_TIMEOUT, ETIMEDOUT, now_ns)
        return
    if cut:
        link_flush(&b.link, True)
    b.deadline_ns = later(b.worst_until_ns, now_ns)
    b.state = BUS_QUIET


cdef void time_step(Bus* b, int64_t now_ns) noexcept nogil:
    if b.state == BUS_AWAIT and now_ns >= b.deadline_ns:
        timed_out(b, now_ns)
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
    """Moves on what can be moved on: at most 512 bytes, 16 frames and one question. Returns how many transactions ended."""
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
    cdef bint waiting = b.commands.count + b.polls.count > 0
    if b.more:
        return 0
    if b.state == BUS_DOWN:
        return 0 if waiting else b.retry_ns
    if b.state == BUS_IDLE:
        return b.next_tx_ns if waiting else INT64_MAX
    if b.state == BUS_CLOSED:
        return INT64_MAX
    if b.rx_len > 0 and b.link.kind == LINK_RTU and not b.settled and b.last_rx_ns + SILENT_NS < b.deadline_ns:
        return b.last_rx_ns + SILENT_NS
    return b.deadline_ns
