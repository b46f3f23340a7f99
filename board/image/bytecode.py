"""Byte code for the board, by the very Python it runs but of this machine's architecture.

Without it an import of asyncio takes seconds there, and its root is read-only.

The interpreter is Debian's python3.13-minimal of this machine's architecture with the four libraries it needs, pinned like everything
else (group `host` in debian.txt); its standard library is the board's own. Hashes instead of dates, unchecked: the files cannot change,
and two builds give the same bytes.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from board.image.debs import ImageError, fetch, locked, unpack

MAGIC = "f30d0d0a"
"""Of Python 3.13 (importlib.util.MAGIC_NUMBER)."""
HOSTS = {"x86_64": ("amd64", "usr/lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu")}


def compile_all(root: Path, work: Path, archive: Path, places: list[str]) -> None:
    """Compile what lies below these places of the root. Raises ImageError."""
    python = _python(root, work, archive)
    folders = [str(root / place.lstrip("/")) for place in places]
    command = [
        *python,
        "-S",
        "-m",
        "compileall",
        "-q",
        "-f",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(root),
        "-x",
        "/test_|/tests/",
        *folders,
    ]
    done = _run(command, root)
    if done.returncode:
        raise ImageError(f"byte code: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _run(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": "0",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def _python(root: Path, work: Path, archive: Path) -> list[str]:
    """How to run the pinned Python here. Raises ImageError where there is none for this machine."""
    machine = platform.machine()
    if machine == "aarch64":
        command = [
            str(root / "usr/lib/ld-linux-aarch64.so.1"),
            "--library-path",
            str(root / "usr/lib/aarch64-linux-gnu"),
            str(root / "usr/bin/python3.13"),
        ]
    elif machine in HOSTS:
        arch, loader, libraries = HOSTS[machine]
        place = work / "host"
        shutil.rmtree(place, ignore_errors=True)
        debs = [deb for deb in locked() if deb.group == f"host-{arch}"]
        fetch(debs, archive)
        unpack(debs, archive, place)
        command = [str(place / loader), "--library-path", str(place / "usr/lib" / libraries), str(place / "usr/bin/python3.13")]
    else:
        raise ImageError(f"no Python of the board's version is pinned for {machine}; build on x86_64 or aarch64")
    asked = _run([*command, "-S", "-c", "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"], root)
    if asked.stdout.strip() != MAGIC:
        raise ImageError(
            f"the Python for byte code writes {asked.stdout.strip() or asked.stderr.strip()[-300:]}, the board's reads {MAGIC}"
        )
    return command
