"""What we tell of the DER: DERCapability, DERSettings, DERStatus, DERAvailability."""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import AUS, HEX8, HEX32, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.values import Scaled


@record("DERCapability")
class DerCapability:
    """Nameplate ratings of the battery inverter (SEP2-7)."""

    href: str | None = attr("href", TEXT, default=None)
    modes_supported: int = el("modesSupported", HEX32)
    max_charge_rate: Scaled | None = el("rtgMaxChargeRateW", of(Scaled), default=None)
    max_discharge_rate: Scaled | None = el("rtgMaxDischargeRateW", of(Scaled), default=None)
    max_va: Scaled | None = el("rtgMaxVA", of(Scaled), default=None)
    max_var: Scaled | None = el("rtgMaxVar", of(Scaled), default=None)
    max_w: Scaled = el("rtgMaxW", of(Scaled))
    max_wh: Scaled | None = el("rtgMaxWh", of(Scaled), default=None)
    type: int = el("type", INT)
    doe_modes_supported: int | None = el("doeModesSupported", HEX8, ns=AUS, default=None)


@record("DERSettings")
class DerSettings:
    """Settings in force (SEP2-8)."""

    href: str | None = attr("href", TEXT, default=None)
    modes_enabled: int | None = el("modesEnabled", HEX32, default=None)
    es_delay: int | None = el("setESDelay", INT, default=None)
    es_high_freq: int | None = el("setESHighFreq", INT, default=None)
    es_high_volt: int | None = el("setESHighVolt", INT, default=None)
    es_low_freq: int | None = el("setESLowFreq", INT, default=None)
    es_low_volt: int | None = el("setESLowVolt", INT, default=None)
    es_ramp_tms: int | None = el("setESRampTms", INT, default=None)
    es_random_delay: int | None = el("setESRandomDelay", INT, default=None)
    grad_w: int = el("setGradW", INT)
    max_charge_rate: Scaled | None = el("setMaxChargeRateW", of(Scaled), default=None)
    max_discharge_rate: Scaled | None = el("setMaxDischargeRateW", of(Scaled), default=None)
    max_va: Scaled | None = el("setMaxVA", of(Scaled), default=None)
    max_var: Scaled | None = el("setMaxVar", of(Scaled), default=None)
    max_w: Scaled = el("setMaxW", of(Scaled))
    max_wh: Scaled | None = el("setMaxWh", of(Scaled), default=None)
    soft_grad_w: int | None = el("setSoftGradW", INT, default=None)
    updated_s: int = el("updatedTime", INT)
    doe_modes_enabled: int | None = el("doeModesEnabled", HEX8, ns=AUS, default=None)


@record()
class Stated:
    """A state and since when."""

    at_s: int = el("dateTime", INT)
    value: int = el("value", INT)


@record()
class StatedBits:
    """Connection state: bit 0 connected, 1 available, 2 operating, 3 test, 4 fault."""

    at_s: int = el("dateTime", INT)
    value: int = el("value", HEX8)


@record("DERStatus")
class DerStatus:
    """Once a minute (SEP2-6). stateOfChargeStatus counts hundredths of a percent."""

    href: str | None = attr("href", TEXT, default=None)
    alarms: int | None = el("alarmStatus", HEX32, default=None)
    generator_connect: StatedBits | None = el("genConnectStatus", of(StatedBits), default=None)
    inverter: Stated | None = el("inverterStatus", of(Stated), default=None)
    local_control: Stated | None = el("localControlModeStatus", of(Stated), default=None)
    operational_mode: Stated | None = el("operationalModeStatus", of(Stated), default=None)
    reading_s: int = el("readingTime", INT)
    soc: Stated | None = el("stateOfChargeStatus", of(Stated), default=None)
    storage_mode: Stated | None = el("storageModeStatus", of(Stated), default=None)
    storage_connect: StatedBits | None = el("storConnectStatus", of(StatedBits), default=None)


@record("DERAvailability")
class DerAvailability:
    """How long and how much is left. Durations in s, percentages in hundredths."""

    href: str | None = attr("href", TEXT, default=None)
    discharge_s: int | None = el("availabilityDuration", INT, default=None)
    charge_s: int | None = el("maxChargeDuration", INT, default=None)
    reading_s: int = el("readingTime", INT)
    reserve_charge: int | None = el("reserveChargePercent", INT, default=None)
    reserve: int | None = el("reservePercent", INT, default=None)
    available_w: Scaled | None = el("statWAvail", of(Scaled), default=None)
