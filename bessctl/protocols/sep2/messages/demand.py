"""Demand response and load control: programs and EndDeviceControls."""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import BOOL, HEX32, IDENT, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.control import RandomizableEvent
from bessctl.protocols.sep2.messages.resources import Listing, ListLink, PolledListing


@record()
class ApplianceLoadReduction:
    """0 delay the load, 1 reduce it for a time."""

    type: int = el("type", INT)


@record()
class DutyCycle:
    """Percent of the time, or of the power, that may be used."""

    normal: int = el("normalValue", INT)


@record()
class Offset:
    """Thermostats' offsets, and the percentage by which load is to fall."""

    cooling: int | None = el("coolingOffset", INT, default=None)
    heating: int | None = el("heatingOffset", INT, default=None)
    load_adjustment: int | None = el("loadAdjustmentPercentageOffset", INT, default=None)


@record()
class SetPoint:
    """Of thermostats; named so that we see it was asked for."""

    cooling: int | None = el("coolingSetpoint", INT, default=None)
    heating: int | None = el("heatingSetpoint", INT, default=None)


@record()
class TargetReduction:
    """By how much consumption is to fall. type: 0 kWh, 1 kW, 2 W."""

    type: int = el("type", INT)
    value: int = el("value", INT)


@record("EndDeviceControl")
class EndDeviceControl(RandomizableEvent):
    """An event. `mandatory` and `load_shift_forward` do not change what we do: an order of the grid is obeyed either way."""

    load_reduction: ApplianceLoadReduction | None = el("ApplianceLoadReduction", of(ApplianceLoadReduction), default=None)
    device_category: int | None = el("deviceCategory", HEX32, default=None)
    mandatory: bool | None = el("drProgramMandatory", BOOL, default=None)
    duty_cycle: DutyCycle | None = el("DutyCycle", of(DutyCycle), default=None)
    load_shift_forward: bool | None = el("loadShiftForward", BOOL, default=None)
    offset: Offset | None = el("Offset", of(Offset), default=None)
    override_s: int | None = el("overrideDuration", INT, default=None)
    set_point: SetPoint | None = el("SetPoint", of(SetPoint), default=None)
    target_reduction: TargetReduction | None = el("TargetReduction", of(TargetReduction), default=None)


@record("EndDeviceControlList")
class EndDeviceControlList(Listing):
    """Has no pollRate: it is polled at that of its DemandResponseProgramList."""

    items: tuple[EndDeviceControl, ...] = el("EndDeviceControl", of(EndDeviceControl), many=True, default=())


@record("DemandResponseProgram")
class DemandResponseProgram:
    """A source of EndDeviceControls."""

    href: str | None = attr("href", TEXT, default=None)
    mrid: str | None = el("mRID", IDENT, default=None)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    control_list: ListLink | None = el("EndDeviceControlListLink", of(ListLink), default=None)
    primacy: int = el("primacy", INT)


@record("DemandResponseProgramList")
class DemandResponseProgramList(PolledListing):
    """Its pollRate is also that of the controls below."""

    items: tuple[DemandResponseProgram, ...] = el("DemandResponseProgram", of(DemandResponseProgram), many=True, default=())
