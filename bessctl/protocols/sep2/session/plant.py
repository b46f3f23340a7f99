"""The plant as the session sees it, in 2030.5's own sign (positive = discharge) and SI units. The binding makes it of snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the plant. None = not known, and then not told. `values`: w, hz, var, v."""

    values: Mapping[str, float | None] = field(default_factory=dict)
    soc_pct: float | None = None
    running: bool = False
    """Connected, and carrying out what it is told."""
    connected: bool = False
    """A contactor of some battery is closed; where none tells, the plant is not tripped or out of service."""
    available: bool = False
    """Nothing of its own keeps it away: not tripped, not out of service."""
    local_control: bool = False
    charge_now_w: float = 0.0
    """What the envelope leaves, magnitudes."""
    discharge_now_w: float = 0.0
    capacity_wh: float | None = None
    alarms: Mapping[str, str] = field(default_factory=dict)
    """Active alarms: name and tier."""
    overridden: bool = False
    """Somebody at the site took our power away."""
