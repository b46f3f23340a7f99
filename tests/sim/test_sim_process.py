"""plant.yaml with its errors, the plant in a process of its own, and the entry of the command line."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessctl.errors import ConfigError, OperationFailed
from bessctl.sim.config import load
from bessctl.sim.process import obey
from bessctl.sim.run import make_plants, make_server, run_sim, start_server
from tests.sim.plants import M704, wset_block

EXAMPLE = Path("examples/plant.yaml")
SMALL = "plants:\n  - pcs: {w_max: 100000}\n    battery: {energy_wh: 50000, cells: 240}\n"


# ---- configuration ---------------------------------------------------------------------------------------------------------------


def test_the_example_is_a_200_kw_pcs_with_400_kwh() -> None:
    p = make_plants(load(EXAMPLE))[0]
    assert p.config["pcs"]["params"]["w_max"] == 200_000
    assert p.config["battery"]["params"]["energy_wh"] == 400_000
    assert p.get()["v"] == pytest.approx(768, rel=0.05)


# (file, place, word of the message)
WRONG = [
    (SMALL + "    colour: red\n", "4:5", "colour"),
    (SMALL.replace("w_max: 100000", "w_max: -1"), "2:11", "greater than 0"),
    (SMALL.replace("cells: 240", "cells: some"), "3:33", "integer"),
    (SMALL + "    meter: {device: {unit: 1}}\n", "2:5", "different unit ids"),
    ("plants: [", "1:10", "no YAML"),
    ("plants: []\n", "1:1", "at least 1"),
]


@pytest.mark.parametrize(("text", "place", "word"), WRONG)
def test_a_wrong_configuration_names_its_place(tmp_path: Path, text: str, place: str, word: str) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word) as wrong:
        load(path)
    assert wrong.value.place == f"{path}:{place}"


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_csv_profile_is_followed_and_repeats(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("t_s,w\n0,1000\n10,3000\n20,1000\n")
    path = tmp_path / "plant.yaml"
    path.write_text(SMALL + "    meter: {load: {csv: load.csv}}\n    grid: {noise_w: 0}\n")
    p = make_plants(load(path), tmp_path)[0]
    seen = []
    for _ in range(5):
        seen.append(round(p.get()["load_w"]))
        p.step(5.0)
    assert seen == [1000, 2000, 3000, 2000, 1000]
    assert p.get()["pcc_w"] == pytest.approx(-2000, abs=1)
    (tmp_path / "load.csv").write_text("0,1\n0,2\n")
    with pytest.raises(ConfigError, match="rising"):
        make_plants(load(path), tmp_path)


def test_load_pv_and_evse_make_the_pcc(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(SMALL + "    meter: {load: {w: 30000}, pv: {w: 12000}, evse_w: 5000}\n    grid: {noise_w: 0}\n")
    p = make_plants(load(path))[0]
    assert p.get()["pcc_w"] == pytest.approx(12_000 - 30_000 - 5_000)
    p.set(load_w=1000, pv_w=0, evse_w=0)
    p.step(0.01)
    assert p.get()["pcc_w"] == pytest.approx(-1000)


def test_a_port_in_use_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OperationFailed, match="cannot open its port"):
        start_server(make_server(load(EXAMPLE), tcp_port=taken.getsockname()[1]))


# ---- the process -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bessctl.sim.process", str(EXAMPLE), "--rtu"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


def say(process: subprocess.Popen[str], **request: Any) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_the_process_reports_obeys_and_ends_with_its_input(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdin is not None
    ready = json.loads(process.stdout.readline())
    assert ready["ready"] is True
    assert ready["plants"] == [{"name": "bess1", "units": {"pcs": 1, "battery": 2, "meter": 3}, "base": 40000}]
    assert Path(ready["pty_paths"][0]).exists()
    with socket.create_connection(("127.0.0.1", ready["ports"][0]), timeout=5) as s:
        block = b"".join(v.to_bytes(2, "big") for v in wset_block(55_000))
        s.sendall(bytes([0, 1, 0, 0, 0, 7 + len(block), 1, 16]) + (M704 + 22).to_bytes(2, "big") + bytes([0, 11, 22]) + block)
        assert len(s.recv(64)) == 12
    assert say(process, set={"cell_temp_c": 58, "bms_silent": True}, plant=0, id=7) == {"ok": True, "id": 7}
    state = say(process, get=True)["get"]
    assert (state["cell_c_max"], state["wset_w"]) == (58.0, 55_000.0)
    log = say(process, command_log=True)["command_log"]
    assert [entry[2:] for entry in log] == [["wset", 55_000.0], ["wset_ena", 1.0]]
    crossing = say(process, crossing={"after_ns": log[0][1] - 10_000_000, "w": -1})["crossing"]
    assert crossing >= log[0][1] - 10_000_000
    assert say(process, power_trace=True, since_ns=log[0][1], until_ns=log[0][1])["power_trace"] == []
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_stop_ends_the_process(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.readline()
    assert process.stdin is not None
    process.stdin.write('{"stop": true}\n')
    process.stdin.flush()
    assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("nonsense", "JSONDecodeError"),
        ("[1]", "expected"),
        ("{}", "expected"),
        ('{"set": {"colour": 1}}', "unknown: colour"),
        ('{"set": {"load_w": "much"}}', "TypeError"),
        ('{"set": 3}', "TypeError"),
        ('{"get": true, "plant": 4}', "IndexError"),
        ('{"crossing": {}}', "TypeError"),
        ('{"get": true, "step": 1}', "one of"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_with_an_error(line: str, word: str) -> None:
    server = make_server(load(EXAMPLE), real_time=False)
    assert word in obey(server, line)["error"]


def test_simulated_time_moves_by_request() -> None:
    server = make_server(load(EXAMPLE), real_time=False)
    assert obey(server, '{"step": 2.5}') == {"ok": True}
    assert obey(server, '{"get": true}')["get"]["ns"] == 2_500_000_000


def test_a_wrong_file_ends_the_process_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text("plants: 3\n")
    done = subprocess.run([sys.executable, "-m", "bessctl.sim.process", str(path)], capture_output=True, text=True, check=False, input="")
    assert done.returncode == 2
    assert f"{path}:1:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("output", ["table", "json"])
def test_run_sim_prints_where_it_is_and_how_it_goes(output: str) -> None:
    out = io.StringIO()
    run_sim(EXAMPLE, rtu=True, output=output, duration_s=0.05, out=out)
    lines = out.getvalue().splitlines()
    if output == "json":
        assert json.loads(lines[0])["ports"]
        assert json.loads(lines[-1])["soc_pct"] == 60.0
    else:
        assert lines[0].startswith("Modbus TCP 127.0.0.1:")
        assert "SoC  60.00 %" in lines[-1]
