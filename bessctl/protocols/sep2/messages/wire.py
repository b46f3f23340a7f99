"""What goes between a session and its transport: requests and what became of them. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass

MEDIA_TYPE = "application/sep+xml"
OK = frozenset({200, 201, 202, 204})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `job` says what it was for."""

    method: str
    url: str
    job: tuple[str, str]
    body: bytes = b""
    hops: int = 0
    """Redirects so far."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Times on CLOCK_MONOTONIC."""

    status: int
    body: bytes
    sent_ns: int
    got_ns: int
    media_type: str = MEDIA_TYPE
    location: str = ""
    retry_after_s: float | None = None
    utc_offset_ns: int | None = None
    """UTC minus CLOCK_MONOTONIC when it came, by this machine's clock; None = that is not to be trusted."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer, and why."""

    reason: str
