"""One SQLite file in WAL mode with synchronous=FULL, written by one thread, in groups.

Callers hand over small batches of statements and get a future that is done when the batch is on disk; nothing that depends on a
batch may be acknowledged to a peer earlier. Batches are atomic and keep their order. A thread of its own writes them, because an
fsync takes 1-20 ms that the event loop must not lose.

Group commit: a batch that comes after a quiet time is written at once; within `GROUP_S` of the last commit the thread waits for
the rest of that time and commits everything that has come meanwhile. So 200 batches a second cost at most 50 fsyncs a second, and
a single one waits for its own fsync alone.

A batch that SQLite refuses (a constraint, a number of more than 64 bits) fails alone, with BatchRefused: whoever wrote it is at fault, and
the store is not. When the file itself fails (disk full, I/O error) every waiting future fails. In either case the caller must not
acknowledge, and its part is restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessctl.errors import OperationFailed
from bessctl.store.migrations import Migration, migrate

GROUP_S = 0.02

REFUSED = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    OverflowError,
    ValueError,
)
"""What SQLite says of a statement that it will never take; anything else is the file's trouble."""

Value = str | int | float | bytes | None


class BatchRefused(OperationFailed):
    """SQLite will never take this batch; the file is well, and so are all other batches."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One parametrised SQL statement of a batch."""

    sql: str
    values: tuple[Value, ...] = ()


@dataclass(slots=True)
class _Batch:
    statements: tuple[Statement, ...]
    done: Future[None]


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for durable writing; creates it with mode 0600 (it holds what peers entrusted to us)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=1000"):
        db.execute(f"PRAGMA {pragma}")
    return db


class Store:
    """The durable store. Supervisor thread; `close` waits for what was submitted."""

    def __init__(self, path: Path, *, group_s: float = GROUP_S) -> None:
        self.path = path
        self._group_s = group_s
        try:
            self._db = connect(path)
            self._reader = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        except (sqlite3.Error, OSError) as e:
            raise OperationFailed(f"cannot open the store {path}: {e}; check that the directory is writable and not full") from e
        self._waiting: list[_Batch] = []
        self._wake = threading.Condition()
        self._file = threading.Lock()  # held while a transaction is open on `_db`
        self._closing = False
        self._closed = threading.Event()
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def migrate(self, namespace: str, ladder: Sequence[Migration]) -> None:
        """Bring a protocol's tables up to date; call it before the first batch of that protocol."""
        with self._file:
            migrate(self._db, namespace, ladder)

    def read(self, sql: str, values: tuple[Value, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows as committed now; for starting up, not for hot paths."""
        return self._reader.execute(sql, values).fetchall()

    def submit(self, statements: Iterable[Statement]) -> Future[None]:
        """Queue one atomic batch. The future is done when it is on disk, and failed when it never will be."""
        batch = _Batch(tuple(statements), Future())
        with self._wake:
            if self._closing:
                batch.done.set_exception(OperationFailed(f"the store {self.path} is closed"))
                return batch.done
            self._waiting.append(batch)
            self._wake.notify()
        return batch.done

    async def write(self, statements: Iterable[Statement]) -> None:
        """`submit` and wait. Cancelling the wait does not take the batch back."""
        await asyncio.shield(asyncio.wrap_future(self.submit(statements)))

    def close(self) -> None:
        """Write what is waiting, then close the file. May be called twice."""
        with self._wake:
            self._closing = True
            self._closed.set()
            self._wake.notify()
        self._thread.join()
        self._reader.close()
        self._db.close()

    # The writer thread.

    def _run(self) -> None:
        last_commit = -self._group_s
        while (group := self._next_group(last_commit)) is not None:
            with self._file:
                self._commit(group)
            last_commit = time.monotonic()

    def _next_group(self, last_commit: float) -> list[_Batch] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
        rest = last_commit + self._group_s - time.monotonic()
        if rest > 0:
            self._closed.wait(rest)  # not on `_wake`: each batch that comes would wake us, and take the interpreter from the event loop
        with self._wake:
            group, self._waiting = self._waiting, []
        return group or None

    def _commit(self, group: list[_Batch]) -> None:
        outcomes: list[tuple[_Batch, Exception | None]] = []
        try:
            outcomes = self._together(group) or self._one_by_one(group)
            self._db.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as e:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            failure = OperationFailed(f"the store {self.path} cannot be written: {e}; check disk space and the file system")
            outcomes = [(batch, failure) for batch in group]
        for batch, error in outcomes:
            _settle(batch.done, error)

    def _together(self, group: list[_Batch]) -> list[tuple[_Batch, Exception | None]]:
        """All batches in one go, as they nearly always pass; nothing, and nothing done, where SQLite refuses one of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for batch in group:
                for statement in batch.statements:
                    self._db.execute(statement.sql, statement.values)
        except REFUSED:
            self._db.execute("ROLLBACK")
            return []
        return [(batch, None) for batch in group]

    def _one_by_one(self, group: list[_Batch]) -> list[tuple[_Batch, Exception | None]]:
        self._db.execute("BEGIN IMMEDIATE")
        return [(batch, self._apply(batch)) for batch in group]

    def _apply(self, batch: _Batch) -> Exception | None:
        self._db.execute("SAVEPOINT batch")
        try:
            for statement in batch.statements:
                self._db.execute(statement.sql, statement.values)
        except REFUSED as e:
            self._db.execute("ROLLBACK TO batch")
            self._db.execute("RELEASE batch")
            return BatchRefused(f"the store {self.path} refused a batch: {e}")
        self._db.execute("RELEASE batch")
        return None


def _settle(done: Future[None], error: Exception | None) -> None:
    if not done.set_running_or_notify_cancel():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
