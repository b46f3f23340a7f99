"""BootNotification, its three answers, heartbeats and the station's time (OCPP-4, OCPP-11)."""

from __future__ import annotations

import pytest

from bessctl.protocols.ocpp.session.clock import NS
from tests.protocols.ocpp.sansio import Talk, boot, with_keys


def test_boot_comes_first_and_states_follow() -> None:
    """OCPP-4: nothing precedes BootNotification; connectors 0, 1, 2 are told after it."""
    talk = Talk().booted()
    assert talk.actions() == ["BootNotification", "SecurityEventNotification", *["StatusNotification"] * 3]
    assert [p["connectorId"] for p in talk.of("StatusNotification")] == [0, 1, 2]


def test_nothing_else_is_sent_while_the_answer_is_awaited() -> None:
    talk = Talk()
    talk.auto = False
    talk.connect()
    talk.pass_time(20)
    assert talk.actions() == ["BootNotification"]


def test_pending_sends_only_what_is_triggered_and_asks_again_after_the_interval() -> None:
    """OCPP-4, OCPP-11: the interval of Pending is obeyed as it is, even below the range."""
    talk = Talk()
    talk.replies["BootNotification"] = lambda p: boot("Pending", 7)
    talk.connect()
    talk.pass_time(6)
    assert talk.actions() == ["BootNotification"]
    assert talk.call("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}) == {"status": "Accepted"}
    assert talk.actions() == ["BootNotification", "StatusNotification"]
    assert talk.call("GetConfiguration", {"key": ["HeartbeatInterval"]})["configurationKey"][0]["value"] == "300"
    assert talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1}) == {"status": "Rejected"}
    talk.pass_time(1.1)
    assert talk.actions().count("BootNotification") == 2


def test_rejected_is_silence_until_the_interval_passes() -> None:
    """OCPP-4: after Rejected nothing is sent, and CALLs are not answered."""
    talk = Talk()
    talk.replies["BootNotification"] = lambda p: boot("Rejected", 120)
    talk.connect()
    assert talk.call("TriggerMessage", {"requestedMessage": "Heartbeat"}) is None
    talk.pass_time(119)
    assert talk.actions() == ["BootNotification"]
    talk.replies["BootNotification"] = lambda p: boot()
    talk.pass_time(2)
    assert talk.station.accepted


@pytest.mark.parametrize(
    ("asked", "used"),
    [(300, 300), (1, 30), (29, 30), (30, 30), (3600, 3600), (86_400, 3600), (0, 900)],
)
def test_the_interval_of_accepted_is_clamped(asked: int, used: int) -> None:
    """OCPP-11: HeartbeatInterval 30-3600; 0 = our choice."""
    talk = Talk(with_keys(HeartbeatInterval="900"))
    talk.replies["BootNotification"] = lambda p: boot(interval=asked)
    talk.booted()
    talk.pass_time(used - 0.5)
    assert talk.of("Heartbeat") == []
    talk.pass_time(1)
    assert len(talk.of("Heartbeat")) == 1
    talk.pass_time(used)
    assert len(talk.of("Heartbeat")) == 2


def test_a_failed_boot_is_tried_again() -> None:
    talk = Talk()
    talk.replies["BootNotification"] = lambda p: None
    talk.connect()
    talk.pass_time(29)
    assert len(talk.of("BootNotification")) == 1
    talk.replies["BootNotification"] = lambda p: boot()
    talk.pass_time(2)
    assert talk.station.accepted


def test_a_reconnect_sends_no_boot_and_tells_changes_only() -> None:
    """Settled question 7."""
    talk = Talk().booted()
    talk.sent.clear()
    talk.disconnect()
    talk.connect()
    assert talk.sent == []
    talk.disconnect()
    talk.plant.alarm("cell_temp_high", "derate")
    talk.look()
    talk.connect()
    assert talk.actions() == ["StatusNotification"] * 3
    assert {p["errorCode"] for p in talk.of("StatusNotification")} == {"HighTemperature"}


def test_a_boot_cut_off_by_the_link_is_sent_on_the_next_one() -> None:
    talk = Talk()
    talk.auto = False
    talk.connect()
    talk.disconnect()
    talk.auto = True
    talk.connect()
    assert talk.station.accepted


def test_a_csms_of_2_0_1_that_rejected_us_may_trigger_a_boot_alone() -> None:
    """B03.FR.08: everything else is answered by SecurityError; the triggered BootNotification does not wait for the interval."""
    talk = Talk(version="2.0.1")
    talk.replies["BootNotification"] = lambda p: boot("Rejected", 600)
    talk.connect()
    for action, payload in (
        ("GetLocalListVersion", {}),
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
        ("Reset", {"type": "OnIdle"}),
    ):
        assert talk.call(action, payload)[0] == "SecurityError"
    assert talk.actions() == ["BootNotification"]
    talk.replies["BootNotification"] = lambda p: boot()
    assert talk.call("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Accepted"}
    assert talk.station.accepted


def test_each_start_of_a_station_counts_a_boot() -> None:
    """OCPP-7: Reset is proven by a boot counter that lives on disk."""
    talk = Talk().booted()
    assert talk.station.boots == 1
    assert talk.restarted().station.boots == 2


def test_the_csms_time_dates_what_happens_while_our_clock_is_not_trusted() -> None:
    """No 1970 on the wire: without a trusted clock the time of BootNotification rules."""
    talk = Talk(trusted=False)
    talk.replies["BootNotification"] = lambda p: boot(time="2030-06-01T12:00:00.000Z")
    talk.booted()
    assert all(p["timestamp"].startswith("2030-06-01T12:00:0") for p in talk.of("StatusNotification"))
    talk.now = talk.now.later(3600)
    talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
    assert talk.of("StartTransaction")[0]["timestamp"] == "2030-06-01T13:00:00Z"


def test_a_csms_that_lives_in_the_year_9999_is_served() -> None:
    """Its time goes on beyond what 64 bits of nanoseconds hold: everything is kept and told all the same."""
    talk = Talk(trusted=False)
    talk.replies["BootNotification"] = lambda p: boot(time="9999-12-31T23:59:59Z", interval=2**31 - 1)
    talk.replies["Heartbeat"] = lambda p: {"currentTime": "9999-12-31T23:59:59Z"}
    talk.booted()
    talk.pass_time(3600)
    assert talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})["status"] == "Accepted"
    assert talk.call("GetCompositeSchedule", {"connectorId": 1, "duration": 3600})["status"] == "Accepted"
    talk.pass_time(60)
    assert talk.call("RemoteStopTransaction", {"transactionId": 41}) == {"status": "Accepted"}
    assert talk.of("StopTransaction")[0]["timestamp"].startswith("2262-")
    assert talk.restarted().booted()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_state_that_the_csms_did_not_take_is_told_again(version: str) -> None:
    """On the same connection: after half a minute, then after twice that; what changed meanwhile is told at once."""
    talk = Talk(version=version)
    talk.replies["StatusNotification"] = lambda p: None
    talk.booted()
    connectors = 3 if version == "1.6" else 2
    told = [len(talk.of("StatusNotification"))]
    for seconds in (29, 2, 58, 3):
        talk.pass_time(seconds)
        told.append(len(talk.of("StatusNotification")))
    assert told == [connectors * n for n in (1, 1, 2, 2, 3)]
    del talk.replies["StatusNotification"]
    talk.hand("error", code="OtherError", connector=1)
    assert len(talk.of("StatusNotification")) == 3 * connectors + 1
    talk.pass_time(7200)
    assert len(talk.of("StatusNotification")) == 4 * connectors


def test_a_state_that_the_csms_never_answered_is_told_again() -> None:
    talk = Talk(with_keys(HeartbeatInterval="86400")).booted()
    talk.auto = False
    talk.hand("error", code="OtherError", connector=1)
    talk.pass_time(31)
    assert len(talk.of("StatusNotification")) == 4
    talk.auto = True
    talk.pass_time(30)
    assert len(talk.of("StatusNotification")) == 5
    talk.pass_time(7200)
    assert len(talk.of("StatusNotification")) == 5


def test_a_lease_is_evidence_of_the_peer() -> None:
    """The lease moves with frames from the peer, not with time."""
    talk = Talk().booted()
    lease = talk.station.lease_until_ns()
    assert lease == talk.now.mono_ns + 60 * NS
    talk.pass_time(20)
    assert talk.station.lease_until_ns() == lease
    talk.raw("garbage is a frame too")
    assert talk.station.lease_until_ns() == lease + 20 * NS
    talk.now = talk.now.later(1)
    talk.take(talk.station.pong(talk.now))
    assert talk.station.lease_until_ns() == lease + 21 * NS
