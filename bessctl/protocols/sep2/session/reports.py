"""What is told of the DER: DERCapability and DERSettings (SEP2-7, -8), DERStatus (SEP2-6), DERAvailability, LogEvents. Pure.

Capability and settings go out when the DER is found, when they change, and when the server has lost them (404). Status goes out each minute
and at once when an alarm comes or goes or the contactors move; availability every five. The connect statuses say what the contactors are,
not what was ordered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bessctl.protocols.sep2.config import Ratings
from bessctl.protocols.sep2.messages.codec import encode
from bessctl.protocols.sep2.messages.der import DerAvailability, DerCapability, DerSettings, DerStatus, Stated, StatedBits
from bessctl.protocols.sep2.messages.modes import AUS, REACTIVE, Channel, aus_bits, mode_bits
from bessctl.protocols.sep2.messages.reports import LogEvent
from bessctl.protocols.sep2.messages.resources import Der
from bessctl.protocols.sep2.messages.values import Scaled, scaled
from bessctl.protocols.sep2.profiles import OTHER_STORAGE, Profile
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.outbox import Entry
from bessctl.protocols.sep2.session.plant import Reading

STATUS_S, AVAILABILITY_S = 60, 300
DER_FUNCTION_SET, IEEE_PROFILE, VENDOR_PROFILE = 11, 2, 1
STORAGE_HOLD_W = 0.005
"""Share of the rating below which the storage counts as holding."""

ALARM_BITS = {
    "current": 0, "ac_v_high": 1, "ac_v_low": 2, "ac_hz_high": 3, "ac_hz_low": 4, "v_imbalance": 5, "a_imbalance": 6, "e_stop": 7,
    "estop": 7, "emergency": 7,
}  # fmt: skip
"""Our rows' names (or a part of them) -> bit of alarmStatus; twice the bit is the LogEvent's code, one more its return to normal."""


def alarm_bit(name: str) -> int | None:
    """The standard's bit for one of our alarms."""
    return next((bit for word, bit in ALARM_BITS.items() if word in name), None)


@dataclass(slots=True)
class Reports:
    """What was told, and where it goes."""

    profile: Profile
    ratings: Ratings
    supported: frozenset[Channel]
    enabled: frozenset[Channel]
    pen: int
    der: Der | None = None
    service: Mapping[str, int] = field(default_factory=dict)
    """setES* and setGradW of the DefaultDERControl in force."""
    told: dict[str, object] = field(default_factory=dict)
    alarms: Mapping[str, str] = field(default_factory=dict)
    connected: bool | None = None
    status_due_ns: int = 0
    availability_due_ns: int = 0
    log_count: int = 0

    def found(self, der: Der, now_ns: int) -> None:
        """The DER's places are known; another place means that nothing was told there yet."""
        if self.der is None or self.der != der:
            self.der = der
            self.told.clear()
            self.status_due_ns = self.availability_due_ns = now_ns

    def forget(self) -> None:
        """The server lost what we told it."""
        self.told.clear()

    def follow(self, values: Mapping[str, int]) -> None:
        """The gradient and enter-service values of the DefaultDERControls become our settings."""
        self.service = values

    # --- what is due ----------------------------------------------------------------------------------------------------------------------

    def due(self, reading: Reading | None, server_s: float, now_ns: int) -> Iterator[Entry]:
        """PUTs to be queued now."""
        der = self.der
        if der is None:
            return
        at_s = int(server_s)
        for name, record, link in (("capability", self._capability(), der.capability), ("settings", self._settings(0), der.settings)):
            if link is not None and self.told.get(name) != record:
                self.told[name] = record
                body = record if isinstance(record, DerCapability) else self._settings(at_s)
                yield Entry(name, "", "PUT", link.href, encode(body, self.profile.aus_namespace), now_ns)
        if reading is None:
            return
        if der.status is not None and now_ns >= self.status_due_ns:
            self.status_due_ns = now_ns + STATUS_S * NS
            yield Entry("status", "", "PUT", der.status.href, encode(self.status(reading, at_s)), now_ns)
        if der.availability is not None and now_ns >= self.availability_due_ns:
            self.availability_due_ns = now_ns + AVAILABILITY_S * NS
            yield Entry("availability", "", "PUT", der.availability.href, encode(self._availability(reading, at_s)), now_ns)

    def next_ns(self) -> int | None:
        """When a status is due."""
        if self.der is None:
            return None
        dues = [(self.der.status, self.status_due_ns), (self.der.availability, self.availability_due_ns)]
        return min((due for link, due in dues if link is not None), default=None)

    def watch(self, reading: Reading, log_url: str, server_s: float, now_ns: int) -> list[Entry]:
        """LogEvents for alarms that came or went; a change of any, or of the contactors, also hastens the status."""
        came = [name for name in reading.alarms if name not in self.alarms]
        went = [name for name in self.alarms if name not in reading.alarms]
        self.alarms = dict(reading.alarms)
        moved, self.connected = reading.connected is not self.connected, reading.connected
        if came or went or moved:
            self.status_due_ns = now_ns
        events = [(name, False) for name in came] + [(name, True) for name in went]
        return [self._log(name, over, log_url, int(server_s), now_ns) for name, over in events] if log_url else []

    def _log(self, name: str, over: bool, url: str, at_s: int, now_ns: int) -> Entry:
        self.log_count = (self.log_count + 1) & 0xFFFF
        bit = alarm_bit(name)
        event = LogEvent(
            created_s=at_s,
            details=name[:32],
            function_set=DER_FUNCTION_SET,
            code=(2 * bit if bit is not None else 0) + over,
            ident=self.log_count,
            pen=self.pen,
            profile=VENDOR_PROFILE if bit is None else IEEE_PROFILE,
        )
        return Entry("log", str(self.log_count), "POST", url, encode(event), now_ns)

    # --- the documents --------------------------------------------------------------------------------------------------------------------

    def _capability(self) -> DerCapability:
        r = self.ratings
        return DerCapability(
            modes_supported=mode_bits(self.supported),
            max_charge_rate=scaled(r.charge_w),
            max_discharge_rate=scaled(r.discharge_w),
            max_va=scaled(r.max_va),
            max_var=self._max_var(),
            max_w=scaled(r.max_w),
            max_wh=_maybe(r.max_wh),
            type=OTHER_STORAGE,
            doe_modes_supported=aus_bits(self.supported) if self.profile.channels & AUS else None,
        )

    def _max_var(self) -> Scaled | None:
        return scaled(self.ratings.max_var) if self.supported & REACTIVE else None

    def _settings(self, at_s: int) -> DerSettings:
        r = self.ratings
        service: dict[str, Any] = dict(self.service)
        grad_w = service.pop("grad_w", 0)
        return DerSettings(
            modes_enabled=mode_bits(self.enabled),
            grad_w=grad_w,
            max_charge_rate=scaled(r.charge_w),
            max_discharge_rate=scaled(r.discharge_w),
            max_va=scaled(r.max_va),
            max_var=self._max_var(),
            max_w=scaled(r.max_w),
            max_wh=_maybe(r.max_wh),
            updated_s=at_s,
            doe_modes_enabled=aus_bits(self.enabled) if self.profile.channels & AUS else None,
            **service,
        )

    def status(self, reading: Reading, at_s: int) -> DerStatus:
        """A stale state of charge is not told at all."""
        w = reading.values.get("w")
        held = STORAGE_HOLD_W * self.ratings.max_w
        mode = None if w is None else 2 if abs(w) <= held else 1 if w > 0 else 0
        connect = (1 if reading.connected else 0) | (2 if reading.available else 0) | (4 if reading.running else 0)
        faults = sum(1 << b for b in {alarm_bit(name) for name in reading.alarms} if b is not None)
        return DerStatus(
            alarms=faults,
            generator_connect=StatedBits(at_s=at_s, value=connect),
            inverter=Stated(at_s=at_s, value=4 if reading.running else 8 if reading.connected else 1),
            local_control=Stated(at_s=at_s, value=0 if reading.local_control else 1),
            operational_mode=Stated(at_s=at_s, value=2 if reading.running else 1),
            reading_s=at_s,
            soc=None if reading.soc_pct is None else Stated(at_s=at_s, value=round(reading.soc_pct * 100)),
            storage_mode=None if mode is None else Stated(at_s=at_s, value=mode),
            storage_connect=StatedBits(at_s=at_s, value=connect),
        )

    def _availability(self, reading: Reading, at_s: int) -> DerAvailability:
        r = self.ratings
        discharge_s = charge_s = None
        if reading.soc_pct is not None and reading.capacity_wh:
            share = reading.soc_pct / 100
            discharge_s = _duration_s(share * reading.capacity_wh, reading.discharge_now_w)
            charge_s = _duration_s((1 - share) * reading.capacity_wh, reading.charge_now_w)
        return DerAvailability(
            discharge_s=discharge_s,
            charge_s=charge_s,
            reading_s=at_s,
            reserve_charge=_percent(reading.charge_now_w, r.charge_w),
            reserve=_percent(reading.discharge_now_w, r.max_w),
            available_w=scaled(reading.discharge_now_w),
        )


def _maybe(value: float | None) -> Scaled | None:
    return None if value is None else scaled(value)


def _duration_s(wh: float, w: float) -> int | None:
    return round(wh * 3600 / w) if w > 0 else None


def _percent(part_w: float, whole_w: float) -> int:
    return min(10_000, round(part_w / whole_w * 10_000)) if whole_w > 0 else 0
