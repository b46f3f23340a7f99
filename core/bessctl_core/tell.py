"""What the loop has to say, in words: one line on stderr for each event. Standard library only; the loop process's service thread.

A line says what happened, where, with the values, and what to do where somebody has to do something. `--log json` gives the same as one
JSON object a line, with the numbers as the event carries them.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from . import layout, loud
from .layout import EventCode as E

LEVELS = ("info", "warning", "alarm")
OPERATOR_IDS = 1 << 40  # LOCAL_IDS of loop.pyx

# Why a transaction failed; the order of Fault in frames.pxd.
FAULTS = (
    "no fault",
    "no answer in time",
    "an exception reply",
    "a wrong check sum",
    "an answer of another unit",
    "an answer to another function",
    "a wrong length",
    "a wrong echo",
    "no Modbus",
    "garbage",
    "no connection",
    "the connection ended",
    "the bus is closed",
    "a request out of range",
    "the queue is full",
)

RT_REMEDY, MLOCK_REMEDY = loud.RT, loud.MLOCK
CHIP_REMEDY = "connect the inputs that must be seen at once to lines of the processor itself"
NO_RS485 = (
    "the line's driver does not turn the RS-485 direction (TIOCSRS485): take rs485 out of the bus where the adapter turns it by itself, "
    "else use a line whose driver does"
)


def names_of(enum: Any) -> dict[int, str]:
    """Number to name, for enums whose numbers are no bits."""
    return {int(number): name for name, number in enum.__members__.items()}


MODES = {number: name.removeprefix("MODE_").lower().replace("_", " ") for number, name in names_of(layout.Mode).items()}
CODES = names_of(layout.EventCode)
PLAN_FAULTS = {number: name.removeprefix("PLAN_").lower() for number, name in names_of(layout.PlanFault).items()}
BINDINGS = {number: name.removeprefix("BIND_").lower() for number, name in names_of(layout.BindKind).items()}

JOURNAL = (
    "the journal is written again",
    "the journal is unreadable or gone: tripped; check the disk, then `bessctl reset` begins a new one",
    "the journal cannot be written: resets and starts wait, a stop acts but is not confirmed; check space and health of the disk",
)


def row_name(row: dict[str, str]) -> str:
    """A protection row as the operator knows it: `cell_v_high trip of unit1`."""
    return f"{row['name']} {row['tier']}" + (f" of {row['unit']}" if row["unit"] else "")


def bit_names(bits: list[Any], value: float) -> str:
    """The names of the bits that are set; `bits` as sealed: [[bit, name], ...]."""
    return ", ".join(name for bit, name in bits if int(value) >> bit & 1) or "none"


class Told:
    """One event with its numbers as the site calls them."""

    def __init__(self, event: dict[str, Any], names: dict[str, Any], where: Callable[[int], str]) -> None:
        self._event, self._names, self._where = event, names, where
        self.detail, self.value, self.limit = int(event["detail"]), float(event["value"]), float(event["limit"])

    def _name(self, kind: str, index: int) -> str:
        names = self._names.get(kind, [])
        return str(names[index]) if 0 <= index < len(names) else f"{kind.rstrip('s')} {index}"

    @property
    def row(self) -> str:
        rows = self._names.get("rows", [])
        return row_name(rows[self._event["row"]]) if 0 <= self._event["row"] < len(rows) else f"row {self._event['row']}"

    @property
    def seen(self) -> str:
        """What the row saw, against its pickup; of a bit field the alarms that are set."""
        rows, index = self._names.get("rows", []), self._event["row"]
        bits = rows[index].get("bits", []) if 0 <= index < len(rows) else []
        if bits and not math.isnan(self.value):
            return bit_names(bits, self.value)
        limit = "" if math.isnan(self.limit) else f", limit {self.limit:g}"
        return f"{shown(self.value)}{limit}"

    @property
    def has_row(self) -> bool:
        return bool(self._event["row"] >= 0)

    @property
    def slot(self) -> str:
        return self._name("slots", self._event["slot"])

    @property
    def place(self) -> str:
        place = self._event["place"]
        return "the plant" if place == layout.LIMITS["plant"] else self._name("units", place)

    @property
    def has_place(self) -> bool:
        return bool(self._event["place"] >= 0)

    @property
    def bound(self) -> str:
        """In a clamped target `place` is what the binding, `detail`, names."""
        ident, kind = self._event["place"], layout.BindKind
        rows = self._names.get("rows", [])
        if self.detail == kind.BIND_ROW and 0 <= ident < len(rows):
            return row_name(rows[ident])
        if self.detail == kind.BIND_MODE:
            return MODES.get(ident, "")
        if ident == layout.LIMITS["plant"]:
            return "of the connection"
        if self.detail in (
            kind.BIND_SLOT,
            kind.BIND_DEFAULT,
            kind.BIND_FALLBACK,
            kind.BIND_METER,
            kind.BIND_REACTIVE,
            kind.BIND_OPEN,
            kind.BIND_CEASE,
        ):
            return self._name("slots", ident)
        of_unit = (kind.BIND_RATING, kind.BIND_BMS, kind.BIND_DEVICE, kind.BIND_COMMISSION)
        return self._name("units", ident) if self.detail in of_unit and ident >= 0 else ""

    @property
    def device(self) -> str:
        return self._name("devices", self._event["row"])

    @property
    def address(self) -> str:
        return self._where(self._event["row"])


def shown(value: float) -> str:
    """A measurement; what a row could not see says so."""
    return "no valid value" if math.isnan(value) else f"{value:g}"


def link_fault(fault: int, error: float) -> str:
    """Why there is no connection: the bus's fault, and the errno behind it where there is one (0 or NaN: none)."""
    why = FAULTS[fault] if 0 <= fault < len(FAULTS) else f"bus fault {fault}"
    if error == errno.EOPNOTSUPP:
        return f"{why}: {NO_RS485}"
    return f"{why} ({os.strerror(int(error))})" if error > 0 else why


def down(t: Told) -> str:
    return f"{t.device} at {t.address}: {link_fault(t.detail, t.value)}; it is tried again, check power, cable and address"


def refused(t: Told) -> str:
    found = f"holds {t.value:g}" if not math.isnan(t.value) else "does not exist"
    expected = f", sealed was {t.limit:g}" if not math.isnan(t.limit) else ""
    return (
        f"{t.device} at {t.address} is not the device that was sealed: register {t.detail} {found}{expected}; "
        "connect the right one, or discover and seal again"
    )


def unconfirmed(t: Told) -> str:
    if t.detail:
        return f"{t.device}: set point left to whoever keeps changing it, 0 W and standby; end the other writer, then `bessctl reset`"
    what, remedy = loud.FLAGS[layout.Flag.FLAG_UNCONFIRMED]
    return f"{t.device}: {what}; {remedy}"


def stopped(t: Told) -> str:
    if t.detail:
        return f"stopped after {t.value:.2f} s: every PCS read back at 0 W and at rest"
    return f"stopped after {t.value:.2f} s without proof that every PCS is at rest; their reversion timers bring them to 0 W"


def limiter(t: Told) -> str:
    """Who clamped a target: the kind of the binding, and its name where it has one."""
    return " ".join(filter(None, (BINDINGS.get(t.detail, str(t.detail)), t.bound)))


def asked(t: Told) -> str:
    """A request by its number; those of the operator at the machine are counted apart."""
    local, number = divmod(int(t.value), OPERATOR_IDS)
    return f"request {number} of the {'operator' if local else 'supervisor'}"


COMMISSION = (
    "{}: " + "; ".join(loud.FLAGS[layout.Flag.FLAG_UNCOMMISSIONED]),
    "{} is being tried, the other units give nothing meanwhile",
    "the trial of {} is over",
    "{} is commissioned under this configuration",
)

METER = (
    "the meter at the connection gives samples again",
    "no sample of the meter at the connection for {:.1f} s: what it said last is held, load should be shed; check its bus and power",
    "no sample of the meter at the connection for {:.1f} s: the worst load and PV of the site count from now on; check its bus and power",
)


ORDERS = {0: "stop", 1: "start", 2: "go to standby"}

CONTACTORS = {
    1: "connected",
    2: "to be opened: power to 0 and the PCS stopped first",
    3: "open",
    4: "being connected, try {:.0f}",
    5: "could not be connected; " + loud.FLAGS[layout.Flag.FLAG_CONTACTOR][1],
}


def contactor(t: Told) -> str:
    return f"battery of {t.place}: " + CONTACTORS.get(t.detail, "its BMS does not say whether it is connected").format(t.value)


def meter(t: Told) -> str:
    return METER[min(max(t.detail, 0), 2)].format(t.value)


CURVES = {number: name.removeprefix("CURVE_").lower().replace("_", "-") + " curve" for number, name in names_of(layout.CurveKind).items()}
CURVES[len(CURVES)] = "enter service"
CURVE_STATES = {number: name.removeprefix("CURVE_").lower().replace("_", " ") for number, name in names_of(layout.CurveState).items()}


def curve(t: Told) -> str:
    kind, state = CURVES.get(t.detail // 8, str(t.detail // 8)), t.detail % 8
    if state == layout.CurveState.CURVE_FAILED:
        off = "" if t.detail // 8 == len(CURVES) - 1 else "switched off, "
        return f"{t.device} does not take the {kind} or does not show it as it was written: {off}tried again each minute"
    return f"{kind} of {t.device}: {CURVE_STATES.get(state, state)}"


def var(value: float) -> str:
    """A reactive set point; NaN is none of ours."""
    return "released to the PCS" if math.isnan(value) else f"{value:g} var"


def connect(t: Told) -> str:
    if not t.detail:
        return f"{t.slot} no longer disconnects the plant: it starts again, batteries first"
    how = f"contactors open at {t.value:g} of {t.limit:g} units, the others cease to energise"
    return f"{t.slot} disconnects the plant: 0 W and PCS stop; {how}"


def shed(t: Told) -> str:
    if not t.detail:
        return f"the load-shed output goes off: every limit was met for {t.limit:g} s"
    why = "the meter is silent" if math.isnan(t.value) else f"{abs(t.value):.0f} W unmet"
    return f"the load-shed output goes on: {why} for {t.limit:g} s; `bessctl limits` shows the limit"


ENERGY = (
    "the energy counter of {place} says {value:.0f} Wh",
    "the energy counter of {place} rolled over, from {limit:.0f} to {value:.0f} Wh: counted on",
    "the energy counter of {place} says {value:.0f} Wh after {limit:.0f} Wh: another or a reset one; the register goes on where it was",
    "the energy counter of {place} stands at {value:.0f} Wh while {limit:.0f} Wh flowed by measured power: the register goes on by that",
    "the energy counter of {place} counted {value:.0f} Wh where measured power makes {limit:.0f} Wh; check scale and transformers",
)


def energy(t: Told) -> str:
    return ENERGY[min(max(t.detail, 0), 4)].format(place=t.place, value=t.value, limit=t.limit)


SENTENCES: dict[int, Callable[[Told], str]] = {
    E.EV_STARTED: lambda t: f"loop started at {t.value:g} Hz, {'warm' if t.detail else 'cold'}",
    E.EV_MODE: lambda t: f"mode {MODES.get(t.detail, t.detail)}" + (f": {loud.MODES[t.detail]}" if t.detail in loud.MODES else ""),
    E.EV_ROW_PICKUP: lambda t: f"protection row {t.row} picked up at {t.place}: {t.seen}",
    E.EV_ROW_DROPOFF: lambda t: f"protection row {t.row} dropped off at {t.place}: {t.value:g}",
    E.EV_ROW_LATCHED: lambda t: f"protection row {t.row} latched at {t.place}: {t.seen}; `bessctl reset` clears it once it has dropped off",
    E.EV_RESET_DONE: lambda t: f"reset: {t.detail} rows cleared",
    E.EV_RESET_REFUSED: lambda t: f"reset refused: {t.row + ' forbids it' if t.has_row else 'only the operator at the machine may do it'}",
    E.EV_PLAN_ACCEPTED: lambda t: f"plan {t.detail} of {t.slot} accepted",
    E.EV_PLAN_REFUSED: lambda t: (
        f"plan of {t.slot} refused, {PLAN_FAULTS.get(t.detail, t.detail)}: its last good plan runs on to its lease"
    ),
    E.EV_PLAN_LAPSED: lambda t: f"the lease of {t.slot} is over: its target is dropped, its lapse rule applies",
    E.EV_TARGET_CLAMPED: lambda t: f"target of {t.slot}, {t.value:g} W, limited to {t.limit:g} W by {limiter(t)}",
    E.EV_LIMITS_DISJOINT: lambda t: f"limits of {t.slot} cannot be met, {t.value:g} W remain; {loud.FLAGS[layout.Flag.FLAG_SHED][1]}",
    E.EV_INTERNAL: lambda t: f"the machine tripped by itself, {layout.Internal(t.detail).name}: {loud.TRIPS.get(t.detail, loud.ROWS)}",
    E.EV_DEVICE_UP: lambda t: f"{t.device} at {t.address} is up",
    E.EV_DEVICE_DOWN: down,
    E.EV_DEVICE_REFUSED: refused,
    E.EV_DEVICE_FROZEN: lambda t: f"{t.device} answers, but nothing moves in it any more; check the device itself",
    E.EV_SETPOINT_FOREIGN: lambda t: (
        f"somebody else wrote the set point of {t.device}: {t.value:g} W instead of {t.limit:g} W, change {t.detail}"
    ),
    E.EV_UNCONFIRMED: unconfirmed,
    E.EV_REACTIVE_FOREIGN: lambda t: (
        f"somebody else wrote the reactive set point of {t.device}: {t.value:g} var instead of {var(t.limit)}, change {t.detail}"
    ),
    E.EV_REACTIVE_UNCONFIRMED: lambda t: (
        f"{t.device} does not confirm its reactive set point, {var(t.value)}: "
        f"{'left to whoever keeps changing it' if t.detail else 'active power goes on; see whether it takes VarSet in vars'}"
    ),
    E.EV_ENERGY: energy,
    E.EV_RT_REFUSED: lambda t: f"real-time priority refused ({os.strerror(t.detail)}), periods may be missed: {RT_REMEDY}",
    E.EV_COMMAND_DONE: lambda t: f"{asked(t)} done",
    E.EV_COMMAND_REFUSED: lambda t: f"{asked(t)} refused",
    E.EV_PERIODS_MISSED: lambda t: f"{t.detail} periods missed, the last by {t.value:.4f} s: see what else runs on this processor",
    E.EV_STOPPED: stopped,
    E.EV_ACQUIRED: lambda t: f"all inputs valid after {t.value:.1f} s",
    E.EV_METER: meter,
    E.EV_FLAG: lambda t: (f"{t.place}: " if t.has_place else "") + loud.flag_sentence(t.detail, t.value != 0),
    E.EV_CONTACTOR: contactor,
    E.EV_SETPOINT_HELD: lambda t: (
        f"{t.device}: "
        + loud.flag_sentence(layout.Flag.FLAG_SETPOINT_HELD, t.detail != 0)
        + f" ({t.value:g} W stand, {t.limit:g} W wanted)"
    ),
    E.EV_REVERSION_FOREIGN: lambda t: (
        f"{t.device} had a reversion timer of {t.value:g} s that is not ours, now {t.limit:g} s; see who else writes it"
    ),
    E.EV_SETTING_FOREIGN: lambda t: f"{t.device}: register {t.detail} held {t.value:g}, written {t.limit:g}; see who else writes it",
    E.EV_ORDER_LATE: lambda t: (
        f"{t.device} does not {ORDERS.get(t.detail, 'obey')} within {t.limit:g} s, its state is {shown(t.value)}; check the device"
    ),
    E.EV_START_GIVEN_UP: lambda t: f"{t.device} did not start in {t.detail} tries; check it, then `bessctl start` or `bessctl reset`",
    E.EV_CURVE: curve,
    E.EV_CONNECT: connect,
    E.EV_SHED: shed,
    E.EV_COMMISSION: lambda t: COMMISSION[min(max(t.detail, 0), 3)].format(t.place),
    E.EV_JOURNAL: lambda t: JOURNAL[min(max(t.detail, 0), 2)],
}


class Teller:
    """Turns events into lines. `names` are those of the sealed configuration; `where(device)` is the address of a device's bus."""

    def __init__(self, names: dict[str, Any], where: Callable[[int], str], *, as_json: bool = False, out: TextIO | None = None) -> None:
        self.names, self.where, self.as_json, self.out = names, where, as_json, out or sys.stderr

    def say(self, level: str, message: str, **fields: Any) -> None:
        """One line, whole, at once."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.as_json:
            line = json.dumps({"time": now, "level": level, "message": message, **fields}, default=str)
        else:
            line = f"{now} {level:7} {message}"
        try:
            print(line, file=self.out, flush=True)
        except OSError:
            return  # nobody listens any more; the events are in the ring all the same

    def event(self, event: dict[str, Any]) -> None:
        """One event of the loop, as LoopCore.next_event() gives it."""
        if "lost" in event:
            self.say("warning", f"{event['lost']} events came faster than they could be told", code="lost")
            return
        stated = {key: value for key, value in event.items() if key != "level" and not (isinstance(value, float) and math.isnan(value))}
        sentence = SENTENCES.get(event["code"])
        words = sentence(Told(event, self.names, self.where)) if sentence else f"event {event['code']}"
        self.say(LEVELS[event["level"]], words, **{**stated, "code": CODES.get(event["code"], event["code"])})
