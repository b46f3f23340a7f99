"""The BasicAuth password of one link, and how a CSMS gives it a new one without locking the station out (2.0.1 A01, settled 12).

    PASSWORD_FILE          the password, as `password_encoding` says
    PASSWORD_FILE.before   the one before it, until the CSMS let us in with the new one

The new one is tried first. Where the CSMS refuses it (401) the one before has its turn, and so on in turn; the first that comes through is
the password from then on. Nothing else than that refusal makes us fall back: a CSMS that is away has refused nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bessctl.protocols.ocpp.binding.secrets import write_private
from bessctl.protocols.ocpp.config import LinkConfig


class Passwords:
    """Supervisor thread, but for `put`; short file operations."""

    def __init__(self, link: LinkConfig) -> None:
        self._link = link
        self._fall_back = False

    def link(self) -> LinkConfig:
        """The link with the password file for the next dialling."""
        before = self._before()
        self._fall_back &= before is not None
        return replace(self._link, password_file=before) if self._fall_back else self._link

    def refused(self) -> None:
        """The CSMS answered 401."""
        self._fall_back = not self._fall_back

    def good(self) -> str:
        """The CSMS let us in and knows us; returns what that decided, if anything."""
        before, file = self._before(), self._link.password_file
        if before is None or file is None:
            return ""
        if not self._fall_back:
            before.unlink()
            return "the new password is in use"
        self._fall_back = False
        before.replace(file)
        return "the CSMS refused the new password, the one before it stays"

    def _before(self) -> Path | None:
        file = self._link.password_file
        path = None if file is None else before_of(file)
        return path if path is not None and path.exists() else None


def before_of(file: Path) -> Path:
    """Where the password before the present one is kept."""
    return file.with_name(file.name + ".before")


def put(file: Path, text: str) -> None:
    """Keep a new password; the one that the CSMS let us in with last is not lost. Any thread. Raises OSError."""
    before = before_of(file)
    if file.exists() and not before.exists():
        write_private(before, file.read_bytes())
    write_private(file, text.encode())
