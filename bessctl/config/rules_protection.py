"""Contradictions in the protection table. Each finding names its key and, where data is missing by R14, the row. Pure."""

from __future__ import annotations

from itertools import pairwise

from bessctl.config import estimate
from bessctl.config.alarms import Alarms, bits_of
from bessctl.config.catalogue import BY_NAME, KINDS, Kind
from bessctl.config.explain import nearest
from bessctl.config.loop import Unit
from bessctl.config.places import Findings, Path
from bessctl.config.protection import Derate, Row, Trip
from bessctl.config.rows import ALARMS, TierOf
from bessctl.config.site import Site

CURRENT_WITHIN_MS = 100.0

# Rows of one quantity that leave a band between them.
BANDS = tuple(
    (f"{what}_low{way}", f"{what}_high{way}")
    for what, ways in (
        ("cell_v", ("",)), ("pack_v", ("",)), ("soc", ("",)), ("ac_v", ("",)), ("ac_hz", ("",)),
        ("cell_temp", ("", "_charge", "_discharge")), ("pcs_temp", ("", "_charge", "_discharge")),
    )
    for way in ways
)  # fmt: skip


def protection(site: Site) -> Findings:
    """All rules of the table."""
    rows = dict(site.protection.rows())
    yield from _missing(site, rows)
    for name, row in rows.items():
        kind = BY_NAME[name]
        if row.disabled is not None:
            if row.tiers():
                yield ("protection", name, "disabled"), "a disabled row has no tiers; take them out, or the reason"
            continue
        yield from _row(site, kind, row)
        for tier_name, tier in row.tiers():
            for key, message in (*_tier(site, kind, tier), *_action(site, kind, tier), *_in_time(site, kind, tier_name, tier)):
                yield ("protection", name, tier_name, *key), message
    yield from _alarms(site)
    yield from _bands(rows)
    yield from _connection(site, rows)
    yield from _lowest_voltage(site, rows)


def _missing(site: Site, rows: dict[str, Row]) -> Findings:
    for kind in KINDS:
        needed = bool(kind.needs) or (kind.name == "meter_data_age" and site.pcc.meter is not None)
        if needed and kind.name not in rows and not (kind.parts and all(part in rows for part in kind.parts)):
            yield (
                ("protection",),
                (
                    f"row {kind.name} is missing; its thresholds depend on pack and plant and have no default (R14); "
                    f"state them, or write {kind.name}: {{disabled: the reason}}"
                ),
            )
        if kind.name in rows and any(part in rows for part in kind.parts):
            yield ("protection", kind.name), f"stands beside {' or '.join(kind.parts)}; use either this row or those"
    if "meter_data_age" in rows and site.pcc.meter is None:
        yield ("protection", "meter_data_age"), "there is no pcc.meter; take the row out or name the meter"


def _row(site: Site, kind: Kind, row: Row) -> Findings:
    at: Path = ("protection", kind.name)
    tiers = row.tiers()
    if not tiers:
        yield at, "has no tier; state warn, derate or trip, or disabled with a reason"
    elif kind.needs and not any(name in kind.needs for name, _ in tiers):
        yield at, f"needs a tier {' or '.join(kind.needs)}: a warning alone protects nothing; add it, or disabled with a reason"
    order = [(name, pickup(kind, tier)) for name, tier in tiers]
    for (milder, first), (harder, second) in pairwise(order):
        if first is not None and second is not None and not _beyond(kind, second, first):
            yield (
                (*at, harder),
                (
                    f"picks up at {second:g}, {milder} at {first:g}; allowed: warn, derate, trip in this order, each further "
                    f"{'up' if kind.above else 'down'}; move one of them"
                ),
            )
    yield from _curve_within_trip(kind, row)


def pickup(kind: Kind, tier: TierOf) -> float | None:
    """Where a tier picks up: stated, or the healthy end of its curve."""
    if isinstance(tier, Derate) and tier.curve is not None:
        return tier.curve[0 if kind.above else -1][0]
    return tier.pickup


def _beyond(kind: Kind, value: float, other: float) -> bool:
    """Further on the dangerous side."""
    return value > other if kind.above else value < other


def _curve_within_trip(kind: Kind, row: Row) -> Findings:
    if row.derate is None or row.derate.curve is None or row.trip is None:
        return
    end = row.derate.curve[-1 if kind.above else 0][0]
    if _beyond(kind, end, row.trip.pickup):
        yield ("protection", kind.name, "derate", "curve"), f"ends at {end:g}, beyond the trip at {row.trip.pickup:g}; end it before"


def _tier(site: Site, kind: Kind, tier: TierOf) -> Findings:
    """One tier by itself; paths are relative to it."""
    key = f"pickup_{kind.suffix}"
    if kind.suffix == "state":
        return
    if isinstance(tier, Derate):
        yield from _derate(kind, tier)
    start = pickup(kind, tier)
    if start is None:
        return
    if not kind.lo <= start <= kind.hi:
        yield (key,), f"{start:g} makes no sense here; allowed: from {kind.lo:g} to {kind.hi:g}; correct it"
    side = "below" if kind.above else "above"
    if not _beyond(kind, start, tier.dropoff):
        yield (
            (f"dropoff_{kind.suffix}",),
            f"{tier.dropoff:g} is not {side} pickup {start:g}; a row lets go on the healthy side; move it {side}",
        )
    if tier.max_age_s is not None or kind.age_of:
        yield from _age(site, kind, tier, start)


def act_within_ms(kind: Kind, tier: TierOf) -> float | None:
    """The bound a row that acts must keep: stated, 100 ms for currents, else none."""
    return tier.act_within_ms or (CURRENT_WITHIN_MS if kind.suffix == "a" else None)


def _in_time(site: Site, kind: Kind, name: str, tier: TierOf) -> Findings:
    """Whether bus and poll plan can keep the row's bound, one lost answer included."""
    allowed = act_within_ms(kind, tier)
    if allowed is None or name == "warn":
        return
    for unit in site.units if kind.per_unit else [None]:
        seconds = estimate.crossing_to_wire_s(site, unit, kind.quantity)
        if seconds is not None and 1e3 * seconds > allowed:
            yield (
                ("act_within_ms",) if tier.act_within_ms else (),
                (
                    f"the command may come {1e3 * seconds:.0f} ms after the threshold{f' of {unit.name}' if unit else ''}; allowed: "
                    f"{allowed:g}; poll faster, shorten timeout_s and worst_s, put fewer devices on the bus, or state act_within_ms"
                ),
            )
            return


def _derate(kind: Kind, tier: Derate) -> Findings:
    if (tier.curve is None) == (tier.pickup is None):
        yield (), f"needs exactly one of curve and pickup_{kind.suffix}; a curve picks up at its healthy end"
    if tier.pickup is not None and tier.action is None:
        yield (), "without a curve it needs action: block; state it"
    if tier.curve is None:
        return
    if tier.action is not None:
        yield ("action",), "a curve says what happens; take the action out"
    thresholds = [point[0] for point in tier.curve]
    shares = [point[1] for point in tier.curve]
    if any(b <= a for a, b in pairwise(thresholds)):
        yield ("curve",), f"thresholds {thresholds} do not rise; write the points from low to high"
    if any(not 0 <= share <= 1 for share in shares):
        yield ("curve",), f"shares {shares} leave 0 to 1; they are parts of the unit's rating"
    steps = list(pairwise(shares))
    if any((b > a) if kind.above else (b < a) for a, b in steps):
        yield ("curve",), f"shares {shares} give more power where it is more dangerous; they must {'fall' if kind.above else 'rise'}"


def _action(site: Site, kind: Kind, tier: TierOf) -> Findings:
    """Actions that contradict the row, or each other."""
    if not isinstance(tier, Derate | Trip):
        return
    if tier.recovery_share is not None and (tier.action != "block" or (tier.direction or kind.way) == "both"):
        yield ("recovery_share",), "only a block of one direction leaves something to the other; take it out or set action: block"
    if isinstance(tier, Derate):
        return
    if tier.direction is not None and tier.action != "block":
        yield ("direction",), f"{tier.action} takes power away in both directions; take it out or set action: block"
    if kind.heals_by_charge and tier.action in {"zero", "standby"}:
        yield (
            ("action",),
            f"{tier.action} forbids the charging that alone brings {kind.name} back; use block, with recovery_share for a gentle charge",
        )
    if tier.reset == "auto" and (kind.must_latch or tier.action == "open_contactor"):
        yield ("reset",), "auto: a release would restart the plant by itself (R13); set any or local"
    if kind.name in {"not_following", "energy_conflict"}:
        yield from _patience(site, tier)


def _patience(site: Site, tier: Trip) -> Findings:
    """R12: a PCS needs a command, its own ramp, and a reading, to be seen to follow; so does the battery beside it, to be seen to agree."""
    seen = {unit.name: _seen_to_follow(site, unit) for unit in site.units}
    slowest = max(seen, key=lambda name: sum(seen[name]))
    ramp, way = seen[slowest]
    if tier.pickup_delay_s < ramp + way:
        yield (
            ("pickup_delay_s",),
            f"{tier.pickup_delay_s:g} is shorter than the ramp of {slowest} (ramp_to_zero_s {ramp:g}), its command's way and the reading "
            f"behind it ({way:.2g} s): a step would trip; allowed: from {ramp + way:.2g}",
        )


def _seen_to_follow(site: Site, unit: Unit) -> tuple[float, float]:
    """A PCS's ramp to 0; the command's way to it and the reading that shows it, by the plan and with no answer lost."""
    pcs = site.device(unit.pcs)
    refresh = 0.0 if pcs is None else estimate.refresh_s(site, pcs, "fast")
    return unit.ramp_to_zero_s, estimate.command_s(site, unit)[1] + refresh


def _connection(site: Site, rows: dict[str, Row]) -> Findings:
    """A row at the connection acts beyond what R10 holds there, never within."""
    for name, key in (("pcc_import_high", "import_max_w"), ("pcc_export_high", "export_max_w")):
        held, row = getattr(site.pcc, key), rows.get(name)
        if row is None or row.disabled is not None:
            continue
        if site.pcc.meter is None:
            yield ("protection", name), "there is no pcc.meter; take the row out or name the meter"
        for tier_name, tier in row.tiers():
            start = pickup(BY_NAME[name], tier)
            if held is not None and start is not None and start <= held and tier_name == "trip":
                yield (
                    ("protection", name, tier_name),
                    f"picks up at {start:g}, within pcc.{key} {held:g}, which control holds; set it above",
                )


def _age(site: Site, kind: Kind, tier: TierOf, start: float) -> Findings:
    """R4: nothing may be called old before three chances to come again."""
    for unit in site.units if kind.per_unit else [None]:
        if kind.age_of:
            name = site.pcc.meter if unit is None else unit.pcs if kind.age_of == "pcs" else (unit.bms or unit.pcs)
            device = site.device(name)
            found = None if device is None else (device, estimate.refresh_s(site, device, "fast"))
            age, key = start, "pickup_s"
        else:
            found = estimate.slowest_s(site, unit, kind.quantity)
            age, key = tier.max_age_s or 0.0, "max_age_s"
        if found is not None and age < 3 * found[1]:
            yield (key,), estimate.too_young(site, age, found[0], found[1])
            return


def _alarms(site: Site) -> Findings:
    """Alarms that no device of the site can tell."""
    for section, quantity, standard in ALARMS:
        alarms: Alarms = getattr(site.protection, section)
        told = {bit.name for unit in site.units for bit in bits_of(estimate.alarm_bits(site, unit, quantity), standard)}
        for key in sorted(alarms.model_fields_set - told - {"disabled"}):
            yield ("protection", section, key), f"no device of this site tells it, by its profile; {nearest(key, told)}"


def _bands(rows: dict[str, Row]) -> Findings:
    for low, high in BANDS:
        ends = [(name, tier.dropoff) for name in (low, high) if name in rows for _, tier in rows[name].tiers()]
        lows = [value for name, value in ends if name == low]
        highs = [value for name, value in ends if name == high]
        if lows and highs and max(lows) >= min(highs):
            yield ("protection", high), f"lets go at {min(highs):g}, {low} at {max(lows):g}: nothing is left between; move them apart"


def _lowest_voltage(site: Site, rows: dict[str, Row]) -> Findings:
    low = rows.get("pack_v_low")
    if low is None or low.trip is None:
        return
    for index, unit in enumerate(site.units):
        if unit.pack_min_v > low.trip.pickup:
            yield (
                ("units", index, "pack_min_v"),
                (
                    f"{unit.pack_min_v:g} is above the trip of protection.pack_v_low at {low.trip.pickup:g}; "
                    "the BMS's amps would become too many watts (R14); lower it"
                ),
            )
