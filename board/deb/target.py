"""A Debian release on an architecture: what is compiled for it and with what."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from board.image.debs import Deb, ImageError, fetch
from board.image.wheels import nowhere

HERE = Path(__file__).resolve().parent
TREE = HERE.parents[1]
HEADERS = HERE / "headers.lock"
FLAGS = ("-O2", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-std=gnu11", "-fPIC", "-w")
"""As setup.py's release flags: what the benches measure is what is shipped."""
RELEASES = {"bookworm": ("12", "3.11", (2, 36)), "trixie": ("13", "3.13", (2, 41))}
"""Debian's number, its Python, its C library."""
ARCHES = {"amd64": ("x86_64", "gcc"), "arm64": ("aarch64", "aarch64-linux-gnu-gcc")}


@dataclass(frozen=True, slots=True)
class Target:
    """One package."""

    release: str
    arch: str

    def __post_init__(self) -> None:
        if self.release not in RELEASES or self.arch not in ARCHES:
            raise ImageError(f"{self.release} {self.arch}: packages are made for {', '.join(RELEASES)} on {', '.join(ARCHES)}")

    @property
    def number(self) -> str:
        return RELEASES[self.release][0]

    @property
    def python(self) -> str:
        return RELEASES[self.release][1]

    @property
    def next_python(self) -> str:
        major, minor = self.python.split(".")
        return f"{major}.{int(minor) + 1}"

    @property
    def glibc(self) -> tuple[int, int]:
        return RELEASES[self.release][2]

    @property
    def machine(self) -> str:
        return ARCHES[self.arch][0]

    @property
    def compiler(self) -> str:
        return ARCHES[self.arch][1]

    @property
    def platform(self) -> str:
        return f"{self.machine}-manylinux_2_28"

    @property
    def suffix(self) -> str:
        return f".cpython-{self.python.replace('.', '')}-{self.machine}-linux-gnu.so"

    @property
    def group(self) -> str:
        return f"{self.release}-{self.arch}"


def headers(target: Target, work: Path) -> Path:
    """usr/include of the target's Python. Raises ImageError."""
    lines = [line.split() for line in HEADERS.read_text().splitlines() if line and not line.startswith("#")]
    found = [Deb(*line) for line in lines if line[0] == target.group]
    if not found:
        raise ImageError(f"{HEADERS}: no headers for {target.group}")
    archive, place = work / "debs", work / "headers"
    fetch(found, archive)
    shutil.rmtree(place, ignore_errors=True)
    for deb in found:
        run(["dpkg-deb", "-x", str(archive / deb.file), str(place)], deb.file)
    return place / "usr/include"


def compile_all(target: Target, sources: Iterable[tuple[Path, Path]], include: Path) -> None:
    """(C source, folder) each into its extension module. Raises ImageError."""
    quick = ["ccache"] if shutil.which("ccache") else []
    flags = ("-I", f"{include}/python{target.python}", "-I", str(include), "-I", str(TREE / "core/bessctl_core"), *nowhere(TREE, include))

    def one(source: Path, into: Path) -> None:
        out = into / (source.stem + target.suffix)
        part, what = out.with_suffix(".o"), f"{source.name} for {target.arch}"
        run([*quick, target.compiler, *FLAGS, *flags, "-c", "-o", str(part), str(source)], what)
        run([target.compiler, "-shared", "-o", str(out), str(part), "-lm"], what)
        part.unlink()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: one(*pair), sources))


def needed_glibc(modules: Iterable[Path]) -> tuple[int, int]:
    """The newest C library that these modules ask for. Raises ImageError."""
    files = [str(module) for module in modules]
    said = run(["readelf", "--version-info", "--wide", *files], "the modules' versions") if files else ""
    return max(((int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", said)), default=(2, 17))


def run(command: list[str], what: str) -> str:
    """Its standard output. Raises ImageError with what it said."""
    try:
        done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise ImageError(f"{what}: there is no {command[0]} here; `make deb` installs what it needs") from e
    if done.returncode:
        raise ImageError(f"{what}: {command[0]} says:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
