"""SunSpec 703, enter service: what is verified at each connect so that the loop may write it. Pure.

Where the model stands and what its counts mean, the loop reads from these checks (core/bessctl_core/service.pxd). The values come from the
utility; a profile has no say in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from bessctl.devices.discovery import FoundDevice, FoundModel

MODEL, LENGTH = 703, 17
SCALES = (("V_SF", 17), ("Hz_SF", 18))


def service_of(device: FoundDevice) -> FoundModel | None:
    """The model, where it is laid out as the standard has it and says what its counts mean."""
    found = device.find(MODEL)
    if found is None or found.length != LENGTH or any(name not in found.scale_factors for name, _ in SCALES):
        return None
    return found


def service_checks(device: FoundDevice) -> Iterator[tuple[int, int]]:
    """Its scale factors; id and length are verified with those of all models."""
    found = service_of(device)
    for name, offset in SCALES if found is not None else ():
        assert found is not None
        yield found.address + offset, found.scale_factors[name] & 0xFFFF
