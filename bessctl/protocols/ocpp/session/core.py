"""What the parts of one link's station share: configuration, time, the queue, the ledger, and what is to be done next.

`now` and `reading` are set at the head of each step; `out` collects what the step wants done.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

from bessctl.protocols.ocpp.config import LinkConfig
from bessctl.protocols.ocpp.messages.dialect import Dialect, Traits
from bessctl.protocols.ocpp.messages.records import Ask, Boot, MeterReport, SecurityEvent, TxRecord
from bessctl.protocols.ocpp.session import settings
from bessctl.protocols.ocpp.session.clock import Now, StationTime
from bessctl.protocols.ocpp.session.keys import Keys
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.plant import Reading
from bessctl.protocols.ocpp.session.queue import TxQueue
from bessctl.protocols.ocpp.session.registration import Registration
from bessctl.protocols.ocpp.session.writes import Audit, Output, Saved

MAX_ASKS = 64
INT_32 = 2**31 - 1
DETAIL_SIZE = 300


def plain_digest(token: str) -> str:
    """Where nobody keeps a key for the device (tests): tokens compare without regard to case, and are not hidden."""
    return token.lower()


@dataclass(frozen=True, slots=True)
class WaitingAsk:
    """A request that waits for the wire. `triggered`: the CSMS asked for it, so that Pending lets it through."""

    order: int
    ask: Ask
    triggered: bool = False


class Core:
    """Shared by the parts of one station; owned by `Station`."""

    def __init__(
        self,
        link: LinkConfig,
        identity: Boot,
        saved: Saved,
        *,
        time: StationTime,
        ledger: Ledger,
        rng: Random,
        spoken: Dialect,
        digest: Callable[[str], str],
    ) -> None:
        self.link = link
        self.spoken = spoken
        self.digest = digest
        self.saved = saved
        self.identity = identity
        self.time = time
        self.ledger = ledger
        self.rng = rng
        self.keys = Keys(link, saved.keys, settings.table(link))
        self._queued_at: dict[int, int] = {}
        self.queue = TxQueue(saved.queue, left=self._dequeued)
        self.registration = Registration()
        self.asks: deque[WaitingAsk] = deque()
        self.out = Output()
        self.now = Now(0)
        self.reading: Reading | None = None
        self.online = False
        self.resetting = ""
        self.boot_reason = saved.state.get("boot_reason", "PowerUp")
        self._orders = count(1)

    @property
    def traits(self) -> Traits:
        """How the agreed version wants us to behave."""
        return self.spoken.traits

    def new_id(self) -> str:
        """A random id (OCPP-18)."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def ask(self, ask: Ask, *, triggered: bool = False) -> None:
        """Line a request up. Measurements outside transactions are not kept for an absent or slow peer."""
        if isinstance(ask, MeterReport) and (not self.online or len(self.asks) >= MAX_ASKS):
            return
        self.asks.append(WaitingAsk(next(self._orders), ask, triggered))

    def enqueue(self, record: TxRecord) -> None:
        """Line a transaction message up, on disk."""
        self.out.writes += self.queue.put(record)
        item = self.queue.last()
        self._queued_at[item.seq] = next(self._orders)

    def _dequeued(self, seq: int) -> None:
        self._queued_at.pop(seq, None)

    def queued_at(self, seq: int) -> int:
        """The place of a queued message among everything that waits; 0 = it was there at the start."""
        return self._queued_at.get(seq, 0)

    def security(self, kind: str, info: str = "") -> None:
        """A security event: kept, told as soon as the CSMS accepts us, and audited. `info` holds no secret."""
        self.enqueue(SecurityEvent(kind, self.time.stamp(self.now), info[:DETAIL_SIZE]))
        self.audit("security", f"{kind}: {info}" if info else kind, None, 30)

    def audit(self, kind: str, detail: str, connector: int | None = None, level: int = 20) -> None:
        """Leave a record for whoever asks later; the driver logs it too. Connector and detail may be whatever a peer made up."""
        kept = None if connector is None else max(-INT_32, min(connector, INT_32))
        self.out.writes.append(Audit(kind, detail[:DETAIL_SIZE], kept, level))
