"""Entry point for the composition root: carries requests, time, disk and the plant between the sans-IO client and the world.

Order of each turn: what must survive goes to disk (draws, owed responses), then the plan is written, then messages go out. Requests go one
after another; while one waits for its answer, time still passes: events are in the loop already, samples are taken by a task of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random, SystemRandom
from time import monotonic_ns
from typing import Any

from bessctl.errors import NotReachable, PlanRefused, UsageError
from bessctl.model.curve import Curves, CurveWriter, EnterService
from bessctl.model.plan import Plan, PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.sep2.binding import tables
from bessctl.protocols.sep2.binding.commands import answer, status
from bessctl.protocols.sep2.binding.curves import curves_of
from bessctl.protocols.sep2.binding.plans import Planner, Site, same
from bessctl.protocols.sep2.binding.readings import reading_of
from bessctl.protocols.sep2.binding.service import service_of
from bessctl.protocols.sep2.config import Sep2Config
from bessctl.protocols.sep2.messages.identity import Identity
from bessctl.protocols.sep2.session import curves as shelves
from bessctl.protocols.sep2.session.client import Client
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.discovery import Gate
from bessctl.protocols.sep2.session.engine import Schedule
from bessctl.protocols.sep2.session.settings import Settings
from bessctl.protocols.sep2.transport.http import Http
from bessctl.protocols.sep2.transport.tls import identity_of, own_faults
from bessctl.store import Statement, Store

STATUS_S = 10


def settings_of(config: Sep2Config) -> Settings:
    """The session's part of the configuration. Raises UsageError."""
    if config.tls.cert_file is None:
        raise UsageError("sep2: cert_file names our certificate: without it we are nobody to the server")
    identity: Identity = identity_of(config.tls.cert_file)
    return Settings(
        url=config.url, profile=config.profile, identity=identity, ratings=config.ratings, points=config.points, supported=config.supported,
        enabled=config.enabled, curve_points=config.curves, enter_service=config.enter_service, pin=config.pin, pen=config.pen,
        der_index=config.der_index, redirect_hosts=config.redirect_hosts,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ways:
    """To the plant and from it. Without `curves` no curve is ever written."""

    plans: PlanWriter
    plant: PlantView
    curves: CurveWriter | None = None


class Desk:
    """The client's way to disk and plant. Supervisor thread."""

    def __init__(self, config: Sep2Config, store: Store, ways: Ways, *, boot: str, log: logging.Logger) -> None:
        self._config, self._store, self._plans, self._plant, self._boot, self._log = config, store, ways.plans, ways.plant, boot, log
        self._curves = ways.curves
        self._curves_written: tuple[Curves, EnterService | None] | None = None
        self._curve_notes: tuple[str, ...] = ()
        self._planner = Planner(Site(config.ratings, config.local, config.pv_max_w, config.load_max_w))
        self._written: Plan | None = None
        self._refused = ""
        self._status_ns = 0
        self._said: set[tuple[str, int]] = set()

    def restore(self, client: Client, now_ns: int) -> None:
        """What was kept before a restart."""
        state = tables.load_state(self._store)
        kept = state.get("clock", {})
        if kept.get("boot") == self._boot:
            client.clock.restore(kept["offset_ns"])
        client.engine.restore(tables.load_events(self._store))
        shelves.restore(client.shelf, state.get("curves", {}))
        client.flows.used_wh = dict(state.get("flows", {}))
        owed, self._said = tables.load_responses(self._store)
        for said in owed:
            client.respond(said, now_ns)

    def look(self, client: Client, now_ns: int) -> None:
        """Read the plant and let the client live up to now."""
        snapshot = self._plant.snapshot()
        client.tick(None if snapshot is None else reading_of(snapshot, self._config.source), now_ns)

    async def settle(self, client: Client, now_ns: int) -> None:
        """Keep, plan, and say what happened."""
        changes = client.take_changes()
        for note in changes.notes:
            self._log.warning("sep2: %s", note)
        statements: list[Statement] = tables.event_statements(client.engine.runs, changes.events)
        fresh = [said for said in changes.responses if (said.mrid, said.status) not in self._said]
        for said in changes.responses:
            if said not in fresh:
                client.outbox.take(("response", f"{said.mrid}/{said.status}"))
        self._said |= {(said.mrid, said.status) for said in fresh}
        statements += tables.owe_statements(fresh)
        server_s = client.clock.server_s(now_ns) if client.clock.known else 0.0
        statements += tables.done_statements(changes.responses_done, server_s)
        if changes.clock:
            statements.append(tables.state_statement("clock", {"boot": self._boot, "offset_ns": client.clock.offset_ns}))
        if changes.curves:
            statements.append(tables.state_statement("curves", shelves.kept(client.shelf)))
        if now_ns - self._status_ns >= STATUS_S * NS or changes.notes:
            self._status_ns = now_ns
            client.flows.forget(client.engine.runs)
            statements.append(tables.state_statement("status", status(client, now_ns)))
            statements.append(tables.state_statement("flows", client.flows.used_wh))
        if statements:
            await self._store.write(statements)
        self._replan(client, now_ns, changed=changes.schedule)

    def _replan(self, client: Client, now_ns: int, *, changed: bool) -> None:
        """Write the plan if it says something new, or if its lease moved on by renew_s."""
        if client.evidence_ns is None and client.discovery.gate is not Gate.PIN_WRONG:
            return  # what the slot holds from before a restart stays until the utility is heard (design R7)
        evidence_ns = client.evidence_ns or now_ns
        lease_ns = max(evidence_ns + round(self._config.lease_s * NS), now_ns + NS)
        moved = self._written is None or lease_ns - self._written.lease_until_ns >= self._config.renew_s * NS
        if not (changed or moved or self._refused):
            return
        schedule = client.schedule(now_ns)
        if schedule is None:
            return
        mono: Callable[[float], int] = client.clock.mono_ns if client.clock.known else lambda _: 0
        self._replan_curves(client, schedule, mono, now_ns)
        plan = self._planner.plan(schedule, mono, now_ns, lease_ns)
        if self._written is not None and same(plan, self._written, now_ns) and not moved and not self._refused:
            return
        self._write(plan)

    def _replan_curves(self, client: Client, schedule: Schedule, mono: Callable[[float], int], now_ns: int) -> None:
        """Write curves and enter service if they say something new."""
        if self._curves is None:
            return
        curves, notes = curves_of(schedule, client.shelf, mono, now_ns)
        if notes != self._curve_notes:
            self._curve_notes = notes
            for note in notes:
                self._log.warning("sep2: %s", note)
        service = service_of(client.service) if client.discovery.gate is not Gate.PIN_WRONG else None
        if (curves, service) == self._curves_written:
            return
        try:
            self._curves.write(curves, service)
        except (PlanRefused, NotReachable) as e:
            self._log.error("sep2: the curves were not taken: %s", e)
            return
        self._curves_written = curves, service

    def _write(self, plan: Plan) -> None:
        try:
            serial = self._plans.write(plan)
        except (PlanRefused, NotReachable) as e:
            if str(e) != self._refused:
                self._log.error("sep2: slot %s did not take the plan: %s", self._config.source, e)
            self._refused = str(e)
            return
        self._refused = ""
        self._written = plan
        self._log.debug("sep2: plan %d: %d blocks", serial, len(plan.blocks))


async def run_client(
    config: Sep2Config,
    store: Store,
    ways: Ways,
    boot: str,
    log: logging.Logger,
    *,
    rng: Random | None = None,
    commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
) -> None:
    """Run until cancelled; may be cancelled at any await, like a power cut.

    `boot` names this boot of the machine. `commands`: where `sep2` is answered while we run (`bessctl sep2 status|events`).

    Raises UsageError for certificates or ciphers that only a person can change, OperationFailed when the store cannot keep.
    """
    assert config.tls.cert_file is not None
    settings = settings_of(config)
    for fault in own_faults(config.tls.cert_file):
        log.warning("sep2: %s", fault)
    store.migrate(tables.NAMESPACE, tables.LADDER)
    client = Client(settings, rng or SystemRandom())
    desk = Desk(config, store, ways, boot=boot, log=log)
    desk.restore(client, monotonic_ns())
    log.info("sep2: %s, LFDI %s, SFDI %012d, profile %s", config.url, settings.identity.lfdi, settings.identity.sfdi, settings.profile.name)
    wake = asyncio.Event()
    commands = {} if commands is None else commands
    commands["sep2"] = partial(answer, client)
    try:
        async with Http(config) as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(_keep_time(client, desk, config, wake), name="sep2 time")
            tasks.create_task(_converse(client, desk, http, wake), name="sep2 server")
    finally:
        commands.pop("sep2", None)


async def _keep_time(client: Client, desk: Desk, config: Sep2Config, wake: asyncio.Event) -> None:
    """Looks at the plant, at its own pace and whenever something of the client's is due."""
    while True:
        now_ns = monotonic_ns()
        desk.look(client, now_ns)
        await desk.settle(client, monotonic_ns())
        wake.set()
        due_s = (client.wake_ns(now_ns) - monotonic_ns()) / NS
        await asyncio.sleep(min(config.plant_poll_s, max(0.01, due_s)) if due_s > 0 else config.plant_poll_s)


async def _converse(client: Client, desk: Desk, http: Http, wake: asyncio.Event) -> None:
    """One request after another."""
    while True:
        request = client.request(monotonic_ns())
        if request is None:
            wake.clear()
            due_s = (client.wake_ns(monotonic_ns()) - monotonic_ns()) / NS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.005, due_s)):
                    await wake.wait()
            continue
        while request is not None:
            reply = await http.ask(request)
            request = client.answered(request, reply, monotonic_ns())
        await desk.settle(client, monotonic_ns())
