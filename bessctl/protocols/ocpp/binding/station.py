"""Entry point for the composition root: all links of the station, beside one another, until cancelled."""

from __future__ import annotations

import asyncio
import logging
from random import Random, SystemRandom

from bessctl.errors import UsageError
from bessctl.model.plan import PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.clock import Clock
from bessctl.protocols.ocpp.binding.desk import Desk
from bessctl.protocols.ocpp.binding.link import Link
from bessctl.protocols.ocpp.config import LinkConfig, StationConfig
from bessctl.protocols.ocpp.messages.dialect import Dialect, dialect
from bessctl.protocols.ocpp.messages.records import Boot
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.store import Store

KEEP_ACCOUNTS_S = 60


async def run_station(  # noqa: PLR0917 - one argument per thing handed in, in the order of the composition root
    config: StationConfig,
    store: Store,
    plans: PlanWriter,
    plant: PlantView,
    clock: Clock,
    log: logging.Logger,
    *,
    rng: Random | None = None,
) -> None:
    """Run every link until cancelled; may be cancelled at any await, like a power cut.

    `store` is open and stays open. Raises UsageError for a configuration no link can be made of, OperationFailed when the store
    cannot keep what must be kept; the caller starts it again.
    """
    store.migrate(tables.NAMESPACE, tables.LADDER)
    ledger = Ledger(tables.load_accounts(store))
    desk = Desk(config, plans, plant, clock, ledger=ledger, log=log)
    identity = Boot(config.vendor, config.model, config.serial, config.firmware)
    chance = rng or SystemRandom()
    links = [Link(c, identity, store, desk, spoken=_spoken(c), rng=chance, log=log) for c in config.links]
    desk.look()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch_plant(config, desk, links, store), name="ocpp plant")
        for link in links:
            tasks.create_task(link.run(), name=f"ocpp {link.config.name}")


def _spoken(link: LinkConfig) -> Dialect:
    try:
        return dialect(link.version[0])
    except ValueError as e:
        raise UsageError(f"ocpp link {link.name}: {e}") from e


async def _watch_plant(config: StationConfig, desk: Desk, links: list[Link], store: Store) -> None:
    kept_ns, moved = desk.clock.now().mono_ns, False
    while True:
        moved |= desk.look()
        for link in links:
            link.plant_moved()
        desk.replan(renew_only=True)
        now = desk.clock.now().mono_ns
        if moved and now - kept_ns >= KEEP_ACCOUNTS_S * NS:
            await store.write(tables.account_statements(desk.ledger.accounts()))
            kept_ns, moved = now, False
        await asyncio.sleep(config.plant_poll_s)
