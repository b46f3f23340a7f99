"""The command line as its users meet it: the real program, its exit codes, its messages, and never a traceback."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bessctl
from bessctl.cli.order import parse_power
from bessctl.cli.program import run
from bessctl.config.load import load_site
from bessctl.devices import discovery
from bessctl.errors import UsageError
from bessctl.sim.config import Battery, Pcs, PlantConfig, Server, SimConfig
from bessctl.sim.run import make_server, start_server
from tests.sites import EXAMPLE, standard_devices

ROOT = EXAMPLE.parent.parent


def cli(*arguments: object, env: dict[str, str] | None = None, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT)])}
    command = [sys.executable, "-m", "bessctl", *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **paths, **(env or {})}, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def site_file(folder: Path, *changes: tuple[str, str]) -> Path:
    text = EXAMPLE.read_text()
    for old, new in (("/var/lib/bessctl", str(folder / "state")), ("/run/bessctl", str(folder / "run")), *changes):
        assert old in text
        text = text.replace(old, new)
    file = folder / "site.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def discovered(tmp_path: Path) -> Path:
    """A site with a stored discovery."""
    file = site_file(tmp_path)
    loaded = load_site(file)
    discovery.store(loaded.discovery_file, standard_devices(loaded))
    return file


def test_version_says_it_and_imports_nothing_for_it() -> None:
    code = "import sys; sys.argv = ['bessctl', 'version']; from bessctl.cli import main; main(); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    said, modules = done.stdout.splitlines()
    assert said == bessctl.__version__
    assert not {"typer", "pydantic", "asyncio", "numpy", "ruamel"} & {name.split(".")[0] for name in eval(modules)}


def test_version_as_json() -> None:
    assert json.loads(cli("version", "-o", "json").stdout) == {"version": bessctl.__version__}


# (arguments, exit code, words on stderr); {site} is a good site without discovery, {tmp} an empty folder.
REFUSALS: list[tuple[list[str], int, str]] = [
    (["chekc"], 2, "No such command 'chekc'"),
    (["check"], 2, "Missing argument"),
    (["check", "{tmp}/none.yaml"], 3, "none.yaml: No such file or directory"),
    (["check", "--seal", "{site}"], 2, "device 'pcs1' was not discovered yet; run `bessctl discover --into SITE`"),
    (["check", "{site}", "-o", "xml"], 2, "Invalid value for '-o'"),
    (["run", "{site}"], 3, "the site is not sealed yet; run: bessctl check --seal"),
    (["loop", "{site}"], 3, "the site is not sealed yet"),
    (["loop", "{tmp}/none.sealed"], 3, "seal the site first"),
    (["supervise", "{tmp}/none.yaml"], 3, "none.yaml"),
    (["discover"], 2, "name either an ADDRESS"),
    (["discover", "http://x"], 2, "is no address of a Modbus device; write tcp://HOST[:PORT] or rtu:/dev/ttyX"),
    (["discover", "tcp://127.0.0.1:1"], 3, "Connection refused"),
    (["discover", "rtu:/dev/none"], 3, "could not open port /dev/none"),
    (["discover", "--into", "{site}"], 3, "is the device on, and are address and cable right?"),
    (["status", "--run-dir", "{tmp}"], 3, "no loop process answers; start it with `bessctl run`, or name its folder with --run-dir"),
    (["limits", "--run-dir", "{tmp}"], 3, "no loop process answers"),
    (["events", "--run-dir", "{tmp}"], 3, "no loop process answers"),
    (["stop", "--run-dir", "{tmp}"], 3, "the loop is not running there"),
    (["reset", "--run-dir", "{tmp}"], 3, "the loop is not running there"),
    (["set", "50kW", "--ttl", "10", "--run-dir", "{tmp}"], 3, "the supervisor is not running there"),
    (["set", "50kX", "--ttl", "10"], 2, "'50kX' is no power; write 50kW, -20000 or 1.5MW"),
    (["set", "50kW"], 2, "Missing option '--ttl'"),
    (["release", "--run-dir", "{tmp}"], 3, "is not running there"),
]


@pytest.mark.parametrize("row", REFUSALS, ids=[" ".join(row[0]) for row in REFUSALS])
def test_what_cannot_be_done_is_said_with_its_exit_code(
    row: tuple[list[str], int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the program sets its own
    arguments, code, words = row
    site = site_file(tmp_path, ("port: 5020", "port: 1"))
    returned = run([argument.format(site=site, tmp=tmp_path) for argument in arguments])
    said = capsys.readouterr()
    assert (returned, said.out) == (code, ""), said.err
    assert words in said.err


@pytest.mark.parametrize(("arguments", "code", "words"), [REFUSALS[0], REFUSALS[3], REFUSALS[14]])
def test_the_real_program_says_the_same(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    done = cli(*(argument.format(site=site_file(tmp_path), tmp=tmp_path) for argument in arguments))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr


def test_a_wrong_key_is_told_with_its_place(tmp_path: Path) -> None:
    file = site_file(tmp_path, ("  rate_hz: 100", "  rate_hx: 100"))
    done = cli("check", file)
    assert done.returncode == 2
    line = file.read_text().splitlines().index(next(t for t in file.read_text().splitlines() if "rate_hx" in t)) + 1
    assert f"{file}:{line}:3: loop.rate_hx: unknown key; did you mean 'rate_hz'?" in done.stderr


def test_check_says_what_happens_when_the_loop_dies(discovered: Path) -> None:
    """R11."""
    done = cli("check", discovered)
    assert done.returncode == 0
    assert "unit1: loop dead -> 0 W within 8 s (allowed 10 s)" in done.stdout
    assert not load_site(discovered).sealed_file.exists()


def test_check_seals_what_the_loop_can_read(discovered: Path) -> None:
    from bessctl.corelink import seal  # noqa: PLC0415 - beside what the command wrote

    done = cli("check", "--seal", discovered, "-o", "json")
    report = json.loads(done.stdout)
    assert seal.load(report["sealed"]["path"]).digest.hex() == report["sealed"]["hash"]
    assert {row["row"] for row in report["rows"]} >= {"cell_v_high", "bms_data_age"}
    assert all(row["detected_within_s"] > 0 for row in report["rows"])


def test_a_damaged_sealed_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "site.sealed"
    file.write_bytes(b"BESSEAL1" + bytes(100))
    done = cli("loop", file)
    assert done.returncode == 2
    assert "seal it again" in done.stderr.lower()


# --- discovery, against the simulated plant ---------------------------------------------------------------------------------------------


@pytest.fixture
def plant() -> Iterator[int]:
    config = SimConfig(plants=[PlantConfig(pcs=Pcs(w_max=200000), battery=Battery(energy_wh=400000, cells=240))], server=Server(tcp_port=0))
    server = start_server(make_server(config))
    yield server.ports[0]
    server.stop()


def test_discover_shows_the_chain_of_a_device(plant: int) -> None:
    found = json.loads(cli("discover", f"tcp://127.0.0.1:{plant}", "--unit-id", 1, "-o", "json").stdout)
    assert [model["id"] for model in found["models"]] == [1, 701, 702, 703, 704, 713, 714, 715]
    assert found["serial"].startswith("SIM")
    assert "701" in cli("discover", f"tcp://127.0.0.1:{plant}").stdout


def test_a_site_is_discovered_and_sealed_online(plant: int, tmp_path: Path) -> None:
    file = site_file(tmp_path, ("port: 5020", f"port: {plant}"))
    done = cli("check", "--seal", "--online", file)
    assert done.returncode == 0, done.stderr
    assert "looking at pcs1" in done.stderr
    assert load_site(file).sealed_file.exists()
    # and again without the devices, from what was stored: the same file
    first = load_site(file).sealed_file.read_bytes()
    assert cli("check", "--seal", file).returncode == 0
    assert load_site(file).sealed_file.read_bytes() == first


def test_an_id_nobody_has_is_no_sunspec_device(plant: int) -> None:
    done = cli("discover", f"tcp://127.0.0.1:{plant}", "--unit-id", 9, "--timeout-s", 1)
    assert done.returncode == 1
    assert "answers Modbus and is no SunSpec device" in done.stderr


def test_a_device_that_is_silent_is_not_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = cli("discover", f"tcp://127.0.0.1:{server.getsockname()[1]}", "--timeout-s", 0.2)
    assert done.returncode == 3
    assert "no answer" in done.stderr


# --- the loop's own socket ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any], list[dict[str, Any]]]]:
    """A control socket that gives one answer; `seen` is what it was asked."""
    answer: dict[str, Any] = {}
    seen: list[dict[str, Any]] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "control.sock"))
    server.listen()

    def serve() -> None:
        link, _ = server.accept()
        with link, link.makefile("rb") as lines:
            seen.append(json.loads(lines.readline()))
            if answer:
                link.sendall(json.dumps(answer).encode() + b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield tmp_path, answer, seen
    server.close()


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({"ok": True, "outcome": "done", "reason": ""}, 0, ""),
        ({"ok": False, "outcome": "refused", "reason": "cell_v_high still stands"}, 4, "reset refused: cell_v_high still stands"),
        ({"ok": False, "outcome": "unknown", "reason": "no word from the loop"}, 5, "outcome unknown: no word from the loop"),
        ({}, 5, "the connection ended before an answer came"),
    ],
)
def test_the_loops_answer_becomes_the_exit_code(control: Any, answer: dict[str, Any], code: int, words: str) -> None:
    """R15."""
    run_dir, told, seen = control
    told.update(answer)
    done = cli("reset", "--run-dir", run_dir)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert seen == [{"command": "reset"}]


@pytest.mark.parametrize("command", ["stop", "start", "out-of-service"])
def test_the_operators_words_reach_the_loop(control: Any, command: str) -> None:
    run_dir, told, seen = control
    told.update({"ok": True, "outcome": "done", "reason": ""})
    done = cli(command, "-o", "json", env={"BESSCTL_RUN_DIR": str(run_dir)})
    assert json.loads(done.stdout)["outcome"] == "done"
    assert seen == [{"command": command}]


def test_another_sources_plan_is_removed_by_the_loop_itself(control: Any) -> None:
    """R7: only the operator removes a source; the supervisor need not be there."""
    run_dir, told, seen = control
    told.update({"ok": True, "outcome": "done", "reason": ""})
    assert cli("release", "--source", "ocpp", "--run-dir", run_dir).returncode == 0
    assert seen == [{"command": "release", "source": "ocpp"}]


# --- numbers and internal errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "watts"),
    [("50kW", 50e3), ("-20000", -20e3), ("1.5MW", 1.5e6), ("0", 0.0), ("-20 kW", -20e3), ("300W", 300.0), ("1e3", 1e3)],
)
def test_power_is_read_in_the_units_people_write(text: str, watts: float) -> None:
    assert parse_power(text) == watts


@pytest.mark.parametrize("text", ["", "kW", "nan", "inf", "-infkW", "1e300MW", "50kWh", "5 0 k"])
def test_what_is_no_power_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_power(text)


def test_an_internal_error_is_one_line_and_its_traceback_is_kept(tmp_path: Path) -> None:
    code = (
        "import sys; from bessctl.cli import program, look; program.app.command('break')(lambda: 1 / 0); sys.exit(program.run(['break']))"
    )
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("bessctl: internal error: ZeroDivisionError: division by zero; the traceback is in ")
    assert len(done.stderr.splitlines()) == 1
    (kept,) = tmp_path.glob("bessctl-error-*.log")
    assert "ZeroDivisionError" in kept.read_text()
