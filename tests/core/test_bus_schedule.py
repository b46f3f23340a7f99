"""Who is asked when: commands before polls on every bus, each block at its own pace, devices side by side, a line at its real speed.

CARD-1. What a device that fell silent costs its neighbours stands in test_probing.py.
"""

from __future__ import annotations

import os
import select
import time
import tty
from typing import Self

import numpy as np
import pytest

from bessctl.config.profiles import from_text
from bessctl_core import frames
from bessctl_core import layout as L
from bessctl_core.fleet_harness import FleetHarness
from bessctl_core.master import Master
from bessctl_core.sealed import pack, unpack
from tests.core.bus_rig import MS, SECOND, RtuRig, registers_reply, rtu_frame
from tests.devices.bench import Bench, placed
from tests.devices.simulated import RackBms
from tests.devices.test_bus_rules import plain
from tests.devices.test_complaints import PLAIN, REVERTS, Plain
from tests.scenarios.loop_rig import plant_server

BITS = 11  # of a character on the line


class Line:
    """One device on a pseudo-terminal behind the loop's own buses, time invented: it is asked for blocks of these counts, 100 apart."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.other_end, self.line = os.openpty()
        tty.setraw(self.line)
        c = np.zeros(1, L.dtype("SiteConfig"))[0]
        c["rate_hz"], c["n_units"], c["n_devices"], c["n_buses"], c["n_reads"] = 100, 1, 1, 1, len(counts)
        c["bus_kind"][0], c["bus_baud"][0], c["bus_parity"][0], c["bus_stop_bits"][0] = L.BusKind.BUS_RTU, 9600, ord("E"), 1
        for k, byte in enumerate(os.ttyname(self.line).encode()):
            c["bus_path"][k] = bytes([byte])
        c["unit_pcs_device"][:], c["unit_bms_device"][:] = -1, -1
        c["dev_kind"][0], c["dev_modbus_id"][0], c["dev_place"][0] = L.DeviceKind.DEV_METER, 1, L.LIMITS["plant"]
        c["dev_timeout_ns"][0], c["dev_worst_ns"][0] = 50 * MS, 50 * MS
        for i, count in enumerate(counts):
            c["read_addr"][i], c["read_count"][i], c["read_period_ns"][i] = 100 * i, count, 500 * MS
        self.fleet = FleetHarness(unpack(pack(c.tobytes(), {})))
        self.answer = True

    def next_question(self) -> tuple[int, int]:
        """(address, count) of the next that goes out; what is not answered is left to its time-out."""
        while not select.select([self.other_end], [], [], 0)[0]:
            self.fleet.tick(10 * MS)
        question = os.read(self.other_end, 8)
        if self.answer:
            body = bytes([1, 3, 2 * question[5]]) + bytes(2 * question[5])
            os.write(self.other_end, body + frames.crc(body).to_bytes(2, "little"))
            assert select.select([self.fleet.waits_for(0)[0]], [], [], 5)[0]
            self.fleet.tick(10 * MS)
        return int.from_bytes(question[2:4]), question[5]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.fleet.close()
        os.close(self.other_end)
        os.close(self.line)


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


def asked_after_a_time_out(first: tuple[int, int, int], waiting: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """(unit, address, count) of the questions that go out after the first stayed unanswered, in their order."""
    with RtuRig() as rig:
        unit, address, count = first
        rig.ask(unit=unit, address=address, count=count, timeout_ns=50 * MS, worst_ns=100 * MS)
        for other in waiting:
            rig.master.submit(other[0], 3, *other[1:], (), timeout_ns=50 * MS, worst_ns=100 * MS)
        asked = []
        for _ in waiting:
            while rig.master.state != "idle":
                rig.due()
            rig.due()
            question = rig.peer_read(8)
            asked.append((question[0], question[3], question[5]))
            body = bytes([question[0], 3, 2 * question[5]]) + bytes(2 * question[5])
            rig.give(body + frames.crc(body).to_bytes(2, "little"))
        return asked


@pytest.mark.parametrize(
    ("first", "waiting", "order"),
    [
        # the unit of the missing answer: what is answered by another length goes first, and its order is kept otherwise
        ((1, 10, 3), [(1, 20, 3), (1, 30, 7), (1, 40, 3), (1, 50, 2)], [(1, 30, 7), (1, 50, 2), (1, 20, 3), (1, 40, 3)]),
        # other units before it, whatever their length
        ((1, 10, 3), [(1, 20, 3), (1, 30, 7), (2, 40, 3)], [(2, 40, 3), (1, 30, 7), (1, 20, 3)]),
        # where all are alike nothing is better
        ((1, 10, 3), [(1, 20, 3), (1, 30, 3)], [(1, 20, 3), (1, 30, 3)]),
    ],
    ids=["by length", "units first", "all alike"],
)
def test_after_a_time_out_a_line_asks_first_what_a_late_answer_cannot_be_taken_for(
    first: tuple[int, int, int], waiting: list[tuple[int, int, int]], order: list[tuple[int, int, int]]
) -> None:
    """facts/modbus.md: consecutive requests differ in byte count where possible (docs/adr/0037)."""
    assert asked_after_a_time_out(first, waiting) == order


def test_on_a_line_the_read_after_a_time_out_is_one_of_another_length() -> None:
    """The loop's own choice of what to read next: two blocks of three registers, one of seven that is due later."""
    with Line(counts=(3, 3, 7)) as line:
        assert [line.next_question() for _ in range(4)] == [(0, 3), (0, 3), (100, 3), (200, 7)], "the first proves that it is there"
        line.answer = False
        assert line.next_question() == (0, 3)
        line.answer = True
        assert [count for _, count in (line.next_question() for _ in range(2))] == [7, 3]


def command(rig: RtuRig, unit: int, *, urgent: bool = False) -> int:
    return rig.master.submit(unit, 16, 7, 1, [9], timeout_ns=50 * MS, worst_ns=100 * MS, command=not urgent, urgent=urgent)


def poll(rig: RtuRig, unit: int) -> int:
    return rig.master.submit(unit, 3, 0, 1, (), timeout_ns=50 * MS, worst_ns=100 * MS)


def serve(rig: RtuRig) -> int:
    """The next question that comes is answered; whom it was for."""
    before = rig.counter("bytes_out")
    while rig.counter("bytes_out") == before:
        rig.due()
    frame = rig.peer_read(rig.counter("bytes_out") - before)
    rig.give(rtu_frame(frame[0], frame[1:6] if frame[1] == 16 else registers_reply([1])))
    return frame[0]


def test_set_points_without_an_end_do_not_leave_the_loop_blind() -> None:
    """Two PCS on a line whose set points change with every tick: a command waits at every instant, and still every poll gets its turn."""
    with RtuRig() as rig:
        commands = {unit: command(rig, unit) for unit in (1, 2)}
        served: list[int] = []
        for _ in range(20):
            assert "queued" in {rig.outcome(ticket)[0] for ticket in commands.values()}, "a command waits at every instant"
            if not served or served[-1] == 9:
                poll(rig, 9)
            unit = serve(rig)
            served.append(unit)
            if unit != 9:
                commands[unit] = command(rig, unit)
        assert served == [1, 2, 9] * 6 + [1, 2]


def test_what_is_urgent_goes_before_all_that_waits_in_its_own_order() -> None:
    with RtuRig() as rig:
        poll(rig, 9)
        for unit in (1, 2):
            command(rig, unit)
        for unit in (3, 4, 5):
            command(rig, unit, urgent=True)
        assert [serve(rig) for _ in range(6)] == [3, 4, 5, 1, 2, 9]


def test_a_command_that_waits_can_become_urgent_and_keeps_no_other_place() -> None:
    with RtuRig() as rig:
        tickets = [command(rig, unit) for unit in (1, 2, 3)]
        command(rig, 4, urgent=True)
        for _ in range(2):
            rig.master.hasten(tickets[1])
        assert [serve(rig) for _ in range(4)] == [4, 2, 1, 3]
        assert rig.pump(10 * SECOND) == 0
        assert all(rig.outcome(ticket)[0] == "done" for ticket in tickets)


def test_what_is_urgent_for_a_silent_unit_waits_for_its_neighbours() -> None:
    """One time-out is what a dead unit costs them."""
    with RtuRig() as rig:
        dead, _ = rig.ask(unit=1, timeout_ns=50 * MS, worst_ns=100 * MS)
        for unit in (1, 2, 3):
            command(rig, unit, urgent=True)
        while rig.outcome(dead)[0] == "sent":
            rig.due()
        assert [serve(rig) for _ in range(3)] == [2, 3, 1]


def test_nothing_urgent_outlives_its_connection() -> None:
    with RtuRig() as rig:
        ticket = command(rig, 1, urgent=True)
        rig.master.close()
        assert rig.outcome(ticket)[:2] == ("failed", "stopped")


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
