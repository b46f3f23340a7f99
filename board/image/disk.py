"""Partitions and file systems: one boot partition, kernel and root for each of the two slots, and /data."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from board.image.boot import EPOCH, environment
from board.image.debs import ImageError

MIB = 1 << 20
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    mib: int
    kind: str


LAYOUT = (
    Partition("boot", 32, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
    Partition("kernel-A", 64, "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
    Partition("kernel-B", 64, "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
    Partition("root-A", 320, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
    Partition("root-B", 320, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
    Partition("data", 512, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
)
"""boot.cmd counts on the order: boot is 1, the kernels are 2 and 3. data is last: it can grow to the end of the card."""

BOOT_MIB, KERNEL_MIB = LAYOUT[0].mib, LAYOUT[1].mib


def fat(out: Path, mib: int, label: str, files: dict[str, Path]) -> None:
    """A FAT file system with these files, made without being root (mtools)."""
    out.unlink(missing_ok=True)
    with out.open("wb") as image:
        image.truncate(mib * MIB)
    _run("mkfs.vfat", "-F", "16", "--invariant", "-n", label.upper(), str(out))
    for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
        _run("mmd", "-i", str(out), f"::{folder}")
    for name, file in sorted(files.items()):
        os.utime(file, (EPOCH, EPOCH))
        _run("mcopy", "-m", "-i", str(out), str(file), f"::{name}")


def squash(root: Path, out: Path) -> None:
    """The root, read-only, everything owned by root."""
    out.unlink(missing_ok=True)
    _run("mksquashfs", str(root), str(out), "-comp", "zstd", "-Xcompression-level", "9", "-all-root", "-noappend", "-no-progress", "-quiet",
         "-no-xattrs")  # fmt: skip


def data(out: Path, mib: int) -> None:
    """An empty ext4. Each device's file system gets the same UUID: nothing here looks for it by that."""
    out.unlink(missing_ok=True)
    with out.open("wb") as image:
        image.truncate(mib * MIB)
    _run("mkfs.ext4", "-q", "-L", "data", "-U", "62657373-6374-6c00-0000-000000000001",
         "-E", "hash_seed=62657373-6374-6c00-0000-000000000002,lazy_itable_init=0,lazy_journal_init=0", str(out))  # fmt: skip


def assemble(out: Path, files: dict[str, Path], work: Path) -> None:
    """The whole image of the files `boot`, `kernel`, `root`; both slots hold the same. Raises ImageError when one does not fit."""
    data_image = work / "data.ext4"
    data(data_image, LAYOUT[-1].mib)
    parts = {part.name: files.get(part.name.split("-")[0], data_image) for part in LAYOUT}
    total = MIB * (2 + sum(part.mib for part in LAYOUT))
    out.unlink(missing_ok=True)
    with out.open("wb") as image:
        image.truncate(total)
    start, table = 2048, ["label: gpt", "label-id: 62657373-6374-6C00-0000-000000000000"]
    for number, part in enumerate(LAYOUT, 1):
        sectors = part.mib * MIB // SECTOR
        table.append(
            f'start={start}, size={sectors}, type={part.kind}, name="{part.name}", uuid=62657373-6374-6C00-0000-0000000000{number:02}'
        )
        _copy(parts[part.name], out, start * SECTOR, part)
        start += sectors
    subprocess.run(["sfdisk", "-q", str(out)], input="\n".join(table), text=True, check=True, capture_output=True)


def first_environment(out: Path) -> None:
    out.write_bytes(environment({"BOOT_ORDER": "A B", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "3"}))


def _copy(part: Path, out: Path, offset: int, place: Partition) -> None:
    if part.stat().st_size > place.mib * MIB:
        raise ImageError(f"{part.name} has {part.stat().st_size / MIB:.0f} MiB, its partition {place.mib}: take something out")
    with part.open("rb") as source, out.open("r+b") as target:
        target.seek(offset)
        while block := source.read(4 * MIB):
            if block.count(0) == len(block):
                target.seek(len(block), 1)
            else:
                target.write(block)


def _run(*command: str) -> None:
    env = {"PATH": os.environ["PATH"], "TZ": "UTC", "SOURCE_DATE_EPOCH": str(EPOCH), "E2FSPROGS_FAKE_TIME": str(EPOCH)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-800:]}")
