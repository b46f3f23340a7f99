"""OSCP-5 in the loop's own step: fallback in the tick in which the lease ends, and nothing of Python is needed for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bessctl.model.plan import Block, Plan
from bessctl.protocols.oscp.config import GroupConfig, Scope
from bessctl.protocols.oscp.session.clock import NS, Now
from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, START_NS, Rig, Slot, config
from tests.protocols.oscp.sansio import CP, Talk

ESS = GroupConfig("feeder-7", "oscp", Scope.ESS)
OSCP, MANUAL = 0, 1
SLOTS = (
    Slot(L.SlotClass.CLASS_GRID, 1, default={"ess_lo_w": -1000.0, "ess_hi_w": 1000.0}, required=True, max_lease_s=7200),
    Slot(priority=5, max_lease_s=7200),
)
FIELDS = ("ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w", "target_w")


def words(block: Block) -> dict[str, Any]:
    """A block in the rig's words."""
    found: dict[str, Any] = {"start_ns": block.start_ns, "end_ns": block.end_ns, "target_scope": int(block.target_scope)}
    return found | {name: getattr(block, name) for name in FIELDS if getattr(block, name) is not None}


def write(rig: Rig, plan: Plan, serial: int) -> None:
    rig.offer(
        OSCP,
        *(words(b) for b in plan.blocks),
        fallback=tuple(words(b) for b in plan.fallback),
        lease_until_ns=plan.lease_until_ns,
        serial=serial,
    )


class Stage:
    """The provider in front of the real step, both in the same invented time; a manual source charges with all it can get."""

    def __init__(self) -> None:
        self.rig = Rig(config(slots=SLOTS)).run()
        self.talk = Talk(CP, groups=(ESS,))
        self._serial = 0
        self.sync()
        self.rig.offer(MANUAL, {"target_w": -150_000.0}, lease_until_ns=START_NS + 7000 * NS)

    def sync(self) -> None:
        """Bring the provider's clock to the loop's."""
        self.talk.later((self.rig.now_ns - self.talk.now.mono_ns) / NS)

    def write(self) -> Plan:
        self._serial += 1
        plan: Plan = self.talk.plan()
        write(self.rig, plan, self._serial)
        return plan

    def commissioned(self, offline_in_s: float = 1.0) -> Plan:
        """Online with a minute's worth of everything, and the last heartbeat."""
        self.talk.online(60)
        for kind, capacity in (
            ("CONSUMPTION", 50_000),
            ("GENERATION", -40_000),
            ("FALLBACK_CONSUMPTION", 5_000),
            ("FALLBACK_GENERATION", -4_000),
        ):
            assert self.talk.forecast(kind, (capacity, 0, 3600)) == 204
        assert self.talk.beat(offline_in_s) == 204
        plan = self.write()
        self.rig.tick(30)
        assert self.rig.power_w == -50_000
        return plan

    def to(self, at_ns: int) -> None:
        """The last tick before an instant."""
        self.rig.tick((at_ns - 1 - self.rig.now_ns) // PERIOD_NS)
        assert self.rig.now_ns < at_ns <= self.rig.now_ns + PERIOD_NS


def test_before_the_first_forecast_the_sealed_default_rules() -> None:
    """Row 6, design R7."""
    stage = Stage()
    assert stage.rig.tick(30)["lo_w"] == -1000


def test_fallback_rules_in_the_tick_the_lease_ends_with_the_supervisor_stopped() -> None:
    """Nobody writes after the last heartbeat; the limit and the power change in that one tick."""
    stage = Stage()
    plan = stage.commissioned()
    stage.to(plan.lease_until_ns)
    assert (stage.rig.power_w, *stage.rig.side("lo")) == (-50_000, -50_000, L.BindKind.BIND_SLOT, OSCP)
    stage.rig.tick()
    assert (stage.rig.power_w, *stage.rig.side("lo")) == (-5_000, -5_000, L.BindKind.BIND_FALLBACK, OSCP)
    assert stage.rig.side("hi")[0] == 4_000
    assert [e["at_ns"] for e in stage.rig.events(L.EventCode.EV_PLAN_LAPSED)] == [stage.rig.now_ns]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_stepped_by_an_hour_neither_hastens_nor_delays_it(hours: int) -> None:
    """The supervisor writes the plan again with the corrected date; the lease stays where it was."""
    stage = Stage()
    plan = stage.commissioned()
    utc_ns = stage.talk.now.utc_ns
    assert utc_ns is not None
    stage.sync()
    stage.talk.now = replace(stage.talk.now, utc_ns=(stage.talk.now.utc_ns or 0) + hours * 3600 * NS)
    again = stage.write()
    assert again.lease_until_ns == plan.lease_until_ns
    stage.to(plan.lease_until_ns)
    stage.rig.tick()
    assert stage.rig.events(L.EventCode.EV_PLAN_LAPSED)[-1]["at_ns"] == stage.rig.now_ns
    # An hour ahead the fallback series is over and holds its tightest value; an hour back nothing is agreed yet.
    assert stage.rig.side("lo")[0] == (-5_000 if hours == 1 else 0)


def test_segments_half_received_when_the_lease_ends_delay_nothing() -> None:
    stage = Stage()
    plan = stage.commissioned()
    wider = json.dumps(stage.talk.forecast_body("CONSUMPTION", (150_000, 0, 3600))).encode()
    assert stage.talk.post("update_group_capacity_forecast", wider[:90], ident="a", segment=(1, 2)) == 204
    assert stage.write().lease_until_ns == plan.lease_until_ns
    stage.to(plan.lease_until_ns)
    stage.rig.tick()
    assert stage.rig.power_w == -5_000


def test_a_heartbeat_in_time_renews_and_one_too_late_does_not() -> None:
    stage = Stage()
    plan = stage.commissioned()
    stage.to(plan.lease_until_ns)
    stage.sync()
    assert stage.talk.beat(1) == 204
    plan = stage.write()
    stage.rig.tick(2)
    assert stage.rig.power_w == -50_000
    stage.to(plan.lease_until_ns)
    stage.rig.tick()
    stage.sync()
    assert stage.talk.beat(60) == 403
    stage.write()
    stage.rig.tick(5)
    assert stage.rig.power_w == -5_000
    stage.talk.shake(60)
    stage.write()
    stage.rig.tick(30)
    assert stage.rig.power_w == -50_000, "a handshake, and the live series rules again"


def test_blocks_change_in_the_tick_of_their_time() -> None:
    """OSCP-4: block by block, with nobody writing between them."""
    stage = Stage()
    stage.talk.online(60)
    start_ns = stage.talk.now.mono_ns
    stage.talk.forecast("CONSUMPTION", (30_000, 0, 1), (10_000, 1, 2), (20_000, 2, 3))
    stage.talk.forecast("FALLBACK_CONSUMPTION", (7_000, 0, 60))
    stage.write()
    stage.rig.tick(5)
    for second, before, after in ((1, -30_000, -10_000), (2, -10_000, -20_000), (3, -20_000, -7_000)):
        stage.to(start_ns + second * NS)
        assert stage.rig.side("lo")[0] == before
        assert stage.rig.tick()["lo_w"] == after


def test_of_two_providers_the_one_that_is_lost_falls_in_its_own_tick() -> None:
    """Row 14: one slot, two leases."""
    stage = Stage()
    stage.talk = Talk(CP, replace(CP, name="tso"), groups=(ESS,))
    stage.sync()
    for name, live, fallback, beat_s in (("dso", 50_000, 5_000, 1), ("tso", 60_000, 45_000, 3)):
        stage.talk.as_(name).online(60)
        stage.talk.forecast("CONSUMPTION", (live, 0, 3600))
        stage.talk.forecast("FALLBACK_CONSUMPTION", (fallback, 0, 3600))
        stage.talk.beat(beat_s)
    lost_ns = stage.talk.as_("dso").peer.connection.lease_ns
    stage.write()
    stage.rig.tick(2)
    stage.to(lost_ns)
    assert stage.rig.side("lo")[0] == -50_000
    assert stage.rig.tick()["lo_w"] == -5_000
    assert stage.rig.state["slot_state"][OSCP] == L.SlotState.SLOT_LIVE, "the other one is still believed"


def test_a_restart_starts_in_fallback() -> None:
    """Row 20."""
    stage = Stage()
    stage.commissioned(60)
    stage.sync()
    stage.talk = stage.talk.restarted()
    stage.write()
    stage.rig.tick()
    assert stage.rig.power_w == -5_000


def test_without_a_date_the_tightest_value_rules() -> None:
    stage = Stage()
    stage.commissioned(60)
    stage.sync()
    stage.talk.now = Now(stage.talk.now.mono_ns, None)
    stage.write()
    stage.rig.tick()
    assert stage.rig.power_w == -5_000
