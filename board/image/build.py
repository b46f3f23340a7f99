"""`make image BOARD=NAME`: from the locks to what is flashed, all below build/image.

    debs/            the Debian packages, kept from build to build, each checked by its hash
    keys/            the development authority, when no other is named (board/image/bundle.py)
    NAME/disk.img    what is flashed
    NAME/NAME-VERSION.raucb   what updates a board that runs
    NAME/parts       root.squashfs, kernel.vfat, boot.vfat: what both are made of

The version is the project's, or VERSION; the oldest version that a board may be taken back to is OLDEST, else the version of this release's
first number and second number with .0.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import bessctl
from board.image import boards, boot, bundle, debs, disk, root, sbom
from board.image.boards import Board
from board.image.bundle import Contents
from board.image.debs import Deb

TREE = Path(__file__).resolve().parents[2]
OUT = TREE / "build/image"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a board's things lie."""

    board: Board
    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def bundle(self, version: str) -> Path:
        return self.folder / f"{self.board.name}-{version}.raucb"


def place(name: str) -> Place:
    """Raises ImageError for a board that is not there."""
    return Place(boards.read(name), OUT / name)


def version() -> str:
    return os.environ.get("VERSION") or bessctl.__version__


def oldest(of: str) -> str:
    """The oldest version that a system of this version lets itself be replaced by."""
    return os.environ.get("OLDEST") or ".".join([*of.split(".")[:2], "0"])


def build(name: str) -> Place:
    """Disk image and bundle. Raises ImageError."""
    it = place(name)
    began = time.monotonic()
    it.work.mkdir(parents=True, exist_ok=True)
    it.parts.mkdir(parents=True, exist_ok=True)
    packages = [deb for deb in debs.locked() if deb.group in ("root", "build", name)]
    by = bundle.signer(OUT / "keys")
    say(f"{len(packages)} Debian packages", began)
    debs.fetch(packages, OUT / "debs")
    say("root: packages, cross-built modules, byte code", began)
    what = root.Plan(it.board, version(), oldest(version()), packages, OUT / "debs", by.keyring)
    root.build(it.folder / "root", it.work, what)
    say("file systems", began)
    parts(it, packages)
    bill(it, packages)
    say("disk image and bundle", began)
    system, kernel = it.parts / "root.squashfs", it.parts / "kernel.vfat"
    disk.assemble(it.disk, {"boot": it.parts / "boot.vfat", "kernel": kernel, "root": system}, it.work)
    images = {"rootfs": system, "kernel": kernel}
    bundle.make(it.bundle(version()), it.work, Contents(it.board.compatible, version(), images), by)
    say(f"done: {it.disk}, {it.bundle(version())}", began)
    return it


def parts(it: Place, packages: list[Deb]) -> None:
    """The file systems of boot partition, kernel slot and root slot."""
    tree, sysroot = it.folder / "root", it.work / "sysroot"
    disk.squash(tree, it.parts / "root.squashfs")
    boot.initial_ram_disk(tree, sysroot, it.work, it.board, it.work / "initrd.img")
    kernel = sysroot / f"boot/vmlinuz-{root.kernel_version(tree)}"
    files = {"vmlinuz": kernel, "initrd": it.work / "initrd.img"}
    if it.board.device_tree:
        files["dtb"] = merged(device_tree(sysroot, it.board.device_tree), it.board.overlays, it.work)
    disk.fat(it.parts / "kernel.vfat", disk.KERNEL_MIB, "kernel", files)
    disk.fat(it.parts / "boot.vfat", disk.BOOT_MIB, "boot", boot_files(it, packages))


def bill(it: Place, packages: list[Deb]) -> None:
    """What is in the image, beside it: the root's packages, the board's, and the busybox of the initial RAM disk."""
    inside = [deb for deb in packages if deb.group in ("root", it.board.name) or deb.name == "busybox-static"]
    found = sbom.bom(it.board.name, version(), inside, it.folder / "root", (it.work / "firmware", it.work / "sysroot"))
    sbom.write(it.folder / f"{it.board.name}-{version()}.cdx.json", found)


def device_tree(sysroot: Path, name: str) -> Path:
    """The board's, of the kernel package. Raises ImageError."""
    found = sorted((sysroot / "usr/lib").glob(f"linux-image-*/{name}"))
    if not found:
        raise debs.ImageError(f"{name}: the kernel package has no such device tree")
    return found[0]


def merged(tree: Path, overlays: list[str], work: Path) -> Path:
    """The device tree with these overlays in it. Raises ImageError for one that does not fit."""
    for name in overlays:
        overlay, out = work / f"{name}.dtbo", work / f"{name}.dtb"
        run_dtc(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", str(overlay), str(TREE / f"board/overlays/{name}.dts")])
        run_dtc(["fdtoverlay", "-i", str(tree), "-o", str(out), str(overlay)])
        tree = out
    return tree


def run_dtc(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise debs.ImageError(f"{command[0]}: {done.stderr.strip()[-800:] or command[-1]}")


def boot_files(it: Place, packages: list[Deb], more: str = "") -> dict[str, Path]:
    """What lies on the boot partition: boot.scr, the boot counters, the board's firmware. `more`: kernel words of a test."""
    script, counters = it.work / "boot.scr", it.work / "uboot.env"
    boot.script(it.board, it.work, script, more)
    disk.first_environment(counters)
    files = {"boot.scr": script, "uboot.env": counters}
    if it.board.firmware:
        tree = it.work / "firmware"
        shutil.rmtree(tree, ignore_errors=True)
        debs.unpack([deb for deb in packages if deb.group == it.board.name], OUT / "debs", tree)
        for name, path in it.board.firmware.items():
            own, theirs = TREE / "board" / path, tree / path
            if path.startswith("dtb:"):
                theirs = device_tree(it.work / "sysroot", path.removeprefix("dtb:"))
            source = own if own.exists() else theirs
            if not source.exists():
                raise debs.ImageError(f"{it.board.name}: firmware {path} is neither in its packages nor in board/")
            files |= {f"{name}/{file.name}".lstrip("/"): file for file in sorted(source.iterdir())} if source.is_dir() else {name: source}
    return files


def say(what: str, began: float) -> None:
    print(f"image: {time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)
