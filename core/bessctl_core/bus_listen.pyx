"""What a bus makes of the bytes that come: the front of the buffer is judged until nothing more can be said, in bounded steps.

The rules stand on top of bus.pyx; what a frame means is decided in frames.pyx alone.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcmp, memmove

from bessctl_core.bus_state cimport (
    BUS_AWAIT, BUS_IDLE, BUS_QUIET, ECHO_NO, ECHO_UNKNOWN, ECHO_YES, EXCEPTION_CODES, RX_MAX, SILENT_NS, Bus, finish_out, go_down, later,
    set_deadline,
)
from bessctl_core.frames cimport (
    FAULT_CLOSED, FAULT_CRC, FAULT_GARBAGE, FAULT_NONE, FAULT_WRONG_ECHO, FAULT_WRONG_FUNCTION, FAULT_WRONG_LENGTH, FAULT_WRONG_PROTOCOL,
    FAULT_WRONG_UNIT, FRAME_BROKEN, FRAME_EXCEPTION, FRAME_FOREIGN, FRAME_MORE, FRAME_OK, WRITE_SINGLE_COIL,
    WRITE_SINGLE_REGISTER, Reply, judge_rtu, judge_tcp,
)
from bessctl_core.link cimport LINK_RTU, LINK_TCP, link_recv
from bessctl_core.posix_io cimport EPROTO, POLLERR, POLLHUP, POLLIN, POLLRDHUP

cdef enum:
    FRAMES_PER_STEP = 16
    BYTES_PER_STEP = 512


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
    elif fault == FAULT_WRONG_PROTOCOL:
        b.count.wrong_protocol += 1


cdef void answered(Bus* b, int i, const Reply* r, int64_t now_ns) noexcept nogil:
    # The question out[i] has its answer, right or wrong.
    b.timeouts_in_row = 0
    b.unanswered_ns = now_ns if b.n_out > 1 else 0
    b.backoff_ns = b.opt.backoff_min_ns
    b.next_tx_ns = later(b.next_tx_ns, now_ns + b.opt.min_gap_ns)
    note(b, r.fault)
    if r.verdict == FRAME_EXCEPTION:
        b.out[i].t.exception_code = b.exception_code = r.exception_code
        b.count.exceptions[r.exception_code if r.exception_code < EXCEPTION_CODES else 0] += 1
    finish_out(b, i, r.fault, now_ns)
    if b.n_out:
        set_deadline(b)
    else:
        b.state = BUS_IDLE


cdef void drop_front(Bus* b, int n) noexcept nogil:
    b.rx_len -= n
    if b.rx_len > 0 and n > 0:
        memmove(b.rx, b.rx + n, b.rx_len)


cdef int question_of(const Bus* b, int pos) noexcept nogil:
    # Which question that is out has the transaction id of the frame at pos; -1: none, or it cannot be said yet.
    cdef int i
    if b.rx_len - pos < 2:
        return -1
    for i in range(b.n_out):
        if b.out[i].transaction_id == (b.rx[pos] << 8 | b.rx[pos + 1]):
            return i
    return -1


cdef void judge_front(Bus* b, int pos, int i, Reply* r) noexcept nogil:
    # A frame of no question that is out is judged against an id it cannot have: stale, or a stream out of step.
    cdef uint16_t other
    if i >= 0:
        judge_tcp(b.rx + pos, b.rx_len - pos, b.out[i].transaction_id, &b.out[i].expect, b.out[i].t.regs, r)
    else:
        other = 0 if b.rx_len - pos < 2 else <uint16_t> ~(b.rx[pos] << 8 | b.rx[pos + 1])
        judge_tcp(b.rx + pos, b.rx_len - pos, other, &b.expect, NULL, r)


cdef void look_tcp(Bus* b, int64_t now_ns) noexcept nogil:
    cdef Reply r
    cdef int frames, i
    cdef int pos = 0
    for frames in range(FRAMES_PER_STEP):
        i = question_of(b, pos)
        judge_front(b, pos, i, &r)
        if r.verdict == FRAME_MORE:
            break
        pos += r.used
        if r.verdict == FRAME_BROKEN:
            note(b, r.fault)
            go_down(b, r.fault, EPROTO, now_ns)
            return
        if i < 0:
            # Too late, and yet a sign of life.
            b.count.late_replies += 1
            b.unanswered_ns = now_ns if b.n_out else 0
        elif i == b.n_out - 1 and b.tx_done < b.tx_len:
            # An answer to a question that is not asked to its end yet.
            note(b, FAULT_WRONG_PROTOCOL)
            go_down(b, FAULT_WRONG_PROTOCOL, EPROTO, now_ns)
            return
        else:
            answered(b, i, &r, now_ns)
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
    answered(b, 0, r, now_ns)


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
        judge_rtu(b.rx + pos, b.rx_len - pos, final, &b.expect, b.out[0].t.regs if b.n_out else NULL, &r)
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
        b.count.gaps += b.link.kind == LINK_RTU and b.rx_len > 0 and now_ns - b.last_rx_ns > b.opt.silence_ns
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
