"""The Python side of the image, cross-built: our extension modules by gcc for the board, everything else as wheels from PyPI.

The wheels are those of requirements/board.lock for aarch64, by hash; none is built here. uv is told the target's
platform and Python: pip would evaluate a lock's markers for the machine it runs on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from board.image.debs import LOCK, Deb, ImageError, unpack

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
    generated = TREE / "build/cython-release/core/bessctl_core"
    sources = [generated / pyx.relative_to(TREE / "core/bessctl_core").with_suffix(".c") for pyx in modules()]
    if not all(source.exists() for source in sources):
        raise ImageError("build/cython-release has no C sources; run `make build` first")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: _compile(source, target / "bessctl_core" / source.relative_to(generated).parent, sysroot), sources))


def modules() -> list[Path]:
    """The modules that setup.py builds."""
    return sorted((TREE / "core/bessctl_core").rglob("*.pyx"))


def _compile(source: Path, into: Path, sysroot: Path) -> None:
    """Kept from build to build under a name that says what it was made of."""
    kept = TREE / "build/image/modules" / f"{source.stem}-{_fingerprint(source)}.so"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        headers = ("-I", f"{sysroot}/usr/include/python{PYTHON}", "-I", str(TREE / "core/bessctl_core"), *nowhere(TREE, sysroot))
        part = kept.with_suffix(".part")
        _run([COMPILER, f"--sysroot={sysroot}", *FLAGS, *headers, "-o", str(part), str(source), "-lm"], f"{source.name} for aarch64")
        part.replace(kept)
    into.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, into / (source.stem + SUFFIX))


def nowhere(*places: Path) -> list[str]:
    """Where the build lies is no part of a module: Python's headers name their own file in each assertion.

    Nor is a line of the generated C, which every error names: Cython leaves a comment out or not, by what else it has compiled before.
    """
    return ["-D__LINE__=0", *(f"-ffile-prefix-map={place}={number}" for number, place in enumerate(places))]


def _fingerprint(source: Path) -> str:
    """Of everything a module is made of: its C source, our headers, the flags, the pinned headers of Python and libc."""
    seen = hashlib.sha256(" ".join((*FLAGS, *nowhere(Path()))).encode())
    for file in (source, *sorted((TREE / "core/bessctl_core").rglob("*.h")), LOCK):
        seen.update(file.read_bytes())
    return seen.hexdigest()[:32]


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
