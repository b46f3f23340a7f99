"""The utility's curves by their references, and what of them a PCS can follow. Pure.

A DERCurve's abscissa counts percent of the effective voltage (Volt-Var, Volt-Watt) or of setMaxW (Watt-Var), its ordinate percent of what
yRefType names; both after their multipliers. That is SunSpec's own way of counting, so nothing is converted but the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urljoin, urlsplit

from bessctl.protocols.sep2.messages.codec import decode, encode
from bessctl.protocols.sep2.messages.curves import DerCurve
from bessctl.protocols.sep2.messages.modes import Channel

TYPES = {Channel.VOLT_VAR: 11, Channel.VOLT_WATT: 12, Channel.WATT_VAR: 14}
"""curveType."""
MAX_W, MAX_VAR, AVAILABLE_VAR, AVAILABLE_W = 1, 2, 3, 7
"""yRefType."""
REFERENCES = {
    Channel.VOLT_VAR: {MAX_W: 0, MAX_VAR: 1, AVAILABLE_VAR: 2},
    Channel.VOLT_WATT: {MAX_W: 0, AVAILABLE_W: 1},
    Channel.WATT_VAR: {MAX_W: 0, MAX_VAR: 1, AVAILABLE_VAR: 2},
}
"""yRefType -> SunSpec DeptRef."""
X_RANGE = {Channel.VOLT_VAR: (0.0, 200.0), Channel.VOLT_WATT: (0.0, 200.0), Channel.WATT_VAR: (-100.0, 100.0)}


@dataclass(frozen=True, slots=True)
class Shape:
    """A curve as a PCS takes it."""

    points: tuple[tuple[float, float], ...]
    reference: int
    response_s: float


def shape_of(curve: DerCurve, channel: Channel, points_max: int) -> Shape | str:
    """The curve for a channel, or why it cannot be followed."""
    if curve.curve_type != TYPES[channel]:
        return f"curveType {curve.curve_type} is not that of {channel}"
    reference = REFERENCES[channel].get(curve.y_ref_type)
    if reference is None:
        return f"yRefType {curve.y_ref_type} means nothing for {channel}"
    if not 2 <= len(curve.points) <= points_max:
        return f"{len(curve.points)} points; the PCS takes 2 to {points_max}"
    if not (-9 <= curve.x_multiplier <= 9 and -9 <= curve.y_multiplier <= 9) or curve.auto_vref:
        return "a multiplier out of range, or autonomousVRefEnable, which is not carried out"
    points = tuple((_times(p.x, curve.x_multiplier), _times(p.y, curve.y_multiplier)) for p in curve.points)
    lo, hi = X_RANGE[channel]
    if any(b < a for (a, _), (b, _) in pairwise(points)) or not all(lo <= x <= hi and abs(y) <= 100 for x, y in points):
        return "its points run backwards or leave the range"
    return Shape(points, reference, max(0, curve.open_loop_tms or 0) / 100)


def _times(value: int, multiplier: int) -> float:
    return float(value * 10**multiplier) if multiplier >= 0 else value / 10**-multiplier


@dataclass(slots=True)
class Shelf:
    """All curves that were read, and which a PCS of this plant takes."""

    points_max: Mapping[Channel, int]
    by_list: dict[str, dict[str, DerCurve]] = field(default_factory=dict)

    def put(self, url: str, items: Iterable[DerCurve]) -> bool:
        """A program's list was read; True when it says something else than before."""
        found = {place(url, item.href): item for item in items if item.href}
        changed = self.by_list.get(url) != found
        self.by_list[url] = found
        return changed

    def find(self, ref: str) -> DerCurve | None:
        """By a reference, relative or absolute."""
        at = place("", ref)
        return next((curves[at] for curves in self.by_list.values() if at in curves), None)

    def shape(self, ref: str, channel: Channel) -> Shape | str | None:
        """What is to be followed; why it cannot be; None = not read yet."""
        curve = self.find(ref)
        return None if curve is None else shape_of(curve, channel, self.points_max.get(channel, 0))

    def fault(self, ref: str, channel: Channel) -> str:
        """Why a curve that was read cannot be followed; empty = it can, or was not read yet."""
        shape = self.shape(ref, channel)
        return shape if isinstance(shape, str) else ""


def place(base: str, href: str) -> str:
    """A reference without its server: relative and absolute ones to the same curve are the same."""
    parts = urlsplit(urljoin(base, href.strip()))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def kept(shelf: Shelf) -> dict[str, list[str]]:
    """What must survive a restart, as the documents it came from."""
    return {url: [encode(curve).decode() for curve in found.values()] for url, found in shelf.by_list.items()}


def restore(shelf: Shelf, documents: Mapping[str, Iterable[str]]) -> None:
    """What kept made."""
    for url, texts in documents.items():
        shelf.put(url, [decode(text.encode(), DerCurve) for text in texts])
