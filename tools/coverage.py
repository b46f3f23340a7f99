"""Branch coverage of the step: every branch of its compiled functions taken both ways by the quick tests.

    python -m tools.coverage            (make coverage)

Cython's own line tracing sees nothing in nogil code, so gcc counts: the modules below are built with --coverage and without
optimisation, the tests in TESTS run on that copy, and gcov tells for each branch of the C code how often it was taken. Only functions
named __pyx_f_* count, which are ours; the rest is Cython's wrapping. Cython writes into the C code, in comments, which line of the .pyx
each part comes from, and so each branch is told as a line of the .pyx. Without a branch to look at it fails: then the build was not what
it should be.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import shadow
from tools.shadow import CORE, ROOT

MODULES = ["step", "protect", "envelope", "ramp", "dispatch"]
TESTS = ["tests/core", "tests/properties"]
# Tests that start processes or open sockets tell nothing about the step.
LEFT_OUT = ["bus_tcp", "bus_rtu", "bus_oracle", "attach", "segment", "handover", "journal", "control", "rt", "ring", "frames"]
OUTPUT = ROOT / "build/coverage"
C_FILES = ROOT / "build/cython-coverage/core/bessctl_core"

_PLACE = re.compile(r'^\s*/\* "bessctl_core/(?P<file>[\w/]+\.pyx)":(?P<line>\d+)$')
OURS = "__pyx_f_"


@dataclass(frozen=True, order=True)
class Branch:
    """One way out of a decision, and how often it was taken."""

    file: str
    line: int
    c_line: int
    number: int
    of: int
    taken: int


def places(c_text: str) -> list[tuple[int, str, int]]:
    """(first line of C, file, line of the .pyx), as Cython's comments say."""
    found = []
    for number, text in enumerate(c_text.splitlines(), 1):
        if match := _PLACE.match(text):
            found.append((number, match["file"], int(match["line"])))
    return found


def branches(report: dict[str, Any], c_text: str) -> Iterator[Branch]:
    """Every branch of our own functions in gcov's report on one C file."""
    marks = places(c_text)
    starts = [start for start, _, _ in marks]
    for file in report["files"]:
        if not file["file"].endswith(".c"):
            continue
        for line in file["lines"]:
            if not line.get("function_name", "").startswith(OURS) or not line["branches"]:
                continue
            at = bisect_right(starts, line["line_number"]) - 1
            name, pyx_line = marks[at][1:] if at >= 0 else (file["file"], line["line_number"])
            count = len(line["branches"])
            for number, branch in enumerate(line["branches"], 1):
                yield Branch(name, pyx_line, line["line_number"], number, count, branch["count"])


def measured(module: str) -> list[Branch]:
    """What gcov says about one module. Raises SystemExit when it says nothing."""
    objects = OUTPUT / "objects/build/cython-coverage/core/bessctl_core"
    data = objects / f"{module}.gcda"
    if not data.exists():
        raise SystemExit(f"{data.relative_to(ROOT)} was not written: no test ended in order with the module loaded")
    command = ["gcov", "-b", "--json-format", "--stdout", str(data)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise SystemExit(f"gcov: {done.stderr.strip() or 'says nothing'}")
    return sorted(branches(json.loads(done.stdout), (C_FILES / f"{module}.c").read_text()))


def run_tests(lib: Path, extra: list[str]) -> int:
    """The quick tests on the copy; pytest's exit code. A test that fails changes nothing in what was counted, but is told."""
    ignored = [f"--ignore=tests/core/test_{name}.py" for name in LEFT_OUT]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ignored, *(extra or TESTS)]
    return subprocess.run(command, cwd=ROOT, env=shadow.environment(lib), check=False).returncode


def told(found: list[Branch]) -> list[str]:
    """A line for each branch never taken, and one for each module."""
    lines = []
    texts: dict[str, list[str]] = {}
    for branch in found:
        if branch.taken == 0:
            text = texts.setdefault(branch.file, (CORE / branch.file).read_text().splitlines())
            source = text[branch.line - 1].strip() if 0 < branch.line <= len(text) else ""
            lines.append(f"{branch.file}:{branch.line}: way {branch.number} of {branch.of} never taken (C line {branch.c_line}): {source}")
    return lines


def main(arguments: list[str]) -> int:
    lib = shadow.copied(OUTPUT / "lib", set(MODULES))
    for old in (OUTPUT / "objects").rglob("*.gcda"):
        old.unlink()
    shadow.build(lib, OUTPUT / "objects", MODULES, COVERAGE="1")
    failed = run_tests(lib, arguments)
    missing = 0
    for module in MODULES:
        found = measured(module)
        if not found:
            raise SystemExit(f"{module}: no branch found, so nothing was measured")
        never = told(found)
        missing += len(never)
        print("\n".join([*never, f"{module}: {len(found) - len(never)} of {len(found)} branches taken"]))
    if failed:
        print("tests failed; the figures stand for what ran", file=sys.stderr)
    return 1 if missing or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
