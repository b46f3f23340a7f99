"""R8: what the loop does while nobody knows the time of day. It counts starts by what is sure, and its own clock by CLOCK_MONOTONIC alone.

What must hold of sources that speak of times of day is theirs: without trusted time they write no such blocks.
"""

from __future__ import annotations

import ctypes

from bessctl_core import layout as L
from bessctl_core import rt
from tests.core.rig import Rig, S, Slot, config

# struct timex of adjtimex(2) on 64 bits: modes, then four longs, then status
STATUS_OFFSET, STA_UNSYNC, TIME_ERROR = 40, 0x40, 5
EPOCH = 0  # where a clock without a battery begins with each boot


def boot(number: int, journal: bytes | None) -> Rig:
    """A cold boot: the loop starts after half a minute, the wall clock says 1970 again."""
    return Rig(config(1), now_ns=30 * S, boot_id=(1, number), realtime_s=EPOCH + 30, clock_trusted=False, journal=journal)


def test_R8_three_cold_boots_of_a_controller_without_a_clock_are_no_crash_loop() -> None:
    """The scenario: a clock that starts in 1970.

    The scenario: a container is switched off every evening; its controller has no battery behind the clock and no network.
    """
    journal = None
    for day in range(5):
        r = boot(day, journal).run()
        r.tick(1, 8 * 3600 * S)
        assert r.state["internal"] == 0
        journal = r.h.journal()


def test_R8_a_crash_loop_is_one_with_any_clock() -> None:
    journal = None
    for again in range(3):
        r = boot(again, journal)
        r.tick(2, 20 * S)
        journal = r.h.journal()
    assert r.state["internal"] == L.Internal.TRIP_STARTS


def test_R8_a_clock_that_is_set_moves_nothing_in_the_loop() -> None:
    """Plans run by CLOCK_MONOTONIC: two loops whose wall clocks are years apart do the same."""
    seen = []
    for realtime_s, trusted in ((EPOCH, False), (1_800_000_000, True)):
        r = Rig(config(1, slots=(Slot(),)), realtime_s=realtime_s, clock_trusted=trusted).run()
        r.offer(0, {"target_w": 50e3, "end_ns": r.now_ns + S}, {"target_w": -20e3, "start_ns": r.now_ns + S})
        seen.append([(r.tick()["command_w"], r.power_w) for _ in range(250)])
    assert seen[0] == seen[1]


def test_R8_the_kernel_is_asked() -> None:
    """adjtimex(2): a clock that nobody disciplines is not trusted, whatever time it shows."""
    timex = ctypes.create_string_buffer(256)
    state = ctypes.CDLL(None).adjtimex(timex)
    status = ctypes.c_int.from_buffer(timex, STATUS_OFFSET).value
    assert rt.clock_trusted() is (state not in (-1, TIME_ERROR) and not status & STA_UNSYNC)
