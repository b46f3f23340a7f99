"""The mode of the machine, its requests and what its journal holds, a second time.

From the design (R5, R6, R15), ADR 0007, 0009, 0016 and 0032; standard library only.
Modes are words: acquire, run, stopping, stopped, out_of_service, tripped, start_failed, standby.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.properties.model_rows import Table

S = 1_000_000_000
STARTS, STARTS_WITHIN_S = 3, 600


@dataclass(frozen=True)
class Times:
    """Of the site, as sealed."""

    settle_ns: int
    acquire_timeout_ns: int
    warm_gap_ns: int
    rt_required: bool = False


@dataclass(frozen=True)
class Start:
    """What a loop knows as it starts."""

    now_ns: int
    boot: tuple[int, int] = (1, 2)
    config: int = 0
    realtime_s: int = 0
    clock_trusted: bool = True
    warm: bool = False
    """Same boot, same configuration, and it ran less than warm_gap ago."""
    journal_broken: bool = False
    rt_refused: bool = False


@dataclass(frozen=True)
class Record:
    """What survives a power cut."""

    latched: tuple[bool, ...]
    operator: str
    internal: frozenset[str]
    at_ns: int = field(compare=False)
    start: Start = field(compare=False)
    """Of the loop that wrote it."""
    starts_s: tuple[int, ...] = field(compare=False)
    """How many whole seconds ago, at least, the last starts were; newest first."""

    def off_ns(self, start: Start) -> int:
        """How long, at least, no loop ran: within a boot by its clock, else by a time of day trusted then and now, else since the boot."""
        if self.start.boot == start.boot:
            return max(start.now_ns - self.at_ns, 0)
        if self.start.clock_trusted and start.clock_trusted:
            at_s = self.start.realtime_s + (self.at_ns - self.start.now_ns) // S
            return max((start.realtime_s - at_s) * S, 0)
        return start.now_ns


@dataclass
class Pending:
    """A request whose answer waits for the journal."""

    seq: int
    operator: str = ""


class Machine:
    """One loop from its start on."""

    def __init__(self, times: Times, table: Table, start: Start, record: Record | None) -> None:
        self.times, self.table, self.start = times, table, start
        self.mode, self.since_ns = "acquire", start.now_ns
        self.operator = self.operator_next = "run"
        self.internal: set[str] = set()
        self.clearing: set[str] = set()
        self.acquired = False
        self.valid_ns: int | None = None
        self.starts_s: tuple[int, ...] = (0,)
        self.waiting_reset: Pending | None = None
        self.waiting_operator: Pending | None = None
        self.stopping = False
        self.warmly = False
        """The first tick of a run that began warm."""
        if record is not None:
            self._recall(record)
        if start.journal_broken:
            self.internal.add("journal")
        if len(self.starts_s) >= STARTS and self.starts_s[STARTS - 1] < STARTS_WITHIN_S:
            self.internal.add("starts")
        self.blocked = start.rt_refused and times.rt_required
        latched = any(row.latched for row in table.rows)
        self.warm = start.warm and not self.internal and self.operator == "run" and not self.blocked and not latched

    def _recall(self, record: Record) -> None:
        self.operator = self.operator_next = record.operator
        self.internal = set(record.internal)
        off_s = record.off_ns(self.start) // S
        self.starts_s = (0, *(ago + off_s for ago in record.starts_s))[:STARTS]
        if record.start.config != self.start.config:
            if any(record.latched):  # nobody can say which of today's rows it was
                self.internal.add("other_config")
            return
        for row, latched in zip(self.table.rows, record.latched, strict=True):
            if latched:
                row.recall()

    def record(self, now_ns: int) -> Record:
        """What the newest record has to hold now."""
        ran_s = (now_ns - self.start.now_ns) // S
        starts = () if self.stopping else tuple(ago + ran_s for ago in self.starts_s)
        return Record(
            latched=tuple(row.latched and not row.marked for row in self.table.rows),
            operator=self.operator_next,
            internal=frozenset(self.internal - self.clearing),
            at_ns=now_ns,
            start=self.start,
            starts_s=starts,
        )

    # --- requests ---

    def settle(self, on_disk: int) -> None:
        """What the disk confirmed since the last tick."""
        if self.waiting_operator is not None and on_disk >= self.waiting_operator.seq:
            self.operator, self.waiting_operator = self.operator_next, None
        if self.waiting_reset is not None and on_disk >= self.waiting_reset.seq:
            self.table.clear()
            self.internal -= self.clearing
            self.clearing, self.waiting_reset = set(), None

    def ask(self, what: str, local: bool, seq: int) -> None:
        """A request of this tick, whose record is `seq`. The network may ask for nothing but a reset."""
        if what == "reset":
            if not self.table.forbids(local) and (local or not self.internal):
                self.table.mark()
                self.clearing, self.waiting_reset = set(self.internal), Pending(seq)
        elif local and what in ("stop", "out_of_service", "start"):
            # Out of service is the stronger of the two: a stop does not bring the plant back half way.
            stopped = "out_of_service" if "out_of_service" in (what, self.operator) else "stopped"
            self.operator_next = "run" if what == "start" else stopped
            self.operator = self.operator if what == "start" else stopped
            self.waiting_operator = Pending(seq)

    def call_off(self) -> None:
        """Something fell again before the reset was on disk."""
        self.clearing, self.waiting_reset = set(), None

    # --- the mode ---

    def update(self, units: int, complete: bool, now_ns: int) -> None:
        """The mode of this tick, after its rows."""
        mode = self._next(units, complete, now_ns)
        self.warmly = mode == "run" and self.warm
        if mode != self.mode:
            self.mode, self.since_ns = mode, now_ns
            if mode != "acquire":
                self.warm = False

    def _next(self, units: int, complete: bool, now_ns: int) -> str:
        firsts = (
            (self.stopping, "stopping"),
            (self.blocked, "standby"),
            (bool(self.internal) or self.table.tripped(units), "tripped"),
            (self.operator != "run", self.operator),
            (self.mode == "run", "run"),
        )
        for applies, mode in firsts:
            if applies:
                return mode
        if self.mode not in ("acquire", "start_failed"):
            self.acquired, self.valid_ns = False, None
            return "acquire"
        return self._acquire(complete, now_ns)

    def _acquire(self, complete: bool, now_ns: int) -> str:
        if now_ns - self.start.now_ns > self.times.warm_gap_ns or any(row.stands(now_ns) for row in self.table.rows):
            self.warm = False
        if not complete:
            self.valid_ns = None
        elif self.valid_ns is None:
            self.valid_ns = now_ns
        if self.valid_ns is not None and (self.warm or now_ns - self.valid_ns >= self.times.settle_ns):
            self.acquired = True
            return "run"
        waits = self.mode == "acquire" and now_ns - self.since_ns < self.times.acquire_timeout_ns
        return "acquire" if waits else "start_failed"

    @property
    def keeps_operator_out(self) -> bool:
        """The operator's own wish does not outlive a stop or a trip."""
        return self.mode in ("stopped", "out_of_service", "tripped")

    @property
    def silent(self) -> bool:
        """A warm start that waits for its inputs: nothing is sent, the PCS keeps what it has."""
        return self.warm and self.mode == "acquire"
