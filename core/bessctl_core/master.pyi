"""A Modbus master for tests, benches and tools, on the loop's own state machine. One thread at a time; waiting releases the GIL."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

FAULTS: tuple[str, ...]
STATES: dict[int, str]
STATUSES: tuple[str, ...]

class BusError(Exception):
    """A transaction failed. `fault` is one of frames.FAULTS; `exception_code` is the device's, 0 unless `fault` is "exception"."""

    fault: str
    exception_code: int
    def __init__(self, what: str, fault: str, exception_code: int, error: int) -> None: ...

class Master:
    @staticmethod
    def tcp(
        host: str,
        port: int,
        timeout_s: float = 1.0,
        *,
        user_timeout_s: float = 3.0,
        connect_timeout_s: float = 1.0,
        max_timeouts: int = 3,
        give_up_s: float = 0.0,
        seed: int = 1,
    ) -> Master:
        """`host` is numeric (ValueError otherwise). `max_timeouts` unanswered questions in a row end the connection, and so does no answer to
        any for `give_up_s`; 0: never."""

    @staticmethod
    def rtu(
        path: str,
        baud: int = 19200,
        parity: str = "E",
        stop_bits: int = 1,
        timeout_s: float = 1.0,
        *,
        rs485: bool = False,
        worst_s: float = 1.0,
        silence_s: float | None = None,
        seed: int = 1,
    ) -> Master:
        """`worst_s`: the line stays quiet so long after a question that timed out. `silence_s`: None is t3.5."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def close(self) -> None:
        """Ends the connection; what waits fails as `stopped`. Idempotent."""

    def read(self, unit: int, fc: int, address: int, count: int) -> list[int]:
        """FC01-04; registers, or bits as 0 and 1. Connects if need be. BusError when there is no right answer in time."""

    def write(self, unit: int, address: int, regs: Sequence[int], fc: int = 16) -> None:
        """FC05, 06, 15, 16; returns when the device has confirmed address and count or value. BusError otherwise."""

    def cycle(self, unit: int, read_addr: int, read_count: int, write_addr: int, regs: Sequence[int]) -> int:
        """FC03 and then FC16, both without the GIL; returns ns from before the first send to after the second answer."""

    def cycles(self, unit: int, read_addr: int, read_count: int, write_addr: int, regs: Sequence[int], took_ns: Any) -> None:
        """`cycle` for each place of `took_ns` (a buffer of int64), without Python in between. BusError at the first failure."""

    def submit(
        self,
        unit: int,
        fc: int,
        address: int,
        count: int,
        regs: Sequence[int] = (),
        *,
        timeout_ns: int = 0,
        worst_ns: int = 0,
        command: bool = False,
        urgent: bool = False,
        pipelined: bool = False,
    ) -> int:
        """Queues a question; returns a ticket. Nothing moves until pump. A refused one shows in outcome at once."""

    def hasten(self, number: int) -> None:
        """A question that waits becomes urgent."""

    def pump(self, now_ns: int, revents: int | None = None) -> int:
        """One step at the instant `now_ns`; `revents` None: try everything. Returns how many transactions ended."""

    def outcome(self, number: int) -> tuple[str, str, int, list[int] | None]:
        """(status, fault, exception code, what was read)."""

    def times(self, number: int) -> tuple[int, int, int]:
        """(sent_ns, done_ns, epoch of the connection)."""

    def fileno(self) -> int: ...
    def events(self) -> int: ...
    def deadline_ns(self) -> int:
        """When the next pump is due though nothing becomes ready."""

    @property
    def state(self) -> str:
        """down, connecting, idle, await, quiet or closed."""

    @property
    def epoch(self) -> int: ...
    @property
    def last_errno(self) -> int: ...
    def counters(self) -> dict[str, int]: ...

def read_together(masters: Sequence[Master], unit: int, address: int, count: int, took_ns: Any) -> None:
    """FC03 of all masters at once, again and again, in one thread without the GIL, as the loop looks after its buses.

    `took_ns`: int64, a row for each cycle; a column for each master (its answer after the cycle's begin) and one for the whole cycle.
    BusError at the first failure, ValueError for a wrong shape.
    """
