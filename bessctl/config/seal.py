"""Compiles a site and the discovery of its devices into the file the loop runs from. numpy is imported here and nowhere else.

What the devices lack or state otherwise is refused with the place in the site file: a row whose quantity nobody measures, a rating
beyond the PCS's own, an action the device cannot do.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bessctl.config.buses import Bus, Device
from bessctl.config.derived import lacking
from bessctl.config.fill import fill, reactive
from bessctl.config.fill_devices import counted
from bessctl.config.identity import identity, marks
from bessctl.config.load import LoadedSite, together
from bessctl.config.load_shed import write_of
from bessctl.config.places import Finding, Path
from bessctl.config.rows import SealedRow, expanded
from bessctl.config.site import Site
from bessctl.corelink import seal as core
from bessctl.devices.compiler import Role, compile_device
from bessctl.devices.discovery import FoundDevice
from bessctl.devices.inputs import Contact, compile_inputs
from bessctl.devices.plan import DevicePlan
from bessctl.devices.profile import At, Models
from bessctl.errors import ConfigError

NOT_MEASURED = {"overrun_per_s", "target_over_pct", "input_0"}

READ_BITS = 2
"""Function codes up to this one read bits."""


@dataclass(frozen=True)
class Sealing:
    """A compiled site: the file's content, its hash and what went into it."""

    content: bytes
    digest: bytes
    names: dict[str, Any]
    plans: dict[str, DevicePlan]


def seal(loaded: LoadedSite, found: dict[str, FoundDevice]) -> Sealing:
    """Compile. Raises ConfigError(s) for whatever the devices cannot do or were not found to be."""
    site = loaded.site
    findings = list(undiscovered(site, found))
    if findings:
        raise together(loaded, findings)
    plans = {device.name: plan_of(site, device, found) for device in site.devices}
    findings = [*incapable(site, plans), *told_twice(site, plans), *beyond_ratings(site, found), *unreadable(site, plans), *too_many(plans)]
    if findings:
        raise together(loaded, findings)
    config = core.new_config()
    fill(config[0], site, plans)
    words = names(loaded)
    fields = marks(config[0], words)
    words |= {"identity": identity(fields), "marks": fields}
    content = core.pack(config.tobytes(), words)
    return Sealing(content, core.unpack(content).digest, words, plans)


def plan_of(site: Site, device: Device, found: dict[str, FoundDevice]) -> DevicePlan:
    """What the loop knows about one device."""
    if device.kind == "io":
        places = ((index, entry.modbus, entry.closed_is) for index, entry in enumerate(site.inputs))
        plan = compile_inputs(
            Contact(index, at.table, at.address, at.bit, closed)
            for index, at, closed in places
            if at is not None and at.device == device.name
        )
        shed = site.pcc.load_shed
        return plan if shed is None or shed.device != device.name else replace(plan, writes=(write_of(shed),))
    return compile_device(site.profile(device), role_of(site, device.name), found[device.name], site.battery_profile(device))


def role_of(site: Site, name: str) -> Role:
    """What a device is to the plant."""
    device = site.device(name)
    assert device is not None
    return Role(
        kind=device.kind,
        battery=any(unit.pcs == name and unit.bms is None for unit in site.units),
        dc_positive=device.dc_positive,
        meter_positive=device.meter_positive,
        check_serial=device.serial == "checked",
        reactive=site.loop.priority if reactive(site) else "",
        word_order=device.word_order,
    )


def undiscovered(site: Site, found: dict[str, FoundDevice]) -> Iterator[Finding]:
    """Devices nobody looked at, or that are not of their kind."""
    for index, device in enumerate(site.devices):
        at: Path = ("devices", index)
        if device.kind == "io":
            continue
        record = found.get(device.name)
        if record is None:
            yield at, f"device {device.name!r} was not discovered yet; run `bessctl discover --into SITE` with it online"
            continue
        if record.modbus_id != device.modbus_id:
            yield (
                (*at, "modbus_id"),
                f"{device.name!r} was discovered with id {record.modbus_id}, here it is {device.modbus_id}; discover it again",
            )
        profile, battery = site.profile(device), site.battery_profile(device)
        if record.profile not in {"", profile.profile} or (profile.map == "registers" and not record.profile):
            yield at, f"{device.name!r} was not looked at with its profile {profile.profile!r}; discover it again"
            continue
        needed: list[Models] = [*profile.needs_models, *(battery.needs_models if battery else ())]
        lacks = [" or ".join(map(str, At(model=models).models())) for models in needed if record.find(*At(model=models).models()) is None]
        if lacks:
            has = ", ".join(str(model.id) for model in record.models)
            yield at, f"{device.name!r} has no SunSpec model {', '.join(lacks)} (it has {has}); wrong id, or no {device.kind} we can drive"


def incapable(site: Site, plans: dict[str, DevicePlan]) -> Iterator[Finding]:
    """Points the devices do not implement and the site needs (R5)."""
    for index, unit in enumerate(site.units):
        pcs = plans[unit.pcs]
        if "ac_w" not in pcs.quantities():
            yield ("units", index, "pcs"), f"{unit.pcs!r} does not measure AC power (ac_w); nothing can be controlled without it"
        if not pcs.has("setpoint"):
            yield ("units", index, "pcs"), f"{unit.pcs!r} takes no set point as its profile writes it; it cannot be driven"
        if not pcs.has("var") and reactive(site):
            yield (
                ("units", index, "pcs"),
                f"{unit.pcs!r} takes no var, by its profile; take the scope reactive from all sources, or use a PCS that does",
            )
    for index, device in enumerate(site.devices):
        if device.kind != "io" and device.heartbeat == "required" and not plans[device.name].heartbeat:
            point = _points_for(site, site.profile(device).heartbeat or "heartbeat")
            yield ("devices", index), f"{device.name!r} has no {point}; set heartbeat: none if it really counts no seconds (R4)"
    if site.pcc.phase_max_a is not None and site.pcc.meter is not None:
        measured = plans[site.pcc.meter].quantities()
        lacks = [f"pcc_l{phase}_{what}" for phase in (1, 2, 3) for what in "wva" if f"pcc_l{phase}_{what}" not in measured]
        if lacks:
            points = ", ".join(_points_for(site, quantity) for quantity in lacks)
            yield ("pcc", "phase_max_a"), f"{site.pcc.meter!r} does not measure {points}; take the limit out or use a meter that does"
    yield from _rows_without_points(site, plans)


def _rows_without_points(site: Site, plans: dict[str, DevicePlan]) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for row in expanded(site):
        for either in lacking(row.quantity, _measured(site, plans, row) | NOT_MEASURED):
            quantity = " or ".join(either)
            if (row.kind.name, quantity) in told:
                continue
            told.add((row.kind.name, quantity))
            where = "the plant" if row.unit is None else site.units[row.unit].name
            points = " or ".join(_points_for(site, each) for each in quantity.replace(" and ", " or ").split(" or "))
            yield (
                ("protection", row.kind.name),
                (
                    f"no device of {where} measures {quantity} ({points}); "
                    f"write {row.kind.name}: {{disabled: the reason}} if this site is safe without it (R5)"
                ),
            )
        if row.action == "open" and row.unit is not None and not _opens(site, plans, row.unit):
            yield (
                ("protection", row.kind.name, row.tier_name, "action"),
                "the BMS takes no order to open, by its profile; use standby or zero",
            )


def told_twice(site: Site, plans: dict[str, DevicePlan]) -> Iterator[Finding]:
    """A quantity that the PCS brings beside the BMS: the later one would win, and the other one's silence would never be seen."""
    for index, unit in enumerate(site.units):
        twice = sorted(plans[unit.pcs].quantities() & plans[unit.bms].quantities()) if unit.bms is not None else []
        if twice:
            yield (
                ("units", index, "bms"),
                (
                    f"{unit.pcs!r} and {unit.bms!r} both bring {', '.join(twice)}; mark the points of the PCS with battery: true in its "
                    "profile, or take the BMS out"
                ),
            )


def _measured(site: Site, plans: dict[str, DevicePlan], row: SealedRow) -> set[str]:
    devices = [site.pcc.meter] if row.unit is None else [site.units[row.unit].pcs, site.units[row.unit].bms]
    return set().union(*(plans[name].quantities() for name in devices if name is not None))


def _opens(site: Site, plans: dict[str, DevicePlan], unit: int) -> bool:
    return plans[site.units[unit].bms or site.units[unit].pcs].has("open")


def _points_for(site: Site, quantity: str) -> str:
    """Where the profiles of this site look for a quantity."""
    rules = [point for device in site.devices if device.kind != "io" for point in site.profile(device).points if point.quantity == quantity]
    places = [f"{'/'.join(map(str, p.models()))} {p.name}" if p.models() else f"register {p.register_}" for p in rules]
    return " or ".join(dict.fromkeys(places)) or ("heartbeat" if quantity == "heartbeat" else "no profile here has it")


def beyond_ratings(site: Site, found: dict[str, FoundDevice]) -> Iterator[Finding]:
    """Ratings of the site above what the PCS states about itself."""
    for index, unit in enumerate(site.units):
        device = site.device(unit.pcs)
        assert device is not None
        for rule in site.profile(device).ratings:
            model = found[unit.pcs].find(*rule.models())
            rating = next((model.ratings[name] for name in rule.names if name in model.ratings), None) if model else None
            if rating is not None and (getattr(unit, rule.key) or 0.0) > rating:
                yield (
                    ("units", index, rule.key),
                    f"{getattr(unit, rule.key):g} is beyond what {unit.pcs!r} states as its rating, {rating:g}; lower it",
                )


def unreadable(site: Site, plans: dict[str, DevicePlan]) -> Iterator[Finding]:
    """Requests no Modbus device may answer."""
    for index, device in enumerate(site.devices):
        for read in plans[device.name].reads:
            if not 0 < read.count <= (2000 if read.function <= READ_BITS else 125) or read.address + read.count > 65536:
                yield (
                    ("devices", index),
                    f"{device.name!r}: {read.count} registers from {read.address} are no valid request; discover it again",
                )


def too_many(plans: dict[str, DevicePlan]) -> Iterator[Finding]:
    """More than the layout holds."""
    for key, count in counted(plans.values()).items():
        if count > core.LIMITS[key]:
            yield ("devices",), f"{count} {key} over all devices; allowed: at most {core.LIMITS[key]}; split the site"


def supervisor_uid(loaded: LoadedSite) -> int:
    """The account that may write plans."""
    user = loaded.site.supervisor.user
    if user is None:
        return os.getuid()
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise loaded.error(("supervisor", "user"), f"this machine has no user {user!r}; create it or name another") from None


def names(loaded: LoadedSite) -> dict[str, Any]:
    """What the numbers in the structure are called, and where the loop finds its folders."""
    site = loaded.site
    units = [unit.name for unit in site.units]
    rows = [
        {
            "name": row.name,
            "unit": "" if row.unit is None else units[row.unit],
            "quantity": row.quantity,
            "tier": row.tier_name,
            "action": row.action,
            **({"bits": [[bit.bit, bit.name] for bit in row.bits]} if row.bits else {}),
        }
        for row in expanded(site)
    ]
    return {
        "site": site.site,
        "units": units,
        "slots": [source.name for source in site.sources],
        "rows": rows,
        "devices": [device.name for device in site.devices],
        "buses": [bus.name for bus in site.buses],
        "links": [link_of(site, bus) for bus in site.buses],
        "paths": {"state_dir": str(loaded.state_dir), "run_dir": str(loaded.run_dir)},
        "supervisor_uid": supervisor_uid(loaded),
    }


def link_of(site: Site, bus: Bus) -> dict[str, Any]:
    """Where a bus leads, and whether nobody else may look there while the loop runs: a serial line, or a device of one session."""
    alone = any(site.profile(d).bus.one_session for d in site.devices if d.bus == bus.name and d.kind != "io")
    if bus.tcp is not None:
        return {"host": bus.tcp.host, "port": bus.tcp.port, "alone": alone}
    assert bus.rtu is not None
    return {"path": bus.rtu.device, "alone": True}


def write(loaded: LoadedSite, sealing: Sealing) -> None:
    """Put the sealed file in its place. Raises ConfigError with the path when the folder refuses."""
    try:
        core.store(str(loaded.sealed_file), sealing.content)
    except OSError as e:
        raise ConfigError(str(loaded.sealed_file), f"cannot be written: {e.strerror or e}; seal as the owner of that folder") from e
