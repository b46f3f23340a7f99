"""What the loop says on stderr: one sentence for each event, with the names of the site and what to do."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest

from bessctl_core import layout as L
from bessctl_core.tell import SENTENCES, Teller

E, B = L.EventCode, L.BindKind
PLANT = L.LIMITS["plant"]
NAMES = {
    "units": ["left"],
    "slots": ["ems"],
    "devices": ["pcs1"],
    "rows": [
        {"name": "cell_v_high", "tier": "trip", "unit": "left"},
        {"name": "bms_alarms_zero", "tier": "trip", "unit": "left", "bits": [[1, "over_temp_alarm"], [2, "over_volt_alarm"], [5, "other"]]},
    ],
}
EVENT = {"seq": 1, "at_ns": 5, "value": math.nan, "limit": math.nan, "detail": 0, "place": -1, "row": -1, "slot": -1, "code": 0, "level": 0}
CLAMPED = {"code": E.EV_TARGET_CLAMPED, "slot": 0, "value": 150e3, "limit": 0.0}


def said(as_json: bool = False, **event: Any) -> str:
    out = io.StringIO()
    Teller(NAMES, lambda _: "10.0.0.7:502", as_json=as_json, out=out).event({**EVENT, **event})
    return out.getvalue()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        # a row: its value, or that it saw none
        ({"code": E.EV_ROW_PICKUP, "row": 0, "place": 0, "value": 3.7, "limit": 3.65},
         "cell_v_high trip of left picked up at left: 3.7, limit 3.65"),
        ({"code": E.EV_ROW_PICKUP, "row": 0, "place": 0, "limit": 3.65}, "picked up at left: no valid value, limit 3.65"),
        ({"code": E.EV_ROW_LATCHED, "row": 0, "place": 0}, "latched at left: no valid value; `bessctl reset` clears it"),
        ({"code": E.EV_ROW_PICKUP, "row": 1, "place": 0, "value": 6.0, "limit": 1.0}, "at left: over_temp_alarm, over_volt_alarm"),
        ({"code": E.EV_FLAG, "detail": L.Flag.FLAG_INPUT_LOST, "value": 1.0}, "a digital input cannot be read and counts as active; check"),
        ({"code": E.EV_FLAG, "detail": L.Flag.FLAG_SOC_FROZEN, "place": 0, "value": 0.0}, "left: no longer: a SoC does not move"),
        ({"code": E.EV_CONTACTOR, "place": 0, "detail": 4, "value": 2.0}, "battery of left: being connected, try 2"),
        # who clamps a target
        (CLAMPED | {"detail": B.BIND_ROW, "place": 0}, "limited to 0 W by row cell_v_high trip of left"),
        (CLAMPED | {"detail": B.BIND_DEVICE, "place": 0}, "limited to 0 W by device left"),
        (CLAMPED | {"detail": B.BIND_MODE, "place": L.Mode.MODE_STOPPED}, "limited to 0 W by mode stopped"),
        (CLAMPED | {"detail": B.BIND_SLOT, "place": 0}, "limited to 0 W by slot ems"),
        (CLAMPED | {"detail": B.BIND_METER, "place": PLANT}, "limited to 0 W by meter of the connection"),
        # a device that is away: where, why, what to do
        ({"code": E.EV_DEVICE_DOWN, "row": 0, "detail": 10, "value": 111},
         "pcs1 at 10.0.0.7:502: no connection (Connection refused); it is tried again"),
        # requests by their own numbers
        ({"code": E.EV_COMMAND_DONE, "value": float((1 << 40) + 7)}, "request 7 of the operator done"),
        ({"code": E.EV_COMMAND_REFUSED, "value": 3.0}, "request 3 of the supervisor refused"),
        ({"code": E.EV_PLAN_REFUSED, "slot": 0, "detail": L.PlanFault.PLAN_LEASE}, "plan of ems refused, lease: its last good plan"),
    ],
)  # fmt: skip
def test_an_event_is_told_with_names_values_and_what_to_do(event: dict[str, Any], words: str) -> None:
    assert words in said(**event)


def test_every_code_has_a_sentence() -> None:
    assert set(SENTENCES) == set(E) - {E.EV_NONE}


@pytest.mark.parametrize("code", sorted(int(code) for code in E))
@pytest.mark.parametrize("numbers", [-1, 0, 3, 200])
def test_no_number_breaks_a_sentence(code: int, numbers: int) -> None:
    detail = min(numbers, 1) if code == E.EV_INTERNAL else numbers
    told = json.loads(said(True, code=code, place=numbers, row=numbers, slot=numbers, detail=detail, value=float(max(numbers, 0))))
    assert told["message"]
