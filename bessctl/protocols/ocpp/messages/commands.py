"""What a CSMS asks: the station model's words, the same for every dialect. Times are UTC ns."""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.messages.device import CertificateHash, DeviceCommand
from bessctl.protocols.ocpp.messages.profile import Profile, Purpose


class CallRefused(Exception):
    """A CALL we answer by a CALLERROR: `code` is the dialect's, `field` the place, the text the reason."""

    def __init__(self, code: str, field: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.field = field


# Commands


@dataclass(frozen=True, slots=True)
class RemoteStart:
    id_token: str
    connector: int | None = None
    profile: Profile | None = None
    token_type: str = "Central"
    remote_start_id: int | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteStop:
    peer_tx: str


@dataclass(frozen=True, slots=True)
class SetProfile:
    connector: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class ClearProfiles:
    """Every criterion that is given must hold; none given = all."""

    id: int | None = None
    connector: int | None = None
    purpose: Purpose | None = None
    stack: int | None = None


@dataclass(frozen=True, slots=True)
class GetComposite:
    connector: int
    duration_s: int
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeKey:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class GetKeys:
    """None or empty = all."""

    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reset:
    """`on_idle`: only once no transaction runs (2.0.1). `connector` None = the whole station."""

    hard: bool
    on_idle: bool = False
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """`message` as in the standard; what is not in its list is answered NotImplemented. `extended`: by 1.6's ExtendedTriggerMessage."""

    message: str
    connector: int | None = None
    extended: bool = False


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    connector: int
    operative: bool


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A token of the local list; `status` None = take it out."""

    id_token: str
    status: str | None = None
    parent: str | None = None
    expires_ns: int | None = None


@dataclass(frozen=True, slots=True)
class SendList:
    version: int
    full: bool
    entries: tuple[ListEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class GetListVersion:
    """Which local list is this?"""


@dataclass(frozen=True, slots=True)
class Reserve:
    """`connector` None or 0 = any."""

    id: int
    connector: int | None
    id_token: str
    expires_ns: int
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class CancelReservation:
    id: int


@dataclass(frozen=True, slots=True)
class GetLog:
    """Pack and upload. `what`: diagnostics (1.6 GetDiagnostics), DiagnosticsLog or SecurityLog."""

    what: str
    url: str
    request: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    attempts: int = 1
    interval_s: int = 0


@dataclass(frozen=True, slots=True)
class UpdateFirmware:
    """`certificate` and `signature` (base64) come with a signed one; 1.6's UpdateFirmware has none."""

    url: str
    retrieve_ns: int
    request: int | None = None
    install_ns: int | None = None
    certificate: str | None = None
    signature: str | None = None
    attempts: int = 1
    interval_s: int = 0


@dataclass(frozen=True, slots=True)
class CertificateSigned:
    chain: str
    kind: str = "ChargingStationCertificate"


@dataclass(frozen=True, slots=True)
class InstallCertificate:
    """`kind` in 2.0.1's words: CSMSRootCertificate, ManufacturerRootCertificate, V2GRootCertificate, MORootCertificate."""

    kind: str
    certificate: str


@dataclass(frozen=True, slots=True)
class GetCertificates:
    """Empty = all kinds."""

    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteCertificate:
    hash: CertificateHash


@dataclass(frozen=True, slots=True)
class GetTxStatus:
    """2.0.1: are messages of it waiting? None = of any."""

    peer_tx: str | None


@dataclass(frozen=True, slots=True)
class GetProfiles:
    """2.0.1: report what is installed. Every criterion that is given must hold."""

    request: int
    connector: int | None = None
    ids: tuple[int, ...] = ()
    purpose: Purpose | None = None
    stack: int | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetNetwork:
    """2.0.1 SetNetworkProfile: `security` 0..3."""

    slot: int
    url: str
    security: int
    version: str
    timeout_s: int
    vpn: bool = False


@dataclass(frozen=True, slots=True)
class CustomerInformation:
    """2.0.1 N09, N10: what is kept of a token; report it, forget it."""

    request: int
    report: bool
    clear: bool
    id_token: str | None = None
    identifier: str | None = None
    by_certificate: bool = False


@dataclass(frozen=True, slots=True)
class CostUpdated:
    peer_tx: str
    total: float


@dataclass(frozen=True, slots=True)
class Unlock:
    connector: int


@dataclass(frozen=True, slots=True)
class ClearCache:
    """Forget cached tokens."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Known, valid, and always answered by the same status, with the reason why this plant cannot."""

    status: str
    why: str


@dataclass(frozen=True, slots=True)
class Enveloped:
    """A command of 2.0.1 in a DataTransfer of 1.6 (Plug & Charge); `inner` None = there is no such message, or it cannot be read."""

    inner: Command | None
    status: str = "Accepted"


@dataclass(frozen=True, slots=True)
class DataTransfer:
    vendor: str
    message: str = ""
    data: str = ""


Command = (
    RemoteStart
    | RemoteStop
    | SetProfile
    | ClearProfiles
    | GetComposite
    | ChangeKey
    | GetKeys
    | Reset
    | Trigger
    | ChangeAvailability
    | Unlock
    | ClearCache
    | DataTransfer
    | Enveloped
    | SendList
    | GetListVersion
    | Reserve
    | CancelReservation
    | GetLog
    | UpdateFirmware
    | CertificateSigned
    | InstallCertificate
    | GetCertificates
    | DeleteCertificate
    | GetTxStatus
    | GetProfiles
    | SetNetwork
    | CustomerInformation
    | CostUpdated
    | Unserved
    | DeviceCommand
)
