"""Processes a bench needs around it: the simulated plant on a core of its own, the loop, and load. All end with the bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from benches.measure import cores
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from tests.scenarios.loop_rig import SERIALS, found_devices
from tests.sites import EXAMPLE

DEVICE_PRIORITY = 30
HERE = Path(__file__).resolve().parent
IMPORTS = (str(HERE.parent / "core"), str(HERE.parent))
PLANT = f"""\
plants:
  - pcs: {{w_max: 200000, start_s: 0.1, dead_time_s: 0.1, lag_s: 0.1, device: {{unit: 1, serial: {SERIALS["pcs1"]}}}}}
    battery: {{energy_wh: 400000, cells: 240, device: {{unit: 2, serial: {SERIALS["bms1"]}}}}}
    meter: {{device: {{unit: 3, serial: {SERIALS["meter1"]}}}}}
    initial: {{soc_pct: 60}}
"""


def keep_prompt(pid: int) -> None:
    """Real-time priority, below the loop's, for every thread of a process that plays a device: a device waits for no one's processor."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(PermissionError):
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(DEVICE_PRIORITY))


class PlantProcess:
    """The simulated plant, asked and told by JSON lines (docs/simulated-plant.md)."""

    def __init__(self, folder: Path, cpu: int | None, plants: str = PLANT) -> None:
        file = folder / "plant.yaml"
        file.write_text(plants)
        command = [sys.executable, "-m", "bessctl.sim.process", str(file), *([] if cpu is None else ["--cpu", str(cpu)])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first:
            raise RuntimeError("the simulated plant did not start")
        hello = json.loads(first)
        self.ports: list[int] = hello["ports"]
        self.lines: list[str] = hello["pty_paths"]
        self.port = self.ports[0] if self.ports else 0
        self.pid = self._process.pid
        keep_prompt(self._process.pid)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def site(folder: Path, port: int, *changes: tuple[str, str]) -> tuple[Path, Path]:
    """The example site with a plant on that port and these texts changed: the sealed file and the site's own, both in the folder."""
    text = EXAMPLE.read_text()
    for old, new in (("port: 5020", f"port: {port}"), *changes):
        if old not in text:
            raise ValueError(f"{EXAMPLE.name} does not say {old!r}")
        text = text.replace(old, new)
    sealed, file = folder / "site.sealed", folder / "site.yaml"
    file.write_text(text)
    sealed.unlink(missing_ok=True)
    sealed.write_bytes(seal(load_site(file), found_devices()).content)
    return sealed, file


@contextmanager
def supervisor(site_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`bessctl supervise` as a process; its log stays beside the site."""
    with (site_file.parent / "supervisor.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "bessctl", "supervise", str(site_file)], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


@contextmanager
def load(core: int | None) -> Iterator[None]:
    """One process that computes on `core`, beside the loop, and one that behaves as a supervisor in trouble, on any core."""
    with ExitStack() as stack:
        for kind, pinned in (("burn", core), ("supervise", None)):
            process = subprocess.Popen([sys.executable, str(HERE / "load.py"), kind])
            stack.callback(process.wait)
            stack.callback(process.kill)
            if pinned is not None:
                _pin(process.pid, pinned)
        yield


def _pin(pid: int, core: int) -> None:
    os.sched_setaffinity(pid, {core})


def two_cores() -> tuple[int, int] | None:
    """(the loop's, everyone else's); None on a machine with one core."""
    here = cores()
    return (here[0], here[1]) if len(here) > 1 else None
