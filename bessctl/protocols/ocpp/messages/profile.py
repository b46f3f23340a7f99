"""Charging profiles: the station model's words, the same for every dialect.

Limits stay in the unit of the message (W or A) until they are composed; times are UTC ns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What a profile limits."""

    STATION_MAX = "station_max"
    """The whole station (1.6 ChargePointMaxProfile, 2.0.1 ChargingStationMaxProfile)."""
    TX_DEFAULT = "tx_default"
    TX = "tx"
    EXTERNAL = "external"
    """2.0.1 ChargingStationExternalConstraints: ours to write, never a CSMS's (OCPP-6)."""


class Kind(StrEnum):
    """What the periods of a profile count from."""

    ABSOLUTE = "absolute"
    RECURRING = "recurring"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start_s` on, at most `limit` (W or A) on `phases` phases (None = 3). `phase`: which one, where 2.0.1 names it (phaseToUse)."""

    start_s: int
    limit: float
    phases: int | None = None
    phase: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periods, ordered. `unit`: W or A. `duration_s` None = until the profile or the transaction ends."""

    unit: str
    periods: tuple[Period, ...]
    start_ns: int | None = None
    duration_s: int | None = None
    min_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile. `every_s`: a day or a week where it recurs. `tx`: the transaction it was sent for, the peer's name of it."""

    id: int
    stack: int
    purpose: Purpose
    kind: Kind
    schedule: Schedule
    every_s: int | None = None
    valid_from_ns: int | None = None
    valid_to_ns: int | None = None
    tx: str | None = None
