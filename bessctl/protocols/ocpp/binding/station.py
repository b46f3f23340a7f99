"""Entry point for the composition root: all links of the station, beside one another, until cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom

from bessctl.errors import OperationFailed, UsageError
from bessctl.model.plan import PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.clock import Clock
from bessctl.protocols.ocpp.binding.desk import Desk
from bessctl.protocols.ocpp.binding.handsocket import serve_hand
from bessctl.protocols.ocpp.binding.keeper import Keeper
from bessctl.protocols.ocpp.binding.link import Link, Shared
from bessctl.protocols.ocpp.binding.pace import Pace
from bessctl.protocols.ocpp.binding.secrets import load as load_secrets
from bessctl.protocols.ocpp.binding.updater import CommandUpdater, FileUpdater, NoUpdater, Updater
from bessctl.protocols.ocpp.binding.workers import LogParts
from bessctl.protocols.ocpp.config import LinkConfig, StationConfig
from bessctl.protocols.ocpp.messages.dialect import dialect
from bessctl.protocols.ocpp.messages.records import Boot
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.store import BatchRefused, Store

KEEP_ACCOUNTS_S = 60
CRASH_S = 5
DAY_NS = 86_400 * NS
FORGET_S = 3600
AT_ONCE = 5
"""Links that step in one turn of the event loop: a RemoteStart waits for one turn, not for hundreds of links."""
RENEWALS = 60
"""How often at least a plan is written again within the shortest of the links' leases, while nothing in it changes but the leases."""


async def run_station(  # noqa: PLR0917 - one argument per thing handed in, in the order of the composition root
    config: StationConfig,
    store: Store,
    plans: PlanWriter,
    plant: PlantView,
    clock: Clock,
    log: logging.Logger,
    *,
    rng: Random | None = None,
    on_hard_reset: Callable[[str], None] | None = None,
    updater: Updater | None = None,
    log_parts: LogParts | None = None,
) -> None:
    """Run every link until cancelled; may be cancelled at any await, like a power cut.

    `store` is open and stays open. `on_hard_reset` is called with a link's name when its owner orders a Hard reset: the supervisor
    then restarts itself. `log_parts` adds to what a link's log holds. Raises UsageError for a configuration no link can be made of,
    OperationFailed when the store cannot keep what must be kept; the caller starts it again.
    """
    store.migrate(tables.NAMESPACE, tables.LADDER)
    desk = Desk(config, plans, plant, clock, ledger=Ledger(tables.load_accounts(store)), log=log)
    folder = config.state_dir or store.path.parent / "ocpp"
    shared = Shared(
        Boot(config.vendor, config.model, config.serial, config.firmware),
        store,
        desk,
        rng or SystemRandom(),
        log,
        load_secrets(folder / "device.key"),
        folder,
        updater or _updater(config, folder / "firmware", clock.boot),
        Keeper(store, desk.ledger),
        Pace(),
        config.logs,
        config.journal,
        log_parts,
        on_hard_reset,
    )
    able = not isinstance(shared.updater, NoUpdater)
    config = replace(config, links=tuple(replace(link, installs_firmware=able) for link in config.links))
    _check_versions(config)
    links = {c.name: Link(c, shared) for c in config.links}
    desk.look()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch_plant(config, desk, links, store), name="ocpp plant")
        if config.hand_socket is not None:
            tasks.create_task(serve_hand(config.hand_socket, links, log), name="ocpp hand")
        for c in config.links:
            tasks.create_task(_keep_running(c, shared, links), name=f"ocpp {c.name}")


def _updater(config: StationConfig, folder: Path, boot: str) -> Updater:
    if config.updater is not None:
        return CommandUpdater(config.updater, folder, boot)
    return FileUpdater(folder) if config.play_updates else NoUpdater()


def _check_versions(config: StationConfig) -> None:
    for link in config.links:
        try:
            for version in link.version:
                dialect(version)
        except ValueError as e:
            raise UsageError(f"ocpp link {link.name}: {e}") from e


async def _keep_running(config: LinkConfig, shared: Shared, links: dict[str, Link]) -> None:
    """A link that crashes by a fault of ours, or wrote what the store can never keep, is built again from the store at once and takes no
    other link down; a store that can keep nothing does."""
    while True:
        task = asyncio.create_task(links[config.name].run(), name=f"ocpp {config.name} run")
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        error = task.exception()
        if error is not None and _of_store(error):
            raise error
        shared.log.error("ocpp link %s crashed, building it again in %d s", config.name, CRASH_S, exc_info=error)
        links[config.name] = Link(config, shared)
        await asyncio.sleep(CRASH_S)


def _of_store(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_of_store(inner) for inner in error.exceptions)
    return isinstance(error, OperationFailed) and not isinstance(error, BatchRefused)


async def _watch_plant(config: StationConfig, desk: Desk, links: dict[str, Link], store: Store) -> None:
    kept_ns, moved, forget_ns = desk.clock.now().mono_ns, False, 0
    mark, renew_ns, shortest_s = desk.mark(), 0, min((link.lease_s for link in config.links), default=0.0)
    while True:
        moved |= desk.look()
        before, mark = mark, desk.mark()
        if desk.clock.now().mono_ns >= renew_ns:
            renew_ns = desk.clock.now().mono_ns + round(max(config.renew_s, shortest_s / RENEWALS) * NS)
            desk.replan(renew_only=True)
        now_s = float("inf") if mark != before else asyncio.get_running_loop().time()
        regranted = desk.ledger.regranted()
        for n, link in enumerate([link for name, link in links.items() if link.look_s <= now_s or name in regranted]):
            link.plant_moved()
            if n % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        now = desk.clock.now().mono_ns
        utc = desk.clock.now().utc_ns
        if utc is not None and now >= forget_ns:
            await store.write(tables.retention_statements(utc, config.retention_days))
            for link in list(links.values()):
                link.expire(utc - round(config.retention_days * DAY_NS))
            forget_ns = now + FORGET_S * NS
        if moved and now - kept_ns >= KEEP_ACCOUNTS_S * NS:
            await store.write(tables.account_statements(desk.ledger.accounts()))
            kept_ns, moved = now, False
        await asyncio.sleep(config.plant_poll_s)
