"""Each board's data: what it names is there, its command line keeps a core free, it claims nothing that was not tried (CARD-4)."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from board.image import boards, boot, debs
from board.image.debs import ImageError

BOARD = Path(__file__).resolve().parents[2] / "board"
MIB = 1 << 20
KERNEL_BYTES, RAM_DISK_BYTES, TREE_BYTES = 40 * MIB, 32 * MIB, MIB
"""Room for each in memory, more than they take today (37, 3, 0.1 MiB)."""
every = pytest.mark.parametrize("name", boards.names())


def words(name: str) -> dict[str, str]:
    line = boards.command_line(boards.read(name)).split()
    assert len({word.split("=")[0] for word in line}) == len(line), "no word twice: the kernel would take the last, the reader the first"
    return {word.partition("=")[0]: word.partition("=")[2] for word in line}


def test_the_three_boards_are_there() -> None:
    assert set(boards.names()) >= {"qemu-virt-arm64", "rpi-cm4", "verdin-am62"}


@every
def test_the_command_line_keeps_the_loops_core_free_and_a_panic_restarts(name: str) -> None:
    board, found = boards.read(name), words(name)
    cpu = str(board.loop_cpu)
    assert found["isolcpus"].split(",") == ["managed_irq", "domain", cpu]
    assert (found["nohz_full"], found["rcu_nocbs"]) == (cpu, cpu)
    assert cpu not in found["irqaffinity"].split(",")
    assert len(found["irqaffinity"].split(",")) == board.cpus - 1
    assert (found["panic"], found["oops"]) == ("10", "panic")
    assert found["cpufreq.default_governor"] == "performance", "Debian's own is schedutil"
    assert found["console"] == board.console


@every
def test_the_boot_script_is_whole(name: str) -> None:
    """Nothing left to fill in; every line one that U-Boot's shell can read: quotes and blocks are closed."""
    text = boot.script_text(boards.read(name), "quiet")
    assert "@" not in text
    assert boards.command_line(boards.read(name)) + " quiet rauc.slot=${slot}" in text
    code = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
    assert all(line.count('"') % 2 == 0 for line in code)
    assert sum(line.startswith("if ") for line in code) == code.count("fi")
    assert sum(line.startswith("for ") for line in code) == code.count("done")


@every
def test_what_u_boot_loads_lies_apart(name: str) -> None:
    """booti moves a kernel to a boundary of 2 MiB and refuses to start one that reaches into device tree or RAM disk."""
    found = boards.read(name).uboot
    if not found:
        return
    kernel, tree, disk = (int(found[key], 16) for key in ("kernel_addr_r", "fdt_addr_r", "ramdisk_addr_r"))
    assert kernel % (2 * MIB) == 0
    spans = sorted([(kernel, kernel + KERNEL_BYTES), (tree, tree + TREE_BYTES), (disk, disk + RAM_DISK_BYTES)])
    assert all(below[1] <= above[0] for below, above in pairwise(spans))


@every
def test_every_file_that_a_board_names_is_there(name: str) -> None:
    board, packages = boards.read(name), debs.wanted().get(name, [])
    for overlay in board.overlays:
        assert (BOARD / f"overlays/{overlay}.dts").exists()
    for path in board.firmware.values():
        assert path.startswith("dtb:") or (BOARD / path).exists() or packages, f"{path}: no package of group {name} could bring it"
    assert {deb.group for deb in debs.locked()} >= ({name} if packages else set())
    assert board.boot_partition == 1, "boot.cmd counts on it"


@every
def test_every_board_has_a_serial_port_of_the_same_name(name: str) -> None:
    """A site file says /dev/bess/rs485-1 on every board."""
    rules = (BOARD / f"boards/{name}.rules").read_text()
    assert 'SYMLINK+="bess/rs485-1"' in rules
    for line in filter(None, (line.split("#")[0].strip() for line in rules.splitlines())):
        assert re.fullmatch(r'(?:[A-Z]+(?:\{\w+\})?(?:==|\+=|=)"[^"]*"(?:, )?)+', line), line


@every
def test_what_was_not_tried_on_hardware_is_not_said_to_have_been(name: str) -> None:
    tried = boards.read(name).tried
    assert tried
    assert name == "qemu-virt-arm64" or "never been started" in tried


@every
def test_the_readme_says_how_to_flash_it(name: str) -> None:
    assert f"`{name}`" in (BOARD / "README.md").read_text()


@pytest.mark.skipif(not shutil.which("dtc"), reason="dtc is not here; make test installs it")
@pytest.mark.parametrize("overlay", sorted(BOARD.glob("overlays/*.dts")), ids=lambda path: path.stem)
def test_an_overlay_compiles_and_makes_an_rs485_port(overlay: Path) -> None:
    assert "linux,rs485-enabled-at-boot-time;" in overlay.read_text()
    done = subprocess.run(["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", "/dev/null", overlay], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("text", ["cpus: 1", "unknown: 1", "loop_cpu: 4", "- a list", "a: [", ""])
def test_a_board_that_is_badly_written_is_refused_with_its_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = (BOARD / "boards/rpi-cm4.yaml").read_text()
    key = text.split(":", maxsplit=1)[0]
    changed = re.sub(rf"^{key}:.*$", text, good, flags=re.M) if re.search(rf"^{key}:", good, re.M) and key else f"{text}\n"
    (tmp_path / "odd.yaml").write_text(changed if key in good and key else text if key in ("- a list", "a", "") else f"{good}\n{text}\n")
    monkeypatch.setattr(boards, "BOARDS", tmp_path)
    with pytest.raises(ImageError, match="odd"):
        boards.read("odd")


def test_a_board_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(ImageError, match="rpi-cm4"):
        boards.read("rpi-9")
