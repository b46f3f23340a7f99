"""What `bessctl status` says of buses and alarm bits, and who may look at a device beside the loop: on a published state (CARD-1)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bessctl.cli.program import run
from bessctl.config.seal import link_of
from bessctl.corelink import bus_hints
from bessctl.corelink.seal import number, pack, unpack
from bessctl_core import layout as L
from bessctl_core.master import Master
from tests.config.test_contradictions import own_control
from tests.core.loop_rig import Loop
from tests.sites import sealed_example
from tests.test_corelink import first, measured, state

S = 1_000_000_000
SEALING = sealed_example()
SEALING_CONFIG = unpack(SEALING.content).config_bytes

# Counter of a bus -> what status calls it; what is not here counts no fault.
SHOWN = {
    "late_replies": "late", "slow": "slow", "failed_timeout": "timeouts", "crc_errors": "crc", "wrong_unit": "wrong_unit",
    "wrong_function": "wrong_function", "wrong_length": "wrong_length", "wrong_echo": "wrong_echo", "wrong_protocol": "wrong_protocol",
    "garbage_bytes": "garbage", "gaps": "gaps", "echoes": "echoes", "failed_exception": "exceptions", "connect_failures": "refused",
    "half_open": "half_open", "disconnects": "closed", "failed_queue_full": "queue_full", "failed_bad_request": "bad_request",
}  # fmt: skip
HOW_IT_ENDED = {
    "failed_crc", "failed_wrong_unit", "failed_wrong_function", "failed_wrong_length", "failed_wrong_echo", "failed_wrong_protocol",
    "failed_garbage", "failed_connect", "failed_closed", "failed_stopped",
}  # fmt: skip
"""The same faults once more, by how a question ended; and what a bus that was closed did not send."""
NO_FAULT = {"ok", "connects", "bytes_in", "bytes_out"}


@contextmanager
def published(run_dir: Path, content: bytes = SEALING.content, digest: bytes = SEALING.digest, **fields: Any) -> Iterator[None]:
    loop = Loop(run_dir, os.getuid(), content, digest)
    try:
        loop.segments.publish(state(**fields))
        yield
    finally:
        loop.close()


def look(run_dir: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    run(["status", "--run-dir", str(run_dir), *words])
    return capsys.readouterr().out


def test_every_fault_counter_of_a_bus_has_its_line_in_status() -> None:
    """Those of facts the bus counts; the rest of its counters tell how questions ended, or count no fault."""
    with Master.tcp("127.0.0.1", 1) as master:
        counters = {name for name in master.counters() if not name.startswith("exception_")}
    assert counters - set(SHOWN) == HOW_IT_ENDED | NO_FAULT
    assert set(SHOWN.values()) == set(bus_hints.HINTS)


@pytest.mark.parametrize("name", bus_hints.HINTS)
def test_status_shows_each_counter_with_its_hint(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts: dict[str, Any] = {f"bus_{name}": first(1, 14, L.LIMITS["buses"]), "bus_exception_code": first(1, 6, L.LIMITS["buses"])}
    with published(tmp_path, **counts):
        table, (bus,) = look(tmp_path, capsys), json.loads(look(tmp_path, capsys, "-o", "json"))["buses"]
    hint = bus_hints.hint(name, 14, 6)
    assert f"lan: {hint}" in table.splitlines()
    assert "14" in hint
    assert (bus["faults"][name], bus["hints"]) == (14, [hint])


def test_a_time_out_too_short_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with published(tmp_path, bus_late=first(1, 14, L.LIMITS["buses"])):
        assert "time-out too short: 14 late replies" in look(tmp_path, capsys)


def row_of(name: str) -> int:
    return next(i for i, row in enumerate(SEALING.names["rows"]) if row["name"] == name)


@pytest.mark.parametrize(("bits", "which"), [(1 << 30, "bit_30"), (1 << 31 | 1 << 2, "over_temp_warning, bit_31")])
def test_an_alarm_bit_that_nobody_names_warns_and_stands_in_status_by_its_number(
    bits: int, which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = row_of("bms_alarms_warn")
    active = [int(i == row) for i in range(L.LIMITS["rows"])]
    with published(tmp_path, row_active=active, **measured({(0, L.Quantity.Q_BMS_ALARM): float(bits)})):
        table, report = look(tmp_path, capsys), json.loads(look(tmp_path, capsys, "-o", "json"))
    (alarm,) = [alarm for alarm in report["alarms"] if alarm["alarm"] == "bms_alarms_warn"]
    assert alarm["which"] == which
    assert which in table


def test_every_bit_of_an_alarm_register_belongs_to_some_row() -> None:
    """A bit in no row would be silent."""
    c = unpack(SEALING.content)
    for section in ("bms_alarms", "pcs_alarms"):
        bits = sorted(bit for row in c.names["rows"] if row["name"].startswith(section) for bit, _ in row["bits"])
        assert bits == list(range(32)), section
    assert number("Q", "bms_alarm")


# --- one session ------------------------------------------------------------------------------------------------------------------------

SERIAL = ("    tcp: {host: 127.0.0.1, port: 5020}\n", "    rtu: {device: /dev/ttyS7, baud: 115200}\n")
SLOWER = (("data_age_s: 0.5", "data_age_s: 1.5"), ("confirm_s: 2", "confirm_s: 4"), ("pickup_s: 0.3", "pickup_s: 0.6"),
          ("act_within_ms: 500", "act_within_ms: 2500"))  # fmt: skip


@pytest.mark.parametrize("command", [["discover"], ["profile", "dump", "--profile", "sinexcel-pws"]])
def test_a_line_that_the_loop_holds_is_not_looked_at(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two masters on one serial line would take each other's answers."""
    sealing = sealed_example(SERIAL, *SLOWER)
    with published(tmp_path, sealing.content, sealing.digest):
        code = run([*command, "rtu:/dev/ttyS7?baud=115200", "--run-dir", str(tmp_path)])
    assert code == 2
    assert "is a line for one master, and the running loop holds it (bus 'lan'); stop the loop first" in capsys.readouterr().err


@pytest.mark.parametrize("port", [5020, 1])
@pytest.mark.parametrize("command", [["discover"], ["profile", "dump", "--profile", "sinexcel-pws"]])
def test_a_device_of_one_session_is_not_looked_at_by_its_address_either(
    command: list[str], port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another place may be looked at; there nobody answers here."""
    link = {"host": "127.0.0.1", "port": 5020, "alone": True}
    content = pack(SEALING_CONFIG, {**SEALING.names, "links": [link]})
    with published(tmp_path, content, unpack(content).digest):
        code = run([*command, f"tcp://127.0.0.1:{port}", "--timeout-s", "0.2", "--run-dir", str(tmp_path)])
    told = "takes one session, and the running loop holds it (bus 'lan'); stop the loop first"
    assert (code, told in capsys.readouterr().err) == ((2, True) if port == link["port"] else (3, False))


def test_the_sealed_file_says_which_places_are_for_the_loop_alone() -> None:
    assert SEALING.names["links"] == [{"host": "127.0.0.1", "port": 5020, "alone": False}]
    assert sealed_example(SERIAL, *SLOWER).names["links"] == [{"path": "/dev/ttyS7", "alone": True}]
    site = own_control().site
    assert [link_of(site, bus) for bus in site.buses] == [
        {"host": "127.0.0.1", "port": 5021, "alone": True},  # a Sungrow
        {"host": "127.0.0.1", "port": 5020, "alone": False},
    ]


def test_a_device_that_hangs_up_on_a_second_client_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    """No loop of this machine holds it: the device says it in its own way."""
    with socket.create_server(("127.0.0.1", 0)) as device:
        import threading  # noqa: PLC0415

        def hang_up() -> None:
            peer, _ = device.accept()
            peer.recv(12)
            peer.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        where = f"tcp://127.0.0.1:{device.getsockname()[1]}"
        assert run(["profile", "dump", where, "--profile", "sinexcel-pws", "--timeout-s", "1"]) == 3
        thread.join(10)
    assert "it may take one session only, and somebody else, perhaps a loop, has it" in capsys.readouterr().err
