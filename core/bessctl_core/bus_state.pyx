"""How transactions and connections end and how connections begin: the part of a bus that both asking and listening lean on.

The rules stand on top of bus.pyx. Only the bus's own modules call what is here.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from bessctl_core.link cimport link_check, link_close, link_open
from bessctl_core.posix_io cimport EINPROGRESS, ETIMEDOUT


cdef uint64_t random_u64(Bus* b) noexcept nogil:
    # xorshift64: good enough to keep controllers from knocking in step.
    b.rng ^= b.rng << 13
    b.rng ^= b.rng >> 7
    b.rng ^= b.rng << 17
    return b.rng


cdef void finish(Bus* b, Transaction* t, uint8_t fault, int64_t now_ns) noexcept nogil:
    t.fault = fault
    t.done_ns = now_ns
    t.status = DONE if fault == FAULT_NONE else FAILED
    b.count.faults[fault] += 1
    b.count.ok += fault == FAULT_NONE
    b.completed += 1


cdef void set_deadline(Bus* b) noexcept nogil:
    """AWAIT: when the first question that is out ends, or the patience with a connection that answers nothing."""
    cdef int i
    b.deadline_ns = b.out[0].deadline_ns
    for i in range(1, b.n_out):
        b.deadline_ns = b.out[i].deadline_ns if b.out[i].deadline_ns < b.deadline_ns else b.deadline_ns
    if b.opt.give_up_ns and b.timeouts_in_row and b.unanswered_ns and b.unanswered_ns + b.opt.give_up_ns < b.deadline_ns:
        b.deadline_ns = b.unanswered_ns + b.opt.give_up_ns


cdef void finish_out(Bus* b, int i, uint8_t fault, int64_t now_ns) noexcept nogil:
    cdef Transaction* t = b.out[i].t
    b.n_out -= 1
    for i in range(i, b.n_out):
        b.out[i] = b.out[i + 1]
    finish(b, t, fault, now_ns)


cdef void finish_all_out(Bus* b, uint8_t fault, int64_t now_ns) noexcept nogil:
    """`fault` is the oldest question's; those behind it learn only that the connection is over."""
    while b.n_out:
        finish_out(b, 0, fault, now_ns)
        fault = FAULT_CLOSED if fault != FAULT_STOPPED else fault


cdef Transaction* take(Ring* q) noexcept nogil:
    cdef Transaction* t = NULL
    if q.count:
        t = q.slot[q.head]
        q.head = (q.head + 1) % QUEUE_MAX
        q.count -= 1
    return t


cdef void fail_queued(Bus* b, uint8_t fault, int64_t now_ns) noexcept nogil:
    while b.urgent.count:
        finish(b, take(&b.urgent), fault, now_ns)
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
    b.count.half_open += fault == FAULT_TIMEOUT
    b.rx_len = b.tx_len = b.tx_done = 0
    b.more = 0
    b.backoff_ns = later(b.backoff_ns, b.opt.backoff_min_ns)
    b.retry_ns = now_ns + b.backoff_ns * 3 / 4 + <int64_t>(random_u64(b) % (<uint64_t>b.backoff_ns / 2 + 1))
    b.backoff_ns = b.backoff_ns * 2 if b.backoff_ns < b.opt.backoff_max_ns / 2 else b.opt.backoff_max_ns
    b.state = BUS_DOWN
    finish_all_out(b, fault, now_ns)
    fail_queued(b, FAULT_CONNECT if fault == FAULT_CONNECT else FAULT_CLOSED, now_ns)


cdef void go_up(Bus* b, int64_t now_ns) noexcept nogil:
    b.epoch += 1
    b.count.connects += 1
    b.timeouts_in_row = 0
    b.unanswered_ns = 0
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
