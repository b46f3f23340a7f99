"""The control core a second time, in plain Python and from the prose (docs, ADRs, design rules): what the compiled step is held against.

It imports nothing of the core and nothing of the rig, and nobody tells it what the step came to: it is fed what the plant is fed (samples,
device states, plans, requests, what the disk holds) and comes by itself to modes, latches, lapses, the interval of each unit, and what is
left of it by the sources. telling.py translates numbers and bytes into its words. tests/test_house.py looks after its imports.

`Site` is what is sealed; a `Plant` is one run of a loop, from its start to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from tests.properties.model_modes import Machine, Record, Start, Times
from tests.properties.model_plans import Plan, SlotRule, Sources
from tests.properties.model_rows import NEVER, Row, RowRule, Sample, Table
from tests.properties.model_units import CONNECTED, SUSPENDING, S, Unit

WAYS = ("charge", "discharge")
POWERED = ("run", "stopping")
"""The modes in which a unit may give power."""


@dataclass(frozen=True)
class Site:
    """Equal units with a BMS each, but for those `alone`. `dc_v`: the lowest pack voltage; no losses."""

    units: int
    rated_w: float
    dc_v: float
    rows: tuple[RowRule, ...]
    slots: tuple[SlotRule, ...]
    times: Times
    has_meter: bool = True
    age_ns: int = S
    reentry_share: float = 0.0
    reentry_ns: int = 0
    alone: frozenset[int] = frozenset()


@dataclass
class Plant:
    """One loop: make it at its start, then `tick`."""

    site: Site
    start: Start
    record: Record | None = None
    samples: dict[tuple[int, str], Sample] = field(default_factory=dict)
    meter_up: bool = False
    closed: dict[tuple[int, str], int] = field(default_factory=dict)
    """Directions that BMS or a row closed, and since when."""
    away: set[int] = field(default_factory=set)
    """Units whose BMS said in the last tick that its battery is not connected."""
    intervals: list[tuple[float, float]] = field(default_factory=list)
    giving: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        site = self.site
        self.table = Table(site.rows)
        self.machine = Machine(site.times, self.table, self.start, self.record)
        self.sources = Sources(site.slots)
        self.units = [Unit(site.rated_w, age_ns=site.age_ns, alone=unit in site.alone) for unit in range(site.units)]
        self.of_unit = [self.table.of(unit) for unit in range(site.units)]

    def sample(self, place: int, quantity: str) -> Sample:
        return self.samples.get((place, quantity), NEVER)

    def measure(self, place: int, quantity: str, value: float, at_ns: int) -> None:
        at = self.samples.get((place, quantity))
        if at is None:
            self.samples[place, quantity] = Sample(value, at_ns)
        else:
            at.value, at.at_ns = value, at_ns

    def offer(self, slot: int, plan: Plan, now_ns: int) -> None:
        """A plan arrived before this tick."""
        if 0 <= slot < len(self.sources.slots):
            self.sources.slots[slot].offer(plan, self.start.boot, now_ns, self.machine.keeps_operator_out)

    # --- one tick ---

    def tick(self, now_ns: int, request: tuple[str, bool, int] | None, on_disk: int, seq: int) -> None:
        """`request`: what, by the operator at the machine, and of which slot. `seq`: the number a record of this tick has."""
        self._batteries(now_ns)
        self.machine.settle(on_disk)
        if request is not None:
            self._ask(request, seq)
        self.sources.update(now_ns)
        if self.table.move(self.samples, now_ns, self.machine.acquired):
            self.machine.call_off()
        for i, unit in enumerate(self.units):
            unit.listen(self.sample(i, "ac_w"), self.sample(i, "pcs_state"), now_ns)
        self._mode(now_ns)
        self._intervals(now_ns)

    def command(self, watts: Sequence[float]) -> None:
        """What the units were told in this tick."""
        for unit, w in zip(self.units, watts, strict=True):
            unit.command(w)

    def _ask(self, request: tuple[str, bool, int], seq: int) -> None:
        what, local, slot = request
        if what == "release" and local and 0 <= slot < len(self.sources.slots):
            self.sources.slots[slot].clear()
        self.machine.ask(what, local, seq)

    def _batteries(self, now_ns: int) -> None:
        """The pack voltage of a battery that is not connected is none, as of the tick after the BMS said so."""
        for unit in self.away:
            if (unit, "pack_v") in self.samples:
                self.samples[unit, "pack_v"].value = float("nan")
        states = {unit: self.sample(unit, "bms_state") for unit in range(self.site.units)}
        self.away = {
            u for u, state in states.items() if state.seen(now_ns, self.site.age_ns) and not CONNECTED <= state.value <= SUSPENDING
        }

    def _mode(self, now_ns: int) -> None:
        machine, before = self.machine, self.machine.mode
        devices = all(unit.up for unit in self.units) and (self.meter_up or not self.site.has_meter)
        machine.update(self.site.units, devices and all(row.sees(now_ns) for row in self.table.rows), now_ns)
        if machine.mode not in POWERED:
            self.closed.clear()
        if machine.mode != before and machine.keeps_operator_out:
            for slot in self.sources.slots:
                if slot.rule.operator:
                    slot.clear()

    # --- what a unit may give ---

    def _intervals(self, now_ns: int) -> None:
        if self.machine.mode not in POWERED:
            self.intervals = [(0.0, 0.0)] * self.site.units
            self.giving = [self._giving(i, now_ns) for i in range(self.site.units)]
            return
        self.intervals = [self._interval(i, now_ns) for i in range(self.site.units)]
        self.giving = [self._giving(i, now_ns) for i in range(self.site.units)]

    def _giving(self, unit: int, now_ns: int) -> tuple[float, float]:
        return (0.0, 0.0) if self._obeys(unit, now_ns) else self.units[unit].giving(now_ns)

    def _obeys(self, unit: int, now_ns: int) -> bool:
        power, state, switch, grid = (self.sample(unit, name) for name in ("ac_w", "pcs_state", "loc_rem", "pcs_conn"))
        return self.units[unit].obeys(power, state, switch, grid, now_ns)

    def _interval(self, unit: int, now_ns: int) -> tuple[float, float]:
        """The smallest of all; it always contains 0."""
        rows = self.of_unit[unit]
        if any(row.stops for row in rows):
            return 0.0, 0.0
        charge, discharge = (self._gated(unit, way, rows, now_ns) for way in WAYS)
        loadable = self.units[unit].loadable(self.sample(unit, "bms_state"), now_ns)
        if self.sources.disconnects or not loadable or not self._obeys(unit, now_ns):
            return 0.0, 0.0
        return -charge, discharge

    def _gated(self, unit: int, way: str, rows: list[Row], now_ns: int) -> float:
        """A direction that BMS or a row closed opens again with a share of the rating and after a time."""
        w, rated_w = self._side(unit, way, rows, now_ns)
        if self.site.reentry_share <= 0 and self.site.reentry_ns <= 0:
            return w
        if rated_w > 0 >= w:
            self.closed.setdefault((unit, way), now_ns)
        elif (unit, way) in self.closed:
            long = now_ns - self.closed[unit, way] >= self.site.reentry_ns
            if long and w >= self.site.reentry_share * self.site.rated_w:
                del self.closed[unit, way]
        return 0.0 if (unit, way) in self.closed else w

    def _side(self, unit: int, way: str, rows: list[Row], now_ns: int) -> tuple[float, float]:
        """What is allowed one way, and what the PCS's rating alone would allow."""
        site, charge = self.site, way == "charge"
        stated = self.sample(unit, "w_max_cha" if charge else "w_max_dis")
        amps = self.sample(unit, "bms_cha_max_a" if charge else "bms_dis_max_a")
        rated = site.rated_w
        if stated.at_ns > 0:
            rated = min(rated, max(0.0, stated.value) if stated.seen(now_ns, site.age_ns) else 0.0)
        share = min((row.share(way) for row in rows), default=1.0)
        battery = max(0.0, amps.value) * site.dc_v if amps.seen(now_ns, site.age_ns) else 0.0
        if unit in site.alone and amps.at_ns == 0:
            battery = inf  # nobody limits its battery
        return min(rated, site.rated_w * share, battery), rated

    # --- what the sources leave ---

    def envelope(self) -> tuple[tuple[float, float], tuple[float, float], str]:
        """The plant's device interval, what units beyond our command may give included; what the sources leave of it; and how far this is
        known (Sources.narrow)."""
        counted = self.giving if self.machine.mode in POWERED else []
        device = [sum(side[i] for side in (*self.intervals, *counted)) for i in (0, 1)]
        lo, hi, known = self.sources.narrow(device[0], device[1])
        return (device[0], device[1]), (lo, hi), known
