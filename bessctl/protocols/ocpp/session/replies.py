"""What the CSMS's answers mean, and heartbeats."""

from __future__ import annotations

from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.registration import heartbeat_interval_s
from bessctl.protocols.ocpp.session.remote import WARNING, Remote
from bessctl.protocols.ocpp.session.rpc import Asked
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import PutKey

SKEW_NS = 10 * NS


class Replies:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, connectors: Connectors, remote: Remote) -> None:
        self._core = core
        self._transactions = transactions
        self._connectors = connectors
        self._remote = remote
        self._last_heartbeat_ns: int | None = None
        self.registered = False

    def good(self, asked: Asked, reply: r.Reply) -> None:
        """A valid answer."""
        core = self._core
        if asked.seq is not None:
            core.out.writes += core.queue.acknowledged(asked.seq)
            core.dequeued(asked.seq)
        match asked.request, reply:
            case r.Boot(), r.BootReply():
                self._boot(reply)
            case r.Heartbeat(), r.TimeReply(utc_ns):
                self._time(utc_ns)
            case r.StatusReport() as report, _:
                self._connectors.acknowledged(report)
            case r.Authorize(), r.TokenReply():
                self._remote.authorized(reply)
            case r.TxStarted() as record, r.StartedReply():
                self._started(record, reply)
            case r.TxEnded() as record, _:
                self._transactions.closed(record.tx)

    def failed(self, asked: Asked, why: str) -> None:
        """An error, an invalid answer, or none in time."""
        core, now = self._core, self._core.now.mono_ns
        if asked.seq is not None:
            attempts, interval = core.keys.number("TransactionMessageAttempts"), core.keys.number("TransactionMessageRetryInterval")
            writes = core.queue.failed(asked.seq, why, now, attempts, interval)
            core.out.writes += writes
            core.audit("not_acknowledged", f"{type(asked.request).__name__}: {why}", None, WARNING)
            if core.queue.gone(asked.seq):
                self._given_up(asked.request)
        elif isinstance(asked.request, r.Boot):
            core.registration.failed(now)
        elif isinstance(asked.request, r.Authorize):
            self._remote.authorized(None)

    def _given_up(self, request: r.Request) -> None:
        """The last attempt failed. A transaction whose start the CSMS never took could never be stopped by it: it ends now."""
        if isinstance(request, r.TxEnded):
            self._transactions.closed(request.tx)
        tx = self._transactions.running(request.tx) if isinstance(request, r.TxStarted) else None
        if tx is not None:
            self._remote.end(tx, "Other")

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
        core = self._core
        tx = self._transactions.started(record, reply)
        status = reply.token.status
        if tx is None or status in (None, "Accepted"):
            return
        core.audit("token_refused", f"the CSMS answered {status}", record.connector, WARNING)
        if core.keys.flag("StopTransactionOnInvalidId"):
            self._remote.end(tx, "DeAuthorized")
