"""What was seen while a scenario was played: samples, the loop's events, the PCS's own log of commands. One shape for every place."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from bessctl.hil.signals import Column, Signal
from bessctl.model.event import Event


@dataclass(frozen=True)
class Done:
    """Something the player did, and when."""

    t_s: float
    what: str


@dataclass
class Recording:
    """Times are seconds of the scenario; what is before 0 is the way to its beginning.

    `rows`: time and one value per column, row after row. `commands`: (time, unit, kind, value) as the simulated PCS logged them.
    """

    columns: tuple[Column, ...]
    rows: array[float] = field(default_factory=lambda: array("d"))
    events: list[tuple[float, Event]] = field(default_factory=list)
    commands: list[tuple[float, int, str, float]] = field(default_factory=list)
    power: list[tuple[float, float]] = field(default_factory=list)
    """AC power of all units at each physics step around what was injected; empty where it was not asked for."""
    done: list[Done] = field(default_factory=list)
    ended: str = ""
    """Why it ended before its time; empty when it was played to the end."""

    @property
    def width(self) -> int:
        return len(self.columns) + 1

    @property
    def until_s(self) -> float:
        """Time of the last sample."""
        return self.rows[-self.width] if self.rows else float("-inf")

    @property
    def grain_s(self) -> float:
        """What counts as at once: the longest distance of two of the first samples."""
        instants = self.rows[: 4 * self.width : self.width]
        return max((b - a for a, b in pairwise(instants)), default=0.0) + 1e-9

    def series(self, signal: Signal, from_s: float = float("-inf")) -> Iterator[tuple[float, float | str]]:
        """(time, value) of a signal, sample by sample."""
        at = [self.columns.index(column) + 1 for column in signal.columns]
        rows, width = self.rows, self.width
        if len(at) == 1:
            only = at[0]
            for i in range(self._first(from_s) * width, len(rows), width):
                yield rows[i], signal.read((rows[i + only],))
        else:
            for i in range(self._first(from_s) * width, len(rows), width):
                yield rows[i], signal.read([rows[i + k] for k in at])

    def _first(self, from_s: float) -> int:
        """The first row at or after an instant."""
        lo, hi = 0, len(self.rows) // self.width
        while lo < hi:
            mid = (lo + hi) // 2
            if self.rows[mid * self.width] < from_s - 1e-9:
                lo = mid + 1
            else:
                hi = mid
        return lo
