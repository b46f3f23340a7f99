"""R7: a required source's limits stand from the first tick, before any network is up, until its own plan replaces them."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import Rig, S, Slot, config

B = L.BindKind
MARKET = Slot(klass=2, priority=9)


def utility(**words: Any) -> Slot:
    return Slot(klass=0, priority=1, required=True, default={"ess_hi_w": 0.0, "ess_lo_w": -20e3}, **words)


def rig(*slots: Slot, **site: Any) -> Rig:
    r = Rig(config(1, slots=slots or (utility(), MARKET), **site))
    r.offer(len(slots or (1, 1)) - 1, {"target_w": 150e3}, lease_until_ns=r.now_ns + 3000 * S)
    return r


def test_R7_not_a_watt_flows_against_a_limit_that_nobody_has_spoken_yet() -> None:
    """The scenario: the container starts in a blackout of the network; the market's plan is there, the utility's is not."""
    r = rig()
    for _ in range(200):
        r.tick()
        assert r.power_w <= 0
        assert (r.state["hi_w"], r.state["lo_w"] >= -20e3) == (0, True)
    assert r.state["mode"] == L.Mode.MODE_RUN
    assert r.side("hi") == (0, B.BIND_DEFAULT, 0)


def test_R7_at_the_connection_the_limit_stands_before_the_meter_spoke() -> None:
    """Without a sample the worst load and PV of the site count."""
    slots = (Slot(klass=0, priority=1, required=True, default={"pcc_hi_w": 60e3, "pcc_lo_w": -60e3}), MARKET)
    r = rig(*slots, has_meter=1, load_max_w=30e3, pv_max_w=25e3)
    r.h.set_meter(L.DeviceState.DEV_UP)
    r.tick(30)
    assert (r.state["hi_w"], r.state["lo_w"]) == (35e3, -30e3)
    assert r.power_w <= 35e3
    assert r.state["hi_bind"] == B.BIND_METER


def test_R7_its_own_plan_replaces_the_default_and_the_default_comes_back() -> None:
    r = rig()
    r.offer(0, {"ess_hi_w": 90e3, "end_ns": r.now_ns + 2 * S}, lease_until_ns=r.now_ns + 4 * S)
    r.tick(100)
    assert r.power_w == 90e3
    r.tick(110)
    assert (r.power_w, r.side("hi")) == (0, (0, B.BIND_DEFAULT, 0)), "in a gap"
    r.tick(300)
    assert (r.power_w, r.side("hi")[0]) == (0, 0), "after the lease"


@pytest.mark.parametrize("block", [{"target_w": 10e3}, {"rate_w_per_s": 1e5}, {"energize": 1}, {"ess_lo_w": -200e3}])
def test_R7_a_block_that_states_no_upper_limit_leaves_the_default_one(block: dict[str, Any]) -> None:
    """None is no statement: a plan that speaks of something else takes no limit away."""
    r = rig()
    r.offer(0, block, lease_until_ns=r.now_ns + 600 * S)
    r.tick(60)
    assert (r.state["hi_w"], r.power_w <= 0) == (0, True)
    assert r.state["lo_w"] == block.get("ess_lo_w", -20e3), "what it states counts"


def test_R7_a_source_that_is_not_required_takes_its_default_along() -> None:
    slot = Slot(klass=0, priority=1, default={"ess_hi_w": 0.0})
    r = rig(slot, MARKET)
    r.offer(0, {"ess_lo_w": -200e3}, lease_until_ns=r.now_ns + 600 * S)
    assert r.tick(60)["hi_w"] == 200e3


def test_R7_a_starting_binding_replaces_its_slot_and_never_clears_it() -> None:
    """An empty plan is a gap: the default. A bad plan leaves the last good one."""
    r = rig()
    r.offer(0, {"ess_hi_w": 90e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(60)
    r.offer(0, lease_until_ns=r.now_ns + 600 * S)
    assert r.tick(3)["hi_w"] == 0
    r.offer(0, {"ess_hi_w": 90e3}, lease_until_ns=r.now_ns + 600 * S)
    r.offer(0, {"ess_hi_w": -1.0}, lease_until_ns=r.now_ns + 600 * S)
    assert r.tick(3)["hi_w"] == 90e3


def test_R7_only_the_operator_removes_a_source_and_then_its_default_rules() -> None:
    r = rig()
    r.offer(0, {"ess_hi_w": 90e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(60)
    r.remote(L.CommandCode.CMD_RELEASE, arg=0)
    assert r.tick(2)["hi_w"] == 90e3
    r.local(L.CommandCode.CMD_RELEASE, arg=0)
    assert (r.tick(2)["hi_w"], r.power_w) == (0, 0)
