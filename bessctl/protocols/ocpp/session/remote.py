"""RemoteStart, RemoteStop, UnlockConnector (1.6 5.11, 5.12, 5.18; settled questions 2, 3, 6).

RemoteStart, first row that holds:
    Rejected  the CSMS is an observer; not registered (Pending); no such connector (0 included); connector inoperative, faulted or
              with a transaction; the profile is no TxProfile or not acceptable; the ledger grants nothing
    Accepted  else. With AuthorizeRemoteTxRequests the token is asked about first, and the claim waits for the answer
Whatever is refused is audited with the binding that refused it. Granted less than asked is Accepted, and audited.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import Answer, Purpose, RemoteStart, RemoteStop, Unlock
from bessctl.protocols.ocpp.messages.records import Authorize, TokenReply
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.profiles import Profiles, unacceptable
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import StoredTx

WARNING = 30
ZERO_W = 500.0
"""Measured power that counts as zero for UnlockConnector."""
UNLOCK_S = 5


@dataclass(frozen=True, slots=True)
class Pending:
    """A start whose token the CSMS is asked about."""

    wish: RemoteStart
    tx: str
    connector: int
    watts: float
    order: int


class Remote:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, profiles: Profiles, connectors: Connectors, metering: Metering) -> None:
        self._core = core
        self._transactions = transactions
        self._profiles = profiles
        self._connectors = connectors
        self._metering = metering
        self._pending: Pending | None = None
        self._unlocking: tuple[str, int, int] | None = None

    def start(self, wish: RemoteStart) -> Answer:
        """RemoteStartTransaction."""
        core = self._core
        connector = 1 if wish.connector is None else wish.connector
        why = self._against(wish, connector)
        if why is not None:
            return self._refuse(why, connector)
        tx = core.new_id()
        asked = core.link.remote_start_w
        granted = core.ledger.ask(core.link.name, tx, CONNECTORS[connector], asked)
        if granted.watts <= 0:
            return self._refuse(f"nothing to grant, bound by {granted.why}", connector)
        if granted.why:
            core.audit("remote_start_reduced", f"granted {granted.watts:.0f} of {asked:.0f} W, bound by {granted.why}", connector)
        pending = Pending(wish, tx, connector, granted.watts, granted.order)
        if core.keys.flag("AuthorizeRemoteTxRequests"):
            self._pending = pending
            self._connectors.preparing.add(connector)
            core.ask(Authorize(wish.id_token))
        else:
            self._begin(pending)
        return Answer("Accepted")

    def authorized(self, reply: TokenReply | None) -> None:
        """The CSMS's word on the token of a waiting start; None = no word came."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        self._connectors.preparing.discard(pending.connector)
        if reply is not None and reply.status == "Accepted":
            self._begin(pending)
            return
        status = reply.status if reply else "no answer"
        self._core.ledger.release(self._core.link.name, pending.tx)
        self._core.audit("remote_start_not_authorized", f"the CSMS answered {status}", pending.connector, WARNING)

    def stop(self, wish: RemoteStop) -> Answer:
        """RemoteStopTransaction."""
        tx = self._transactions.by_peer(wish.peer_tx)
        if tx is None or not self._core.registration.accepted or self._core.link.role is Role.OBSERVER:
            return Answer("Rejected")
        self.end(tx, "Remote")
        return Answer("Accepted")

    def end(self, tx: StoredTx, reason: str) -> None:
        """End a transaction and tell that its connector passes through Finishing."""
        self._transactions.end(tx, reason, self._metering.final(tx))
        self._profiles.forget_tx(tx.id)
        if self._core.registration.accepted and not self._core.keys.number("MinimumStatusDuration"):
            self._connectors.report(tx.connector, status="Finishing")

    def unlock(self, wish: Unlock, call_id: str) -> Answer | None:
        """UnlockConnector; None = the answer follows once power is zero or the wait is over."""
        if wish.connector not in CONNECTORS:
            return Answer("NotSupported")
        if self._core.link.role is Role.OBSERVER:
            return Answer("UnlockFailed")
        tx = self._transactions.active(wish.connector)
        if tx is not None:
            self.end(tx, "UnlockCommand")
        self._unlocking = (call_id, wish.connector, self._core.now.mono_ns + UNLOCK_S * NS)
        return self.unlocked(call_id)

    def unlock_due(self) -> tuple[str, Answer] | None:
        """The answer of an UnlockConnector that waited, if it is known now."""
        if self._unlocking is None:
            return None
        call_id = self._unlocking[0]
        answer = self.unlocked(call_id)
        return (call_id, answer) if answer else None

    def unlocked(self, call_id: str) -> Answer | None:
        """Zero power = Unlocked; too late = UnlockFailed; else not known yet."""
        if self._unlocking is None or self._unlocking[0] != call_id:
            return None
        _, connector, until = self._unlocking
        reading = self._core.reading
        power = reading.side(CONNECTORS[connector]).power_w if reading else None
        others = self._core.ledger.direction() is CONNECTORS[connector]
        if (power is not None and power < ZERO_W) or others:
            self._unlocking = None
            return Answer("Unlocked")
        if self._core.now.mono_ns >= until:
            self._unlocking = None
            return Answer("UnlockFailed")
        return None

    def wake_ns(self) -> int | None:
        """When an unlocking is given up."""
        return self._unlocking[2] if self._unlocking else None

    def link_broke(self) -> None:
        """Answers that nobody waits for any more."""
        self._unlocking = None
        self.authorized(None)

    def _against(self, wish: RemoteStart, connector: int) -> str | None:
        core = self._core
        profile = wish.profile
        checks = (
            (core.link.role is not Role.OBSERVER, "the CSMS is an observer"),
            (core.registration.accepted, "the station is not registered"),
            (not core.resetting, "the station is about to restart"),
            (connector in CONNECTORS, f"there is no connector {connector} to start"),
            (self._connectors.operative(connector), f"connector {connector} is inoperative"),
            (not self._connectors.error().faulted, f"the plant is faulted: {self._connectors.error().vendor}"),
            (self._transactions.active(connector) is None and self._pending is None, f"connector {connector} is in use"),
            (profile is None or profile.purpose is Purpose.TX, "the profile of a RemoteStart must be a TxProfile"),
        )
        why = next((reason for holds, reason in checks if not holds), None)
        return why or (unacceptable(profile, connector) if profile else None)

    def _begin(self, pending: Pending) -> None:
        connector, profile = pending.connector, pending.wish.profile
        if not self._core.keys.number("MinimumStatusDuration"):
            self._connectors.report(connector, status="Preparing")
        tx = self._transactions.begin(pending.tx, connector, pending.wish.id_token, pending.watts, pending.order)
        if profile is not None:
            why = self._profiles.install(connector, profile, tx)
            if why is not None:
                self._core.audit("profile_refused", why, connector, WARNING)

    def _refuse(self, why: str, connector: int) -> Answer:
        self._core.audit("remote_start_refused", why, connector, WARNING)
        return Answer("Rejected")
