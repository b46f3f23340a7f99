"""How fast a CSMS is read: an allowance that grows at a rate and holds `BURST_S` of it. Time is handed in.

Answers to our own CALLs are free: we ask one at a time. A CALL counts one, what is malformed more (`Output.charge`).

Who used it up is read at the rate, one CALL after the other. Who used it up and does not even wait for our answers (OCPP-J 4.1.1 forbids
it) waits `SLOWER` times as long, but no longer than `MOST_S` for a frame: a flood costs next to nothing. Who rests gets the allowance back.
"""

from __future__ import annotations

BURST_S = 30.0
SLOWER = 8
MOST_S = 10.0


class Flow:
    """One connection's."""

    def __init__(self, calls_per_s: float) -> None:
        self._rate = calls_per_s
        self._most = max(1.0, calls_per_s * BURST_S)
        self._left = self._most
        self._at_s: float | None = None

    def pause_s(self, now_s: float, charge: float = 1.0, *, rushed: bool = False) -> float:
        """A frame was read that counts so much: how long to wait before the next. `rushed`: that is here already."""
        passed = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._left = min(self._most, self._left + passed * self._rate) - charge
        if self._left >= 0:
            return 0.0
        pause_s = -self._left / self._rate
        if rushed:
            pause_s = max(pause_s, min(MOST_S, pause_s * SLOWER))
        self._left, self._at_s = 0.0, now_s + pause_s
        return pause_s
