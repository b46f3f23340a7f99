"""The keeper: what it expects of others, when it plans again, what it writes, what it tells. Clocks and plant are the test's."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.app.policies import Files
from bessctl.errors import ConfigError, NotReachable, PlanRefused
from bessctl.model.plan import Block, Lapse, Plan, Scope
from bessctl.model.snapshot import Binding, Limit, PlantSnapshot, SlotSnapshot, UnitSnapshot
from bessctl.policy.blocks import plan_of
from bessctl.policy.config import Connection, PolicyConfig, SlotFacts
from bessctl.policy.keeper import Keeper, Outside
from bessctl.policy.picture import png, svg
from bessctl.policy.planner import plan
from bessctl.policy.problem import Band, Battery, PeakShaving, Problem
from bessctl.policy.report import report
from bessctl.policy.schedule import Once
from bessctl.policy.situation import Now, Tables, problem, spans
from tests.policy.problems import START, H, at, forced, problems
from tests.protocols.ocpp.fakes import FakePlans, FakePlant

S = 1_000_000_000
MONO = 1000 * S
NOW = Now(MONO, START)
BATTERY = Battery(100_000.0, 50_000.0, 50_000.0)
FREE = Limit(-50_000.0, Binding("rating", "unit1")), Limit(50_000.0, Binding("rating", "unit1"))
PLANT = PlantSnapshot(
    1, MONO, "run", 0.0, -3000.0, 0.0, *FREE, None, "", units=(UnitSnapshot("unit1", "run", 0.0, soc_pct=50.0, capacity_wh=100_000.0),)
)
NOTHING = Block(0, 0)
OCPP, EMS = SlotFacts("ocpp", 30, False, NOTHING), SlotFacts("ems", 20, True, Block(0, 0, pcc_lo_w=-20_000.0, pcc_hi_w=20_000.0))
MORNING = Band("morning", Once((at(10),)), 80, 100)


def mono(hours: float) -> int:
    return MONO + round(hours * H)


def config(**changes: Any) -> PolicyConfig:
    return replace(PolicyConfig(BATTERY, priority=40, pcc=True, slots=(EMS, OCPP), bands=(MORNING,), horizon_s=24 * 3600.0), **changes)


class Story:
    """A keeper and everything outside it."""

    def __init__(self, **changes: Any) -> None:
        self.plant, self.slot, self.others = FakePlant(PLANT), Writer(), dict[str, Plan]()
        self.now_ns = MONO
        self.plant.set(now_ns=MONO)
        self.files = Tables()
        self.broken: Exception | None = None
        outside = Outside(self.plant, self.slot, lambda: self.others, self._tables, lambda: START + self.now_ns - MONO)
        self.keeper = Keeper(config(**changes), outside, logging.getLogger("test.policy"))

    def _tables(self) -> Tables:
        if self.broken is not None:
            raise self.broken
        return self.files

    def after(self, seconds: float, soc_pct: float | None = 50.0, **changes: Any) -> bool:
        """Time passes, the plant is looked at again; True when a plan was written."""
        self.now_ns += round(seconds * S)
        self.slot.now = self.now_ns
        unit = replace(PLANT.units[0], soc_pct=soc_pct)
        self.plant.set(now_ns=self.now_ns, units=(unit,), **changes)
        before = len(self.slot.plans)
        self.keeper.look()
        return len(self.slot.plans) > before


class Writer(FakePlans):
    def __init__(self) -> None:
        super().__init__()
        self.now = MONO
        self.error: Exception | None = None

    def write(self, plan: Plan) -> int:
        if self.error is not None:
            raise self.error
        return super().write(plan)

    def now_ns(self) -> int:
        return self.now


# --- what is expected of the others ---------------------------------------------------------------------------------------------------


def test_a_live_series_holds_to_its_end_and_the_default_in_its_gaps() -> None:
    blocks = (Block(mono(1), mono(2), pcc_lo_w=-5000.0, target_w=1.0), Block(mono(3), mono(4), pcc_lo_w=-1000.0))
    found = list(spans(config(slots=(EMS,)), PLANT, {"ems": Plan(mono(0.1), blocks)}, NOW, START + 24 * H))
    told = sorted(((s.start_ns - START) / H, (s.end_ns - START) / H, s.pcc_lo_w, s.target_w) for s in found)
    assert told == [(0, 1, -20_000, None), (1, 2, -5000, 1.0), (2, 3, -20_000, None), (3, 4, -1000, None), (4, 24, -20_000, None)]


def test_a_released_source_has_its_default_and_a_lapsed_one_its_fallback_and_no_target() -> None:
    plan = Plan(mono(1), (Block(mono(0), mono(2), ess_lo_w=-9000.0, target_w=5.0),), (Block(mono(0), mono(3), ess_lo_w=-20_000.0),))

    def of(state: str, binding: bool) -> list[tuple[float, float | None, float | None]]:
        slot = SlotFacts("s", 1, binding, NOTHING)
        snapshot = replace(PLANT, slots=(SlotSnapshot("s", state, 1, 0, None),))
        found = spans(config(slots=(slot,)), snapshot, {"s": plan}, NOW, START + 24 * H)
        return [((s.end_ns - START) / H, s.ess_lo_w, s.target_w) for s in found]

    assert of("live", True) == [(2, -9000.0, 5.0)]
    assert of("empty", True) == []
    assert of("lapsed", False) == [(3, -20_000.0, None)]
    assert of("lapsed", True) == [(3, -20_000.0, None), (2, -9000.0, None)], "lapsing never widens a binding source's limits"


def test_only_a_target_of_a_higher_rank_rules_before_ours() -> None:
    other = {"ocpp": Plan(mono(1), (Block(mono(0), mono(1), target_w=7000.0),))}
    assert [s.target_w for s in spans(config(slots=(OCPP,)), PLANT, other, NOW, START + H)] == [7000.0]
    assert list(spans(config(slots=(OCPP,), priority=10), PLANT, other, NOW, START + H)) == []


def test_a_limit_of_the_devices_is_expected_to_stay_for_a_while() -> None:
    warm = replace(PLANT, lo=Limit(-10_000.0, Binding("row", "cell_temp_high@unit1")))
    (span,) = spans(config(slots=(), derating_holds_s=7200.0), warm, {}, NOW, START + 24 * H)
    assert (span.who, span.ess_lo_w, span.end_ns - START) == ("row:cell_temp_high@unit1", -10_000.0, 2 * H)
    bound = replace(PLANT, lo=Limit(0.0, Binding("source", "ocpp")))
    assert list(spans(config(slots=()), bound, {}, NOW, START + H)) == [], "what a source limits stands in its own plan"


def test_those_who_are_served_before_us_take_their_power_first() -> None:
    (span,) = spans(config(slots=(), connection=Connection(100_000.0, 50_000.0, 30_000.0, 60_000.0)), PLANT, {}, NOW, START + H)
    assert (span.who, span.pcc_lo_w, span.pcc_hi_w) == ("connection", -70_000.0, 0.0)


def test_the_load_is_what_it_is_where_nothing_is_forecast() -> None:
    p = problem(config(), PLANT, 50.0, {}, Tables(), NOW)
    assert (p.load_w, p.pv_w, p.energy_wh) == (3000.0, 0.0, 50_000.0)


# --- what is written ------------------------------------------------------------------------------------------------------------------


def test_the_plan_is_written_in_the_loops_time_and_ends_with_its_lease() -> None:
    story = Story()
    assert story.after(0)
    last = story.slot.last
    assert last.lease_until_ns == MONO + 300 * S
    assert last.lapse is Lapse.HOLD
    assert [(b.start_ns, b.end_ns) for b in last.blocks if b.target_w is not None][-1][1] == mono(10)
    assert all(b.target_w is None or b.target_w < 0 for b in last.blocks)


def test_holding_is_an_order_and_waiting_is_none() -> None:
    story = Story(bands=(), forces=(forced("still", 1, 0.0, 1), forced("down", 2, 9000.0, 1)))
    story.after(0)
    told = [(b.start_ns - MONO, b.end_ns - MONO, b.target_w) for b in story.slot.last.blocks]
    assert told == [(H, 2 * H, 0.0), (2 * H, 3 * H, 9000.0)]


def test_self_consumption_is_a_target_at_the_connection_and_peak_shaving_a_limit_there() -> None:
    story = Story(bands=(), self_consumption=True, peak_shaving=PeakShaving(40_000.0))
    story.after(0)
    (block, *_) = story.slot.last.blocks
    assert (block.target_w, block.target_scope, block.pcc_lo_w) == (0.0, Scope.PCC, -40_000.0)


def his(story: Story) -> set[float | None]:
    last: Plan = story.slot.last
    return {block.ess_hi_w for block in last.blocks}


def test_at_the_reserve_nothing_is_discharged_by_anybody_until_it_is_left_behind() -> None:
    """The reserve is a limit for all sources, with hysteresis, at the next look and not at the next plan."""
    story = Story(reserve_pct=30.0, bands=())
    assert story.after(0, 30.5)
    assert [(b.start_ns - MONO, b.ess_hi_w) for b in story.slot.last.blocks] == [(300 * S, 0.0)], "only where nobody watches any more"
    assert story.after(1, 29.9)
    assert his(story) == {0.0}
    last: Plan = story.slot.last
    assert all((block.target_w or 0.0) <= 0 for block in last.blocks)
    story.after(6, 30.3)
    assert his(story) == {0.0}
    assert story.after(6, 30.6)
    assert [b.start_ns - story.now_ns for b in story.slot.last.blocks] == [300 * S], "left behind: free again as long as it is watched"


def test_without_soc_there_is_no_plan_and_with_a_reserve_no_discharge() -> None:
    story = Story(reserve_pct=30.0)
    assert story.after(0, None)
    assert [(b.ess_hi_w, b.target_w) for b in story.slot.last.blocks] == [(0.0, None)]
    with pytest.raises(NotReachable, match="the SoC is missing"):
        story.keeper.answer({})
    bare = Story()
    assert bare.after(0, None)
    assert bare.slot.last.blocks == ()


def test_a_silent_plant_renews_no_lease() -> None:
    story = Story()
    story.after(0)
    before = len(story.slot.plans)
    story.slot.now = story.now_ns = MONO + 600 * S
    story.keeper.look()
    assert len(story.slot.plans) == before
    story.plant.state = None
    story.keeper.look()
    assert len(story.slot.plans) == before
    assert story.keeper.trouble == "no fresh state of the plant"


@settings(max_examples=40, deadline=None)
@given(problems(), st.booleans())
def test_no_block_ever_widens_a_limit(p: Problem, guard: bool) -> None:
    """PLV-3: limits of the slot hold 0 and are only those of reserve and peak; targets lie within what everybody allows."""
    outcome = plan(p)
    written = plan_of(config(minimum_w=1.0), outcome, guard, Now(MONO, p.now_ns))
    for block in written.blocks:
        assert block.ess_lo_w is None
        assert block.ess_hi_w == (0.0 if guard else None)
        steps = [
            d.step
            for d in outcome.steps
            if d.step.start_ns - p.now_ns + MONO < block.end_ns and d.step.end_ns - p.now_ns + MONO > block.start_ns
        ]
        for step in steps:
            assert block.target_w is None or step.lo_w - 1 <= block.target_w <= step.hi_w + 1
        assert not guard or block.target_w is None or block.target_w <= 0


# --- when it plans again --------------------------------------------------------------------------------------------------------------


def test_it_plans_again_when_something_changed_and_not_otherwise() -> None:
    story = Story()
    assert story.after(0)
    assert [story.after(1) for _ in range(20)] == [False] * 20
    story.others["ocpp"] = Plan(mono(9), (Block(mono(1), mono(3), target_w=20_000.0),))
    assert story.after(1), "somebody's plan"
    assert not story.after(4)
    assert story.after(2, lo=Limit(-9000.0, Binding("row", "cell_temp_high@unit1"))), "a limit of the devices"
    assert not story.after(6, lo=Limit(-9000.0, Binding("row", "cell_temp_high@unit1")))
    assert story.after(6, 52.0), "the SoC left the plan"
    assert not story.after(6, 52.0)
    assert story.after(60, 52.0), "and once a minute"
    story.slot.error = PlanRefused("its lease is longer")
    assert not story.after(60, 52.0)
    assert "did not take the plan: its lease is longer" in story.keeper.trouble
    story.slot.error = None
    assert story.after(1, 52.0), "a plan that was not taken is tried at once"
    assert story.keeper.trouble == ""


def test_an_unreachable_target_is_told_once_and_again_when_it_is_reachable(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "test.policy")
    story = Story(bands=(Band("soon", Once((at(0.5),)), 80, 100),))
    story.after(0)
    story.after(60)
    assert caplog.text.count("policy soon: 80.0 to 100.0 % cannot be reached") == 1
    assert "prevents more" in caplog.text
    story.after(60, 79.0)
    assert caplog.text.count("policy soon: reachable again") == 1


def test_a_file_that_became_wrong_keeps_its_last_good_content() -> None:
    story = Story()
    story.after(0)
    story.broken = ConfigError("t.yaml:1:1", "broken")
    assert not story.after(1)
    assert "broken" in story.keeper.answer({})["trouble"]
    assert story.after(60), "and goes on planning"
    assert "broken" in story.keeper.answer({})["trouble"]
    story.broken = None
    story.after(1)
    assert story.keeper.answer({})["trouble"] == ""


def test_a_file_that_is_wrong_from_the_start_keeps_nobody_from_the_reserve(caplog: pytest.LogCaptureFixture) -> None:
    story = Story(reserve_pct=60.0)
    story.broken = NotReachable("tariff.yaml: no such file")
    assert story.after(0)
    assert story.slot.last.blocks[0].ess_hi_w == 0.0, "50 % is below the reserve"
    story.after(1)
    assert caplog.text.count("tariff.yaml: no such file") == 1


# --- files ----------------------------------------------------------------------------------------------------------------------------

TARIFF = """time_zone: Europe/Brussels
otherwise: {buy_per_kwh: 0.20}
periods:
  - {days: [monday], start: "22:00", end: "06:00", buy_per_kwh: 0.10, sell_per_kwh: 0.02}
dated:
  - {start: "2026-03-30T23:00:00+02:00", end: "2026-03-31T00:00:00+02:00", buy_per_kwh: 0.90}
"""


def test_a_tariff_is_read_again_when_it_changes_and_told_with_its_place_when_it_is_wrong(tmp_path: Path) -> None:
    from bessctl.policy.schedule import moment  # noqa: PLC0415
    from bessctl.policy.tables import pieces  # noqa: PLC0415

    file = tmp_path / "tariff.yaml"
    file.write_text(TARIFF)
    files = Files(config(tariff_file=file))
    table = files.tables().tariff
    assert table is not None

    def buy(when: str) -> float:
        instant = moment(when)
        return [dict(p.values)["buy"] for p in pieces(table, instant, instant + H) if p.start_ns <= instant < p.end_ns][-1]

    assert [buy(f"2026-03-{day}+02:00") for day in ("30T21:59:00", "30T22:00:00", "30T23:30:00", "31T05:59:00", "31T06:00:00")] == [
        0.20, 0.10, 0.90, 0.10, 0.20,
    ]  # fmt: skip
    assert files.tables().tariff is table
    file.write_text(TARIFF.replace("22:00", "25:00") + "\n")
    with pytest.raises(ConfigError, match=r"tariff.yaml:4:22: periods\[0\].start: '25:00' is not in the form expected"):
        files.tables()
    with pytest.raises(ConfigError):
        files.tables()
    file.write_text(TARIFF)
    assert files.tables().tariff == table
    for old, new, words in (
        ("Europe/Brussels", "Europe/Bruxelles", "1:1: time_zone: there is no IANA time zone"),
        ("2026-03-31T00:00:00+02:00", "2026-03-30T00:00:00+02:00", r"6:42: dated\[0\].end: 2026-03-30T00:00:00\+02:00 is not after start"),
        ("2026-03-30T23:00:00+02:00", "2026-03-30T23:00:00", r"dated\[0\].start: '2026-03-30T23:00:00' is no date-time with a zone"),
        ("buy_per_kwh: 0.90", "buy: 0.90", "unknown key; known here: buy_per_kwh"),
    ):
        file.write_text(TARIFF.replace(old, new))
        with pytest.raises(ConfigError, match=words):
            Files(config(tariff_file=file)).tables()


# --- what people see ------------------------------------------------------------------------------------------------------------------


def test_the_report_says_who_binds_and_what_cannot_be_reached() -> None:
    story = Story(bands=(Band("soon", Once((at(1),)), 95, 100),), reserve_pct=20.0, time_zone="Europe/Brussels")
    story.others["ems"] = Plan(mono(9), (Block(mono(0), mono(3), pcc_lo_w=-13_000.0),))
    story.after(0)
    told = story.keeper.answer({})["plan"]
    assert [(s["power_w"], s["who"]) for s in told["steps"][:4]] == [(-10_000, "source:ems")] * 4
    assert told["unreachable"][0]["because"] == "source:ems"
    assert told["unreachable"][0]["reachable_pct"] == pytest.approx(59.5)
    assert told["steps"][0]["start"].endswith("+01:00") or told["steps"][0]["start"].endswith("+02:00")


def test_the_picture_shows_soc_targets_power_and_limits(tmp_path: Path) -> None:
    story = Story(bands=(MORNING, Band("soon", Once((at(0.5),)), 95, 100)), reserve_pct=20.0, slots=())
    story.after(0)
    assert story.keeper.outcome is not None
    told = report(story.keeper.outcome, story.keeper.config)
    picture = svg(told)
    root = ET.fromstring(picture)
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"morning", "soon", "reserve", "rating"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 3
    pytest.importorskip("matplotlib")
    png(told, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
