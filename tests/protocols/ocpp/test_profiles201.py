"""Charging profiles as 2.0.1 wants them, where that is another way than 1.6's (OCPP-6; K01, K08)."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl.protocols.ocpp.session import writes as w
from tests.protocols.ocpp.sansio import Talk, profile
from tests.protocols.ocpp.test_v201 import profile201, started, talk201, tx_of

DEFAULT = {"chargingProfilePurpose": "TxDefaultProfile"}
STATION = {"chargingProfilePurpose": "ChargingStationMaxProfile"}
MORNING = {"validFrom": "2027-01-15T06:00:00Z", "validTo": "2027-01-15T12:00:00Z"}
NOON = {"validFrom": "2027-01-15T12:00:00Z"}
BRUNCH = {"validFrom": "2027-01-15T11:00:00Z", "validTo": "2027-01-15T13:00:00Z"}


def put(talk: Talk, evse: int, body: dict[str, Any]) -> str:
    return str(talk.call("SetChargingProfile", {"evseId": evse, "chargingProfile": body})["status"])


def ids(talk: Talk) -> list[int]:
    return sorted(i.profile.id for i in talk.station.profiles.installed)


@pytest.mark.parametrize(
    ("there", "then", "status"),
    [
        # the same id replaces, wherever it stands (K01.FR.05)
        ((1, DEFAULT), (1, {**DEFAULT, "id": 1}), "Accepted"),
        ((1, DEFAULT), (0, {**STATION, "id": 1, "stackLevel": 3}), "Accepted"),
        # another one of the same purpose and stack level: not while both can be valid (K01.FR.06)
        ((1, DEFAULT), (1, DEFAULT), "Rejected"),
        ((1, {**DEFAULT, **MORNING}), (1, {**DEFAULT, **BRUNCH}), "Rejected"),
        ((1, {**DEFAULT, **BRUNCH}), (1, {**DEFAULT, **NOON}), "Rejected"),
        ((1, {**DEFAULT, **MORNING}), (1, {**DEFAULT, **NOON}), "Accepted"),
        ((0, STATION), (0, STATION), "Rejected"),
        ((0, {**STATION, **NOON}), (0, {**STATION, **MORNING}), "Accepted"),
        # another stack level, EVSE, purpose
        ((1, DEFAULT), (1, {**DEFAULT, "stackLevel": 1}), "Accepted"),
        ((1, DEFAULT), (2, DEFAULT), "Accepted"),
        ((0, DEFAULT), (0, STATION), "Accepted"),
        # of all EVSEs beside one of an EVSE (K01.FR.52, FR.53)
        ((1, DEFAULT), (0, DEFAULT), "Rejected"),
        ((0, DEFAULT), (2, DEFAULT), "Rejected"),
        ((0, DEFAULT), (2, {**DEFAULT, "stackLevel": 1}), "Accepted"),
    ],
)
def test_what_stands_beside_what(there: tuple[int, dict[str, Any]], then: tuple[int, dict[str, Any]], status: str) -> None:
    talk = talk201()
    assert put(talk, there[0], profile201([(0, 1.0)], **there[1])) == "Accepted"
    assert put(talk, then[0], profile201([(0, 2.0)], **{"id": 2, **then[1]})) == status
    new = then[1].get("id", 2)
    assert ids(talk) == ([1] if status == "Rejected" else sorted({1, new}))


def test_a_transaction_has_one_profile_of_a_stack_level() -> None:
    """K01.FR.39: whatever their validity; 1.6 replaces (`profiles.same_id_and_same_place_replace_and_stay_replaced`)."""
    talk = started()
    assert put(talk, 1, profile201([(0, 1.0)], transactionId=tx_of(talk), **MORNING)) == "Accepted"
    assert put(talk, 1, profile201([(0, 2.0)], id=2, transactionId=tx_of(talk), **NOON)) == "Rejected"
    assert put(talk, 1, profile201([(0, 2.0)], id=2, transactionId=tx_of(talk), stackLevel=1)) == "Accepted"
    assert put(talk, 1, profile201([(0, 3.0)], id=1, transactionId=tx_of(talk))) == "Accepted"
    assert ids(talk) == [1, 2]


def body(kind: str, *, dated: bool, **period: int) -> dict[str, Any]:
    made = profile201([(0, 1.0)], chargingProfileKind=kind, **DEFAULT, **({"recurrencyKind": "Daily"} if kind == "Recurring" else {}))
    made["chargingSchedule"][0]["chargingSchedulePeriod"][0] |= period
    if not dated:
        del made["chargingSchedule"][0]["startSchedule"]
    return made


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        (body("Absolute", dated=True), ""),
        (body("Absolute", dated=False), "startSchedule"),  # K01.FR.40
        (body("Recurring", dated=True), ""),
        (body("Recurring", dated=False), "startSchedule"),
        (body("Relative", dated=False), ""),
        (body("Relative", dated=True), "startSchedule"),  # K01.FR.41
        (body("Absolute", dated=True, numberPhases=1), ""),
        (body("Absolute", dated=True, numberPhases=1, phaseToUse=2), "phaseToUse"),  # K01.FR.20
    ],
)
def test_what_is_wrong_with_a_profile_by_itself(wish: dict[str, Any], named: str) -> None:
    answer = talk201().call("SetChargingProfile", {"evseId": 1, "chargingProfile": wish})
    assert answer["status"] == ("Rejected" if named else "Accepted")
    assert named in answer.get("statusInfo", {}).get("additionalInfo", "")


def test_1_6_takes_what_2_0_1_refuses() -> None:
    talk = Talk().booted()
    wish = profile([(0, 1.0)], chargingProfilePurpose="TxDefaultProfile")
    del wish["chargingSchedule"]["startSchedule"]
    assert talk.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": wish}) == {"status": "Accepted"}


def test_a_composite_schedule_beyond_what_is_planned_says_how_long_it_is() -> None:
    """K08: the first 48 h, in the answer and in the audit."""
    talk = talk201()
    answer = talk.call("GetCompositeSchedule", {"evseId": 1, "duration": 7 * 86_400})
    assert answer["schedule"]["duration"] == 48 * 3600
    assert [x.detail for x in talk.writes if isinstance(x, w.Audit) and x.kind == "composite_shortened"] == [
        "604800 s asked for, the first 172800 s are told"
    ]
