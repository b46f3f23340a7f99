"""R13: inputs are normally closed; an open contact, a broken wire, and a module or chip that cannot be read are active.

GPIO is tested at the ioctl seam: a chip preloaded into a process of its own (tests/core/c/gpio_fake.c), because most kernels that tests
run on have no gpio-sim. Modbus is tested against pymodbus.
"""

from __future__ import annotations

import errno
import os
import select
import struct
from pathlib import Path
from typing import Any

import numpy as np
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bessctl_core import layout as L
from bessctl_core.bounds import fault_of
from bessctl_core.fleet_harness import FleetHarness
from bessctl_core.gpio_harness import LinesHarness
from bessctl_core.sealed import SealedSite, pack, unpack
from tests.core.preload import in_a_process
from tests.core.rig import PLANT, Q
from tests.core.test_bus_oracle import serving

UP, DOWN = 1, 2
EDGES = 1 << 4 | 1 << 5
REQUEST = struct.Struct("64I 32s")  # offsets and consumer of gpio_v2_line_request


def empty() -> Any:
    c = np.zeros(1, L.dtype("SiteConfig"))[0]
    c["rate_hz"] = 100
    return c


def site_of(c: Any) -> SealedSite:
    site = unpack(pack(c.tobytes(), {}))
    assert fault_of(site) is None
    return site


def packed(chip: str, *entries: tuple[int, int, int]) -> bytes:
    """(offset, level of a closed contact, bias) of each input."""
    c = empty()
    c["n_chips"], c["n_lines"] = 1, len(entries)
    for k, character in enumerate(chip.encode()):
        c["chip_path"][k] = bytes([character])
    for i, (offset, healthy, bias) in enumerate(entries):
        c["line_offset"][i], c["line_healthy"][i], c["line_bias"][i], c["line_input"][i] = offset, healthy, bias, i
    site_of(c)
    return pack(c.tobytes(), {})


def test_R13_a_chip_that_is_not_there_is_told_with_its_errno() -> None:
    harness = LinesHarness(unpack(packed("/dev/gpiochip-none", (4, 1, 0))))
    assert harness.refused is not None
    assert harness.refused[:2] == (0, errno.ENOENT)
    assert all(at == 0 for _, at in harness.take(5)), "never read is active for its row"


def with_a_chip(folder: Path, script: str, **environment: str) -> Any:
    """Run a script on the fake chip; what it prints as JSON."""
    (folder / "chip").write_bytes(b"")
    (folder / "site").write_bytes(packed(str(folder / "chip"), (4, 1, 2), (17, 0, 1), (9, 1, 0)))
    (folder / "levels").write_bytes((0b101).to_bytes(8, "little"))
    os.mkfifo(folder / "events")
    return in_a_process(folder, "gpio_fake.c", script, GPIO_FAKE=str(folder), **environment)


SCRIPT = """
import json, pathlib, sys
from bessctl_core.gpio_harness import LinesHarness
from bessctl_core.sealed import unpack
folder = pathlib.Path(sys.argv[1])
levels = folder / "levels"
h = LinesHarness(unpack((folder / "site").read_bytes()))
seen = [h.refused]
if h.refused is None:
    for tick, bits in enumerate((0b101, 0b000, 0b111, None, 0b101), 1):
        levels.write_bytes(b"" if bits is None else bits.to_bytes(8, "little"))
        seen.append(h.take(tick)[:3])
print(json.dumps(seen))
"""


def test_R13_levels_become_active_or_closed_and_a_chip_that_goes_leaves_its_values_to_age(tmp_path: Path) -> None:
    refused, closed, opened, pulled, gone, again = with_a_chip(tmp_path, SCRIPT)
    assert refused is None
    assert [value for value, _ in closed] == [0, 0, 0], "closed: 1, 0, 1"
    assert [value for value, _ in opened] == [1, 0, 1], "0 V everywhere: a broken wire of the first and the last"
    assert [value for value, _ in pulled] == [0, 1, 0], "the second is pulled up when its wire breaks"
    assert gone == pulled, "nothing was read: value and time stand still, and the row's age limit makes them active"
    assert [at for _, at in again] == [5, 5, 5]


def test_R13_the_lines_are_taken_as_inputs_with_their_bias(tmp_path: Path) -> None:
    with_a_chip(tmp_path, SCRIPT)
    raw = (tmp_path / "request").read_bytes()
    *offsets, consumer = REQUEST.unpack_from(raw)
    assert (offsets[:3], consumer.rstrip(b"\0")) == ([4, 17, 9], b"bessctl")
    flags, count = struct.unpack_from("QI", raw, REQUEST.size)
    assert (flags, count) == (EDGES | 1 << 2, 2), "input with both edges; two attributes: pull up and pull down"
    attributes = [struct.unpack_from("I4xQQ", raw, REQUEST.size + 32 + 24 * i) for i in range(2)]
    assert [(kind, value, mask) for kind, value, mask in attributes] == [
        (1, EDGES | 1 << 2 | 1 << 8, 0b010),
        (1, EDGES | 1 << 2 | 1 << 9, 0b001),
    ]


PULSES = """
import json, os, pathlib, struct, sys
from bessctl_core.gpio_harness import LinesHarness
from bessctl_core.sealed import unpack
folder = pathlib.Path(sys.argv[1])
pipe = os.open(folder / "events", os.O_RDWR)
h = LinesHarness(unpack((folder / "site").read_bytes()))
sent = 0

def edge(offset, rising, skipped=0):
    # struct gpio_v2_line_event: timestamp, id, offset, seqno, line_seqno, padding
    global sent
    sent += 1 + skipped
    os.write(pipe, struct.pack("QIIII24x", 10**9 + sent, 1 if rising else 2, offset, sent, sent))

seen = [[h.edges, h.refused]]
now = 0
def tick():
    global now
    now += 1
    seen.append([value for value, at in h.take(now)[:3] if at == now])

tick()
edge(4, False); edge(4, True); tick(); tick()       # the first opens and closes again between two ticks
edge(17, True); edge(17, False); tick(); tick()     # the second, whose closed contact is 0 V
edge(4, True); tick()                               # closing is no opening
for _ in range(100): edge(9, False); edge(9, True)  # the third bounces
tick(); tick(); tick(); tick(); tick()
edge(4, True, skipped=3); tick(); tick()            # the kernel had no room for three events
print(json.dumps(seen))
"""


def test_R13_a_contact_that_opens_for_less_than_a_tick_is_seen_by_its_edges(tmp_path: Path) -> None:
    """gpio_v2_line_event: what happened between two ticks makes the input active for one."""
    (edges, refused), *ticks = with_a_chip(tmp_path, PULSES)
    assert (edges, refused) == ([True], None)
    assert ticks[0] == [0, 0, 0]
    assert ticks[1:3] == [[1, 0, 0], [0, 0, 0]]
    assert ticks[3:5] == [[0, 1, 0], [0, 0, 0]]
    assert ticks[5] == [0, 0, 0]
    assert ticks[6:11] == [[0, 0, 1]] * 4 + [[0, 0, 0]], "200 events, 64 a tick"
    assert ticks[11:13] == [[1, 1, 1], [0, 0, 0]], "what was lost may have been any line"


def test_R13_a_chip_without_interrupts_is_polled_and_the_loop_says_so(tmp_path: Path) -> None:
    (edges, refused), closed, *_ = with_a_chip(tmp_path, PULSES, GPIO_FAKE_POLLED="1")
    assert (edges, refused) == ([False], None)
    assert closed == [0, 0, 0]


def test_R13_a_chip_behind_a_slow_bus_has_no_place_in_a_tick(tmp_path: Path) -> None:
    ((chip, error, fastest_ns),) = with_a_chip(tmp_path, SCRIPT, GPIO_FAKE_US="2000")
    assert (chip, error) == (0, 0)
    assert fastest_ns > 1_000_000


# --- Modbus -------------------------------------------------------------------------------------------------------------------------------

# (function, first address, count, [(offset in bits, closed is 1)], what is expected: 1 = active)
TABLES = [
    (1, 3, 5, [(0, True), (1, True), (4, False)]),
    (2, 0, 20, [(0, True), (5, True), (7, False), (19, True)]),
    (3, 10, 2, [(0, True), (3, True), (16, False), (31, True)]),
    (4, 10, 2, [(1, True), (17, False)]),
]
COILS = [i % 3 == 0 for i in range(64)]
DISCRETE = [i % 5 == 0 for i in range(64)]
HOLDING = [0b1010_0110_0000_1001 + i for i in range(32)]
INPUTS = [0b0101_1001_1111_0110 - i for i in range(32)]


def contacts(port: int) -> SealedSite:
    c = empty()
    c["n_buses"], c["n_devices"], c["n_reads"] = 1, 1, len(TABLES)
    c["bus_kind"][0], c["bus_port"][0] = L.BusKind.BUS_TCP, port
    for k, character in enumerate(b"127.0.0.1"):
        c["bus_path"][k] = bytes([character])
    c["dev_kind"][0], c["dev_modbus_id"][0], c["dev_place"][0], c["dev_timeout_ns"][0] = L.DeviceKind.DEV_IO, 7, PLANT, 10**9
    n = 0
    for i, (function, address, count, points) in enumerate(TABLES):
        c["read_addr"][i], c["read_count"][i], c["read_function"][i], c["read_period_ns"][i] = address, count, function, 10**7
        for offset, closed_is_1 in points:
            c["point_read"][n], c["point_offset"][n], c["point_place"][n], c["point_type"][n] = i, offset, PLANT, L.PointType.PT_BIT
            c["point_quantity"][n], c["point_sf_offset"][n] = Q.Q_INPUT_0 + n, -1
            c["point_scale"][n] = -1 if closed_is_1 else 1
            n += 1
    c["n_points"] = n
    return site_of(c)


def wanted() -> list[int]:
    """From the tables themselves: a bit, or the bits of registers from the lowest of the first on."""
    found = []
    for function, address, _, points in TABLES:
        bits = COILS if function == 1 else DISCRETE
        registers = HOLDING if function == 3 else INPUTS
        for offset, closed_is_1 in points:
            level = bits[address + offset] if function <= 2 else registers[address + offset // 16] >> offset % 16 & 1
            found.append(int(bool(level) != closed_is_1))
    return found


def test_R13_contacts_are_read_by_all_four_functions_of_a_modbus_module() -> None:
    """FC01, FC02, FC03 and FC04 of a third party's slave; 1 = active."""
    slave = SimDevice(
        id=7,
        simdata=(
            [SimData(0, values=COILS, datatype=DataType.BITS)],
            [SimData(0, values=DISCRETE, datatype=DataType.BITS)],
            [SimData(0, values=HOLDING, datatype=DataType.REGISTERS)],
            [SimData(0, values=INPUTS, datatype=DataType.REGISTERS)],
        ),
    )
    with serving(lambda: ModbusTcpServer(slave, framer=FramerType.SOCKET, address=("127.0.0.1", 0))) as server:
        port = server.transport.sockets[0].getsockname()[1]
        h = FleetHarness(contacts(port))
        expected = wanted()
        for _ in range(2000):
            h.tick(1_000_000)
            fd, events, _ = h.waits_for(0)
            if fd >= 0:
                ready = select.poll()
                ready.register(fd, events)
                h.pump(0, next((revents for _, revents in ready.poll(5)), 0))
            if all(h.value(PLANT, Q.Q_INPUT_0 + i)[1] < 1 for i in range(len(expected))):
                break
        assert [h.value(PLANT, Q.Q_INPUT_0 + i)[0] for i in range(len(expected))] == expected
        h.close()
    assert {0, 1} == set(expected), "a table that is all one value proves nothing"
