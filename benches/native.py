"""The benches' own C: references and far ends, compiled by gcc when a bench needs them, into build/benches."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "c"
OUTPUT = SOURCES.parent.parent / "build" / "benches"
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]


class Unbuildable(RuntimeError):
    """gcc, a header or a library is missing; the message is what the compiler said."""


def _newest(source: Path) -> float:
    return max(path.stat().st_mtime for path in (source, *SOURCES.glob("*.h")))


def _package_flags(packages: tuple[str, ...]) -> list[str]:
    if not packages:
        return []
    if not shutil.which("pkg-config"):
        raise Unbuildable("pkg-config is not installed")
    told = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], capture_output=True, text=True, check=False)
    if told.returncode:
        raise Unbuildable(told.stderr.strip())
    return told.stdout.split()


def compiled(name: str, *, shared: bool = False, packages: tuple[str, ...] = ()) -> Path:
    """The program (or with `shared` the library) of benches/c/NAME.c, built again when its source is newer. Raises Unbuildable."""
    source, target = SOURCES / f"{name}.c", OUTPUT / (f"{name}.so" if shared else name)
    if target.exists() and target.stat().st_mtime >= _newest(source):
        return target
    if not (gcc := shutil.which("gcc")):
        raise Unbuildable("gcc is not installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f"{target.name}.{os.getpid()}")
    kind = ["-shared", "-fPIC"] if shared else []
    command = [gcc, *FLAGS, *kind, "-o", str(made), str(source), *_package_flags(packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unbuildable(done.stderr.strip())
    made.replace(target)
    return target


def library(name: str, *, packages: tuple[str, ...] = ()) -> ctypes.CDLL:
    """benches/c/NAME.c as a library of this process. Its functions run without the GIL. Raises Unbuildable."""
    return ctypes.CDLL(str(compiled(name, shared=True, packages=packages)))
