"""R3: limits that exclude each other: the device interval never yields, the better class wins, the rest is told.

Scenario it was written for: the grid operator wants at least 150 kW exported, a full BMS allows 50 kW; nobody gets more than the battery
can do, and somebody has to shed the difference.
"""

from __future__ import annotations

import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Slot, config

BOTH = L.Direction.DIR_BOTH
GRID, CONTRACT, MARKET = range(3)


def rig(*slots: Slot) -> Rig:
    r = Rig(config(slots=slots, has_meter=1))
    r.meter(0.0)
    r.run()
    r.tick(2)
    return r


def test_R3_the_device_interval_never_yields_and_the_rest_is_told() -> None:
    """The scenario: the grid wants 150 kW, a full battery gives 50."""
    r = rig(Slot(klass=GRID, may_force=BOTH))
    r.set(Q.Q_BMS_DIS_MAX_A, 50e3 / 600)
    r.offer(0, {"pcc_lo_w": 150e3})
    r.tick(60)
    assert r.power_w == pytest.approx(50e3, abs=2)
    assert (r.state["pcc_unmet_w"], r.state["unmet_slot"]) == (pytest.approx(100e3, abs=1e3), 0)
    assert r.state["flags"] & L.Flag.FLAG_SHED, "what a load-shed output would follow"
    assert [event["slot"] for event in r.events(L.EventCode.EV_LIMITS_DISJOINT)] == [0]


@pytest.mark.parametrize(("force", "power"), [(0, 0.0), (BOTH, 150e3), (L.Direction.DIR_CHARGE, 0.0)])
def test_R3_a_limit_moves_power_away_from_zero_only_where_its_slot_may(force: int, power: float) -> None:
    r = rig(Slot(klass=GRID, may_force=force))
    r.offer(0, {"pcc_lo_w": 150e3})
    r.tick(60)
    assert r.power_w == pytest.approx(power, abs=2)


def test_R3_the_better_class_wins_and_the_worse_gets_the_nearest_point() -> None:
    r = rig(Slot(klass=GRID), Slot(klass=MARKET, may_force=BOTH))
    r.offer(0, {"ess_hi_w": 30e3})
    r.offer(1, {"pcc_lo_w": 100e3})
    r.tick(60)
    assert r.power_w == pytest.approx(30e3, abs=2)
    assert r.state["unmet_slot"] == 1


def test_R3_within_a_class_the_point_nearest_zero_counts() -> None:
    r = rig(Slot(klass=CONTRACT, may_force=BOTH), Slot(klass=CONTRACT, may_force=BOTH))
    r.offer(0, {"pcc_lo_w": 100e3})
    r.offer(1, {"pcc_hi_w": 40e3})
    r.tick(60)
    assert r.power_w == pytest.approx(40e3, abs=2)
