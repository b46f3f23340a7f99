"""CARD-4: a slot that is never confirmed is tried three times, then the other one starts."""

from __future__ import annotations

from pathlib import Path

from board.image.boot import script
from board.image.build import Place
from tests.board.vm.machine import WORDS, Vm, disk_for_test

RUNS = r"bessctl: slot {}, root /dev/vd\w+"
"""The kernel of a slot runs, and its initial RAM disk found its root. No more of a start is needed here."""


def another(image: Place, folder: Path, name: str) -> Path:
    """The disk of another board, as flashed."""
    script(image.board, folder, folder / "boot.scr", WORDS)
    return disk_for_test(image.disk, {"boot.scr": folder / "boot.scr"}, folder / name)


def test_three_starts_without_confirmation_then_the_other_slot(image: Place, folder: Path) -> None:
    vm = Vm(folder / "fallback", another(image, folder, "fallback.img"))
    vm.start()
    try:
        seen = 0
        for slot in ("A", "A", "A", "B"):
            seen = vm.wait_console(f"slot {slot}", after=seen)
            seen = vm.wait_console(RUNS.format(slot), after=seen)
            vm.reset()
    finally:
        vm.cut()
