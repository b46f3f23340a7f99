"""The driver: carries requests, time and disk between the sans-IO sessions and the world.

A request is applied, the plan is written (it must not wait for an fsync), what it changed goes to the store, and only then it is answered;
messages that follow from it go out after the answer. One task per peer sends and keeps its time: a slow peer has nobody behind it.
A store that cannot keep what it must stops the provider: what could not be kept is not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from bessctl.errors import OperationFailed
from bessctl.model.plan import PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.oscp.binding import tables
from bessctl.protocols.oscp.binding.commands import Commands
from bessctl.protocols.oscp.binding.desk import Clock, Desk
from bessctl.protocols.oscp.config import PeerConfig, ProviderConfig
from bessctl.protocols.oscp.messages import headers as heads
from bessctl.protocols.oscp.messages.answers import Answer
from bessctl.protocols.oscp.messages.headers import Headers
from bessctl.protocols.oscp.session import tokens
from bessctl.protocols.oscp.session.outbox import Message
from bessctl.protocols.oscp.session.peer import Peer, Request
from bessctl.protocols.oscp.session.provider import Provider
from bessctl.protocols.oscp.session.segments import split
from bessctl.protocols.oscp.transport.client import Client
from bessctl.protocols.oscp.transport.server import ENDPOINTS, Listener
from bessctl.protocols.oscp.transport.tls import client_context, server_context
from bessctl.store import Store

SHORTEST_S = 0.01
LONGEST_S = 3600.0


class Line:
    """What belongs to one peer at run time: its session, its task's alarm clock, the gate of FR.01, what waits for the disk."""

    def __init__(self, peer: Peer, desk: Desk, store: Store) -> None:
        self.peer, self._desk, self._store = peer, desk, store
        self.wake = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._kept: Future[None] | None = None

    async def ready(self) -> None:
        """Until no request of the peer is unanswered (OSCP 2.0 1.8 FR.01)."""
        await self._free.wait()

    def began(self) -> bool:
        """A request is being read."""
        self._free.clear()
        return self.peer.arrived(self._desk.clock.now())

    def answered(self) -> None:
        """Its response is on the wire."""
        self.peer.answered()
        if self.peer.free:
            self._free.set()
        self.wake.set()

    def settle(self) -> None:
        """After each call of the session: plans, other peers, disk, log."""
        common = self.peer.common
        for name in self._desk.provider.settle():
            self._desk.wake(name)
        if common.moved:
            common.moved = False
            self._desk.replan(self._desk.sources(self.peer))
        for level, text in common.notes:
            self._desk.log.log(level, "%s", text)
        common.notes.clear()
        if common.writes:
            self._kept = self._store.submit([s for write in common.writes for s in tables.statements(write, self.peer.config.name)])
            common.writes.clear()

    def woken(self) -> None:
        """Have the task look again."""
        self.wake.set()

    async def kept(self) -> None:
        """Until all of it is on disk. Raises OperationFailed when it never will be."""
        while (kept := self._kept) is not None:
            await asyncio.shield(asyncio.wrap_future(kept))
            if kept is self._kept:
                self._kept = None


class Visit:
    """One request of one peer, as the listener sees it."""

    def __init__(self, line: Line, kind: tokens.Kind, desk: Desk) -> None:
        self._line, self._kind, self._desk = line, kind, desk
        self._admitted = line.began()

    def admitted(self) -> bool:
        return self._admitted

    async def receive(self, endpoint: str, method: str, headers: Headers, body: bytes) -> Answer:
        answer = self._line.peer.receive(Request(endpoint, method, headers, body, self._kind), self._desk.clock.now())
        self._line.settle()
        try:
            await self._line.kept()
        except OperationFailed as e:
            self._desk.log.error("%s: %s", self._line.peer.config.name, e)
            return Answer(503, "this could not be stored; send it again")
        return answer

    def answered(self) -> None:
        self._line.answered()


class Doorkeeper:
    """The listener's way to the sessions."""

    def __init__(self, lines: Mapping[str, Line], desk: Desk) -> None:
        self._lines, self._desk = lines, desk
        self._paths = {peer.quirks.acknowledge_path: "handshake_acknowledge" for peer in desk.config.peers}

    def endpoint(self, path: str) -> str:
        return path if path in ENDPOINTS else self._paths.get(path, "")

    def guest(self, token: str) -> Visit | None:
        found = self._desk.provider.find(token)
        return None if found is None else Visit(self._lines[found[0].config.name], found[1], self._desk)


class Sender:
    """One peer's task: keeps its time and sends what is due."""

    def __init__(self, line: Line, desk: Desk, client: Client) -> None:
        self._line, self._desk, self._client = line, desk, client

    async def run(self) -> None:
        """Until cancelled. Raises OperationFailed when the store cannot keep."""
        peer, clock = self._line.peer, self._desk.clock
        while True:
            self._line.wake.clear()
            peer.tick(clock.now())
            self._line.settle()
            await self._line.kept()
            message = peer.outgoing(clock.now())
            if message is not None:
                status = await self._send(message)
                peer.delivered(message, status, clock.now())
                continue
            await self._sleep()

    async def _sleep(self) -> None:
        left_s = (self._line.peer.wake_ns() - self._desk.clock.now().mono_ns) / 1e9
        try:
            async with asyncio.timeout(min(LONGEST_S, max(SHORTEST_S, left_s))):
                await self._line.wake.wait()
        except TimeoutError:
            return

    async def _send(self, message: Message) -> int | None:
        """All segments of a message; the status of the first that is not 204."""
        peer, record = self._line.peer, self._line.peer.common.record
        url = f"{message.base_url or record.base_url}/{peer.path(message)}"
        correlated = peer.config.quirks.correlation
        first = Headers(message.request_id, message.correlation_id if correlated else None)
        count = iter(range(2, 100))
        parts = split(message.body, peer.segment_bytes, first, lambda: f"{message.request_id}-{next(count)}", correlated=correlated)
        for head, body in parts:
            reply = await self._client.send(message.method, url, heads.write(message.token or record.token, head), body)
            if reply.status != 204:
                self._desk.log.warning("%s: %s %s: %s %s", peer.config.name, message.method, peer.path(message), reply.status, reply.text)
                return reply.status
        return 204


async def run_provider(  # noqa: PLR0917 - one argument per thing handed in, in the order of the composition root
    config: ProviderConfig,
    store: Store,
    writers: Mapping[str, PlanWriter],
    plant: PlantView,
    clock: Clock,
    log: logging.Logger,
    *,
    random_bytes: Callable[[int], bytes] = os.urandom,
    commands: MutableMapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
    started: Callable[[Desk, Mapping[str, Line], int], None] | None = None,
) -> None:
    """Serve and talk to all peers until cancelled; may be cancelled at any await, like a power cut.

    `writers`: one per slot that a group names. `commands`: where the operator's socket finds its "oscp". `started` is called once the
    listener is there, with its port. Raises UsageError for what only another configuration helps, OperationFailed when port or store
    fail; the caller starts it again.
    """
    context = server_context(config.listen.cert_file, config.listen.key_file)
    store.migrate(tables.NAMESPACE, tables.LADDER)
    saved = {peer.name: tables.load(store, peer.name) for peer in config.peers}
    provider = Provider(config, saved, clock.now(), random_bytes)
    desk = Desk(config, provider, writers, plant, clock, log)
    lines = {name: Line(peer, desk, store) for name, peer in provider.peers.items()}
    desk.wake = lambda name: lines[name].wake.set()
    desk.look()
    async with Listener(Doorkeeper(lines, desk), config.base_url, config.listen.host, config.listen.port, context) as listener:
        if commands is not None:
            commands["oscp"] = Commands(desk, lines).answer
        if started is not None:
            started(desk, lines, listener.port)
        try:
            await _run(config, desk, lines)
        finally:
            if commands is not None:
                commands.pop("oscp", None)


async def _run(config: ProviderConfig, desk: Desk, lines: Mapping[str, Line]) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch(config, desk, lines), name="oscp plant")
        for peer in config.peers:
            tasks.create_task(_talk(peer, lines[peer.name], desk), name=f"oscp {peer.name}")


async def _talk(config: PeerConfig, line: Line, desk: Desk) -> None:
    async with Client(partial(client_context, config.ca_file), line.ready, config.request_timeout_s) as client:
        if why := client.open():
            desk.log.error("%s: %s; nothing can be sent to it until that is mended", config.name, why)
        await Sender(line, desk, client).run()


async def _watch(config: ProviderConfig, desk: Desk, lines: Mapping[str, Line]) -> None:
    while True:
        desk.look()
        desk.observe()
        for line in lines.values():
            line.settle()
            if line.peer.wake_ns() <= desk.clock.now().mono_ns or line.peer.metering.waiting:
                line.woken()
        await asyncio.sleep(config.look_s)
