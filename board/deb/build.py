"""`make deb ARCH=arm64 RELEASE=bookworm`: from the locks to build/deb/bessctl_VERSION_ARCH.deb. Two builds give the same bytes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import bessctl
from board.deb import control, tree
from board.deb.target import ARCHES, HEADERS, RELEASES, TREE, Target
from board.image import debs
from board.image.debs import ImageError

OUT = TREE / "build/deb"
EPOCH = "1700000000"
"""Every date in the package."""


def version(target: Target) -> str:
    return f"{os.environ.get('VERSION') or bessctl.__version__}+deb{target.number}"


def build(arch: str, release: str) -> Path:
    """The package. Raises ImageError."""
    target = Target(release, arch)
    work = OUT / target.group
    root, out = work / "root", OUT / f"bessctl_{version(target)}_{arch}.deb"
    work.mkdir(parents=True, exist_ok=True)
    tree.stage(root, work, target)
    control.write(root, target, version(target))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = ["dpkg-deb", "--build", "--root-owner-group", "-Zzstd", "-z3", str(root), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"dpkg-deb: {done.stderr.strip()[-800:]}")
    return out


def lock() -> None:
    """Ask the archive for the headers of each release's Python, and pin them. Raises ImageError."""
    found = []
    for release, (_, python, _) in RELEASES.items():
        for arch in ARCHES:
            found += debs.pinned(OUT / "apt", arch, release, [f"libpython{python}-dev"])
    lines = [" ".join((d.group, d.name, d.version, d.sha256, d.path)) for d in sorted(found)]
    HEADERS.write_text("# Made by `python -m board.deb lock`: group, name, version, sha256, path\n" + "\n".join(lines) + "\n")
