"""What the parts of one peer's session share: its configuration and record, what is to be kept, what is to be said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bessctl.protocols.oscp.config import PeerConfig
from bessctl.protocols.oscp.session.kept import ForgetPeer, PeerRecord, PutPeer, Write


class Refusal(Exception):
    """A request is answered with an error; nothing has changed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(slots=True)
class Common:
    """Shared by the parts of one peer."""

    config: PeerConfig
    our_url: str
    record: PeerRecord
    new_token: Callable[[], str]
    new_id: Callable[[], str]
    writes: list[Write] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    moved: bool = False
    """Limits or leases may have changed: the plan is to be written again."""

    def keep(self, **changes: Any) -> None:
        """Change the record, and have it kept."""
        self.record = replace(self.record, **changes)
        self.writes.append(PutPeer(self.record))

    def forget(self) -> None:
        """As if the peer had never been."""
        self.record = PeerRecord()
        self.writes.append(ForgetPeer())

    def digest(self, **kinds: str | None) -> dict[str, str]:
        """The digests with some changed; None takes one out."""
        merged = {**self.record.digests, **kinds}
        return {kind: value for kind, value in merged.items() if value is not None}

    def note(self, level: int, text: str) -> None:
        """A line for the log."""
        self.notes.append((level, f"{self.config.name}: {text}"))

    def info(self, text: str) -> None:
        self.note(logging.INFO, text)

    def warn(self, text: str) -> None:
        self.note(logging.WARNING, text)

    def alarm(self, text: str) -> None:
        self.note(logging.ERROR, text)
