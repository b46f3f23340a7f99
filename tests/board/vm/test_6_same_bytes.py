"""CARD-4: what is made of the same files is the same, byte by byte, however often it is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from board.image import boot, build, disk
from board.image.build import Place


def fat(image: Place, out: Path) -> None:
    disk.fat(out, disk.BOOT_MIB, "boot", {"boot.scr": image.work / "boot.scr", "overlays/uboot.env": image.work / "uboot.env"})


def data(_: Place, out: Path) -> None:
    disk.data(out, 64)


def ram_disk(image: Place, out: Path) -> None:
    boot.initial_ram_disk(image.folder / "root", image.work / "sysroot", out.parent, image.board, out)


def script(image: Place, out: Path) -> None:
    boot.script(image.board, out.parent, out)


def squash(image: Place, out: Path) -> None:
    """A part of the root stands for it."""
    disk.squash(image.folder / "root/usr/lib/systemd", out)


@pytest.mark.parametrize("make", [fat, data, ram_disk, script, squash])
def test_twice_the_same(image: Place, tmp_path: Path, make: Callable[[Place, Path], None]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make(image, tmp_path / name / "made")
    assert (tmp_path / "one/made").read_bytes() == (tmp_path / "two/made").read_bytes()


def test_the_disk_is_the_same_when_it_is_put_together_again(image: Place, tmp_path: Path) -> None:
    files = {"boot": image.parts / "boot.vfat", "kernel": image.parts / "kernel.vfat", "root": image.parts / "root.squashfs"}
    disk.assemble(tmp_path / "disk.img", files, tmp_path)
    assert build.OUT in image.disk.parents
    with image.disk.open("rb") as first, (tmp_path / "disk.img").open("rb") as second:
        while block := first.read(disk.MIB):
            assert block == second.read(disk.MIB)
        assert not second.read(1)
