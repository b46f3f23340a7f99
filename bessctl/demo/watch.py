"""The demo's eyes: the loop's published state and events, and the simulated PCS's own log of what reached its registers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bessctl.corelink import CoreLink, attach
from bessctl.demo.stage import Stage
from bessctl.errors import NotReachable, OperationFailed
from bessctl.model.event import Event
from bessctl.model.snapshot import PlantSnapshot

POLL_S = 0.02


@dataclass
class Watch:
    """Looks again and again until something holds. `on_look` is told each look (the live table)."""

    stage: Stage
    on_look: Callable[[PlantSnapshot], None]
    link: CoreLink = field(init=False)
    events: list[Event] = field(default_factory=list)

    async def attach(self, within_s: float) -> None:
        """Wait for the loop."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                self.link = attach(str(self.stage.run_dir), writes=False)
                return
            except NotReachable:
                self.stage.check()
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(POLL_S)

    def look(self) -> PlantSnapshot | None:
        """One look; drains the events."""
        self.events += self.link.events()
        snapshot = self.link.snapshot()
        if snapshot is not None:
            self.on_look(snapshot)
        return snapshot

    async def until(self, what: str, holds: Callable[[PlantSnapshot], bool], within_s: float = 15.0) -> PlantSnapshot:
        """Look until it holds; OperationFailed with `what` and the logs' ends when it does not in time."""
        deadline = time.monotonic() + within_s
        while True:
            snapshot = self.look()
            if snapshot is not None and holds(snapshot):
                return snapshot
            self.stage.check()
            if time.monotonic() > deadline:
                logs = "\n".join(self.stage.tail(name) for name in ("loop", "supervise"))
                raise OperationFailed(f"waited {within_s:g} s in vain until {what}; last seen: {snapshot}\n{logs}")
            await asyncio.sleep(POLL_S)

    async def pause(self, seconds: float) -> None:
        """Let the audience look."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            self.stage.check()
            await asyncio.sleep(POLL_S)

    async def register(self, kind: str, what: str, holds: Callable[[float], bool], after_ns: int, within_s: float = 15.0) -> int:
        """When a register of the PCS first changed, after an instant, to a value that meets `holds`; CLOCK_MONOTONIC ns."""
        deadline = time.monotonic() + within_s
        while True:
            for ns, value in self.stage.plant.log(kind, after_ns):
                if holds(value):
                    return ns
            if time.monotonic() > deadline:
                raise OperationFailed(f"waited {within_s:g} s in vain until the PCS's {kind} {what}\n{self.stage.tail('loop')}")
            await asyncio.sleep(POLL_S)

    async def set_point(self, what: str, holds: Callable[[float], bool], after_ns: int) -> int:
        """When the PCS's set-point register changed so."""
        return await self.register("wset", what, holds, after_ns)

    def event(self, code: str, after_ns: int, row: str) -> Event:
        """The first event of a code and row after an instant."""
        found = next((e for e in self.events if e.code == code and e.at_ns > after_ns and row in e.row), None)
        if found is None:
            raise OperationFailed(f"the loop told no {code} of {row}")
        return found
