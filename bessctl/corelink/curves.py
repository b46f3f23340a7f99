"""The way to the curves of the PCS: a bessctl.model.curve.CurveWriter. Supervisor thread; outlives the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import nan

from bessctl.corelink.seal import number
from bessctl.corelink.words import FAULTS
from bessctl.errors import PlanRefused
from bessctl.model.curve import STEPS_MAX, CurveKind, Curves, EnterService
from bessctl_core.ports import PlanPort

LAST_KIND = list(CurveKind)[-1]


class PlantCurves:
    """One for the plant: the functions belong to the inverters, not to a source."""

    def __init__(self, port: Callable[[], PlanPort]) -> None:
        self._port = port
        self.last: tuple[Curves, EnterService | None] | None = None

    def write(self, curves: Curves, service: EnterService | None = None) -> None:
        """Replace what is to hold."""
        words = {
            number("CURVE", kind): [(s.start_ns, s.end_ns, int(s.reference), s.response_s, s.points) for s in steps]
            for kind, steps in (curves if service is None else _with_room(curves)).items()
        }
        try:
            fault = self._port().write_curves(words, None if service is None else _values(service))
        except (TypeError, ValueError, OverflowError) as e:
            raise PlanRefused(f"curves: {e}") from e
        if fault:
            raise PlanRefused(f"curves: {FAULTS.get(fault, f'fault {fault}')}")
        self.last = curves, service


def _with_room(curves: Curves) -> Curves:
    """Enter service travels in the place of the last kind's last step, which comes when its time is nearer."""
    return {kind: steps[: STEPS_MAX - 1] if kind is LAST_KIND else steps for kind, steps in curves.items()}


def _values(service: EnterService) -> list[float]:
    """In the order of the core's ServiceValue; NaN = not stated."""
    return [nan if value is None else value for value in (getattr(service, field.name) for field in fields(service))]
