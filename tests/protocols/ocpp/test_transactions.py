"""Starts, stops, the queue and what survives (OCPP-13, OCPP-16, OCPP-17, OCPP-18, OCPP-19; settled 3, 6, 9)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from bessctl.errors import NotReachable
from bessctl.model.plan import Plan
from bessctl.model.snapshot import Binding
from bessctl.protocols.ocpp.binding.desk import Desk
from bessctl.protocols.ocpp.config import Role, StationConfig
from bessctl.protocols.ocpp.session import writes as w
from bessctl.protocols.ocpp.session.clock import Now
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.plant import Direction
from tests.protocols.ocpp.fakes import FakePlans
from tests.protocols.ocpp.sansio import LINK, Talk, profile, saved_after, with_keys

START = {"idTag": "TAG", "connectorId": 1}


def started(talk: Talk | None = None, **start: Any) -> Talk:
    talk = talk or Talk().booted()
    talk.sent.clear()
    assert talk.call("RemoteStartTransaction", {**START, **start}) == {"status": "Accepted"}
    return talk


def test_a_csms_may_number_transactions_by_milliseconds() -> None:
    """Beyond 32 bits, as some in the field do; nothing of it is lost or rounded."""
    talk = Talk()
    talk.transaction = 1_799_999_999_999
    talk.booted()
    assert talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1}) == {"status": "Accepted"}
    assert talk.call("RemoteStopTransaction", {"transactionId": 1_800_000_000_000}) == {"status": "Accepted"}
    assert talk.of("StopTransaction")[0]["transactionId"] == 1_800_000_000_000


def test_a_start_is_answered_then_told_in_order() -> None:
    talk = started()
    assert [(a, p.get("status")) for a, p in talk.sent if p.get("connectorId") in (None, 1) and a != "DataTransfer"] == [
        ("StatusNotification", "Preparing"),
        ("StartTransaction", None),
        ("StatusNotification", "Charging"),
    ]


@pytest.mark.parametrize(("connector", "direction"), [(None, Direction.DISCHARGE), (1, Direction.DISCHARGE), (2, Direction.CHARGE)])
def test_connectors_are_directions(connector: int | None, direction: Direction) -> None:
    """OCPP-13; no connectorId = connector 1 (settled 3)."""
    talk = Talk().booted()
    talk.call("RemoteStartTransaction", {"idTag": "T"} if connector is None else {"idTag": "T", "connectorId": connector})
    demand = talk.station.demand(talk.now)
    assert demand is not None
    assert demand.direction is direction
    assert demand.wanted[0].watts == 150_000.0


def refuse_zero(talk: Talk) -> None:
    talk.plant.limits(-200_000.0, 0.0, Binding("row", "soc_low"))


def refuse_gone(talk: Talk) -> None:
    talk.plant.state = None


def refuse_mode(talk: Talk) -> None:
    talk.plant.set(mode="out_of_service")


def refuse_trip(talk: Talk) -> None:
    talk.plant.alarm("cell_temp_high")


def refuse_charging(talk: Talk) -> None:
    talk.ledger.ask("other", "x", Direction.CHARGE, 1000.0)


def refuse_inoperative(talk: Talk) -> None:
    talk.call("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"})


@pytest.mark.parametrize(
    ("prepare", "named"),
    [
        (refuse_zero, "row:soc_low"),
        (refuse_gone, "not attached"),
        (refuse_mode, "out_of_service"),
        (refuse_trip, "cell_temp_high"),
        (refuse_charging, "interlock"),
        (refuse_inoperative, "inoperative"),
    ],
)
def test_a_refusal_names_who_refused(prepare: Any, named: str) -> None:
    """OCPP-9: Rejected, and the audit names the binding."""
    talk = Talk().booted()
    prepare(talk)
    talk.look()
    assert talk.call("RemoteStartTransaction", START) == {"status": "Rejected"}
    audits = [x for x in talk.writes if isinstance(x, w.Audit) and x.kind == "remote_start_refused"]
    assert named in audits[-1].detail
    assert "StartTransaction" not in talk.actions()


@pytest.mark.parametrize("connector", [0, -1, 3])
def test_other_connectors_do_not_start(connector: int) -> None:
    assert Talk().booted().call("RemoteStartTransaction", {"idTag": "T", "connectorId": connector}) == {"status": "Rejected"}


def test_granted_less_than_asked_is_accepted() -> None:
    """OCPP-17, settled 3: the rest of the envelope is granted, and the audit says who bound it."""
    talk = Talk().booted()
    talk.plant.limits(-200_000.0, 80_000.0, Binding("row", "cell_temp_high"))
    talk.look()
    started(talk)
    demand = talk.station.demand(talk.now)
    assert demand is not None
    assert demand.wanted[0].watts == 80_000.0
    assert any(isinstance(x, w.Audit) and "row:cell_temp_high" in x.detail for x in talk.writes)


def test_a_slot_that_cannot_be_written_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """No loop attached: the station lives on, and writes as soon as there is one."""
    talk, plans = started(), Unreachable()
    desk = Desk(StationConfig((LINK,)), plans, talk.plant, Still(talk), ledger=talk.ledger, log=logging.getLogger("desk"))
    desk.stations["cpo"] = lambda: talk.station
    desk.replan()
    desk.replan(renew_only=True)
    assert caplog.text.count("no loop is attached") == 1
    plans.reachable = True
    desk.replan(renew_only=True)
    assert plans.target_w(talk.now.mono_ns) == 150_000.0
    written = len(plans.plans)
    desk.replan(renew_only=True)
    assert len(plans.plans) == written, "nothing new, no new evidence: nothing is written"


class Unreachable(FakePlans):
    reachable = False

    def write(self, plan: Plan) -> int:
        if not self.reachable:
            raise NotReachable("ocpp: no loop is attached")
        return super().write(plan)


class Still:
    """A clock that shows what a talk's does."""

    boot = "boot-1"

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def now(self) -> Now:
        return self._talk.now


def test_a_connector_serves_one_transaction() -> None:
    assert started().call("RemoteStartTransaction", START) == {"status": "Rejected"}


def test_observers_only_look() -> None:
    """Settled 5."""
    talk = Talk(replace(LINK, role=Role.OBSERVER)).booted()
    assert talk.call("RemoteStartTransaction", START) == {"status": "Rejected"}
    assert talk.call("Reset", {"type": "Soft"}) == {"status": "Rejected"}
    assert talk.call("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}) == {"status": "Rejected"}
    assert talk.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile([(0, 1.0)])}) == {"status": "Rejected"}


def test_a_stop_frees_the_power_at_once_and_tells_the_energy() -> None:
    talk = Talk()
    talk.plant.energy(export_wh=1000.0)
    talk.ledger.observe(talk.reading)
    started(talk.booted())
    talk.plant.energy(export_wh=4321.9)
    talk.look()
    assert talk.call("RemoteStopTransaction", {"transactionId": 41}) == {"status": "Accepted"}
    assert talk.station.demand(talk.now) is None
    assert talk.of("StartTransaction")[0]["meterStart"] == 1000
    stop = talk.of("StopTransaction")[0]
    assert (stop["meterStop"], stop["transactionId"], stop["reason"]) == (4321, 41, "Remote")
    assert saved_after(talk.writes).transactions == []


def test_unknown_transactions_are_not_stopped() -> None:
    assert started().call("RemoteStopTransaction", {"transactionId": 1}) == {"status": "Rejected"}


@pytest.mark.parametrize(("status", "begins"), [("Accepted", True), ("Blocked", False), ("Expired", False)])
def test_authorization_of_remote_starts(status: str, begins: bool) -> None:
    talk = Talk(with_keys(AuthorizeRemoteTxRequests="true")).booted()
    talk.replies["Authorize"] = lambda p: {"idTagInfo": {"status": status}}
    started(talk)
    assert talk.of("Authorize") == [{"idTag": "TAG"}]
    assert bool(talk.of("StartTransaction")) is begins
    assert (talk.ledger.direction() is not None) is begins


def test_a_refused_token_ends_the_transaction() -> None:
    """StopTransactionOnInvalidId."""
    talk = Talk().booted()
    talk.replies["StartTransaction"] = lambda p: {"transactionId": 9, "idTagInfo": {"status": "Invalid"}}
    started(talk)
    assert talk.of("StopTransaction")[0]["reason"] == "DeAuthorized"
    assert talk.station.demand(talk.now) is None


def test_a_transaction_is_resumed_after_a_restart() -> None:
    """OCPP-19, settled 9: same transactionId, plan again once registered, nothing sent twice."""
    talk = started()
    again = talk.restarted()
    assert again.station.demand(again.now) is None
    again.booted()
    demand = again.station.demand(again.now)
    assert demand is not None
    assert demand.wanted[0].watts == 150_000.0
    assert again.of("StartTransaction") == []
    assert again.call("RemoteStopTransaction", {"transactionId": 41}) == {"status": "Accepted"}
    assert again.of("StopTransaction")[0]["transactionId"] == 41


def test_an_unanswered_start_is_sent_again_as_it_was() -> None:
    """A reply lost at a flap: new messageId, identical payload; the late reply to the old id is ignored."""
    talk = Talk().booted()
    talk.auto = False
    started(talk)
    while talk.actions()[-1] != "StartTransaction":
        talk.reply(talk.ids[-1], talk.actions()[-1], {})
    old = talk.ids[-1]
    talk.disconnect()
    talk.pass_time(100)
    talk.connect()
    while len(talk.of("StartTransaction")) < 2:
        talk.reply(talk.ids[-1], talk.actions()[-1], {})
    first, second = talk.of("StartTransaction")
    assert first == second
    assert old != talk.ids[-1]
    talk.reply(old, "StartTransaction", {})
    tx = talk.station.transactions.active()
    assert tx is not None
    assert tx.peer is None
    talk.reply(talk.ids[-1], "StartTransaction", {})
    named = talk.station.transactions.active()
    assert named is not None
    assert named.peer == str(talk.transaction)


def test_offline_values_wait_in_order_and_are_sent_after_the_restart() -> None:
    """OCPP-19: what was measured offline is delivered in order, after a reset too, and nothing twice."""
    talk = started(Talk(with_keys(MeterValueSampleInterval="10")).booted())
    talk.disconnect()
    talk.pass_time(35)
    assert len(talk.station._core.queue) == 3
    again = talk.restarted()
    again.booted()
    stamps = [p["meterValue"][0]["timestamp"] for p in again.of("MeterValues")]
    assert stamps == ["2027-01-15T08:00:10Z", "2027-01-15T08:00:20Z", "2027-01-15T08:00:30Z"]
    assert {p["transactionId"] for p in again.of("MeterValues")} == {41}
    assert saved_after(again.writes).queue == []
    third = again.restarted().booted()
    assert third.of("MeterValues") == []


def test_start_and_stop_offline_are_delivered_with_the_number_given_later() -> None:
    talk = Talk().booted()
    talk.replies["StartTransaction"] = lambda p: None
    talk.auto = False
    started(talk)
    talk.disconnect()
    tx = talk.station.transactions.active()
    assert tx is not None
    talk.station._ending.end(tx, "Local")
    talk.take(talk.station.tick(talk.now))
    again = talk.restarted()
    again.booted()
    assert [a for a in again.actions() if "Transaction" in a] == ["StartTransaction", "StopTransaction"]
    assert again.of("StopTransaction")[0]["transactionId"] == 41


def test_attempts_mean_attempts() -> None:
    """TransactionMessageAttempts = 3 is three sendings, 60 s and 120 s apart; then it is buried and the transaction ends."""
    talk = Talk(with_keys(TransactionMessageAttempts="3", TransactionMessageRetryInterval="60")).booted()
    talk.replies["StartTransaction"] = lambda p: None
    started(talk)
    talk.pass_time(59)
    assert len(talk.of("StartTransaction")) == 1
    talk.pass_time(2)
    assert len(talk.of("StartTransaction")) == 2
    talk.pass_time(119)
    assert len(talk.of("StartTransaction")) == 3
    talk.pass_time(1000)
    assert len(talk.of("StartTransaction")) == 3
    assert len({str(p) for p in talk.of("StartTransaction")}) == 1
    assert talk.station.transactions.active() is None
    assert talk.of("StopTransaction") == []
    kept = saved_after(talk.writes)
    assert (kept.transactions, kept.queue) == ([], [])
    assert sum(isinstance(x, w.Bury) for x in talk.writes) >= 2


def test_attempts_count_across_a_restart() -> None:
    talk = Talk(with_keys(TransactionMessageAttempts="2", TransactionMessageRetryInterval="60")).booted()
    talk.replies["StartTransaction"] = lambda p: None
    started(talk)
    again = talk.restarted()
    again.replies["StartTransaction"] = lambda p: None
    again.booted()
    again.pass_time(600)
    assert len(again.of("StartTransaction")) == 1


def test_the_local_id_is_random_and_the_number_stays_on_the_link() -> None:
    """OCPP-18: neither logs nor audits show the CSMS's number or the token."""
    talk = started()
    assert talk.station.transactions.active() != Talk().station.transactions.active()
    audits = " ".join(x.detail for x in talk.writes if isinstance(x, w.Audit))
    assert "TAG" not in audits


@pytest.mark.parametrize("connector", [1, 2])
def test_unlock_ends_the_transaction_and_waits_for_zero_power(connector: int) -> None:
    """Settled 6."""
    talk = started(connectorId=connector)
    talk.plant.set(ess_w=150_000.0 if connector == 1 else -150_000.0)
    talk.look()
    assert talk.call("UnlockConnector", {"connectorId": connector}) is None
    assert talk.of("StopTransaction")[0]["reason"] == "UnlockCommand"
    talk.plant.set(ess_w=0.0)
    talk.look()
    assert talk.results[f"c{talk._calls}"] == {"status": "Unlocked"}


def test_unlock_fails_when_power_stays() -> None:
    talk = started()
    talk.plant.set(ess_w=150_000.0)
    talk.look()
    talk.call("UnlockConnector", {"connectorId": 1})
    talk.pass_time(6)
    assert talk.results[f"c{talk._calls}"] == {"status": "UnlockFailed"}
    assert talk.call("UnlockConnector", {"connectorId": 7}) == {"status": "NotSupported"}


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
def test_reset_ends_transactions_and_restarts_the_station(kind: str, reason: str) -> None:
    """OCPP-7: answered, ended with its reason, restarted once; the state on disk leads to a new boot."""
    talk = started()
    assert talk.call("Reset", {"type": kind}) == {"status": "Accepted"}
    assert talk.restarts == [kind.lower()]
    assert talk.call("RemoteStartTransaction", START) == {"status": "Rejected"}
    again = talk.restarted().booted()
    assert [p["reason"] for p in (talk if kind == "Soft" else again).of("StopTransaction")] == [reason]
    assert again.station.boots == 2
    assert again.of("BootNotification")


def test_what_is_scheduled_holds_across_a_power_cut() -> None:
    """Settled 13: inoperative from the end of the transaction on, though the supervisor was killed in the middle of it."""
    talk = started()
    assert talk.call("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}) == {"status": "Scheduled"}
    again = talk.restarted().booted()
    assert again.call("RemoteStopTransaction", {"transactionId": 41}) == {"status": "Accepted"}
    states = {p["connectorId"]: p["status"] for p in again.of("StatusNotification")}
    assert states[1] == "Unavailable"
    third = again.restarted().booted()
    assert third.call("ChangeAvailability", {"connectorId": 1, "type": "Operative"}) == {"status": "Accepted"}
    assert {p["connectorId"]: p["status"] for p in third.restarted().booted().of("StatusNotification")}[1] == "Available"


def test_each_unlock_connector_is_answered() -> None:
    """Two wait for the same power to go: both are told, whichever came first."""
    talk = started()
    talk.plant.set(ess_w=150_000.0)
    talk.look()
    assert talk.call("UnlockConnector", {"connectorId": 1}) is None
    assert talk.call("UnlockConnector", {"connectorId": 1}) is None
    first, second = f"c{talk._calls - 1}", f"c{talk._calls}"
    talk.pass_time(60)
    assert {talk.results[call]["status"] for call in (first, second)} == {"UnlockFailed"}


def test_a_message_that_left_the_queue_leaves_no_trace() -> None:
    """However it left: acknowledged, thinned out, buried, unsendable. Else a link that is offline for months grows without end."""
    talk = Talk(with_keys(TransactionMessageAttempts="1", MeterValueSampleInterval="1"))
    talk.station._core.queue._capacity = 10
    talk.booted()
    talk.replies["StartTransaction"] = lambda p: None
    for n in range(3):
        talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
        talk.replies["StartTransaction"] = talk._default("StartTransaction")
        talk.disconnect()
        talk.pass_time(30)
        talk.connect()
        talk.pass_time(30)
        talk.call("RemoteStopTransaction", {"transactionId": 40 + n})
        talk.pass_time(30)
    core = talk.station._core
    assert len(core.queue) == len(core._queued_at)


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
def test_a_reset_waits_for_the_answer_under_way(kind: str) -> None:
    """A station that hung up with its StatusNotification unanswered lost the answer to Reset: the CSMS answered into a closed link."""
    talk = Talk().booted()
    talk.auto = False
    talk.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert talk.call("Reset", {"type": kind}) == {"status": "Accepted"}
    assert talk.restarts == []
    talk.reply(talk.ids[-1], "Heartbeat", {})
    if kind == "Soft":
        assert talk.actions()[-1] == "SecurityEventNotification"
        talk.reply(talk.ids[-1], "SecurityEventNotification", {})
    assert talk.restarts == [kind.lower()]


def test_a_hard_reset_waits_no_longer_than_a_second() -> None:
    talk = Talk().booted()
    talk.auto = False
    talk.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    talk.call("Reset", {"type": "Hard"})
    talk.pass_time(1.1)
    assert talk.restarts == ["hard"]


def test_a_soft_reset_delivers_first_but_not_for_ever() -> None:
    talk = started()
    talk.auto = False
    talk.call("Reset", {"type": "Soft"})
    talk.pass_time(9)
    assert talk.restarts == []
    talk.pass_time(2)
    assert talk.restarts == ["soft"]
    again = talk.restarted().booted()
    assert again.of("StopTransaction")[0]["reason"] == "SoftReset"


def test_availability_waits_for_the_transaction_and_survives() -> None:
    talk = started()
    assert talk.call("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}) == {"status": "Scheduled"}
    talk.call("RemoteStopTransaction", {"transactionId": 41})
    assert [p["status"] for p in talk.of("StatusNotification") if p["connectorId"] == 1][-1] == "Unavailable"
    again = talk.restarted().booted()
    assert again.call("RemoteStartTransaction", START) == {"status": "Rejected"}
    assert again.call("ChangeAvailability", {"connectorId": 1, "type": "Operative"}) == {"status": "Accepted"}
    assert again.call("RemoteStartTransaction", START) == {"status": "Accepted"}
    assert again.call("ChangeAvailability", {"connectorId": 5, "type": "Operative"}) == {"status": "Rejected"}


def test_the_other_direction_is_unavailable_on_all_links() -> None:
    """Settled 2: the interlock is plant-wide."""
    ledger = Ledger()
    a, b = Talk(ledger=ledger), Talk(LINK.__class__("other", "wss://b/o", "BESS1"), ledger=ledger)
    a.booted()
    b.booted()
    started(a)
    b.sent.clear()
    b.look()
    assert [(p["connectorId"], p["status"]) for p in b.of("StatusNotification")] == [(2, "Unavailable")]
    assert b.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 2}) == {"status": "Rejected"}
    assert b.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1}) == {"status": "Accepted"}
    demand = b.station.demand(b.now)
    assert demand is not None
    assert demand.wanted[0].watts == 50_000.0
