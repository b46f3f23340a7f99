"""What the station says: the station model's words, the same for every dialect.

Transaction records are what the queue keeps on disk; they are encoded when sent, so that a station may leave offline with one
dialect's id still unknown. Energies are Wh of the connector's own direction, powers magnitudes in W; times are `Stamp`s because
an instant may be known in monotonic time alone until the first CSMS tells the date.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    reservation_id: int | None = None


@dataclass(frozen=True, slots=True)
class TxMetered:
    """Values during a transaction."""

    tx: str
    connector: int
    values: MeterRecord


@dataclass(frozen=True, slots=True)
class TxEnded:
    """A transaction ended."""

    tx: str
    connector: int
    meter_wh: int
    at: Stamp
    reason: str
    id_token: str | None = None
    data: tuple[MeterRecord, ...] = ()


TxRecord = TxStarted | TxMetered | TxEnded

# Requests that are not kept: after a reconnect they are asked anew or no longer true.


@dataclass(frozen=True, slots=True)
class Boot:
    """Here I am. What the plate says."""

    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""


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
    """May this token?"""

    id_token: str


@dataclass(frozen=True, slots=True)
class MeterReport:
    """Values outside a transaction."""

    connector: int
    values: MeterRecord


@dataclass(frozen=True, slots=True)
class VendorData:
    """DataTransfer from us."""

    vendor: str
    message: str
    data: str


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """Diagnostics or firmware: nothing is under way unless `status` says so. `what`: diagnostics, firmware."""

    what: str
    status: str = "Idle"


Ask = Boot | Heartbeat | StatusReport | Authorize | MeterReport | VendorData | TransferStatus
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
    """What the CSMS says of a token: Accepted, Blocked, Expired, Invalid, ConcurrentTx; None = nothing said."""

    status: str | None


@dataclass(frozen=True, slots=True)
class StartedReply:
    """A transaction was registered; `peer_tx` is the CSMS's name of it and appears on this link alone (OCPP-18)."""

    peer_tx: str
    token: TokenReply


@dataclass(frozen=True, slots=True)
class Done:
    """Answered, nothing said."""


Reply = BootReply | TimeReply | TokenReply | StartedReply | Done
