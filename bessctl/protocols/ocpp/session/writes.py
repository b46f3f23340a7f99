"""What a session wants on disk, as words. The binding turns them into statements; one `Output` is one atomic batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bessctl.protocols.ocpp.messages.commands import Profile
from bessctl.protocols.ocpp.messages.records import Stamp, TxRecord
from bessctl.protocols.ocpp.session.plant import Direction


@dataclass(frozen=True, slots=True)
class StoredTx:
    """A transaction as kept until its end was acknowledged. `id` is ours and random; `peer` the CSMS's name of it."""

    id: str
    connector: int
    id_token: str
    started: Stamp
    meter_start_wh: int
    claim_w: float
    order: int
    peer: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Installed:
    """A profile in force on a connector; `tx` is our id of the transaction it belongs to."""

    connector: int
    profile: Profile
    tx: str | None = None


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A transaction message that the CSMS has not acknowledged. `seq` orders the messages of a link."""

    seq: int
    record: TxRecord
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """The ledger's totals, mWh: the plant's register as last seen, what was shared out in all, and each link's part."""

    direction: Direction
    seen_mwh: int
    offset_mwh: int
    shared_mwh: int
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PutTx:
    tx: StoredTx


@dataclass(frozen=True, slots=True)
class DropTx:
    id: str


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Keep the message, or its new number of attempts."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Dequeue:
    """Acknowledged by the CSMS."""

    seq: int


@dataclass(frozen=True, slots=True)
class Bury:
    """Given up after the last attempt: kept aside, never sent again."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class PutKey:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class PutProfile:
    installed: Installed


@dataclass(frozen=True, slots=True)
class DropProfile:
    connector: int
    id: int


@dataclass(frozen=True, slots=True)
class PutState:
    """A small fact of the link: boots, inoperative connectors."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Something an auditor asks for later: what was refused, by whom, why. `level` as in logging."""

    kind: str
    detail: str
    connector: int | None = None
    level: int = 20


Write = PutTx | DropTx | Enqueue | Dequeue | Bury | PutKey | PutProfile | DropProfile | PutState | Audit


@dataclass(slots=True)
class Output:
    """What one step of a session wants done, in this order: plan, then writes on disk, then frames to the peer."""

    plan_changed: bool = False
    writes: list[Write] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    restart: str | None = None
    """`soft` or `hard`: the station of this link begins anew once the frames are out."""

    def __bool__(self) -> bool:
        return bool(self.plan_changed or self.writes or self.frames or self.restart)


@dataclass(frozen=True, slots=True)
class Saved:
    """What the store kept of a link."""

    state: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    transactions: Sequence[StoredTx] = ()
    queue: Sequence[QueueItem] = ()
    profiles: Sequence[Installed] = ()
