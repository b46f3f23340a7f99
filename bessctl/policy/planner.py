"""The planner: a pure function of the problem. Which targets can be met, and the least-cost plan of those that meet them.

1. Steps with a margin of power kept back. Are all targets met? Then that is the plan's power: a small trouble on the way costs no target.
2. If not, all the power there is. What cannot be met even so is reported at once, with the SoC that can be reached and who prevents more.
3. Of all plans that meet the bands the cheapest; of those that cost the same the one that moves latest.

The reserve is a quantity of its own: nothing is discharged below it, whatever a band or a price says. A battery below its reserve charges
as soon as it may. Energy left at the horizon's end is worth the mean price it could save, so the plan neither hoards nor sells out.
"""

from __future__ import annotations

from bessctl.policy.cheapest import Way, money, way
from bessctl.policy.grid import Grid, grid
from bessctl.policy.problem import Battery, Done, Outcome, Problem, Step
from bessctl.policy.reach import Accepted, accept

NOTHING_W = 1e-6


def plan(p: Problem) -> Outcome:
    """The outcome at this instant. Raises nothing for a problem whose numbers are finite."""
    floor_wh = min(p.energy_wh, p.reserve_wh)
    kept = grid(p, p.margin)
    taken = accept(p, kept.steps, kept.targets, floor_wh)
    margin_used = not taken.unmet
    if taken.unmet and p.margin > 0:
        kept = grid(p, 0.0)
        taken = accept(p, kept.steps, kept.targets, floor_wh)
    return _outcome(p, kept, taken, floor_wh, margin_used)


def _outcome(p: Problem, g: Grid, taken: Accepted, floor_wh: float, margin_used: bool) -> Outcome:
    energies = way(Way(g.steps, p.battery, p.energy_wh, floor_wh, p.reserve_wh, _value(p, g.steps)), taken.bands)
    done, before = [], p.energy_wh
    for step, after in zip(g.steps, energies, strict=True):
        done.append(Done(step, _power_w(p.battery, after - before, step.hours), after))
        before = after
    at = [p.energy_wh, *energies]
    met = tuple((target, at[target.edge]) for target in sorted(taken.met, key=lambda t: (t.at_ns, t.name)))
    unmet = tuple(sorted(taken.unmet, key=lambda u: (u.at_ns, u.name)))
    cost = sum(money(d.step, d.power_w) for d in done) if p.tariff else 0.0
    return Outcome(p.now_ns, p.energy_wh, p.battery.capacity_wh, tuple(done), met, unmet, cost, margin_used)


def _power_w(battery: Battery, stored_wh: float, hours: float) -> float:
    power = -stored_wh / hours
    power = power / battery.charge_efficiency if stored_wh > 0 else power * battery.discharge_efficiency
    return power if abs(power) > NOTHING_W else 0.0


def _value(p: Problem, steps: list[Step]) -> float:
    """Of a kWh in the battery at the end."""
    hours = sum(step.hours for step in steps)
    mean = sum(step.buy * step.hours for step in steps) / hours
    return max(0.0, mean) * p.battery.discharge_efficiency
