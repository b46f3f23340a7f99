"""The driver of one broker: measures on its cadence, keeps each measurement on disk, carries the spool to the broker while there is one.

One task measures (online or not), one deletes what was acknowledged, one dials and talks; while it talks one sends and one listens. A store
that cannot keep is told and tried again at the next measurement; a broker that is away costs nothing but the spool's room.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from bessctl.errors import NotReachable, UsageError
from bessctl.protocols.mqtt.binding.desk import Desk
from bessctl.protocols.mqtt.binding.spool import Spool
from bessctl.protocols.mqtt.config import Broker, EnergyValue, MqttConfig, Protocol
from bessctl.protocols.mqtt.messages.discovery import OFFLINE, ONLINE, announcements, sensors
from bessctl.protocols.mqtt.session.backoff import Retry
from bessctl.protocols.mqtt.session.cadence import Cadence
from bessctl.protocols.mqtt.session.orders import Orders
from bessctl.protocols.mqtt.session.outbox import Outbox, Verdict
from bessctl.protocols.mqtt.transport.dial import TAKEN_OVER, Connection, ConnectionLost, OtherVersion, dial
from bessctl.store import Store

NS = 1_000_000_000
STOOD_S = 30.0
TAKEN_OVER_S = 60.0
CLOCK_S = 5.0
GOODBYE_S = 2.0
STANDING = 0
"""The number of retained messages, which are in no spool."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all brokers have in common."""

    config: MqttConfig
    desk: Desk
    store: Store
    rng: Random
    log: logging.Logger


class Publisher:
    """One broker. Supervisor thread; cancel `run` to stop it."""

    def __init__(self, broker: Broker, shared: Shared) -> None:
        self.broker, self._config, self._desk, self._log = broker, shared.config, shared.desk, shared.log
        self.spool = Spool(shared.store, broker.name, broker.capacity(len(shared.config.assets)))
        self.outbox = Outbox(broker.in_flight_max, broker.resume_per_s, broker.ack_timeout_s)
        self._retry = Retry(broker.back_off, shared.rng)
        self._version = Protocol.V5 if broker.protocol is Protocol.AUTO else broker.protocol
        self._orders = Orders(broker.commands) if broker.commands else None
        self._standing: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._settle = asyncio.Event()
        self._told = ""
        self._dropped_told = self.spool.dropped
        self.connected = False

    def status(self) -> dict[str, object]:
        """What an operator asks about it."""
        return {
            "broker": self.broker.name, "connected": self.connected, "protocol": str(self._version), "spooled": len(self.spool),
            "dropped": self.spool.dropped, "refused_reason": self.outbox.refused or None, "disk": self.spool.trouble or "ok",
            "trouble": self._told,
        }  # fmt: skip

    async def run(self) -> None:
        """Ends only by cancellation; what was acknowledged is then deleted."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._measure(), name=f"mqtt {self.broker.name} measure")
                tasks.create_task(self._delete(), name=f"mqtt {self.broker.name} delete")
                tasks.create_task(self._dial_for_ever(), name=f"mqtt {self.broker.name} link")
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self.spool.settle()

    # --- measuring ------------------------------------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        cadence = Cadence(self.broker.interval_s)
        while True:
            utc = self._desk.clock.utc_ns()
            if utc is None:
                self._desk.measure(self.broker)  # says why there is none
                await asyncio.sleep(CLOCK_S)
                continue
            if cadence.due(utc):
                await self.keep(self._desk.measure(self.broker))
            await asyncio.sleep(min(CLOCK_S, cadence.wait_ns(self._desk.clock.utc_ns() or utc) / NS))

    async def keep(self, found: list[tuple[str, bytes]]) -> None:
        """Into the spool, and on its way."""
        before = self.spool.trouble
        await self.spool.put(*found)
        if self.spool.trouble and self.spool.trouble != before:
            self._log.error("mqtt broker %s: measurements wait in memory: %s", self.broker.name, self.spool.trouble)
        elif before and not self.spool.trouble:
            self._log.info("mqtt broker %s: the spool takes measurements again", self.broker.name)
        if self.spool.dropped > self._dropped_told and (before != self.spool.trouble or self.spool.dropped >= 2 * self._dropped_told):
            self._dropped_told = self.spool.dropped
            self._log.error(
                "mqtt broker %s: the spool is full; %d of the oldest messages were dropped so far", self.broker.name, self.spool.dropped
            )
        self._wake.set()

    async def _delete(self) -> None:
        while True:
            await self._settle.wait()
            self._settle.clear()
            await self.spool.settle()

    # --- the connection -------------------------------------------------------------------------------------------------------------------

    async def _dial_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            wait_s = self._outcome_wait_s(await self._dial())
            if loop.time() - began >= STOOD_S:
                self._retry.good()
            await asyncio.sleep(0.0 if wait_s is None else max(wait_s, self._retry.next_s()))

    async def _dial(self) -> NotReachable | UsageError:
        """One connection from its beginning to its end; returns why it ended."""
        try:
            async with dial(self.broker, self._version, self._answered) as connection:
                await self._talk(connection)
        except (NotReachable, UsageError) as e:
            self._tell(str(e))
            return e
        return ConnectionLost(f"mqtt broker {self.broker.name}: connection ended")

    def _outcome_wait_s(self, error: NotReachable | UsageError) -> float | None:
        """How long to wait at least before the next try; None = not at all, the other version is due."""
        if isinstance(error, ConnectionLost) and error.reason == TAKEN_OVER:
            self._log.error("mqtt broker %s: another client uses our client_id %s", self.broker.name, self.broker.client_id)
            return TAKEN_OVER_S
        if self.broker.protocol is not Protocol.AUTO or isinstance(error, ConnectionLost):
            return 0.0
        first, self._version = self._version, Protocol.V5
        if first is Protocol.V5 and isinstance(error, OtherVersion):
            self._version = Protocol.V311
            return None
        return 0.0

    def _tell(self, trouble: str) -> None:
        """Each trouble once, until the connection stands again."""
        if trouble != self._told:
            self._log.warning("%s", trouble)
        self._told = trouble

    async def _talk(self, connection: Connection) -> None:
        self._log.info("mqtt broker %s: connected, MQTT %s, %d messages wait", self.broker.name, connection.version, len(self.spool))
        self.connected, self._told = True, ""
        self.outbox.connected(connection.receive_maximum)
        self._standing = deque(self._announced())
        tasks = [asyncio.create_task(self._listen(connection)), asyncio.create_task(self._send(connection))]
        try:
            if self.broker.commands is not None:
                await self._subscribe(connection, self.broker.commands.topic)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.connected = False
            self.outbox.disconnected()
            with suppress(ConnectionLost):
                if self.broker.availability_topic and not any(t.done() for t in tasks):
                    connection.keep(self.broker.availability_topic, OFFLINE)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _subscribe(self, connection: Connection, topic: str) -> None:
        """At each connect; a broker that refuses it still takes measurements."""
        reason = await connection.subscribe(topic)
        if reason:
            self._log.error("mqtt broker %s: it refuses the subscription to %s (reason %#x): no commands", self.broker.name, topic, reason)

    def _announced(self) -> list[tuple[str, bytes]]:
        """Retained messages at the beginning of a connection."""
        broker, found = self.broker, list[tuple[str, bytes]]()
        if broker.home_assistant is not None and broker.availability_topic is not None:
            kinds = sensors(energy_only_grows=broker.energy_value is not EnergyValue.NET)
            for asset in self._config.assets:
                found += announcements(broker.home_assistant.prefix, asset.name, self._topic(asset.name), broker.availability_topic, kinds)
        if broker.availability_topic is not None:
            found.append((broker.availability_topic, ONLINE))
        return found

    def _topic(self, asset: str) -> str:
        return self.broker.topic.replace("{asset}", asset)

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.messages():
            if self._orders is not None and self.broker.commands is not None and str(message.topic) == self.broker.commands.topic:
                self._desk.command(self.broker, self._orders, bytes(message.payload), message.retain)

    async def _send(self, connection: Connection) -> None:
        while True:
            self._wake.clear()
            now = self._desk.clock.mono_ns()
            if self.outbox.dead(now):
                raise ConnectionLost(f"mqtt broker {self.broker.name}: no PUBACK within {self.broker.ack_timeout_s:g} s")
            more = self._send_some(connection, now)
            wake_ns = self.outbox.wake_ns(self._desk.clock.mono_ns(), more)
            if wake_ns is None:
                await self._wake.wait()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, (wake_ns - self._desk.clock.mono_ns()) / NS)):
                    await self._wake.wait()

    def _send_some(self, connection: Connection, now: int) -> bool:
        """As much as may be sent now; True when more waits."""
        room = self.outbox.room(now)
        while room and self._standing:
            topic, payload = self._standing.popleft()
            self.outbox.sent(connection.keep(topic, payload), STANDING, now)
            room -= 1
        entries = self.spool.after(self.outbox.cursor, room, self.outbox.in_flight) if room else []
        for entry in entries:
            mid = connection.send(self._topic(entry.asset), entry.payload)
            self.outbox.sent(mid, entry.seq, now)
            if self.broker.qos == 0:  # nobody will answer
                self._answered(mid, 0)
        return bool(self._standing) or len(self.spool) > len(self.outbox.in_flight)

    def _answered(self, mid: int, reason: int) -> None:
        refused = self.outbox.refused
        answer = self.outbox.answered(mid, reason, self._desk.clock.mono_ns())
        if answer is None:
            return
        if answer.verdict is Verdict.KEPT and not refused:
            self._log.error("mqtt broker %s: it refuses our messages (reason %#x); they are kept", self.broker.name, reason)
        elif answer.verdict is Verdict.BURIED:
            self._log.error("mqtt broker %s: it refuses the format of message %d; it is dropped", self.broker.name, answer.seq)
        elif refused and not self.outbox.refused:
            self._log.info("mqtt broker %s: it takes our messages again", self.broker.name)
        if answer.verdict is not Verdict.KEPT and answer.seq != STANDING and self.spool.acknowledged(answer.seq):
            self._settle.set()
        self._wake.set()
