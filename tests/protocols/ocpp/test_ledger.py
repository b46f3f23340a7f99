"""The ledger: nobody gets more than there is, energy adds up exactly (OCPP-17; settled 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.ocpp.session.ledger import Ledger, split
from bessctl.protocols.ocpp.session.plant import Direction, Reading, Side

OUT, IN = Direction.DISCHARGE, Direction.CHARGE


def reading(offered_w: float = 200_000.0, *, out_mwh: int = 0, in_mwh: int = 0, running: bool = True, ours: bool = False) -> Reading:
    return Reading(Side(offered_w, "device:u1", ours, 0.0, out_mwh), Side(offered_w, "device:u1", False, 0.0, in_mwh), running)


def test_first_come_first_served_within_the_envelope() -> None:
    ledger = Ledger()
    ledger.observe(reading())
    assert ledger.ask("a", "1", OUT, 150_000.0).claim_w == 150_000.0
    assert ledger.ask("b", "2", OUT, 150_000.0).claim_w == 50_000.0
    refused = ledger.ask("c", "3", OUT, 150_000.0)
    assert (refused.claim_w, refused.why) == (0.0, "every watt of the envelope is claimed")
    assert "interlock" in ledger.ask("c", "3", IN, 1.0).why
    ledger.observe(reading(160_000.0))
    assert (ledger.granted_w("a", "1"), ledger.granted_w("b", "2")) == (150_000.0, 10_000.0)
    ledger.release("a", "1")
    assert ledger.granted_w("b", "2") == 50_000.0


def test_a_limit_of_our_own_slot_does_not_refuse() -> None:
    """A transaction may begin under a limit of 0 and waits."""
    ledger = Ledger()
    ledger.observe(reading(0.0, ours=True))
    assert ledger.ask("a", "1", OUT, 150_000.0).claim_w == 150_000.0
    assert ledger.granted_w("a", "1") == 0.0


def test_whose_grant_changed_is_told_once() -> None:
    """200 links need not look because one of them began or ended; those whose power it took or gave back must."""
    ledger = Ledger()
    ledger.observe(reading())
    assert (ledger.ask("low", "1", OUT, 150_000.0).claim_w, ledger.regranted()) == (150_000.0, {"low"})
    ledger.ask("high", "2", OUT, 40_000.0, 5)
    assert ledger.regranted() == {"high"}, "there was enough for both"
    ledger.ask("high", "3", OUT, 40_000.0, 5)
    assert ledger.regranted() == {"high", "low"}
    assert ledger.regranted() == set()
    ledger.release("high", "3")
    assert ledger.regranted() == {"low"}


@given(st.lists(st.floats(0, 300_000), max_size=8), st.lists(st.floats(0, 400_000), min_size=1, max_size=8))
def test_grants_never_exceed_the_envelope(asked: list[float], envelopes: list[float]) -> None:
    ledger = Ledger()
    for i, envelope in enumerate(envelopes):
        ledger.observe(reading(envelope))
        if i < len(asked):
            ledger.ask(f"l{i}", "t", OUT, asked[i])
        total = sum(c.grant_w for c in ledger.claims())
        assert total <= envelope + 1e-6


STEPS = st.lists(st.tuples(st.sampled_from("arlo"), st.integers(0, 5), st.integers(0, 2), st.integers(0, 200_000)), max_size=30)


@given(STEPS)
def test_what_is_offered_is_what_the_others_leave(steps: list[tuple[str, int, int, int]]) -> None:
    """Summed once for all who ask: after whatever happens it is still the envelope less the claims of the others that go before."""
    ledger, envelope_w = Ledger(), 200_000.0
    ledger.observe(reading(envelope_w))
    for what, n, priority, watts in steps:
        match what:
            case "a":
                ledger.ask(f"{n}", "tx", OUT, watts, priority)
            case "r":
                ledger.release(f"{n}", "tx")
            case "l":
                ledger.limit(f"{n}", "tx", watts)
            case _:
                envelope_w = float(watts)
                ledger.observe(reading(envelope_w))
        claims = ledger.claims()
        for link in "012345":
            before = sum(c.claim_w for c in claims if c.link != link and c.priority >= priority)
            assert ledger.offered_w(link, OUT, priority) == pytest.approx(max(0.0, envelope_w - before), abs=1e-6)
        assert sum(ledger.share(c.link, c.tx) for c in claims) == pytest.approx(1.0 if claims else 0.0)


@given(st.integers(0, 10**12), st.lists(st.floats(0, 1e6), max_size=20))
def test_a_split_adds_up(whole: int, weights: list[float]) -> None:
    parts = split(whole, weights)
    assert len(parts) == len(weights)
    assert sum(parts) == (whole if sum(weights) > 0 else 0)
    assert all(p >= 0 for p in parts)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=20), st.integers(1, 4))
def test_shares_of_energy_add_up_to_the_meter(deltas: list[int], links: int) -> None:
    ledger = Ledger()
    ledger.observe(reading(out_mwh=5_000_000))
    for n in range(links):
        ledger.ask(f"l{n}", "t", OUT, 40_000.0 + n)
    before = [ledger._registers[OUT].of(f"l{n}") for n in range(links)]
    total = 5_000_000
    for delta in deltas:
        total += delta
        ledger.observe(reading(out_mwh=total))
    after = [ledger._registers[OUT].of(f"l{n}") for n in range(links)]
    assert sum(after) - sum(before) == sum(deltas)
    assert all(b >= a for a, b in zip(before, after, strict=True))


def test_alone_a_csms_reads_the_plants_own_register() -> None:
    ledger = Ledger()
    ledger.observe(reading(out_mwh=7_654_321))
    assert ledger.register_wh("a", OUT) == 7654


def test_a_counter_that_was_lost_is_continued() -> None:
    ledger = Ledger()
    ledger.observe(reading(out_mwh=9_000_000))
    ledger.observe(reading(out_mwh=0))
    ledger.observe(reading(out_mwh=1_000_000))
    assert ledger.register_wh("a", OUT) == 10_000


def test_accounts_survive_a_restart() -> None:
    ledger = Ledger()
    ledger.observe(reading(out_mwh=1_000_000))
    ledger.ask("a", "1", OUT, 100.0)
    ledger.ask("b", "2", OUT, 100.0)
    ledger.observe(reading(out_mwh=2_000_000))
    again = Ledger(ledger.accounts())
    again.resume("a", "1", OUT, 100.0, 1)
    again.resume("b", "2", OUT, 100.0, 2)
    again.observe(reading(out_mwh=3_000_000))
    assert again.register_wh("a", OUT) == ledger.register_wh("a", OUT) + 500
    assert again.ask("c", "3", OUT, 1.0).order == 3


@pytest.mark.parametrize(("state", "why"), [(None, "not attached"), (reading(running=False), "mode")])
def test_no_plant_no_grant(state: Reading | None, why: str) -> None:
    ledger = Ledger()
    ledger.observe(state)
    assert why in ledger.ask("a", "1", OUT, 1.0).why
