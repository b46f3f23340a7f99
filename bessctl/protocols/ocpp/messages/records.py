"""What the station says: the station model's words, the same for every dialect.

Transaction records are what the queue keeps on disk; they are encoded when sent, so that a station may leave offline with one
dialect's id still unknown. Energies are Wh of the connector's own direction, powers magnitudes in W; times are `Stamp`s because
an instant may be known in monotonic time alone until the first CSMS tells the date.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from bessctl.protocols.ocpp.messages.device import OcspName


@dataclass(frozen=True, slots=True)
class Stamp:
    """An instant: UTC in ns where it was known, and CLOCK_MONOTONIC ns of one boot of the machine."""

    utc_ns: int | None
    mono_ns: int
    boot: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value. `quantity` is a measurand's name; `unit` as in the standard ("W", "Wh", "Percent" ...)."""

    quantity: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class MeterRecord:
    """Values of one instant. `context`: Sample.Periodic, Sample.Clock, Transaction.Begin, Transaction.End, Trigger."""

    at: Stamp
    context: str
    samples: tuple[Sample, ...]


# Transaction records, kept on disk until the CSMS answered.


@dataclass(frozen=True, slots=True)
class TxStarted:
    """A transaction began. `tx` is our random local id."""

    tx: str
    connector: int
    id_token: str
    meter_wh: int
    at: Stamp
    _: KW_ONLY
    reservation_id: int | None = None
    trigger: str = "RemoteStart"
    """Why it is told now, in 2.0.1's words (TriggerReasonEnumType); 1.6 has no field for it."""
    state: str = "Charging"
    """2.0.1's chargingState."""
    seq: int = 0
    """Counts the messages of the transaction from 0 (2.0.1 seqNo)."""
    offline: bool = False
    remote_start_id: int | None = None
    token_type: str = "Central"
    values: MeterRecord | None = None


@dataclass(frozen=True, slots=True)
class TxMetered:
    """Something to tell during a transaction: values, or (2.0.1 alone) a change of its state without values."""

    tx: str
    connector: int
    values: MeterRecord | None
    _: KW_ONLY
    trigger: str = "MeterValuePeriodic"
    state: str = "Charging"
    seq: int = 0
    offline: bool = False
    at: Stamp | None = None
    """When it was; None = when the values were taken."""
    id_token: str | None = None
    """Who was authorised, or whose authorisation ended, where that is what is told."""
    token_type: str = "Central"


@dataclass(frozen=True, slots=True)
class TxEnded:
    """A transaction ended."""

    tx: str
    connector: int
    meter_wh: int
    at: Stamp
    reason: str
    _: KW_ONLY
    id_token: str | None = None
    data: tuple[MeterRecord, ...] = ()
    trigger: str = "RemoteStop"
    seq: int = 0
    offline: bool = False
    token_type: str = "Central"


@dataclass(frozen=True, slots=True)
class TxHealth:
    """The battery's state of health as a transaction begins or ends (OCPP-8): a message of its own where the version has no place for it
    in the transaction's. `when`: Begin, End."""

    tx: str
    connector: int
    when: str
    soh_pct: float
    at: Stamp


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something an auditor of the CSMS must learn, whenever it can be told (whitepaper 2.6, 2.0.1 A04). Kept like a transaction message."""

    kind: str
    at: Stamp
    info: str = ""


TxRecord = TxStarted | TxMetered | TxEnded | TxHealth | SecurityEvent

# Requests that are not kept: after a reconnect they are asked anew or no longer true.


@dataclass(frozen=True, slots=True)
class Boot:
    """Here I am. What the plate says."""

    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    reason: str = "PowerUp"
    """2.0.1 BootReasonEnumType."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Still here; what time is it?"""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of a connector (0 = the station)."""

    connector: int
    status: str
    error: str
    at: Stamp
    info: str = ""
    vendor_error: str = ""


@dataclass(frozen=True, slots=True)
class Authorize:
    """May this token? `chain`, `certificate` (PEM): of a contract certificate that was presented (2.0.1 C07)."""

    id_token: str
    token_type: str = "Central"
    chain: tuple[OcspName, ...] = ()
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class MeterReport:
    """Values outside a transaction."""

    connector: int
    values: MeterRecord


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """A transfer's progress; Idle = nothing is under way. `what`: diagnostics, log, firmware, signed_firmware.

    1.6 has a message for each; in 2.0.1 the first two and the last two are one. `request`: the CSMS's number of the transfer.
    """

    what: str
    status: str = "Idle"
    request: int | None = None


@dataclass(frozen=True, slots=True)
class SignCertificate:
    """Please sign this request (PKCS#10, PEM)."""

    csr: str
    kind: str = "ChargingStationCertificate"


@dataclass(frozen=True, slots=True)
class AskStatus:
    """What does the responder say of this certificate (2.0.1 M06)?"""

    name: OcspName


@dataclass(frozen=True, slots=True)
class ReservationEnded:
    """`status`: Expired or Removed."""

    id: int
    status: str


@dataclass(frozen=True, slots=True)
class LimitTold:
    """A limit that somebody beside the CSMS set (EMS, SO, Other) on a connector (0 = all), W; None = it is gone."""

    connector: int
    source: str
    limit_w: float | None
    at: Stamp


@dataclass(frozen=True, slots=True)
class Paged:
    """One page of a report of 2.0.1. `action` is the message, `rows` its list as the device model tells it, `more` that pages follow.

    `head` are the fields of the message beside the list.
    """

    action: str
    field: str
    rows: tuple[dict[str, object], ...]
    seq: int
    more: bool
    head: tuple[tuple[str, object], ...] = ()
    at: Stamp | None = None


Ask = (
    Boot
    | Heartbeat
    | StatusReport
    | Authorize
    | MeterReport
    | TransferStatus
    | SignCertificate
    | AskStatus
    | ReservationEnded
    | LimitTold
    | Paged
)
Request = Ask | TxRecord

# What the CSMS answers.


@dataclass(frozen=True, slots=True)
class BootReply:
    """`status`: Accepted, Pending, Rejected. `utc_ns` is the CSMS's time."""

    status: str
    utc_ns: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class TimeReply:
    """The CSMS's time."""

    utc_ns: int


@dataclass(frozen=True, slots=True)
class TokenReply:
    """What the CSMS says of a token: Accepted, Blocked, Expired, Invalid, ConcurrentTx; None = nothing said.

    `parent`: the group it belongs to (1.6 parentIdTag, 2.0.1 groupIdToken); `expires_ns` UTC; `certificate`: what it says of the contract
    certificate that came along. `cost`: what the transaction costs so far, of one that is over in all (2.0.1 I02, I03).
    """

    status: str | None
    parent: str | None = None
    expires_ns: int | None = None
    certificate: str | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class StartedReply:
    """A transaction was registered; `peer_tx` is the CSMS's name of it and appears on this link alone (OCPP-18)."""

    peer_tx: str | None
    token: TokenReply


@dataclass(frozen=True, slots=True)
class Judged:
    """A request of ours was Accepted, or was not."""

    status: str


@dataclass(frozen=True, slots=True)
class StatusReply:
    """What an OCSP responder said, through the CSMS: DER, base64; None = it could not be had."""

    result: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """Answered, nothing said."""


Reply = BootReply | TimeReply | TokenReply | StartedReply | Judged | StatusReply | Done
