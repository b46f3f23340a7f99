"""CARD-4, R6: the power goes at any instant; whatever was acknowledged is there afterwards, and the file systems mount.

Not part of `make image-test`: each cut costs a start. `make image-powercut` does BESS_CUTS of them, 20 unless told otherwise. The power is
cut by killing QEMU: what the board handed to its disk is there, what it kept in memory is gone. A disk that loses what it said it
had written is not tried by this.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from bessctl_core import layout
from board.image.boot import script
from board.image.build import Place
from tests.board.vm.machine import BOOT_OFFSET, WORDS, Vm

CUTS = int(os.environ.get("BESS_CUTS", "0"))
EARLY = "systemd.unit=sysinit.target"
"""Only mounts, temporary files and the test's shell: the writer brings what it needs."""
CUT_WITHIN_S = 8.0


@pytest.fixture
def ready(image: Place, folder: Path, disk: Path) -> Vm:
    """A board with a sealed site, switched off; it starts no further than the shell."""
    script(image.board, folder, folder / "boot.scr", f"{WORDS} {EARLY}")
    subprocess.run(["mcopy", "-o", "-i", f"{disk}@@{BOOT_OFFSET}", str(folder / "boot.scr"), "::boot.scr"], check=True)
    return Vm(folder / "cut", disk, bundles=writer_disk(folder))


def writer_disk(folder: Path) -> Path:
    place, out = folder / "writer", folder / "writer.img"
    place.mkdir()
    shutil.copyfile(Path(__file__).with_name("writer.py"), place / "writer.py")
    with out.open("wb") as disk:
        disk.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-L", "BUNDLES", "-d", str(place), str(out)], check=True)
    return out


class Promises:
    """What the board acknowledged so far."""

    def __init__(self) -> None:
        self.sqlite = 0
        self.loop = {"run"}

    def hear(self, said: str) -> None:
        """A wish for the loop may have come through without its answer; an answer settles it."""
        for line in said.splitlines():
            match line.split():
                case ["ack", "sqlite", number]:
                    self.sqlite = int(number)
                case ["try", "loop", command]:
                    self.loop = self.loop | {"stopped" if command == "stop" else "run"}
                case ["ack", "loop", mode]:
                    self.loop = {mode}

    def kept(self, said: str) -> None:
        """Compare with what `writer.py check` found."""
        number, word = re.search(r"sqlite (\d+) (\S+)", said).groups()  # type: ignore[union-attr]
        assert word == "ok", said
        assert int(number) >= self.sqlite, f"acknowledged {self.sqlite}, found {number}"
        mode = re.search(r"loop (\w+)", said)[1]  # type: ignore[index]
        assert mode in self.loop, f"acknowledged {self.loop}, found {mode}"
        self.loop = {mode}


@pytest.mark.timeout(0)
def test_nothing_acknowledged_is_lost(ready: Vm, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("BESS_SEED", time.time()))
    chance, promises = random.Random(seed), Promises()
    kind, at = layout.dtype("JournalRecord").fields["operator_mode"][:2]
    check = f"python3.13 /run/shelf/writer.py check {at} {kind.itemsize}"
    for cut in range(CUTS + 1):
        ready.start()
        if cut < CUTS and chance.random() < 0.2:  # while it starts: U-Boot's counters, the journal replay, the mounts
            time.sleep(chance.uniform(1, 40))
            ready.cut()
            tell(capsys, f"cut {cut + 1}: at the start")
            continue
        ready.wait_shell()
        assert ready.ask("findmnt -no FSTYPE,OPTIONS /data").startswith("ext4 rw")
        ready.shelf()
        promises.kept(ready.ask(check, within_s=600))
        if cut == CUTS:
            ready.cut()
            break  # what the last cut left has been looked at
        said = ready.let("python3.13 /run/shelf/writer.py write", until=b"ack sqlite", then_s=chance.uniform(0, CUT_WITHIN_S))
        ready.cut()
        promises.hear(said)
        tell(capsys, f"cut {cut + 1}: sqlite {promises.sqlite}, loop {'|'.join(sorted(promises.loop))}, seed {seed}")


def tell(capsys: pytest.CaptureFixture[str], what: str) -> None:
    with capsys.disabled():
        print(what, flush=True)
