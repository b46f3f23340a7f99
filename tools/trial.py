"""Tests asked about many mutants: they are collected once, and each mutant is tried by them in a fork until one fails."""

from __future__ import annotations

import importlib
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tools.schema import BECOME, VARIABLE
from tools.verdicts import NOTICED, SURVIVED, UNENDING
from tools.workshop import quiet

if TYPE_CHECKING:
    import pytest

PATIENCE_S = 600
LEAST_CPU_S = 5
# The limits of single tests are for a machine that does nothing else. Nobody reads what the tests say: plain asserts and no other plugins.
OPTIONS = ["-x", "-q", "--assert=plain", "--timeout=0", "-p", "no:cacheprovider", "-p", "pytest_timeout"]


@dataclass
class Trial:
    """The tests of one round, and one module of the copy in `lib`. `cpu_s`: what they may take; 0 = five times what they take without a
    mutant, which is tried first."""

    module: str
    lib: Path
    tests: list[str]
    cpu_s: int = 0

    def verdicts(self, numbers: list[int]) -> Iterator[tuple[int, str]]:
        """Of number 0 first, the module without a mutant, then of these, as they become known. Fewer when the tests fail without one, or
        when the process that asks them ended."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            quiet()
            self._ask(numbers, writer)
        os.close(writer)
        with open(reader, "rb") as lines:
            for line in lines:
                number, verdict = line.decode().split(" ", 1)
                yield int(number), verdict.strip()
        os.waitpid(child, 0)

    def _ask(self, numbers: list[int], writer: int) -> None:
        import pytest  # noqa: PLC0415

        sys.path.insert(0, str(self.lib))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        with open(writer, "wb", buffering=0) as said:
            pytest.main([*OPTIONS, *self.tests], plugins=[Loop(self, numbers, said)])
            os._exit(0)


class Loop:
    """A plugin of pytest: runs what was collected, once for each mutant."""

    def __init__(self, trial: Trial, numbers: list[int], said: BinaryIO) -> None:
        self.trial, self.numbers, self.said, self.cpu_s = trial, numbers, said, trial.cpu_s

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Takes the place of pytest's own."""
        for number in (0, *self.numbers):
            before_s = _children_s()
            verdict = self._tried(session, number)
            if number == 0 and not self.cpu_s:
                self.cpu_s = LEAST_CPU_S + math.ceil(5 * (_children_s() - before_s))
            self.said.write(f"{number} {verdict}\n".encode())
            if number == 0 and verdict != SURVIVED:
                break
        return True

    def _tried(self, session: pytest.Session, number: int) -> str:
        child = os.fork()
        if child == 0:
            self._become(number)
            os._exit(_failed(session))
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return _verdict(status)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return UNENDING

    def _become(self, number: int) -> None:
        limit_s = self.cpu_s or PATIENCE_S
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
        if number:
            os.environ[VARIABLE] = str(number)
            getattr(importlib.import_module(f"bessctl_core.{self.trial.module}"), BECOME)(number)


def _failed(session: pytest.Session) -> int:
    from _pytest.main import pytest_runtestloop  # noqa: PLC0415

    with suppress(session.Failed):
        pytest_runtestloop(session)
    return int(session.testsfailed > 0)


def _verdict(status: int) -> str:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return UNENDING
    return NOTICED if status else SURVIVED


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
