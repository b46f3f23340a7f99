"""Configuration keys: type, range, accessibility, persistence (OCPP-11, OCPP-16)."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import Any

import pytest

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.config import LinkConfig, Role, StationConfig
from bessctl.protocols.ocpp.session import keys
from tests.protocols.ocpp.sansio import LINK, Talk, saved_after, with_keys


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "30", "Accepted"),
        ("HeartbeatInterval", "3600", "Accepted"),
        ("HeartbeatInterval", "29", "Rejected"),
        ("HeartbeatInterval", "3601", "Rejected"),
        ("HeartbeatInterval", "0", "Rejected"),
        ("HeartbeatInterval", "-60", "Rejected"),
        ("HeartbeatInterval", "60.0", "Rejected"),
        ("HeartbeatInterval", "", "Rejected"),
        ("HeartbeatInterval", "٣٠٠", "Rejected"),
        ("HeartbeatInterval", "9" * 400, "Rejected"),
        ("heartbeatinterval", "60", "Accepted"),
        ("MeterValueSampleInterval", "1", "Accepted"),
        ("MeterValueSampleInterval", "300", "Accepted"),
        ("MeterValueSampleInterval", "301", "Rejected"),
        ("MeterValueSampleInterval", "0", "Accepted"),
        ("ClockAlignedDataInterval", "900", "Accepted"),
        ("AuthorizeRemoteTxRequests", "TRUE", "Accepted"),
        ("AuthorizeRemoteTxRequests", "yes", "Rejected"),
        ("MeterValuesSampledData", "SoC,Voltage", "Accepted"),
        ("MeterValuesSampledData", "", "Accepted"),
        ("MeterValuesSampledData", "SoC,RPM", "Rejected"),
        ("MeterValuesSampledData", "SoC,SoC", "Rejected"),
        ("StopTxnSampledData", "Frequency", "Rejected"),
        ("NumberOfConnectors", "3", "Rejected"),
        ("SupportedFeatureProfiles", "Core", "Rejected"),
        ("NoSuchKey", "1", "NotSupported"),
        ("AuthorizationKey", "00", "NotSupported"),
    ],
)
def test_changes(key: str, value: str, status: str) -> None:
    """OCPP-11, settled 13: out of range = Rejected, read-only = Rejected, unknown = NotSupported."""
    assert Talk().booted().call("ChangeConfiguration", {"key": key, "value": value}) == {"status": status}


def test_ranges_are_site_configuration() -> None:
    """A harness may open them."""
    talk = Talk(replace(LINK, heartbeat_range_s=(1, 10), sample_range_s=(5, 6))).booted()
    assert talk.call("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "1"}) == {"status": "Accepted"}
    assert talk.call("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "7"}) == {"status": "Rejected"}


def test_changes_survive_a_restart() -> None:
    talk = Talk(with_keys(MeterValueSampleInterval="5")).booted()
    talk.call("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "33"})
    again = talk.restarted().booted()
    answer = again.call("GetConfiguration", {"key": ["MeterValueSampleInterval", "Nonsense"]})
    assert answer == {
        "configurationKey": [{"key": "MeterValueSampleInterval", "readonly": False, "value": "33"}],
        "unknownKey": ["Nonsense"],
    }


EVERY_MEASURAND = ",".join(keys.MEASURANDS)
NO_FREQUENCY = ",".join(m for m in keys.MEASURANDS if m != "Frequency")
NUMBERS = ("", "x", "1.5", "-1", "0x10", "9" * 12)
BOOLEANS = ("", "yes", "1", "tru")
LISTS = ("RPM", "SoC,SoC", "SoC;Voltage")


def whole(lo: int, hi: int, *, zero: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is taken of a number, and what is not."""
    below = () if zero and lo == 1 else (str(lo - 1),)
    return ((str(lo), str(hi), *(("0",) if zero else ())), (*below, str(hi + 1), *NUMBERS))


FLAG = (("true", "false"), BOOLEANS)
# Key, what it is after a first start, what is taken and what is refused; None = read-only, whatever the value.
# Types and accessibility as in 1.6 section 9 and, after the line, in the security whitepaper 4.1 and the paper on Plug & Charge 4.
EVERY_KEY: tuple[tuple[str, str, tuple[tuple[str, ...], tuple[str, ...]] | None], ...] = (
    ("AllowOfflineTxForUnknownId", "false", FLAG),
    ("AuthorizationCacheEnabled", "true", FLAG),
    ("AuthorizeRemoteTxRequests", "false", FLAG),
    ("ClockAlignedDataInterval", "0", whole(1, 86_400, zero=True)),
    ("ConnectionTimeOut", "60", whole(0, 86_400)),
    (
        "ConnectorPhaseRotation",
        "0.RST,1.RST,2.RST",
        (("1.RTS", "0.Unknown,1.NotApplicable,2.TSR", ""), ("RST", "3.RST", "1.RSS", "1.RST,1.RTS", "1.rst")),
    ),
    ("ConnectorPhaseRotationMaxLength", "3", None),
    ("GetConfigurationMaxKeys", "100", None),
    ("HeartbeatInterval", "300", whole(30, 3600)),
    ("LocalAuthorizeOffline", "true", FLAG),
    ("LocalPreAuthorize", "false", FLAG),
    ("MaxEnergyOnInvalidId", "0", whole(0, 10_000_000)),
    ("MeterValuesAlignedData", EVERY_MEASURAND, (("SoC,Voltage", EVERY_MEASURAND, ""), LISTS)),
    ("MeterValuesAlignedDataMaxLength", "11", None),
    ("MeterValuesSampledData", EVERY_MEASURAND, (("SoC,Voltage", EVERY_MEASURAND, ""), LISTS)),
    ("MeterValuesSampledDataMaxLength", "11", None),
    ("MeterValueSampleInterval", "60", whole(1, 300, zero=True)),
    ("MinimumStatusDuration", "0", whole(0, 3600)),
    ("NumberOfConnectors", "2", None),
    ("ResetRetries", "3", whole(0, 10)),
    ("StopTransactionOnEVSideDisconnect", "true", FLAG),
    ("StopTransactionOnInvalidId", "true", FLAG),
    ("StopTxnAlignedData", "", (("SoC", NO_FREQUENCY, ""), (*LISTS, "Frequency"))),
    ("StopTxnAlignedDataMaxLength", "11", None),
    ("StopTxnSampledData", "", (("SoC", NO_FREQUENCY, ""), (*LISTS, "Frequency"))),
    ("StopTxnSampledDataMaxLength", "11", None),
    ("SupportedFeatureProfiles", "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger", None),
    ("SupportedFeatureProfilesMaxLength", "6", None),
    ("TransactionMessageAttempts", "3", whole(1, 100)),
    ("TransactionMessageRetryInterval", "60", whole(0, 86_400)),
    ("UnlockConnectorOnEVSideDisconnect", "true", FLAG),
    ("WebSocketPingInterval", "30", whole(1, 3600, zero=True)),
    ("LocalAuthListEnabled", "true", FLAG),
    ("LocalAuthListMaxLength", "5000", None),
    ("SendLocalListMaxLength", "500", None),
    ("ReserveConnectorZeroSupported", "true", None),
    ("ChargeProfileMaxStackLevel", "10", None),
    ("ChargingScheduleAllowedChargingRateUnit", "Current,Power", None),
    ("ChargingScheduleMaxPeriods", "96", None),
    ("ConnectorSwitch3to1PhaseSupported", "false", None),
    ("MaxChargingProfilesInstalled", "20", None),
    ("SupportedFileTransferProtocols", "FTP,FTPS,HTTP,HTTPS", None),
    # ---
    ("AdditionalRootCertificateCheck", "false", None),
    ("CertificateSignedMaxChainSize", "10000", None),
    ("CertificateStoreMaxLength", "20", None),
    ("CpoName", "", (("Acme Energy", ""), ("x" * 256,))),
    # Upward alone, where the station has what it takes: `files.the_security_profile_goes_up_alone`.
    ("SecurityProfile", "2", ((), ("1", "0", "3", "4", *NUMBERS))),
    ("ISO15118PnCEnabled", "false", FLAG),
    ("CentralContractValidationAllowed", "false", FLAG),
    ("ContractValidationOffline", "false", FLAG),
    ("CertSigningWaitMinimum", "30", whole(1, 86_400)),
    ("CertSigningRepeatTimes", "3", whole(0, 20)),
)


def change(talk: Talk, key: str, value: str) -> str:
    return str(talk.call("ChangeConfiguration", {"key": key, "value": value})["status"])


def shown(talk: Talk, key: str) -> dict[str, Any]:
    answer = talk.call("GetConfiguration", {"key": [key]})
    assert answer.get("unknownKey", []) == []
    return dict(answer["configurationKey"][0])


def owner() -> Talk:
    return Talk(replace(LINK, role=Role.OWNER)).booted()


def test_the_table_is_every_key_there_is() -> None:
    """Both ways: what is served is in the table, what is in the table is served, as it says."""
    served = owner().call("GetConfiguration", {})["configurationKey"]
    assert sorted(served, key=itemgetter("key")) == sorted(
        ({"key": name, "readonly": taken is None, "value": first} for name, first, taken in EVERY_KEY), key=itemgetter("key")
    )


@pytest.mark.parametrize(("key", "first", "values"), EVERY_KEY, ids=[row[0] for row in EVERY_KEY])
def test_every_key(key: str, first: str, values: tuple[tuple[str, ...], tuple[str, ...]] | None) -> None:
    """OCPP-11, settled 13: type, range, accessibility; what ChangeConfiguration answers, and that what is refused changes nothing."""
    talk = owner()
    taken, refused = values or ((), (first, "", "1", "true", "Core"))
    for value in refused:
        assert change(talk, key, value) == "Rejected", value
        assert shown(talk, key)["value"] == first, value
    for value in taken:
        assert change(talk, key.upper(), value) == "Accepted", value
        assert shown(talk, key) == {"key": key, "readonly": False, "value": value}
        assert saved_after(talk.writes).keys[key] == value


def test_a_key_that_is_none() -> None:
    talk = owner()
    assert change(talk, "NoSuchKey", "1") == "NotSupported"
    assert change(talk, "AuthorizationKey", "00" * 20) == "NotSupported", "there is none where the link has no password file"
    assert talk.call("GetConfiguration", {"key": ["NoSuchKey"]})["unknownKey"] == ["NoSuchKey"]


@pytest.mark.parametrize(
    ("changes", "claimed"),
    [({"role": Role.OWNER}, True), ({"role": Role.OPERATOR}, False), ({"role": Role.OWNER, "installs_firmware": False}, False)],
)
def test_what_is_not_served_is_not_claimed(changes: dict[str, Any], claimed: bool) -> None:
    """Settled 15: firmware only where this CSMS may send it and the site has a way to install it."""
    profiles = shown(Talk(replace(LINK, **changes)).booted(), "SupportedFeatureProfiles")["value"].split(",")
    assert ("FirmwareManagement" in profiles) is claimed
    assert {"Core", "SmartCharging", "LocalAuthListManagement", "Reservation", "RemoteTrigger"} <= set(profiles)


@pytest.mark.parametrize(("unlocks", "status"), [("true", "Available"), ("false", "Finishing")])
def test_a_cable_that_stays_locked_at_our_side(unlocks: str, status: str) -> None:
    """UnlockConnectorOnEVSideDisconnect: false leaves it there until UnlockConnector."""
    talk = Talk(replace(with_keys(UnlockConnectorOnEVSideDisconnect=unlocks), armed_by_hand=True)).booted()
    talk.hand("plug_in", connector=1)
    talk.hand("swipe", token="T", connectors=(1,))
    talk.hand("plug_out", connector=1)
    assert talk.of("StopTransaction")[0]["reason"] == "EVDisconnected"
    assert [p["status"] for p in talk.of("StatusNotification") if p["connectorId"] == 1][-1] == status
    assert talk.call("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
    assert [p["status"] for p in talk.of("StatusNotification") if p["connectorId"] == 1][-1] == "Available"


def test_data_transfer_and_cache() -> None:
    talk = Talk().booted()
    assert talk.call("DataTransfer", {"vendorId": "acme"}) == {"status": "UnknownVendorId"}
    assert talk.call("DataTransfer", {"vendorId": "bessctl", "messageId": "x"}) == {"status": "UnknownMessageId"}
    for name, value in (
        ("DSTO.SocEffWhPct", "55.0"),
        ("DSTO.EffWhPct", "98.0"),
        ("DSTO.SocWh", "275000.0"),
        ("SBAT.CelTmpMax", "24.5"),
        ("DSTO.AvlDschW", "200000.0"),
        ("DSTO.AvlChaW", "200000.0"),
    ):
        assert talk.call("DataTransfer", {"vendorId": "bessctl", "messageId": name}) == {"status": "Accepted", "data": value}
    assert talk.call("ClearCache", {}) == {"status": "Accepted"}


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://x"},
        {"url": "ws://x"},
        {"charge_point_id": ""},
        {"charge_point_id": "a:b"},
        {"version": ()},
        {"lease_s": 0.0},
        {"password_encoding": "rot13"},
        {"heartbeat_range_s": (10, 1)},
    ],
)
def test_a_link_that_cannot_be_is_refused_by_name(given: dict[str, object]) -> None:
    """OCPP-2: ws:// only where allow_plain is set."""
    with pytest.raises(UsageError, match="ocpp link cpo"):
        replace(LINK, **given)  # type: ignore[arg-type]
    assert LinkConfig("cpo", "ws://x", "B", allow_plain=True)
    with pytest.raises(UsageError, match="same name"):
        StationConfig((LINK, LINK))
