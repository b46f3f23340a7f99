"""How fast a CSMS is read: a bucket of frames that fills at a rate and holds a few seconds of it. Time is handed in."""

from __future__ import annotations

BURST_S = 4.0


class Flow:
    """One connection's."""

    def __init__(self, frames_per_s: float) -> None:
        self._rate = frames_per_s
        self._most = max(1.0, frames_per_s * BURST_S)
        self._left = self._most
        self._at_s: float | None = None

    def pause_s(self, now_s: float) -> float:
        """A frame was read: how long to wait before the next."""
        passed = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._left = min(self._most, self._left + passed * self._rate) - 1.0
        return max(0.0, -self._left / self._rate)
