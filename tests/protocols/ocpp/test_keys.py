"""Configuration keys: type, range, accessibility, persistence (OCPP-11, OCPP-16)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.config import LinkConfig, StationConfig
from tests.protocols.ocpp.sansio import LINK, Talk, with_keys


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


def test_all_keys_are_listed() -> None:
    keys = {k["key"]: k["readonly"] for k in Talk().booted().call("GetConfiguration", {})["configurationKey"]}
    assert len(keys) == 52
    assert keys["NumberOfConnectors"]
    assert not keys["HeartbeatInterval"]


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
