"""What a control asks for, by channel: of DERControls, EndDeviceControls and flow reservations alike. Pure.

A mode that is not carried out is answered with 252, a value outside its range with 253. Where no contactor is ours, opModConnect false is
answered with 252 and ceases to energise all the same: less than was asked for, and the most there is.

An EndDeviceControl limits charging: a load reduction to nothing, a duty cycle or load adjustment to its share, else a target reduction to
what it leaves; thermostats' orders are not ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bessctl.protocols.sep2.messages.control import DefaultDerControl, DerControl, DerControlBase
from bessctl.protocols.sep2.messages.demand import EndDeviceControl
from bessctl.protocols.sep2.messages.flow import FlowReservationResponse
from bessctl.protocols.sep2.messages.modes import FULL, Channel, Setting, Unit
from bessctl.protocols.sep2.messages.values import FixedVar, PowerFactor, Scaled

Control = DerControl | EndDeviceControl | FlowReservationResponse
"""What the event engine takes: each has mRID, creation, status, interval, and says where an answer goes."""

OTHERS = (
    "freq_droop", "freq_watt", "hfrt_may_trip", "hfrt_must_trip", "hvrt_may_trip", "hvrt_momentary", "hvrt_must_trip", "lfrt_may_trip",
    "lfrt_must_trip", "lvrt_may_trip", "lvrt_momentary", "lvrt_must_trip", "watt_pf",
)  # fmt: skip
"""Modes that nothing of ours carries out: ride-through and frequency belong to the grid code held in the PCS."""
VAR_UNITS = {1: Unit.OF_MAX_W, 2: Unit.OF_MAX_VAR, 3: Unit.OF_AVAILABLE_VAR}
"""opModFixedVar's refType."""
KILOWATTS, WATTS = 1, 2
"""TargetReduction's type."""
CURVE_CHANNELS = (("volt_var", Channel.VOLT_VAR), ("volt_watt", Channel.VOLT_WATT), ("watt_var", Channel.WATT_VAR))


@dataclass(frozen=True, slots=True)
class Asked:
    """A control's modes: what we carry out, what we do not, and why it is invalid (empty = it is not)."""

    settings: Mapping[Channel, Setting]
    unsupported: tuple[str, ...] = ()
    invalid: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """One setting, and what is wrong with it."""

    channel: Channel
    setting: Setting
    fault: str = ""


def asked(control: Control | DefaultDerControl, enabled: frozenset[Channel]) -> Asked:
    """What a control asks for. `enabled`: the channels that are carried out."""
    others: tuple[str, ...] = ()
    ramp_fault = ""
    if isinstance(control, EndDeviceControl):
        wishes, others = list(_of_device(control)), _thermostats(control)
    elif isinstance(control, FlowReservationResponse):
        wishes = [_of_flow(control)]
    else:
        base = control.base
        wishes, others = list(_of_der(base)), tuple(name for name in OTHERS if getattr(base, name) is not None)
        ramp_fault = f"rampTms {base.ramp_tms}" if base.ramp_tms is not None and base.ramp_tms < 0 else ""
        if base.connect is False and Channel.CONNECT not in enabled:
            wishes.append(Wish(Channel.ENERGIZE, Setting(0.0, Unit.SWITCH)))
    faults = [ramp_fault, *(wish.fault for wish in wishes)]
    return Asked(
        {wish.channel: wish.setting for wish in wishes if wish.channel in enabled},
        (*dict.fromkeys(str(wish.channel) for wish in wishes if wish.channel not in enabled), *others),
        ", ".join(fault for fault in faults if fault),
    )


# --- DERControlBase -----------------------------------------------------------------------------------------------------------------------


def _of_der(base: DerControlBase) -> Iterator[Wish]:
    """Of two that share a channel the later one wins: opModTargetW over opModFixedW, opModTargetVar over opModFixedVar."""
    ramp_s = None if base.ramp_tms is None else base.ramp_tms / 100
    if base.fixed_w is not None:
        yield Wish(Channel.POWER, Setting(base.fixed_w, Unit.SHARE, ramp_s), _outside("opModFixedW", base.fixed_w, -FULL))
    if base.max_lim_w is not None:
        yield Wish(Channel.MAX_LIMIT, Setting(base.max_lim_w, Unit.SHARE, ramp_s), _outside("opModMaxLimW", base.max_lim_w, 0))
    if base.connect is not None:
        yield Wish(Channel.CONNECT, Setting(float(base.connect), Unit.SWITCH, ramp_s))
    if base.energize is not None:
        yield Wish(Channel.ENERGIZE, Setting(float(base.energize), Unit.SWITCH, ramp_s))
    for channel, power in (
        (Channel.POWER, base.target_w),
        (Channel.EXPORT, base.export_limit),
        (Channel.IMPORT, base.import_limit),
        (Channel.GENERATION, base.generation_limit),
        (Channel.LOAD, base.load_limit),
    ):
        if power is not None:
            yield Wish(channel, Setting(power.si, Unit.WATTS, ramp_s), _unsound(channel, power, signed=channel is Channel.POWER))
    yield from _reactive(base)
    for name, channel in CURVE_CHANNELS:
        link = getattr(base, name)
        if link is not None:
            yield Wish(channel, Setting(0.0, Unit.CURVE, ref=link.href))


def _reactive(base: DerControlBase) -> Iterator[Wish]:
    if base.fixed_var is not None:
        yield _fixed_var(base.fixed_var)
    if base.target_var is not None:
        yield Wish(Channel.VAR, Setting(base.target_var.si, Unit.VARS), _unsound(Channel.VAR, base.target_var, signed=True))
    if base.fixed_pf_inject is not None:
        yield _factor(Channel.PF_INJECT, base.fixed_pf_inject)
    if base.fixed_pf_absorb is not None:
        yield _factor(Channel.PF_ABSORB, base.fixed_pf_absorb)


def _fixed_var(fixed: FixedVar) -> Wish:
    unit = VAR_UNITS.get(fixed.ref_type)
    if unit is None:
        return Wish(Channel.VAR, Setting(fixed.value, Unit.OF_MAX_VAR), f"opModFixedVar refType {fixed.ref_type}")
    return Wish(Channel.VAR, Setting(fixed.value, unit), _outside("opModFixedVar", fixed.value, -FULL))


def _factor(channel: Channel, factor: PowerFactor) -> Wish:
    """Excitation true = absorbing. Without it: injecting."""
    value = factor.displacement * 10.0**factor.multiplier if -9 <= factor.multiplier <= 9 else 0.0
    fault = "" if 0 < value <= 1 else f"{channel} {factor.displacement} x 10^{factor.multiplier}"
    return Wish(channel, Setting(-value if factor.excitation else value, Unit.FACTOR), fault)


def _outside(name: str, value: int, lowest: int) -> str:
    return "" if lowest <= value <= FULL else f"{name} {value}"


def _unsound(channel: Channel, power: Scaled, *, signed: bool) -> str:
    return "" if power.sound and (signed or power.value >= 0) else f"{channel} {power.value} x 10^{power.multiplier}"


# --- EndDeviceControl and flow reservation ------------------------------------------------------------------------------------------------


def _of_device(control: EndDeviceControl) -> Iterator[Wish]:
    shares = [
        share
        for share in (
            None if control.load_reduction is None else 0,
            None if control.duty_cycle is None else control.duty_cycle.normal * 100,
            None if control.offset is None or control.offset.load_adjustment is None else FULL - control.offset.load_adjustment,
        )
        if share is not None
    ]
    cut = control.target_reduction
    if shares:
        fault = next((f"load share {share}" for share in shares if not 0 <= share <= FULL), "")
        yield Wish(Channel.DEMAND, Setting(min(shares), Unit.LOAD_SHARE), fault)
    elif cut is not None and cut.type in {KILOWATTS, WATTS}:
        watts = cut.value * (1000 if cut.type == KILOWATTS else 1)
        yield Wish(Channel.DEMAND, Setting(watts, Unit.LOAD_CUT), f"TargetReduction {cut.value}" if cut.value < 0 else "")


def _thermostats(control: EndDeviceControl) -> tuple[str, ...]:
    offset, cut = control.offset, control.target_reduction
    found = {
        "SetPoint": control.set_point is not None,
        "Offset": offset is not None and (offset.cooling is not None or offset.heating is not None),
        "TargetReduction": cut is not None and cut.type not in {KILOWATTS, WATTS},
    }
    return tuple(name for name, there in found.items() if there)


def _of_flow(control: FlowReservationResponse) -> Wish:
    """Positive = charging there, discharging here: turned once, in this line."""
    fault = "" if control.power.sound and control.energy.sound else "powerAvailable or energyAvailable"
    return Wish(Channel.FLOW, Setting(-control.power.si, Unit.WATTS, energy_wh=abs(control.energy.si)), fault)
