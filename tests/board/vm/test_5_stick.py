"""CARD-4: a board with nothing on /data takes its site from a USB stick, checks and seals it by itself, and runs."""

from __future__ import annotations

from pathlib import Path

from board.image.build import Place
from tests.board.vm.machine import Vm, fat_stick
from tests.board.vm.rig import Rig
from tests.board.vm.test_4_fallback import another


def test_the_first_start_with_a_stick(image: Place, folder: Path, rig: Rig) -> None:
    """The slowest things an emulated board can do: three programs that import everything. Its patience is long."""
    stick = fat_stick(folder / "stick.img", "BESSCTL", rig.stick_files(), mib=64)
    vm = Vm(folder / "first", another(image, folder, "first.img"), rtu=rig.pty, stick=stick)
    vm.start()
    try:
        vm.wait_shell()
        vm.until("[ -e /data/bessctl/site.yaml ] && [ -e /data/bessctl/site.sealed ]", within_s=1200)
        assert vm.ask("stat -c %U:%a /data/bessctl/site.yaml") == "root:640"
        assert "the site is taken" in vm.until("grep taken /run/bess-stick.txt")
        vm.until("systemctl is-active bess-loop", within_s=900)
    finally:
        vm.cut()
