"""R5: after a start 0 W, and nothing latches until everything was seen; what was only not there yet holds nothing.

Scenario it was written for: the BMS answers a second after the PCS; at 3.52 V a row that lets go at 3.5 and picks up at 3.6 V has never
been beyond, and must not latch because it was blind when the loop came up.
"""

from __future__ import annotations

import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, Slot, config

M = L.Mode
ROW = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_STANDBY, reset=L.ResetRule.RESET_ANY, dropoff_s=5.0)


@pytest.mark.parametrize(
    ("volts", "latched", "mode"),
    [(3.4, 0, M.MODE_RUN), (3.5, 0, M.MODE_RUN), (3.52, 0, M.MODE_RUN), (3.5999, 0, M.MODE_RUN), (3.6, 1, M.MODE_TRIPPED)],
)
def test_R5_only_what_was_seen_beyond_latches_when_the_start_is_over(volts: float, latched: int, mode: int) -> None:
    """The scenario: a BMS that answers a second later."""
    r = Rig(config(rows=(ROW,), slots=(Slot(),)))
    r.freeze(Q.Q_CELL_V_MAX)
    r.tick(100)
    assert (r.state["mode"], r.state["row_active"][0], r.power_w) == (M.MODE_ACQUIRE, 2, 0)
    r.frozen.clear()
    r.set(Q.Q_CELL_V_MAX, volts)
    r.tick(40)
    assert (r.state["row_latched"][0], r.state["mode"]) == (latched, mode)


def test_R5_a_row_that_was_beyond_while_acquiring_and_came_back_latches_nothing() -> None:
    r = Rig(config(rows=(ROW,), slots=(Slot(),), settle_ns=10**9))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick(50)
    r.set(Q.Q_CELL_V_MAX, 3.4)
    r.tick(80)
    assert (r.state["row_latched"][0], r.state["mode"]) == (0, M.MODE_RUN)


def test_R5_a_time_out_is_a_failed_start_and_no_latched_trip() -> None:
    r = Rig(config(rows=(ROW,), slots=(Slot(),)))
    r.freeze(Q.Q_CELL_V_MAX)
    r.tick(520)
    assert (r.state["mode"], r.state["row_latched"][0], r.state["internal"]) == (M.MODE_START_FAILED, 0, 0)
    r.frozen.clear()
    r.tick(30)
    assert r.state["mode"] == M.MODE_RUN, "it follows by itself"
