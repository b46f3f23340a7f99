"""Work that takes time or files, as words: the session asks, the binding's workers do, the outcome comes back as `Done`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upload:
    """Pack the log and send it (one attempt). `what`: diagnostics, DiagnosticsLog, SecurityLog. Times UTC ns."""

    number: int
    what: str
    url: str
    name: str
    from_ns: int | None = None
    to_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """Fetch a firmware image (one attempt), going on where an earlier attempt of the same url ended."""

    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Verify:
    """Is the downloaded image signed by the certificate, and that by a manufacturer we trust?"""

    number: int
    certificate: str
    signature: str


@dataclass(frozen=True, slots=True)
class Install:
    """Hand the image to the updater."""

    number: int


@dataclass(frozen=True, slots=True)
class Restart:
    """Ask for the start into the image."""

    number: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How did the last installation go? Asked after a start."""

    number: int


@dataclass(frozen=True, slots=True)
class MarkGood:
    """The image runs and a CSMS accepted the station: it may stay."""

    number: int


@dataclass(frozen=True, slots=True)
class Password:
    """Keep a new BasicAuth password."""

    number: int
    text: str

    def __repr__(self) -> str:
        return f"Password({self.number})"


Job = Upload | Download | Verify | Install | Restart | Outcome | MarkGood | Password


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job. `detail` names the reason, without secrets; `again`: it is not over, its beginning must be asked for again."""

    job: Job
    ok: bool
    detail: str = ""
    again: bool = False
