"""What the core's numbers are called at this site: units, rows, sources, devices, and the codes of the layout. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from bessctl.model.event import Event, sentence
from bessctl.model.snapshot import Binding
from bessctl_core import layout, loud, ports, sealed, tell


def words_of(family: type[IntFlag], prefix: str) -> dict[int, str]:
    """The members of one enumeration of the layout, in lower case without their prefix."""
    return {int(member): (member.name or "").removeprefix(prefix).lower() for member in family}


MODES = words_of(layout.Mode, "MODE_")
TIERS = words_of(layout.Tier, "TIER_")
CODES = words_of(layout.EventCode, "EV_")
LAPSES = words_of(layout.LapseRule, "LAPSE_")
SLOT_STATES = words_of(layout.SlotState, "SLOT_")
DEVICE_STATES = words_of(layout.DeviceState, "DEV_")
TRIPS = words_of(layout.Internal, "TRIP_")
FLAGS = words_of(layout.Flag, "FLAG_")
REACTIVE = words_of(layout.QControl, "QC_")
BINDS = {**words_of(layout.BindKind, "BIND_"), int(layout.BindKind.BIND_SLOT): "source"}
COMMANDS = {word: code for code, word in words_of(layout.CommandCode, "CMD_").items()}
METER = {0: "samples come again", 1: "no sample, what it said last is held", 2: "no sample, the worst case of the site counts"}
COMMISSION = {
    0: "was never tried under this configuration and gives 5 % of its rating at most; `bessctl commission` tries it",
    1: "is being tried, the other units give nothing meanwhile",
    2: "the trial is over",
    3: "is commissioned under this configuration",
}
CONNECT = ("no longer disconnects the plant", "disconnects the plant: 0 W, PCS stop, contactors open")
ENERGY = {1: "rolled over", 2: "another counter, or a reset one", 3: "stands still while power flows", 4: "differs from measured power"}
LEVELS = ("info", "warning", "alarm")
PLANT = layout.LIMITS["plant"]

FAULTS: dict[int, str] = {
    layout.PlanFault.PLAN_OK: "",
    layout.PlanFault.PLAN_COUNT: "it has more blocks than a slot holds",
    layout.PlanFault.PLAN_BOOT: "it was written in another boot",
    layout.PlanFault.PLAN_LEASE: "its lease is longer than the slot's maximum",
    layout.PlanFault.PLAN_ORDER: "its blocks overlap, run backwards or are empty",
    layout.PlanFault.PLAN_NUMBER: "a stated value is no finite number",
    layout.PlanFault.PLAN_RANGE: (
        "a value is out of range: ess limits hold lo <= 0 <= hi, pcc limits lo <= hi, a rate is above 0, "
        "a power factor is -1 to 1 without 0"
    ),
    layout.PlanFault.PLAN_SCOPE: "it uses a scope its slot may not use",
    layout.PlanFault.PLAN_KIND: "it uses a code this build does not know or does not carry out",
    layout.PlanFault.PLAN_DROP: "lapse rule drop is for advisory sources only",
    layout.PlanFault.PLAN_STOPPED: "the plant is stopped, out of service or tripped; ask again once it runs",
    layout.PlanFault.PLAN_TORN: "no whole copy of it could be read",
}


CURVE_KINDS = words_of(layout.CurveKind, "CURVE_")
CURVE_STATES = words_of(layout.CurveState, "CURVE_")


def common_curves(units: list[dict[int, int]]) -> dict[str, int]:
    """What all units can: the fewest points of any."""
    kinds = set.intersection(*(set(unit) for unit in units)) if units else set()
    return {CURVE_KINDS[kind]: min(unit[kind] for unit in units) for kind in sorted(kinds)}


@dataclass(frozen=True, slots=True)
class Row:
    """One protection row. `place` is a unit's index or PLANT."""

    name: str
    unit: str
    tier: str
    place: int
    quantity: int
    pickup: float
    max_age_ns: int
    bits: tuple[tuple[int, str], ...] = ()
    """Of a row on a bit field: its bits and what they are called."""


def named(names: list[str], index: int, kind: str) -> str:
    """A name from the sealed list, or "kind 3" where the list is short."""
    return names[index] if 0 <= index < len(names) else f"{kind} {index}"


class Site:
    """The sealed configuration as far as names and snapshots need it. Immutable by custom."""

    def __init__(self, config: sealed.SealedSite) -> None:
        names: dict[str, Any] = config.names
        facts = ports.facts(config)
        self.config = config
        self.name: str = names.get("site", "")
        self.rate_hz: float = facts["rate_hz"]
        self.units = [named(names.get("units", []), i, "unit") for i in range(facts["units"])]
        self.sources = [named(names.get("slots", []), i, "source") for i in range(facts["slots"])]
        self.devices: list[str] = names.get("devices", [])
        self.buses: list[str] = names.get("buses", [])
        self.rows = [self._row(i, names.get("rows", []), facts) for i in range(facts["rows"])]
        self.unit_wh: list[float] = facts["unit_wh"]
        self.unit_w_dis_max: list[float] = facts["unit_w_dis_max"]
        self.unit_w_cha_max: list[float] = facts["unit_w_cha_max"]
        self.has_meter: bool = facts["has_meter"]
        self.unit_has_bms: list[bool] = facts["unit_has_bms"]
        self.unit_data_age_ns: list[int] = facts["unit_data_age_ns"]
        self.max_lease_ns: list[int] = facts["slot_max_lease_ns"]
        self.curves = common_curves(facts["unit_curves"])
        """Functions whose curves every unit's PCS takes, and of how many points."""
        self.opens: bool = bool(facts["unit_opens"]) and all(facts["unit_opens"])
        """Every battery's contactors are opened and closed by us, and say how they are."""
        self.enter_service: bool = bool(facts["unit_service"]) and all(facts["unit_service"])
        """Every unit's PCS takes enter-service settings."""
        self.defaults: list[tuple[float | None, ...]] = facts["slot_defaults"]

    def _row(self, index: int, rows: list[dict[str, Any]], facts: dict[str, Any]) -> Row:
        told = rows[index] if index < len(rows) else {}
        place = facts["row_place"][index]
        return Row(
            name=told.get("name") or f"row {index}",
            unit=self.unit(place),
            tier=TIERS.get(facts["row_tier"][index], "trip"),
            place=place,
            quantity=facts["row_quantity"][index],
            pickup=facts["row_pickup"][index],
            max_age_ns=facts["row_max_age_ns"][index],
            bits=tuple((bit, name) for bit, name in told.get("bits", [])),
        )

    def unit(self, place: int) -> str:
        """A unit's name; empty for the plant."""
        return named(self.units, place, "unit") if 0 <= place < PLANT else ""

    def source(self, slot: int) -> str:
        return named(self.sources, slot, "source") if slot >= 0 else ""

    def device(self, index: int) -> str:
        return named(self.devices, index, "device") if index >= 0 else ""

    def row(self, index: int) -> str:
        return self.rows[index].name if 0 <= index < len(self.rows) else f"row {index}" if index >= 0 else ""


def bound_name(site: Site, bind: int, ident: int) -> str:
    """What `bind_id` means for this kind of binding."""
    kind = layout.BindKind
    if bind in (kind.BIND_RATING, kind.BIND_BMS, kind.BIND_DEVICE, kind.BIND_COMMISSION):
        return site.unit(ident) or ("connection" if ident == PLANT else "")
    if bind == kind.BIND_ROW:
        unit = site.rows[ident].unit if 0 <= ident < len(site.rows) else ""
        return f"{site.row(ident)}@{unit}" if unit else site.row(ident)
    if bind in (kind.BIND_SLOT, kind.BIND_DEFAULT, kind.BIND_FALLBACK, kind.BIND_REACTIVE, kind.BIND_OPEN, kind.BIND_CEASE):
        return site.source(ident)
    if bind == kind.BIND_METER:
        return "connection" if ident == PLANT else site.source(ident)
    if bind == kind.BIND_PHASE:
        return f"L{ident + 1}"
    return MODES.get(ident, str(ident)) if bind == kind.BIND_MODE else ""


def binding(site: Site, bind: int, ident: int, since_ns: int = 0, until_ns: int = 0) -> Binding:
    """Who sets one side of an envelope. An until beyond all time is open, 0."""
    return Binding(BINDS.get(bind, f"kind {bind}"), bound_name(site, bind, ident), since_ns, 0 if until_ns >= 2**62 else until_ns)


def number(value: float | None) -> str:
    """A value for people: four figures are enough, and a missing one says so."""
    return "no valid value" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def present(value: float) -> float | None:
    """None for a missing measurement."""
    return None if value != value else value  # noqa: PLR0124 (NaN)


def bits(table: dict[int, str], value: int) -> str:
    """The words of all bits that are set."""
    return ", ".join(word for bit, word in table.items() if value & bit) or str(value)


def _curve(detail: int) -> str:
    state = CURVE_STATES.get(detail % 8, str(detail % 8)).replace("_", " ")
    return f"{tell.CURVES.get(detail // 8, str(detail // 8))}: {state}"


STOPPED = ("no proof that every PCS is at rest; their reversion timers bring them to 0 W", "every PCS read back at 0 W and at rest")
UNCONFIRMED = ("our heartbeat to it stops, so that its own watchdog acts", "left to whoever keeps changing it, 0 W and standby")

# What `detail` is called, for the codes whose detail is a code.
_DETAILS: dict[int, Callable[[Site, dict[str, Any]], str]] = {
    layout.EventCode.EV_MODE: lambda _, raw: MODES.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_PLAN_REFUSED: lambda _, raw: FAULTS.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_PLAN_LAPSED: lambda _, raw: LAPSES.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_INTERNAL: lambda _, raw: bits(TRIPS, raw["detail"]),
    layout.EventCode.EV_TARGET_CLAMPED: lambda site, raw: str(binding(site, raw["detail"], raw["place"])),
    layout.EventCode.EV_DEVICE_DOWN: lambda _, raw: tell.link_fault(raw["detail"], raw["value"]),
    layout.EventCode.EV_FLAG: lambda _, raw: loud.flag_sentence(raw["detail"], raw["value"] != 0),
    layout.EventCode.EV_SETPOINT_HELD: lambda _, raw: "begun" if raw["detail"] else "ended",
    layout.EventCode.EV_ORDER_LATE: lambda _, raw: tell.ORDERS.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_CONTACTOR: lambda _, raw: tell.CONTACTORS.get(raw["detail"], str(raw["detail"])).format(raw["value"]),
    layout.EventCode.EV_CURVE: lambda _, raw: _curve(raw["detail"]),
    layout.EventCode.EV_METER: lambda _, raw: METER.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_COMMISSION: lambda _, raw: COMMISSION.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_CONNECT: lambda _, raw: CONNECT[raw["detail"] == 1],
    layout.EventCode.EV_SHED: lambda _, raw: "on" if raw["detail"] else "off",
    layout.EventCode.EV_ENERGY: lambda _, raw: ENERGY.get(raw["detail"], str(raw["detail"])),
    layout.EventCode.EV_JOURNAL: lambda _, raw: tell.JOURNAL[min(max(raw["detail"], 0), 2)],
    layout.EventCode.EV_STOPPED: lambda _, raw: STOPPED[raw["detail"] == 1],
    layout.EventCode.EV_UNCONFIRMED: lambda _, raw: UNCONFIRMED[raw["detail"] == 1],
}


def detail_word(site: Site, raw: dict[str, Any]) -> str:
    """What `detail` is called."""
    word = _DETAILS.get(raw["code"])
    return word(site, raw) if word else str(raw["detail"])


# In these events `row` is the index of a device; in a clamped target `place` and `row` are the binding.
_OF_DEVICES = {
    layout.EventCode.EV_DEVICE_UP, layout.EventCode.EV_DEVICE_DOWN, layout.EventCode.EV_DEVICE_REFUSED, layout.EventCode.EV_DEVICE_FROZEN,
    layout.EventCode.EV_SETPOINT_FOREIGN, layout.EventCode.EV_UNCONFIRMED, layout.EventCode.EV_SETPOINT_HELD,
    layout.EventCode.EV_REVERSION_FOREIGN, layout.EventCode.EV_SETTING_FOREIGN, layout.EventCode.EV_ORDER_LATE,
    layout.EventCode.EV_START_GIVEN_UP, layout.EventCode.EV_CURVE,
    layout.EventCode.EV_REACTIVE_FOREIGN, layout.EventCode.EV_REACTIVE_UNCONFIRMED,
}  # fmt: skip


def saw(site: Site, row: str, raw: dict[str, Any], value: float | None) -> str:
    """A value for people; of a row on a bit field the alarms that are set."""
    bits = site.rows[raw["row"]].bits if row and 0 <= raw["row"] < len(site.rows) else ()
    return tell.bit_names([[bit, name] for bit, name in bits], value) if bits and value is not None else number(value)


def event(site: Site, raw: dict[str, Any]) -> Event:
    """An event of the ring, with names and its sentence."""
    code = CODES.get(raw["code"], f"code {raw['code']}")
    clamped, of_device = raw["code"] == layout.EventCode.EV_TARGET_CLAMPED, raw["code"] in _OF_DEVICES
    unit = "" if clamped else site.unit(raw["place"])
    row = "" if clamped or of_device else site.row(raw["row"])
    device = site.device(raw["row"]) if of_device else ""
    source = site.source(raw["slot"])
    value, limit = present(raw["value"]), present(raw["limit"])
    words: dict[str, object] = {
        "unit": unit, "at_unit": f" of {unit}" if unit else "", "row": row, "row_or_machine": row or "an internal trip", "device": device,
        "source": source, "detail": raw["detail"], "value": saw(site, row, raw, value), "limit": number(limit),
        "word": detail_word(site, raw),
    }  # fmt: skip
    level = LEVELS[raw["level"]] if raw["level"] < len(LEVELS) else "alarm"
    return Event(raw["seq"], raw["at_ns"], code, level, sentence(code, words), unit, row, device, source, raw["detail"], value, limit)


def lost(count: int, seq: int, now_ns: int) -> Event:
    """What a reader that came too late is told."""
    return Event(seq, now_ns, "events_lost", "warning", sentence("events_lost", {"detail": count}), detail=count)
