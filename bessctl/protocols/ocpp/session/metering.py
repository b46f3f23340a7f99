"""What is measured and when (OCPP-14, OCPP-21; 1.6 3.16).

- Sampled values: every `MeterValueSampleInterval` seconds of a transaction, on the monotonic clock.
- Clock-aligned values: at multiples of `ClockAlignedDataInterval` since midnight UTC, of both connectors, stamped with the boundary
  itself and not with the instant we got round to it. A boundary missed (no date, asleep) is not made up for.
- What is not measured is not sent: a missing temperature is no temperature.
"""

from __future__ import annotations

from bessctl.protocols.ocpp.messages.records import MeterRecord, MeterReport, Sample, Stamp, TxHealth
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS, Direction, Reading
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import DropDoc, PutDoc, StoredTx

DAY_NS = 86_400 * NS
ALIGNED = "aligned"
ALIGNED_KEPT = 200
UNMEASURED = ("Temperature", "SoH")
"""What 2.0.1 has no measurand for and carries beside the values (OCPP-8, OCPP-14)."""
TRIGGERS = {"Sample.Clock": "MeterValueClock", "Trigger": "Trigger"}


def next_boundary(utc_ns: int, interval_s: int) -> int:
    """The first instant after `utc_ns` that is a multiple of the interval since midnight UTC; midnight is always one."""
    midnight = utc_ns - utc_ns % DAY_NS
    step = interval_s * NS
    return min(midnight + ((utc_ns - midnight) // step + 1) * step, midnight + DAY_NS)


class Metering:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions) -> None:
        self._core = core
        self._transactions = transactions
        self._next_sample: dict[str, int] = {}
        self._boundary: int | None = None
        saved = core.saved.docs.get(ALIGNED, {})
        self._aligned_kept = {ident: from_text(MeterRecord, saved[ident]) for ident in sorted(saved)}

    def step(self) -> None:
        """Take what is due now."""
        self._sampled()
        self._aligned()

    def wake_ns(self) -> int | None:
        """When something is due next, monotonic."""
        core = self._core
        times = list(self._next_sample.values())
        if self._boundary is not None and core.time.utc_ns(core.now) is not None:
            times.append(core.time.mono_ns(self._boundary, core.now))
        return min(times, default=None)

    def changed(self) -> None:
        """An interval was changed: count from now."""
        self._next_sample.clear()
        self._boundary = None

    def record(self, connector: int, key: str, context: str, at: Stamp | None = None) -> MeterRecord | None:
        """The values of a connector that a key lists; None when nothing of it is known."""
        core = self._core
        if core.reading is None:
            return None
        wanted = core.keys.words(key)
        values = self._values(connector, core.reading)
        if core.traits.tells_updates and wanted:
            wanted = (*wanted, *(name for name in UNMEASURED if name not in wanted))
        samples = tuple(Sample(name, value, unit) for name in wanted for value, unit in [values.get(name, (None, ""))] if value is not None)
        return MeterRecord(at or core.time.stamp(core.now), context, samples) if samples else None

    def first(self, connector: int) -> MeterRecord | None:
        """The values that go with a transaction's beginning (2.0.1)."""
        if not self._core.traits.tells_updates:
            return None
        return self.record(connector, "SampledDataCtrlr.TxStartedMeasurands", "Transaction.Begin")

    def final(self, tx: StoredTx) -> tuple[MeterRecord, ...]:
        """The values that go with a transaction's end: those of now, and the clock-aligned ones kept for it."""
        writes = self._core.out.writes
        writes += [DropDoc(ALIGNED, ident) for ident in self._aligned_kept]
        kept, self._aligned_kept = tuple(self._aligned_kept.values()), {}
        record = self.record(tx.connector, "StopTxnSampledData", "Transaction.End")
        return (*kept, record) if record else kept

    def health(self, tx: StoredTx, when: str) -> None:
        """The state of health as a transaction begins and ends: 1.6 has no measurand for it (OCPP-8)."""
        core, reading = self._core, self._core.reading
        if core.traits.version == "1.6" and reading is not None and reading.soh_pct is not None:
            core.enqueue(TxHealth(tx.id, tx.connector, when, reading.soh_pct, core.time.stamp(core.now)))

    def _keep_aligned(self, connector: int, stamp: Stamp) -> None:
        """StopTxnAlignedData: on disk, for the transaction may outlive us."""
        tx = self._transactions.active(connector)
        record = self.record(connector, "StopTxnAlignedData", "Sample.Clock", stamp) if tx else None
        if record is None or len(self._aligned_kept) >= ALIGNED_KEPT:
            return
        ident = f"{stamp.utc_ns:020d}"
        self._aligned_kept[ident] = record
        self._core.out.writes.append(PutDoc(ALIGNED, ident, to_text(record)))

    def report(self, connector: int, key: str, context: str, at: Stamp | None = None, *, triggered: bool = False) -> None:
        """Values of a connector, within its transaction if one runs."""
        trigger = TRIGGERS.get(context, "MeterValuePeriodic")
        record = self.record(connector, key, context, at)
        tx = self._transactions.active(connector)
        if record is None:
            return
        if tx is not None:
            self._transactions.metered(tx, record, trigger)
        else:
            self._core.ask(MeterReport(connector, record), triggered=triggered)

    def _sampled(self) -> None:
        core, interval = self._core, self._core.keys.number("MeterValueSampleInterval") * NS
        tx = self._transactions.active()
        if tx is None or interval == 0:
            self._next_sample.clear()
            return
        due = self._next_sample.get(tx.id, core.now.mono_ns + interval)
        self._next_sample = {tx.id: due}
        if core.now.mono_ns >= due:
            if core.keys.flag("SampledDataCtrlr.Enabled"):
                self.report(tx.connector, "MeterValuesSampledData", "Sample.Periodic")
            missed = (core.now.mono_ns - due) // interval
            self._next_sample[tx.id] = due + (missed + 1) * interval

    def _aligned(self) -> None:
        core, interval = self._core, self._core.keys.number("ClockAlignedDataInterval")
        utc = core.time.utc_ns(core.now)
        if utc is None or interval == 0:
            self._boundary = None
            return
        boundary = self._boundary
        if boundary is not None and boundary <= utc < boundary + interval * NS:
            stamp = Stamp(boundary, core.now.mono_ns - (utc - boundary), core.time.boot)
            for connector in CONNECTORS:
                self._keep_aligned(connector, stamp)
                if self._tells_aligned(connector):
                    self.report(connector, "MeterValuesAlignedData", "Sample.Clock", stamp)
        if boundary is None or boundary <= utc or boundary > utc + interval * NS:
            self._boundary = next_boundary(utc, interval)

    def _tells_aligned(self, connector: int) -> bool:
        """2.0.1 J01: switched off as a whole, or while no transaction runs."""
        keys = self._core.keys
        idle = self._transactions.active(connector) is None
        return keys.flag("AlignedDataCtrlr.Enabled") and (not idle or keys.flag("AlignedDataCtrlr.SendDuringIdle"))

    def _values(self, connector: int, reading: Reading) -> dict[str, tuple[float | None, str]]:
        core, direction = self._core, CONNECTORS[connector]
        word = "Export" if direction is Direction.DISCHARGE else "Import"
        tx = self._transactions.active(connector)
        share = core.ledger.share(core.link.name, tx.id) if tx else (0.0 if core.ledger.direction() else 1.0)
        offered = core.ledger.offered_w(core.link.name, direction, core.link.priority)
        return {
            f"Energy.Active.{word}.Register": (core.ledger.register_wh(core.link.name, direction), "Wh"),
            f"Power.Active.{word}": (_part(reading.side(direction).power_w, share), "W"),
            f"Current.{word}": (_part(reading.current_a if reading.side(direction).power_w else 0.0, share), "A"),
            "Power.Offered": (offered, "W"),
            "Voltage": (reading.voltage_v, "V"),
            "Frequency": (reading.frequency_hz, "Hz"),
            "SoC": (reading.soc_pct, "Percent"),
            "Temperature": (reading.temperature_c, "Celsius"),
            "SoH": (reading.soh_pct, "Percent"),
        }


def _part(whole: float | None, share: float) -> float | None:
    return None if whole is None else whole * share
