"""`bessctl run`: a bare launcher. Loop and supervisor become two processes, each in a session of its own, neither the other's child.

Rules. SIGINT and SIGTERM reach the launcher alone; it passes SIGTERM to both and waits. The loop decides how long that takes: it ramps to
0 W first. When the loop ends, the supervisor is stopped and the launcher returns the loop's exit code. When the supervisor ends, the
loop goes on by its plans' leases, and the launcher says so. systemd is the real launcher: it restarts both.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STOP_WITHIN_S = 75.0
"""Beyond the longest stop_timeout_s a site may have."""


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that becomes readable when SIGINT or SIGTERM came."""
    inner, outer = socket.socketpair()
    inner.setblocking(False)
    outer.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(inner.fileno(), warn_on_full_buffer=False)
    try:
        yield outer
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        inner.close()
        outer.close()


def launch(loop_command: list[str], supervisor_command: list[str]) -> int:
    """Run both until the loop ends or a signal asks for it; returns the exit code."""
    with _signals() as asked:
        loop = subprocess.Popen(loop_command, start_new_session=True)
        supervisor = None
        try:
            supervisor = subprocess.Popen(supervisor_command, start_new_session=True)
            stopped = _watch(asked, loop, supervisor)
        finally:
            _end([p for p in (supervisor, loop) if p is not None])
    code = loop.returncode
    if code < 0:
        _say(f"the loop was ended by signal {-code}")
        return 1
    return 0 if stopped and code == 0 else code


def _watch(asked: socket.socket, loop: subprocess.Popen[bytes], supervisor: subprocess.Popen[bytes]) -> bool:
    """Wait until the loop is gone; True when a signal asked for the end."""
    with selectors.DefaultSelector() as events:
        watched = {asked.fileno(): asked.fileno(), **{os.pidfd_open(p.pid): p.pid for p in (loop, supervisor)}}
        try:
            for fd in watched:
                events.register(fd, selectors.EVENT_READ)
            while True:
                ready = {watched[key.fd] for key, _ in events.select()}
                if asked.fileno() in ready or loop.pid in ready:
                    return asked.fileno() in ready
                if supervisor.pid in ready:
                    events.unregister(next(fd for fd, pid in watched.items() if pid == supervisor.pid))
                    code = supervisor.wait()
                    _say(f"the supervisor ended (exit {code}); the loop goes on by its plans' leases, then by its defaults")
        finally:
            for fd in watched.keys() - {asked.fileno()}:
                os.close(fd)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to all at once, and the time a stop may take; only then SIGKILL."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            _say(f"process {process.pid} did not stop within {STOP_WITHIN_S:g} s and is killed")
            process.kill()
            process.wait()


def _say(message: str) -> None:
    print(f"bessctl: {message}", file=sys.stderr)
