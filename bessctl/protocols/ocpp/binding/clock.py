"""The clocks, at the edge. The composition root may hand in one of its own that knows better when the wall clock is trusted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bessctl.protocols.ocpp.session.clock import Now

PLAUSIBLE_NS = 1_735_689_600 * 10**9
"""2025-01-01: a wall clock before this was never set."""


class Clock(Protocol):
    """What a station needs to know of time. Supervisor thread."""

    boot: str
    """Names this boot of the machine: CLOCK_MONOTONIC means nothing in another one."""

    def now(self) -> Now:
        """CLOCK_MONOTONIC, and UTC where the wall clock is trusted."""


class SystemClock:
    """The machine's clocks. `trusted` says whether the wall clock may be believed; by default it must be plausible."""

    def __init__(self, trusted: Callable[[], bool] | None = None) -> None:
        self._trusted = trusted
        self.boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def now(self) -> Now:
        utc = time.time_ns()
        believed = self._trusted() if self._trusted else utc >= PLAUSIBLE_NS
        return Now(time.monotonic_ns(), utc if believed else None)
