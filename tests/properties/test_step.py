"""Any sequence of plans, measurements, faults, requests, disks, restarts, corrected clocks and late ticks: what must hold at every tick.

The story (plant.py) differs each time; the invariants are those of the design, and mode, latches, lapses and intervals are held against an
independent model (model.py), which imports nothing of the core and is not told what the step came to.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessctl_core import layout as L
from tests.core.rig import START_NS, Rig, S, Slot, config
from tests.properties.long_stories import KINDS, told
from tests.properties.plant import Plant
from tests.properties.plant_drawn import MEASUREMENTS, PLANS, SIGNED, WATTS, as_plan, garbage
from tests.properties.plant_tables import PLACED, RAMP, ROWS, SLOTS, UNITS, VALUES

# A failure is shrunk before it is told, and that takes longer than any test that passes.
pytestmark = pytest.mark.timeout(600)

NAN, INF = math.nan, math.inf

TestPlant = Plant.TestCase
TestPlant.settings = settings(
    max_examples=5, stateful_step_count=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# --- long stories -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_every_invariant_holds_through_a_story_of_500_ticks(seed: int) -> None:
    """CARD-1, OCPP-9: hypothesis finds short stories and shrinks them; in these every kind of event happens and the plant really runs."""
    plant = told(seed, 60, 500)
    assert plant.ticks >= 500
    assert [kind for kind in KINDS if not plant.happened[kind]] == []
    assert plant.powered > 15, "a story in which nothing runs proves nothing"
    assert plant.exact > 150, "one in which the model knows only part of the interval, little"


# --- two plants side by side --------------------------------------------------------------------------------------------------------------

UNFORCED = tuple(Slot(klass=slot.klass, priority=slot.priority, default=slot.default, advisory=slot.advisory) for slot in SLOTS)


def twin() -> Rig:
    r = Rig(config(UNITS, rows=ROWS, slots=UNFORCED, ramp_w_per_s=RAMP, has_meter=1, load_max_w=50e3, pv_max_w=50e3))
    r.meter(20e3)
    for place, quantity in PLACED:
        r.set(quantity, float(VALUES[quantity][0]), place=place)
    return r.run()


LIMIT = st.fixed_dictionaries(
    {}, optional={"ess_hi_w": WATTS, "ess_lo_w": WATTS.map(lambda w: -w), "pcc_hi_w": SIGNED, "pcc_lo_w": SIGNED, "energize": st.just(0)}
)
EVENTS = st.lists(st.one_of(MEASUREMENTS, st.tuples(st.just("plan"), st.integers(0, 1), PLANS)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(limit=LIMIT, slot=st.integers(2, 3), lease_s=st.sampled_from((0.1, 100.0)), lapse=st.integers(0, 2), events=EVENTS)
def test_an_extra_limit_never_widens_anything(limit: dict[str, float], slot: int, lease_s: float, lapse: int, events: list[Any]) -> None:
    """OCPP-9: the same story with and without one more source that states limits; with it the interval is a part of the one without."""
    without, with_it = twin(), twin()
    with_it.offer(slot, limit, lease_until_ns=with_it.now_ns + int(lease_s * S), lapse=lapse)
    for event in events:
        for r in (without, with_it):
            if event[0] == "plan":
                r.h.offer_plan(event[1], as_plan(event[2], r.now_ns))
            else:
                (place, quantity), value = event
                r.set(quantity, value, place=place)
        for _ in range(4):
            a, b = without.tick(), with_it.tick()
            assert a["lo_w"] - 1e-6 <= b["lo_w"] <= b["hi_w"] <= a["hi_w"] + 1e-6
            assert (a["device_lo_w"], a["device_hi_w"]) == (b["device_lo_w"], b["device_hi_w"])


@settings(max_examples=25, deadline=None)
@given(
    target=SIGNED,
    lost=st.sampled_from(PLACED),
    how=st.sampled_from((NAN, INF, -INF, None)),
    events=st.lists(MEASUREMENTS, max_size=8),
)
def test_what_is_missing_never_raises_power(target: float, lost: tuple[int, int], how: float | None, events: list[Any]) -> None:
    """CARD-1: one measurement turns to NaN, infinity or silence; from then on power and interval are never beyond those of its twin."""
    healthy, blind = twin(), twin()
    for r in (healthy, blind):
        r.offer(2, {"target_w": target}, lease_until_ns=r.now_ns + 100 * S)
        r.tick(10)
    if how is None:
        blind.freeze(lost[1], place=lost[0])
    for event in (None, *events):
        for r in (healthy, blind):
            if event is not None:
                r.set(event[0][1], event[1], place=event[0][0])
        if how is not None:
            blind.set(lost[1], how, place=lost[0])
        for tick in range(110 if event is None else 30):
            healthy.tick()
            blind.tick()
            if how is None and event is None and tick < 101:
                continue  # the last value counts until it is too old
            # R9: what a unit beyond our command may be giving is the plant's power too; a count of each unit is lost in rounding
            counted = max(sum(healthy.state["unit_giving_hi_w"]), -sum(healthy.state["unit_giving_lo_w"]))
            assert abs(blind.power_w) <= abs(healthy.power_w) + counted + UNITS
            assert healthy.side("lo")[0] - 1e-6 <= blind.side("lo")[0]
            assert blind.side("hi")[0] <= healthy.side("hi")[0] + 1e-6


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), whole=st.booleans(), slot=st.integers(0, 3))
def test_no_bytes_of_a_plan_bring_the_step_down_or_out_of_its_interval(seed: int, whole: bool, slot: int) -> None:
    """OCPP-9: the supervisor's memory is not believed."""
    r = Rig(config(UNITS, rows=(), slots=SLOTS)).run()
    r.h.offer_plan(slot, garbage(seed, whole, r.now_ns))
    for _ in range(5):
        state = r.tick(1, 300_000_000)
        assert state["device_lo_w"] <= state["lo_w"] <= state["hi_w"] <= state["device_hi_w"]
        assert abs(r.power_w) <= 400e3
        assert not state["internal"]
    assert state["slot_fault"][slot] in list(L.PlanFault)
    assert r.now_ns > START_NS
