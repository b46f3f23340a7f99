"""The device model of 2.0.1 (part 1, chapter 4): components, their variables, attributes, monitors; and the commands about them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """RFC 6960's way to name a certificate: hashes of its issuer's name and key, and the serial number, in hexadecimal."""

    algorithm: str
    issuer_name: str
    issuer_key: str
    serial: str


@dataclass(frozen=True, slots=True)
class OcspName:
    """A certificate as an OCSP responder is asked about it, and that responder's url."""

    hash: CertificateHash
    responder: str


@dataclass(frozen=True, slots=True)
class Component:
    """`evse` None = the whole station; `connector` is 1 where it is given, for an EVSE has one."""

    name: str
    instance: str | None = None
    evse: int | None = None
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A variable of a component. Names compare without regard to case."""

    component: Component
    variable: str
    instance: str | None = None

    def key(self) -> tuple[str, str, int | None, int | None, str, str]:
        """To compare by."""
        c = self.component
        return (c.name.lower(), (c.instance or "").lower(), c.evse, c.connector, self.variable.lower(), (self.instance or "").lower())


@dataclass(frozen=True, slots=True)
class GetVariables:
    """Each with its attribute: Actual, Target, MinSet, MaxSet."""

    items: tuple[tuple[Place, str], ...]


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Place, attribute, value."""

    items: tuple[tuple[Place, str, str], ...]


@dataclass(frozen=True, slots=True)
class GetBaseReport:
    """`base`: ConfigurationInventory, FullInventory, SummaryInventory."""

    request: int
    base: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which variables are meant: what is None or empty matches everything."""

    component: Component
    variable: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class GetReport:
    """`criteria`: Active, Available, Enabled, Problem."""

    request: int
    criteria: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True)
class MonitorWish:
    """`kind`: UpperThreshold, LowerThreshold, Delta, Periodic, PeriodicClockAligned. `severity` 0 (danger) .. 9 (debug)."""

    place: Place
    kind: str
    value: float
    severity: int
    id: int | None = None
    transaction: bool = False


@dataclass(frozen=True, slots=True)
class SetMonitors:
    items: tuple[MonitorWish, ...]


@dataclass(frozen=True, slots=True)
class ClearMonitors:
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GetMonitors:
    """`criteria`: ThresholdMonitoring, DeltaMonitoring, PeriodicMonitoring."""

    request: int
    criteria: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True)
class MonitoringBase:
    """All, FactoryDefault, HardWiredOnly."""

    base: str


@dataclass(frozen=True, slots=True)
class MonitoringLevel:
    severity: int


@dataclass(frozen=True, slots=True)
class DisplayMessage:
    """A text for the display at the site. `state`: Charging, Faulted, Idle, Unavailable, or None = always."""

    id: int
    priority: str
    text: str
    format: str = "UTF8"
    language: str | None = None
    state: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    tx: str | None = None


@dataclass(frozen=True, slots=True)
class SetDisplay:
    message: DisplayMessage


@dataclass(frozen=True, slots=True)
class GetDisplays:
    request: int
    ids: tuple[int, ...] = ()
    priority: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class ClearDisplay:
    id: int


DeviceCommand = (
    GetVariables
    | SetVariables
    | GetBaseReport
    | GetReport
    | SetMonitors
    | ClearMonitors
    | GetMonitors
    | MonitoringBase
    | MonitoringLevel
    | SetDisplay
    | GetDisplays
    | ClearDisplay
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one item: its place, the attribute or kind, the status word, a value or a monitor's id."""

    place: Place | None
    status: str
    attribute: str = ""
    value: str | None = None
    id: int | None = None
    severity: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RowsAnswer:
    rows: tuple[Row, ...]
