"""A rig: here its devices are simulated, behind a loop that runs by itself; the runner does not know (CARD-6)."""

import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bessctl.corelink import attach
from bessctl.corelink.commission import begin_commissioned
from bessctl.errors import ConfigError, NotReachable, Refused
from bessctl.hil.judge import NOT_RUN, PASSED
from bessctl.hil.liveplace import LivePlace
from bessctl.hil.rig import load_rig
from bessctl.hil.rigrun import run_on_rig
from bessctl.hil.stagefiles import StageFiles

SITES = Path(__file__).parent.parent / "scenarios" / "sites"

RIG = """
rig: bench 1
site: site.yaml
devices:
  pcs1: {kind: simulated, bus: lan, what: stands for an inverter}
  bms1: {kind: simulated, bus: lan}
  meter1: {kind: simulated, bus: lan}
faults:
  hottest cell: {operator: Warm the sensor to {value}}
  load: {relay: [sh, -c, "echo {value} > RELAY"], well: [sh, -c, "rm RELAY"]}
abort:
  power: 200 kW
  hottest cell: 58 C
operator_s: 5
"""

SCENARIO = """
scenario: A few percent
proves: [CARD-6]
site: site.yaml
lasts: 3 s
steps:
  - at: 0 s
    set: {manual: {power: 20 kW}}
    expect:
      - {power: 19 kW to 21 kW, within: 2 s, holding for: 500 ms}
"""


def quiet(_: str) -> None:
    """Progress is for people."""


def until(holds: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        select.select([], [], [], 0.02)


class Bench:
    """A rig's folder, its devices, and its loop once it is started."""

    def __init__(self) -> None:
        self.place = LivePlace(StageFiles(SITES / "one.yaml", SITES / "one.plant.yaml"))
        self.folder = self.place.folder
        self.rig = self.folder / "rig.yaml"
        self.rig.write_text(
            RIG.replace("{operator: Warm the sensor to {value}}", "{operator: 'Warm the sensor to {value}'}").replace(
                "RELAY", str(self.folder / "relay")
            )
        )
        self.loop: subprocess.Popen[bytes] | None = None

    def scenario(self, text: str = SCENARIO) -> Path:
        file = self.folder / "scenario.yaml"
        file.write_text(text)
        return file

    def forget_commissioning(self) -> None:
        for file in (self.folder / "state").iterdir():
            file.unlink()

    def commission(self) -> None:
        """As if it had been, with the loop stopped meanwhile."""
        self.stop()
        self.forget_commissioning()
        assert begin_commissioned(str(self.folder / "state"), str(self.place.sealed))
        self.start()

    def stop(self) -> None:
        if self.loop is not None:
            self.loop.kill()
            self.loop.wait()

    def start(self) -> None:
        command = [sys.executable, "-m", "bessctl", "loop", str(self.place.sealed)]
        self.loop = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.runs, "the loop runs the plant")

    def runs(self) -> bool:
        try:
            with attach(str(self.folder / "run"), writes=False) as link:
                shot = link.snapshot()
                return shot is not None and shot.mode == "run"
        except NotReachable:
            return False

    def close(self) -> None:
        self.stop()
        self.place.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    it = Bench()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bessctl.hil.runner.MOST_MS", math.inf)  # the machine of a test is busy with other tests
        yield it
    it.close()


def test_the_rig_file_is_held_to_the_sealed_site(bench: Bench, tmp_path: Path) -> None:
    text = bench.rig.read_text().replace("site: site.yaml", f"site: {bench.folder / 'site.yaml'}")
    for old, new, says in (
        ("power: 200 kW", "power: 20 kW", "the sealed units may give 200000 W"),
        ("hottest cell: 58 C\n", "hottest cell: 45 C\n", "the sealed trip of cell_temp_high (58) does not keep 45 C"),
        ("hottest cell: 58 C\n", "hottest sell: 45 C\n", "no such abort limit"),
        ("pcs1: {kind: simulated, bus: lan,", "pcs1: {kind: simulated, bus: can,", "the site has no 'pcs1' on bus 'can'"),
        ("kind: simulated, bus: lan, what", "kind: virtual, bus: lan, what", "Input should be 'real' or 'simulated'"),
    ):
        assert old in text
        file = tmp_path / "rig.yaml"
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(ConfigError) as caught:
            load_rig(file)
        assert says in str(caught.value)
        assert str(caught.value).startswith(f"{file}:")


def test_nothing_is_commanded_without_an_answer_or_before_commissioning(bench: Bench) -> None:
    """R16; a rig that does not answer stops before anything is commanded."""
    with pytest.raises(NotReachable):
        run_on_rig([bench.scenario()], bench.rig, None, quiet)
    with pytest.raises(ConfigError, match="no signal 'set point'"):
        run_on_rig([bench.scenario(SCENARIO.replace("{power: 19 kW", "{set point: 19 kW"))], bench.rig, None, quiet)
    assert bench.place.talk.ask(command_log=True)["command_log"] == []
    bench.forget_commissioning()
    bench.start()
    with pytest.raises(Refused, match="unit1: never tried under this configuration"):
        run_on_rig([bench.scenario()], bench.rig, None, quiet)
    assert {value for _, _, kind, value in bench.place.talk.ask(command_log=True)["command_log"] if kind == "wset"} <= {0.0}
    bench.commission()


def test_a_scenario_runs_at_the_rig_and_a_relay_plays_its_fault(bench: Bench, tmp_path: Path) -> None:
    """The same file."""
    text = SCENARIO + "  - at: 1 s\n    inject: {load: 30 kW}\n"
    (result,) = run_on_rig([bench.scenario(text)], bench.rig, tmp_path, quiet)
    assert (result.verdict, result.why) == (PASSED, "")
    assert result.evidence is not None
    assert result.evidence.proved
    assert not (bench.folder / "relay").exists(), "the relay was told to end it"
    assert "bench 1" in (tmp_path / "report.html").read_text()
    assert abs(bench.place.truth(0)["ess_w"]) < 1000


def test_the_runners_death_is_zero_watts_by_the_loop(bench: Bench) -> None:
    """Its leases end within two seconds, nobody else is needed."""
    file = bench.scenario(SCENARIO.replace("lasts: 3 s", "lasts: 60 s"))
    command = [sys.executable, "-m", "bessctl", "hil", "run", str(file), "--rig", str(bench.rig)]
    runner = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ))
    until(lambda: bench.place.truth(0)["ess_w"] > 19_000, "the runner's plan is followed")
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    killed_ns = time.monotonic_ns()
    until(lambda: abs(bench.place.truth(0)["ess_w"]) < 1000, "power is gone")
    assert any(
        kind == "wset" and value == 0 and ns < killed_ns + 2.1e9
        for _, ns, kind, value in bench.place.talk.ask(command_log=True)["command_log"]
        if ns > killed_ns
    )


def test_an_abort_leaves_the_devices_in_standby(bench: Bench) -> None:
    """What is measured beyond an abort limit ends the run; the loop, which keeps the same limit, is told to stop as well."""
    text = SCENARIO.replace("lasts: 3 s", "lasts: 10 s") + "  - at: 2 s\n    inject: {hottest cell: 59 C}\n"

    def warm(told: str) -> str:
        assert "Warm the sensor to 59 C" in told
        bench.place.plant(0, {"cell_temp_c": 59.0})
        return "\n"

    other = bench.folder / "other.yaml"
    other.write_text(SCENARIO)
    results = run_on_rig([bench.scenario(text), other], bench.rig, None, quiet, warm)
    assert [result.verdict for result in results] == [NOT_RUN], "none is begun after an abort"
    assert results[0].why.startswith("aborted: hottest cell is 59")
    assert results[0].evidence is not None
    assert results[0].evidence.proved
    truth = bench.place.truth(0)
    assert (truth["inv_state"], abs(truth["ess_w"]) < 1000) == (7, True), "standby, by the device's own word"
