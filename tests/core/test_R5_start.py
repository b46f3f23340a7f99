"""R5: a start gives 0 until every required input was good for settle_s; a warm one goes on from measured power."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, S, Slot, config

M = L.Mode
UP, DOWN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN


def starting(limit_w: float = 200e3, **facts: Any) -> Rig:
    """A source wants 150 kW from before the first tick; the utility's slot is required and states a limit by default."""
    slots = (Slot(klass=0, priority=1, required=True, default={"ess_hi_w": limit_w}), Slot())
    r = Rig(config(2, rows=(Row(Q.Q_CELL_V_MAX, 3.6, 3.5, unit=1),), slots=slots, ramp_w_per_s=1e6), **facts)
    r.offer(1, {"target_w": 150e3}, lease_until_ns=r.now_ns + 3000 * S)
    return r


def test_R5_a_cold_start_with_a_battery_that_takes_its_time() -> None:
    """The scenario: the PCS answer at once, one BMS needs seven seconds to boot. Not a watt before, nothing latched after."""
    r = starting()
    r.h.set_devices(1, UP, DOWN, 1.0)
    r.freeze(Q.Q_CELL_V_MAX, place=1)
    for _ in range(70):
        state = r.tick(10)
        assert (r.power_w, state["mode"] in (M.MODE_ACQUIRE, M.MODE_START_FAILED)) == (0, True)
    assert state["mode"] == M.MODE_START_FAILED, "acquire_timeout is 5 s: told, and no latch"
    r.h.set_devices(1, UP, UP, 1.0)
    r.frozen.clear()
    r.tick(13)
    assert r.state["mode"] == M.MODE_RUN
    assert not any(r.state["row_latched"])
    assert 0 < r.power_w <= 30e3, "from 0, by the ramp"


def test_R5_an_input_that_comes_and_goes_is_not_settled() -> None:
    r = starting()
    for _ in range(10):
        r.tick(8)
        r.h.set_devices(1, UP, DOWN, 1.0)
        r.tick(1)
        r.h.set_devices(1, UP, UP, 1.0)
    assert (r.state["mode"], r.power_w) == (M.MODE_ACQUIRE, 0)


@pytest.mark.parametrize(
    ("measured", "limit_w", "first"), [(60e3, 200e3, 120e3), (60e3, 70e3, 70e3), (-30e3, 200e3, -60e3), (0.0, 200e3, 0.0)]
)
def test_R5_a_warm_start_begins_with_what_flows_within_the_envelope_of_now(measured: float, limit_w: float, first: float) -> None:
    """Both PCS still give what the loop before us told them; the first command is that, or what is allowed of it."""
    r = starting(limit_w, warm=True)
    r.follow = False
    for unit in range(2):
        r.set(Q.Q_AC_W, measured, place=unit)
    r.tick(1)
    assert r.state["mode"] == M.MODE_RUN
    assert r.power_w == pytest.approx(first, abs=10.1e3)
    assert r.power_w <= limit_w


@pytest.mark.parametrize("doubt", ["stands", "late"])
def test_R5_any_doubt_makes_a_cold_start_of_a_warm_one(doubt: str) -> None:
    r = starting(warm=True)
    r.follow = False
    r.set(Q.Q_AC_W, 60e3)
    if doubt == "stands":
        r.set(Q.Q_CELL_V_MAX, 3.7, place=1)
    else:
        r.h.set_devices(1, DOWN, UP, 1.0)
    for _ in range(5):
        r.tick(1 if doubt == "stands" else 45)
        assert (r.power_w, r.state["mode"]) == (0, M.MODE_ACQUIRE)
    assert r.h.out["silent"] == 0, "0 is sent, not nothing"
