"""Cell limits never depend on SoC: two plants that differ in nothing but what their BMS says about SoC."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, Slot, config

A, D = L.Action, L.Direction
ROWS = (
    Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=A.ACT_STANDBY, reset=L.ResetRule.RESET_ANY, pickup_s=0.02, dropoff_s=0.03),
    Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False, action=A.ACT_BLOCK, direction=D.DIR_DISCHARGE, other_cut=0.9),
    Row(Q.Q_CELL_TEMP_MAX_C, 45, 44, action=A.ACT_DERATE, curve=((45, 1.0), (55, 0.2), (60, 0.0))),
    Row(Q.Q_CELL_TEMP_MIN_C, 5, 8, above=False, action=A.ACT_DERATE, direction=D.DIR_CHARGE, curve=((0, 0.0), (5, 1.0))),
    Row(Q.Q_CELL_V_SPREAD, 0.4, 0.3, action=A.ACT_ZERO),
    Row(Q.Q_CELL_TEMP_SPREAD_C, 20, 15, action=A.ACT_BLOCK, direction=D.DIR_CHARGE),
)
CELLS = (Q.Q_CELL_V_MAX, Q.Q_CELL_V_MIN, Q.Q_CELL_TEMP_MAX_C, Q.Q_CELL_TEMP_MIN_C)
SOC = st.one_of(st.floats(-10, 120), st.sampled_from((0.0, 100.0, math.nan, math.inf)))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(CELLS),
        st.one_of(st.floats(2.0, 4.0), st.floats(-20, 70), st.just(math.nan)),
        SOC,
        SOC,
        st.floats(-300, 300),
    ),
    min_size=1,
    max_size=12,
)


def plant() -> Rig:
    r = Rig(config(rows=ROWS, slots=(Slot(),), soc_stuck_pct=1.0, unit_wh=1e3)).run()
    r.offer(0, {"target_w": 150e3})
    return r


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_whatever_is_said_about_soc_the_limits_of_the_cells_are_the_same(steps: list[tuple[int, float, float, float, float]]) -> None:
    """R4: SoC may be wrong, frozen or missing; the interval of the unit and every row are those of its twin at every tick."""
    one, other = plant(), plant()
    for quantity, value, soc, other_soc, amps in steps:
        for r, said in ((one, soc), (other, other_soc)):
            r.set(quantity, value)
            r.set(Q.Q_SOC_PCT, said)
            r.set(Q.Q_PACK_A, amps)
        for _ in range(5):
            a, b = one.tick(1, 300_000_000), other.tick(1, 300_000_000)
            assert (a["unit_lo_w"][0], a["unit_hi_w"][0]) == (b["unit_lo_w"][0], b["unit_hi_w"][0])
            assert list(a["row_active"][: len(ROWS)]) == list(b["row_active"][: len(ROWS)])
            assert one.power_w == other.power_w
