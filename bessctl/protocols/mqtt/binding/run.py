"""Entry point for the composition root: all brokers beside one another, until cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random, SystemRandom
from typing import Any

from bessctl.model.plan import PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.mqtt.binding.clock import Clock
from bessctl.protocols.mqtt.binding.desk import Desk
from bessctl.protocols.mqtt.binding.publisher import Publisher, Shared
from bessctl.protocols.mqtt.config import MqttConfig
from bessctl.store import Store

CRASH_S = 5.0


async def run_mqtt(  # noqa: PLR0917 - one argument per thing handed in, in the order of the composition root
    config: MqttConfig,
    store: Store,
    plant: PlantView,
    writer: Callable[[str], PlanWriter],
    clock: Clock,
    log: logging.Logger,
    *,
    rng: Random | None = None,
    commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
) -> None:
    """Publish to every broker until cancelled. `commands` gets "mqtt", which says how the brokers are.

    `store` is open and stays open. Raises OperationFailed when the spool's tables cannot be made; the caller starts it again.
    """
    desk = Desk(config, plant, writer, clock, log)
    shared = Shared(config, desk, store, rng or SystemRandom(), log)
    publishers = {broker.name: Publisher(broker, shared) for broker in config.brokers}
    if commands is not None:
        commands["mqtt"] = lambda _: {"brokers": [publisher.status() for publisher in publishers.values()]}
    async with asyncio.TaskGroup() as tasks:
        for name in publishers:
            tasks.create_task(_keep_running(name, publishers, shared), name=f"mqtt {name}")


async def _keep_running(name: str, publishers: dict[str, Publisher], shared: Shared) -> None:
    """A broker's publisher that crashes by a fault of ours begins anew and takes no other down."""
    while True:
        task = asyncio.create_task(publishers[name].run(), name=f"mqtt {name} run")
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        shared.log.error("mqtt broker %s crashed, beginning anew in %g s", name, CRASH_S, exc_info=task.exception())
        await asyncio.sleep(CRASH_S)
        publishers[name] = Publisher(publishers[name].broker, shared)
