"""One peer: what it asks is answered here, and what we have to tell it comes from here. Sans-IO.

How the driver uses it, always with the time:
    receive    a whole request of the peer -> our answer; nothing of ours is handed out until `answered` says that it is on the wire
    outgoing   the next message of ours, or None
    delivered  the status the peer gave to it; None = no answer
    tick       when `wake_ns` says so
    common     writes to keep, notes to log, and whether the plan moved: the driver takes them after each call

An answer is kept for its (X-Request-ID, content): the same request again gets the same answer and is not applied again (row 18).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from bessctl.protocols.oscp.config import PeerConfig, ProviderConfig, Role
from bessctl.protocols.oscp.messages.answers import Answer
from bessctl.protocols.oscp.messages.headers import Headers
from bessctl.protocols.oscp.messages.wire import Malformed
from bessctl.protocols.oscp.session import tokens
from bessctl.protocols.oscp.session.adjust import Adjustments
from bessctl.protocols.oscp.session.clock import NS, Now
from bessctl.protocols.oscp.session.common import Common, Refusal
from bessctl.protocols.oscp.session.compliance import Compliance
from bessctl.protocols.oscp.session.connection import Connection
from bessctl.protocols.oscp.session.forecasts import Forecasts
from bessctl.protocols.oscp.session.kept import Saved
from bessctl.protocols.oscp.session.metering import Metering
from bessctl.protocols.oscp.session.outbox import PATHS, Kind, Message, Outbox
from bessctl.protocols.oscp.session.registration import Registration
from bessctl.protocols.oscp.session.segments import Assembler, Whole

REMEMBERED = 512
RATE_PER_S, BURST = 50.0, 200.0
ANY = frozenset({Role.CP, Role.CO})
ENDPOINTS = {
    "register": (("POST", "PUT", "DELETE"), ANY),
    "handshake": (("POST",), frozenset({Role.CP})),
    "handshake_acknowledge": (("POST",), ANY),
    "heartbeat": (("POST",), ANY),
    "update_group_capacity_forecast": (("POST",), ANY),
}
"""What we serve (OSCP 2.0 4.2, owner FP): methods, and who may use it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a peer whose token was found."""

    endpoint: str
    method: str
    headers: Headers
    body: bytes
    kind: tokens.Kind


class Peer:
    """The session of one capacity provider or optimizer. Supervisor thread."""

    def __init__(self, config: PeerConfig, saved: Saved, now: Now, *, site: ProviderConfig, random_bytes: Callable[[int], bytes]) -> None:
        self.config = config
        self._scopes = {group.ident: group.scope for group in site.groups}
        self.common = Common(config, site.base_url, saved.record, lambda: tokens.new(random_bytes), lambda: random_bytes(16).hex())
        self.outbox = Outbox()
        self.registration = Registration(self.common, self.outbox)
        self.connection = Connection(self.common, self.outbox)
        self.forecasts = Forecasts(self.common, self._scopes, saved.series, now)
        self.metering = Metering(self.common, self.outbox, self.forecasts, saved.readings, site.backlog_max)
        self.compliance = Compliance(self.common, self.outbox, self.forecasts)
        self.adjustments = Adjustments(self.common, self.outbox, self.forecasts)
        self._assembler = Assembler(correlated=config.quirks.correlation)
        self._answered: OrderedDict[tuple[str, str], Answer] = OrderedDict()
        self._unanswered = 0
        self._tokens, self._refilled_ns = BURST, now.mono_ns
        self.segment_bytes = config.segment_bytes
        if saved.record.reply_to:
            self.registration.reply()

    # --- requests ---

    def arrived(self, now: Now) -> bool:
        """A request of the peer began; False when it sends too many (429). `answered` must follow in any case."""
        self._unanswered += 1
        elapsed_s = (now.mono_ns - self._refilled_ns) / NS
        self._tokens, self._refilled_ns = min(BURST, self._tokens + elapsed_s * RATE_PER_S), now.mono_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def answered(self) -> None:
        """Our response is on the wire, or the connection is gone."""
        self._unanswered -= 1

    def receive(self, request: Request, now: Now) -> Answer:
        """The answer to a whole request. What it changed is to be kept before the answer goes out."""
        self.tick(now)
        self.outbox.alive()
        key = (request.headers.request_id, _content(request))
        if key in self._answered:
            return self._answered[key]
        try:
            self._judge_token(request)
            if request.kind is tokens.Kind.NEXT:
                self.registration.confirm()
            self._judge_state(request)
            whole = self._assembler.add(request.endpoint, request.headers, request.body, now.mono_ns)
            if whole is not None:
                self._apply(request, whole, now)
        except Refusal as e:
            self.common.warn(f"{request.method} {request.endpoint} refused with {e.status}: {e.message}")
            return Answer(e.status, e.message)
        except Malformed as e:
            self.common.warn(f"{request.method} {request.endpoint} refused with 400: {e}")
            return Answer(400, str(e))
        self._answered[key] = Answer()
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return Answer()

    def _judge_token(self, request: Request) -> None:
        if request.endpoint != "register" and request.kind is tokens.Kind.A:
            raise Refusal(403, "this token opens register alone; use the one that the registration brings")
        if request.kind is tokens.Kind.GONE:
            raise Refusal(403, "the registration was ended; register again with a new token")
        allowed = ENDPOINTS[request.endpoint][1]
        if not allowed & self.config.roles:
            raise Refusal(403, f"a {'/'.join(sorted(r.upper() for r in self.config.roles))} does not use {request.endpoint}")

    def _apply(self, request: Request, whole: Whole, now: Now) -> None:
        body, ident = whole.body, whole.headers.request_id
        match request.endpoint, request.method:
            case "register", "POST":
                self.registration.post(body, request.kind, ident)
                self.connection.reset()
            case "register", "PUT":
                self.registration.put(body)
            case "register", _:
                self.registration.delete()
                self.connection.end()
                self.metering.clear()
            case "handshake", _:
                self.connection.handshake(body, ident)
            case "handshake_acknowledge", _:
                self.connection.acknowledge(body, now)
                self.forecasts.handshaken()
            case "heartbeat", _:
                self.connection.heartbeat(body, now)
            case _:
                self.forecasts.take(body, ident, now)

    def _judge_state(self, request: Request) -> None:
        """As long as the handshake is not complete, any other message is rejected (OSCP 2.0 2.6.2, 3.1.2)."""
        if request.endpoint == "register":
            return
        if not self.common.record.registered:
            raise Refusal(403, "register first, then shake hands (OSCP 2.0 3.1.2)")
        if request.endpoint == "update_group_capacity_forecast" and not self.connection.online:
            raise Refusal(403, "no handshake is complete (OSCP 2.0 3.1.2)")

    # --- messages of ours ---

    def outgoing(self, now: Now) -> Message | None:
        """The next message, under way from here on; None while a request of the peer is unanswered (FR.01) or nothing is due."""
        return None if self._unanswered else self.outbox.next(now, online=self.connection.online)

    @property
    def free(self) -> bool:
        """No request of the peer is unanswered: a message of ours may go out."""
        return not self._unanswered

    def path(self, message: Message) -> str:
        """Below the peer's base URL."""
        return self.config.quirks.acknowledge_path if message.kind is Kind.ACKNOWLEDGE else PATHS[message.kind]

    def delivered(self, message: Message, status: int | None, now: Now) -> None:
        """What became of it. None: no answer, or the connection broke."""
        if status is None or status == 429 or (status >= 500 and status not in {501, 505}):
            if self.outbox.again(message, now):
                return
            status = status or 0
        elif status == 413 and self.segment_bytes > 1024:
            self.segment_bytes = max(1024, min(self.segment_bytes, len(message.body)) // 2)
            message.tries -= 1  # it was not tried yet in this form
            self.outbox.again(message, now)
            self.outbox.alive()
            return
        else:
            self.outbox.done(message)
        self._tell(message, status, now)

    def _tell(self, message: Message, status: int, now: Now) -> None:
        match message.kind:
            case Kind.REGISTER:
                self.registration.answered(message, status, now)
            case Kind.ACKNOWLEDGE:
                was = self.connection.online
                self.connection.acknowledged(status, now)
                if self.connection.online and not was:
                    self.forecasts.handshaken()
            case Kind.HANDSHAKE:
                self.connection.taken(status, now)
            case Kind.GROUP_MEASUREMENTS | Kind.ASSET_MEASUREMENTS if status not in {0, 401, 403}:
                self.metering.answered(message, status)
            case _ if status in {401, 403}:
                self.connection.unknown(now)
                self.metering.hold(now)
            case _ if status not in {0, 204}:
                self.common.warn(f"answered {self.path(message)} with {status}")

    # --- time ---

    def tick(self, now: Now) -> None:
        """Bring everything up to now."""
        self.connection.tick(now)
        if self.connection.online:
            self.metering.fill(now, intermittent=self.connection.intermittent, scopes=self._scopes)

    def wake_ns(self) -> int:
        """When `tick` or `outgoing` may have something to do."""
        waiting = self.outbox.wake_ns(online=self.connection.online) if self.free else 2**63 - 1
        return min(self.connection.wake_ns(), waiting)

    @property
    def state(self) -> str:
        """unregistered, registered (no handshake yet), online, offline or ended."""
        record = self.common.record
        if self.connection.online:
            return "online"
        if not record.registered:
            return "ended" if record.ended else "unregistered"
        return "offline" if self.connection.lost else "registered"

    @property
    def waiting(self) -> int:
        """Messages and measurements that it has not taken yet."""
        return len(self.outbox) + len(self.metering.waiting)

    def remove(self) -> None:
        """The operator removes the peer: it is told, and nothing of it is kept."""
        self.registration.unregister()
        self.forecasts.clear()
        self.metering.clear()
        self._answered.clear()
        self.connection.end()
        self.common.forget()

    def lease_ns(self, group: str) -> int:
        """Monotonic: until when this peer's live series of a group rule (row 22)."""
        return min(self.connection.lease_ns, self.forecasts.lease_ns(group))


def _content(request: Request) -> str:
    head = f"{request.method} {request.endpoint} {request.headers.segment}\n"
    return hashlib.sha256(head.encode() + request.body).hexdigest()
