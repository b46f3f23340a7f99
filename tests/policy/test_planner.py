"""The planner against the slow way: the reachable is met, the rest reported, nothing is cheaper, no limit is ever widened (PLV-3)."""

from __future__ import annotations

from datetime import UTC, datetime, time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.policy.cheapest import money
from bessctl.policy.grid import grid
from bessctl.policy.planner import plan
from bessctl.policy.problem import Band, Battery, Kind, Outcome, Piece, Problem, Span
from bessctl.policy.reach import Reach, stored_wh
from bessctl.policy.schedule import Once, Weekly
from bessctl.policy.zones import local, zone
from tests.policy.problems import (
    CELLS,
    H,
    at,
    best_cost,
    edges,
    energies,
    forced,
    problem,
    problems,
    shaving,
    ways,
)

EXAMPLES = settings(max_examples=60, deadline=None)


def moves(p: Problem) -> list[tuple[float, float]]:
    return Reach(p.battery, grid(p, 0.0).steps, p.energy_wh, min(p.energy_wh, p.reserve_wh)).moves


def power_at(outcome: Outcome, hours: float) -> float:
    return next(d.power_w for d in outcome.steps if d.step.start_ns <= at(hours) < d.step.end_ns)


def energy_at(outcome: Outcome, hours: float) -> float:
    return dict(zip(edges(outcome), energies(outcome), strict=True))[at(hours)]


# --- what can be reached is reached -----------------------------------------------------------------------------------------------------


@EXAMPLES
@given(problems())
def test_a_reachable_target_is_met_and_an_unreachable_one_reported(p: Problem) -> None:
    """Brute force decides for the target of the highest priority, which no other target may hinder; then for those after it, one by one."""
    outcome = plan(p)
    kept = grid(p, 0.0)
    assert len(outcome.met) + len(outcome.unmet) == len(kept.targets)
    order = sorted(kept.targets, key=lambda t: (-t.priority, t.at_ns, t.name))
    reached = ways(p, kept.steps, moves(p))
    first = order[0]
    possible = any(first.lo_wh <= 1000.0 * e <= first.hi_wh for e in reached[first.edge])
    met = {(t.name, t.at_ns) for t, _ in outcome.met}
    assert ((first.name, first.at_ns) in met) == possible
    for unmet in outcome.unmet:
        assert not unmet.wanted_pct[0] - 1e-6 <= unmet.reachable_pct <= unmet.wanted_pct[1] + 1e-6
        assert unmet.because
    if not possible:
        told = next(u for u in outcome.unmet if (u.name, u.at_ns) == (first.name, first.at_ns))
        best = min(reached[first.edge], key=lambda e: max(first.lo_wh - 1000 * e, 1000 * e - first.hi_wh))
        assert told.reachable_pct == pytest.approx(best * 10)


@EXAMPLES
@given(problems())
def test_what_is_called_met_is_met_by_the_plan(p: Problem) -> None:
    outcome = plan(p)
    found = dict(zip(edges(outcome), energies(outcome), strict=True))
    for target, energy in outcome.met:
        assert found[target.at_ns] == energy
        assert target.lo_wh - 1e-3 <= energy <= target.hi_wh + 1e-3
    for unmet in outcome.unmet:
        assert found[unmet.at_ns] == pytest.approx(unmet.reachable_pct / 100 * p.battery.capacity_wh, abs=1e-3)


@EXAMPLES
@given(problems())
def test_a_plan_never_leaves_a_limit_the_battery_or_the_reserve(p: Problem) -> None:
    """A policy never widens a limit: each power lies within the rating and everything anybody states for its instant."""
    outcome = plan(p)
    floor = min(p.energy_wh, p.reserve_wh)
    before = p.energy_wh
    for done in outcome.steps:
        step = done.step
        assert step.lo_w <= 0 <= step.hi_w
        assert step.lo_w - 1e-6 <= done.power_w <= step.hi_w + 1e-6
        for span in p.spans:
            if span.start_ns <= step.start_ns < span.end_ns:
                assert done.power_w >= min(0.0, span.ess_lo_w if span.ess_lo_w is not None else -1e9) - 1e-6
                assert done.power_w <= max(0.0, span.ess_hi_w if span.ess_hi_w is not None else 1e9) + 1e-6
                pcc = done.power_w - step.net_w
                if span.pcc_hi_w is not None and done.power_w > 1e-6:
                    assert pcc <= span.pcc_hi_w + 1e-6
                if span.pcc_lo_w is not None and done.power_w < -1e-6:
                    assert pcc >= span.pcc_lo_w - 1e-6
        assert floor - 1e-3 <= done.energy_wh <= p.battery.capacity_wh + 1e-3
        assert done.energy_wh - before == pytest.approx(stored_wh(p.battery, done.power_w, step.hours), abs=1e-3)
        before = done.energy_wh


@EXAMPLES
@given(problems(targets=False))
def test_nothing_is_cheaper_among_the_plans_that_meet_the_bands(p: Problem) -> None:
    """Least cost, against every way on the grid. Energy left over has the planner's own value."""
    kept = grid(p, 0.0)
    outcome = plan(p)
    if outcome.unmet or p.energy_wh < p.reserve_wh:
        return
    bands: dict[int, tuple[float, float]] = {}
    for target, _ in outcome.met:
        lo, hi = bands.get(target.edge, (0.0, 1e9))
        bands[target.edge] = max(lo, target.lo_wh), min(hi, target.hi_wh)
    value = sum(s.buy for s in kept.steps) / len(kept.steps)
    best = best_cost(p, kept.steps, moves(p), bands, value)
    mine = sum(money(d.step, d.power_w) for d in outcome.steps) - value * energies(outcome)[-1] / 1000
    assert mine <= best + 1e-3


@EXAMPLES
@given(problems(), st.integers(0, 5))
def test_planning_again_on_the_way_changes_no_mind(p: Problem, hours: int) -> None:
    """A pure function: the same problem gives the same plan; and from a point of the plan, what was met stays met."""
    outcome = plan(p)
    assert plan(p) == outcome
    later = Problem(**{f: getattr(p, f) for f in p.__slots__} | {
        "now_ns": at(hours), "energy_wh": energy_at(outcome, hours), "horizon_ns": p.horizon_ns - hours * H,
    })  # fmt: skip
    if p.energy_wh >= p.reserve_wh and later.horizon_ns:
        met = {(t.name, t.at_ns) for t, _ in plan(later).met}
        assert {(t.name, t.at_ns) for t, _ in outcome.met if t.at_ns > at(hours)} <= met


# --- the latest safe start ----------------------------------------------------------------------------------------------------------------


def test_charging_starts_as_late_as_the_power_that_is_allowed_permits() -> None:
    """From 20 % to 80 % by 10:00 with 5 kW: 6 kWh take 72 minutes; a step is an hour."""
    outcome = plan(problem(energy_wh=2000.0, bands=(Band("six", Once((at(10),)), 80, 80),), horizon_ns=12 * H))
    assert [power_at(outcome, h) for h in range(12)] == [0.0] * 8 + [-1000.0, -5000.0] + [0.0] * 2


def test_a_forecast_that_halves_the_power_in_the_last_hour_moves_the_start() -> None:
    late = (Span(at(9), at(10), "source:oscp:dso", ess_lo_w=-2500.0, ess_hi_w=2500.0),)
    outcome = plan(problem(energy_wh=2000.0, bands=(Band("six", Once((at(10),)), 80, 80),), spans=late, horizon_ns=12 * H))
    assert [power_at(outcome, h) for h in (7, 8, 9)] == [0.0, -3500.0, -2500.0]
    assert energy_at(outcome, 10) == pytest.approx(8000.0)


def test_losses_and_margin_move_it_too() -> None:
    """4 kWh stored need 4 / 0.8 = 5 kWh drawn; with a margin of 20 % of 5 kW that is an hour and a quarter."""
    lossy = Battery(10_000.0, 5000.0, 5000.0, 0.8, 0.8)
    outcome = plan(problem(energy_wh=4000.0, battery=lossy, margin=0.2, bands=(Band("six", Once((at(6),)), 80, 100),), horizon_ns=8 * H))
    assert [power_at(outcome, h) for h in (3, 4, 5)] == pytest.approx([0.0, -1000.0, -4000.0])
    assert outcome.margin_used
    tight = plan(problem(energy_wh=0.0, battery=lossy, margin=0.2, bands=(Band("six", Once((at(2),)), 80, 100),), horizon_ns=8 * H))
    assert [power_at(tight, h) for h in (0, 1)] == [-5000.0, -5000.0], "the margin is given up before the target is"
    assert not tight.margin_used
    assert not tight.unmet


def test_another_sources_target_is_planned_with() -> None:
    """OCPP discharges 3 kW from 4:00 to 6:00 with a higher rank: 80 % at 6:00 needs more before."""
    car = (Span(at(4), at(6), "source:ocpp", target_w=3000.0),)
    outcome = plan(problem(energy_wh=5000.0, bands=(Band("six", Once((at(6),)), 40, 100),), spans=car, horizon_ns=8 * H))
    assert energy_at(outcome, 4) == pytest.approx(10_000.0)
    assert energy_at(outcome, 6) == pytest.approx(4000.0)
    (told,) = plan(problem(energy_wh=5000.0, bands=(Band("six", Once((at(6),)), 60, 100),), spans=car, horizon_ns=8 * H)).unmet
    assert told.because == "source:ocpp"
    assert told.reachable_pct == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("changes", "reachable", "because"),
    [
        # the battery's own power, the time being what it is
        ({}, 70.0, "rating"),
        # somebody's limit: of two the one that costs more
        (
            {"spans": (Span(at(0), at(1), "source:oscp:dso", ess_lo_w=0.0), Span(at(0), at(1), "source:sep2", ess_lo_w=-3000.0))},
            20.0,
            "source:oscp:dso",
        ),
        ({"spans": (Span(at(0), at(1), "row:cell_temp_high@unit1", ess_lo_w=-1000.0),)}, 30.0, "row:cell_temp_high@unit1"),
        # a limit at the connection, with the load behind it
        ({"spans": (Span(at(0), at(1), "source:ems", pcc_lo_w=-4000.0),), "load_w": 3000.0}, 30.0, "source:ems"),
        # a policy of our own
        ({"forces": (forced("rest", 0, 0.0, 1),)}, 20.0, "policy:rest"),
        ({"bands": (Band("t", Once((at(1),)), 90, 100), Band("low", Once((at(1),)), 0, 30, 0.0, 9))}, 30.0, "policy:low"),
    ],
)
def test_an_unreachable_target_names_what_can_be_reached_and_who_prevents_more(
    changes: dict[str, object], reachable: float, because: str
) -> None:
    base: dict[str, object] = {"energy_wh": 2000.0, "bands": (Band("t", Once((at(1),)), 90, 100),)}
    (told,) = [u for u in plan(problem(**(base | changes))).unmet if u.name == "t"]
    assert (told.because, told.wanted_pct) == (because, (90.0, 100.0))
    assert told.reachable_pct == pytest.approx(reachable)


def test_the_reserve_is_no_target_and_stands_in_the_way_of_one() -> None:
    """A quantity of its own: a band below it is unreachable, and the reserve is named; power is not sold out of it at any price."""
    dear = tuple(Piece(at(h), at(h + 1), (("buy", 1.0), ("sell", 9.0 if h == 3 else 0.0))) for h in range(6))
    p = problem(energy_wh=5000.0, reserve_wh=3000.0, bands=(Band("low", Once((at(5),)), 0, 10),), prices=dear, tariff=True)
    outcome = plan(p)
    assert [u.because for u in outcome.unmet] == ["reserve"]
    assert outcome.unmet[0].reachable_pct == pytest.approx(30.0)
    assert min(energies(outcome)) == pytest.approx(3000.0)


def test_below_its_reserve_the_battery_charges_as_soon_as_it_may() -> None:
    wait = (Span(at(0), at(1), "source:oscp:dso", ess_lo_w=0.0),)
    outcome = plan(problem(energy_wh=1000.0, reserve_wh=4000.0, spans=wait))
    assert [power_at(outcome, h) for h in range(4)] == [0.0, -3000.0, 0.0, 0.0]


def test_outside_its_band_it_comes_back_by_permitted_directions_only() -> None:
    """A band that holds two hours, found at 50 % where it should be 80 %: charging is forbidden for an hour, nothing else is done."""
    shut = (Span(at(0), at(1), "source:oscp:dso", ess_lo_w=0.0),)
    band = Band("hold", Once((at(-1),)), 80, 90, hold_s=3 * 3600)
    outcome = plan(problem(energy_wh=5000.0, bands=(band,), spans=shut))
    assert [power_at(outcome, h) for h in range(3)] == [0.0, -3000.0, 0.0]
    assert [u.because for u in outcome.unmet] == ["source:oscp:dso"]


def test_a_band_of_equal_ends_is_as_wide_as_the_tolerance() -> None:
    """The seed's own example: 85.49 to 85.49."""
    outcome = plan(problem(energy_wh=2000.0, tolerance_wh=50.0, bands=(Band("seed", Once((at(6),)), 85.49, 85.49),)))
    ((target, energy),) = outcome.met
    assert (target.lo_wh, target.hi_wh) == pytest.approx((8499.0, 8599.0))
    assert 8499.0 <= energy <= 8599.0


# --- what policies do -------------------------------------------------------------------------------------------------------------------


def test_charge_and_discharge_are_forced_for_their_time_and_hold_holds() -> None:
    forces = (forced("up", 0, -2000.0, 1), forced("still", 1, 0.0, 2), forced("down", 3, 3000.0, 1.5))
    outcome = plan(problem(forces=forces, step_ns=H // 2))
    assert [power_at(outcome, h) for h in (0, 0.5, 1, 2.5, 3, 4, 4.5, 5)] == [-2000, -2000, 0, 0, 3000, 3000, 0, 0]
    kinds = [d.step.wish.kind if d.step.wish else None for d in outcome.steps]
    assert kinds == [Kind.FORCE] * 2 + [Kind.HOLD] * 4 + [Kind.FORCE] * 3 + [None] * 3


def test_a_force_that_began_goes_on_to_its_time_out_and_not_further() -> None:
    outcome = plan(problem(forces=(forced("up", -1, -1000.0, 2),)))
    assert [power_at(outcome, h) for h in range(3)] == [-1000.0, 0.0, 0.0]


def test_peaks_are_shaved_with_what_there_is_and_saved_for() -> None:
    """Load 6 kW at 2:00 and 9 kW at 3:00, 4 kW may be imported: 7 kWh are needed and 5 are there, so 2 are charged before."""
    load = tuple(Piece(at(h), at(h + 1), (("load_w", {2: 6000.0, 3: 9000.0}.get(h, 0.0)),)) for h in range(6))
    outcome = plan(problem(site=load, peak_shaving=shaving(4000.0)))
    assert [d.step.net_w - d.power_w for d in outcome.steps][2:4] == pytest.approx([4000.0, 4000.0])
    assert energy_at(outcome, 2) == pytest.approx(7000.0)


def test_self_consumption_stores_the_sun_and_covers_the_load() -> None:
    site = tuple(Piece(at(h), at(h + 1), (("load_w", 1000.0), ("pv_w", 4000.0 if h < 2 else 0.0))) for h in range(6))
    outcome = plan(problem(energy_wh=1000.0, site=site, self_consumption=True))
    assert [power_at(outcome, h) for h in range(6)] == pytest.approx([-3000, -3000, 1000, 1000, 1000, 1000])


def test_self_consumption_gives_the_load_of_now_what_there_is() -> None:
    outcome = plan(problem(energy_wh=3000.0, load_w=1000.0, self_consumption=True))
    assert [power_at(outcome, h) for h in range(6)] == pytest.approx([1000, 1000, 1000, 0, 0, 0])


def test_a_tariff_moves_energy_from_cheap_to_dear_hours_where_it_pays() -> None:
    """5 kW load all day; 10 cents until 3:00, 40 after: charged before, used after. Below the losses it is left alone."""

    def planned(dear: float) -> Outcome:
        prices = tuple(Piece(at(h), at(h + 1), (("buy", 0.10 if h < 3 else dear), ("sell", 0.0))) for h in range(6))
        lossy = Battery(10_000.0, 5000.0, 5000.0, 0.9, 0.9)
        return plan(problem(energy_wh=0.0, battery=lossy, load_w=5000.0, prices=prices, tariff=True))

    assert max(energies(planned(0.40))) > 9000.0
    assert max(energies(planned(0.115))) == pytest.approx(0.0, abs=1e-6)


def test_energy_is_bought_at_negative_prices_and_never_burnt_for_them() -> None:
    prices = tuple(Piece(at(h), at(h + 1), (("buy", -0.10), ("sell", -0.10))) for h in range(6))
    lossy = Battery(10_000.0, 5000.0, 5000.0, 0.9, 0.9)
    outcome = plan(problem(battery=lossy, prices=prices, tariff=True))
    assert all(d.power_w <= 0 for d in outcome.steps)
    assert energies(outcome)[-1] == pytest.approx(10_000.0)


def test_without_policies_nothing_is_moved() -> None:
    outcome = plan(problem(load_w=3000.0))
    assert {d.power_w for d in outcome.steps} == {0.0}


# --- PLV-3 -------------------------------------------------------------------------------------------------------------------------------


def test_at_least_80_percent_every_weekday_morning_at_six() -> None:
    """PLV-3, the seed's own words, lived through for eight days across the change to summer time: each evening the site empties the
    battery, each weekday at 6:00 in Brussels it holds 80 %, charged by night and no earlier than needed."""
    tz = zone("Europe/Brussels")
    battery = Battery(400_000.0, 100_000.0, 200_000.0, 0.95, 0.95)
    band = Band("morning", Weekly(frozenset(range(5)), time(6), "Europe/Brussels"), 80, 100)
    half = 1800 * 1_000_000_000
    now = int(datetime(2026, 3, 26, 20, tzinfo=UTC).timestamp()) * 1_000_000_000
    energy, mornings, charged_at = 80_000.0, [], set()
    for _ in range(8 * 48):
        wall = local(now / 1e9, tz)
        evening = (Span(now, now + half, "source:ocpp", target_w=100_000.0),) if 18 <= wall.hour < 22 else ()
        p = Problem(now, energy, battery, bands=(band,), spans=evening, horizon_ns=14 * H, step_ns=half, margin=0.05)
        first = plan(p).steps[0]
        if first.power_w < 0:
            charged_at.add(wall.hour)
        if wall.weekday() < 5 and (wall.hour, wall.minute) == (6, 0):
            mornings.append(100 * energy / battery.capacity_wh)
        energy, now = first.energy_wh, now + half
    assert len(mornings) == 6
    assert min(mornings) >= 80.0 - 1e-6
    assert charged_at <= {2, 3, 4, 5}, "240 kWh over 95 kW and 0.95: from half past three, an hour earlier on no day"


def test_the_horizon_of_a_week_in_quarter_hours_is_planned_whole() -> None:
    week = problem(horizon_ns=168 * H, step_ns=H // 4, bands=(Band("six", Once((at(100),)), 80, 90),))
    outcome = plan(week)
    assert len(outcome.steps) == 672
    assert all(b.step.start_ns == a.step.end_ns for a, b in pairwise(outcome.steps))
    assert outcome.met
    assert CELLS == 10
