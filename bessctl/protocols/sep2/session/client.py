"""The whole client without a socket: asks to be told the time, hands out requests, takes answers in. Pure.

    while there is work:  request = client.request(now_ns)  ->  client.answered(request, reply, now_ns)
    else:                 sleep until client.wake_ns(), then client.tick(reading, now_ns)

One request at a time. Silence, and 503 with Retry-After, hold back everything for a while that doubles; a refusal of one resource holds
back that one. What became different and must survive is in `changes`, taken by the binding after each call.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from random import Random

from bessctl.errors import Refused
from bessctl.protocols.sep2.messages.codec import Malformed, decode, encode
from bessctl.protocols.sep2.messages.control import DefaultDerControl
from bessctl.protocols.sep2.messages.modes import Channel
from bessctl.protocols.sep2.messages.reports import DerControlResponse, DrResponse, FlowReservationResponseResponse, Response
from bessctl.protocols.sep2.messages.resources import EndDevice
from bessctl.protocols.sep2.messages.wire import MEDIA_TYPE, REDIRECTS, NoReply, Reply, Request
from bessctl.protocols.sep2.profiles import IN_BAND, STORAGE_CATEGORY
from bessctl.protocols.sep2.session import service
from bessctl.protocols.sep2.session.clock import NS, ServerClock
from bessctl.protocols.sep2.session.curves import Shelf
from bessctl.protocols.sep2.session.delivery import Deliveries
from bessctl.protocols.sep2.session.discovery import CONTROL, RECORDS, Discovery, Found, Gate
from bessctl.protocols.sep2.session.engine import Engine, Said, Schedule
from bessctl.protocols.sep2.session.events import DEMAND, FLOW
from bessctl.protocols.sep2.session.flows import Flows, Wanted
from bessctl.protocols.sep2.session.line import Line
from bessctl.protocols.sep2.session.mirrors import SAMPLE_S, Mirrors
from bessctl.protocols.sep2.session.outbox import Entry, Outbox
from bessctl.protocols.sep2.session.plant import Reading
from bessctl.protocols.sep2.session.reports import Reports
from bessctl.protocols.sep2.session.settings import Changes, Settings
from bessctl.protocols.sep2.session.tree import Node, Tree, jitter_s
from bessctl.protocols.sep2.session.urls import absolute

RESPONSES: dict[str, type[Response]] = {DEMAND: DrResponse, FLOW: FlowReservationResponseResponse}
"""What an answer is called, by the kind of its event; else DERControlResponse."""


class Client:
    """One server."""

    def __init__(self, settings: Settings, rng: Random) -> None:
        self.settings = settings
        self.clock = ServerClock()
        self.outbox = Outbox()
        self.changes = Changes()
        self.evidence_ns: int | None = None
        """When the utility's controls were last read."""
        profile = settings.profile
        tree = Tree(settings.url, rng, profile.poll_rate_s)
        self.discovery = Discovery(tree, settings.identity, settings.pin, settings.der_index, settings.enabled)
        self.engine = Engine(profile, settings.enabled, rng, STORAGE_CATEGORY)
        self.reports = Reports(profile, settings.ratings, settings.supported, settings.enabled, settings.pen)
        self.mirrors = Mirrors(profile, settings.points, settings.identity.lfdi, settings.pen)
        self.shelf = Shelf(settings.curve_points)
        self.engine.curve_fault = self.shelf.fault
        self.flows = Flows(settings.identity.lfdi, settings.pen)
        self.counts: dict[str, int] = {}
        self._line = Line(rng, settings.redirect_hosts)
        self._reading: Reading | None = None
        self._sample_s = 0
        self._event_ns: int | None = None
        self.service: dict[str, int] = {}
        """setES* that are to hold, by the names of a DefaultDERControl's fields."""
        self._default_of: dict[str, DefaultDerControl] = {}
        self._service_note = ""
        self._deliveries = Deliveries(self.outbox, self.discovery, self.mirrors, self.reports)

    # --- time -----------------------------------------------------------------------------------------------------------------------------

    def tick(self, reading: Reading | None, now_ns: int) -> None:
        """Live up to now: events, samples, reports."""
        self._reading = reading
        if not self.clock.known or self.discovery.gate is Gate.PIN_WRONG:
            return
        server_s = self.clock.server_s(now_ns)
        self._advance(now_ns)
        if reading is not None:
            self.engine.override(reading.overridden, server_s)
            self.flows.count(self.engine.runs.values(), reading.values.get("w"), server_s)
            self._drain_engine(now_ns)
        self._sample(reading, server_s)
        if self.discovery.gate is not Gate.OPEN:
            return
        if reading is not None:
            for entry in self.reports.watch(reading, self._link_url("log_event_list"), server_s, now_ns):
                self.outbox.put(entry)
        for entry in self.reports.due(reading, server_s, now_ns):
            self.outbox.put(entry)
        self._post_readings(now_ns)

    def _sample(self, reading: Reading | None, server_s: float) -> None:
        """At :00 and :30 of server time; a mark that was slept through is not made up."""
        mark_s = int(server_s) // SAMPLE_S * SAMPLE_S
        if mark_s != self._sample_s:
            fresh = self._sample_s != 0
            self._sample_s = mark_s
            if reading is not None and fresh:
                self.mirrors.sample(dict(reading.values), mark_s)

    def _post_readings(self, now_ns: int) -> None:
        for mirror in self.mirrors.due(now_ns):
            body = self.mirrors.reading(mirror)
            if body is not None:
                self.outbox.put(Entry("reading", mirror.point.quantity, "POST", mirror.url, body, now_ns))
                self.mirrors.posted(mirror, now_ns)

    def _advance(self, now_ns: int) -> None:
        wake_s = self.engine.advance(self.clock.server_s(now_ns))
        self._event_ns = None if wake_s is None else self.clock.mono_ns(wake_s)
        self._drain_engine(now_ns)

    def wake_ns(self, now_ns: int) -> int:
        """When `tick` and `request` have something to do again."""
        nodes = min((max(node.due_ns, self._line.hold_ns) for node in self.discovery.allowed()), default=now_ns + 60 * NS)
        waits = [nodes]
        if self.outbox.entries and self.discovery.gate is not Gate.PIN_WRONG:
            waits.append(max(self.outbox.next_ns() or 0, self._line.hold_ns))
        if self.clock.known:
            waits.append(self.clock.mono_ns((int(self.clock.server_s(now_ns)) // SAMPLE_S + 1) * SAMPLE_S))
            waits += [ns for ns in (self._event_ns, self.reports.next_ns(), self.mirrors.next_ns()) if ns is not None]
        return max(now_ns, min(waits))

    # --- asking ---------------------------------------------------------------------------------------------------------------------------

    def request(self, now_ns: int) -> Request | None:
        """The next thing to ask or tell; None = nothing is due."""
        if now_ns < self._line.hold_ns:
            return None
        if self.discovery.gate is not Gate.PIN_WRONG:
            entry = self.outbox.due(now_ns)
            if entry is not None:
                return self._counted(entry.request())
        due = [node for node in self.discovery.allowed() if node.due_ns <= now_ns]
        if not due:
            return None
        node = min(due, key=lambda n: n.due_ns)
        return self._counted(Request("GET", self.discovery.url_of(node), node.key))

    def _counted(self, request: Request) -> Request:
        self.counts["requests"] = self.counts.get("requests", 0) + 1
        return request

    def answered(self, request: Request, reply: Reply | NoReply, now_ns: int) -> Request | None:
        """What became of a request; returns another one where it must be asked elsewhere (a redirect)."""
        if isinstance(reply, NoReply):
            self._line.silence(reply.reason, request, now_ns)
            return None
        if reply.status in REDIRECTS:
            other = self._line.redirected(request, reply)
            if other is None:
                self._failed(request, now_ns)
            return other
        self._line.heard(reply, now_ns)
        if request.method == "GET":
            self._polled(request, reply, now_ns)
        else:
            self._deliveries.told(request, reply, now_ns)
        return None

    def _failed(self, request: Request, now_ns: int) -> None:
        if request.method == "GET":
            node = self._node(request)
            if node is not None:
                self.discovery.tree.failed(node, now_ns)
        else:
            self.outbox.later(request.job, now_ns)

    def _node(self, request: Request) -> Node | None:
        return self.discovery.tree.find(*request.job)

    # --- what was read --------------------------------------------------------------------------------------------------------------------

    def _polled(self, request: Request, reply: Reply, now_ns: int) -> None:
        node = self._node(request)
        if node is None:
            return
        if reply.status == 404:
            if node.kind == "dset":
                self.reports.forget()
                self.discovery.tree.polled(node, None, now_ns)
                return
            if node.fails == 0 and node.kind != "dderc":
                self._note(f"{request.url}: not there (404)")
            self._act(node, self.discovery.gone(node, now_ns), now_ns)
            return
        fault = _fault(reply)
        if fault:
            self._refused(node, request, fault, now_ns)
            return
        digest = blake2b(reply.body, digest_size=16).digest() if node.kind == "dercs" and node.start == 0 else b""
        if digest and digest == node.digest:
            # Nothing changed since it was taken in; taking it in again would change nothing.
            self.discovery.tree.polled(node, node.rate_s, now_ns)
            self._heard(now_ns)
            return
        notes: list[str] = []
        try:
            found = self.discovery.read(node, decode(reply.body, RECORDS[node.kind], notes), now_ns)
        except Malformed as e:
            self._refused(node, request, f"refused: {e}", now_ns)
            return
        self.changes.notes += [f"{request.url}: {note}" for note in notes[:5]]
        if found.time_s is not None:
            self._time(node, found.time_s, reply, now_ns)
        if node.kind in CONTROL and self.discovery.gate is Gate.OPEN:
            self._heard(now_ns)
        self._act(node, found, now_ns)
        node.digest = digest if found.controls and self.clock.known else b""

    def _refused(self, node: Node, request: Request, why: str, now_ns: int) -> None:
        if node.fails == 0:
            self._note(f"{request.url}: {why}")
        self.discovery.tree.failed(node, now_ns)

    def _heard(self, now_ns: int) -> None:
        """The utility's controls were read: the plan's lease stands on that."""
        self.evidence_ns = now_ns
        self.changes.schedule = True

    def _time(self, node: Node, current_s: int, reply: Reply, now_ns: int) -> None:
        before, steps = self.clock.offset_ns, self.clock.steps
        self.clock.observe(current_s, reply.sent_ns, reply.got_ns, reply.utc_offset_ns)
        rate_s = self.discovery.tree.rate_s(node)
        latest_ns = now_ns + round((rate_s + jitter_s(rate_s)) * NS)
        node.due_ns = self.clock.aim(node.due_ns, now_ns + rate_s * NS, latest_ns)
        if self.clock.steps != steps:
            self._note("the server's clock jumped")
        if self.clock.offset_ns != before:
            self.changes.clock = self.changes.schedule = True
        self._advance(now_ns)

    def _act(self, node: Node, found: Found, now_ns: int) -> None:
        self.changes.notes += found.notes
        if self.discovery.gate is Gate.UNREGISTERED and node.kind == "edevs" and self.settings.profile.registration == IN_BAND:
            self._register(now_ns)
        if self.discovery.gate is Gate.PIN_WRONG:
            self.changes.schedule = True
        if found.programs is not None:
            self.engine.programs(found.programs[0], whole=found.programs[1])
            self._follow_default()
            self.changes.schedule = True
        for program, default in found.defaults:
            self._default(program, default)
        if found.curves is not None and self.shelf.put(*found.curves):
            self.changes.curves = self.changes.schedule = True
        if found.controls and not self.clock.known:
            self.discovery.tree.again(node, 1.0, now_ns)  # events need the server's time first
        elif found.controls:
            for program, items, whole in found.controls:
                self.engine.see(program, items, self.clock.server_s(now_ns), whole=whole)
            self._advance(now_ns)
        if found.ders is not None:
            self.reports.found(found.ders[0], now_ns)
        self._act_mirrors(found, now_ns)

    def _default(self, program: str, default: DefaultDerControl | None) -> None:
        self.engine.default(program, default)
        self._default_of = {href: d for href, d in self._default_of.items() if href != program}
        if default is not None:
            self._default_of[program] = default
        self._follow_default()
        self.changes.schedule = True

    def _follow_default(self) -> None:
        ranked = sorted(self._default_of, key=lambda href: (self.engine.primacy.get(href, 255), href))
        values = service.stated(self._default_of[href] for href in ranked)
        asked = {name: value for name, value in values.items() if name in service.ENTER_SERVICE}
        why = "" if not asked else service.fault(asked) if self.settings.enter_service else "no PCS here takes enter-service settings"
        if why and why != self._service_note:
            self._note(f"setES* is not carried out: {why}")
        self._service_note = why
        self.service = {} if why else asked
        self.reports.follow({name: value for name, value in values.items() if name in service.GRADIENTS or not why})

    def _act_mirrors(self, found: Found, now_ns: int) -> None:
        if found.mirror is not None and found.mirror.href:
            mirror = self.mirrors.by_url(found.mirror.href)
            if mirror is not None:
                mirror.post_rate_s = found.mirror.post_rate_s
        if found.mirrors is None:
            return
        for mirror in self.mirrors.listed(*found.mirrors):
            self.outbox.put(
                Entry("mirror", mirror.point.quantity, "POST", self.discovery.mirrors_url, self.mirrors.creation(mirror), now_ns)
            )
        self.discovery.watch_mirrors(self.mirrors.urls, now_ns)

    def _register(self, now_ns: int) -> None:
        """In-band registration: we put ourselves on the list."""
        identity = self.settings.identity
        changed_s = int(self.clock.server_s(now_ns)) if self.clock.known else 0
        device = EndDevice(device_category=STORAGE_CATEGORY, lfdi=identity.lfdi, sfdi=identity.sfdi, changed_s=changed_s)
        self.outbox.put(Entry("register", "", "POST", self.discovery.list_url, encode(device), now_ns))

    # --- responses ------------------------------------------------------------------------------------------------------------------------

    def _drain_engine(self, now_ns: int) -> None:
        engine = self.engine
        for said in engine.said:
            self.changes.responses.append(said)
            self.respond(said, now_ns)
        engine.said.clear()
        if engine.dirty:
            self.changes.events |= engine.dirty
            self.changes.schedule = True
            engine.dirty.clear()
        self.changes.notes += engine.notes
        engine.notes.clear()

    def respond(self, said: Said, now_ns: int) -> None:
        """Queue a response; also what was kept from before a restart."""
        try:
            url = absolute(self.settings.url, said.reply_to)
        except Malformed as e:
            self._note(f"event {said.mrid}: {e}")
            self.changes.responses_done.append((said.mrid, said.status))
            return
        record = RESPONSES.get(said.kind, DerControlResponse)(
            created_s=int(said.created_s), lfdi=self.settings.identity.lfdi, status=said.status, subject=said.mrid
        )
        self.outbox.put(Entry("response", f"{said.mrid}/{said.status}", "POST", url, encode(record), now_ns))

    # --- flow reservation -----------------------------------------------------------------------------------------------------------------

    def reserve(self, wanted: Wanted, now_ns: int) -> str:
        """Ask for energy; returns the request's mRID. Raises Refused where the server takes no requests, or does not know us yet."""
        url = self._link_url("flow_request_list")
        if not url or not self.clock.known or Channel.FLOW not in self.settings.enabled:
            raise Refused(
                "the server takes no flow reservations from us: no FlowReservationRequestListLink in our EndDevice, or not yet let in"
            )
        mrid, body = self.flows.request(wanted, self.clock.server_s(now_ns))
        self.outbox.put(Entry("flow", mrid, "POST", url, body, now_ns))
        return mrid

    # --- looking --------------------------------------------------------------------------------------------------------------------------

    def schedule(self, now_ns: int) -> Schedule | None:
        """What the utility wants from now on; None = nothing that may be obeyed, or not known yet."""
        if self.discovery.gate is Gate.PIN_WRONG:
            return Schedule({}, {})
        if not self.clock.known or (self.discovery.gate is not Gate.OPEN and not self.engine.runs):
            return None
        schedule = self.engine.schedule()
        granted = schedule.segments.get(Channel.FLOW)
        if not granted:
            return schedule
        return replace(schedule, segments={**schedule.segments, Channel.FLOW: self.flows.cut(granted, self.clock.server_s(now_ns))})

    def _link_url(self, name: str) -> str:
        """Where a list of our EndDevice is; empty = it has none."""
        link = getattr(self.discovery.device, name, None)
        try:
            return absolute(self.discovery.device_url or self.settings.url, link.href) if link is not None else ""
        except Malformed:
            return ""

    def _note(self, text: str) -> None:
        self.changes.notes.append(text)

    def take_changes(self) -> Changes:
        """What happened since the last call."""
        changes, self.changes = self.changes, Changes()
        changes.notes += self._deliveries.notes + self._line.notes
        self._line.notes = []
        changes.responses_done += self._deliveries.responses_done
        self._deliveries.notes, self._deliveries.responses_done = [], []
        return changes


def _fault(reply: Reply) -> str:
    """Why an answer to a GET is of no use; empty = it may be read."""
    if reply.status != 200:
        return f"answered {reply.status}"
    if reply.media_type.split(";")[0].strip().lower() != MEDIA_TYPE:
        return f"{reply.media_type[:60]!r} instead of {MEDIA_TYPE}"
    return ""
