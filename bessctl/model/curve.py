"""Curves that every PCS of the plant is to follow, over time: SunSpec 705 Volt-Var, 706 Volt-Watt, 712 Watt-Var.

The loop writes them and ends them by its own clock. Sign: var positive = injected. Percentages as SunSpec has them: volts of VNom, watts of
WMax, the ordinate of what `Reference` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

STEPS_MAX = 4
POINTS_MAX = 10


class CurveKind(StrEnum):
    """Which function of the PCS."""

    VOLT_VAR = "volt_var"
    VOLT_WATT = "volt_watt"
    WATT_VAR = "watt_var"


class Reference(IntEnum):
    """SunSpec DeptRef: what 100 % of the ordinate is. 706 has the first two alone, and there 1 is the available active power."""

    MAX_W = 0
    MAX_VAR = 1
    AVAILABLE_VAR = 2
    MAX_VA = 3


@dataclass(frozen=True, slots=True)
class CurveStep:
    """One curve, [start_ns, end_ns) on CLOCK_MONOTONIC. Two to ten points, abscissa rising."""

    start_ns: int
    end_ns: int
    points: tuple[tuple[float, float], ...]
    reference: int = Reference.MAX_W
    response_s: float = 0.0
    """Open-loop response time; 0 = the PCS keeps its own."""


Curves = Mapping[CurveKind, tuple[CurveStep, ...]]
"""Steps in order, not overlapping, at most STEPS_MAX. A function that is named is off in its gaps; one that is not is left alone."""


@dataclass(frozen=True, slots=True)
class EnterService:
    """Within what and how a PCS comes back after a fault of the grid (SunSpec 703). None = it keeps its own."""

    v_high_pct: float | None = None
    """Of VNom."""
    v_low_pct: float | None = None
    hz_high: float | None = None
    hz_low: float | None = None
    delay_s: float | None = None
    random_s: float | None = None
    ramp_s: float | None = None


class CurveWriter(Protocol):
    """The way to the curves and the enter service of the PCS. Supervisor thread."""

    def write(self, curves: Curves, service: EnterService | None = None) -> None:
        """Replace what is to hold. Raises PlanRefused with the rule, NotReachable while no loop is attached.

        Beside `service` the last kind has room for one step less.
        """
