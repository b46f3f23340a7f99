"""Sixteen PCS behind one TCP connection: what finds no room in its queue is counted for `bessctl status`, and is asked again (CARD-1)."""

from __future__ import annotations

from bessctl.config.profiles import from_text
from tests.devices.bench import Bench, placed
from tests.devices.test_watchdogs import Fed, profile_of

UNITS, BEAT = 16, 20
"""One beat, in ticks."""


def test_what_finds_no_room_in_the_queue_is_counted_and_asked_again() -> None:
    """In the tick of a beat each of them has a set point, an order and a heartbeat to send, and the queue holds 32."""
    with Bench(placed(Fed(), from_text(profile_of("counter")).profile), crowd=UNITS) as bench:
        bench.tick(102)  # so that a beat falls on an order
        assert bench.h.counters()["queue_full"] == [0], "connecting fills no queue"
        for tick in range(BEAT):
            for unit in range(UNITS):
                bench.h.order(unit, w=1000.0 + 10 * tick, run=tick % 2)
            bench.tick()
        counters = bench.h.counters()
        assert counters["queue_full"][0] > 0
        assert counters["bad_request"] == [0]
        bench.tick(2 * BEAT)
        assert all(bench.h.setpoint(unit)["held"] for unit in range(UNITS))
        assert bench.h.counters()["queue_full"] == counters["queue_full"], "and no more of it"
