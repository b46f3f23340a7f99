"""The words of the planner: data alone. Instants are UTC ns, powers W positive toward the grid, energies Wh of the operational window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bessctl.policy.schedule import Schedule

RATING = "rating"
MIDDLE = 5


@dataclass(frozen=True, slots=True)
class Battery:
    """What is to be planned. Efficiencies are one way, AC to stored and stored to AC."""

    capacity_wh: float
    charge_max_w: float
    discharge_max_w: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95


@dataclass(frozen=True, slots=True)
class Band:
    """At each instant of the schedule the SoC lies within [lo, hi], and stays there for `hold_s`."""

    name: str
    schedule: Schedule
    lo_pct: float
    hi_pct: float
    hold_s: float = 0.0
    priority: int = MIDDLE


@dataclass(frozen=True, slots=True)
class Force:
    """From each instant on, this power for `for_s` (its time-out). Power 0 holds the SoC. The higher priority rules where two overlap."""

    name: str
    schedule: Schedule
    power_w: float
    for_s: float
    priority: int = MIDDLE


@dataclass(frozen=True, slots=True)
class PeakShaving:
    """Import at the connection point stays below this, as far as the battery can."""

    import_max_w: float


@dataclass(frozen=True, slots=True)
class Span:
    """What somebody else states for a stretch of time: limits, and a target that rules before ours. None is no statement."""

    start_ns: int
    end_ns: int
    who: str
    ess_lo_w: float | None = None
    ess_hi_w: float | None = None
    pcc_lo_w: float | None = None
    pcc_hi_w: float | None = None
    target_w: float | None = None
    target_at_pcc: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Prices or powers of a stretch of time: `values` by name."""

    start_ns: int
    end_ns: int
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """All a plan depends on. `prices`: buy and sell per kWh; `site`: load_w and pv_w. In gaps the defaults hold."""

    now_ns: int
    energy_wh: float
    battery: Battery
    bands: tuple[Band, ...] = ()
    forces: tuple[Force, ...] = ()
    peak_shaving: PeakShaving | None = None
    self_consumption: bool = False
    reserve_wh: float = 0.0
    spans: tuple[Span, ...] = ()
    prices: tuple[Piece, ...] = ()
    site: tuple[Piece, ...] = ()
    load_w: float = 0.0
    pv_w: float = 0.0
    tariff: bool = False
    """Prices count. Without a tariff nothing is bought or sold for money's sake."""
    horizon_ns: int = 48 * 3600 * 1_000_000_000
    step_ns: int = 900 * 1_000_000_000
    margin: float = 0.05
    """Share of the charging and discharging power kept back, so that a small trouble does not miss a target."""
    tolerance_wh: float = 0.0
    """A band whose ends are equal is as wide as this, each way."""


class Kind(Enum):
    """Why a step wishes a power."""

    NONE = "none"
    OTHER = "other"
    """Another source's target, which rules before ours."""
    FORCE = "force"
    HOLD = "hold"
    SELF = "self_consumption"


@dataclass(frozen=True, slots=True)
class Wish:
    """A power somebody wants in a step."""

    kind: Kind
    power_w: float
    who: str


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of time in which nothing changes. lo <= 0 <= hi; `lo_who` and `hi_who` set them. `net_w`: load less PV."""

    start_ns: int
    end_ns: int
    lo_w: float
    hi_w: float
    lo_who: str
    hi_who: str
    net_w: float = 0.0
    buy: float = 0.0
    sell: float = 0.0
    wish: Wish | None = None
    import_max_w: float | None = None

    @property
    def hours(self) -> float:
        """How long."""
        return (self.end_ns - self.start_ns) / 3.6e12


@dataclass(frozen=True, slots=True)
class Target:
    """A band at one instant, as an energy range at edge `edge` of the steps (0 = now)."""

    name: str
    at_ns: int
    edge: int
    lo_wh: float
    hi_wh: float
    priority: int
    hold_edges: int = 0
    """So many edges more keep the band."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A target that cannot be met: what can be reached instead, and who prevents more."""

    name: str
    at_ns: int
    wanted_pct: tuple[float, float]
    reachable_pct: float
    because: str


@dataclass(frozen=True, slots=True)
class Done:
    """One step of the outcome: the power planned, and the energy at its end."""

    step: Step
    power_w: float
    energy_wh: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plan. `met`: targets that it meets, with the energy at their instant."""

    now_ns: int
    energy_wh: float
    capacity_wh: float
    steps: tuple[Done, ...]
    met: tuple[tuple[Target, float], ...]
    unmet: tuple[Unmet, ...]
    cost: float
    """By the tariff, over the horizon; energy left over is not counted."""
    margin_used: bool
    """The plan keeps the margin; False where a target needs all the power there is."""
