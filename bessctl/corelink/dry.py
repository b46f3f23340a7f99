"""A sealed site run in invented time against simulated plants: the way of scenarios to bessctl_core.dry. One thread."""

from __future__ import annotations

from typing import Any

from bessctl.corelink import words
from bessctl.corelink.seal import unpack
from bessctl.corelink.words import FAULTS, Site
from bessctl.corelink.writer import fields
from bessctl.model.event import Event
from bessctl.model.plan import Plan
from bessctl_core.dry import DryLoop

S = 1_000_000_000


class DryPlant:
    """The loop of a sealed file. `server`: a PlantServer that was not started; bus i of the site ends at its bus `wiring[i]`."""

    def __init__(self, content: bytes, server: Any, wiring: list[int]) -> None:
        sealed = unpack(content)
        self.site = Site(sealed)
        self.digest = sealed.digest
        self.loop = DryLoop(sealed, server, wiring)
        self._ids = 0

    def write(self, source: str, plan: Plan, *, old_boot: bool = False) -> str:
        """Put a plan into its slot; the reason why it is refused, or nothing."""
        slot = self.site.sources.index(source)
        live, fallback = [fields(b) for b in plan.blocks], [fields(b) for b in plan.fallback]
        return FAULTS.get(self.loop.offer(slot, plan.lease_until_ns, int(plan.lapse), live, fallback, old_boot=old_boot), "refused")

    def command(self, word: str, *, local: bool = True, source: str = "") -> None:
        """stop, start, out_of_service, reset; release with its source."""
        self._ids += 1
        arg = self.site.sources.index(source) if source else 0
        self.loop.command(self._ids, words.COMMANDS[word], local=local, arg=arg)

    def events(self) -> list[Event]:
        """Since the last call."""
        return [words.event(self.site, raw) for raw in self.loop.events()]
