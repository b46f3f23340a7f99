"""A rig under test: its devices are simulated and called real, its loop is a process, and so is its runner where a test wants one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bessctl.corelink import attach, names
from bessctl.corelink.commission import begin_commissioned
from bessctl.errors import NotReachable
from bessctl.hil.liveplace import LivePlace
from bessctl.hil.stagefiles import StageFiles

SITES = Path(__file__).parent.parent / "scenarios" / "sites"

RIG = """
rig: bench 1
site: site.yaml
devices:
  pcs1: {kind: real, bus: lan, what: stands for an inverter}
  bms1: {kind: real, bus: lan}
  meter1: {kind: simulated, bus: lan}
faults:
  hottest cell: {operator: 'Warm the sensor to {value}'}
  coldest cell: {relay: [sh, -c, "echo {value} in {over} s > RELAY"]}
  load: {relay: [sh, -c, "echo {value} > RELAY"], well: [sh, -c, "rm RELAY"]}
abort:
  power: 200 kW
  hottest cell: 58 C
operator_s: 20
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


def until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
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
        self.relay = self.folder / "relay"
        self.rig.write_text(RIG.replace("RELAY", str(self.relay)))
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

    def again(self) -> None:
        """A fresh start, whatever the test before left: stopped, tripped, or three starts in ten minutes."""
        self.place.plant(0, {"cell_temp_c": None, "bms_silent": 0, "pcs_silent": 0})
        self.commission()

    def mode(self) -> str:
        try:
            with attach(str(self.folder / "run"), writes=False) as link:
                shot = link.snapshot()
                return "" if shot is None else shot.mode
        except NotReachable:
            return ""

    def bms_link(self) -> str:
        with attach(str(self.folder / "run"), writes=False) as link:
            state = link.state()
        return "" if state is None else names.DEVICE_STATES.get(state["bms_state"][0], "")

    def runs(self) -> bool:
        return self.mode() == "run"

    def orders(self, since_ns: int = 0) -> list[tuple[int, str, float]]:
        """What the PCS was told: (ns, kind, value)."""
        return [(ns, kind, value) for _, ns, kind, value in self.place.talk.ask(command_log=True)["command_log"] if ns > since_ns]

    def watts_ordered(self, since_ns: int = 0) -> set[float]:
        return {value for _, kind, value in self.orders(since_ns) if kind == "wset"}

    def runner(self, scenario: Path) -> subprocess.Popen[str]:
        """`bessctl hil run` at this rig, with somebody at its keyboard."""
        # A shell that starts the tests in the background has them ignore Ctrl-C, and what they start with them.
        at_a_keyboard = ["env", "--default-signal=INT"]
        command = [*at_a_keyboard, sys.executable, "-m", "bessctl", "hil", "run", str(scenario), "--rig", str(self.rig)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stderr=pipe, stdout=pipe, text=True, env=dict(os.environ))

    def power_w(self) -> float:
        return float(self.place.truth(0)["ess_w"])

    def in_standby(self) -> bool:
        """By the device's own word."""
        truth = self.place.truth(0)
        return bool(truth["inv_state"] == 7 and abs(truth["ess_w"]) < 1000)

    def close(self) -> None:
        self.stop()
        self.place.close()


def told(runner: subprocess.Popen[str], word: str) -> str:
    """Its lines on stderr until one holds the word."""
    lines = []
    assert runner.stderr is not None
    for line in runner.stderr:
        lines.append(line)
        if word in line:
            return line
    raise AssertionError(f"never told {word!r}: {''.join(lines)}")
