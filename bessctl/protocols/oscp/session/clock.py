"""Time as a session knows it: handed in by whoever drives it."""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000
FOREVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Now:
    """This instant: CLOCK_MONOTONIC, and UTC where the wall clock is trusted."""

    mono_ns: int
    utc_ns: int | None = None

    def later(self, seconds: float) -> Now:
        """This instant plus some seconds."""
        step = round(seconds * NS)
        return Now(self.mono_ns + step, None if self.utc_ns is None else self.utc_ns + step)


def seconds(value: float) -> int:
    """As nanoseconds."""
    return round(value * NS)
