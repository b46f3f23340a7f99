"""Curve models of SunSpec that a PCS may let us write: where their registers are, what a count means, what is verified at each connect.

Pure. The curves themselves come from the utility and are written by the loop (docs/conformance/sep2.md); a profile has no say in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bessctl.devices.discovery import FoundDevice
from bessctl.devices.plan import Curve

POINTS_MAX = 60
"""More points in a curve than any device has; the loop's own bound."""


@dataclass(frozen=True, slots=True)
class CurveMap:
    """A curve model. Offsets from its ID register: NPt, NCrv and the scale factors, which the loop verifies at each connect."""

    kind: str
    model: int
    x_sf: tuple[str, int]
    y_sf: tuple[str, int]
    s_sf: tuple[str, int] | None


CURVE_POINTS, CURVE_SETS = 5, 6
CURVES = (
    CurveMap("volt_var", 705, ("V_SF", 12), ("DeptRef_SF", 13), ("RspTms_SF", 14)),
    CurveMap("volt_watt", 706, ("V_SF", 12), ("DeptRef_SF", 13), ("RspTms_SF", 14)),
    CurveMap("watt_var", 712, ("W_SF", 12), ("DeptRef_SF", 13), None),
)


def curves_of(device: FoundDevice) -> Iterator[Curve]:
    """Those with a set beside the one in force, which is always the first, and with at least two points."""
    for entry in CURVES:
        found = device.find(entry.model)
        if found is None or found.counts.get("NCrv", 0) < 2 or not 2 <= found.counts.get("NPt", 0) <= POINTS_MAX:
            continue
        factors = found.scale_factors
        if entry.x_sf[0] not in factors or entry.y_sf[0] not in factors:
            continue
        s_scale = 10.0 ** factors[entry.s_sf[0]] if entry.s_sf is not None and entry.s_sf[0] in factors else 0.0
        x_scale, y_scale = (10.0 ** factors[name] for name, _ in (entry.x_sf, entry.y_sf))
        yield Curve(entry.kind, found.address, found.counts["NPt"], x_scale, y_scale, s_scale)


def maps_of(curves: tuple[Curve, ...]) -> list[CurveMap]:
    """The table's entries of these curves."""
    return [entry for entry in CURVES if entry.kind in {curve.kind for curve in curves}]


def curve_checks(curves: tuple[Curve, ...], device: FoundDevice) -> Iterator[tuple[int, int]]:
    """What decides where a curve's registers are and what they mean."""
    for entry in maps_of(curves):
        found = device.find(entry.model)
        assert found is not None
        yield found.address + CURVE_POINTS, found.counts["NPt"]
        yield found.address + CURVE_SETS, found.counts["NCrv"]
        for factor in (entry.x_sf, entry.y_sf, entry.s_sf):
            if factor is not None and factor[0] in found.scale_factors:
                yield found.address + factor[1], found.scale_factors[factor[0]] & 0xFFFF
