"""R1: the last action of a tick decodes what was encoded and asserts every limit on it; else it sends 0 and trips `internal`.

Scenario it was written for: a scale factor changes between the tick that computed a command and the register it is put in; a count that
meant 100 W now means 1 kW.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Slot, config

SCALES = st.sampled_from((1e-3, 0.1, 1.0, 7.0, 100.0, 1000.0, 33_333.3))


@settings(max_examples=40, deadline=None)
@given(scale=SCALES, target=st.floats(-1e6, 1e6), lo=st.floats(-300e3, 0), hi=st.floats(0, 300e3))
def test_what_the_pcs_will_understand_is_within_its_limits_for_every_scale(scale: float, target: float, lo: float, hi: float) -> None:
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
def test_a_count_that_means_nothing_is_never_sent(scale: float) -> None:
    r = Rig(config(slots=(Slot(),))).run()
    r.offer(0, {"target_w": 100e3})
    r.tick(3)
    r.h.set_devices(0, L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, scale)
    r.tick()
    assert (r.h.out["cmd_raw"][0], r.power_w) == (0, 0)


def test_units_are_never_told_to_work_against_each_other() -> None:
    r = Rig(config(units=2, slots=(Slot(),))).run()
    r.offer(0, {"target_w": 50e3})
    for soc in ((5.0, 95.0), (95.0, 5.0)):
        for unit in range(2):
            r.set(Q.Q_SOC_PCT, soc[unit], place=unit)
        r.tick(5)
        assert min(r.h.out["cmd_w"][:2]) >= 0
