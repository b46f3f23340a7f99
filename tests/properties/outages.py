"""A plant of 1 to 16 units whose PCS stop, fall silent and come back, and what must hold at every tick (R9). Written from units.pxd and
dispatch.pxd; of the core it imports the numbers of the layout and the harness that runs the step.

The PCS of the story are bodies of their own: a unit we cannot hear holds its last command until its reversion timer, which may run late by
half, and then ramps to 0. Never may a bound of the model lie inside of what such a body really gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from bessctl_core import layout as L
from bessctl_core.harness import StepHarness
from tests.core.rig import HEALTHY, PERIOD_NS, START_NS, Q, S, Slot, config, plan

STATE = L.dtype("PlantState")
UP, DOWN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN
OFF, RUNNING = 0, 3
RATED_W = 200e3
REVERSION_NS, RAMP_NS, AGE_NS = S, S // 5, S // 4
EVERY = 20
"""Ticks after which measurements that do not change are made fresh again: well within every age."""
EPS_W = 1e-3


@dataclass
class Body:
    """One PCS as it is, whatever anybody hears of it."""

    late: float
    """Its reversion timer takes so much of the stated time: 1 to 1.5."""
    w: float = 0.0
    told_w: float = 0.0
    told_ns: int = START_NS
    runs: bool = True

    def tell(self, w: float, now_ns: int) -> None:
        self.told_w, self.told_ns = w, now_ns

    def move(self, now_ns: int) -> None:
        """First-order towards what it was told; after its timer by its own ramp to 0."""
        if not self.runs:
            self.w = 0.0
        elif now_ns - self.told_ns > REVERSION_NS * self.late:
            step = RATED_W * PERIOD_NS / RAMP_NS
            self.w = max(0.0, self.w - step) if self.w > 0 else min(0.0, self.w + step)
        else:
            self.w += (self.told_w - self.w) * 0.2


@dataclass
class Known:
    """What the prose of R9 lets us know of one unit."""

    heard: bool = True
    sampled_ns: int = START_NS
    measured_w: float = 0.0
    told: tuple[float, float] = (0.0, 0.0)
    """Least and greatest command since the last measurement, the last one before it included."""
    silent_ns: int | None = None

    def hear(self, w: float, last_w: float, now_ns: int) -> None:
        self.heard, self.sampled_ns, self.measured_w, self.told, self.silent_ns = True, now_ns, w, (last_w, last_w), None

    def lose(self, now_ns: int) -> None:
        self.heard = False
        self.silent_ns = now_ns if self.silent_ns is None else self.silent_ns

    def giving(self, now_ns: int) -> tuple[float, float]:
        """The worst of 0, commands and last measurement, until it is proved stopped."""
        proved = self.silent_ns is not None and now_ns - self.silent_ns >= 3 * REVERSION_NS // 2 + RAMP_NS
        if self.heard or proved:
            return 0.0, 0.0
        return min(0.0, self.told[0], self.measured_w), max(0.0, self.told[1], self.measured_w)


class Story:
    """One plant; `once` is a tick with everything that must hold in it. `ticks`: how many there were."""

    def __init__(self, seed: int, units: int = 0) -> None:
        self.random = random = Random(seed)
        self.n = n = units or random.randint(1, 16)
        c = config(n, slots=(Slot(klass=0),), ramp_w_per_s=2e6 * n, reversal_dead_ns=S // 50)
        c["unit_reversion_ns"][0, :n], c["unit_ramp_to_zero_ns"][0, :n], c["unit_data_age_ns"][0, :n] = REVERSION_NS, RAMP_NS, AGE_NS
        self.h = StepHarness(c.view(np.uint8), now_ns=START_NS)
        self.now_ns, self.ticks, self.serial, self.powered, self.outages = START_NS, 0, 0, 0, 0
        self.bodies = [Body(random.uniform(1.0, 1.5)) for _ in range(n)]
        self.known = [Known() for _ in range(n)]
        self.up = [True] * n
        """Its connection stands."""
        self.mute = [False] * n
        """It stands and brings no samples."""
        self.cmd = [0.0] * n
        self.lo_w, self.hi_w = -RATED_W * n, RATED_W * n
        for _ in range(30):
            self.once()
        self.wish()

    # --- what happens

    def wish(self) -> None:
        """Another target and other limits."""
        r, most = self.random, RATED_W * self.n
        self.serial += 1
        self.lo_w, self.hi_w = -r.choice((0, 0.1, 0.5, 1.0)) * most, r.choice((0.1, 0.5, 1.0)) * most
        block = {"target_w": r.uniform(-most, most), "ess_lo_w": self.lo_w, "ess_hi_w": self.hi_w}
        self.h.offer_plan(0, plan(block, serial=self.serial, lease_until_ns=self.now_ns + 600 * S))

    def happens(self) -> None:
        """One unit stops, falls silent in one of two ways, or comes back; or the source changes its mind."""
        unit, what = self.random.randrange(self.n), self.random.randrange(7)
        self.outages += what < 3
        match what:
            case 0:
                self.bodies[unit].runs = False
            case 1:
                self.up[unit] = False
            case 2:
                self.mute[unit] = True
            case 3 | 4 | 5:
                self.bodies[unit].runs, self.up[unit], self.mute[unit] = True, True, False
            case _:
                self.wish()

    def once(self) -> None:
        """A tick of bodies, step and model, then the promises."""
        self.now_ns += PERIOD_NS
        self.ticks += 1
        for unit, body in enumerate(self.bodies):
            body.move(self.now_ns)
            self._measure(unit, body)
        self.h.tick(self.now_ns)
        state = np.frombuffer(self.h.published(), STATE)[0]
        before, self.cmd = self.cmd, state["unit_command_w"][: self.n].tolist()
        self._hold(state)
        for unit, body in enumerate(self.bodies):
            told = self.known[unit].told
            self.known[unit].told = min(told[0], self.cmd[unit]), max(told[1], self.cmd[unit])
            if self.up[unit]:
                body.tell(self.cmd[unit], self.now_ns)
        self.powered += any(self.cmd) and any(before)

    def _measure(self, unit: int, body: Body) -> None:
        known, speaks = self.known[unit], self.up[unit] and not self.mute[unit]
        self.h.set_devices(unit, UP if self.up[unit] else DOWN, UP, 1.0)
        if speaks:
            self.h.set(unit, Q.Q_AC_W, body.w, self.now_ns)
            self.h.set(unit, Q.Q_PCS_STATE, RUNNING if body.runs else OFF, self.now_ns)
            known.hear(body.w, self.cmd[unit], self.now_ns)
        elif not self.up[unit] or self.now_ns - known.sampled_ns > AGE_NS:
            known.lose(self.now_ns)
        if self.ticks % EVERY == 1:
            for quantity, value in HEALTHY.items():
                if quantity not in (Q.Q_AC_W, Q.Q_PCS_STATE):
                    self.h.set(unit, quantity, value, self.now_ns)

    # --- what must hold

    def _hold(self, state: Any) -> None:
        giving = [known.giving(self.now_ns) for known in self.known]
        lo, hi = sum(g[0] for g in giving), sum(g[1] for g in giving)
        assert not min(self.cmd) < 0 < max(self.cmd), "units against each other"
        assert sum(self.cmd) + hi <= max(self.hi_w, hi) + EPS_W, "more than allowed with what a silent unit may still give"
        assert sum(self.cmd) + lo >= min(self.lo_w, lo) - EPS_W
        for unit, known in enumerate(self.known):
            if known.heard:
                continue
            assert self.cmd[unit] == 0, "a silent unit is not relied on"
            assert giving[unit][0] - EPS_W <= self.bodies[unit].w <= giving[unit][1] + EPS_W, "the model itself is wrong"
            assert abs(state["unit_giving_lo_w"][unit] - giving[unit][0]) <= EPS_W
            assert abs(state["unit_giving_hi_w"][unit] - giving[unit][1]) <= EPS_W
        assert state["internal"] == 0, "R1 never fires by itself"


def told(seed: int, ticks: int, units: int = 0) -> Story:
    """A story of at least so many ticks; without `units` the seed says how many there are."""
    story = Story(seed, units)
    while story.ticks < ticks:
        story.happens()
        for _ in range(story.random.choice((1, 2, 5, 20, 60, 150))):
            story.once()
    return story
