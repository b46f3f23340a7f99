"""What a source wants, over time: the supervisor's side of a plan slot.

A plan says nothing about who may ask for what: class, priority, scopes and maximum lease of a slot are sealed with the
configuration and the loop alone applies them. Sign everywhere: positive power flows toward the grid (discharge, export).
`None` is no statement; zero is an order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

MAX_BLOCKS = 96
FOREVER_NS = 2**63 - 1


class Lapse(IntEnum):
    """What becomes of a plan's limits once its lease is over. The target is always dropped."""

    FALLBACK = 0
    """The fallback series rules; after its end, and in its gaps, the slot's sealed default."""
    HOLD = 1
    """The limits of the live series stay until their blocks end."""
    ZERO = 2
    """ess limits [0, 0]."""
    DROP = 3
    """No limit at all; only a slot sealed as advisory may ask for it."""


class Scope(IntEnum):
    """Where a power is counted."""

    ESS = 0
    """At the PCS's AC terminals, all units together."""
    PCC = 1
    """At the point of common coupling."""


class QKind(IntEnum):
    """What `q_value` means."""

    NONE = 0
    VAR = 1
    """Reactive power in var, positive = injected (over-excited), as in IEEE 1547."""
    PF = 2
    """Power factor, sign as excitation: negative = absorbing."""


@dataclass(frozen=True, slots=True)
class Block:
    """One stretch of time, [start_ns, end_ns) on CLOCK_MONOTONIC. ess limits obey lo <= 0 <= hi: only a target moves power away from zero."""

    start_ns: int
    end_ns: int
    ess_lo_w: float | None = None
    ess_hi_w: float | None = None
    pcc_lo_w: float | None = None
    pcc_hi_w: float | None = None
    target_w: float | None = None
    target_scope: Scope = Scope.ESS
    q_kind: QKind = QKind.NONE
    q_value: float = 0.0
    energize: bool | None = None
    rate_w_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """At most MAX_BLOCKS live and as many fallback blocks, ordered, not overlapping; `lease_until_ns` is absolute and valid in this boot only."""

    lease_until_ns: int
    blocks: tuple[Block, ...] = ()
    fallback: tuple[Block, ...] = ()
    lapse: Lapse = Lapse.FALLBACK


class PlanWriter(Protocol):
    """A binding's way to its own slot. Supervisor thread."""

    def write(self, plan: Plan) -> int:
        """Hand the plan over, replacing the whole slot; returns its serial. The loop follows it from its next tick on.

        Raises PlanRefused, with the rule, for a plan that the loop would refuse.
        """

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, the only clock plans are written in."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Who sets one side of an envelope: a source, a protection row, the device; since and until when (ns, 0 = open)."""

    kind: str
    name: str
    since_ns: int = 0
    until_ns: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Limit:
    """One side of an envelope and who set it."""

    value_w: float
    binding: Binding


@dataclass(frozen=True, slots=True)
class UnitSnapshot:
    """One PCS with its battery. Missing measurements are None. Energies are lifetime counters of the AC side, Wh."""

    name: str
    state: str
    command_w: float
    ac_w: float | None = None
    ac_var: float | None = None
    ac_v: float | None = None
    ac_hz: float | None = None
    dc_v: float | None = None
    dc_a: float | None = None
    soc_pct: float | None = None
    soh_pct: float | None = None
    cell_temp_max_c: float | None = None
    cell_temp_min_c: float | None = None
    cell_v_max_v: float | None = None
    cell_v_min_v: float | None = None
    import_wh: float = 0.0
    export_wh: float = 0.0
    capacity_wh: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A protection row or machine condition that is active or latched. `code` is stable ("cell_temp_high"); `tier`: warn, derate, trip."""

    code: str
    tier: str
    unit: str
    active: bool
    latched: bool
    value: float | None = None
    threshold: float | None = None
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class SlotSnapshot:
    """How the loop sees one source: `state` is empty, live, lapsed or refused; `reason` names the refusal."""

    source: str
    state: str
    serial: int
    lease_until_ns: int
    target_w: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlantSnapshot:
    """The plant at one tick. `mode`: acquire, run, stopped, out_of_service, tripped, standby."""

    tick: int
    now_ns: int
    mode: str
    ess_w: float | None
    pcc_w: float | None
    command_w: float
    lo: Limit
    hi: Limit
    target_w: float | None
    target_source: str
    units: tuple[UnitSnapshot, ...] = ()
    slots: tuple[SlotSnapshot, ...] = ()
    alarms: tuple[Alarm, ...] = field(default=())

    @property
    def import_wh(self) -> float:
        """Lifetime AC energy taken from the grid by all units (charge), Wh."""
        return sum(u.import_wh for u in self.units)

    @property
    def export_wh(self) -> float:
        """Lifetime AC energy given toward the grid by all units (discharge), Wh."""
        return sum(u.export_wh for u in self.units)


class PlantView(Protocol):
    """A binding's view of the plant. Supervisor thread."""

    def snapshot(self) -> PlantSnapshot | None:
        """The newest state the loop published, or None while no loop is attached."""
