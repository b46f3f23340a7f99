"""Control modes: which schedule each belongs to, what its value means, which we carry out. Pure.

opModFixedW and opModTargetW both set the active power and share one schedule; within one control opModTargetW wins. Every other mode has a
schedule of its own. A mode that is not carried out is answered with 252, a value outside its range with 253.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag, StrEnum

from bessctl.protocols.sep2.messages.control import DerControlBase
from bessctl.protocols.sep2.messages.values import Scaled

FULL = 10_000
"""100 % in hundredths."""


class Channel(StrEnum):
    """One schedule each."""

    POWER = "power"
    MAX_LIMIT = "max_limit"
    CONNECT = "connect"
    ENERGIZE = "energize"
    EXPORT = "export"
    IMPORT = "import"
    GENERATION = "generation"
    LOAD = "load"


class Unit(StrEnum):
    """What a setting's value counts."""

    SHARE = "share"
    """Hundredths of a percent of the inverter's rating in that direction."""
    WATTS = "watts"
    SWITCH = "switch"
    """0 or 1."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One mode's order. `ramp_s` is rampTms; None = the default gradient."""

    value: float
    unit: Unit
    ramp_s: float | None = None


class ModeBits(IntFlag):
    """DERControlType of 2030.5-2018."""

    CHARGE = 1 << 0
    DISCHARGE = 1 << 1
    CONNECT = 1 << 2
    ENERGIZE = 1 << 3
    FIXED_W = 1 << 7
    MAX_LIM_W = 1 << 20
    TARGET_W = 1 << 22


class AusBits(IntFlag):
    """doeModesSupported of CSIP-AUS."""

    EXPORT = 1
    IMPORT = 2
    GENERATION = 4
    LOAD = 8


BASE = frozenset({Channel.POWER, Channel.MAX_LIMIT, Channel.CONNECT, Channel.ENERGIZE})
AUS = frozenset({Channel.EXPORT, Channel.IMPORT, Channel.GENERATION, Channel.LOAD})

BITS = {
    Channel.POWER: ModeBits.CHARGE | ModeBits.DISCHARGE | ModeBits.FIXED_W | ModeBits.TARGET_W,
    Channel.MAX_LIMIT: ModeBits.MAX_LIM_W,
    Channel.CONNECT: ModeBits.CONNECT,
    Channel.ENERGIZE: ModeBits.ENERGIZE,
}
AUS_BITS = {
    Channel.EXPORT: AusBits.EXPORT,
    Channel.IMPORT: AusBits.IMPORT,
    Channel.GENERATION: AusBits.GENERATION,
    Channel.LOAD: AusBits.LOAD,
}

OTHERS = (
    "fixed_pf_absorb", "fixed_pf_inject", "fixed_var", "target_var", "freq_droop", "freq_watt", "hfrt_may_trip", "hfrt_must_trip",
    "hvrt_may_trip", "hvrt_momentary", "hvrt_must_trip", "lfrt_may_trip", "lfrt_must_trip", "lvrt_may_trip", "lvrt_momentary",
    "lvrt_must_trip", "volt_var", "volt_watt", "watt_pf", "watt_var",
)  # fmt: skip
"""Modes that no loop of ours carries out: reactive power and curves."""


def mode_bits(channels: frozenset[Channel]) -> int:
    """modesSupported or modesEnabled."""
    return int(sum(bits for channel, bits in BITS.items() if channel in channels))


def aus_bits(channels: frozenset[Channel]) -> int:
    """doeModesSupported or doeModesEnabled."""
    return int(sum(bits for channel, bits in AUS_BITS.items() if channel in channels))


@dataclass(frozen=True, slots=True)
class Asked:
    """A control's modes: what we carry out, what we do not, and why it is invalid (empty = it is not)."""

    settings: Mapping[Channel, Setting]
    unsupported: tuple[str, ...] = ()
    invalid: str = ""


def asked(base: DerControlBase, enabled: frozenset[Channel]) -> Asked:
    """What a control asks for. `enabled`: the channels that are carried out."""
    found, invalid = _found(base)
    settings = {channel: setting for channel, setting in found.items() if channel in enabled}
    unsupported = [str(channel) for channel in found if channel not in enabled]
    unsupported += [name for name in OTHERS if getattr(base, name) is not None]
    return Asked(settings, tuple(unsupported), invalid)


def _found(base: DerControlBase) -> tuple[dict[Channel, Setting], str]:
    ramp_s = None if base.ramp_tms is None else base.ramp_tms / 100
    found: dict[Channel, Setting] = {}
    faults: list[str] = []
    if ramp_s is not None and ramp_s < 0:
        faults.append(f"rampTms {base.ramp_tms}")
    if base.fixed_w is not None:
        found[Channel.POWER] = Setting(base.fixed_w, Unit.SHARE, ramp_s)
        if abs(base.fixed_w) > FULL:
            faults.append(f"opModFixedW {base.fixed_w}")
    if base.max_lim_w is not None:
        found[Channel.MAX_LIMIT] = Setting(base.max_lim_w, Unit.SHARE, ramp_s)
        if not 0 <= base.max_lim_w <= FULL:
            faults.append(f"opModMaxLimW {base.max_lim_w}")
    for channel, switch in ((Channel.CONNECT, base.connect), (Channel.ENERGIZE, base.energize)):
        if switch is not None:
            found[channel] = Setting(float(switch), Unit.SWITCH, ramp_s)
    for channel, power in _powers(base):
        found[channel] = Setting(power.si, Unit.WATTS, ramp_s)
        if not power.sound or (channel is not Channel.POWER and power.value < 0):
            faults.append(f"{channel} {power.value} x 10^{power.multiplier}")
    return found, ", ".join(faults)


def _powers(base: DerControlBase) -> list[tuple[Channel, Scaled]]:
    pairs = (
        (Channel.POWER, base.target_w),  # after opModFixedW: within one control opModTargetW wins
        (Channel.EXPORT, base.export_limit),
        (Channel.IMPORT, base.import_limit),
        (Channel.GENERATION, base.generation_limit),
        (Channel.LOAD, base.load_limit),
    )
    return [(channel, power) for channel, power in pairs if power is not None]
