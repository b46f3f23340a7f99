"""The other end: a real mosquitto that a test may kill and start again, a cable that may be cut, and a reader that is not our client."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt

PROGRAM = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """Debian's broker on a port of its own. `extra`: lines of its configuration; `acl`: lines of its access list."""

    def __init__(self, folder: Path, *extra: str, acl: tuple[str, ...] = (), anonymous: bool = True) -> None:
        assert PROGRAM, "mosquitto is not installed; `make test` installs it"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        lines = [
            f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(anonymous).lower()}", "user root", "persistence false",
            "log_dest stderr", "log_type all", "connection_messages true", "max_queued_messages 0", *extra,
        ]  # fmt: skip
        if acl:
            (folder / "acl").write_text("\n".join(acl) + "\n")
            (folder / "acl").chmod(0o600)
            lines.append(f"acl_file {folder / 'acl'}")
        self.config = folder / "mosquitto.conf"
        self.config.write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen[str] | None = None
        self.log: list[str] = []

    async def start(self) -> None:
        """Returns once it listens."""
        self.process = await asyncio.to_thread(self._spawn)
        async with asyncio.timeout(20):
            await asyncio.to_thread(self._until, "running")
        self._drain = asyncio.create_task(asyncio.to_thread(self._rest, self.process))

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen([str(PROGRAM), "-c", str(self.config)], stderr=subprocess.PIPE, text=True)

    def _until(self, word: str) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if word in line:
                return
        raise AssertionError(f"mosquitto ended: {self.log}")

    def _rest(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.log.extend(process.stderr)

    async def kill(self) -> None:
        """SIGKILL: what it had not delivered is gone."""
        if self.process is not None:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
            await self._drain
            self.process = None


@asynccontextmanager
async def mosquitto(folder: Path, *extra: str, acl: tuple[str, ...] = (), anonymous: bool = True) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(folder, *extra, acl=acl, anonymous=anonymous)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


class Reader:
    """Subscribes and keeps what comes; waits for a number of different messages."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any, bool]] = []
        self.counts: Counter[str] = Counter()
        self._more = asyncio.Condition()

    async def read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = bytes(message.payload) if message.payload else b""
            value = json.loads(payload) if payload[:1] == b"{" else payload.decode()
            async with self._more:
                self.messages.append((str(message.topic), value, message.retain))
                if isinstance(value, dict) and "timestamp" in value:
                    self.counts[value["timestamp"]] += 1
                self._more.notify_all()

    async def different(self, count: int, within_s: float = 30) -> None:
        async with asyncio.timeout(within_s), self._more:
            await self._more.wait_for(lambda: len(self.counts) >= count)

    async def says(self, topic: str, value: Any, within_s: float = 20) -> None:
        async with asyncio.timeout(within_s), self._more:
            await self._more.wait_for(lambda: any((t, v) == (topic, value) for t, v, _ in self.messages))

    async def counted(self, value: Any, count: int, within_s: float = 20) -> None:
        async with asyncio.timeout(within_s), self._more:
            await self._more.wait_for(lambda: sum(v == value for _, v, _ in self.messages) >= count)

    def on(self, topic: str) -> list[Any]:
        return [v for t, v, _ in self.messages if t == topic]


@asynccontextmanager
async def reader(port: int, *topics: str, into: Reader | None = None, to_the_end: bool = False, **options: Any) -> AsyncIterator[Reader]:
    """A subscriber of its own; ends quietly with its broker. `to_the_end`: reads what a broker that died had already sent
    (at QoS 0: a reader that still acknowledges would stop at the first broken pipe)."""
    keeper = into or Reader()
    client = aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, max_inflight_messages=0, **options)
    async with client:
        for topic in topics or ("#",):
            await client.subscribe(topic, qos=0 if to_the_end else 1)
        task = asyncio.create_task(keeper.read(client))
        try:
            yield keeper
        finally:
            if not to_the_end:
                task.cancel()
            with suppress(asyncio.CancelledError, aiomqtt.MqttError):
                async with asyncio.timeout(20):
                    await task
            if client._disconnected.done() and client._disconnected.exception():
                client._disconnected = asyncio.get_running_loop().create_future()
                client._disconnected.set_result(None)


class Cable:
    """A TCP relay. `cut`: bytes vanish both ways and no end is told, as when a router dies; `mended`: new connections pass."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._cut = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._cut = True

    def snap(self) -> None:
        """Every connection ends at once, without a word."""
        for task in self._tasks:
            task.cancel()

    def mend(self) -> None:
        self._cut = False

    async def _relay(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self._cut:
            near_out.transport.abort()
            return
        try:
            far_in, far_out = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            near_out.transport.abort()
            return
        for source, sink in ((near_in, far_out), (far_in, near_out)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        deaf = False
        try:
            with suppress(OSError):
                while data := await source.read(65536):
                    deaf = deaf or self._cut
                    if not deaf:
                        sink.write(data)
                        await sink.drain()
        finally:
            sink.close()
