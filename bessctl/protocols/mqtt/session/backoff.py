"""When to dial again: minimum plus a random part, doubled each time, so that a broker that comes back is not stormed. Pure."""

from __future__ import annotations

from random import Random

from bessctl.protocols.mqtt.config import BackOff


class Retry:
    """The waits of one broker between two connections that stood."""

    def __init__(self, config: BackOff, rng: Random) -> None:
        self._config = config
        self._rng = rng
        self._tries = 0

    def next_s(self) -> float:
        """Seconds to wait before the next dialling."""
        doubled = self._config.minimum_s * (1 << min(self._tries, 20))
        self._tries += 1
        return min(self._config.longest_s, doubled) + self._rng.uniform(0.0, self._config.random_range_s)

    def good(self) -> None:
        """The connection stood: begin anew next time."""
        self._tries = 0
