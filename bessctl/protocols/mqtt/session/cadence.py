"""When to measure: at multiples of the interval since 1970, so that all assets and restarts share one grid; once per instant. Pure."""

from __future__ import annotations

NS = 1_000_000_000


class Cadence:
    """The instants of one broker. Wall-clock time; a clock that jumps back measures again only when a new instant of the grid passes."""

    def __init__(self, interval_s: float) -> None:
        self._interval_ns = round(interval_s * NS)
        self._done = -1

    def due(self, utc_ns: int) -> bool:
        """True once in each interval, from the first call on."""
        number = utc_ns // self._interval_ns
        if number == self._done:
            return False
        self._done = number
        return True

    def wait_ns(self, utc_ns: int) -> int:
        """Until the next instant."""
        return self._interval_ns - utc_ns % self._interval_ns
