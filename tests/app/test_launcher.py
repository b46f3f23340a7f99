"""`bessctl run`: two processes, neither the other's child; one way to stop both; the loop never suffers for the supervisor."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_commands import ROOT

# Writes its parent and session, then waits for SIGTERM as told.
CHILD = """
import os, signal, sys, time
name, folder, code = sys.argv[1:]
def end(*_):
    open(f"{folder}/{name}.ended", "w").close()
    os._exit(int(code))
signal.signal(signal.SIGTERM, end)
with open(f"{folder}/{name}.new", "w") as file:
    file.write(f"{os.getpid()} {os.getppid()} {os.getsid(0)}")
os.rename(f"{folder}/{name}.new", f"{folder}/{name}")
signal.pause()
"""
LAUNCHER = "import json, sys; from bessctl.app.launcher import launch; sys.exit(launch(*map(json.loads, sys.argv[1:])))"


class Launched:
    """The launcher with two children that do what the test says."""

    def __init__(self, folder: Path, loop_code: int = 0) -> None:
        import json  # noqa: PLC0415

        self.folder = folder
        commands = [[sys.executable, "-c", CHILD, name, str(folder), str(code)] for name, code in (("loop", loop_code), ("supervisor", 0))]
        env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
        launcher = [sys.executable, "-c", LAUNCHER, *map(json.dumps, commands)]
        self.process = subprocess.Popen(launcher, env=env, stderr=subprocess.PIPE, text=True)

    def facts(self, name: str) -> tuple[int, int, int]:
        """pid, parent, session."""
        self.until((self.folder / name).exists)
        pid, parent, session = (self.folder / name).read_text().split()
        return int(pid), int(parent), int(session)

    def until(self, true: Callable[[], bool]) -> None:
        waiting = threading.Event()
        for _ in range(3000):
            if true():
                return
            waiting.wait(0.02)
        pytest.fail("did not happen within a minute")

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_in_order(tmp_path: Path, number: int) -> None:
    launched = Launched(tmp_path)
    loop, supervisor = launched.facts("loop"), launched.facts("supervisor")
    assert loop[1] == supervisor[1] == launched.process.pid
    assert len({loop[2], supervisor[2], os.getsid(0)}) == 3  # Ctrl-C at the terminal reaches the launcher alone
    launched.process.send_signal(number)
    assert launched.end() == (0, "")
    assert (tmp_path / "loop.ended").exists()
    assert (tmp_path / "supervisor.ended").exists()


def test_the_loops_end_is_the_end_and_its_exit_code_ours(tmp_path: Path) -> None:
    launched = Launched(tmp_path, loop_code=3)
    loop = launched.facts("loop")
    launched.facts("supervisor")
    os.kill(loop[0], signal.SIGTERM)
    assert launched.end()[0] == 3
    assert (tmp_path / "supervisor.ended").exists()


def test_a_loop_that_was_killed_is_a_failure(tmp_path: Path) -> None:
    launched = Launched(tmp_path)
    launched.facts("supervisor")
    os.kill(launched.facts("loop")[0], signal.SIGKILL)
    code, said = launched.end()
    assert code == 1
    assert "the loop was ended by signal 9" in said


def test_the_loop_goes_on_without_its_supervisor(tmp_path: Path) -> None:
    launched = Launched(tmp_path)
    loop = launched.facts("loop")
    os.kill(launched.facts("supervisor")[0], signal.SIGKILL)
    assert launched.process.stderr is not None
    assert "the supervisor ended (exit -9); the loop goes on" in launched.process.stderr.readline()
    os.kill(loop[0], 0)
    assert not (tmp_path / "loop.ended").exists()
    launched.process.send_signal(signal.SIGTERM)
    assert launched.end() == (0, "")
