"""Settings that 2.0.1 has and 1.6 has not, under their names Component.Variable (2.0.1 part 2, appendix 3: referenced components)."""

from __future__ import annotations

from bessctl.protocols.ocpp.config import LinkConfig
from bessctl.protocols.ocpp.session import txpoints
from bessctl.protocols.ocpp.session.keys import MEASURANDS, Key, boolean, integer, members, short

MONITORING_BASES = ("All", "FactoryDefault", "HardWiredOnly")
SLOTS = (1, 2, 3)
"""Network profiles that a CSMS may set; slot 1 is the site's own and stays."""


def priority(text: str) -> str | None:
    """A list of network slots, each at most once."""
    words = [w.strip() for w in text.split(",") if w.strip()]
    known = {str(slot) for slot in SLOTS}
    return ",".join(words) if words and set(words) <= known and len(set(words)) == len(words) else None


def password(text: str) -> str | None:
    """BasicAuthPassword (A00.FR.205): 16 to 40 printable characters."""
    return text if 16 <= len(text) <= 40 and text.isprintable() and text.isascii() else None


def group(text: str) -> str | None:
    """An IdToken's 36 characters at most; empty = none."""
    return text if len(text) <= 36 else None


def table(link: LinkConfig) -> tuple[Key, ...]:
    """Every setting of 2.0.1 alone."""
    measurands = members(MEASURANDS, len(MEASURANDS))
    back_off = link.back_off
    secret = () if link.password_file is None else (Key("SecurityCtrlr.BasicAuthPassword", "", password, secret=True),)
    return (
        Key("AlignedDataCtrlr.Enabled", "true", boolean),
        Key("AlignedDataCtrlr.SendDuringIdle", "true", boolean),
        Key("AlignedDataCtrlr.TxEndedInterval", "900", integer(1, 86_400, zero=True)),
        Key("AuthCtrlr.MasterPassGroupId", "", group),
        Key("DisplayMessageCtrlr.Enabled", "true", boolean),
        Key("MonitoringCtrlr.Enabled", "true", boolean),
        Key("MonitoringCtrlr.MonitoringBase", "All"),
        Key("MonitoringCtrlr.MonitoringLevel", "9"),
        Key("OCPPCommCtrlr.NetworkConfigurationPriority", "1", priority),
        Key("OCPPCommCtrlr.NetworkProfileConnectionAttempts", "3", integer(1, 100)),
        Key("OCPPCommCtrlr.OfflineThreshold", "60", integer(0, 86_400)),
        Key("OCPPCommCtrlr.RetryBackOffRandomRange", str(round(back_off.random_range_s)), integer(0, 3600)),
        Key("OCPPCommCtrlr.RetryBackOffRepeatTimes", str(back_off.repeat_times), integer(0, 20)),
        Key("OCPPCommCtrlr.RetryBackOffWaitMinimum", str(round(back_off.minimum_s)), integer(1, 3600)),
        Key("ReservationCtrlr.Enabled", "true", boolean),
        Key("SampledDataCtrlr.Enabled", "true", boolean),
        Key("SampledDataCtrlr.TxEndedInterval", "0", integer(1, 86_400, zero=True)),
        Key("SampledDataCtrlr.TxStartedMeasurands", ",".join(MEASURANDS), measurands),
        Key("SmartChargingCtrlr.LimitChangeSignificance", "1.0"),
        Key("TariffCostCtrlr.TotalCostFallbackMessage", "The cost will be known later", short),
        Key(txpoints.START, txpoints.CLOSED, txpoints.check(txpoints.START, link)),
        Key(txpoints.STOP, txpoints.CLOSED, txpoints.check(txpoints.STOP, link)),
        *secret,
    )
