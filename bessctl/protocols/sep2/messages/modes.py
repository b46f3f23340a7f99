"""Control modes: which schedule each belongs to, and their bits in modesSupported. Pure.

opModFixedW and opModTargetW both set the active power and share one schedule, opModFixedVar and opModTargetVar another; within one control
the target in W or var wins. Every other mode has a schedule of its own. What a control asks for in these terms is found by `wishes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum

FULL = 10_000
"""100 % in hundredths."""


class Channel(StrEnum):
    """One schedule each."""

    POWER = "power"
    MAX_LIMIT = "max_limit"
    CONNECT = "connect"
    ENERGIZE = "energize"
    VAR = "var"
    PF_INJECT = "pf_inject"
    PF_ABSORB = "pf_absorb"
    VOLT_VAR = "volt_var"
    VOLT_WATT = "volt_watt"
    WATT_VAR = "watt_var"
    EXPORT = "export"
    IMPORT = "import"
    GENERATION = "generation"
    LOAD = "load"
    DEMAND = "demand"
    """EndDeviceControl: a limit on charging."""
    FLOW = "flow"
    """A granted flow reservation: charging, where no event sets the power."""


class Unit(StrEnum):
    """What a setting's value counts."""

    SHARE = "share"
    """Hundredths of a percent of the inverter's rating in that direction."""
    WATTS = "watts"
    SWITCH = "switch"
    """0 or 1."""
    OF_MAX_W = "of_max_w"
    """Reactive power in hundredths of a percent of setMaxW, then of setMaxVar, then of what is available."""
    OF_MAX_VAR = "of_max_var"
    OF_AVAILABLE_VAR = "of_available_var"
    VARS = "vars"
    FACTOR = "factor"
    """A power factor; negative = absorbing reactive power."""
    CURVE = "curve"
    """Which curve stands in `ref`."""
    LOAD_SHARE = "load_share"
    """Hundredths of a percent of the charging rating that may still be used."""
    LOAD_CUT = "load_cut"
    """W less than the charging rating."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One mode's order. `ramp_s` is rampTms; None = the default gradient. `energy_wh`: of a reservation, what may be used of it."""

    value: float
    unit: Unit
    ramp_s: float | None = None
    ref: str = ""
    energy_wh: float = 0.0


class ModeBits(IntFlag):
    """DERControlType of 2030.5-2018."""

    CHARGE = 1 << 0
    DISCHARGE = 1 << 1
    CONNECT = 1 << 2
    ENERGIZE = 1 << 3
    FIXED_PF_ABSORB = 1 << 4
    FIXED_PF_INJECT = 1 << 5
    FIXED_VAR = 1 << 6
    FIXED_W = 1 << 7
    MAX_LIM_W = 1 << 20
    TARGET_VAR = 1 << 21
    TARGET_W = 1 << 22
    VOLT_VAR = 1 << 23
    VOLT_WATT = 1 << 24
    WATT_VAR = 1 << 26


class AusBits(IntFlag):
    """doeModesSupported of CSIP-AUS."""

    EXPORT = 1
    IMPORT = 2
    GENERATION = 4
    LOAD = 8


REACTIVE = frozenset({Channel.VAR, Channel.PF_INJECT, Channel.PF_ABSORB})
"""What a PCS with the reactive part of 704 does."""
CURVES = frozenset({Channel.VOLT_VAR, Channel.VOLT_WATT, Channel.WATT_VAR})
"""What a PCS with 705, 706 or 712 does, each by itself."""
SERVICES = frozenset({Channel.DEMAND, Channel.FLOW})
"""Function sets beside DER, used where the server has them."""
BASE = frozenset({Channel.POWER, Channel.MAX_LIMIT, Channel.CONNECT, Channel.ENERGIZE}) | REACTIVE | CURVES | SERVICES
AUS = frozenset({Channel.EXPORT, Channel.IMPORT, Channel.GENERATION, Channel.LOAD})

BITS = {
    Channel.POWER: ModeBits.CHARGE | ModeBits.DISCHARGE | ModeBits.FIXED_W | ModeBits.TARGET_W,
    Channel.MAX_LIMIT: ModeBits.MAX_LIM_W,
    Channel.CONNECT: ModeBits.CONNECT,
    Channel.ENERGIZE: ModeBits.ENERGIZE,
    Channel.VAR: ModeBits.FIXED_VAR | ModeBits.TARGET_VAR,
    Channel.PF_INJECT: ModeBits.FIXED_PF_INJECT,
    Channel.PF_ABSORB: ModeBits.FIXED_PF_ABSORB,
    Channel.VOLT_VAR: ModeBits.VOLT_VAR,
    Channel.VOLT_WATT: ModeBits.VOLT_WATT,
    Channel.WATT_VAR: ModeBits.WATT_VAR,
}
AUS_BITS = {
    Channel.EXPORT: AusBits.EXPORT,
    Channel.IMPORT: AusBits.IMPORT,
    Channel.GENERATION: AusBits.GENERATION,
    Channel.LOAD: AusBits.LOAD,
}


def mode_bits(channels: frozenset[Channel]) -> int:
    """modesSupported or modesEnabled."""
    return int(sum(bits for channel, bits in BITS.items() if channel in channels))


def aus_bits(channels: frozenset[Channel]) -> int:
    """doeModesSupported or doeModesEnabled."""
    return int(sum(bits for channel, bits in AUS_BITS.items() if channel in channels))
