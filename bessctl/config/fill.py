"""Writes a site and its devices' read plans into the SiteConfig structure, field by field. No rules here: what arrives has been judged.

`c` is one record of the layout's numpy dtype; every field's unit and sign stands in layout.pxd.
"""

from __future__ import annotations

from hashlib import sha256
from math import nan
from typing import Any

from bessctl.config import estimate
from bessctl.config.buses import Bus, Device
from bessctl.config.fill_devices import device_plans, ns, pace
from bessctl.config.load_shed import margin_w
from bessctl.config.loop import Unit
from bessctl.config.protection import Derate
from bessctl.config.rows import SealedRow, expanded
from bessctl.config.rules_protection import pickup
from bessctl.config.site import Site
from bessctl.config.sources import Source
from bessctl.corelink.seal import LIMITS, PLANT, number
from bessctl.devices.plan import DevicePlan

PARITY = {"none": "N", "even": "E", "odd": "O"}
BIAS = ("none", "pull_up", "pull_down")


def fill(c: Any, site: Site, plans: dict[str, DevicePlan]) -> None:
    """The whole structure."""
    _loop(c, site)
    for index, unit in enumerate(site.units):
        _unit(c, index, unit, site)
        c["unit_opens"][index] = opens(site, plans, index)
    for index, source in enumerate(site.sources):
        _slot(c, index, source)
    for index, row in enumerate(expanded(site)):
        _row(c, index, row, site)
    for index, bus in enumerate(site.buses):
        _bus(c, index, bus, site)
    for index, device in enumerate(site.devices):
        _device(c, index, device, site, plans[device.name])
    placed = [(index, place_of(site, device), device, plans[device.name]) for index, device in enumerate(site.devices)]
    device_plans(c, placed)
    _lines(c, site)


def _loop(c: Any, site: Site) -> None:
    loop, pcc = site.loop, site.pcc
    c["rate_hz"] = loop.rate_hz
    c["rt_required"] = loop.rt == "required"
    c["rt_priority"] = loop.rt_priority
    c["cpu"] = -1 if loop.cpu is None else loop.cpu
    c["n_units"], c["n_slots"], c["n_rows"] = len(site.units), len(site.sources), len(expanded(site))
    c["n_buses"], c["n_devices"] = len(site.buses), len(site.devices)
    c["has_meter"] = pcc.meter is not None
    for key in ("settle", "acquire_timeout", "stop_timeout", "warm_gap", "reversal_dead", "frozen", "max_uncontrolled"):
        c[f"{key}_ns"] = ns(getattr(loop, f"{key}_s"))
    c["meter_hold_ns"], c["meter_delay_ns"] = ns(pcc.meter_hold_s), ns(pcc.meter_delay_s)
    c["meter_age_ns"] = ns(estimate.meter_age_s(site))
    if pcc.load_shed is not None:
        c["shed_on_ns"], c["shed_off_ns"] = ns(pcc.load_shed.after_s), ns(pcc.load_shed.release_after_s)
        c["shed_margin_w"] = margin_w(site)
    c["balance_soc_pct"], c["soc_stuck_pct"] = loop.balance_soc_pct, loop.soc_stuck_pct
    c["ramp_w_per_s"] = loop.ramp_w_per_s
    c["min_power_w"] = loop.min_power_w
    c["reactive_ramp_var_per_s"] = loop.reactive_ramp_var_per_s or loop.ramp_w_per_s
    c["reversal_min_w"] = loop.reversal_min_pct / 100 * sum(max(unit.discharge_max_w, unit.charge_max_w) for unit in site.units)
    c["reentry_share"], c["reentry_ns"] = loop.reentry_pct / 100, ns(loop.reentry_s)
    c["reactive_first"] = loop.priority == "reactive"
    stated = {"pcc_import_max_w": pcc.import_max_w, "pcc_export_max_w": pcc.export_max_w, "pcc_phase_max_a": pcc.phase_max_a}
    for key, value in stated.items():
        c[key] = nan if value is None else value
    c["load_max_w"] = nan if pcc.load_max_w is None else pcc.load_max_w
    c["pv_max_w"] = nan if pcc.pv_max_w is None else pcc.pv_max_w


def opens(site: Site, plans: dict[str, DevicePlan], unit: int) -> bool:
    """A plan may disconnect it: its battery takes orders to open and to close, and says how its contactors are."""
    battery = plans[site.units[unit].bms or site.units[unit].pcs]
    return battery.has("open") and battery.has("close") and "bms_state" in battery.quantities()


def unit_key(name: str) -> int:
    """Who a unit is to the journal: its name, whatever its place in the list. Never 0."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "little") | 1


def _index(site: Site, name: str | None) -> int:
    return next((index for index, device in enumerate(site.devices) if device.name == name), -1)


def _unit(c: Any, i: int, unit: Unit, site: Site) -> None:
    c["unit_w_dis_max"][i] = unit.discharge_max_w
    c["unit_w_cha_max"][i] = unit.charge_max_w
    c["unit_va_max"][i] = unit.apparent_max_va
    c["unit_var_max"][i] = unit.reactive_max_var or unit.apparent_max_va
    c["unit_key"][i] = unit_key(unit.name)
    c["unit_wh"][i] = unit.capacity_wh
    c["unit_vdc_min_v"][i] = unit.pack_min_v
    c["unit_eta"][i] = unit.efficiency
    c["unit_confirm_ns"][i] = ns(unit.confirm_s)
    c["unit_reversion_ns"][i] = ns(unit.reversion_s)
    c["unit_ramp_to_zero_ns"][i] = ns(unit.ramp_to_zero_s)
    c["unit_data_age_ns"][i] = ns(unit.data_age_s)
    c["unit_open_a"][i] = unit.contactor_open_a
    c["unit_open_wait_ns"][i], c["unit_close_wait_ns"][i] = ns(unit.contactor_open_wait_s), ns(unit.contactor_close_wait_s)
    c["unit_pcs_device"][i] = _index(site, unit.pcs)
    c["unit_bms_device"][i] = _index(site, unit.bms)


def _slot(c: Any, i: int, source: Source) -> None:
    stated = 0
    for key in ("ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w"):
        value = getattr(source.default_limits, key)
        c[f"slot_{key}"][i] = nan if value is None else value
        stated |= 0 if value is None else number("HAS", key.removesuffix("_w"))
    c["slot_default"][i] = stated
    c["slot_max_lease_ns"][i] = ns(source.lease_max_s)
    c["slot_priority"][i] = source.priority
    c["slot_class"][i] = number("CLASS", source.class_)
    c["slot_scopes"][i] = sum(1 << number("SCOPE", scope) for scope in set(source.scopes))
    c["slot_required"][i] = source.required
    c["slot_advisory"][i] = source.advisory
    c["slot_operator"][i] = source.of_operator
    c["slot_may_force"][i] = number("DIR", source.may_force)


def _row(c: Any, i: int, row: SealedRow, site: Site) -> None:
    tier = row.tier
    start = pickup(row.kind, tier)
    turned = -1 if row.kind.import_side else 1
    c["row_pickup"][i] = nan if start is None else turned * start
    c["row_dropoff"][i] = turned * tier.dropoff
    c["row_above"][i] = row.kind.above != row.kind.import_side
    c["row_pickup_delay_ns"][i] = ns(tier.pickup_delay_s)
    c["row_dropoff_delay_ns"][i] = ns(tier.dropoff_delay_s)
    c["row_max_age_ns"][i] = ns(row_max_age_s(row, site))
    c["row_unit"][i] = PLANT if row.unit is None else row.unit
    c["row_quantity"][i] = number("Q", row.quantity) + (row.input or 0)
    c["row_tier"][i] = number("TIER", row.tier_name)
    c["row_action"][i] = number("ACT", row.action)
    c["row_direction"][i] = number("DIR", row.direction)
    c["row_reset"][i] = number("RESET", tier.reset)
    c["row_blind"][i] = number("BLIND", "trips" if row.kind.unseen_trips else "holds")
    c["row_test"][i], c["row_mask"][i] = number("TEST", row.test[0]), row.test[1]
    c["row_other_cut"][i] = row.other_cut
    curve = tier.curve if isinstance(tier, Derate) and tier.curve is not None else []
    c["row_curve_count"][i] = len(curve)
    for k, (x, share) in enumerate(_turned(curve, turned)):
        c["row_curve_x"][i * LIMITS["curve_points"] + k] = x
        c["row_curve_share"][i * LIMITS["curve_points"] + k] = share


def _turned(curve: list[list[float]], turned: int) -> list[tuple[float, float]]:
    """Ascending also where the sign turns."""
    return sorted((turned * x, share) for x, share in curve) if turned < 0 else [(x, share) for x, share in curve]


def row_max_age_s(row: SealedRow, site: Site) -> float:
    """Stated, or the unit's data age; never below three refresh times of what brings the value (R4)."""
    if row.tier.max_age_s is not None:
        return row.tier.max_age_s
    if row.input is not None:
        return input_age_s(site, row.input)
    unit = None if row.unit is None else site.units[row.unit]
    slowest = estimate.slowest_s(site, unit, row.kind.quantity)
    least = 0.0 if slowest is None else 3 * slowest[1]
    return max(least, 1.0 if unit is None else unit.data_age_s)


def input_age_s(site: Site, index: int) -> float:
    """How long an input may not be read before it counts as active: three refresh times, at least 0.3 s."""
    entry = site.inputs[index]
    device = site.device(entry.modbus.device) if entry.modbus else None
    return max(0.3, 3 * estimate.refresh_s(site, device, "fast")) if device else 0.3


def _lines(c: Any, site: Site) -> None:
    """Inputs on this controller's own chips."""
    entries = [(index, entry.gpio, entry.closed_is) for index, entry in enumerate(site.inputs) if entry.gpio is not None]
    chips = list(dict.fromkeys(gpio.chip for _, gpio, _ in entries))
    c["n_chips"], c["n_lines"] = len(chips), len(entries)
    for i, chip in enumerate(chips):
        for k, character in enumerate(chip.encode()):
            c["chip_path"][i * LIMITS["text"] + k] = bytes([character])
    for i, (index, gpio, closed_is) in enumerate(entries):
        c["line_chip"][i], c["line_offset"][i], c["line_input"][i] = chips.index(gpio.chip), gpio.line, index
        c["line_healthy"][i], c["line_bias"][i] = closed_is, BIAS.index(gpio.bias)


def _bus(c: Any, i: int, bus: Bus, site: Site) -> None:
    c["bus_kind"][i] = number("BUS", "tcp" if bus.tcp else "rtu")
    if bus.tcp is not None:
        c["bus_port"][i] = bus.tcp.port
        c["bus_give_up_ns"][i] = ns(estimate.give_up_s(site, bus))
        path = bus.tcp.host
    else:
        assert bus.rtu is not None
        c["bus_baud"][i] = bus.rtu.baud
        c["bus_parity"][i] = ord(PARITY[bus.rtu.parity])
        c["bus_stop_bits"][i] = bus.rtu.stop_bits
        c["bus_rs485"][i] = bus.rtu.rs485
        path = bus.rtu.device
    for k, character in enumerate(path.encode()):
        c["bus_path"][i * LIMITS["text"] + k] = bytes([character])


def _device(c: Any, i: int, device: Device, site: Site, plan: DevicePlan) -> None:
    c["dev_kind"][i] = number("DEV", device.kind)
    c["dev_modbus_id"][i] = device.modbus_id
    c["dev_place"][i] = place_of(site, device)
    c["dev_bus"][i] = next(k for k, bus in enumerate(site.buses) if bus.name == device.bus)
    c["dev_timeout_ns"][i] = ns(device.timeout_s)
    c["dev_worst_ns"][i] = ns(estimate.worst_s(device))
    c["dev_pipelined"][i] = device.pipelined
    for curve in plan.curves:
        k = i * LIMITS["curves"] + number("CURVE", curve.kind)
        c["curve_addr"][k], c["curve_points_max"][k] = curve.address, curve.points
        c["curve_x_scale"][k], c["curve_y_scale"][k], c["curve_s_scale"][k] = curve.x_scale, curve.y_scale, curve.s_scale
    c["dev_hb_quantity"][i] = number("Q", plan.heartbeat or "none") if device.heartbeat == "required" else number("Q", "none")
    pace(c, i, plan, next((unit.reversion_s for unit in site.units if device.name == unit.pcs), 1))
    bus = c["dev_bus"][i]
    c["bus_min_gap_ns"][bus] = max(c["bus_min_gap_ns"][bus], ns(plan.min_gap_s))
    c["bus_reconnect_ns"][bus] = max(c["bus_reconnect_ns"][bus], ns(plan.reconnect_s))


def reactive(site: Site) -> bool:
    """Some source may ask for reactive power; else not a register of it is written."""
    return any("reactive" in source.scopes for source in site.sources)


def place_of(site: Site, device: Device) -> int:
    """The unit a device belongs to, PLANT for the meter."""
    return next((k for k, unit in enumerate(site.units) if device.name in (unit.pcs, unit.bms)), PLANT)
