"""The clocks, at the edge. The composition root may hand in one that knows better when the wall clock is trusted."""

from __future__ import annotations

import time
from collections.abc import Callable

PLAUSIBLE_NS = 1_735_689_600 * 10**9
"""2025-01-01: a wall clock before this was never set."""


class Clock:
    """The machine's clocks. `trusted` says whether the wall clock may be believed; by default it must be plausible."""

    def __init__(self, trusted: Callable[[], bool] | None = None) -> None:
        self._trusted = trusted

    def mono_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def utc_ns(self) -> int | None:
        """UTC; None while it is not trusted."""
        utc = time.time_ns()
        believed = self._trusted() if self._trusted else utc >= PLAUSIBLE_NS
        return utc if believed else None
