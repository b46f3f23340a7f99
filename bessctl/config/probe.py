"""What registers mean by a compiled profile, decoded by the code that runs in the tick. For discovery, `bessctl profile dump` and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bessctl.config.buses import Device
from bessctl.config.fill_devices import device_plans
from bessctl.corelink import seal as core
from bessctl.devices import registers, sunspec
from bessctl.devices.address import Address
from bessctl.devices.discovery import FoundDevice
from bessctl.devices.plan import DevicePlan, Factor, Point, Read
from bessctl.devices.profile import Profile


def decoded(plan: DevicePlan, read: Read, values: list[int], factors: Sequence[float] = ()) -> dict[str, float]:
    """Quantity -> value of one read's registers; NaN = not there. `factors`: as read at connect, in the plan's order."""
    config = core.new_config()
    device = Device(name="device", kind="bms", bus="bus", modbus_id=1)
    device_plans(config[0], [(0, 0, device, plan)])
    return core.decode(config.tobytes(), plan.reads.index(read), values, factors)


def factor_value(factor: Factor, values: list[int] | None) -> float:
    """A factor as the loop reads it at each connect; NaN where the device has it not."""
    if values is None:
        return math.nan
    point = Point("ac_w", 0, factor.kind, factor.scale, low_first=factor.low_first, absent=factor.absent)
    read = Read(0, len(values), "fast", (point,))
    return decoded(DevicePlan((read,)), read, values)["ac_w"]


def discover(profile: Profile, address: Address, modbus_id: int, timeout_s: float = 2.0) -> FoundDevice:
    """Look at one device with its profile; blocking, reads only."""
    if profile.map == "sunspec":
        return sunspec.discover(address, modbus_id, timeout_s)
    return registers.look(profile, address, modbus_id, timeout_s, decoded)


def image_line(address: int, values: list[int]) -> str:
    """One line of a hex image: the address and its registers."""
    return f"{address}: {' '.join(f'{value:04x}' for value in values)}"
