"""R2: power turns around and begins again with a margin: nothing chatters around 0, and nothing ping-pongs at the lowest SoC. Reversals are
counted over stories that would make a plain limit chatter."""

from __future__ import annotations

import itertools
import math
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.rig import Q, Rig, Row, S, Slot, config

B = L.BindKind
MARGIN_W = 4e3


def rig(**site: Any) -> Rig:
    keys = {"reversal_min_w": MARGIN_W, "reversal_dead_ns": S // 10, "has_meter": 1} | site
    r = Rig(config(1, slots=(Slot(may_force=L.Direction.DIR_BOTH), Slot(priority=9)), **keys))
    r.meter(0.0)
    return r.run()


def turns(powers: list[float]) -> int:
    """How often power went from one direction to the other."""
    moving = [math.copysign(1, w) for w in powers if w]
    return sum(a != b for a, b in itertools.pairwise(moving))


def begins(powers: list[float]) -> int:
    """How often power began."""
    return sum(a == 0 and b != 0 for a, b in itertools.pairwise(powers))


def told(r: Rig, target_w: float, ticks: int = 1) -> list[float]:
    r.offer(0, {"target_w": target_w}, lease_until_ns=r.now_ns + 600 * S)
    powers = []
    for _ in range(max(1, ticks // 5)):
        r.tick(min(5, ticks))
        powers.append(r.power_w)
    return powers


def noise(seed: int, amplitude_w: float, seconds: int, r: Rig) -> list[float]:
    random = Random(seed)
    powers = []
    for _ in range(seconds * 5):
        powers += told(r, random.uniform(-amplitude_w, amplitude_w), 20)
    return powers


@pytest.mark.parametrize("sign", [1, -1])
def test_R2_a_limit_that_forces_power_turns_it_at_once_however_little_it_asks_for(sign: int) -> None:
    """Half of the margin, and a forced import or export limit: it does not wait for a rest of ten seconds."""
    r = rig()
    r.offer(1, {"target_w": -sign * 50e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(30)
    assert r.power_w == -sign * 50e3
    r.offer(0, {"pcc_lo_w" if sign > 0 else "pcc_hi_w": sign * MARGIN_W / 2}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(60)
    assert r.power_w == pytest.approx(sign * MARGIN_W / 2, abs=1)


def test_R2_a_wish_that_flickers_around_0_turns_nothing_around() -> None:
    """Twenty seconds of a control loop that cannot make up its mind; without the margin it turns the battery around again and again."""
    powers = noise(1, 0.99 * MARGIN_W, 20, rig())
    assert turns(powers) <= 2, "once in ten seconds at most"
    assert turns(noise(1, 0.99 * MARGIN_W, 20, rig(reversal_min_w=0.0))) > 20


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), amplitude=st.sampled_from((0.3, 0.9, 0.99)))
def test_R2_reversals_are_counted_out(seed: int, amplitude: float) -> None:
    """Below the margin a reversal needs ten seconds of rest: never more of them than that."""
    assert turns(noise(seed, amplitude * MARGIN_W, 6, rig())) <= 1


def test_R2_a_real_wish_turns_at_once_and_a_small_one_after_a_rest() -> None:
    r = rig()
    told(r, 50e3, 20)
    assert told(r, -MARGIN_W, 30)[-1] == -MARGIN_W
    told(r, 50e3, 30)
    assert told(r, -1e3, 500)[-1] == 0
    assert told(r, -1e3, 600)[-1] == -1e3


def test_R2_a_small_wish_in_the_same_direction_is_given_as_ever() -> None:
    r = rig()
    told(r, 50e3, 20)
    assert told(r, 1e3, 5)[-1] == 1e3
    told(r, 0.0, 5)
    assert told(r, 500.0, 5)[-1] == 500.0


def test_R2_a_limit_that_forces_power_waits_for_no_margin() -> None:
    """The connection's limit is kept by the watt: the margin is for wishes."""
    r = rig()
    told(r, 50e3, 20)
    r.offer(0, {"pcc_hi_w": -1e3}, lease_until_ns=r.now_ns + 600 * S)
    r.tick(100)
    assert r.power_w == pytest.approx(-1e3, abs=2)


@pytest.mark.parametrize("seed", range(4))
def test_R2_power_at_its_least_begins_with_a_margin(seed: int) -> None:
    """min_power_w is 2 kW: a wish around it begins once in ten seconds, and is never given below it."""
    r, random, powers = rig(min_power_w=2e3), Random(seed), []
    told(r, 2e3, 10)
    for _ in range(100):
        powers += told(r, random.uniform(1.7e3, 2.3e3), 20)
    assert begins(powers) <= 2
    assert min(w for w in powers if w) >= 2e3


# --- the lowest SoC ---


def at_the_bottom(seconds: int, **site: Any) -> tuple[list[float], Rig]:
    """A battery that allows nothing under load at its lowest SoC, and a little a moment after it was relieved, as real ones do."""
    r = rig(**site)
    r.offer(0, {"target_w": 100e3}, lease_until_ns=r.now_ns + 600 * S)
    soc, relaxed_s, powers = 5.2, 0.0, []
    for _ in range(seconds * 10):
        relaxed_s = relaxed_s + 0.1 if r.power_w == 0 else 0.0
        soc -= r.power_w / 100e3 * 0.02
        allowed_a = max(0.0, (soc - 5.0) * 50) + (8.0 if relaxed_s > 0.3 else 0.0)
        r.set(Q.Q_BMS_DIS_MAX_A, allowed_a if allowed_a > 3 else 0.0)
        r.set(Q.Q_SOC_PCT, soc)
        r.tick(10)
        powers.append(r.power_w)
    return powers, r


def test_R2_nothing_ping_pongs_at_the_lowest_soc() -> None:
    """5 % of the rating are 16 A here; the battery's 8 A after each relief are no reason to begin again."""
    powers, r = at_the_bottom(40, reentry_share=0.05, reentry_ns=2 * S)
    assert begins(powers) <= 1
    assert r.side("hi") == (0, B.BIND_BMS, 0), "and who keeps it closed is named"
    plain, _ = at_the_bottom(40)
    assert begins(plain) > 10


def test_R2_a_closed_direction_opens_with_its_share_and_its_time() -> None:
    r = rig(reentry_share=0.05, reentry_ns=2 * S)
    told(r, 100e3, 10)
    for amps, ticks, expected in ((0.0, 5, 0.0), (400.0, 150, 0.0), (10.0, 300, 0.0), (20.0, 3, 12e3), (5.0, 3, 3e3), (0.0, 2, 0.0)):
        r.set(Q.Q_BMS_DIS_MAX_A, amps)
        r.tick(ticks)
        assert r.power_w == expected, amps
    assert r.state["lo_w"] == -200e3, "the other direction has its own gate"


@pytest.mark.parametrize(
    ("margin", "after"),
    [
        ({}, (6e3, 12e3, 12e3)),
        ({"reentry_share": 0.05}, (0.0, 12e3, 12e3)),
        ({"reentry_ns": 2 * S}, (0.0, 0.0, 12e3)),
        ({"reentry_share": 0.1, "reentry_ns": 2 * S}, (0.0, 0.0, 0.0)),
    ],
)
def test_R2_a_site_may_state_either_margin_or_both(margin: dict[str, Any], after: tuple[float, ...]) -> None:
    """3 % of the rating at once, 6 % half a second later, and still that after two seconds."""
    r = rig(**margin)
    told(r, 100e3, 10)
    r.set(Q.Q_BMS_DIS_MAX_A, 0.0)
    r.tick(5)
    seen = []
    for amps, ticks in ((10.0, 50), (20.0, 50), (20.0, 100)):
        r.set(Q.Q_BMS_DIS_MAX_A, amps)
        r.tick(ticks)
        seen.append(r.power_w)
    assert tuple(seen) == after


def test_R2_what_a_row_blocked_opens_with_the_margin_and_is_named_until_then() -> None:
    blocks = Row(Q.Q_CELL_V_MIN, 2.9, 3.0, above=False, action=L.Action.ACT_BLOCK, direction=L.Direction.DIR_DISCHARGE)
    r = Rig(config(1, rows=(blocks,), reentry_ns=2 * S)).run()
    told(r, 100e3, 10)
    r.set(Q.Q_CELL_V_MIN, 2.8)
    r.tick(5)
    r.set(Q.Q_CELL_V_MIN, 3.2)
    r.tick(100)
    assert (r.power_w, r.side("hi")) == (0, (0, B.BIND_ROW, 0))
    r.tick(150)
    assert r.power_w == 100e3


def test_R2_a_rating_that_comes_back_is_taken_at_once() -> None:
    """What the PCS itself says of its rating moves with its temperature, not with the battery."""
    r = rig(reentry_share=0.05, reentry_ns=60 * S)
    told(r, 100e3, 10)
    for watts in (0.0, 2e3):
        r.set(Q.Q_W_MAX_DIS, watts)
        r.tick(3)
        assert r.power_w == watts


def test_R2_a_stop_by_a_row_has_its_own_way_back() -> None:
    """A trip's drop-off and reset are its margins; the gate adds none."""
    c = config(1, rows=(Row(Q.Q_CELL_V_MAX, 3.6, 3.5),), reentry_share=0.05, reentry_ns=60 * S)
    r = Rig(c).run()
    told(r, 100e3, 10)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    assert r.tick(3)["command_w"] == 0
    r.set(Q.Q_CELL_V_MAX, 3.3)
    assert r.tick(20)["command_w"] == 100e3
