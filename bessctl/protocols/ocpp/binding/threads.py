"""Blocking work beside the event loop, in daemon threads: a server that crawls or a board that thinks for an hour delays neither the event
loop's end nor the process's, as the threads of an executor would."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

AT_ONCE = 16
_turns = threading.BoundedSemaphore(AT_ONCE)


async def beside(work: Callable[[], None], name: str, *, in_turn: bool = False) -> None:
    """Do it and wait for it; raises what it raises. `in_turn`: no more than `AT_ONCE` of these run together, whoever they are for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.done():
            return  # whoever waited was cancelled
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def thread() -> None:
        error: BaseException | None = None
        try:
            with _turns if in_turn else contextlib.nullcontext():
                work()
        except BaseException as e:  # noqa: BLE001 - handed to whoever waits
            error = e
        with contextlib.suppress(RuntimeError):  # the event loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=thread, name=name, daemon=True).start()
    await done
