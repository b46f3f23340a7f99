"""What must hold of a plant at each tick, whatever its story: what the design promises, and what the model (model.py) came to by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, Rig, S
from tests.properties import model, telling
from tests.properties.model_modes import Record
from tests.properties.plant_tables import IDS, RAMP, ROWS, SCALES, UNITS, B

SLACK_W = 1e-6
RECORD = L.dtype("JournalRecord")


def near(one: float, other: float) -> bool:
    return abs(one - other) <= SLACK_W + 1e-12 * abs(other)


class Promises:
    """Asked of a plant after each tick."""

    r: Rig
    model: model.Plant
    state: Any
    out: Any
    records: dict[int, tuple[bytes, Record]]
    newest: Record | None
    exact: int
    """In how many ticks the model knew the whole envelope."""
    power: float
    before: float
    warm_w: float
    period: int
    counted: dict[str, float]

    def hold(self) -> None:
        self.mode_is_that_of_the_model()
        self.device_interval_is_that_of_the_model()
        self.envelope_is_that_of_the_model()
        self.sources_are_those_of_the_model()
        self.latches_are_those_of_the_model()
        self.commands_keep_every_limit()
        self.reactive_power_keeps_its_circle()
        self.power_moves_by_the_ramp()
        for side in ("lo", "hi"):
            self.somebody_binds(self.state[f"{side}_w"], self.state[f"{side}_bind"], self.state[f"{side}_bind_id"])
            for unit in range(UNITS):
                self.somebody_binds(*(self.state[f"unit_{side}_{what}"][unit] for what in ("w", "bind", "bind_id")))

    def mode_is_that_of_the_model(self) -> None:
        """R5, R6, R15: the model knows why, and was not told."""
        machine = self.model.machine
        assert telling.MODES[int(self.state["mode"])] == machine.mode
        assert telling.trips_of(int(self.state["internal"])) == machine.internal, "R1 never fires by itself, nor does the meter's sign"
        assert bool(self.out["silent"]) == machine.silent
        if not self.out["journal_due"]:
            assert self.newest == machine.record(self.r.now_ns), "what must survive a power cut is not on its way to the disk"

    def record_says_so(self) -> None:
        """R6: the record that is due holds what the model would have it hold."""
        record, known = np.frombuffer(self.records[self.out["journal_seq"]][0], RECORD)[0], self.newest
        assert known is not None
        assert tuple(map(bool, record["latched"][: len(ROWS)])) == known.latched
        assert telling.MODES[int(record["operator_mode"])] == known.operator
        assert telling.trips_of(int(record["internal"])) == known.internal
        assert tuple(age for age in record["start_age_s"].tolist() if age >= 0) == known.starts_s

    def device_interval_is_that_of_the_model(self) -> None:
        """CARD-1, OCPP-9: no target and no limit of a source moves it; only a plan that disconnects the plant closes it."""
        for unit, (lo, hi) in enumerate(self.model.intervals):
            assert near(self.state["unit_lo_w"][unit], lo), unit
            assert near(self.state["unit_hi_w"][unit], hi), unit
            assert self.state["unit_lo_w"][unit] <= 0 <= self.state["unit_hi_w"][unit]
            assert near(self.state["unit_giving_lo_w"][unit], self.model.giving[unit][0]), unit
            assert near(self.state["unit_giving_hi_w"][unit], self.model.giving[unit][1]), unit
        assert self.state["device_lo_w"] <= self.state["lo_w"] <= self.state["hi_w"] <= self.state["device_hi_w"]

    def envelope_is_that_of_the_model(self) -> None:
        """R3, R7: class by class. A limit at the connection follows the meter and may narrow it further; one that may force moves it."""
        device, (lo, hi), known = self.model.envelope()
        found = float(self.state["lo_w"]), float(self.state["hi_w"])
        assert near(self.state["device_lo_w"], device[0])
        assert near(self.state["device_hi_w"], device[1])
        self.exact += known == "exact"
        if known == "exact":
            assert near(found[0], lo), "exact"
            assert near(found[1], hi), "exact"
        assert found[0] >= lo - SLACK_W
        assert found[1] <= hi + SLACK_W
        assert known == "forced" or found[0] <= 0 <= found[1], "nobody may force power"

    def sources_are_those_of_the_model(self) -> None:
        """Whose target it is, who lapsed and who was refused."""
        for i, slot in enumerate(self.model.sources.slots):
            target = self.state["slot_target_w"][i]
            assert (None if math.isnan(target) else target) == slot.ask.target_w, i
            assert bool(self.state["slot_fault"][i]) == slot.refused, i
            expected = "lapsed" if slot.lapsed else "refused" if slot.refused else "empty" if slot.plan is None else "live"
            assert telling.SLOT_STATES[int(self.state["slot_state"][i])] == expected, i
        assert int(self.state["target_slot"]) == (-1 if self.model.sources.ruling is None else self.model.sources.ruling)

    def commands_keep_every_limit(self) -> None:
        watts = self.out["cmd_w"][:UNITS]
        for unit, w in enumerate(watts):
            lo, hi = self.model.intervals[unit]
            assert lo - SLACK_W <= w <= hi + SLACK_W
            assert w == self.out["cmd_raw"][unit] * SCALES[unit]
        assert not (min(watts) < 0 < max(watts)), "units against each other"
        assert min(self.state["lo_w"], 0) - SLACK_W <= sum(watts) <= max(self.state["hi_w"], 0) + SLACK_W
        assert self.model.machine.mode in model.POWERED or not any(watts)

    def reactive_power_keeps_its_circle(self) -> None:
        """P^2 + Q^2 within the rating of a unit; none from one that the model lets give nothing at all, and none where nobody asks."""
        for unit, var in enumerate(self.out["cmd_var"][:UNITS]):
            assert math.hypot(self.out["cmd_w"][unit], var) <= 200e3 + 1e-6
            if var:
                assert self.model.machine.mode == "run"
                assert self.out["reactive"] != 0
                assert not any(row.stops for row in self.model.of_unit[unit])
        assert self.state["slot_q_kind"][3] == 0, "without the scope"

    def power_moves_by_the_ramp(self) -> None:
        """R2: away from zero no faster than the ramp, and never through zero in one tick; a count of each unit is lost in rounding.

        R9: what a unit beyond our command no longer counts, the others take over at once. R5: a warm start begins with what flows.
        """
        step = RAMP * min(self.period, 2 * PERIOD_NS) / S + sum(SCALES)
        assert self.power * self.before >= 0
        side = "hi" if self.power > 0 else "lo"
        freed = max(0.0, abs(self.counted[side]) - abs(sum(self.state[f"unit_giving_{side}_w"][:UNITS])))
        assert abs(self.power) <= max(abs(self.before) + freed, self.warm_w) + step

    def latches_are_those_of_the_model(self) -> None:
        """R6: what is latched stays latched until a reset that was allowed is on disk."""
        rows = self.model.table.rows
        assert self.state["row_latched"][: len(ROWS)].tolist() == [row.latched for row in rows]
        assert self.state["row_active"][: len(ROWS)].tolist() == [row.active | row.blind << 1 for row in rows]

    def somebody_binds(self, w: float, bind: int, ident: int) -> None:
        assert math.isfinite(w)
        assert ident in (IDS[int(bind)] if bind != B.BIND_MODE else [self.state["mode"]])
