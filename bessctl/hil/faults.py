"""What a scenario may do to the world: plain names, what they become at the simulated plant, and who plays them elsewhere. Pure.

`plant`: values of Plant.set. `wire`: the Modbus link; core/bessctl_core/sim/spoil.pxd says how each answer is spoilt. `site`: what happens
to controller, supervisor and disk; the player knows how.
On a rig none of this happens by itself: the rig file says which an operator or a relay plays.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from bessctl.hil.quantity import BadValue, quantity
from bessctl.hil.signals import UnknownSignal, split_of


@dataclass(frozen=True)
class Injection:
    """One thing that happens. `kind`: plant, wire, foreign, site. `values`: what is set.

    `over_s` > 0: a numeric value moves there evenly. `place`: where it is written, file:line:column.
    """

    name: str
    told: str
    kind: str
    unit: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    over_s: float = 0.0
    place: str = ""


NUMBERS = {
    "hottest cell": ("cell_temp_c", "C"),
    "coldest cell": ("cell_temp_min_c", "C"),
    "highest cell": ("cell_v_max", "V"),
    "lowest cell": ("cell_v_min", "V"),
    "state of charge": ("soc_pct", "%"),
    "state of health": ("soh_pct", "%"),
    "battery temperature": ("temp_c", "C"),
    "charge limit": ("charge_a_max", "A"),
    "discharge limit": ("discharge_a_max", "A"),
    "load": ("load_w", "W"),
    "PV": ("pv_w", "W"),
    "EVSE": ("evse_w", "W"),
    "load on L1": ("load_l1_w", "W"),
    "grid voltage": ("grid_v", "V"),
    "grid frequency": ("grid_hz", "Hz"),
    "reported current": ("bms_a_offset", "A"),
    "reported pack voltage": ("pack_v", "V"),
    "reported state of charge": ("soc_shown_pct", "%"),
    "heat sink": ("sink_pin_c", "C"),
}
"""Name -> (key of Plant.set, dimension). `released` lets a pinned value go."""
RELEASABLE = {"cell_temp_c", "cell_temp_min_c", "cell_v_max", "cell_v_min", "pack_v", "soc_shown_pct", "sink_pin_c"}

PCS = {
    "well": {
        "pcs_silent": 0,
        "pcs_frozen": 0,
        "pcs_exception": 0,
        "pcs_write_exception": 0,
        "ignore_setpoints": 0,
        "wrong_sign": 0,
        "fault": 0,
        "pcs_answer_ms": 0,
    },
    "silent": {"pcs_silent": 1},
    "frozen": {"pcs_frozen": 1},
    "ignoring set points": {"ignore_setpoints": 1},
    "refusing writes": {"pcs_write_exception": 4},
    "wrong sign": {"wrong_sign": 1},
    "over temperature": {"fault": 1 << 7},
    "ground fault": {"fault": 1 << 0},
    "faulted": {"fault": 1 << 15},
    "slow": {"pcs_answer_ms": 100},
    "exception 4": {"pcs_exception": 4},
    "exception 6": {"pcs_exception": 6},
    "local": {"local": 1},
    "remote": {"local": 0},
}
BMS = {
    "well": {"bms_silent": 0, "bms_frozen": 0, "bms_exception": 0, "bms_event": 0, "bms_fault": 0, "bms_answer_ms": 0},
    "silent": {"bms_silent": 1},
    "frozen": {"bms_frozen": 1},
    "slow": {"bms_answer_ms": 100},
    "exception 4": {"bms_exception": 4},
    "exception 6": {"bms_exception": 6},
    "over temperature alarm": {"bms_event": 1 << 1},
    "over voltage alarm": {"bms_event": 1 << 9},
    "under voltage alarm": {"bms_event": 1 << 11},
    "ground fault": {"bms_event": 1 << 22},
    "warning": {"bms_event": 1 << 10},
    "faulted": {"bms_fault": 1},
    "open": {"bms_open": 1},
    "never trips": {"bms_trips": 0},
}
METER = {
    "well": {"meter_silent": 0, "meter_frozen": 0, "meter_exception": 0, "meter_wrong_sign": 0},
    "silent": {"meter_silent": 1},
    "frozen": {"meter_frozen": 1},
    "wrong sign": {"meter_wrong_sign": 1},
    "exception 4": {"meter_exception": 4},
    "exception 6": {"meter_exception": 6},
}
WELL: dict[str, Any] = {"deaf": False, "noise": 0, "cut": False, "spoil": "bit", "one_session": False}
SOMETIMES, OFTEN = 60, 200
"""So many answers of a thousand."""


def spoilt(kind: str, per_mille: int = OFTEN) -> dict[str, Any]:
    return {"spoil": kind, "noise": per_mille}


LINE: dict[str, dict[str, Any]] = {
    "well": WELL,
    "half open": {"deaf": True},
    "cut": {"cut": True},
    "joined": {"cut": False},
    "one session": {"one_session": True},
    "late answers": spoilt("late", SOMETIMES),
    "slow bytes": spoilt("slow", SOMETIMES),
    "another unit": spoilt("unit"),
    "another function": spoilt("function"),
    "too few registers": spoilt("count"),
    "busy": spoilt("busy"),
    "bytes in front": spoilt("front"),
    "bytes behind": spoilt("behind"),
}
"""On every link."""
LINE_TCP: dict[str, dict[str, Any]] = {
    "another protocol": spoilt("protocol"),
    "impossible length": spoilt("length"),
    "stale answers": spoilt("stale"),
    "closing": spoilt("close", 10),
}
LINE_SERIAL: dict[str, dict[str, Any]] = {
    "noisy": spoilt("bit"),
    "zero in front": spoilt("zero"),
    "another unit in front": spoilt("other"),
    "gaps": spoilt("gap"),
    "echo": spoilt("echo"),
}
CONTACT = {"open": 1, "closed": 0}
WORDS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "PCS": ("plant", PCS),
    "BMS": ("plant", BMS),
    "meter": ("plant", METER),
    "E-stop": ("plant", {"pressed": {"estop": 1}, "released": {"estop": 0}}),
    "unit ids": ("plant", {"swapped": {"units_swapped": 1}, "well": {"units_swapped": 0}}),
    "reversion timer": ("plant", {"late": {"timer_scale": 1.33}, "exact": {"timer_scale": 1.0}}),
    "line": ("wire", {**LINE, **LINE_TCP, **LINE_SERIAL}),
    **{
        f"{word} input": ("plant", {how: {f"input_{key}": value} for how, value in CONTACT.items()})
        for word, key in (("E-stop", "estop"), ("fire", "fire"), ("door", "door"), ("insulation", "insulation"), ("alarm", "other"))
    },
    "input module": ("plant", {"silent": {"io_silent": 1}, "well": {"io_silent": 0}}),
    "supervisor": (
        "site",
        {
            "killed": {"supervisor": "silent"},
            "hung": {"supervisor": "silent"},
            "flooding": {"supervisor": "flooding"},
            "back": {"supervisor": "well"},
        },
    ),
    "controller": (
        "site",
        {
            "killed": {"loop": "killed"},
            "started": {"loop": "started"},
            "rebooted": {"loop": "rebooted"},
            "stopped in order": {"loop": "stop"},
            "late": {"loop": "late"},
            "in time": {"loop": "in time"},
        },
    ),
    "journal": ("site", {"lost": {"journal": "lost"}, "disk broken": {"journal": "broken"}, "disk well": {"journal": "well"}}),
}
SITE_NUMBERS = {"wall clock step": ("clock_step_s", "s")}
NAMES = (*NUMBERS, *WORDS, "set point by others", "source", *SITE_NUMBERS)


def injection(name: str, value: object, over_s: float, units: list[str], sources: list[str]) -> Injection:
    """One entry of `inject`. Raises UnknownSignal for the name, BadValue for the value."""
    plain, unit = split_of(name, units)
    if plain in NUMBERS:
        return _number(plain, value, over_s, unit, name)
    if over_s:
        raise BadValue(f"{name!r} happens at once; `over` goes with a value that moves")
    if plain in WORDS:
        kind, table = WORDS[plain]
        if str(value) not in table:
            raise BadValue(f"{value!r} is nothing that happens to {plain!r}; allowed: {', '.join(table)}")
        return Injection(name, f"{name}: {value}", kind, unit, dict(table[str(value)]))
    if plain == "set point by others":
        return Injection(name, f"{name}: {value}", "foreign", unit, {"w": quantity(value, "W")})
    if plain in SITE_NUMBERS:
        key, dimension = SITE_NUMBERS[plain]
        return Injection(name, f"{name}: {value}", "site", unit, {key: quantity(value, dimension)})
    if plain.startswith("source "):
        return _source(plain.removeprefix("source "), str(value), sources)
    near = difflib.get_close_matches(plain, NAMES, 3, 0.4) or NAMES[:8]
    raise UnknownSignal(f"nothing called {name!r} can be injected; near: {', '.join(near)}")


def _number(plain: str, value: object, over_s: float, unit: int, name: str) -> Injection:
    key, dimension = NUMBERS[plain]
    if value == "released" and key in RELEASABLE:
        return Injection(name, f"{name}: released", "plant", unit, {key: None})
    told = f"{name}: {value}" + (f" over {over_s:g} s" if over_s else "")
    return Injection(name, told, "plant", unit, {key: quantity(value, dimension)}, over_s)


def _source(source: str, value: str, sources: list[str]) -> Injection:
    if source not in sources:
        raise UnknownSignal(f"no source {source!r} at this site; it has {', '.join(sources)}")
    if value not in {"silent", "speaking"}:
        raise BadValue(f"{value!r} is nothing a source does; allowed: silent, speaking")
    return Injection(f"source {source}", f"source {source}: {value}", "site", 0, {value: source})
