"""Several CSMSs on one plant, without sockets: who gets what of the envelope, and what becomes of it (OCPP-9, OCPP-17; settled 2)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.model.snapshot import Binding
from bessctl.protocols.ocpp.binding.desk import Desk
from bessctl.protocols.ocpp.config import StationConfig
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.plant import Direction
from tests.protocols.ocpp.fakes import FakePlans
from tests.protocols.ocpp.sansio import LINK, Talk, profile, saved_after
from tests.protocols.ocpp.test_transactions import Still

KWH = 1000.0


def link(name: str, ledger: Ledger, **changes: object) -> Talk:
    """One CSMS of a plant; `ledger` is the plant's."""
    return Talk(replace(LINK, name=name, **changes), ledger=ledger).booted()  # type: ignore[arg-type]


def start(talk: Talk) -> None:
    assert talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1}) == {"status": "Accepted"}


def moved(export_wh: float, *talks: Talk) -> None:
    """The plant's meter stands there now, and every link has seen it."""
    for talk in talks:
        talk.plant.energy(export_wh=export_wh)
        talk.look()


def wh(talk: Talk) -> int:
    return talk.ledger.register_wh(talk.link.name, Direction.DISCHARGE)


def granted_w(talk: Talk) -> float:
    return sum(c.grant_w for c in talk.ledger.claims() if c.link == talk.link.name)


def test_an_absent_csms_gets_neither_power_nor_energy() -> None:
    """Its lease over, its target is gone: all that flows is the others', and those of a lower priority get their power back."""
    ledger = Ledger()
    a, b = link("a", ledger, priority=1), link("b", ledger)
    start(b)
    start(a)
    assert (granted_w(a), granted_w(b)) == (150_000.0, 50_000.0)
    moved(0.0, a, b)
    a.disconnect()
    a.pass_time(LINK.lease_s - 1)
    b.pass_time(LINK.lease_s - 1)
    assert granted_w(a) == 150_000.0, "its lease stands"
    a.pass_time(2)
    b.pass_time(2)
    assert (granted_w(a), granted_w(b)) == (0.0, 150_000.0)
    before = (wh(a), wh(b))
    moved(10 * KWH, a, b)
    assert (wh(a) - before[0], wh(b) - before[1]) == (0, 10_000)
    a.connect()
    assert (granted_w(a), granted_w(b)) == (150_000.0, 50_000.0)


@pytest.mark.parametrize("frame", ['[2,"q","GetLocalListVersion",{}]', "{"])
def test_whatever_is_heard_gives_a_silent_csms_its_power_back(frame: str) -> None:
    """A question, or bad input: most steps look only at what there is to send after it, this one at everything."""
    talk = link("a", Ledger())
    start(talk)
    talk.auto = False
    talk.pass_time(LINK.lease_s + 1)
    assert granted_w(talk) == 0.0
    assert talk.raw(frame).whole
    assert granted_w(talk) == 150_000.0
    assert not talk.raw(frame).whole


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
def test_a_start_that_waits_for_the_plug_ends_with_a_reset(kind: str) -> None:
    """Its claim would keep the other direction shut for as long as the process lives."""
    ledger = Ledger()
    a, b = link("a", ledger, armed_by_hand=True), link("b", ledger)
    start(a)
    assert ledger.direction() is Direction.DISCHARGE
    assert a.call("Reset", {"type": kind}) == {"status": "Accepted"}
    a.pass_time(1)
    assert a.restarts == [kind.lower()]
    assert ledger.direction() is None
    assert b.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 2}) == {"status": "Accepted"}


def test_a_station_that_begins_anew_holds_what_its_store_holds() -> None:
    """A link that is built again after a fault of ours leaves no claim of a start that was on its way."""
    ledger = Ledger()
    a = link("a", ledger, armed_by_hand=True)
    start(a)
    other = link("b", ledger)
    start(other)
    Talk(a.link, saved_after(a.writes), ledger=ledger)
    assert [c.link for c in ledger.claims()] == ["b"]


class Plant:
    """Three CSMSs of two priorities and one plant, with the desk where they meet."""

    def __init__(self) -> None:
        self.ledger, self.plans = Ledger(), FakePlans()
        self.talks = [link(name, self.ledger, priority=priority) for name, priority in (("a", 0), ("b", 1), ("c", 0))]
        first = self.talks[0]
        for talk in self.talks:
            talk.plant = first.plant
        links = tuple(talk.link for talk in self.talks)
        self.desk = Desk(StationConfig(links), self.plans, first.plant, Still(first), ledger=self.ledger, log=logging.getLogger("desk"))
        for talk in self.talks:
            self.desk.stations[talk.link.name] = lambda station=talk.station: station
        self.envelope_w = 200_000.0

    def do(self, what: str, who: int, number: int) -> None:
        talk, watts = self.talks[who], number * 20_000.0
        match what:
            case "start":
                talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
            case "stop":
                active = talk.station.transactions.active()
                talk.call("RemoteStopTransaction", {"transactionId": int(active.peer or 0) if active else 0})
            case "limit":
                body: dict[str, Any] = profile([(0, watts), (50, watts / 2)], chargingProfilePurpose="TxDefaultProfile")
                body["chargingSchedule"]["minChargingRate"] = 60_000.0 * who
                talk.call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": body})
            case "envelope":
                self.envelope_w = watts
                talk.plant.limits(-watts, watts, Binding("row", "soc_low"))
            case "gone":
                talk.disconnect()
            case "back":
                talk.connect()

    def granted_w(self) -> float:
        return sum(c.grant_w for c in self.ledger.claims())

    def target_w(self) -> float:
        return self.plans.target_w(self.talks[0].now.mono_ns) or 0.0

    def step(self, seconds: int) -> None:
        for talk in self.talks:
            talk.pass_time(seconds)
            talk.look()
        self.desk.look()
        self.desk.replan()


WHAT = st.sampled_from(("start", "start", "stop", "limit", "envelope", "gone", "back"))
DEEDS = st.lists(st.tuples(WHAT, st.integers(0, 2), st.integers(0, 10), st.sampled_from((0, 1, 30))), min_size=4, max_size=10)


@settings(max_examples=25, deadline=None)
@given(DEEDS)
def test_the_target_is_the_sum_of_the_grants_and_within_the_envelope(deeds: list[tuple[str, int, int, int]]) -> None:
    """OCPP-17: whatever is claimed, limited, away, cut by the plant or given back; with more claimed than there is."""
    plant = Plant()
    for who in range(2):  # 300 kW claimed of 200
        plant.do("start", who, 0)
    plant.step(0)
    for what, who, number, seconds in deeds:
        plant.do(what, who, number)
        if what in {"start", "stop", "limit"}:
            plant.desk.replan(plant.talks[who].link.name)
            assert plant.target_w() == pytest.approx(plant.granted_w(), abs=1e-6), "at once, without asking the others again"
        plant.step(seconds)
        assert plant.granted_w() <= plant.envelope_w + 1e-6
        assert plant.target_w() == pytest.approx(plant.granted_w(), abs=1e-6)


def test_power_that_is_not_worth_having_goes_to_others() -> None:
    """minChargingRate (1.6 7.13, 2.0.1 2.12): who is cut below it gets nothing, and who comes after it gets what it would have had."""
    plant = Plant()
    for who in (0, 1):
        plant.do("start", who, 0)
    body: dict[str, Any] = profile([(0, 100_000.0)], chargingProfilePurpose="TxDefaultProfile")
    body["chargingSchedule"]["minChargingRate"] = 60_000.0
    plant.talks[0].call("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": body})
    plant.step(0)
    assert [granted_w(t) for t in plant.talks[:2]] == [0.0, 150_000.0], "of 200 kW 50 are left: fewer than 60"
    assert plant.plans.target_w(plant.talks[0].now.mono_ns) == 150_000.0
    plant.talks[1].call("RemoteStopTransaction", {"transactionId": 41})
    plant.step(0)
    assert granted_w(plant.talks[0]) == 100_000.0


def test_the_plan_follows_the_envelope_by_itself() -> None:
    """A look at the plant is enough; what is not cut is not written again."""
    plant = Plant()
    plant.do("start", 0, 0)
    plant.step(0)
    written = len(plant.plans.plans)
    for envelope_w, target_w, more in (
        (180_000.0, 150_000.0, 0),
        (40_000.0, 40_000.0, 1),
        (30_000.0, 30_000.0, 2),
        (190_000.0, 150_000.0, 3),
    ):
        plant.talks[0].plant.limits(-envelope_w, envelope_w, Binding("row", "soc_low"))
        plant.desk.look()
        assert (plant.plans.target_w(plant.talks[0].now.mono_ns), len(plant.plans.plans) - written) == (target_w, more)
