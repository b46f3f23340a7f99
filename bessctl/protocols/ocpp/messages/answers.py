"""What the station answers to commands: the station model's words, the same for every dialect."""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.messages.device import CertificateHash, RowsAnswer
from bessctl.protocols.ocpp.messages.profile import Period


@dataclass(frozen=True, slots=True)
class Answer:
    """The status word of the standard. `why` is told where the version has a field for it; `tx` where it names the transaction."""

    status: str
    why: str = ""
    tx: str | None = None


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """Of the local list; 0 = none, -1 = there is no local list here."""

    version: int


@dataclass(frozen=True, slots=True)
class LogAnswer:
    status: str
    filename: str | None = None


V2G_CHAIN = "V2GCertificateChain"


@dataclass(frozen=True, slots=True)
class CertificatesAnswer:
    """What is installed: kind and hash, a V2G_CHAIN from its first certificate up. Empty = NotFound."""

    found: tuple[tuple[str, CertificateHash], ...]


@dataclass(frozen=True, slots=True)
class TxStatusAnswer:
    """`ongoing` None = asked of no transaction in particular."""

    waiting: bool
    ongoing: bool | None


@dataclass(frozen=True, slots=True)
class DataAnswer:
    status: str
    data: str | None = None


@dataclass(frozen=True, slots=True)
class EnvelopedAnswer:
    """The answer to what was in the envelope; None = the envelope itself was not taken, `status` says how."""

    status: str
    inner: AnyAnswer | None = None


@dataclass(frozen=True, slots=True)
class KeyValue:
    key: str
    readonly: bool
    value: str | None


@dataclass(frozen=True, slots=True)
class KeysAnswer:
    known: tuple[KeyValue, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompositeAnswer:
    """`periods` None = Rejected."""

    connector: int
    start_ns: int = 0
    duration_s: int = 0
    unit: str = "W"
    periods: tuple[Period, ...] | None = None


AnyAnswer = (
    Answer
    | DataAnswer
    | KeysAnswer
    | CompositeAnswer
    | VersionAnswer
    | LogAnswer
    | CertificatesAnswer
    | TxStatusAnswer
    | RowsAnswer
    | EnvelopedAnswer
)
