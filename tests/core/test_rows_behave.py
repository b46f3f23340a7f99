"""What each row is there for, played: its own cause, what it does, and that it is well again (facts/pcs.md, the table of quantities).

Thresholds, delays, blindness and latches of any row are in test_protect.py; here is what only this row sees.
"""

from __future__ import annotations

import pytest

from bessctl_core import layout as L
from tests.core.rig import PLANT, Q, Rig, Row, S, Slot, config

A, D = L.Action, L.Direction
GONE, ACTIVE = 0, 1


def rig(row: Row, target_w: float = 100e3, follow: bool = True, **site: float) -> Rig:
    r = Rig(config(rows=(row,), slots=(Slot(may_force=D.DIR_BOTH),), **site), follow=follow)  # type: ignore[arg-type]
    r.offer(0, {"target_w": target_w})
    return r


def beating(r: Rig, quantity: int, seconds: float, step: int = 1) -> None:
    """So long at 100 Hz, with a heartbeat that counts each second by `step`."""
    for tick in range(round(seconds * 100)):
        if tick % 100 == 0:
            r.set(quantity, (r.values.get((0, quantity), 0.0) + step) % 65536)
        r.tick()


@pytest.mark.parametrize(("beat", "age"), [(Q.Q_PCS_HB, Q.Q_PCS_HB_AGE_S), (Q.Q_BMS_HB, Q.Q_BMS_HB_AGE_S)])
def test_heartbeat_lost(beat: int, age: int) -> None:
    """The data stay fresh and the counter stands: nobody behind it thinks any more. A roll-over is a beat."""
    r = rig(Row(age, 3.0, 1.5, action=A.ACT_ZERO, max_age_s=0.5))
    r.values[0, beat] = 65533.0
    beating(r, beat, 6)
    assert (r.state["row_active"][0], r.power_w) == (GONE, 100e3), "65535 -> 0 moves as well"
    beating(r, beat, 1.5, step=0)
    assert (r.state["row_active"][0], r.power_w) == (GONE, 100e3)
    beating(r, beat, 3, step=0)
    assert (r.state["row_active"][0] & ACTIVE, r.power_w) == (ACTIVE, 0)
    assert r.h.value(0, age) == pytest.approx(5.5, abs=0.1)
    beating(r, beat, 2)
    assert (r.state["row_active"][0], r.power_w) == (GONE, 100e3)


@pytest.mark.parametrize("age", [Q.Q_PCS_HB_AGE_S, Q.Q_BMS_HB_AGE_S])
def test_a_heartbeat_that_never_came_is_lost(age: int) -> None:
    r = rig(Row(age, 3.0, 1.5, action=A.ACT_ZERO, max_age_s=0.5))
    r.tick(600)
    assert (r.state["mode"] == L.Mode.MODE_RUN, r.power_w) == (False, 0)


# AC power, battery current: + toward the grid, + discharge. 768 V; of 200 kW.
CONFLICTS = [
    ("both discharge", 100e3, 130.0, GONE),
    ("both charge", -100e3, -130.0, GONE),
    ("losses at rest", 0.0, 4.0, GONE),
    ("AC discharges, the battery is charged", 100e3, -130.0, ACTIVE),
    ("AC charges, the battery discharges", -100e3, 130.0, ACTIVE),
    ("a little against each other: 8 kW are 4 %", 8e3, -130.0, GONE),
    ("the smaller of the two counts: 15 kW of 200 kW", 100e3, -19.6, GONE),
    ("and from 10 % on", 20.1e3, -130.0, ACTIVE),
]


@pytest.mark.parametrize(("story", "ac_w", "amps", "found"), CONFLICTS, ids=[row[0] for row in CONFLICTS])
def test_energy_direction_conflict(story: str, ac_w: float, amps: float, found: int) -> None:
    """A current transformer or a sign is wrong, or energy comes from nowhere: 0 W, until both agree for the drop-off delay."""
    r = rig(Row(Q.Q_CONFLICT_PCT, 10.0, 5.0, action=A.ACT_ZERO, pickup_s=0.1, dropoff_s=0.1), follow=False).run()
    r.set(Q.Q_AC_W, ac_w)
    r.set(Q.Q_PACK_A, amps)
    r.tick(9)
    assert r.state["row_active"][0] == GONE
    r.tick(20)
    assert (r.state["row_active"][0], r.power_w == 0) == (found, found == ACTIVE), story
    r.set(Q.Q_AC_W, 0.0)
    r.set(Q.Q_PACK_A, 0.0)
    r.tick(20)
    assert r.state["row_active"][0] == GONE


@pytest.mark.parametrize(("target_w", "over_pct"), [(200e3, 0.0), (210e3, 5.0), (900e3, 350.0), (-200e3, 0.0), (-1e9, 499_900.0)])
def test_setpoint_implausible(target_w: float, over_pct: float) -> None:
    """A target the units could never give, a factor of 1000 or a wrong unit at a source: told, and stopped where the site wants it."""
    r = rig(Row(Q.Q_TARGET_OVER_PCT, 50.0, 10.0, unit=PLANT, action=A.ACT_ZERO), target_w).run()
    r.tick(20)
    assert r.h.value(PLANT, Q.Q_TARGET_OVER_PCT) == pytest.approx(over_pct)
    stopped = over_pct >= 50
    assert (bool(r.state["row_active"][0]), r.power_w == 0) == (stopped, stopped)
    assert abs(r.power_w) <= 200e3
    r.offer(0, {"target_w": 50e3}, serial=2)
    r.tick(60)
    assert (r.state["row_active"][0], r.power_w) == (GONE, 50e3)


def test_insulation_low() -> None:
    """Ohms against earth: latched at the machine, and an open measurement is no good insulation."""
    row = Row(
        Q.Q_INSULATION_OHM, 100e3, 200e3, above=False, action=A.ACT_OPEN, pickup_s=0.5, reset=L.ResetRule.RESET_LOCAL,
        blind=L.BlindRule.BLIND_TRIPS,
    )  # fmt: skip
    r = rig(row)
    r.set(Q.Q_INSULATION_OHM, 1e6)
    r.run()
    r.tick(20)
    r.set(Q.Q_INSULATION_OHM, 90e3)
    r.tick(40)
    assert (r.power_w, r.state["row_latched"][0]) == (100e3, 0)
    r.tick(20)
    assert (r.power_w, r.state["row_latched"][0], r.state["mode"]) == (0, 1, L.Mode.MODE_TRIPPED)
    r.set(Q.Q_INSULATION_OHM, 1e6)
    r.remote(L.CommandCode.CMD_RESET)
    r.tick(5)
    assert r.state["row_latched"][0] == 1, "not by a protocol"


# pcc_import_high and pcc_export_high: which way each looks, and which direction of the BESS it takes away
SIDES = [
    ("import", False, D.DIR_CHARGE, 150e3, -50e3),
    ("export", True, D.DIR_DISCHARGE, -150e3, 50e3),
]


@pytest.mark.parametrize(("side", "above", "direction", "load_w", "own_w"), SIDES, ids=[row[0] for row in SIDES])
def test_pcc_rows(side: str, above: bool, direction: int, load_w: float, own_w: float) -> None:
    """The second line behind the closed loop: too much at the connection takes away what adds to it, and leaves what helps."""
    sign = 1 if above else -1
    row = Row(Q.Q_PCC_W, sign * 120e3, sign * 100e3, above=above, unit=PLANT, action=A.ACT_BLOCK, direction=direction, pickup_s=0.1)
    r = rig(row, own_w, has_meter=1)
    r.meter(0.0)
    r.run()
    r.tick(20)
    assert r.power_w == own_w
    r.load_w = load_w
    r.tick(8)
    assert r.power_w == own_w, "not within its delay"
    r.tick(5)
    assert (r.power_w, r.state["row_active"][0]) == (0, ACTIVE)
    r.offer(0, {"target_w": -own_w}, serial=2)
    r.tick(60)
    assert r.power_w == -own_w, "the direction that helps is free"
    r.load_w = 0.0
    r.offer(0, {"target_w": own_w}, serial=3)
    r.tick(60)
    assert (r.power_w, r.state["row_active"][0]) == (own_w, GONE)


def test_a_torn_plan_is_told_once_and_the_last_good_one_runs_to_its_lease() -> None:
    """PLAN_TORN: no whole copy within four tries, again and again; the lease goes on counting, and its end is a lapse (PLAN_LAPSED)."""
    r = Rig(config(slots=(Slot(),))).run()
    r.offer(0, {"target_w": 100e3}, lease_until_ns=r.now_ns + S)
    r.tick(20)
    for _ in range(50):
        r.h.refuse_plan(0, L.PlanFault.PLAN_TORN)
        r.tick()
    assert (r.power_w, r.state["slot_fault"][0], r.state["slot_state"][0]) == (100e3, L.PlanFault.PLAN_TORN, L.SlotState.SLOT_REFUSED)
    assert [(e["slot"], e["detail"]) for e in r.events(L.EventCode.EV_PLAN_REFUSED)] == [(0, L.PlanFault.PLAN_TORN)]
    r.tick(40)
    assert (r.power_w, r.state["slot_state"][0]) == (0, L.SlotState.SLOT_LAPSED)
    assert [e["slot"] for e in r.events(L.EventCode.EV_PLAN_LAPSED)] == [0]
    r.offer(0, {"target_w": 30e3}, serial=2)
    r.tick(30)
    assert (r.power_w, r.state["slot_fault"][0]) == (30e3, L.PlanFault.PLAN_OK), "the next whole one is taken"
