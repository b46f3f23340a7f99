"""What the rig and the compiled step say in numbers and bytes, told to the model in its own words."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessctl_core import layout as L
from tests.core.rig import PLAN, PLANT, Row, S, Slot
from tests.properties import model_rows
from tests.properties.model import Site
from tests.properties.model_modes import Times
from tests.properties.model_plans import Block, Plan, SlotRule
from tests.properties.model_rows import RowRule

MODES = {int(mode): name.removeprefix("MODE_").lower() for name, mode in L.Mode.__members__.items()}
QUANTITIES = {int(q): name.removeprefix("Q_").lower() for name, q in L.Quantity.__members__.items()}
TRIPS = {int(trip): name.removeprefix("TRIP_").lower() for name, trip in L.Internal.__members__.items()}
REQUESTS = {int(code): name.removeprefix("CMD_").lower() for name, code in L.CommandCode.__members__.items()}
SLOT_STATES = {int(state): name.removeprefix("SLOT_").lower() for name, state in L.SlotState.__members__.items()}
ACTIONS = ("warn", "derate", "block", "zero", "standby", "open")
WAYS = ((), ("charge",), ("discharge",), ("charge", "discharge"))
RESETS = ("auto", "any", "local")
TESTS = ("threshold", "bits", "states")
LAPSES = ("fallback", "hold", "zero", "drop")
SCOPES = ("ess", "pcc", "reactive")
LIMITS = ("ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w")


def place_of(place: int) -> int:
    return model_rows.PLANT if place == PLANT else place


def row_rule(row: Row) -> RowRule:
    return RowRule(
        place=place_of(row.unit),
        quantity=QUANTITIES[row.quantity],
        pickup=row.pickup,
        dropoff=row.dropoff,
        above=row.above,
        pickup_ns=int(row.pickup_s * S),
        dropoff_ns=int(row.dropoff_s * S),
        max_age_ns=int(row.max_age_s * S),
        action=ACTIONS[row.action],
        directions=WAYS[row.direction],
        reset=RESETS[row.reset],
        unseen=("blind", "beyond")[row.blind],
        test=TESTS[row.test],
        mask=row.mask,
        other_cut=row.other_cut,
        curve=row.curve,
    )


def slot_rule(slot: Slot) -> SlotRule:
    return SlotRule(
        klass=slot.klass,
        priority=slot.priority,
        scopes=tuple(name for bit, name in enumerate(SCOPES) if slot.scopes >> bit & 1),
        max_lease_ns=int(slot.max_lease_s * S),
        default=tuple(slot.default.get(name) for name in LIMITS),  # type: ignore[arg-type]
        required=slot.required,
        advisory=slot.advisory,
        may_force=WAYS[slot.may_force],
        operator=slot.operator,
    )


def site_of(array: Any, rows: tuple[Row, ...], slots: tuple[Slot, ...]) -> Site:
    """The sealed configuration of a rig."""
    c = array[0]
    return Site(
        units=int(c["n_units"]),
        rated_w=float(c["unit_w_dis_max"][0]),
        dc_v=float(c["unit_vdc_min_v"][0]),
        rows=tuple(row_rule(row) for row in rows),
        slots=tuple(slot_rule(slot) for slot in slots),
        times=Times(int(c["settle_ns"]), int(c["acquire_timeout_ns"]), int(c["warm_gap_ns"]), bool(c["rt_required"])),
        has_meter=bool(c["has_meter"]),
        age_ns=int(c["unit_data_age_ns"][0]),
        reentry_share=float(c["reentry_share"]),
        reentry_ns=int(c["reentry_ns"]),
        alone=frozenset(unit for unit in range(int(c["n_units"])) if c["unit_bms_device"][unit] < 0),
    )


def _block(s: Any, i: int) -> Block:
    stated, has = int(s["stated"][i]), L.Stated

    def said(name: str, bit: int) -> float | None:
        return float(s[name][i]) if stated & bit else None

    return Block(
        start_ns=int(s["start_ns"][i]),
        end_ns=int(s["end_ns"][i]),
        limits=(
            said("ess_lo_w", has.HAS_ESS_LO),
            said("ess_hi_w", has.HAS_ESS_HI),
            said("pcc_lo_w", has.HAS_PCC_LO),
            said("pcc_hi_w", has.HAS_PCC_HI),
        ),
        target_w=said("target_w", has.HAS_TARGET),
        target_scope=int(s["target_scope"][i]),
        rate=said("rate_w_per_s", has.HAS_RATE),
        energize=int(s["energize"][i]) if stated & has.HAS_ENERGIZE else None,
        connect=int(s["connect"][i]) if stated & has.HAS_CONNECT else None,
        q_kind=int(s["q_kind"][i]),
        q_value=float(s["q_value"][i]),
        q_absorb=float(s["q_absorb"][i]),
    )


def _series(s: Any) -> tuple[Block, ...] | None:
    count = int(s["count"])
    return tuple(_block(s, i) for i in range(count)) if 0 <= count <= len(s["stated"]) else None


def plan_of(raw: Any) -> Plan:
    """The bytes of a plan, whatever they say."""
    p = np.asarray(raw).view(PLAN)[0]
    lapse = int(p["lapse"])
    return Plan(
        boot=(int(p["boot_id_hi"]), int(p["boot_id_lo"])),
        serial=int(p["serial"]),
        lease_until_ns=int(p["lease_until_ns"]),
        lapse=LAPSES[lapse] if 0 <= lapse < len(LAPSES) else None,
        live=_series(p["live"]),
        fallback=_series(p["fallback"]),
    )


def trips_of(bits: int) -> set[str]:
    return {name for bit, name in TRIPS.items() if bits & bit}
