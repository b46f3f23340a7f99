"""R2: toward 0 because of a limit at once, away from 0 by the ramp, a reversal rests at 0.

Scenario it was written for: a cell reaches its limit at full power; a ramp of the plant must not be the reason why power stays there.
"""

from __future__ import annotations

import pytest

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, Slot, config

RAMP = 1e5  # W/s: 1 kW a tick


def rig(*rows: Row, target_w: float = 100e3) -> Rig:
    r = Rig(config(rows=rows, slots=(Slot(), Slot(priority=6)), ramp_w_per_s=RAMP)).run()
    r.offer(0, {"target_w": target_w})
    r.tick(round(1.5 * target_w / 1e3))
    assert r.power_w == target_w
    return r


@pytest.mark.parametrize("what", ["trip", "block", "limit", "blind"])
def test_R2_what_takes_power_away_does_so_in_its_tick(what: str) -> None:
    """The scenario: a cell at its limit at full power."""
    action = L.Action.ACT_BLOCK if what == "block" else L.Action.ACT_STANDBY
    r = rig(Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=action), target_w=200e3)
    if what == "limit":
        r.offer(1, {"ess_hi_w": 0.0})
    else:
        r.set(Q.Q_CELL_V_MAX, float("nan") if what == "blind" else 3.7)
    r.tick()
    assert r.power_w == 0


def test_R2_what_gives_it_back_is_ramped() -> None:
    r = rig(Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_ZERO))
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.tick()
    before = r.power_w
    for _ in range(50):
        r.tick()
        assert 0 <= r.power_w - before <= 1000 + 1
        before = r.power_w
    assert r.power_w > 0


def test_R2_a_reversal_rests_at_zero_for_its_dead_time() -> None:
    r = rig()
    r.offer(0, {"target_w": -100e3}, serial=2)
    powers = []
    for _ in range(150):
        r.tick()
        powers.append(r.power_w)
    rest = [i for i, w in enumerate(powers) if w == 0]
    assert rest == list(range(rest[0], rest[0] + len(rest))), "one rest"
    assert 20 <= len(rest) <= 21, "0.2 s of it at 100 Hz"
    assert all(w > 0 for w in powers[: rest[0]])
    assert all(w < 0 for w in powers[rest[-1] + 1 :]), "then the other way"
    assert powers[-1] == -100e3
