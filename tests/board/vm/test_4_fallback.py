"""CARD-4: a slot that is never confirmed is tried three times, then the other one starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from board.image.boot import script
from board.image.build import Place
from tests.board.vm.machine import WORDS, Vm, disk_for_test

RUNS = r"bessctl: slot {}, root /dev/vd\w+"
"""The kernel of a slot runs, and its initial RAM disk found its root. No more of a start is needed here."""


@pytest.fixture
def fresh(image: Place, folder: Path, vm: Vm) -> Vm:
    """Another board, as flashed; the first one has done its work."""
    vm.cut()
    script(image.board, folder, folder / "boot.scr", WORDS)
    disk = disk_for_test(image.disk, {"boot.scr": folder / "boot.scr"}, folder / "fresh.img")
    return Vm(folder / "fresh", disk)


def test_three_starts_without_confirmation_then_the_other_slot(fresh: Vm) -> None:
    fresh.start()
    try:
        seen = 0
        for slot in ("A", "A", "A", "B"):
            seen = fresh.wait_console(f"slot {slot}", after=seen)
            seen = fresh.wait_console(RUNS.format(slot), after=seen)
            fresh.reset()
    finally:
        fresh.cut()
