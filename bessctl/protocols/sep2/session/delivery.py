"""What becomes of a message that was answered: delivered, to be repeated, or refused. Pure.

2xx: done; a mirror's Location is where its readings go, a registration lets the list be read again. 4xx: dropped; 404 says that the server
lost what we told it. 5xx: later.
"""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import Malformed
from bessctl.protocols.sep2.messages.wire import OK, Reply, Request
from bessctl.protocols.sep2.session.discovery import Discovery
from bessctl.protocols.sep2.session.mirrors import Mirrors
from bessctl.protocols.sep2.session.outbox import Entry, Outbox
from bessctl.protocols.sep2.session.reports import Reports
from bessctl.protocols.sep2.session.urls import absolute


class Deliveries:
    """Answers to PUTs and POSTs."""

    def __init__(self, outbox: Outbox, discovery: Discovery, mirrors: Mirrors, reports: Reports) -> None:
        self._outbox, self._discovery, self._mirrors, self._reports = outbox, discovery, mirrors, reports
        self.notes: list[str] = []
        self.responses_done: list[tuple[str, int]] = []

    def told(self, request: Request, reply: Reply, now_ns: int) -> None:
        """An answer to a PUT or POST."""
        kind, key = request.job
        if reply.status in OK:
            self._outbox.take(request.job)
            self._delivered(kind, key, reply, request, now_ns)
            return
        if reply.status >= 500:
            self._outbox.later(request.job, now_ns)
            return
        self._outbox.take(request.job)
        self.notes.append(f"{request.method} {request.url}: refused with {reply.status}; dropped")
        if kind == "response":
            self._responded(key)
        elif reply.status == 404 and kind in {"status", "availability"}:
            self._reports.forget()
        elif reply.status == 404 and kind == "reading":
            self._mirrors.mirrors[key].url = ""
            mups = self._discovery.tree.find("mups", self._discovery.mirrors_url)
            if mups is not None:
                self._discovery.watch_mirrors((), now_ns)
                mirror = self._mirrors.mirrors[key]
                self._outbox.put(Entry("mirror", key, "POST", self._discovery.mirrors_url, self._mirrors.creation(mirror), now_ns))

    def _delivered(self, kind: str, key: str, reply: Reply, request: Request, now_ns: int) -> None:
        match kind:
            case "mirror":
                self._mirror_made(key, reply, request, now_ns)
            case "reading":
                mirror = self._mirrors.mirrors[key]
                if self._mirrors.delivered(mirror):
                    mirror.due_ns = now_ns
            case "register":
                edevs = self._discovery.tree.find("edevs", self._discovery.list_url)
                if edevs is not None:
                    self._discovery.tree.again(edevs, 1.0, now_ns)
            case "response":
                self._responded(key)

    def _mirror_made(self, key: str, reply: Reply, request: Request, now_ns: int) -> None:
        if not reply.location:
            self.notes.append(f"the mirror of {key} was made without a Location; waiting for the list to show it")
            return
        try:
            self._mirrors.mirrors[key].url = absolute(request.url, reply.location)
        except Malformed as e:
            self.notes.append(f"the mirror of {key}: {e}")
        self._discovery.watch_mirrors(self._mirrors.urls, now_ns)

    def _responded(self, key: str) -> None:
        mrid, status = key.split("/")
        self.responses_done.append((mrid, int(status)))
