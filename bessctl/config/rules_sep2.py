"""Contradictions in section `sep2`, and between it and the slot table. Each finding names its key. Pure."""

from __future__ import annotations

from bessctl.config.explain import nearest
from bessctl.config.places import Findings
from bessctl.config.site import Site
from bessctl.config.sources import Source

AUS_MODES = {"export", "import", "generation", "load"}


def utility(site: Site) -> Findings:
    """The client fits its slot, its plant and its profile."""
    sep2 = site.sep2
    if sep2 is None:
        return
    slot = next((source for source in site.sources if source.name == sep2.source), None)
    if slot is None:
        yield ("sep2", "source"), f"there is no source {sep2.source!r}; {nearest(sep2.source, [s.name for s in site.sources])}"
    else:
        yield from _slot(site, slot)
    if sep2.profile == "wattsmart" and len(site.units) != 1:
        # SEP2-9
        yield ("sep2", "profile"), f"wattsmart tells of one battery inverter, never an aggregate; this site has {len(site.units)} units"
    if sep2.pin is not None and sum(map(int, str(sep2.pin))) % 10:
        yield ("sep2", "pin"), f"{sep2.pin:06d} has a wrong check digit; write all six digits as the utility gave them"
    if sep2.profile != "csipaus":
        for index, mode in enumerate(sep2.disabled_modes):
            if mode in AUS_MODES:
                yield ("sep2", "disabled_modes", index), f"{mode!r} belongs to profile csipaus; take it out"
    yield from _ratings(site)


def _slot(site: Site, slot: Source) -> Findings:
    sep2 = site.sep2
    assert sep2 is not None
    owners = {"ocpp": site.ocpp.source if site.ocpp else None}
    for owner, source in owners.items():
        if source == slot.name:
            yield ("sep2", "source"), f"source {slot.name!r} is written by {owner}; give each its own"
    if site.oscp is not None and slot.name in site.oscp.sources:
        yield ("sep2", "source"), f"source {slot.name!r} is written by oscp; give each its own"
    if sep2.lease_s > slot.lease_max_s:
        yield ("sep2", "lease_s"), f"{sep2.lease_s:g} is above lease_max_s {slot.lease_max_s:g} of source {slot.name!r}; shorten it"
    needed = ["ess", "pcc"] if sep2.profile == "csipaus" else ["ess"]
    missing = [scope for scope in needed if scope not in slot.scopes]
    if missing:
        yield ("sep2", "source"), f"profile {sep2.profile} needs scope {' and '.join(missing)} in source {slot.name!r}; add it there"


def _ratings(site: Site) -> Findings:
    sep2 = site.sep2
    assert sep2 is not None
    discharge, charge = sum(u.discharge_max_w for u in site.units), sum(u.charge_max_w for u in site.units)
    for key, value, most in (
        ("discharge_w", sep2.ratings.discharge_w, discharge),
        ("charge_w", sep2.ratings.charge_w, charge),
    ):
        if value is not None and value > most:
            yield ("sep2", "ratings", key), f"{value:g} is beyond the units' {most:g} W; lower it"
    if sep2.ratings.max_wh is None and any(unit.capacity_wh is None for unit in site.units):
        yield ("sep2", "ratings"), "rtgMaxWh cannot be told: a unit has no capacity_wh; state it there or max_wh here"
