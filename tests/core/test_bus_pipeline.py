"""Several questions out at once, what a dead neighbour costs, and how a half-open connection is found: in time handed in (CARD-1)."""

from __future__ import annotations

import struct

import pytest

from bessctl_core import frames
from bessctl_core.master import Master
from tests.core.bus_rig import MS, RtuRig, TcpRig, registers_reply, tcp_frame

QUESTION = 12  # bytes of FC03 over TCP


def ask_many(rig: TcpRig, count: int, *, pipelined: bool = True, timeout_ns: int = 300 * MS) -> tuple[list[int], list[int]]:
    """Tickets, and the transaction ids of the questions that went out."""
    tickets = [rig.master.submit(1, 3, 100 * n, 2, timeout_ns=timeout_ns, pipelined=pipelined) for n in range(count)]
    rig.pump()
    return tickets, ids(rig, min(count, 4) if pipelined else 1)


def ids(rig: TcpRig, count: int) -> list[int]:
    sent = rig.peer_read(QUESTION * count)
    return [int(struct.unpack_from(">H", sent, QUESTION * n)[0]) for n in range(count)]


def states(rig: TcpRig, tickets: list[int]) -> list[str]:
    return [rig.outcome(ticket)[0] for ticket in tickets]


def test_a_device_that_takes_it_is_asked_four_at_once_and_answers_in_any_order() -> None:
    with TcpRig() as rig:
        tickets, tids = ask_many(rig, 6)
        assert states(rig, tickets) == ["sent"] * 4 + ["queued"] * 2
        for n in (2, 0, 3, 1):
            rig.give(tcp_frame(tids[n], 1, registers_reply([n, n])))
        assert [rig.outcome(ticket)[3] for ticket in tickets[:4]] == [[n, n] for n in range(4)]
        rest = ids(rig, 2)
        rig.give(b"".join(tcp_frame(tid, 1, registers_reply([9, 9])) for tid in rest))
        assert states(rig, tickets) == ["done"] * 6
        assert rig.master.state == "idle"


def test_a_device_that_does_not_take_it_is_asked_one_at_a_time() -> None:
    with TcpRig() as rig:
        tickets, _ = ask_many(rig, 3, pipelined=False)
        assert states(rig, tickets) == ["sent", "queued", "queued"]


def test_a_question_that_is_not_pipelined_waits_and_nothing_passes_it() -> None:
    with TcpRig() as rig:
        first = rig.master.submit(1, 3, 0, 2, pipelined=True)
        plain = rig.master.submit(2, 3, 0, 2)
        last = rig.master.submit(1, 3, 0, 2, pipelined=True)
        rig.pump()
        assert states(rig, [first, plain, last]) == ["sent", "queued", "queued"]
        rig.give(tcp_frame(ids(rig, 1)[0], 1, registers_reply([1, 1])))
        rig.pump()
        assert states(rig, [first, plain, last]) == ["done", "sent", "queued"]


def test_each_question_has_its_own_deadline_and_a_late_answer_is_nobody_elses() -> None:
    with TcpRig() as rig:
        short = rig.master.submit(1, 3, 0, 2, timeout_ns=100 * MS, pipelined=True)
        long = rig.master.submit(1, 3, 100, 2, timeout_ns=300 * MS, pipelined=True)
        rig.pump()
        tids = ids(rig, 2)
        rig.pump(100 * MS)
        assert states(rig, [short, long]) == ["failed", "sent"]
        rig.give(tcp_frame(tids[0], 1, registers_reply([66, 66])))
        assert (rig.outcome(long)[0], rig.counter("late_replies")) == ("sent", 1)
        rig.give(tcp_frame(tids[1], 1, registers_reply([7, 8])))
        assert rig.outcome(long) == ("done", "none", 0, [7, 8])


def test_a_connection_that_ends_fails_every_question_that_is_out() -> None:
    with TcpRig() as rig:
        tickets, _ = ask_many(rig, 6)
        rig.drop_peer()
        rig.settle(lambda: rig.master.state == "down")
        assert {rig.outcome(ticket)[:2] for ticket in tickets} == {("failed", "closed")}


@pytest.mark.parametrize("wrong", [tcp_frame(0, 2, b"\x03\x04\0\0\0\0"), tcp_frame(0, 1, b"\x04\x04\0\0\0\0")], ids=["unit", "function"])
def test_a_wrong_answer_to_one_leaves_the_others_alone(wrong: bytes) -> None:
    with TcpRig() as rig:
        tickets, tids = ask_many(rig, 3)
        rig.give(struct.pack(">H", tids[1]) + wrong[2:])
        assert states(rig, tickets) == ["sent", "failed", "sent"]


# --- a dead neighbour ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [False, True])
def test_after_a_time_out_the_others_go_before_what_else_waits_for_the_dead_one(command: bool) -> None:
    """The bound that `bessctl check` prints counts one lost answer, not one for each question that already waits."""
    with TcpRig(max_timeouts=0) as rig:
        dead = [rig.master.submit(9, 3, n, 1, timeout_ns=300 * MS, command=command) for n in range(3)]
        alive = [rig.master.submit(1, 3, n, 2, timeout_ns=300 * MS, command=command) for n in range(2)]
        rig.pump()
        rig.peer_read(QUESTION)
        rig.pump(300 * MS)
        for ticket in alive:
            rig.give(tcp_frame(ids(rig, 1)[0], 1, registers_reply([5, 6])))
            assert rig.outcome(ticket) == ("done", "none", 0, [5, 6])
        assert states(rig, dead) == ["failed", "sent", "queued"], "then the rest, in its order"


def test_on_a_serial_line_too() -> None:
    with RtuRig() as rig:
        dead = [rig.master.submit(9, 3, n, 1, timeout_ns=100 * MS, worst_ns=100 * MS) for n in range(2)]
        alive = rig.master.submit(1, 3, 0, 2, timeout_ns=100 * MS)
        rig.due()
        while rig.outcome(dead[0])[0] != "failed":
            rig.due()
        while rig.outcome(alive)[0] == "queued":
            rig.due()
        assert rig.outcome(dead[1])[0] == "queued"


# --- half-open ----------------------------------------------------------------------------------------------------------------------------


def half_open(timeout_ms: int, give_up_s: float) -> int:
    """How long, in ms, until a peer that takes everything and says nothing is given up, asked without a pause."""
    with TcpRig() as rig:
        rig.master.close()
        rig.master = Master.tcp("127.0.0.1", rig.port, max_timeouts=0, give_up_s=give_up_s)
        rig.connect()
        start_ns = rig.now_ns
        while rig.master.state != "down":
            rig.master.submit(1, 3, 0, 1, timeout_ns=timeout_ms * MS)
            rig.pump()
            rig.due()
        assert rig.counter("half_open") == 1
        return (rig.now_ns - start_ns) // MS


@pytest.mark.parametrize("timeout_ms", [50, 100, 300, 400])
def test_a_half_open_peer_is_given_up_within_the_data_age_limit(timeout_ms: int) -> None:
    """R4: not after a number of time-outs, but before the data behind it is too old."""
    assert half_open(timeout_ms, 0.5) == 500


def test_a_pause_without_questions_is_no_silence() -> None:
    with TcpRig() as rig:
        rig.master.close()
        rig.master = Master.tcp("127.0.0.1", rig.port, max_timeouts=0, give_up_s=0.5)
        rig.connect()
        for _ in range(3):
            rig.ask()
            rig.pump(300 * MS)
            rig.pump(5000 * MS)
        assert rig.master.state == "idle"


def test_one_answer_between_time_outs_is_a_sign_of_life() -> None:
    """A dead device behind a gateway does not cost its neighbours the connection."""
    with TcpRig() as rig:
        rig.master.close()
        rig.master = Master.tcp("127.0.0.1", rig.port, max_timeouts=0, give_up_s=0.5)
        rig.connect()
        for _ in range(5):
            rig.ask(unit=9)
            rig.pump(300 * MS)
            _, question = rig.ask()
            rig.give(question[:2] + tcp_frame(0, 1, registers_reply([1, 2]))[2:])
        assert (rig.master.state, rig.master.epoch) == ("idle", 1)


# --- what the counters tell apart ---------------------------------------------------------------------------------------------------------


def test_an_answer_in_pieces_that_comes_too_late_is_counted_as_slow() -> None:
    with TcpRig() as rig:
        _, question = rig.ask()
        rig.give(question[:2] + tcp_frame(0, 1, registers_reply([1, 2]))[2:8])
        rig.pump(300 * MS)
        assert (rig.counter("slow"), rig.counter("failed_timeout")) == (1, 1)


def test_a_silence_inside_a_frame_is_tolerated_and_counted() -> None:
    """Serial Line V1.02 2.5.1.1 would drop it; adapters tear frames apart, so it is taken and told."""
    with RtuRig() as rig:
        ticket, _ = rig.ask()
        body = bytes([1]) + registers_reply([7, 8])
        whole = body + struct.pack("<H", frames.crc(body))
        rig.give(whole[:4])
        rig.now_ns += 20 * MS
        rig.give(whole[4:])
        assert (rig.outcome(ticket)[0], rig.counter("gaps")) == ("done", 1)
