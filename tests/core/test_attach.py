"""Handing over the segments: who gets what, one holder at a time, and how each side learns that the other is gone."""

import errno
import json
import mmap
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bessctl_core import attach, ports, segment
from tests.core.loop_rig import HASH, SEALED, Loop

# Python 3.12 warns of a fork beside threads; these children do nothing but attach, and end.
FORKS = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    served = Loop(tmp_path)
    yield served
    served.close()


def wait_for_end(attachment: attach.Attachment) -> None:
    attachment.link.settimeout(10)
    with suppress(ConnectionResetError):
        assert attachment.link.recv(1) == b""


def attach_plans_soon(run_dir: Path) -> attach.Attachment:
    """The server notices a holder's end in its own thread: ask until it has, at most 200 times."""
    for _ in range(200):
        try:
            return attach.attach_plans(str(run_dir))
        except attach.NotForYou:
            threading.Event().wait(0.02)
    raise AssertionError("the plans were never free again")


def test_anyone_gets_the_state_and_the_sealed_configuration(loop: Loop, tmp_path: Path) -> None:
    got = attach.attach_state(str(tmp_path))
    assert got.sealed == SEALED
    second = attach.attach_state(str(tmp_path))
    assert second.sealed == SEALED
    second.close()
    assert (got.hello["pid"], got.hello["epoch"]) == (os.getpid(), loop.segments.epoch)
    assert got.hello["boot_id"] == segment.boot_id().hex()
    assert ports.StatePort(got.fd, HASH).read() is None
    with pytest.raises(PermissionError):
        mmap.mmap(got.fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    assert got.alive
    assert not os.get_inheritable(got.fd)
    got.close()


def test_the_sealed_copy_cannot_be_changed() -> None:
    fd = attach.sealed_memfd(b"sealed")
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
    for attempt in (lambda: os.pwrite(again, b"x", 0), lambda: os.ftruncate(again, 0), lambda: os.pwrite(fd, b"x", 0)):
        with pytest.raises(OSError, match=r"permitted|Bad file"):
            attempt()
    os.close(again)
    os.close(fd)


def test_the_plans_go_to_one_holder_at_a_time(loop: Loop, tmp_path: Path) -> None:
    first = attach.attach_plans(str(tmp_path))
    ports.PlanPort(first.fd, HASH).write(0, 1, 0, [])
    assert loop.segments.take_plan(0) is not None
    with pytest.raises(attach.NotForYou, match=rf"process {os.getpid()} of user {os.getuid()} writes the plans"):
        attach.attach_plans(str(tmp_path))
    assert first.alive
    first.close()
    attach_plans_soon(tmp_path).close()


@FORKS
def test_a_holder_that_is_killed_sets_the_plans_free(loop: Loop, tmp_path: Path) -> None:
    held, hold = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kept = attach.attach_plans(str(tmp_path))
            os.write(hold, b"x")
            signal.pause()
            kept.close()
        finally:
            os._exit(1)
    assert os.read(held, 1) == b"x"
    with pytest.raises(attach.NotForYou, match=f"process {child}"):
        attach.attach_plans(str(tmp_path))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    attach_plans_soon(tmp_path).close()
    os.close(held)
    os.close(hold)


@FORKS
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("uid", "given"), [(1234, True), (4321, False)])
def test_only_the_supervisors_user_gets_the_plans(tmp_path: Path, uid: int, given: bool) -> None:
    loop = Loop(tmp_path, supervisor_uid=1234)
    folder = os.open(tmp_path, os.O_PATH)
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.setuid(uid)
            os.fchdir(folder)
            attach.attach_state(".")
            attach.attach_plans(".")
            status = 0
        except attach.NotForYou as error:
            status = 1 if f"only user 1234 (the supervisor) and root may write plans, this is user {uid}" in str(error) else 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (0 if given else 1)
    os.close(folder)
    loop.close()


def test_a_peer_learns_that_the_loop_is_gone_and_finds_the_next_one(tmp_path: Path) -> None:
    first = Loop(tmp_path)
    state, plans = attach.attach_state(str(tmp_path)), attach.attach_plans(str(tmp_path))
    first.close()
    wait_for_end(state)
    assert not state.alive
    assert not plans.alive
    with pytest.raises(attach.NobodyListens, match="no loop process answers; start it with `bessctl run`"):
        attach.attach_state(str(tmp_path))
    second = Loop(tmp_path)
    again = attach.attach_state(str(tmp_path))
    assert again.hello["epoch"] != state.hello["epoch"]
    for held in (state, plans, again):
        held.close()
    second.close()


def test_sockets_left_by_a_loop_that_was_killed_are_replaced(tmp_path: Path) -> None:
    for name in ("state.sock", "plans.sock.new"):
        left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        left.bind(str(tmp_path / name))
        left.close()
    with pytest.raises(attach.NobodyListens):
        attach.attach_state(str(tmp_path))
    loop = Loop(tmp_path)
    attach.attach_state(str(tmp_path)).close()
    loop.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_deeper_than_a_socket_address_is_no_trouble(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    loop = Loop(deep)
    attach.attach_state(str(deep)).close()
    loop.close()


def test_another_layout_is_refused_with_both_numbers(tmp_path: Path) -> None:
    loop = Loop(tmp_path, layout_version=99)
    for ask in (attach.attach_state, attach.attach_plans):
        with pytest.raises(
            attach.AttachError, match=r"the loop has layout 99, this program has layout \d+; run loop and supervisor from one"
        ):
            ask(str(tmp_path))
    loop.close()


def test_a_loop_that_ends_while_it_is_asked_is_named(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection waited in a backlog that nobody served any more: the kernel resets it."""

    def reset(*_: object) -> None:
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    monkeypatch.setattr(attach, "_receive", reset)
    with pytest.raises(attach.NobodyListens, match="ended while it was asked"):
        attach.attach_state(str(tmp_path))


def test_a_loop_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "ANSWER_S", 0.05)
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.bind(str(tmp_path / "state.sock"))
    silent.listen()
    with pytest.raises(attach.NobodyListens, match=r"does not answer within 0\.05 s"):
        attach.attach_state(str(tmp_path))
    silent.close()


@pytest.mark.parametrize("answer", [b"", b"garbage", b"[1]", b"{}", json.dumps(attach.greeting(HASH, HASH[:16], 1)).encode()])
def test_an_answer_that_is_no_greeting_is_refused(tmp_path: Path, answer: bytes) -> None:
    liar = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    liar.bind(str(tmp_path / "state.sock"))
    liar.listen()

    def lie() -> None:
        link, _ = liar.accept()
        if answer:
            link.send(answer)
        link.close()

    thread = threading.Thread(target=lie)
    thread.start()
    with pytest.raises(attach.AttachError):
        attach.attach_state(str(tmp_path))
    thread.join()
    liar.close()


def test_a_peer_that_speaks_is_cut_off_and_hurts_nobody(loop: Loop, tmp_path: Path) -> None:
    talker, quiet = attach.attach_state(str(tmp_path)), attach.attach_state(str(tmp_path))
    talker.link.send(b"give me the plans")
    wait_for_end(talker)
    assert quiet.alive
    talker.close()
    quiet.close()


def test_the_number_of_watchers_is_bounded(loop: Loop, tmp_path: Path) -> None:
    watchers = [attach.attach_state(str(tmp_path)) for _ in range(attach.MAX_PEERS)]
    with pytest.raises(attach.NotForYou, match="64 processes watch this loop already"):
        attach.attach_state(str(tmp_path))
    attach.attach_plans(str(tmp_path)).close()
    for watcher in watchers:
        watcher.close()


def test_no_descriptor_leaks(loop: Loop, tmp_path: Path) -> None:
    attach.attach_state(str(tmp_path)).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        attach.attach_state(str(tmp_path)).close()
        attach_plans_soon(tmp_path).close()
    for _ in range(200):
        if len(os.listdir("/proc/self/fd")) <= before:
            return
        threading.Event().wait(0.02)
    raise AssertionError("descriptors are left open")
