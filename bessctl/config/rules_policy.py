"""Contradictions in section `policy`, and between it, the slot table and the plant. Each finding names its key. Pure."""

from __future__ import annotations

from collections.abc import Callable

from bessctl.config.explain import nearest
from bessctl.config.places import Findings, Path
from bessctl.config.policy import Policy, When
from bessctl.config.site import Site
from bessctl.errors import UsageError
from bessctl.policy.schedule import moment
from bessctl.policy.zones import zone


def policies(site: Site) -> Findings:
    """The planner fits its slot and its plant."""
    policy = site.policy
    if policy is None:
        return
    for check in (_slot, _connection, _bands, _forces, _asking):
        for path, message in check(site, policy):
            yield ("policy", *path), message
    yield from _fails(("policy", "time_zone"), lambda: zone(policy.time_zone))


def _fails(path: Path, call: Callable[[], object]) -> Findings:
    try:
        call()
    except UsageError as e:
        yield path, str(e)


def _slot(site: Site, policy: Policy) -> Findings:
    names = [source.name for source in site.sources]
    slot = next((source for source in site.sources if source.name == policy.source), None)
    if slot is None:
        yield ("source",), f"there is no source {policy.source!r}; {nearest(policy.source, names)}"
        return
    if slot.name in site.owners:
        yield ("source",), f"source {slot.name!r} is written by {site.owners[slot.name]}; give the policy one of its own"
    if "ess" not in slot.scopes:
        yield ("source",), f"source {slot.name!r} may not use scope ess; add it to its scopes"
    if policy.lease_s > slot.lease_max_s:
        yield ("lease_s",), f"{policy.lease_s:g} is above lease_max_s {slot.lease_max_s:g} of source {slot.name!r}; shorten it"
    if policy.lease_s < 2 * policy.replan_s:
        yield ("lease_s",), f"{policy.lease_s:g} is below 2 times replan_s {policy.replan_s:g}: a plan would lapse between two; lengthen it"
    if policy.self_consumption and "pcc" not in slot.scopes:
        yield ("self_consumption",), f"needs scope pcc, which source {slot.name!r} has not; add it to its scopes"
    if policy.peak_shaving is not None and ("pcc" not in slot.scopes or slot.may_force not in {"discharge", "both"}):
        yield (
            ("peak_shaving",),
            f"needs source {slot.name!r} to have scope pcc and may_force: discharge, to move power away from 0; add them",
        )


def _connection(site: Site, policy: Policy) -> Findings:
    if policy.other_devices and site.pcc.import_max_w is None and site.pcc.export_max_w is None:
        yield (
            ("other_devices",),
            "priorities share what the connection may carry: state pcc.import_max_w or pcc.export_max_w",
        )
    if policy.peak_shaving is not None and site.pcc.meter is None:
        yield ("peak_shaving",), "needs the meter at the connection point; name it as pcc.meter"
    if policy.peak_shaving is not None and site.pcc.import_max_w is not None and policy.peak_shaving.import_max_w > site.pcc.import_max_w:
        most = site.pcc.import_max_w
        yield ("peak_shaving", "import_max_w"), f"{policy.peak_shaving.import_max_w:g} is above pcc.import_max_w {most:g}; lower it"


def _bands(site: Site, policy: Policy) -> Findings:
    names = [band.name for band in policy.bands] + [force.name for force in policy.forces]
    for index, band in enumerate(policy.bands):
        at: Path = ("bands", index)
        if names.count(band.name) > 1:
            yield (*at, "name"), f"{band.name!r} is the name of another policy too; give each its own"
        if band.minimum_pct > band.maximum_pct:
            yield (*at, "minimum_pct"), f"{band.minimum_pct:g} is above maximum_pct {band.maximum_pct:g}; lower it"
        if band.maximum_pct < policy.reserve_pct:
            yield (*at, "maximum_pct"), f"{band.maximum_pct:g} is below reserve_pct {policy.reserve_pct:g}: it can never be met; raise it"
        yield from _when((*at, "at"), band.at)


def _forces(site: Site, policy: Policy) -> Findings:
    discharge, charge = (sum(getattr(unit, key) for unit in site.units) for key in ("discharge_max_w", "charge_max_w"))
    names = [force.name for force in policy.forces]
    for index, force in enumerate(policy.forces):
        if names.index(force.name) != index:
            yield ("forces", index, "name"), f"{force.name!r} stands already in forces[{names.index(force.name)}]; give each its own"
        if not -charge <= force.power_w <= discharge:
            yield ("forces", index, "power_w"), f"{force.power_w:g} is beyond the units' {-charge:g} to {discharge:g} W; correct it"
        yield from _when(("forces", index, "at"), force.at)


def _asking(site: Site, policy: Policy) -> Findings:
    peers = site.oscp.peers if site.oscp is not None else []
    if policy.ask_capacity != "off" and not any("cp" in peer.roles and peer.adjust != "off" for peer in peers):
        yield ("ask_capacity",), f"{policy.ask_capacity}, and no capacity provider may be asked; set adjust in oscp.peers, or off here"


def _when(at: Path, when: When) -> Findings:
    if (when.once is None) == (when.weekly is None):
        yield at, "needs exactly one of once and weekly; state when, once"
    for index, text in enumerate(when.once or []):
        yield from _fails((*at, "once", index), lambda text=text: moment(text))  # type: ignore[misc]
    if when.weekly is not None:
        name = when.weekly.time_zone
        yield from _fails((*at, "weekly", "time_zone"), lambda: zone(name))
