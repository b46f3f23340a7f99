"""R1: the last action of a tick decodes what was encoded and asserts every limit on it; else it sends 0 and trips `internal`.

Scenario it was written for: a scale factor changes between the tick that computed a command and the register it is put in; a count that
meant 100 W now means 1 kW.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.corrupted import CASES
from tests.core.rig import Q, Rig, Slot, config

SCALES = st.sampled_from((1e-3, 0.1, 1.0, 7.0, 100.0, 1000.0, 33_333.3))


@settings(max_examples=40, deadline=None)
@given(scale=SCALES, target=st.floats(-1e6, 1e6), lo=st.floats(-300e3, 0), hi=st.floats(0, 300e3))
def test_R1_what_the_pcs_will_understand_is_within_its_limits_for_every_scale(scale: float, target: float, lo: float, hi: float) -> None:
    """Encoding rounds toward 0; a command that would pass its limit by a count is never sent."""
    r = Rig(config(slots=(Slot(),)))
    r.h.set_devices(0, L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, scale)
    r.run()
    r.offer(0, {"target_w": target, "ess_lo_w": lo, "ess_hi_w": hi})
    r.tick(3)
    raw, w = r.h.out["cmd_raw"][0], r.h.out["cmd_w"][0]
    assert w == pytest.approx(raw * scale)
    assert max(lo, -200e3) - 1e-6 <= w <= min(hi, 200e3) + 1e-6
    assert not r.state["internal"]


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0])
def test_R1_a_count_that_means_nothing_is_never_sent(scale: float) -> None:
    r = Rig(config(slots=(Slot(),))).run()
    r.offer(0, {"target_w": 100e3})
    r.tick(3)
    r.h.set_devices(0, L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, scale)
    r.tick()
    assert (r.h.out["cmd_raw"][0], r.power_w) == (0, 0)


@pytest.mark.parametrize("target_w", [50e3, -50e3, 390e3, -390e3])
@pytest.mark.parametrize("soc", [(5.0, 95.0), (95.0, 5.0)])
def test_R1_units_are_never_told_to_work_against_each_other(target_w: float, soc: tuple[float, float]) -> None:
    """However far their batteries are apart, the full one does not charge the empty one, and the plant gives what is wanted."""
    r = Rig(config(units=2, slots=(Slot(),), balance_soc_pct=10.0)).run()
    for unit in range(2):
        r.set(Q.Q_SOC_PCT, soc[unit], place=unit)
    r.offer(0, {"target_w": target_w})
    r.tick(5)
    watts = r.h.out["cmd_w"][:2]
    assert all(w * target_w >= 0 for w in watts)
    assert sum(watts) == pytest.approx(target_w, abs=2)
    assert watts[0] != watts[1], "and they do balance"


# --- a dispatch that lies -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lies() -> dict[str, dict[str, Any]]:
    """What the step made of wrong commands; in a process of its own, because the step is imported with a lying dispatch."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "tests.core.corrupted"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}


HARMLESS = (
    "right", "within both", "both the other direction", "half of what rounding may add", "beside a silent unit",
    "charging beside a silent unit", "reactive power within rating and circle", "half of what rounding may add of it",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CASES if name not in HARMLESS])
def test_R1_a_command_that_leaves_its_limits_is_sent_as_0_and_trips_the_machine(lies: dict[str, dict[str, Any]], name: str) -> None:
    """CARD-1: the last look is at what the PCS will understand, in the very tick; the trip is journalled and stays."""
    found = lies[name]
    assert found["before"] == [CASES[name].target_w / 2] * 2
    assert (found["raw"], found["w"], found["journal"]) == ([0, 0], [0, 0], True)
    assert (found["later_w"], found["mode"], found["internal"]) == (0, L.Mode.MODE_TRIPPED, L.Internal.TRIP_ASSERTION)


@pytest.mark.parametrize("name", HARMLESS)
def test_R1_a_command_within_every_limit_passes(lies: dict[str, dict[str, Any]], name: str) -> None:
    found = lies[name]
    assert found["raw"] == list(CASES[name].counts)
    assert (found["mode"], found["internal"]) == (L.Mode.MODE_RUN, 0)


def test_R1_a_count_that_means_another_power_now_is_sent_as_0_and_trips(lies: dict[str, dict[str, Any]]) -> None:
    """The scenario: a scale factor that changed under a command: what meant 50 kW means 500 kW.

    The counts are those of the tick before; what they mean is looked up once more before they go out.
    """
    found = lies["the counts of before a scale factor changed"]
    assert found["before"] == [50_000, 50_000]
    assert (found["raw"], found["w"], found["internal"]) == ([0, 0], [0, 0], L.Internal.TRIP_ASSERTION)


@pytest.mark.parametrize("scale", [10.0, 0.1])
def test_R1_a_scale_factor_that_changes_between_two_ticks_changes_the_count_and_not_the_power(scale: float) -> None:
    """100 W stay 100 W: the next tick encodes by what the PCS reads now."""
    r = Rig(config(slots=(Slot(),))).run()
    r.offer(0, {"target_w": 100.0})
    r.tick(3)
    assert (r.out["cmd_raw"][0], r.power_w) == (100, 100)
    r.h.set_devices(0, L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, scale)
    r.tick()
    assert (r.out["cmd_raw"][0], r.power_w) == (round(100 / scale), 100)
    assert not r.state["internal"]
