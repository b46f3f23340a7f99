"""The disk spool of one broker: what was measured and not yet acknowledged (PLV-4).

Rules
- A measurement is in the spool before it is sent, and leaves it when the broker acknowledged it. After a power cut in between it is sent
  again: at least once. The same asset and timestamp make a duplicate known to whoever reads.
- Deletions wait for the next insertion, for DELETE_AT of them or for `settle`: one commit a minute, not two (flash wear). A duplicate
  after a power cut is the price; a loss never is.
- Bounded: beyond `capacity` the oldest go, and are counted on disk.
- What the disk would not take (full, I/O error) waits in memory, KEEP_UNSAVED messages at most, and is sent from there all the same.

The store's writer thread does the writing; everything here runs on the supervisor's thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from bessctl.errors import OperationFailed
from bessctl.store import Migration, Statement, Store

NAMESPACE = "mqtt"
LADDER = (
    Migration(
        1,
        (
            "CREATE TABLE mqtt_spool (broker TEXT NOT NULL, seq INTEGER NOT NULL, asset TEXT NOT NULL, payload BLOB NOT NULL,"
            " PRIMARY KEY (broker, seq)) STRICT, WITHOUT ROWID",
            "CREATE TABLE mqtt_dropped (broker TEXT PRIMARY KEY, messages INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        ),
    ),
)
DELETE_AT = 500
READ_AHEAD = 200
KEEP_UNSAVED = 1440


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. The topic is not kept: a corrected one serves the backlog too."""

    seq: int
    asset: str
    payload: bytes


class Spool:
    """See above. Raises OperationFailed where it is created and the store cannot be read."""

    def __init__(self, store: Store, broker: str, capacity: int) -> None:
        store.migrate(NAMESPACE, LADDER)
        self._store, self._broker, self._capacity = store, broker, capacity
        count, last = store.read("SELECT count(*), coalesce(max(seq), 0) FROM mqtt_spool WHERE broker = ?", (broker,))[0]
        dropped = store.read("SELECT messages FROM mqtt_dropped WHERE broker = ?", (broker,))
        self._on_disk, self._last = int(count), int(last)
        self._on_disk_to = self._last
        self._done: set[int] = set()
        self._deleting: set[int] = set()
        self._unsaved: deque[Entry] = deque()
        self._ahead: deque[Entry] = deque()
        self._ahead_from = 0
        self.dropped: int = dropped[0][0] if dropped else 0
        """Messages that were never delivered because the bound was reached, in the life of the store."""
        self.trouble = ""
        """Why the disk does not take messages; empty = it does."""

    def __len__(self) -> int:
        """Messages that wait for their acknowledgement."""
        return self._on_disk - len(self._done) - len(self._deleting) + len(self._unsaved)

    async def put(self, *measured: tuple[str, bytes]) -> None:
        """Keep (asset, payload) messages; on return they are on disk, or `trouble` says why they wait in memory."""
        if not measured and not self._unsaved:
            return
        entries = [*self._unsaved, *(Entry(self._last + 1 + i, asset, payload) for i, (asset, payload) in enumerate(measured))]
        self._unsaved.clear()
        self._last = entries[-1].seq if entries else self._last
        rows = [Statement("INSERT INTO mqtt_spool VALUES (?, ?, ?, ?)", (self._broker, e.seq, e.asset, e.payload)) for e in entries]
        excess = max(0, self._on_disk - len(self._done) - len(self._deleting) + len(entries) - self._capacity)
        saved = await self._commit([*rows, *self._dropping(excess)])
        if saved:
            self._on_disk += len(entries) - excess
            self._on_disk_to = self._last
            self.dropped += excess
        else:
            self._hold(entries)

    def _hold(self, entries: list[Entry]) -> None:
        # Acknowledged meanwhile? They were sent from memory before; nothing else can be in `_done` with these numbers.
        self._unsaved.extendleft(reversed([e for e in entries if e.seq not in self._done]))
        self._done.difference_update(e.seq for e in entries)
        while len(self._unsaved) > KEEP_UNSAVED:
            self._unsaved.popleft()
            self.dropped += 1

    def _dropping(self, excess: int) -> list[Statement]:
        if not excess:
            return []
        oldest = "SELECT seq FROM mqtt_spool WHERE broker = ? ORDER BY seq LIMIT ?"
        count = "INSERT INTO mqtt_dropped VALUES (?, ?) ON CONFLICT (broker) DO UPDATE SET messages = messages + excluded.messages"
        return [
            Statement(f"DELETE FROM mqtt_spool WHERE broker = ? AND seq IN ({oldest})", (self._broker, self._broker, excess)),
            Statement(count, (self._broker, excess)),
        ]

    def acknowledged(self, seq: int) -> bool:
        """The broker has it. True when enough of them wait to be deleted: then call `settle`."""
        if any(e.seq == seq for e in self._unsaved):
            self._unsaved = deque(e for e in self._unsaved if e.seq != seq)
        else:
            self._done.add(seq)
        return len(self._done) >= DELETE_AT

    async def settle(self) -> None:
        """Delete what was acknowledged."""
        if self._done:
            await self._commit([])

    async def _commit(self, statements: list[Statement]) -> bool:
        """Deletions first, so that a full disk and a full spool have room again; then the rest."""
        going, self._done = self._done, set()
        self._deleting |= going
        deletions = [Statement("DELETE FROM mqtt_spool WHERE broker = ? AND seq = ?", (self._broker, seq)) for seq in sorted(going)]
        try:
            await self._store.write([*deletions, *statements])
        except OperationFailed as e:
            self.trouble = str(e)
            self._done |= going
            return False
        except asyncio.CancelledError:
            self._done |= going
            raise
        finally:
            self._deleting -= going
        self._on_disk -= len(going)
        self.trouble = ""
        return True

    def after(self, seq: int, most: int, in_flight: frozenset[int]) -> list[Entry]:
        """The next messages with a higher number, oldest first, without those that are under way or acknowledged."""
        found: list[Entry] = []
        while len(found) < most:
            entry = self._next(seq)
            if entry is None:
                break
            seq = entry.seq
            if seq not in self._done and seq not in self._deleting and seq not in in_flight:
                found.append(entry)
        return found

    def _next(self, seq: int) -> Entry | None:
        """The first message above `seq`, whatever became of it; reads READ_AHEAD of them from the disk at once."""
        while self._ahead and self._ahead[0].seq <= seq:
            self._ahead.popleft()
        if self._ahead_from <= seq and self._ahead:
            return self._ahead[0]
        if seq < self._on_disk_to:
            sql = "SELECT seq, asset, payload FROM mqtt_spool WHERE broker = ? AND seq > ? ORDER BY seq LIMIT ?"
            self._ahead = deque(Entry(*row) for row in self._store.read(sql, (self._broker, seq, READ_AHEAD)))
            self._ahead_from = seq
            if self._ahead:
                return self._ahead[0]
        return next((e for e in self._unsaved if e.seq > seq), None)
