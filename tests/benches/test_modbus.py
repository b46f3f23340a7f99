"""The Modbus bench gives the fields it documents, and its native parts talk Modbus that others understand."""

from collections.abc import Iterator

import pytest
from pymodbus.client import ModbusTcpClient

from benches import modbus_clients, native
from benches.modbus_clients import READ_AT, READS, WRITE_AT, Bare, Bessctl, Client, Server
from tests.benches.bench import assert_numbers, bench

COMPILED = ("bessctl", "bare_c")
PEERS = ("libmodbus", "pymodbus_sync", "pymodbus_async")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(None, 0, 2) as it:
        yield it


def test_the_bench_tells_what_it_documents() -> None:
    result = bench("modbus", "--pairs", "3", "--cycles", "5", "--every", "1")
    for part in (result, result["rtu"], result["one_core"]):
        if part["pairs"] == 0:
            continue
        assert_numbers(part, "pairs", "ratio_p50_to_bare", "ratio_iqr")
        for name in (*COMPILED, *PEERS):
            if name not in part.get("absent", {}) and name in part["clients"]:
                assert_numbers(part["clients"][name], "p50_us", "p99_us", "cycles_per_s")
        assert set(COMPILED) <= set(part["clients"])
    assert not result["judged"], "three pairs are too few to say anything"
    assert_numbers(result, "others_pct")


def test_the_server_keeps_what_is_written_to_it(server: Server) -> None:
    with ModbusTcpClient("127.0.0.1", port=server.port) as client:
        client.write_registers(WRITE_AT, [1, 2, 3, 65535], device_id=1)
        assert client.read_holding_registers(WRITE_AT, count=4, device_id=1).registers == [1, 2, 3, 65535]


@pytest.mark.parametrize("serial", [False, True], ids=["tcp", "rtu"])
@pytest.mark.parametrize("kind", [Bessctl, Bare])
def test_every_cycle_reads_and_writes(server: Server, kind: type[Client], serial: bool) -> None:
    """The bare client writes back what it has read, bessctl 0 to 3: the registers tell that the write came."""
    client: Client
    if kind is Bare:
        client = Bare(line=server.lines[0]) if serial else Bare(port=server.port)
    else:
        client = Bessctl.rtu(server.lines[0]) if serial else Bessctl.tcp(server.port)
    took_ns = client.block(7)
    client.close()
    assert len(took_ns) == 7
    assert min(took_ns) > 0
    with ModbusTcpClient("127.0.0.1", port=server.port) as other:
        read = other.read_holding_registers(READ_AT, count=READS, device_id=1).registers
        written = other.read_holding_registers(WRITE_AT, count=4, device_id=1).registers
    assert written == (read[:4] if kind is Bare else [0, 1, 2, 3])


def test_a_missing_library_is_told_and_not_fatal(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    def missing(name: str, *, packages: tuple[str, ...] = ()) -> None:
        raise native.Unbuildable("no such header")

    monkeypatch.setattr(native, "library", missing)
    with pytest.raises(native.Unbuildable, match="no such header"):
        modbus_clients.Libmodbus(port=server.port)
