"""The Modbus slave: exceptions in process, then real sockets and a pseudo-terminal with pymodbus as the client, injections included."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
import tty
from collections.abc import Iterator
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from sunspec2.device import get_model_def

from bessctl_core.sim.chain import CURVE_POINTS, CURVE_SETS, SIZES, WRITABLE
from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer
from tests.sim.plants import BASE, M701, M702, M704, M715, M802, Refused, ask, config, order, plant, read, words, write, wset_block

END = BASE + 428

# (request PDU to the PCS, exception code)
EXCEPTIONS = [
    (struct.pack(">BHH", 1, 0, 1), 1),
    (struct.pack(">BHH", 5, 0, 0xFF00), 1),
    (struct.pack(">BB", 43, 14), 1),
    (struct.pack(">BHH", 3, BASE - 1, 2), 2),
    (struct.pack(">BHH", 3, END - 1, 2), 2),
    (struct.pack(">BHH", 4, 0, 1), 2),
    (struct.pack(">BHH", 3, BASE, 0), 3),
    (struct.pack(">BHH", 3, BASE, 126), 3),
    (struct.pack(">BH", 3, BASE), 3),
    (struct.pack(">BHH", 6, M701 + 10, 1), 2),  # a measurement
    (struct.pack(">BHH", 6, BASE, 1), 2),  # "SunS"
    (struct.pack(">BHH", 6, END, 1), 2),
    (struct.pack(">BHH", 6, M704 + 24, 1), 2),  # half of WSet
    (struct.pack(">BHH", 6, M704 + 25, 1), 2),
    (struct.pack(">BHH", 6, M704 + 33, 1), 2),  # WSetRvrtRem
    (struct.pack(">BHH", 6, M704 + 12, 1), 2),  # PFWAbsRvrtRem
    (struct.pack(">BHH", 6, M704 + 22, 2), 3),
    (struct.pack(">BHH", 6, M704 + 23, 2), 3),
    (struct.pack(">BHH", 6, M704 + 15, 1001), 3),
    (struct.pack(">BHH", 6, M702 + 26, 20_001), 3),  # WMax above its rating
    (struct.pack(">BHH", 6, M715 + 8, 4), 3),
    (struct.pack(">BHHB", 16, M704 + 22, 0, 0), 3),
    (struct.pack(">BHHB2H", 16, M704 + 22, 2, 3, 0, 0), 3),  # byte count
    (struct.pack(">BHHB2H", 16, M704 + 22, 1, 2, 0, 0), 3),  # more than it says
    (struct.pack(">BHHB2H", 16, M704 + 23, 2, 4, 1, 0), 2),  # ends in half of WSet
    (struct.pack(">BHHB3H", 16, M704 + 32, 3, 6, 0, 0, 0), 2),
]


@pytest.mark.parametrize(("pdu", "code"), EXCEPTIONS)
def test_exceptions(pdu: bytes, code: int) -> None:
    p = plant()
    before = read(p, 1, M704, 67)
    with pytest.raises(Refused) as refused:
        ask(p, 1, pdu)
    assert refused.value.args == (code,)
    assert read(p, 1, M704, 67) == before


def test_function_4_reads_what_3_reads() -> None:
    p = plant()
    assert read(p, 1, M701, 123, function=4) == read(p, 1, M701, 123)


def test_a_write_with_one_bad_value_changes_nothing() -> None:
    p = plant()
    with pytest.raises(Refused):
        write(p, 1, M704 + 22, *wset_block(50_000, seconds=3, ena_rvrt=2))
    p.step(1.0)
    assert (p.get()["ess_w"], p.command_log()) == (0.0, [])


def flat(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from group.get("points", [])
    for inner in group.get("groups", []):
        for _ in range(REPEATS.get(inner.get("count"), 1)):
            yield from flat(inner)


REPEATS = {"NCrv": CURVE_SETS, "NPt": CURVE_POINTS}


@pytest.mark.parametrize("model", sorted(WRITABLE))
def test_writable_points_are_whole_and_writable_in_the_definition(model: int) -> None:
    """SunSpec's own definitions say what may be written, and how long each point is."""
    points: dict[int, tuple[int, str | None]] = {}
    at = 0
    for point in flat(get_model_def(model)["group"]):
        points[at] = (point["size"], point.get("access"))
        at += point["size"]
    assert at == SIZES[model]
    for offset, count in WRITABLE[model]:
        assert points[offset] == (count, "RW"), offset


# ---- over sockets ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[PlantServer]:
    with PlantServer([Plant(config())], rtu={"baud": 115200}, real_time=False) as started:
        yield started


def tcp(server: PlantServer, **more: Any) -> ModbusTcpClient:
    client = ModbusTcpClient("127.0.0.1", port=server.port, timeout=5, retries=0, **more)
    assert client.connect()
    return client


def test_pymodbus_over_tcp_commands_and_reads(server: PlantServer) -> None:
    client = tcp(server)
    assert not client.write_registers(M704 + 22, list(wset_block(-90_000 & 0xFFFFFFFF, seconds=9)), device_id=1).isError()
    server.plants[0].step(2.0)
    assert client.read_holding_registers(M701 + 10, count=1, device_id=1).registers == [-9000 & 0xFFFF]
    assert client.read_input_registers(M704 + 33, count=2, device_id=1).registers == [0, 7]
    assert client.write_register(M715 + 8, 9, device_id=1).exception_code == 3
    assert client.read_holding_registers(0, count=1, device_id=3).exception_code == 2
    assert client.read_coils(0, count=1, device_id=2).exception_code == 1
    assert client.read_holding_registers(BASE, count=1, device_id=77).exception_code == 11
    client.close()


def test_pymodbus_over_a_pseudo_terminal_commands_and_reads(server: PlantServer) -> None:
    client = ModbusSerialClient(server.pty_path, baudrate=115200, timeout=5, retries=0)
    assert client.connect()
    assert not client.write_registers(M704 + 22, list(wset_block(64_000)), device_id=1).isError()
    server.plants[0].step(2.0)
    assert client.read_holding_registers(M701, count=123, device_id=1).registers[10] == 6400
    assert client.read_holding_registers(M802 + 22, count=1, device_id=2).registers == [3]
    assert client.read_holding_registers(BASE - 1, count=1, device_id=2).exception_code == 2
    client.write_register(M715 + 8, 0, device_id=0, no_response_expected=True)  # broadcast
    assert client.read_holding_registers(M715 + 8, count=1, device_id=1).registers == [0]
    client.close()


def test_several_clients_at_once(server: PlantServer) -> None:
    clients = [tcp(server) for _ in range(5)]
    for n, client in enumerate(clients):
        assert not client.write_registers(M715 + 5, list(words(n + 1)), device_id=1).isError()
    assert [client.read_holding_registers(M715 + 5, count=2, device_id=1).registers[1] for client in clients] == [5] * 5
    for client in clients:
        client.close()


def test_two_requests_in_one_segment_are_answered_in_order(server: PlantServer) -> None:
    frame = struct.Struct(">HHHBBHH")
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(frame.pack(1, 0, 6, 1, 3, BASE, 1) + frame.pack(2, 0, 6, 1, 3, BASE + 1, 1)[:5])
        assert s.recv(64) == bytes.fromhex("0001 0000 0005 01 03 02 5375")
        s.sendall(frame.pack(2, 0, 6, 1, 3, BASE + 1, 1)[5:])
        assert s.recv(64) == bytes.fromhex("0002 0000 0005 01 03 02 6e53")


@pytest.mark.parametrize(("protocol", "length"), [(7, 6), (0, 999), (0, 1)])
def test_a_frame_that_is_no_modbus_closes_the_connection(server: PlantServer, protocol: int, length: int) -> None:
    bad = struct.pack(">HHHB", 1, protocol, length, 1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(bad + bytes(5))
        assert s.recv(64) == b""


def test_a_silent_device_says_nothing_and_others_still_do(server: PlantServer) -> None:
    server.plants[0].set(bms_silent=True)
    client = tcp(server)
    client.comm_params.timeout_connect = 0.2
    with pytest.raises(ModbusIOException):
        client.read_holding_registers(BASE, count=1, device_id=2)
    client.connect()
    assert client.read_holding_registers(BASE, count=1, device_id=1).registers == [0x5375]
    client.close()


@pytest.mark.parametrize("code", [4, 6])
def test_a_device_can_answer_everything_with_an_exception(server: PlantServer, code: int) -> None:
    server.plants[0].set(pcs_exception=code)
    client = tcp(server)
    assert client.read_holding_registers(BASE, count=1, device_id=1).exception_code == code
    assert client.write_register(M715 + 8, 1, device_id=1).exception_code == code
    client.close()


def test_a_frozen_device_answers_with_what_it_last_knew(server: PlantServer) -> None:
    p = server.plants[0]
    order(p, 100_000)
    p.step(2.0)
    p.set(bms_frozen=True)
    before = read(p, 2, M802, 64)
    p.step(5.0)
    assert read(p, 2, M802, 64) == before
    assert read(p, 1, M715 + 3, 2) == [0, 7]
    p.set(bms_frozen=False)
    p.step(0.1)
    assert read(p, 2, M802, 64) != before


def test_an_answer_time_holds_back_the_answer_not_the_order(server: PlantServer) -> None:
    p = server.plants[0]
    p.set(pcs_answer_ms=150)
    client = tcp(server)
    assert not client.write_registers(M704 + 22, list(wset_block(10_000)), device_id=1).isError()
    assert p.get()["wset_w"] == 10_000
    client.close()


def test_dropped_connections_can_come_back(server: PlantServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, BASE, 1))
        assert len(s.recv(64)) == 11
        server.drop()
        assert s.recv(64) == b""
    client = tcp(server)
    assert client.read_holding_registers(BASE, count=1, device_id=1).registers == [0x5375]
    client.close()


def test_a_single_session_device_turns_the_second_client_away() -> None:
    with PlantServer([Plant(config())], single_session=True, real_time=False) as server:
        first = tcp(server)
        assert not first.read_holding_registers(BASE, count=1, device_id=1).isError()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as second:
            assert second.recv(64) == b""
        assert not first.read_holding_registers(BASE, count=1, device_id=1).isError()
        first.close()


def units(first: int) -> dict[str, Any]:
    return config(
        pcs={"w_max": 100_000, "device": {"unit": first}},
        battery={"device": {"unit": first + 1}},
        meter={"device": {"unit": first + 2}},
    )


def test_two_plants_on_one_bus_are_told_apart_by_unit() -> None:
    with PlantServer([Plant(units(1)), Plant(units(11))], shared_bus=True, real_time=False) as server:
        assert len(server.ports) == 1
        client = tcp(server)
        client.write_registers(M704 + 22, list(wset_block(30_000)), device_id=11)
        assert [p.get()["wset_w"] for p in server.plants] == [0.0, 30_000.0]
        client.close()


def test_a_shared_bus_refuses_a_unit_twice() -> None:
    with pytest.raises(ValueError, match="stand twice"):
        PlantServer([Plant(units(1)), Plant(units(3))], shared_bus=True)


# ---- the serial line -------------------------------------------------------------------------------------------------------------


def crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def line(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    return fd


def answer(fd: int, length: int) -> bytes:
    got = b""
    while len(got) < length:
        assert select.select([fd], [], [], 10.0)[0], "no answer"
        got += os.read(fd, 256)
    return got


ASK = struct.pack(">BBHH", 1, 3, BASE, 2)
GOOD = bytes.fromhex("01 03 04 5375 6e53")
NOISE = [
    ASK + b"\0\0",  # wrong CRC
    (other := struct.pack(">BBHH", 9, 3, BASE, 2)) + crc(other),  # a unit that is not here
    bytes.fromhex("55 00 ff"),
    ASK[:5],  # cut short: dropped after a silence
    bytes(2000),
]


@pytest.mark.parametrize("noise", NOISE)
def test_noise_on_the_line_is_survived(server: PlantServer, noise: bytes) -> None:
    fd = line(server.pty_path)
    requests = server.plants[0].get()["requests"]["pcs"]
    os.write(fd, noise)
    for _ in range(200):  # the first may be lost with the noise it follows
        os.write(fd, ASK + crc(ASK))
        if select.select([fd], [], [], 0.05)[0]:
            break
    assert answer(fd, 9)[:9] == GOOD + crc(GOOD)
    assert server.plants[0].get()["requests"]["pcs"] > requests
    os.close(fd)


def test_a_function_of_unknown_length_is_refused_after_a_silence(server: PlantServer) -> None:
    fd = line(server.pty_path)
    frame = bytes([1, 43, 14, 1, 0])
    os.write(fd, frame + crc(frame))
    assert answer(fd, 5)[:3] == bytes([1, 43 | 0x80, 1])
    os.close(fd)


def test_a_paced_line_takes_at_least_the_time_on_the_wire() -> None:
    with PlantServer([Plant(config())], rtu={"baud": 9600, "paced": True}, tcp_port=None, real_time=False) as server:
        fd = line(server.pty_path)
        began = time.monotonic()
        os.write(fd, ASK + crc(ASK))
        assert answer(fd, 9) == GOOD + crc(GOOD)
        assert time.monotonic() - began >= (8 + 3.5 + 9) * 11 / 9600
        assert server.ports == []
        os.close(fd)


# ---- real time -------------------------------------------------------------------------------------------------------------------


def test_real_time_moves_by_itself_and_stamps_orders_with_the_monotonic_clock() -> None:
    with PlantServer([Plant(config())]) as server:
        p = server.plants[0]
        client = tcp(server)
        client.write_registers(M704 + 22, list(wset_block(100_000)), device_id=1)
        ordered = p.command_log()[0]
        assert (ordered[2], ordered[3]) == ("wset", 100_000.0)
        while (at := p.crossing(ordered[1], 90_000)) is None:  # bounded by the test's own time-out
            client.read_holding_registers(M701, count=2, device_id=1)
        assert at - ordered[1] >= (0.1 + 0.1 * 2.302) * 1e9  # dead time and 90 % of the lag, never earlier
        with pytest.raises(RuntimeError):
            p.step(1.0)
        client.close()
    p.step(1.0)


def test_one_meter_can_stand_for_several_units() -> None:
    quiet = {"load": {"w": 50_000}}
    plants = [Plant(config(initial={"pcs": "running"}, meter=quiet)) for _ in range(3)]
    for n, p in enumerate(plants):
        order(p, 10_000 * (n + 1))
        p.step(3.0)
    with PlantServer(plants, shared_pcc=True):
        while abs(plants[0].get()["pcc_w"] - 10_000) > 1:  # 10 + 20 + 30 - 50 kW; bounded by the test's own time-out
            pass
    assert plants[1].get()["pcc_w"] == pytest.approx(10_000, abs=1)
