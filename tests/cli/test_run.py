"""The whole spine by its own commands: a simulated plant, discovery, sealing, `bessctl run`, the operator's commands, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bessctl.sim.config import Battery, Pcs, PlantConfig, SimConfig
from bessctl.sim.run import make_server, start_server
from tests.cli.test_commands import ROOT, cli, site_file
from tests.sites import EXAMPLE

NO_OCPP = (EXAMPLE.read_text()[EXAMPLE.read_text().index("ocpp:     ") :], "")


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """A plant under control; ended by Ctrl-C, which must leave nothing behind."""
    plant = start_server(make_server(SimConfig(plants=[PlantConfig(pcs=Pcs(w_max=200000), battery=Battery(energy_wh=400000, cells=240))])))
    site = site_file(tmp_path, NO_OCPP, ("port: 5020", f"port: {plant.ports[0]}"))
    (tmp_path / "run").mkdir()
    sealed = cli("check", "--seal", "--online", site)
    assert sealed.returncode == 0, sealed.stderr
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "bessctl", "run", str(site)], env=env, stderr=log)
    yield tmp_path / "run"
    process.send_signal(signal.SIGINT)
    code = process.wait(60)
    plant.stop()
    assert code == 0, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not list((tmp_path / "run").glob("*.sock"))


def until(look: Callable[[], Any]) -> Any:
    """The first true answer, within a minute."""
    waiting = threading.Event()
    for _ in range(200):
        found = look()
        if found:
            return found
        waiting.wait(0.3)
    return pytest.fail("did not happen within a minute")


def commissions(run_dir: Path) -> None:
    """R16: untried it gives 5 %; tried both ways, PCS, DC side and meter agreeing, it gives all, and the journal knows."""
    capped = json.loads(cli("set", "50kW", "--ttl", 300, "--run-dir", run_dir, "-o", "json").stdout)
    assert (capped["limited_by"], capped["limited_to_w"]) == ("commission:unit1", 10e3)
    assert "bessctl commission" in capped["why"]
    done = cli("commission", "--window-s", 0.5, "--run-dir", run_dir, "-o", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["commissioned"] == ["unit1"]
    for trial, sign in zip(told["trials"], (1, -1), strict=True):
        assert trial["asked_w"] == sign * 6000
        for what in ("ac_w", "dc_w", "battery_w", "pcc_w"):
            assert trial["changes"][what] == pytest.approx(sign * 6000, rel=0.2), what
    assert json.loads(Path(told["stored"]).read_text())["commissioned"] == ["unit1"]


def test_the_spine_from_discovery_to_an_orderly_stop(run_dir: Path) -> None:
    """CARD-1, CARD-2, R16: the operator's word reaches the PCS's power, within its limits, and is taken back."""

    def plant() -> dict[str, Any]:
        done = cli("status", "-o", "json", "--run-dir", run_dir)
        found: dict[str, Any] = json.loads(done.stdout)["plant"] if done.stdout else {}
        return found

    until(lambda: plant().get("mode") == "run")
    until((run_dir / "supervisor.sock").exists)
    until(lambda: plant().get("hi_by") == "commission:unit1")  # the PCS has started: nothing narrower is left
    commissions(run_dir)
    assert cli("set", "50kW", "--ttl", 300, "--run-dir", run_dir).returncode == 0
    now = until(lambda: next((seen for seen in [plant()] if abs((seen["power_w"] or 0) - 50e3) < 1e3), None))
    assert now["pcc_w"] == pytest.approx(50e3, abs=2e3)  # the meter's import-positive W, turned once
    beyond = cli("set", "-900kW", "--ttl", 300, "--run-dir", run_dir, "-o", "json")
    assert beyond.returncode == 0
    assert json.loads(beyond.stdout)["limited_by"], "clamped, and said so"
    stack = json.loads(until(lambda: cli("limits", "-o", "json", "--run-dir", run_dir).stdout))["limits"]
    lines = {line["step"]: line for line in stack}
    assert lines["requested"]["value_w"] == -900e3
    assert lines["plant lo"]["effect"] == "clamps the request"
    assert lines["applied"]["value_w"] >= -200e3
    assert cli("stop", "--run-dir", run_dir).returncode == 0
    until(lambda: plant()["mode"] == "stopped")
    assert cli("start", "--run-dir", run_dir).returncode == 0
    assert cli("release", "--run-dir", run_dir).returncode == 0
    told = [json.loads(line) for line in cli("events", "-o", "json", "--run-dir", run_dir).stdout.splitlines()]
    assert {"acquired", "plan_accepted", "target_clamped"} <= {event["code"] for event in told}
