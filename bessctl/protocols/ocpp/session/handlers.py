"""What a CSMS may ask besides starts and stops: keys, profiles, reset, triggers, availability, data.

Each handler answers at once; what it sets in motion follows the answer on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bessctl.model import points
from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import answers as a
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import device as d
from bessctl.protocols.ocpp.messages import profile as pr
from bessctl.protocols.ocpp.messages.records import Heartbeat
from bessctl.protocols.ocpp.session import composite
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import STATION, Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.customer import customer_information
from bessctl.protocols.ocpp.session.displays import Displays
from bessctl.protocols.ocpp.session.ending import WARNING
from bessctl.protocols.ocpp.session.files import Files
from bessctl.protocols.ocpp.session.limits import Limits
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.monitors import Monitors
from bessctl.protocols.ocpp.session.network import Network
from bessctl.protocols.ocpp.session.plant import CONNECTORS, Reading
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.reservations import Reservations
from bessctl.protocols.ocpp.session.security import Security
from bessctl.protocols.ocpp.session.setting import Settings
from bessctl.protocols.ocpp.session.tokens import Tokens
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.variables import Variables
from bessctl.protocols.ocpp.session.vault import V2G

TOLD: dict[str, Callable[[Reading], float | None]] = {
    points.SOC.name: lambda r: r.soc_pct,
    points.SOH.name: lambda r: r.soh_pct,
    points.AVAILABLE_WH.name: lambda r: r.available_wh,
    points.CELL_TEMP_MAX.name: lambda r: r.temperature_c,
    "DSTO.AvlDschW": lambda r: r.discharge.offered_w,
    "DSTO.AvlChaW": lambda r: r.charge.offered_w,
}
"""What a CSMS may ask for by DataTransfer."""
MAX_COMPOSITE_S = 48 * 3600


@dataclass(slots=True)
class Parts:
    """The parts of a station that handlers use."""

    core: Core
    transactions: Transactions
    profiles: Profiles
    connectors: Connectors
    metering: Metering
    tokens: Tokens
    reservations: Reservations
    variables: Variables
    monitors: Monitors
    settings: Settings
    files: Files
    security: Security
    displays: Displays
    network: Network
    limits: Limits

    @property
    def observer(self) -> bool:
        return self.core.link.role is Role.OBSERVER

    @property
    def owner(self) -> bool:
        return self.core.link.role is Role.OWNER


def counts(tokens: Tokens, security: Security, displays: Displays, network: Network) -> dict[str, Callable[[], int]]:
    """What the device model counts."""
    return {
        "list_entries": lambda: len(tokens),
        "certificates": security.count,
        "displays": lambda: len(displays),
        "network": lambda: network.active,
        "security_profile": lambda: network.security,
    }


def require_allowed(core: Core, command: c.Command) -> None:
    """A CSMS of 2.0.1 that rejected this station may trigger a BootNotification, and nothing else (B03.FR.08). Raises CallRefused."""
    triggered = isinstance(command, c.Trigger) and command.message == "BootNotification"
    if core.registration.state.value == "rejected" and not triggered:
        raise c.CallRefused("SecurityError", "action", "this station was rejected: only a BootNotification may be triggered")


def change_key(parts: Parts, wish: c.ChangeKey) -> a.Answer:
    """ChangeConfiguration (5.3)."""
    core = parts.core
    key = core.keys.key(wish.key)
    if key is None:
        return a.Answer("NotSupported")
    status, kept = ("Rejected", None) if parts.observer else core.keys.change(wish.key, wish.value)
    if kept is not None and not parts.settings.changed(key.name, kept):
        status = "Rejected"
    core.audit("key_change", f"{wish.key[:50]!r}: {status}")
    return a.Answer(status)


def get_keys(parts: Parts, wish: c.GetKeys) -> a.KeysAnswer:
    """GetConfiguration (5.8); at most GetConfigurationMaxKeys are answered."""
    keys = parts.core.keys
    asked = [(name, keys.key(name)) for name in wish.keys[: keys.number("GetConfigurationMaxKeys")]]
    known = [key for _, key in asked if key] if wish.keys else list(keys.all())
    return a.KeysAnswer(
        tuple(a.KeyValue(k.name, k.check is None, keys.shown(k)) for k in known),
        tuple(name for name, key in asked if key is None),
    )


def set_profile(parts: Parts, wish: c.SetProfile) -> a.Answer:
    """SetChargingProfile (5.16)."""
    tx = parts.transactions.active(wish.connector) if wish.connector else None
    why = "the CSMS is an observer" if parts.observer else parts.profiles.install(wish.connector, wish.profile, tx)
    if why is None:
        return a.Answer("Accepted")
    parts.core.audit("profile_refused", why, wish.connector, WARNING)
    return a.Answer("Rejected", why)


def clear_profiles(parts: Parts, wish: c.ClearProfiles) -> a.Answer:
    """ClearChargingProfile (5.5)."""
    cleared = not parts.observer and parts.profiles.clear(wish)
    return a.Answer("Accepted" if cleared else "Unknown")


def get_composite(parts: Parts, wish: c.GetComposite) -> a.CompositeAnswer:
    """GetCompositeSchedule (5.7): what may flow, exact to the second; where no profile rules, what the connector can do.

    At most the first MAX_COMPOSITE_S of it, as far as plans are made; the answer says how long it is."""
    core = parts.core
    utc = core.time.utc_ns(core.now)
    if wish.connector not in (STATION, *CONNECTORS) or utc is None or wish.duration_s <= 0:
        return a.CompositeAnswer(wish.connector)
    duration = min(wish.duration_s, MAX_COMPOSITE_S)
    if duration < wish.duration_s:
        core.audit("composite_shortened", f"{wish.duration_s} s asked for, the first {duration} s are told", wish.connector)
    start = utc - utc % NS
    frame = parts.profiles.frame(wish.connector, parts.transactions.active(wish.connector) if wish.connector else None)
    steps = composite.compose(parts.profiles.installed, frame, start, start + duration * NS)
    most = core.link.max_w or core.link.remote_start_w
    unit = wish.unit or "W"
    scale = 1.0 if unit == "W" else 3 * core.link.phase_voltage_v
    limits = [((s.start_ns - start) // NS, min(most, most if s.limit_w is None else s.limit_w) / scale) for s in steps]
    joined = [limits[i] for i in range(len(limits)) if i == 0 or limits[i][1] != limits[i - 1][1]]
    return a.CompositeAnswer(wish.connector, start, duration, unit, tuple(pr.Period(at, limit) for at, limit in joined))


def change_availability(parts: Parts, wish: c.ChangeAvailability) -> a.Answer:
    """ChangeAvailability (5.2)."""
    if parts.observer or wish.connector not in (STATION, *CONNECTORS):
        return a.Answer("Rejected")
    return a.Answer(parts.connectors.change(wish.connector, wish.operative))


def clear_cache(parts: Parts, wish: c.ClearCache) -> a.Answer:
    """ClearCache (5.4)."""
    return a.Answer("Rejected" if parts.observer else parts.tokens.clear_cache())


def send_list(parts: Parts, wish: c.SendList) -> a.Answer:
    """SendLocalList (5.15)."""
    return a.Answer("Failed" if parts.observer else parts.tokens.take_list(wish))


def list_version(parts: Parts, wish: c.GetListVersion) -> a.VersionAnswer:
    """GetLocalListVersion (5.10)."""
    return a.VersionAnswer(parts.tokens.version if parts.core.keys.flag("LocalAuthListEnabled") else -1)


def reserve(parts: Parts, wish: c.Reserve) -> a.Answer:
    """ReserveNow (5.13)."""
    connector = wish.connector or 0
    if connector not in (STATION, *CONNECTORS):
        return a.Answer("Rejected", f"there is no connector {connector}")
    busy = parts.transactions.active(connector or None) is not None
    status = "Occupied" if busy else parts.connectors.unreserved(connector)
    return a.Answer(parts.reservations.reserve(wish, status))


def cancel_reservation(parts: Parts, wish: c.CancelReservation) -> a.Answer:
    """CancelReservation (5.1)."""
    return a.Answer(parts.reservations.cancel(wish.id))


def data_transfer(parts: Parts, wish: c.DataTransfer) -> a.DataAnswer:
    """DataTransfer (5.6). Ours: what a plant has and the version has no message for, under its IEC 61850-7-420 name (OCPP-15, OCPP-20)."""
    if wish.vendor != points.VENDOR:
        return a.DataAnswer("UnknownVendorId")
    tell = TOLD.get(wish.message)
    if wish.message == "StopTransaction":
        # The seed's trigger of StopTransaction, which 1.6 has no word for: tell the transaction's values now.
        for connector in CONNECTORS:
            parts.metering.report(connector, "MeterValuesSampledData", "Trigger", triggered=True)
        return a.DataAnswer("Accepted")
    if tell is None:
        return a.DataAnswer("UnknownMessageId")
    value = None if parts.core.reading is None else tell(parts.core.reading)
    return a.DataAnswer("Accepted" if value is not None else "Rejected", None if value is None else f"{value:.1f}")


def tx_status(parts: Parts, wish: c.GetTxStatus) -> a.TxStatusAnswer:
    """GetTransactionStatus (2.0.1 E14)."""
    queue = parts.core.queue
    if wish.peer_tx is None:
        return a.TxStatusAnswer(queue.holds(None), None)
    known = parts.transactions.known(wish.peer_tx)
    return a.TxStatusAnswer(known is not None and queue.holds(known.id), known is not None and known.active)


def enveloped(parts: Parts, wish: c.Enveloped) -> a.EnvelopedAnswer:
    """A message of 2.0.1 in a DataTransfer of 1.6 (Plug & Charge; OCPP-20)."""
    if wish.inner is None:
        return a.EnvelopedAnswer(wish.status)
    if not parts.core.keys.flag("ISO15118PnCEnabled"):
        return a.EnvelopedAnswer("Rejected")
    if isinstance(wish.inner, c.Trigger):
        known = wish.inner.message == "SignV2GCertificate"
        return a.EnvelopedAnswer("Accepted", a.Answer(parts.security.ask_for_certificate(V2G) if known else "NotImplemented"))
    return a.EnvelopedAnswer("Accepted", HANDLERS[type(wish.inner)](parts, wish.inner))


def unserved(parts: Parts, wish: c.Unserved) -> a.Answer:
    """What this plant cannot do, whatever is asked."""
    return a.Answer(wish.status, wish.why)


def trigger(parts: Parts, wish: c.Trigger) -> a.Answer:
    """TriggerMessage (5.17), ExtendedTriggerMessage, 2.0.1 F06."""
    core = parts.core
    if wish.connector is not None and wish.connector not in (STATION, *CONNECTORS):
        return a.Answer("Rejected", f"there is no connector {wish.connector}")
    known = TRIGGERS.get(wish.message)
    if known is None or (known.versions and (core.traits.version, wish.extended) not in known.versions):
        return a.Answer("NotImplemented")
    return a.Answer(known.act(parts, wish.connector))


def _status(parts: Parts, connector: int | None) -> str:
    if not connector and not parts.core.traits.tells_station:
        return "Rejected"  # 2.0.1 F06.FR.12
    for each in (STATION, *CONNECTORS) if connector is None else (connector,):
        parts.connectors.report(each, triggered=True)
    return "Accepted"


def _values(parts: Parts, connector: int | None) -> str:
    chosen = (connector,) if connector else tuple(CONNECTORS)
    if parts.core.traits.version != "1.6":  # F06.FR.06: the aligned values, within a transaction too; with none of them nothing follows
        told = [parts.metering.tell(each, "MeterValuesAlignedData", "Trigger") for each in chosen]
        return "Accepted" if any(told) else "Rejected"
    for each in chosen:
        parts.metering.report(each, "MeterValuesSampledData", "Trigger", triggered=True)
    return "Accepted"


def _transaction(parts: Parts, connector: int | None) -> str:
    running = [tx for n in CONNECTORS if connector in (None, 0, n) and (tx := parts.transactions.active(n))]
    for tx in running:
        if not parts.metering.report(tx.connector, "MeterValuesSampledData", "Trigger"):
            parts.transactions.told(tx, "Trigger")
    return "Accepted" if running else "Rejected"


def _boot(parts: Parts, connector: int | None) -> str:
    # A station that is registered has nothing new to say at boot (2.0.1 F06.FR.17); 1.6 answers by doing it.
    if parts.core.registration.accepted and parts.core.traits.version != "1.6":
        return "Rejected"
    parts.core.registration.again()
    parts.core.boot_reason = "Triggered"
    return "Accepted"


def _heartbeat(parts: Parts, connector: int | None) -> str:
    parts.core.ask(Heartbeat(), triggered=True)
    return "Accepted"


@dataclass(frozen=True, slots=True)
class _Trigger:
    """What a triggered message does; `versions` (version, extended) that have it, empty = all."""

    act: Callable[[Parts, int | None], str]
    versions: frozenset[tuple[str, bool]] = frozenset()


PLAIN = frozenset({("1.6", False)})
NEWER = frozenset({("1.6", True), ("2.0.1", False)})
TRIGGERS = {
    "BootNotification": _Trigger(_boot),
    "Heartbeat": _Trigger(_heartbeat),
    "StatusNotification": _Trigger(_status),
    "MeterValues": _Trigger(_values),
    "DiagnosticsStatusNotification": _Trigger(lambda p, n: p.files.tell("diagnostics"), PLAIN),
    "LogStatusNotification": _Trigger(lambda p, n: p.files.tell("log"), NEWER),
    "FirmwareStatusNotification": _Trigger(lambda p, n: p.files.tell("firmware")),
    "SignChargingStationCertificate": _Trigger(lambda p, n: p.security.ask_for_certificate(), NEWER),
    "SignV2GCertificate": _Trigger(lambda p, n: p.security.ask_for_certificate(V2G), frozenset({("2.0.1", False)})),
    "TransactionEvent": _Trigger(_transaction, frozenset({("2.0.1", False)})),
}

Handler = Callable[[Parts, Any], a.AnyAnswer]
HANDLERS: dict[type, Handler] = {
    c.ChangeKey: change_key,
    c.GetKeys: get_keys,
    c.SetProfile: set_profile,
    c.ClearProfiles: clear_profiles,
    c.GetComposite: get_composite,
    c.ChangeAvailability: change_availability,
    c.ClearCache: clear_cache,
    c.SendList: send_list,
    c.GetListVersion: list_version,
    c.Reserve: reserve,
    c.CancelReservation: cancel_reservation,
    c.DataTransfer: data_transfer,
    c.Trigger: trigger,
    c.Unserved: unserved,
    c.Enveloped: enveloped,
    c.GetLog: lambda p, wish: p.files.log(wish),
    c.UpdateFirmware: lambda p, wish: a.Answer(*p.files.firmware(wish)),
    c.CertificateSigned: lambda p, wish: a.Answer(*p.security.signed(wish)),
    c.InstallCertificate: lambda p, wish: a.Answer(*p.security.install(wish)),
    c.GetCertificates: lambda p, wish: a.CertificatesAnswer(p.security.installed(wish.kinds)),
    c.DeleteCertificate: lambda p, wish: a.Answer(p.security.delete(wish.hash)),
    c.GetTxStatus: tx_status,
    c.GetProfiles: lambda p, wish: a.Answer(p.limits.report(wish)),
    c.SetNetwork: lambda p, wish: a.Answer(*p.network.take(wish)),
    c.CustomerInformation: lambda p, wish: a.Answer(customer_information(p.core, p.tokens, p.reservations, p.transactions, wish)),
    c.CostUpdated: lambda p, wish: a.Answer(p.displays.cost(wish)),
    d.GetVariables: lambda p, wish: p.variables.read(wish),
    d.SetVariables: lambda p, wish: p.variables.write(wish),
    d.GetBaseReport: lambda p, wish: a.Answer(p.variables.base_report(wish)),
    d.GetReport: lambda p, wish: a.Answer(p.variables.report(wish)),
    d.SetMonitors: lambda p, wish: p.monitors.take(wish),
    d.ClearMonitors: lambda p, wish: p.monitors.clear(wish),
    d.GetMonitors: lambda p, wish: a.Answer(p.monitors.report(wish)),
    d.MonitoringBase: lambda p, wish: a.Answer(p.monitors.base(wish)),
    d.MonitoringLevel: lambda p, wish: a.Answer(p.monitors.level(wish)),
    d.SetDisplay: lambda p, wish: a.Answer(p.displays.take(wish)),
    d.GetDisplays: lambda p, wish: a.Answer(p.displays.report(wish)),
    d.ClearDisplay: lambda p, wish: a.Answer(p.displays.clear(wish)),
}
QUESTIONS = frozenset({c.GetKeys, c.GetComposite, c.GetListVersion, c.Unserved, c.GetTxStatus, c.GetProfiles, c.GetCertificates})
QUESTIONS |= {d.GetVariables, d.GetBaseReport, d.GetReport, d.GetMonitors, d.GetDisplays}
"""Commands that change nothing: what there is to send is all that may follow."""
