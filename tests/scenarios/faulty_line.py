"""A line with faults between a loop and its devices: passes everything on, and damages one answer when told to.

TCP: a proxy in front of the simulated plant; RTU: a pair of pseudo-terminals. One thread; `damage(fault)` spoils the next answer, `wait()`
says when it has been sent.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
import tty
from collections.abc import Callable
from typing import Self

from bessctl_core import frames

Pieces = list[tuple[float, bytes | None]]
"""(seconds after the piece before, bytes); None: the connection ends there."""
Fault = Callable[[bytes, bytes], Pieces]
"""What becomes of an answer; arguments: question, answer."""


def spoilt(answer: bytes, at: int, bits: int = 0x01) -> bytes:
    return answer[:at] + bytes([answer[at] ^ bits]) + answer[at + 1 :]


def with_crc(body: bytes) -> bytes:
    return body + struct.pack("<H", frames.crc(body))


def tcp_pdu(answer: bytes, unit: int, pdu: bytes) -> bytes:
    return answer[:4] + struct.pack(">HB", len(pdu) + 1, unit) + pdu


class FaultyLine:
    """Both kinds. `tcp`: frames by their MBAP length, else RTU frames by their check sum."""

    def __init__(self, tcp: bool) -> None:
        self.tcp = tcp
        self._fault: Fault | None = None
        self._wanted: Callable[[bytes], bool] = lambda question: True
        self._done = threading.Event()
        self._stop, self._stopped = os.pipe()
        self._question = b""
        self._buffer = b""
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self.echo = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stopped, b"x")
        self._thread.join(10)
        self.close()
        os.close(self._stop)
        os.close(self._stopped)

    def damage(self, fault: Fault, wanted: Callable[[bytes], bool] = lambda question: True) -> None:
        """Spoil the answer to the next question that is `wanted`."""
        self._done.clear()
        self._wanted = wanted
        self._fault = fault

    def wait(self, seconds: float = 10.0) -> None:
        assert self._done.wait(seconds), "no such question was asked"

    # --- to be filled in --------------------------------------------------------------------------------------------------------------

    def ends(self) -> tuple[int, int]:
        """(toward the loop, toward the devices); negative where there is none now."""
        raise NotImplementedError

    def ready(self, fd: int) -> bool:
        """Something else than an end is ready; True when it was dealt with."""
        return False

    def extra(self) -> list[int]:
        return []

    def ended(self) -> None:
        """One end is over."""

    def close(self) -> None:
        """Let go of everything."""

    # --- carrying -----------------------------------------------------------------------------------------------------------------------

    def _carry(self) -> None:
        while True:
            here = [fd for fd in self.ends() if fd >= 0]
            ready = select.select([*here, *self.extra(), self._stop], [], [])[0]
            if self._stop in ready:
                return
            for fd in ready:
                if not self.ready(fd):
                    self._pass_on(fd)

    def _pass_on(self, fd: int) -> None:
        loop, devices = self.ends()
        if fd not in (loop, devices):
            return
        try:
            data = os.read(fd, 1024)
        except OSError:
            data = b""
        if not data:
            self.ended()
        elif fd == loop:
            self._question = data
            if self.echo:
                self._write(loop, data)
            self._write(devices, data)
        else:
            self._answered(data)

    def _answered(self, data: bytes) -> None:
        self._buffer += data
        if not self._whole():
            return
        answer, self._buffer = self._buffer, b""
        fault, self._fault = (self._fault, None) if self._wanted(self._question) else (None, self._fault)
        pieces = fault(self._question, answer) if fault else [(0.0, answer)]
        for seconds, piece in pieces:
            if seconds:
                time.sleep(seconds)  # a line that is late; nothing waits for it but the loop under test
            if piece is None:
                self.ended()
            else:
                self._write(self.ends()[0], piece)
        if fault:
            self._done.set()

    def _whole(self) -> bool:
        if self.tcp:
            return len(self._buffer) >= 6 and len(self._buffer) >= 6 + int(struct.unpack_from(">H", self._buffer, 4)[0])
        return len(self._buffer) >= 5 and frames.crc(self._buffer[:-2]) == struct.unpack("<H", self._buffer[-2:])[0]

    def _write(self, fd: int, data: bytes) -> None:
        try:
            if fd >= 0 and data:
                os.write(fd, data)
        except OSError:
            self.ended()


class FaultyTcp(FaultyLine):
    """In front of a server on this port."""

    def __init__(self, port: int) -> None:
        super().__init__(tcp=True)
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._loop: socket.socket | None = None
        self._devices: socket.socket | None = None
        self.refusing = False

    def extra(self) -> list[int]:
        return [self._listener.fileno()]

    def ends(self) -> tuple[int, int]:
        return tuple(-1 if end is None else end.fileno() for end in (self._loop, self._devices))  # type: ignore[return-value]

    def ready(self, fd: int) -> bool:
        if fd != self._listener.fileno():
            return False
        self.ended()
        self._loop = self._listener.accept()[0]
        if self.refusing:
            self.ended()
        else:
            self._devices = socket.create_connection(("127.0.0.1", self._to))
        return True

    def ended(self) -> None:
        for end in (self._loop, self._devices):
            if end is not None:
                end.close()
        self._loop = self._devices = None
        self._buffer = b""

    def close(self) -> None:
        self.ended()
        self._listener.close()


class FaultyRtu(FaultyLine):
    """Between a line of its own, `path`, and the devices' pseudo-terminal. `echo`: the loop hears what it says."""

    def __init__(self, devices: str, *, echo: bool = False) -> None:
        super().__init__(tcp=False)
        self.echo = echo
        self._mine, line = os.openpty()
        tty.setraw(line)
        self._line = line
        self.path = os.ttyname(line)
        self._devices = os.open(devices, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._devices)

    def ends(self) -> tuple[int, int]:
        return self._mine, self._devices

    def close(self) -> None:
        for fd in (self._mine, self._line, self._devices):
            os.close(fd)
