"""Contradictions between sections: what each key alone allows and the whole cannot. Each finding names its key. Pure.

The rows of the protection table have their own module; R numbers are the design's rules.
"""

from __future__ import annotations

from collections.abc import Iterable

from bessctl.config import estimate
from bessctl.config.explain import nearest
from bessctl.config.load_shed import load_shed
from bessctl.config.places import Findings, Path
from bessctl.config.rows import expanded
from bessctl.config.rules_connection import connection_point, defaults, meter_ages, safe_values
from bessctl.config.rules_inputs import inputs
from bessctl.config.rules_mqtt import telemetry
from bessctl.config.rules_oscp import provider
from bessctl.config.rules_policy import policies
from bessctl.config.rules_protection import protection
from bessctl.config.rules_sep2 import utility
from bessctl.config.site import Site
from bessctl.config.sources import Source
from bessctl.corelink.seal import LIMITS


def findings(site: Site) -> Findings:
    """Everything that contradicts; sections that refer to each other are judged only when the references hold."""
    for rule in (maxima, names, wiring):
        yield from rule(site)
    broken = list(references(site))
    yield from broken
    for rule in (sources, defaults, connection_point, load_shed, inputs, links, provider, telemetry, utility, policies):
        yield from rule(site)
    if not broken:
        yield from rows_fit(site)
        yield from units(site)
        yield from meter_ages(site)
        yield from safe_values(site)
        yield from protection(site)


def maxima(site: Site) -> Findings:
    """No more of anything than the layout holds."""
    counts = (("buses", len(site.buses)), ("devices", len(site.devices)), ("units", len(site.units)))
    for key, count in (*counts, ("sources", len(site.sources))):
        most = LIMITS["slots" if key == "sources" else key]
        if count > most:
            yield (key,), f"{count} entries; allowed: at most {most}; split the site"


def rows_fit(site: Site) -> Findings:
    """The same for the protection table as the loop runs it."""
    rows = len(expanded(site))
    if rows > LIMITS["rows"]:
        yield ("protection",), f"{rows} rows over all units; allowed: at most {LIMITS['rows']}; use fewer tiers or split the site"


def names(site: Site) -> Findings:
    """Every name once."""
    for key, entries in (("buses", site.buses), ("devices", site.devices), ("units", site.units), ("sources", site.sources)):
        yield from _once(key, "name", ((e.name, e.name) for e in entries))
    if site.ocpp is not None:
        yield from _once("ocpp", "name", ((link.name, link.name) for link in site.ocpp.links), ("ocpp", "links"))
    yield from _once("sources", "priority", ((s.priority, f"priority {s.priority}") for s in site.sources))


def _once(key: str, field: str, values: Iterable[tuple[object, str]], at: Path | None = None) -> Findings:
    seen: dict[object, int] = {}
    for index, (value, shown) in enumerate(values):
        if value in seen:
            yield (*(at or (key,)), index, field), f"{shown!r} stands already in {key}[{seen[value]}]; give each its own"
        seen.setdefault(value, index)


def wiring(site: Site) -> Findings:
    """One way to reach a bus, one bus per address, one device per Modbus id."""
    seen: dict[object, str] = {}
    for index, bus in enumerate(site.buses):
        if (bus.tcp is None) == (bus.rtu is None):
            yield ("buses", index), "needs exactly one of tcp and rtu; state how the bus is reached, once"
            continue
        address = (bus.tcp.host, bus.tcp.port) if bus.tcp else bus.rtu.device if bus.rtu else None
        if address in seen:
            yield ("buses", index), f"reaches the same place as bus {seen[address]!r}; put their devices on one bus"
        seen.setdefault(address, bus.name)
    yield from _modbus_ids(site)
    for index, device in enumerate(site.devices):
        if device.pipelined and any(bus.name == device.bus and bus.rtu is not None for bus in site.buses):
            yield ("devices", index, "pipelined"), "a serial line carries one question at a time; take the key out"


def _modbus_ids(site: Site) -> Findings:
    taken: dict[tuple[str, int], str] = {}
    for index, device in enumerate(site.devices):
        other = taken.setdefault((device.bus, device.modbus_id), device.name)
        if other != device.name:
            yield (
                ("devices", index, "modbus_id"),
                f"{device.modbus_id} on bus {device.bus!r} is {other!r} already; give each device its own",
            )


def references(site: Site) -> Findings:
    """Names that must name something, of the right kind; each device serves once."""
    buses = [bus.name for bus in site.buses]
    for index, device in enumerate(site.devices):
        if device.bus not in buses:
            yield ("devices", index, "bus"), f"there is no bus {device.bus!r}; {nearest(device.bus, buses)}"
    used: dict[str, str] = {}
    wanted: list[tuple[Path, str | None, str, str]] = [(("pcc", "meter"), site.pcc.meter, "meter", "pcc")]
    for index, unit in enumerate(site.units):
        wanted += [(("units", index, "pcs"), unit.pcs, "pcs", unit.name), (("units", index, "bms"), unit.bms, "bms", unit.name)]
    for path, name, kind, user in wanted:
        if name is not None:
            yield from _reference(site, path, name, kind)
            if name in used:
                yield path, f"device {name!r} serves {used[name]} already; each device serves once"
            used.setdefault(name, user)
    used |= {entry.modbus.device: "inputs" for entry in site.inputs if entry.modbus is not None}
    used |= {site.pcc.load_shed.device: "pcc"} if site.pcc.load_shed is not None else {}
    for index, device in enumerate(site.devices):
        if device.name not in used:
            yield ("devices", index, "name"), f"nothing uses device {device.name!r}; name it in units or pcc, or take it out"


def _reference(site: Site, path: Path, name: str, kind: str) -> Findings:
    device = site.device(name)
    if device is None:
        yield path, f"there is no device {name!r}; {nearest(name, [d.name for d in site.devices])}"
    elif device.kind != kind:
        yield path, f"device {name!r} is a {device.kind}, wanted: a {kind}; name another or correct its kind"


def sources(site: Site) -> Findings:
    """The slot table: R3 (force), R7 (required), lapse rules, limits that can be met."""
    discharge = sum(unit.discharge_max_w for unit in site.units)
    charge = sum(unit.charge_max_w for unit in site.units)
    for index, source in enumerate(site.sources):
        for check in (_required, _scopes, _lapse):
            for path, message in check(site, source):
                yield ("sources", index, *path), message
        limits = source.default_limits
        if limits.ess_hi_w is not None and limits.ess_hi_w > discharge:
            yield ("sources", index, "default_limits", "ess_hi_w"), f"{limits.ess_hi_w:g} is beyond the units' {discharge:g} W; lower it"
        if limits.ess_lo_w is not None and -limits.ess_lo_w > charge:
            yield ("sources", index, "default_limits", "ess_lo_w"), f"{limits.ess_lo_w:g} is beyond the units' {-charge:g} W; raise it"


def _required(site: Site, source: Source) -> Findings:
    if source.required and not source.default_limits.model_dump(exclude_none=True):
        yield ("required",), "a required source needs default_limits for the time before its first plan (R7); state them"
    if source.required and source.advisory:
        yield ("advisory",), "a required source cannot be advisory: its limits hold until a plan replaces them; drop one of the two"


def _scopes(site: Site, source: Source) -> Findings:
    limits = source.default_limits
    pcc = limits.pcc_lo_w is not None or limits.pcc_hi_w is not None
    if "pcc" in source.scopes and site.pcc.meter is None:
        yield ("scopes",), "scope pcc needs a meter at the connection point; name it as pcc.meter or leave pcc out"
    if pcc and "pcc" not in source.scopes:
        yield ("default_limits",), "pcc limits, but scopes has no pcc; add it or take them out"
    if limits.pcc_lo_w is not None and limits.pcc_hi_w is not None and limits.pcc_lo_w > limits.pcc_hi_w:
        yield ("default_limits", "pcc_lo_w"), f"{limits.pcc_lo_w:g} is above pcc_hi_w {limits.pcc_hi_w:g}; lower it"
    if source.may_force != "none" and "pcc" not in source.scopes:
        yield ("may_force",), "only a pcc limit can force power, and scopes has no pcc; set none or add the scope"
    if (limits.ess_lo_w is not None or limits.ess_hi_w is not None) and "ess" not in source.scopes:
        yield ("default_limits",), "ess limits, but scopes has no ess; add it or take them out"


def _lapse(site: Site, source: Source) -> Findings:
    if source.advisory and source.class_ != "market":
        yield ("advisory",), f"limits of class {source.class_} never widen by lapsing; only class market may be advisory"


def units(site: Site) -> Findings:
    """Ratings, R4 and R11 per unit."""
    for index, unit in enumerate(site.units):
        powers = (
            ("discharge_max_w", unit.discharge_max_w),
            ("charge_max_w", unit.charge_max_w),
            ("reactive_max_var", unit.reactive_max_var or 0.0),
        )
        for key, watts in powers:
            if watts > unit.apparent_max_va:
                yield ("units", index, key), f"{watts:g} is beyond apparent_max_va {unit.apparent_max_va:g}; lower it or correct the rating"
        yield from _least(site, index)
        seconds = estimate.uncontrolled_s(unit)
        if seconds > site.loop.max_uncontrolled_s:
            yield (
                ("units", index, "reversion_s"),
                (
                    f"with the loop dead this PCS runs on for {seconds:g} s (1.5 x reversion_s + ramp_to_zero_s), allowed: "
                    f"loop.max_uncontrolled_s {site.loop.max_uncontrolled_s:g} s (R11); shorten reversion_s"
                ),
            )
        yield from _ages(site, index)


def _least(site: Site, index: int) -> Findings:
    """The smallest power that is ever commanded must be one the unit can give."""
    unit = site.units[index]
    pcs = site.device(unit.pcs)
    most = min(unit.discharge_max_w, unit.charge_max_w)
    if site.loop.min_power_w >= most:
        yield ("loop", "min_power_w"), f"{site.loop.min_power_w:g} leaves {unit.name} of {most:g} W nothing to give; lower it"
    setpoint = None if pcs is None else site.profile(pcs).commands.setpoint
    if setpoint is not None and setpoint.wears is not None and setpoint.wears.step_w > most:
        yield (
            ("units", index, "pcs"),
            f"the set point of {unit.pcs!r} moves in steps of {setpoint.wears.step_w:g} W, by its profile, the unit gives {most:g} W; "
            "make wears.step_w smaller",
        )


def _ages(site: Site, index: int) -> Findings:
    unit = site.units[index]
    for device in (site.device(unit.pcs), site.device(unit.bms)):
        if device is None:
            continue
        refresh = estimate.refresh_s(site, device, "fast")
        if unit.data_age_s < 3 * refresh:
            yield ("units", index, "data_age_s"), estimate.too_young(site, unit.data_age_s, device, refresh)
        confirmed = estimate.read_back_s(site, device)
        if device.kind == "pcs" and unit.confirm_s < 1.5 * confirmed:
            yield (
                ("units", index, "confirm_s"),
                (
                    f"{unit.confirm_s:g} leaves no time for a read-back of {device.name!r}, one each {confirmed:.3g} s; "
                    f"allowed: from {1.5 * confirmed:.3g}; raise it"
                ),
            )
        beat = estimate.refresh_s(site, device, "state") if device.kind == "pcs" else refresh
        if device.heartbeat == "required" and site.loop.frozen_s < 1.0 + 2 * beat:
            yield (
                ("loop", "frozen_s"),
                (
                    f"{site.loop.frozen_s:g} is below one heartbeat and two reads of {device.name!r}; "
                    f"allowed: from {1 + 2 * beat:.2g}; {estimate.remedy(site, device)}"
                ),
            )


def links(site: Site) -> Findings:
    """The OCPP station fits its slot and its plant."""
    if site.ocpp is None:
        return
    slot = next((source for source in site.sources if source.name == site.ocpp.source), None)
    if slot is None:
        yield ("ocpp", "source"), f"there is no source {site.ocpp.source!r}; {nearest(site.ocpp.source, [s.name for s in site.sources])}"
    discharge = sum(unit.discharge_max_w for unit in site.units)
    for index, link in enumerate(site.ocpp.links):
        at: Path = ("ocpp", "links", index)
        if link.url.startswith("ws://") and not link.allow_plain:
            yield (*at, "url"), f"{link.url!r} is not encrypted; use wss:// or set allow_plain: true"
        for key, (lo, hi) in (("heartbeat_range_s", link.heartbeat_range_s), ("sample_range_s", link.sample_range_s)):
            if lo > hi:
                yield (*at, key), f"[{lo}, {hi}] runs backwards; write the lower bound first"
        if slot is not None and link.lease_s > slot.lease_max_s:
            yield (*at, "lease_s"), f"{link.lease_s:g} is above lease_max_s {slot.lease_max_s:g} of source {slot.name!r}; shorten it"
        if link.remote_start_w > discharge:
            yield (*at, "remote_start_w"), f"{link.remote_start_w:g} is beyond the units' {discharge:g} W; lower it"
