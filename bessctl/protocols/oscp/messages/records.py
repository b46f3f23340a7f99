"""The words of OSCP 2.0 chapters 4.3 to 5.6 as records. Times are nanoseconds of UTC; powers and energies keep OSCP's own sign and unit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

VERSION = "2.0"


class CapacityForecastType(StrEnum):
    """5.3."""

    CONSUMPTION = "CONSUMPTION"
    GENERATION = "GENERATION"
    FALLBACK_CONSUMPTION = "FALLBACK_CONSUMPTION"
    FALLBACK_GENERATION = "FALLBACK_GENERATION"
    OPTIMUM = "OPTIMUM"


class BlockUnit(StrEnum):
    """5.4.1; also 5.6.4.1, where WH and KWH are the energy stored."""

    A = "A"
    W = "W"
    KW = "KW"
    WH = "WH"
    KWH = "KWH"


class Phase(StrEnum):
    """5.5."""

    UNKNOWN = "UNKNOWN"
    ONE = "ONE"
    TWO = "TWO"
    THREE = "THREE"
    ALL = "ALL"


class MeasurementConfiguration(StrEnum):
    """5.2.1."""

    CONTINUOUS = "CONTINUOUS"
    INTERMITTENT = "INTERMITTENT"


class AssetCategory(StrEnum):
    """5.6.1."""

    CHARGING = "CHARGING"
    CONSUMPTION = "CONSUMPTION"
    GENERATION = "GENERATION"
    STORAGE = "STORAGE"


class Direction(StrEnum):
    """5.6.2. IMPORT is energy put into the asset, EXPORT energy taken out of it, NET the first less the second."""

    NET = "NET"
    IMPORT = "IMPORT"
    EXPORT = "EXPORT"


class EnergyUnit(StrEnum):
    """5.6.3.1."""

    WH = "WH"
    KWH = "KWH"


class EnergyType(StrEnum):
    """5.6.3.2. Absent = TOTAL."""

    FLEXIBLE = "FLEXIBLE"
    NONFLEXIBLE = "NONFLEXIBLE"
    TOTAL = "TOTAL"


@dataclass(frozen=True, slots=True)
class VersionUrl:
    """5.1."""

    version: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Register:
    """4.3.1. `token`: what the other party shall send us from now on."""

    token: str
    version_url: tuple[VersionUrl, ...]


@dataclass(frozen=True, slots=True)
class RequiredBehaviour:
    """5.2. None = the field was not there; an empty tuple is an empty array."""

    heartbeat_interval_s: int | None = None
    measurement_configuration: tuple[MeasurementConfiguration, ...] | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """4.3.2; HandshakeAcknowledge (4.3.3) has the same field."""

    required_behaviour: RequiredBehaviour | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """4.3.4."""

    offline_mode_at_ns: int


@dataclass(frozen=True, slots=True)
class Block:
    """5.4 ForecastedBlock, [start, end)."""

    capacity: Decimal
    phase: Phase
    unit: BlockUnit
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """4.4.1 UpdateGroupCapacityForecast, and 4.4.2 AdjustGroupCapacityForecast."""

    group_id: str
    type: CapacityForecastType
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class ComplianceError:
    """4.4.3."""

    message: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class EnergyMeasurement:
    """5.6.3."""

    value: Decimal
    phase: Phase
    unit: EnergyUnit
    direction: Direction
    measure_time_ns: int
    energy_type: EnergyType | None = None
    initial_measure_time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class InstantaneousMeasurement:
    """5.6.4. W: + is consumption; WH and KWH: energy stored."""

    value: Decimal
    phase: Phase
    unit: BlockUnit
    measure_time_ns: int


@dataclass(frozen=True, slots=True)
class GroupMeasurements:
    """4.5.1."""

    group_id: str
    measurements: tuple[EnergyMeasurement, ...]


@dataclass(frozen=True, slots=True)
class AssetMeasurement:
    """5.6: exactly one of the two measurements."""

    asset_id: str
    asset_category: AssetCategory
    energy: EnergyMeasurement | None = None
    instantaneous: InstantaneousMeasurement | None = None


@dataclass(frozen=True, slots=True)
class AssetMeasurements:
    """4.5.2."""

    group_id: str
    measurements: tuple[AssetMeasurement, ...]
