"""What is measured and when (OCPP-14, OCPP-21; 1.6 3.16).

- Sampled values: every `MeterValueSampleInterval` seconds of a transaction, on the monotonic clock.
- What goes with a transaction's end is kept on disk until then: sampled and clock-aligned values, in 1.6 at the intervals of those that
  are told (StopTxnSampledData, StopTxnAlignedData), in 2.0.1 at intervals of their own (TxEndedInterval, 0 = the end alone). No more than
  `KEPT` of them, for a message has an end: when there are, every second one goes.
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
KEPT_DOC = "aligned"
KEPT = 200
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
        self._next_sample: dict[str, tuple[str, int]] = {}
        self._boundary: dict[str, int] = {}
        saved = core.saved.docs.get(KEPT_DOC, {})
        self._kept = {ident: from_text(MeterRecord, saved[ident]) for ident in sorted(saved)}

    def step(self) -> None:
        """Take what is due now."""
        self._sampled()
        self._aligned()

    def wake_ns(self) -> int | None:
        """When something is due next, monotonic."""
        core = self._core
        times = [due for _, due in self._next_sample.values()]
        if core.time.utc_ns(core.now) is not None:
            times += [core.time.mono_ns(boundary, core.now) for boundary in self._boundary.values()]
        return min(times, default=None)

    def changed(self) -> None:
        """An interval was changed: count from now."""
        self._next_sample.clear()
        self._boundary.clear()

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
        """The values that go with a transaction's end: those of now, and what was kept for it, in the order of their times."""
        kept = tuple(record for _, record in sorted(self._kept.items()))
        self._drop(list(self._kept))
        record = self.record(tx.connector, "StopTxnSampledData", "Transaction.End")
        return (*kept, record) if record else kept

    def health(self, tx: StoredTx, when: str) -> None:
        """The state of health as a transaction begins and ends: 1.6 has no measurand for it (OCPP-8)."""
        core, reading = self._core, self._core.reading
        if core.traits.version == "1.6" and reading is not None and reading.soh_pct is not None:
            core.enqueue(TxHealth(tx.id, tx.connector, when, reading.soh_pct, core.time.stamp(core.now)))

    def _keep(self, record: MeterRecord | None) -> None:
        """For the transaction's end: on disk, for the transaction may outlive us."""
        if record is None:
            return
        if len(self._kept) >= KEPT:
            self._drop(sorted(self._kept)[1::2])
        ident = f"{record.at.utc_ns or 0:020d}.{record.at.mono_ns:020d}.{record.context}"
        self._kept[ident] = record
        self._core.out.writes.append(PutDoc(KEPT_DOC, ident, to_text(record)))

    def _drop(self, idents: list[str]) -> None:
        self._core.out.writes += [DropDoc(KEPT_DOC, ident) for ident in idents]
        for ident in idents:
            del self._kept[ident]

    def report(self, connector: int, key: str, context: str, at: Stamp | None = None, *, triggered: bool = False) -> bool:
        """Values of a connector, within its transaction if one runs. False = there are none to tell."""
        trigger = TRIGGERS.get(context, "MeterValuePeriodic")
        record = self.record(connector, key, context, at)
        tx = self._transactions.active(connector)
        if record is None:
            return False
        if tx is not None:
            self._transactions.metered(tx, record, trigger)
        else:
            self._core.ask(MeterReport(connector, record), triggered=triggered)
        return True

    def tell(self, connector: int, key: str, context: str) -> bool:
        """Values of a connector that the CSMS asked for, in no transaction's message. False = there are none to tell."""
        record = self.record(connector, key, context)
        if record is not None:
            self._core.ask(MeterReport(connector, record), triggered=True)
        return record is not None

    def _sampled(self) -> None:
        core, tx = self._core, self._transactions.active()
        if tx is None:
            self._next_sample.clear()
            return
        on, told_s = core.keys.flag("SampledDataCtrlr.Enabled"), core.keys.number("MeterValueSampleInterval")
        if self._sample_due(tx, "told", told_s) and on:
            self.report(tx.connector, "MeterValuesSampledData", "Sample.Periodic")
        kept_s = core.keys.number("SampledDataCtrlr.TxEndedInterval") if core.traits.tells_updates else told_s
        if self._sample_due(tx, "kept", kept_s) and on:
            self._keep(self.record(tx.connector, "StopTxnSampledData", "Sample.Periodic"))

    def _sample_due(self, tx: StoredTx, what: str, interval_s: int) -> bool:
        if interval_s == 0:
            self._next_sample.pop(what, None)
            return False
        interval, now = interval_s * NS, self._core.now.mono_ns
        of, due = self._next_sample.get(what, ("", 0))
        if of != tx.id:
            due = now + interval
        self._next_sample[what] = (tx.id, due if now < due else due + ((now - due) // interval + 1) * interval)
        return now >= due

    def _aligned(self) -> None:
        core = self._core
        told_s = core.keys.number("ClockAlignedDataInterval")
        kept_s = core.keys.number("AlignedDataCtrlr.TxEndedInterval") if core.traits.tells_updates else told_s
        told, kept = self._boundary_due("told", told_s), self._boundary_due("kept", kept_s)
        for connector in CONNECTORS:
            if kept is not None and self._transactions.active(connector) is not None:
                self._keep(self.record(connector, "StopTxnAlignedData", "Sample.Clock", kept))
            if told is not None and self._tells_aligned(connector):
                self.report(connector, "MeterValuesAlignedData", "Sample.Clock", told)

    def _boundary_due(self, what: str, interval_s: int) -> Stamp | None:
        """The boundary that has come, if one has."""
        core, interval = self._core, interval_s * NS
        utc = core.time.utc_ns(core.now)
        if utc is None or interval == 0:
            self._boundary.pop(what, None)
            return None
        boundary, stamp = self._boundary.get(what), None
        if boundary is not None and boundary <= utc < boundary + interval:
            stamp = Stamp(boundary, core.now.mono_ns - (utc - boundary), core.time.boot)
        if boundary is None or boundary <= utc or boundary > utc + interval:
            self._boundary[what] = next_boundary(utc, interval_s)
        return stamp

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
