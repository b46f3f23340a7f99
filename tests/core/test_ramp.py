"""R2: how fast power may change. Toward 0 at once where limits want it, away from 0 by the ramp, a reversal stops at 0."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, Q, Rig, Row, S, Slot, config

UP = L.DeviceState.DEV_UP


def rig(*slots: Slot, rows: tuple[Row, ...] = (), ramp_w_per_s: float = 100e3, load_w: float | None = None, **site: Any) -> Rig:
    """The ramp goes 1 kW a tick; counts of a tenth of a watt."""
    r = Rig(config(slots=slots or (Slot(),), rows=rows, ramp_w_per_s=ramp_w_per_s, has_meter=int(load_w is not None), **site))
    r.h.set_devices(0, UP, UP, 0.1)
    if load_w is not None:
        r.meter(load_w)
    return r.run()


def powers(r: Rig, n: int, period_ns: int = PERIOD_NS) -> list[float]:
    found = []
    for _ in range(n):
        r.tick(1, period_ns)
        found.append(round(r.power_w, 3))
    return found


@pytest.mark.parametrize("sign", [1, -1])
def test_R2_away_from_zero_is_ramped_and_toward_zero_is_at_once(sign: int) -> None:
    r = rig()
    r.offer(0, {"target_w": sign * 5e3})
    assert powers(r, 7) == [sign * w for w in (1e3, 2e3, 3e3, 4e3, 5e3, 5e3, 5e3)]
    r.offer(0, {"target_w": sign * 2e3})
    assert powers(r, 2) == [sign * 2e3] * 2
    r.offer(0, {"target_w": sign * 4e3})
    assert powers(r, 3) == [sign * 3e3, sign * 4e3, sign * 4e3]
    r.offer(0, {"target_w": 0.0})
    assert powers(r, 2) == [0, 0]


@pytest.mark.parametrize("sign", [1, -1])
def test_R2_a_reversal_stops_at_zero_for_the_dead_time(sign: int) -> None:
    r = rig(reversal_dead_ns=5 * PERIOD_NS)
    r.offer(0, {"target_w": sign * 3e3})
    r.tick(5)
    r.offer(0, {"target_w": -sign * 2e3})
    assert powers(r, 9) == [0] * 5 + [-sign * w for w in (1e3, 2e3, 2e3, 2e3)]


def test_R2_the_dead_time_counts_from_when_zero_was_reached_and_not_for_the_same_direction() -> None:
    r = rig(reversal_dead_ns=5 * PERIOD_NS)
    r.offer(0, {"target_w": 2e3})
    r.tick(3)
    r.offer(0, {"target_w": 0.0})
    r.tick(3)
    r.offer(0, {"target_w": 1e3})
    assert powers(r, 1) == [1e3], "the way it came from is open"
    r.offer(0, {"target_w": 0.0})
    r.tick(4)
    r.offer(0, {"target_w": -1e3})
    assert powers(r, 3) == [0, -1e3, -1e3]


def test_R2_a_reversal_within_the_dead_time_back_again_needs_no_wait() -> None:
    r = rig(reversal_dead_ns=20 * PERIOD_NS)
    r.offer(0, {"target_w": 1e3})
    r.tick(2)
    r.offer(0, {"target_w": -1e3})
    assert powers(r, 5) == [0] * 5
    r.offer(0, {"target_w": 1e3})
    assert powers(r, 1) == [1e3]


@pytest.mark.parametrize(
    ("period_ns", "step"), [(PERIOD_NS // 2, 500), (PERIOD_NS, 1e3), (2 * PERIOD_NS, 2e3), (3 * PERIOD_NS, 2e3), (S, 2e3)]
)
def test_R2_a_late_tick_moves_by_at_most_two_periods(period_ns: int, step: float) -> None:
    r = rig(reversal_dead_ns=0)
    r.offer(0, {"target_w": 50e3})
    before = powers(r, 3)[-1]
    assert powers(r, 1, period_ns)[0] - before == pytest.approx(step)


@pytest.mark.parametrize("rate", [50e3, 20e3])
def test_R2_a_sources_own_rate_holds_both_ways(rate: float) -> None:
    step = rate / 100
    r = rig()
    r.offer(0, {"target_w": 2e3, "rate_w_per_s": rate})
    assert powers(r, 3) == [step, 2 * step, 3 * step]
    r.tick(20)
    r.offer(0, {"target_w": 0.0, "rate_w_per_s": rate})
    assert powers(r, 2) == [2e3 - step, 2e3 - 2 * step]
    r.tick(20)
    assert r.power_w == 0


def test_R2_a_sources_rate_faster_than_the_plants_is_not_followed_away_from_zero() -> None:
    r = rig()
    r.offer(0, {"target_w": 10e3, "rate_w_per_s": 900e3})
    assert powers(r, 2) == [1e3, 2e3]
    r.tick(20)
    r.offer(0, {"target_w": 0.0, "rate_w_per_s": 900e3})
    assert powers(r, 2) == [1e3, 0]


SLOW: dict[str, Any] = {"target_w": 10e3, "rate_w_per_s": 10e3}


def at_10_kw(r: Rig) -> Rig:
    r.offer(0, {"target_w": 10e3})
    r.tick(15)
    r.offer(0, SLOW)
    r.tick()
    assert r.power_w == 10e3
    return r


def test_R2_limits_cut_at_once_though_the_source_is_slow() -> None:
    """CARD-1, OCPP-9."""
    r = at_10_kw(rig(Slot(), Slot(priority=9)))
    r.offer(1, {"ess_hi_w": 4e3})
    assert powers(r, 2) == [4e3, 4e3]
    r.offer(1, {"ess_hi_w": 0.0})
    assert powers(r, 2) == [0, 0]
    r.offer(1, {"ess_hi_w": 4e3})
    assert powers(r, 2) == [100, 200], "and it comes back by the source's ramp"


def test_R2_protection_cuts_at_once_and_its_end_is_ramped() -> None:
    """CARD-1."""
    r = at_10_kw(rig(rows=(Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False),)))
    r.offer(0, {"target_w": 10e3})
    r.set(Q.Q_CELL_V_MIN, 2.7)
    assert powers(r, 2) == [0, 0]
    r.set(Q.Q_CELL_V_MIN, 3.2)
    assert powers(r, 3) == [1e3, 2e3, 3e3]


def test_R2_derating_falls_at_once_and_rises_by_the_ramp() -> None:
    row = Row(Q.Q_CELL_TEMP_MAX_C, 45, 44, action=L.Action.ACT_DERATE, curve=((45, 1.0), (55, 0.0)))
    r = rig(rows=(row,), ramp_w_per_s=1e6)
    r.offer(0, {"target_w": 150e3})
    r.tick(30)
    for celsius, expected in ((50, [100e3]), (54, [20e3]), (50, [30e3, 40e3]), (60, [0]), (45, [10e3, 20e3])):
        r.set(Q.Q_CELL_TEMP_MAX_C, celsius)
        assert powers(r, len(expected)) == pytest.approx(expected, abs=0.11)


def test_R2_the_lapse_of_a_lease_drops_the_target_at_once() -> None:
    r = at_10_kw(rig())
    r.offer(0, SLOW, lease_until_ns=r.now_ns + PERIOD_NS)
    assert powers(r, 1) == [0]


def test_R2_a_forced_limit_moves_by_the_plants_ramp_not_by_the_slow_source() -> None:
    """The grid may force charging; a market source's gentle rate must not delay it."""
    r = rig(Slot(), Slot(klass=L.SlotClass.CLASS_GRID, may_force=3), load_w=0, reversal_dead_ns=3 * PERIOD_NS)
    at_10_kw(r)
    r.offer(1, {"pcc_hi_w": -4e3})
    assert powers(r, 8) == [0, 0, 0, -1e3, -2e3, -3e3, -4e3, -4e3]
    r.offer(1, {"pcc_lo_w": 2e3})
    r.offer(0, {"target_w": 0.0, "rate_w_per_s": 10e3})
    assert powers(r, 6) == [0, 0, 0, 1e3, 2e3, 2e3]


@pytest.mark.parametrize("sign", [1, -1])
def test_below_the_least_power_nothing_is_sent(sign: int) -> None:
    r = rig(min_power_w=1.5e3)
    r.offer(0, {"target_w": sign * 4e3})
    assert powers(r, 4) == [0, sign * 2e3, sign * 3e3, sign * 4e3]
    r.offer(0, {"target_w": sign * 1.4e3})
    assert powers(r, 2) == [0, 0]
