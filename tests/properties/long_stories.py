"""Long stories of a plant (plant.py), told by a seed: any of its events at random, until each kind of them happened."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.core.rig import PERIOD_NS, PLANT, Q, S
from tests.properties.plant import HOW, Plant
from tests.properties.plant_tables import CELLS, INF, NAN, PLACED, SLOTS, UNITS, UP, VALUES

KINDS = (
    "lapse", "restart", "restart warm", "restart killed", "run again warm", "stale", "trip", "reset", "clock jump", "unit lost",
    "reconnect",
)  # fmt: skip
"""What a long story has to tell, each at least once."""


def words(random: Random) -> dict[str, Any]:
    """A block that most slots accept; limits that hold power away from zero come often, or R3 would seldom be met."""
    found: dict[str, Any] = {}
    if random.random() < 0.6:
        found["target_w"] = random.uniform(-300e3, 300e3)
        found["target_scope"] = random.choice((0, 0, 0, 1))
    if random.random() < 0.4:
        found["ess_hi_w"], found["ess_lo_w"] = random.uniform(0, 200e3), -random.uniform(0, 200e3)
    if random.random() < 0.4:
        found["pcc_lo_w"] = random.uniform(-200e3, 100e3)
        found["pcc_hi_w"] = found["pcc_lo_w"] + random.uniform(0, 250e3)
    if random.random() < 0.2:
        found["rate_w_per_s"] = random.choice((1e4, 3e5))
    if random.random() < 0.1:
        found |= random.choice(({"q_kind": 1, "q_value": random.uniform(-3e5, 3e5)}, {"q_kind": 2, "q_value": 0.9, "q_absorb": -0.7}))
    return found | ({random.choice(("energize", "connect")): 0} if random.random() < 0.05 else {})


def some_plan(random: Random) -> tuple[Any, Any, float, int]:
    blocks = [(0.0, random.choice((0.1, 1.0, 50.0)), words(random)) for _ in range(random.randint(1, 3))]
    fallback = [(0.0, random.choice((0.5, 50.0)), words(random) | {"energize": 1})]
    return blocks, fallback, random.choice((0.05, 0.3, 3.0, 100.0)), random.choice((0, 0, 1, 2, 3))


def some_value(random: Random, quantity: int) -> float:
    wrong = (NAN, INF, -INF, random.uniform(-1e4, 1e4))
    return float(random.choice(VALUES[quantity]) if random.random() < 0.85 else random.choice(wrong))


def something(plant: Plant, random: Random) -> None:
    """One event of a story."""
    at = random.choice(CELLS if random.random() < 0.5 else PLACED)
    match random.choices(range(12), (30, 30, 12, 3, 3, 3, 5, 8, 6, 2, 2, 1))[0]:
        case 0:
            plant.source_writes(random.randrange(len(SLOTS)), some_plan(random), 1)
        case 1:
            plant.measure([(at, some_value(random, at[1]))], 1)
        case 2:
            plant.time_passes(random.randint(1, 20), random.choice((0, 0, -4_000_000, 15_000_000, 300_000_000)))
        case 3:
            plant.goes_silent(random.choice([*PLACED, (0, Q.Q_AC_W), (PLANT, Q.Q_PCC_W)]))
        case 4:
            plant.devices(random.randrange(UNITS), random.choice((UP, 0, 4)), random.choice((UP, UP, 0, 4)))
        case 5:
            plant.meter(random.choice((UP, UP, 0, 4)), random.choice((0.0, 20e3, -60e3, NAN, 1e5)))
        case 6:
            plant.somebody_asks(random.choice((4, 4, 4, 5, 2, 1, 3, 0)), random.random() < 0.5, random.randrange(-1, 5))
        case 7:
            plant.disk_writes(random.choice((0, 0, 1)))
        case 8:
            plant.heals_and_is_reset(random.random() < 0.7)
        case 9:
            plant.clock_is_corrected(random.choice((-3600, -1, 1, 3600)) * S, 1)
        case 10:
            plant.loop_restarts(random.choice(HOW), random.choice((0, 0, 0, 1)))
        case _:
            plant.loop_restarts_under_way(random.choice((150e3, -90e3)))


def lose_a_unit(plant: Plant) -> None:
    """While it runs, and it comes back."""
    plant.heals_and_is_reset(local=True)
    plant.devices(0, 0, UP)
    plant.time_passes(3, 0)
    plant.devices(0, UP, UP)


def go_blind(plant: Plant) -> None:
    """Nothing is heard of a cell for longer than its row allows."""
    plant.heals_and_is_reset(local=True)
    plant.goes_silent((0, Q.Q_CELL_V_MAX))
    plant.time_passes(3, S)


def trip(plant: Plant) -> None:
    """The grid's frequency is beyond a row of the plant."""
    plant.heals_and_is_reset(local=True)
    plant.measure([((PLANT, Q.Q_PCC_HZ), 60.0)], 3)


def lapse(plant: Plant) -> None:
    plant.source_writes(2, ([(0.0, 100.0, {"target_w": 1e4})], [], 0.05, 0), 8)


def correct_the_clock(plant: Plant) -> None:
    plant.source_writes(2, ([(0.0, 100.0, {"target_w": 1e4})], [], 100.0, 0), 2)
    plant.clock_is_corrected(S // 2, 2)


FORCED: dict[str, Any] = {
    "lapse": lapse,
    "restart": lambda plant: plant.loop_restarts("killed", 0),
    "restart warm": lambda plant: plant.loop_restarts_under_way(150e3),
    "restart killed": lambda plant: plant.loop_restarts("killed", 0),
    "run again warm": lambda plant: plant.loop_restarts_under_way(150e3),
    "stale": go_blind,
    "trip": trip,
    "reset": lambda plant: plant.heals_and_is_reset(local=True),
    "clock jump": correct_the_clock,
    "unit lost": lose_a_unit,
    "reconnect": lose_a_unit,
}
"""What a story does that chance did not bring, at its end."""
assert set(FORCED) == set(KINDS)


def told(seed: int, events: int, least: int = 0) -> Plant:
    """A long story. It goes on until each kind of event happened and at least so many ticks passed."""
    random, plant = Random(seed), Plant()
    plant.start(True, limited=seed % 2 == 0)
    missing = list(KINDS)
    while events > 0 or plant.ticks < least or missing:
        if events <= 0 and missing:
            FORCED[missing[0]](plant)
        something(plant, random)
        plant.once(PERIOD_NS)
        events -= 1
        missing = [kind for kind in KINDS if not plant.happened[kind]]
        assert events > -5000, f"no story gets to {missing}"
    return plant
