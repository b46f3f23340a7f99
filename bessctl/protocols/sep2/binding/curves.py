"""The utility's schedule of curves -> what every PCS is to follow, and when. Pure.

A function is ours as soon as an event or a default speaks on it; where neither does, it is off. Where a curve is not known yet, or
cannot be followed, nothing at all is said of its function: what stands in the PCS stays until we know better.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from bessctl.model.curve import STEPS_MAX, CurveKind, Curves, CurveStep
from bessctl.model.plan import FOREVER_NS
from bessctl.protocols.sep2.binding.plans import lived, pieces
from bessctl.protocols.sep2.messages.modes import CURVES, Channel, Setting
from bessctl.protocols.sep2.session.curves import Shape, Shelf
from bessctl.protocols.sep2.session.engine import Schedule

KINDS = {Channel.VOLT_VAR: CurveKind.VOLT_VAR, Channel.VOLT_WATT: CurveKind.VOLT_WATT, Channel.WATT_VAR: CurveKind.WATT_VAR}


def curves_of(schedule: Schedule, shelf: Shelf, mono_ns: Callable[[float], int], now_ns: int) -> tuple[Curves, tuple[str, ...]]:
    """What is to hold, and why a function is missing from it."""
    mono_ns = lived(schedule, mono_ns, now_ns)
    out: dict[CurveKind, tuple[CurveStep, ...]] = {}
    notes: list[str] = []
    for channel in sorted(CURVES):
        if channel not in schedule.defaults and not schedule.segments.get(channel):
            continue
        steps, why = _steps(pieces(schedule, channel, mono_ns), channel, shelf, now_ns)
        if why:
            notes.append(f"{channel}: {why}")
        else:
            out[KINDS[channel]] = steps
    return out, tuple(notes)


def _steps(found: list[tuple[int, Setting | None]], channel: Channel, shelf: Shelf, now_ns: int) -> tuple[tuple[CurveStep, ...], str]:
    """The next few; the rest follows as time goes on."""
    out: list[CurveStep] = []
    ends = [*found, (FOREVER_NS, None)]
    for (start_ns, setting), (end_ns, _) in pairwise(ends):
        if setting is None or end_ns <= now_ns or end_ns <= start_ns or len(out) == STEPS_MAX:
            continue
        shape = shelf.shape(setting.ref, channel)
        if not isinstance(shape, Shape):
            return (), shape or f"curve {setting.ref} is not known yet"
        if out and out[-1].end_ns == start_ns and (out[-1].points, out[-1].reference) == (shape.points, shape.reference):
            out[-1] = CurveStep(out[-1].start_ns, end_ns, shape.points, shape.reference, shape.response_s)
        else:
            out.append(CurveStep(start_ns, end_ns, shape.points, shape.reference, shape.response_s))
    return tuple(out), ""
