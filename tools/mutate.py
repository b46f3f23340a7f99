"""Mutation of the step: every comparison, sign and threshold the other way once, each to be noticed by a quick test.

    python -m tools.mutate [MODULE ...] [--again | --current] [--only TEXT] [--by TEST ...] [--write]          (make mutate)

All mutants of a module (tools/mutants.py) are put into one program (tools/schema.py), in a copy of the package. The tests are collected
once, and run for each mutant in a fork until one fails (tools/trial.py): the module's own first, the others only if those notice nothing.
A mutant that no test notices survives: it is printed, and the exit code is 1. Tests that come to no end, in five times the processor time
that they take without a mutant, are counted apart. Mutants that change nothing anyone could see stand in tools/mutants_equal.txt with the
reason, and are left out. A module that cannot be built, or whose tests fail without a mutant, is told, and the others have their turn.

What became of each is kept under build/mutate (tools/verdicts.py) as soon as it is known, so that a run can be ended at any time and taken
up again: --again tries those alone that were not noticed yet or never tried, --current those as well that were tried while the module was
different, --only those whose line or change contains the text. --by asks these tests alone (without `test_`), which shows quickly what
a new test notices. --write puts all that is known of the sources as they are into docs/mutation.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

from tools.mutants import Mutant, named
from tools.schema import together
from tools.shadow import CORE, ROOT
from tools.trial import Trial
from tools.verdicts import NOTICED, SURVIVED, UNBUILDABLE, UNENDING, Verdicts, equal_ones, report
from tools.workshop import OUTPUT, Unexaminable, Workshop

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
    "contactor": ["R13_contactor", "connect"],
    "reentry": ["R2_reversal"],
    "modes": ["events", "modes", "R6_latches", "R15_operator", "R16_commission", "energy"],
    "units": ["R12_grid_lost", "envelope", "R9_silent_unit"],
    "derive": ["derive", "R4_blindness"],
    "shed": ["R3_load_shed"],
    "plans": ["plans", "connect", "events"],
    "confirm": ["R11_confirmed", "devices/complaints"],
}
# Then those that drive the whole step in invented time and are quick about it.
TESTS = [
    "step_edges", "envelope", "dispatch", "ramp", "protect", "modes", "events", "plans", "rows_behave", "R16_commission", "protect_reset",
    "R15_operator", "R5_start", "R5_acquire", "R6_latches", "R7_required", "R8_trusted_clock", "R1_last_look", "R2_reversal",
    "R2_toward_zero", "R3_disjoint", "R4_blindness", "R9_silent_unit", "R12_grid_lost", "R13_contactor", "reactive", "pcc",
    "derive", "connect", "energy",
]  # fmt: skip
# Last, where the module has to do with it.
SLOW = {
    "envelope": ["R10_stale_meter", "R3_load_shed"],
    "step": ["R10_stale_meter", "R3_load_shed"],
    "pcc": ["R10_stale_meter", "R3_load_shed"],
}
RESULT = ROOT / "docs/mutation.md"
ALONE_CPU_S = 120
TOLD = {SURVIVED: "not noticed", UNENDING: "no end"}


def tests_of(module: str) -> list[list[str]]:
    """Rounds of test files: the module's own, all others, and the slow ones."""
    own = OWN.get(module) or [module]
    return [files(own), files(name for name in TESTS if name not in own), files(SLOW.get(module, ()))]


def files(names: Iterable[str]) -> list[str]:
    """The test files of these names, of tests/core where no folder is named. Raises SystemExit for one that is not there."""
    places = [name.rpartition("/") for name in names]
    paths = [ROOT / "tests" / (folder or "core") / f"test_{name}.py" for folder, _, name in places]
    if missing := [path.name for path in paths if not path.exists()]:
        raise SystemExit(f"no such test: {', '.join(missing)}")
    return [str(path) for path in paths]


class Examination:
    """The mutants of one module. Raises Unexaminable."""

    def __init__(self, module: str, by: list[str]) -> None:
        self.text = (CORE / f"{module}.pyx").read_text()
        self.module, self.workshop = module, Workshop(module)
        self.rounds = [tests for tests in ([files(by)] if by else tests_of(module)) if tests]
        self.sound: list[list[str]] = []
        self.verdicts = Verdicts(OUTPUT, module, self.text)
        self.mutants: dict[str, Mutant] = {}

    def run(self, chosen: list[tuple[str, Mutant]]) -> int:
        """Tries each; how many were not noticed."""
        self.mutants = dict(chosen)
        names = dict(enumerate(self.mutants, 1))
        text, taken = together(self.text, [(number, self.mutants[name]) for number, name in names.items()])
        if taken and self.workshop.build(text):
            taken = set()
        left = self._tried_together({number: names[number] for number in sorted(taken)})
        left += [name for number, name in names.items() if number not in taken and not self._noticed_alone(name)]
        for name in left:
            self._settle(name, SURVIVED)
        return len(left)

    def _tried_together(self, names: dict[int, str]) -> list[str]:
        """By number in the program that was built; those that are left when all have been asked."""
        for tests in self.rounds:
            for number, verdict in self._verdicts(tests, list(names)) if names else ():
                if verdict != SURVIVED:
                    self._settle(names.pop(number), verdict)
        return list(names.values())

    def _verdicts(self, tests: list[str], numbers: list[int]) -> Iterator[tuple[int, str]]:
        found = Trial(self.module, self.workshop.lib, tests).verdicts(numbers)
        if next(found, (0, NOTICED))[1] != SURVIVED:
            raise Unexaminable(f"{self.module}: the tests fail without a mutant; make them pass first ({' '.join(tests)})")
        self.sound.append(tests)
        yield from found

    def _noticed_alone(self, name: str) -> bool:
        """A mutant that is the whole program."""
        text = self.mutants[name].applied(self.text)
        if self.workshop.build(text):
            self._settle(name, UNBUILDABLE)
            return True
        for tests in self.rounds:
            self._make_sure(tests, text)
            _, verdict = next(Trial(self.module, self.workshop.lib, tests, ALONE_CPU_S).verdicts([]), (0, NOTICED))
            if verdict != SURVIVED:
                self._settle(name, verdict)
                return True
        return False

    def _make_sure(self, tests: list[str], text: str) -> None:
        """These tests pass without a mutant: once; then this program is there again."""
        if tests in self.sound:
            return
        if said := self.workshop.build(self.text):
            raise Unexaminable(f"{self.module} cannot be built: {said}")
        list(self._verdicts(tests, []))
        self.workshop.build(text)

    def _settle(self, name: str, verdict: str) -> None:
        self.verdicts.put(name, verdict)
        if verdict in TOLD:
            print(f"{TOLD[verdict]}: {self.module}.pyx:{self.mutants[name].told(self.text)}\n    {self.module}: {name}", flush=True)


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
