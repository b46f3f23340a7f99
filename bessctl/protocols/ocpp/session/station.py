"""One link's station, sans-IO: what comes in, what time it is, what is to be done.

The driver calls `connected`, `received`, `pong`, `plant`, `tick` and `disconnected`, each with `Now`, takes the `Output` each
returns (plan, then disk, then wire, in that order) and calls `tick` no later than `wake_ns()`.

Order on the wire: the answer to a CALL before what it set in motion; then everything in the order it arose, one CALL at a time.
"""

from __future__ import annotations

from random import Random

from bessctl.protocols.ocpp.config import LinkConfig
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import frames
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages.dialect import BadReply, Dialect
from bessctl.protocols.ocpp.session import handlers
from bessctl.protocols.ocpp.session.clock import NS, Now, StationTime
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.demand import Demand, DemandMemo
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.plant import Reading
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.remote import WARNING, Remote
from bessctl.protocols.ocpp.session.replies import Replies
from bessctl.protocols.ocpp.session.resetting import Resetting
from bessctl.protocols.ocpp.session.rpc import Answered, Called, Rejected, Rpc
from bessctl.protocols.ocpp.session.sender import Sender
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import Output, PutState, Saved

HANDLERS = {
    c.ChangeKey: handlers.change_key,
    c.GetKeys: handlers.get_keys,
    c.SetProfile: handlers.set_profile,
    c.ClearProfiles: handlers.clear_profiles,
    c.GetComposite: handlers.get_composite,
    c.ChangeAvailability: handlers.change_availability,
    c.ClearCache: handlers.clear_cache,
    c.DataTransfer: handlers.data_transfer,
    c.Trigger: handlers.trigger,
}


class Station:
    """Supervisor thread; no I/O. `boot` names this boot of the machine; a restart of the station is a new object."""

    def __init__(
        self, link: LinkConfig, identity: r.Boot, saved: Saved, *, ledger: Ledger, rng: Random, boot: str, spoken: Dialect
    ) -> None:
        self._core = core = Core(link, identity, saved, time=StationTime(boot), ledger=ledger, rng=rng)
        self._dialect = spoken
        self.transactions = Transactions(core, saved.transactions)
        self.profiles = Profiles(core, saved.profiles)
        inoperative = [int(n) for n in saved.state.get("inoperative", "").split(",") if n]
        self._metering = Metering(core, self.transactions)
        self._connectors = Connectors(core, self.transactions, inoperative)
        self._remote = Remote(core, self.transactions, self.profiles, self._connectors, self._metering)
        self._parts = handlers.Parts(core, self.transactions, self.profiles, self._connectors, self._metering)
        self._sender = Sender(core, self.transactions, spoken)
        self._replies = Replies(core, self.transactions, self._connectors, self._remote)
        self._resetting = Resetting(core, self.transactions, self._remote)
        self._memo = DemandMemo(core, self.transactions, self.profiles)
        self._rpc: Rpc | None = None
        self._evidence_ns: int | None = None
        self.boots = int(saved.state.get("boots", "0")) + 1
        core.out.writes.append(PutState("boots", str(self.boots)))
        for name in core.keys.refused:
            core.audit("key_ignored", f"first value of {name} is unknown, read-only or out of range", None, WARNING)

    # What comes in.

    def connected(self, now: Now, reading: Reading | None) -> Output:
        """A connection stands, the dialect was agreed."""
        core = self._begin(now)
        core.online, core.reading, self._evidence_ns = True, reading, now.mono_ns
        self._rpc = Rpc(self._dialect.rules, core.new_id, round(core.link.call_timeout_s * NS))
        return self._end()

    def disconnected(self, now: Now) -> Output:
        """The connection is gone: what waited for an answer waits for the next connection."""
        core = self._begin(now)
        core.online, self._rpc = False, None
        core.asks.clear()
        core.queue.link_broke()
        core.registration.link_broke()
        self._connectors.lost()
        self._remote.link_broke()
        return self._end()

    def received(self, text: str | bytes, now: Now) -> Output:
        """One websocket message. Bad input is answered or ignored, and audited; it never raises."""
        core = self._begin(now)
        if self._rpc is None:
            return self._end()
        self._evidence_ns = now.mono_ns
        match self._rpc.receive(text):
            case Called() as call:
                self._called(call)
            case Answered() as answered:
                self._answered(answered)
            case Rejected(field, why, reply):
                core.audit("malformed", f"{field}: {why}", None, WARNING)
                core.out.frames += [reply] if reply else []
        return self._end()

    def pong(self, now: Now) -> Output:
        """The peer's websocket answered a ping: evidence, where the site says so."""
        self._begin(now)
        if self._core.link.pong_is_evidence and self._rpc is not None:
            self._evidence_ns = now.mono_ns
        return self._end()

    def plant(self, reading: Reading | None, now: Now) -> Output:
        """The plant as it is now; the ledger has seen it already."""
        self._begin(now).reading = reading
        return self._end()

    def tick(self, now: Now) -> Output:
        """Time has passed."""
        self._begin(now)
        return self._end()

    # What is asked.

    def wake_ns(self) -> int | None:
        """When `tick` is due at the latest, monotonic."""
        times = [self._metering.wake_ns(), self._remote.wake_ns(), self._resetting.wake_ns()]
        if self._rpc is not None:
            times += [self._sender.wake_ns(self._rpc), self._replies.wake_ns(), self._connectors.wake_ns()]
        return min((t for t in times if t is not None), default=None)

    def lease_until_ns(self) -> int | None:
        """How long the peer's last frame stands for what it asked; None = the peer was not heard."""
        return None if self._evidence_ns is None else self._evidence_ns + round(self._core.link.lease_s * NS)

    def demand(self, now: Now) -> Demand | None:
        """What this link wants of the plant: no target before registration, none after its lease; an owner's caps always."""
        lease = self.lease_until_ns()
        stands = lease is not None and lease > now.mono_ns and self._replies.registered
        self._core.now = now
        return self._memo.demand(lease if lease is not None and stands else 0)

    @property
    def registered(self) -> bool:
        """The CSMS accepted this boot, on this connection or an earlier one."""
        return self._replies.registered

    @property
    def accepted(self) -> bool:
        """The CSMS accepted this boot."""
        return self._core.registration.accepted

    @property
    def ping_interval_s(self) -> float:
        """How often the transport pings: as the key says, and often enough for the lease while it matters."""
        by_key = float(self._core.keys.number("WebSocketPingInterval"))
        by_lease = self._core.link.lease_s / 3 if self._core.link.pong_is_evidence else 0.0
        return min((s for s in (by_key, by_lease) if s > 0), default=0.0)

    # One step.

    def _begin(self, now: Now) -> Core:
        self._core.now = now
        return self._core

    def _end(self) -> Output:
        core = self._core
        self._expire()
        self._limit()
        self._metering.step()
        self._connectors.step()
        self._replies.heartbeat()
        if self._rpc is not None:
            due = self._remote.unlock_due()
            if due is not None:
                self._send_answer(due[0], c.Unlock(0), due[1])
            self._sender.send(self._rpc)
        self._resetting.step(self._rpc is None or self._rpc.asked is None)
        out, core.out = core.out, Output()
        if out.plan_changed:
            self._memo.forget()
        return out

    def _limit(self) -> None:
        tx = self.transactions.active()
        if tx is not None:
            limit = self.profiles.limit_w(tx)
            self._core.ledger.limit(self._core.link.name, tx.id, tx.claim_w if limit is None else min(tx.claim_w, limit))

    def _called(self, call: Called) -> None:
        core = self._core
        if core.registration.state.value == "rejected":
            core.audit("unanswered", f"{call.action[:50]!r}: the CSMS rejected this station", None, WARNING)
            return
        try:
            command = self._dialect.decode(call.action, call.payload)
        except c.CallRefused as refused:
            core.audit("call_refused", f"{call.action[:50]!r}: {refused.code}: {refused}", None, WARNING)
            core.out.frames.append(frames.error_text(call.id, refused.code, str(refused)))
            return
        answer = self._handle(command, call.id)
        if answer is not None:
            self._send_answer(call.id, command, answer)

    def _handle(self, command: c.Command, call_id: str) -> c.AnyAnswer | None:
        match command:
            case c.RemoteStart():
                return self._remote.start(command)
            case c.RemoteStop():
                return self._remote.stop(command)
            case c.Unlock():
                return self._remote.unlock(command, call_id)
            case c.Reset():
                return self._resetting.ask(command)
        handler = HANDLERS[type(command)]
        answer: c.AnyAnswer = handler(self._parts, command)  # type: ignore[operator]
        return answer

    def _send_answer(self, call_id: str, command: c.Command, answer: c.AnyAnswer) -> None:
        self._core.out.frames.append(frames.result_text(call_id, self._dialect.answer(command, answer)))

    def _answered(self, answered: Answered) -> None:
        asked = answered.asked
        if answered.payload is None:
            self._replies.failed(asked, f"{answered.code[:50]!r} {answered.why[:80]!r}")
            return
        try:
            reply = self._dialect.reply(asked.request, answered.payload)
        except BadReply as e:
            self._core.audit("malformed", f"answer to {type(asked.request).__name__}: {e}", None, WARNING)
            self._replies.failed(asked, str(e))
            return
        self._replies.good(asked, reply)

    def _expire(self) -> None:
        asked = self._rpc.expired(self._core.now.mono_ns) if self._rpc else None
        if asked is not None:
            self._core.audit("timeout", f"no answer to {type(asked.request).__name__}", None, WARNING)
            self._replies.failed(asked, "no answer in time")
