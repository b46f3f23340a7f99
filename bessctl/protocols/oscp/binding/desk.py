"""The one place where all peers meet the plant: looks at it and at the clock, writes the plan of every slot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bessctl.errors import NotReachable, PlanRefused
from bessctl.model.plan import Plan, PlanWriter
from bessctl.model.snapshot import PlantSnapshot, PlantView
from bessctl.protocols.oscp.binding.clock import Offset
from bessctl.protocols.oscp.binding.observe import failure, meter_sample, samples
from bessctl.protocols.oscp.binding.plans import Calendar, plan_of, renewed, same, same_but_leases
from bessctl.protocols.oscp.binding.voices import Measured, Voices
from bessctl.protocols.oscp.config import GroupConfig, ProviderConfig
from bessctl.protocols.oscp.session.clock import NS, Now, seconds
from bessctl.protocols.oscp.session.peer import Peer
from bessctl.protocols.oscp.session.provider import Provider

REMAKE_NS = 60 * NS
"""A plan is made anew at least so often: what lay beyond its end when it was made comes nearer."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A plan, and what it was made from."""

    subject: tuple[object, ...]
    plan: Plan
    at_ns: int


class Clock(Protocol):
    """What a provider needs to know of time. Supervisor thread."""

    def now(self) -> Now:
        """CLOCK_MONOTONIC, and UTC where the wall clock is trusted."""


class Desk:
    """Shared by the drivers of all peers. Supervisor thread."""

    def __init__(  # noqa: PLR0917 - one argument per thing handed in
        self,
        config: ProviderConfig,
        provider: Provider,
        writers: Mapping[str, PlanWriter],
        plant: PlantView,
        clock: Clock,
        log: logging.Logger,
    ) -> None:
        self.config, self.provider, self.clock, self.log = config, provider, clock, log
        self._writers, self._plant = writers, plant
        self._measured = Measured(config.nominal_v)
        self.voices = Voices(config, provider, self._measured)
        self.offset = Offset()
        self.snapshot: PlantSnapshot | None = None
        self._written: dict[str, Plan] = {}
        self._made: dict[str, _Made] = {}
        self.wake: Callable[[str], None] = lambda _: None
        """Has a peer's task look again; the driver puts its own here."""
        self.refused: dict[str, str] = {}
        """Slots that did not take their plan, and why."""

    def look(self) -> None:
        """Read plant and clock; write again what they change: a corrected clock, another voltage, a new loop process."""
        before, self.snapshot = self.snapshot, self._plant.snapshot()
        moved = self._measured.look(self.snapshot)
        moved |= self.offset.follow(self.clock.now())
        if before is not None and self.snapshot is not None and self.snapshot.tick < before.tick:
            self._written.clear()  # a new loop process knows no plan
        if moved or self.refused or self._written.keys() != self._writers.keys():
            self.replan(self._writers)

    def observe(self) -> None:
        """Take measurements that are due, and judge whether each peer's limits are complied with."""
        now, units, meter = self.clock.now(), samples(self.snapshot), meter_sample(self.snapshot)
        for peer in self.provider.peers.values():
            peer.metering.sample(units, now, meter)
            for ident in peer.config.groups:
                self._judge(peer, self.config.group(ident), now)

    def _judge(self, peer: Peer, group: GroupConfig, now: Now) -> None:
        voice = self.voices.voice(peer, group, optimum=False)
        found = None
        if voice is not None and peer.connection.online and now.mono_ns < voice.lease_ns:
            limits = voice.says(now.utc_ns, online=True)
            found = failure(self.snapshot, group, limits, self.config.compliance_margin_w, self.refused.get(group.source, ""))
        peer.compliance.judge(group.ident, found, now, seconds(self.config.compliance_s))

    def sources(self, peer: Peer) -> set[str]:
        """The slots that a peer's words reach."""
        groups = [self.config.group(ident) for ident in peer.config.groups]
        return {group.source for group in groups} | {group.optimum_source for group in groups if group.optimum_source is not None}

    def replan(self, sources: Iterable[str]) -> None:
        """Write the plans of these slots where they say something new, or where a lease moved."""
        for source in sources:
            self._replan(source)

    def _replan(self, source: str) -> None:
        now_ns = self.clock.now().mono_ns
        voices = self.voices.of(source)
        written = self._written.get(source)
        if not voices and written is None:
            return  # nobody was commissioned: the slot's sealed default rules
        lease_max_ns = seconds(self.config.lease_max_s.get(source, 3600.0))
        calendar = Calendar(self.offset.ns)
        subject = same_but_leases(voices, calendar)
        known = self._made.get(source)
        if known is not None and known.subject == subject and now_ns - known.at_ns < REMAKE_NS:
            plan = renewed(known.plan, voices, now_ns, lease_max_ns)
        else:
            plan = plan_of(voices, calendar, now_ns, lease_max_ns)
            self._made[source] = _Made(subject, plan, now_ns)
        if written is not None and source not in self.refused and same(plan, written, now_ns) and _same_lease(plan, written, now_ns):
            return
        try:
            self._writers[source].write(plan)
        except (PlanRefused, NotReachable) as e:
            if self.refused.get(source) != str(e):
                self.log.error("slot %s did not take the plan: %s", source, e)
            self.refused[source] = str(e)
            return
        self.refused.pop(source, None)
        self._written[source] = plan


def _same_lease(a: Plan, b: Plan, now_ns: int) -> bool:
    """Equal, or both over."""
    return a.lease_until_ns == b.lease_until_ns or max(a.lease_until_ns, b.lease_until_ns) <= now_ns
