"""One link's station, sans-IO: what comes in, what time it is, what is to be done.

The driver calls `connected`, `received`, `pong`, `plant`, `tick` and `disconnected`, each with `Now`, takes the `Output` each
returns (plan, then disk, then wire, in that order) and calls `tick` no later than `wake_ns()`.

Order on the wire: the answer to a CALL before what it set in motion; then everything in the order it arose, one CALL at a time.

A step looks at everything, but where the frame it took changed nothing beside what there is to send (values were taken, a question asked).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from bessctl.protocols.ocpp.config import BackOff, LinkConfig
from bessctl.protocols.ocpp.messages import answers as a
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import frames
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages.dialect import BadReply, Dialect
from bessctl.protocols.ocpp.session import handlers
from bessctl.protocols.ocpp.session.backoff import in_force
from bessctl.protocols.ocpp.session.clock import NS, Now, StationTime
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core, plain_digest
from bessctl.protocols.ocpp.session.demand import Demand
from bessctl.protocols.ocpp.session.displays import Displays
from bessctl.protocols.ocpp.session.ending import WARNING, Ending
from bessctl.protocols.ocpp.session.files import Files
from bessctl.protocols.ocpp.session.hand import Hand, HandOrder
from bessctl.protocols.ocpp.session.jobs import Done, Password
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.limits import Limits
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.monitors import Monitors
from bessctl.protocols.ocpp.session.network import Endpoint, Network
from bessctl.protocols.ocpp.session.plant import Reading
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.replies import Replies
from bessctl.protocols.ocpp.session.reservations import Reservations
from bessctl.protocols.ocpp.session.resetting import Resetting
from bessctl.protocols.ocpp.session.rpc import Answered, Called, Rejected, Rpc, message_ids
from bessctl.protocols.ocpp.session.security import Security
from bessctl.protocols.ocpp.session.sender import Sender
from bessctl.protocols.ocpp.session.setting import Settings
from bessctl.protocols.ocpp.session.standing import Standing
from bessctl.protocols.ocpp.session.starting import Parts as StartParts
from bessctl.protocols.ocpp.session.starting import Starting
from bessctl.protocols.ocpp.session.tokens import Tokens
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.variables import Sources, Variables
from bessctl.protocols.ocpp.session.vault import NoVault, Vault
from bessctl.protocols.ocpp.session.writes import Output, PutState, Saved

BAD_CHARGE = 10.0
"""A malformed frame costs its peer as much as ten CALLs: it costs us a line in log and audit."""
FULL_STATUS = "OCPPCommCtrlr.OfflineThreshold"


class Station:
    """Supervisor thread; no I/O. `boot` names this boot of the machine; a restart of the station is a new object."""

    def __init__(
        self,
        link: LinkConfig,
        identity: r.Boot,
        saved: Saved,
        *,
        ledger: Ledger,
        rng: Random,
        boot: str,
        spoken: Dialect,
        digest: Callable[[str], str] = plain_digest,
        vault: Vault | None = None,
    ) -> None:
        self._core = core = Core(link, identity, saved, time=StationTime(boot), ledger=ledger, rng=rng, spoken=spoken, digest=digest)
        self._assemble(saved, vault or NoVault())
        self._rpc: Rpc | None = None
        self._offline_ns: int | None = None
        self._began = False
        self._whole = True
        self._parts_wake_ns: int | None = None
        self._looked = True
        self.boots = int(saved.state.get("boots", "0")) + 1
        core.out.writes.append(PutState("boots", str(self.boots)))
        for name in core.keys.refused:
            core.audit("key_ignored", f"first value of {name} is unknown, read-only or out of range", None, WARNING)

    def _assemble(self, saved: Saved, vault: Vault) -> None:
        core = self._core
        self.transactions = Transactions(core, saved.transactions)
        self.profiles = Profiles(core, saved.profiles)
        self._metering = Metering(core, self.transactions)
        inoperative = [int(n) for n in saved.state.get("inoperative", "").split(",") if n]
        self._connectors = Connectors(core, self.transactions, inoperative)
        self._ending = Ending(core, self.transactions, self.profiles, self._connectors, self._metering)
        self._reservations = Reservations(core)
        self._connectors.reserved = lambda connector: self._reservations.of(connector) is not None
        self.tokens = tokens = Tokens(core)
        about = (self.transactions, self.profiles, self._connectors, self._metering, tokens, self._reservations)
        self._security = Security(core, vault)
        self._starting = Starting(core, StartParts(*about, self._ending, self._security.contract))
        self.network = Network(core)
        self.displays = Displays(core, self.transactions, self._connectors)
        self._files = Files(core, self.transactions, self._security)
        self._limits = Limits(core, self.transactions, self.profiles)
        settings = Settings(core, self._metering, self.network)
        counts = handlers.counts(tokens, self._security, self.displays, self.network)
        variables = Variables(core, Sources(self.transactions, self.profiles, self._connectors, counts, settings.changed))
        self._monitors = Monitors(core, variables, self._connectors, self.transactions)
        self._parts = handlers.Parts(
            core,
            *about,
            variables,
            self._monitors,
            settings,
            self._files,
            self._security,
            self.displays,
            self.network,
            self._limits,
        )
        self._sender = Sender(core, self.transactions)
        self._replies = Replies(core, StartParts(*about, self._ending), self._starting, self._security, self.displays, self._limits)
        self._resetting = Resetting(core, self.transactions, self._ending, self._starting.give_up)
        self._hand = Hand(core, self.transactions, self._connectors, self._starting, self._ending)
        self._standing = Standing(core, self.transactions, self.profiles, lambda: self._replies.registered)
        timed = (self._metering, self._starting, self._ending, self._resetting, self._reservations, self._files, self._security)
        more = (self._monitors, self._standing, self._replies, self._connectors)
        self._wakers: tuple[Callable[[], int | None], ...] = tuple(part.wake_ns for part in (*timed, *more))

    # What comes in.

    def connected(self, now: Now, reading: Reading | None, spoken: Dialect | None = None, endpoint: Endpoint | None = None) -> Output:
        """A connection stands; `spoken` is the version that was agreed, where it may be another than before, at `endpoint`."""
        core = self._begin(now)
        self.network.connected(endpoint or self.network.endpoint())
        if spoken is not None and spoken.traits.version != core.traits.version:
            core.spoken = spoken
            core.registration.again()
            core.audit("version", f"OCPP {spoken.traits.version} agreed")
            core.out.writes.append(PutState("version", spoken.traits.version))
        core.online, core.reading = True, reading
        self._standing.heard()
        self._security.good()
        self._after_offline()
        self._rpc = Rpc(core.spoken.rules, message_ids(core.new_id), round(core.link.call_timeout_s * NS), core.link.max_frame_bytes)
        return self._end()

    def disconnected(self, now: Now) -> Output:
        """The connection is gone: what waited for an answer waits for the next connection."""
        core = self._begin(now)
        core.online, self._rpc = False, None
        self.network.lost()
        core.asks.clear()
        core.queue.link_broke()
        core.registration.link_broke()
        self._offline_ns = now.mono_ns
        self._connectors.lost()
        self._limits.lost()
        self._starting.link_broke()
        self._ending.link_broke()
        return self._end()

    def received(self, text: str | bytes, now: Now) -> Output:
        """One websocket message. Bad input is answered or ignored, and audited; it never raises."""
        core = self._begin(now)
        if self._rpc is None:
            return self._end()
        stands_again = self._standing.heard()
        match self._rpc.receive(text):
            case Called() as call:
                core.out.charge = 1.0
                self._called(call)
            case Answered() as answered:
                self._answered(answered)
            case Rejected(field, why, reply):
                core.out.charge, self._whole = BAD_CHARGE, stands_again
                core.audit("malformed", f"{field}: {why}", None, WARNING)
                core.out.frames += [reply] if reply else []
                return self._end()
        self._whole |= stands_again
        core.out.good = core.registration.accepted and self.network.heard()
        return self._end()

    def pong(self, now: Now) -> Output:
        """The peer's websocket answered a ping: evidence, where the site says so."""
        self._begin(now)
        if self._core.link.pong_is_evidence and self._rpc is not None:
            self._standing.heard()
            self._core.out.good = self._core.registration.accepted and self.network.heard()
        return self._end()

    def plant(self, reading: Reading | None, now: Now) -> Output:
        """The plant as it is now; the ledger has seen it already."""
        self._begin(now).reading = reading
        return self._end()

    def see(self, reading: Reading | None) -> None:
        """The plant as it is now, where nothing in it asks for a step."""
        self._core.reading = reading

    def tick(self, now: Now) -> Output:
        """Time has passed."""
        self._begin(now)
        return self._end()

    def job_done(self, done: Done, now: Now) -> Output:
        """A job of an earlier output came to its end."""
        core = self._begin(now)
        if isinstance(done.job, Password):
            if done.ok:
                core.out.redial = "a new password"
            else:
                core.audit("password", f"could not be kept: {done.detail}", None, WARNING)
        else:
            self._files.done(done)
        return self._end()

    def dial_failed(self, endpoint: Endpoint, now: Now, event: str = "", info: str = "") -> Output:
        """No connection came; `event` is the security event it was, if any."""
        self._begin(now)
        self.network.failed(endpoint)
        if event:
            self._security.event(event, info)
        return self._end()

    def by_hand(self, order: HandOrder, now: Now) -> tuple[str | None, Output]:
        """What the hand at the station does (settled question 17); with why it does nothing."""
        self._begin(now)
        why = self._hand.do(order)
        return why, self._end()

    # What is asked.

    @property
    def spoken(self) -> Dialect:
        """The version in use, or offered first."""
        return self._core.spoken

    @property
    def bound(self) -> bool:
        """Transactions or their messages wait: no other version may be agreed (settled question 10)."""
        return self.transactions.open() or self._core.queue.holds(None)

    @property
    def busy(self) -> bool:
        """Is there something to measure or to watch?"""
        return self.transactions.active() is not None or len(self._monitors) > 0

    def back_off(self) -> BackOff:
        """How to dial again."""
        return in_force(self._core.keys, self._core.link.back_off)

    def wake_ns(self) -> int | None:
        """When `tick` is due at the latest, monotonic."""
        if self._looked:
            self._looked, self._parts_wake_ns = False, self._parts_due_ns()
        sending_ns = None if self._rpc is None else self._sender.wake_ns(self._rpc)
        return min([t for t in (sending_ns, self._parts_wake_ns) if t is not None], default=None)

    def _parts_due_ns(self) -> int | None:
        return min([t for wake_ns in self._wakers if (t := wake_ns()) is not None], default=None)

    def lease_until_ns(self) -> int:
        """How long the peer's last frame stands for what it asked; 0 = it does not stand."""
        return self._standing.until_ns()

    def demand(self, now: Now) -> Demand | None:
        """What this link wants of the plant: no target before registration, none after its lease; an owner's caps always."""
        self._core.now = now
        return self._standing.demand()

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
        core.out.whole = self._expire() or self._whole
        self._whole = True
        if core.out.whole:
            self._look()
        if self._rpc is not None:
            while (due := self._ending.unlock_due()) is not None:
                self._looked = True
                self._send_answer(due[0], c.Unlock(0), due[1])
            self._sender.send(self._rpc)
        idle = self._rpc is None or self._rpc.asked is None
        self._resetting.step(idle)
        self._files.settle(idle)
        out, core.out = core.out, Output()
        if out.plan_changed:
            self._standing.forget()
        return out

    def _look(self) -> None:
        """At everything that time, the plant or the peer may have changed."""
        self._looked = True
        if not self._began:
            self._core.security("StartupOfTheDevice", f"boot {self.boots}")
        self._began = True
        self._starting.step()
        self._ending.step()
        self._reservations.step(self._connectors.unusable())
        self._standing.step()
        self._metering.step()
        self._files.step()
        self._security.step()
        self.displays.step()
        self._monitors.step()
        self._limits.step()
        self._connectors.step()
        self._replies.heartbeat()

    def _after_offline(self) -> None:
        """2.0.1 B04: away for longer than OfflineThreshold, every connector's status is told again."""
        core, since = self._core, self._offline_ns
        away = since is not None and core.now.mono_ns - since > core.keys.number(FULL_STATUS) * NS
        if away and core.traits.version != "1.6":
            self._connectors.forget()

    def _called(self, call: Called) -> None:
        core = self._core
        if core.registration.state.value == "rejected" and core.traits.version == "1.6":
            core.audit("unanswered", f"{call.action[:50]!r}: the CSMS rejected this station", None, WARNING)
            return
        try:
            command = core.spoken.decode(call.action, call.payload)
            handlers.require_allowed(core, command)
            answer = self._handle(command, call.id)
        except c.CallRefused as refused:
            core.out.charge = BAD_CHARGE
            core.audit("call_refused", f"{call.action[:50]!r}: {refused.code}: {refused}", None, WARNING)
            core.out.frames.append(frames.error_text(call.id, refused.code, str(refused)))
            return
        self._whole = type(command) not in handlers.QUESTIONS
        if answer is not None:
            self._send_answer(call.id, command, answer)

    def _handle(self, command: c.Command, call_id: str) -> a.AnyAnswer | None:
        match command:
            case c.RemoteStart():
                return self._starting.remote(command)
            case c.RemoteStop():
                return self._ending.stop(command)
            case c.Unlock():
                return self._ending.unlock(command, call_id)
            case c.Reset():
                return self._resetting.ask(command)
        return handlers.HANDLERS[type(command)](self._parts, command)

    def _send_answer(self, call_id: str, command: c.Command, answer: a.AnyAnswer) -> None:
        self._core.out.frames.append(frames.result_text(call_id, self._core.spoken.answer(command, answer)))

    def _answered(self, answered: Answered) -> None:
        asked = answered.asked
        if answered.payload is None:
            never = answered.code in {"NotImplemented", "NotSupported"}
            # Its description may quote the token; so may a code that is no standard's.
            self._replies.failed(asked, answered.code if answered.code in frames.CODES else "an error of no known code", never=never)
            return
        try:
            reply = self._core.spoken.reply(asked.request, answered.payload)
        except BadReply as e:
            self._core.audit("malformed", f"answer to {type(asked.request).__name__}: {e}", None, WARNING)
            self._replies.failed(asked, str(e))
            return
        self._replies.good(asked, reply)
        # Values were taken, and nothing else was said of their transaction.
        self._whole = not isinstance(asked.request, r.TxMetered) or len(self._core.out.writes) > 1 or self._core.out.plan_changed

    def _expire(self) -> bool:
        """Give a CALL up that was not answered in time; True if there was one."""
        asked = self._rpc.expired(self._core.now.mono_ns) if self._rpc else None
        if asked is not None:
            self._replies.late(asked)
        return asked is not None
