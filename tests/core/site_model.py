"""A site around the step, in invented time: PCS with dead time and lag, a meter that is asked now and then, a load that changes.

Nothing here knows how the step works. Powers W, positive toward the grid; seconds of the site's own clock, which starts with the model.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, PLANT, Q, Rig, S

TICK_S = PERIOD_NS / S


@dataclass
class Pcs:
    """Dead time, then a first-order lag, then what its gain makes of it; asked for its power every `period_s`."""

    lag_s: float
    dead_s: float
    period_s: float = 0.05
    gain: float = 1.0
    w: float = 0.0
    ordered: deque[tuple[float, float]] = field(default_factory=deque)
    acting_w: float = 0.0

    def advance(self, now_s: float, command_w: float) -> None:
        """One tick with this command on the wire."""
        self.ordered.append((now_s + self.dead_s, command_w))
        while self.ordered and self.ordered[0][0] <= now_s + 1e-9:
            self.acting_w = self.ordered.popleft()[1] * self.gain
        self.w += (self.acting_w - self.w) * (1 - math.exp(-TICK_S / self.lag_s))


@dataclass
class Asked:
    """A device that is asked at fixed times, and whose answer arrives `age_s` later."""

    period_s: float
    age_s: float
    next_s: float = 0.0
    under_way: deque[tuple[float, tuple[float, ...]]] = field(default_factory=deque)

    def answers(self, now_s: float, values: tuple[float, ...]) -> tuple[float, tuple[float, ...]] | None:
        """Ask when it is time; what arrived by now: when it was asked for, and what it said."""
        if now_s >= self.next_s - 1e-9:
            self.next_s += self.period_s
            self.under_way.append((now_s, values))
        found = None
        while self.under_way and self.under_way[0][0] + self.age_s <= now_s + 1e-9:
            found = self.under_way.popleft()
        return found


class Site:
    """Rig, PCS, meter and load together; one trace entry a tick: (s, pcc_w, ess_w, command_w)."""

    def __init__(self, rig: Rig, pcs: list[Pcs], *, meter_s: float, meter_age_s: float = 0.02, load: Callable[[float], float],
                 share: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3), volts: float = 230.0, sign: float = 1.0) -> None:  # fmt: skip
        self.rig, self.pcs, self.load, self.share, self.volts, self.sign = rig, pcs, load, share, volts, sign
        self.meter = Asked(meter_s, meter_age_s)
        self.asked = [Asked(p.period_s, 0.01, next_s=0.003 * i) for i, p in enumerate(pcs)]
        self.now_s = 0.0
        self.trace: list[tuple[float, float, float, float]] = []
        self.dead_meter = False
        self.reading: Callable[[Site], float] = lambda site: site.pcc_w
        rig.follow, rig.load_w = False, None
        rig.h.set_meter(L.DeviceState.DEV_UP)
        for unit in range(len(pcs)):
            rig.frozen.add((unit, Q.Q_AC_W))

    @property
    def ess_w(self) -> float:
        return sum(p.w for p in self.pcs)

    @property
    def pcc_w(self) -> float:
        return self.ess_w - self.load(self.now_s)

    def tick(self) -> None:
        """Devices answer, the step decides, the PCS move."""
        at_ns = self.rig.now_ns + PERIOD_NS
        self._meter(at_ns)
        for unit, (pcs, asked) in enumerate(zip(self.pcs, self.asked, strict=True)):
            answer = asked.answers(self.now_s, (pcs.w,))
            if answer is not None:
                self.rig.h.set(unit, Q.Q_AC_W, answer[1][0], at_ns - round((self.now_s - answer[0]) * S) - 1)
        self.rig.tick()
        commands = self.rig.h.out["cmd_w"]
        self.trace.append((self.now_s, self.pcc_w, self.ess_w, self.rig.power_w))
        self.now_s += TICK_S
        for unit, pcs in enumerate(self.pcs):
            pcs.advance(self.now_s, commands[unit])

    def _meter(self, at_ns: int) -> None:
        phases = [self.ess_w / 3 - self.load(self.now_s) * part for part in self.share]
        answer = self.meter.answers(self.now_s, (self.reading(self), *phases))
        if answer is None or self.dead_meter:
            return
        asked_ns = at_ns - round((self.now_s - answer[0]) * S) - 1
        h = self.rig.h
        h.set(PLANT, Q.Q_PCC_W, self.sign * answer[1][0], asked_ns)
        for phase, w in enumerate(answer[1][1:]):
            h.set(PLANT, Q.Q_PCC_L1_W + phase, self.sign * w, asked_ns)
            h.set(PLANT, Q.Q_PCC_L1_V + phase, self.volts, asked_ns)
            h.set(PLANT, Q.Q_PCC_L1_A + phase, abs(w) / self.volts, asked_ns)

    def run(self, seconds: float) -> Site:
        """So many seconds."""
        for _ in range(round(seconds / TICK_S)):
            self.tick()
        return self

    def since(self, s: float) -> list[tuple[float, float, float, float]]:
        """The trace from an instant on."""
        return [entry for entry in self.trace if entry[0] >= s - 1e-9]
