"""Contradictions at the connection point: what it carries against what the site's sources, loads and PCSs may do there. Pure.

Safe values are what flows while nobody controls: the loop dead, every lease over. They are judged together, because the connection
carries their sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from bessctl.config import estimate
from bessctl.config.loop import Unit
from bessctl.config.places import Findings
from bessctl.config.site import Site

# Key of pcc, what adds to it without us, and a unit's rating in that direction.
SIDES = (("import_max_w", "load_max_w", "charge_max_w"), ("export_max_w", "pv_max_w", "discharge_max_w"))


def connection_point(site: Site) -> Findings:
    """Limits at the connection are kept by a meter or not at all."""
    if site.pcc.meter is None:
        for key in ("import_max_w", "export_max_w", "phase_max_a"):
            if getattr(site.pcc, key) is not None:
                yield ("pcc", key), "a limit at the connection needs its meter; name it as pcc.meter or take the limit out"


def defaults(site: Site) -> Findings:
    """R7: what holds without a plan must fit the connection, and each other."""
    for index, source in enumerate(site.sources):
        for key in ("pcc_lo_w", "pcc_hi_w"):
            value = getattr(source.default_limits, key)
            for limit_key, limit, beyond in _sides_passed(site, value):
                yield (
                    ("sources", index, "default_limits", key),
                    f"{value:g} is beyond pcc.{limit_key} {limit:g}: the connection does not carry it; {beyond} it",
                )
    for (_, first), (index, second) in combinations(enumerate(site.sources), 2):
        for low, high in ((first, second), (second, first)):
            lo, hi = low.default_limits.pcc_lo_w, high.default_limits.pcc_hi_w
            if lo is not None and hi is not None and lo > hi:
                yield (
                    ("sources", index, "default_limits"),
                    f"pcc_lo_w {lo:g} of {low.name!r} and pcc_hi_w {hi:g} of {high.name!r} exclude each other; nothing meets both, "
                    "move one",
                )


def _sides_passed(site: Site, value: float | None) -> Iterator[tuple[str, float, str]]:
    held_in, held_out = site.pcc.import_max_w, site.pcc.export_max_w
    if value is not None and held_in is not None and value < -held_in:
        yield "import_max_w", held_in, "raise"
    if value is not None and held_out is not None and value > held_out:
        yield "export_max_w", held_out, "lower"


def meter_ages(site: Site) -> Findings:
    """R4 and R10: three chances to come again before a sample is stale, and a hold that begins after that."""
    meter, pcc = site.device(site.pcc.meter), site.pcc
    if meter is None or pcc.meter_data_age_s is None:
        return
    refresh = estimate.refresh_s(site, meter, "fast")
    if pcc.meter_data_age_s < 3 * refresh:
        yield ("pcc", "meter_data_age_s"), estimate.too_young(site, pcc.meter_data_age_s, meter, refresh)
    if pcc.meter_data_age_s > pcc.meter_hold_s:
        yield (
            ("pcc", "meter_data_age_s"),
            f"{pcc.meter_data_age_s:g} is above meter_hold_s {pcc.meter_hold_s:g}: nothing would be held; shorten it or hold longer",
        )


def serves_itself(site: Site, unit: Unit) -> bool:
    """Its PCS goes back to its own control, not to 0 W, when nobody commands it any more."""
    pcs = site.device(unit.pcs)
    dog = None if pcs is None else site.profile(pcs).commands.watchdog
    return dog is not None and dog.falls_to == "own_control"


def safe_values(site: Site) -> Findings:
    """R11: every PCS goes to 0 W by itself, or the site says why it may do something else; the connection carries the sum."""
    for index, unit in enumerate(site.units):
        own = serves_itself(site, unit)
        if own and unit.own_control is None:
            yield (
                ("units", index, "pcs"),
                f"without us {unit.pcs!r} goes back to its own control, by its profile, and not to 0 W (R11); "
                "use a PCS that does, or state own_control: the reason why that is safe here",
            )
        elif own and len(site.units) > 1:
            yield (
                ("units", index, "own_control"),
                "only for a site of one unit: what it gives while it is silent nobody could count for the others (R9); use another PCS",
            )
        elif not own and unit.own_control is not None:
            yield ("units", index, "own_control"), f"{unit.pcs!r} goes to 0 W without us, by its profile; take the key out"
    yield from _sum(site)


def _sum(site: Site) -> Findings:
    exceeded = False
    own = [unit for unit in site.units if serves_itself(site, unit)]
    for key, alone_key, rating in SIDES:
        held, stated = getattr(site.pcc, key), getattr(site.pcc, alone_key)
        if held is not None and own and stated is None:
            yield ("pcc", key), f"what flows beside {own[0].name} under its own control is not known; state {alone_key} (R11)"
            continue
        alone = stated or 0.0
        theirs = sum(getattr(unit, rating) for unit in own)
        if held is None or alone + theirs <= held:
            continue
        exceeded = True
        if site.pcc.unheld is None:
            also = f" and {theirs:g} W of {', '.join(unit.name for unit in own)} under its own control" if own else ""
            yield (
                ("pcc", key),
                f"{held:g} is below what may flow while nobody controls: {alone_key} {alone:g}{also}; "
                "correct the values, or state unheld: what protects the connection then",
            )
    if site.pcc.unheld is not None and not exceeded:
        yield ("pcc", "unheld"), "the connection carries all that may flow while nobody controls; take the key out"
