"""A second copy of the compiled package, some modules of it built otherwise: for branch coverage and for mutants. Never installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core/bessctl_core"


class Unbuildable(RuntimeError):
    """The compilers refused; the message is what they said."""


def copied(lib: Path, without: set[str]) -> Path:
    """`lib` with the package as it lies in core/, but for the compiled modules named; they are to be built there."""
    shutil.rmtree(lib, ignore_errors=True)
    for path in sorted(CORE.rglob("*")):
        name = str(path.relative_to(CORE)).split(".")[0]
        if path.suffix not in {".py", ".so"} or (path.suffix == ".so" and name in without):
            continue
        target = lib / "bessctl_core" / path.relative_to(CORE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return lib


def build(lib: Path, objects: Path, modules: list[str], **kind: str) -> None:
    """Builds these modules into `lib`. `kind`: what setup.py is told by the environment, COVERAGE=1. Raises Unbuildable."""
    environment = {**os.environ, **kind, "MODULES": " ".join(modules), "CCACHE_DISABLE": "1"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(lib), "--build-temp", str(objects)]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Unbuildable(done.stdout)


def environment(lib: Path) -> dict[str, str]:
    """The environment in which `import bessctl_core` takes the copy."""
    return {**os.environ, "PYTHONPATH": f"{lib}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
