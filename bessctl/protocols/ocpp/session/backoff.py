"""When to dial again (settled question 7): minimum plus a random part, doubled each time, held after RepeatTimes with a new random
part on every re-dial, so that a CSMS that comes back is not stormed. Randomness is handed in."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from bessctl.protocols.ocpp.config import BackOff
from bessctl.protocols.ocpp.session.keys import Keys


class Retry:
    """The waits of one link between two good connections."""

    def __init__(self, config: Callable[[], BackOff], rng: Random) -> None:
        self._chosen = config
        self._rng = rng
        self._tries = 0

    def next_s(self) -> float:
        """Seconds to wait before the next dialling."""
        config = self._chosen()
        doubled = config.minimum_s * (1 << min(self._tries, config.repeat_times))
        self._tries += 1
        return doubled + self._rng.uniform(0.0, config.random_range_s)

    def good(self) -> None:
        """The connection stood: begin anew next time."""
        self._tries = 0


def in_force(keys: Keys, site: BackOff) -> BackOff:
    """How to dial again: as the CSMS set it, else as the site did."""

    def chosen(name: str, own: float) -> float:
        return float(keys.number(f"OCPPCommCtrlr.{name}")) if keys.changed(f"OCPPCommCtrlr.{name}") else own

    return BackOff(
        chosen("RetryBackOffWaitMinimum", site.minimum_s),
        chosen("RetryBackOffRandomRange", site.random_range_s),
        round(chosen("RetryBackOffRepeatTimes", site.repeat_times)),
    )
