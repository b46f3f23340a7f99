"""The Python side of the image, cross-built: our extension modules by gcc for the board, everything else as wheels from PyPI.

The wheels are those of requirements/board.lock for aarch64, by hash; none is built here. uv is told the target's
platform and Python: pip would evaluate a lock's markers for the machine it runs on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from board.image.debs import Deb, ImageError, unpack

TREE = Path(__file__).resolve().parents[2]
PYTHON = "3.13"
PLATFORM = "aarch64-manylinux_2_28"
SUFFIX = ".cpython-313-aarch64-linux-gnu.so"
COMPILER = "aarch64-linux-gnu-gcc"
FLAGS = ("-O2", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-std=gnu11", "-fPIC", "-shared", "-w")
"""As setup.py's release flags: what the benches measure is what is shipped."""
KEPT = (".py", ".so", ".typed", ".json", ".yaml")


def dependencies(target: Path) -> None:
    """Everything of requirements/board.lock into the folder. Raises ImageError."""
    uv = Path(sys.executable).with_name("uv")
    command = [
        str(uv), "--no-progress", "--system-certs", "pip", "install", "-q", "--target", str(target), "--python-platform", PLATFORM,
        "--python-version", PYTHON, "--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", str(TREE / "requirements/board.lock"),
    ]  # fmt: skip
    _run(command, "the wheels of requirements/board.lock for aarch64")


def ours(target: Path, work: Path, debs: Iterable[Deb], archive: Path) -> None:
    """bessctl as it is, bessctl_core compiled for the board."""
    sysroot = work / "sysroot"
    if not sysroot.exists():
        unpack([deb for deb in debs if deb.group in ("root", "build")], archive, sysroot)
    _copy(TREE / "bessctl", target / "bessctl")
    _copy(TREE / "core/bessctl_core", target / "bessctl_core")
    _copy(TREE / "board/device", target / "board/device")
    shutil.copyfile(TREE / "board/__init__.py", target / "board/__init__.py")
    _run([sys.executable, "-c", "import setup; setup.extensions()"], "the extension modules' C sources")
    sources = sorted((TREE / "build/cython-release/core/bessctl_core").glob("*.c"))
    if not sources:
        raise ImageError("build/cython-release has no C sources; run `make build` first")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: _compile(source, target / "bessctl_core", sysroot), sources))


def _compile(source: Path, into: Path, sysroot: Path) -> None:
    headers = ("-I", f"{sysroot}/usr/include/python{PYTHON}", "-I", str(TREE / "core/bessctl_core"))
    out = into / (source.stem + SUFFIX)
    _run([COMPILER, f"--sysroot={sysroot}", *FLAGS, *headers, "-o", str(out), str(source), "-lm"], f"{source.name} for aarch64")


def _copy(source: Path, target: Path) -> None:
    """The files a wheel would hold. A symbolic link becomes what it points to."""
    for file in sorted(source.rglob("*")):
        place = file.relative_to(source)
        wanted = file.is_file() and file.suffix in KEPT and "__pycache__" not in place.parts
        if wanted and not file.name.endswith("-linux-gnu.so"):
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / place)


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{what}: {command[0]} says:\n{done.stderr.strip()[-2000:]}")
