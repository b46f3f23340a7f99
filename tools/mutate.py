"""Mutation of the step: every comparison, sign and threshold the other way once, each to be noticed by a quick test.

    python -m tools.mutate [MODULE ...] [--limit N] [--write]          (make mutate)

For each mutant (tools/mutants.py) the one module is translated and compiled again, in a copy of the package, and the tests run in a fork of
this process until one fails: the module's own first, the others only if those notice nothing. A mutant that no test notices survives: it is
printed, and the exit code is 1. Those that change nothing anyone could see stand in tools/mutants_equal.txt with the reason, and are left
out. --write puts the result into docs/mutation.md.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools import shadow
from tools.mutants import Mutant, mutants
from tools.shadow import CORE, ROOT

MODULES = ["step", "protect", "envelope", "ramp", "dispatch", "commission"]
# Asked in this order; the module's own tests before all of them. The step has none of its own: those that go all through it are first.
OWN = {"step": ["step_edges", "modes", "dispatch"]}
TESTS = [
    "envelope", "ramp", "dispatch", "protect", "protect_reset", "modes", "plans", "R10_pcc_control", "R10_stale_meter", "R9_silent_unit",
    "R16_commission", "step_edges",
]  # fmt: skip
OUTPUT = ROOT / "build/mutate"
EQUAL = ROOT / "tools/mutants_equal.txt"
RESULT = ROOT / "docs/mutation.md"
PATIENCE_S = 600
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def equal_ones() -> dict[tuple[str, str], str]:
    """(module, key) -> why this mutant cannot be told from the original. Lines: `module: key  # reason`."""
    found = {}
    for line in EQUAL.read_text().splitlines() if EQUAL.exists() else ():
        if line.strip() and not line.startswith("#"):
            what, _, reason = line.partition("  # ")
            module, _, key = what.partition(": ")
            found[module, key.strip()] = reason
    return found


def tests_of(module: str) -> list[list[str]]:
    """Two rounds of test files: the module's own, then all others."""
    own = OWN.get(module) or [name for name in TESTS if name.split("_")[0] == module or name.endswith(module)]
    rounds = [own, [name for name in TESTS if name not in own]]
    return [[str(path) for name in names if (path := ROOT / f"tests/core/test_{name}.py").exists()] for names in rounds]


@dataclass
class Workshop:
    """The copy of the package, and a tree of sources of which one is changed."""

    module: str
    lib: Path = field(init=False)
    tree: Path = field(init=False)

    def __post_init__(self) -> None:
        self.lib = shadow.copied(OUTPUT / self.module / "lib", {self.module})
        self.tree = OUTPUT / self.module / "source/bessctl_core"
        shutil.rmtree(self.tree, ignore_errors=True)
        for path in CORE.rglob("*"):
            if path.suffix in {".pyx", ".pxd", ".h"} or path.name == "__init__.py":
                target = self.tree / path.relative_to(CORE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)

    def build(self, text: str) -> str:
        """Puts the module made from this text into the copy; what the compilers said when they refused."""
        source = self.tree / f"{self.module}.pyx"
        source.write_text(text)
        translated = source.with_suffix(".c")
        said = _translate(source, translated)
        if said:
            return said
        target = self.lib / "bessctl_core" / f"{self.module}{SUFFIX}"
        include = ["-I", sysconfig.get_paths()["include"], "-I", str(CORE)]
        command = ["gcc", "-shared", "-fPIC", "-O0", "-g0", "-w", "-std=gnu11", *include, str(translated), "-lm", "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


def _translate(source: Path, target: Path) -> str:
    """Cython, in a fork: its parsed declarations are the same for every mutant, its faults end nobody else."""
    child = os.fork()
    if child == 0:
        os._exit(_translate_here(source, target))
    _, status = os.waitpid(child, 0)
    return "" if status == 0 else f"cython refused {source.name}"


def _translate_here(source: Path, target: Path) -> int:
    from Cython.Compiler.Errors import CompileError  # noqa: PLC0415
    from Cython.Compiler.Main import CompilationOptions, compile_single  # noqa: PLC0415

    _quiet()
    options = CompilationOptions(
        compiler_directives=runpy.run_path(str(ROOT / "setup.py"))["DIRECTIVES"],
        include_path=[str(source.parent.parent)],
        output_file=str(target),
        language_level=3,
    )
    try:
        result = compile_single(str(source), options, full_module_name=f"bessctl_core.{source.stem}")
    except CompileError:
        return 1
    return 1 if result.num_errors else 0


def _quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def noticed(lib: Path, tests: list[str]) -> bool:
    """Whether a test fails with the copy as it is. A fork: the tests' own modules are imported anew, pytest and numpy are not."""
    child = os.fork()
    if child == 0:
        _quiet()
        sys.path.insert(0, str(lib))
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
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

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]))


@dataclass
class Score:
    """What became of a module's mutants."""

    module: str
    killed: int = 0
    unbuildable: int = 0
    equal: int = 0
    survived: list[str] = field(default_factory=list)

    def told(self) -> str:
        return f"{self.module}: {self.killed} noticed, {len(self.survived)} not, {self.equal} equal, {self.unbuildable} no program"


class Examination:
    """Every mutant of one module. Raises SystemExit when the tests fail without one."""

    def __init__(self, module: str, excused: dict[tuple[str, str], str]) -> None:
        self.text = (CORE / f"{module}.pyx").read_text()
        self.workshop, self.tests, self.score, self.excused = Workshop(module), tests_of(module), Score(module), excused
        if said := self.workshop.build(self.text):
            raise SystemExit(f"{module} cannot be built: {said}")
        if self._noticed():
            raise SystemExit(f"{module}: the tests fail without a mutant; make them pass first")

    def run(self, limit: int | None) -> Score:
        for mutant in list(mutants(self.text))[:limit]:
            self._try(mutant)
        print(self.score.told(), flush=True)
        return self.score

    def _noticed(self) -> bool:
        return any(noticed(self.workshop.lib, tests) for tests in self.tests if tests)

    def _try(self, mutant: Mutant) -> None:
        score, key = self.score, mutant.key(self.text)
        if (score.module, key) in self.excused:
            score.equal += 1
        elif self.workshop.build(mutant.applied(self.text)):
            score.unbuildable += 1
        elif self._noticed():
            score.killed += 1
        else:
            score.survived.append(f"{score.module}.pyx:{mutant.told(self.text)}")
            print(f"not noticed: {score.survived[-1]}\n    {score.module}: {key}", flush=True)


HEAD = """# Mutation of the step

Each comparison, sign and threshold of these modules the other way, once (`tools/mutants.py`), and whether a quick test of `tests/core`
notices. Made by `make mutate ARGS=--write`, on demand: it takes about half an hour of one core. *Equal*: no test can tell it from the
original, for the reason in `tools/mutants_equal.txt`. *No program*: the compiler refuses it.

| module | noticed | not noticed | equal | no program |
|---|---|---|---|---|
"""


def report(scores: list[Score]) -> str:
    """docs/mutation.md."""
    rows = "\n".join(f"| {s.module} | {s.killed} | {len(s.survived)} | {s.equal} | {s.unbuildable} |" for s in scores)
    left = "\n".join(f"- `{line}`" for s in scores for line in s.survived)
    rest = "Not noticed:\n\n" + left if left else "Every mutant was noticed."
    return f"{HEAD}{rows}\n\n{rest}\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutate", description="mutants of the step, and whether the tests notice")
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--limit", type=int, help="only the first so many mutants of each module")
    parser.add_argument("--write", action="store_true", help="the result into docs/mutation.md")
    options = parser.parse_args(arguments)
    import numpy  # noqa: F401, PLC0415
    import pytest  # noqa: F401, PLC0415

    excused = equal_ones()
    scores = [Examination(module, excused).run(options.limit) for module in options.modules]
    if options.write:
        RESULT.write_text(report(scores))
    return 1 if any(score.survived for score in scores) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
