"""Where a transaction begins and ends (2.0.1 E01-E03, E06, E09; settled 13): what makes sense for an armed connector is honoured, the rest
refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.protocols.ocpp.session.clock import NS
from tests.protocols.ocpp.sansio import LINK, Talk, saved_after

HAND = replace(LINK, version=("2.0.1",), armed_by_hand=True)
PLANT = replace(LINK, version=("2.0.1",))


def station(start: str = "PowerPathClosed", stop: str = "PowerPathClosed", **keys: str) -> Talk:
    """With the hand at it."""
    points = {"TxCtrlr.TxStartPoint": start, "TxCtrlr.TxStopPoint": stop, "MeterValueSampleInterval": "0"}
    return Talk(replace(HAND, keys={**points, **keys}), version="2.0.1").booted()


def plug(t: Talk, *, into: bool = True) -> None:
    assert t.hand("plug_in" if into else "plug_out", connector=1) is None


def swipe(t: Talk, token: str = "CARD") -> str | None:
    return t.hand("swipe", token=token, connectors=(1,))


def told(t: Talk) -> list[tuple[str, str, str]]:
    return [(p["eventType"], p["triggerReason"], p["transactionInfo"]["chargingState"]) for p in t.of("TransactionEvent")]


def target_w(t: Talk) -> float | None:
    """What the link wants of the plant now; None = nothing."""
    demand = t.station.demand(t.now)
    return None if demand is None or not demand.wanted else demand.wanted[0].watts


def set_point(t: Talk, variable: str, value: str) -> dict[str, Any]:
    data = [{"component": {"name": "TxCtrlr"}, "variable": {"name": variable}, "attributeValue": value}]
    found: dict[str, Any] = t.call("SetVariables", {"setVariableData": data})["setVariableResult"][0]
    return found


@pytest.mark.parametrize("variable", ["TxStartPoint", "TxStopPoint"])
@pytest.mark.parametrize(
    ("value", "by_hand", "on_a_plant"),
    [
        ("PowerPathClosed", "", ""),
        ("Authorized", "", ""),
        ("Authorized, PowerPathClosed", "", ""),
        ("EVConnected", "", "always connected"),
        ("EVConnected,Authorized", "", "always connected"),
        ("ParkingBayOccupancy", "no parking bay", "no parking bay"),
        ("Authorized,DataSigned", "no meter here signs", "no meter here signs"),
        ("EnergyTransfer", "battery|paused", "battery|paused"),
        ("", "begin and end somewhere", "begin and end somewhere"),
        ("Authorized,Authorized", "named once", "named once"),
        ("Sunrise", "no point of the standard", "no point of the standard"),
    ],
)
def test_points_are_taken_or_refused_with_the_reason(variable: str, value: str, by_hand: str, on_a_plant: str) -> None:
    for link, why in ((HAND, by_hand), (PLANT, on_a_plant)):
        t = Talk(link, version="2.0.1").booted()
        answer = set_point(t, variable, value)
        if why:
            assert answer["attributeStatus"] == "Rejected"
            said = answer["attributeStatusInfo"]["additionalInfo"]
            assert any(words in said for words in why.split("|")), said
        else:
            assert answer["attributeStatus"] == "Accepted"
            read = [{"component": {"name": "TxCtrlr"}, "variable": {"name": variable}}]
            again = t.restarted().booted()
            kept = again.call("GetVariables", {"getVariableData": read})["getVariableResult"][0]["attributeValue"]
            assert kept == value.replace(" ", "")


def test_power_path_closed_begins_when_both_are_so() -> None:
    """The default: nothing is told before."""
    t = station()
    assert swipe(t) is None
    assert told(t) == []
    plug(t)
    assert told(t) == [("Started", "Authorized", "Charging")]
    assert target_w(t) == 150_000.0


def test_authorized_begins_with_the_card_and_takes_energy_with_the_plug() -> None:
    """E03: Started Idle, no power; plugged in: Charging."""
    t = station("Authorized")
    assert swipe(t) is None
    assert told(t) == [("Started", "Authorized", "Idle")]
    assert t.of("TransactionEvent")[0]["idToken"]["idToken"] == "CARD"
    assert target_w(t) == 0.0
    plug(t)
    assert told(t)[1:] == [("Updated", "CablePluggedIn", "Charging")]
    assert target_w(t) == 150_000.0
    assert [p["seqNo"] for p in t.of("TransactionEvent")] == [0, 1]


def test_authorized_without_a_plug_ends_after_its_time() -> None:
    """E03.FR.05: EVConnectionTimeOut, across a restart too; the power it had claimed is free."""
    t = station("Authorized", ConnectionTimeOut="60")
    swipe(t)
    again = t.restarted().booted()
    again.pass_time(59)
    assert told(again) == []
    again.pass_time(2)
    ended = again.of("TransactionEvent")[-1]
    assert (ended["eventType"], ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == (
        "Ended",
        "EVConnectTimeout",
        "Timeout",
    )
    assert again.ledger.claims() == []


def test_authorized_is_no_other_than_closed_where_nobody_plugs() -> None:
    t = Talk(replace(PLANT, keys={"TxCtrlr.TxStartPoint": "Authorized"}), version="2.0.1").booted()
    assert swipe(t) is None
    assert told(t) == [("Started", "Authorized", "Charging")]


def test_connected_begins_with_the_plug_and_is_authorised_later() -> None:
    """E02: Started without a token, EVConnected, no claim on the plant; the card gives it its part."""
    t = station("EVConnected")
    plug(t)
    assert told(t) == [("Started", "CablePluggedIn", "EVConnected")]
    assert "idToken" not in t.of("TransactionEvent")[0]
    assert (target_w(t), t.ledger.claims()) == (0.0, [])
    assert swipe(t) is None
    update = t.of("TransactionEvent")[1]
    assert (update["triggerReason"], update["idToken"]["idToken"], update["transactionInfo"]["chargingState"]) == (
        "Authorized",
        "CARD",
        "Charging",
    )
    assert target_w(t) == 150_000.0
    assert len({p["transactionInfo"]["transactionId"] for p in t.of("TransactionEvent")}) == 1
    assert swipe(t) is None
    assert told(t)[-1][0] == "Ended"


def test_the_csms_starts_what_the_plug_began() -> None:
    """F01: its answer names the transaction; a refused start leaves it waiting."""
    t = station("EVConnected")
    plug(t)
    start = {"idToken": {"idToken": "T", "type": "Central"}, "remoteStartId": 7, "evseId": 1}
    assert t.call("RequestStartTransaction", {**start, "evseId": 2})["status"] == "Rejected"
    answer = t.call("RequestStartTransaction", start)
    name = t.of("TransactionEvent")[0]["transactionInfo"]["transactionId"]
    assert answer == {"status": "Accepted", "transactionId": name}
    assert t.of("TransactionEvent")[1]["triggerReason"] == "RemoteStart"
    assert target_w(t) == 150_000.0


def test_plugged_out_before_anybody_was_authorised() -> None:
    t = station("EVConnected", StopTransactionOnEVSideDisconnect="false")
    plug(t)
    plug(t, into=False)
    assert told(t)[-1] == ("Ended", "EVCommunicationLost", "Idle")
    assert saved_after(t.writes).transactions == []


@pytest.mark.parametrize("stop", ["PowerPathClosed", "Authorized", "EVConnected,Authorized"])
def test_the_card_ends_it_at_once(stop: str) -> None:
    t = station(stop=stop)
    plug(t)
    swipe(t)
    swipe(t)
    ended = t.of("TransactionEvent")[-1]
    assert (ended["eventType"], ended["transactionInfo"]["stoppedReason"], ended["idToken"]["idToken"]) == ("Ended", "Local", "CARD")


@pytest.mark.parametrize("way", ["card", "csms"])
def test_connected_ends_with_the_plug_alone(way: str) -> None:
    """E06: the authorisation is over, the power free at once; the transaction ends, with that reason, when it is plugged out."""
    t = station(stop="EVConnected")
    plug(t)
    swipe(t)
    name = t.of("TransactionEvent")[0]["transactionInfo"]["transactionId"]
    if way == "card":
        assert swipe(t) is None
    else:
        assert t.call("RequestStopTransaction", {"transactionId": name}) == {"status": "Accepted"}
    assert told(t)[-1] == ("Updated", {"card": "StopAuthorized", "csms": "RemoteStop"}[way], "EVConnected")
    assert (target_w(t), t.ledger.claims()) == (0.0, [])
    assert "waits to be plugged out" in str(swipe(t))
    again = t.restarted().booted()
    assert again.ledger.claims() == []
    plug(again, into=False)
    ended = again.of("TransactionEvent")[-1]
    assert (ended["eventType"], ended["transactionInfo"]["stoppedReason"]) == ("Ended", {"card": "Local", "csms": "Remote"}[way])
    assert [p["seqNo"] for p in t.of("TransactionEvent")] == list(range(len(t.of("TransactionEvent"))))


def test_1_6_knows_no_points() -> None:
    """The keys are no configuration keys of 1.6, and its transactions begin when both are so."""
    t = Talk(replace(HAND, version=("1.6",), keys={"TxCtrlr.TxStartPoint": "Authorized"})).booted()
    assert t.call("ChangeConfiguration", {"key": "TxCtrlr.TxStartPoint", "value": "Authorized"}) == {"status": "NotSupported"}
    swipe(t)
    assert t.of("StartTransaction") == []
    plug(t)
    assert len(t.of("StartTransaction")) == 1


def test_a_transaction_that_waits_survives_a_power_cut() -> None:
    t = station("Authorized")
    swipe(t)
    again = t.restarted().booted()
    assert target_w(again) == 0.0
    plug(again)
    assert told(again) == [("Updated", "CablePluggedIn", "Charging")]
    again.now = again.now.later(1)
    assert again.station.demand(again.now) is not None
    assert again.ledger.claims()[0].claim_w == 150_000.0
    assert again.now.mono_ns - t.now.mono_ns == NS
