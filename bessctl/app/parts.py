"""Keeps the supervisor's parts running: one that crashes starts again after a while, and takes no other down.

Rules. The back-off doubles from FIRST_S to LONGEST_S and is forgotten once a part ran for HEALTHY_S. A part that ends by itself is done.
One that says the configuration is wrong (UsageError) is not started again: only another configuration helps. Cancelling the keeper
cancels the part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bessctl.errors import BessctlError, UsageError

FIRST_S = 1.0
LONGEST_S = 60.0
HEALTHY_S = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs until it is cancelled."""

    name: str
    start: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Time:
    """What a keeper needs of time; tests hand in their own."""

    now_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


async def keep(part: Part, time: Time, log: logging.Logger) -> None:
    """Run a part, again and again."""
    pause_s = FIRST_S
    while True:
        began_s = time.now_s()
        error = cause(await outcome(part))
        if error is None:
            log.info("%s ended", part.name)
            return
        if isinstance(error, UsageError):
            log.error("%s cannot run with this configuration and stays down: %s", part.name, error)
            return
        if time.now_s() - began_s >= HEALTHY_S:
            pause_s = FIRST_S
        known = isinstance(error, BessctlError)
        log.error("%s failed and starts again in %g s: %s", part.name, pause_s, told(error), exc_info=None if known else error)
        await time.sleep(pause_s)
        pause_s = min(LONGEST_S, 2 * pause_s)


async def outcome(part: Part) -> BaseException | None:
    """How a part ended: None = by itself. Cancelled with its keeper."""

    async def started() -> None:
        await part.start()

    task = asyncio.ensure_future(started())
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def cause(error: BaseException | None) -> BaseException | None:
    """A group of one is that one: only its tasks were grouped, not what went wrong."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def told(error: BaseException) -> str:
    """A failure in one line; of a group the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, BessctlError) else f"{type(error).__name__}: {error}"
