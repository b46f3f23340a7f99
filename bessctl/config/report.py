"""What `bessctl check` says about a good site: its sizes, what happens when the loop dies, and how long each row takes at worst. Pure."""

from __future__ import annotations

from typing import Any

from bessctl.config import estimate
from bessctl.config.buses import Device
from bessctl.config.load import LoadedSite
from bessctl.config.rows import SealedRow, expanded
from bessctl.config.rules_protection import act_within_ms, pickup
from bessctl.config.site import Site
from bessctl.devices.address import Address


def report(loaded: LoadedSite) -> dict[str, Any]:
    """Everything, as data."""
    site = loaded.site
    return {
        "site": site.site,
        "counts": _counts(site),
        "units": [_unit(site, index) for index in range(len(site.units))],
        "buses": [_bus(site, index) for index in range(len(site.buses))],
        "rows": [_row(site, row) for row in expanded(site)],
        "disabled": [{"row": name, "reason": row.disabled} for name, row in site.protection.rows() if row.disabled is not None],
    }


def _counts(site: Site) -> str:
    links = len(site.ocpp.links) if site.ocpp else 0
    return (
        f"{len(site.units)} units, {len(site.devices)} devices on {len(site.buses)} buses, {len(site.sources)} sources, "
        f"{len(expanded(site))} protection rows, {links} OCPP links, {site.loop.rate_hz:g} Hz"
    )


def _unit(site: Site, index: int) -> dict[str, Any]:
    unit = site.units[index]
    own = {"own_control": unit.own_control} if unit.own_control is not None else {}
    return {"name": unit.name, "loop_dead_to_0w_s": estimate.uncontrolled_s(unit), "allowed_s": site.loop.max_uncontrolled_s, **own}


def _bus(site: Site, index: int) -> dict[str, Any]:
    bus = site.buses[index]
    devices = [device for device in site.devices if device.bus == bus.name]
    slowest = max((estimate.refresh_s(site, device, "fast") for device in devices), default=0.0)
    where = f"tcp {bus.tcp.host}:{bus.tcp.port}" if bus.tcp else f"rtu {bus.rtu.device} {bus.rtu.baud}" if bus.rtu else ""
    load = estimate.bus_load(site, bus)
    return {"bus": bus.name, "where": where, "devices": len(devices), "load_pct": round(100 * load, 1), "refresh_s": round(slowest, 3)}


def _row(site: Site, row: SealedRow) -> dict[str, Any]:
    unit = None if row.unit is None else site.units[row.unit]
    source = estimate.source_of(site, unit, row.kind.quantity)
    start = pickup(row.kind, row.tier)
    # An age is known at each tick and passes its threshold by itself.
    wire_s = estimate.crossing_to_wire_s(site, unit, row.kind.quantity) if row.tier_name != "warn" else None
    waiting = (start or 0.0) if row.kind.age_of else estimate.refresh_s(site, *source) if source else 1.0
    return {
        "row": row.name,
        "unit": "" if unit is None else unit.name,
        "tier": row.tier_name,
        "action": row.action,
        "way": row.direction,
        "pickup": start,
        "dropoff": row.tier.dropoff,
        "to_wire_ms": None if wire_s is None else round(1e3 * wire_s, 1),
        "allowed_ms": act_within_ms(row.kind, row.tier) if row.tier_name != "warn" else None,
        "detected_within_s": round(estimate.detection_s(site, waiting, row.tier.pickup_delay_s), 3),
    }


def address_of(site: Site, device: Device) -> Address:
    """Where discovery finds a device of the site."""
    bus = next(bus for bus in site.buses if bus.name == device.bus)
    if bus.tcp is not None:
        return Address(host=bus.tcp.host, port=bus.tcp.port)
    assert bus.rtu is not None
    return Address(path=bus.rtu.device, baud=bus.rtu.baud, parity=bus.rtu.parity, stop_bits=bus.rtu.stop_bits)
