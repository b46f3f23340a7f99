"""The plant as the loop published it: what bindings, the command line and the store read. Sign and units as in plan.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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
    command_var: float = 0.0
    import_wh: float = 0.0
    export_wh: float = 0.0
    capacity_wh: float | None = None
    contactor: str = "unknown"
    """closed, opening, open, closing, gave_up; unknown where nobody says."""
    curves: tuple[tuple[str, str], ...] = ()
    """Functions of the PCS whose curves are ours, and how each stands: writing, in_force, off, failed."""


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
    which: str = ""
    """Of a row on alarm bits: those that are set, by name or number."""


@dataclass(frozen=True, slots=True)
class SlotSnapshot:
    """How the loop sees one source: `state` is empty, live, lapsed or refused; `reason` names the refusal."""

    source: str
    state: str
    serial: int
    lease_until_ns: int
    target_w: float | None
    reason: str = ""
    reactive_kind: str = "none"
    reactive_value: float | None = None


@dataclass(frozen=True, slots=True)
class Reactive:
    """Reactive power of all units, + injected. `kind`: none (the PCS's own functions rule), var, pf, available.

    `wanted_var`: before the apparent power limits it, None = nobody asks. `most_var`: what may be given now, either way.
    """

    kind: str = "none"
    source: str = ""
    wanted_var: float | None = None
    command_var: float = 0.0
    measured_var: float | None = None
    most_var: float = 0.0


NO_REACTIVE = Reactive()


@dataclass(frozen=True, slots=True)
class MeterSnapshot:
    """The meter at the connection point beside its power: phase voltages to neutral, lifetime energies. None = not measured."""

    phase_v: tuple[float | None, ...] = ()
    import_wh: float | None = None
    export_wh: float | None = None


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
    reactive: Reactive = NO_REACTIVE
    pcc_import_wh: float = 0.0
    pcc_export_wh: float = 0.0
    units: tuple[UnitSnapshot, ...] = ()
    slots: tuple[SlotSnapshot, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    unmet_w: float = 0.0
    """R3: what `unmet_source` asks for and cannot have, in the direction it asks for: + more export or less import. 0 = all are met."""
    unmet_source: str = ""
    meter: MeterSnapshot = MeterSnapshot()
    disconnected_by: str = ""
    """The source whose plan says connect 0; empty = none does. `UnitSnapshot.contactor` says how far it is."""
    shedding: bool = False
    """R3: the load-shed output is on."""

    @property
    def import_wh(self) -> float:
        """Lifetime AC energy taken from the grid by all units (charge), Wh."""
        return sum(u.import_wh for u in self.units)

    @property
    def export_wh(self) -> float:
        """Lifetime AC energy given toward the grid by all units (discharge), Wh."""
        return sum(u.export_wh for u in self.units)

    @property
    def soc_pct(self) -> float | None:
        """The plant's state of charge: by capacity where every unit tells its own, else the plain mean; None while any is missing."""
        socs = [u.soc_pct for u in self.units if u.soc_pct is not None]
        if not socs or len(socs) != len(self.units):
            return None
        capacities = [u.capacity_wh for u in self.units if u.capacity_wh is not None]
        if len(capacities) != len(socs):
            return sum(socs) / len(socs)
        whole = sum(capacities)
        return sum(s * c for s, c in zip(socs, capacities, strict=True)) / whole if whole > 0 else None

    @property
    def available_wh(self) -> float | None:
        """Energy that can be discharged; None while a state of charge or a capacity is missing."""
        soc, capacities = self.soc_pct, [u.capacity_wh for u in self.units]
        return None if soc is None or None in capacities else sum(c or 0.0 for c in capacities) * soc / 100


class PlantView(Protocol):
    """A binding's view of the plant. Supervisor thread."""

    def snapshot(self) -> PlantSnapshot | None:
        """The newest state the loop published, or None while no loop is attached."""
