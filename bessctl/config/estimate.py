"""What the poll plan can give: refresh times per device, worst-case detection per row, and how long a PCS runs on when the loop is dead.

Estimates from the configuration alone, on the careful side: every model a device of its kind may have is counted. Pure.
"""

from __future__ import annotations

from bessctl.config.buses import Bus, Device
from bessctl.config.loop import Unit
from bessctl.config.site import Site
from bessctl.devices import maps
from bessctl.devices.maps import MapRead, Pace

BITS_PER_CHARACTER = 11  # start, 8 data, parity or second stop, stop
TCP_ROUND_TRIP_S = 0.0005

_PCS_MODELS = (701, 702, 713, 714, 715)
_BMS_MODELS = (802, 803)


# Derived quantities: what they follow from.
MADE_OF = {
    "cha_a_over": "pack_a", "dis_a_over": "pack_a", "cell_v_spread": "cell_v_max", "cell_temp_spread_c": "cell_temp_max_c",
    "contactor_fault": "bms_state", "pcs_hb_age_s": "pcs_hb", "bms_hb_age_s": "bms_hb", "astray_pct": "ac_w", "follow_error_pct": "ac_w",
    "conflict_pct": "ac_w",
}  # fmt: skip


def transaction_s(bus: Bus, device: Device, sent: int, received: int) -> float:
    """How long one request with its reply takes: bytes of both frames on the wire, silence, the device's own time."""
    if bus.rtu is None:
        return TCP_ROUND_TRIP_S + device.response_s
    character_s = BITS_PER_CHARACTER / bus.rtu.baud
    silence_s = max(3.5 * character_s, 0.00175)
    return (sent + received) * character_s + 2 * silence_s + device.response_s


def read_s(bus: Bus, device: Device, count: int) -> float:
    """One FC03 of `count` registers."""
    return transaction_s(bus, device, 8, 5 + 2 * count)


def answers_for_battery(site: Site, device: Device) -> bool:
    """A PCS whose unit names no BMS."""
    return any(unit.pcs == device.name and unit.bms is None for unit in site.units)


def nominal_reads(site: Site, device: Device) -> list[MapRead]:
    """The requests a device of this kind is asked at most."""
    models = {"pcs": _PCS_MODELS, "bms": _BMS_MODELS, "meter": (203,), "io": ()}[device.kind]
    if answers_for_battery(site, device):
        models += _BMS_MODELS
    return [read for read in maps.READS if read.model in models]


def period_s(device: Device, pace: Pace) -> float:
    """How often the plan asks."""
    return {"fast": device.poll.fast_s, "slow": device.poll.slow_s, "state": device.poll.state_s}[pace]


def bus_load(site: Site, bus: Bus) -> float:
    """Share of the bus's time that its plan needs; above 1 everything on it comes later in that proportion."""
    load = 0.0
    for device in site.devices:
        if device.bus == bus.name:
            load += sum(read_s(bus, device, read.count) / period_s(device, read.pace) for read in nominal_reads(site, device))
            load += _orders_load(site, bus, device)
    return load


def _orders_load(site: Site, bus: Bus, device: Device) -> float:
    """A heartbeat each second; the set point three times per reversion time, read back then and once a second."""
    if device.kind in {"meter", "io"}:
        return 0.0
    writes_per_s = sum(3.0 / unit.reversion_s for unit in site.units if unit.pcs == device.name)
    reads_per_s = writes_per_s + 1.0 / maps.READ_BACK_S if writes_per_s else 0.0
    return (1.0 + writes_per_s) * transaction_s(bus, device, 9 + 2 * maps.WSET_COUNT, 8) + reads_per_s * read_s(
        bus, device, maps.WSET_READ_BACK
    )


def read_back_s(site: Site, device: Device) -> float:
    """How old the last confirmation of a set point becomes in normal operation."""
    bus = next(bus for bus in site.buses if bus.name == device.bus)
    return (maps.READ_BACK_S + read_s(bus, device, maps.WSET_READ_BACK)) * max(1.0, bus_load(site, bus))


def refresh_s(site: Site, device: Device, pace: Pace) -> float:
    """How old a value may become in normal operation before its successor is there."""
    bus = next(bus for bus in site.buses if bus.name == device.bus)
    longest = max((read_s(bus, device, read.count) for read in nominal_reads(site, device) if read.pace == pace), default=0.0)
    return period_s(device, pace) * max(1.0, bus_load(site, bus)) + longest


def source_of(site: Site, unit: Unit | None, quantity: str) -> tuple[Device, Pace] | None:
    """Device and pace that bring a quantity of a unit, or of the plant (None); None for what is derived from no single point."""
    quantity = MADE_OF.get(quantity, quantity)
    if unit is None:
        meter = site.device(site.pcc.meter)
        return (meter, "fast") if meter is not None and quantity.startswith("pcc_") else None
    for points, device in ((maps.BMS_POINTS, site.device(unit.bms or unit.pcs)), (maps.PCS_POINTS, site.device(unit.pcs))):
        model = next((point.model for point in points if point.quantity == quantity), None)
        if device is not None and model is not None:
            return device, next(read.pace for read in maps.READS if read.model == model)
    return None


def meter_age_s(site: Site) -> float:
    """R10: how old a meter sample may be and still count as fresh: stated, or three refresh times, at least a second."""
    meter = site.device(site.pcc.meter)
    if site.pcc.meter_data_age_s is not None or meter is None:
        return site.pcc.meter_data_age_s or 1.0
    return max(1.0, 3 * refresh_s(site, meter, "fast"))


def uncontrolled_s(unit: Unit) -> float:
    """R11: after the loop died its PCS is at 0 W within this time. Device timers run late by half: 60 s set, 80 s seen."""
    return 1.5 * unit.reversion_s + unit.ramp_to_zero_s


def detection_s(site: Site, refreshed_s: float, delay_s: float) -> float:
    """From a threshold crossed at the device to the command handed to the bus, at worst: a refresh, the row's delay, two ticks."""
    return refreshed_s + delay_s + 2.0 / site.loop.rate_hz
