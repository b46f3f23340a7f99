"""Measurements for one peer (OSCP 2.0 2.5, 4.5): taken on time, kept while the peer is away, sent when it is there.

Rules.
- A CP gets the energy of the group: at the connection point that of the plant (FLEXIBLE) and, where the meter counts it, that of the whole
  site (TOTAL), by which it sees whether its capacities were kept. A CO gets that of each unit with its power and the energy stored; a peer
  that is both gets both.
- Taken at whole multiples of the interval: configured, else that of the group's forecasts (FR.01.01), else 15 minutes; while registered.
  Without a date or without the plant's counters none is taken. Empty messages are never sent (row 4).
- IMPORT is energy into the asset (charge), EXPORT energy out of it, both >= 0; NET = IMPORT - EXPORT (5.6.2). Watts: + is consumption.
- CONTINUOUS, or nothing agreed: lifetime counters. INTERMITTENT: the energy of this period, with initial_measure_time (5.6.3).
- What the peer has not taken is on disk; of too much the oldest goes. What it refuses is dropped: repeating it would block all after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bessctl.protocols.oscp.config import Role, Scope
from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.codec import decimal
from bessctl.protocols.oscp.messages.records import (
    AssetCategory,
    AssetMeasurement,
    AssetMeasurements,
    BlockUnit,
    Direction,
    EnergyMeasurement,
    EnergyType,
    EnergyUnit,
    GroupMeasurements,
    InstantaneousMeasurement,
    Phase,
)
from bessctl.protocols.oscp.session.clock import NS, Now, seconds
from bessctl.protocols.oscp.session.common import Common
from bessctl.protocols.oscp.session.forecasts import Forecasts
from bessctl.protocols.oscp.session.kept import DropReadings, PutReading, Reading, UnitReading
from bessctl.protocols.oscp.session.outbox import Kind, Message, Outbox

DEFAULT_S = 900.0
BATCH = 24
HOLD_NS = 60 * NS
KINDS = {Role.CP: Kind.GROUP_MEASUREMENTS, Role.CO: Kind.ASSET_MEASUREMENTS}
MINUTE_NS = 60 * NS
METER = ""
"""The meter's name among the units."""


@dataclass(frozen=True, slots=True)
class UnitSample:
    """A unit's counters now, in OSCP's words: Wh into and out of it, W of consumption, Wh stored. None = not measured."""

    name: str
    import_wh: float
    export_wh: float
    consumption_w: float | None = None
    stored_wh: float | None = None


class Metering:
    """Of one peer."""

    def __init__(self, common: Common, outbox: Outbox, forecasts: Forecasts, stored: Iterable[Reading], most: int) -> None:
        self._common, self._outbox, self._forecasts, self._most = common, outbox, forecasts, most
        self.waiting = list(stored)
        self._next_seq = max((r.seq for r in self.waiting), default=0) + 1
        self._next_ns: dict[str, int] = {}
        self._held_ns = 0
        self._began: dict[str, tuple[int, dict[str, UnitSample]]] = {}

    def interval_ns(self, group: str) -> int:
        """Between two measurements of a group."""
        configured = self._common.config.measure_interval_s
        if configured is not None:
            return seconds(configured)
        seen_ns = self._forecasts.interval_ns(group)
        if seen_ns is None:
            return seconds(DEFAULT_S)
        step_ns = MINUTE_NS if seen_ns >= MINUTE_NS else NS
        return max(step_ns, round(seen_ns / step_ns) * step_ns)

    def sample(self, units: Sequence[UnitSample], now: Now, meter: UnitSample | None = None) -> bool:
        """Take what is due; True when something was. Call it often."""
        if now.utc_ns is None or not units or not self._common.record.registered:
            return False
        taken = [self._sample(group, units, meter, now.utc_ns) for group in self._common.config.groups]
        return any(taken)

    def _sample(self, group: str, units: Sequence[UnitSample], meter: UnitSample | None, utc_ns: int) -> bool:
        counters = {sample.name: sample for sample in (*units, *([meter] if meter else []))}
        interval_ns = self.interval_ns(group)
        due_ns = self._next_ns.get(group)
        known = group in self._began
        if not known:
            self._began[group] = (utc_ns, counters)
        if due_ns is None or due_ns - utc_ns > interval_ns:  # the first look, a shorter interval, or a clock that was set back
            self._next_ns[group] = (utc_ns // interval_ns + 1) * interval_ns
            return False
        if utc_ns < due_ns:
            return False
        self._next_ns[group] = (utc_ns // interval_ns + 1) * interval_ns
        began_ns, before = self._began[group]
        readings = tuple(_reading(unit, before.get(unit.name), began_ns, utc_ns) for unit in units)
        total = None if meter is None else _reading(meter, before.get(METER), began_ns, utc_ns)
        self._began[group] = (utc_ns, counters)
        for role in sorted(self._common.config.roles):
            self._keep(Reading(self._next_seq, role.value, group, utc_ns, readings, total))
            self._next_seq += 1
        return True

    def _keep(self, reading: Reading) -> None:
        self.waiting.append(reading)
        self._common.writes.append(PutReading(reading))
        if len(self.waiting) > self._most:
            dropped = self.waiting.pop(0)
            self._common.writes.append(DropReadings((dropped.seq,)))

    # --- sending ---

    def fill(self, now: Now, *, intermittent: bool, scopes: dict[str, Scope]) -> None:
        """Have the oldest sent: up to BATCH readings of one group and kind in one message."""
        if now.mono_ns < self._held_ns:
            return
        for role, kind in KINDS.items():
            if self._outbox.waits(kind):
                continue
            mine = [r for r in self.waiting if r.role == role.value]
            if not mine:
                continue
            batch = [r for r in mine if r.group == mine[0].group][:BATCH]
            body = _group(batch, intermittent, scopes) if role is Role.CP else _assets(batch, intermittent)
            key = ",".join(str(r.seq) for r in batch)
            self._outbox.put(Message(kind, codec.to_bytes(body), self._common.new_id(), key=key))

    def answered(self, message: Message, status: int) -> None:
        """The peer took it, or refused it: either way it is over."""
        gone = {int(seq) for seq in message.key.split(",")}
        self.waiting = [r for r in self.waiting if r.seq not in gone]
        self._common.writes.append(DropReadings(tuple(sorted(gone))))
        if status != 204:
            self._common.warn(f"refused {len(gone)} measurements with {status}; they are dropped")

    def hold(self, now: Now) -> None:
        """The peer takes nothing from us at the moment."""
        self._held_ns = now.mono_ns + HOLD_NS

    def clear(self) -> None:
        """The registration is over."""
        self._common.writes.append(DropReadings(tuple(r.seq for r in self.waiting)))
        self.waiting.clear()
        self._next_ns.clear()
        self._began.clear()


def _reading(unit: UnitSample, before: UnitSample | None, began_ns: int, utc_ns: int) -> UnitReading:
    """A counter that ran backwards began anew: the period begins now."""
    whole = before is not None and before.import_wh <= unit.import_wh and before.export_wh <= unit.export_wh
    start = before if whole and before is not None else unit
    return UnitReading(
        unit.name, unit.import_wh, unit.export_wh, start.import_wh, start.export_wh, began_ns if whole else utc_ns,
        unit.consumption_w, unit.stored_wh,
    )  # fmt: skip


def _energies(units: Sequence[UnitReading], utc_ns: int, kind: EnergyType | None, *, intermittent: bool) -> list[EnergyMeasurement]:
    """NET, IMPORT and EXPORT of some units together."""

    def total(ends: Iterable[float], starts: Iterable[float]) -> Decimal:
        return decimal(sum(ends) - (sum(starts) if intermittent else 0.0))

    imported = total((u.import_wh for u in units), (u.start_import_wh for u in units))
    exported = total((u.export_wh for u in units), (u.start_export_wh for u in units))
    began_ns = min(u.start_utc_ns for u in units) if intermittent else None
    values = ((Direction.NET, imported - exported), (Direction.IMPORT, imported), (Direction.EXPORT, exported))
    return [EnergyMeasurement(value, Phase.ALL, EnergyUnit.WH, way, utc_ns, kind, began_ns) for way, value in values]


def _group(batch: Sequence[Reading], intermittent: bool, scopes: dict[str, Scope]) -> GroupMeasurements:
    """At the connection point the plant is the flexible part alone; at its own terminals it is all there is."""
    kind = EnergyType.FLEXIBLE if scopes[batch[0].group] is Scope.PCC else None
    entries = [entry for r in batch for entry in _energies(r.units, r.utc_ns, kind, intermittent=intermittent)]
    if kind is not None:
        meters = [(r.meter, r.utc_ns) for r in batch if r.meter is not None]
        entries += [e for meter, utc_ns in meters for e in _energies([meter], utc_ns, EnergyType.TOTAL, intermittent=intermittent)]
    return GroupMeasurements(batch[0].group, tuple(entries))


def _assets(batch: Sequence[Reading], intermittent: bool) -> AssetMeasurements:
    return AssetMeasurements(batch[0].group, tuple(e for r in batch for unit in r.units for e in _asset(unit, r.utc_ns, intermittent)))


def _asset(unit: UnitReading, utc_ns: int, intermittent: bool) -> list[AssetMeasurement]:
    storage = AssetCategory.STORAGE
    entries = [AssetMeasurement(unit.name, storage, energy=energy) for energy in _energies([unit], utc_ns, None, intermittent=intermittent)]
    for value, what in ((unit.consumption_w, BlockUnit.W), (unit.stored_wh, BlockUnit.WH)):
        if value is not None:
            instant = InstantaneousMeasurement(decimal(value), Phase.ALL, what, utc_ns)
            entries.append(AssetMeasurement(unit.name, storage, instantaneous=instant))
    return entries
