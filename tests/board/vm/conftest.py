"""These tests boot the image that `make image` left in build/image: `make image-test` alone collects them.

One board runs from the first file to the third, because a start costs a minute and more: the files' numbers are their order. What
needs other boards runs beside it, in a second worker.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from board.image import boards
from board.image.boot import script
from board.image.build import OUT, Place, version
from board.image.disk import LAYOUT
from tests.board.vm import bundles
from tests.board.vm.machine import WORDS, Vm, data_for_test, disk_for_test
from tests.board.vm.rig import Plant, Rig

collect_ignore_glob = [
    *([] if os.environ.get("BESS_IMAGE") else ["test_[1-8]*.py"]),
    *([] if os.environ.get("BESS_CUTS") else ["test_9*.py"]),
]
TIMEOUT_S = 1500
"""Of each test: far beyond what it needs; each wait inside has a bound of its own."""


class BoardEach(LoadScopeScheduling):
    """One worker has the first board, the other has all others."""

    def _split_scope(self, nodeid: str) -> str:
        return "first" if re.search(r"/test_[123]_", nodeid) else "others"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BoardEach:
    return BoardEach(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vm")


@pytest.fixture(scope="session")
def image() -> Place:
    """What `make image` built."""
    name = os.environ["BESS_IMAGE"]
    it = Place(boards.read(name), OUT / name)
    assert it.disk.exists(), f"make image BOARD={name} has not been run"
    return it


@pytest.fixture(scope="session")
def disk(image: Place, folder: Path, rig: Rig) -> Path:
    """The flashed image with a command line that asks for the test's shell, and a sealed site on /data. Nothing else is changed."""
    script(image.board, folder, folder / "boot.scr", WORDS)
    made = disk_for_test(image.disk, {"boot.scr": folder / "boot.scr"}, folder / "disk.img")
    data_for_test(made, rig.data_files(), LAYOUT[-1].mib, folder)
    return made


@pytest.fixture(scope="session")
def rig(folder: Path) -> Iterator[Rig]:
    """The simulated plant, on this machine."""
    it = Rig(folder, Plant(folder, "first", "--tcp-port", "0"), Plant(folder, "second", "--rtu", "--baud", "38400"))
    yield it
    it.end()


@pytest.fixture(scope="session")
def shelf(image: Place, folder: Path) -> Path:
    """A disk with bundles: one that is good, and those that must be refused."""
    return bundles.shelf(image, version(), folder)


@pytest.fixture(scope="session")
def vm(folder: Path, disk: Path, rig: Rig, shelf: Path) -> Iterator[Vm]:
    """The board, at its first start."""
    it = Vm(folder / "run", disk, rtu=rig.pty, bundles=shelf)
    it.start()
    try:
        it.wait_console("slot A", within_s=300)
        it.wait_shell()
        it.shelf()
        it.wait_started()
        yield it
    finally:
        it.cut()
