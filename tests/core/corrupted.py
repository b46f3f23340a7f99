"""Runs the step with a dispatch that lies (R1): `python -m tests.core.corrupted` prints what came out, one JSON object per case.

With the name of a case it writes the published state and the events behind it, as they lie in memory.

The compiled step takes `dispatch` from the table its module exports, once, when it is imported. Before that this program puts a function
of its own into the table; nothing in the product has a door for it.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

import numpy as np

from bessctl_core import dispatch as module
from bessctl_core import layout

RAW_OFFSET = 16 * 8  # Outputs: cmd_w[16], then cmd_raw[16]
PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p)

# counts of units 0 and 1 that replace the right ones
CASES: dict[str, tuple[int, int]] = {
    "right": (50_000, 50_000),
    "beyond the unit": (200_001, 0),
    "beyond the source's limit": (60_001, 60_000),
    "within both": (60_000, 60_000),
    "the other direction": (-1, 50_000),
    "both the other direction": (-30_000, -30_000),
    "charging beyond its limit": (-30_001, -30_000),
    "largest count": (2**31 - 1, 0),
    "smallest count": (0, -(2**31)),
    "half of what rounding may add": (60_000, 60_000),
    "more than rounding adds": (60_000, 60_000),
    "the counts of before a scale factor changed": (50_000, 50_000),
}
# What a count of unit 0 means from the lie on, where that is not 1 W.
SCALES = {"the counts of before a scale factor changed": 10.0}
# The source's limits for what the units give together, where they are not the same as above.
LIMITS = {"half of what rounding may add": 120e3 - 0.5e-6, "more than rounding adds": 120e3 - 1.5e-6}

lie: tuple[int, int] | None = None


def install() -> Any:
    """Put the liar into the table; the result must be kept alive."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype, api.PyCapsule_GetPointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_New.restype, api.PyCapsule_New.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    table = module.__pyx_capi__  # type: ignore[attr-defined]
    signature = ctypes.create_string_buffer(api.PyCapsule_GetName(table["dispatch"]))
    honest = PROTOTYPE(api.PyCapsule_GetPointer(table["dispatch"], signature))

    def liar(*arguments: Any) -> None:
        honest(*arguments)
        outputs = arguments[-1]
        if lie is not None:
            (ctypes.c_int32 * 2).from_address(outputs + RAW_OFFSET)[:] = list(lie)

    callback = PROTOTYPE(liar)
    table["dispatch"] = api.PyCapsule_New(ctypes.cast(callback, ctypes.c_void_p), signature, None)
    return callback, signature


def main() -> None:
    global lie  # noqa: PLW0603 - the one word the liar listens to
    kept = install()
    from tests.core.rig import Rig, Slot, config  # noqa: PLC0415 - the step must see the changed table

    told = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, counts in CASES.items():
        if told and name != told:
            continue
        lie = None
        r = Rig(config(2, slots=(Slot(),))).run()
        r.offer(0, {"target_w": 100e3, "ess_hi_w": LIMITS.get(name, 120e3), "ess_lo_w": -60e3})
        r.tick(10)
        before = list(r.h.out["cmd_raw"][:2])
        lie = counts
        r.h.set_devices(0, layout.DeviceState.DEV_UP, layout.DeviceState.DEV_UP, SCALES.get(name, 1.0))
        r.tick()
        at_once = {"raw": list(r.h.out["cmd_raw"][:2]), "w": list(r.h.out["cmd_w"][:2]), "journal": bool(r.h.out["journal_due"])}
        lie = None
        state = r.tick(50)
        if told:
            events = np.zeros(len(r.seen), layout.dtype("Event"))
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
