"""What waits to be sent: PUTs and POSTs, with their retries. Pure.

Rules. A new entry under a key replaces the older one: a status that was not delivered is out of date. Answers of 2xx take it out, 4xx drop
it (asking again would not help), 5xx and silence keep it and wait longer each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bessctl.protocols.sep2.messages.wire import Request
from bessctl.protocols.sep2.session.clock import NS

FIRST_S, LONGEST_S = 5.0, 300.0


@dataclass(slots=True)
class Entry:
    """One message."""

    kind: str
    key: str
    method: str
    url: str
    body: bytes
    due_ns: int = 0
    tries: int = 0

    @property
    def job(self) -> tuple[str, str]:
        return (self.kind, self.key)

    def request(self) -> Request:
        return Request(self.method, self.url, self.job, self.body)


@dataclass(slots=True)
class Outbox:
    """In order of entry; responses before telemetry because they come in that order of kinds."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)

    def put(self, entry: Entry) -> None:
        """Add or replace."""
        self.entries[entry.job] = entry

    def due(self, now_ns: int) -> Entry | None:
        """The first that may go out now."""
        return next((entry for entry in self.entries.values() if entry.due_ns <= now_ns), None)

    def next_ns(self) -> int | None:
        return min((entry.due_ns for entry in self.entries.values()), default=None)

    def take(self, job: tuple[str, str]) -> Entry | None:
        """Delivered or dropped."""
        return self.entries.pop(job, None)

    def later(self, job: tuple[str, str], now_ns: int) -> None:
        """Not delivered: again after a longer wait."""
        entry = self.entries.get(job)
        if entry is not None:
            entry.tries += 1
            entry.due_ns = now_ns + round(min(LONGEST_S, FIRST_S * 2 ** min(entry.tries - 1, 10)) * NS)
