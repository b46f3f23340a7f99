"""A board's data: board/boards/NAME.yaml, read strictly. A new board is one file, and a group of packages in debian.txt
where it has firmware.

title          what it is, for people
tried          what was tried on it and what was not, in words; nothing is called tested that was not
cpus           how many cores it has
loop_cpu       the one kept free for the loop
console        the kernel's console without /dev/
cmdline        words for the kernel beside those of `command_line`
watchdog_s     systemd's hardware watchdog
loop_watchdog_s  WatchdogSec of the loop: 1 wherever time means something
loop_unit      further lines of the loop's unit, e.g. DeviceAllow= of a kind of serial line that only this board has
modules        of the kernel, needed before the root is mounted, beside what every board gets
device_tree    below the kernel package's device trees, e.g. `broadcom/bcm2711-rpi-cm4-io.dtb`; null = U-Boot brings it
firmware       {name on the boot partition: path in the board's Debian packages or below board/, or dtb:NAME of the kernel package}; a path
               ending in / takes all files there
uboot          variables of U-Boot that boot.scr sets before it loads anything: addresses, where those of the board's U-Boot do not fit
boot_partition where U-Boot finds boot.scr
sysctl         {name: value} that differ from sysctl.d/60-bessctl.conf here
NAME.rules     beside the YAML: udev names of the board's own ports, 61-bessctl-board.rules there
overlays       names of device tree overlays below board/overlays, merged into the device tree when the image is built
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from board.image.debs import ImageError

BOARDS = Path(__file__).resolve().parents[1] / "boards"


class Board(BaseModel):
    """One file of board/boards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    tried: str
    cpus: int = Field(ge=2, le=64)
    loop_cpu: int = Field(ge=1, le=63)
    console: str
    cmdline: list[str] = []
    watchdog_s: int = Field(default=10, ge=5, le=120)
    loop_watchdog_s: int = Field(default=1, ge=1, le=60)
    loop_unit: list[str] = []
    sysctl: dict[str, str] = {}
    modules: list[str] = []
    device_tree: str | None = None
    firmware: dict[str, str] = {}
    boot_partition: int = 1
    overlays: list[str] = []
    uboot: dict[str, str] = {}

    @property
    def compatible(self) -> str:
        """What a bundle must say to be taken by this board."""
        return f"bessctl-{self.name}"

    @property
    def other_cpus(self) -> str:
        """All cores but the loop's, as the kernel and systemd write lists."""
        return ",".join(str(cpu) for cpu in range(self.cpus) if cpu != self.loop_cpu)


def command_line(board: Board) -> str:
    """The kernel's words for a board: the loop's core alone with it, a panic restarts, oops counts as one, no output once it runs.

    Security modules that have no policy here are left out: to load the one of systemd's, which no unit uses, takes seconds.
    """
    cpu = board.loop_cpu
    words = [
        f"console={board.console}", "ro", f"isolcpus=managed_irq,domain,{cpu}", f"nohz_full={cpu}", f"rcu_nocbs={cpu}",
        f"irqaffinity={board.other_cpus}", "rcu_nocb_poll", "skew_tick=1", "panic=10", "oops=panic", "nowatchdog", "loglevel=4",
        "cpufreq.default_governor=performance", "lsm=landlock,lockdown,yama",
        "systemd.show_status=0", "fsck.mode=skip",
    ]  # fmt: skip
    return " ".join(words + board.cmdline)


def names() -> list[str]:
    return sorted(file.stem for file in BOARDS.glob("*.yaml"))


def read(name: str) -> Board:
    """Raises ImageError for a board that is not there or a file that is wrong."""
    file = BOARDS / f"{name}.yaml"
    try:
        board = Board(name=name, **YAML(typ="safe").load(file.read_text()))
    except FileNotFoundError as e:
        raise ImageError(f"there is no board {name}; there are: {', '.join(names())}") from e
    except (ValidationError, YAMLError, TypeError) as e:
        raise ImageError(f"{file}: {e}") from e
    if board.loop_cpu >= board.cpus:
        raise ImageError(f"{file}: loop_cpu {board.loop_cpu} is not one of {board.cpus} cores")
    return board
