"""One published state, with the site's names, as the snapshot that everyone reads. Pure."""

from __future__ import annotations

from typing import Any

from bessctl.corelink.words import (
    CURVE_KINDS,
    CURVE_STATES,
    DEVICE_STATES,
    FAULTS,
    FLAGS,
    MODES,
    PLANT,
    REACTIVE,
    SLOT_STATES,
    TRIPS,
    Row,
    Site,
    binding,
    present,
)
from bessctl.model.snapshot import Alarm, Limit, MeterSnapshot, PlantSnapshot, Reactive, SlotSnapshot, UnitSnapshot
from bessctl_core import layout, tell

State = dict[str, Any]
Q = layout.Quantity
QUANTITIES = layout.LIMITS["quantities"]

# SunSpec 701 InvSt.
INVERTER_STATES = ("off", "sleeping", "starting", "running", "throttled", "shutting_down", "fault", "standby")

# ContactorStep of contactor.pxd.
CONTACTORS = ("unknown", "closed", "opening", "open", "closing", "gave_up")
SHED_ON = 1

# What is measured, by the field of UnitSnapshot that shows it.
MEASURED = {
    "ac_w": Q.Q_AC_W, "ac_var": Q.Q_AC_VAR, "ac_v": Q.Q_AC_V, "ac_hz": Q.Q_AC_HZ, "dc_v": Q.Q_DC_V, "dc_a": Q.Q_DC_A,
    "soc_pct": Q.Q_SOC_PCT, "cell_temp_max_c": Q.Q_CELL_TEMP_MAX_C, "cell_temp_min_c": Q.Q_CELL_TEMP_MIN_C,
    "cell_v_max_v": Q.Q_CELL_V_MAX, "cell_v_min_v": Q.Q_CELL_V_MIN,
}  # fmt: skip


def reading(state: State, place: int, quantity: int, max_age_ns: int = 0) -> float | None:
    """A measurement; None when it is missing, never came, or is older than `max_age_ns` (0 = any age)."""
    at = place * QUANTITIES + quantity
    sampled_ns = state["sampled_ns"][at]
    if sampled_ns <= 0 or (max_age_ns > 0 and state["now_ns"] - sampled_ns > max_age_ns):
        return None
    return present(state["value"][at])


def unit_state(site: Site, state: State, unit: int) -> str:
    """What hinders the unit, else what its PCS reports: "pcs down", "bms frozen", "running"."""
    pcs, bms = state["pcs_state"][unit], state["bms_state"][unit]
    if pcs != layout.DeviceState.DEV_UP:
        return f"pcs {DEVICE_STATES.get(pcs, '?')}"
    if site.unit_has_bms[unit] and bms != layout.DeviceState.DEV_UP:
        return f"bms {DEVICE_STATES.get(bms, '?')}"
    inverter = reading(state, unit, Q.Q_PCS_STATE, site.unit_data_age_ns[unit])
    return INVERTER_STATES[int(inverter)] if inverter is not None and 0 <= inverter < len(INVERTER_STATES) else "unknown"


def unit_snapshot(site: Site, state: State, unit: int) -> UnitSnapshot:
    age_ns = site.unit_data_age_ns[unit]
    rated_wh = reading(state, unit, Q.Q_WH_RATING)
    return UnitSnapshot(
        name=site.units[unit],
        state=unit_state(site, state, unit),
        command_w=state["unit_command_w"][unit],
        command_var=state["unit_command_var"][unit],
        soh_pct=reading(state, unit, Q.Q_SOH_PCT),
        import_wh=state["unit_import_wh"][unit],
        export_wh=state["unit_export_wh"][unit],
        contactor=CONTACTORS[state["unit_contactor"][unit]],
        capacity_wh=rated_wh if rated_wh is not None else site.unit_wh[unit] or None,
        curves=tuple((word, CURVE_STATES.get(code, "?")) for kind, word in CURVE_KINDS.items() if (code := curve_state(state, unit, kind))),
        **{field: reading(state, unit, quantity, age_ns) for field, quantity in MEASURED.items()},
    )


def curve_state(state: State, unit: int, kind: int) -> int:
    """CurveState of one function; 0 = nobody of ours speaks on it."""
    return int(state["unit_curve"][unit * layout.LIMITS["curves"] + kind])


def row_alarm(state: State, index: int, row: Row) -> Alarm:
    value = reading(state, row.place, row.quantity, row.max_age_ns)
    return Alarm(
        code=row.name,
        tier=row.tier,
        unit=row.unit,
        active=bool(state["row_active"][index]),
        latched=bool(state["row_latched"][index]),
        value=value,
        threshold=present(row.pickup),
        since_ns=state["row_since_ns"][index],
        which="" if not row.bits or value is None else tell.bit_names([[bit, name] for bit, name in row.bits], value),
    )


def alarms(site: Site, state: State) -> tuple[Alarm, ...]:
    """Rows that are active or latched, then the machine's own trips and flags."""
    rows = (row_alarm(state, i, row) for i, row in enumerate(site.rows) if state["row_active"][i] or state["row_latched"][i])
    trips = (Alarm(f"internal_{word}", "trip", "", True, True) for bit, word in TRIPS.items() if state["internal"] & bit)
    flags = (Alarm(word, "warn", "", True, False) for bit, word in FLAGS.items() if state["flags"] & bit)
    return (*rows, *trips, *flags)


def slot_snapshot(site: Site, state: State, slot: int) -> SlotSnapshot:
    fault = state["slot_fault"][slot]
    return SlotSnapshot(
        source=site.sources[slot],
        state=SLOT_STATES.get(state["slot_state"][slot], "refused"),
        serial=state["slot_serial"][slot],
        lease_until_ns=state["slot_lease_until_ns"][slot],
        target_w=present(state["slot_target_w"][slot]),
        reason=FAULTS.get(fault, f"fault {fault}"),
        reactive_kind=REACTIVE.get(state["slot_q_kind"][slot], "none"),
        reactive_value=present(state["slot_q_value"][slot]),
    )


def limit(site: Site, state: State, side: str) -> Limit:
    by = binding(site, state[f"{side}_bind"], state[f"{side}_bind_id"], state[f"{side}_since_ns"], state[f"{side}_until_ns"])
    return Limit(state[f"{side}_w"], by)


def unmet_source(site: Site, state: State) -> str:
    """Who cannot have what it asks for (R3); empty = everybody can."""
    slot = state["unmet_slot"]
    if not state["pcc_unmet_w"]:
        return ""
    return "connection" if slot == PLANT else site.source(slot) if slot < len(site.sources) else ""


def meter(state: State) -> MeterSnapshot:
    """What the meter measures beside power; nothing while its power counts as lost (R10)."""
    if present(state["pcc_w"]) is None:
        return MeterSnapshot()
    phases = (Q.Q_PCC_L1_V, Q.Q_PCC_L2_V, Q.Q_PCC_L3_V)
    return MeterSnapshot(
        phase_v=tuple(reading(state, PLANT, phase) for phase in phases),
        import_wh=reading(state, PLANT, Q.Q_IMPORT_WH),
        export_wh=reading(state, PLANT, Q.Q_EXPORT_WH),
    )


def reactive(site: Site, state: State) -> Reactive:
    """Who asks for reactive power, for how much, and what comes of it."""
    return Reactive(
        kind=REACTIVE.get(state["reactive_kind"], "none"),
        source=site.source(state["reactive_slot"]),
        wanted_var=present(state["wanted_var"]),
        command_var=state["command_var"],
        measured_var=present(state["ess_var"]),
        most_var=state["reactive_max_var"],
    )


def snapshot(site: Site, state: State) -> PlantSnapshot:
    """The plant at one tick."""
    return PlantSnapshot(
        tick=state["tick"],
        now_ns=state["now_ns"],
        mode=MODES.get(state["mode"], f"mode {state['mode']}"),
        ess_w=present(state["ess_w"]),
        pcc_w=present(state["pcc_w"]),
        command_w=state["command_w"],
        lo=limit(site, state, "lo"),
        hi=limit(site, state, "hi"),
        target_w=present(state["wanted_w"]),
        target_source=site.source(state["target_slot"]),
        reactive=reactive(site, state),
        pcc_import_wh=state["pcc_import_wh"],
        pcc_export_wh=state["pcc_export_wh"],
        units=tuple(unit_snapshot(site, state, unit) for unit in range(len(site.units))),
        slots=tuple(slot_snapshot(site, state, slot) for slot in range(len(site.sources))),
        alarms=alarms(site, state),
        unmet_w=state["pcc_unmet_w"],
        unmet_source=unmet_source(site, state),
        meter=meter(state),
        disconnected_by=site.source(state["connect_slot"]),
        shedding=state["shed"] == SHED_ON,
    )
