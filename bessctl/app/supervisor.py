"""The composition root: everything the supervisor is made of, put together here and nowhere else.

    site file -> store, link to the loop -> parts: events, the operator's socket, one per protocol

The loop does not need us: without a supervisor each plan ends with its lease. We wait for the loop, attach, and attach again when it was
restarted (the link does that). SIGTERM and SIGINT end all parts in order. A protocol's package is imported when it is configured.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sqlite3
import sys
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bessctl.app import desk, logs
from bessctl.app.log_parts import EVENTS_KEPT, LogParts
from bessctl.app.parts import Part, Time, keep
from bessctl.config.load import LoadedSite, load_site
from bessctl.corelink import CoreLink, attach
from bessctl.errors import NotReachable, OperationFailed
from bessctl.model.event import Event
from bessctl.store.database import Store

DRAIN_S = 0.1
SETTLED_S = 60.0
GC_YOUNG = 10_000
ATTACH_S = 0.5
STORE = "bessctl.db"
SPOOL = "mqtt.db"

log = logging.getLogger("bessctl")


def supervise(file: Path) -> None:
    """Run until SIGTERM. Raises BessctlError for what only a person can change."""
    loaded = load_site(file)
    logs.set_up(loaded.site.supervisor.log)
    supervisor = Supervisor(loaded)
    asyncio.run(supervisor.run())
    if supervisor.again:
        log.info("restarting because %s asked for it", supervisor.again)
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "bessctl", "supervise", str(file)])


@dataclass
class Supervisor:
    """One run of the supervisor."""

    loaded: LoadedSite
    again: str = ""
    """Who asked for a restart; empty = nobody."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    """The loop's newest, for a log that a CSMS asks for."""
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Everything, until the end is asked for."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        link = await self._attached()
        if link is None:
            return
        with link, closing(self._store()) as store:
            log.info("attached to the loop of site %s in %s", link.site.name, self.loaded.run_dir)
            await self._run_parts(self.parts(link, store))
        log.info("stopped")

    def restart(self, link_name: str) -> None:
        """A protocol's owner ordered a restart of the controller's software."""
        self.again = link_name
        self._end.set()

    def parts(self, link: CoreLink, store: Store) -> list[Part]:
        """What this site's supervisor consists of."""
        site = self.loaded.site
        owned = frozenset({site.ocpp.source} if site.ocpp else ()) | (site.oscp.sources if site.oscp else frozenset())
        owned |= {site.sep2.source} if site.sep2 else set()
        owned |= {site.policy.source} if site.policy else set()
        guarding = frozenset(source.name for source in site.sources if source.class_ != "market" or source.required)
        operator = desk.Desk(link.writer, owned, guarding)
        parts = [
            Part("events", lambda: tell_events(link, self.events)),
            Part("operator", lambda: desk.serve(operator, self.loaded.run_dir)),
            Part("memory", settle),
        ]
        if site.ocpp is not None:
            parts.append(Part("ocpp", lambda: self._ocpp(link, store)))
        if site.oscp is not None:
            parts.append(Part("oscp", lambda: self._oscp(link, store, operator)))
        if site.mqtt is not None:
            parts.append(Part("mqtt", lambda: self._mqtt(link, operator)))
        if site.sep2 is not None:
            parts.append(Part("sep2", lambda: self._sep2(link, store, operator)))
        if site.policy is not None:
            parts.append(Part("policy", lambda: self._policy(link, operator)))
        return parts

    async def _ocpp(self, link: CoreLink, store: Store) -> None:
        from bessctl.app.stations import station  # noqa: PLC0415 - the protocol's packages only where it is configured
        from bessctl.protocols.ocpp.binding.clock import SystemClock  # noqa: PLC0415
        from bessctl.protocols.ocpp.binding.station import run_station  # noqa: PLC0415

        ocpp = self.loaded.site.ocpp
        assert ocpp is not None
        config, log = station(ocpp, self.loaded.file.parent), logging.getLogger("bessctl.ocpp")
        writer, parts = link.writer(config.source), LogParts(self.loaded.site, link, self.events)
        await run_station(config, store, writer, link, SystemClock(), log, on_hard_reset=self.restart, log_parts=parts)

    async def _oscp(self, link: CoreLink, store: Store, operator: desk.Desk) -> None:
        from bessctl.app.oscp import provider  # noqa: PLC0415
        from bessctl.protocols.oscp.binding.clock import SystemClock  # noqa: PLC0415
        from bessctl.protocols.oscp.binding.provider import run_provider  # noqa: PLC0415

        site, log = self.loaded.site, logging.getLogger("bessctl.oscp")
        assert site.oscp is not None
        config = provider(site, site.oscp, self.loaded.file.parent)
        writers = {name: link.writer(name) for name in site.oscp.sources}
        await run_provider(config, store, writers, link, SystemClock(), log, commands=operator.also)

    async def _mqtt(self, link: CoreLink, operator: desk.Desk) -> None:
        from bessctl.app.telemetry import publisher  # noqa: PLC0415
        from bessctl.protocols.mqtt.binding.clock import Clock  # noqa: PLC0415
        from bessctl.protocols.mqtt.binding.run import run_mqtt  # noqa: PLC0415

        site, log = self.loaded.site, logging.getLogger("bessctl.mqtt")
        assert site.mqtt is not None
        assert site.storage is not None
        config = publisher(site, site.mqtt, site.storage, self.loaded.file.parent)
        # A file of its own: a backlog of days must not stand in the way of what a CSMS waits for.
        with closing(self._store(SPOOL)) as spool:
            await run_mqtt(config, spool, link, link.writer, Clock(), log, commands=operator.also)

    async def _sep2(self, link: CoreLink, store: Store, operator: desk.Desk) -> None:
        from bessctl.app.sep2 import client  # noqa: PLC0415
        from bessctl.protocols.sep2.binding.client import Ways, run_client  # noqa: PLC0415

        site, log = self.loaded.site, logging.getLogger("bessctl.sep2")
        assert site.sep2 is not None
        config = client(site, site.sep2, self.loaded.file.parent, link.site)
        ways = Ways(link.writer(config.source), link, link.curves)
        await run_client(config, store, ways, boot_id(), log, commands=operator.also)

    async def _policy(self, link: CoreLink, operator: desk.Desk) -> None:
        from bessctl.app.policies import Files, asker, policies  # noqa: PLC0415
        from bessctl.policy.keeper import Outside, run_policy  # noqa: PLC0415

        site, log = self.loaded.site, logging.getLogger("bessctl.policy")
        assert site.policy is not None
        assert site.storage is not None
        config = policies(site, site.policy, site.storage, self.loaded.file.parent)
        files, ask = Files(config), asker(operator.also, time.time_ns)
        await run_policy(config, Outside(link, link.writer(config.source), link.written, files.tables, ask=ask), log, operator.also)

    async def _attached(self) -> CoreLink | None:
        """The link, as soon as a loop answers; None when the end was asked for meanwhile."""
        told = ""
        while not self._end.is_set():
            try:
                return attach(str(self.loaded.run_dir))
            except NotReachable as e:
                if str(e) != told:
                    told = str(e)
                    log.warning("waiting for the loop: %s", e)
            with suppress(TimeoutError):
                async with asyncio.timeout(ATTACH_S):
                    await self._end.wait()
        return None

    def _store(self, name: str = STORE) -> Store:
        try:
            self.loaded.state_dir.mkdir(parents=True, exist_ok=True)
            return Store(self.loaded.state_dir / name)
        except (OSError, sqlite3.Error) as e:
            raise OperationFailed(f"{self.loaded.state_dir}: {e}; the supervisor must be able to write there") from e

    async def _run_parts(self, parts: list[Part]) -> None:
        async with asyncio.TaskGroup() as group:
            clock = Time(time.monotonic, asyncio.sleep)
            tasks = [group.create_task(keep(part, clock, logging.getLogger(f"bessctl.{part.name}")), name=part.name) for part in parts]
            await self._end.wait()
            for task in tasks:
                task.cancel()


def boot_id() -> str:
    """Names this boot of the machine: CLOCK_MONOTONIC means nothing in another one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


async def settle(after_s: float = SETTLED_S) -> None:
    """What stands a minute after the start lives as long as the process: the garbage collector need not look at it any more.

    With 200 links a full look takes a tenth of a second, and every answer waits for it: one look before anybody is connected, none after.
    Once: what is frozen is never freed by it.
    """
    gc.set_threshold(GC_YOUNG)
    gc.collect()
    await asyncio.sleep(after_s)
    gc.freeze()
    await asyncio.Event().wait()


async def tell_events(link: CoreLink, kept: deque[Event] | None = None) -> None:
    """What the loop has to say becomes log lines; a loop that left is told once."""
    events = logging.getLogger("bessctl.loop")
    there, trouble = True, ""
    while True:
        for event in link.events():
            logs.tell(events, event)
            if kept is not None:
                kept.append(event)
        if link.attached != there:
            there = not there
            if there:
                events.info("attached to the loop again")
            else:
                events.error("the loop is gone; waiting for the next one (start it with `bessctl loop` or systemd)")
        if link.trouble != trouble:
            trouble = link.trouble
            if trouble:
                events.warning("not attached: %s", trouble)
        await asyncio.sleep(DRAIN_S)
