"""What a scenario may look at: plain names, their unit or words, and where each is found. Pure.

Every signal says where it is read: `plant` is the simulated device's own truth, `loop` what the control loop publishes. On a rig there is
no truth but the loop's measurement, so a signal that has both is then read there; one that has only the plant is not known.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bessctl.corelink import names as words
from bessctl.corelink.words import Site

Column = tuple[str, str, int]
"""Side ("loop" or "plant"), field, index."""

INVERTER = ("off", "sleeping", "starting", "running", "throttled", "shutting down", "fault", "standby")
NOBODY = "nobody tells"
"""What a word is while no loop publishes."""
BANK = {1: "disconnected", 2: "initializing", 3: "connected", 6: "suspending", 99: "fault"}


@dataclass(frozen=True)
class Signal:
    """`words` empty: a number in `dimension`. `read` makes the value of the columns' values, in their order."""

    name: str
    dimension: str
    columns: tuple[Column, ...]
    read: Callable[[Sequence[float]], float | str]
    words: tuple[str, ...] = ()


class UnknownSignal(ValueError):
    """No signal of that name; the message names the nearest ones."""


def first(values: Sequence[float]) -> float:
    return values[0]


def total(values: Sequence[float]) -> float:
    return sum(values)


def coded(table: dict[int, str]) -> Callable[[Sequence[float]], str]:
    return lambda values: table.get(int(values[0]), f"code {values[0]:g}") if values[0] == values[0] else NOBODY


def flagged(yes: str, no: str, bit: int = 0) -> Callable[[Sequence[float]], str]:
    if bit:
        return lambda values: NOBODY if values[0] != values[0] else yes if int(values[0]) & bit else no
    return lambda values: NOBODY if values[0] != values[0] else yes if values[0] else no


def any_of(yes: str, no: str) -> Callable[[Sequence[float]], str]:
    return lambda values: NOBODY if values[0] != values[0] else yes if any(values) else no


class Signals:
    """The signals of one site. `truth`: the plants are simulated and can be asked themselves."""

    def __init__(self, site: Site, truth: bool = True) -> None:
        self.site, self.truth = site, truth
        self.known: dict[str, Signal] = {}
        self._plant()
        self._battery()
        self._loop()
        self._rows()
        self._sources()

    def find(self, name: str) -> Signal:
        """Raises UnknownSignal."""
        signal = self.known.get(name)
        if signal is None:
            near = difflib.get_close_matches(name, self.known, 3, 0.5) or sorted(self.known)[:8]
            raise UnknownSignal(f"no signal {name!r} at this site; near: {', '.join(near)}")
        return signal

    def _add(self, name: str, dimension: str, columns: Sequence[Column], read: Any = first, told: Sequence[str] = ()) -> None:
        self.known[name] = Signal(name, dimension, tuple(columns), read, tuple(told))

    def _both(self, name: str, dimension: str, plant: str, loop: str, index: int, place: int) -> None:  # noqa: PLR0917
        """A measurement with a truth behind it. `loop` in capitals: a quantity of the layout."""
        at = words.value_at(place, loop) if loop.isupper() else place
        self._add(name, dimension, [("plant", plant, index) if self.truth else ("loop", "value" if loop.isupper() else loop, at)])

    def _plant(self) -> None:
        units = self.site.units
        self._add("power", "W", [("plant", "ess_w", i) for i in range(len(units))] if self.truth else [("loop", "ess_w", 0)], total)
        self._both("connection power", "W", "pcc_w", "PCC_W", 0, words.PLANT)
        for i, unit in enumerate(units):
            of = f" of {unit}"
            self._both(f"power{of}", "W", "ess_w", "AC_W", i, i)
            self._both(f"reactive power{of}", "var", "ess_var", "AC_VAR", i, i)
            self._add(
                f"PCS{of}",
                "",
                [("plant", "inv_state", i) if self.truth else ("loop", "value", words.value_at(i, "PCS_STATE"))],
                coded(dict(enumerate(INVERTER))),
                INVERTER,
            )
            if self.truth:
                self._add(f"PCS alarms{of}", "", [("plant", "alarms", i)])
                self._add(f"PCS watchdog{of}", "", [("plant", "heartbeat_lost", i)], flagged("expired", "fed"), ("expired", "fed"))
                self._add(f"set point{of}", "W", [("plant", "wset_w", i)])
        if self.truth:
            for name, field, dimension in (
                ("load", "load_w", "W"),
                ("PV", "pv_w", "W"),
                ("EVSE", "evse_w", "W"),
                ("grid voltage", "grid_v", "V"),
                ("grid frequency", "grid_hz", "Hz"),
            ):
                self._add(name, dimension, [("plant", field, 0)])
        self._short("reactive power", "PCS", "PCS alarms", "PCS watchdog", "set point")

    def _battery(self) -> None:
        for i, unit in enumerate(self.site.units):
            of = f" of {unit}"
            for name, dimension, plant, loop in (
                ("state of charge", "%", "soc_pct", "SOC_PCT"),
                ("hottest cell", "C", "cell_c_max", "CELL_TEMP_MAX_C"),
                ("coldest cell", "C", "cell_c_min", "CELL_TEMP_MIN_C"),
                ("highest cell", "V", "cell_v_max", "CELL_V_MAX"),
                ("lowest cell", "V", "cell_v_min", "CELL_V_MIN"),
                ("battery current", "A", "i_a", "PACK_A"),
                ("battery voltage", "V", "v", "PACK_V"),
                ("charge limit", "A", "a_charge_max", "BMS_CHA_MAX_A"),
                ("discharge limit", "A", "a_discharge_max", "BMS_DIS_MAX_A"),
            ):
                self._both(name + of, dimension, plant, loop, i, i)
            state = [("plant", "bank_state", i) if self.truth else ("loop", "value", words.value_at(i, "BMS_STATE"))]
            self._add(f"BMS{of}", "", state, coded(BANK), tuple(BANK.values()))
            closed: Any = flagged("closed", "open")
            if not self.truth:
                closed = lambda values: "closed" if values[0] == 3 else "open"  # noqa: E731
            self._add(f"contactor{of}", "", [("plant", "contactor", i)] if self.truth else state, closed, ("closed", "open"))
        self._short(
            "state of charge",
            "hottest cell",
            "coldest cell",
            "highest cell",
            "lowest cell",
            "battery current",
            "battery voltage",
            "charge limit",
            "discharge limit",
            "BMS",
            "contactor",
        )

    def _short(self, *names: str) -> None:
        """Of the first unit, without saying so."""
        for name in names:
            if full := self.known.get(f"{name} of {self.site.units[0]}"):
                self._add(name, full.dimension, full.columns, full.read, full.words)

    def _loop(self) -> None:
        for name, field in (
            ("command", "command_w"),
            ("wanted power", "wanted_w"),
            ("lower limit", "lo_w"),
            ("upper limit", "hi_w"),
            ("unmet power", "pcc_unmet_w"),
        ):
            self._add(name, "W", [("loop", field, 0)])
        self._add("mode", "", [("loop", "mode", 0)], coded(words.MODES), tuple(words.MODES.values()))
        self._add("machine trips", "", [("loop", "internal", 0)])
        for bit, word in words.FLAGS.items():
            self._add(f"flag {word.replace('_', ' ')}", "", [("loop", "flags", 0)], flagged("up", "down", bit), ("up", "down"))
        links = tuple(words.DEVICE_STATES.values())
        for i, unit in enumerate(self.site.units):
            self._add(f"command of {unit}", "W", [("loop", "unit_command_w", i)])
            self._add(f"PCS link of {unit}", "", [("loop", "pcs_state", i)], coded(words.DEVICE_STATES), links)
            self._add(f"BMS link of {unit}", "", [("loop", "bms_state", i)], coded(words.DEVICE_STATES), links)
            self._add(f"ordered state of {unit}", "", [("loop", "unit_run", i)], coded(words.RUNS), tuple(words.RUNS.values()))
        self._add("meter link", "", [("loop", "meter_state", 0)], coded(words.DEVICE_STATES), links)
        self._short("PCS link", "BMS link", "ordered state")
        for name, field in (
            ("time-outs", "bus_timeouts"),
            ("late answers", "bus_late"),
            ("spoilt frames", "bus_bad"),
            ("refusals", "bus_exceptions"),
            ("reconnects", "bus_reconnects"),
        ):
            self._add(name, "", [("loop", field, i) for i in range(len(self.site.buses))], total)
        for side, word in (("hi", "upper limit"), ("lo", "lower limit")):
            self._add(f"{word} set by", "", [("loop", f"{side}_bind", 0), ("loop", f"{side}_bind_id", 0)], self._bound, self._binders())

    def _bound(self, values: Sequence[float]) -> str:
        if values[0] != values[0]:
            return NOBODY
        return str(words.binding(self.site, int(values[0]), int(values[1])))

    def _binders(self) -> tuple[str, ...]:
        site = self.site
        named = [f"{kind}:{name}" for kind in ("source", "default", "fallback", "meter") for name in site.sources]
        units = [f"{kind}:{name}" for kind in ("rating", "bms", "device") for name in site.units]
        rows = [f"row:{row.name}@{row.unit}" if row.unit else f"row:{row.name}" for row in site.rows]
        modes = [f"mode:{mode}" for mode in words.MODES.values()]
        rest = ["rating:connection", "meter:connection", "phase:L1", "phase:L2", "phase:L3", "none", "internal"]
        return tuple(dict.fromkeys([*named, *units, *rows, *modes, *rest]))

    def _rows(self) -> None:
        named: dict[str, list[int]] = {}
        for i, row in enumerate(self.site.rows):
            for name in (row.name, f"{row.name}.{row.tier}", *([f"{row.name}.{row.tier} of {row.unit}"] if row.unit else [])):
                named.setdefault(name, []).append(i)
        for name, rows in named.items():
            self._add(f"row {name}", "", [("loop", "row_active", i) for i in rows], any_of("active", "clear"), ("active", "clear"))
            self._add(f"latch {name}", "", [("loop", "row_latched", i) for i in rows], any_of("latched", "clear"), ("latched", "clear"))

    def _sources(self) -> None:
        for i, source in enumerate(self.site.sources):
            states = tuple(words.SLOT_STATES.values())
            self._add(f"source {source}", "", [("loop", "slot_state", i)], coded(words.SLOT_STATES), states)
        table = {-1: "nobody", **dict(enumerate(self.site.sources))}
        self._add("followed source", "", [("loop", "target_slot", 0)], coded(table), tuple(table.values()))


_OF = re.compile(r"(.+?) of (\S+)")


def split_of(name: str, units: Sequence[str]) -> tuple[str, int]:
    """("BMS of unit2", ...) -> ("BMS", 1); without "of" the first unit. Raises UnknownSignal for a unit that is not there."""
    found = _OF.fullmatch(name)
    if found is None or (found[2] not in units and not found[2].startswith("unit")):
        return name, 0
    if found[2] not in units:
        raise UnknownSignal(f"no unit {found[2]!r} at this site; it has {', '.join(units)}")
    return found[1], list(units).index(found[2])
