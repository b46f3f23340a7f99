"""Configuration keys of OCPP 1.6 (section 9): type, range, accessibility, first value. Pure; `Keys` holds one link's values.

ChangeConfiguration answers NotSupported for an unknown key, Rejected for a read-only one or a value outside type or range, else
Accepted. Key names compare without regard to case, as CiString does. Values are kept as the text a peer may read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bessctl.protocols.ocpp.config import LinkConfig

MEASURANDS = (
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Offered",
    "Current.Export",
    "Current.Import",
    "Voltage",
    "Frequency",
    "SoC",
    "Temperature",
)
_SAMPLED = ",".join(MEASURANDS)
MAX_STACK_LEVEL = 10
MAX_PERIODS = 96
MAX_PROFILES = 20
MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `check` turns a wish into the value kept, or None where it must be Rejected."""

    name: str
    first: str
    check: Callable[[str], str | None] | None = None
    """None = read-only."""


def _bool(text: str) -> str | None:
    return text.strip().lower() if text.strip().lower() in {"true", "false"} else None


def whole(text: str, lo: int, hi: int, *, zero: bool = False) -> str | None:
    """A whole number within [lo, hi], or 0 where that switches off."""
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return None
    value = int(digits)
    return str(value) if lo <= value <= hi or (zero and value == 0) else None


def _int(lo: int, hi: int, *, zero: bool = False) -> Callable[[str], str | None]:
    return lambda text: whole(text, lo, hi, zero=zero)


def _csl(allowed: tuple[str, ...], most: int) -> Callable[[str], str | None]:
    by_lower = {a.lower(): a for a in allowed}

    def check(text: str) -> str | None:
        words = [w.strip() for w in text.split(",") if w.strip()]
        known = [by_lower.get(w.lower()) for w in words]
        if len(words) > most or any(k is None for k in known) or len(set(known)) != len(known):
            return None
        return ",".join(k for k in known if k)

    return check


def table(link: LinkConfig) -> tuple[Key, ...]:
    """Every key of a link; the ranges of OCPP-11 come from its configuration."""
    measurands = _csl(MEASURANDS, len(MEASURANDS))
    # The schema of StopTransaction, unlike that of MeterValues, has no unit for a frequency.
    final = _csl(tuple(m for m in MEASURANDS if m != "Frequency"), len(MEASURANDS))
    heartbeat = min(max(300, link.heartbeat_range_s[0]), link.heartbeat_range_s[1])
    sample = min(max(60, link.sample_range_s[0]), link.sample_range_s[1])
    most = str(len(MEASURANDS))
    return (
        # Core (9.1)
        Key("AllowOfflineTxForUnknownId", "false", _bool),
        Key("AuthorizeRemoteTxRequests", "false", _bool),
        Key("ClockAlignedDataInterval", "0", _int(1, 86_400, zero=True)),
        Key("ConnectionTimeOut", "60", _int(0, 86_400)),
        Key("ConnectorPhaseRotation", "0.RST,1.RST,2.RST"),
        Key("GetConfigurationMaxKeys", str(MAX_KEYS)),
        Key("HeartbeatInterval", str(heartbeat), _int(*link.heartbeat_range_s)),
        Key("LocalAuthorizeOffline", "true", _bool),
        Key("LocalPreAuthorize", "false", _bool),
        Key("MeterValuesAlignedData", _SAMPLED, measurands),
        Key("MeterValuesAlignedDataMaxLength", most),
        Key("MeterValuesSampledData", _SAMPLED, measurands),
        Key("MeterValuesSampledDataMaxLength", most),
        Key("MeterValueSampleInterval", str(sample), _int(*link.sample_range_s, zero=True)),
        Key("MinimumStatusDuration", "0", _int(0, 3600)),
        Key("NumberOfConnectors", "2"),
        Key("ResetRetries", "3", _int(0, 10)),
        Key("StopTransactionOnEVSideDisconnect", "true"),
        Key("StopTransactionOnInvalidId", "true", _bool),
        Key("StopTxnAlignedData", "", final),
        Key("StopTxnAlignedDataMaxLength", most),
        Key("StopTxnSampledData", "", final),
        Key("StopTxnSampledDataMaxLength", most),
        Key("SupportedFeatureProfiles", "Core,SmartCharging,RemoteTrigger"),
        Key("TransactionMessageAttempts", "3", _int(1, 100)),
        Key("TransactionMessageRetryInterval", "60", _int(0, 86_400)),
        Key("UnlockConnectorOnEVSideDisconnect", "true"),
        Key("WebSocketPingInterval", "30", _int(1, 3600, zero=True)),
        # SmartCharging (9.4)
        Key("ChargeProfileMaxStackLevel", str(MAX_STACK_LEVEL)),
        Key("ChargingScheduleAllowedChargingRateUnit", "Current,Power"),
        Key("ChargingScheduleMaxPeriods", str(MAX_PERIODS)),
        Key("ConnectorSwitch3to1PhaseSupported", "false"),
        Key("MaxChargingProfilesInstalled", str(MAX_PROFILES)),
    )


class Keys:
    """One link's values: first values, then the site's, then what the CSMS changed."""

    def __init__(self, link: LinkConfig, saved: Mapping[str, str]) -> None:
        self._table = {key.name.lower(): key for key in table(link)}
        self._values = {key.name: key.first for key in self._table.values()}
        self.refused: list[str] = []
        for source in (link.keys, saved):
            for name, value in source.items():
                self._preset(name, value)

    def _preset(self, name: str, value: str) -> None:
        key = self._table.get(name.lower())
        kept = key.check(value) if key and key.check else None
        if key is None or kept is None:
            self.refused.append(name)
        else:
            self._values[key.name] = kept

    def find(self, name: str) -> Key | None:
        """The key of a name, whatever its case."""
        return self._table.get(name.lower())

    def all(self) -> tuple[Key, ...]:
        """Every key."""
        return tuple(self._table.values())

    def text(self, name: str) -> str:
        """A value as the peer may read it."""
        return self._values[name]

    def number(self, name: str) -> int:
        """A whole number's value."""
        return int(self._values[name])

    def flag(self, name: str) -> bool:
        """A boolean's value."""
        return self._values[name] == "true"

    def words(self, name: str) -> tuple[str, ...]:
        """A list's value."""
        return tuple(w for w in self._values[name].split(",") if w)

    def change(self, name: str, value: str) -> tuple[str, str | None]:
        """The answer's status, and the value kept if it was Accepted."""
        key = self.find(name)
        if key is None:
            return "NotSupported", None
        kept = key.check(value) if key.check else None
        if kept is None:
            return "Rejected", None
        self._values[key.name] = kept
        return "Accepted", kept
