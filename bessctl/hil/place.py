"""Where a scenario is played: what every place can do. Simulated time, real time and rig each have a module of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from bessctl.corelink.words import Site
from bessctl.hil.faults import Injection
from bessctl.hil.record import Recording
from bessctl.hil.signals import Column
from bessctl.model.plan import Plan


class CannotPlay(Exception):
    """This place cannot do that (a rig without a relay for it, a sign the loop does not publish); the scenario is then not run."""


@dataclass
class Evidence:
    """How the devices were left: read from them after the orderly stop. `proved`: the loop itself saw every PCS at 0 W and at rest."""

    proved: bool
    power_w: float | None = None
    devices: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        rest = ", ".join(f"{name} {what}" for name, what in self.devices.items())
        power = "no valid power" if self.power_w is None else f"{self.power_w:.0f} W"
        return f"{'proved' if self.proved else 'NOT PROVED'} at rest: {power}; {rest}"


class Waits(Protocol):
    """Somebody who acts meanwhile."""

    def done(self) -> bool:
        """Raises CannotPlay when it will not happen."""


class Place(Protocol):
    """All instants are CLOCK_MONOTONIC ns of the place's own clock. Methods raise CannotPlay for what this place has not."""

    name: str
    site: Site
    lease_most_s: float
    """Plans are not held longer than this without being written again."""

    @property
    def facts(self) -> dict[str, Any]:
        """Configuration hash, real-time state, clock, the loop's health: what the report prints."""

    @property
    def stolen_ms(self) -> float:
        """How much time the machine took away from the run so far (busy.py); 0 where time is invented."""

    @property
    def now_ns(self) -> int:
        """Now."""

    def begin(self, columns: tuple[Column, ...], cold: bool) -> int:
        """Start the loop and, unless cold, wait for mode run. Returns the instant the scenario's time counts from."""

    def advance(self, until_ns: int) -> str:
        """Time goes on; why the scenario must end, or nothing."""

    def write(self, source: str, plan: Plan, old_boot: bool) -> str:
        """Put a plan into a source's slot; why it was refused, or nothing."""

    def command(self, word: str, local: bool, source: str = "") -> None:
        """stop, start, out_of_service, reset, release."""

    def plays(self, injection: Injection) -> Waits | None:
        """Somebody else plays this fault: whom to wait for. None: the calls below do it at once."""

    def plant(self, unit: int, values: dict[str, Any]) -> None:
        """Change the world at a unit's devices."""

    def truth(self, unit: int) -> dict[str, Any]:
        """Everything a unit's simulated devices say about themselves."""

    def wire(self, values: dict[str, Any]) -> None:
        """Disturb the links."""

    def foreign(self, unit: int, power_w: float) -> None:
        """Somebody else writes this set point into the PCS."""

    def controller(self, what: str) -> None:
        """killed, started, rebooted, stop, late, in time."""

    def journal(self, what: str) -> None:
        """lost, broken, well."""

    def take(self, record: Recording, zero_ns: int) -> None:
        """Move what was seen since the last call into the record."""

    def finish(self) -> Evidence:
        """Stop in order and read the devices."""

    def close(self) -> None:
        """Let go of everything, whatever happened."""
