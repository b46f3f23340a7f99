"""The words of the layout for those who look at columns instead of snapshots (scenarios). Pure."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from bessctl.corelink.words import DEVICE_STATES, FLAGS, MODES, PLANT, SLOT_STATES, binding
from bessctl_core import layout, rt

__all__ = ["DEVICE_STATES", "EVENTS", "FLAGS", "MODES", "PLANT", "RUNS", "SLOT_STATES", "binding", "build_id", "value_at"]

RUNS = {0: "stop", 1: "run", 2: "standby"}
EVENTS = tuple((member.name or "").removeprefix("EV_").lower() for member in layout.EventCode)


def value_at(place: int, quantity: str) -> int:
    """Index of a measurement in PlantState.value: value_at(0, "SOC_PCT")."""
    return place * layout.LIMITS["quantities"] + int(layout.Quantity[f"Q_{quantity}"])


@cache
def build_id() -> str:
    """What tells one build of the core from another: its layout and a hash over its compiled modules."""
    total = hashlib.sha256()
    for module in sorted(Path(rt.__file__).parent.rglob("*.so")):
        total.update(module.read_bytes())
    return f"layout {layout.VERSION}, core {total.hexdigest()[:16]}"
