"""Capacities as plans: sign, scopes, leases of several peers, clocks, and what must never happen: a plan wider than any constraint."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.model.plan import FOREVER_NS, Plan, QKind, Scope
from bessctl.model.snapshot import MeterSnapshot
from bessctl.plan.shorten import shortened
from bessctl.protocols.oscp.binding.clock import Offset
from bessctl.protocols.oscp.binding.plans import Calendar, Voice, plan_of, same
from bessctl.protocols.oscp.binding.tracks import Grid, Tracks
from bessctl.protocols.oscp.binding.voices import Measured
from bessctl.protocols.oscp.config import GroupConfig, PeerConfig, Role
from bessctl.protocols.oscp.config import Scope as Where
from bessctl.protocols.oscp.messages.records import Block, BlockUnit, CapacityForecastType, Phase
from bessctl.protocols.oscp.session.clock import NS, Now
from bessctl.protocols.oscp.session.evaluate import Electrics, Limits, Rules, evaluate, profile
from tests.protocols.oscp.rig import PLANT, UNIT, allowed
from tests.protocols.oscp.sansio import CP, GROUP, START, Talk

ESS = GroupConfig("feeder-7", "oscp", Where.ESS)
CO = PeerConfig("optimizer", frozenset({Role.CO}), ("feeder-7",))


def commissioned(talk: Talk) -> Talk:
    """All four limits."""
    for kind, capacity in (("CONSUMPTION", 50), ("GENERATION", -40), ("FALLBACK_CONSUMPTION", 5), ("FALLBACK_GENERATION", -4)):
        assert talk.forecast(kind, (capacity, 0, 3600)) == 204
    return talk


@pytest.mark.parametrize(("group", "scope"), [(GROUP, "pcc"), (ESS, "ess")])
def test_consumption_is_the_lower_limit_and_generation_the_upper(group: GroupConfig, scope: str) -> None:
    """The sign is turned here, once: ours is + toward the grid."""
    plan = commissioned(Talk(groups=(group,)).online()).plan()
    assert (getattr(plan.blocks[0], f"{scope}_lo_w"), getattr(plan.blocks[0], f"{scope}_hi_w")) == (-50, 40)
    assert (getattr(plan.fallback[0], f"{scope}_lo_w"), getattr(plan.fallback[0], f"{scope}_hi_w")) == (-5, 4)
    other = "ess" if scope == "pcc" else "pcc"
    assert getattr(plan.blocks[0], f"{other}_lo_w") is None


def test_zero_is_zero_and_not_minus_zero() -> None:
    talk = Talk().online()
    talk.forecast("CONSUMPTION", (0, 0, 900))
    assert str(talk.plan().blocks[0].pcc_lo_w) == "0.0"


def test_an_optimum_of_consumption_is_a_negative_target_at_its_scope() -> None:
    talk = commissioned(Talk().online())
    talk.forecast("OPTIMUM", (24, 0, 900))
    assert (talk.plan().blocks[0].target_w, talk.plan().blocks[0].target_scope) == (-24, Scope.PCC)


def test_targets_may_go_to_a_slot_of_their_own() -> None:
    talk = Talk(CP, CO, groups=(replace(GROUP, optimum_source="oscp_co"),))
    commissioned(talk.online()).as_("optimizer").online().forecast("OPTIMUM", (24, 0, 900))
    assert talk.plan("oscp").blocks[0].target_w is None
    block = talk.plan("oscp_co").blocks[0]
    assert (block.target_w, block.pcc_lo_w, block.pcc_hi_w) == (-24, None, None)


def test_both_series_reach_to_the_end_of_time() -> None:
    """In the slot's gaps its sealed default would speak; what rules there is the agreement with the peer."""
    plan = commissioned(Talk().online()).plan()
    for series in (plan.blocks, plan.fallback):
        assert series[-1].end_ns == FOREVER_NS
        assert all(a.end_ns == b.start_ns for a, b in pairwise(series))


def test_nobody_commissioned_leaves_the_sealed_default() -> None:
    assert Talk().online().plan().blocks == ()


def test_of_two_providers_each_falls_to_its_own_fallback_in_its_own_instant() -> None:
    """Row 14: one plan, one lease, and yet two leases: the earlier is an edge between blocks."""
    talk = Talk(CP, replace(CP, name="tso"))
    commissioned(talk.online(60)).beat(60)
    talk.as_("tso").online(60)
    for kind, capacity in (("CONSUMPTION", 45), ("GENERATION", -45), ("FALLBACK_CONSUMPTION", 30), ("FALLBACK_GENERATION", -30)):
        talk.forecast(kind, (capacity, 0, 3600))
    talk.beat(120)
    plan, now_ns = talk.plan(), talk.now.mono_ns
    assert plan.lease_until_ns == now_ns + 122 * NS
    assert allowed(plan, now_ns + 62 * NS - 1) == (-45, 40)
    assert allowed(plan, now_ns + 62 * NS) == (-5, 4)
    assert allowed(plan, now_ns + 122 * NS) == (-5, 4)


def test_the_tighter_provider_going_first_does_not_free_the_other() -> None:
    talk = Talk(CP, replace(CP, name="tso"))
    commissioned(talk.online(60)).beat(120)
    talk.as_("tso").online(60)
    talk.forecast("CONSUMPTION", (8, 0, 3600))
    talk.beat(60)
    plan, now_ns = talk.plan(), talk.now.mono_ns
    assert [allowed(plan, now_ns + s * NS)[0] for s in (1, 62, 121, 123)] == [-8, 0, 0, 0]


def test_after_a_restart_the_fallback_rules_until_a_handshake() -> None:
    """Row 20: written with a lease that is over; the loop follows its fallback, inside what was live."""
    talk = commissioned(Talk().online(60))
    talk.forecast("FALLBACK_CONSUMPTION", (90, 0, 3600))
    again = talk.restarted().later(10)
    plan = again.plan()
    assert plan.lease_until_ns <= again.now.mono_ns
    assert allowed(plan, again.now.mono_ns) == (-50, 4)
    assert allowed(again.shake(60).plan(), again.now.mono_ns) == (-50, 40)


def test_without_a_date_every_series_rules_as_its_tightest_value() -> None:
    """Design R8."""
    talk = Talk().online(60)
    talk.forecast("CONSUMPTION", (50, 0, 900), (20, 900, 1800))
    talk.forecast("FALLBACK_CONSUMPTION", (30, 0, 3600))
    talk.forecast("OPTIMUM", (10, 0, 900))
    talk.now = replace(talk.now, utc_ns=None)
    plan = talk.plan()
    assert [(b.pcc_lo_w, b.target_w, b.end_ns) for b in plan.blocks] == [(-20, None, FOREVER_NS)]
    assert [b.pcc_lo_w for b in plan.fallback] == [-20]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_corrected_by_an_hour_moves_the_blocks_and_not_the_lease(hours: int) -> None:
    """Blocks follow the date, the lease follows the heartbeats."""
    talk = Talk().online(60)
    talk.beat(60)
    talk.forecast("CONSUMPTION", (50, 0, 900), (20, 900, 18_000))
    before = talk.plan()
    assert talk.now.utc_ns is not None
    talk.now = replace(talk.now, utc_ns=talk.now.utc_ns + hours * 3600 * NS)
    after = talk.plan()
    assert after.lease_until_ns == before.lease_until_ns
    assert allowed(after, talk.now.mono_ns)[0] == (-20 if hours == 1 else 0), "an hour earlier nothing was agreed yet"
    assert not same(before, after, talk.now.mono_ns)


# (readings of (mono, utc) in seconds, does the offset move?)
READINGS: list[tuple[list[tuple[float, float | None]], list[bool]]] = [
    ([(1, 1001), (2, 2001.0), (2, 1002.00001)], [True, True, True]),
    ([(1, 1001), (2, 1002.01), (3, 1003.019)], [True, False, False]),
    ([(1, 1001), (2, 1002.03)], [True, True]),
    ([(1, None), (2, None), (3, 1003), (4, None)], [False, False, True, True]),
]


@pytest.mark.parametrize(("readings", "moved"), READINGS)
def test_plans_follow_corrections_and_not_the_jitter_of_two_clocks(readings: list[tuple[float, float | None]], moved: list[bool]) -> None:
    offset = Offset()
    found = [offset.follow(Now(round(m * NS), None if u is None else round(u * NS))) for m, u in readings]
    assert found == moved


# (measured volts, vars, voltage counted with) nominal 230 V: row 13
VOLTS: list[tuple[list[float | None], float, float]] = [
    ([None], 0, 195.5),
    ([225.0], 0, 225.0),
    ([240.0], 0, 230.0),
    ([225.0, 221.0], 0, 221.0),
    ([225.0, None], 0, 195.5),
]


@pytest.mark.parametrize(("volts", "var", "counted"), VOLTS)
def test_amperes_are_counted_with_the_lower_of_measured_and_nominal_voltage(volts: list[float | None], var: float, counted: float) -> None:
    measured = Measured(230.0)
    measured.look(replace(PLANT, units=tuple(replace(UNIT, ac_v=v, ac_var=var) for v in volts)))
    assert measured.voltage_v == counted


def test_the_meters_phases_count_and_a_silent_one_is_not_skipped() -> None:
    """Row 13: at the connection point its own voltage counts."""
    for phases, counted in (((228.0, 224.0, 226.0), 224.0), ((228.0, None, 226.0), 225.0), ((240.0, None, 221.0), 221.0), ((), 225.0)):
        measured = Measured(230.0)
        measured.look(replace(PLANT, units=(replace(UNIT, ac_v=225.0, ac_var=0.0),), meter=MeterSnapshot(phases)))
        assert measured.voltage_v == counted


def test_a_falling_voltage_tightens_at_once_and_a_rising_one_by_steps() -> None:
    measured = Measured(230.0)
    seen = []
    for volts in (225.0, 224.9, 225.5, 226.8, 226.9, 223.0):
        seen.append((measured.look(replace(PLANT, units=(replace(UNIT, ac_v=volts, ac_var=0.0),))), measured.voltage_v))
    assert seen == [(True, 225.0), (True, 224.9), (False, 224.9), (False, 224.9), (True, 226.9), (True, 223.0)]


# --- tracks ---

KINDS = st.dictionaries(
    st.sampled_from(list(CapacityForecastType)),
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 20), st.integers(1, 8), st.sampled_from([BlockUnit.W, BlockUnit.A])),
             min_size=1, max_size=5),
    max_size=5,
)  # fmt: skip
WEAK = Electrics(1.0, yields_below_va=20.0)
"""One volt: amperes are in the range of the watts, and some of them leave no room for reactive power."""
RULES = st.builds(Rules, st.sampled_from([0.0, 3.0]), st.booleans(), st.booleans())


@settings(max_examples=80, deadline=None)
@given(KINDS, RULES, st.integers(0, 30))
def test_a_track_says_what_evaluate_says_at_every_instant(said: dict[CapacityForecastType, Any], rules: Rules, lease: int) -> None:
    """The quick way and the plain one, through the same columns as a plan: online before the lease, offline from it on."""
    series = {
        kind: profile(kind, [Block(Decimal(c), Phase.UNKNOWN, unit, s, s + length) for c, s, length, unit in rows], WEAK, 0)
        for kind, rows in said.items()
    }
    tracks, edges = Tracks(series, rules), list(range(-2, 31))
    columns = tracks.at(Grid(edges[: lease + 2]), Grid(edges[lease + 2 :]))
    for at, *values in zip(edges, *columns, strict=True):
        limits = evaluate(series, rules, at, online=at < lease)
        expected = (limits.consumption_w, limits.generation_w, limits.optimum_w, limits.no_var)
        assert [None if math.isinf(v) else v for v in values] == list(expected), at


VOICES = st.lists(
    st.tuples(KINDS, RULES, st.sampled_from(list(Where)), st.integers(-3, 25), st.sampled_from([1, 2]), st.booleans(), st.booleans()),
    min_size=1, max_size=4,
)  # fmt: skip


def voice(number: int, drawn: tuple[Any, ...]) -> Voice:
    said, rules, scope, lease, priority, limits, optimum = drawn
    series = {
        kind: profile(kind, [Block(Decimal(c), Phase.UNKNOWN, unit, s, s + length) for c, s, length, unit in rows], WEAK, 0)
        for kind, rows in said.items()
    }
    return Voice(f"p{number}", scope, series, rules, lease, priority, limits, optimum, tracks=Tracks(series, rules))


def tightest(voices: list[Voice], said: list[Limits], scope: Where) -> tuple[float | None, float | None]:
    here = [limits for v, limits in zip(voices, said, strict=True) if v.limits and v.scope is scope]
    consumption = [limits.consumption_w for limits in here if limits.consumption_w is not None]
    generation = [limits.generation_w for limits in here if limits.generation_w is not None]
    return (0.0 - min(consumption) if consumption else None), (min(generation) if generation else None)


def wished(voices: list[Voice], said: list[Limits]) -> float | None:
    """Row 14: the lowest priority number, then the name."""
    found = [(v.priority, v.peer, 0.0 - s.optimum_w) for v, s in zip(voices, said, strict=True) if v.optimum and s.optimum_w is not None]
    return min(found)[2] if found else None


@settings(max_examples=60, deadline=None)
@given(VOICES)
def test_a_plan_of_many_says_at_every_instant_what_each_of_them_says_there(drawn: list[tuple[Any, ...]]) -> None:
    """Row 14: providers, optimizers and groups on one slot, each believed to its own lease; the fallback of the last is the loop's."""
    voices = [voice(number, each) for number, each in enumerate(drawn)]
    last = max(v.lease_ns for v in voices)
    plan = plan_of(voices, Calendar(0), 0, 10**15)
    assert plan.lease_until_ns == max(0, last)
    for at in range(31):
        live = [v.says(at, online=at < v.lease_ns or v.lease_ns == last) for v in voices]
        for series, said in ((plan.blocks, live), (plan.fallback, [v.says(at, online=False) for v in voices])):
            block = next(b for b in series if b.start_ns <= at < b.end_ns)
            assert (block.ess_lo_w, block.ess_hi_w) == tightest(voices, said, Where.ESS)
            assert (block.pcc_lo_w, block.pcc_hi_w) == tightest(voices, said, Where.PCC)
            assert block.target_w == wished(voices, said)
            assert (block.q_kind, block.q_value) == (QKind(int(any(s.no_var for v, s in zip(voices, said, strict=True) if v.limits))), 0.0)


# --- never wider than any active constraint, whatever arrives in whatever order ---

TYPES = ("CONSUMPTION", "GENERATION", "FALLBACK_CONSUMPTION", "FALLBACK_GENERATION", "OPTIMUM")
BLOCK = st.tuples(st.integers(0, 100), st.integers(-600, 3000), st.integers(1, 2400)).map(lambda b: (float(b[0]), b[1], b[1] + b[2]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("forecast"), st.sampled_from(TYPES), st.lists(BLOCK, min_size=1, max_size=5)),
        st.tuples(st.just("beat"), st.integers(-100, 400), st.none()),
        st.tuples(st.just("later"), st.integers(0, 200), st.none()),
        st.tuples(st.just("shake"), st.none(), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none()),
        st.tuples(st.just("junk"), st.sampled_from([b"", b"{}", b'{"a":NaN}', b"[]"]), st.none()),
        st.tuples(st.just("delete"), st.none(), st.none()),
    ),
    max_size=14,
)


class Witness:
    """What was agreed, kept by the test alone: raw blocks by type, and until when the peer is believed."""

    def __init__(self) -> None:
        self.blocks: dict[str, list[tuple[float, float, float]]] = {}
        self.online_until_s = 0.0

    def limit(self, kind: str, at_s: float) -> float | None:
        """The tightest block of a type at an instant."""
        return min((c for c, start, end in self.blocks.get(kind, ()) if start <= at_s < end), default=None)


def play(talk: Talk, witness: Witness, step: tuple[str, Any, Any]) -> Talk:
    """One step, at the provider and in the witness's book; seconds are those of the invented clock."""
    what, a, b = step
    at_s = (talk.now.mono_ns - START.mono_ns) / NS
    if what == "forecast":
        if talk.forecast(a, *b) == 204:
            witness.blocks[a] = [(c, at_s + start, at_s + end) for c, start, end in b if end > 0]
    elif what == "beat" and talk.beat(a) == 204:
        witness.online_until_s = at_s + min(a + 2, 180)
    elif what == "later":
        talk.later(a)
    elif what == "shake" and talk.peer.common.record.registered:
        talk.shake(60)
        witness.online_until_s = at_s + 180
    elif what == "restart":
        witness.online_until_s = 0
        return talk.restarted()
    elif what == "junk":
        assert talk.post("update_group_capacity_forecast", a) in {400, 403}
    elif what == "delete" and talk.post("register", None, method="DELETE") == 204:
        witness.online_until_s = 0
    return talk


def checked(plan: Plan, witness: Witness, now_s: float, mono_ns: int) -> None:
    """At many instants from now on: neither side is wider than what is agreed for it there."""
    for ahead_s in (0, 1, 61, 62, 179, 181, 700, 1500, 2999, 4000, 9000):
        at_s = now_s + ahead_s
        lo, hi = allowed(plan, mono_ns + round(ahead_s * NS))
        for side, kind in ((lo, "CONSUMPTION"), (hi, "GENERATION")):
            assert side is not None
            live, fallback = witness.limit(kind, at_s), witness.limit(f"FALLBACK_{kind}", at_s)
            if live is not None:
                assert abs(side) <= live, "a live block binds, online or not"
            if (at_s >= witness.online_until_s or live is None) and fallback is not None:
                assert abs(side) <= fallback, "the fallback binds when the peer is lost, and in the gaps"
            if fallback is None and (live is None or at_s >= witness.online_until_s):
                known = [c for c, _, _ in witness.blocks.get(f"FALLBACK_{kind}", ())]
                assert abs(side) <= min(known, default=0), "where nothing is agreed, the tightest of what was"


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_plan_is_ever_wider_than_an_active_constraint(steps: list[tuple[str, Any, Any]]) -> None:
    """OSCP-4, OSCP-5: whatever arrives, in whatever order, with restarts and losses between."""
    talk, witness = Talk().online(60), Witness()
    witness.online_until_s = 180
    for step in steps:
        talk = play(talk, witness, step)
        plan = talk.plan()
        if witness.blocks.keys() - {"OPTIMUM"}:
            now_s = (talk.now.mono_ns - START.mono_ns) / NS
            checked(plan, witness, now_s, talk.now.mono_ns)
            short = replace(plan, blocks=shortened(plan.blocks, 4), fallback=shortened(plan.fallback, 4))
            checked(short, witness, now_s, talk.now.mono_ns)
