"""The bus over TCP: each trap a device or a network can set, on real sockets, at instants that are handed in (CARD-1)."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core.master import BusError, Master
from tests.core.bus_rig import MS, PATIENCE_S, SECOND, TcpRig, registers_reply, tcp_frame

GOOD = registers_reply([7, 8])


@pytest.fixture
def rig() -> Iterator[TcpRig]:
    with TcpRig() as made:
        yield made


def tid(question: bytes) -> int:
    return int(struct.unpack(">H", question[:2])[0])


def answer(rig: TcpRig, question: bytes, pdu: bytes = GOOD, unit: int = 1) -> None:
    rig.give(tcp_frame(tid(question), unit, pdu))


def works(rig: TcpRig) -> bool:
    """A whole round trip, with values of its own."""
    ticket, question = rig.ask()
    answer(rig, question, registers_reply([0xAAAA, 0x5555]))
    return rig.outcome(ticket) == ("done", "none", 0, [0xAAAA, 0x5555])


# What is right


def test_a_read_and_a_write(rig: TcpRig) -> None:
    ticket, question = rig.ask(count=2)
    assert rig.outcome(ticket)[0] == "sent"
    assert question[2:] == bytes.fromhex("0000 0006 01 03 0064 0002")
    answer(rig, question)
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])
    ticket, question = rig.ask(fc=16, address=5, count=2, regs=[1, 2])
    answer(rig, question, struct.pack(">BHH", 16, 5, 2))
    assert rig.outcome(ticket) == ("done", "none", 0, None)
    assert rig.counter("ok") == 2


def test_an_answer_in_pieces_at_every_cut(rig: TcpRig) -> None:
    whole = tcp_frame(0, 1, GOOD)
    for cut in range(1, len(whole)):
        ticket, question = rig.ask()
        frame = tcp_frame(tid(question), 1, GOOD)
        rig.give(frame[:cut])
        assert rig.outcome(ticket)[0] == "sent"
        rig.give(frame[cut:])
        assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])


def test_commands_go_before_polls_and_each_in_its_order(rig: TcpRig) -> None:
    _, question = rig.ask(address=1)
    polls = [rig.master.submit(1, 3, 10 + i, 2) for i in range(2)]
    commands = [rig.master.submit(1, 3, 20 + i, 2, command=True) for i in range(2)]
    seen = []
    for _ in range(4):
        answer(rig, question)
        question = rig.peer_read(12)
        seen.append(question[9])
    assert seen == [20, 21, 10, 11]
    answer(rig, question)
    assert all(rig.outcome(t)[0] == "done" for t in polls + commands)


def test_data_age_counts_from_the_sending(rig: TcpRig) -> None:
    ticket, question = rig.ask()
    sent = rig.now_ns
    rig.now_ns += 40 * MS
    answer(rig, question)
    assert rig.master.times(ticket) == (sent, sent + 40 * MS, 1)


def test_the_socket_sends_at_once_and_notices_a_pulled_cable(rig: TcpRig) -> None:
    with socket.socket(fileno=os.dup(rig.master.fileno())) as ours:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert not os.get_blocking(rig.master.fileno())


# Wrong answers: the question fails at once, the connection goes on


@pytest.mark.parametrize(
    ("unit", "pdu", "fault", "counter"),
    [
        pytest.param(2, GOOD, "wrong_unit", "wrong_unit", id="wrong unit"),
        pytest.param(1, registers_reply([7, 8], 4), "wrong_function", "wrong_function", id="wrong function"),
        pytest.param(1, registers_reply([7]), "wrong_length", "wrong_length", id="too few registers"),
        pytest.param(1, registers_reply([7, 8, 9]), "wrong_length", "wrong_length", id="too many registers"),
        pytest.param(1, b"\x03\x06" + GOOD[2:], "wrong_length", "wrong_length", id="wrong byte count"),
        pytest.param(1, GOOD + b"\0\0", "wrong_length", "wrong_length", id="trailing bytes in the frame"),
        pytest.param(1, b"\x83\x02", "exception", "exception_2", id="exception 2"),
        pytest.param(1, b"\x83\x04", "exception", "exception_4", id="exception 4"),
        pytest.param(1, b"\x83\x06", "exception", "exception_6", id="exception 6, busy"),
        pytest.param(1, b"\x83\xc8", "exception", "exception_0", id="an exception code nobody knows"),
    ],
)
def test_wrong_answers(rig: TcpRig, unit: int, pdu: bytes, fault: str, counter: str) -> None:
    ticket, question = rig.ask()
    answer(rig, question, pdu, unit)
    status, why, code, regs = rig.outcome(ticket)
    assert (status, why, regs) == ("failed", fault, None)
    assert code == (pdu[1] if fault == "exception" else 0)
    assert rig.counter(counter) == 1
    assert rig.master.epoch == 1
    assert works(rig)


@pytest.mark.parametrize(
    ("name", "frame", "fault"),
    [
        ("protocol id", tcp_frame(0, 1, GOOD, protocol=7), "wrong_protocol"),
        ("length 0", tcp_frame(0, 1, GOOD, length=0), "wrong_length"),
        ("length 1000", tcp_frame(0, 1, GOOD, length=1000), "wrong_length"),
        ("no Modbus at all", b"HTTP/1.1 400 Bad Request\r\n", "wrong_protocol"),
    ],
)
def test_a_stream_out_of_step_is_closed(rig: TcpRig, name: str, frame: bytes, fault: str) -> None:
    ticket, _ = rig.ask()
    waiting = rig.master.submit(1, 3, 0, 1)
    rig.give(frame)
    assert rig.outcome(ticket)[:2] == ("failed", fault)
    assert rig.outcome(waiting)[:2] == ("failed", "closed")
    assert (rig.master.state, rig.master.last_errno) == ("down", errno.EPROTO)


def test_trailing_bytes_behind_an_answer_never_reach_the_next(rig: TcpRig) -> None:
    ticket, question = rig.ask()
    rig.give(tcp_frame(tid(question), 1, GOOD) + b"\x55" * 5)
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])
    assert rig.master.state == "down"


# Late answers


def test_a_late_answer_is_dropped_and_counted_and_the_next_question_gets_its_own(rig: TcpRig) -> None:
    late, old = rig.ask(address=1)
    rig.pump(300 * MS)
    assert rig.outcome(late)[:2] == ("failed", "timeout")
    ticket, question = rig.ask(address=2)
    answer(rig, old, registers_reply([1, 1]))
    assert rig.outcome(ticket)[0] == "sent"
    answer(rig, question)
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])
    assert (rig.counter("late_replies"), rig.counter("failed_timeout")) == (1, 1)


def test_stale_and_right_answer_in_one_segment(rig: TcpRig) -> None:
    _, old = rig.ask(address=1)
    rig.pump(300 * MS)
    ticket, question = rig.ask(address=2)
    rig.give(tcp_frame(tid(old), 1, registers_reply([1, 1])) + tcp_frame(tid(question), 1, GOOD))
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])
    assert rig.counter("late_replies") == 1


def test_a_late_answer_to_nobody_is_dropped(rig: TcpRig) -> None:
    late, old = rig.ask()
    rig.pump(300 * MS)
    answer(rig, old)
    assert rig.outcome(late)[:2] == ("failed", "timeout")
    assert rig.counter("late_replies") == 1
    assert works(rig)


def test_half_an_answer_before_the_time_out_and_half_after(rig: TcpRig) -> None:
    _, old = rig.ask(address=1)
    frame = tcp_frame(tid(old), 1, registers_reply([1, 1]))
    rig.give(frame[:9])
    rig.pump(300 * MS)
    ticket, question = rig.ask(address=2)
    rig.give(frame[9:] + tcp_frame(tid(question), 1, GOOD))
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])


def test_an_answer_twice(rig: TcpRig) -> None:
    _, question = rig.ask()
    answer(rig, question)
    answer(rig, question, registers_reply([1, 1]))
    assert rig.counter("late_replies") == 1
    assert works(rig)


def test_slow_loris_bytes_never_extend_the_deadline(rig: TcpRig) -> None:
    ticket, question = rig.ask(timeout_ns=300 * MS)
    deadline = rig.master.deadline_ns()
    assert deadline == rig.now_ns + 300 * MS
    frame = tcp_frame(tid(question), 1, GOOD)
    for i in range(10):
        rig.now_ns += 29 * MS
        rig.give(frame[i : i + 1])
        assert rig.master.deadline_ns() == deadline
    assert rig.outcome(ticket)[0] == "sent"
    rig.pump(10 * MS)
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")
    rig.give(frame[10:])
    assert rig.outcome(ticket)[:2] == ("failed", "timeout")


# The end of a connection


def test_the_peer_closes(rig: TcpRig) -> None:
    ticket, _ = rig.ask()
    waiting = rig.master.submit(1, 3, 0, 1)
    rig.drop_peer()
    rig.settle(lambda: rig.master.state == "down")
    assert rig.outcome(ticket)[:2] == rig.outcome(waiting)[:2] == ("failed", "closed")
    assert rig.master.last_errno in (errno.ESHUTDOWN, errno.ECONNRESET)


def test_the_peer_closes_while_nothing_is_asked(rig: TcpRig) -> None:
    rig.drop_peer()
    rig.settle(lambda: rig.master.state == "down")
    assert (rig.counter("disconnects"), rig.master.last_errno) == (1, errno.ESHUTDOWN)


def test_the_peer_answers_and_closes_in_one_go(rig: TcpRig) -> None:
    ticket, question = rig.ask()
    rig.peer_send(tcp_frame(tid(question), 1, GOOD))
    rig.drop_peer()
    rig.settle(lambda: rig.master.state == "down")
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])


def test_the_peer_resets(rig: TcpRig) -> None:
    ticket, _ = rig.ask()
    rig.reset_peer()
    rig.settle(lambda: rig.master.state == "down")
    assert rig.outcome(ticket)[:2] == ("failed", "closed")
    assert rig.master.last_errno == errno.ECONNRESET


def test_sending_into_a_dead_connection_is_no_signal_but_a_reason(rig: TcpRig) -> None:
    rig.reset_peer()
    assert select.select([rig.master.fileno()], [], [], PATIENCE_S)[0]
    ticket = rig.master.submit(1, 3, 0, 1)
    rig.master.pump(rig.now_ns, 0)  # told of nothing, it sends
    assert rig.outcome(ticket)[:2] == ("failed", "closed")
    assert rig.master.last_errno in (errno.ECONNRESET, errno.EPIPE)


def test_half_open_a_peer_that_takes_everything_and_says_nothing(rig: TcpRig) -> None:
    for _ in range(3):
        ticket, _ = rig.ask()
        rig.pump(300 * MS)
        assert rig.outcome(ticket)[:2] == ("failed", "timeout")
    assert (rig.master.state, rig.master.last_errno) == ("down", errno.ETIMEDOUT)
    rig.due()
    rig.settle(lambda: rig.master.state == "idle")
    rig.accept()
    assert rig.master.epoch == 2
    assert works(rig)


def test_an_answer_between_time_outs_keeps_the_connection(rig: TcpRig) -> None:
    for _ in range(3):
        for _ in range(2):
            rig.ask()
            rig.pump(300 * MS)
        assert works(rig)
    assert rig.master.epoch == 1


def fill(rig: TcpRig) -> tuple[int, int]:
    """Asks a peer that reads nothing until a question is stuck half-way in the kernel's buffer; returns its ticket and how many it took."""
    ticket = asked = 0
    while rig.master.events() & select.POLLOUT == 0:
        rig.pump(300 * MS)
        ticket = rig.master.submit(1, 16, 0, 123, [0] * 123, timeout_ns=300 * MS)
        rig.pump()
        asked += 1
    return ticket, asked


def test_a_question_cut_off_in_the_kernels_buffer_ends_the_connection() -> None:
    with TcpRig(max_timeouts=0) as rig:
        ticket, _ = fill(rig)
        assert rig.outcome(ticket)[0] == "sent"
        rig.pump(300 * MS)
        assert rig.outcome(ticket)[:2] == ("failed", "timeout")
        assert rig.master.state == "down"


def test_an_answer_to_a_question_that_is_not_sent_to_its_end_is_no_answer() -> None:
    with TcpRig(max_timeouts=0) as rig:
        _, question = rig.ask(address=1)
        ticket, asked = fill(rig)
        rig.give(tcp_frame((tid(question) + asked) & 0xFFFF, 1, struct.pack(">BHH", 16, 0, 123)))
        assert rig.outcome(ticket)[:2] == ("failed", "wrong_protocol")
        assert rig.counter("late_replies") == 0


def test_a_connection_given_up_is_reset_so_that_no_old_command_arrives_later(rig: TcpRig) -> None:
    for _ in range(3):
        rig.ask()
        rig.pump(300 * MS)
    assert rig.master.state == "down"
    assert rig.conn is not None
    with pytest.raises(ConnectionResetError):
        rig.conn.recv(1)


def test_an_orderly_end_is_a_close(rig: TcpRig) -> None:
    assert works(rig)
    rig.master.close()
    assert rig.conn is not None
    assert rig.conn.recv(1) == b""


# Connecting


def test_nobody_listens() -> None:
    with TcpRig(connect=False) as rig:
        rig.listener.close()
        ticket = rig.master.submit(1, 3, 0, 1)
        rig.pump()
        rig.settle(lambda: rig.master.state == "down")
        assert rig.outcome(ticket)[:2] == ("failed", "connect")
        assert rig.master.last_errno == errno.ECONNREFUSED
        # Asked while it is known that there is no connection: told at the next pump, not after the back-off.
        ticket = rig.master.submit(1, 3, 0, 1)
        assert rig.master.deadline_ns() <= rig.now_ns
        assert rig.pump() == 1
        assert rig.outcome(ticket)[:2] == ("failed", "connect")


def test_a_connection_that_never_comes_about() -> None:
    with TcpRig(connect=False) as rig:
        rig.listener.listen(0)
        crowd = [socket.create_connection(("127.0.0.1", rig.port))]
        crowd += [socket.socket() for _ in range(2)]
        for s in crowd[1:]:
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", rig.port))
        ticket = rig.master.submit(1, 3, 0, 1)
        rig.pump()
        assert rig.master.state == "connecting"
        assert rig.master.deadline_ns() == rig.now_ns + SECOND
        rig.pump(SECOND - 1)
        assert rig.outcome(ticket)[0] == "queued"
        rig.pump(1)
        assert rig.outcome(ticket)[:2] == ("failed", "connect")
        assert rig.master.last_errno == errno.ETIMEDOUT
        for s in crowd:
            s.close()


def waits_ns(seed: int, tries: int = 10) -> list[int]:
    """The pauses between tries to reach a port where nobody listens."""
    waits = []
    with TcpRig(connect=False, seed=seed) as rig:
        rig.listener.close()
        for _ in range(tries):
            rig.due()
            rig.settle(lambda: rig.master.state == "down")
            waits.append(rig.master.deadline_ns() - rig.now_ns)
    return waits


def test_tries_are_spaced_doubling_within_bounds_and_out_of_step() -> None:
    waits = waits_ns(1)
    for i, wait in enumerate(waits):
        base = min(100 * MS * 2**i, 5 * SECOND)
        assert 0.75 * base <= wait <= 1.25 * base
    assert waits != waits_ns(2)
    assert waits == waits_ns(1)


def test_a_device_that_accepts_and_hangs_up_is_not_hammered_an_answer_resets_the_pace(rig: TcpRig) -> None:
    def wait_after_drop() -> int:
        rig.drop_peer()
        rig.settle(lambda: rig.master.state == "down")
        wait = rig.master.deadline_ns() - rig.now_ns
        rig.due()
        rig.settle(lambda: rig.master.state == "idle")
        rig.accept()
        return wait

    waits = [wait_after_drop() for _ in range(4)]
    assert waits[3] >= 600 * MS
    assert works(rig)
    assert wait_after_drop() <= 125 * MS
    assert rig.master.epoch == 6


def test_one_session_only(rig: TcpRig) -> None:
    """A device that allows one TCP session never sees two: the old one is closed before the next is opened."""
    assert works(rig)
    rig.peer_send(b"\0" * 3 + b"\1")
    rig.settle(lambda: rig.master.state == "down")
    assert rig.conn is not None
    with pytest.raises(ConnectionResetError):
        rig.conn.recv(1)
    rig.due()
    rig.settle(lambda: rig.master.state == "idle")


# Bounds


def test_a_flood_is_worked_off_in_bounded_steps(rig: TcpRig) -> None:
    rig.ask()
    rig.pump(300 * MS)
    ticket, question = rig.ask()
    rig.peer_send(tcp_frame(tid(question) - 1, 1, b"\x83\x02") * 40 + tcp_frame(tid(question), 1, GOOD))
    poll = select.poll()
    poll.register(rig.master.fileno(), select.POLLIN)
    assert poll.poll(PATIENCE_S * 1000)
    rig.pump()
    assert rig.counter("late_replies") == 16
    assert rig.master.deadline_ns() <= rig.now_ns
    while rig.outcome(ticket)[0] == "sent":
        rig.pump()
    assert rig.outcome(ticket) == ("done", "none", 0, [7, 8])
    assert rig.counter("late_replies") == 40


def test_a_full_queue_refuses_at_once() -> None:
    with TcpRig(connect=False) as rig:
        tickets = [rig.master.submit(1, 3, i, 1) for i in range(33)]
        assert [rig.outcome(t)[:2] for t in tickets] == [("queued", "none")] * 32 + [("failed", "queue_full")]
        command = rig.master.submit(1, 6, 0, 1, [5], command=True)
        assert rig.outcome(command)[0] == "queued"


@pytest.mark.parametrize(("fc", "address", "count"), [(3, 0, 0), (3, 0, 126), (16, 0, 124), (3, 65535, 2), (6, 0, 2), (43, 0, 1)])
def test_an_impossible_question_is_never_sent(rig: TcpRig, fc: int, address: int, count: int) -> None:
    ticket = rig.master.submit(1, fc, address, count)
    assert rig.outcome(ticket)[:2] == ("failed", "bad_request")
    rig.pump()
    assert rig.counter("bytes_out") == 0


def test_closing_ends_everything_and_stays_closed(rig: TcpRig) -> None:
    sent, _ = rig.ask()
    queued = rig.master.submit(1, 3, 0, 1)
    rig.master.close()
    later = rig.master.submit(1, 3, 0, 1)
    assert [rig.outcome(t)[:2] for t in (sent, queued, later)] == [("failed", "stopped")] * 3
    rig.pump(100 * SECOND)
    assert (rig.master.state, rig.master.fileno()) == ("closed", -1)


def test_every_address_family_but_no_names() -> None:
    with pytest.raises(ValueError, match="numeric"):
        Master.tcp("localhost", 502)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener, Master.tcp("::1", listener.getsockname()[1]) as master:
        master.pump(0)
        assert master.state in ("connecting", "idle")


# Never a wrong value

STRAY = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.builds(
        lambda back, unit, regs: ("frame", back, unit, registers_reply(regs)),
        st.integers(0, 3),
        st.integers(0, 3),
        st.lists(st.integers(0, 65535), min_size=0, max_size=4),
    ),
    st.builds(lambda back, code: ("frame", back, 1, bytes([0x83, code])), st.integers(0, 3), st.integers(0, 255)),
)


@settings(max_examples=150, deadline=None)
@given(before=st.lists(STRAY, max_size=4), after=st.lists(STRAY, max_size=2), cut=st.integers(1, 60))
def test_whatever_comes_around_an_answer_the_value_is_the_right_one_or_none(
    before: list[bytes | tuple[str, int, int, bytes]], after: list[bytes | tuple[str, int, int, bytes]], cut: int
) -> None:
    with TcpRig() as rig:
        ticket, question = rig.ask()

        def wire(piece: bytes | tuple[str, int, int, bytes]) -> bytes:
            if isinstance(piece, bytes):
                return piece
            _, back, unit, pdu = piece
            # A whole frame of our own transaction and unit with two registers would be a right answer: make it another's.
            back = back or (1 if unit == 1 and len(pdu) == 6 else 0)
            return tcp_frame((tid(question) - back) & 0xFFFF, unit, pdu)

        stream = b"".join(map(wire, before)) + tcp_frame(tid(question), 1, GOOD) + b"".join(map(wire, after))
        rig.give(stream[:cut])
        if rig.master.state != "down" and stream[cut:]:
            rig.give(stream[cut:])
        rig.pump(300 * MS)
        status, fault, _, regs = rig.outcome(ticket)
        assert (status, fault, regs) == ("done", "none", [7, 8]) or (status == "failed" and regs is None)


# The waiting calls


def serve(listener: socket.socket, replies: int) -> threading.Thread:
    """A device that answers FC03 with address and count, and confirms writes."""

    def run() -> None:
        conn = listener.accept()[0]
        with conn:
            for _ in range(replies):
                q = conn.recv(300)
                n = struct.unpack(">H", q[10:12])[0]
                pdu = registers_reply([q[9], *range(1, n)]) if q[7] == 3 else q[7:12]
                conn.sendall(tcp_frame(tid(q), q[6], pdu))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_read_write_and_cycle_wait_for_their_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = serve(listener, 5)
        with Master.tcp("127.0.0.1", listener.getsockname()[1], timeout_s=PATIENCE_S) as master:
            assert master.read(1, 3, 40, 3) == [40, 1, 2]
            master.write(1, 40, [1, 2, 3])
            master.write(1, 40, [9], fc=6)
            assert master.cycle(1, 40, 20, 100, [1, 2, 3, 4]) > 0
            assert master.counters()["ok"] == 5
        thread.join(PATIENCE_S)


def test_a_silent_device_costs_one_time_out_and_the_error_says_what_was_asked() -> None:
    with TcpRig(connect=False) as rig, Master.tcp("127.0.0.1", rig.port, timeout_s=0.02) as master:
        with pytest.raises(BusError, match="unit 3 FC03 at 40000 x 20: timeout") as caught:
            master.read(3, 3, 40000, 20)
        assert caught.value.fault == "timeout"


def test_a_device_that_drips_its_answer_is_not_waited_for() -> None:
    """libmodbus restarts its time-out at each byte; here a device that drips a right answer for ten time-outs is cut off."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            conn = listener.accept()[0]
            with conn:
                for byte in tcp_frame(tid(conn.recv(300)), 1, registers_reply([1] * 20)):
                    if done.wait(0.02):
                        return
                    conn.send(bytes([byte]))

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with Master.tcp("127.0.0.1", listener.getsockname()[1], timeout_s=0.1) as master, pytest.raises(BusError, match="timeout"):
            master.read(1, 3, 0, 20)
        done.set()
        thread.join(PATIENCE_S)
