"""From the server's XML to what the PCS is told, through the real step: a value that never reaches the inverter is a failure."""

from __future__ import annotations

import pytest

from bessctl.protocols.sep2.profiles import CSIPAUS
from tests.protocols.sep2.rig import S, World, offer, step


def power_at(world: World, *seconds: float, load_w: float | None = None, **site: float) -> list[float]:
    """The plan as it is now, played by the step alone (nobody writes any more): what the PCS is told so far into the story.

    `load_w`: a meter at the connection sees this load beside the BESS.
    """
    rig = step(load_w, **site)
    rig.now_ns = world.now_ns
    rig.tick(30)
    offer(rig, world.plan())
    found = []
    for second in seconds:
        while rig.now_ns < 1_000 * S + round((second - world.skew_s) * S):
            rig.tick(1, period_ns=min(10_000_000, 1_000 * S + round((second - world.skew_s) * S) - rig.now_ns))
        found.append(rig.power_w)
    return found


@pytest.mark.parametrize(
    ("modes", "watts"),
    [
        ({"target_w": 50_000}, 50_000),
        ({"target_w": -45_670}, -45_670),
        # opModFixedW: percent of the battery inverter's own rate in that direction (SEP2-9).
        ({"fixed_w": 2_500}, 50_000),
        ({"fixed_w": -2_500}, -40_000),
        ({"fixed_w": 10_000}, 200_000),
        ({"fixed_w": -10_000}, -160_000),
        # Within one control opModTargetW wins.
        ({"fixed_w": -10_000, "target_w": 10_000}, 10_000),
        # Limits beside a target.
        ({"target_w": 150_000, "max_lim_w": 5_000}, 100_000),
        ({"target_w": -150_000, "max_lim_w": 5_000}, -150_000),
        ({"target_w": 50_000, "connect": False}, 0),
        ({"target_w": 50_000, "energize": False}, 0),
        ({"target_w": 50_000, "energize": True, "connect": True}, 50_000),
        ({"target_w": 0}, 0),
    ],
)
def test_an_event_moves_the_pcs_and_ends_with_nobody_there(modes: dict[str, int], watts: float) -> None:
    """SEP2-4, SEP2-9, SEP2-10: start, run and end happen in the step; the supervisor wrote once and is gone."""
    world = World()
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, **modes)
    world.open()
    assert power_at(world, 19, 25, 29, 31.2) == pytest.approx([0, watts, watts, 0], abs=1)


def test_an_event_starts_in_the_tick_in_which_it_falls() -> None:
    """The server's second is known to half a second; from there on the loop is exact to its period."""
    world = World()
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, target_w=50_000)
    world.open()
    (block,) = [b for b in world.plan().blocks if b.target_w]
    rig = step()
    rig.now_ns = block.start_ns - 25_000_000
    rig.tick(1)
    offer(rig, world.plan())
    told = [(rig.tick(1)["now_ns"], rig.power_w) for _ in range(5)]
    first = next(now for now, watts in told if watts > 0)
    assert block.start_ns <= first < block.start_ns + 10_000_000
    true_start_ns = 1_000 * S + round((20 - world.skew_s) * S)
    assert abs(block.start_ns - true_start_ns) <= 0.52 * S


def test_an_event_falls_to_its_default() -> None:
    world = World()
    world.tree.program("a", 1, default={"target_w": -20_000, "max_lim_w": 3_000})
    world.tree.event("a", "E1", world.at(20), 10, target_w=100_000)
    world.open()
    assert power_at(world, 18, 25, 32) == [-20_000, 60_000, -20_000]  # the default's limit also fills the event's gap (rule 10)


def test_the_connection_keeps_the_csipaus_limits() -> None:
    """SEP2-10."""
    world = World(profile=CSIPAUS)
    world.tree.program("a", 1, default={"export_w": 1_500, "import_w": 5_000})
    world.tree.event("a", "E1", world.at(20), 10, export_w=10_000, generation_w=8_000, load_w=4_000)
    world.open()
    blocks = world.plan().blocks
    event = next(b for b in blocks if b.pcc_hi_w == 10_000)
    assert (event.pcc_lo_w, event.ess_hi_w, event.ess_lo_w) == (-5_000, 8_000, -4_000)
    default = blocks[-1]
    assert (default.pcc_hi_w, default.pcc_lo_w, default.ess_hi_w) == (1_500, -5_000, None)


@pytest.mark.parametrize(
    ("modes", "watts"),
    [
        ({"target_w": 150_000, "generation_w": 60_000}, 60_000),
        ({"target_w": -150_000, "load_w": 40_000}, -40_000),
        ({"target_w": 150_000, "export_w": 50_000}, 80_000),
        ({"target_w": -150_000, "import_w": 100_000}, -70_000),
    ],
)
def test_each_csipaus_limit_holds_at_the_pcs(modes: dict[str, int], watts: float) -> None:
    """SEP2-10: generation and load at the BESS, export and import at the connection, where the meter sees a load of 30 kW."""
    world = World(profile=CSIPAUS)
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, **modes)
    world.open()
    assert power_at(world, 29, 31.2, load_w=30_000.0) == pytest.approx([watts, 0], abs=500)


def test_demand_response_holds_at_the_pcs() -> None:
    """SEP2-10: a duty cycle of 50 % leaves half of the charging rating, for its time."""
    world = World()
    world.tree.program("a", 1, default={"target_w": -150_000})
    world.tree.services.demand("D1", world.at(20), 10, duty_cycle=50)
    world.open()
    assert power_at(world, 18, 25, 32) == [-150_000, -80_000, -150_000]
