"""The demo's processes in a folder of their own: simulated plant, loop, supervisor. Everything ends with the stage, also on Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bessctl.corelink.commission import begin_commissioned
from bessctl.demo import capacity, utility
from bessctl.errors import NotReachable, OperationFailed
from bessctl.sim.sep2_server import Sep2Server

HERE = Path(__file__).resolve().parent
END_WITHIN_S = 8.0


class PlantProcess:
    """The simulated plant, driven by JSON lines."""

    def __init__(self, plant_yaml: Path, log: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bessctl.sim.process", str(plant_yaml), "--realtime"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
            start_new_session=True,
        )
        self.port = int(self._answer()["ports"][0])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NotReachable("the simulated plant ended before it was ready; see plant.log in the demo's folder (--keep)")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OperationFailed(f"the simulated plant refused: {answer['error']}")
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def set(self, **values: Any) -> None:
        """Change the plant: cell_temp_c, load_w, ..."""
        self.ask(set=values)

    def log(self, kind: str, after_ns: int = 0) -> list[tuple[int, float]]:
        """(ns, value) of each change of a register after an instant: `wset` in W, `opctl` as SunSpec 715 counts it."""
        return [(ns, value) for _, ns, what, value in self.ask(command_log=True)["command_log"] if what == kind and ns > after_ns]

    def end(self) -> None:
        """Close its input and wait."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        _wait(self._process)


def _wait(process: subprocess.Popen[Any]) -> None:
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Stage:
    """Processes and files of one demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site.yaml"
        self.run_dir = folder / "run"
        self.state_dir = folder / "state"
        self.plant: PlantProcess
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_plant(self) -> None:
        """The simulated devices."""
        self.plant = PlantProcess(HERE / "plant.yaml", self.folder / "plant.log")

    def write_site(self, csms_url: str, lease_s: float, server: Sep2Server) -> None:
        """The example site, with this demo's folders, port, CSMS, capacity provider and utility."""
        yaml = YAML()
        site = yaml.load((HERE / "site.yaml").read_text())
        self.run_dir.mkdir(mode=0o700)
        self.state_dir.mkdir(mode=0o700)
        site["paths"] = {"state_dir": str(self.state_dir), "run_dir": str(self.run_dir)}
        site["buses"][0]["tcp"]["port"] = self.plant.port
        link = site["ocpp"]["links"][0]
        link.update({"url": csms_url, "lease_s": lease_s, "heartbeat_range_s": [1, 3600]})
        link["back_off"] = {"minimum_s": 0.2, "random_range_s": 0.3, "repeat_times": 2}
        site["sources"].insert(0, capacity.slot())
        site["sources"].append(utility.slot())
        site["sep2"] = utility.section(server, self.folder)
        site["oscp"] = capacity.section(capacity.files(self.folder))
        with self.site.open("w") as file:
            yaml.dump(site, file)

    def seal(self) -> None:
        """`bessctl discover` with the devices online, then `bessctl check --seal`; simulated units need no trial (R16)."""
        for words in (["discover", "--into", str(self.site)], ["check", "--seal", str(self.site)]):
            done = subprocess.run([*bessctl(), *words], capture_output=True, text=True, check=False)
            if done.returncode:
                raise OperationFailed(f"{words[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        begin_commissioned(str(self.state_dir), str(self.site.with_suffix(".sealed")))

    def start(self, name: str) -> None:
        """`bessctl loop` or `bessctl supervise`, its log beside."""
        log = (self.folder / f"{name}.log").open("ab")
        self._running[name] = subprocess.Popen(
            [*bessctl(), name, str(self.site)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def signal(self, name: str, number: int) -> None:
        """Any signal; SIGKILL also collects the process."""
        self._running[name].send_signal(number)
        if number == signal.SIGKILL:
            self._running.pop(name).wait()

    def check(self) -> None:
        """Raise with the log's end when a process ended that should not have."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise OperationFailed(f"{name} ended with {process.returncode}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 12) -> str:
        """The end of a log."""
        path = self.folder / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def control(self, *words: str) -> tuple[int, str]:
        """A command of the operator, e.g. reset. Exit code and what it said."""
        done = subprocess.run([*bessctl(), *words, "--run-dir", str(self.run_dir)], capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def end(self) -> None:
        """Supervisor, loop, plant: in this order, so that the plant is left at rest."""
        for name in ("supervise", "loop"):
            process = self._running.pop(name, None)
            if process is not None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                _wait(process)
        if hasattr(self, "plant"):
            self.plant.end()


def bessctl() -> list[str]:
    """The command line of this very installation."""
    return [sys.executable, "-m", "bessctl"]


@contextlib.contextmanager
def stage(*, keep: bool) -> Iterator[Stage]:
    """A clean folder, and at the end nothing of it left; `keep` leaves folder and logs."""
    folder = Path(tempfile.mkdtemp(prefix="bessctl-demo-"))
    it = Stage(folder)
    try:
        yield it
    finally:
        it.end()
        if keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def raise_on_sigterm() -> None:
    """An orderly end on SIGTERM as on Ctrl-C."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
