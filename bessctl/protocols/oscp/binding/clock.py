"""The clocks, at the edge, and the date that plans are written with."""

from __future__ import annotations

import time
from collections.abc import Callable

from bessctl.protocols.oscp.session.clock import Now

PLAUSIBLE_NS = 1_735_689_600 * 10**9
"""2025-01-01: a wall clock before this was never set."""
STEP_NS = 20_000_000
"""A wall clock that moved by more against CLOCK_MONOTONIC was corrected."""


class SystemClock:
    """The machine's clocks. `trusted` says whether the wall clock may be believed; by default it must be plausible."""

    def __init__(self, trusted: Callable[[], bool] | None = None) -> None:
        self._trusted = trusted

    def now(self) -> Now:
        """CLOCK_MONOTONIC, and UTC where it is trusted."""
        utc_ns = time.time_ns()
        believed = self._trusted() if self._trusted else utc_ns >= PLAUSIBLE_NS
        return Now(time.monotonic_ns(), utc_ns if believed else None)


class Offset:
    """utc - mono, held still until the wall clock was corrected: plans do not move by what two readings lie apart."""

    def __init__(self) -> None:
        self.ns: int | None = None

    def follow(self, now: Now) -> bool:
        """Take a reading; True when plans must be written again."""
        new = None if now.utc_ns is None else now.utc_ns - now.mono_ns
        if new is not None and self.ns is not None and abs(new - self.ns) <= STEP_NS:
            return False
        changed, self.ns = new != self.ns, new
        return changed
