"""The 17 event rules of 2030.5 clause 10.2.3, each by its number (SEP2-4). Times are seconds; a line shows who speaks in each 10 s."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from bessctl.protocols.sep2.messages.control import DerControlBase, Interval
from bessctl.protocols.sep2.messages.modes import Channel
from bessctl.protocols.sep2.messages.resources import Link
from bessctl.protocols.sep2.messages.values import FixedVar, PowerFactor, scaled
from bessctl.protocols.sep2.profiles import CSIP, WATTSMART
from tests.protocols.sep2.stage import M, P, Stage

CANCELLED, CANCELLED_RANDOM, SUPERSEDED = 2, 3, 4


def test_rule_1_lower_primacy_wins_then_later_creation() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0A", 20, 60, program="a", created=1)
    stage.put("0B", 20, 60, program="b", created=9)
    stage.poll()
    assert stage.line() == "..AAAA...."
    stage = Stage()
    stage.put("0A", 20, 60, created=5)
    stage.put("0B", 20, 60, created=6)
    stage.poll()
    assert stage.line() == "..BBBB...."


def test_rule_1_a_programs_new_primacy_counts_from_then_on() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0A", 20, 60, program="a")
    stage.put("0B", 40, 80, program="b")
    stage.poll()
    assert stage.line() == "..AAAA...."
    stage.programs = {"a": 5, "b": 2}
    stage.engine.programs(stage.programs, whole=True)
    assert stage.line() == "..AABBBB.."


def test_rule_2_overlap_is_judged_per_mode() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0B", 0, 80, P + M, program="b")
    stage.put("0A", 20, 40, P, program="a")
    stage.poll(0)
    assert (stage.line(P), stage.line(M)) == ("BBAA......", "BBBBBBBB..")
    stage.to(50)
    assert stage.codes("0B") == [1, 2]
    stage.to(90)
    assert stage.codes("0B") == [1, 2, 3]


def test_rule_2_superseded_is_said_when_no_mode_is_left() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0B", 0, 80, P + M, program="b")
    stage.put("0A", 20, 40, P, program="a")
    stage.put("0C", 30, 40, M, program="a")
    stage.poll(0)
    stage.to(25)
    assert stage.codes("0B") == [1, 2]
    stage.to(35)
    assert stage.codes("0B") == [1, 2, 7]
    assert stage.at("0B", 7) == 30


def test_rule_2_disjoint_modes_run_together() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0A", 20, 60, P, program="a")
    stage.put("0B", 20, 60, M, program="b")
    stage.poll()
    stage.to(100)
    assert stage.codes("0A") == stage.codes("0B") == [1, 2, 3]


def test_rule_3_a_superseder_starts_at_once_without_its_draw() -> None:
    stage = Stage()
    stage.put("0A", 0, 80)
    stage.poll(0)
    stage.put("0B", 40, 80, randomize_start_s=15)
    stage.poll(10)
    assert stage.speaks(40.5) == "0B"


def test_rule_3_within_the_superseded_events_start_window_the_draw_is_obeyed() -> None:
    stage = Stage()
    stage.put("0A", 0, 80, randomize_start_s=-5)
    stage.put("0C", 30, 80, randomize_start_s=30, created=2)
    stage.put("0B", 40, 80, randomize_start_s=15, created=3)
    stage.poll(-20)
    # C supersedes A at 30, outside A's window: at once. B comes at 40, inside C's window (30..60): it waits for its draw.
    assert (stage.speaks(30.5), stage.speaks(54.5), stage.speaks(55.5)) == ("0C", "0C", "0B")


def test_rule_3_marked_superseded_too_early_runs_until_the_superseder_starts() -> None:
    """Servers mark an active event as soon as an overlapping future one exists."""
    stage = Stage()
    stage.put("0A", 0, 80)
    stage.poll(0)
    stage.put("0B", 40, 60)
    stage.status("0A", SUPERSEDED)
    stage.poll(10)
    assert stage.line() == "AAABB...."
    stage.to(50)
    assert stage.codes("0A") == [1, 2, 7]
    assert stage.at("0A", 7) == 40


def test_rule_3_superseded_by_nobody_we_know_ends_at_once() -> None:
    stage = Stage()
    stage.put("0A", 0, 80)
    stage.poll(0)
    stage.status("0A", SUPERSEDED)
    stage.poll(10)
    assert stage.line() == "........."
    assert stage.codes("0A") == [1, 2, 7]


def test_rule_4_cancelled_ends_at_once() -> None:
    stage = Stage()
    stage.put("0A", 0, 80)
    stage.put("0B", 90, 95)
    stage.poll(0)
    stage.status("0A", CANCELLED)
    stage.status("0B", CANCELLED)
    stage.poll(30)
    assert stage.line() == "......."
    assert (stage.codes("0A"), stage.codes("0B")) == ([1, 2, 6], [1, 6])
    stage.poll(40)
    assert stage.codes("0A") == [1, 2, 6]


def test_rule_4_cancelled_with_randomisation_ends_after_a_fresh_draw() -> None:
    stage = Stage()
    stage.put("0A", 0, 90, randomize_start_s=-3, randomize_duration_s=20)
    stage.poll(-10)
    stage.to(30)
    stage.status("0A", CANCELLED_RANDOM)
    stage.poll(30)
    assert stage.line() == "AA....."  # max(|-3|, |20|), drawn whole: ends at 50
    stage.poll(40)
    assert stage.line() == "A....."
    stage.to(60)
    assert stage.codes("0A") == [1, 2, 6]
    assert stage.at("0A", 6) == 50


@pytest.mark.parametrize("window", [30, -30, 0, 3600, -3600])
def test_rule_5_draws_are_uniform_between_zero_and_the_signed_window(window: int) -> None:
    counts: Counter[int] = Counter()
    for seed in range(300):
        stage = Stage(rng=Random(seed))
        stage.put("0A", 10_000, 20_000, randomize_start_s=window, randomize_duration_s=window)
        stage.poll(0)
        event = stage.engine.runs["0A"].event
        counts[event.start_draw_s] += 1
        assert min(0, window) <= event.duration_draw_s <= max(0, window)
    assert min(counts) >= min(0, window)
    assert max(counts) <= max(0, window)
    if abs(window) == 30:
        assert len(counts) == 31
        assert max(counts.values()) < 30


def test_rule_5_a_draw_is_kept_through_polls_and_restarts() -> None:
    stage = Stage(rng=Random(3))
    stage.put("0A", 1000, 2000, randomize_start_s=600, randomize_duration_s=-600)
    stage.poll(0)
    before = stage.engine.runs["0A"].event
    stage.poll(100)
    stage.restart()
    stage.poll(200)
    assert stage.engine.runs["0A"].event == before
    assert before.start_draw_s > 0 > before.duration_draw_s


def test_rule_6_successive_events_have_no_gap_and_supersede_nobody() -> None:
    stage = Stage()
    for n in range(24):
        stage.put(f"{n + 10:02}", n * 10, (n + 1) * 10)
    stage.poll(-5)
    for second in range(240):
        stage.to(second)
        assert stage.speaks(second) == f"{second // 10 + 10:02}"
    stage.to(250)
    assert all(stage.codes(f"{n + 10:02}") == [1, 2, 3] for n in range(24))


@pytest.mark.parametrize(("first", "second"), [(-8, 0), (8, 0), (0, 8), (0, -8), (-8, 8), (8, -8)])
def test_rule_6_draws_of_successive_events_neither_gap_nor_conflict(first: int, second: int) -> None:
    stage = Stage(a=1, b=2)
    stage.put("0A", 0, 40, program="a", randomize_duration_s=first)
    stage.put("0B", 40, 80, program="b", randomize_start_s=second)
    stage.poll(-20)
    assert all(stage.speaks(s) for s in range(80 + second))
    assert stage.speaks(40 + second) == "0B"
    stage.to(99)
    assert (stage.codes("0A"), stage.codes("0B")) == ([1, 2, 3], [1, 2, 3])


def test_rule_7_seen_after_its_end_is_expired() -> None:
    stage = Stage()
    stage.put("0A", 0, 40, randomize_duration_s=30)
    stage.poll(41)
    assert stage.codes("0A") == [254]
    assert stage.line() == "......"


def test_rule_7_seen_after_its_start_runs_the_rest() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.poll(30)
    assert stage.line() == "AAA...."
    stage.to(70)
    assert stage.codes("0A") == [1, 2, 3]
    assert stage.at("0A", 2) == 30


def test_rule_9_a_lesser_event_that_starts_during_the_winner_never_runs() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0A", 20, 60, program="a")
    stage.put("0B", 30, 90, program="b")
    stage.poll(0)
    assert stage.line() == "..AAAA...."
    stage.to(35)
    assert stage.codes("0B") == [1, 7]
    assert stage.at("0B", 7) == 30
    stage.status("0A", CANCELLED)
    stage.poll(40)
    assert stage.line() == "......"


def test_rule_9_one_not_yet_started_runs_if_the_winner_is_cancelled_first() -> None:
    stage = Stage(a=1, b=2)
    stage.put("0A", 20, 60, program="a")
    stage.put("0B", 40, 90, program="b")
    stage.poll(0)
    stage.status("0B", SUPERSEDED)
    stage.poll(10)
    assert stage.line() == ".AAAA...."
    stage.status("0A", CANCELLED)
    stage.poll(30)
    assert stage.line() == ".BBBBB."
    stage.to(95)
    assert stage.codes("0B") == [1, 2, 3]


def test_rule_10_the_default_of_the_best_program_that_states_the_mode() -> None:
    stage = Stage(a=1, b=2)
    stage.default("a", max_lim_w=5000)
    stage.default("b", max_lim_w=9000, target_w=scaled(-1000))
    defaults = stage.engine.schedule().defaults
    assert {c: s.value for c, s in defaults.items()} == {Channel.MAX_LIMIT: 5000, Channel.POWER: -1000}
    stage.engine.programs({"b": 2}, whole=True)
    assert stage.engine.schedule().defaults[Channel.MAX_LIMIT].value == 9000


def test_rule_11_missing_from_the_list_is_no_cancellation() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.poll(10)
    stage.controls.clear()
    stage.poll(20)
    assert stage.line() == "AAAA...."


@pytest.mark.parametrize("whole", [True, False])
def test_rule_11_the_2023_reading_cancels_only_by_a_list_read_whole(whole: bool) -> None:
    stage = Stage(replace(WATTSMART, missing_is_cancelled=True))
    stage.put("0A", 0, 60)
    stage.poll(10)
    stage.controls.clear()
    stage.poll(20, whole=whole)
    assert stage.line() == ("........" if whole else "AAAA....")
    assert stage.codes("0A") == ([1, 2, 6] if whole else [1, 2])


def test_rule_12_an_active_event_runs_to_its_end_without_communication() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.poll(10)
    stage.to(1000)
    assert stage.codes("0A") == [1, 2, 3]
    assert stage.at("0A", 3) == 60


@pytest.mark.parametrize(("required", "codes"), [(0, []), (1, [1]), (2, [2, 3]), (3, [1, 2, 3]), (4, []), (7, [1, 2, 3])])
def test_rule_13_only_what_is_asked_for_is_said(required: int, codes: list[int]) -> None:
    stage = Stage()
    stage.put("0A", 0, 60, required=required)
    stage.poll(0)
    stage.to(99)
    assert stage.codes("0A") == codes


def test_rule_13_a_profile_may_take_few_codes() -> None:
    stage = Stage(replace(WATTSMART, responses=frozenset({1, 2, 3, 6, 7})))
    stage.put("0A", 0, 60)
    stage.poll(80)
    assert stage.codes("0A") == []


@pytest.mark.parametrize(("profile", "code"), [(WATTSMART, 7), (CSIP, 14)])
def test_rule_13_superseded_by_another_program(profile: object, code: int) -> None:
    stage = Stage(profile, a=1, b=2)  # type: ignore[arg-type]
    stage.put("0B", 0, 60, program="b")
    stage.put("0A", 30, 60, program="a")
    stage.poll(0)
    stage.to(40)
    assert stage.codes("0B") == [1, 2, code]


def test_rule_13_a_manual_override_is_an_opt_out_and_then_partial() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.poll(10)
    stage.engine.override(True, 20)
    stage.engine.override(True, 30)
    stage.to(70)
    assert stage.codes("0A") == [1, 2, 4, 8]


def test_rule_13_nothing_is_repeated_after_a_restart() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.poll(10)
    stage.restart()
    stage.poll(20)
    assert stage.line() == "AAAA...."
    stage.to(70)
    assert stage.codes("0A") == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"interval": Interval(duration_s=90, start_s=0)},
        {"interval": Interval(duration_s=60, start_s=50)},
        {"base": DerControlBase(target_w=scaled(7))},
        {"randomize_duration_s": 30},
    ],
)
def test_rule_14_the_first_copy_stays(change: dict[str, object]) -> None:
    stage = Stage()
    stage.put("0A", 0, 60, value=5000)
    stage.poll(10)
    stage.change("0A", **change)
    stage.poll(20)
    assert stage.line() == "AAAA...."
    assert stage.engine.runs["0A"].event.settings[Channel.POWER].value == 5000
    assert stage.engine.changed_copies == 1
    assert "the first copy stays" in stage.engine.notes[0]
    stage.status("0A", CANCELLED)
    stage.poll(30)
    assert stage.codes("0A") == [1, 2, 6]


@pytest.mark.parametrize(
    "base",
    [
        DerControlBase(fixed_var=FixedVar(ref_type=1, value=100)),
        DerControlBase(fixed_pf_inject=PowerFactor(displacement=95, excitation=False, multiplier=-2)),
        DerControlBase(volt_var=Link(href="/c/1")),
        DerControlBase(target_var=scaled(100)),
        DerControlBase(export_limit=scaled(100)),  # of another profile
        DerControlBase(),
    ],
)
def test_rule_15_what_is_not_carried_out_is_said_and_never_started(base: DerControlBase) -> None:
    stage = Stage()
    stage.put("0A", 0, 60, base=base)
    stage.poll(0)
    stage.to(99)
    assert stage.codes("0A") == [252]


def test_rule_15_the_rest_of_a_mixed_event_runs() -> None:
    stage = Stage()
    stage.put("0A", 0, 60, base=DerControlBase(target_w=scaled(100), fixed_var=FixedVar(ref_type=1, value=100)))
    stage.poll(0)
    stage.to(99)
    assert sorted(stage.codes("0A")) == [1, 2, 3, 252]


def test_rule_16_seconds_between_events_are_no_dip_to_the_default() -> None:
    stage = Stage()
    stage.put("0A", 0, 40)
    stage.put("0B", 44, 80)
    stage.put("0C", 99, 120)
    stage.poll(-5)
    assert [stage.speaks(s) for s in (41, 43.9, 44, 81)] == ["0A", "0A", "0B", ""]
    stage.to(42)
    assert [stage.speaks(s) for s in (42.5, 44)] == ["0A", "0B"]


def test_rule_16_a_cancelled_event_is_not_drawn_out() -> None:
    stage = Stage()
    stage.put("0A", 0, 40)
    stage.put("0B", 42, 80)
    stage.poll(0)
    stage.status("0A", CANCELLED)
    stage.poll(38)
    assert [stage.speaks(s) for s in (39, 41, 42)] == ["", "", "0B"]


@pytest.mark.parametrize(("category", "seen"), [(1 << 25, True), (1 << 24, False), (0, False), (0xFFFFFFFF, True), (None, True)])
def test_rule_17_the_category_filters(category: int | None, seen: bool) -> None:
    stage = Stage()
    stage.put("0A", 0, 60, device_category=category)
    stage.poll(0)
    assert bool(stage.codes("0A")) == seen


@pytest.mark.parametrize(
    "base",
    [
        DerControlBase(fixed_w=10_001),
        DerControlBase(fixed_w=-10_001),
        DerControlBase(max_lim_w=10_001),
        DerControlBase(max_lim_w=-1),
        DerControlBase(target_w=scaled(0), fixed_w=20_000),
        DerControlBase(fixed_w=1, ramp_tms=-1),
    ],
)
def test_values_out_of_range_are_invalid(base: DerControlBase) -> None:
    stage = Stage()
    stage.put("0A", 0, 60, base=base)
    stage.poll(0)
    stage.to(99)
    assert stage.codes("0A") == [253]


def test_an_event_without_duration_is_invalid() -> None:
    stage = Stage()
    stage.put("0A", 50, 50)
    stage.poll(0)
    assert stage.codes("0A") == [253]


def test_an_event_first_seen_cancelled_never_runs() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.status("0A", CANCELLED)
    stage.poll(10)
    assert (stage.codes("0A"), stage.line()) == ([6], ".........")


def test_what_is_long_over_and_listed_nowhere_is_forgotten() -> None:
    stage = Stage()
    stage.put("0A", 0, 60)
    stage.poll(0)
    stage.poll(200_000)
    assert "0A" in stage.engine.runs
    stage.controls.clear()
    stage.poll(203_601)
    assert not stage.engine.runs
