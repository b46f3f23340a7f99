"""The planner's bench, small: HiGHS finds nothing cheaper than our plan, and our plan is no cheaper than what is possible."""

from __future__ import annotations

import pytest

from benches import planner
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
