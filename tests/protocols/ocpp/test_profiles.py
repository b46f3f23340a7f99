"""Set, clear and get charging profiles over the wire (OCPP-6; settled 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.keys import MAX_PERIODS, MAX_PROFILES
from tests.protocols.ocpp.sansio import LINK, Talk, profile

STATION = {"chargingProfilePurpose": "ChargePointMaxProfile"}
DEFAULT = {"chargingProfilePurpose": "TxDefaultProfile"}


def running(link: Any = LINK, connector: int = 1) -> Talk:
    talk = Talk(link).booted()
    assert talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": connector}) == {"status": "Accepted"}
    return talk


def put(talk: Talk, connector: int, body: dict[str, Any]) -> str:
    return str(talk.call("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": body})["status"])


def target(talk: Talk) -> list[tuple[float, float | None]]:
    demand = talk.station.demand(talk.now)
    return [((s.start_ns - talk.now.mono_ns) / NS, s.watts) for s in demand.wanted] if demand else []


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "2027-01-15T08:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("until", ["2554-07-22T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize(
    "kind", [{}, {"chargingProfileKind": "Relative"}, {"chargingProfileKind": "Recurring", "recurrencyKind": "Weekly"}]
)
def test_a_profile_may_be_valid_for_ever(start: str, until: str, kind: dict[str, str]) -> None:
    """9999-12-31 is common in the field: kept, obeyed, there again after a restart."""
    talk = running()
    body = profile([(0, 60_000.0)], start=start, validFrom="0001-01-01T00:00:00Z", validTo=until, duration=2**31 - 1, **DEFAULT, **kind)
    assert put(talk, 0, body) == "Accepted"
    talk.pass_time(5)
    assert talk.call("GetCompositeSchedule", {"connectorId": 1, "duration": 2**31 - 1})["status"] == "Accepted"
    assert talk.restarted().booted().station.profiles.installed == talk.station.profiles.installed


@pytest.mark.parametrize(
    ("connector", "body", "status"),
    [
        # where each purpose may go
        (1, profile([(0, 60_000.0)]), "Accepted"),
        (1, profile([(0, 60_000.0)], transactionId=41), "Accepted"),
        (1, profile([(0, 60_000.0)], transactionId=42), "Rejected"),
        (0, profile([(0, 60_000.0)]), "Rejected"),
        (2, profile([(0, 60_000.0)]), "Rejected"),
        (3, profile([(0, 60_000.0)], **DEFAULT), "Rejected"),
        (0, profile([(0, 60_000.0)], **STATION), "Accepted"),
        (1, profile([(0, 60_000.0)], **STATION), "Rejected"),
        (0, profile([(0, 60_000.0)], **DEFAULT), "Accepted"),
        (2, profile([(0, 60_000.0)], **DEFAULT), "Accepted"),
        # form
        (1, profile([]), "Rejected"),
        (1, profile([(1, 5.0)]), "Rejected"),
        (1, profile([(0, 5.0), (10, 6.0), (10, 7.0)]), "Rejected"),
        (1, profile([(i, 5.0) for i in range(MAX_PERIODS)]), "Accepted"),
        (1, profile([(i, 5.0) for i in range(MAX_PERIODS + 1)]), "Rejected"),
        (1, profile([(0, 5.0)], stackLevel=10), "Accepted"),
        (1, profile([(0, 5.0)], stackLevel=11), "Rejected"),
        (1, profile([(0, 5.0)], stackLevel=-1), "Rejected"),
        (1, profile([(0, 5.0)], duration=0), "Rejected"),
        (1, profile([(0, 5.0)], chargingProfileKind="Recurring"), "Rejected"),
        (1, profile([(0, 5.0)], chargingProfileKind="Recurring", recurrencyKind="Daily"), "Accepted"),
        (0, profile([(0, 5.0)], chargingProfileKind="Relative", **STATION), "Rejected"),
        (1, profile([(0, 5.0)], chargingProfileId=2**31 - 1), "Accepted"),
        (1, profile([(0, 1e300)]), "Rejected"),
        # sign (settled 4)
        (1, profile([(0, -60_000.0)]), "Accepted"),
        (1, profile([(0, -60_000.0), (10, 5.0)]), "Rejected"),
        (0, profile([(0, -60_000.0)], **STATION), "Rejected"),
        (2, profile([(0, -60_000.0)], **DEFAULT), "Rejected"),
    ],
)
def test_what_is_taken(connector: int, body: dict[str, Any], status: str) -> None:
    assert put(running(), connector, body) == status


def test_a_tx_profile_needs_a_transaction() -> None:
    assert put(Talk().booted(), 1, profile([(0, 5.0)])) == "Rejected"


def test_the_whole_schedule_becomes_the_demand() -> None:
    """OCPP-6: not one value at a time."""
    talk = running()
    put(talk, 1, profile([(0, 60_000.0), (600, 0.0), (1200, 200_000.0)]))
    assert target(talk) == [(0, 60_000.0), (600, 0.0), (1200, 150_000.0)]


def test_a_negative_limit_is_a_discharge_of_its_magnitude() -> None:
    talk = running()
    put(talk, 1, profile([(0, -60_000.0)]))
    assert target(talk)[0] == (0, 60_000.0)


def test_charging_with_limit_zero_never_discharges() -> None:
    talk = running(connector=2)
    put(talk, 2, profile([(0, 0.0)]))
    assert target(talk)[0] == (0, 0.0)


def test_the_profile_of_a_remote_start_narrows_it() -> None:
    """Settled 3."""
    talk = Talk().booted()
    wish = {"idTag": "T", "connectorId": 1, "chargingProfile": profile([(0, 70_000.0)])}
    assert talk.call("RemoteStartTransaction", wish) == {"status": "Accepted"}
    assert target(talk)[0][1] == 70_000.0
    wrong = {"idTag": "T", "connectorId": 1, "chargingProfile": profile([(0, 70_000.0)], **DEFAULT)}
    assert Talk().booted().call("RemoteStartTransaction", wrong) == {"status": "Rejected"}


def test_same_id_and_same_place_replace_and_stay_replaced() -> None:
    """A replaced profile does not come alive again after a restart."""
    talk = running()
    put(talk, 1, profile([(0, 10_000.0)], chargingProfileId=1))
    put(talk, 1, profile([(0, 20_000.0)], chargingProfileId=2))
    put(talk, 1, profile([(0, 30_000.0)], chargingProfileId=2, stackLevel=1))
    assert target(talk)[0][1] == 30_000.0
    again = talk.restarted().booted()
    assert target(again)[0][1] == 30_000.0
    assert len(again.station.profiles.installed) == 1


def test_tx_profiles_end_with_their_transaction() -> None:
    talk = running()
    put(talk, 1, profile([(0, 10_000.0)]))
    put(talk, 1, profile([(0, 90_000.0)], chargingProfileId=2, **DEFAULT))
    talk.call("RemoteStopTransaction", {"transactionId": 41})
    talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
    assert target(talk)[0][1] == 90_000.0


@pytest.mark.parametrize(
    ("wish", "status", "left"),
    [
        ({}, "Accepted", []),
        ({"id": 2}, "Accepted", [1, 3]),
        ({"id": 9}, "Unknown", [1, 2, 3]),
        ({"connectorId": 0}, "Accepted", [1]),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, "Accepted", [1, 3]),
        ({"stackLevel": 4}, "Accepted", [1, 2]),
        ({"stackLevel": 4, "connectorId": 1}, "Unknown", [1, 2, 3]),
    ],
)
def test_clearing(wish: dict[str, Any], status: str, left: list[int]) -> None:
    talk = running()
    put(talk, 1, profile([(0, 10.0)]))
    put(talk, 0, profile([(0, 20.0)], chargingProfileId=2, **DEFAULT))
    put(talk, 0, profile([(0, 30.0)], chargingProfileId=3, stackLevel=4, **STATION))
    assert talk.call("ClearChargingProfile", wish) == {"status": status}
    assert sorted(i.profile.id for i in talk.station.profiles.installed) == left


def test_no_more_profiles_than_the_key_says() -> None:
    talk = Talk().booted()
    taken = [
        put(talk, c, profile([(0, 5.0)], chargingProfileId=100 * c + s, stackLevel=s, **DEFAULT)) for c in (0, 1, 2) for s in range(11)
    ]
    assert taken.count("Accepted") == MAX_PROFILES
    assert taken[MAX_PROFILES:] == ["Rejected"] * (33 - MAX_PROFILES)


def test_a_limit_of_zero_suspends() -> None:
    talk = running()
    talk.sent.clear()
    put(talk, 1, profile([(0, 0.0)]))
    assert [(p["connectorId"], p["status"]) for p in talk.of("StatusNotification")] == [(1, "SuspendedEVSE")]


@pytest.mark.parametrize(("role", "caps"), [(Role.OWNER, [40_000.0]), (Role.OPERATOR, [])])
def test_an_owners_station_limit_caps_the_plant(role: Role, caps: list[float]) -> None:
    talk = running(replace(LINK, role=role))
    assert put(talk, 0, profile([(0, 40_000.0)], **STATION)) == "Accepted"
    demand = talk.station.demand(talk.now)
    assert demand is not None
    assert [c.watts for c in demand.cap] == caps
    assert demand.wanted[0].watts == 40_000.0


def test_a_cap_stays_when_the_lease_lapses() -> None:
    """Lapsing never widens a limit: the target goes, the owner's cap stays, after a restart too."""
    talk = running(replace(LINK, role=Role.OWNER))
    put(talk, 0, profile([(0, 40_000.0)], **STATION))
    talk.disconnect()
    talk.pass_time(61)
    for station in (talk.station, talk.restarted().station):
        demand = station.demand(talk.now)
        assert demand is not None
        assert (demand.wanted, demand.cap[0].watts) == ((), 40_000.0)


def composite(talk: Talk, **wish: Any) -> dict[str, Any]:
    return dict(talk.call("GetCompositeSchedule", {"connectorId": 1, "duration": 600, **wish}))


def test_composite_schedule() -> None:
    talk = running()
    put(talk, 1, profile([(0, 60_000.0), (100, 30_000.0)]))
    put(talk, 0, profile([(0, 50_000.0)], chargingProfileId=2, duration=60, **STATION))
    answer = composite(talk)
    assert answer["scheduleStart"] == "2027-01-15T08:00:00Z"
    assert answer["chargingSchedule"] == {
        "duration": 600,
        "startSchedule": "2027-01-15T08:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 50_000.0},
            {"startPeriod": 60, "limit": 60_000.0},
            {"startPeriod": 100, "limit": 30_000.0},
        ],
    }
    amps = composite(talk, chargingRateUnit="A")["chargingSchedule"]["chargingSchedulePeriod"]
    assert amps[0]["limit"] == pytest.approx(50_000 / 690, abs=0.05)


def test_composite_without_profiles_is_what_the_connector_can_do() -> None:
    assert composite(Talk().booted())["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 150_000.0}]


@pytest.mark.parametrize("wish", [{"connectorId": 3}, {"duration": 0}, {"duration": -5}])
def test_no_composite(wish: dict[str, Any]) -> None:
    assert composite(Talk().booted(), **wish) == {"status": "Rejected"}
