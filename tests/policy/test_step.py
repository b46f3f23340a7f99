"""Policies in front of the loop's own step, both in invented time: what the plant does, also when nobody plans any more (PLV-3)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from bessctl.model.plan import Block, Plan
from bessctl.policy.config import PolicyConfig, SlotFacts
from bessctl.policy.keeper import Keeper, Outside
from bessctl.policy.problem import Battery, PeakShaving
from bessctl.policy.situation import Tables
from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, START_NS, Rig, S, Slot, config
from tests.policy.problems import START, forced
from tests.policy.test_keeper import PLANT
from tests.protocols.ocpp.fakes import FakePlant

POLICY, MANUAL = 0, 1
SLOTS = (Slot(priority=40, max_lease_s=3600, may_force=L.Direction.DIR_DISCHARGE), Slot(priority=50, max_lease_s=7200))
CONFIG = PolicyConfig(
    Battery(400_000.0, 200_000.0, 200_000.0), priority=40, pcc=True, slots=(SlotFacts("manual", 50, False, Block(0, 0)),),
    horizon_s=6 * 3600.0, lease_s=30.0,
)  # fmt: skip
FIELDS = ("ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w", "target_w")


class Stage:
    """A plant of 200 kW behind a meter, the keeper of its policies, and a manual source of lower rank."""

    def __init__(self, load_w: float = 0.0, soc_pct: float = 50.0, **policy: Any) -> None:
        self.rig = Rig(config(slots=SLOTS, has_meter=1, load_max_w=300e3, pv_max_w=300e3))
        self.rig.meter(load_w)
        self.rig.run().set(L.Quantity.Q_SOC_PCT, soc_pct)
        self.serial = 0
        self.plant = FakePlant(PLANT)
        outside = Outside(self.plant, self, dict, Tables, lambda: START + self.rig.now_ns - START_NS)
        self.keeper = Keeper(replace(CONFIG, **policy), outside, logging.getLogger("test.policy"))

    def now_ns(self) -> int:
        """The clock that plans are written in."""
        return self.rig.now_ns

    def write(self, plan: Plan) -> int:
        """Into the slot of the policies."""
        self.serial += 1
        blocks = [
            {"start_ns": b.start_ns, "end_ns": b.end_ns, "target_scope": int(b.target_scope)}
            | {name: getattr(b, name) for name in FIELDS if getattr(b, name) is not None}
            for b in plan.blocks
        ]
        self.rig.offer(POLICY, *blocks, lease_until_ns=plan.lease_until_ns, lapse=int(plan.lapse), serial=self.serial)
        return self.serial

    def look(self) -> Stage:
        """The supervisor's second."""
        state = self.rig.tick(20)
        unit = replace(PLANT.units[0], soc_pct=self.rig.values[0, L.Quantity.Q_SOC_PCT])
        self.plant.set(now_ns=self.rig.now_ns, ess_w=state["ess_w"], pcc_w=state["pcc_w"], units=(unit,))
        self.keeper.look()
        return self

    def after(self, seconds: float) -> float:
        """Nobody looks meanwhile; the power then."""
        self.rig.tick(round(seconds * S / PERIOD_NS))
        return float(self.rig.power_w)

    def manual(self, power_w: float) -> None:
        self.rig.offer(MANUAL, {"target_w": power_w}, lease_until_ns=START_NS + 7000 * S)


# (load less sun, policy, SoC, what a source of lower rank wants, power of the plant)
DONE: list[tuple[float, dict[str, Any], float, float | None, float]] = [
    # peak shaving: no more than 120 kW are imported, whoever wants to charge; below it nobody is hindered
    (200e3, {"peak_shaving": PeakShaving(120e3)}, 50, None, 80e3),
    (200e3, {"peak_shaving": PeakShaving(120e3)}, 50, -50e3, 80e3),
    (60e3, {"peak_shaving": PeakShaving(120e3)}, 50, -40e3, -40e3),
    (60e3, {"peak_shaving": PeakShaving(120e3)}, 50, -90e3, -60e3),
    # self-consumption: the connection at 0 W, both ways
    (30e3, {"self_consumption": True}, 50, None, 30e3),
    (-70e3, {"self_consumption": True}, 50, None, -70e3),
    # the reserve: nobody discharges below it, everybody may charge
    (0, {"reserve_pct": 50.0}, 50, 40e3, 0.0),
    (0, {"reserve_pct": 20.0}, 50, 40e3, 40e3),
    (200e3, {"reserve_pct": 50.0, "peak_shaving": PeakShaving(120e3)}, 50, None, 0.0),
    # force and hold rule before a source of lower rank
    (0, {"forces": (forced("test", 0, -30e3, 1),)}, 50, 40e3, -30e3),
    (0, {"forces": (forced("test", 0, 30e3, 1),)}, 50, -40e3, 30e3),
    (0, {"forces": (forced("still", 0, 0.0, 1),)}, 50, 40e3, 0.0),
    # nothing planned is no order
    (0, {}, 50, 40e3, 40e3),
]


@pytest.mark.parametrize(("load_w", "policy", "soc_pct", "manual_w", "power_w"), DONE)
def test_what_the_plant_does(load_w: float, policy: dict[str, Any], soc_pct: float, manual_w: float | None, power_w: float) -> None:
    stage = Stage(load_w, soc_pct, **policy)
    if manual_w is not None:
        stage.manual(manual_w)
    assert stage.look().after(3) == pytest.approx(power_w, abs=1000)


def test_a_force_ends_with_its_time_out_and_nobody_to_end_it() -> None:
    stage = Stage(forces=(forced("test", 0, -30e3, 10 / 3600),)).look()
    assert stage.after(8) == pytest.approx(-30e3)
    assert stage.after(3) == 0.0


def test_without_a_supervisor_the_target_ends_with_the_lease_and_the_peak_stays_shaved() -> None:
    """The lease is 30 s; what is left after it are limits alone."""
    stage = Stage(60e3, peak_shaving=PeakShaving(120e3), forces=(forced("test", 0, -30e3, 1),)).look()
    assert stage.after(20) == pytest.approx(-30e3)
    assert stage.after(20) == 0.0
    stage.rig.load_w = 200e3
    assert stage.after(5) == pytest.approx(80e3, abs=1000)


def test_a_reserve_that_nobody_watches_is_kept_all_the_same() -> None:
    """40 kWh above it last 684 s at full power and 0.95: so long the peak goes on being shaved, then no more, whatever was really used."""
    stage = Stage(200e3, peak_shaving=PeakShaving(120e3), reserve_pct=40.0).look()
    assert stage.after(680) == pytest.approx(80e3, abs=1000)
    assert stage.after(10) == 0.0
    stage.look()
    assert stage.after(5) == pytest.approx(80e3, abs=1000), "watched again"


def test_the_reserve_that_was_reached_stays_kept_without_a_supervisor() -> None:
    stage = Stage(reserve_pct=50.0).look()
    stage.manual(40e3)
    assert stage.after(60) == 0.0
    stage.manual(-40e3)
    assert stage.after(5) == pytest.approx(-40e3)
