"""`bessctl limits` at 3 a.m.: behind each binding the values it follows from, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bessctl.corelink.report import limit_stack, verdict
from bessctl.corelink.words import Site
from bessctl_core import layout as L
from bessctl_core import sealed
from tests.core.rig import PLANT, S
from tests.sites import sealed_example
from tests.test_corelink import STATE, measured, state

Q, B = L.Quantity, L.BindKind
SEALING = sealed_example()
SITE = Site(sealed.unpack(SEALING.content))
ROW = next(i for i, row in enumerate(SITE.rows) if (row.name, row.tier) == ("cell_v_high", "trip"))
NOTHING = [0] * 768
HERE = [int(i == ROW) for i in range(768)]


def published(**fields: Any) -> dict[str, Any]:
    record = np.frombuffer(state(**fields), STATE)[0]
    return {name: record[name].tolist() for name in STATE.names}


def lines(**fields: Any) -> dict[str, dict[str, Any]]:
    return {line["step"]: line for line in limit_stack(SITE, published(**fields))}


def both(bind: int, ident: int) -> dict[str, Any]:
    return {"lo_bind": bind, "hi_bind": bind, "lo_bind_id": ident, "hi_bind_id": ident}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        # a protection row: its value, or that it has none, and whether a reset is due
        (both(B.BIND_ROW, ROW) | {"row_active": HERE} | measured({(0, Q.Q_CELL_V_MAX): 3.7}), "3.7, pickup 3.65"),
        (both(B.BIND_ROW, ROW) | {"row_active": HERE}, "no valid value: check the device and its bus"),
        (both(B.BIND_ROW, ROW) | {"row_active": HERE} | measured({(0, Q.Q_CELL_V_MAX): 3.3}, 1 * S),
         "no valid value: check the device and its bus"),
        (both(B.BIND_ROW, ROW) | {"row_active": HERE, "row_latched": HERE} | measured({(0, Q.Q_CELL_V_MAX): 3.6}),
         "3.6, pickup 3.65; latched, not yet back"),
        (both(B.BIND_ROW, ROW) | {"row_latched": HERE} | measured({(0, Q.Q_CELL_V_MAX): 3.3}),
         "3.3, pickup 3.65; latched, `bessctl reset` clears it"),
        # the battery's own limit
        (both(B.BIND_BMS, 0) | measured({(0, Q.Q_BMS_DIS_MAX_A): 312.5}), "the BMS allows 312.5 A, counted at pack_min_v"),
        (both(B.BIND_BMS, 0), "the BMS states no current limit"),
        # a unit that cannot be driven
        (both(B.BIND_DEVICE, 0) | measured({(0, Q.Q_LOC_REM): 1}), "the PCS is switched to local control: it is not commanded"),
        (both(B.BIND_DEVICE, 0) | {"pcs_state": [L.DeviceState.DEV_REFUSED] + [0] * 15}, "not ready: pcs refused"),
        # the meter
        (both(B.BIND_METER, 1) | measured({(PLANT, Q.Q_PCC_W): 5e3}, 90 * S),
         "the meter is silent for 10 s: the worst case of the site counts"),
        (both(B.BIND_METER, PLANT), "the meter was never read: the worst case of the site counts"),
        # the operator, the machine
        (both(B.BIND_MODE, L.Mode.MODE_STOPPED), "stopped by the operator; `bessctl start` ends it"),
        (both(B.BIND_MODE, L.Mode.MODE_TRIPPED), "tripped; when the cause is gone: `bessctl reset`"),
        # a source
        (both(B.BIND_SLOT, 1) | {"slot_serial": [0, 7] + [0] * 14}, "its plan 7"),
        (both(B.BIND_DEFAULT, 1), "it wrote no plan yet: sealed default"),
        (both(B.BIND_DEFAULT, 1) | {"slot_state": [0, L.SlotState.SLOT_LAPSED] + [0] * 14}, "its lease is over: sealed default"),
        # a rating says it all, and an unknown number breaks nothing
        (both(B.BIND_RATING, 0), None),
        (both(200, 3), None),
        (both(B.BIND_ROW, 700), None),
        (both(B.BIND_MODE, 77), None),
    ],
)  # fmt: skip
def test_every_binding_gives_its_reason(fields: dict[str, Any], words: str | None) -> None:
    assert lines(**fields)["plant hi"]["why"] == words


def test_without_a_target_the_lapsed_sources_are_named() -> None:
    told = lines(slot_state=[L.SlotState.SLOT_LAPSED] + [0] * 15)["requested"]
    assert (told["value_w"], told["why"]) == (None, "no source has a target; the lease of manual is over")


@pytest.mark.parametrize(
    ("command_w", "on_the_way"), [(150e3, False), (149_990.0, False), (120e3, True), (0.0, True)], ids=["there", "rounded", "ramp", "rest"]
)
def test_what_is_sent_and_not_yet_asked_for_has_a_reason(command_w: float, on_the_way: bool) -> None:
    told = lines(wanted_w=150e3, lo_w=-200e3, hi_w=200e3, command_w=command_w, target_slot=0)["applied"]
    assert (told["why"] is not None) is on_the_way


def test_a_pcs_under_local_control_is_named_beside_what_is_measured() -> None:
    assert "local control" in lines(flags=L.Flag.FLAG_LOCAL_CONTROL)["measured"]["why"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"wanted_w": 50e3}, {}),
        ({"wanted_w": 150e3}, {"limited_to_w": 100e3, "limited_by": "bms:unit1", "why": "the BMS states no current limit"}),
        ({"wanted_w": -150e3}, {"limited_to_w": -100e3, "limited_by": "rating:unit1", "why": None}),
        ({"wanted_w": 150e3, "target_slot": 2}, {"overruled_by": "ocpp"}),
        ({"target_slot": -1}, {"overruled_by": "nobody: it has no target any more"}),
    ],
)
def test_the_operator_is_told_what_becomes_of_his_target(fields: dict[str, Any], told: dict[str, Any]) -> None:
    """A command outside limits is clamped with the reason, never silently."""
    sides = {"lo_w": -100e3, "hi_w": 100e3, "lo_bind": B.BIND_RATING, "hi_bind": B.BIND_BMS}
    assert verdict(SITE, published(**({"target_slot": 0} | sides | fields)), "manual") == told
