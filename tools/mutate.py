"""Mutation of the step: every comparison, sign and threshold the other way once, each to be noticed by a quick test.

    python -m tools.mutate [MODULE ...] [--again | --current] [--only TEXT] [--by TEST ...] [--write]          (make mutate)

For each mutant (tools/mutants.py) the one module is translated and compiled again, in a copy of the package, and the tests run in a fork of
this process until one fails: the module's own first, the others only if those notice nothing. A mutant that no test notices survives: it is
printed, and the exit code is 1. Those that change nothing anyone could see stand in tools/mutants_equal.txt with the reason, and are left
out.

What became of each is kept under build/mutate (tools/verdicts.py), so that a run can be cut into pieces: --again tries those alone that
were not noticed yet or never tried, --only those whose line or change contains the text; --by asks these tests alone (names without
`test_`), which shows quickly what a new test notices. --write puts all that is known of the sources as they are into docs/mutation.md.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tools import shadow
from tools.mutants import Mutant, named
from tools.shadow import CORE, ROOT
from tools.verdicts import NOTICED, SURVIVED, UNBUILDABLE, Verdicts, equal_ones, report

if TYPE_CHECKING:
    from Cython.Compiler.Main import CompilationOptions

MODULES = ["step", "protect", "envelope", "ramp", "dispatch", "commission"]
# Asked first: the module's own tests.
OWN = {
    "step": ["step_edges", "events", "modes", "dispatch"],
    "protect": ["protect", "R4_blindness", "protect_reset", "events"],
    "commission": ["R16_commission", "events"],
    "pcc": ["R10_stale_meter"],
    "contactor": ["R13_contactor"],
    "reentry": ["R2_reversal"],
}
# Then those that drive the whole step in invented time and are quick about it.
TESTS = [
    "step_edges", "envelope", "dispatch", "ramp", "protect", "modes", "events", "plans", "rows_behave", "R16_commission", "protect_reset",
    "R15_operator", "R5_start", "R5_acquire", "R6_latches", "R7_required", "R8_trusted_clock", "R1_last_look", "R2_reversal",
    "R2_toward_zero", "R3_disjoint", "R4_blindness", "R9_silent_unit", "R12_grid_lost", "R13_contactor", "reactive",
]  # fmt: skip
# Last, where the module has to do with it.
SLOW = {
    "envelope": ["R10_stale_meter", "R3_load_shed", "connect"],
    "step": ["R10_stale_meter", "R3_load_shed", "connect"],
    "pcc": ["R3_load_shed", "R10_pcc_control"],
}
OUTPUT = ROOT / "build/mutate"
RESULT = ROOT / "docs/mutation.md"
PATIENCE_S = 600
CIMPORT = re.compile(r"^from \S+ cimport (?:\([^)]*\)|.*)$", re.M)
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


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


@dataclass
class Workshop:
    """The copy of the package, and a tree of sources of which one is changed."""

    module: str
    lib: Path = field(init=False)
    tree: Path = field(init=False)
    translator: Translator = field(init=False)

    def __post_init__(self) -> None:
        self.lib = shadow.copied(OUTPUT / self.module / "lib", {self.module})
        self.tree = OUTPUT / self.module / "source/bessctl_core"
        shutil.rmtree(self.tree, ignore_errors=True)
        for path in CORE.rglob("*"):
            if path.suffix in {".pyx", ".pxd", ".h"} or path.name == "__init__.py":
                target = self.tree / path.relative_to(CORE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        self.translator = Translator(self.tree / f"{self.module}.pyx")

    def build(self, text: str) -> str:
        """Puts the module made from this text into the copy; what the compilers said when they refused."""
        source = self.tree / f"{self.module}.pyx"
        source.write_text(text)
        translated = source.with_suffix(".c")
        said = self.translator.translate(source)
        if said:
            return said
        target = self.lib / "bessctl_core" / f"{self.module}{SUFFIX}"
        include = ["-I", sysconfig.get_paths()["include"], "-I", str(CORE)]
        command = ["gcc", "-shared", "-fPIC", "-O0", "-g0", "-w", "-std=gnu11", *include, str(translated), "-lm", "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


class Translator:
    """Cython, with what the sources of this tree import read once: a mutant takes a tenth of the time, and gives the same C (compared)."""

    def __init__(self, source: Path) -> None:
        from Cython.Compiler.Main import Context, run_pipeline  # noqa: PLC0415

        self.run, self.root = run_pipeline, source.parent.parent
        imports = source.with_name("imports.pyx")
        imports.write_text("\n".join(CIMPORT.findall(source.read_text())) + "\n")
        options = self._options(imports)
        self.context = Context.from_options(options)
        if self.run(str(imports), options, "bessctl_core.imports", self.context).num_errors:
            raise SystemExit(f"what {source.name} imports cannot be read")

    def _options(self, source: Path) -> CompilationOptions:
        from Cython.Compiler.Main import CompilationOptions  # noqa: PLC0415

        directives = runpy.run_path(str(ROOT / "setup.py"))["DIRECTIVES"]
        return CompilationOptions(
            compiler_directives=directives, include_path=[str(self.root)], output_file=str(source.with_suffix(".c")), language_level=3
        )

    def translate(self, source: Path) -> str:
        """Writes the .c beside it, in a fork: its faults end nobody else, and the next mutant finds what this one found."""
        child = os.fork()
        if child == 0:
            os._exit(self._translate_here(source))
        _, status = os.waitpid(child, 0)
        return "" if status == 0 else f"cython refused {source.name}"

    def _translate_here(self, source: Path) -> int:
        from Cython.Compiler.Errors import CompileError  # noqa: PLC0415

        _quiet()
        try:
            return 1 if self.run(str(source), self._options(source), f"bessctl_core.{source.stem}", self.context).num_errors else 0
        except CompileError:
            return 1


def _quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def noticed(lib: Path, tests: list[str]) -> bool:
    """Whether a test fails with the copy as it is. A fork: the tests' own modules are imported anew, pytest and numpy are not. Nobody
    reads what the tests say: plain asserts and no plugins take half the time."""
    child = os.fork()
    if child == 0:
        _quiet()
        sys.path.insert(0, str(lib))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os._exit(_run(tests))
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def _run(tests: list[str]) -> int:
    import pytest  # noqa: PLC0415

    return int(pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "pytest_timeout", *tests]))


class Examination:
    """The mutants of one module. Raises SystemExit when the tests fail without one."""

    def __init__(self, module: str, by: list[str]) -> None:
        self.text = (CORE / f"{module}.pyx").read_text()
        self.module, self.workshop, self.rounds = module, Workshop(module), [files(by)] if by else tests_of(module)
        self.verdicts = Verdicts(OUTPUT, module, self.text)
        if said := self.workshop.build(self.text):
            raise SystemExit(f"{module} cannot be built: {said}")
        if self._noticed():
            raise SystemExit(f"{module}: the tests fail without a mutant; make them pass first")

    def run(self, chosen: list[tuple[str, Mutant]]) -> int:
        """Tries each; how many were not noticed."""
        survived = 0
        for name, mutant in chosen:
            verdict = self._verdict(mutant)
            self.verdicts.put(name, verdict)
            if verdict == SURVIVED:
                survived += 1
                print(f"not noticed: {self.module}.pyx:{mutant.told(self.text)}\n    {self.module}: {name}", flush=True)
        return survived

    def _noticed(self) -> bool:
        return any(noticed(self.workshop.lib, tests) for tests in self.rounds if tests)

    def _verdict(self, mutant: Mutant) -> str:
        if self.workshop.build(mutant.applied(self.text)):
            return UNBUILDABLE
        return NOTICED if self._noticed() else SURVIVED


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
    survived = Examination(module, options.by).run(asked) if asked else 0
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
