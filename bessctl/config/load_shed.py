"""Section `pcc.load_shed`: the output that sheds load while a limit at the connection cannot be met (R3), on a Modbus module of kind io."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bessctl.config.base import Strict
from bessctl.config.explain import nearest
from bessctl.config.places import Path
from bessctl.devices.plan import Field as Counts
from bessctl.devices.plan import Write

if TYPE_CHECKING:
    from bessctl.config.site import Site

MARGIN_SHARE = 0.02
"""Of the connection's rating (without one: of the units' power): R10's steady state, within which nothing is shed."""


class LoadShed(Strict):
    """One coil or register, and how long a limit is unmet before it goes on."""

    device: str
    """Name of a device of kind io."""
    table: Literal["coil", "holding_register"] = "coil"
    address: Annotated[int, Field(ge=0, le=65535)]
    on: Annotated[int, Field(ge=0, le=65535)] = 1
    """What is written to shed load."""
    off: Annotated[int, Field(ge=0, le=65535)] = 0
    after_s: Annotated[float, Field(ge=0.1, le=600)] = 5.0
    """How long without a break a limit is unmet, or the meter silent, before the output goes on."""
    release_after_s: Annotated[float, Field(ge=0.1, le=86400)] = 60.0
    """How long without a break all limits are met before it goes off."""


def write_of(shed: LoadShed) -> Write:
    """The request that sets the output: FC05 for a coil, FC06 for a register."""
    return Write("shed", shed.address, 1, (Counts(0, "shed", idle=shed.off, discharge=shed.on),), function=5 if shed.table == "coil" else 6)


def margin_w(site: Site) -> float:
    """So far beyond a limit the meter may stand before the limit counts as unmet."""
    ratings = [w for w in (site.pcc.import_max_w, site.pcc.export_max_w) if w]
    return MARGIN_SHARE * (max(ratings) if ratings else sum(unit.apparent_max_va for unit in site.units))


def load_shed(site: Site) -> Iterator[tuple[Path, str]]:
    """Contradictions."""
    shed = site.pcc.load_shed
    if shed is None:
        return
    at: Path = ("pcc", "load_shed")
    device = site.device(shed.device)
    if device is None:
        known = [d.name for d in site.devices if d.kind == "io"]
        yield (*at, "device"), f"there is no device {shed.device!r}; {nearest(shed.device, known)}"
    elif device.kind != "io":
        yield (*at, "device"), f"device {device.name!r} is a {device.kind}, wanted: an io; name another or correct its kind"
    if shed.on == shed.off:
        yield (*at, "on"), f"is {shed.on}, and so is off; the output could never change"
    if shed.table == "coil" and {shed.on, shed.off} != {0, 1}:
        yield (*at, "on"), "a coil is 1 or 0; give on one of them and off the other, or set table: holding_register"
    if site.pcc.meter is None:
        yield at, "without pcc.meter no limit at the connection is known to be unmet; name the meter or take load_shed out"
    for other in site.inputs:
        if other.modbus is not None and (other.modbus.device, other.modbus.table, other.modbus.address) == (
            shed.device,
            shed.table,
            shed.address,
        ):
            yield (*at, "address"), f"is where input {other.name!r} is read; an output needs a place of its own"
