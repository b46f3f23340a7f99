"""The links' way to the store: one for all, so that what is said by many is written once.

- The ledger's totals go along with what tells of energy, but only where they moved since they went last: batches come to disk in order, so
  that totals handed over once are on disk before whatever follows.
- Links are told of a group of batches by one call into the event loop, not by one for each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial

from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.store import Statement, Store

Told = Callable[[BaseException | None], None]
"""Called in the supervisor's thread: the batch is on disk, or never will be."""


class Keeper:
    """Supervisor thread, but for what the store calls."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._moves = -1
        self._loop = asyncio.get_running_loop()
        self._settled: deque[tuple[Told, Future[None]]] = deque()
        self._called = False

    def keep(self, statements: Iterable[Statement], told: Told, *, energy: bool) -> Future[None]:
        """Hand one atomic batch over. `energy`: it tells what a register showed, so that the ledger's totals must not fall behind."""
        batch = list(statements)
        if energy and self._moves != self._ledger.moves:
            self._moves = self._ledger.moves
            batch += tables.account_statements(self._ledger.accounts())
        kept = self._store.submit(batch)
        kept.add_done_callback(partial(self._done, told))
        return kept

    def _done(self, told: Told, kept: Future[None]) -> None:
        """The store's thread. What is appended while `_called` stands is found by the call that is under way."""
        self._settled.append((told, kept))
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._called = False
        while self._settled:
            told, kept = self._settled.popleft()
            told(kept.exception())
