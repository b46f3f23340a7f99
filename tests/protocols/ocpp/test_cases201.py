"""Use cases of 2.0.1 whose rules are those of 1.6, played in 2.0.1's messages (OCPP-3, OCPP-15, OCPP-19)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.session import writes as w
from tests.protocols.ocpp.sansio import Talk, boot, saved_after
from tests.protocols.ocpp.test_v201 import NEW, TOKEN, events, profile201, started, talk201, tx_of

DEFAULT = {"chargingProfilePurpose": "TxDefaultProfile"}


def wanted_w(talk: Talk) -> float | None:
    demand = talk.station.demand(talk.now)
    return None if demand is None else demand.wanted[0].watts


def test_a_rejected_boot_is_silence() -> None:
    """B03."""
    talk = Talk(NEW, version="2.0.1")
    talk.replies["BootNotification"] = lambda p: boot("Rejected", 120)
    talk.connect()
    assert talk.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})[0] == "SecurityError"
    talk.pass_time(119)
    assert talk.actions() == ["BootNotification"]
    talk.pass_time(2)
    assert talk.actions() == ["BootNotification"] * 2


@pytest.mark.parametrize(("asked", "used"), [(0, 300), (1, 30), (60, 60), (86_400, 3600)])
def test_heartbeats(asked: int, used: int) -> None:
    """G02: the interval of the boot's answer, within the site's range; the device model shows it."""
    talk = Talk(NEW, version="2.0.1")
    talk.replies["BootNotification"] = lambda p: boot(interval=asked)
    talk.booted()
    talk.pass_time(used - 0.5)
    assert talk.of("Heartbeat") == []
    talk.pass_time(1)
    assert len(talk.of("Heartbeat")) == 1
    place = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    assert talk.call("GetVariables", {"getVariableData": [place]})["getVariableResult"][0]["attributeValue"] == str(used)


def test_a_local_id() -> None:
    """C06: an IdToken of type Local, asked about, told with the start and with the end; other types likewise, unknown ones are none."""
    for kind in ("Local", "KeyCode", "ISO15693"):
        talk = talk201()
        talk.sent.clear()
        assert talk.hand("swipe", token="STATION-1", connectors=(1,), type=kind) is None
        assert talk.hand("swipe", token="STATION-1", connectors=(1,), type=kind) is None
        token = {"idToken": "STATION-1", "type": kind}
        assert [p["idToken"] for p in talk.of("Authorize")] == [token]
        assert {e["eventType"]: e["idToken"] for e in events(talk) if "idToken" in e} == {"Started": token, "Ended": token}
    assert "type" in str(talk201().hand("swipe", token="T", connectors=(1,), type="Cash"))


def test_attempts_mean_attempts() -> None:
    """E13: MessageAttempts = 3 is three sendings, the interval and twice it apart; then it is buried."""
    talk = talk201(TransactionMessageAttempts="3", TransactionMessageRetryInterval="60", MeterValueSampleInterval="0")
    talk.replies["TransactionEvent"] = lambda p: None
    started(talk)
    for waited_s, sent in ((59, 1), (2, 2), (119, 3), (1000, 3)):
        talk.pass_time(waited_s)
        assert len([e for e in events(talk) if e["eventType"] == "Started"]) == sent
    assert len({str(e) for e in events(talk)[:3]}) == 1
    assert any(isinstance(x, w.Bury) for x in talk.writes)
    assert saved_after(talk.writes).queue == []


def test_the_profile_of_a_start() -> None:
    """F02, K05: it narrows the start; another purpose, and what K01 refuses, is Rejected."""
    own = profile201([(0, 70_000.0)])
    assert wanted_w(started(chargingProfile=own)) == 70_000.0
    undated = profile201([(0, 70_000.0)])
    del undated["chargingSchedule"][0]["startSchedule"]
    for wrong in ({**own, **DEFAULT}, undated):
        request = {"idToken": TOKEN, "remoteStartId": 7, "evseId": 1, "chargingProfile": wrong}
        assert talk201().call("RequestStartTransaction", request)["status"] == "Rejected"


def test_a_default_profile_rules_a_start_without_the_csms() -> None:
    """K07: what was installed before rules a transaction that begins offline, after a restart too."""
    talk = talk201(AllowOfflineTxForUnknownId="true")
    wish = profile201([(0, 40_000.0), (600, 20_000.0)], **DEFAULT)
    assert talk.call("SetChargingProfile", {"evseId": 1, "chargingProfile": wish}) == {"status": "Accepted"}
    talk.disconnect()
    assert talk.hand("swipe", token="T", connectors=(1,)) is None
    demand = talk.station.demand(talk.now)
    assert demand is not None
    assert [s.watts for s in demand.wanted] == [40_000.0, 20_000.0]
    assert [c.grant_w for c in talk.ledger.claims()] == [40_000.0]
    again = talk.restarted().booted()
    assert wanted_w(again) == 40_000.0


def test_firmware_without_a_signature() -> None:
    """L02: as L01, with nothing verified."""
    talk = Talk(replace(NEW, role=Role.OWNER), version="2.0.1").booted()
    firmware = {"location": "https://x/fw", "retrieveDateTime": "2027-01-15T08:00:00Z"}
    assert talk.call("UpdateFirmware", {"requestId": 4, "firmware": firmware}) == {"status": "Accepted"}
    for _ in range(3):
        talk.done(talk.jobs[-1])
    again = talk.restarted()
    again.connect()
    again.done(again.jobs[-1])
    told = [(p["status"], p["requestId"]) for t in (talk, again) for p in t.of("FirmwareStatusNotification")]
    assert told == [(status, 4) for status in ("Downloading", "Downloaded", "Installing", "InstallRebooting", "Installed")]


def test_data_transfer() -> None:
    """P01."""
    talk = talk201()
    for message, answer in (
        ("DSTO.SocWh", {"status": "Accepted", "data": "275000.0"}),
        ("Nonsense", {"status": "UnknownMessageId"}),
    ):
        assert talk.call("DataTransfer", {"vendorId": "bessctl", "messageId": message}) == answer
    assert talk.call("DataTransfer", {"vendorId": "acme"}) == {"status": "UnknownVendorId"}


def triggered(talk: Talk, message: str, **evse: Any) -> str:
    talk.sent.clear()
    return str(talk.call("TriggerMessage", {"requestedMessage": message, **({"evse": evse} if evse else {})})["status"])


def test_a_triggered_status_names_its_connector() -> None:
    """F06.FR.12: without one it is Rejected."""
    talk = talk201()
    for evse, status in (({}, "Rejected"), ({"id": 1}, "Rejected"), ({"id": 3, "connectorId": 1}, "Rejected")):
        assert (triggered(talk, "StatusNotification", **evse), talk.sent) == (status, [])
    assert triggered(talk, "StatusNotification", id=2, connectorId=1) == "Accepted"
    assert [p["evseId"] for p in talk.of("StatusNotification")] == [2]


def test_triggered_values_are_the_aligned_ones_and_in_a_message_of_their_own() -> None:
    """F06.FR.06: within a transaction too; with no measurand nothing could follow, and it is Rejected."""
    talk = started(talk201(MeterValuesAlignedData="SoC", MeterValuesSampledData="Voltage"))
    assert triggered(talk, "MeterValues") == "Accepted"
    assert [p["evseId"] for p in talk.of("MeterValues")] == [1, 2]
    assert {s["measurand"] for p in talk.of("MeterValues") for v in p["meterValue"] for s in v["sampledValue"]} == {"SoC"}
    assert {v["sampledValue"][0]["context"] for p in talk.of("MeterValues") for v in p["meterValue"]} == {"Trigger"}
    assert events(talk) == []
    assert triggered(talk, "MeterValues", id=1) == "Accepted"
    assert [p["evseId"] for p in talk.of("MeterValues")] == [1]
    assert triggered(talk201(MeterValuesAlignedData=""), "MeterValues") == "Rejected"


@pytest.mark.parametrize(("measurands", "values"), [("Voltage", True), ("", False)])
def test_a_triggered_transaction_is_told_with_or_without_values(measurands: str, values: bool) -> None:
    """F06.FR.07: Accepted is followed by a TransactionEvent, whatever TxUpdatedMeasurands says."""
    talk = started(talk201(MeterValuesSampledData=measurands))
    ident = tx_of(talk)
    assert triggered(talk, "TransactionEvent", id=1) == "Accepted"
    (event,) = events(talk)
    assert (event["eventType"], event["triggerReason"], event["transactionInfo"]["transactionId"]) == ("Updated", "Trigger", ident)
    assert ("meterValue" in event) is values
