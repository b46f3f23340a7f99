"""Settings of a link: type, range, accessibility, first value. Pure; `Keys` holds one link's values.

A setting that 1.6 has (section 9, and the security whitepaper) carries its name there; one of 2.0.1 alone is called Component.Variable
and is no configuration key. The device model (`variables`) shows both kinds under their 2.0.1 names: each lives once.

ChangeConfiguration answers NotSupported for an unknown key, Rejected for a read-only one or a value outside type or range, else
Accepted. Key names compare without regard to case, as CiString does. Values are kept as the text a peer may read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from bessctl.protocols.ocpp.config import LinkConfig, Role

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
FEATURE_PROFILES = ("Core", "FirmwareManagement", "LocalAuthListManagement", "Reservation", "SmartCharging", "RemoteTrigger")
PHASED = ("0", "1", "2")
ROTATIONS = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
MAX_STACK_LEVEL = 10
MAX_PERIODS = 96
MAX_PROFILES = 20
MAX_KEYS = 100
MAX_LIST = 5000
MAX_LIST_MESSAGE = 500
"""Entries of one message: the longest of either version fit into `max_frame_bytes`; a longer list comes in several updates."""
BY_MESSAGE = frozenset({"MonitoringCtrlr.MonitoringBase", "MonitoringCtrlr.MonitoringLevel"})
"""Read-only as settings, changed by messages of their own."""
MAX_CERTIFICATES = 20


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `check` turns a wish into the value kept, or None where it must be Rejected."""

    name: str
    first: str
    check: Callable[[str], str | None] | None = None
    """None = read-only."""
    secret: bool = False
    """Never shown."""

    @property
    def of_16(self) -> bool:
        """Is it a configuration key of 1.6?"""
        return "." not in self.name


def boolean(text: str) -> str | None:
    return text.strip().lower() if text.strip().lower() in {"true", "false"} else None


def whole(text: str, lo: int, hi: int, *, zero: bool = False) -> str | None:
    """A whole number within [lo, hi], or 0 where that switches off."""
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        return None
    value = int(digits)
    return str(value) if lo <= value <= hi or (zero and value == 0) else None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within [lo, hi], or 0 where that switches off."""

    lo: int
    hi: int
    zero: bool = False

    def __call__(self, text: str) -> str | None:
        return whole(text, self.lo, self.hi, zero=self.zero)

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the most that is taken."""
        return (0 if self.zero else self.lo, self.hi)


@dataclass(frozen=True, slots=True)
class Members:
    """A list of some of the allowed words, each at most once, whatever their case."""

    allowed: tuple[str, ...]
    most: int

    def __call__(self, text: str) -> str | None:
        by_lower = {a.lower(): a for a in self.allowed}
        words = [w.strip() for w in text.split(",") if w.strip()]
        known = [by_lower.get(w.lower()) for w in words]
        if len(words) > self.most or any(k is None for k in known) or len(set(known)) != len(known):
            return None
        return ",".join(k for k in known if k)


@lru_cache(maxsize=256)
def integer(lo: int, hi: int, *, zero: bool = False) -> Whole:
    return Whole(lo, hi, zero)


@lru_cache(maxsize=64)
def members(allowed: tuple[str, ...], most: int) -> Members:
    return Members(allowed, most)


def phase_rotation(text: str) -> str | None:
    """How the connectors are wired to the grid (9.1.8): `connector.rotation`, each connector at most once, 0 for the station."""
    words = [w.strip() for w in text.split(",") if w.strip()]
    found = [w.partition(".") for w in words]
    known = all(connector in PHASED and rotation in ROTATIONS for connector, _, rotation in found)
    return ",".join(words) if known and len({connector for connector, _, _ in found}) == len(found) else None


def feature_profiles(link: LinkConfig) -> tuple[str, ...]:
    """What the link may claim (settled question 15): firmware only where this CSMS may send it and the site can install it."""
    firmware = link.installs_firmware and link.role is Role.OWNER
    return tuple(name for name in FEATURE_PROFILES if firmware or name != "FirmwareManagement")


def short(text: str) -> str | None:
    return text if len(text) <= 255 else None


def authorization_key(text: str) -> str | None:
    """1.6: 40 hexadecimal digits that stand for the password's 20 bytes (settled question 12)."""
    return text if len(text) == 40 and all(c in "0123456789abcdefABCDEF" for c in text) else None


def security_profile(link: LinkConfig) -> int:
    """The profile that a link is configured for (OCPP-J 1.6 whitepaper 2.2, 2.0.1 A00)."""
    if link.url.startswith("wss://"):
        return 3 if link.tls.cert_file else 2
    return 1 if link.password_file else 0


def table(link: LinkConfig) -> tuple[Key, ...]:
    """Every key of a link; the ranges of OCPP-11 come from its configuration."""
    return (*_core(link), *_further(link))


def _core(link: LinkConfig) -> tuple[Key, ...]:
    measurands = members(MEASURANDS, len(MEASURANDS))
    # The schema of StopTransaction, unlike that of MeterValues, has no unit for a frequency.
    final = members(tuple(m for m in MEASURANDS if m != "Frequency"), len(MEASURANDS))
    heartbeat = min(max(300, link.heartbeat_range_s[0]), link.heartbeat_range_s[1])
    sample = min(max(60, link.sample_range_s[0]), link.sample_range_s[1])
    most = str(len(MEASURANDS))
    return (
        # Core (9.1)
        Key("AuthorizationCacheEnabled", "true", boolean),
        Key("AllowOfflineTxForUnknownId", "false", boolean),
        Key("AuthorizeRemoteTxRequests", "false", boolean),
        Key("ClockAlignedDataInterval", "0", integer(1, 86_400, zero=True)),
        Key("ConnectionTimeOut", "60", integer(0, 86_400)),
        Key("ConnectorPhaseRotation", "0.RST,1.RST,2.RST", phase_rotation),
        Key("GetConfigurationMaxKeys", str(MAX_KEYS)),
        Key("HeartbeatInterval", str(heartbeat), integer(*link.heartbeat_range_s)),
        Key("ConnectorPhaseRotationMaxLength", "3"),
        Key("LocalAuthorizeOffline", "true", boolean),
        Key("LocalPreAuthorize", "false", boolean),
        Key("MaxEnergyOnInvalidId", "0", integer(0, 10_000_000)),
        Key("MeterValuesAlignedData", _SAMPLED, measurands),
        Key("MeterValuesAlignedDataMaxLength", most),
        Key("MeterValuesSampledData", _SAMPLED, measurands),
        Key("MeterValuesSampledDataMaxLength", most),
        Key("MeterValueSampleInterval", str(sample), integer(*link.sample_range_s, zero=True)),
        Key("MinimumStatusDuration", "0", integer(0, 3600)),
        Key("NumberOfConnectors", "2"),
        Key("ResetRetries", "3", integer(0, 10)),
        Key("StopTransactionOnEVSideDisconnect", "true", boolean),
        Key("StopTransactionOnInvalidId", "true", boolean),
        Key("StopTxnAlignedData", "", final),
        Key("StopTxnAlignedDataMaxLength", most),
        Key("StopTxnSampledData", "", final),
        Key("StopTxnSampledDataMaxLength", most),
        Key("SupportedFeatureProfiles", ",".join(feature_profiles(link))),
        Key("SupportedFeatureProfilesMaxLength", str(len(FEATURE_PROFILES))),
        Key("TransactionMessageAttempts", "3", integer(1, 100)),
        Key("TransactionMessageRetryInterval", "60", integer(0, 86_400)),
        Key("UnlockConnectorOnEVSideDisconnect", "true", boolean),
        Key("WebSocketPingInterval", "30", integer(1, 3600, zero=True)),
    )


def _further(link: LinkConfig) -> tuple[Key, ...]:
    security = () if link.password_file is None else (Key("AuthorizationKey", "", authorization_key, secret=True),)
    return (
        # LocalAuthListManagement, Reservation, FirmwareManagement (9.2, 9.3)
        Key("LocalAuthListEnabled", "true", boolean),
        Key("LocalAuthListMaxLength", str(MAX_LIST)),
        Key("SendLocalListMaxLength", str(MAX_LIST_MESSAGE)),
        Key("ReserveConnectorZeroSupported", "true"),
        Key("SupportedFileTransferProtocols", "FTP,FTPS,HTTP,HTTPS"),
        # Security whitepaper (4.1)
        Key("AdditionalRootCertificateCheck", "false"),
        Key("CertificateSignedMaxChainSize", "10000"),
        Key("CertificateStoreMaxLength", str(MAX_CERTIFICATES)),
        Key("CpoName", "", short),
        Key("SecurityProfile", str(security_profile(link)), integer(0, 3)),
        *security,
        # Plug & Charge over 1.6 (OCA's paper, 4)
        Key("ISO15118PnCEnabled", "false", boolean),
        Key("CentralContractValidationAllowed", "false", boolean),
        Key("ContractValidationOffline", "false", boolean),
        Key("CertSigningWaitMinimum", "30", integer(1, 86_400)),
        Key("CertSigningRepeatTimes", "3", integer(0, 20)),
        # SmartCharging (9.4)
        Key("ChargeProfileMaxStackLevel", str(MAX_STACK_LEVEL)),
        Key("ChargingScheduleAllowedChargingRateUnit", "Current,Power"),
        Key("ChargingScheduleMaxPeriods", str(MAX_PERIODS)),
        Key("ConnectorSwitch3to1PhaseSupported", "false"),
        Key("MaxChargingProfilesInstalled", str(MAX_PROFILES)),
    )


@lru_cache(maxsize=16)
def _by_name(keys: tuple[Key, ...]) -> Mapping[str, Key]:
    """The same object for links of the same settings: 200 tables are some MB."""
    return {key.name.lower(): key for key in keys}


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


class Keys:
    """One link's values: first values, then the site's, then what the CSMS changed."""

    def __init__(self, link: LinkConfig, saved: Mapping[str, str], extra: Iterable[Key] = ()) -> None:
        self._table = _by_name((*table(link), *extra))
        self._values = {key.name: key.first for key in self._table.values()}
        self.refused: list[str] = []
        for source in (link.keys, saved):
            for name, value in source.items():
                self._preset(name, value)

    def _preset(self, name: str, value: str) -> None:
        key = self._table.get(name.lower())
        kept = key.check(value) if key and key.check else value if name in BY_MESSAGE else None
        if key is None or kept is None:
            self.refused.append(name)
        else:
            self._values[key.name] = kept

    def find(self, name: str) -> Key | None:
        """The setting of a name, whatever its case."""
        return self._table.get(name.lower())

    def key(self, name: str) -> Key | None:
        """The configuration key of 1.6, whatever its case."""
        found = self.find(name)
        return found if found and found.of_16 else None

    def all(self) -> tuple[Key, ...]:
        """Every configuration key of 1.6."""
        return tuple(key for key in self._table.values() if key.of_16)

    def shown(self, key: Key) -> str | None:
        """A value as it may be read; None = never."""
        return None if key.secret else self._values[key.name]

    def changed(self, name: str) -> bool:
        """Is it another than the product's own?"""
        return self._values[name] != self._table[name.lower()].first

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
        return _words(self._values[name])

    def put(self, name: str, value: str) -> None:
        """Set what only another message than a change of settings may (MonitoringLevel)."""
        self._values[name] = value

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
