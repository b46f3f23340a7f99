"""What takes a firmware image, puts it where the next start finds it, and says after that start whether it runs.

A controller's board has two system slots and a boot loader that counts tries (board/): there it is `CommandUpdater` with the board's
commands (`bessctl-update`, or RAUC's own), or a class of the board's own. For development there is one made of files. The order of calls,
over one update:

    install(image, progress)   the image was downloaded and, where it was signed, verified. Returns when it is in the other slot and that
                               slot is the next to boot. Raises OperationFailed; then the next start is into what runs now
    restart()                  asks for the machine's restart, or for nothing where our own restart is enough. Returns as soon as it was
                               asked for; the supervisor then ends and begins anew, with the machine or by itself
    outcome()                  after that start, and after one that came by a power cut at any instant of the above: RUNS, ROLLED_BACK,
                               or NOT_YET (the machine was not restarted since: it is asked for again)
    mark_good()                once the image runs and a CSMS accepted the station: the way to the next update is open. The boot loader
                               stops counting. A board that judges by more than that (loop and supervisor healthy for minutes) does it by
                               a unit of its own and leaves this to do nothing
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import orjson

from bessctl.errors import OperationFailed
from bessctl.protocols.ocpp.binding.processes import argv_of, run
from bessctl.protocols.ocpp.binding.secrets import write_private
from bessctl.protocols.ocpp.config import UpdaterCommands

Progress = Callable[[int], None]
ROLLED_BACK_WHY = "the new image did not boot, the old one runs"
PERCENT = re.compile(r"(\d{1,3})\s?%")
QUICK_S = 30.0


class Fate(Enum):
    """What became of the image handed over last."""

    RUNS = "runs"
    ROLLED_BACK = "rolled back"
    NOT_YET = "not yet"


class Updater(Protocol):
    """Called in a worker thread, one call at a time. Each may raise OperationFailed, whose text goes into log and audit."""

    def install(self, image: Path, progress: Progress) -> None:
        """Put the image into the slot that the next start boots. `progress` is told percents, as far as they are known."""

    def restart(self) -> None:
        """Ask for a start into it."""

    def outcome(self) -> tuple[Fate, str]:
        """Does it run now? With the reason where it does not."""

    def mark_good(self) -> None:
        """What runs now may stay."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What is kept of an image that was handed over: what ran then, in which boot of the machine."""

    running: str
    boot: str


class CommandUpdater:
    """By the commands of the site's configuration (`updater:`); `boot` names this boot of the machine."""

    def __init__(self, commands: UpdaterCommands, folder: Path, boot: str) -> None:
        self._commands = commands
        self._kept = folder / "handed.json"
        self._boot = boot

    def install(self, image: Path, progress: Progress) -> None:
        # What runs is written down first: after a power cut in the middle, what ran before is what still runs.
        handed = {"running": self._running() if self._commands.running else "", "boot": self._boot}
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._kept, orjson.dumps(handed))
        except OSError as e:
            raise OperationFailed(f"{self._kept}: it cannot be written: {e.strerror}") from e

        def line(text: str) -> None:
            found = PERCENT.search(text)
            if found is not None:
                progress(min(100, int(found[1])))

        run(argv_of(self._commands.install, {"image": str(image)}), self._commands.timeout_s, line)

    def restart(self) -> None:
        if self._commands.restart:
            run(self._commands.restart, QUICK_S)

    def outcome(self) -> tuple[Fate, str]:
        if self._commands.outcome:
            return self._verdict()
        handed = self._handed()
        if handed is None:
            return Fate.ROLLED_BACK, "it is not known what was handed over"
        if self._running() != handed.running:
            return Fate.RUNS, ""
        if self._commands.restart and handed.boot == self._boot:
            return Fate.NOT_YET, "the machine was not restarted"
        return Fate.ROLLED_BACK, ROLLED_BACK_WHY

    def mark_good(self) -> None:
        if self._commands.mark_good:
            run(self._commands.mark_good, QUICK_S)

    def _verdict(self) -> tuple[Fate, str]:
        """The board's own, which knows better than a word on the running system (loop and supervisor proved, the slot confirmed)."""
        try:
            run(self._commands.outcome, self._commands.outcome_s)
        except OperationFailed as e:
            return Fate.ROLLED_BACK, str(e)
        return Fate.RUNS, ""

    def _running(self) -> str:
        return run(self._commands.running, QUICK_S).strip()

    def _handed(self) -> Handed | None:
        try:
            return Handed(**orjson.loads(self._kept.read_bytes()))
        except (OSError, orjson.JSONDecodeError, TypeError):
            return None


class NoUpdater:
    """Where the site names no commands: nothing is installed, and nobody is told that it was."""

    WHY = "the site has no updater (ocpp.updater names its commands)"

    def install(self, image: Path, progress: Progress) -> None:
        raise OperationFailed(self.WHY)

    def restart(self) -> None:
        """There is nothing to start into."""

    def outcome(self) -> tuple[Fate, str]:
        return Fate.ROLLED_BACK, self.WHY

    def mark_good(self) -> None:
        """Nothing was installed."""


class FileUpdater:
    """For development: the image becomes `installed.img`; a file `outcome` with the word `failed` plays a boot that was rolled back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, image: Path, progress: Progress) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new = self._folder / "installed.img.new"
            shutil.copyfile(image, new)
            new.replace(self._folder / "installed.img")
        except OSError as e:
            raise OperationFailed(f"the image cannot be installed: {e}") from e
        progress(100)

    def restart(self) -> None:
        """Our own is enough."""

    def outcome(self) -> tuple[Fate, str]:
        verdict = self._folder / "outcome"
        failed = verdict.exists() and verdict.read_text(encoding="utf-8").strip() == "failed"
        if failed:
            (self._folder / "installed.img").unlink(missing_ok=True)
        return (Fate.ROLLED_BACK, ROLLED_BACK_WHY) if failed else (Fate.RUNS, "")

    def mark_good(self) -> None:
        """There is no boot loader that counts."""
