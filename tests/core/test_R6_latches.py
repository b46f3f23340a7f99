"""R6: latches outlive restart and power cut, a reset counts when the journal holds it.

Scenario it was written for: a plant tripped at night loses power; in the morning it must still be tripped, and whoever resets it must be
able to rely on the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, S, Slot, config

A, M = L.Action, L.Mode
ANY, LOCAL = L.ResetRule.RESET_ANY, L.ResetRule.RESET_LOCAL
RESET = L.CommandCode.CMD_RESET
TRIP = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=A.ACT_STANDBY, reset=ANY)
CURVE = ((40.0, 1.0), (50.0, 0.4), (60.0, 0.2))
DERATE = Row(Q.Q_CELL_TEMP_MAX_C, 40, 38, action=A.ACT_DERATE, tier=L.Tier.TIER_DERATE, curve=CURVE, reset=ANY)
WARN = Row(Q.Q_CELL_TEMP_MAX_C, 40, 38, action=A.ACT_WARN, tier=L.Tier.TIER_WARN, reset=LOCAL)


def rig(*rows: Row) -> Rig:
    r = Rig(config(rows=rows, slots=(Slot(),))).run()
    r.offer(0, {"target_w": 200e3})
    r.tick(5)
    return r


def reset(r: Rig) -> None:
    r.local(RESET)
    r.tick()
    r.disk()
    r.tick()


def test_R6_a_latch_outlives_the_loop() -> None:
    """The scenario: tripped at night, power cut, morning."""
    r = rig(TRIP)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    morning: dict[str, Any] = {"boot_id": (1, 3), "now_ns": 30 * S, "realtime_s": 1_700_000_000 + 8 * 3600}
    after = Rig(config(rows=(TRIP,), slots=(Slot(),)), journal=r.h.journal(), **morning)
    after.tick(60)
    assert (after.state["mode"], after.state["row_latched"][0], after.power_w) == (M.MODE_TRIPPED, 1, 0)
    reset(after)
    after.tick(40)
    assert after.state["mode"] == M.MODE_RUN


def test_R6_a_reset_that_is_refused_takes_no_latch_out_of_the_journal() -> None:
    """A row latched and the machine tripped by itself: the network asks for a reset and is refused, and the power goes."""
    r = rig(TRIP)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    record = np.frombuffer(r.h.journal(), L.dtype("JournalRecord")).copy()
    record["internal"] = L.Internal.TRIP_STARTS
    after = Rig(config(rows=(TRIP,), slots=(Slot(),)), journal=record.tobytes())
    after.tick()
    after.remote(RESET)
    after.tick()
    assert L.EventCode.EV_COMMAND_REFUSED in after.codes()
    assert after.record["latched"][0] == 1
    assert after.record["internal"] == L.Internal.TRIP_STARTS


@pytest.mark.parametrize(("worst", "kept"), [(45.0, 0.7), (50.0, 0.4), (99.0, 0.2)])
def test_R6_a_latched_derating_keeps_its_smallest_share_until_it_is_reset(worst: float, kept: float) -> None:
    """Each tier may latch; a derating that latched did nothing beyond its curve before."""
    r = rig(DERATE)
    for celsius in (41.0, worst, 30.0):
        r.set(Q.Q_CELL_TEMP_MAX_C, celsius)
        r.tick(3)
    assert r.state["device_hi_w"] == pytest.approx(kept * 200e3)
    reset(r)
    r.tick()
    assert r.state["device_hi_w"] == 200e3


def test_R6_after_a_restart_a_latched_derating_keeps_the_least_of_its_curve() -> None:
    """The journal holds that it latched, not how far."""
    r = rig(DERATE)
    r.set(Q.Q_CELL_TEMP_MAX_C, 45.0)
    r.tick(3)
    after = Rig(config(rows=(DERATE,), slots=(Slot(),)), journal=r.h.journal()).run()
    assert after.state["device_hi_w"] == pytest.approx(0.2 * 200e3)
    reset(after)
    after.tick()
    assert after.state["device_hi_w"] == 200e3


def test_R6_a_latched_warning_stays_in_sight_and_takes_nothing() -> None:
    r = rig(WARN)
    r.set(Q.Q_CELL_TEMP_MAX_C, 41.0)
    r.tick()
    r.set(Q.Q_CELL_TEMP_MAX_C, 30.0)
    r.tick()
    assert (r.state["row_latched"][0], r.power_w, r.state["mode"]) == (1, 200e3, M.MODE_RUN)


def test_R6_an_empty_battery_may_be_charged_gently_while_its_row_is_latched() -> None:
    """Under-voltage stopped both directions: nothing could ever bring the pack back."""
    low = Row(Q.Q_CELL_V_MIN, 2.8, 2.95, above=False, action=A.ACT_BLOCK, direction=L.Direction.DIR_DISCHARGE, other_cut=0.9, reset=ANY)
    r = rig(low)
    r.set(Q.Q_CELL_V_MIN, 2.7)
    r.tick()
    assert (r.power_w, r.state["mode"], r.state["row_latched"][0]) == (0, M.MODE_RUN, 1)
    r.offer(0, {"target_w": -200e3}, serial=2)
    r.tick(60)
    assert r.power_w == pytest.approx(-20e3, abs=1)
    r.set(Q.Q_CELL_V_MIN, 3.0)
    r.tick(5)
    assert r.power_w == pytest.approx(-20e3, abs=1), "until somebody looked"
    reset(r)
    r.tick(60)
    assert r.power_w == pytest.approx(-200e3, abs=1)
