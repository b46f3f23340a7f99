"""What the loop asks of the kernel is what its unit allows: every system call of a real loop process against the filter (CARD-4)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.service_manager import ServiceManager
from tests.sites import sealed_example

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "board/files/usr/lib/systemd/system/bess-loop.service"
LOOP = ROOT / "core/bessctl_core/__main__.py"


def group(name: str) -> set[str]:
    """The calls of one of systemd's groups."""
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in said.splitlines()[1:]]
    return set().union(*(group(word) if word.startswith("@") else {word} for word in words if word and not word.startswith("#")))


def allowed() -> set[str]:
    """By the lines of SystemCallFilter=, in their order; what is always allowed (@default) included."""
    found = group("@default")
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M):
        calls: set[str] = set().union(*(group(word) if word.startswith("@") else {word} for word in line.removeprefix("~").split()))
        found = found - calls if line.startswith("~") else found | calls
    return found


@pytest.mark.skipif(not all(map(shutil.which, ("strace", "systemd-analyze"))), reason="strace is not here; make test installs it")
def test_the_filter_lets_through_what_the_loop_calls(tmp_path: Path) -> None:
    """From its start, by its first ticks without a device, to its orderly stop."""
    (tmp_path / "site.sealed").write_bytes(sealed_example().content)
    folders = ["--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    trace = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(tmp_path / "calls")]
    with ServiceManager(tmp_path) as manager:
        command = [*trace, sys.executable, "-I", "-S", str(LOOP), str(tmp_path / "site.sealed"), *folders]
        loop = subprocess.Popen(command, env=manager.environment, stderr=subprocess.PIPE, text=True)
        try:
            manager.until_ready(60)
        finally:
            for child in Path(f"/proc/{loop.pid}/task/{loop.pid}/children").read_text().split():
                subprocess.run(["kill", f"-{signal.SIGTERM}", child], check=False)
            said = loop.communicate(timeout=60)[1]
    called = set(re.findall(r"^\d+ +(\w+)\(", (tmp_path / "calls").read_text(), re.M))
    assert {"mlockall", "sched_setscheduler", "clock_adjtime", "memfd_create"} <= called, said
    assert called - allowed() == set()
