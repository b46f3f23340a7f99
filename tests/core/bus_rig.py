"""What the bus tests stand on: a master on a real socket or pseudo-terminal, its peer in the same thread, and time handed in.

Nothing here sleeps. Waiting means: until the descriptor says that bytes are there, at most PATIENCE_S of real time, while the bus's own
clock (`now_ns`) stands still.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bessctl_core import frames
from bessctl_core.master import Master

MS = 1_000_000
SECOND = 1_000_000_000
PATIENCE_S = 10.0

Outcome = tuple[str, str, int, list[int] | None]


def registers_reply(regs: Sequence[int], function: int = 3) -> bytes:
    """The PDU of a good answer to FC03 or FC04."""
    return struct.pack(f">BB{len(regs)}H", function, 2 * len(regs), *regs)


def tcp_frame(transaction_id: int, unit: int, pdu: bytes, *, protocol: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">HHHB", transaction_id, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    body = bytes([unit]) + pdu
    return body + struct.pack("<H", frames.crc(body))


class Rig:
    """A master, its peer and a clock."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.now_ns = 1000 * SECOND

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.master.close()

    def peer_fd(self) -> int:
        raise NotImplementedError

    def peer_send(self, data: bytes) -> None:
        os.write(self.peer_fd(), data)

    def peer_read(self, count: int) -> bytes:
        """Exactly `count` bytes of what the master sent."""
        got = b""
        while len(got) < count:
            assert select.select([self.peer_fd()], [], [], PATIENCE_S)[0], f"the master sent {got.hex()} of {count} bytes"
            got += os.read(self.peer_fd(), count - len(got))
        return got

    def counter(self, name: str) -> int:
        return self.master.counters()[name]

    def pump(self, after_ns: int = 0) -> int:
        self.now_ns += after_ns
        return self.master.pump(self.now_ns)

    def settle(self, reached: Callable[[], bool]) -> None:
        """Pumps at one and the same instant, as the descriptor becomes ready, until the condition holds."""
        poll = select.poll()
        while not reached():
            poll.register(self.master.fileno(), self.master.events())
            ready = poll.poll(PATIENCE_S * 1000)
            assert ready, f"nothing came; the bus is {self.master.state}"
            self.master.pump(self.now_ns, ready[0][1])

    def give(self, data: bytes) -> None:
        """The peer sends `data`, and the bus has taken it in."""
        want = self.counter("bytes_in") + len(data)
        self.peer_send(data)
        self.settle(lambda: self.counter("bytes_in") >= want or self.master.state == "down")

    def due(self) -> int:
        """Pumps at the next instant the bus asks for."""
        self.now_ns = max(self.now_ns, self.master.deadline_ns())
        return self.pump()

    def ask(
        self,
        *,
        unit: int = 1,
        fc: int = 3,
        address: int = 100,
        count: int = 2,
        regs: Sequence[int] = (),
        timeout_ns: int = 300 * MS,
        worst_ns: int = 0,
    ) -> tuple[int, bytes]:
        """A question goes out; returns its ticket and the bytes that the peer received."""
        ticket = self.master.submit(unit, fc, address, count, regs, timeout_ns=timeout_ns, worst_ns=worst_ns)
        self.due()
        return ticket, self.peer_read(len(self.expected(unit, fc, address, count, regs)))

    def expected(self, unit: int, fc: int, address: int, count: int, regs: Sequence[int]) -> bytes:
        raise NotImplementedError

    def outcome(self, ticket: int) -> Outcome:
        return self.master.outcome(ticket)


class TcpRig(Rig):
    """Loopback TCP; the peer accepts by `accept`."""

    def __init__(self, *, connect: bool = True, max_timeouts: int = 3, seed: int = 1) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.conn: socket.socket | None = None
        super().__init__(Master.tcp("127.0.0.1", self.port, max_timeouts=max_timeouts, seed=seed))
        if connect:
            self.connect()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def connect(self) -> None:
        self.pump()
        self.settle(lambda: self.master.state == "idle")
        self.accept()

    def accept(self) -> None:
        self.drop_peer()
        self.listener.settimeout(PATIENCE_S)
        self.conn = self.listener.accept()[0]

    def drop_peer(self) -> None:
        if self.conn is not None:
            self.conn.close()
        self.conn = None

    def reset_peer(self) -> None:
        """The peer ends with RST instead of FIN."""
        assert self.conn is not None
        self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop_peer()

    def peer_fd(self) -> int:
        assert self.conn is not None
        return self.conn.fileno()

    def expected(self, unit: int, fc: int, address: int, count: int, regs: Sequence[int]) -> bytes:
        return frames.encode(0, unit, fc, address, count, regs)

    def close(self) -> None:
        super().close()
        self.drop_peer()
        self.listener.close()


class RtuRig(Rig):
    """A pseudo-terminal: the bus has the line, the test the other end."""

    def __init__(self, *, baud: int = 9600, parity: str = "E", name: Path | None = None) -> None:
        self.other_end = -1
        self.name = name
        super().__init__(Master.rtu(str(name or self.plug_in()), baud, parity))
        self.connect()

    def plug_in(self) -> str:
        """A new line, under the rig's name if it has one; returns its own path."""
        self.other_end, line = os.openpty()
        tty.setraw(line)
        path = os.ttyname(line)
        os.close(line)
        if self.name is not None:
            self.name.unlink(missing_ok=True)
            self.name.symlink_to(path)
        return path

    def connect(self) -> None:
        if self.other_end < 0:
            self.plug_in()
        self.due()
        assert self.master.state == "idle", os.strerror(self.master.last_errno)

    def peer_fd(self) -> int:
        return self.other_end

    def hang_up(self) -> None:
        if self.other_end >= 0:
            os.close(self.other_end)
        self.other_end = -1

    def expected(self, unit: int, fc: int, address: int, count: int, regs: Sequence[int]) -> bytes:
        return frames.encode(None, unit, fc, address, count, regs)

    def close(self) -> None:
        super().close()
        self.hang_up()
