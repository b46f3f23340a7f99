"""Runs the step with a dispatch that lies, of active or reactive power (R1): `python -m tests.core.corrupted` prints what came out, one
JSON object per case.

With the name of a case it writes the published state and the events behind it, as they lie in memory.

The compiled step takes `dispatch` and `reactive_dispatch` from the tables their modules export, once, when it is imported. Before that this
program puts functions of its own into the tables; nothing in the product has a door for it.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessctl_core import dispatch, reactive
from bessctl_core.layout import DeviceState, QControl, dtype

UP, DOWN = DeviceState.DEV_UP, DeviceState.DEV_DOWN

# Outputs: cmd_w[16], cmd_raw[16], cmd_var[16], cmd_var_raw[16]
RAW_OFFSET = 16 * 8
VAR_RAW_OFFSET = RAW_OFFSET + 16 * (4 + 8)
P = ctypes.c_void_p
DISPATCH = ctypes.CFUNCTYPE(None, P, P, P, P, ctypes.c_double, P)
REACTIVE = ctypes.CFUNCTYPE(None, P, P, P, P, ctypes.c_int, ctypes.c_int64)


@dataclass(frozen=True)
class Case:
    """Counts of units 0 and 1 instead of the right ones, under a source's limits. `silent`: unit 1 is not heard any more while it gives;
    `scale_w`: what a count of unit 0 means from the lie on. `var`: counts of reactive power, rated `var_max`, that somebody `asks` for."""

    counts: tuple[int, int]
    lo_w: float = -60e3
    hi_w: float = 120e3
    target_w: float = 100e3
    silent: bool = False
    scale_w: float = 1.0
    var: tuple[int, int] | None = None
    asks: bool = True
    var_max: float = 200e3


CASES = {
    "right": Case((50_000, 50_000)),
    "beyond the unit": Case((200_001, 0)),
    "beyond the unit alone": Case((200_001, 0), hi_w=300e3),
    "charging beyond the unit alone": Case((0, -200_001), lo_w=-300e3),
    "beyond the source's limit": Case((60_001, 60_000)),
    "within both": Case((60_000, 60_000)),
    "half of what rounding may add": Case((60_000, 60_000), hi_w=120e3 - 0.5e-6),
    "more than rounding adds": Case((60_000, 60_000), hi_w=120e3 - 1.5e-6),
    "the other direction": Case((-1, 50_000)),
    "both the other direction": Case((-30_000, -30_000)),
    "charging beyond its limit": Case((-30_001, -30_000)),
    "beside a silent unit": Case((70_000, 0), silent=True),
    "beyond what a silent unit leaves": Case((70_001, 0), silent=True),
    "charging beside a silent unit": Case((-70_000, 0), lo_w=-120e3, target_w=-100e3, silent=True),
    "charging beyond what a silent unit leaves": Case((-70_001, 0), lo_w=-120e3, target_w=-100e3, silent=True),
    "largest count": Case((2**31 - 1, 0)),
    "smallest count": Case((0, -(2**31))),
    "the counts of before a scale factor changed": Case((50_000, 50_000), scale_w=10.0),
    "reactive power within rating and circle": Case((50_000, 50_000), var=(150_000, -150_000)),
    "reactive power beyond the rating": Case((50_000, 50_000), var=(200_001, 0)),
    "absorbed beyond the rating": Case((50_000, 50_000), var=(0, -200_001)),
    "reactive power beyond the circle": Case((170_000, 170_000), hi_w=400e3, target_w=340e3, var=(190_000, 0)),
    "half of what rounding may add of it": Case((50_000, 50_000), var=(200_000, 0), var_max=200e3 - 0.5e-6),
    "more than rounding adds of it": Case((50_000, 50_000), var=(200_000, 0), var_max=200e3 - 1.5e-6),
    "reactive power that nobody asks for": Case((50_000, 50_000), var=(1, 0), asks=False),
    "reactive power of a silent unit": Case((50_000, 0), silent=True, var=(0, 1)),
}

lie: Case | None = None


def install(module: Any, name: str, prototype: Any, lies: Callable[..., None]) -> Any:
    """Put the liar into the table; the result must be kept alive."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype, api.PyCapsule_GetPointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_New.restype, api.PyCapsule_New.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    table = module.__pyx_capi__
    signature = ctypes.create_string_buffer(api.PyCapsule_GetName(table[name]))
    honest = prototype(api.PyCapsule_GetPointer(table[name], signature))

    def liar(*arguments: Any) -> None:
        honest(*arguments)
        if lie is not None:
            lies(lie, *arguments)

    callback = prototype(liar)
    table[name] = api.PyCapsule_New(ctypes.cast(callback, ctypes.c_void_p), signature, None)
    return callback, signature


def put(address: int, counts: tuple[int, int]) -> None:
    """Counts of the first two units."""
    (ctypes.c_int32 * 2).from_address(address)[:] = list(counts)


def of_active(case: Case, *arguments: Any) -> None:
    put(arguments[5] + RAW_OFFSET, case.counts)


def of_reactive(case: Case, *arguments: Any) -> None:
    if case.var is not None:
        put(arguments[3] + VAR_RAW_OFFSET, case.var)


def main() -> None:
    global lie  # noqa: PLW0603 - the one word the liar listens to
    kept = install(dispatch, "dispatch", DISPATCH, of_active), install(reactive, "reactive_dispatch", REACTIVE, of_reactive)
    from tests.core.rig import Rig, S, Slot, config  # noqa: PLC0415 - the step must see the changed table

    told = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, case in CASES.items():
        if told and name != told:
            continue
        lie = None
        array = config(2, slots=(Slot(scopes=7),))
        array[0]["unit_var_max"][:2] = case.var_max
        array[0]["unit_va_max"][:2] = 250e3  # the circle is not what catches a lie about active power
        array[0]["unit_reversion_ns"][:2] = 60 * S
        r = Rig(array).run()
        asked = {"q_kind": int(QControl.QC_VAR), "q_value": 0.0} if case.var is not None and case.asks else {}
        r.offer(0, {"target_w": case.target_w, "ess_hi_w": case.hi_w, "ess_lo_w": case.lo_w, **asked})
        r.tick(10)
        before = list(r.h.out["cmd_raw"][:2])
        if case.silent:
            r.h.set_devices(1, DOWN, DOWN, 1.0)
            r.tick()
        lie = case
        r.h.set_devices(0, UP, UP, case.scale_w)
        r.tick()
        at_once = {"raw": list(r.h.out["cmd_raw"][:2]), "w": list(r.h.out["cmd_w"][:2]), "journal": bool(r.h.out["journal_due"])}
        lie = None
        state = r.tick(50)
        if told:
            events = np.zeros(len(r.seen), dtype("Event"))
            for row, event in zip(events, r.seen, strict=True):
                for key, value in event.items():
                    row[key] = value
            sys.stdout.buffer.write(r.h.published() + events.tobytes())
            continue
        print(
            json.dumps(
                {"name": name, "before": before, **at_once, "later_w": r.power_w, "mode": state["mode"], "internal": state["internal"]}
            )
        )
    assert kept


if __name__ == "__main__":
    main()
