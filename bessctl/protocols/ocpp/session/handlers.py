"""What a CSMS may ask besides starts and stops: keys, profiles, reset, triggers, availability, data.

Each handler answers at once; what it sets in motion follows the answer on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages.records import Heartbeat, TransferStatus
from bessctl.protocols.ocpp.session import composite
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import STATION, Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.keys import MAX_KEYS
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.remote import WARNING
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import PutKey

VENDOR = "bessctl"
MAX_COMPOSITE_S = 48 * 3600


@dataclass(slots=True)
class Parts:
    """The parts of a station that handlers use."""

    core: Core
    transactions: Transactions
    profiles: Profiles
    connectors: Connectors
    metering: Metering

    @property
    def observer(self) -> bool:
        return self.core.link.role is Role.OBSERVER


def change_key(parts: Parts, wish: c.ChangeKey) -> c.Answer:
    """ChangeConfiguration (5.3)."""
    core = parts.core
    if parts.observer and core.keys.find(wish.key) is not None:
        return c.Answer("Rejected")
    status, kept = core.keys.change(wish.key, wish.value)
    key = core.keys.find(wish.key)
    if key is not None and kept is not None:
        core.out.writes.append(PutKey(key.name, kept))
        if key.name in {"MeterValueSampleInterval", "ClockAlignedDataInterval"}:
            parts.metering.changed()
    core.audit("key_change", f"{wish.key[:50]!r}: {status}")
    return c.Answer(status)


def get_keys(parts: Parts, wish: c.GetKeys) -> c.KeysAnswer:
    """GetConfiguration (5.8); at most GetConfigurationMaxKeys are answered."""
    keys = parts.core.keys
    asked = [(name, keys.find(name)) for name in wish.keys[:MAX_KEYS]]
    known = [key for _, key in asked if key] if wish.keys else list(keys.all())
    return c.KeysAnswer(
        tuple(c.KeyValue(k.name, k.check is None, keys.text(k.name)) for k in known),
        tuple(name for name, key in asked if key is None),
    )


def set_profile(parts: Parts, wish: c.SetProfile) -> c.Answer:
    """SetChargingProfile (5.16)."""
    tx = parts.transactions.active(wish.connector) if wish.connector else None
    why = "the CSMS is an observer" if parts.observer else parts.profiles.install(wish.connector, wish.profile, tx)
    if why is None:
        return c.Answer("Accepted")
    parts.core.audit("profile_refused", why, wish.connector, WARNING)
    return c.Answer("Rejected")


def clear_profiles(parts: Parts, wish: c.ClearProfiles) -> c.Answer:
    """ClearChargingProfile (5.5)."""
    cleared = not parts.observer and parts.profiles.clear(wish)
    return c.Answer("Accepted" if cleared else "Unknown")


def get_composite(parts: Parts, wish: c.GetComposite) -> c.CompositeAnswer:
    """GetCompositeSchedule (5.7): what may flow, exact to the second; where no profile rules, what the connector can do."""
    core = parts.core
    utc = core.time.utc_ns(core.now)
    if wish.connector not in (STATION, *CONNECTORS) or utc is None or wish.duration_s <= 0:
        return c.CompositeAnswer(wish.connector)
    duration = min(wish.duration_s, MAX_COMPOSITE_S)
    start = utc - utc % NS
    frame = parts.profiles.frame(wish.connector, parts.transactions.active(wish.connector) if wish.connector else None)
    steps = composite.compose(parts.profiles.installed, frame, start, start + duration * NS)
    most = core.link.max_w or core.link.remote_start_w
    unit = wish.unit or "W"
    scale = 1.0 if unit == "W" else 3 * core.link.phase_voltage_v
    limits = [((s.start_ns - start) // NS, min(most, most if s.limit_w is None else s.limit_w) / scale) for s in steps]
    joined = [limits[i] for i in range(len(limits)) if i == 0 or limits[i][1] != limits[i - 1][1]]
    return c.CompositeAnswer(wish.connector, start, duration, unit, tuple(c.Period(at, limit) for at, limit in joined))


def change_availability(parts: Parts, wish: c.ChangeAvailability) -> c.Answer:
    """ChangeAvailability (5.2)."""
    if parts.observer or wish.connector not in (STATION, *CONNECTORS):
        return c.Answer("Rejected")
    return c.Answer(parts.connectors.change(wish.connector, wish.operative))


def clear_cache(parts: Parts, wish: c.ClearCache) -> c.Answer:
    """ClearCache (5.4): no token is cached, so nothing is left of any."""
    return c.Answer("Accepted")


def data_transfer(parts: Parts, wish: c.DataTransfer) -> c.DataAnswer:
    """DataTransfer (5.6): no message of a vendor is known, ours included."""
    return c.DataAnswer("UnknownMessageId" if wish.vendor == VENDOR else "UnknownVendorId")


def trigger(parts: Parts, wish: c.Trigger) -> c.Answer:
    """TriggerMessage (5.17)."""
    core = parts.core
    if wish.connector is not None and wish.connector not in (STATION, *CONNECTORS):
        return c.Answer("Rejected")
    connectors = (STATION, *CONNECTORS) if wish.connector is None else (wish.connector,)
    match wish.message:
        case "BootNotification":
            core.registration.again()
        case "Heartbeat":
            core.ask(Heartbeat(), triggered=True)
        case "StatusNotification":
            for connector in connectors:
                parts.connectors.report(connector, triggered=True)
        case "MeterValues":
            for connector in (x for x in connectors if x != STATION):
                parts.metering.report(connector, "MeterValuesSampledData", "Trigger", triggered=True)
        case "DiagnosticsStatusNotification":
            core.ask(TransferStatus("diagnostics"), triggered=True)
        case "FirmwareStatusNotification":
            core.ask(TransferStatus("firmware"), triggered=True)
        case _:
            return c.Answer("NotImplemented")
    return c.Answer("Accepted")
