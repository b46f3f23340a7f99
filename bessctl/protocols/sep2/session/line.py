"""How the server behaves on the line: silence, pleas for patience, redirects. Pure.

Silence and 503 hold back every request for a while; silence doubles it each time. A redirect is followed a few times, and never takes our
certificate where it was not meant to go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from bessctl.protocols.sep2.messages.codec import Malformed
from bessctl.protocols.sep2.messages.wire import Reply, Request
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.urls import absolute, may_follow

SILENCE_S, SILENCE_MAX_S = 2.0, 300.0
RETRY_AFTER_MAX_S = 3600.0
HOPS_MAX = 5


@dataclass(slots=True)
class Line:
    """One server's line."""

    rng: Random
    redirect_hosts: frozenset[str]
    hold_ns: int = 0
    """Nothing is asked before."""
    silent: int = 0
    notes: list[str] = field(default_factory=list)

    def silence(self, reason: str, request: Request, now_ns: int) -> None:
        """Nobody answered."""
        self.silent += 1
        wait_s = min(SILENCE_MAX_S, SILENCE_S * 2 ** min(self.silent - 1, 10)) * (1 + self.rng.random() / 4)
        self.hold_ns = now_ns + round(wait_s * NS)
        if self.silent in {1, 5} or self.silent % 50 == 0:
            self.notes.append(f"no answer to {request.method} {request.url}: {reason}; trying again in {wait_s:.0f} s")

    def heard(self, reply: Reply, now_ns: int) -> None:
        """Somebody answered, perhaps that we should wait."""
        self.silent = 0
        if reply.status == 503:
            wait_s = min(RETRY_AFTER_MAX_S, max(1.0, reply.retry_after_s if reply.retry_after_s is not None else SILENCE_S))
            self.hold_ns = now_ns + round(wait_s * NS)
            self.notes.append(f"the server asks to wait {wait_s:g} s (503)")

    def redirected(self, request: Request, reply: Reply) -> Request | None:
        """Where to ask instead; None = not followed, and why stands in the notes."""
        try:
            url = absolute(request.url, reply.location)
            reason = self._against(request, reply, url)
        except Malformed as e:
            url, reason = "", str(e)
        if reason:
            self.notes.append(f"redirect of {request.url} not followed: {reason}")
            return None
        return Request(request.method, url, request.job, request.body, request.hops + 1)

    def _against(self, request: Request, reply: Reply, url: str) -> str:
        if not may_follow(request.url, url, self.redirect_hosts):
            return f"it leads to {url}, where our certificate does not go (redirect_hosts)"
        if request.hops >= HOPS_MAX:
            return f"more than {HOPS_MAX} in a row"
        return "303 to a message of ours" if reply.status == 303 and request.method != "GET" else ""
