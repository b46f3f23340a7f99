"""The protection table a second time, from the prose of docs/safety.md ("How a row works") and ADR 0014 and 0015. Standard library only.

A row is idle, active or blind, and may be latched beside. Words, not numbers: an action is one of warn, derate, block, zero, standby, open;
a direction is charge or discharge; a reset rule is auto, any or local; what is not seen is "blind" or "beyond".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

PLANT = -1
"""The place of what belongs to no unit."""
STOPS = ("zero", "standby", "open")
EVERY_BIT = 2**32 - 1


@dataclass(slots=True, eq=False)
class Sample:
    """A measurement: its value and when it was asked for; 0 = never."""

    value: float = math.nan
    at_ns: int = 0

    def seen(self, now_ns: int, max_age_ns: int) -> bool:
        """There, finite and young enough."""
        return self.at_ns > 0 and now_ns - self.at_ns <= max_age_ns and math.isfinite(self.value)


NEVER = Sample()


@dataclass(frozen=True)
class RowRule:
    """One row of the table as it is sealed."""

    place: int
    quantity: str
    pickup: float
    dropoff: float
    above: bool
    pickup_ns: int
    dropoff_ns: int
    max_age_ns: int
    action: str
    directions: tuple[str, ...]
    reset: str
    unseen: str
    test: str = "threshold"
    mask: int = 0
    other_cut: float = 0.0
    curve: tuple[tuple[float, float], ...] = ()


def polyline(curve: tuple[tuple[float, float], ...], x: float) -> float:
    """Straight between the points, flat beyond the ends."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]


@dataclass
class Row:
    """One protection row between ticks."""

    rule: RowRule
    active: bool = False
    blind: bool = False
    latched: bool = False
    marked: bool = False
    """A reset was accepted and is not on disk yet."""
    since_ns: int | None = None
    well_ns: int | None = None
    pressed_ns: int | None = None
    """A digital input: since when it is seen active."""
    held: float = 1.0
    sample: Sample = NEVER

    def recall(self) -> None:
        """The journal says that it was latched: a curve keeps the smallest share it has."""
        self.latched = True
        self.held = min((share for _, share in self.rule.curve), default=1.0)

    def judged(self, value: float) -> float:
        """What is compared: the value, the number its bits make, or whether the code is one of the mask."""
        if self.rule.test == "threshold":
            return value
        code = int(value) if 0 <= value <= EVERY_BIT else None
        if self.rule.test == "bits":
            return float((EVERY_BIT if code is None else code) & self.rule.mask)
        return float(self.rule.mask >> (31 if code is None else min(code, 31)) & 1)

    def sees(self, now_ns: int) -> bool:
        return self.sample.seen(now_ns, self.rule.max_age_ns)

    def move(self, sample: Sample, now_ns: int, may_latch: bool) -> bool:
        """Pickup, drop-off, blindness and latch; True when it fell again while its reset waited."""
        self.sample = sample
        seen, drop_ns = self.sees(now_ns), self.rule.dropoff_ns if may_latch else 0
        if not seen and self.rule.unseen == "blind":
            self.blind, self.since_ns, self.well_ns = True, None, None
        else:
            self._watch(self.judged(sample.value), seen, drop_ns, now_ns)
        may_latch = self._pressed(seen, now_ns) or may_latch
        again = False
        if self.active and may_latch and self.rule.reset != "auto":
            again = self.latched and self.marked
            self.latched, self.marked = True, False
        if self.rule.action == "derate":
            self.held = min(self.held, self._left()) if self.latched else 1.0
        return again

    def _pressed(self, seen: bool, now_ns: int) -> bool:
        """A digital input that is seen active for its delay latches at any time (R13, ADR 0060)."""
        rule = self.rule
        if not (seen and rule.quantity.startswith("input_") and rule.unseen == "beyond" and self.sample.value >= rule.pickup):
            self.pressed_ns = None
            return False
        self.pressed_ns = now_ns if self.pressed_ns is None else self.pressed_ns
        return now_ns - self.pressed_ns >= rule.pickup_ns

    def _watch(self, value: float, seen: bool, drop_ns: int, now_ns: int) -> None:
        rule = self.rule
        beyond = not seen or (value >= rule.pickup if rule.above else value <= rule.pickup)
        back = seen and (value <= rule.dropoff if rule.above else value >= rule.dropoff)
        if not (back if self.active else beyond):
            self.since_ns = None
        else:
            self.since_ns = now_ns if self.since_ns is None else self.since_ns
            if now_ns - self.since_ns >= (drop_ns if self.active else rule.pickup_ns):
                self.active, self.since_ns = not self.active, None
        if self.blind and self.active:
            self.blind = False
        elif self.blind and not beyond:
            self.well_ns = now_ns if self.well_ns is None else self.well_ns
            self.blind = now_ns - self.well_ns < drop_ns
        else:
            self.well_ns = None

    def _left(self) -> float:
        """What the curve leaves now."""
        return 0.0 if self.blind else polyline(self.rule.curve, self.sample.value)

    @property
    def acts(self) -> bool:
        return self.active or self.latched or self.blind

    @property
    def stops(self) -> bool:
        return self.rule.action in STOPS and self.acts

    @property
    def trips(self) -> bool:
        """A latched stop."""
        return self.rule.action in STOPS and self.latched

    def stands(self, now_ns: int) -> bool:
        """It sees its value, and the value is not as it should be: no warm start on top of that."""
        return self.active and self.rule.action in ("block", *STOPS) and self.sees(now_ns)

    def share(self, direction: str) -> float:
        """What is left of the rating in a direction."""
        rule, mine = self.rule, direction in self.rule.directions
        if rule.action == "derate":
            return min(self._left(), self.held) if mine else 1.0
        if rule.action != "block" or not self.acts:
            return 1.0
        return 0.0 if mine else 1 - rule.other_cut


class Table:
    """All rows of a plant; latches go together or not at all."""

    def __init__(self, rules: tuple[RowRule, ...]) -> None:
        self.rows = [Row(rule) for rule in rules]

    def of(self, unit: int) -> list[Row]:
        """Those that speak of a unit: its own and the plant's."""
        return [row for row in self.rows if row.rule.place in (unit, PLANT)]

    def move(self, samples: dict[tuple[int, str], Sample], now_ns: int, may_latch: bool) -> bool:
        """One tick of all; True when a reset that waited is called off."""
        again = [row.move(samples.get((row.rule.place, row.rule.quantity), NEVER), now_ns, may_latch) for row in self.rows]
        if any(again):
            self.keep()
        return any(again)

    def forbids(self, local: bool) -> bool:
        """Some latch stands against a reset: it sees that it is still active, or only the operator at the machine may clear it."""
        return any(row.latched and ((row.active and not row.blind) or (row.rule.reset == "local" and not local)) for row in self.rows)

    def mark(self) -> None:
        for row in self.rows:
            row.marked = row.latched
            row.active = row.active and not (row.marked and row.blind)

    def keep(self) -> None:
        for row in self.rows:
            row.marked = False

    def clear(self) -> None:
        """The reset is on disk."""
        for row in self.rows:
            row.latched, row.held = row.latched and not row.marked, 1.0 if row.marked else row.held
            row.marked = False

    def tripped(self, units: int) -> bool:
        """A latched stop of the plant, or of every unit."""
        places = {row.rule.place for row in self.rows if row.trips}
        return PLANT in places or places >= set(range(units))
