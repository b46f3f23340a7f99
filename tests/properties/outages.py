"""A plant of 1 to 16 units whose PCS stop, fall silent and come back, and what must hold at every tick (R9).

This is the story; what is known of a unit, and what a PCS really does, is of the model (model_units.py), which imports nothing of the core.
Never may a bound of the model lie inside of what a body really gives.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from bessctl_core import layout as L
from bessctl_core.harness import StepHarness
from tests.core.rig import HEALTHY, PERIOD_NS, START_NS, Q, S, Slot, config, plan
from tests.properties.model_rows import NEVER, Sample
from tests.properties.model_units import Body, Unit

STATE = L.dtype("PlantState")
UP, DOWN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN
OFF, RUNNING = 0, 3
RATED_W = 200e3
REVERSION_NS, RAMP_NS, AGE_NS = S, S // 5, S // 4
EVERY = 20
"""Ticks after which measurements that do not change are made fresh again: well within every age."""
EPS_W = 1e-3


class Story:
    """One plant; `once` is a tick with everything that must hold in it. `ticks`: how many there were."""

    def __init__(self, seed: int, units: int = 0) -> None:
        self.random = random = Random(seed)
        self.n = n = units or random.randint(1, 16)
        c = config(n, slots=(Slot(klass=0),), ramp_w_per_s=2e6 * n, reversal_dead_ns=S // 50)
        c["unit_reversion_ns"][0, :n], c["unit_ramp_to_zero_ns"][0, :n], c["unit_data_age_ns"][0, :n] = REVERSION_NS, RAMP_NS, AGE_NS
        self.h = StepHarness(c.view(np.uint8), now_ns=START_NS)
        self.now_ns, self.ticks, self.serial, self.powered, self.outages = START_NS, 0, 0, 0, 0
        self.bodies = [Body(random.uniform(1.0, 1.5), RATED_W, REVERSION_NS, RAMP_NS, PERIOD_NS, START_NS) for _ in range(n)]
        self.known = [Unit(RATED_W, REVERSION_NS, RAMP_NS, AGE_NS) for _ in range(n)]
        self.power = [(Sample(), Sample()) for _ in range(n)]
        """Power and state of each as it was heard last."""
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
            self.known[unit].command(self.cmd[unit])
            if self.up[unit]:
                body.tell(self.cmd[unit], self.now_ns)
        self.powered += any(self.cmd) and any(before)

    def _measure(self, unit: int, body: Body) -> None:
        known, speaks = self.known[unit], self.up[unit] and not self.mute[unit]
        self.h.set_devices(unit, UP if self.up[unit] else DOWN, UP, 1.0)
        if speaks:
            self.h.set(unit, Q.Q_AC_W, body.w, self.now_ns)
            self.h.set(unit, Q.Q_PCS_STATE, RUNNING if body.runs else OFF, self.now_ns)
            power, state = self.power[unit]
            power.value, power.at_ns = body.w, self.now_ns
            state.value, state.at_ns = RUNNING if body.runs else OFF, self.now_ns
        known.pcs_up = self.up[unit]
        known.listen(*self.power[unit], self.now_ns)
        if self.ticks % EVERY == 1:
            for quantity, value in HEALTHY.items():
                if quantity not in (Q.Q_AC_W, Q.Q_PCS_STATE):
                    self.h.set(unit, quantity, value, self.now_ns)

    def _giving(self, unit: int) -> tuple[float, float]:
        known, (power, state) = self.known[unit], self.power[unit]
        if known.heard and state.value == RUNNING:  # heard together: it obeys
            return 0.0, 0.0
        return (0.0, 0.0) if known.obeys(power, state, NEVER, NEVER, self.now_ns) else known.giving(self.now_ns)

    # --- what must hold

    def _hold(self, state: Any) -> None:
        giving = [self._giving(unit) for unit in range(self.n)]
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
