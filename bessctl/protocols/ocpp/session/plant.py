"""The plant as a station sees it: two directions, magnitudes only. The binding fills it from a snapshot and turns the sign there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Connector 1 discharges, connector 2 charges (settled question 2)."""

    DISCHARGE = "discharge"
    CHARGE = "charge"

    @property
    def other(self) -> Direction:
        return Direction.CHARGE if self is Direction.DISCHARGE else Direction.DISCHARGE


CONNECTORS = {1: Direction.DISCHARGE, 2: Direction.CHARGE}
CONNECTOR_OF = {direction: connector for connector, direction in CONNECTORS.items()}


@dataclass(frozen=True, slots=True)
class Side:
    """One direction, magnitudes. `offered_w` is the envelope now, `bound_by` who set it; `ours`: our own slot's plan did.

    `register_mwh` counts the plant's energy in this direction, in mWh: integers, so that shares add up exactly.
    """

    offered_w: float
    bound_by: str
    ours: bool
    power_w: float | None
    register_mwh: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """An alarm: our code, its tier (warn, derate, trip)."""

    code: str
    tier: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The plant at one instant. `running`: it takes commands. Missing measurements are None."""

    discharge: Side
    charge: Side
    running: bool
    mode: str = "run"
    voltage_v: float | None = None
    current_a: float | None = None
    frequency_hz: float | None = None
    soc_pct: float | None = None
    soh_pct: float | None = None
    temperature_c: float | None = None
    available_wh: float | None = None
    troubles: tuple[Trouble, ...] = ()

    def side(self, direction: Direction) -> Side:
        """One direction of it."""
        return self.discharge if direction is Direction.DISCHARGE else self.charge
