"""Several CSMSs on one plant, without sockets: who gets what of the envelope, and what becomes of it (OCPP-9, OCPP-17; settled 2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.plant import Direction
from tests.protocols.ocpp.sansio import LINK, Talk, saved_after

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
