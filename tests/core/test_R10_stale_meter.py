"""R10: a meter that falls silent never commands power, a meter of the wrong sign is found by our own steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bessctl_core import layout as L
from tests.core.pcc_cases import site
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, S, Slot, config
from tests.core.site_model import Pcs, Site

BOTH = L.Direction.DIR_BOTH
STALE, SHED = L.Flag.FLAG_METER_STALE, L.Flag.FLAG_SHED
RAMP = 1e6


def rig(block: dict[str, float], load_w: float, **keys: Any) -> Rig:
    """Fresh for 1 s, held until 5 s, then ramped by 10 kW a tick; worst load 100 kW, worst PV 60 kW."""
    site_keys = {"has_meter": 1, "load_max_w": 100e3, "pv_max_w": 60e3, "ramp_w_per_s": RAMP} | keys
    r = Rig(config(slots=(Slot(may_force=BOTH), Slot(priority=9)), **site_keys))
    r.meter(load_w)
    r.run()
    r.offer(0, block, lease_until_ns=r.now_ns + 100 * S)
    r.tick(60)
    return r


def silent(r: Rig, seconds: float) -> None:
    """The meter says nothing more, and so much time passes."""
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(round(seconds * S / PERIOD_NS))


@pytest.mark.parametrize(
    ("block", "load_w", "held_w"),
    [
        ({"pcc_lo_w": -20e3}, 120e3, 100e3),  # forced discharge
        ({"pcc_hi_w": 10e3}, -90e3, -80e3),  # forced charge
        ({"target_w": 0.0, "target_scope": 1}, 70e3, 70e3),
        ({"target_w": 0.0, "target_scope": 1}, -70e3, -70e3),
    ],
)
def test_R10_power_the_meter_asked_for_is_held_then_ramped_away(block: dict[str, float], load_w: float, held_w: float) -> None:
    """Hold at most meter_hold, request shedding, then ramp; not a jump, and not for ever."""
    r = rig(block, load_w)
    assert (r.power_w, r.state["flags"]) == (held_w, 0)
    silent(r, 4.9)
    assert (r.power_w, r.state["flags"]) == (held_w, STALE | SHED)
    r.tick(12)
    falling = []
    for _ in range(12):
        falling.append(abs(r.power_w))
        r.tick()
    assert 0 < falling[0] < abs(held_w)
    assert all(0 <= a - b <= RAMP * PERIOD_NS / S + 1 for a, b in pairwise(falling))
    assert r.power_w == 0
    assert [e["detail"] for e in r.events(L.EventCode.EV_METER)] == [1, 2]


@pytest.mark.parametrize(("before", "after"), [({"pcc_lo_w": -20e3}, {"pcc_lo_w": 60e3}), ({"pcc_lo_w": -90e3}, {"pcc_lo_w": 0.0})])
def test_R10_a_held_meter_lets_a_new_limit_take_power_away_but_never_ask_for_more(
    before: dict[str, float], after: dict[str, float]
) -> None:
    r = rig(before, 120e3)
    power = r.power_w
    silent(r, 2)
    r.offer(0, after, lease_until_ns=r.now_ns + 100 * S)
    r.tick(60)
    assert r.power_w == power
    r.offer(0, {"pcc_lo_w": -110e3}, lease_until_ns=r.now_ns + 100 * S)
    r.tick(60)
    assert r.power_w == 10e3
    r.offer(0, before, lease_until_ns=r.now_ns + 100 * S)
    r.tick(60)
    assert r.power_w == 10e3, "what was given up does not come back on an old sample's word"


def test_R10_charging_beyond_the_worst_case_is_ramped_to_it_and_stays_there() -> None:
    """import limit 150 kW: with 20 kW of load 130 may be charged, at worst 50."""
    r = rig({"target_w": -130e3, "pcc_lo_w": -150e3}, 20e3)
    assert r.power_w == -130e3
    silent(r, 4.95)
    assert r.power_w == -130e3
    seen = []
    for _ in range(30):
        r.tick()
        seen.append(r.power_w)
    assert seen[-1] == -50e3
    assert all(0 <= b - a <= RAMP * PERIOD_NS / S + 1 for a, b in pairwise(seen))
    assert r.side("lo") == (-50e3, L.BindKind.BIND_METER, 0)


def test_R10_the_hold_is_never_longer_than_stated_and_the_age_limit_is_the_least() -> None:
    r = rig({"pcc_lo_w": -20e3}, 120e3, meter_hold_ns=0)
    silent(r, 0.95)
    assert (r.power_w, r.state["flags"]) == (100e3, 0)
    r.tick(20)
    assert r.power_w == 0
    assert [e["detail"] for e in r.events(L.EventCode.EV_METER)] == [2]


def test_R10_samples_that_come_again_are_taken_at_once_and_told() -> None:
    r = rig({"pcc_lo_w": -20e3}, 120e3)
    silent(r, 7)
    assert r.power_w == 0
    r.frozen.clear()
    r.tick(15)
    assert (r.power_w, r.state["flags"]) == (100e3, 0)
    assert [e["detail"] for e in r.events(L.EventCode.EV_METER)] == [1, 2, 0]


# worst load, worst PV -> what 400 A a phase at 230 V (92 kW) leave, with all of it on one phase
LEFT = [
    (0.0, 0.0, -276e3, 276e3),
    (20e3, 80e3, -216e3, 36e3),
    (80e3, 20e3, -36e3, 216e3),
    (100e3, 100e3, 0.0, 0.0),
    (np.nan, np.nan, 0.0, 0.0),
]


@pytest.mark.parametrize("target_w", [100e3, -100e3])
@pytest.mark.parametrize(("load_w", "pv_w", "lo_w", "hi_w"), LEFT)
def test_R10_a_phase_limit_alone_leaves_what_its_worst_case_does(
    load_w: float, pv_w: float, lo_w: float, hi_w: float, target_w: float
) -> None:
    """Ramped to [min(0, load_max - limit), max(0, limit - pv_max)] in watts of that phase, times three."""
    s = site({"target_w": target_w}, meter_s=0.1, lag_s=0.1, dead_s=0.0, load=lambda _: 0.0,
             site_keys={"pcc_phase_max_a": 400.0, "meter_age_ns": S, "load_max_w": load_w, "pv_max_w": pv_w})  # fmt: skip
    s.run(2)
    assert s.rig.power_w == target_w
    s.dead_meter = True
    s.run(4)
    assert s.rig.power_w == target_w, "held"
    s.run(1.5)
    left = min(max(target_w, lo_w), hi_w)
    assert s.rig.power_w == pytest.approx(left, abs=2)
    if left != target_w:
        assert s.rig.side("hi" if target_w > 0 else "lo")[1] == L.BindKind.BIND_METER


# --- wrong sign ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter_s", [0.1, 0.2, 1.0])
@pytest.mark.parametrize("block", [{"target_w": 0.0, "target_scope": 1}, {"pcc_lo_w": -10e3}])
def test_R10_a_meter_of_the_wrong_sign_freezes_the_plant_at_0(meter_s: float, block: dict[str, float]) -> None:
    """Our own steps come back with the other sign: 0 W, an alarm, latched."""
    s = site(block, meter_s=meter_s, lag_s=0.1, dead_s=0.1, load=lambda _: -20e3, sign=-1.0)
    s.run(3 + 12 * meter_s)
    assert (s.rig.power_w, s.rig.state["mode"]) == (0, L.Mode.MODE_TRIPPED)
    assert s.rig.state["internal"] == L.Internal.TRIP_METER_SIGN
    alarms = [e for e in s.rig.events(L.EventCode.EV_INTERNAL) if e["detail"] == L.Internal.TRIP_METER_SIGN]
    assert [e["level"] for e in alarms] == [2]
    s.run(5)
    assert s.rig.power_w == 0, "latched"


@pytest.mark.parametrize(
    ("block", "site_keys"),
    [
        ({"pcc_lo_w": -190e3}, {}),
        ({}, {"pcc_import_max_w": 190e3}),
        ({}, {"pcc_export_max_w": 190e3}),
        ({}, {"pcc_phase_max_a": 400.0}),
    ],
    ids=["a source's limit", "the connection's import", "its export", "its amperes"],
)
def test_R10_a_wrong_sign_is_found_by_steps_of_any_source_while_a_pcc_limit_stands(
    block: dict[str, float], site_keys: dict[str, float]
) -> None:
    s = site(block | {"target_w": 0.0}, meter_s=0.1, lag_s=0.1, dead_s=0.0, load=lambda _: 0.0, sign=-1.0, site_keys=site_keys)
    for target in (60e3, -60e3, 60e3):
        s.rig.offer(0, block | {"target_w": target}, lease_until_ns=s.rig.now_ns + 100 * S)
        s.run(1.5)
    assert s.rig.state["internal"] == L.Internal.TRIP_METER_SIGN


@pytest.mark.parametrize("meter_s", [0.1, 1.0])
@pytest.mark.parametrize("period_s", [0.13, 0.5, 0.9, 1.7])
def test_R10_a_restless_load_is_not_taken_for_a_wrong_sign(meter_s: float, period_s: float) -> None:
    """Motor starts, pulses at and near the rate of the meter: as large as the plant."""
    s = site({"target_w": 0.0, "target_scope": 1}, meter_s=meter_s, lag_s=0.1, dead_s=0.1,
             load=lambda t: 150e3 if (t / period_s) % 1 < 0.4 else 0.0)  # fmt: skip
    s.run(30)
    assert s.rig.state["internal"] == 0


def test_R10_a_chance_movement_against_us_is_forgotten_by_the_next_right_one() -> None:
    """A load that starts just as we do, by twice our step, five times with other steps between them."""
    r = rig({"pcc_lo_w": -190e3, "target_w": 0.0}, 0.0, ramp_w_per_s=1e9)
    for _ in range(5):
        for target, load in ((40e3, 80e3), (0.0, 80e3), (0.0, 0.0)):
            r.offer(0, {"pcc_lo_w": -190e3, "target_w": target}, lease_until_ns=r.now_ns + 100 * S)
            r.tick(1)
            r.load_w = load
            r.tick(20)
    assert r.state["internal"] == 0


def test_R10_a_load_that_grows_faster_and_faster_is_not_taken_for_a_wrong_sign() -> None:
    s = site({"target_w": 0.0, "target_scope": 1}, meter_s=0.1, lag_s=0.1, dead_s=0.0, load=lambda t: min(2e3 * 2 ** (t / 0.5), 190e3))
    s.run(4)
    assert s.rig.state["internal"] == 0


def test_R10_a_meter_nobody_asks_about_trips_nothing() -> None:
    """Without a limit or target at the connection there is no PCC control to freeze."""
    s = site({"target_w": 0.0}, meter_s=0.1, lag_s=0.1, dead_s=0.0, load=lambda _: 0.0, sign=-1.0, pcs=[Pcs(0.1, 0.0)])
    assert isinstance(s, Site)
    for target in (100e3, -100e3, 100e3, -100e3):
        s.rig.offer(0, {"target_w": target}, lease_until_ns=s.rig.now_ns + 100 * S)
        s.run(1)
    assert s.rig.state["internal"] == 0
