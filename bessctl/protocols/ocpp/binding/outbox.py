"""What waits to go to one peer, and for which batch of the store it waits (OCPP-19: nothing is acknowledged before it is on disk).

- An answer waits for the answers before it and, where its step keeps something, for all that is kept up to that step. An answer that keeps
  nothing (a question was answered, a wish refused) waits for no disk: the measurements of the same link write all the time.
- A CALL of ours waits for everything before it: the answers that went first, and every batch up to its own step.

Disk and wire are handed in: `wake` is called when a batch may have come to disk. What may go goes at once, within that call; where the
peer reads too slowly `run` waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol


class Wire(Protocol):
    """Where frames go. `write` never waits; `full`: the peer takes no more until `drain` returns."""

    @property
    def full(self) -> bool: ...

    def write(self, text: str, /) -> None: ...

    async def drain(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Frames of one kind from one step. `kept` None = they wait for no disk; `hang_up`: the connection ends after them."""

    kept: Future[None] | None
    frames: tuple[str, ...]
    answers: bool = False
    hang_up: bool = False


class Outbox:
    """One connection's. Supervisor thread."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: deque[Outgoing] = deque()
        self._stuck = asyncio.Event()
        self._over = False

    def put(self, out: Outgoing) -> None:
        """Line it up."""
        self._waiting.append(out)
        self._send()

    def wake(self) -> None:
        """A batch came to disk."""
        if self._waiting:
            self._send()

    def next(self) -> Outgoing | None:
        """What may go now, taken out; None = all waits."""
        for place, out in enumerate(self._waiting):
            if place and not out.answers:
                continue
            if _kept(out.kept):
                del self._waiting[place]
                return out
            if out.answers:
                return None
        return None

    async def run(self) -> None:
        """Go on where the peer read too slowly. Returns when the end of the connection is wanted."""
        while not self._over:
            await self._stuck.wait()
            self._stuck.clear()
            await self._wire.drain()
            self._send()

    def _send(self) -> None:
        while not (self._over or self._wire.full):
            out = self.next()
            if out is None:
                return
            for frame in out.frames:
                self._wire.write(frame)
            self._over = out.hang_up
        self._stuck.set()


def _kept(batch: Future[None] | None) -> bool:
    """Is it on disk? A batch that failed never is: its link ends."""
    return batch is None or (batch.done() and batch.exception() is None)
