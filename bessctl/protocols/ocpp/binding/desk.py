"""The one place where all links meet the plant: reads it, keeps the ledger, writes the slot's plan."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bessctl.errors import NotReachable, PlanRefused
from bessctl.model.plan import Plan, PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.ocpp.binding.clock import Clock
from bessctl.protocols.ocpp.binding.plans import plan_of, same
from bessctl.protocols.ocpp.binding.readings import reading_of
from bessctl.protocols.ocpp.config import StationConfig
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.demand import Demand
from bessctl.protocols.ocpp.session.ending import ZERO_W
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.plant import Reading
from bessctl.protocols.ocpp.session.station import Station


class Desk:
    """Shared by the drivers of all links. Supervisor thread."""

    def __init__(
        self, config: StationConfig, plans: PlanWriter, plant: PlantView, clock: Clock, *, ledger: Ledger, log: logging.Logger
    ) -> None:
        self._config = config
        self._plans = plans
        self._plant = plant
        self._log = log
        self.clock = clock
        self.ledger = ledger
        self.stations: dict[str, Callable[[], Station]] = {}
        self._written: Plan | None = None
        self._refused = ""
        self._dealt_w = 0.0
        self._demands: dict[str, Demand | None] = {}
        self.reading: Reading | None = None

    def look(self) -> bool:
        """Read the plant; True when energy moved and the accounts must be kept. Where the envelope cuts the claims otherwise than before,
        the plan says so."""
        snapshot = self._plant.snapshot()
        self.reading = None if snapshot is None else reading_of(snapshot, self._config.source)
        moved = self.ledger.observe(self.reading)
        if self.ledger.dealt_w() != self._dealt_w:
            self.replan()
        return moved

    def mark(self) -> object:
        """What every link must look at at once when it changes; whatever else moves (SoC, power) is soon enough within a second.

        A link whose grant changed must look too: `ledger.regranted` names those.
        """
        reading, used = self.reading, self.ledger.direction()
        if reading is None:
            return used
        sides = tuple((s.offered_w, s.bound_by, s.ours, (s.power_w or 0.0) < ZERO_W) for s in (reading.discharge, reading.charge))
        return (used, sides, reading.mode, reading.troubles)

    def replan(self, link: str | None = None, *, renew_only: bool = False) -> None:
        """Write the plan if it says something new, or if its lease moved on. `renew_only`: the latter not more often than renew_s.

        `link`: it alone wants something else, and does not wait until all others were asked: they are taken as they were asked last, which
        may end their leases a little earlier, never later.
        """
        now = self.clock.now()
        self._dealt_w = self.ledger.dealt_w()
        if link is None or link not in self._demands:
            self._demands = {name: station().demand(now) for name, station in self.stations.items()}
        else:
            self._demands[link] = self.stations[link]().demand(now)
        demands = [d for d in self._demands.values() if d is not None]
        if self._written is None and not demands and not any(station().registered for station in self.stations.values()):
            return  # what the slot holds from before a restart stays until a CSMS is back (design R7)
        plan = plan_of(demands, now.mono_ns, self._dealt_w)
        if self._written is not None and same(plan, self._written, now.mono_ns):
            moved = plan.lease_until_ns - self._written.lease_until_ns
            standing = any(d.lease_until_ns > now.mono_ns for d in demands)
            if not standing or moved < (round(self._config.renew_s * NS) if renew_only else 1):
                return
        self._write(plan)

    def _write(self, plan: Plan) -> None:
        try:
            serial = self._plans.write(plan)
        except (PlanRefused, NotReachable) as e:
            # Said once; tried again at each look at the plant, because what was written last stays what it was.
            if str(e) != self._refused:
                self._log.error("ocpp: slot %s did not take the plan: %s", self._config.source, e)
            self._refused = str(e)
            return
        self._refused = ""
        self._written = plan
        self._log.debug(
            "ocpp: plan %d: %d blocks, target now %s W", serial, len(plan.blocks), plan.blocks[0].target_w if plan.blocks else None
        )
