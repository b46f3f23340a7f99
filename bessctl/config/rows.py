"""The protection table as the loop runs it: the site's lines, alarms and inputs, each enabled tier for each unit, plant rows once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bessctl.config import estimate
from bessctl.config.alarms import BMS_BITS, PCS_BITS, Alarm, Alarms, Bit, bits_of
from bessctl.config.catalogue import BY_NAME, Kind, Way
from bessctl.config.protection import Derate, Trip, Warn
from bessctl.config.site import Site

ACTIONS = {"zero": "zero", "standby": "standby", "open_contactor": "open", "block": "block"}
STATE_MAX = 31
ALARMS = (("bms_alarms", "bms_alarm", BMS_BITS), ("pcs_alarms", "pcs_alarm", PCS_BITS))
"""Section, quantity and bits of the standard."""

TierOf = Warn | Derate | Trip


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One row of one unit (or of the plant: unit is None)."""

    kind: Kind
    tier_name: str
    tier: TierOf
    unit: int | None
    name: str
    input: int | None = None
    bits: tuple[Bit, ...] = ()

    @property
    def action(self) -> str:
        """What it does, in the layout's words."""
        if isinstance(self.tier, Trip):
            return ACTIONS[self.tier.action]
        if isinstance(self.tier, Derate):
            return "derate" if self.tier.curve is not None else "block"
        return "warn"

    @property
    def direction(self) -> str:
        """Which way power is taken away."""
        if isinstance(self.tier, Warn):
            return "none"
        return "both" if self.action in {"zero", "standby", "open"} else self.tier.direction or self.kind.way

    @property
    def other_cut(self) -> float:
        """What a block takes of the other direction, part of the rating."""
        share = None if isinstance(self.tier, Warn) else self.tier.recovery_share
        return 1.0 - share if self.action == "block" and share is not None else 0.0

    @property
    def test(self) -> tuple[str, int]:
        """How it looks at its quantity: the layout's word, and the mask."""
        if self.bits:
            return "bits", sum(1 << bit.bit for bit in self.bits)
        if self.kind.states:
            return "states", sum({1 << min(state, STATE_MAX) for state in self.kind.states})
        return "threshold", 0

    @property
    def quantity(self) -> str:
        """What it looks at, in the layout's words; an input's number counts from the first of them."""
        return self.kind.quantity if self.input is None else "input_0"


def expanded(site: Site) -> list[SealedRow]:
    """The whole table."""
    return [*_lines(site), *(row for section, quantity, bits in ALARMS for row in _alarms(site, section, quantity, bits))]


def _lines(site: Site) -> Iterator[SealedRow]:
    for name, row in site.protection.rows():
        kind = BY_NAME[name]
        places: list[int | None] = list(range(len(site.units))) if kind.per_unit else [None]
        if row.disabled is not None:
            continue
        for place in places:
            for tier_name, tier in row.tiers():
                if not kind.input:
                    yield SealedRow(kind, tier_name, tier, place, name)
                for index, entry in enumerate(site.inputs):
                    if kind.input == entry.function:
                        label = name if entry.name == name else f"{name}:{entry.name}"
                        yield SealedRow(kind, tier_name, tier, place, label, index)


def _alarms(site: Site, section: str, quantity: str, bits: tuple[Bit, ...]) -> Iterator[SealedRow]:
    """One row for all alarms that do the same."""
    alarms: Alarms = getattr(site.protection, section)
    if alarms.disabled is not None:
        return
    for unit, entry in enumerate(site.units):
        groups: dict[Alarm, list[Bit]] = {}
        for bit, alarm in alarms.chosen(bits_of(estimate.alarm_bits(site, entry, quantity), bits)):
            groups.setdefault(alarm, []).append(bit)
        for alarm, members in groups.items():
            yield alarm_row(section, quantity, alarm, tuple(members), unit)


def alarm_row(section: str, quantity: str, alarm: Alarm, bits: tuple[Bit, ...], unit: int) -> SealedRow:
    """The row of some alarms of one unit."""
    way: Way = "charge" if alarm.action == "block_charge" else "discharge" if alarm.action == "block_discharge" else "both"
    kind = Kind(section, quantity, True, "state", way)
    action = "block" if alarm.action.startswith("block") else alarm.action
    latched = "" if alarm.reset == "auto" else "_latched"
    times = {"pickup_delay_s": alarm.pickup_delay_s, "dropoff_delay_s": alarm.dropoff_delay_s, "reset": alarm.reset}
    tier: TierOf
    if action == "warn":
        tier_name, tier = "warn", Warn.model_validate({"pickup": 1.0, "dropoff": 0.0, **times})
    elif action == "block":
        tier_name, tier = "derate", Derate.model_validate({"pickup": 1.0, "dropoff": 0.0, "action": action, **times})
    else:
        tier_name, tier = "trip", Trip.model_validate({"pickup": 1.0, "dropoff": 0.0, "action": action, **times})
    return SealedRow(kind, tier_name, tier, unit, f"{section}_{alarm.action}{latched}", bits=bits)
