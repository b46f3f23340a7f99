"""Bundles for a test: a second system, and everything that must be refused.

The second system is the first one under a higher version: what is tried is the way it gets there. A bundle that must be refused before
a slot is touched needs no system in it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from board.image import bundle
from board.image.build import OUT, Place
from board.image.bundle import Contents, Signer

SECOND = "9.1.0"
SMALL = 4 << 20


def shelf(image: Place, version: str, folder: Path) -> Path:
    """An ext4 disk with `good`, `tampered`, `unsigned`, `stranger`, `old` and `wrong-board` .raucb, and tell.py."""
    place = folder / "bundles"
    place.mkdir()
    by, work, mine = bundle.signer(OUT / "keys"), folder / "bundle-work", image.board.compatible
    work.mkdir()
    small = {"rootfs": noise(work / "noise.img")}
    system = {"rootfs": image.parts / "root.squashfs", "kernel": image.parts / "kernel.vfat"}
    bundle.make(place / "good.raucb", image.work, Contents(mine, SECOND, system), by)
    bundle.make(place / "old.raucb", work, Contents(mine, "0.0.1", small), by)
    bundle.make(place / "wrong-board.raucb", work, Contents("bessctl-toaster", SECOND, small), by)
    bundle.make(place / "stranger.raucb", work, Contents(mine, SECOND, small), stranger(folder))
    bundle.make(place / "tampered.raucb", work, Contents(mine, SECOND, small), by)
    flip(place / "tampered.raucb", SMALL // 2)
    unsign(place / "old.raucb", place / "unsigned.raucb")
    shutil.copyfile(Path(__file__).with_name("tell.py"), place / "tell.py")
    out = folder / "bundles.img"
    mib = 64 + sum(file.stat().st_size for file in place.iterdir()) // (1 << 20)
    with out.open("wb") as disk:
        disk.truncate(mib << 20)
    subprocess.run(["mkfs.ext4", "-q", "-L", "BUNDLES", "-d", str(place), str(out)], check=True)
    shutil.rmtree(place)
    return out


def noise(out: Path) -> Path:
    """Something that no compression makes smaller."""
    with Path("/dev/urandom").open("rb") as source:
        out.write_bytes(source.read(SMALL))
    return out


def stranger(folder: Path) -> Signer:
    """Signs as well as anybody, but no board knows him."""
    return bundle.development(folder / "stranger")


def flip(file: Path, at: int) -> None:
    """One bit of the payload; the signature's own bytes are whole."""
    with file.open("r+b") as data:
        data.seek(at)
        byte = data.read(1)[0]
        data.seek(at)
        data.write(bytes([byte ^ 1]))


def unsign(source: Path, out: Path) -> None:
    """The payload without the signature behind it: RAUC's last eight bytes are its size."""
    data = source.read_bytes()
    size = int.from_bytes(data[-8:], "big")
    out.write_bytes(data[: -8 - size])
