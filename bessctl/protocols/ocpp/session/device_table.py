"""The device model as a table (2.0.1 part 2, appendix 3): every component and variable of the station, and where its value lives.

A value is a constant, a setting (`keys`, `settings`), or live: a function of the plant, named in `variables`.
What a battery has and an EVSE has not are components of our own, with IEC 61850-7-420 names (model/points.py; OCPP-8, OCPP-20, OCPP-21).
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.model import points
from bessctl.protocols.ocpp.messages.device import Component, Place
from bessctl.protocols.ocpp.session.keys import MAX_CERTIFICATES, MAX_LIST, MAX_PROFILES

MAX_ITEMS = 50
CURRENCY = "EUR"
BYTES = 65_536
VALUE_SIZE = 1000
REPORT_SIZE = 2500


@dataclass(frozen=True, slots=True)
class Spec:
    """One variable.

    `limits` as the standard's minLimit and maxLimit, of a setting those of its own range; `link_max`: the most is what the link may have;
    `monitored`: it may have monitors. `key`, `live` or `value` says where it lives."""

    place: Place
    kind: str = "string"
    key: str = ""
    live: str = ""
    value: str = ""
    unit: str = ""
    limits: tuple[float | None, float | None] = (None, None)
    words: str = ""
    monitored: bool = False
    link_max: bool = False
    reboot: bool = False
    """A change needs a new connection to have its effect."""


def _of(component: str, *rows: Spec, evse: int | None = None) -> tuple[Spec, ...]:
    """Rows written with a bare variable name belong to the component."""
    place = Component(component, None, evse, 1 if component == "Connector" else None)
    return tuple(_placed(row, place) for row in rows)


def _placed(row: Spec, component: Component) -> Spec:
    return Spec(
        Place(component, row.place.variable, row.place.instance),
        row.kind,
        row.key,
        row.live,
        row.value,
        row.unit,
        row.limits,
        row.words,
        row.monitored,
        row.link_max,
        row.reboot,
    )


def _v(name: str, kind: str = "string", instance: str | None = None, **rest: object) -> Spec:
    return Spec(Place(Component(""), name, instance), kind, **rest)  # type: ignore[arg-type]


def _fixed(name: str, value: object, instance: str | None = None) -> Spec:
    kind = "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "string"
    return _v(name, kind, instance, value=str(value).lower() if isinstance(value, bool) else str(value))


def _sizes(*messages: str) -> tuple[Spec, ...]:
    return tuple(s for m in messages for s in (_fixed("ItemsPerMessage", MAX_ITEMS, m), _fixed("BytesPerMessage", BYTES, m)))


STATES = "Available,Occupied,Reserved,Unavailable,Faulted"


def _point(name: str, live: str, limits: tuple[float | None, float | None] = (None, None)) -> Spec:
    """A data point of the plant under its name of IEC 61850."""
    point = next(p for p in points.TABLE if p.name == name)
    place = Place(Component(point.component), point.variable)
    return Spec(place, "decimal" if point.unit else "string", live=live, unit=point.unit, limits=limits, monitored=True)


PLANT: tuple[Spec, ...] = (
    _point("DSTO.SocEffWhPct", "soc", (0, 100)),
    _point("DSTO.EffWhPct", "soh", (0, 100)),
    _point("DSTO.SocWh", "available_wh"),
    _point("DSTO.AvlDschW", "discharge_w"),
    _point("DSTO.AvlChaW", "charge_w"),
    _point("SBAT.CelTmpMax", "temperature"),
    _point("MMXU.PhV", "voltage"),
    _point("MMXU.Hz", "frequency"),
    _point("MMXU.TotW", "plant_w"),
    _point("CALH.GrAlm", "alarm"),
)
STATION: tuple[Spec, ...] = (
    *_of(
        "AlignedDataCtrlr",
        _v("Enabled", "boolean", key="AlignedDataCtrlr.Enabled"),
        _fixed("Available", True),
        _v("Interval", "integer", key="ClockAlignedDataInterval", unit="s"),
        _v("Measurands", "MemberList", key="MeterValuesAlignedData"),
        _v("SendDuringIdle", "boolean", key="AlignedDataCtrlr.SendDuringIdle"),
        _v("TxEndedInterval", "integer", key="AlignedDataCtrlr.TxEndedInterval", unit="s"),
        _v("TxEndedMeasurands", "MemberList", key="StopTxnAlignedData"),
    ),
    *_of("AuthCacheCtrlr", _v("Enabled", "boolean", key="AuthorizationCacheEnabled"), _fixed("Available", True)),
    *_of(
        "AuthCtrlr",
        _fixed("Enabled", True),
        _v("AuthorizeRemoteStart", "boolean", key="AuthorizeRemoteTxRequests"),
        _v("LocalAuthorizeOffline", "boolean", key="LocalAuthorizeOffline"),
        _v("LocalPreAuthorize", "boolean", key="LocalPreAuthorize"),
        _v("MasterPassGroupId", key="AuthCtrlr.MasterPassGroupId"),
        _v("OfflineTxForUnknownIdEnabled", "boolean", key="AllowOfflineTxForUnknownId"),
    ),
    *_of(
        "ChargingStation",
        _v("AvailabilityState", "OptionList", live="state", words=STATES, monitored=True),
        _v("Available", "boolean", live="operative"),
        _v("Problem", "boolean", live="problem", monitored=True),
        _v("Model", live="model"),
        _v("VendorName", live="vendor"),
        _v("SerialNumber", live="serial"),
        _v("FirmwareVersion", live="firmware"),
        _fixed("SupplyPhases", 3),
        _fixed("AllowNewSessionsPendingFirmwareUpdate", True),
    ),
    *_of(
        "ClockCtrlr",
        _v("DateTime", "dateTime", live="date"),
        _v("TimeSource", "SequenceList", value="NTP,Heartbeat", words="NTP,Heartbeat"),
    ),
    *_of(
        "DeviceDataCtrlr",
        *_sizes("GetReport", "GetVariables", "SetVariables"),
        _fixed("ConfigurationValueSize", VALUE_SIZE),
        _fixed("ReportingValueSize", REPORT_SIZE),
        _fixed("ValueSize", REPORT_SIZE),
    ),
    *_of(
        "DisplayMessageCtrlr",
        _v("Enabled", "boolean", key="DisplayMessageCtrlr.Enabled"),
        _fixed("Available", True),
        _v("DisplayMessages", "integer", live="displays", limits=(0, 50)),
        _fixed("SupportedFormats", "ASCII,UTF8"),
        _fixed("SupportedPriorities", "AlwaysFront,InFront,NormalCycle"),
    ),
    *_of(
        "ISO15118Ctrlr",
        _v("PnCEnabled", "boolean", key="ISO15118PnCEnabled"),
        _v("CentralContractValidationAllowed", "boolean", key="CentralContractValidationAllowed"),
        _v("ContractValidationOffline", "boolean", key="ContractValidationOffline"),
        _fixed("V2GCertificateInstallationEnabled", True),
        _fixed("ContractCertificateInstallationEnabled", False),
    ),
    *_of(
        "LocalAuthListCtrlr",
        _v("Enabled", "boolean", key="LocalAuthListEnabled"),
        _fixed("Available", True),
        _v("Entries", "integer", live="list_entries", limits=(0, MAX_LIST)),
        _v("ItemsPerMessage", "integer", key="SendLocalListMaxLength"),
        _fixed("BytesPerMessage", 262_144),
    ),
    *_of(
        "MonitoringCtrlr",
        _v("Enabled", "boolean", key="MonitoringCtrlr.Enabled"),
        _fixed("Available", True),
        *_sizes("SetVariableMonitoring", "ClearVariableMonitoring"),
        _v("MonitoringBase", "OptionList", key="MonitoringCtrlr.MonitoringBase", words="All,FactoryDefault,HardWiredOnly"),
        _v("MonitoringLevel", "integer", key="MonitoringCtrlr.MonitoringLevel", limits=(0, 9)),
        _v("ActiveMonitoringBase", "OptionList", key="MonitoringCtrlr.MonitoringBase", words="All,FactoryDefault,HardWiredOnly"),
        _v("ActiveMonitoringLevel", "integer", key="MonitoringCtrlr.MonitoringLevel", limits=(0, 9)),
    ),
    *_of(
        "OCPPCommCtrlr",
        _v("ActiveNetworkProfile", "integer", live="network"),
        _fixed("FieldLength", 512, "Get15118EVCertificate.exiResponse"),
        _v("FileTransferProtocols", "MemberList", key="SupportedFileTransferProtocols"),
        _v("HeartbeatInterval", "integer", key="HeartbeatInterval", unit="s"),
        _v("MessageAttempts", "integer", "TransactionEvent", key="TransactionMessageAttempts"),
        _v("MessageAttemptInterval", "integer", "TransactionEvent", key="TransactionMessageRetryInterval", unit="s"),
        _v("MessageTimeout", "integer", "Default", live="call_timeout", unit="s"),
        _v("NetworkConfigurationPriority", "SequenceList", key="OCPPCommCtrlr.NetworkConfigurationPriority", words="1,2,3"),
        _v("NetworkProfileConnectionAttempts", "integer", key="OCPPCommCtrlr.NetworkProfileConnectionAttempts"),
        _v("OfflineThreshold", "integer", key="OCPPCommCtrlr.OfflineThreshold", unit="s"),
        _fixed("QueueAllMessages", True),
        _v("ResetRetries", "integer", key="ResetRetries"),
        _v("RetryBackOffRandomRange", "integer", key="OCPPCommCtrlr.RetryBackOffRandomRange", unit="s"),
        _v("RetryBackOffRepeatTimes", "integer", key="OCPPCommCtrlr.RetryBackOffRepeatTimes"),
        _v("RetryBackOffWaitMinimum", "integer", key="OCPPCommCtrlr.RetryBackOffWaitMinimum", unit="s"),
        _fixed("UnlockOnEVSideDisconnect", False),
        _v("WebSocketPingInterval", "integer", key="WebSocketPingInterval", unit="s"),
    ),
    *_of(
        "ReservationCtrlr",
        _v("Enabled", "boolean", key="ReservationCtrlr.Enabled"),
        _fixed("Available", True),
        _fixed("NonEvseSpecific", True),
    ),
    *_of(
        "SampledDataCtrlr",
        _v("Enabled", "boolean", key="SampledDataCtrlr.Enabled"),
        _fixed("Available", True),
        _v("TxEndedMeasurands", "MemberList", key="StopTxnSampledData"),
        _v("TxEndedInterval", "integer", key="SampledDataCtrlr.TxEndedInterval", unit="s"),
        _v("TxStartedMeasurands", "MemberList", key="SampledDataCtrlr.TxStartedMeasurands"),
        _v("TxUpdatedInterval", "integer", key="MeterValueSampleInterval", unit="s"),
        _v("TxUpdatedMeasurands", "MemberList", key="MeterValuesSampledData"),
    ),
    *_of(
        "SecurityCtrlr",
        _v("BasicAuthPassword", key="SecurityCtrlr.BasicAuthPassword"),
        _v("Identity", live="identity"),
        _v("OrganizationName", key="CpoName"),
        _v("SecurityProfile", "integer", live="security_profile"),
        _fixed("AdditionalRootCertificateCheck", False),
        _v("CertificateEntries", "integer", live="certificates", limits=(0, MAX_CERTIFICATES)),
        _v("MaxCertificateChainSize", "integer", key="CertificateSignedMaxChainSize"),
        _v("CertSigningWaitMinimum", "integer", key="CertSigningWaitMinimum", unit="s"),
        _v("CertSigningRepeatTimes", "integer", key="CertSigningRepeatTimes"),
    ),
    *_of(
        "SmartChargingCtrlr",
        _fixed("Enabled", True),
        _fixed("Available", True),
        _v("Entries", "integer", "ChargingProfiles", live="profiles", limits=(0, MAX_PROFILES)),
        _v("ProfileStackLevel", "integer", key="ChargeProfileMaxStackLevel"),
        _v("PeriodsPerSchedule", "integer", key="ChargingScheduleMaxPeriods"),
        _fixed("RateUnit", "A,W"),
        _fixed("Phases3to1", False),
        _fixed("ACPhaseSwitchingSupported", False),
        _fixed("ExternalControlSignalsEnabled", True),
        _fixed("NotifyChargingLimitWithSchedules", True),
        _v("LimitChangeSignificance", "decimal", key="SmartChargingCtrlr.LimitChangeSignificance", unit="Percent"),
    ),
    *_of(
        "TariffCostCtrlr",
        _fixed("Available", False, "Tariff"),
        _fixed("Available", True, "Cost"),
        _fixed("Enabled", True, "Cost"),
        _fixed("Currency", CURRENCY),
        _v("TotalCostFallbackMessage", key="TariffCostCtrlr.TotalCostFallbackMessage"),
    ),
    *_of(
        "TxCtrlr",
        _v("ChargingTime", "integer", live="charging_time", unit="s"),
        _v("EVConnectionTimeOut", "integer", key="ConnectionTimeOut", unit="s"),
        _v("MaxEnergyOnInvalidId", "integer", key="MaxEnergyOnInvalidId", unit="Wh"),
        _v("StopTxOnEVSideDisconnect", "boolean", key="StopTransactionOnEVSideDisconnect"),
        _v("StopTxOnInvalidId", "boolean", key="StopTransactionOnInvalidId"),
        _fixed("TxBeforeAcceptedEnabled", False),
        _v("TxStartPoint", "MemberList", key="TxCtrlr.TxStartPoint", words="Authorized,EVConnected,PowerPathClosed"),
        _v("TxStopPoint", "MemberList", key="TxCtrlr.TxStopPoint", words="Authorized,EVConnected,PowerPathClosed"),
    ),
)


def _evse(n: int) -> tuple[Spec, ...]:
    return (
        *_of(
            "EVSE",
            _v("AvailabilityState", "OptionList", live="state", words=STATES, monitored=True),
            _v("Available", "boolean", live="operative"),
            _v("Power", "decimal", live="power", unit="W", limits=(0, None), monitored=True, link_max=True),
            _v("OfferedPower", "decimal", live="offered", unit="W", monitored=True),
            _fixed("SupplyPhases", 3),
            _fixed("AllowReset", False),
            evse=n,
        ),
        *_of(
            "Connector",
            _v("AvailabilityState", "OptionList", live="state", words=STATES, monitored=True),
            _v("Available", "boolean", live="operative"),
            _fixed("ConnectorType", "Undetermined"),
            _fixed("SupplyPhases", 3),
            evse=n,
        ),
    )


TABLE: tuple[Spec, ...] = (*STATION, *PLANT, *_evse(1), *_evse(2))
BY_KEY = {spec.place.key(): spec for spec in TABLE}
COMPONENTS = {spec.place.key()[:4] for spec in TABLE}
