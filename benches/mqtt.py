"""100 000 messages through spool and broker with two outages: none lost; then what a day at one a minute writes to the disk (flash wear).

A real mosquitto is killed twice on the way and started again. The reader is not our client: it subscribes before anything is sent, counts
different timestamps. `spooled`: messages that were on disk at the fullest moment. Written bytes are what the kernel counts for this process
(write_bytes of /proc/self/io); what the file system adds for its own journal is not among them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benches.measure import Calm, machine, steal_s
from bessctl.store import Store
from tests.protocols.mqtt.broker import Cable, Mosquitto, Reader, reader
from tests.protocols.mqtt.harness import Rig, broker, message

RATE_PER_S = 100_000.0
DAY = 1440


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--minutes", type=int, default=DAY, help="of the day whose writing is measured")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured; absent: the working directory's")


async def deliver(folder: Path, messages: int) -> dict[str, Any]:
    """Spool everything, then carry it over two outages."""
    server, into = Mosquitto(folder / "broker"), Reader()
    await server.start()
    store = Store(folder / "spool.db")
    async with Cable(server.port) as cable:
        cable.cut()
        rig = Rig(store, broker(cable.port, in_flight_max=200, resume_per_s=RATE_PER_S))
        await rig.keep(range(messages), at_once=1000)
        spooled = len(rig.publisher.spool)
        task = asyncio.create_task(rig.publisher.run())
        began, steal = time.perf_counter(), steal_s()
        for part in (messages // 3, 2 * messages // 3, messages):
            async with reader(server.port, into=into, to_the_end=part < messages):
                cable.mend()
                await into.different(part, within_s=1800)
                if part < messages:
                    await server.kill()
            if part < messages:
                cable.cut()
                await server.start()
        took = time.perf_counter() - began
        await rig.empty(within_s=60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await server.kill()
    store.close()
    received = sum(into.counts.values())
    return {
        "spooled": spooled, "lost": messages - len(into.counts), "duplicates": received - len(into.counts),
        "messages_per_s": round(messages / took), "took_s": round(took, 1), "stolen_s": round(steal_s() - steal, 2),
    }  # fmt: skip


async def write_a_day(folder: Path, minutes: int) -> int:
    """Bytes written for a day in which every message is acknowledged before the next: the usual day."""
    store = Store(folder / "day.db", group_s=0.0)
    rig = Rig(store, broker(1))
    before = written_bytes()
    for minute in range(minutes):
        await rig.publisher.spool.put(message(minute))
        for entry in rig.publisher.spool.after(0, 10, frozenset()):
            rig.publisher.spool.acknowledged(entry.seq)
    await rig.publisher.spool.settle()
    store.close()
    os.sync()
    return round((written_bytes() - before) * DAY / minutes)


def written_bytes() -> int:
    """What this process caused to be written to disks."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def run(options: argparse.Namespace) -> dict[str, Any]:
    root = options.folder or Path("build/benches")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as name, Calm() as calm:
        delivered = asyncio.run(deliver(Path(name), options.messages))
        per_day = asyncio.run(write_a_day(Path(name), options.minutes))
    return {
        "bench": "mqtt", "machine": machine(), "judged": True, "calm": calm.calm, "messages": options.messages, "outages": 2, **delivered,
        "bytes_per_day": per_day, "payload_bytes": len(message(0)[1]),
    }  # fmt: skip


def text(result: dict[str, Any]) -> str:
    return (
        f"mqtt, {result['messages']} messages, {result['outages']} outages\n"
        f"  spooled {result['spooled']}, lost {result['lost']}, sent twice {result['duplicates']}\n"
        f"  {result['messages_per_s']} messages/s, outages included ({result['took_s']} s)\n"
        f"  one message a minute of {result['payload_bytes']} bytes writes {result['bytes_per_day'] / 1e6:.1f} MB a day"
    )


def picture(result: dict[str, Any], path: Path) -> None:
    from benches.pictures import bars

    day = {"payload": result["payload_bytes"] * DAY / 1e6, "written": result["bytes_per_day"] / 1e6}
    bars(path, "mqtt", "MB a day", {"flash wear": day})
