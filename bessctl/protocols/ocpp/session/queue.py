"""The queue of transaction messages: first in, first out, nothing lost, nothing sent twice as new (OCPP-19, settled 9 and 10).

Rules
- A message leaves the queue when the CSMS acknowledged it, or when it failed its last attempt (1.6 3.7.1): then it is buried.
- `TransactionMessageAttempts` N means N sendings in all. The n-th retry waits n x `TransactionMessageRetryInterval`.
- An attempt counts when a live link answered by an error or not in time; a link that broke counts nothing.
- When full, every second measurement goes; the beginning and the end of a transaction never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bessctl.protocols.ocpp.messages.records import SecurityEvent, TxMetered, TxRecord
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.writes import Bury, Dequeue, Enqueue, QueueItem, Write

CAPACITY = 10_000


class TxQueue:
    """One link's queue. Every change returns what the disk must be told."""

    def __init__(
        self,
        items: Iterable[QueueItem] = (),
        *,
        next_seq: int = 1,
        capacity: int = CAPACITY,
        left: Callable[[int], None] = lambda seq: None,
    ) -> None:
        """`left` is told of each message that leaves, whichever way."""
        self._left = left
        self._items = {item.seq: item for item in sorted(items, key=lambda i: i.seq)}
        self._next_seq = max([next_seq, *(seq + 1 for seq in self._items)])
        self._capacity = capacity
        self._not_before_ns = 0

    def __len__(self) -> int:
        return len(self._items)

    def head(self) -> QueueItem | None:
        """The oldest message, whether or not it may be sent yet."""
        return next(iter(self._items.values()), None)

    def gone(self, seq: int) -> bool:
        """It is not in the queue any more."""
        return seq not in self._items

    def holds(self, tx: str | None) -> bool:
        """Does a message of a transaction wait, or of any?"""
        return any(tx in (None, item.record.tx) for item in self._items.values() if not isinstance(item.record, SecurityEvent))

    def last(self) -> QueueItem:
        """The newest message. Only while there is one."""
        return next(reversed(self._items.values()))

    def ready(self, mono_ns: int) -> QueueItem | None:
        """The oldest message if it may be sent now."""
        return self.head() if mono_ns >= self._not_before_ns else None

    def wake_ns(self) -> int | None:
        """When the head may be sent again, if it waits."""
        return self._not_before_ns if self._items and self._not_before_ns else None

    def put(self, record: TxRecord) -> list[Write]:
        """Append a message."""
        item = QueueItem(self._next_seq, record)
        self._next_seq += 1
        self._items[item.seq] = item
        return [*self._thin(), Enqueue(item)]

    def acknowledged(self, seq: int) -> list[Write]:
        """The CSMS answered."""
        self._drop(seq)
        self._not_before_ns = 0
        return [Dequeue(seq)]

    def failed(self, seq: int, why: str, mono_ns: int, attempts: int, interval_s: int) -> list[Write]:
        """A live link gave an error or nothing; buries the message after its last attempt."""
        item = self._items.get(seq)
        if item is None:
            return []
        tried = item.attempts + 1
        if tried >= max(1, attempts):
            return self.bury(seq, why)
        self._items[seq] = replace(item, attempts=tried)
        self._not_before_ns = mono_ns + tried * interval_s * NS
        return [Enqueue(self._items[seq])]

    def bury(self, seq: int, why: str) -> list[Write]:
        """Give a message up."""
        self._drop(seq)
        self._not_before_ns = 0
        return [Bury(seq, why)]

    def link_broke(self) -> None:
        """Back-off is for a live link only."""
        self._not_before_ns = 0

    def _drop(self, seq: int) -> None:
        self._items.pop(seq, None)
        self._left(seq)

    def _thin(self) -> list[Write]:
        if len(self._items) <= self._capacity:
            return []
        measured = [seq for seq, item in self._items.items() if isinstance(item.record, TxMetered)]
        gone = measured[1:-1:2]
        for seq in gone:
            self._drop(seq)
        return [Dequeue(seq) for seq in gone]
