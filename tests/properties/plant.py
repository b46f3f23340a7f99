"""A plant of two units in a story: plans, measurements, faults, requests, disks, restarts, corrected clocks.

The model (model.py) is fed what the plant is fed and comes to its own verdict; nothing of the step's is told to it. What must hold at each
tick stands in plant_promises.py. A story is drawn and shrunk by hypothesis (the rules), or told at length by a seed (long_stories.py).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bessctl_core import layout as L
from tests.core.rig import FOREVER, HEALTHY, PERIOD_NS, PLAN, PLANT, START_NS, Q, Rig, S, config
from tests.properties import model, telling
from tests.properties.model_modes import Record, Start
from tests.properties.plant_drawn import MEASUREMENTS, PLANS, as_plan, garbage
from tests.properties.plant_promises import Promises
from tests.properties.plant_tables import NAN, OF_PLANT, PLACED, RAMP, ROWS, SCALES, SLOTS, UNITS, UP, VALUES

M = L.Mode
BEGIN_S = 1_700_000_000
STATE = L.dtype("PlantState")
EVENTS = {int(code) for code in L.EventCode}
HOW = ("warm", "warm", "warm", "stopped", "later", "killed", "reboot", "broken", "other configuration", "no priority")


class Plant(Promises, RuleBasedStateMachine):
    """The rig, its model, and what happens to both."""

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
