"""What runs before the root: kernel, initial RAM disk, boot script, and the file with the boot counters."""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from pathlib import Path

from board.image.boards import Board, command_line
from board.image.debs import ImageError
from board.image.root import kernel_version

BOOT = Path(__file__).resolve().parents[1] / "boot"
ENV_BYTES = 0x4000
EPOCH = 1700000000
"""Every date in the image: two builds give the same bytes."""
APPLETS = ("sh", "mount", "umount", "insmod", "cat", "grep", "sed", "seq", "sleep", "tr", "mv", "sync", "reboot", "switch_root", "echo")
MODULES = ("squashfs", "ext4", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1")
"""What every board needs before the root is mounted, by name; what the kernel has built in is left out."""


def initial_ram_disk(root: Path, sysroot: Path, work: Path, board: Board, out: Path) -> None:
    """A static busybox, our init and the modules it needs, as a compressed cpio archive in which every date is the same."""
    place = work / "initrd"
    shutil.rmtree(place, ignore_errors=True)
    for folder in ("bin", "dev", "proc", "sys", "new", "modules", "lib"):
        (place / folder).mkdir(parents=True)
    shutil.copyfile(sysroot / "usr/bin/busybox", place / "bin/busybox")
    shutil.copyfile(BOOT / "init", place / "init")
    for applet in APPLETS:
        (place / "bin" / applet).symlink_to("busybox")
    for file in (place / "bin/busybox", place / "init"):
        file.chmod(0o755)
    _e2fsck(root, place)
    order = _modules(root, (*board.modules, *MODULES))
    for module in order:
        shutil.copyfile(module, place / "modules" / module.name)
    (place / "modules/order").write_text("".join(f"{module.name}\n" for module in order))
    names = sorted(str(file.relative_to(place)) for file in place.rglob("*"))
    for name in names:
        os.utime(place / name, (EPOCH, EPOCH), follow_symlinks=False)
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--reproducible", "-R", "0:0", "--quiet"],
        cwd=place,
        input="\n".join(names).encode(),
        capture_output=True,
        check=True,
    )
    packed = subprocess.run(["zstd", "-q", "-19", "-T1"], input=archive.stdout, capture_output=True, check=True)
    out.write_bytes(packed.stdout)


def _e2fsck(root: Path, place: Path) -> None:
    """With the libraries it is linked to."""
    loader = "lib/ld-linux-aarch64.so.1"
    libraries = ["libext2fs.so.2", "libcom_err.so.2", "libblkid.so.1", "libuuid.so.1", "libe2p.so.2", "libc.so.6"]
    shutil.copy(root / "usr/sbin/e2fsck", place / "bin/e2fsck")
    shutil.copy(root / "usr" / loader, place / loader)
    for name in libraries:
        shutil.copy(root / "usr/lib/aarch64-linux-gnu" / name, place / "lib" / name)


def _modules(root: Path, names: tuple[str, ...]) -> list[Path]:
    """In the order in which they can be inserted."""
    found: dict[Path, None] = {}
    for name in names:
        command = ["modprobe", "-d", str(root / "usr"), "-S", kernel_version(root), "--show-depends", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            kind, _, path = line.strip().partition(" ")
            if kind == "insmod":
                found[Path(path.strip())] = None
    if not found:
        raise ImageError("no kernel module was found for the initial RAM disk")
    return list(found)


def script(board: Board, work: Path, out: Path, more: str = "") -> None:
    """boot.scr with this board's kernel command line; `more`: words of a test."""
    source = work / "boot.cmd"
    source.write_text(script_text(board, more))
    command = ["mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", str(source), str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"SOURCE_DATE_EPOCH": str(EPOCH), "PATH": "/usr/bin:/bin"}, check=False
    )
    if done.returncode:
        raise ImageError(f"mkimage: {done.stderr.strip()[-400:]}")


def script_text(board: Board, more: str = "") -> str:
    """What U-Boot's shell runs."""
    words = f"{command_line(board)} {more}".strip()
    return (BOOT / "boot.cmd").read_text().replace("@CMDLINE@", words).replace("@UBOOT@", variables(board))


def variables(board: Board) -> str:
    """The board's own variables as U-Boot's shell sets them."""
    return "\n".join(f"setenv {name} {value}" for name, value in board.uboot.items())


def environment(values: dict[str, str]) -> bytes:
    """uboot.env: CRC-32, then NAME=value\\0 ... \\0, filled up with zeros (include/env_internal.h of U-Boot, without a redundant copy)."""
    data = b"".join(f"{name}={value}".encode() + b"\0" for name, value in values.items()) + b"\0"
    data = data.ljust(ENV_BYTES - 4, b"\0")
    return zlib.crc32(data).to_bytes(4, "little") + data
