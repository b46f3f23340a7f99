"""Monitors of the device model and what they tell (2.0.1 N02-N08; OCPP-5).

- UpperThreshold, LowerThreshold: told when crossed, and as cleared when it is back (N07.FR.04). Delta: told when the value moved that far
  from what was told last (for words: at each change). Periodic: every `value` seconds; PeriodicClockAligned: at multiples since midnight.
- Alarms of the plant are hard-wired: told whenever they begin and end, whatever is set, under CALH.GrAlm (IEC 61850).
- A monitor tells if its severity is at most the MonitoringLevel and monitoring is enabled. Base HardWiredOnly or FactoryDefault removes all
  that were set. Events of one instant go in one NotifyEvent; while the CSMS is away only alerts wait, the newest `KEPT`.
- One with `transaction` set looks while a transaction runs on its EVSE (on any, where it has none), anew with each, and names it (N04).
- Monitors are on disk: what was set is set after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import device as d
from bessctl.protocols.ocpp.messages.records import Stamp
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.messages.v201 import fields
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.device_table import BY_KEY, COMPONENTS, MAX_ITEMS
from bessctl.protocols.ocpp.session.keys import whole
from bessctl.protocols.ocpp.session.metering import next_boundary
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.variables import Variables, ask_paged, matches
from bessctl.protocols.ocpp.session.writes import DropDoc, PutDoc, PutKey

KIND = "monitor"
MAX_MONITORS = 100
KEPT = 200
PAGE = 20
CRITERIA = {
    "UpperThreshold": "ThresholdMonitoring",
    "LowerThreshold": "ThresholdMonitoring",
    "Delta": "DeltaMonitoring",
    "Periodic": "PeriodicMonitoring",
    "PeriodicClockAligned": "PeriodicMonitoring",
}
ALARM = d.Place(d.Component("CALH"), "GrAlm")
ALARM_SEVERITY = {True: 2, False: 5}


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor as it is kept."""

    id: int
    wish: d.MonitorWish


@dataclass(slots=True)
class _Seen:
    """What a monitor told last."""

    value: float | None = None
    text: str | None = None
    beyond: bool = False
    due_ns: int | None = None


class Monitors:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, variables: Variables, connectors: Connectors, transactions: Transactions) -> None:
        self._core = core
        self._variables = variables
        self._connectors = connectors
        self._transactions = transactions
        saved = core.saved.docs.get(KIND, {})
        self._all = {m.id: m for m in (from_text(Monitor, text) for text in saved.values())}
        self._seen: dict[int, _Seen] = {}
        self._alarm = "NoError"
        self._waiting: list[tuple[dict[str, object], Stamp]] = []
        self._events = count(1)

    def __len__(self) -> int:
        """How many are set."""
        return len(self._all)

    def take(self, wish: d.SetMonitors) -> d.RowsAnswer:
        """SetVariableMonitoring."""
        return d.RowsAnswer(tuple(self._set(item, len(wish.items)) for item in wish.items))

    def clear(self, wish: d.ClearMonitors) -> d.RowsAnswer:
        """ClearVariableMonitoring."""
        return d.RowsAnswer(tuple(d.Row(None, self._clear(ident), id=ident) for ident in wish.ids))

    def report(self, wish: d.GetMonitors) -> str:
        """GetMonitoringReport; the report follows."""
        found = [
            m
            for m in self._all.values()
            if (not wish.criteria or CRITERIA[m.wish.kind] in wish.criteria) and matches(m.wish.place, wish.wanted)
        ]
        if not found:
            return "EmptyResultSet"
        rows: list[dict[str, object]] = [{**fields.place(m.wish.place), "variableMonitoring": [_told(m)]} for m in found]
        ask_paged(self._core, "NotifyMonitoringReport", "monitor", rows, (("requestId", wish.request),), size=PAGE)
        return "Accepted"

    def base(self, wish: d.MonitoringBase) -> str:
        """SetMonitoringBase: what is preconfigured is the hard-wired alarm alone, so that two of the three mean the same."""
        if self._core.link.role is Role.OBSERVER:
            return "Rejected"
        if wish.base != "All":
            for ident in list(self._all):
                self._drop(ident)
        self._keep("MonitoringCtrlr.MonitoringBase", wish.base)
        return "Accepted"

    def level(self, wish: d.MonitoringLevel) -> str:
        """SetMonitoringLevel."""
        if whole(str(wish.severity), 0, 9) is None or self._core.link.role is Role.OBSERVER:
            return "Rejected"
        self._keep("MonitoringCtrlr.MonitoringLevel", str(wish.severity))
        return "Accepted"

    def step(self) -> None:
        """Look at everything monitored; tell what has something to tell."""
        core = self._core
        if core.traits.version == "1.6":
            return
        self._look_at_alarms()
        if core.keys.flag("MonitoringCtrlr.Enabled"):
            for monitor in self._all.values():
                self._look(monitor)
        if self._waiting and core.online and core.registration.accepted and core.time.utc_ns(core.now) is not None:
            rows = [{**row, "timestamp": format_utc(core.time.resolve(at, core.now))} for row, at in self._waiting]
            self._waiting.clear()
            ask_paged(core, "NotifyEvent", "eventData", rows, (), size=PAGE)

    def wake_ns(self) -> int | None:
        """When a periodic monitor is due."""
        return min((s.due_ns for s in self._seen.values() if s.due_ns is not None), default=None)

    # Setting.

    def _set(self, wish: d.MonitorWish, items: int) -> d.Row:
        status = self._judge(wish, items)
        if status != "Accepted":
            return d.Row(wish.place, status, wish.kind, id=wish.id, severity=wish.severity)
        ident = wish.id if wish.id is not None else max(self._all, default=0) + 1
        self._all[ident] = Monitor(ident, wish)
        self._seen.pop(ident, None)
        self._core.out.writes.append(PutDoc(KIND, str(ident), to_text(self._all[ident])))
        return d.Row(wish.place, "Accepted", wish.kind, id=ident, severity=wish.severity)

    def _judge(self, wish: d.MonitorWish, items: int) -> str:
        spec = BY_KEY.get(wish.place.key())
        if wish.place.key()[:4] not in COMPONENTS:
            return "UnknownComponent"
        if spec is None:
            return "UnknownVariable"
        numeric = spec.kind in {"decimal", "integer"}
        if not spec.monitored or (not numeric and CRITERIA[wish.kind] == "ThresholdMonitoring"):
            return "UnsupportedMonitorType"
        same = [m.id for m in self._all.values() if _same(m.wish, wish)]
        known = wish.id is None or wish.id in self._all
        out_of_range = numeric and CRITERIA[wish.kind] == "ThresholdMonitoring" and not _within(wish.value, spec.limits)
        never = CRITERIA[wish.kind] != "ThresholdMonitoring" and wish.value < 0
        impossible = CRITERIA[wish.kind] == "PeriodicMonitoring" and wish.value < 1
        full = wish.id is None and len(self._all) >= MAX_MONITORS
        refused = self._core.link.role is Role.OBSERVER or items > MAX_ITEMS or not 0 <= wish.severity <= 9
        if not known or out_of_range or never or impossible or full or refused:
            return "Rejected"
        return "Duplicate" if any(ident != wish.id for ident in same) else "Accepted"

    def _clear(self, ident: int) -> str:
        if ident not in self._all:
            return "NotFound"
        if self._core.link.role is Role.OBSERVER:
            return "Rejected"
        self._drop(ident)
        return "Accepted"

    def _drop(self, ident: int) -> None:
        del self._all[ident]
        self._seen.pop(ident, None)
        self._core.out.writes.append(DropDoc(KIND, str(ident)))

    def _keep(self, name: str, value: str) -> None:
        self._core.keys.put(name, value)
        self._core.out.writes.append(PutKey(name, value))

    # Looking.

    def _look(self, m: Monitor) -> None:
        if m.wish.transaction and self._transactions.active(m.wish.place.component.evse) is None:
            self._seen.pop(m.id, None)
            return
        text, value = self._variables.text(m.wish.place), self._variables.number(m.wish.place)
        first = m.id not in self._seen
        seen = self._seen.setdefault(m.id, _Seen(value, text))
        if text is None:
            return
        match CRITERIA[m.wish.kind]:
            case "ThresholdMonitoring":
                self._threshold(m, seen, value, text)
            case "DeltaMonitoring":
                self._delta(m, seen, value, text)
            case _:
                self._periodic(m, seen, text, first=first)

    def _threshold(self, m: Monitor, seen: _Seen, value: float | None, text: str) -> None:
        if value is None:
            return
        beyond = value > m.wish.value if m.wish.kind == "UpperThreshold" else value < m.wish.value
        if beyond != seen.beyond:
            seen.beyond = beyond
            self._tell(m, "Alerting", text, cleared=not beyond)

    def _delta(self, m: Monitor, seen: _Seen, value: float | None, text: str) -> None:
        moved = (
            text != seen.text if value is None or seen.value is None else abs(value - seen.value) >= m.wish.value and value != seen.value
        )
        if moved:
            seen.value, seen.text = value, text
            self._tell(m, "Delta", text)

    def _periodic(self, m: Monitor, seen: _Seen, text: str, *, first: bool) -> None:
        core, step = self._core, round(m.wish.value)
        utc = core.time.utc_ns(core.now)
        if not first and seen.due_ns is not None and core.now.mono_ns >= seen.due_ns:
            self._tell(m, "Periodic", text)
            seen.due_ns = None
        if seen.due_ns is not None:
            return
        if m.wish.kind == "Periodic":
            seen.due_ns = core.now.mono_ns + step * NS
        elif utc is not None:
            seen.due_ns = core.time.mono_ns(next_boundary(utc, step), core.now)

    def _look_at_alarms(self) -> None:
        error = self._connectors.error()
        if error.code == self._alarm:
            return
        before, self._alarm = self._alarm, error.code
        row: dict[str, object] = {
            "eventId": next(self._events),
            "trigger": "Alerting",
            "actualValue": error.code,
            "eventNotificationType": "HardWiredNotification",
            "cleared": error.code == "NoError",
            "techCode": (error.vendor or before)[:50],
            "techInfo": error.info or f"{before} is over",
            **fields.place(ALARM),
        }
        if ALARM_SEVERITY[error.faulted] <= self._core.keys.number("MonitoringCtrlr.MonitoringLevel"):
            self._line_up(row)

    def _tell(self, m: Monitor, trigger: str, text: str, *, cleared: bool | None = None) -> None:
        core = self._core
        if m.wish.severity > core.keys.number("MonitoringCtrlr.MonitoringLevel"):
            return
        if trigger != "Alerting" and not (core.online and core.registration.accepted):
            return
        row: dict[str, object] = {
            "eventId": next(self._events),
            "trigger": trigger,
            "actualValue": text,
            "eventNotificationType": "CustomMonitor",
            "variableMonitoringId": m.id,
            **fields.place(m.wish.place),
        }
        tx = self._transactions.active(m.wish.place.component.evse) if m.wish.transaction else None
        if tx is not None:
            row["transactionId"] = tx.peer or tx.id
        if cleared is not None:
            row["cleared"] = cleared
        self._line_up(row)

    def _line_up(self, row: dict[str, object]) -> None:
        self._waiting.append((row, self._core.time.stamp(self._core.now)))
        del self._waiting[:-KEPT]


def _told(m: Monitor) -> dict[str, object]:
    w = m.wish
    return {"id": m.id, "transaction": w.transaction, "value": w.value, "type": w.kind, "severity": w.severity}


def _same(a: d.MonitorWish, b: d.MonitorWish) -> bool:
    return (a.place.key(), a.kind, a.severity) == (b.place.key(), b.kind, b.severity)


def _within(value: float, limits: tuple[float | None, float | None]) -> bool:
    lo, hi = limits
    return (lo is None or value >= lo) and (hi is None or value <= hi)
