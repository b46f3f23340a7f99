"""How peers come by the shared segments: two Unix sockets in the run directory, one message each. Standard library only.

Rules.
- `state.sock`: whoever connects gets the hello, the state segment (a read-only descriptor) and the sealed configuration.
- `plans.sock`: a peer running as the supervisor's user or as root gets the hello and the plans segment. One holder at a time: while
  its connection stands, the next one is told who holds it; when it ends, for whatever reason, the segment is free again.
- The message is one JSON object, `{layout_version, config_hash, boot_id, epoch, pid}` or `{refused}`. The server never reads what a peer
  says; one that says anything is cut off.
- The connection stays open. Its end is how each side learns that the other is gone; after it a peer attaches again, and gets the
  segments of the next loop process.

Descriptors and connections are closed on exec, not on fork: a child that only forked holds on to the plans until it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from . import layout

STATE_SOCKET = "state.sock"
PLANS_SOCKET = "plans.sock"
MAX_PEERS = 64
ANSWER_S = 2.0
SOCKET_PATH_BYTES = 107
MESSAGE_BYTES = 4096
SEALED_BYTES = 4 << 20
CREDENTIALS = struct.Struct("3i")


class AttachError(ConnectionError):
    """The segments could not be had; the message says why and what to do."""


class NobodyListens(AttachError):
    """No loop process answers in this run directory."""


class NotForYou(AttachError):
    """The plans are held by another process, or this user may not write them."""


@contextmanager
def socket_path(run_dir: str, name: str) -> Iterator[str]:
    """A path short enough for a socket address, which holds 107 bytes: a deeper one leads through the run directory's descriptor."""
    plain = os.path.join(run_dir, name)
    if len(os.fsencode(plain)) <= SOCKET_PATH_BYTES:
        yield plain
        return
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)


def sealed_memfd(data: bytes) -> int:
    """A read-only descriptor to a copy of `data` that nobody can change."""
    fd = os.memfd_create("bessctl-sealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


# --- the loop process's side ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who is at the other end, as the kernel says."""

    pid: int
    uid: int

    @classmethod
    def of(cls, link: socket.socket) -> Credentials:
        pid, uid, _ = CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        return cls(pid, uid)


def listen(run_dir: str, name: str, kind: int, mode: int) -> socket.socket:
    """A listening socket that appears under its name with its mode set, in place of whatever a loop that died left there."""
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    with socket_path(run_dir, f"{name}.new") as beside, socket_path(run_dir, name) as place:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        listener.bind(beside)
        os.chmod(beside, mode)
        listener.listen(16)
        os.rename(beside, place)
    return listener


@dataclass
class AttachServer:
    """Hands the segments out. One thread: watch `fileno()` for reading (a selector nests it) and call `serve()` when it is ready.

    The descriptors stay the caller's; `hello` is what `greeting()` makes. The caller holds the lock that makes it the only loop here.
    Raises OSError when the run directory cannot be written.
    """

    run_dir: str
    state_fd: int
    plans_fd: int
    sealed: bytes
    hello: dict[str, Any]
    supervisor_uid: int
    holder: Credentials | None = None
    _links: dict[int, socket.socket] = field(default_factory=dict)
    _holder_fd: int = -1

    def __post_init__(self) -> None:
        self._message = json.dumps(self.hello).encode()
        self._sealed_fd = sealed_memfd(self.sealed)
        self._epoll = select.epoll()
        self._state = listen(self.run_dir, STATE_SOCKET, socket.SOCK_SEQPACKET, 0o666)
        self._plans = listen(self.run_dir, PLANS_SOCKET, socket.SOCK_SEQPACKET, 0o666)
        for listener in (self._state, self._plans):
            self._epoll.register(listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Ready for reading when there is something to serve."""
        return self._epoll.fileno()

    def serve(self, timeout_s: float = 0.0) -> None:
        """Answer what waits, at most 16 peers; waits up to `timeout_s` for the first."""
        for fd, _ in self._epoll.poll(timeout_s, 16):
            if fd == self._state.fileno():
                self._accept(self._state, self._give_state)
            elif fd == self._plans.fileno():
                self._accept(self._plans, self._give_plans)
            else:
                self._drop(fd)

    def close(self) -> None:
        """Take the sockets away and end every connection: peers notice at once."""
        for name in (STATE_SOCKET, PLANS_SOCKET):
            with suppress(FileNotFoundError), socket_path(self.run_dir, name) as place:
                os.unlink(place)
        for link in (*self._links.values(), self._state, self._plans):
            link.close()
        self._links.clear()
        self._epoll.close()
        os.close(self._sealed_fd)

    def _accept(self, listener: socket.socket, give: Any) -> None:
        try:
            link, _ = listener.accept()
        except OSError:
            return  # gone again, or no descriptor free: the next call finds it waiting
        link.setblocking(False)
        try:
            kept = give(link)
        except OSError:
            kept = False  # the peer left, or does not take one message
        if not kept:
            link.close()
            return
        self._links[link.fileno()] = link
        self._epoll.register(link, select.EPOLLIN)

    def _give_state(self, link: socket.socket) -> bool:
        if len(self._links) >= MAX_PEERS:
            return self._refuse(link, f"{MAX_PEERS} processes watch this loop already; end one of them")
        return self._give(link, [self.state_fd, self._sealed_fd])

    def _give_plans(self, link: socket.socket) -> bool:
        peer = Credentials.of(link)
        if peer.uid not in (0, self.supervisor_uid):
            return self._refuse(link, f"only user {self.supervisor_uid} (the supervisor) and root may write plans, this is user {peer.uid}")
        if self.holder is not None:
            held = f"process {self.holder.pid} of user {self.holder.uid}"
            return self._refuse(link, f"{held} writes the plans of this loop; stop it first (a second supervisor?)")
        self._give(link, [self.plans_fd])
        self.holder, self._holder_fd = peer, link.fileno()
        return True

    def _give(self, link: socket.socket, descriptors: list[int]) -> bool:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))
        link.sendmsg([self._message], [rights], socket.MSG_NOSIGNAL)
        return True

    def _refuse(self, link: socket.socket, why: str) -> bool:
        link.send(json.dumps({"refused": why}).encode(), socket.MSG_NOSIGNAL)
        return False

    def _drop(self, fd: int) -> None:
        """The peer's end came, or it spoke out of turn."""
        self._links.pop(fd).close()
        if fd == self._holder_fd:
            self.holder, self._holder_fd = None, -1


def greeting(config_hash: bytes, boot_id: bytes, epoch: int) -> dict[str, Any]:
    """The hello of this loop process."""
    return {
        "layout_version": layout.VERSION,
        "config_hash": config_hash.hex(),
        "boot_id": boot_id.hex(),
        "epoch": epoch,
        "pid": os.getpid(),
    }


# --- a peer's side ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Attachment:
    """What a peer got: `fd` is the segment, `sealed` the sealed configuration (with the state alone). Close it to let go."""

    link: socket.socket
    fd: int
    hello: dict[str, Any]
    sealed: bytes = b""

    @property
    def alive(self) -> bool:
        """False once the loop process is gone: attach again."""
        try:
            return bool(self.link.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Let go; ports that mapped the segment keep their mapping."""
        self.link.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def attach_state(run_dir: str) -> Attachment:
    """The state segment and the sealed configuration. Raises NobodyListens, AttachError."""
    link, hello, (fd, sealed_fd) = _attach(run_dir, STATE_SOCKET, 2)
    try:
        # By position: the descriptor's offset is shared with every other peer.
        return Attachment(link, fd, hello, os.pread(sealed_fd, SEALED_BYTES, 0))
    finally:
        os.close(sealed_fd)


def attach_plans(run_dir: str) -> Attachment:
    """The plans segment, to be written. Raises NobodyListens, NotForYou, AttachError."""
    link, hello, (fd,) = _attach(run_dir, PLANS_SOCKET, 1)
    return Attachment(link, fd, hello)


def _attach(run_dir: str, name: str, count: int) -> tuple[socket.socket, dict[str, Any], list[int]]:
    link = _connect(run_dir, name)
    descriptors: list[int] = []
    try:
        data, descriptors = _receive(link, count)
        hello = _checked(data, len(descriptors) == count, f"{run_dir}/{name}")
        link.setblocking(False)
    except BaseException as error:
        link.close()
        for fd in descriptors:
            os.close(fd)
        if isinstance(error, TimeoutError):
            raise NobodyListens(f"{run_dir}/{name}: the loop does not answer within {ANSWER_S:g} s; see its log") from error
        if isinstance(error, ConnectionError) and not isinstance(error, AttachError):
            raise NobodyListens(f"{run_dir}/{name}: the loop ended while it was asked ({error.strerror}); start it again") from error
        raise
    return link, hello, descriptors


def _receive(link: socket.socket, count: int) -> tuple[bytes, list[int]]:
    """One message and its descriptors, closed on exec. (socket.recv_fds of Python 3.11 drops the flag that asks for it.)"""
    data, ancillary, _, _ = link.recvmsg(MESSAGE_BYTES, socket.CMSG_SPACE(count * 4), socket.MSG_CMSG_CLOEXEC)
    descriptors = array("i")
    for level, kind, rights in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(rights[: len(rights) // 4 * 4])
    return data, list(descriptors)


def _connect(run_dir: str, name: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(ANSWER_S)
    try:
        with socket_path(run_dir, name) as place:
            link.connect(place)
    except OSError as error:
        link.close()
        if isinstance(error, PermissionError):
            raise NotForYou(f"{run_dir}/{name}: this user may not connect to the loop ({error.strerror})") from error
        raise NobodyListens(
            f"{run_dir}/{name}: no loop process answers; start it with `bessctl run`, or name its folder with --run-dir"
        ) from error
    return link


def _checked(data: bytes, complete: bool, place: str) -> dict[str, Any]:
    try:
        hello = json.loads(data) if data else {"refused": "the loop ended while it was asked"}
    except ValueError as error:
        raise AttachError(f"{place}: the answer is no greeting of a loop process") from error
    if not isinstance(hello, dict) or "refused" in hello:
        raise NotForYou(f"{place}: {hello['refused'] if isinstance(hello, dict) else 'not understood'}")
    if hello.get("layout_version") != layout.VERSION:
        raise AttachError(
            f"{place}: the loop has layout {hello.get('layout_version')}, this program has layout {layout.VERSION}; "
            "run loop and supervisor from one installation, and restart both"
        )
    if not complete:
        raise AttachError(f"{place}: the greeting came without its descriptors; this process may have too many open files")
    return hello
