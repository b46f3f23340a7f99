"""Parts of the supervisor: one that crashes starts again with back-off and takes no other down. Time is invented."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from bessctl.app.parts import HEALTHY_S, LONGEST_S, Part, Time, keep, outcome
from bessctl.errors import NotReachable, UsageError

log = logging.getLogger("test")


class Clock:
    """Sleeps at once and remembers how long; cancels the keeper after enough."""

    def __init__(self, stop_after: int) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []
        self.stop_after = stop_after

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        if len(self.slept) >= self.stop_after:
            raise asyncio.CancelledError

    @property
    def time(self) -> Time:
        return Time(lambda: self.now_s, self.sleep)


def kept(start: Callable[[], Awaitable[None]], clock: Clock) -> None:
    async def run() -> None:
        task = asyncio.ensure_future(keep(Part("part", start), clock.time, log))
        await asyncio.wait({task})

    asyncio.run(run())


def test_the_back_off_doubles_up_to_its_longest() -> None:
    async def crash() -> None:
        raise ValueError("broken")

    clock = Clock(stop_after=9)
    kept(crash, clock)
    assert clock.slept == [1, 2, 4, 8, 16, 32, LONGEST_S, LONGEST_S, LONGEST_S]


def test_a_part_that_ran_long_enough_starts_again_soon() -> None:
    clock = Clock(stop_after=6)
    runs = 0

    async def crash() -> None:
        nonlocal runs
        runs += 1
        if runs == 4:
            clock.now_s += HEALTHY_S
        raise NotReachable("gone")

    kept(crash, clock)
    assert clock.slept == [1, 2, 4, 1, 2, 4]


@pytest.mark.parametrize("error", [UsageError("wrong url"), ExceptionGroup("a task's", [UsageError("wrong url")]), None])
def test_what_only_a_new_configuration_helps_and_what_is_done_is_not_started_again(
    error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def part() -> None:
        if error is not None:
            raise error

    clock = Clock(stop_after=1)
    with caplog.at_level(logging.INFO):
        kept(part, clock)
    assert clock.slept == []
    assert ("stays down: wrong url" in caplog.text) == (error is not None)


def test_an_unknown_error_is_told_with_its_traceback_a_known_one_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async def unknown() -> None:
        raise ExceptionGroup("several", [KeyError("lost")])

    async def known() -> None:
        raise NotReachable("csms1: connection refused")

    async def of_a_task() -> None:
        raise ExceptionGroup("tasks", [ExceptionGroup("tasks", [NotReachable("a task's")])])

    kept(unknown, Clock(1))
    kept(known, Clock(1))
    kept(of_a_task, Clock(1))
    first, second, third = caplog.records
    assert "starts again in 1 s: KeyError: 'lost'" in first.getMessage()
    assert first.exc_info
    assert "starts again in 1 s: csms1: connection refused" in second.getMessage()
    assert not second.exc_info
    assert "starts again in 1 s: a task's" in third.getMessage()
    assert not third.exc_info


def test_one_crash_takes_no_other_part_down() -> None:
    beats: list[int] = []
    crashed: list[bool] = []

    async def run() -> None:
        ended = asyncio.Event()

        async def crash() -> None:
            crashed.append(True)
            raise RuntimeError("broken")

        async def steady() -> None:
            while len(beats) < 50:
                beats.append(len(crashed))
                await asyncio.sleep(0)
            ended.set()
            await asyncio.Event().wait()

        async def soon(_: float) -> None:
            await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep(Part("p", part), Time(lambda: 0.0, soon), log)) for part in (crash, steady)]
            await ended.wait()
            for task in tasks:
                task.cancel()

    asyncio.run(run())
    assert len(beats) == 50
    assert beats[-1] > 5  # the other one crashed and started many times meanwhile


def test_cancelling_the_keeper_cancels_the_part_and_waits_for_it() -> None:
    steps: list[str] = []

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    async def run() -> None:
        task = asyncio.ensure_future(outcome(Part("p", part)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        steps.append("over")

    asyncio.run(run())
    assert steps == ["closed", "over"]
