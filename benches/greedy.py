"""Plain greedy, for comparison with the planner: fill each band from the cheapest hours before it, then pair the dearest hour with the
cheapest one that has room, as long as that pays, then use up what is worth more than what is left over.

It sees prices, limits, efficiencies and the bands; it does not see that energy taken by one pair may be worth more to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bessctl.policy.cheapest import money
from bessctl.policy.problem import Problem, Step, Target

NOTHING_WH = 1e-3


@dataclass
class Greedy:
    """A plan in the making: power of each step (positive discharges), energy at each edge."""

    problem: Problem
    steps: Sequence[Step]
    power_w: NDArray[np.float64] = field(init=False)
    energy_wh: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.power_w = np.zeros(len(self.steps))
        self.energy_wh = np.full(len(self.steps) + 1, self.problem.energy_wh)

    def price_in(self, k: int) -> float:
        """What a stored kWh costs in a step: sun that would be sold, else what is bought."""
        step = self.steps[k]
        exports = step.net_w - self.power_w[k] < 0
        return (step.sell if exports else step.buy) / self.problem.battery.charge_efficiency

    def price_out(self, k: int) -> float:
        """What a stored kWh brings in a step."""
        step = self.steps[k]
        imports = step.net_w - self.power_w[k] > 0
        return (step.buy if imports else step.sell) * self.problem.battery.discharge_efficiency

    def room_in(self, k: int) -> float:
        """Wh that may be stored in a step at its price."""
        step = self.steps[k]
        surplus = self.power_w[k] - step.net_w
        room_w = self.power_w[k] - step.lo_w
        return float(min(room_w, surplus) if surplus > 1 else room_w) * step.hours * self.problem.battery.charge_efficiency

    def room_out(self, k: int) -> float:
        """Stored Wh that may be used in a step at its price."""
        step = self.steps[k]
        needed = step.net_w - self.power_w[k]
        room_w = step.hi_w - self.power_w[k]
        return float(min(room_w, needed) if needed > 1 else room_w) * step.hours / self.problem.battery.discharge_efficiency

    def store(self, k: int, wh: float) -> None:
        self.power_w[k] -= wh / self.problem.battery.charge_efficiency / self.steps[k].hours
        self.energy_wh[k + 1 :] += wh

    def use(self, k: int, wh: float) -> None:
        self.power_w[k] += wh * self.problem.battery.discharge_efficiency / self.steps[k].hours
        self.energy_wh[k + 1 :] -= wh

    def fill(self, target: Target) -> None:
        """The cheapest hours before a band."""
        for k in sorted(range(target.edge), key=self.price_in):
            missing = target.lo_wh - self.energy_wh[target.edge]
            amount = min(missing, self.room_in(k), self.problem.battery.capacity_wh - self.energy_wh[k + 1 :].max())
            if missing <= NOTHING_WH:
                return
            if amount > NOTHING_WH:
                self.store(k, amount)

    def pair(self, floor_wh: NDArray[np.float64]) -> None:
        """The dearest hour first, from the cheapest that has room: before it, or after it until the next band. Then what is left over."""
        for out in sorted(range(len(self.steps)), key=self.price_out, reverse=True):
            for into in sorted(range(len(self.steps)), key=self.price_in):
                if self.price_in(into) >= self.price_out(out) or self.room_out(out) <= NOTHING_WH:
                    break
                if into == out or self.power_w[into] > 0 or self.power_w[out] < 0:
                    continue
                amount = min(self.room_in(into), self.room_out(out), self.between(into, out, floor_wh))
                if amount > NOTHING_WH:
                    self.store(into, amount)
                    self.use(out, amount)

    def between(self, into: int, out: int, floor_wh: NDArray[np.float64]) -> float:
        """How much the battery and the bands let pass from one hour to the other."""
        if into < out:
            return float(self.problem.battery.capacity_wh - self.energy_wh[into + 1 : out + 1].max())
        return float((self.energy_wh - floor_wh)[out + 1 : into + 1].min())

    def use_up(self, worth: float, floor_wh: NDArray[np.float64]) -> None:
        """What is worth more now than at the end."""
        for k in sorted(range(len(self.steps)), key=self.price_out, reverse=True):
            amount = min(self.room_out(k), float((self.energy_wh - floor_wh)[k + 1 :].min()))
            if self.price_out(k) > worth and amount > NOTHING_WH and self.power_w[k] >= 0:
                self.use(k, amount)

    def plan(self, targets: Sequence[Target], worth: float) -> float:
        """Make it; the money it costs, energy left over not counted. `worth`: of a kWh left over."""
        floor_wh = np.zeros(len(self.energy_wh))
        for target in sorted(targets, key=lambda t: t.edge):
            floor_wh[target.edge] = target.lo_wh
            self.fill(target)
        self.pair(floor_wh)
        self.use_up(worth, floor_wh)
        return sum(money(step, float(w)) for step, w in zip(self.steps, self.power_w, strict=True))
