"""A look at the two services: does systemd count them as active, how often did it start them, and does the loop tick?

Nothing here asks about devices: a PCS that is off line is no reason to go back to the old system.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from board.device import loop
from board.device.update import Sight

UNITS = ("bess-loop.service", "bess-supervisor.service")
SEALED = Path("/data/bessctl/site.sealed")


class Watch(Protocol):
    """What a look needs."""

    def expected(self) -> bool: ...
    def active(self) -> bool: ...
    def ticks(self) -> int | None: ...
    def starts(self) -> int: ...


@dataclass
class Services:
    """The two units, and the loop's socket."""

    sealed: Path = SEALED
    ask: loop.Ask = loop.ask

    def expected(self) -> bool:
        """Is there a site that they should run?"""
        return self.sealed.exists()

    def active(self) -> bool:
        """Both of them: systemctl's exit code is 0 already when one is."""
        said = subprocess.run(["systemctl", "is-active", *UNITS], capture_output=True, text=True, check=False).stdout
        return said.split() == ["active"] * len(UNITS)

    def starts(self) -> int:
        """How often systemd started them again, both together."""
        command = ["systemctl", "show", "--value", "-p", "NRestarts", *UNITS]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return sum(int(word) for word in said.split() if word.isdigit())

    def ticks(self) -> int | None:
        """Of the loop; None when it does not answer."""
        tick = loop.status(self.ask).get("tick")
        return int(tick) if isinstance(tick, int) else None


def look(services: Watch, at_s: float) -> Sight:
    """One look."""
    return Sight(at_s, services.active(), services.ticks(), services.starts())
