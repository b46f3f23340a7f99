"""The planner's bench, small: HiGHS finds nothing cheaper than our plan, and our plan is no cheaper than what is possible."""

from __future__ import annotations

import pytest

from benches import planner
from benches.greedy import Greedy
from bessctl.policy.planner import plan


@pytest.mark.parametrize("seed", range(4))
def test_a_solver_of_linear_programs_finds_the_same_cost(seed: int) -> None:
    """PLV-3: least cost among the plans that meet the bands."""
    optimize = pytest.importorskip("scipy.optimize")
    problem = planner.week(2, seed)
    outcome = plan(problem)
    solved = optimize.linprog(**planner.program(problem, outcome))
    assert solved.status == 0
    assert planner.cost_of(problem, outcome) == pytest.approx(solved.fun, abs=1e-3)


def test_greedy_keeps_the_same_rules_and_is_never_cheaper() -> None:
    """What the docs compare with is a plan that could be carried out."""
    problem = planner.week(2, 1)
    outcome = plan(problem)
    targets = [target for target, _ in outcome.met]
    greedy = Greedy(problem, [d.step for d in outcome.steps])
    paid = greedy.plan(targets, planner.worth(problem, outcome))
    assert all(s.lo_w - 1 <= w <= s.hi_w + 1 for s, w in zip(greedy.steps, greedy.power_w, strict=True))
    assert -1 <= greedy.energy_wh.min() <= greedy.energy_wh.max() <= problem.battery.capacity_wh + 1
    assert all(greedy.energy_wh[t.edge] >= t.lo_wh - 1 for t in targets)
    left = planner.worth(problem, outcome) * float(greedy.energy_wh[-1]) / 1000
    assert paid - left >= planner.cost_of(problem, outcome) - 1e-6
