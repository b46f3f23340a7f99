"""Mutation of the step: every comparison, sign and threshold the other way once, each to be noticed by a quick test.

    python -m tools.mutate [MODULE ...] [--again | --current] [--only TEXT] [--by TEST ...] [--write]          (make mutate)

For each mutant (tools/mutants.py) the one module is translated and compiled again, in a copy of the package, and the tests run in a fork of
this process until one fails: the module's own first, the others only if those notice nothing. A mutant that no test notices survives: it is
printed, and the exit code is 1. Tests that come to no end, in five times the processor time that they take without a mutant, are counted
apart. Mutants that change nothing anyone could see stand in tools/mutants_equal.txt with the reason, and are left out. A module that cannot
be built, or whose tests fail without a mutant, is told, and the others have their turn.

What became of each is kept under build/mutate (tools/verdicts.py) as soon as it is known, so that a run can be ended at any time and taken
up again: --again tries those alone that were not noticed yet or never tried, --current those as well that were tried while the module was
different, --only those whose line or change contains the text. --by asks these tests alone (without `test_`), which shows quickly what
a new test notices. --write puts all that is known of the sources as they are into docs/mutation.md.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.mutants import Mutant, named
from tools.shadow import CORE, ROOT
from tools.verdicts import NOTICED, SURVIVED, UNBUILDABLE, UNENDING, Verdicts, equal_ones, report
from tools.workshop import OUTPUT, Unexaminable, Workshop, quiet

# The step and all that it calls in a tick, and what tells of set points beside it (confirm).
MODULES = [
    "step", "protect", "envelope", "ramp", "dispatch", "commission", "reactive", "pcc", "contactor", "reentry", "modes", "plans", "units",
    "derive", "shed", "connect", "confirm",
]  # fmt: skip
# Asked first: the module's own tests.
OWN = {
    "step": ["step_edges", "events", "modes", "dispatch"],
    "protect": ["protect", "R4_blindness", "protect_reset", "events"],
    "commission": ["R16_commission", "events"],
    "contactor": ["R13_contactor"],
    "reentry": ["R2_reversal"],
    "modes": ["modes", "R5_start", "R6_latches", "R15_operator", "protect_reset"],
    "units": ["R9_silent_unit", "R12_grid_lost", "R5_start"],
    "derive": ["derive", "R4_blindness"],
    "shed": ["R3_load_shed"],
    "confirm": ["R11_confirmed"],
}
# Then those that drive the whole step in invented time and are quick about it.
TESTS = [
    "step_edges", "envelope", "dispatch", "ramp", "protect", "modes", "events", "plans", "rows_behave", "R16_commission", "protect_reset",
    "R15_operator", "R5_start", "R5_acquire", "R6_latches", "R7_required", "R8_trusted_clock", "R1_last_look", "R2_reversal",
    "R2_toward_zero", "R3_disjoint", "R4_blindness", "R9_silent_unit", "R12_grid_lost", "R13_contactor", "reactive", "pcc",
    "derive",
]  # fmt: skip
# Last, where the module has to do with it.
SLOW = {
    "envelope": ["R10_stale_meter", "R3_load_shed", "connect"],
    "step": ["R10_stale_meter", "R3_load_shed", "connect"],
    "pcc": ["R10_stale_meter", "R3_load_shed"],
}
RESULT = ROOT / "docs/mutation.md"
PATIENCE_S = 600
LEAST_CPU_S = 10
TOLD = {SURVIVED: "not noticed", UNENDING: "no end"}


def tests_of(module: str) -> list[list[str]]:
    """Rounds of test files: the module's own, all others, and the slow ones."""
    own = OWN.get(module) or [module]
    return [files(own), files(name for name in TESTS if name not in own), files(SLOW.get(module, ()))]


def files(names: Iterable[str]) -> list[str]:
    """The test files of these names. Raises SystemExit for one that is not there."""
    paths = [ROOT / f"tests/core/test_{name}.py" for name in names]
    if missing := [path.name for path in paths if not path.exists()]:
        raise SystemExit(f"no such test: {', '.join(missing)}")
    return [str(path) for path in paths]


def verdict_of(lib: Path, tests: list[str], cpu_s: int) -> str:
    """What the tests say of the copy as it is. A fork: the tests' own modules are imported anew, pytest and numpy are not. Nobody reads
    their words: plain asserts and no plugins take half the time."""
    child = os.fork()
    if child == 0:
        quiet()
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        sys.path.insert(0, str(lib))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os._exit(_run(tests))
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
            return UNENDING if late else NOTICED if status else SURVIVED
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return UNENDING


def _run(tests: list[str]) -> int:
    import pytest  # noqa: PLC0415

    # The limits of single tests are for a machine that does nothing else.
    return int(pytest.main(["-x", "-q", "--assert=plain", "--timeout=0", "-p", "no:cacheprovider", "-p", "pytest_timeout", *tests]))


@dataclass
class Round:
    """Test files that are asked together, and how much processor time they have: 0 before they have passed without a mutant."""

    tests: list[str]
    cpu_s: int = 0

    def begin(self, lib: Path) -> bool:
        """Whether they pass with the copy as it is, which is that of no mutant."""
        before_s = _children_s()
        if verdict_of(lib, self.tests, PATIENCE_S) != SURVIVED:
            return False
        self.cpu_s = LEAST_CPU_S + math.ceil(5 * (_children_s() - before_s))
        return True


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Examination:
    """The mutants of one module. Raises Unexaminable."""

    def __init__(self, module: str, by: list[str]) -> None:
        self.text = (CORE / f"{module}.pyx").read_text()
        self.module, self.workshop = module, Workshop(module)
        self.rounds = [Round(tests) for tests in ([files(by)] if by else tests_of(module)) if tests]
        self.verdicts = Verdicts(OUTPUT, module, self.text)
        self._begin(self.rounds[0])

    def run(self, chosen: list[tuple[str, Mutant]]) -> int:
        """Tries each; how many were not noticed."""
        survived = 0
        for name, mutant in chosen:
            verdict = self._verdict(mutant)
            self.verdicts.put(name, verdict)
            if verdict in (SURVIVED, UNENDING):
                survived += verdict == SURVIVED
                print(f"{TOLD[verdict]}: {self.module}.pyx:{mutant.told(self.text)}\n    {self.module}: {name}", flush=True)
        return survived

    def _begin(self, tests: Round) -> None:
        """Once for each round, when it is asked for the first time."""
        if said := self.workshop.build(self.text):
            raise Unexaminable(f"{self.module} cannot be built: {said}")
        if not tests.begin(self.workshop.lib):
            raise Unexaminable(f"{self.module}: the tests fail without a mutant; make them pass first ({' '.join(tests.tests)})")

    def _verdict(self, mutant: Mutant) -> str:
        text = mutant.applied(self.text)
        if self.workshop.build(text):
            return UNBUILDABLE
        for tests in self.rounds:
            if not tests.cpu_s:
                self._begin(tests)
                self.workshop.build(text)
            verdict = verdict_of(self.workshop.lib, tests.tests, tests.cpu_s)
            if verdict != SURVIVED:
                return verdict
        return SURVIVED


def chosen(module: str, options: argparse.Namespace) -> list[tuple[str, Mutant]]:
    """The mutants to try, by name: none of those that are known to be equal."""
    text = (CORE / f"{module}.pyx").read_text()
    known, excused = Verdicts(OUTPUT, module, text), equal_ones()
    again = options.again or options.current
    return [
        (name, mutant)
        for name, mutant in named(text)
        if (module, name) not in excused
        and not (again and known.is_settled(name, now=options.current))
        and options.only in f"{mutant.told(text)} {name}"
    ]


def examined(module: str, options: argparse.Namespace) -> int:
    """One module's turn; how many mutants were not noticed in it."""
    asked = chosen(module, options)[: options.limit]
    try:
        survived = Examination(module, options.by).run(asked) if asked else 0
    except Unexaminable as error:
        print(error, flush=True)
        return 1
    print(f"{module}: {len(asked)} tried, {survived} not noticed", flush=True)
    return survived


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutate", description="mutants of the step, and whether the tests notice")
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--again", action="store_true", help="those alone that were not noticed yet, or never tried")
    parser.add_argument("--current", action="store_true", help="those, and what was noticed of an earlier text of the module")
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose place, line or change contains this")
    parser.add_argument("--by", nargs="+", default=[], metavar="TEST", help="ask these tests alone (names without test_)")
    parser.add_argument("--limit", type=int, help="only the first so many mutants of each module")
    parser.add_argument("--write", action="store_true", help="what is known into docs/mutation.md")
    options = parser.parse_args(arguments)
    import hypothesis  # noqa: F401, PLC0415
    import numpy  # noqa: F401, PLC0415
    import pydantic  # noqa: F401, PLC0415
    import pytest  # noqa: F401, PLC0415

    survived = sum([examined(module, options) for module in options.modules])
    if options.write:
        RESULT.write_text(report(OUTPUT, MODULES))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
