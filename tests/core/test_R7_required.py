"""R7: a required slot holds its default limits from the first tick until a valid plan; only the operator removes a source.

Scenario it was written for: the container starts after a power cut; the utility's client needs a minute to its server, and in that minute
the connection must not be used beyond what the contract says without it.
"""

from __future__ import annotations

import pytest

from bessctl_core import layout as L
from tests.core.rig import Rig, S, Slot, config

GRID = Slot(klass=0, default={"ess_hi_w": 30e3, "ess_lo_w": -10e3}, required=True)


def rig() -> Rig:
    r = Rig(config(slots=(GRID, Slot())))
    r.offer(1, {"target_w": 200e3})
    return r


def test_R7_the_default_limits_hold_from_the_first_tick() -> None:
    """The scenario: a utility's client that needs a minute."""
    r = rig()
    for _ in range(600):
        state = r.tick(1, S // 10)
        assert r.power_w <= 30e3
        assert -10e3 <= state["lo_w"] <= state["hi_w"] <= 30e3
    assert r.power_w == 30e3
    r.offer(0, {"ess_hi_w": 80e3})
    r.tick(2)
    assert r.power_w == 80e3, "and then it speaks"


def test_R7_a_valid_plan_replaces_them_and_a_bad_one_does_not() -> None:
    r = rig().run()
    r.offer(0, {"ess_hi_w": float("nan")})
    r.tick(5)
    assert (r.power_w, r.state["slot_state"][0]) == (30e3, L.SlotState.SLOT_REFUSED)
    r.offer(0, {"ess_hi_w": 80e3}, serial=2)
    r.tick(5)
    assert r.power_w == 80e3


@pytest.mark.parametrize(("local", "hi"), [(True, 30e3), (False, 20e3)])
def test_R7_only_the_operator_removes_a_source_and_its_default_stays(local: bool, hi: float) -> None:
    r = rig().run()
    r.offer(0, {"ess_hi_w": 20e3})
    r.tick(5)
    r.h.command(7, L.CommandCode.CMD_RELEASE, local=local, arg=0)
    r.tick(5)
    assert r.power_w == hi
