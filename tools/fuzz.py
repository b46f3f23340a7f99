"""`make fuzz`: libFuzzer, with AddressSanitizer, on the C of all that reads bytes which another party wrote; then the Python targets.

    python -m tools.fuzz [--seconds N] [--seed S] [TARGET ...]

N is what all targets have together, a minute unless told. Without a seed each run goes elsewhere; before a change lands it is always the
same, so that nobody's change is refused for what it did not bring. tests/fuzz/c holds the drivers: each includes the C that Cython made of
a module and calls its nogil functions; nothing of Python runs. What they find new is kept in build/fuzz/corpus, next to what tests/corpus
brings; what breaks a promise is written to build/fuzz and ends this with exit code 1: keep that input in tests/corpus.
tests/fuzz/targets.py has those whose promises need more than one module; there tests/fuzz/inputs.py makes the changes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "build" / "fuzz"
CORE = ROOT / "core" / "bessctl_core"
FLAGS = ("-O1", "-g", "-w", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined")
# Whatever of Python the module calls elsewhere is not there, and is never called.
ALONE = ("-no-pie", "-Wl,--unresolved-symbols=ignore-all")


class Target(NamedTuple):
    """A driver, what it is run with, and the longest input that makes sense."""

    driver: str
    longest: int
    environment: tuple[tuple[str, str], ...] = ()


TARGETS = {
    "tcp": Target("decoders", 600),
    "rtu": Target("decoders", 600, (("FUZZ_RTU", "1"),)),
    "handover": Target("reader_handover", 700),
    "ring": Target("reader_ring", 4096),
    "plan": Target("judge_plans", 24_000),
}
IN_PYTHON = ("stream_tcp", "stream_rtu", "plans", "plan", "sealed")


def compiler() -> str | None:
    """clang, by whatever name Debian gave it."""
    return next(filter(None, map(shutil.which, ("clang", "clang-19", "clang-16", "clang-14"))), None)


def generated() -> Path:
    """Where Cython's C lies. Raises FileNotFoundError before a build."""
    found = next((path.parent for path in sorted((ROOT / "build").glob("cython-*/core/bessctl_core/frames.c"))), None)
    if found is None:
        raise FileNotFoundError("no C of the core under build/; `make build` makes it")
    return found


def built(driver: str) -> Path:
    """The fuzzer of a driver, compiled when it or its module changed."""
    clang = compiler()
    assert clang is not None
    source, folder, out = ROOT / "tests/fuzz/c" / f"{driver}.c", generated(), BUILT / driver
    newest = max(path.stat().st_mtime for path in (source, *folder.glob("*.c")))
    if not out.exists() or out.stat().st_mtime < newest:
        BUILT.mkdir(parents=True, exist_ok=True)
        includes = (f"-I{path}" for path in (folder, CORE, sysconfig.get_path("include")))
        subprocess.run([clang, *FLAGS, *includes, *ALONE, "-o", str(out), str(source)], check=True)
    return out


def sown(name: str, folder: Path) -> None:
    """Inputs that make sense, to begin with."""
    from tests.fuzz.inputs import MADE  # noqa: PLC0415 - the core must be built first

    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(MADE[name]() if name in MADE else ()):
        (folder / f"made-{index}").write_bytes(data)


def run(name: str, *limits: str) -> int:
    """libFuzzer's exit code, with whatever it says on stderr."""
    target = TARGETS[name]
    found, kept = BUILT / "corpus" / name, ROOT / "tests" / "corpus" / name
    sown(name, found)
    command = [
        str(built(target.driver)),
        f"-max_len={target.longest}",
        f"-artifact_prefix={BUILT}/{name}-",
        "-print_final_stats=1",
        *limits,
    ]
    command += [str(folder) for folder in (found, kept) if folder.is_dir()]
    return subprocess.run(command, env={**os.environ, **dict(target.environment)}, check=False).returncode


def in_python(name: str, seconds: float, seed: int) -> int:
    """The same for a target of tests/fuzz/targets.py."""
    from tests.fuzz.inputs import changed, seeds  # noqa: PLC0415 - the core must be built first
    from tests.fuzz.targets import TARGETS as CALLS  # noqa: PLC0415

    chance, known, runs = random.Random(seed), seeds(name), 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        data = changed(chance.choice(known), known, chance)
        runs += 1
        try:
            CALLS[name](data)
        except AssertionError as error:
            (BUILT / f"{name}-broken").write_bytes(data)
            print(f"{name}: run {runs} of seed {seed}: {error}; the input is {BUILT / f'{name}-broken'}", file=sys.stderr)
            return 1
    print(f"{name}: {runs} inputs of seed {seed}, nothing broken", file=sys.stderr)
    return 0


def main() -> int:
    """All targets named, or all there are."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz what reads bytes that another party wrote.")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, help="of what is tried")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join((*TARGETS, *(f'python:{name}' for name in IN_PYTHON)))}")
    chosen = parser.parse_args()
    names = chosen.targets or [*TARGETS, *(f"python:{name}" for name in IN_PYTHON)]
    if compiler() is None:
        print("clang is not installed   type: sudo apt-get install -y clang libclang-rt-dev", file=sys.stderr)
        return 2
    seed = random.SystemRandom().getrandbits(31) if chosen.seed is None else chosen.seed
    each = max(1.0, chosen.seconds / len(names))
    failed = []
    for name in names:
        code = (
            in_python(name[7:], each, seed) if name.startswith("python:") else run(name, f"-max_total_time={round(each)}", f"-seed={seed}")
        )
        failed += [name] if code else []
    print(f"fuzz: {len(names)} targets, {f'broken: {chr(44).join(failed)}' if failed else 'nothing broken'}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
