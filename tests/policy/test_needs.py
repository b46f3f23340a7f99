"""What a plan would have of those who give capacity: more where they keep it from a target, less where most of it lies idle (OSCP-6)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from bessctl.app.policies import asker
from bessctl.errors import Refused
from bessctl.model.plan import Block, Plan
from bessctl.policy.needs import Need, needs
from bessctl.policy.planner import plan
from bessctl.policy.problem import Band, Problem, Span
from bessctl.policy.schedule import Once
from tests.policy.problems import START, H, at, problem, problems
from tests.policy.test_keeper import MORNING, Story, mono

S = 1_000_000_000
FOUR = Band("four", Once((at(4),)), 80, 100)
EMPTY = Band("empty", Once((at(4),)), 0, 10)


def of(p: Problem, less: bool = False) -> list[Need]:
    return needs(plan(p), p.battery, less=less)


@pytest.mark.parametrize(
    ("span", "band", "load_w", "wanted"),
    [
        # 6 kWh are missing, 1 kW for 4 h brings 4 of them: half a kW more
        (Span(at(0), at(6), "source:oscp", ess_lo_w=-1000.0), FOUR, 0.0, Need("oscp", True, 1500, 1500, at(0), at(4))),
        # the same at the connection point, where 3 kW of load are served as well
        (Span(at(0), at(6), "source:oscp", pcc_lo_w=-4000.0), FOUR, 3000.0, Need("oscp", True, 1500, 4500, at(0), at(4))),
        # only two of the hours are bound: all of it in these, and no more than the battery can
        (Span(at(0), at(2), "source:oscp", ess_lo_w=0.0), replace(FOUR, schedule=Once((at(2.5),))), 0.0,
         Need("oscp", True, 1750, 1750, at(0), at(2))),
        (Span(at(0), at(1), "source:oscp", ess_lo_w=0.0), replace(FOUR, schedule=Once((at(1),))), 0.0,
         Need("oscp", True, 5000, 5000, at(0), at(1))),
        # the other way: 1 of 2 kWh cannot leave
        (Span(at(0), at(6), "source:oscp", ess_hi_w=0.0), EMPTY, 1000.0, Need("oscp", False, 250, 0, at(0), at(4))),
    ],
)  # fmt: skip
def test_more_is_wanted_where_a_provider_keeps_the_plan_from_its_target(span: Span, band: Band, load_w: float, wanted: Need) -> None:
    assert of(problem(energy_wh=2000.0, bands=(band,), spans=(span,), load_w=load_w)) == [wanted]


@pytest.mark.parametrize("who", ["row:cell_temp_high@unit1", "connection"])
def test_nobody_is_asked_for_what_is_nobodys_to_give(who: str) -> None:
    assert of(problem(energy_wh=2000.0, bands=(FOUR,), spans=(Span(at(0), at(6), who, ess_lo_w=-1000.0),)), less=True) == []


def test_less_is_wanted_where_most_lies_idle_and_only_if_that_was_agreed() -> None:
    """1 kWh in 4 h is 250 W at the least; the plan uses 1 kW of 4 for an hour, a quarter more are 1250 W."""
    idle = problem(energy_wh=7000.0, bands=(FOUR,), spans=(Span(at(0), at(6), "source:oscp", ess_lo_w=-4000.0),))
    assert of(idle) == []
    assert of(idle, less=True) == [Need("oscp", True, 1250, 1250, at(0), at(6))]
    used = replace(idle, energy_wh=3000.0)
    assert of(used, less=True) == [], "4 of 4 kW are used"


@settings(max_examples=60, deadline=None)
@given(problems())
def test_no_wish_is_beyond_the_rating_or_of_nobody(p: Problem) -> None:
    """Whatever the problem: a magnitude within the battery's own, in the horizon, for one that states a limit there."""
    for need in of(p, less=True):
        assert 0 <= need.ess_w <= max(p.battery.charge_max_w, p.battery.discharge_max_w)
        assert p.now_ns <= need.start_ns < need.end_ns <= p.now_ns + p.horizon_ns
        assert f"source:{need.source}" in {span.who for span in p.spans}


def asked(refuse: bool = False) -> tuple[list[Need], Callable[[Need], None]]:
    found: list[Need] = []

    def ask(need: Need) -> None:
        found.append(need)
        if refuse:
            raise Refused("asked 3 s ago; at most once in 15 minutes")

    return found, ask


@pytest.mark.parametrize(("configured", "refuse"), [(False, False), (True, False), (True, True)])
def test_the_keeper_asks_where_it_is_configured_and_lives_with_a_refusal(
    configured: bool, refuse: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Off by default; a refusal is no trouble of the plan."""
    caplog.set_level(logging.INFO, "test.policy")
    story = Story(bands=(replace(MORNING, schedule=Once((at(1),))),), ask_more=configured)
    found, ask = asked(refuse)
    story.keeper._out = replace(story.keeper._out, ask=ask)
    story.others["ems"] = Plan(mono(2), (Block(mono(0), mono(2), ess_lo_w=-1000.0),))
    assert story.after(0)
    assert [need.source for need in found] == (["ems"] if configured else [])
    assert ("was asked for" in caplog.text) == (configured and not refuse)
    assert story.keeper.trouble == ""


def test_a_need_goes_to_the_providers_by_the_operators_own_command() -> None:
    requests: list[dict[str, object]] = []

    def oscp(request: dict[str, object]) -> dict[str, object]:
        requests.append(request)
        return {}

    need = Need("oscp", True, 1500, 4500, START + 60 * S, START + H)
    asker({"oscp": oscp}, lambda: START)(need)
    words = {"source": "oscp", "charging": True, "ess_w": 1500, "pcc_w": 4500}
    assert requests == [{"action": "need", **words, "in_s": 60.0, "for_s": 3540.0}]
    with pytest.raises(Refused, match="nobody gives capacity"):
        asker({}, lambda: START)(need)
