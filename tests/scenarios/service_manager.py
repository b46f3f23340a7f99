"""A small stand-in for systemd: NOTIFY_SOCKET, and of a unit file WatchdogSec, WatchdogSignal and Restart. Nothing else of it.

It kills what has not said WATCHDOG=1 for WatchdogSec since it said READY=1, as systemd does, and leaves the restart to its user.
"""

from __future__ import annotations

import configparser
import signal
import socket
import time
from pathlib import Path
from typing import Any

UNIT = Path(__file__).resolve().parent.parent.parent / "board/files/usr/lib/systemd/system/bess-loop.service"


def unit_file() -> dict[str, dict[str, str]]:
    """Sections of the unit file the product ships."""
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return {name: dict(parser[name]) for name in parser.sections()}


class ServiceManager:
    """Listens to one service at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        service = unit_file()["Service"]
        self.watchdog_s = float(service["WatchdogSec"])
        self.signal = signal.Signals[service["WatchdogSignal"]]

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": str(int(self.watchdog_s * 1e6))}

    def __enter__(self) -> ServiceManager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def drain(self) -> None:
        """Forget what was said so far."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(256)
        except BlockingIOError:
            return

    def until_ready(self, patience_s: float = 20.0) -> None:
        """Returns when the service said READY=1."""
        self._socket.settimeout(patience_s)
        while self._socket.recv(256) != b"READY=1":
            pass

    def hears(self) -> bool:
        """Whether the next WATCHDOG=1 comes in time."""
        self._socket.settimeout(self.watchdog_s)
        try:
            return self._socket.recv(256) == b"WATCHDOG=1"
        except TimeoutError:
            return False

    def guard(self, process: Any, patience_s: float = 20.0) -> int:
        """Watches over the service until it has to be killed, and kills it; the instant of its last sign of life, monotonic ns."""
        fed_ns = time.monotonic_ns()
        until_s = time.monotonic() + patience_s
        self._socket.settimeout(self.watchdog_s)
        while time.monotonic() < until_s:
            try:
                if self._socket.recv(256) == b"WATCHDOG=1":
                    fed_ns = time.monotonic_ns()
            except TimeoutError:
                process.send_signal(self.signal)
                process.wait()
                return fed_ns
        raise AssertionError("the service was fed all the time")
