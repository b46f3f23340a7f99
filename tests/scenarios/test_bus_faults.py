"""Every fault a line can have, under a running loop: a counter that `bessctl status` shows, a hint, and never a wrong value.

The loop, its drivers and the simulated plant are the real ones; a proxy on the line (tests/scenarios/faulty_line.py) spoils one answer at a
time. Forged answers carry FORGED, which as a state of charge, a voltage or a power would show at once. CARD-1, R4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bessctl.corelink import bus_hints
from bessctl_core import layout as L
from tests.scenarios.faulty_line import Fault, FaultyRtu, FaultyTcp, Pieces, spoilt, tcp_pdu, with_crc
from tests.scenarios.loop_rig import Loop, loop_process, plant_server, seal_changed

FORGED = 0x5A5A
LATE_S = 0.42  # beyond timeout_s, within worst_s
BYTE_S, BYTES = 0.02, 20  # one by one, for longer than timeout_s
Q = L.Quantity


class Row(NamedTuple):
    """A fault by name, what it does, the counters that must rise, and a word of the hint."""

    name: str
    fault: Fault
    counters: tuple[str, ...]
    hint: str
    write: bool = False


def forged(count_bytes: int) -> bytes:
    return struct.pack(">H", FORGED) * (count_bytes // 2)


def half(answer: bytes) -> tuple[bytes, bytes]:
    return answer[: len(answer) // 2], answer[len(answer) // 2 :]


def byte_by_byte(question: bytes, answer: bytes) -> Pieces:
    """The answer is right and never silent for long, and comes to its end too late: bytes that trickle in extend no deadline."""
    return [*((BYTE_S, answer[i : i + 1]) for i in range(BYTES)), (BYTE_S, answer[BYTES:])]


# --- TCP ----------------------------------------------------------------------------------------------------------------------------------


def tcp_stale(question: bytes, answer: bytes) -> Pieces:
    """Another transaction's answer, of the very same shape, and the right one behind it in one segment."""
    stale = struct.pack(">H", (struct.unpack(">H", answer[:2])[0] - 1) & 0xFFFF) + answer[2:9] + forged(answer[8])
    return [(0, stale + answer)]


def tcp_short(question: bytes, answer: bytes) -> Pieces:
    return [(0, tcp_pdu(answer, answer[6], bytes([answer[7], answer[8] - 2]) + forged(answer[8] - 2)))]


TCP = (
    Row("late", lambda q, a: [(LATE_S, a)], ("late", "timeouts"), "time-out too short"),
    Row("slow", lambda q, a: [(0, half(a)[0]), (LATE_S, half(a)[1])], ("slow",), "in pieces"),
    Row("byte by byte", byte_by_byte, ("slow",), "in pieces"),
    Row("another unit", lambda q, a: [(0, a[:6] + bytes([a[6] ^ 0x10]) + a[7:9] + forged(a[8]))], ("wrong_unit",), "another unit"),
    Row("another function", lambda q, a: [(0, a[:7] + b"\x04" + a[8:9] + forged(a[8]))], ("wrong_function",), "another function"),
    Row("too few registers", tcp_short, ("wrong_length",), "wrong length"),
    Row("another protocol id", lambda q, a: [(0, a[:2] + b"\0\1" + a[4:])], ("wrong_protocol",), "no Modbus/TCP"),
    Row("an impossible length", lambda q, a: [(0, a[:4] + b"\xff\xff" + a[6:])], ("wrong_length", "closed"), "wrong length"),
    Row("bytes in front", lambda q, a: [(0, b"\xaa\x55\xaa\x55\xaa" + a)], ("wrong_protocol",), "no Modbus/TCP"),
    Row("bytes behind", lambda q, a: [(0, a + b"\x01\x02\x03\x04\x05\x06")], ("wrong_protocol",), "no Modbus/TCP"),
    Row("a stale answer in front", tcp_stale, ("late",), "late replies"),
    Row("busy", lambda q, a: [(0, tcp_pdu(a, a[6], bytes([q[7] | 0x80, 6])))], ("exceptions",), "poll it less often"),
    Row("not confirmed as written", lambda q, a: [(0, spoilt(a, 9))], ("wrong_echo",), "other values", write=True),
)

# --- RTU ----------------------------------------------------------------------------------------------------------------------------------


def rtu(unit: int, answer: bytes, function: int = 3) -> bytes:
    """A whole, valid frame of forged registers, as long as the answer."""
    return with_crc(bytes([unit, function, answer[2]]) + forged(answer[2]))


RTU = (
    Row("late", lambda q, a: [(LATE_S, a)], ("late", "timeouts"), "time-out too short"),
    Row("slow", lambda q, a: [(0, half(a)[0]), (LATE_S, half(a)[1])], ("slow",), "in pieces"),
    Row("byte by byte", byte_by_byte, ("slow", "gaps"), "in pieces"),
    Row("our own question in front", lambda q, a: [(0, q + a)], ("garbage",), "belong to no frame"),
    Row("our own question instead", lambda q, a: [(0, q)], ("garbage",), "belong to no frame"),
    Row("a wrong check sum", lambda q, a: [(0, spoilt(a, 5))], ("crc",), "termination"),
    Row("another unit", lambda q, a: [(0, rtu(a[0] ^ 0x10, a))], ("wrong_unit",), "another unit"),
    Row("another unit in front", lambda q, a: [(0, rtu(a[0] ^ 0x10, a) + a)], ("wrong_unit",), "another unit"),
    Row("another function", lambda q, a: [(0, rtu(a[0], a, 4))], ("wrong_function",), "another function"),
    Row("too few registers", lambda q, a: [(0, with_crc(bytes([a[0], 3, a[2] - 2]) + forged(a[2] - 2)))], ("wrong_length",), "length"),
    Row("a zero in front", lambda q, a: [(0, b"\0" + a)], ("garbage",), "belong to no frame"),
    Row("garbage in front", lambda q, a: [(0, b"\xff\xf7\xaa" + a)], ("garbage",), "belong to no frame"),
    Row("bytes behind", lambda q, a: [(0, a + b"\x55\xaa")], ("garbage",), "belong to no frame"),
    Row("a gap inside", lambda q, a: [(0, half(a)[0]), (0.02, half(a)[1])], ("gaps",), "silence inside"),
    Row("busy", lambda q, a: [(0, with_crc(bytes([a[0], q[1] | 0x80, 6])))], ("exceptions",), "poll it less often"),
    Row("not confirmed as written", lambda q, a: [(0, with_crc(spoilt(a[:-2], 3)))], ("wrong_echo",), "other values", write=True),
)


def is_read(question: bytes, tcp: bool) -> bool:
    """FC03 of several registers."""
    return question[7 if tcp else 1] == 3 and question[-1 if tcp else -3] > 4


class Station(NamedTuple):
    """The loop, the line to spoil, what its questions look like."""

    loop: Loop
    line: Any
    tcp: bool


@pytest.fixture(scope="module")
def over_tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("tcp")
    with plant_server() as server, FaultyTcp(server.port) as line:
        sealed = seal_changed(folder, ("port: 5020", f"port: {line.port}"))
        with loop_process(folder, sealed) as loop:
            yield begun(Station(loop, line, True))


@pytest.fixture(scope="module")
def over_rtu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with serial_station(tmp_path_factory.mktemp("rtu")) as station:
        yield station


@contextmanager
def serial_station(folder: Path, *, echo: bool = False) -> Iterator[Station]:
    """In RUN."""
    with plant_server(None, {"baud": 115200}) as server, FaultyRtu(server.pty_path, echo=echo) as line:
        where = f"rtu: {{device: {line.path}, baud: 115200, parity: even}}"
        slower = (
            ("data_age_s: 0.5", "data_age_s: 1.5"),
            ("confirm_s: 2", "confirm_s: 4"),
            ("pickup_s: 0.3", "pickup_s: 0.6"),
            ("act_within_ms: 500", "act_within_ms: 2500"),
        )
        sealed = seal_changed(folder, ("tcp: {host: 127.0.0.1, port: 5020}", where), *slower)
        with loop_process(folder, sealed) as loop:
            yield begun(Station(loop, line, False))


def begun(station: Station) -> Station:
    station.loop.attach()
    station.loop.until_mode(L.Mode.MODE_RUN)
    return station


def plausible(state: dict[str, Any]) -> bool:
    """What is measured is what is there, or is missing: nothing forged, nothing of another register."""
    true_values = {Q.Q_SOC_PCT: (59, 61), Q.Q_PACK_V: (700, 850), Q.Q_CELL_V_MAX: (3, 3.6), Q.Q_AC_HZ: (49, 51), Q.Q_AC_V: (200, 260)}
    seen = [(state["value"][quantity], *bounds) for quantity, bounds in true_values.items()]
    return all(value != value or low <= value <= high for value, low, high in seen)  # noqa: PLR0124 (NaN)


def spoil(station: Station, row: Row) -> None:
    loop, line, tcp = station
    loop.until("all are up", lambda s: s["pcs_state"][0] == s["bms_state"][0] == s["meter_state"] == L.DeviceState.DEV_UP)
    before = loop.now()
    line.damage(row.fault, (lambda q: q[7 if tcp else 1] == 16) if row.write else (lambda q: is_read(q, tcp)))
    line.wait()

    def counted(state: dict[str, Any]) -> bool:
        assert plausible(state)
        return all(state[f"bus_{name}"][0] > before[f"bus_{name}"][0] for name in row.counters)

    loop.until(f"{row.name}: {row.counters}", counted)
    after = loop.until("answers again", lambda s: plausible(s) and s["bus_ok"][0] > before["bus_ok"][0] + 5)
    assert any(row.hint in hint for hint in bus_hints.hints(after, 0)), bus_hints.hints(after, 0)


@pytest.mark.parametrize("row", TCP, ids=lambda row: row.name)
def test_each_fault_over_tcp_is_counted_explained_and_never_a_value(over_tcp: Station, row: Row) -> None:
    spoil(over_tcp, row)


@pytest.mark.parametrize("row", RTU, ids=lambda row: row.name)
def test_each_fault_on_a_serial_line_is_counted_explained_and_never_a_value(over_rtu: Station, row: Row) -> None:
    spoil(over_rtu, row)


def test_an_adapter_that_hears_itself_is_known_counted_and_no_hindrance(tmp_path: Path) -> None:
    """Local echo on an adapter: each question comes back in front of its answer, from the first on; writes are confirmed all the same."""
    with serial_station(tmp_path, echo=True) as (loop, line, _):
        state = loop.until("questions heard back", lambda s: s["bus_echoes"][0] > 50 and plausible(s))
        assert state["mode"] == L.Mode.MODE_RUN, "the set point was written and read back"
        assert any("local echo is on" in hint for hint in bus_hints.hints(state, 0))
        line.damage(byte_by_byte, lambda q: is_read(q, False))
        line.wait()
        loop.until("too slow, and no value of it", lambda s: s["bus_slow"][0] > state["bus_slow"][0] and plausible(s))


def test_a_connection_that_ends_and_one_that_cannot_be_had(over_tcp: Station) -> None:
    loop, line, _ = over_tcp
    before = loop.until("up", lambda s: s["pcs_state"][0] == L.DeviceState.DEV_UP)
    line.refusing = True
    line.damage(lambda q, a: [(0, None)])
    line.wait()
    loop.until("ended", lambda s: s["bus_closed"][0] >= before["bus_closed"][0] + 2)
    line.refusing = False
    after = loop.until("back", lambda s: s["pcs_state"][0] == L.DeviceState.DEV_UP and s["bus_reconnects"][0] > before["bus_reconnects"][0])
    assert any("connections ended" in hint for hint in bus_hints.hints(after, 0))


def test_a_half_open_peer_is_left_and_met_again(over_tcp: Station) -> None:
    """R4: a peer that takes everything and answers nothing. That it is left within the data age stands in invented time in
    core/test_bus_pipeline.py and core/test_probing.py."""
    loop, line, _ = over_tcp
    before = loop.until("up", lambda s: s["pcs_state"][0] == L.DeviceState.DEV_UP)
    for _ in range(40):
        line.damage(lambda q, a: [])
        line.wait()
        if loop.now()["bus_half_open"][0] > before["bus_half_open"][0]:
            break
    after = loop.until("back", lambda s: s["pcs_state"][0] == L.DeviceState.DEV_UP)
    assert after["bus_half_open"][0] > before["bus_half_open"][0]
    assert any("pulled cable" in hint for hint in bus_hints.hints(after, 0))
