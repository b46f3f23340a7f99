"""What takes a firmware image. A controller's board brings its own (A/B slots); for development there is one made of files.

The image is downloaded and, where it was signed, verified before it is handed over. After the start that follows, `outcome` says whether
the new image runs, or the old one was brought back because the new one did not boot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bessctl.errors import OperationFailed
from bessctl.protocols.ocpp.binding.secrets import write_private


class Updater(Protocol):
    """Called in a worker thread, one call at a time."""

    def install(self, image: Path) -> None:
        """Put the image where the next start finds it. Raises OperationFailed; then nothing is changed."""

    def outcome(self) -> tuple[bool, str]:
        """Does the image handed over last run now, and if not, why."""


class FileUpdater:
    """For development: the image becomes `installed.img`; a file `outcome` with the word `failed` plays a boot that was rolled back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, image: Path) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_private(self._folder / "installed.img", image.read_bytes())
        except OSError as e:
            raise OperationFailed(f"the image cannot be installed: {e}") from e

    def outcome(self) -> tuple[bool, str]:
        verdict = self._folder / "outcome"
        failed = verdict.exists() and verdict.read_text(encoding="utf-8").strip() == "failed"
        if failed:
            (self._folder / "installed.img").unlink(missing_ok=True)
        return (not failed, "the new image did not boot, the old one runs" if failed else "")
