"""The point of common coupling, sample by sample: what one measurement of the meter says of the rest of the site, and when it says nothing.

Powers of PCS and meter are told by hand, each with its instant, and what was made of them is read from the answer: with a target of 0 W at
the connection the plant is told what the rest of the site takes, and the trim.
"""

from __future__ import annotations

from math import nan, sqrt
from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, S, Slot, config

BOTH = L.Direction.DIR_BOTH
B = L.BindKind
MS = S // 1000
RATED_W = 200e3
OLD_NS = 60 * S


class Connection:
    """A plant whose measured powers are told by hand; it ramps at once."""

    def __init__(self, units: int = 1, *, ready: bool = True, trims: bool = True, **site: Any) -> None:
        """`trims`: False takes a unit more, without a battery, beside which nothing is learned."""
        units += not trims
        keys = {"has_meter": 1, "ramp_w_per_s": 1e12, "reversal_dead_ns": 0, "meter_age_ns": OLD_NS, "meter_hold_ns": OLD_NS} | site
        array = config(units, slots=(Slot(may_force=BOTH),), **keys)
        array[0]["unit_data_age_ns"][:units] = array[0]["unit_reversion_ns"][:units] = OLD_NS
        self.r = Rig(array, follow=False)
        self.r.h.set_meter(L.DeviceState.DEV_UP)
        for unit in range(units):
            self.r.freeze(Q.Q_AC_W, place=unit)
        if not trims:
            self.r.h.set_devices(units - 1, L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, 1.0)
        self.r.run()
        if not trims:
            self.r.h.set_devices(units - 1, L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, 1.0)
        self.begin_ns = self.r.now_ns
        if ready:
            self.ess(0.0)
            self.meter(0.0)
            self.r.tick()
            self.target(0.0)

    def target(self, w: float) -> float:
        """At the connection, from the next tick on; what is commanded in it."""
        self.r.offer(0, {"target_w": w, "target_scope": 1}, lease_until_ns=self.r.now_ns + 1000 * S)
        return self.told()

    def told(self, seconds: float = 0.0) -> float:
        """What is commanded so much later, in the next tick for 0."""
        self.r.tick(max(1, round(seconds * S / PERIOD_NS)))
        return self.r.power_w

    def at(self, ago_ms: float) -> int:
        """An instant so long before the next tick."""
        return self.r.now_ns + PERIOD_NS - round(ago_ms * MS)

    def ess(self, *powers: float, ago_ms: float = 0.0) -> None:
        """The PCS were asked then, and measured this; 0 where nothing is said."""
        for unit, w in enumerate((*powers, *(0.0,) * (self.r.units - len(powers)))):
            self.r.h.set(unit, Q.Q_AC_W, w, self.at(ago_ms))

    def meter(self, w: float, *phases: tuple[float, float], ago_ms: float = 0.0) -> None:
        """The meter was asked then: W, and of each phase W and A."""
        self.r.h.set(PLANT, Q.Q_PCC_W, w, self.at(ago_ms))
        for phase, (phase_w, amps) in enumerate(phases):
            for quantity, value in ((Q.Q_PCC_L1_W, phase_w), (Q.Q_PCC_L1_A, amps), (Q.Q_PCC_L1_V, 230.0)):
                self.r.h.set(PLANT, quantity + phase, value, self.at(ago_ms))

    def bound(self, side: str) -> Any:
        """One side of the plant's envelope: W, BindKind, its id."""
        return self.r.side(side)

    def moved(self, ess_w: float, pcc_w: float) -> None:
        """Both were asked at the same instant."""
        self.ess(ess_w)
        self.meter(pcc_w)
        self.r.tick()


# --- what the BESS gave -------------------------------------------------------------------------------------------------------------------

STORY = [(0, 10e3), (30, 40e3), (60, 20e3), (90, 80e3)]
"""ms -> measured W"""
INTERVALS = [
    # story, the meter was asked at ms, and may be late by ms -> least and greatest of what the BESS gave meanwhile
    (STORY, 60, 0, (20e3, 20e3)),
    (STORY, 50, 0, (20e3, 40e3)),
    (STORY, 50, 19, (20e3, 40e3)),
    (STORY, 50, 20, (20e3, 40e3)),
    (STORY, 50, 30, (10e3, 40e3)),
    (STORY, 90, 90, (10e3, 80e3)),
    (STORY, 30, 1000, (10e3, 40e3)),
    # less than 20 ms apart: the newest stands for both
    ([(0, 10e3), (5, 90e3), (10, 10e3)], 10, 10, (10e3, 10e3)),
    ([(0, 10e3), (30, 10e3), (35, 90e3), (40, 10e3)], 40, 40, (10e3, 10e3)),
    ([(0, 10e3), (30, 10e3), (35, 90e3), (50, 10e3)], 50, 50, (10e3, 90e3)),
    ([(0, 10e3), (30, 10e3), (35, 90e3), (49, 10e3)], 49, 49, (10e3, 10e3)),
    # at least a second is remembered, and what is older than the last 64 is forgotten
    ([(25 * i, 90e3 if i == 39 else 20e3) for i in range(80)], 79 * 25, 40 * 25, (20e3, 90e3)),
    ([(25 * i, 90e3 if i < 16 else 20e3) for i in range(80)], 79 * 25, 5000, (20e3, 20e3)),
]


@pytest.mark.parametrize(("story", "asked_ms", "delay_ms", "between"), INTERVALS)
def test_what_the_bess_gave_is_the_range_of_its_measurements_around_the_sample(
    story: list[tuple[int, float]], asked_ms: int, delay_ms: int, between: tuple[float, float]
) -> None:
    """The first sample takes the middle of it: that much is the BESS's, the rest is the site's."""
    c = Connection(ready=False, meter_delay_ns=delay_ms * MS)
    for (ms, w), before in zip(story, [-10, *(ms for ms, _ in story)], strict=False):
        c.r.h.set(0, Q.Q_AC_W, w, c.begin_ns + ms * MS)
        c.r.tick(1, (ms - before) * MS)
    c.r.h.set(PLANT, Q.Q_PCC_W, -5e3, c.begin_ns + asked_ms * MS)
    assert c.target(0.0) == sum(between) / 2 + 5e3


@pytest.mark.parametrize(
    ("sample_w", "rest_w"), [(-50e3, -60e3), (-20e3, -40e3), (-35e3, -50e3), (0.0, -20e3), (20e3, 0.0), (-90e3, -100e3)]
)
def test_the_rest_moves_only_as_far_as_a_sample_proves_it_wrong(sample_w: float, rest_w: float) -> None:
    """The BESS gave between 10 and 20 kW meanwhile; the rest was -50 kW."""
    c = Connection(meter_delay_ns=20 * MS)
    c.ess(10e3)
    c.r.tick(4)
    c.moved(10e3, -40e3)
    assert c.r.power_w == 50e3
    c.r.tick(1)
    c.ess(20e3)
    c.meter(sample_w)
    assert c.told() == -rest_w


def test_a_sample_waits_for_a_measurement_behind_it_or_for_a_command_that_has_stood_still_for_a_second() -> None:
    c = Connection(trims=False)
    assert c.target(100e3) == 100e3
    c.meter(-20e3)
    assert c.told(0.99) == 100e3
    assert c.told() == 120e3, "what was measured last is what it gives"
    c.meter(-30e3)
    c.ess(0.0, ago_ms=1)
    assert c.told() == 120e3
    c.ess(0.0)
    assert c.told() == 130e3


@pytest.mark.parametrize(
    ("by_w", "waits"), [(0.0, False), (999.0, False), (-999.0, False), (1001.0, True), (-1001.0, True), (1900.0, True)]
)
def test_a_command_that_moves_by_half_a_percent_of_the_rating_stands_still(by_w: float, waits: bool) -> None:
    c = Connection()
    c.target(100e3)
    c.told(1.0)
    c.target(100e3 + by_w)
    c.meter(-20e3)
    assert c.told() == 100e3 + by_w + (0.0 if waits else 20e3 + 2.5e3), "what the rest takes, and the first of the trim"


@pytest.mark.parametrize(("sample_w", "rest_w"), [(40e3, -10e3), (70e3, 0.0), (99e3, 0.0), (120e3, 20e3)])
@pytest.mark.parametrize("sign", [1, -1])
def test_R9_a_silent_unit_gave_something_between_nothing_and_all_it_was_told(sample_w: float, rest_w: float, sign: int) -> None:
    """50 kW are the other's, and known; nothing is proved wrong between that and 100 kW."""
    c = Connection(2)
    c.target(sign * 100e3)
    c.ess(sign * 50e3, sign * 50e3)
    c.meter(sign * 100e3)
    c.told()
    c.r.h.set_devices(1, L.DeviceState.DEV_DOWN, L.DeviceState.DEV_UP, 1.0)
    c.ess(sign * 50e3)
    c.meter(sign * sample_w)
    assert c.told() == pytest.approx(sign * (50e3 - rest_w))


def test_while_a_sample_waits_others_are_let_go() -> None:
    c = Connection()
    c.target(100e3)
    c.meter(-20e3)
    c.told()
    c.meter(-70e3)
    c.told()
    c.ess(0.0)
    assert c.told() == 120e3
    assert c.told(0.5) == 120e3


# --- repetitions --------------------------------------------------------------------------------------------------------------------------


def test_a_value_that_repeats_itself_counts_as_new_after_a_second() -> None:
    """A meter asked more often than it measures: a repetition says nothing of a step of our own meanwhile."""
    c = Connection(trims=False)
    c.moved(0.0, -20e3)
    seen = []
    for _ in range(40):
        c.told(0.09)
        c.moved(10e3, -20e3)
        seen.append(c.r.power_w)
    assert seen == [20e3] * 19 + [30e3] * 21, "by the first of them it may have been measured before our step, by the second it was not"


def test_a_value_after_repetitions_was_measured_at_some_instant_since_the_last_of_them() -> None:
    c = Connection()
    c.moved(0.0, -20e3)
    c.told(0.1)
    c.moved(0.0, -20e3)
    c.told(0.1)
    c.ess(10e3)
    c.told(0.1)
    c.ess(10e3)
    c.meter(-15e3)
    assert c.told() == 20e3, "-15 kW with anything from 0 to 10 kW of our own: -20 kW of rest is not proved wrong"
    c.told(0.1)
    c.moved(10e3, -14e3)
    assert c.r.power_w == 24e3


def test_a_repetition_renews_the_age() -> None:
    c = Connection(trims=False, meter_age_ns=S, meter_hold_ns=0)
    c.moved(0.0, -20e3)
    for _ in range(3):
        c.told(0.8)
        c.ess(0.0)
        c.meter(-20e3)
        assert (c.told(), c.r.state["flags"]) == (20e3, 0)
    c.told(1.02)
    assert c.r.state["flags"] & L.Flag.FLAG_METER_STALE


# --- trim ---------------------------------------------------------------------------------------------------------------------------------


def trimmed(*given: float, target_w: float = 100e3, **site: Any) -> Connection:
    """A command of `target_w` that stands still, and samples of what the PCS gives of it."""
    c = Connection(**site)
    c.target(target_w)
    for w in given:
        c.told(1.0)
        c.moved(w, w)
    return c


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ((96e3,), 101e3),  # a quarter of what is missing
        ((96e3, 97e3), 101.75e3),
        ((104e3,), 99e3),
        ((50e3,), 102.5e3),  # of at most 5 % of the rating
        ((180e3,), 97.5e3),
        ((50e3, 51e3, 50.5e3), 105.781e3),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_what_a_pcs_gives_short_of_its_command_is_asked_for_on_top(given: tuple[float, ...], command: float, sign: int) -> None:
    assert trimmed(*(sign * w for w in given), target_w=sign * 100e3).r.power_w == pytest.approx(sign * command)


def test_nothing_is_learned_while_the_command_moves() -> None:
    c = Connection()
    c.target(100e3)
    c.told(0.9)
    c.moved(96e3, 96e3)
    assert c.r.power_w == 100e3


@pytest.mark.parametrize(
    ("through_w", "there_w", "then_w"), [(50e3, 52.5e3, 102.5e3), (-50e3, -50e3, 100e3), (-2.5e3, -2.5e3, 100e3)], ids=["no", "yes", "at 0"]
)
def test_the_trim_is_forgotten_when_the_direction_turns(through_w: float, there_w: float, then_w: float) -> None:
    c = trimmed(50e3)
    assert c.r.power_w == 102.5e3
    c.target(through_w)
    assert c.told() == there_w
    c.target(100e3)
    assert c.told() == then_w


def test_the_trim_is_forgotten_while_a_unit_does_not_follow() -> None:
    c = Connection(2)
    c.target(100e3)
    c.told(1.0)
    c.ess(25e3, 25e3)
    c.meter(50e3)
    assert c.told() == pytest.approx(105e3)
    c.told(1.0)
    c.r.h.set_devices(1, L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN, 1.0)
    c.ess(51e3, 0.0)
    c.meter(51e3)
    c.told()
    assert c.told() == pytest.approx(100e3)


# --- a meter that is silent ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_R10_a_target_on_an_old_sample_takes_power_away_and_never_asks_for_more(sign: int) -> None:
    """Held; and when the meter is lost what is left is ramped away, whatever the target."""
    c = Connection(meter_age_ns=S, meter_hold_ns=5 * S, ramp_w_per_s=1e7)
    c.target(sign * 50e3)
    assert c.told() == sign * 50e3
    c.told(1.2)
    for target_w, given_w in ((80e3, 50e3), (20e3, 20e3), (50e3, 20e3), (15e3, 15e3)):
        c.target(sign * target_w)
        assert c.told(0.1) == sign * given_w
    c.target(-sign * 10e3)
    assert c.told(0.1) == 0
    c = Connection(meter_age_ns=S, meter_hold_ns=5 * S, ramp_w_per_s=1e6)
    c.target(sign * 50e3)
    c.told(4.8)
    lost = [abs(c.told()) for _ in range(40)]
    assert (lost[0], lost[-1]) == (50e3, 0)
    assert {40e3, 30e3, 20e3, 10e3} <= set(lost), "by the plant's own ramp"


def test_R10_a_limit_that_may_not_force_keeps_no_power_while_the_meter_is_held() -> None:
    r = Rig(config(slots=(Slot(), Slot(priority=9)), has_meter=1, meter_age_ns=S, meter_hold_ns=5 * S))
    r.meter(80e3)
    r.run()
    r.offer(0, {"pcc_lo_w": -20e3}, lease_until_ns=r.now_ns + 100 * S)
    r.offer(1, {"target_w": 50e3}, lease_until_ns=r.now_ns + 100 * S)
    r.tick(30)
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(150)
    assert r.power_w == 50e3
    r.offer(1, {"target_w": 0.0}, lease_until_ns=r.now_ns + 100 * S, serial=2)
    r.tick(30)
    assert r.power_w == 0


def test_R10_what_was_forced_is_gone_with_the_meter_and_the_worst_case_counts_alone() -> None:
    """-50 kW at a load of 120: 70 were forced. At worst the site says 20 kW: then 30 may be charged."""
    r = Rig(config(slots=(Slot(may_force=BOTH),), has_meter=1, meter_age_ns=S, meter_hold_ns=S, load_max_w=20e3, pv_max_w=0.0))
    r.meter(120e3)
    r.run()
    r.offer(0, {"pcc_lo_w": -50e3}, lease_until_ns=r.now_ns + 100 * S)
    r.tick(30)
    assert r.power_w == 70e3
    r.freeze(Q.Q_PCC_W, place=PLANT)
    r.tick(200)
    assert (r.power_w, r.state["lo_w"]) == (0, -30e3)


# --- phases -------------------------------------------------------------------------------------------------------------------------------

PHASE_VA = 92e3
"""400 A at 230 V"""
PHASES = [
    # W, A of each phase, with nothing from the BESS -> what binds charging and discharging: three times what is left on the worst phase
    (((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)), (0, -276e3), (0, 276e3)),
    (((-23e3, 100.0), (0.0, 0.0), (0.0, 0.0)), (0, -207e3), (1, 276e3)),
    (((0.0, 0.0), (-46e3, 200.0), (23e3, 100.0)), (1, -138e3), (2, 207e3)),
    (((0.0, 0.0), (69e3, 300.0), (-69e3, 300.0)), (2, -69e3), (1, 69e3)),
    # 46 kVA of which 27.6 kW: 36.8 kvar stay, and leave 84.3 kW
    (
        ((-27.6e3, 200.0), (0.0, 0.0), (0.0, 0.0)),
        (0, -3 * (sqrt(92**2 - 36.8**2) - 27.6) * 1e3),
        (0, 3 * (sqrt(92**2 - 36.8**2) + 27.6) * 1e3),
    ),
    # W beyond V x A, by rounding: no reactive power
    (((-23.01e3, 100.0), (0.0, 0.0), (0.0, 0.0)), (0, -206.97e3), (1, 276e3)),
    # beyond its amperes already: nothing the way that would add to it
    (((-115e3, 500.0), (0.0, 0.0), (0.0, 0.0)), (0, 0.0), (1, 276e3)),
    (((0.0, 0.0), (0.0, 0.0), (115e3, 500.0)), (0, -276e3), (2, 0.0)),
    # reactive power alone fills it
    (((0.0, 0.0), (0.0, 500.0), (0.0, 0.0)), (1, 0.0), (1, 0.0)),
]


def by_phases(phases: tuple[tuple[float, float], ...], **site: Any) -> Connection:
    c = Connection(ready=False, pcc_phase_max_a=400.0, **site)
    c.ess(0.0)
    c.meter(sum(w for w, _ in phases), *phases)
    c.r.tick()
    return c


@pytest.mark.parametrize(("phases", "lo", "hi"), PHASES)
def test_the_worst_phase_binds_and_is_named(phases: tuple[tuple[float, float], ...], lo: tuple[int, float], hi: tuple[int, float]) -> None:
    c = by_phases(phases)
    for side, (phase, w), rating in (("lo", lo, -RATED_W), ("hi", hi, RATED_W)):
        if abs(w) < RATED_W:
            assert c.bound(side) == (pytest.approx(w), B.BIND_PHASE, phase)
        else:
            assert c.bound(side)[:2] == (rating, B.BIND_RATING)


@pytest.mark.parametrize(
    "missing", [Q.Q_PCC_L1_W, Q.Q_PCC_L2_W, Q.Q_PCC_L3_W, Q.Q_PCC_L1_A, Q.Q_PCC_L2_A, Q.Q_PCC_L3_A, Q.Q_PCC_L3_V, Q.Q_PCC_W, None]
)
def test_a_sample_of_which_a_phase_is_missing_is_none(missing: int | None) -> None:
    """It renews nothing: the meter grows old."""
    c = by_phases(((0.0, 0.0),) * 3, meter_age_ns=S)
    for _ in range(2):
        c.told(0.6)
        c.ess(0.0)
        c.meter(30e3, *((10e3, 50.0),) * 3)
        if missing is not None:
            c.r.h.set(PLANT, missing, nan, c.at(0))
    assert c.target(0.0) == (0 if missing is not None else -30e3)
    assert bool(c.r.state["flags"] & L.Flag.FLAG_METER_STALE) == (missing is not None)


def test_a_third_of_our_power_flows_in_each_phase() -> None:
    """30 kW of our own, and nothing else on the line: each phase shows 10 kW of it, and has all of its room."""
    c = Connection(ready=False, pcc_phase_max_a=40.0)
    c.ess(15e3)
    c.meter(15e3, *((5e3, 5e3 / 230),) * 3)
    c.r.tick()
    assert c.bound("hi") == (pytest.approx(3 * 9.2e3), B.BIND_PHASE, 0)
    assert c.bound("lo") == (pytest.approx(-3 * 9.2e3), B.BIND_PHASE, 0)


def test_what_a_pcs_gives_short_of_its_command_moves_the_limits_of_a_phase_as_well() -> None:
    c = Connection(ready=False, pcc_phase_max_a=40.0)
    c.moved(0.0, 0.0)
    c.ess(0.0)
    c.meter(0.0, *((0.0, 0.0),) * 3)
    c.target(20e3)
    c.told(1.0)
    c.ess(10e3)
    c.meter(10e3, *((10e3 / 3, 10e3 / 690),) * 3)
    assert c.told() == pytest.approx(22.5e3, abs=1)
    assert c.bound("hi") == (pytest.approx(3 * 9.2e3 + 2.5e3), B.BIND_PHASE, 0)
    assert c.bound("lo") == (pytest.approx(-3 * 9.2e3 + 2.5e3), B.BIND_PHASE, 0)


def test_without_a_meter_at_all_its_phases_bind_by_the_worst_of_the_site() -> None:
    c = by_phases(((0.0, 0.0),) * 3, meter_age_ns=S, meter_hold_ns=S, load_max_w=80e3, pv_max_w=80e3)
    c.told(1.1)
    assert c.bound("hi") == (pytest.approx(36e3), B.BIND_METER, PLANT)
    assert c.bound("lo") == (pytest.approx(-36e3), B.BIND_METER, PLANT)


# --- sign ---------------------------------------------------------------------------------------------------------------------------------

TRIPS = [
    # our own steps in % of the rating, each with the meter's answer as a share of it -> is the meter taken for one of the wrong sign?
    ([(9, -1)] * 3, True),
    ([(9, -1)] * 2, False),
    ([(20, -1)] * 2, False),  # three of them
    ([(8, -1)] * 3, False),  # a quarter of the rating in sum
    ([(8, -1)] * 4, True),
    ([(2.1, -1)] * 12, True),
    ([(1.9, -1)] * 20, False),  # less than 2 % tell nothing
    ([(9, -1.39)] * 3, True),
    ([(9, -0.61)] * 3, True),
    ([(9, -1.45)] * 6, False),  # of another size: the load's
    ([(9, -0.55)] * 6, False),
    ([(9, -0.2)] * 6, False),
    ([(9, 1)] * 6, False),
    ([(9, -1), (9, -1), (9, 1), (9, -1)], False),  # cancelled by one with ours
    ([(9, -1), (9, -1), (9, 1), (9, -1), (9, -1)], True),
    ([(9, -1), (9, -1), (9, 0.5), (9, -1), (1.9, 1)], False),
    ([(9, -1), (9, -1), (9, 0.2), (9, -1)], True),
    ([(9, -1), (9, -1), (9, 3), (9, -1), (9, -1)], True),  # by no more than its own size
    ([(9, -1), (20, 1), (9, -1), (9, -1), (9, -1)], True),  # below 0 nothing is saved up
    ([(20, -1), (20, 1), (20, -1), (20, -1)], False),  # and the count begins anew
    ([(20, -1), (20, 1), (20, -1), (20, -1), (20, -1)], True),
]


@pytest.mark.parametrize(("steps", "trips"), TRIPS)
@pytest.mark.parametrize("sign", [1, -1])
def test_R10_three_steps_of_a_quarter_of_the_rating_answered_the_wrong_way_are_a_wrong_sign(
    steps: list[tuple[float, float]], trips: bool, sign: int
) -> None:
    """Up and down in turn, from either side."""
    c = Connection()
    ess_w = pcc_w = 0.0
    for number, (pct, answer) in enumerate(steps):
        by_w = sign * (-1) ** number * pct / 100 * RATED_W
        ess_w, pcc_w = ess_w + by_w, pcc_w + by_w * answer
        c.told(0.1)
        c.moved(ess_w, pcc_w)
    assert c.r.state["internal"] == (L.Internal.TRIP_METER_SIGN if trips else 0)


def test_R10_a_sign_that_is_wrong_again_before_its_reset_is_on_disk_calls_the_reset_off() -> None:
    """No row is named for it: the machine tripped by itself."""
    c = Connection()

    def wrong() -> None:
        for ess_w in (40e3, 0.0, 40e3, 0.0):
            c.told(0.1)
            c.moved(ess_w, -ess_w)

    wrong()
    assert c.r.state["internal"] == L.Internal.TRIP_METER_SIGN
    c.r.local(L.CommandCode.CMD_RESET, 8)
    c.r.tick()
    wrong()
    c.r.disk()
    c.r.tick(3)
    assert c.r.state["internal"] == L.Internal.TRIP_METER_SIGN
    refused = [
        (e["code"], e["place"], e["row"], e["slot"], e["detail"])
        for e in c.r.seen
        if e["code"] in (L.EventCode.EV_RESET_REFUSED, L.EventCode.EV_COMMAND_REFUSED)
    ]
    assert refused == [(L.EventCode.EV_RESET_REFUSED, -1, -1, -1, -1), (L.EventCode.EV_COMMAND_REFUSED, -1, -1, -1, 8)]


@pytest.mark.parametrize(("share", "trips"), [(0.38, True), (0.42, False)])
def test_R10_a_sample_in_the_middle_of_our_own_movement_tells_no_sign(share: float, trips: bool) -> None:
    """While it was measured some of a step was still to come, this share of it: from half of what had moved on it tells nothing. The next
    one tells of all of it."""
    c = Connection(meter_delay_ns=20 * MS)
    for ess_w, pcc_w in ((40e3, -40e3), (0.0, 0.0)):
        c.told(0.1)
        c.ess(ess_w)
        c.r.tick(2)
        c.moved(ess_w, pcc_w)
    c.told(0.1)
    c.ess(20e3 * (1 - share))
    c.r.tick(2)
    c.moved(20e3, -20e3 * (1 - share / 2))
    assert bool(c.r.state["internal"]) == trips
    c.told(0.1)
    c.moved(20e3, -20e3)
    assert c.r.state["internal"] == L.Internal.TRIP_METER_SIGN
