"""The device interval and the latches a second time, in plain Python and from the prose: what the compiled step is held against.

It knows the numbers of the layout and the configuration's words (Row), and nothing else of the core. One instance follows one plant; feed
it what the plant is fed, then `tick`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from bessctl_core.layout import Action, BlindRule, CommandCode, DeviceState, Direction, Mode, Quantity, ResetRule, RowTest
from tests.core.rig import PLANT, Row, S

RUNNING, THROTTLED = 3, 4
CONNECTED, SUSPENDING = 3, 6
STOPS = (Action.ACT_ZERO, Action.ACT_STANDBY, Action.ACT_OPEN)


@dataclass
class Sample:
    """A measurement: its value and when it was asked for."""

    value: float
    at_ns: int

    def seen(self, now_ns: int, max_age_ns: int) -> bool:
        """There, finite and young enough."""
        return self.at_ns > 0 and now_ns - self.at_ns <= max_age_ns and math.isfinite(self.value)


@dataclass
class RowState:
    """One protection row between ticks."""

    row: Row
    active: bool = False
    blind: bool = False
    latched: bool = False
    marked: bool = False
    since_ns: int | None = None
    well_ns: int | None = None
    held: float = 1.0

    def judged(self, value: float) -> float:
        """What is compared: the value, the number its bits make, or whether the code is one of the mask."""
        code = int(value) if 0 <= value <= 2**32 - 1 else None
        if self.row.test == RowTest.TEST_BITS:
            return float((2**32 - 1 if code is None else code) & self.row.mask)
        if self.row.test == RowTest.TEST_STATES:
            return float(self.row.mask >> (31 if code is None else min(code, 31)) & 1)
        return value

    def move(self, sample: Sample, now_ns: int, may_latch: bool) -> bool:
        """Pickup, drop-off, blindness and latch; True when it fell again while its reset waited."""
        seen = sample.seen(now_ns, int(self.row.max_age_s * S))
        drop_s = self.row.dropoff_s if may_latch else 0
        if not seen and self.row.blind == BlindRule.BLIND_HOLDS:
            self.blind, self.since_ns, self.well_ns = True, None, None
        else:
            self._watch(self.judged(sample.value), seen, drop_s, now_ns)
        if not (self.active and may_latch and self.row.reset != ResetRule.RESET_AUTO):
            return False
        again = self.latched and self.marked
        self.latched, self.marked = True, False
        return again

    def _watch(self, value: float, seen: bool, drop_s: float, now_ns: int) -> None:
        row = self.row
        beyond = not seen or (value >= row.pickup if row.above else value <= row.pickup)
        back = seen and (value <= row.dropoff if row.above else value >= row.dropoff)
        if not (back if self.active else beyond):
            self.since_ns = None
        else:
            self.since_ns = now_ns if self.since_ns is None else self.since_ns
            if now_ns - self.since_ns >= int((drop_s if self.active else row.pickup_s) * S):
                self.active, self.since_ns = not self.active, None
        if self.blind and self.active:
            self.blind = False
        elif self.blind and not beyond:
            self.well_ns = now_ns if self.well_ns is None else self.well_ns
            self.blind = now_ns - self.well_ns < int(drop_s * S)
        else:
            self.well_ns = None

    def left(self, value: float) -> float:
        """What the curve leaves now."""
        return 0.0 if self.blind else polyline(self.row.curve, value)

    def hold(self, value: float) -> None:
        """A latched curve keeps its smallest share."""
        if self.row.action == Action.ACT_DERATE:
            self.held = min(self.held, self.left(value)) if self.latched else 1.0

    @property
    def acts(self) -> bool:
        return self.active or self.latched or self.blind

    def share(self, value: float, direction: int) -> float:
        """What is left of the rating in a direction."""
        row = self.row
        if row.action == Action.ACT_DERATE:
            return min(self.left(value), self.held) if row.direction & direction else 1.0
        if row.action != Action.ACT_BLOCK or not self.acts:
            return 1.0
        return 0.0 if row.direction & direction else 1 - row.other_cut

    @property
    def stops(self) -> bool:
        return self.row.action in STOPS and self.acts


def polyline(curve: tuple[tuple[float, float], ...], x: float) -> float:
    """Straight between the points, flat beyond the ends."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]


@dataclass
class Model:
    """Units of 200 kW with a BMS each, 600 V at the least and no losses, data no older than a second: the plant of the rig."""

    units: int
    rows: tuple[Row, ...]
    samples: dict[tuple[int, int], Sample] = field(default_factory=dict)
    pcs: dict[int, int] = field(default_factory=dict)
    bms: dict[int, int] = field(default_factory=dict)
    acquired: bool = False
    mode: int = Mode.MODE_ACQUIRE
    reset_seq: int | None = None
    open: set[int] = field(default_factory=set)
    reentry_share: float = 0.0
    reentry_ns: int = 0
    closed: dict[tuple[int, int], int] = field(default_factory=dict)
    gated_ns: int = 0

    def __post_init__(self) -> None:
        self.table = [RowState(row) for row in self.rows]

    def sample(self, place: int, quantity: int) -> Sample:
        return self.samples.get((place, quantity), Sample(math.nan, 0))

    # --- requests ---

    def reset(self, local: bool, journal_seq: int) -> None:
        """Asked for in this tick; the record of this tick is `journal_seq`."""
        latched = [state for state in self.table if state.latched]
        if any((state.active and not state.blind) or (state.row.reset == ResetRule.RESET_LOCAL and not local) for state in latched):
            return
        for state in latched:
            state.marked = True
            state.active = state.active and not state.blind
        self.reset_seq = journal_seq

    def journalled(self, seq: int) -> None:
        if self.reset_seq is not None and seq >= self.reset_seq:
            for state in self.table:
                state.latched = state.latched and not state.marked
                state.marked = False
            self.reset_seq = None

    # --- one tick ---

    def tick(self, now_ns: int, command: tuple[int, bool] | None, journalled: int, next_seq: int) -> None:
        self._batteries(now_ns)
        self.journalled(journalled)
        if command is not None and command[0] == CommandCode.CMD_RESET:
            self.reset(command[1], next_seq)
        again = [state.move(self.sample(state.row.unit, state.row.quantity), now_ns, self.acquired) for state in self.table]
        for state in self.table:
            state.hold(self.sample(state.row.unit, state.row.quantity).value)
        if any(again):
            for state in self.table:
                state.marked = False
            self.reset_seq = None

    def _batteries(self, now_ns: int) -> None:
        """The pack voltage of a battery that is not connected is none, as of the tick after the BMS said so."""
        for unit in range(self.units):
            if unit in self.open:
                self.samples[unit, Quantity.Q_PACK_V] = Sample(math.nan, self.sample(unit, Quantity.Q_PACK_V).at_ns)
        states = {unit: self.sample(unit, Quantity.Q_BMS_STATE) for unit in range(self.units)}
        self.open = {unit for unit, state in states.items() if state.seen(now_ns, S) and not CONNECTED <= state.value <= SUSPENDING}

    def follow(self, mode: int) -> None:
        """The mode the step came to: rows may latch from the first run on, and not while it acquires anew."""
        self.mode = mode
        if mode == Mode.MODE_RUN:
            self.acquired = True
        elif mode in (Mode.MODE_ACQUIRE, Mode.MODE_START_FAILED):
            self.acquired = False
        if mode not in (Mode.MODE_RUN, Mode.MODE_STOPPING):
            self.closed.clear()

    # --- what a unit may give ---

    def interval(self, unit: int, now_ns: int) -> tuple[float, float]:
        if self.mode not in (Mode.MODE_RUN, Mode.MODE_STOPPING):
            return 0.0, 0.0
        self._gates(now_ns)
        if not self._follows(unit, now_ns):
            return 0.0, 0.0
        rows = [state for state in self.table if state.row.unit in (unit, PLANT)]
        if any(state.stops for state in rows):
            return 0.0, 0.0
        charge, discharge = (self._side(unit, now_ns, rows, way)[0] for way in (Direction.DIR_CHARGE, Direction.DIR_DISCHARGE))
        charge, discharge = (
            0.0 if (unit, way) in self.closed else w for way, w in ((Direction.DIR_CHARGE, charge), (Direction.DIR_DISCHARGE, discharge))
        )
        return -charge, discharge

    def _gates(self, now_ns: int) -> None:
        """A direction that BMS or a row closed opens again with a share of the rating and after a time; a stop has its own way back."""
        if self.gated_ns == now_ns or (self.reentry_share <= 0 and self.reentry_ns <= 0):
            return
        self.gated_ns = now_ns
        for unit in range(self.units):
            rows = [state for state in self.table if state.row.unit in (unit, PLANT)]
            if any(state.stops for state in rows):
                continue
            for way in (Direction.DIR_CHARGE, Direction.DIR_DISCHARGE):
                w, rated_w = self._side(unit, now_ns, rows, way)
                if rated_w > 0 >= w:
                    self.closed.setdefault((unit, way), now_ns)
                elif now_ns - self.closed.get((unit, way), now_ns) >= self.reentry_ns and w >= self.reentry_share * 200e3:
                    self.closed.pop((unit, way), None)

    def _side(self, unit: int, now_ns: int, rows: list[RowState], direction: int) -> tuple[float, float]:
        """What is allowed one way, and what the PCS's rating alone would allow."""
        charge = direction == Direction.DIR_CHARGE
        points = (Quantity.Q_W_MAX_CHA, Quantity.Q_BMS_CHA_MAX_A) if charge else (Quantity.Q_W_MAX_DIS, Quantity.Q_BMS_DIS_MAX_A)
        stated, amps = self.sample(unit, points[0]), self.sample(unit, points[1])
        rated = 200e3
        if stated.at_ns > 0:
            rated = min(rated, max(0.0, stated.value) if math.isfinite(stated.value) else 0.0)
        least = min(rated, 200e3 * min([1.0] + [r.share(self.sample(r.row.unit, r.row.quantity).value, direction) for r in rows]))
        return min(least, max(0.0, amps.value) * 600 if amps.seen(now_ns, S) else 0.0), rated

    def _follows(self, unit: int, now_ns: int) -> bool:
        state, switch = self.sample(unit, Quantity.Q_PCS_STATE), self.sample(unit, Quantity.Q_LOC_REM)
        up = self.pcs.get(unit) == DeviceState.DEV_UP and self.bms.get(unit) == DeviceState.DEV_UP
        bank = self.sample(unit, Quantity.Q_BMS_STATE)
        loadable = bank.at_ns == 0 or (bank.seen(now_ns, S) and CONNECTED <= bank.value <= SUSPENDING)
        return (
            up
            and loadable
            and self.sample(unit, Quantity.Q_AC_W).seen(now_ns, S)
            and state.seen(now_ns, S)
            and state.value in (RUNNING, THROTTLED)
            and (switch.at_ns == 0 or switch.value == 0)
        )
