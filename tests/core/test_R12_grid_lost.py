"""R12: the grid's limits live in the certified PCS. A PCS that is off the grid gives nothing, unlearns nothing, and comes back by
the ramp."""

from __future__ import annotations

import itertools

import pytest

from bessctl_core import layout as L
from tests.core.pcc_cases import site
from tests.core.rig import Q, Rig, Row, S, Slot, config
from tests.core.site_model import Pcs

OFF, RUNNING, THROTTLED, FAULT = 0, 3, 4, 6


def rig(units: int = 2) -> Rig:
    r = Rig(config(units, slots=(Slot(),), ramp_w_per_s=1e6))
    for unit in range(units):
        r.set(Q.Q_PCS_CONN, 1.0, place=unit)
    r.run()
    r.offer(0, {"target_w": 150e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(40)
    return r


@pytest.mark.parametrize(("quantity", "value"), [(Q.Q_PCS_STATE, OFF), (Q.Q_PCS_STATE, FAULT), (Q.Q_PCS_CONN, 0.0)])
def test_R12_a_pcs_off_the_grid_is_commanded_0_and_the_others_take_its_share(quantity: int, value: float) -> None:
    """A dip that is too deep trips one of two PCS by its own curve. No row of ours acts, nothing latches."""
    r = rig()
    assert list(r.h.out["cmd_w"][:2]) == [75e3, 75e3]
    r.follow = False
    r.set(quantity, value, place=1)
    r.set(Q.Q_AC_W, 0.0, place=1)
    r.tick(110)
    assert r.h.out["cmd_w"][1] == 0
    assert r.h.out["cmd_w"][0] == pytest.approx(150e3, abs=2)
    assert r.state["mode"] == L.Mode.MODE_RUN


def test_R12_the_whole_grid_is_lost_and_comes_back_by_the_ramp() -> None:
    r = rig()
    for unit in range(2):
        r.set(Q.Q_PCS_CONN, 0.0, place=unit)
        r.set(Q.Q_AC_W, 0.0, place=unit)
    r.tick(300)
    assert r.power_w == 0
    for unit in range(2):
        r.set(Q.Q_PCS_CONN, 1.0, place=unit)
    powers = []
    for _ in range(20):
        r.tick()
        powers.append(r.power_w)
    assert powers[0] <= 20e3
    assert all(b - a <= 10e3 + 2 for a, b in itertools.pairwise(powers))
    assert powers[-1] == pytest.approx(150e3, abs=2)


def test_R12_what_the_loop_learned_of_the_site_is_not_unlearned_by_a_dead_grid() -> None:
    """Import limit 0 with 100 kW of load: the grid is gone for three seconds, the meter reads 0; then the limit holds again."""
    s = site({"pcc_lo_w": 0.0}, meter_s=0.1, lag_s=0.1, dead_s=0.0, load=lambda t: 0.0 if 4.0 <= t < 7.0 else 100e3, pcs=[Pcs(0.1, 0.0)])
    s.rig.set(Q.Q_PCS_CONN, 1.0)
    s.run(4.0)
    s.rig.set(Q.Q_PCS_CONN, 0.0)
    s.pcs[0].gain = 0.0
    s.run(3.0)
    assert s.rig.power_w == 0
    s.rig.set(Q.Q_PCS_CONN, 1.0)
    s.pcs[0].gain = 1.0
    at_s = s.now_s
    s.run(4.0)
    assert max(e for _, _, e, _ in s.since(at_s)) <= 105e3
    assert all(abs(p) <= 5e3 for _, p, _, _ in s.since(at_s + 2.0))


DIP = ((0.0, 230.0), (0.02, 115.0), (0.32, 196.0), (1.0, 230.0))
"""What IEEE 1547 category II has it ride through: half the voltage for 0.3 s, then 0.85 pu."""
ROWS = (
    Row(Q.Q_AC_V, 196.0, 202.0, above=False, action=L.Action.ACT_WARN, tier=L.Tier.TIER_WARN),
    Row(Q.Q_ASTRAY_PCT, 10.0, 5.0, action=L.Action.ACT_STANDBY, reset=L.ResetRule.RESET_ANY, pickup_s=0.1),
)


@pytest.mark.parametrize("target_w", [150e3, -150e3])
@pytest.mark.parametrize("state", [RUNNING, THROTTLED])
def test_R12_a_dip_that_the_pcs_rides_through_changes_no_command(target_w: float, state: int) -> None:
    """The scenario: a voltage dip that the PCS rides through.

    It stays connected and gives what its current allows, for a moment nothing at all. The voltage row warns; that it follows less is no
    reason to trip; the set point stands as it was, so the PCS recovers at its own certified pace and not at our ramp.
    """
    r = Rig(config(slots=(Slot(),), rows=ROWS, ramp_w_per_s=1e6))
    r.set(Q.Q_PCS_CONN, 1.0)
    r.set(Q.Q_AC_V, 230.0)
    r.run()
    r.offer(0, {"target_w": target_w}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(40)
    r.follow = False
    for began_s, volts in DIP:
        r.set(Q.Q_AC_V, volts)
        r.set(Q.Q_AC_W, 0.0 if volts < 150 else target_w * volts / 230.0)
        r.set(Q.Q_PCS_STATE, RUNNING if volts == 230.0 else state)
        for _ in range(30):
            r.tick()
            assert r.power_w == pytest.approx(target_w, abs=2), began_s
            assert r.state["mode"] == L.Mode.MODE_RUN
    assert [event["row"] for event in r.events(L.EventCode.EV_ROW_PICKUP)] == [0], "the voltage was told"
    assert not any(r.state["row_latched"])
