"""When a link may dial: one at a time, so that 200 that start or lose their CSMS together do not open 200 TLS handshakes in one instant.

Turns are instants, not places: a CSMS that takes a connection and says nothing holds nobody up. Time is handed in.
"""

from __future__ import annotations

STEP_S = 0.025


class Pace:
    """All links of a station."""

    def __init__(self, step_s: float = STEP_S) -> None:
        self._step_s = step_s
        self._free_s = float("-inf")

    def wait_s(self, now_s: float) -> float:
        """Take the next turn: how long until it comes."""
        at = max(now_s, self._free_s)
        self._free_s = at + self._step_s
        return at - now_s
