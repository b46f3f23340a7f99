"""What the CSMS's answers mean, and heartbeats."""

from __future__ import annotations

from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.displays import Displays
from bessctl.protocols.ocpp.session.ending import WARNING
from bessctl.protocols.ocpp.session.limits import Limits
from bessctl.protocols.ocpp.session.registration import heartbeat_interval_s
from bessctl.protocols.ocpp.session.rpc import Asked
from bessctl.protocols.ocpp.session.security import Security
from bessctl.protocols.ocpp.session.starting import Parts, Starting
from bessctl.protocols.ocpp.session.writes import PutKey, PutState

SKEW_NS = 10 * NS


class Replies:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, parts: Parts, starting: Starting, security: Security, displays: Displays, limits: Limits) -> None:  # noqa: PLR0917 - the parts that answers are for
        self._core = core
        self._transactions = parts.transactions
        self._connectors = parts.connectors
        self._ending = parts.ending
        self._tokens = parts.tokens
        self._starting = starting
        self._security = security
        self._displays = displays
        self._limits = limits
        self._last_heartbeat_ns: int | None = None
        self.registered = False

    def good(self, asked: Asked, reply: r.Reply) -> None:
        """A valid answer."""
        core = self._core
        if asked.seq is not None:
            core.out.writes += core.queue.acknowledged(asked.seq)
        match asked.request, reply:
            case r.Boot(), r.BootReply():
                self._boot(reply)
            case r.Heartbeat(), r.TimeReply(utc_ns):
                self._time(utc_ns)
            case (r.StatusReport() | r.LimitTold()) as told, _:
                self._has(told)
            case r.Authorize() as ask, r.TokenReply():
                self._starting.answered(ask.id_token, reply)
            case r.TxStarted() as record, r.StartedReply():
                self._started(record, reply)
            case r.TxMetered() as record, r.TokenReply():
                self._displays.running(record.tx, reply.cost)
                self._doubted(record.tx, reply)
            case r.TxEnded() as record, _:
                if record.id_token and isinstance(reply, r.TokenReply):
                    self._tokens.learn(record.id_token, reply)
                if isinstance(reply, r.TokenReply):
                    self._displays.final(reply.cost)
                self._transactions.closed(record.tx)
            case r.SignCertificate() as asked_for, r.Judged():
                self._security.judged(asked_for, reply)
            case r.AskStatus() as status, r.StatusReply():
                self._security.revocation.answered(status, reply)

    def _has(self, told: r.StatusReport | r.LimitTold) -> None:
        if isinstance(told, r.LimitTold):
            self._limits.acknowledged(told)
        else:
            self._connectors.acknowledged(told)

    def late(self, asked: Asked) -> None:
        """No answer in time. A CSMS of 1.6 need not know security events, and some say nothing to what they do not know."""
        self._core.audit("timeout", f"no answer to {type(asked.request).__name__}", None, WARNING)
        mute = isinstance(asked.request, r.SecurityEvent) and self._core.traits.version == "1.6"
        self.failed(asked, "no answer in time", never=mute)

    def failed(self, asked: Asked, why: str, *, never: bool = False) -> None:
        """An error, an invalid answer, or none in time. `never`: the CSMS does not know the message, and never will."""
        core, now = self._core, self._core.now.mono_ns
        if asked.seq is not None:
            # What a CSMS may not know must not hold up what it must have.
            hopeless = isinstance(asked.request, r.TxHealth) or (never and isinstance(asked.request, r.SecurityEvent))
            attempts, interval = (
                1 if hopeless else core.keys.number("TransactionMessageAttempts"),
                core.keys.number("TransactionMessageRetryInterval"),
            )
            writes = core.queue.failed(asked.seq, why, now, attempts, interval)
            core.out.writes += writes
            core.audit("not_acknowledged", f"{type(asked.request).__name__}: {why}", None, WARNING)
            if core.queue.gone(asked.seq):
                self._given_up(asked.request)
        elif isinstance(asked.request, r.StatusReport) and not never:
            self._connectors.failed(asked.request)
        elif isinstance(asked.request, r.Boot):
            core.registration.failed(now)
        elif isinstance(asked.request, r.Authorize):
            self._starting.answered(asked.request.id_token, None)

    def _given_up(self, request: r.Request) -> None:
        """The last attempt failed. A transaction whose start the CSMS never took could never be stopped by it: it ends now."""
        if isinstance(request, r.TxEnded):
            self._transactions.closed(request.tx)
        tx = self._transactions.running(request.tx) if isinstance(request, r.TxStarted) else None
        if tx is not None:
            self._ending.end(tx, "Other", trigger="AbnormalCondition")

    def heartbeat(self) -> None:
        """Ask for a heartbeat when it is due."""
        core = self._core
        if not core.registration.accepted or not core.online:
            self._last_heartbeat_ns = None
        elif self._last_heartbeat_ns is None:
            self._last_heartbeat_ns = core.now.mono_ns
        elif core.now.mono_ns >= self._last_heartbeat_ns + core.keys.number("HeartbeatInterval") * NS:
            core.ask(r.Heartbeat())
            self._last_heartbeat_ns = core.now.mono_ns

    def wake_ns(self) -> int | None:
        """When the next heartbeat is due."""
        last = self._last_heartbeat_ns
        return None if last is None else last + self._core.keys.number("HeartbeatInterval") * NS

    def _boot(self, reply: r.BootReply) -> None:
        core = self._core
        core.registration.answered(reply, core.now.mono_ns)
        self._time(reply.utc_ns)
        core.audit("registration", f"{reply.status}, interval {reply.interval_s} s")
        if core.registration.accepted:
            self._accepted(reply)
        else:
            core.out.plan_changed |= self.registered
            self.registered = False

    def _accepted(self, reply: r.BootReply) -> None:
        core = self._core
        current = core.keys.number("HeartbeatInterval")
        interval = heartbeat_interval_s(reply.interval_s, current, core.link.heartbeat_range_s)
        if interval != reply.interval_s:
            core.audit("heartbeat_interval", f"asked for {reply.interval_s} s, using {interval} s")
        if interval != current:
            core.keys.change("HeartbeatInterval", str(interval))
            core.out.writes.append(PutKey("HeartbeatInterval", str(interval)))
        self._last_heartbeat_ns = core.now.mono_ns
        if "boot_reason" in core.saved.state:
            core.out.writes.append(PutState("boot_reason", "PowerUp"))
        self._connectors.forget()
        self.registered = True
        core.out.plan_changed = True

    def _time(self, utc_ns: int) -> None:
        core = self._core
        core.time.learn(core.now, utc_ns)
        skew = core.time.skew_ns(core.now)
        if skew is not None and abs(skew) > SKEW_NS:
            core.audit("clock", f"the CSMS's clock is {skew / NS:.0f} s ahead of ours", None, WARNING)

    def _started(self, record: r.TxStarted, reply: r.StartedReply) -> None:
        self._tokens.learn(record.id_token, reply.token)
        tx = self._transactions.started(record, reply)
        if tx is None:
            return
        if reply.token.parent is not None and tx.parent is None:
            tx = self._transactions.change(tx, parent=self._core.digest(reply.token.parent))
        self._ending.doubted(tx, reply.token)

    def _doubted(self, tx_id: str, reply: r.TokenReply) -> None:
        tx = self._transactions.running(tx_id)
        if tx is not None:
            self._ending.doubted(tx, reply)
