"""The simulated plant as a process of its own, driven by JSON lines (bessctl/sim/process.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from bessctl.errors import NotReachable, OperationFailed
from bessctl.hil.stagefiles import StageFiles

END_S = 10.0


class PlantTalk:
    """One request, one answer."""

    def __init__(self, files: StageFiles, baud: int | None, log: Path) -> None:
        words = ["--rtu", "--paced", "--baud", str(baud)] if baud else []
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bessctl.sim.process", str(files.plant), "--realtime", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self.hello = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise NotReachable("the simulated plant ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OperationFailed(f"the simulated plant refused: {answer['error']}")
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer. Raises NotReachable, OperationFailed."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        ended(self.process)
        self._log.close()


def ended(process: subprocess.Popen[Any]) -> None:
    """Waits for its end, and makes it when it does not come."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
