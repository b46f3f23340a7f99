"""Any sequence of plans, measurements, faults, requests, disks and late ticks: what must hold at every tick of the step.

The story differs each time; the invariants are those of the design. The device interval is held against an independent model (model.py).
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bessctl_core import layout as L
from tests.core.rig import HEALTHY, PERIOD_NS, PLAN, PLANT, START_NS, Q, Rig, Row, S, Slot, config, plan
from tests.properties.model import Model, Sample

# A failure is shrunk before it is told, and that takes longer than any test that passes.
pytestmark = pytest.mark.timeout(600)

A, B, D, M = L.Action, L.BindKind, L.Direction, L.Mode
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
    Slot(klass=2, priority=4, advisory=True, scopes=1),
)
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
    Q.Q_LOC_REM: (0, 0, 1),
    Q.Q_BMS_ALARM: (0, 1, 2, 6, 2**32 - 1, 2**40),
    Q.Q_BMS_STATE: (3, 3, 4, 2, 1, 99),
    Q.Q_PCC_HZ: (50, 51.2, 51.5, 60),
    Q.Q_INPUT_0: (0, 0, 1),
}
OF_PLANT = (Q.Q_PCC_HZ, Q.Q_INPUT_0)
PLACED = [(unit, quantity) for unit in range(UNITS) for quantity in VALUES if quantity not in OF_PLANT] + [(PLANT, at) for at in OF_PLANT]


def numbers(quantity: int) -> st.SearchStrategy[float]:
    return st.one_of(st.sampled_from(VALUES[quantity]), st.sampled_from((NAN, INF, -INF)), st.floats(-1e4, 1e4))


# One unit's cells hold half of the stories; healthy values come often, so that stories get somewhere.
CELLS = [(0, quantity) for quantity in (Q.Q_CELL_V_MAX, Q.Q_CELL_TEMP_MAX_C, Q.Q_SOC_PCT)]
MEASUREMENTS = st.one_of(st.sampled_from(CELLS), st.sampled_from(PLACED)).flatmap(
    lambda at: st.tuples(st.just(at), st.one_of(st.just(float(VALUES[at[1]][0])), numbers(at[1])))
)
WATTS = st.sampled_from((0.0, 1.0, 30e3, 99_999.9, 150e3, 400e3, 1e9))
SIGNED = st.builds(lambda w, sign: w * sign, WATTS, st.sampled_from((1, -1)))
GAPS = st.sampled_from((0.0, 0.0, 0.0, 0.01, 0.2, 100.0))
LENGTHS = st.sampled_from((100.0, 1.0, 0.2, 0.1, 0.0))
LEASES = st.sampled_from((100.0, 100.0, 1.0, 0.1, 0.0, 1e6))


REACTIVE: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"q_kind": st.just(1), "q_value": SIGNED, "target_w": SIGNED}),
    st.fixed_dictionaries({"q_kind": st.just(2), "q_value": st.sampled_from((0.8, -1.0, NAN)), "q_absorb": st.sampled_from((0.9, -0.5))}),
    st.fixed_dictionaries({"q_kind": st.just(3), "q_value": st.sampled_from((0.5, -1.0))}),
)


def block() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly right: targets of the ess, limits around 0."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "ess_hi_w": WATTS, "ess_lo_w": WATTS.map(lambda w: -w), "pcc_hi_w": SIGNED, "pcc_lo_w": SIGNED,
        "energize": st.sampled_from((1, 1, 1, 0)), "rate_w_per_s": st.sampled_from((1e3, 1e5, 1e9)),
    }  # fmt: skip
    wish = st.fixed_dictionaries({"target_w": SIGNED}, optional={"target_scope": st.sampled_from((0, 0, 1))})
    limits = st.fixed_dictionaries({}, optional=optional)
    return st.one_of(wish, limits, st.builds(lambda a, b: a | b, wish, limits), REACTIVE)


PLANS = st.tuples(
    st.lists(st.tuples(GAPS, LENGTHS, block()), min_size=1, max_size=3),
    st.lists(st.tuples(GAPS, LENGTHS, block()), max_size=2),
    LEASES,
    st.sampled_from((0, 0, 1, 2, 3)),
)


def timed(blocks: list[tuple[float, float, dict[str, Any]]], now_ns: int) -> list[dict[str, Any]]:
    """Blocks one after the other, from a little before now on."""
    at, found = now_ns - S // 20, []
    for gap, length, words in blocks:
        start = at + int(gap * S)
        at = start + int(length * S) + 1
        found.append(words | {"start_ns": start, "end_ns": at})
    return found


def as_plan(drawn: tuple[Any, Any, float, int], now_ns: int, serial: int = 1) -> Any:
    live, fallback, lease_s, lapse = drawn
    return plan(
        *timed(live, now_ns),
        fallback=tuple(timed(fallback, now_ns)),
        lease_until_ns=now_ns + int(lease_s * S),
        lapse=lapse,
        serial=serial,
    )


class Plant(RuleBasedStateMachine):
    """The rig, its model, and the invariants."""

    def __init__(self) -> None:
        super().__init__()
        margins = {"reentry_share": 0.2, "reentry_ns": S // 20, "reversal_min_w": 5e3}
        site = {"ramp_w_per_s": RAMP, "reactive_ramp_var_per_s": RAMP, "has_meter": 1, "load_max_w": 50e3, "pv_max_w": 50e3}
        self.r = Rig(config(UNITS, rows=ROWS, slots=SLOTS, **site, **margins))
        self.model = Model(UNITS, ROWS, reentry_share=0.2, reentry_ns=S // 20)
        self.command: tuple[int, bool] | None = None
        self.disk = 0
        self.serial = 1
        self.power = 0.0
        self.period = PERIOD_NS
        self.asked = 0
        self.powered = 0
        self.r.meter(20e3)
        self.plant_is_well()
        self.r.set(Q.Q_BMS_STATE, 3, place=1)
        for unit in range(UNITS):
            self.r.set(Q.Q_BMS_ALARM, 0, place=unit)

    def plant_is_well(self) -> None:
        for quantity in OF_PLANT:
            self.r.set(quantity, float(VALUES[quantity][0]), place=PLANT)

    @initialize(started=st.sampled_from((True, True, True, False)))
    def start(self, started: bool) -> None:
        for unit in range(UNITS):
            self.devices(unit, UP, UP)
        for _ in range(15 if started else 1):
            self.once(PERIOD_NS)

    def once(self, period_ns: int) -> None:
        """One tick of plant and model, then the invariants."""
        r = self.r
        now_ns = r.now_ns + period_ns
        for at, value in r.values.items():
            if at not in r.frozen:
                self.model.samples[at] = Sample(value, now_ns - 1_000_000)
        self.before, self.period = self.power, period_ns
        self.counted = {side: sum(r.state[f"unit_giving_{side}_w"]) for side in ("lo", "hi")}
        r.tick(1, period_ns)
        self.state, self.out = r.state, r.h.out
        self.model.tick(now_ns, self.command, self.disk, self.out["journal_seq"])
        self.command = None
        self.model.follow(self.state["mode"])
        self.power = r.power_w
        self.powered += self.power != 0
        self.hold()

    # --- what happens ---

    @rule(n=st.integers(1, 12), jitter_ns=st.sampled_from((0, 0, 0, -4_000_000, 3_000_000, 15_000_000, 300_000_000, 2 * S)))
    def time_passes(self, n: int, jitter_ns: int) -> None:
        self.once(PERIOD_NS + jitter_ns)
        for _ in range(n - 1):
            self.once(PERIOD_NS)

    @rule(measured=st.lists(MEASUREMENTS, min_size=1, max_size=3), n=st.integers(1, 6))
    def measure(self, measured: list[tuple[tuple[int, int], float]], n: int) -> None:
        for (place, quantity), value in measured:
            self.r.set(quantity, value, place=place)
            self.r.frozen.discard((place, quantity))
        for _ in range(n):
            self.once(PERIOD_NS)

    @rule(at=st.sampled_from([*PLACED, (0, Q.Q_AC_W), (PLANT, Q.Q_PCC_W)]))
    def goes_silent(self, at: tuple[int, int]) -> None:
        self.r.frozen.add(at)

    @rule()
    def gets_well(self) -> None:
        """Everything healthy and fresh again, so that the story can go on."""
        self.r.frozen.clear()
        for unit in range(UNITS):
            for quantity, value in HEALTHY.items():
                if quantity != Q.Q_AC_W:
                    self.r.set(quantity, value, place=unit)
            for quantity in (Q.Q_W_MAX_DIS, Q.Q_W_MAX_CHA, Q.Q_LOC_REM, Q.Q_BMS_ALARM, Q.Q_BMS_STATE):
                self.r.set(quantity, float(VALUES[quantity][0]), place=unit)
            self.devices(unit, UP, UP)
        self.plant_is_well()
        self.r.h.set_meter(UP)

    @rule(unit=st.integers(0, UNITS - 1), pcs=st.sampled_from((UP, 0, 1, 3, 4)), bms=st.sampled_from((UP, UP, UP, 0, 4)))
    def devices(self, unit: int, pcs: int, bms: int) -> None:
        self.model.pcs[unit], self.model.bms[unit] = pcs, bms
        self.r.h.set_devices(unit, pcs, bms, SCALES[unit])

    @rule(state=st.integers(0, 4), load=st.sampled_from((0.0, 20e3, -60e3, NAN, 1e6)))
    def meter(self, state: int, load: float) -> None:
        self.r.h.set_meter(state)
        self.r.load_w = load

    @rule(slot=st.sampled_from((0, 1, 2, 2, 3, 3, -1, len(SLOTS))), drawn=PLANS, n=st.integers(1, 8))
    def source_writes(self, slot: int, drawn: tuple[Any, Any, float, int], n: int) -> None:
        self.serial += 1
        self.r.h.offer_plan(slot, as_plan(drawn, self.r.now_ns, self.serial))
        for _ in range(n):
            self.once(PERIOD_NS)

    @rule(slot=st.integers(0, len(SLOTS) - 1), seed=st.integers(0, 2**32 - 1), whole=st.booleans())
    def source_writes_garbage(self, slot: int, seed: int, whole: bool) -> None:
        self.r.h.offer_plan(slot, garbage(seed, whole, self.r.now_ns))

    @rule(code=st.sampled_from((4, 4, 4, 5, 2, 1, 3, 0, 77)), local=st.booleans(), arg=st.integers(-1, len(SLOTS)))
    def somebody_asks(self, code: int, local: bool, arg: int) -> None:
        self.asked += 1
        self.command = (code, local)
        self.r.h.command(self.asked, code, local=local, arg=arg)

    @precondition(lambda self: self.r.h.out["journal_seq"] > self.disk)
    @rule(behind=st.integers(0, 2))
    def disk_writes(self, behind: int) -> None:
        self.disk = max(self.disk, self.r.h.out["journal_seq"] - behind)
        self.r.h.journalled(self.disk)

    @precondition(lambda self: self.state["mode"] != M.MODE_RUN or any(self.state["row_latched"]))
    @rule(local=st.booleans())
    def heals_and_is_reset(self, local: bool) -> None:
        """A whole start and reset in one go: a random walk alone seldom gets there."""
        self.gets_well()
        for _ in range(12):
            self.once(PERIOD_NS)
        for code, by_operator in ((L.CommandCode.CMD_START, True), (L.CommandCode.CMD_RESET, local)):
            self.somebody_asks(code, by_operator, 0)
            self.once(PERIOD_NS)
        for behind in (1, 0):
            self.disk_writes(behind)
            self.once(PERIOD_NS)
        for _ in range(14):
            self.once(PERIOD_NS)

    # --- what must hold ---

    def hold(self) -> None:
        self.device_interval_is_that_of_the_model()
        self.commands_keep_every_limit()
        self.reactive_power_keeps_its_circle()
        self.power_moves_by_the_ramp()
        self.latches_are_those_of_the_model()
        for side in ("lo", "hi"):
            self.somebody_binds(self.state[f"{side}_w"], self.state[f"{side}_bind"], self.state[f"{side}_bind_id"])
            for unit in range(UNITS):
                self.somebody_binds(*(self.state[f"unit_{side}_{what}"][unit] for what in ("w", "bind", "bind_id")))

    def device_interval_is_that_of_the_model(self) -> None:
        """CARD-1, OCPP-9: no plan is in the model, so no plan moves it."""
        for unit in range(UNITS):
            lo, hi = self.model.interval(unit, self.r.now_ns)
            assert (self.state["unit_lo_w"][unit], self.state["unit_hi_w"][unit]) == pytest.approx((lo, hi), abs=1e-6, rel=1e-12), unit
            assert self.state["unit_lo_w"][unit] <= 0 <= self.state["unit_hi_w"][unit]
        assert self.state["device_lo_w"] <= self.state["lo_w"] <= self.state["hi_w"] <= self.state["device_hi_w"]

    def commands_keep_every_limit(self) -> None:
        watts = self.out["cmd_w"][:UNITS]
        for unit, w in enumerate(watts):
            lo, hi = self.model.interval(unit, self.r.now_ns)
            assert lo - 1e-6 <= w <= hi + 1e-6
            assert w == self.out["cmd_raw"][unit] * SCALES[unit]
        assert not (min(watts) < 0 < max(watts)), "units against each other"
        assert min(self.state["lo_w"], 0) - 1e-6 <= sum(watts) <= max(self.state["hi_w"], 0) + 1e-6
        assert not self.state["internal"], "R1 never fires by itself"

    def reactive_power_keeps_its_circle(self) -> None:
        """P^2 + Q^2 within the rating of a unit; none from one that the model lets give nothing at all, and none where nobody asks."""
        for unit, var in enumerate(self.out["cmd_var"][:UNITS]):
            assert math.hypot(self.out["cmd_w"][unit], var) <= 200e3 + 1e-6
            stopped = any(row.stops for row in self.model.table if row.row.unit in (unit, PLANT))
            if var:
                assert self.state["mode"] == M.MODE_RUN
                assert self.out["reactive"] != 0
                assert not stopped
        assert self.state["slot_q_kind"][3] == 0, "without the scope"

    def power_moves_by_the_ramp(self) -> None:
        """R2: away from zero no faster than the ramp, and never through zero in one tick; a count of each unit is lost in rounding.

        R9: what a unit beyond our command no longer counts, the others take over at once.
        """
        step = RAMP * min(self.period, 2 * PERIOD_NS) / S + sum(SCALES)
        assert self.power * self.before >= 0
        side = "hi" if self.power > 0 else "lo"
        freed = max(0.0, abs(self.counted[side]) - abs(sum(self.state[f"unit_giving_{side}_w"])))
        assert abs(self.power) <= abs(self.before) + freed + step

    def latches_are_those_of_the_model(self) -> None:
        """R6: what is latched stays latched until a reset that was allowed is on disk."""
        assert list(self.state["row_latched"][: len(ROWS)]) == [row.latched for row in self.model.table]
        assert list(self.state["row_active"][: len(ROWS)]) == [row.active | row.blind << 1 for row in self.model.table]

    def somebody_binds(self, w: float, bind: int, ident: int) -> None:
        ids = {
            B.BIND_RATING: [*range(UNITS), PLANT], B.BIND_BMS: range(UNITS), B.BIND_DEVICE: range(UNITS), B.BIND_ROW: range(len(ROWS)),
            B.BIND_SLOT: range(len(SLOTS)), B.BIND_DEFAULT: range(len(SLOTS)), B.BIND_FALLBACK: range(len(SLOTS)),
            B.BIND_METER: [*range(len(SLOTS)), PLANT], B.BIND_MODE: [self.state["mode"]],
        }  # fmt: skip
        assert math.isfinite(w)
        assert ident in ids[L.BindKind(bind)]

    @invariant()
    def events_are_of_known_kinds(self) -> None:
        for event in self.r.seen:
            assert event["code"] in list(L.EventCode)
        self.r.seen.clear()


def garbage(seed: int, whole: bool, now_ns: int) -> Any:
    """Bytes of a plan: all of them random but the boot, or a good plan with a few fields overwritten."""
    random = np.random.default_rng(seed)
    good = plan({"target_w": 50e3}, {"start_ns": now_ns, "end_ns": now_ns + S}, lease_until_ns=now_ns + S)
    raw = random.integers(0, 256, len(good), np.uint8) if whole else good.copy()
    p = raw.view(PLAN)[0]
    if not whole:
        for at in random.integers(0, len(raw), 12):
            raw[at] = random.integers(0, 256)
    p["boot_id_hi"], p["boot_id_lo"] = 1, 2
    if random.integers(0, 2):
        p["lease_until_ns"], p["lapse"] = now_ns + S, random.integers(0, 4)
        p["live"]["count"], p["fallback"]["count"] = random.integers(0, 4, 2)
    return raw


TestPlant = Plant.TestCase
TestPlant.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# --- long stories -------------------------------------------------------------------------------------------------------------------------


def words(random: Random) -> dict[str, Any]:
    """A block that most slots accept; limits that hold power away from zero come often, or R3 would seldom be met."""
    found: dict[str, Any] = {}
    if random.random() < 0.6:
        found["target_w"] = random.uniform(-300e3, 300e3)
        found["target_scope"] = random.choice((0, 0, 0, 1))
    if random.random() < 0.4:
        found["ess_hi_w"], found["ess_lo_w"] = random.uniform(0, 200e3), -random.uniform(0, 200e3)
    if random.random() < 0.4:
        found["pcc_lo_w"] = random.uniform(-200e3, 100e3)
        found["pcc_hi_w"] = found["pcc_lo_w"] + random.uniform(0, 250e3)
    if random.random() < 0.2:
        found["rate_w_per_s"] = random.choice((1e4, 3e5))
    if random.random() < 0.1:
        found |= random.choice(({"q_kind": 1, "q_value": random.uniform(-3e5, 3e5)}, {"q_kind": 2, "q_value": 0.9, "q_absorb": -0.7}))
    return found | ({"energize": 0} if random.random() < 0.05 else {})


def some_plan(random: Random) -> tuple[Any, Any, float, int]:
    blocks = [(0.0, random.choice((0.1, 1.0, 50.0)), words(random)) for _ in range(random.randint(1, 3))]
    fallback = [(0.0, random.choice((0.5, 50.0)), words(random) | {"energize": 1})]
    return blocks, fallback, random.choice((0.05, 0.3, 3.0, 100.0)), random.choice((0, 0, 1, 2, 3))


def some_value(random: Random, quantity: int) -> float:
    wrong = (NAN, INF, -INF, random.uniform(-1e4, 1e4))
    return float(random.choice(VALUES[quantity]) if random.random() < 0.85 else random.choice(wrong))


def something(plant: Plant, random: Random) -> None:
    """One event of a story."""
    at = random.choice(CELLS if random.random() < 0.5 else PLACED)
    match random.choices(range(9), (30, 30, 12, 3, 3, 3, 5, 8, 6))[0]:
        case 0:
            plant.source_writes(random.randrange(len(SLOTS)), some_plan(random), 1)
        case 1:
            plant.measure([(at, some_value(random, at[1]))], 1)
        case 2:
            plant.time_passes(random.randint(1, 20), random.choice((0, 0, -4_000_000, 15_000_000, 300_000_000)))
        case 3:
            plant.goes_silent(random.choice([*PLACED, (0, Q.Q_AC_W), (PLANT, Q.Q_PCC_W)]))
        case 4:
            plant.devices(random.randrange(UNITS), random.choice((UP, 0, 4)), random.choice((UP, UP, 0, 4)))
        case 5:
            plant.meter(random.choice((UP, UP, 0, 4)), random.choice((0.0, 20e3, -60e3, NAN, 1e5)))
        case 6:
            plant.somebody_asks(random.choice((4, 4, 4, 5, 2, 1, 3, 0)), random.random() < 0.5, random.randrange(-1, 5))
        case 7:
            plant.disk_writes(random.choice((0, 0, 1)))
        case _:
            plant.heals_and_is_reset(random.random() < 0.7)


@pytest.mark.parametrize("seed", range(12))
def test_every_invariant_holds_through_a_long_story(seed: int) -> None:
    """CARD-1, OCPP-9: hypothesis finds short stories and shrinks them; these are long ones, in which the plant really runs."""
    random = Random(seed)
    plant = Plant()
    plant.start(True)
    for _ in range(120):
        something(plant, random)
        plant.once(PERIOD_NS)
    assert plant.powered > 15, "a story in which nothing runs proves nothing"


# --- two plants side by side --------------------------------------------------------------------------------------------------------------

UNFORCED = tuple(Slot(klass=slot.klass, priority=slot.priority, default=slot.default, advisory=slot.advisory) for slot in SLOTS)


def twin() -> Rig:
    r = Rig(config(UNITS, rows=ROWS, slots=UNFORCED, ramp_w_per_s=RAMP, has_meter=1, load_max_w=50e3, pv_max_w=50e3))
    r.meter(20e3)
    for quantity in OF_PLANT:
        r.set(quantity, float(VALUES[quantity][0]), place=PLANT)
    for unit in range(UNITS):
        r.set(Q.Q_BMS_ALARM, 0, place=unit)
        r.set(Q.Q_BMS_STATE, 3, place=unit)
    return r.run()


LIMIT = st.fixed_dictionaries(
    {}, optional={"ess_hi_w": WATTS, "ess_lo_w": WATTS.map(lambda w: -w), "pcc_hi_w": SIGNED, "pcc_lo_w": SIGNED, "energize": st.just(0)}
)
EVENTS = st.lists(st.one_of(MEASUREMENTS, st.tuples(st.just("plan"), st.integers(0, 1), PLANS)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(limit=LIMIT, slot=st.integers(2, 3), lease_s=st.sampled_from((0.1, 100.0)), lapse=st.integers(0, 2), events=EVENTS)
def test_an_extra_limit_never_widens_anything(limit: dict[str, float], slot: int, lease_s: float, lapse: int, events: list[Any]) -> None:
    """OCPP-9: the same story with and without one more source that states limits; with it the interval is a part of the one without."""
    without, with_it = twin(), twin()
    with_it.offer(slot, limit, lease_until_ns=with_it.now_ns + int(lease_s * S), lapse=lapse)
    for event in events:
        for r in (without, with_it):
            if event[0] == "plan":
                r.h.offer_plan(event[1], as_plan(event[2], r.now_ns))
            else:
                (place, quantity), value = event
                r.set(quantity, value, place=place)
        for _ in range(4):
            a, b = without.tick(), with_it.tick()
            assert a["lo_w"] - 1e-6 <= b["lo_w"] <= b["hi_w"] <= a["hi_w"] + 1e-6
            assert (a["device_lo_w"], a["device_hi_w"]) == (b["device_lo_w"], b["device_hi_w"])


@settings(max_examples=25, deadline=None)
@given(
    target=SIGNED,
    lost=st.sampled_from([at for at in PLACED if at[1] not in (Q.Q_W_MAX_DIS, Q.Q_W_MAX_CHA)]),
    how=st.sampled_from((NAN, INF, -INF, None)),
    events=st.lists(MEASUREMENTS, max_size=8),
)
def test_what_is_missing_never_raises_power(target: float, lost: tuple[int, int], how: float | None, events: list[Any]) -> None:
    """CARD-1: one measurement turns to NaN, infinity or silence; from then on power and interval are never beyond those of its twin."""
    healthy, blind = twin(), twin()
    for r in (healthy, blind):
        r.offer(2, {"target_w": target}, lease_until_ns=r.now_ns + 100 * S)
        r.tick(10)
    if how is None:
        blind.freeze(lost[1], place=lost[0])
    for event in (None, *events):
        for r in (healthy, blind):
            if event is not None:
                r.set(event[0][1], event[1], place=event[0][0])
        if how is not None:
            blind.set(lost[1], how, place=lost[0])
        for tick in range(110 if event is None else 30):
            healthy.tick()
            blind.tick()
            if how is None and event is None and tick < 101:
                continue  # the last value counts until it is too old
            # R9: what a unit beyond our command may be giving is the plant's power too; a count of each unit is lost in rounding
            counted = max(sum(healthy.state["unit_giving_hi_w"]), -sum(healthy.state["unit_giving_lo_w"]))
            assert abs(blind.power_w) <= abs(healthy.power_w) + counted + UNITS
            assert healthy.side("lo")[0] - 1e-6 <= blind.side("lo")[0]
            assert blind.side("hi")[0] <= healthy.side("hi")[0] + 1e-6


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), whole=st.booleans(), slot=st.integers(0, 3))
def test_no_bytes_of_a_plan_bring_the_step_down_or_out_of_its_interval(seed: int, whole: bool, slot: int) -> None:
    """OCPP-9: the supervisor's memory is not believed."""
    r = Rig(config(UNITS, rows=(), slots=SLOTS)).run()
    r.h.offer_plan(slot, garbage(seed, whole, r.now_ns))
    for _ in range(5):
        state = r.tick(1, 300_000_000)
        assert state["device_lo_w"] <= state["lo_w"] <= state["hi_w"] <= state["device_hi_w"]
        assert abs(r.power_w) <= 400e3
        assert not state["internal"]
    assert state["slot_fault"][slot] in list(L.PlanFault)
    assert r.now_ns > START_NS
