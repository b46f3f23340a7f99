"""What a CSMS asks and what the station answers: the station model's words, the same for every dialect.

Profile limits stay in the unit of the message (W or A) until they are composed; times are UTC ns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What a profile limits."""

    STATION_MAX = "station_max"
    """The whole station (1.6 ChargePointMaxProfile, 2.0.1 ChargingStationMaxProfile)."""
    TX_DEFAULT = "tx_default"
    TX = "tx"


class Kind(StrEnum):
    """What the periods of a profile count from."""

    ABSOLUTE = "absolute"
    RECURRING = "recurring"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start_s` on, at most `limit` (W or A) on `phases` phases (None = 3)."""

    start_s: int
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periods, ordered. `unit`: W or A. `duration_s` None = until the profile or the transaction ends."""

    unit: str
    periods: tuple[Period, ...]
    start_ns: int | None = None
    duration_s: int | None = None
    min_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile. `every_s`: a day or a week where it recurs. `tx`: the transaction it was sent for, the peer's name of it."""

    id: int
    stack: int
    purpose: Purpose
    kind: Kind
    schedule: Schedule
    every_s: int | None = None
    valid_from_ns: int | None = None
    valid_to_ns: int | None = None
    tx: str | None = None


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
    hard: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """`message` as in the standard; what is not in its list is answered NotImplemented."""

    message: str
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    connector: int
    operative: bool


@dataclass(frozen=True, slots=True)
class Unlock:
    connector: int


@dataclass(frozen=True, slots=True)
class ClearCache:
    """Forget cached tokens."""


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
)

# Answers


@dataclass(frozen=True, slots=True)
class Answer:
    """The status word of the standard."""

    status: str


@dataclass(frozen=True, slots=True)
class DataAnswer:
    status: str
    data: str | None = None


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


AnyAnswer = Answer | DataAnswer | KeysAnswer | CompositeAnswer
