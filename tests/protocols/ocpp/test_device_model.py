"""The device model of 2.0.1: variables, reports, monitors, events (OCPP-3, OCPP-5, OCPP-8, OCPP-11, OCPP-21; settled 13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.session.device_table import TABLE
from bessctl.protocols.ocpp.session.keys import MEASURANDS
from bessctl.protocols.ocpp.session.variables import LIVE
from tests.protocols.ocpp.sansio import Talk, saved_after
from tests.protocols.ocpp.test_v201 import NEW, started, talk201, tx_of


def place(component: str, variable: str, instance: str | None = None, evse: int | None = None) -> dict[str, Any]:
    where = {"name": component} if evse is None else {"name": component, "evse": {"id": evse}}
    what = {"name": variable} if instance is None else {"name": variable, "instance": instance}
    return {"component": where, "variable": what}


def get(talk: Talk, *args: Any, **kwargs: Any) -> dict[str, Any]:
    answer: dict[str, Any] = talk.call("GetVariables", {"getVariableData": [place(*args, **kwargs)]})["getVariableResult"][0]
    return answer


def put(talk: Talk, value: str, *args: Any, **kwargs: Any) -> str:
    data = [{**place(*args, **kwargs), "attributeValue": value}]
    status: str = talk.call("SetVariables", {"setVariableData": data})["setVariableResult"][0]["attributeStatus"]
    return status


def monitor(talk: Talk, kind: str, value: float, where: dict[str, Any], **fields: Any) -> dict[str, Any]:
    data = [{"type": kind, "value": value, "severity": 4, **where, **fields}]
    answer: dict[str, Any] = talk.call("SetVariableMonitoring", {"setMonitoringData": data})["setMonitoringResult"][0]
    return answer


def told(talk: Talk) -> list[tuple[str, str, str]]:
    rows = [row for p in talk.of("NotifyEvent") for row in p["eventData"]]
    return [(row["component"]["name"], row["trigger"], row["actualValue"]) for row in rows]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("OCPPCommCtrlr", "HeartbeatInterval"), "300"),
        (("ocppcommctrlr", "heartbeatinterval"), "300"),
        (("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"), "3"),
        (("ChargingStation", "AvailabilityState"), "Available"),
        (("EVSE", "OfferedPower", None, 1), "200000.0"),
        (("DSTO", "SocEffWhPct"), "55.0"),
        (("DSTO", "EffWhPct"), "98.0"),
        (("DSTO", "SocWh"), "275000.0"),
        (("ClockCtrlr", "DateTime"), "2027-01-15T08:00:00Z"),
        (("SecurityCtrlr", "SecurityProfile"), "2"),
        (("SecurityCtrlr", "Identity"), "BESS1"),
        (("TxCtrlr", "ChargingTime"), "0"),
    ],
)
def test_variables_are_read(where: tuple[Any, ...], value: str) -> None:
    """B06; OCPP-8, OCPP-21: settings, live values of the plant, and names without regard to case."""
    answer = get(talk201(), *where)
    assert (answer["attributeStatus"], answer["attributeValue"]) == ("Accepted", value)


@pytest.mark.parametrize(
    ("where", "attribute", "status"),
    [
        (("NoSuch", "Thing"), "Actual", "UnknownComponent"),
        (("OCPPCommCtrlr", "Thing"), "Actual", "UnknownVariable"),
        (("EVSE", "Power", None, 3), "Actual", "UnknownComponent"),
        (("SecurityCtrlr", "BasicAuthPassword"), "Actual", "UnknownVariable"),  # this link has no password
        (("OCPPCommCtrlr", "HeartbeatInterval"), "Target", "NotSupportedAttributeType"),
    ],
)
def test_variables_that_cannot_be_read(where: tuple[Any, ...], attribute: str, status: str) -> None:
    data = [{**place(*where), "attributeType": attribute}]
    answer = talk201().call("GetVariables", {"getVariableData": data})["getVariableResult"][0]
    assert answer["attributeStatus"] == status


@pytest.mark.parametrize(
    ("where", "value", "status"),
    [
        (("OCPPCommCtrlr", "HeartbeatInterval"), "60", "Accepted"),
        (("OCPPCommCtrlr", "HeartbeatInterval"), "29", "Rejected"),
        (("SampledDataCtrlr", "TxUpdatedInterval"), "301", "Rejected"),
        (("SampledDataCtrlr", "TxUpdatedMeasurands"), "SoC,Voltage", "Accepted"),
        (("SampledDataCtrlr", "TxUpdatedMeasurands"), "SoC,RPM", "Rejected"),
        (("TxCtrlr", "StopTxOnInvalidId"), "false", "Accepted"),
        (("TxCtrlr", "StopTxOnInvalidId"), "maybe", "Rejected"),
        (("TxCtrlr", "TxStartPoint"), "ParkingBayOccupancy", "Rejected"),
        (("ChargingStation", "Model"), "x", "Rejected"),
        (("DSTO", "SocEffWhPct"), "100", "Rejected"),
        (("OCPPCommCtrlr", "NetworkConfigurationPriority"), "1", "Accepted"),
        (("OCPPCommCtrlr", "NetworkConfigurationPriority"), "1,9", "Rejected"),
        (("OCPPCommCtrlr", "OfflineThreshold"), "x", "Rejected"),
        (("Nobody", "Thing"), "1", "UnknownComponent"),
        (("OCPPCommCtrlr", "HeartbeatInterval"), "9" * 999, "Rejected"),
    ],
)
def test_variables_are_set_within_their_range(where: tuple[Any, ...], value: str, status: str) -> None:
    """B05, OCPP-11."""
    assert put(talk201(), value, *where) == status


def test_one_setting_has_two_names_and_survives() -> None:
    """One station, two dialects: HeartbeatInterval is one thing, on disk once."""
    talk = talk201()
    assert put(talk, "77", "OCPPCommCtrlr", "HeartbeatInterval") == "Accepted"
    assert saved_after(talk.writes).keys["HeartbeatInterval"] == "77"
    talk.replies["BootNotification"] = lambda p: {"currentTime": "2027-01-15T08:00:00Z", "interval": 0, "status": "Accepted"}
    again = talk.restarted()
    again.replies["BootNotification"] = talk.replies["BootNotification"]
    again.booted()
    assert get(again, "OCPPCommCtrlr", "HeartbeatInterval")["attributeValue"] == "77"


def reported(talk: Talk) -> dict[tuple[str, str, int | None], dict[str, Any]]:
    """The whole inventory: by component, variable and EVSE its attribute and characteristics."""
    assert talk.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}) == {"status": "Accepted"}
    rows = [row for page in talk.of("NotifyReport") for row in page["reportData"]]
    return {
        (r["component"]["name"], r["variable"]["name"], r["component"].get("evse", {}).get("id")): {
            **r["variableAttribute"][0],
            **r["variableCharacteristics"],
        }
        for r in rows
    }


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        # the range of a setting is that which is held
        (("OCPPCommCtrlr", "HeartbeatInterval", None), {"minLimit": 30, "maxLimit": 3600, "mutability": "ReadWrite"}),
        (("SampledDataCtrlr", "TxUpdatedInterval", None), {"minLimit": 0, "maxLimit": 300}),
        (("OCPPCommCtrlr", "OfflineThreshold", None), {"minLimit": 0, "maxLimit": 86_400}),
        (("SampledDataCtrlr", "TxEndedMeasurands", None), {"valuesList": ",".join(m for m in MEASURANDS if m != "Frequency")}),
        # what an EVSE can do
        (("EVSE", "Power", 1), {"minLimit": 0, "maxLimit": 150_000.0}),
        (("EVSE", "Power", 2), {"minLimit": 0, "maxLimit": 150_000.0}),
        # no socket, no cable to unlock; no tariff, so no word for when there is none, but costs
        (("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", None), {"value": "false", "mutability": "ReadOnly"}),
        (("TariffCostCtrlr", "TotalCostFallbackMessage", None), {"mutability": "ReadWrite"}),
        (("ClockCtrlr", "TimeSource", None), {"value": "NTP,Heartbeat", "dataType": "SequenceList", "valuesList": "NTP,Heartbeat"}),
        (("MonitoringCtrlr", "ActiveMonitoringBase", None), {"value": "All", "mutability": "ReadOnly"}),
        (("MonitoringCtrlr", "ActiveMonitoringLevel", None), {"value": "9", "mutability": "ReadOnly", "maxLimit": 9}),
        # intervals of their own
        (("AlignedDataCtrlr", "TxEndedInterval", None), {"value": "900", "mutability": "ReadWrite", "minLimit": 0}),
        (("SampledDataCtrlr", "TxEndedInterval", None), {"value": "0", "mutability": "ReadWrite", "maxLimit": 86_400}),
    ],
)
def test_what_is_said_of_a_variable(where: tuple[str, str, int | None], expected: dict[str, Any]) -> None:
    found = reported(talk201())[where]
    assert {name: found.get(name) for name in expected} == expected


def test_an_interval_of_its_own_leaves_the_other_alone() -> None:
    talk = talk201()
    assert put(talk, "60", "AlignedDataCtrlr", "TxEndedInterval") == "Accepted"
    assert get(talk, "AlignedDataCtrlr", "Interval")["attributeValue"] == "0"
    talk.call("SetMonitoringLevel", {"severity": 4})
    assert get(talk, "MonitoringCtrlr", "ActiveMonitoringLevel")["attributeValue"] == "4"


def test_observers_set_nothing() -> None:
    talk = talk201(Role.OBSERVER)
    assert put(talk, "60", "OCPPCommCtrlr", "HeartbeatInterval") == "Rejected"
    assert monitor(talk, "Delta", 1, place("DSTO", "SocEffWhPct"))["status"] == "Rejected"
    assert talk.call("SetMonitoringLevel", {"severity": 3})["status"] == "Rejected"


def test_one_bad_item_does_not_stop_the_others() -> None:
    data = [
        {**place("Nobody", "x"), "attributeValue": "1"},
        {**place("OCPPCommCtrlr", "HeartbeatInterval"), "attributeValue": "60"},
    ]
    answer = talk201().call("SetVariables", {"setVariableData": data})["setVariableResult"]
    assert [row["attributeStatus"] for row in answer] == ["UnknownComponent", "Accepted"]


@pytest.mark.parametrize(
    ("base", "least", "most"), [("FullInventory", 100, 200), ("ConfigurationInventory", 30, 60), ("SummaryInventory", 10, 50)]
)
def test_base_reports_come_in_pages(base: str, least: int, most: int) -> None:
    """B07: NotifyReport with requestId, seqNo from 0, tbc on all but the last."""
    talk = talk201()
    assert talk.call("GetBaseReport", {"requestId": 3, "reportBase": base}) == {"status": "Accepted"}
    pages = talk.of("NotifyReport")
    rows = [row for p in pages for row in p["reportData"]]
    assert least <= len(rows) <= most
    assert [p["seqNo"] for p in pages] == list(range(len(pages)))
    assert [p["tbc"] for p in pages] == [True] * (len(pages) - 1) + [False]
    assert {p["requestId"] for p in pages} == {3}
    if base == "ConfigurationInventory":
        assert {row["variableAttribute"][0]["mutability"] for row in rows} <= {"ReadWrite", "WriteOnly"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"componentVariable": [place("DSTO", "SocEffWhPct")]}, {"SocEffWhPct"}),
        ({"componentVariable": [{"component": {"name": "ReservationCtrlr"}}]}, {"Enabled", "Available", "NonEvseSpecific"}),
        ({"componentVariable": [{"component": {"name": "EVSE", "evse": {"id": 2}}, "variable": {"name": "Power"}}]}, {"Power"}),
        ({"componentCriteria": ["Problem"]}, set()),
        ({"componentVariable": [place("NoSuch", "x")]}, set()),
    ],
)
def test_custom_reports(query: dict[str, Any], names: set[str]) -> None:
    """B08."""
    talk = talk201()
    answer = talk.call("GetReport", {"requestId": 1, **query})
    assert answer["status"] == ("Accepted" if names else "EmptyResultSet")
    assert {row["variable"]["name"] for p in talk.of("NotifyReport") for row in p["reportData"]} == names


def test_passwords_are_write_only(tmp_path: Any) -> None:
    """A01: set by SetVariables, never read back, its value in no audit and no report; the link is dialled anew once it is kept."""
    from bessctl.protocols.ocpp.session.jobs import Password  # noqa: PLC0415

    talk = Talk(replace(NEW, password_file=tmp_path / "p"), version="2.0.1").booted()
    secret = "correct horse battery"
    assert put(talk, "short", "SecurityCtrlr", "BasicAuthPassword") == "Rejected"
    assert put(talk, secret, "SecurityCtrlr", "BasicAuthPassword") == "Accepted"
    assert get(talk, "SecurityCtrlr", "BasicAuthPassword")["attributeStatus"] == "Rejected"
    job = talk.jobs[-1]
    assert isinstance(job, Password)
    assert (job.text, secret in repr(job)) == (secret, False)
    assert secret not in str(talk.writes)
    talk.done(job)
    assert talk.redials == ["a new password"]
    talk.call("GetReport", {"requestId": 1, "componentVariable": [place("SecurityCtrlr", "BasicAuthPassword")]})
    attribute = talk.of("NotifyReport")[0]["reportData"][0]["variableAttribute"][0]
    assert (attribute["mutability"], "value" in attribute) == ("WriteOnly", False)


def test_every_variable_has_a_source() -> None:
    """No row of the table is without a value where a plant is attached."""
    talk = talk201()
    lives = {"list_entries", "certificates", "displays", "network", "security_profile", "model", "vendor", "serial", "firmware"}
    for spec in TABLE:
        assert bool(spec.key) + bool(spec.live) + bool(spec.value) == 1, spec.place
        assert not spec.live or spec.live in LIVE or spec.live in lives | {"identity", "call_timeout", "profiles"}
    talk.call("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})
    rows = [row for p in talk.of("NotifyReport") for row in p["reportData"]]
    silent = [row["variable"]["name"] for row in rows if "value" not in row["variableAttribute"][0]]
    assert silent == []


# --- monitors


def test_thresholds_are_told_when_crossed_and_when_back() -> None:
    """N04, N07: crossing, cleared; nothing while it stays beyond."""
    talk = talk201()
    answer = monitor(talk, "LowerThreshold", 20.0, place("DSTO", "SocEffWhPct"))
    assert (answer["status"], answer["id"]) == ("Accepted", 1)
    unit = talk.plant.state.units[0]  # type: ignore[union-attr]
    for soc in (21.0, 19.0, 18.0, 25.0):
        talk.plant.set(units=(replace(unit, soc_pct=soc),))
        talk.look()
    assert told(talk) == [("DSTO", "Alerting", "19.0"), ("DSTO", "Alerting", "25.0")]
    rows = [row for p in talk.of("NotifyEvent") for row in p["eventData"]]
    assert [row["cleared"] for row in rows] == [False, True]
    assert {row["variableMonitoringId"] for row in rows} == {1}


def test_a_monitor_of_transactions_looks_while_one_runs() -> None:
    """N04, N07: `transaction`; it begins anew with each, and names it."""
    talk = talk201()
    assert monitor(talk, "LowerThreshold", 20.0, place("DSTO", "SocEffWhPct"), transaction=True)["status"] == "Accepted"
    assert monitor(talk, "Periodic", 10.0, place("MMXU", "Hz"), transaction=True)["status"] == "Accepted"
    unit = talk.plant.state.units[0]  # type: ignore[union-attr]
    talk.plant.set(units=(replace(unit, soc_pct=19.0),))
    talk.look()
    talk.pass_time(30)
    assert told(talk) == []
    started(talk)
    assert told(talk) == [("DSTO", "Alerting", "19.0")]
    assert {row["transactionId"] for p in talk.of("NotifyEvent") for row in p["eventData"]} == {tx_of(talk)}
    talk.pass_time(11)
    assert told(talk)[1:] == [("MMXU", "Periodic", "50.0")]
    talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)})
    talk.sent.clear()
    talk.pass_time(30)
    assert told(talk) == []


def test_deltas_count_from_what_was_told_last() -> None:
    """N04, N08: a number by its step, a word at each change."""
    talk = talk201()
    monitor(talk, "Delta", 5.0, place("DSTO", "SocEffWhPct"))
    monitor(talk, "Delta", 0.0, place("EVSE", "AvailabilityState", evse=1))
    unit = talk.plant.state.units[0]  # type: ignore[union-attr]
    for soc in (57.0, 60.0, 64.0, 66.0):
        talk.plant.set(units=(replace(unit, soc_pct=soc),))
        talk.look()
    assert [value for _, _, value in told(talk)] == ["60.0", "66.0"]
    started(talk)
    assert ("EVSE", "Delta", "Occupied") in told(talk)


def test_periodic_monitors() -> None:
    """N08: every so many seconds; clock-aligned at the boundary."""
    talk = talk201()
    monitor(talk, "Periodic", 10.0, place("DSTO", "SocEffWhPct"))
    monitor(talk, "PeriodicClockAligned", 60.0, place("MMXU", "PhV"))
    talk.pass_time(61)
    stamps = [row["timestamp"] for p in talk.of("NotifyEvent") for row in p["eventData"] if row["variable"]["name"] == "PhV"]
    assert stamps == ["2027-01-15T08:01:00Z"]
    assert sum(row["variable"]["name"] == "SocEffWhPct" for p in talk.of("NotifyEvent") for row in p["eventData"]) == 6


@pytest.mark.parametrize(
    ("kind", "value", "where", "fields", "status"),
    [
        ("Delta", 1, place("NoSuch", "x"), {}, "UnknownComponent"),
        ("Delta", 1, place("DSTO", "x"), {}, "UnknownVariable"),
        ("Delta", 1, place("ChargingStation", "Model"), {}, "UnsupportedMonitorType"),
        ("UpperThreshold", 1, place("ChargingStation", "AvailabilityState"), {}, "UnsupportedMonitorType"),
        ("UpperThreshold", 101, place("DSTO", "SocEffWhPct"), {}, "Rejected"),
        ("Delta", -1, place("DSTO", "SocEffWhPct"), {}, "Rejected"),
        ("Periodic", 0, place("DSTO", "SocEffWhPct"), {}, "Rejected"),
        ("Delta", 1, place("DSTO", "SocEffWhPct"), {"id": 9}, "Rejected"),
        ("Delta", 1, place("DSTO", "SocEffWhPct"), {"severity": 10}, "Rejected"),
    ],
)
def test_monitors_that_are_refused(kind: str, value: float, where: dict[str, Any], fields: dict[str, Any], status: str) -> None:
    assert monitor(talk201(), kind, value, where, **fields)["status"] == status


def test_monitors_are_kept_listed_replaced_and_cleared() -> None:
    """N02, N03, N05, N06; they survive a restart."""
    talk = talk201()
    assert monitor(talk, "Delta", 1.0, place("DSTO", "SocEffWhPct"))["id"] == 1
    assert monitor(talk, "Delta", 2.0, place("DSTO", "SocEffWhPct"))["status"] == "Duplicate"
    assert monitor(talk, "Delta", 2.0, place("DSTO", "SocEffWhPct"), id=1)["status"] == "Accepted"
    again = talk.restarted().booted()
    assert again.call("GetMonitoringReport", {"requestId": 4}) == {"status": "Accepted"}
    report = again.of("NotifyMonitoringReport")[0]
    assert report["monitor"][0]["variableMonitoring"] == [{"id": 1, "transaction": False, "value": 2.0, "type": "Delta", "severity": 4}]
    only = {"requestId": 5, "monitoringCriteria": ["PeriodicMonitoring"]}
    assert again.call("GetMonitoringReport", only) == {"status": "EmptyResultSet"}
    cleared = again.call("ClearVariableMonitoring", {"id": [1, 7]})["clearMonitoringResult"]
    assert cleared == [{"status": "Accepted", "id": 1}, {"status": "NotFound", "id": 7}]
    monitor(again, "Delta", 1.0, place("DSTO", "SocEffWhPct"))
    assert again.call("SetMonitoringBase", {"monitoringBase": "HardWiredOnly"}) == {"status": "Accepted"}
    assert saved_after(again.writes).docs.get("monitor", {}) == {}


def test_severities_above_the_level_are_silent() -> None:
    """N03, N05: SetMonitoringLevel, kept across a restart."""
    talk = talk201()
    monitor(talk, "Delta", 1.0, place("DSTO", "SocEffWhPct"), severity=8)
    assert talk.call("SetMonitoringLevel", {"severity": 5}) == {"status": "Accepted"}
    again = talk.restarted().booted()
    unit = again.plant.state.units[0]  # type: ignore[union-attr]
    again.plant.set(units=(replace(unit, soc_pct=10.0),))
    again.look()
    assert told(again) == []


def test_alarms_of_the_plant_are_events() -> None:
    """OCPP-5: hard-wired, whatever is set; begun while the CSMS is away, they wait; the connector is Faulted."""
    talk = talk201()
    talk.disconnect()
    talk.plant.alarm("cell_temp_high")
    talk.look()
    talk.connect()
    row = talk.of("NotifyEvent")[0]["eventData"][0]
    assert (row["actualValue"], row["techCode"], row["eventNotificationType"]) == (
        "HighTemperature",
        "cell_temp_high",
        "HardWiredNotification",
    )
    assert talk.of("StatusNotification")[-1]["connectorStatus"] == "Faulted"
    talk.plant.set(alarms=())
    talk.look()
    assert talk.of("NotifyEvent")[-1]["eventData"][0]["cleared"] is True


# --- displays, cost, customers


def message(ident: int = 1, **fields: Any) -> dict[str, Any]:
    return {"message": {"id": ident, "priority": "NormalCycle", "message": {"format": "UTF8", "content": f"text {ident}"}, **fields}}


def test_display_messages_are_shown_listed_and_cleared() -> None:
    """O01-O06: by priority and state, on disk; one of a transaction goes with it, one whose time is over too."""
    talk = started()
    assert talk.call("SetDisplayMessage", message(1)) == {"status": "Accepted"}
    assert talk.call("SetDisplayMessage", message(2, priority="AlwaysFront")) == {"status": "Accepted"}
    assert talk.call("SetDisplayMessage", message(3, state="Idle")) == {"status": "Accepted"}
    assert talk.call("SetDisplayMessage", message(4, transactionId=tx_of(talk))) == {"status": "Accepted"}
    assert talk.call("SetDisplayMessage", message(5, transactionId="x")) == {"status": "UnknownTransaction"}
    assert talk.call("SetDisplayMessage", message(6, message={"format": "HTML", "content": "<b>"}))["status"] == "NotSupportedMessageFormat"
    assert talk.call("SetDisplayMessage", message(7, endDateTime="2027-01-15T08:01:00Z")) == {"status": "Accepted"}
    assert talk.call("CostUpdated", {"totalCost": 12.5, "transactionId": tx_of(talk)}) == {}
    assert talk.station.displays.shown() == ["text 2", "text 1", "text 4", "text 7", "12.50 EUR"]
    talk.pass_time(61)
    talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)})
    talk.look()
    again = talk.restarted().booted()
    assert again.station.displays.shown() == ["text 2", "text 1", "text 3"]
    assert again.call("GetDisplayMessages", {"requestId": 1, "priority": "AlwaysFront"}) == {"status": "Accepted"}
    assert [m["id"] for m in again.of("NotifyDisplayMessages")[0]["messageInfo"]] == [2]
    assert again.call("ClearDisplayMessage", {"id": 2}) == {"status": "Accepted"}
    assert again.call("ClearDisplayMessage", {"id": 2}) == {"status": "Unknown"}
    assert again.call("GetDisplayMessages", {"requestId": 2, "id": [99]}) == {"status": "Unknown"}


def test_what_a_transaction_costs() -> None:
    """I02, I03: what the answers to TransactionEvent say; of the end, until the next one begins, after a restart too."""
    talk = talk201(MeterValueSampleInterval="10")
    talk.replies["TransactionEvent"] = lambda p: {"totalCost": {"Started": 9.0, "Updated": 1.25, "Ended": 12.5}[p["eventType"]]}
    started(talk)
    talk.pass_time(11)
    assert talk.station.displays.shown() == ["1.25 EUR"]
    talk.call("RequestStopTransaction", {"transactionId": tx_of(talk)})
    assert talk.station.displays.shown() == ["12.50 EUR"]
    again = talk.restarted().booted()
    assert again.station.displays.shown() == ["12.50 EUR"]
    again.call("RequestStartTransaction", {"idToken": {"idToken": "T", "type": "Central"}, "remoteStartId": 8, "evseId": 1})
    assert again.station.displays.shown() == []


def test_what_a_transaction_costs_that_ended_without_the_csms() -> None:
    """I05: TariffCostCtrlr.TotalCostFallbackMessage, until the CSMS says what it costs."""
    talk = talk201()
    assert put(talk, "Ask your operator", "TariffCostCtrlr", "TotalCostFallbackMessage") == "Accepted"
    talk.hand("swipe", token="T", connectors=(1,))
    talk.disconnect()
    talk.hand("swipe", token="T", connectors=(1,))
    assert talk.station.displays.shown() == ["Ask your operator"]
    talk.replies["TransactionEvent"] = lambda p: {"totalCost": 3.0} if p["eventType"] == "Ended" else {}
    talk.connect()
    assert talk.station.displays.shown() == ["3.00 EUR"]


def test_what_is_kept_of_a_customer_is_told_and_erased() -> None:
    """N09, N10; OCPP-18."""
    talk = started()
    token = {"idToken": "TAG", "type": "ISO14443"}
    talk.replies["TransactionEvent"] = lambda p: {"idTokenInfo": {"status": "Accepted"}}
    assert talk.call("CustomerInformation", {"requestId": 1, "report": True, "clear": True, "idToken": token}) == {"status": "Accepted"}
    assert "a running transaction" in talk.of("NotifyCustomerInformation")[-1]["data"]
    assert talk.call("CustomerInformation", {"requestId": 2, "report": True, "clear": False})["status"] == "Invalid"
    assert talk.call("CustomerInformation", {"requestId": 3, "report": False, "clear": False})["status"] == "Rejected"
    assert talk.call("CustomerInformation", {"requestId": 4, "report": True, "clear": False, "customerIdentifier": "x"}) == {
        "status": "Accepted"
    }
    assert "nothing" in talk.of("NotifyCustomerInformation")[-1]["data"]
