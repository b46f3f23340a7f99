"""OCPP 2.0.1 on the same station: transactions, authorisation, availability, reset, profiles (OCPP-1, OCPP-3, OCPP-6, OCPP-16).

Whatever the station sends in these tests is checked against the package's schemas by `sansio.Talk`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.model.snapshot import Binding
from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import schemas
from bessctl.protocols.ocpp.messages.v201.inbound import DECODERS
from bessctl.protocols.ocpp.session.plant import Direction
from tests.protocols.ocpp.sansio import LINK, Talk, boot, saved_after

TOKEN = {"idToken": "TAG", "type": "ISO14443"}
NEW = replace(LINK, version=("2.0.1",))


def talk201(role: Role = Role.OPERATOR, **keys: str) -> Talk:
    return Talk(replace(NEW, role=role, keys=keys), version="2.0.1").booted()


def started(talk: Talk | None = None, evse: int | None = 1, **fields: Any) -> Talk:
    talk = talk or talk201()
    talk.sent.clear()
    request = {"idToken": TOKEN, "remoteStartId": 7, **({} if evse is None else {"evseId": evse}), **fields}
    assert talk.call("RequestStartTransaction", request)["status"] == "Accepted"
    return talk


def events(talk: Talk) -> list[dict[str, Any]]:
    return talk.of("TransactionEvent")


def tx_of(talk: Talk) -> str:
    ident: str = events(talk)[0]["transactionInfo"]["transactionId"]
    return ident


def profile201(limits: list[tuple[int, float]], **changes: Any) -> dict[str, Any]:
    schedule = {
        "id": 1,
        "chargingRateUnit": changes.pop("unit", "W"),
        "chargingSchedulePeriod": [{"startPeriod": s, "limit": v} for s, v in limits],
        "startSchedule": "2027-01-15T08:00:00Z",
    }
    base = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Absolute"}
    return {**base, "chargingSchedule": [schedule], **changes}


def test_boot_tells_its_reason_and_connectors_but_no_station_status() -> None:
    """B01: BootNotification with reason, then a StatusNotification for each EVSE's connector 1; the station itself has none."""
    talk = talk201()
    assert talk.sent[0] == ("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "bessctl", "model": "BESS"}})
    statuses = [(p["evseId"], p["connectorId"], p["connectorStatus"]) for p in talk.of("StatusNotification")]
    assert statuses == [(1, 1, "Available"), (2, 1, "Available")]
    assert talk.of("SecurityEventNotification")[0]["type"] == "StartupOfTheDevice"


@pytest.mark.parametrize(("evse", "direction"), [(None, Direction.DISCHARGE), (1, Direction.DISCHARGE), (2, Direction.CHARGE)])
def test_a_start_is_a_demand_and_a_transaction_event(evse: int | None, direction: Direction) -> None:
    """F01, E02; OCPP-13, OCPP-17: EVSE 1 discharges, 2 charges; the answer names the transaction, whose number is a random UUID."""
    talk = started(evse=evse)
    demand = talk.station.demand(talk.now)
    assert demand is not None
    assert (demand.direction, demand.wanted[0].watts) == (direction, 150_000.0)
    first = events(talk)[0]
    assert (first["eventType"], first["seqNo"], first["triggerReason"]) == ("Started", 0, "RemoteStart")
    assert first["transactionInfo"]["remoteStartId"] == 7
    assert first["evse"] == {"id": evse or 1, "connectorId": 1}
    assert first["idToken"] == TOKEN
    assert len(tx_of(talk)) == 36
    assert talk.results[f"c{talk._calls}"]["transactionId"] == tx_of(talk)
    assert [p["connectorStatus"] for p in talk.of("StatusNotification") if p["evseId"] == (evse or 1)] == ["Occupied"]


def test_a_transaction_counts_its_messages_and_ends_with_its_energy() -> None:
    """E01, E06, J02; OCPP-8: seqNo without gaps, registers in Wh, SoH and temperature in customData."""
    talk = talk201(MeterValueSampleInterval="10")
    talk.plant.energy(export_wh=1000.0)
    talk.look()
    started(talk)
    talk.pass_time(21)
    talk.plant.energy(export_wh=4000.0)
    talk.look()
    assert talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)}) == {"status": "Accepted"}
    told = events(talk)
    assert [e["seqNo"] for e in told] == list(range(len(told)))
    assert [e["eventType"] for e in told] == ["Started", "Updated", "Updated", "Ended"]
    assert told[1]["customData"] == {"vendorId": "bessctl", "SBAT.CelTmpMax": 24.5, "DSTO.EffWhPct": 98.0}
    assert told[-1]["transactionInfo"]["stoppedReason"] == "Remote"

    def register(event: dict[str, Any], context: str) -> float:
        found = [v for m in event["meterValue"] for v in m["sampledValue"] if v["context"] == context]
        return float(next(v["value"] for v in found if v["measurand"] == "Energy.Active.Export.Register"))

    assert register(told[-1], "Transaction.End") - register(told[0], "Transaction.Begin") == 3000.0
    assert talk.station.demand(talk.now) is None
    assert saved_after(talk.writes).transactions == []


def test_a_change_of_state_is_told_within_the_transaction() -> None:
    """E02: SuspendedEVSE when nothing is granted any more, Charging when it is again; the connector stays Occupied."""
    talk = started()
    talk.sent.clear()
    talk.plant.limits(-200_000.0, 0.0, Binding("row", "soc_low"))
    talk.look()
    talk.plant.limits(-200_000.0, 200_000.0, Binding("device", "u1"))
    talk.look()
    states = [e["transactionInfo"]["chargingState"] for e in events(talk) if e["triggerReason"] == "ChargingStateChanged"]
    assert states == ["SuspendedEVSE", "Charging"]
    assert talk.of("StatusNotification") == []


def test_offline_messages_keep_their_numbers_and_say_so() -> None:
    """E04, OCPP-19: what happened while the CSMS was away is delivered in order, marked offline, and numbered as it happened."""
    talk = started(talk201(MeterValueSampleInterval="10"))
    talk.disconnect()
    talk.pass_time(25)
    again = talk.restarted().booted()
    told = events(again)
    assert [(e["seqNo"], e.get("offline")) for e in told] == [(1, True), (2, True)]
    assert {e["transactionInfo"]["transactionId"] for e in told} == {tx_of(talk)}
    assert again.call("RequestStopTransaction", {"transactionId": tx_of(talk)}) == {"status": "Accepted"}
    assert events(again)[-1]["seqNo"] == 3
    assert again.of("BootNotification")[0]["reason"] == "PowerUp"


@pytest.mark.parametrize(("status", "goes_on"), [("Accepted", True), ("Blocked", False), ("NoCredit", False)])
def test_a_token_the_csms_does_not_accept_ends_the_transaction(status: str, goes_on: bool) -> None:
    """C15, E05: StopTxOnInvalidId."""
    talk = talk201()
    talk.replies["TransactionEvent"] = lambda p: {"idTokenInfo": {"status": status}} if p["eventType"] == "Started" else {}
    started(talk)
    assert (talk.station.transactions.active() is not None) is goes_on
    if not goes_on:
        assert events(talk)[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"


def test_a_profile_shapes_the_power_and_is_reported_and_cleared() -> None:
    """K01, K09, K10, K08: set, report, composite, clear."""
    talk = started()
    own = profile201([(0, 60_000.0), (600, 30_000.0)], transactionId=tx_of(talk))
    assert talk.call("SetChargingProfile", {"evseId": 1, "chargingProfile": own}) == {"status": "Accepted"}
    demand = talk.station.demand(talk.now)
    assert demand is not None
    assert [s.watts for s in demand.wanted] == [60_000.0, 30_000.0]
    assert talk.call("GetChargingProfiles", {"requestId": 5, "chargingProfile": {}}) == {"status": "Accepted"}
    report = talk.of("ReportChargingProfiles")[0]
    assert (report["requestId"], report["evseId"], report["tbc"]) == (5, 1, False)
    assert report["chargingProfile"][0] == own
    composite = talk.call("GetCompositeSchedule", {"evseId": 1, "duration": 900, "chargingRateUnit": "W"})
    periods = composite["schedule"]["chargingSchedulePeriod"]
    assert [(p["startPeriod"], p["limit"]) for p in periods] == [(0, 60_000.0), (600, 30_000.0)]
    assert talk.call("ClearChargingProfile", {"chargingProfileId": 1}) == {"status": "Accepted"}
    assert talk.call("ClearChargingProfile", {"chargingProfileId": 1}) == {"status": "Unknown"}
    assert talk.call("GetChargingProfiles", {"requestId": 6, "chargingProfile": {}}) == {"status": "NoProfiles"}


@pytest.mark.parametrize(
    ("evse", "changes"),
    [
        (1, {"chargingProfilePurpose": "ChargingStationExternalConstraints"}),  # ours alone (OCPP-6)
        (1, {}),  # a TxProfile names its transaction (K01.FR.03)
        (1, {"transactionId": "another"}),
        (1, {"chargingProfilePurpose": "ChargingStationMaxProfile"}),
        (3, {"chargingProfilePurpose": "TxDefaultProfile"}),
        (0, {"chargingProfilePurpose": "ChargingStationMaxProfile", "stackLevel": 11}),
    ],
)
def test_profiles_that_are_refused(evse: int, changes: dict[str, Any]) -> None:
    talk = started()
    answer = talk.call("SetChargingProfile", {"evseId": evse, "chargingProfile": profile201([(0, 1.0)], **changes)})
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["additionalInfo"]


def test_several_schedules_are_for_cars() -> None:
    two = profile201([(0, 1.0)])
    two["chargingSchedule"] *= 2
    code, why, _ = started().call("SetChargingProfile", {"evseId": 1, "chargingProfile": two})
    assert code == "PropertyConstraintViolation"
    assert "one schedule" in why


def test_a_limit_of_somebody_else_is_told_and_its_end() -> None:
    """K11, K13; OCPP-6: an OSCP limit is the source SO."""
    talk = started()
    talk.plant.limits(-200_000.0, 40_000.0, Binding("source", "oscp:dso"))
    talk.look()
    limit = talk.of("NotifyChargingLimit")[0]
    assert limit["chargingLimit"] == {"chargingLimitSource": "SO"}
    assert limit["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 40_000.0}]
    assert events(talk)[-1]["triggerReason"] == "ChargingRateChanged"
    talk.plant.limits(-200_000.0, 200_000.0, Binding("device", "u1"))
    talk.look()
    assert talk.of("ClearedChargingLimit") == [{"chargingLimitSource": "SO", "evseId": 1}]


def test_the_end_of_a_limit_is_told_across_a_power_cut() -> None:
    """K13: the CSMS was told of the limit by a supervisor that is gone; what stands still is not told twice."""
    talk = talk201()
    talk.plant.limits(-200_000.0, 40_000.0, Binding("source", "oscp:dso"))
    talk.look()
    assert len(talk.of("NotifyChargingLimit")) == 1
    again = talk.restarted().booted()
    again.look()
    assert again.of("NotifyChargingLimit") == []
    again.plant.limits(-200_000.0, 200_000.0, Binding("device", "u1"))
    third = again.restarted().booted()
    third.look()
    assert third.of("ClearedChargingLimit") == [{"chargingLimitSource": "SO", "evseId": 1}]
    assert third.restarted().booted().of("ClearedChargingLimit") == []


def test_a_limit_that_was_not_answered_is_told_again_on_the_next_connection() -> None:
    """K12: what was lined up or on its way when the link broke was told to nobody."""
    talk = talk201()
    talk.auto = False
    talk.plant.limits(-200_000.0, 40_000.0, Binding("source", "oscp:dso"))
    talk.look()
    talk.disconnect()
    talk.auto = True
    talk.sent.clear()
    talk.connect()
    talk.look()
    assert [p["evseId"] for p in talk.of("NotifyChargingLimit")] == [1]


def test_a_limit_of_somebody_else_is_told_without_a_transaction_too() -> None:
    """K12, K13: each EVSE for itself, where a start would get less; the plant's own limits are its normal state."""
    talk = talk201()
    talk.plant.limits(-30_000.0, 40_000.0, Binding("source", "ems"))
    talk.look()
    told = [(p["evseId"], p["chargingLimit"]["chargingLimitSource"]) for p in talk.of("NotifyChargingLimit")]
    assert told == [(1, "EMS"), (2, "EMS")]
    limits = [p["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] for p in talk.of("NotifyChargingLimit")]
    assert limits == [40_000.0, 30_000.0]
    assert events(talk) == []
    talk.plant.limits(-30_100.0, 40_100.0, Binding("source", "ems"))
    talk.look()
    assert len(talk.of("NotifyChargingLimit")) == 2, "less than LimitChangeSignificance"
    talk.plant.limits(-30_000.0, 40_000.0, Binding("device", "u1"))
    talk.look()
    assert talk.of("ClearedChargingLimit") == [{"chargingLimitSource": "EMS", "evseId": evse} for evse in (1, 2)]


def test_unlock_is_refused_while_a_transaction_runs() -> None:
    """F05, settled 6."""
    talk = started()
    assert talk.call("UnlockConnector", {"evseId": 1, "connectorId": 1})["status"] == "OngoingAuthorizedTransaction"
    assert talk.call("UnlockConnector", {"evseId": 2, "connectorId": 1}) == {"status": "Unlocked"}
    assert talk.call("UnlockConnector", {"evseId": 3, "connectorId": 1})["status"] == "UnknownConnector"
    assert talk.call("UnlockConnector", {"evseId": 1, "connectorId": 2})["status"] == "UnknownConnector"


def test_reset_on_idle_waits_for_the_transaction() -> None:
    """B12, settled 13: Scheduled while one runs, no other begins, then the restart, and the next boot says why."""
    talk = started()
    assert talk.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
    assert talk.restarts == []
    assert talk.call("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 8, "evseId": 1})["status"] == "Rejected"
    talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)})
    assert talk.restarts == ["soft"]
    again = talk.restarted().booted()
    assert again.of("BootNotification")[0]["reason"] == "ScheduledReset"
    assert again.restarted().booted().of("BootNotification")[0]["reason"] == "PowerUp"


def test_reset_at_once_ends_the_transaction() -> None:
    """B11."""
    talk = started()
    assert talk.call("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
    assert talk.restarts == ["hard"]
    again = talk.restarted().booted()
    assert events(again)[-1]["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    assert again.of("BootNotification")[0]["reason"] == "RemoteReset"
    assert talk201().call("Reset", {"type": "Immediate", "evseId": 1})["status"] == "Rejected"


def test_availability_is_scheduled_and_survives() -> None:
    """G03."""
    talk = started()
    request = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    assert talk.call("ChangeAvailability", request) == {"status": "Scheduled"}
    talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)})
    assert [p["connectorStatus"] for p in talk.of("StatusNotification") if p["evseId"] == 1][-1] == "Unavailable"
    again = talk.restarted().booted()
    assert again.call("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 1, "evseId": 1})["status"] == "Rejected"
    assert again.call("ChangeAvailability", {"operationalStatus": "Operative"}) == {"status": "Accepted"}
    assert again.call("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 9}})["status"] == "Rejected"


TRIGGERS = [
    ("BootNotification", "Rejected", ""),  # F06.FR.17: it is registered
    ("LogStatusNotification", "Accepted", "LogStatusNotification"),
    ("FirmwareStatusNotification", "Accepted", "FirmwareStatusNotification"),
    ("Heartbeat", "Accepted", "Heartbeat"),
    ("MeterValues", "Accepted", "MeterValues"),
    ("SignChargingStationCertificate", "Rejected", ""),  # an operator handles no certificates
    ("SignV2GCertificate", "Rejected", ""),  # Plug & Charge is off
    ("StatusNotification", "Rejected", ""),  # F06.FR.12: of no connector
    ("TransactionEvent", "Rejected", ""),  # none runs
    ("SignCombinedCertificate", "NotImplemented", ""),
    ("PublishFirmwareStatusNotification", "NotImplemented", ""),
]


@pytest.mark.parametrize(("message", "status", "follows"), TRIGGERS)
def test_triggers(message: str, status: str, follows: str) -> None:
    """F06, settled 14: all eleven values."""
    talk = talk201()
    talk.sent.clear()
    assert talk.call("TriggerMessage", {"requestedMessage": message})["status"] == status
    assert set(talk.actions()) == ({follows} if follows else set())


def test_a_trigger_of_the_transaction() -> None:
    """OCPP-15: what 1.6 has no word for."""
    talk = started()
    assert talk.call("TriggerMessage", {"requestedMessage": "TransactionEvent", "evse": {"id": 1}}) == {"status": "Accepted"}
    assert (events(talk)[-1]["eventType"], events(talk)[-1]["triggerReason"]) == ("Updated", "Trigger")


def test_transaction_status() -> None:
    """E14."""
    talk = started()
    assert talk.call("GetTransactionStatus", {"transactionId": tx_of(talk)}) == {"ongoingIndicator": True, "messagesInQueue": False}
    assert talk.call("GetTransactionStatus", {}) == {"messagesInQueue": False}
    assert talk.call("GetTransactionStatus", {"transactionId": "x"}) == {"ongoingIndicator": False, "messagesInQueue": False}
    talk.auto = False
    talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)})
    assert talk.call("GetTransactionStatus", {"transactionId": tx_of(talk)}) == {"ongoingIndicator": False, "messagesInQueue": True}


@pytest.mark.parametrize("action", sorted(schemas.actions("v201") - DECODERS.keys()))
def test_what_only_a_csms_serves_is_not_supported(action: str) -> None:
    assert talk201().call(action, {})[0] == "NotSupported"


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Nonsense", {}, "NotImplemented"),
        ("RemoteStartTransaction", {}, "NotImplemented"),
        ("Reset", {}, "OccurrenceConstraintViolation"),
        ("Reset", {"type": 1}, "TypeConstraintViolation"),
        ("Reset", {"type": "Warm"}, "PropertyConstraintViolation"),
        (
            "ReserveNow",
            {"id": 2**31, "expiryDateTime": "2027-01-15T09:00:00Z", "idToken": {"idToken": "T", "type": "Central"}},
            "PropertyConstraintViolation",
        ),
        ("Reset", {"type": "OnIdle", "more": 1}, "FormatViolation"),
        ("GetVariables", {"getVariableData": []}, "OccurrenceConstraintViolation"),
    ],
)
def test_error_codes(action: str, payload: dict[str, Any], code: str) -> None:
    """Settled 8."""
    assert talk201().call(action, payload)[0] == code


@pytest.mark.parametrize(
    ("text", "code"), [("{", "RpcFrameworkError"), ("[2]", "RpcFrameworkError"), ('[9,"x"]', "MessageTypeNotSupported")]
)
def test_unreadable_frames_are_answered(text: str, code: str) -> None:
    """Settled 8: a CALLERROR, with id "-1" where none can be read."""
    talk = talk201()
    talk.raw(text)
    assert talk.results["x" if code == "MessageTypeNotSupported" else "-1"][0] == code


def test_pending_lets_triggers_through_and_nothing_else() -> None:
    """B02, settled: Boot Pending."""
    talk = Talk(NEW, version="2.0.1")
    talk.replies["BootNotification"] = lambda p: boot("Pending", 60)
    talk.connect()
    assert talk.actions() == ["BootNotification"]
    assert talk.call("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 1})["status"] == "Rejected"
    talk.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert talk.actions() == ["BootNotification", "Heartbeat"]
    assert talk.call("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Accepted"}
    assert talk.of("BootNotification")[-1]["reason"] == "Triggered"


def test_status_is_told_again_after_a_long_absence() -> None:
    """B04: OfflineThreshold."""
    talk = talk201()
    for away, told in ((30, 0), (90, 2)):
        talk.disconnect()
        talk.sent.clear()
        talk.pass_time(away)
        talk.connect()
        assert len(talk.of("StatusNotification")) == told


def test_the_version_may_change_between_connections_but_not_under_a_transaction() -> None:
    """OCPP-1, settled 10."""
    from bessctl.protocols.ocpp.messages.dialect import dialect  # noqa: PLC0415

    talk = talk201()
    assert not talk.station.bound
    talk.disconnect()
    talk.version = "1.6"
    talk.take(talk.station.connected(talk.now, talk.reading, dialect("1.6")))
    assert talk.of("BootNotification")[-1] == {"chargePointVendor": "bessctl", "chargePointModel": "BESS"}
    assert talk.call("RemoteStartTransaction", {"idTag": "T"}) == {"status": "Accepted"}
    assert talk.station.bound
    assert saved_after(talk.writes).state["version"] == "1.6"
