"""Who is asked when: commands before polls on every bus, each block at its own pace, devices side by side, a line at its real speed.

CARD-1. What a device that fell silent costs its neighbours stands in test_probing.py.
"""

from __future__ import annotations

import time

import pytest

from bessctl.config.profiles import from_text
from bessctl_core.master import Master
from tests.core.bus_rig import MS, RtuRig
from tests.devices.bench import Bench, placed
from tests.devices.simulated import RackBms
from tests.devices.test_bus_rules import plain
from tests.devices.test_complaints import PLAIN, REVERTS, Plain
from tests.scenarios.loop_rig import plant_server

BITS = 11  # of a character on the line


def test_on_a_line_a_command_goes_before_what_waits_for_a_silent_unit() -> None:
    """A probe of a dead unit, queued first, waits while a command for its neighbour does."""
    rig = RtuRig()
    with rig:
        dead, _ = rig.ask(unit=2, timeout_ns=50 * MS, worst_ns=100 * MS)
        probe = rig.master.submit(2, 3, 0, 1, (), timeout_ns=50 * MS, worst_ns=100 * MS)
        command = rig.master.submit(1, 16, 7, 1, [9], timeout_ns=50 * MS, command=True)
        while rig.outcome(dead)[0] == "sent":
            rig.due()
        assert rig.master.state == "quiet"
        while rig.outcome(command)[0] == "queued":
            rig.due()
        assert rig.peer_read(11)[:2] == b"\x01\x10"
        assert rig.outcome(probe)[0] == "queued"


@pytest.mark.parametrize("baud", [9600, 19200, 38400, 57600, 115200])
def test_a_paced_line_is_read_and_written_at_its_real_speed(baud: int) -> None:
    """A slave that answers no faster than the wire; the time on the wire is added to the device's, so that none is called late."""
    with plant_server(None, {"baud": baud, "paced": True}) as server, Master.rtu(server.pty_path, baud, "E", timeout_s=0.2) as master:
        began = time.monotonic()
        assert master.read(1, 3, 40000, 2) == [0x5375, 0x6E53]
        block = master.read(1, 3, 40070, 123)
        took_s = time.monotonic() - began
        assert block[:2] == [701, 153]
        assert took_s >= (2 * 8 + 5 + 4 + 5 + 246) * BITS / baud
        counters = master.counters()
        assert (counters["late_replies"], counters["failed_timeout"], counters["crc_errors"]) == (0, 0, 0)


def test_each_block_is_asked_at_its_own_pace() -> None:
    """fast 0.1 s, state 0.5 s, slow 1 s are the defaults of a device's poll."""
    point = "  - {{quantity: {}, register: {}, type: uint16, pace: {}}}\n"
    more = point.format("ac_v", 30, "slow") + point.format("ac_hz", 31, "state") + "commands:\n"
    device = Plain()
    device.holding |= {30: 230, 31: 50}
    text = PLAIN.replace("commands:\n", more, 1).replace("WEARS", "").replace(", REVERSION", f", {REVERTS}")
    with Bench(placed(device, from_text(text.replace("DOG", "{kind: resend, timeout_s: reversion}")).profile)) as bench:
        bench.up()
        device.reads.clear()
        bench.run(10.0)
        asked = {address: sum(first == address for _, first, _ in device.reads) for address in (0, 30, 31)}
        assert {address: round(count / 10, 1) for address, count in asked.items()} == {0: 10.0, 30: 1.0, 31: 2.0}


def test_devices_are_asked_side_by_side() -> None:
    """Nobody waits for another device's answer: after one tick a question is out on every bus."""
    what, bms = plain("gap: 0"), placed(RackBms(), "bms-rack")
    with Bench(what, bms) as bench:
        bench.up()
        what.device.quiet = bms.device.quiet = True
        bench.tick(4)
        assert [bench.h.waits_for(bus)[2] for bus in (0, 1)] == [True, True]
