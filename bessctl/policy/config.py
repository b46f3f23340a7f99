"""What the keeper of the policies needs to know. The site model fills it; nothing here reads a file. Frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bessctl.model.plan import Block
from bessctl.policy.problem import Band, Battery, Force, PeakShaving


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """Another source's slot: its rank (the lowest number's target rules), whether its limits bind after a lapse, its sealed default."""

    name: str
    priority: int
    binding: bool
    default: Block


@dataclass(frozen=True, slots=True)
class Connection:
    """What the connection point may carry, and what those who are served before us may take of it. Magnitudes; None = no limit."""

    import_max_w: float | None = None
    export_max_w: float | None = None
    charging_before_us_w: float = 0.0
    discharging_before_us_w: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """All of section `policy`, with what it needs of the rest of the site."""

    battery: Battery
    soc_min_pct: float = 0.0
    soc_max_pct: float = 100.0
    source: str = "policy"
    priority: int = 1000
    pcc: bool = False
    """The slot may use scope pcc."""
    slots: tuple[SlotFacts, ...] = ()
    connection: Connection = Connection()
    bands: tuple[Band, ...] = ()
    forces: tuple[Force, ...] = ()
    peak_shaving: PeakShaving | None = None
    self_consumption: bool = False
    reserve_pct: float = 0.0
    reserve_hysteresis_pct: float = 0.5
    soc_tolerance_pct: float = 0.5
    tariff_file: Path | None = None
    forecast_file: Path | None = None
    ask_more: bool = False
    ask_less: bool = False
    time_zone: str = "UTC"
    horizon_s: float = 48 * 3600.0
    step_s: float = 900.0
    margin: float = 0.05
    derating_holds_s: float = 7200.0
    replan_s: float = 60.0
    lease_s: float = 300.0
    minimum_w: float = 100.0
