"""A plant on the bench: a small sealed configuration, healthy inputs, and the step ticking at 100 Hz in invented time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessctl_core import layout as L
from bessctl_core.harness import StepHarness

S = 1_000_000_000
PERIOD_NS = 10_000_000
START_NS = 1_000 * S
PLANT = L.LIMITS["plant"]
FOREVER = 2**62
RUNNING = 3  # SunSpec 701 InvSt
Q = L.Quantity
AGES = (Q.Q_PCS_AGE_S, Q.Q_BMS_AGE_S, Q.Q_METER_AGE_S, Q.Q_PCS_HB_AGE_S, Q.Q_BMS_HB_AGE_S)
"""Never and frozen are infinitely old, which is no value to see: beyond, as sealing has it."""

PLAN = L.dtype("Plan")
CONFIG = L.dtype("SiteConfig")


@dataclass
class Row:
    """One protection row in engineering values; `curve` is [(x, share), ...]."""

    quantity: int
    pickup: float
    dropoff: float
    action: int = L.Action.ACT_ZERO
    tier: int = L.Tier.TIER_TRIP
    above: bool = True
    pickup_s: float = 0.0
    dropoff_s: float = 0.0
    direction: int = L.Direction.DIR_BOTH
    reset: int = L.ResetRule.RESET_AUTO
    max_age_s: float = 1.0
    unit: int = 0
    curve: tuple[tuple[float, float], ...] = ()
    test: int = L.RowTest.TEST_THRESHOLD
    mask: int = 0
    blind: int = L.BlindRule.BLIND_HOLDS
    other_cut: float = 0.0


@dataclass
class Slot:
    """One source's sealed slot."""

    klass: int = L.SlotClass.CLASS_MARKET
    priority: int = 5
    scopes: int = 3
    max_lease_s: float = 3600.0
    default: dict[str, float] = field(default_factory=dict)
    required: bool = False
    advisory: bool = False
    may_force: int = 0
    operator: bool = False


BITS = {
    "ess_lo_w": L.Stated.HAS_ESS_LO,
    "ess_hi_w": L.Stated.HAS_ESS_HI,
    "pcc_lo_w": L.Stated.HAS_PCC_LO,
    "pcc_hi_w": L.Stated.HAS_PCC_HI,
    "target_w": L.Stated.HAS_TARGET,
    "energize": L.Stated.HAS_ENERGIZE,
    "rate_w_per_s": L.Stated.HAS_RATE,
    "connect": L.Stated.HAS_CONNECT,
}


def config(units: int = 1, rows: tuple[Row, ...] = (), slots: tuple[Slot, ...] = (Slot(),), **site: Any) -> Any:
    """A SiteConfig of equal units of 200 kW; further keywords set fields of the site."""
    array = np.zeros(1, CONFIG)
    c = array[0]
    values = {
        "rate_hz": 100.0, "cpu": -1, "n_units": units, "n_slots": len(slots), "n_rows": len(rows), "settle_ns": S // 10,
        "acquire_timeout_ns": 5 * S, "stop_timeout_ns": 5 * S, "warm_gap_ns": 2 * S, "reversal_dead_ns": S // 5, "meter_hold_ns": 5 * S,
        "meter_age_ns": S, "pcc_phase_max_a": np.nan,
        "reactive_ramp_var_per_s": 1e7,
        "ramp_w_per_s": 1e7, "pcc_import_max_w": np.nan, "pcc_export_max_w": np.nan, "load_max_w": np.nan, "pv_max_w": np.nan,
    } | site  # fmt: skip
    for name, value in values.items():
        c[name] = value
    c["unit_w_dis_max"][:units] = c["unit_w_cha_max"][:units] = c["unit_va_max"][:units] = 200_000
    c["unit_var_max"][:units] = 200_000
    c["unit_vdc_min_v"][:units], c["unit_eta"][:units], c["unit_data_age_ns"][:units] = 600, 1.0, S
    c["unit_open_a"][:units], c["unit_open_wait_ns"][:units], c["unit_close_wait_ns"][:units] = 5, 2 * S, 10 * S
    for i, slot in enumerate(slots):
        c["slot_class"][i], c["slot_priority"][i], c["slot_scopes"][i] = slot.klass, slot.priority, slot.scopes
        c["slot_max_lease_ns"][i], c["slot_required"][i], c["slot_advisory"][i] = int(slot.max_lease_s * S), slot.required, slot.advisory
        c["slot_may_force"][i], c["slot_operator"][i] = slot.may_force, slot.operator
        for name, value in slot.default.items():
            c[f"slot_{name}"][i] = value
            c["slot_default"][i] |= BITS[name]
    for i, row in enumerate(rows):
        c["row_quantity"][i], c["row_unit"][i], c["row_tier"][i], c["row_above"][i] = row.quantity, row.unit, row.tier, row.above
        c["row_pickup"][i], c["row_dropoff"][i], c["row_action"][i], c["row_direction"][i] = (
            row.pickup,
            row.dropoff,
            row.action,
            row.direction,
        )
        c["row_pickup_delay_ns"][i], c["row_dropoff_delay_ns"][i] = int(row.pickup_s * S), int(row.dropoff_s * S)
        c["row_max_age_ns"][i], c["row_reset"][i], c["row_curve_count"][i] = int(row.max_age_s * S), row.reset, len(row.curve)
        c["row_test"][i], c["row_mask"][i], c["row_blind"][i] = row.test, row.mask, row.blind or row.quantity in AGES
        c["row_other_cut"][i] = row.other_cut
        for k, (x, share) in enumerate(row.curve):
            c["row_curve_x"][i * L.LIMITS["curve_points"] + k] = x
            c["row_curve_share"][i * L.LIMITS["curve_points"] + k] = share
    return array


def mapped(array: Any, periods_s: dict[int, float], unit: int = 0) -> Any:
    """The configuration says that a device brings these quantities, asked for so often."""
    c = array[0]
    for quantity, period_s in periods_s.items():
        n = int(c["n_points"])
        c["read_period_ns"][n], c["point_read"][n], c["point_place"][n], c["point_quantity"][n] = round(period_s * S), n, unit, quantity
        c["n_points"] = c["n_reads"] = n + 1
    return array


def plan(*blocks: dict[str, Any], fallback: tuple[dict[str, Any], ...] = (), lease_until_ns: int = START_NS + 600 * S, lapse: int = 0,
         serial: int = 1) -> Any:  # fmt: skip
    """A Plan; a block without start/end covers all time."""
    array = np.zeros(1, PLAN)
    p = array[0]
    p["boot_id_hi"], p["boot_id_lo"], p["serial"], p["lease_until_ns"], p["lapse"] = 1, 2, serial, lease_until_ns, lapse
    for name, series in (("live", blocks), ("fallback", fallback)):
        s = p[name]
        s["count"] = len(series)
        for i, block in enumerate(series):
            s["start_ns"][i], s["end_ns"][i] = block.get("start_ns", 0), block.get("end_ns", FOREVER)
            for key, bit in BITS.items():
                if key in block:
                    s[key][i] = block[key]
                    s["stated"][i] |= bit
            for key in ("target_scope", "q_kind", "q_value"):
                s[key][i] = block.get(key, 0)
            s["q_absorb"][i] = block.get("q_absorb", np.nan)
    return array.view(np.uint8)


HEALTHY = {
    L.Quantity.Q_AC_W: 0.0, L.Quantity.Q_PCS_STATE: RUNNING, L.Quantity.Q_DC_A: 0.0, L.Quantity.Q_PACK_V: 768.0, L.Quantity.Q_PACK_A: 0.0,
    L.Quantity.Q_SOC_PCT: 50.0, L.Quantity.Q_CELL_V_MAX: 3.3, L.Quantity.Q_CELL_V_MIN: 3.2, L.Quantity.Q_CELL_TEMP_MAX_C: 25.0,
    L.Quantity.Q_CELL_TEMP_MIN_C: 20.0, L.Quantity.Q_BMS_CHA_MAX_A: 400.0, L.Quantity.Q_BMS_DIS_MAX_A: 400.0,
}  # fmt: skip


class Rig:
    """The step with healthy inputs that stay fresh unless they are frozen."""

    def __init__(self, array: Any, *, follow: bool = True, now_ns: int = START_NS, **facts: Any) -> None:
        self.config = array
        self.units = int(array[0]["n_units"])
        self.h = StepHarness(array.view(np.uint8), now_ns=now_ns, **facts)
        self.now_ns = now_ns
        self.follow = follow
        self.values: dict[tuple[int, int], float] = {(u, q): v for u in range(self.units) for q, v in HEALTHY.items()}
        self.frozen: set[tuple[int, int]] = set()
        self.seen: list[dict[str, Any]] = []
        self.load_w: float | None = None
        self.out: dict[str, Any] = {}
        """The commands of the last tick."""
        for unit in range(self.units):
            self.h.set_devices(unit, L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, 1.0)
            self.h.set_reactive(unit, 1.0)

    def tick(self, n: int = 1, period_ns: int = PERIOD_NS) -> dict[str, Any]:
        """n ticks with fresh inputs; the PCS gives what it was told (follow). Returns the published state."""
        for _ in range(n):
            self.step(period_ns)
        return self.h.state

    def step(self, period_ns: int = PERIOD_NS) -> None:
        """One tick; what it published is not read, for stories of many of them."""
        self.now_ns += period_ns
        for (place, quantity), value in self.values.items():
            if (place, quantity) not in self.frozen:
                self.h.set(place, quantity, value, self.now_ns - 1_000_000)
        if self.load_w is not None and (PLANT, Q.Q_PCC_W) not in self.frozen:
            power = sum(self.values[unit, Q.Q_AC_W] for unit in range(self.units))
            self.h.set(PLANT, Q.Q_PCC_W, power - self.load_w, self.now_ns - 1_000_000)
        self.h.tick(self.now_ns)
        self.seen += self.h.events()
        self.out = self.h.out
        if self.follow and not self.out["silent"]:
            for unit in range(self.units):
                self.values[unit, L.Quantity.Q_AC_W] = self.out["cmd_w"][unit]

    def restart(self, now_ns: int, **facts: Any) -> None:
        """Another loop begins: nothing is left of the one before but what `facts` hand it. Devices and meter are to be told anew."""
        self.h, self.now_ns, self.out = StepHarness(self.config.view(np.uint8), now_ns=now_ns, **facts), now_ns, {}
        for unit in range(self.units):
            self.h.set_reactive(unit, 1.0)

    def set(self, quantity: int, value: float, place: int = 0) -> None:
        """From the next tick on this is measured."""
        self.values[place, quantity] = value

    def freeze(self, *quantities: int, place: int = 0) -> None:
        """From the next tick on these bring no new sample."""
        self.frozen |= {(place, quantity) for quantity in quantities}

    def meter(self, load_w: float) -> None:
        """A meter at the PCC that sees this load beside the BESS."""
        self.h.set_meter(L.DeviceState.DEV_UP)
        self.load_w = load_w

    def local(self, code: int, ident: int = 7, arg: int = 0) -> None:
        """The operator at the machine asks."""
        self.h.command(ident, code, local=True, arg=arg)

    def remote(self, code: int, ident: int = 7, arg: int = 0) -> None:
        """A protocol asks."""
        self.h.command(ident, code, local=False, arg=arg)

    def disk(self) -> None:
        """All records so far are on disk."""
        self.h.journalled(self.h.out["journal_seq"])

    def run(self) -> Rig:
        """To MODE_RUN."""
        self.tick(30)
        assert self.h.state["mode"] == L.Mode.MODE_RUN, self.h.state["mode"]
        return self

    def offer(self, slot: int, *blocks: dict[str, Any], **words: Any) -> None:
        """Write a plan into a slot."""
        self.h.offer_plan(slot, plan(*blocks, **words))

    def codes(self) -> list[int]:
        """Codes of all events so far."""
        return [event["code"] for event in self.seen]

    def events(self, code: int) -> list[dict[str, Any]]:
        """All events of one code so far."""
        return [event for event in self.seen if event["code"] == code]

    @property
    def state(self) -> dict[str, Any]:
        """What the last tick published."""
        return self.h.state

    def side(self, side: str) -> tuple[float, int, int]:
        """One side of the plant's envelope: W, BindKind, its id."""
        state = self.h.state
        return state[f"{side}_w"], state[f"{side}_bind"], state[f"{side}_bind_id"]

    @property
    def record(self) -> Any:
        """The journal record that is due now, by the names of its fields."""
        return np.frombuffer(self.h.journal(), L.dtype("JournalRecord"))[0]

    @property
    def power_w(self) -> float:
        """What the plant was told in the last tick."""
        return float(sum(self.h.out["cmd_w"]))
