"""The site of the plant's stories: its rows and sources, and the values that they turn on."""

from __future__ import annotations

import math
from typing import Any

from bessctl_core import layout as L
from tests.core.rig import PLANT, Q, Row, Slot

A, B, D = L.Action, L.BindKind, L.Direction
NAN, INF = math.nan, math.inf
UNITS = 2
RAMP = 1e6  # W/s: 10 kW a tick
SCALES = (1.0, 7.0)
UP = L.DeviceState.DEV_UP

ROWS = (
    Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=A.ACT_STANDBY, reset=L.ResetRule.RESET_ANY, pickup_s=0.02, dropoff_s=0.03),
    Row(Q.Q_CELL_V_MAX, 3.55, 3.5, action=A.ACT_BLOCK, direction=D.DIR_CHARGE),
    Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False, action=A.ACT_ZERO, reset=L.ResetRule.RESET_LOCAL, unit=1),
    Row(Q.Q_CELL_TEMP_MAX_C, 45, 44, action=A.ACT_DERATE, curve=((45, 1.0), (55, 0.2), (60, 0.0))),
    Row(Q.Q_CELL_TEMP_MIN_C, 5, 8, above=False, action=A.ACT_DERATE, direction=D.DIR_CHARGE, unit=1, curve=((0, 0.0), (5, 1.0))),
    Row(Q.Q_SOC_PCT, 5, 8, above=False, action=A.ACT_BLOCK, direction=D.DIR_DISCHARGE, max_age_s=0.3),
    Row(Q.Q_PCC_HZ, 51.5, 51.0, unit=PLANT, action=A.ACT_OPEN, reset=L.ResetRule.RESET_ANY, dropoff_s=0.05),
    Row(Q.Q_PACK_V, 860, 850, action=A.ACT_WARN, tier=L.Tier.TIER_WARN),
    Row(
        Q.Q_BMS_ALARM,
        1,
        0,
        test=L.RowTest.TEST_BITS,
        mask=6,
        action=A.ACT_BLOCK,
        direction=D.DIR_DISCHARGE,
        other_cut=0.9,
        reset=L.ResetRule.RESET_ANY,
        dropoff_s=0.02,
    ),
    Row(Q.Q_BMS_STATE, 1, 0, test=L.RowTest.TEST_STATES, mask=1 << 31, action=A.ACT_ZERO, pickup_s=0.02, unit=1),
    Row(Q.Q_INPUT_0, 1, 0, unit=PLANT, blind=L.BlindRule.BLIND_TRIPS, action=A.ACT_OPEN, reset=L.ResetRule.RESET_LOCAL, max_age_s=0.3),
    Row(
        Q.Q_CELL_TEMP_MAX_C, 40, 38, action=A.ACT_DERATE, direction=D.DIR_CHARGE, reset=L.ResetRule.RESET_ANY, curve=((40, 1.0), (60, 0.5))
    ),
)
SLOTS = (
    Slot(klass=0, priority=1, default={"ess_hi_w": 150e3}, required=True, may_force=D.DIR_BOTH),
    Slot(klass=1, priority=3, may_force=D.DIR_CHARGE, scopes=7),
    Slot(klass=2, priority=2, scopes=7),
    Slot(klass=2, priority=4, advisory=True, scopes=1, operator=True),
)
_SLOTS, _UNITS = range(len(SLOTS)), [*range(UNITS), PLANT]
IDS: dict[int, Any] = {
    B.BIND_RATING: _UNITS, B.BIND_BMS: range(UNITS), B.BIND_DEVICE: range(UNITS), B.BIND_ROW: range(len(ROWS)), B.BIND_SLOT: _SLOTS,
    B.BIND_DEFAULT: _SLOTS, B.BIND_FALLBACK: _SLOTS, B.BIND_METER: [*_SLOTS, PLANT], B.BIND_CEASE: _SLOTS,
}  # fmt: skip
"""Who may bind, and under which numbers."""
# What the tables of rows and ratings turn on, and what is no number.
VALUES: dict[int, tuple[float, ...]] = {
    Q.Q_CELL_V_MAX: (3.3, 3.5, 3.54, 3.55, 3.6, 3.7),
    Q.Q_CELL_V_MIN: (3.2, 2.9, 2.85, 2.8, 2.0),
    Q.Q_CELL_TEMP_MAX_C: (25, 45, 50, 57, 61),
    Q.Q_CELL_TEMP_MIN_C: (20, 5, 3, 0, -9),
    Q.Q_SOC_PCT: (50, 8, 6, 5, 0),
    Q.Q_PACK_V: (768, 855, 900),
    Q.Q_BMS_CHA_MAX_A: (400, 100, 0, -3, 1e9),
    Q.Q_BMS_DIS_MAX_A: (400, 50, 0, -3, 1e9),
    Q.Q_PCS_STATE: (3, 4, 2, 6, 7),
    Q.Q_W_MAX_DIS: (200e3, 50e3, -1),
    Q.Q_W_MAX_CHA: (200e3, 50e3, 0),
    Q.Q_LOC_REM: (0, 0, 0, 0, 1),
    Q.Q_PCS_CONN: (1, 1, 1, 1, 0),
    Q.Q_BMS_ALARM: (0, 1, 2, 6, 2**32 - 1, 2**40),
    Q.Q_BMS_STATE: (3, 3, 4, 2, 1, 99),
    Q.Q_PCC_HZ: (50, 51.2, 51.5, 60),
    Q.Q_INPUT_0: (0, 0, 1),
}
OF_PLANT = (Q.Q_PCC_HZ, Q.Q_INPUT_0)
PLACED = [(unit, quantity) for unit in range(UNITS) for quantity in VALUES if quantity not in OF_PLANT] + [(PLANT, at) for at in OF_PLANT]
# One unit's cells hold half of the stories.
CELLS = [(0, quantity) for quantity in (Q.Q_CELL_V_MAX, Q.Q_CELL_TEMP_MAX_C, Q.Q_SOC_PCT)]
