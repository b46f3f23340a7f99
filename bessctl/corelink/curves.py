"""The way to the curves of the PCS: a bessctl.model.curve.CurveWriter. Supervisor thread; outlives the loop."""

from __future__ import annotations

from collections.abc import Callable

from bessctl.corelink.seal import number
from bessctl.corelink.words import FAULTS
from bessctl.errors import PlanRefused
from bessctl.model.curve import Curves
from bessctl_core.ports import PlanPort


class PlantCurves:
    """One for the plant: the functions belong to the inverters, not to a source."""

    def __init__(self, port: Callable[[], PlanPort]) -> None:
        self._port = port
        self.last: Curves | None = None

    def write(self, curves: Curves) -> None:
        """Replace what is to hold."""
        words = {
            number("CURVE", kind): [(s.start_ns, s.end_ns, int(s.reference), s.response_s, s.points) for s in steps]
            for kind, steps in curves.items()
        }
        try:
            fault = self._port().write_curves(words)
        except (TypeError, ValueError, OverflowError) as e:
            raise PlanRefused(f"curves: {e}") from e
        if fault:
            raise PlanRefused(f"curves: {FAULTS.get(fault, f'fault {fault}')}")
        self.last = curves
