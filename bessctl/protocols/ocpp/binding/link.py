"""The driver of one link: carries bytes, time and disk between the sans-IO station and the world.

Per step of the station: the plan is written first (it must not wait for an fsync), then everything the step wants kept goes to the
store as one batch, then, when that batch and all before it are on disk, its frames go out, in order; an answer that keeps nothing goes at
once (`outbox`). A batch that fails stops the station: what could not be kept must not be acknowledged.

Two tasks live as long as the link: one dials and talks, one keeps time (samples are taken offline too). Jobs run beside them.

What a CSMS may send is bounded: a message by `max_frame_bytes` (a longer one is answered with an error, the rest of it thrown away as it
comes), its CALLs by `calls_per_s` in the long run. Beyond that nothing is read, the peer's own socket fills up, and the others are served.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from bessctl.errors import BessctlError, NotReachable, UsageError
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.desk import Desk
from bessctl.protocols.ocpp.binding.flow import Flow
from bessctl.protocols.ocpp.binding.keeper import Keeper
from bessctl.protocols.ocpp.binding.outbox import Outbox, Outgoing
from bessctl.protocols.ocpp.binding.pace import Pace
from bessctl.protocols.ocpp.binding.passwords import Passwords
from bessctl.protocols.ocpp.binding.secrets import Secrets
from bessctl.protocols.ocpp.binding.updater import Updater
from bessctl.protocols.ocpp.binding.vault import FileVault
from bessctl.protocols.ocpp.binding.workers import Bench, LogParts, carry_out
from bessctl.protocols.ocpp.config import BackOff, LinkConfig, Role
from bessctl.protocols.ocpp.messages import frames
from bessctl.protocols.ocpp.messages.dialect import SUBPROTOCOLS, Dialect, dialect
from bessctl.protocols.ocpp.messages.records import Boot
from bessctl.protocols.ocpp.session import writes as w
from bessctl.protocols.ocpp.session.backoff import Retry
from bessctl.protocols.ocpp.session.hand import HandOrder
from bessctl.protocols.ocpp.session.jobs import Job
from bessctl.protocols.ocpp.session.network import Endpoint
from bessctl.protocols.ocpp.session.station import Station
from bessctl.protocols.ocpp.transport.dial import UNAUTHORIZED, Connection, ConnectionClosed, NoConnection, dial
from bessctl.protocols.ocpp.transport.tls import client_context
from bessctl.store import Statement, Store

PONG_TIMEOUT_S = 20.0
BUSY_S, IDLE_S = 1.0, 10.0
"""How often a link looks at the plant where nothing else asks for a step: with a transaction or monitors, and without. What all must know
at once (a limit, an alarm, the interlock) makes them look at once."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all links have in common. `on_hard_reset` is told when an owner orders a Hard reset (settled question 5)."""

    identity: Boot
    store: Store
    desk: Desk
    rng: Random
    log: logging.Logger
    secrets: Secrets
    folder: Path
    updater: Updater
    keeper: Keeper
    pace: Pace
    logs: tuple[Path, ...] = ()
    journal: tuple[str, ...] = ()
    log_parts: LogParts | None = None
    on_hard_reset: Callable[[str], None] | None = None


class Link:
    """One CSMS. Supervisor thread; cancel `run` to stop it."""

    def __init__(self, config: LinkConfig, shared: Shared) -> None:
        self.config = config
        self._shared = shared
        self._store, self._desk, self._log = shared.store, shared.desk, shared.log
        self._vault = FileVault(shared.folder / config.name, site=config.tls)
        self._bench = Bench(
            config,
            shared.folder / config.name,
            shared.store,
            shared.updater,
            shared.log,
            shared.logs,
            shared.log_parts,
            shared.journal,
            self._trust,
        )
        self._passwords = Passwords(config)
        self._jobs: set[asyncio.Task[None]] = set()
        self._by_hand = asyncio.Event()
        self._by_hand.set()
        self._connection: Connection | None = None
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self.look_s = 0.0
        """When the station must look at the plant again where nothing asks for it before, on the event loop's clock."""
        self._outbox: Outbox | None = None
        self._last_kept: Future[None] | None = None
        self._restart_due = ""
        self._redial = ""
        self._plant_due = False
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self.station = self._new_station()
        self._retry = Retry(self._back_off, shared.rng)
        self._desk.stations[config.name] = lambda: self.station

    async def run(self) -> None:
        """Dial, talk, dial again. Ends only by cancellation, or by a store that cannot keep."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_time(), name=f"ocpp {self.config.name} time")
                tasks.create_task(self._dial_for_ever(), name=f"ocpp {self.config.name} link")
                await self._broken
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for job in self._jobs:
                job.cancel()

    def plant_moved(self) -> None:
        """The plant is another, or was not looked at for long; this link's own task takes it in, so that its faults stay its own."""
        self._plant_due = True
        self._due.set()

    def expire(self, before_ns: int) -> None:
        """Forget the tokens that were learnt before (OCPP-18)."""
        self.station.tokens.expire(before_ns)
        self._carry_out(self.station.tick(self._desk.clock.now()))

    def hand(self, order: HandOrder) -> str | None:
        """What the hand at the station does; returns why it does nothing."""
        if order.cmd == "connect":
            self._by_hand.set()
            return None
        if order.cmd == "disconnect":
            self._by_hand.clear()
            if self._connection is not None:
                self._hang_up(self._connection)
            return None
        why, output = self.station.by_hand(order, self._desk.clock.now())
        self._carry_out(output)
        return why

    async def kept(self) -> None:
        """Wait until everything that was done so far is on disk."""
        if self._last_kept is not None:
            await asyncio.shield(asyncio.wrap_future(self._last_kept))

    def _trust(self) -> ssl.SSLContext:
        """Whom uploads and downloads trust: whom the link itself does, without its own certificate. Any thread."""
        return client_context(replace(self._vault.tls(self.config.tls), cert_file=None, key_file=None))

    def _back_off(self) -> BackOff:
        return self.station.back_off()

    def _hang_up(self, connection: Connection) -> None:
        closing = asyncio.create_task(connection.close())
        self._jobs.add(closing)
        closing.add_done_callback(self._jobs.discard)

    def _new_station(self) -> Station:
        shared, desk = self._shared, self._desk
        saved = tables.load(self._store, self.config.name, shared.secrets)
        version = saved.state.get("version", self.config.version[0])
        return Station(
            self.config,
            shared.identity,
            saved,
            ledger=desk.ledger,
            rng=shared.rng,
            boot=desk.clock.boot,
            spoken=dialect(version if version in self.config.version else self.config.version[0]),
            digest=shared.secrets.digest,
            vault=self._vault,
        )

    async def _keep_time(self) -> None:
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            wake_ns, now = self.station.wake_ns(), self._desk.clock.now()
            if self._plant_due:
                self._plant_due = False
                self._carry_out(self.station.plant(self._desk.reading, now))
            elif wake_ns is not None and wake_ns <= now.mono_ns:
                self.station.see(self._desk.reading)
                self._carry_out(self.station.tick(now))
            else:
                self._arm()

    def _arm(self) -> None:
        """Wake at the station's next instant. A timer that stands rings no later than that, and looks again."""
        wake_ns = self.station.wake_ns()
        if wake_ns is None or (self._timer is not None and self._timer_ns <= wake_ns):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = wake_ns
        self._timer = self._loop.call_later(max(0.0, (wake_ns - self._desk.clock.now().mono_ns) / 1e9), self._rang)

    def _rang(self) -> None:
        self._timer = None
        self._due.set()

    async def _dial_for_ever(self) -> None:
        while True:
            await self._by_hand.wait()
            await asyncio.sleep(self._shared.pace.wait_s(self._loop.time()))
            endpoint = self.station.network.endpoint()
            try:
                await self._dial(endpoint)
            except (NotReachable, UsageError) as e:
                self._log.warning("%s", e)
                event = e.event if isinstance(e, NoConnection) else ""
                if event == UNAUTHORIZED:
                    self._passwords.refused()
                self._carry_out(self.station.dial_failed(endpoint, self._desk.clock.now(), event, str(e)[:200]))
            if self._restart_due:
                await self._restart()
            elif self._redial:
                self._log.info("ocpp link %s: dialling again: %s", self.config.name, self._redial)
                self._redial = ""
            else:
                wait_s = self._retry.next_s()
                self._log.info("ocpp link %s: dialling again in %.1f s", self.config.name, wait_s)
                await asyncio.sleep(wait_s)

    async def _dial(self, endpoint: Endpoint) -> None:
        """One connection, from its dialling to its end. A station with open transactions offers their version alone."""
        versions = (endpoint.version,) if endpoint.version else self.config.version
        if self.station.bound:
            versions = (self.station.spoken.traits.version,)
        offered = tuple(dialect(version).subprotocol for version in versions)
        tls = self._vault.tls(self.config.tls)
        async with dial(self._passwords.link(), offered, url=endpoint.url, tls=tls) as connection:
            spoken = dialect(SUBPROTOCOLS[str(connection.subprotocol)])
            self._log.info("ocpp link %s: connected, OCPP %s", self.config.name, spoken.traits.version)
            self._connection = connection
            try:
                await self._talk(connection, spoken, endpoint)
            finally:
                self._connection = None
            self._log.info("ocpp link %s: closed by the peer (%s)", self.config.name, connection.close_code)

    async def _restart(self) -> None:
        self._log.warning("ocpp link %s: the station restarts (%s reset)", self.config.name, self._restart_due)
        await self._store.write(())
        hook = self._shared.on_hard_reset
        if self._restart_due == "hard" and self.config.role is Role.OWNER and hook is not None:
            hook(self.config.name)
        self._restart_due = self._redial = ""
        self.station = self._new_station()
        self._due.set()
        self._desk.replan()

    async def _talk(self, connection: Connection, spoken: Dialect, endpoint: Endpoint) -> None:
        self._outbox = Outbox(connection)
        helpers = [asyncio.create_task(self._outbox.run()), asyncio.create_task(self._ping(connection))]
        reader = asyncio.create_task(self._receive(connection))
        try:
            self._carry_out(self.station.connected(self._desk.clock.now(), self._desk.reading, spoken, endpoint))
            await asyncio.wait([reader, *helpers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._outbox = None
            everyone = [reader, *helpers]
            for task in everyone:
                task.cancel()
            outcomes = await asyncio.gather(*everyone, return_exceptions=True)
            self._carry_out(self.station.disconnected(self._desk.clock.now()))
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                raise outcome

    async def _receive(self, connection: Connection) -> None:
        flow = Flow(self.config.calls_per_s)
        while True:
            message = await connection.recv(decode=False)
            self.station.see(self._desk.reading)
            output = self.station.received(message, self._desk.clock.now())
            self._carry_out(output, heard=True)
            if output.good:
                self._good()
            if output.charge:
                pause_s = flow.pause_s(self._loop.time(), output.charge, rushed=connection.more)
                if pause_s:
                    await asyncio.sleep(pause_s)

    def _good(self) -> None:
        """A CSMS that accepted us was heard on this connection."""
        self._retry.good()
        decided = self._passwords.good()
        if decided:
            self._log.warning("ocpp link %s: %s", self.config.name, decided)

    async def _ping(self, connection: Connection) -> None:
        while True:
            interval = self.station.ping_interval_s
            await asyncio.sleep(interval or PONG_TIMEOUT_S)
            if not interval:
                continue
            pong = await connection.ping()
            try:
                async with asyncio.timeout(PONG_TIMEOUT_S):
                    await pong
            except TimeoutError:
                if connection.held_up:  # the pong may wait behind what we do not read yet
                    continue
                self._log.warning("ocpp link %s: no pong within %.0f s, closing", self.config.name, PONG_TIMEOUT_S)
                return
            output = self.station.pong(self._desk.clock.now())
            self._carry_out(output)
            if output.good:
                self._good()

    def _carry_out(self, output: w.Output, *, heard: bool = False) -> None:
        """Plan, disk, wire. `heard`: the step took one message of the peer, so that its answers acknowledge what it wrote itself."""
        if output.whole:
            self.look_s = self._loop.time() + (BUSY_S if self.station.busy else IDLE_S)
        if output.plan_changed:
            self._desk.replan(self.config.name)
        kept = self._keep(output.writes)
        self._last_kept = kept or self._last_kept
        self._restart_due = output.restart or self._restart_due
        self._redial = output.redial or self._redial
        if self._outbox is not None and (output.frames or output.restart or output.redial):
            acknowledges = not heard or any(not isinstance(write, w.Audit) for write in output.writes)
            self._line_up(self._outbox, output, self._last_kept if acknowledges else None)
        for job in output.jobs:
            task = asyncio.create_task(self._work(job), name=f"ocpp {self.config.name} {type(job).__name__}")
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)
        self._arm()

    def _line_up(self, outbox: Outbox, output: w.Output, answers_wait: Future[None] | None) -> None:
        answers = tuple(text for text in output.frames if not frames.is_call(text))
        calls = tuple(text for text in output.frames if frames.is_call(text))
        hang_up = bool(output.restart or output.redial)
        if answers:
            outbox.put(Outgoing(answers_wait, answers, answers=True))
        if calls or hang_up:
            outbox.put(Outgoing(self._last_kept, calls, hang_up=hang_up))

    async def _work(self, job: Job) -> None:
        done = await carry_out(job, self._bench)
        self._carry_out(self.station.job_done(done, self._desk.clock.now()))

    def _keep(self, writes: list[w.Write]) -> Future[None] | None:
        statements: list[Statement] = []
        for write in writes:
            statements += (
                self._audit(write) if isinstance(write, w.Audit) else tables.statements(write, self.config.name, self._shared.secrets)
            )
        if not statements:
            return None
        energy = any(isinstance(write, (w.Enqueue, w.PutTx)) for write in writes)
        return self._shared.keeper.keep(statements, self._kept, energy=energy)

    def _audit(self, audit: w.Audit) -> list[Statement]:
        now = self._desk.clock.now()
        where = "" if audit.connector is None else f" connector {audit.connector}"
        self._log.log(audit.level, "ocpp link %s%s: %s: %s", self.config.name, where, audit.kind, audit.detail)
        return tables.audit_statements(self.config.name, audit, now.utc_ns, now.mono_ns)

    def _kept(self, error: BaseException | None) -> None:
        if error is None:
            if self._outbox is not None:
                self._outbox.wake()
        elif not self._broken.done():
            self._broken.set_exception(error if isinstance(error, BessctlError) else RuntimeError(str(error)))
