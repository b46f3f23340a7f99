"""A plant of two units in a story: plans, measurements, faults, requests, disks, restarts, corrected clocks; what must hold at each tick.

The model (model.py) is fed what the plant is fed and comes to its own verdict; nothing of the step's is told to it. A story may be drawn
and shrunk by hypothesis (the rules), or told at length by a seed (`told`).
"""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bessctl_core import layout as L
from tests.core.rig import FOREVER, HEALTHY, PERIOD_NS, PLAN, PLANT, START_NS, Q, Rig, Row, S, Slot, config, plan
from tests.properties import model, telling
from tests.properties.model_modes import Record, Start

A, B, D, M = L.Action, L.BindKind, L.Direction, L.Mode
NAN, INF = math.nan, math.inf
UNITS = 2
RAMP = 1e6  # W/s: 10 kW a tick
SCALES = (1.0, 7.0)
UP = L.DeviceState.DEV_UP
BEGIN_S = 1_700_000_000
SLACK_W = 1e-6
STATE, RECORD = L.dtype("PlantState"), L.dtype("JournalRecord")
EVENTS = {int(code) for code in L.EventCode}
HOW = ("warm", "warm", "warm", "stopped", "later", "killed", "reboot", "broken", "other configuration", "no priority")
KINDS = (
    "lapse", "restart", "restart warm", "restart killed", "run again warm", "stale", "trip", "reset", "clock jump", "unit lost",
    "reconnect",
)  # fmt: skip
"""What a long story has to tell, each at least once."""

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


def near(one: float, other: float) -> bool:
    return abs(one - other) <= SLACK_W + 1e-12 * abs(other)


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
        "energize": st.sampled_from((1, 1, 1, 0)), "connect": st.sampled_from((1, 1, 1, 0)),
        "rate_w_per_s": st.sampled_from((1e3, 1e5, 1e9)),
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
        margins = {"reentry_share": 0.2, "reentry_ns": S // 20, "reversal_min_w": 5e3, "rt_required": 1}
        site = {"ramp_w_per_s": RAMP, "reactive_ramp_var_per_s": RAMP, "has_meter": 1, "load_max_w": 50e3, "pv_max_w": 50e3}
        self.array = config(UNITS, rows=ROWS, slots=SLOTS, **site, **margins)
        self.array[0]["unit_bms_device"][1] = -1  # its PCS answers for the battery
        self.site = telling.site_of(self.array, ROWS, SLOTS)
        self.r = Rig(self.array)
        self.model = model.Plant(self.site, Start(START_NS, realtime_s=BEGIN_S))
        self.command: tuple[str, bool, int] | None = None
        self.states: list[tuple[int, int]] = [(UP, UP)] * UNITS
        self.meter_state = 0
        self.boot, self.configured, self.real_s = (1, 2), 0, BEGIN_S
        self.disk = 0
        self.records: dict[int, tuple[bytes, Record]] = {}
        self.newest: Record | None = None
        self.written: dict[int, Any] = {}
        self.serial = 1
        self.before = self.power = 0.0
        self.counted = {"lo": 0.0, "hi": 0.0}
        self.period = PERIOD_NS
        self.asked = self.powered = self.ticks = self.exact = 0
        self.happened: Counter[str] = Counter()
        self.lapsed = [False] * len(SLOTS)
        self.r.load_w = 20e3
        self.set_meter(UP)
        self.plant_is_well()
        self.r.set(Q.Q_BMS_STATE, 3, place=1)
        for unit in range(UNITS):
            self.r.set(Q.Q_BMS_ALARM, 0, place=unit)

    def plant_is_well(self) -> None:
        for quantity in OF_PLANT:
            self.r.set(quantity, float(VALUES[quantity][0]), place=PLANT)

    def set_meter(self, state: int) -> None:
        self.meter_state, self.model.meter_up = state, state == UP
        self.r.h.set_meter(state)

    @initialize(started=st.sampled_from((True, True, True, False)), limited=st.booleans())
    def start(self, started: bool, limited: bool = True) -> None:
        """`limited`: the PCS that answers for its battery states what current that allows."""
        for quantity in () if limited else (Q.Q_BMS_CHA_MAX_A, Q.Q_BMS_DIS_MAX_A):
            del self.r.values[1, quantity]
        for unit in range(UNITS):
            self.devices(unit, UP, UP)
        for _ in range(15 if started else 1):
            self.once(PERIOD_NS)

    def once(self, period_ns: int) -> None:
        """One tick of plant and model, then the invariants."""
        r, mode = self.r, self.model.machine.mode
        now_ns = r.now_ns + period_ns
        for (place, quantity), value in r.values.items():
            if (place, quantity) not in r.frozen:
                self.model.measure(telling.place_of(place), telling.QUANTITIES[quantity], value, now_ns - 1_000_000)
        self.before, self.period = self.power, period_ns
        given = sum(r.values[unit, Q.Q_AC_W] for unit in range(UNITS))
        r.step(period_ns)
        self.state, self.out = np.frombuffer(r.h.published(), STATE)[0], r.out
        self.ticks += 1
        self.model.tick(now_ns, self.command, self.disk, self.out["journal_seq"])
        self.command = None
        self.power = float(sum(self.out["cmd_w"][:UNITS]))
        self.powered += self.power != 0
        self.warm_w = abs(given) if self.model.machine.warmly else 0.0
        self.hold()
        self.model.command(self.out["cmd_w"][:UNITS])
        self.counted = {side: float(sum(self.state[f"unit_giving_{side}_w"][:UNITS])) for side in ("lo", "hi")}
        self.note(mode)

    def note(self, before: str) -> None:
        """What this tick brought, for those who count; and the record that was due."""
        machine, slots = self.model.machine, self.model.sources.slots
        told = [(event["code"], event["detail"], event["slot"]) for event in self.r.seen]
        self.r.seen.clear()
        codes = {code for code, _, _ in told}
        assert codes <= EVENTS
        modes = [telling.MODES[detail] for code, detail, _ in told if code == L.EventCode.EV_MODE]
        assert modes == ([machine.mode] if machine.mode != before else []), "a change of mode is one event"
        fell = [i for i, slot in enumerate(slots) if slot.lapsed and not self.lapsed[i]]
        assert [slot for code, _, slot in told if code == L.EventCode.EV_PLAN_LAPSED] == fell, "a lapse is one event"
        self.happened["trip"] += machine.mode == "tripped" != before
        self.happened["reset"] += L.EventCode.EV_RESET_DONE in codes
        self.happened["run again warm"] += machine.warmly
        self.happened["stale"] += any(row.blind for row in self.model.table.rows) and machine.mode == "run"
        self.happened["lapse"] += len(fell) > 0
        self.lapsed = [slot.lapsed for slot in slots]
        if self.out["journal_due"]:
            self.newest = machine.record(self.r.now_ns)
            self.records[self.out["journal_seq"]] = self.r.h.journal(), self.newest
            self.record_says_so()

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
            for quantity in (Q.Q_W_MAX_DIS, Q.Q_W_MAX_CHA, Q.Q_LOC_REM, Q.Q_PCS_CONN, Q.Q_BMS_ALARM, Q.Q_BMS_STATE):
                self.r.set(quantity, float(VALUES[quantity][0]), place=unit)
            self.devices(unit, UP, UP)
        self.plant_is_well()
        self.set_meter(UP)

    @rule(unit=st.integers(0, UNITS - 1), pcs=st.sampled_from((UP, 0, 1, 3, 4)), bms=st.sampled_from((UP, UP, UP, 0, 4)))
    def devices(self, unit: int, pcs: int, bms: int) -> None:
        running = self.model.machine.mode == "run"
        self.happened["unit lost"] += running and self.states[unit][0] == UP != pcs
        self.happened["reconnect"] += self.states[unit][0] != UP == pcs
        self.states[unit] = pcs, bms
        self.model.units[unit].pcs_up, self.model.units[unit].bms_up = pcs == UP, bms == UP
        self.r.h.set_devices(unit, pcs, bms, SCALES[unit])

    @rule(state=st.integers(0, 4), load=st.sampled_from((0.0, 20e3, -60e3, NAN, 1e6)))
    def meter(self, state: int, load: float) -> None:
        self.set_meter(state)
        self.r.load_w = load

    @rule(slot=st.sampled_from((0, 1, 2, 2, 3, 3, -1, len(SLOTS))), drawn=PLANS, n=st.integers(1, 8))
    def source_writes(self, slot: int, drawn: tuple[Any, Any, float, int], n: int) -> None:
        self.written[slot] = raw = as_plan(drawn, self.r.now_ns)
        self.offer(slot, raw)
        for _ in range(n):
            self.once(PERIOD_NS)

    def offer(self, slot: int, raw: Any) -> None:
        """Write a plan of this boot into a slot, and tell the model."""
        p = raw.view(PLAN)[0]
        self.serial += 1
        p["serial"], p["boot_id_hi"], p["boot_id_lo"] = self.serial, *self.boot
        self.r.h.offer_plan(slot, raw)
        self.model.offer(slot, telling.plan_of(raw), self.r.now_ns)

    @rule(slot=st.integers(0, len(SLOTS) - 1), seed=st.integers(0, 2**32 - 1), whole=st.booleans())
    def source_writes_garbage(self, slot: int, seed: int, whole: bool) -> None:
        self.offer(slot, garbage(seed, whole, self.r.now_ns))

    @rule(slot=st.integers(0, len(SLOTS) - 1))
    def source_is_of_another_boot(self, slot: int) -> None:
        """Its lease would hold, its boot does not."""
        raw = as_plan(([(0.0, 100.0, {"target_w": 1e5})], [], 100.0, 0), self.r.now_ns)
        raw.view(PLAN)[0]["boot_id_lo"] = 77
        self.r.h.offer_plan(slot, raw)
        self.model.offer(slot, telling.plan_of(raw), self.r.now_ns)

    @rule(shift_ns=st.sampled_from((-3600 * S, -S, S // 2, 3600 * S)), n=st.integers(1, 3))
    def clock_is_corrected(self, shift_ns: int, n: int) -> None:
        """The wall clock jumps: bindings write their plans again, blocks at other instants of our clock, the lease where it was."""
        for slot, raw in self.written.items():
            p = raw.view(PLAN)[0]
            self.happened["clock jump"] += bool(p["lease_until_ns"] > self.r.now_ns)
            for series in (p["live"], p["fallback"]):
                for edge in ("start_ns", "end_ns"):
                    moved = np.clip(series[edge] + shift_ns, 0, FOREVER)
                    series[edge][:] = np.where(series[edge] < FOREVER, moved, FOREVER)
            self.offer(slot, raw)
        for _ in range(n):
            self.once(PERIOD_NS)

    @rule(how=st.sampled_from(HOW), behind=st.sampled_from((0, 0, 0, 1)))
    def loop_restarts(self, how: str, behind: int) -> None:
        """Killed and started again soon, late or much later; stopped in order first; after a reboot; with its journal broken, or under
        another configuration; without the priority it requires."""
        if how == "stopped":
            self.r.h.ask_stop()
            self.model.machine.stopping = True
            for _ in range(3):
                self.once(PERIOD_NS)
        if how in ("stopped", "later"):
            behind = 0
        self.disk = max(self.disk, self.r.out["journal_seq"] - behind)
        self.happened["restart"] += 1
        self.happened[f"restart {how}"] += 1
        self.begin_again(how)
        for _ in range(3):
            self.once(PERIOD_NS)

    @rule(target_w=st.sampled_from((150e3, -90e3)))
    def loop_restarts_under_way(self, target_w: float) -> None:
        """Well, reset, loaded; then killed and back at once, with its sources: a random walk alone seldom gets there."""
        self.heals_and_is_reset(local=True)
        self.loop_restarts("stopped", 0)  # an orderly stop begins the count of starts anew
        for _ in range(14):
            self.once(PERIOD_NS)
        self.source_writes(2, ([(0.0, 100.0, {"target_w": target_w})], [], 100.0, 0), 8)
        self.loop_restarts("warm", 0)
        self.source_writes(2, ([(0.0, 100.0, {"target_w": target_w})], [], 100.0, 0), 8)

    def begin_again(self, how: str) -> None:
        """What a new loop finds: the newest record that reached the disk, its clocks, and the devices as they are."""
        pause_ns = {"warm": S // 2, "later": 700 * S, "no priority": 5 * S}.get(how, 3 * S)
        ran_s = (self.r.now_ns + pause_ns - self.model.start.now_ns) // S
        self.real_s = self.model.start.realtime_s + ran_s
        now_ns = self.r.now_ns + pause_ns
        if how == "reboot":
            self.boot, now_ns = (1, self.boot[1] + 1), 20 * S
        self.configured += how == "other configuration"
        broken = how == "broken"
        on_disk = None if broken else max((seq for seq in self.records if seq <= self.disk), default=None)
        written, known = self.records[on_disk] if on_disk is not None else (None, None)
        self.records = {on_disk: (written, known)} if on_disk is not None and written is not None and known is not None else {}
        self.disk = on_disk or 0
        start = Start(
            now_ns, self.boot, self.configured, self.real_s, clock_trusted=how != "reboot" or self.boot[1] % 2 == 0, warm=how == "warm",
            journal_broken=broken, rt_refused=how == "no priority",
        )  # fmt: skip
        self.r.restart(
            now_ns, boot_id=self.boot, config_hash=bytes([self.configured % 256]) * 32, realtime_s=self.real_s,
            clock_trusted=start.clock_trusted, warm=start.warm, journal=written, journal_broken=broken, rt_refused=start.rt_refused,
        )  # fmt: skip
        self.model = model.Plant(self.site, start, known)
        self.newest, self.command, self.lapsed, self.power = None, None, [False] * len(SLOTS), 0.0
        self.counted = {"lo": 0.0, "hi": 0.0}
        self.written.clear()
        for unit, (pcs, bms) in enumerate(self.states):
            if how != "warm":
                self.r.set(Q.Q_AC_W, 0.0, place=unit)  # its reversion timer was faster
            self.devices(unit, pcs, bms)
        self.set_meter(self.meter_state)

    @rule(code=st.sampled_from((4, 4, 4, 5, 2, 1, 3, 0, 77)), local=st.booleans(), arg=st.integers(-1, len(SLOTS)))
    def somebody_asks(self, code: int, local: bool, arg: int) -> None:
        self.asked += 1
        self.command = (telling.REQUESTS.get(code, "unknown"), local, arg)
        self.r.h.command(self.asked, code, local=local, arg=arg)

    @precondition(lambda self: self.out["journal_seq"] > self.disk)
    @rule(behind=st.integers(0, 2))
    def disk_writes(self, behind: int) -> None:
        self.disk = max(self.disk, self.out["journal_seq"] - behind)
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
    return found | ({random.choice(("energize", "connect")): 0} if random.random() < 0.05 else {})


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
    match random.choices(range(12), (30, 30, 12, 3, 3, 3, 5, 8, 6, 2, 2, 1))[0]:
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
        case 8:
            plant.heals_and_is_reset(random.random() < 0.7)
        case 9:
            plant.clock_is_corrected(random.choice((-3600, -1, 1, 3600)) * S, 1)
        case 10:
            plant.loop_restarts(random.choice(HOW), random.choice((0, 0, 0, 1)))
        case _:
            plant.loop_restarts_under_way(random.choice((150e3, -90e3)))


def lose_a_unit(plant: Plant) -> None:
    """While it runs, and it comes back."""
    plant.heals_and_is_reset(local=True)
    plant.devices(0, 0, UP)
    plant.time_passes(3, 0)
    plant.devices(0, UP, UP)


def go_blind(plant: Plant) -> None:
    """Nothing is heard of a cell for longer than its row allows."""
    plant.heals_and_is_reset(local=True)
    plant.goes_silent((0, Q.Q_CELL_V_MAX))
    plant.time_passes(3, S)


def trip(plant: Plant) -> None:
    """The grid's frequency is beyond a row of the plant."""
    plant.heals_and_is_reset(local=True)
    plant.measure([((PLANT, Q.Q_PCC_HZ), 60.0)], 3)


def lapse(plant: Plant) -> None:
    plant.source_writes(2, ([(0.0, 100.0, {"target_w": 1e4})], [], 0.05, 0), 8)


def correct_the_clock(plant: Plant) -> None:
    plant.source_writes(2, ([(0.0, 100.0, {"target_w": 1e4})], [], 100.0, 0), 2)
    plant.clock_is_corrected(S // 2, 2)


FORCED: dict[str, Any] = {
    "lapse": lapse,
    "restart": lambda plant: plant.loop_restarts("killed", 0),
    "restart warm": lambda plant: plant.loop_restarts_under_way(150e3),
    "restart killed": lambda plant: plant.loop_restarts("killed", 0),
    "run again warm": lambda plant: plant.loop_restarts_under_way(150e3),
    "stale": go_blind,
    "trip": trip,
    "reset": lambda plant: plant.heals_and_is_reset(local=True),
    "clock jump": correct_the_clock,
    "unit lost": lose_a_unit,
    "reconnect": lose_a_unit,
}
"""What a story does that chance did not bring, at its end."""
assert set(FORCED) == set(KINDS)


def told(seed: int, events: int, least: int = 0) -> Plant:
    """A long story. It goes on until each kind of event happened and at least so many ticks passed."""
    random, plant = Random(seed), Plant()
    plant.start(True, limited=seed % 2 == 0)
    missing = list(KINDS)
    while events > 0 or plant.ticks < least or missing:
        if events <= 0 and missing:
            FORCED[missing[0]](plant)
        something(plant, random)
        plant.once(PERIOD_NS)
        events -= 1
        missing = [kind for kind in KINDS if not plant.happened[kind]]
        assert events > -5000, f"no story gets to {missing}"
    return plant
