"""A device that fell silent is probed every 5 s, one question each; its neighbours hardly notice. In invented time (CARD-1)."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from bessctl_core import layout as L
from bessctl_core.fleet_harness import FleetHarness
from bessctl_core.sealed import SealedSite, pack, unpack

MS = 1_000_000
S = 1_000_000_000
WELL, DEAD = 1, 2
TIMEOUT_MS = 50
DATA_AGE_MS = 700


def two_meters(port: int) -> SealedSite:
    """Two devices on one TCP bus, each with a check after connecting and one read every 50 ms."""
    c = np.zeros(1, L.dtype("SiteConfig"))[0]
    c["rate_hz"], c["n_units"], c["n_devices"], c["n_buses"], c["n_reads"], c["n_points"], c["n_checks"] = 100, 1, 2, 1, 2, 1, 2
    c["bus_kind"][0], c["bus_port"][0], c["bus_give_up_ns"][0] = L.BusKind.BUS_TCP, port, DATA_AGE_MS * MS
    for k, byte in enumerate(b"127.0.0.1"):
        c["bus_path"][k] = bytes([byte])
    c["unit_pcs_device"][:], c["unit_bms_device"][:] = -1, -1
    for i, ident in enumerate((WELL, DEAD)):
        c["dev_kind"][i], c["dev_modbus_id"][i], c["dev_place"][i] = L.DeviceKind.DEV_METER, ident, L.LIMITS["plant"]
        c["dev_timeout_ns"][i] = TIMEOUT_MS * MS
        c["read_device"][i], c["read_addr"][i], c["read_count"][i], c["read_period_ns"][i] = i, 100, 1, 50 * MS
        c["check_device"][i], c["check_addr"][i], c["check_value"][i] = i, 7, 7
    c["point_sf_offset"][0], c["point_scale"][0], c["point_quantity"][0] = -1, 1.0, L.Quantity.Q_PCC_W
    c["point_place"][0] = L.LIMITS["plant"]
    return unpack(pack(c.tobytes(), {}))


class Gateway:
    """Answers for the device that is well with 7, in the same thread; notes when the dead one was asked."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.fleet = FleetHarness(two_meters(self.listener.getsockname()[1]))
        self.conn: socket.socket | None = None
        self.asked_dead_ns: list[int] = []
        self.ages_s: list[float] = []

    def answer(self) -> bool:
        """Takes one question that is there; True when it was answered."""
        if self.conn is None:
            if not select.select([self.listener], [], [], 0)[0]:
                return False
            self.conn = self.listener.accept()[0]
        if not select.select([self.conn], [], [], 0)[0]:
            return False
        question = self.conn.recv(12)
        if question[6] == DEAD:
            self.asked_dead_ns.append(self.fleet.now_ns)
            return False
        self.conn.sendall(question[:4] + struct.pack(">HBBBH", 5, WELL, 3, 2, 7))
        return True

    def run(self, seconds: float, *, step_ms: int = 10) -> None:
        """Ticks, and between two of them everything that can be answered."""
        for _ in range(int(seconds * 1000 / step_ms)):
            self.fleet.tick(step_ms * MS)
            self.fleet.pump(0, select.POLLIN | select.POLLOUT)
            while self.answer():
                fd = self.fleet.waits_for(0)[0]
                assert select.select([fd], [], [], 5)[0]
                self.fleet.pump(0, select.POLLIN)
            self.ages_s.append(self.fleet.value(L.LIMITS["plant"], L.Quantity.Q_PCC_W)[1])

    def close(self) -> None:
        self.fleet.close()
        self.listener.close()
        if self.conn is not None:
            self.conn.close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


def test_a_device_that_missed_three_replies_is_probed_every_5_s(gateway: Gateway) -> None:
    gateway.run(40)
    gaps_s = [(b - a) / S for a, b in zip(gateway.asked_dead_ns, gateway.asked_dead_ns[1:], strict=False)]
    assert len(gateway.asked_dead_ns) >= 8
    assert all(5.0 <= gap <= 5.2 for gap in gaps_s[3:]), gaps_s


def test_its_neighbour_loses_one_time_out_to_it_at_a_time(gateway: Gateway) -> None:
    """R4: what `bessctl check` counts on: one lost answer between a value and the next."""
    gateway.run(2)
    gateway.ages_s.clear()
    gateway.run(30)
    assert max(gateway.ages_s) <= (50 + TIMEOUT_MS + 30) / 1000


def test_the_kernel_gives_a_silent_connection_up_within_the_data_age_limit(gateway: Gateway) -> None:
    """TCP_USER_TIMEOUT of the loop's own socket is the tightest data age behind the bus, in ms: what a pulled cable needs (R4)."""
    gateway.run(0.1)
    fd = gateway.fleet.waits_for(0)[0]
    with socket.socket(fileno=os.dup(fd)) as ours:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DATA_AGE_MS
