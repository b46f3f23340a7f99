"""Tokens, local list, cache, reservations, the hand: the same rules in both versions (OCPP-3, OCPP-18; settled 11, 13, 17)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.protocols.ocpp.config import LinkConfig, Role
from bessctl.protocols.ocpp.session.clock import NS
from tests.protocols.ocpp.sansio import LINK, T0, Talk, saved_after, with_keys
from tests.protocols.ocpp.test_v201 import NEW, talk201

LATER = "2027-01-15T09:00:00Z"
OFFLINE = {"AuthorizationCacheEnabled": "true"}


def listed(talk: Talk, tokens: dict[str, str | None], version: int = 1, update: str = "Full", **info: Any) -> str:
    """SendLocalList in the talk's version."""
    if talk.version == "1.6":
        entries = [{"idTag": t, **({} if s is None else {"idTagInfo": {"status": s, **info}})} for t, s in tokens.items()]
        request: dict[str, Any] = {"listVersion": version, "updateType": update}
    else:
        entries = [
            {"idToken": {"idToken": t, "type": "ISO14443"}, **({} if s is None else {"idTokenInfo": {"status": s}})}
            for t, s in tokens.items()
        ]
        request = {"versionNumber": version, "updateType": update}
    status: str = talk.call("SendLocalList", {**request, **({"localAuthorizationList": entries} if entries else {})})["status"]
    return status


def both(**keys: str) -> list[Talk]:
    return [Talk(with_keys(**keys)).booted(), talk201(Role.OPERATOR, **keys)]


VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


def talk(version: str, link: LinkConfig = LINK, **keys: str) -> Talk:
    return Talk(replace(link, version=(version,), keys=keys), version=version).booted()


def begun(t: Talk) -> bool:
    return t.station.transactions.active() is not None


# --- the local list


@VERSIONS
def test_lists_are_taken_changed_and_kept(version: str) -> None:
    """1.6 5.15, 5.10; 2.0.1 D01, D02: full, differential, versions, removal; digests alone are on disk."""
    t = talk(version)
    number = {"1.6": "listVersion", "2.0.1": "versionNumber"}[version]
    assert t.call("GetLocalListVersion", {}) == {number: 0}
    assert listed(t, {"A": "Accepted", "B": "Blocked"}) == "Accepted"
    assert listed(t, {"B": None, "C": "Accepted"}, 2, "Differential") == "Accepted"
    again = t.restarted().booted()
    assert again.call("GetLocalListVersion", {}) == {number: 2}
    assert len(saved_after(again.writes).docs["token_list"]) == 2
    assert listed(again, {"D": "Accepted"}, 2, "Differential") == "VersionMismatch"
    assert listed(again, {"D": "Accepted"}, -1) == "Failed"
    assert listed(again, {}, 5) == "Accepted"
    assert again.call("GetLocalListVersion", {}) == {number: 0}


def test_a_list_with_a_double_or_an_empty_entry_is_refused() -> None:
    t = talk("1.6")
    entry = {"idTag": "A", "idTagInfo": {"status": "Accepted"}}
    twice = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry, {**entry, "idTag": "a"}]}
    assert t.call("SendLocalList", twice) == {"status": "Failed"}
    assert listed(t, {"A": None}) == "Failed"


def test_a_list_that_is_off() -> None:
    t = talk("1.6", LocalAuthListEnabled="false")
    assert listed(t, {"A": "Accepted"}) == "NotSupported"
    assert t.call("GetLocalListVersion", {}) == {"listVersion": -1}


# --- a token at the station


@VERSIONS
def test_a_swipe_asks_the_csms_and_begins(version: str) -> None:
    """1.6 4.1, 4.8; 2.0.1 C01, E02."""
    t = talk(version)
    assert t.hand("swipe", token="CARD", connectors=(1,)) is None
    assert t.actions().count("Authorize") == 1
    assert begun(t)
    if version == "2.0.1":
        assert t.of("TransactionEvent")[0]["triggerReason"] == "Authorized"


@VERSIONS
@pytest.mark.parametrize("status", ["Blocked", "Invalid", "Expired"])
def test_a_swipe_the_csms_refuses(version: str, status: str) -> None:
    t = talk(version)
    info = {"idTagInfo": {"status": status}} if version == "1.6" else {"idTokenInfo": {"status": status}}
    t.replies["Authorize"] = lambda p: info
    t.hand("swipe", token="CARD")
    assert not begun(t)
    assert t.ledger.direction() is None


@VERSIONS
def test_the_same_card_ends_it_another_does_not(version: str) -> None:
    """1.6 4.10, 2.0.1 C01, E06: reason Local."""
    t = talk(version)
    t.hand("swipe", token="CARD", connectors=(1,))
    assert t.hand("swipe", token="OTHER", connectors=(1,)) is not None
    assert begun(t)
    assert t.hand("swipe", token="card", connectors=(1,)) is None
    assert not begun(t)
    last = t.of("StopTransaction" if version == "1.6" else "TransactionEvent")[-1]
    assert (last["reason"] if version == "1.6" else last["transactionInfo"]["stoppedReason"]) == "Local"


@VERSIONS
def test_a_card_of_the_same_group_ends_it(version: str) -> None:
    """1.6 parentIdTag, 2.0.1 groupIdToken (C09); known from the CSMS's answers alone."""
    t = talk(version)
    group = {"idToken": "FLEET", "type": "Central"}
    info = {"idTagInfo": {"status": "Accepted", "parentIdTag": "FLEET"}}
    t.replies["Authorize"] = lambda p: info if version == "1.6" else {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
    t.hand("swipe", token="CARD", connectors=(1,))
    assert begun(t)
    assert t.hand("swipe", token="COLLEAGUE", connectors=(1,)) is None
    assert not begun(t)


def test_a_master_pass_ends_any_and_begins_none() -> None:
    """2.0.1 C16."""
    t = talk("2.0.1", LINK, **{"AuthCtrlr.MasterPassGroupId": "MASTER"})
    group = {"idToken": "MASTER", "type": "Central"}

    def authorize(p: dict[str, Any]) -> dict[str, Any]:
        return {"idTokenInfo": {"status": "Accepted", **({"groupIdToken": group} if p["idToken"]["idToken"] == "POLICE" else {})}}

    t.replies["Authorize"] = authorize
    t.hand("swipe", token="POLICE", connectors=(1,))
    assert not begun(t)
    t.hand("swipe", token="CARD", connectors=(1,))
    assert begun(t)
    t.hand("swipe", token="POLICE", connectors=(1,))
    assert not begun(t)
    assert t.of("TransactionEvent")[-1]["transactionInfo"]["stoppedReason"] == "MasterPass"


@pytest.mark.parametrize(
    ("keys", "list_says", "begins"),
    [
        ({"LocalAuthorizeOffline": "true"}, "Accepted", True),
        ({"LocalAuthorizeOffline": "true"}, "Blocked", False),
        ({"LocalAuthorizeOffline": "false"}, "Accepted", False),
        ({"LocalAuthorizeOffline": "true"}, None, False),
        ({"AllowOfflineTxForUnknownId": "true"}, None, True),
        ({"AllowOfflineTxForUnknownId": "true"}, "Blocked", False),
    ],
)
@VERSIONS
def test_without_the_csms(version: str, keys: dict[str, str], list_says: str | None, begins: bool) -> None:
    """1.6 3.5, 2.0.1 C10, C13, C15: begun offline, told later with its token."""
    t = talk(version, LINK, **keys)
    if list_says:
        assert listed(t, {"CARD": list_says}) == "Accepted"
    t.disconnect()
    refused = t.hand("swipe", token="CARD")
    assert begun(t) is begins
    assert (refused is None) is begins
    t.sent.clear()
    t.connect()
    if begins:
        first = t.of("StartTransaction" if version == "1.6" else "TransactionEvent")[0]
        assert (first["idTag"] if version == "1.6" else first["idToken"]["idToken"]) == "CARD"


@VERSIONS
def test_a_card_that_is_known_begins_at_once(version: str) -> None:
    """LocalPreAuthorize: no Authorize before the start."""
    t = talk(version, LocalPreAuthorize="true")
    listed(t, {"CARD": "Accepted"})
    t.hand("swipe", token="CARD")
    assert begun(t)
    assert "Authorize" not in t.actions()


@VERSIONS
def test_the_cache_learns_forgets_and_expires(version: str) -> None:
    """1.6 3.5.1, 2.0.1 C12: what the CSMS said is known offline, until ClearCache or its time."""
    t = talk(version)
    until = {"expiryDate": LATER} if version == "1.6" else {"cacheExpiryDateTime": LATER}
    t.replies["Authorize"] = lambda p: {("idTagInfo" if version == "1.6" else "idTokenInfo"): {"status": "Accepted", **until}}
    t.replies["StartTransaction"] = lambda p: {"transactionId": 5, "idTagInfo": {"status": "Accepted", **until}}
    t.hand("swipe", token="CARD", connectors=(1,))
    t.hand("swipe", token="CARD", connectors=(1,))
    again = t.restarted().booted()
    again.disconnect()
    assert again.hand("swipe", token="CARD", connectors=(1,)) is None
    again.hand("swipe", token="CARD", connectors=(1,))
    again.pass_time(3601)
    assert "Expired" in str(again.hand("swipe", token="CARD", connectors=(1,)))
    third = t.restarted().booted()
    assert third.call("ClearCache", {}) == {"status": "Accepted"}
    third.disconnect()
    assert third.hand("swipe", token="CARD", connectors=(1,)) is not None


# --- the plug


@VERSIONS
def test_a_start_waits_for_the_plug_no_longer_than_connection_time_out(version: str) -> None:
    """Settled 13: ConnectionTimeOut; the power claimed is given back."""
    t = talk(version, replace(LINK, armed_by_hand=True), ConnectionTimeOut="30")
    start: tuple[str, dict[str, Any]] = ("RemoteStartTransaction", {"idTag": "T"})
    if version == "2.0.1":
        start = ("RequestStartTransaction", {"idToken": {"idToken": "T", "type": "Central"}, "remoteStartId": 1})
    assert t.call(*start)["status"] == "Accepted"
    assert not begun(t)
    t.pass_time(31)
    assert t.ledger.direction() is None
    assert t.call(*start)["status"] == "Accepted"
    t.hand("plug_in", connector=1)
    assert begun(t)


@pytest.mark.parametrize(("stops", "goes_on"), [("true", False), ("false", True)])
@VERSIONS
def test_plugging_out(version: str, stops: str, goes_on: bool) -> None:
    """StopTransactionOnEVSideDisconnect."""
    t = talk(version, StopTransactionOnEVSideDisconnect=stops)
    t.hand("plug_in", connector=1)
    t.hand("swipe", token="T", connectors=(1,))
    t.hand("plug_out", connector=1)
    assert begun(t) is goes_on
    if not goes_on:
        last = t.of("StopTransaction" if version == "1.6" else "TransactionEvent")[-1]
        assert "EVDisconnected" in str(last)


@VERSIONS
def test_an_error_set_by_hand(version: str) -> None:
    t = talk(version)
    t.hand("swipe", token="T", connectors=(1,))
    t.hand("error", code="GroundFailure", connector=1)
    assert not begun(t)
    name = {"1.6": ("connectorId", "status"), "2.0.1": ("evseId", "connectorStatus")}[version]
    assert [p[name[1]] for p in t.of("StatusNotification") if p[name[0]] == 1][-1] == "Faulted"
    assert t.hand("swipe", token="T", connectors=(1,)) is not None
    t.hand("clear", connector=1)
    assert [p[name[1]] for p in t.of("StatusNotification") if p[name[0]] == 1][-1] == "Available"


@pytest.mark.parametrize(("cmd", "fields"), [("dance", {}), ("plug_in", {"connector": 7}), ("swipe", {})])
def test_what_the_hand_cannot_do(cmd: str, fields: dict[str, Any]) -> None:
    assert talk("1.6").hand(cmd, **fields)


# --- a token that is doubted


@pytest.mark.parametrize(
    ("stop", "energy_wh", "at_once", "after_1_kwh"),
    [
        ("true", "0", "ended", "ended"),
        ("true", "1000", "running", "ended"),
        ("false", "0", "starved", "starved"),
        ("false", "1000", "running", "starved"),
    ],
)
@VERSIONS
def test_a_token_doubted_after_the_start(version: str, stop: str, energy_wh: str, at_once: str, after_1_kwh: str) -> None:
    """StopTransactionOnInvalidId and MaxEnergyOnInvalidId: all four ways."""
    t = talk(version, StopTransactionOnInvalidId=stop, MaxEnergyOnInvalidId=energy_wh, AllowOfflineTxForUnknownId="true")
    doubt = {"status": "Invalid"}
    t.replies["StartTransaction"] = lambda p: {"transactionId": 5, "idTagInfo": doubt}
    t.replies["TransactionEvent"] = lambda p: {"idTokenInfo": doubt} if p["eventType"] == "Started" else {}
    t.disconnect()
    t.hand("swipe", token="T", connectors=(1,))
    t.connect()

    def state() -> str:
        demand = t.station.demand(t.now)
        if not begun(t) or demand is None:
            return "ended"
        return "starved" if demand.wanted[0].watts == 0 else "running"

    assert state() == at_once
    t.plant.energy(export_wh=1000.0)
    t.look()
    assert state() == after_1_kwh


# --- reservations


def reserve(t: Talk, ident: int = 1, connector: int = 1, *, token: str = "MINE", until: str = LATER, parent: str = "") -> str:
    if t.version == "1.6":
        request: dict[str, Any] = {"reservationId": ident, "connectorId": connector, "idTag": token, "expiryDate": until}
        request |= {"parentIdTag": parent} if parent else {}
    else:
        request = {"id": ident, "idToken": {"idToken": token, "type": "Central"}, "expiryDateTime": until}
        request |= {"evseId": connector} if connector else {}
        request |= {"groupIdToken": {"idToken": parent, "type": "Central"}} if parent else {}
    status: str = t.call("ReserveNow", request)["status"]
    return status


def start(t: Talk, token: str) -> str:
    if t.version == "1.6":
        status: str = t.call("RemoteStartTransaction", {"idTag": token, "connectorId": 1})["status"]
        return status
    request = {"idToken": {"idToken": token, "type": "Central"}, "remoteStartId": 1, "evseId": 1}
    found: str = t.call("RequestStartTransaction", request)["status"]
    return found


def shown(t: Talk, connector: int = 1) -> str:
    name = {"1.6": ("connectorId", "status"), "2.0.1": ("evseId", "connectorStatus")}[t.version]
    last: str = [p[name[1]] for p in t.of("StatusNotification") if p[name[0]] == connector][-1]
    return last


@VERSIONS
def test_a_reserved_connector_serves_its_token_alone(version: str) -> None:
    """1.6 3.8, 2.0.1 H01, H03: Reserved, refused to others, used up by its own, named in the start; on disk meanwhile."""
    t = talk(version)
    assert reserve(t) == "Accepted"
    assert shown(t) == "Reserved"
    again = t.restarted().booted()
    assert start(again, "OTHER") == "Rejected"
    assert start(again, "mine") == "Accepted"
    first = again.of("StartTransaction" if version == "1.6" else "TransactionEvent")[0]
    assert first["reservationId"] == 1
    assert saved_after(again.writes).docs.get("reservation", {}) == {}


@VERSIONS
def test_a_reservation_for_a_group(version: str) -> None:
    t = talk(version, AuthorizeRemoteTxRequests="true")
    assert reserve(t, parent="FLEET") == "Accepted"
    info: dict[str, Any] = {"status": "Accepted"}
    info |= {"parentIdTag": "FLEET"} if version == "1.6" else {"groupIdToken": {"idToken": "FLEET", "type": "Central"}}
    t.replies["Authorize"] = lambda p: {"idTagInfo" if version == "1.6" else "idTokenInfo": info}
    t.disconnect()
    t.connect()
    assert t.hand("swipe", token="MEMBER", connectors=(1,)) is not None  # its group is not known yet
    if version == "1.6":
        listed(t, {"MEMBER": "Accepted"}, parentIdTag="FLEET")
        assert t.hand("swipe", token="MEMBER", connectors=(1,)) is None
        assert begun(t)


@VERSIONS
def test_reservations_expire_and_are_cancelled(version: str) -> None:
    t = talk(version)
    assert reserve(t) == "Accepted"
    assert t.call("CancelReservation", {"reservationId": 1}) == {"status": "Accepted"}
    assert t.call("CancelReservation", {"reservationId": 1})["status"] == "Rejected"
    assert shown(t) == "Available"
    reserve(t, until="2027-01-15T08:01:00Z")
    t.pass_time(61)
    assert shown(t) == "Available"
    assert start(t, "OTHER") == "Accepted"
    assert [p["reservationUpdateStatus"] for p in t.of("ReservationStatusUpdate")] == (["Expired"] if version == "2.0.1" else [])


def test_a_reservation_that_cannot_be_kept_is_removed() -> None:
    """H04: the connector faulted or inoperative."""
    t = talk("2.0.1")
    reserve(t)
    t.plant.alarm("cell_temp_high")
    t.look()
    assert t.of("ReservationStatusUpdate") == [{"reservationId": 1, "reservationUpdateStatus": "Removed"}]


@pytest.mark.parametrize("connector", [0, 1])
@VERSIONS
def test_whoever_comes_second_is_told_why(version: str, connector: int) -> None:
    t = talk(version)
    assert reserve(t, connector=connector) == "Accepted"
    assert reserve(t, ident=2) == "Occupied"
    assert reserve(t, token="ANOTHER", connector=connector) == "Accepted"  # the same id replaces
    assert start(t, "MINE") == "Rejected"
    assert start(t, "ANOTHER") == "Accepted"
    assert reserve(t, ident=3) == "Occupied"
    assert reserve(t, ident=3, connector=2) == "Unavailable"
    assert reserve(t, ident=3, connector=9) == "Rejected"


@VERSIONS
def test_reserving_what_cannot_be_had(version: str) -> None:
    t = talk(version)
    assert reserve(t, until="2027-01-15T07:00:00Z") == "Rejected"
    assert t.now.utc_ns == T0 + 0 * NS
    t.plant.alarm("cell_temp_high")
    t.look()
    assert reserve(t) == "Faulted"


def test_no_token_is_on_disk() -> None:
    """OCPP-18, settled 11: with a real key, neither transactions nor lists, caches, reservations hold a token."""
    from bessctl.protocols.ocpp.binding.secrets import Secrets  # noqa: PLC0415

    secrets = Secrets(bytes(range(32)))
    assert secrets.digest("CaRd") == secrets.digest("card") != Secrets(bytes(32)).digest("card")
    sealed = secrets.seal("CARD")
    assert "CARD" not in sealed
    assert (secrets.open(sealed), Secrets(bytes(32)).open(sealed), secrets.open("plain")) == ("CARD", None, "plain")
    assert secrets.open("sealed:!!") is None


def test_both_versions_take_the_same_link() -> None:
    assert [t.version for t in both()] == ["1.6", "2.0.1"]
    assert NEW.version == ("2.0.1",)
