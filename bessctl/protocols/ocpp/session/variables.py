"""Get and set variables of the device model (2.0.1 B05, B06), and its reports (B07, B08).

An answer for each item, first row that holds:
    UnknownComponent            no such component
    UnknownVariable             the component has no such variable
    NotSupportedAttributeType   another attribute than Actual, which is all a plant's settings have
    Rejected                    reading what is write-only; writing what is read-only, out of range, or too much at once; an observer writes
    Accepted                    else
Reports come in pages of `PAGE` variables, each a NotifyReport with its sequence number and whether more follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import device as d
from bessctl.protocols.ocpp.messages.records import Paged
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.messages.v201 import fields
from bessctl.protocols.ocpp.session import txpoints
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.device_table import BY_KEY, COMPONENTS, MAX_ITEMS, REPORT_SIZE, TABLE, VALUE_SIZE, Spec
from bessctl.protocols.ocpp.session.keys import Members, Whole
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.transactions import Transactions

PAGE = 20
SUMMARY = {"AvailabilityState", "Available", "Problem", "GrAlm", "Enabled"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where live values come from beside the core."""

    transactions: Transactions
    profiles: Profiles
    connectors: Connectors
    counts: dict[str, Callable[[], int]]
    """Live counts by name: list_entries, certificates, displays, network, security_profile."""
    changed: Callable[[str, str], bool]
    """A setting was changed: name, value; False = it cannot be."""


class Variables:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, sources: Sources) -> None:
        self._core = core
        self._s = sources

    def read(self, wish: d.GetVariables) -> d.RowsAnswer:
        """GetVariables."""
        return d.RowsAnswer(tuple(self._get(place, attribute) for place, attribute in wish.items))

    def write(self, wish: d.SetVariables) -> d.RowsAnswer:
        """SetVariables. Each item by itself: one that is refused does not stop the others."""
        too_many = len(wish.items) > MAX_ITEMS
        return d.RowsAnswer(tuple(self._set(*item, refused=too_many) for item in wish.items))

    def base_report(self, wish: d.GetBaseReport) -> str:
        """GetBaseReport; the report follows. Returns the answer's status."""
        chosen: dict[str, Callable[[Spec], bool]] = {
            "FullInventory": lambda s: True,
            "ConfigurationInventory": self._writable,
            "SummaryInventory": lambda s: s.place.variable in SUMMARY,
        }
        return self._report(wish.request, [s for s in TABLE if chosen[wish.base](s)])

    def report(self, wish: d.GetReport) -> str:
        """GetReport: by criteria, by names, or both."""
        found = [s for s in TABLE if self._meets(s, wish.criteria) and matches(s.place, wish.wanted)]
        return self._report(wish.request, found)

    def value(self, spec: Spec) -> str | None:
        """The variable now, as text; None = not known."""
        if spec.key:
            key = self._core.keys.find(spec.key)
            return None if key is None else self._core.keys.shown(key)
        if not spec.live:
            return spec.value
        return self._live(spec.live, spec.place.component.evse or 0)

    def number(self, place: d.Place) -> float | None:
        """The variable now as a number, for a monitor; a boolean counts 0 and 1."""
        spec = BY_KEY.get(place.key())
        text = None if spec is None else self.value(spec)
        if text is None:
            return None
        try:
            return {"true": 1.0, "false": 0.0}.get(text) if text in {"true", "false"} else float(text)
        except ValueError:
            return None

    def text(self, place: d.Place) -> str | None:
        """The variable now."""
        spec = BY_KEY.get(place.key())
        return None if spec is None else self.value(spec)

    # One item.

    def _get(self, place: d.Place, attribute: str) -> d.Row:
        spec, status = self._find(place, attribute)
        if spec is None:
            return d.Row(place, status, attribute)
        key = self._core.keys.find(spec.key) if spec.key else None
        if key is not None and key.secret:
            return d.Row(place, "Rejected", attribute)
        value = self.value(spec)
        return d.Row(place, "Accepted", attribute, ("" if value is None else value)[:REPORT_SIZE])

    def _set(self, place: d.Place, attribute: str, value: str, *, refused: bool) -> d.Row:
        spec, status = self._find(place, attribute)
        if spec is None:
            return d.Row(place, status, attribute)
        observer = self._core.link.role is Role.OBSERVER
        if refused or observer or not self._writable(spec) or len(value) > VALUE_SIZE:
            return d.Row(place, "Rejected", attribute)
        status, kept = self._core.keys.change(spec.key, value)
        if kept is not None and not self._s.changed(spec.key, kept):
            kept = None
        self._core.audit("variable_change", f"{spec.place.component.name}.{spec.place.variable}: {status}")
        why = txpoints.refused(spec.key, self._core.link, value) if spec.key in {txpoints.START, txpoints.STOP} else None
        return d.Row(place, "Rejected" if kept is None else status, attribute, why=why or "")

    def _find(self, place: d.Place, attribute: str) -> tuple[Spec | None, str]:
        spec = BY_KEY.get(place.key())
        missing = spec is not None and bool(spec.key) and self._core.keys.find(spec.key) is None
        if place.key()[:4] not in COMPONENTS:
            return None, "UnknownComponent"
        if spec is None or missing:
            return None, "UnknownVariable"
        return (spec, "") if attribute == "Actual" else (None, "NotSupportedAttributeType")

    def _writable(self, spec: Spec) -> bool:
        key = self._core.keys.find(spec.key) if spec.key else None
        return key is not None and key.check is not None

    def _meets(self, spec: Spec, criteria: tuple[str, ...]) -> bool:
        """A component whose variable of the criterion's name is true, or that has none of that name, meets it (B08.FR.03)."""
        if not criteria:
            return True
        return any(self._has(spec.place.component, name) for name in criteria)

    def _has(self, component: d.Component, name: str) -> bool:
        spec = BY_KEY.get(d.Place(component, name).key())
        if spec is None:
            return name != "Problem"
        return self.value(spec) == "true"

    # Reports.

    def _report(self, request: int, found: list[Spec]) -> str:
        rows = [row for s in found if (row := self._row(s)) is not None]
        if not rows:
            return "EmptyResultSet"
        ask_paged(self._core, "NotifyReport", "reportData", rows, (("requestId", request),), size=PAGE)
        return "Accepted"

    def _row(self, spec: Spec) -> dict[str, object] | None:
        key = self._core.keys.find(spec.key) if spec.key else None
        if spec.key and key is None:
            return None
        secret, writable = key is not None and key.secret, self._writable(spec)
        mutability = "WriteOnly" if secret else "ReadWrite" if writable else "ReadOnly"
        attribute: dict[str, object] = {
            "type": "Actual",
            "mutability": mutability,
            "persistent": bool(spec.key),
            "constant": bool(spec.value),
        }
        value = self.value(spec)
        if value is not None and not secret:
            attribute["value"] = value[:REPORT_SIZE]
        about: dict[str, object] = {"dataType": spec.kind, "supportsMonitoring": spec.monitored}
        check = key.check if key else None
        least, most = check.limits if isinstance(check, Whole) else spec.limits
        link = self._core.link
        optional = (
            ("unit", spec.unit or None),
            ("minLimit", least),
            ("maxLimit", link.max_w or link.remote_start_w if spec.link_max else most),
            ("valuesList", spec.words or (",".join(check.allowed) if isinstance(check, Members) else None)),
        )
        about |= {name: v for name, v in optional if v is not None}
        return {**fields.place(spec.place), "variableAttribute": [attribute], "variableCharacteristics": about}

    # Live values.

    def _live(self, name: str, evse: int) -> str | None:
        if name in self._s.counts:
            return str(self._s.counts[name]())
        core = self._core
        told = {
            "model": core.identity.model,
            "vendor": core.identity.vendor,
            "serial": core.identity.serial,
            "firmware": core.identity.firmware,
            "identity": core.link.charge_point_id,
            "call_timeout": str(round(core.link.call_timeout_s)),
            "profiles": str(len(self._s.profiles.installed)),
        }
        return told[name] if name in told else LIVE[name](core, self._s, evse)


def _state(core: Core, s: Sources, evse: int) -> str:
    status = s.connectors.status(evse)
    return status if status in {"Available", "Unavailable", "Faulted", "Reserved"} else "Occupied"


def _date(core: Core, s: Sources, evse: int) -> str | None:
    utc = core.time.utc_ns(core.now)
    return None if utc is None else format_utc(utc)


def _charging_time(core: Core, s: Sources, evse: int) -> str:
    tx = s.transactions.active()
    utc = core.time.utc_ns(core.now)
    return "0" if tx is None or utc is None else str(max(0, utc - core.time.resolve(tx.started, core.now)) // NS)


def _power(core: Core, s: Sources, evse: int) -> str | None:
    return None if core.reading is None else _text(core.reading.side(CONNECTORS[evse]).power_w)


def _offered(core: Core, s: Sources, evse: int) -> str:
    return f"{core.ledger.offered_w(core.link.name, CONNECTORS[evse], core.link.priority):.1f}"


def _plant_w(core: Core, s: Sources, evse: int) -> str | None:
    """The plant's sign: + = discharge."""
    out, into = (None, None) if core.reading is None else (core.reading.discharge.power_w, core.reading.charge.power_w)
    return None if out is None or into is None else _text(out - into)


def _text(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


LIVE: dict[str, Callable[[Core, Sources, int], str | None]] = {
    "state": _state,
    "operative": lambda core, s, evse: str(s.connectors.operative(evse)).lower(),
    "problem": lambda core, s, evse: str(s.connectors.error(evse).faulted).lower(),
    "alarm": lambda core, s, evse: s.connectors.error(evse).code,
    "date": _date,
    "charging_time": _charging_time,
    "power": _power,
    "offered": _offered,
    "soc": lambda core, s, evse: _text(core.reading.soc_pct) if core.reading else None,
    "soh": lambda core, s, evse: _text(core.reading.soh_pct) if core.reading else None,
    "temperature": lambda core, s, evse: _text(core.reading.temperature_c) if core.reading else None,
    "available_wh": lambda core, s, evse: _text(core.reading.available_wh) if core.reading else None,
    "voltage": lambda core, s, evse: _text(core.reading.voltage_v) if core.reading else None,
    "frequency": lambda core, s, evse: _text(core.reading.frequency_hz) if core.reading else None,
    "discharge_w": lambda core, s, evse: _text(core.reading.discharge.offered_w) if core.reading else None,
    "charge_w": lambda core, s, evse: _text(core.reading.charge.offered_w) if core.reading else None,
    "plant_w": _plant_w,
}


def matches(place: d.Place, wanted: Iterable[d.Wanted]) -> bool:
    """Is the variable among those meant? No wish at all means all."""
    wishes = tuple(wanted)
    return not wishes or any(_matches(place, w) for w in wishes)


def _matches(place: d.Place, w: d.Wanted) -> bool:
    c, own = w.component, place.component
    same = c.name.lower() == own.name.lower() and (w.variable is None or w.variable.lower() == place.variable.lower())
    instances = (c.instance in (None, own.instance)) and (w.instance in (None, place.instance))
    return same and instances and c.evse in (None, own.evse) and c.connector in (None, own.connector)


def ask_paged(
    core: Core,
    action: str,
    field: str,
    rows: list[dict[str, object]],
    head: tuple[tuple[str, object], ...],
    *,
    size: int,
    dated: bool = True,
) -> None:
    """Line a report up, page by page."""
    at = core.time.stamp(core.now) if dated else None
    pages = [rows[i : i + size] for i in range(0, len(rows), size)] or [[]]
    for seq, page in enumerate(pages):
        core.ask(Paged(action, field, tuple(page), seq, seq + 1 < len(pages), head, at), triggered=True)
