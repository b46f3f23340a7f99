"""The loop process: everything the tick needs, made before it begins and put away after it ends. Standard library only.

    main thread       becomes the loop (LoopCore.run) once all is built
    journal thread    sleeps on an eventfd, writes the record the tick left, syncs
    service thread    hands the segments out, serves the operator's socket, tells events on stderr, keeps the last-tick file

Exit codes: 0 stopped in order and proved; 1 cannot run here (a second loop, a folder, a socket), or stopped without proof; 2 the sealed
configuration or the command line is wrong. Real-time privileges that are refused do not end the process: it says what to do and runs
flagged, or stands by where the site requires them.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from . import bounds, rt
from .attach import AttachServer, greeting
from .control import ControlServer
from .journal import Journal
from .loop import LoopCore, LoopError
from .sealed import SealedSite, SealError, load
from .segment import LoopSegments, SegmentError, boot_id
from .tell import CHIP_REMEDY, MLOCK_REMEDY, RT_REMEDY, Teller

LOCK = "loop.lock"
LAST_TICK = "last-tick"
THREAD_STACK = 256 * 1024
SERVICE_PERIOD_S = 0.25
JOURNAL_RETRY_MS = 1000
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

USAGE = """usage: bessctl loop SEALED_FILE [--run-dir DIR] [--state-dir DIR] [--supervisor-uid UID] [--owner-uid UID] [--log text|json]

  SEALED_FILE        written by `bessctl check --seal`
  --run-dir          sockets and the last-tick file, best on a tmpfs; default: as sealed
  --state-dir        the journal; default: as sealed
  --supervisor-uid   who, besides root, may write plans; default: as sealed
  --owner-uid        who, besides root, may stop, start and reset; default: this user
  --log              how events are told on stderr; default text"""


class ExitWith(Exception):
    """End the process with this code after saying why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    sealed: str
    owner_uid: int
    run_dir: str = ""
    state_dir: str = ""
    supervisor_uid: int = -1
    log: str = "text"

    def completed(self, names: dict[str, Any]) -> Options:
        """What the command line leaves open is as the site was sealed."""
        paths = names.get("paths", {})
        return replace(
            self,
            run_dir=self.run_dir or paths.get("run_dir", "/run/bessctl"),
            state_dir=self.state_dir or paths.get("state_dir", "/var/lib/bessctl"),
            supervisor_uid=names.get("supervisor_uid", os.getuid()) if self.supervisor_uid < 0 else self.supervisor_uid,
        )


def options_of(arguments: list[str]) -> Options:
    """Read the command line; ExitWith 2 for one that is wrong. (argparse would cost a megabyte of locked memory.)"""
    values: dict[str, Any] = {"owner_uid": os.getuid()}
    known = {"--" + name.replace("_", "-"): name for name in Options.__slots__ if name != "sealed"}
    rest = list(arguments)
    while rest:
        word, _, value = rest.pop(0).partition("=")
        if word in ("-h", "--help"):
            raise ExitWith(EXIT_OK, USAGE)
        if word in known and (value or rest):
            values[known[word]] = value or rest.pop(0)
        elif not word.startswith("-") and "sealed" not in values:
            values["sealed"] = word + ("=" + value if value else "")
        else:
            raise ExitWith(EXIT_USAGE, f"bessctl loop: {word} is not understood, or its value is missing\n{USAGE}")
    if "sealed" not in values:
        raise ExitWith(EXIT_USAGE, f"bessctl loop: which sealed configuration?\n{USAGE}")
    return checked(values)


def checked(values: dict[str, Any]) -> Options:
    """Numbers as numbers; ExitWith 2 for a value out of its range."""
    for key in {"supervisor_uid", "owner_uid"} & set(values):
        try:
            values[key] = int(values[key])
        except ValueError as error:
            raise ExitWith(EXIT_USAGE, f"bessctl loop: --{key.replace('_', '-')} {values[key]} is no number") from error
    if values.get("log", "text") not in ("text", "json"):
        raise ExitWith(EXIT_USAGE, f"bessctl loop: --log {values['log']}: text or json")
    return Options(**values)


# --- what must hold before anything is built ----------------------------------------------------------------------------------------------


def read_site(path: str) -> tuple[SealedSite, bytes]:
    """The sealed configuration and its file's bytes; ExitWith 2 when it cannot be run."""
    try:
        site = load(path)
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ExitWith(EXIT_USAGE, f"{path}: {error.strerror}; write the sealed configuration with `bessctl check --seal`") from error
    except SealError as error:
        raise ExitWith(EXIT_USAGE, str(error)) from error
    fault = bounds.fault_of(site)
    if fault is not None:
        raise ExitWith(EXIT_USAGE, f"{path}: {fault}; seal it again")
    return site, data


def lock_folder(folder: str, mode: int) -> int:
    """Make the folder if need be and take the lock that only one loop may hold. The descriptor holds it; ExitWith 1."""
    try:
        os.makedirs(folder, mode=mode, exist_ok=True)
        lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ExitWith(EXIT_FAILED, f"{error.filename}: {error.strerror}; the loop needs a folder it can write") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ExitWith(EXIT_FAILED, f"{folder}: another loop process runs here; one plant has one loop, stop the other first") from error
    return lock


def notify_socket() -> socket.socket | None:
    """The service manager's socket (sd_notify(3)), None when nobody supervises us."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return None
    link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        link.connect("\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        link.close()
        return None
    return link


# --- the process --------------------------------------------------------------------------------------------------------------------------


class LoopProcess:
    """All parts, in the order of their making; `run` is the whole life."""

    def __init__(self, options: Options, stack: ExitStack) -> None:
        self.site, data = read_site(options.sealed)
        names = self.site.names
        self.options = options = options.completed(names)
        # 0711: everyone may reach the sockets by name, each guards itself.
        stack.callback(os.close, lock_folder(options.state_dir, 0o700))
        stack.callback(os.close, lock_folder(options.run_dir, 0o711))
        self.ending = False
        self.boot = boot_id()
        self.journal_fd, self.event_fd = os.eventfd(0, os.EFD_CLOEXEC), os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.journal = Journal(options.state_dir, self.journal_fd)
        stack.callback(self.journal.close)
        self.notify = notify_socket()
        self.notify_fd = self.notify.fileno() if self.notify else -1
        self.segments = LoopSegments(self.site.digest)
        self.core = LoopCore(
            self.site,
            self.segments,
            self.journal,
            signal_fd=rt.signal_file((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
            event_fd=self.event_fd,
            notify_fd=self.notify_fd,
        )
        self.teller = Teller(names, self.core.where, as_json=options.log == "json")
        hello = greeting(self.site.digest, self.boot, self.segments.epoch)
        self.attach = AttachServer(options.run_dir, self.segments.state_fd, self.segments.plans_fd, data, hello, options.supervisor_uid)
        stack.callback(self.attach.close)
        self.control = ControlServer(options.run_dir, self.core, names, options.owner_uid)
        stack.callback(self.control.close)
        self.last_tick = LastTick(os.path.join(options.run_dir, LAST_TICK), self.boot, self.site.digest)

    def run(self) -> int:
        """Become the loop, and return the exit code once it is over."""
        for note in self.journal.notes:
            self.teller.say("warning", f"journal: {note}; {'none is left to believe' if self.journal.broken else 'the other record rules'}")
        if not self.journal.found and not self.journal.broken:
            self.teller.say("info", f"{self.options.state_dir}: no journal yet, so this is a first start: nothing is latched or stopped")
        for chip in self.core.polled_chips:
            self.teller.say("warning", f"{chip} notes no changes: a contact that opens for less than a tick may be missed; {CHIP_REMEDY}")
        gap_ns = self.last_tick.gap_ns(rt.monotonic())
        warm = gap_ns is not None and gap_ns < self.core.warm_gap_ns
        threads = [threading.Thread(target=target, daemon=True) for target in (self.keep_journal, self.serve)]
        for thread in threads:
            thread.start()
        # The threads are made: what follows holds for this one alone.
        refused = self.claim(*self.core.realtime)
        self.core.begin(boot_id=self.boot, warm=warm, clock_trusted=rt.clock_trusted(), **refused)
        proved = self.core.run()
        self.ending = True
        for fd in (self.journal_fd, self.event_fd):
            os.eventfd_write(fd, 1)
        for thread in threads:
            thread.join()
        self.segments.retire()
        self.last_tick.forget()
        return EXIT_OK if proved else EXIT_FAILED

    def claim(self, priority: int, cpu: int, required: bool) -> dict[str, int]:
        """Processor, priority, memory; each refusal is said, none ends the process."""
        refused = {
            "affinity_errno": rt.pin(cpu) if cpu >= 0 else 0,
            "rt_errno": rt.become_realtime(priority),
            "mlock_errno": rt.lock_memory(),
        }
        if refused["affinity_errno"]:
            self.teller.say(
                "warning", f"processor {cpu} refused ({os.strerror(refused['affinity_errno'])}); it runs on any, see `loop.cpu`"
            )
        if refused["mlock_errno"]:
            self.teller.say(
                "warning", f"memory is not locked ({os.strerror(refused['mlock_errno'])}): page faults may delay it; {MLOCK_REMEDY}"
            )
        if refused["rt_errno"] and required:
            self.teller.say("alarm", f"real-time priority is required here and refused: standing by at 0 W; {RT_REMEDY}")
        return refused

    # --- the journal thread ---------------------------------------------------------------------------------------------------------------

    def keep_journal(self) -> None:
        """Write what the tick leaves, as long as there is a tick; a disk that refuses is tried again."""
        poll = select.poll()
        poll.register(self.journal_fd, select.POLLIN)
        failing = False
        while not (self.ending and not failing):
            if poll.poll(JOURNAL_RETRY_MS if failing else None):
                os.eventfd_read(self.journal_fd)
            failing = not self.write_journal(failing) and not self.ending

    def write_journal(self, failing: bool) -> bool:
        try:
            while self.journal.write_due():
                pass
        except OSError as error:
            if not failing:
                self.teller.say("alarm", f"{self.options.state_dir}: the journal cannot be written: {error}")
            return False
        return True

    # --- the service thread ---------------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Peers, the operator, and what the tick has to say."""
        epoll = select.epoll()
        for fd in (self.event_fd, self.attach.fileno(), self.control.fileno()):
            epoll.register(fd, select.EPOLLIN)
        ready = False
        while not self.ending:
            for fd, _ in epoll.poll(SERVICE_PERIOD_S):
                self.attend(fd)
            self.tell()
            self.control.expire()
            self.last_tick.write(self.core.last_tick_ns)
            if not ready and self.core.last_tick_ns:
                ready = True
                rt.notify_text(self.notify_fd, b"READY=1")
        self.tell()
        epoll.close()

    def attend(self, fd: int) -> None:
        """One socket that is ready. Trouble with a peer never ends this thread: it is the operator's way to the loop (R15)."""
        try:
            if fd == self.event_fd:
                with suppress(BlockingIOError):
                    os.eventfd_read(self.event_fd)
            elif fd == self.attach.fileno():
                self.attach.serve()
            else:
                self.control.serve()
        except OSError as error:
            self.teller.say("warning", f"a peer could not be served: {error}")

    def tell(self) -> None:
        event = self.core.next_event()
        while event is not None:
            self.teller.event(event)
            if "code" in event:
                self.control.told(event)
            event = self.core.next_event()


class LastTick:
    """When the loop ran last, for the next one to know whether it starts warm (R5). Not synced: it need not survive a reboot."""

    def __init__(self, path: str, boot: bytes, digest: bytes) -> None:
        self._path, self._prefix = path, f"{boot.hex()} {digest.hex()} "
        self._before = self._read()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _read(self) -> int:
        try:
            with open(self._path, encoding="ascii") as file:
                text = file.read(256)
            return int(text.removeprefix(self._prefix)) if text.startswith(self._prefix) else 0
        except (OSError, ValueError):
            return 0

    def gap_ns(self, now_ns: int) -> int | None:
        """How long ago the loop before this one ran, under the same boot and configuration; None when unknown."""
        return now_ns - self._before if 0 < self._before <= now_ns else None

    def write(self, tick_ns: int) -> None:
        """Note a tick; nothing before the first. A folder without space leaves an older note, and the next start is a cold one."""
        if tick_ns > 0:
            with suppress(OSError):
                os.pwrite(self._fd, f"{self._prefix}{tick_ns:020d}\n".encode("ascii"), 0)

    def forget(self) -> None:
        """An orderly stop: the next start is a cold one."""
        os.ftruncate(self._fd, 0)


def fail(error: ExitWith) -> NoReturn:
    print(error, file=sys.stdout if error.code == EXIT_OK else sys.stderr)
    sys.exit(error.code)


def main(arguments: list[str] | None = None) -> int:
    """`bessctl loop`: see USAGE."""
    rt.one_arena()
    threading.stack_size(THREAD_STACK)
    with ExitStack() as stack:
        try:
            process = LoopProcess(options_of(sys.argv[1:] if arguments is None else arguments), stack)
        except ExitWith as error:
            fail(error)
        except (LoopError, SegmentError) as error:
            fail(ExitWith(EXIT_USAGE if isinstance(error, LoopError) else EXIT_FAILED, f"bessctl loop: {error}"))
        except OSError as error:
            fail(ExitWith(EXIT_FAILED, f"bessctl loop: {error.filename or ''} {error.strerror}"))
        return process.run()
