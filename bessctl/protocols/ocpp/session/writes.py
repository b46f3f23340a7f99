"""What a session wants on disk, as words. The binding turns them into statements; one `Output` is one atomic batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bessctl.protocols.ocpp.messages.profile import Profile
from bessctl.protocols.ocpp.messages.records import Stamp, TxRecord
from bessctl.protocols.ocpp.session.jobs import Job
from bessctl.protocols.ocpp.session.plant import Direction


@dataclass(frozen=True, slots=True)
class StoredTx:
    """A transaction as kept until its end was acknowledged. `id` is ours and random; `peer` the CSMS's name of it.

    `token`: digest of the token it was begun with, `parent` that of its group; the token itself is nowhere (settled question 11).
    """

    id: str
    connector: int
    token: str
    started: Stamp
    meter_start_wh: int
    claim_w: float
    order: int
    peer: str | None = None
    active: bool = True
    seq: int = 0
    """Number of the next message of it."""
    state: str = "Charging"
    """2.0.1's chargingState, as last told."""
    parent: str | None = None
    until_wh: int | None = None
    """The register at which it gets no more energy (MaxEnergyOnInvalidId); None = no end."""
    doubted: bool = False
    """The CSMS does not accept its token, and it goes on without energy."""
    remote_start_id: int | None = None
    cost: float | None = None
    waits: str = ""
    """What it waits for before energy may flow: `plug`, `token`; `unplug`: it had its energy and ends when the plug is out."""
    stop_reason: str = ""
    """Why it had its energy, where it ends later."""


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
class PutDoc:
    """A small record of a kind (token, reservation, monitor, display, network, variable), under an id of its own."""

    kind: str
    id: str
    data: str


@dataclass(frozen=True, slots=True)
class DropDoc:
    """`id` None = all of the kind."""

    kind: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Something an auditor asks for later: what was refused, by whom, why. `level` as in logging."""

    kind: str
    detail: str
    connector: int | None = None
    level: int = 20


Write = PutTx | DropTx | Enqueue | Dequeue | Bury | PutKey | PutProfile | DropProfile | PutState | PutDoc | DropDoc | Audit


@dataclass(slots=True)
class Output:
    """What one step of a session wants done, in this order: plan, then writes on disk, then frames to the peer."""

    plan_changed: bool = False
    writes: list[Write] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    restart: str | None = None
    """`soft` or `hard`: the station of this link begins anew once the frames are out."""
    redial: str | None = None
    """Why the link must be dialled again: new credentials, another network profile."""
    good: bool = False
    """The connection stands: the first valid frame of a CSMS that accepted us."""
    whole: bool = True
    """The step looked at everything, and not only at what there is to send."""
    charge: float = 0.0
    """What the frame just taken counts of the peer's allowance: an answer nothing, a CALL one, what is malformed more."""
    jobs: list[Job] = field(default_factory=list)
    """What takes time or files: carried out beside the link, its outcome comes back by `Station.job_done`."""

    def __bool__(self) -> bool:
        return bool(self.plan_changed or self.writes or self.frames or self.restart or self.redial or self.jobs)


@dataclass(frozen=True, slots=True)
class Saved:
    """What the store kept of a link."""

    state: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    transactions: Sequence[StoredTx] = ()
    queue: Sequence[QueueItem] = ()
    profiles: Sequence[Installed] = ()
    docs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Kind -> id -> record."""
