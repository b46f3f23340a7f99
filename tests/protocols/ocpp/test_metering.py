"""What is measured and when (OCPP-11, OCPP-14, OCPP-21)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from bessctl.protocols.ocpp.session.clock import NS, Now
from bessctl.protocols.ocpp.session.metering import next_boundary
from tests.protocols.ocpp.sansio import LINK, T0, Talk, saved_after, with_keys

DAY = 86_400
VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


def running(connector: int = 1, **keys: str) -> Talk:
    talk = Talk(with_keys(**keys)).booted()
    talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": connector})
    talk.sent.clear()
    return talk


def values(payload: dict[str, Any]) -> dict[str, str]:
    return {v["measurand"]: v["value"] for v in payload["meterValue"][0]["sampledValue"]}


def test_samples_come_at_the_interval() -> None:
    talk = running(MeterValueSampleInterval="7")
    talk.pass_time(21.5)
    assert [p["meterValue"][0]["timestamp"][-3:] for p in talk.of("MeterValues")] == ["07Z", "14Z", "21Z"]


def test_a_sampled_value_says_everything_asked_for() -> None:
    """OCPP-14, OCPP-21: Power.Offered is the envelope now."""
    talk = running(MeterValueSampleInterval="1")
    talk.plant.energy(export_wh=1234.9)
    talk.plant.set(ess_w=69_000.0)
    talk.look()
    talk.pass_time(1)
    payload = talk.of("MeterValues")[-1]
    assert payload["transactionId"] == 41
    assert values(payload) == {
        "Energy.Active.Export.Register": "1234",
        "Power.Active.Export": "69000.0",
        "Power.Offered": "200000.0",
        "Current.Export": "100.0",
        "Voltage": "230.0",
        "Frequency": "50.0",
        "SoC": "55.0",
        "Temperature": "24.5",
    }


def test_connector_2_imports() -> None:
    """Settled 4."""
    talk = running(2, MeterValueSampleInterval="1")
    talk.plant.set(ess_w=-5000.0)
    talk.look()
    talk.pass_time(1)
    found = values(talk.of("MeterValues")[-1])
    assert found["Power.Active.Import"] == "5000.0"
    assert not any("Export" in name for name in found)


def test_what_is_missing_is_left_out() -> None:
    talk = running(MeterValueSampleInterval="1")
    assert talk.plant.state is not None
    talk.plant.state = type(talk.plant.state)(**{f: getattr(talk.plant.state, f) for f in talk.plant.state.__slots__} | {"units": ()})
    talk.look()
    talk.pass_time(1)
    assert {"SoC", "Temperature", "Voltage"}.isdisjoint(values(talk.of("MeterValues")[-1]))


def test_interval_zero_is_off() -> None:
    """OCPP-11."""
    talk = running()
    assert talk.call("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "0"}) == {"status": "Accepted"}
    talk.pass_time(1000)
    assert talk.of("MeterValues") == []
    talk.call("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "10"})
    talk.pass_time(10.5)
    assert len(talk.of("MeterValues")) == 1


def test_aligned_values_are_stamped_on_the_boundary() -> None:
    """Not when we got round to it: the boundary itself, on both connectors, in the transaction where one runs."""
    talk = running(ClockAlignedDataInterval="900", MeterValueSampleInterval="0")
    talk.now = Now(talk.now.mono_ns + 123_456_789, T0 + 123_456_789)
    talk.take(talk.station.tick(talk.now))
    talk.pass_time(1801)
    stamps = [(p["connectorId"], p["meterValue"][0]["timestamp"], p.get("transactionId")) for p in talk.of("MeterValues")]
    assert sorted(stamps) == [
        (1, "2027-01-15T08:15:00Z", 41),
        (1, "2027-01-15T08:30:00Z", 41),
        (2, "2027-01-15T08:15:00Z", None),
        (2, "2027-01-15T08:30:00Z", None),
    ]
    assert talk.of("MeterValues")[0]["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Clock"


def test_a_late_tick_keeps_the_boundary_and_a_leap_skips_it() -> None:
    talk = running(ClockAlignedDataInterval="60", MeterValueSampleInterval="0")
    talk.take(talk.station.tick(talk.now))
    late = talk.now.later(75.25)
    talk.now = late
    talk.take(talk.station.tick(late))
    assert talk.of("MeterValues")[0]["meterValue"][0]["timestamp"] == "2027-01-15T08:01:00Z"
    talk.sent.clear()
    talk.now = talk.now.later(600)
    talk.take(talk.station.tick(talk.now))
    assert talk.of("MeterValues") == []
    back = Now(talk.now.mono_ns + NS, T0 - 3600 * NS)
    talk.now = back
    talk.take(talk.station.tick(back))
    talk.pass_time(61)
    assert talk.of("MeterValues")[0]["meterValue"][0]["timestamp"] == "2027-01-15T07:01:00Z"


@pytest.mark.parametrize(
    ("at_s", "interval", "expected"),
    [(0, 900, 900), (899, 900, 900), (900, 900, 1800), (DAY - 1, 900, DAY), (7000 * 12 + 1, 7000, DAY), (DAY, 7000, DAY + 7000)],
)
def test_boundaries_count_from_midnight(at_s: int, interval: int, expected: int) -> None:
    midnight = T0 - T0 % (DAY * NS)
    assert (next_boundary(midnight + at_s * NS, interval) - midnight) // NS == expected


def test_triggered_values() -> None:
    """OCPP-15."""
    talk = running()
    assert talk.call("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1}) == {"status": "Accepted"}
    payload = talk.of("MeterValues")[0]
    assert payload["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
    talk.sent.clear()
    talk.call("TriggerMessage", {"requestedMessage": "MeterValues"})
    assert [p["connectorId"] for p in talk.of("MeterValues")] == [2, 1] or [p["connectorId"] for p in talk.of("MeterValues")] == [1, 2]


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("Heartbeat", "Heartbeat"),
        ("StatusNotification", "StatusNotification"),
        ("DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
        ("FirmwareStatusNotification", "FirmwareStatusNotification"),
    ],
)
def test_triggers(message: str, action: str) -> None:
    """OCPP-15."""
    talk = Talk(LINK).booted()
    talk.sent.clear()
    assert talk.call("TriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
    assert talk.actions()[0] == action
    assert talk.call("TriggerMessage", {"requestedMessage": message, "connectorId": 9}) == {"status": "Rejected"}


def test_final_values_go_with_the_stop() -> None:
    talk = running(StopTxnSampledData="Energy.Active.Export.Register,SoC")
    talk.call("RemoteStopTransaction", {"transactionId": 41})
    data = talk.of("StopTransaction")[0]["transactionData"][0]["sampledValue"]
    assert [(v["measurand"], v["context"]) for v in data] == [
        ("Energy.Active.Export.Register", "Transaction.End"),
        ("SoC", "Transaction.End"),
    ]


def aligned(version: str, **keys: str) -> Talk:
    """A station in a transaction, whose stop takes clock-aligned values along."""
    every = {"ClockAlignedDataInterval": "60", "AlignedDataCtrlr.TxEndedInterval": "60", "MeterValueSampleInterval": "0"}
    link = replace(with_keys(**{**every, **keys}), version=(version,))
    talk = Talk(link, version=version).booted()
    talk.hand("swipe", token="T", connectors=(1,))
    return talk


def final(talk: Talk) -> list[dict[str, Any]]:
    """The values that went with the transaction's end."""
    talk.hand("swipe", token="T", connectors=(1,))
    if talk.version == "1.6":
        found: list[dict[str, Any]] = talk.of("StopTransaction")[0].get("transactionData", [])
        return found
    ended = next(p for p in talk.of("TransactionEvent") if p["eventType"] == "Ended")
    return [v for v in ended["meterValue"] if v["sampledValue"][0]["context"] == "Sample.Clock"]


@VERSIONS
def test_the_stop_takes_the_aligned_values_along(version: str) -> None:
    """1.6 StopTxnAlignedData, 2.0.1 AlignedDataCtrlr.TxEndedMeasurands (J01): each on its boundary, in order, those listed and no others;
    what was measured before a restart is not lost, and the next transaction has none of it."""
    talk = aligned(version, StopTxnAlignedData="SoC,Energy.Active.Export.Register", MeterValuesAlignedData="SoC")
    talk.pass_time(61)
    talk.plant.energy(export_wh=500.0)
    again = talk.restarted().booted()
    again.look()
    again.pass_time(60)
    found = final(again)
    assert [v["timestamp"] for v in found] == ["2027-01-15T08:01:00Z", "2027-01-15T08:02:00Z"]
    for value in found:
        assert [s["measurand"] for s in value["sampledValue"]][:2] == ["SoC", "Energy.Active.Export.Register"]
        assert {s["context"] for s in value["sampledValue"]} == {"Sample.Clock"}
    assert [float(v["sampledValue"][1]["value"]) for v in found] == [0.0, 500.0]
    again.sent.clear()
    again.hand("swipe", token="T", connectors=(1,))
    assert final(again) == []
    assert saved_after(again.writes).docs.get("aligned", {}) == {}


@VERSIONS
def test_no_aligned_values_in_the_stop_unless_they_are_asked_for(version: str) -> None:
    talk = aligned(version)
    talk.pass_time(180)
    assert final(talk) == []


def test_what_a_long_transaction_keeps_is_bounded() -> None:
    """A disk and a StopTransaction have an end: of 200 boundaries every second one goes; all were told as they came."""
    talk = aligned("1.6", StopTxnAlignedData="SoC")
    talk.pass_time(60 * 205)
    minutes = [(int(v["timestamp"][11:13]) - 8) * 60 + int(v["timestamp"][14:16]) for v in final(talk)]
    assert minutes == [*range(1, 200, 2), *range(201, 206)]
    assert len([p for p in talk.of("MeterValues") if "transactionId" in p]) == 205


@VERSIONS
def test_the_stop_takes_the_samples_along(version: str) -> None:
    """1.6 StopTxnSampledData (9.1.26): every MeterValueSampleInterval seconds; 2.0.1 SampledDataCtrlr.TxEndedMeasurands: every
    TxEndedInterval seconds, which is another than that of what is told. In the order of their times, with those of the end."""
    every = {"MeterValueSampleInterval": "10", "SampledDataCtrlr.TxEndedInterval": "20"}
    link = replace(with_keys(**every, StopTxnSampledData="SoC", MeterValuesSampledData="Voltage"), version=(version,))
    talk = Talk(link, version=version).booted()
    talk.hand("swipe", token="T", connectors=(1,))
    talk.pass_time(25)
    again = talk.restarted().booted()
    again.look()
    again.pass_time(25)
    again.hand("swipe", token="T", connectors=(1,))
    if version == "1.6":
        found = again.of("StopTransaction")[0]["transactionData"]
    else:
        found = next(p for p in again.of("TransactionEvent") if p["eventType"] == "Ended")["meterValue"]
    told = [(v["timestamp"][14:19], s["context"]) for v in found for s in v["sampledValue"] if s["measurand"] == "SoC"]
    periodic = {"1.6": ("00:10", "00:20", "00:35", "00:45"), "2.0.1": ("00:20", "00:45")}[version]
    assert told == [*((at, "Sample.Periodic") for at in periodic), ("00:50", "Transaction.End")]


def test_the_state_of_health_goes_with_a_transaction() -> None:
    """OCPP-8: 1.6 has no measurand for it; a DataTransfer with the transactionId as it begins and ends, under its 61850 name."""
    talk = Talk(LINK).booted()
    talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
    talk.plant.state = replace(talk.plant.state, units=(replace(talk.plant.state.units[0], soh_pct=97.5),))  # type: ignore[type-var, union-attr]
    talk.look()
    talk.call("RemoteStopTransaction", {"transactionId": 41})
    told = talk.of("DataTransfer")
    assert {(p["vendorId"], p["messageId"]) for p in told} == {("bessctl", "DSTO.EffWhPct")}
    assert [(d["transactionId"], d["when"], d["EffWhPct"]) for d in (orjson.loads(p["data"]) for p in told)] == [
        (41, "Begin", 98.0),
        (41, "End", 97.5),
    ]
    actions = talk.actions()
    assert actions.index("StopTransaction") > max(i for i, a in enumerate(actions) if a == "DataTransfer")


def test_the_state_of_health_of_an_offline_transaction_has_its_number() -> None:
    """The number comes with the CSMS, and a power cut lies between: nothing of it is lost."""
    talk = Talk(with_keys(AllowOfflineTxForUnknownId="true")).booted()
    talk.disconnect()
    talk.sent.clear()
    for _ in range(2):
        assert talk.hand("swipe", token="T", connectors=(1,)) is None
        talk.pass_time(10)
    again = talk.restarted().booted()
    told = [orjson.loads(p["data"]) for p in again.of("DataTransfer")]
    assert [(d["transactionId"], d["when"], d["timestamp"]) for d in told] == [
        (again.transaction, "Begin", "2027-01-15T08:00:00Z"),
        (again.transaction, "End", "2027-01-15T08:00:10Z"),
    ]
    assert saved_after(again.writes).queue == []


@pytest.mark.parametrize("answer", [{"status": "UnknownVendorId"}, None])
def test_a_csms_that_does_not_know_the_state_of_health_is_held_up_by_nothing(answer: dict[str, Any] | None) -> None:
    """Whatever it answers, each is asked once and the transaction's own messages follow at once."""
    talk = Talk(LINK)
    talk.replies["DataTransfer"] = lambda p: answer
    talk.booted().call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
    talk.call("RemoteStopTransaction", {"transactionId": 41})
    assert len(talk.of("DataTransfer")) == 2
    assert talk.actions()[-1] in {"StopTransaction", "StatusNotification"}
    assert len(talk.of("StopTransaction")) == 1
    assert saved_after(talk.writes).queue == []


def test_minimum_status_duration_holds_short_changes_back() -> None:
    talk = Talk(with_keys(MinimumStatusDuration="10")).booted()
    talk.sent.clear()
    talk.plant.set(mode="stopped")
    talk.look()
    talk.pass_time(5)
    talk.plant.set(mode="run")
    talk.look()
    talk.pass_time(20)
    assert talk.of("StatusNotification") == []
    talk.plant.set(mode="stopped")
    talk.look()
    talk.pass_time(11)
    assert {p["status"] for p in talk.of("StatusNotification")} == {"Unavailable"}
