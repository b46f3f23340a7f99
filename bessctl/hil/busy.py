"""What a busy machine takes away from a run in real time: measured, so that neither a pass nor a failure is told of what nobody saw.

Two clocks are watched, each from outside of what is judged:
- The runner looks every few milliseconds. A look that comes more than GAP_S late saw nothing meanwhile.
- The loop publishes how many of its periods it missed, and how many of those by its own doing. The others were taken from it.

So that little is stolen, the runner's thread goes before ordinary processes while it plays. What a scenario does itself (the loop stopped
by a signal) is not theft: `expect()` says so, until the next call.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MOST_MS = 50.0
"""More stolen than this in one scenario: it is not judged. As in the benches; fixed before any run."""
GAP_S = 0.1
STAT = Path("/proc/stat")
TICK_MS = 10.0


def in_front(on: bool) -> None:
    """This thread before ordinary processes, where it is allowed, and back. What it starts is ordinary. It must sleep most of the time."""
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK if on else os.SCHED_OTHER
    with suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(1 if on else 0))


def hypervisor_ms() -> float:
    """CPU time that a hypervisor gave to others since boot, over all processors."""
    try:
        words = STAT.read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    return float(words[8]) * TICK_MS if len(words) > 8 else 0.0


class Busy:
    """One run's account. `every_s`: how often the runner means to look."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._last_s = every_s, 0.0
        self._looks_ms = self._loop_ms = 0.0
        self._missed: int | None = None
        self._ours = False
        self._hypervisor_ms = hypervisor_ms()

    def look(self, now_s: float) -> None:
        """The runner looks now."""
        late_s = now_s - self._last_s - self._every_s
        if self._last_s and late_s > GAP_S:
            self._looks_ms += late_s * 1e3
        self._last_s = now_s

    def pause(self) -> None:
        """The runner does something else (starts a process): the next look is late by no theft."""
        self._last_s = 0.0

    def loop(self, missed: int, period_s: float) -> None:
        """The loop's count of periods missed by no doing of its own; a smaller one than before is another loop's."""
        if self._missed is not None and missed > self._missed and not self._ours:
            self._loop_ms += (missed - self._missed) * period_s * 1e3
        self._missed = missed

    def expect(self, ours: bool) -> None:
        """Periods missed from now on are the scenario's own doing, or not."""
        self._ours = ours

    @property
    def stolen_ms(self) -> float:
        return max(self._looks_ms, self._loop_ms)

    def told(self) -> str:
        """For the report."""
        return (
            f"{self._looks_ms:.0f} ms of looking, {self._loop_ms:.0f} ms of the loop's periods; "
            f"hypervisor {hypervisor_ms() - self._hypervisor_ms:.0f} ms over all processors"
        )
