"""How a transaction ends or is left without energy (1.6 5.12, 5.18, 4.10; 2.0.1 E05-E09, F03, F05; settled questions 6, 13).

A token that the CSMS does not accept after the start:
    StopTransactionOnInvalidId   MaxEnergyOnInvalidId   what follows
    true                         0                      it ends (DeAuthorized)
    true                         N                      it ends (DeAuthorized) after N Wh more
    false                        0                      it goes on without energy
    false                        N                      it goes on without energy after N Wh more
"""

from __future__ import annotations

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.answers import Answer
from bessctl.protocols.ocpp.messages.commands import RemoteStop, Unlock
from bessctl.protocols.ocpp.messages.records import TokenReply
from bessctl.protocols.ocpp.session import txpoints
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.transactions import Presented, Transactions
from bessctl.protocols.ocpp.session.writes import StoredTx

WARNING = 30
ZERO_W = 500.0
"""Measured power that counts as zero for UnlockConnector."""
UNLOCK_S = 5


class Ending:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, profiles: Profiles, connectors: Connectors, metering: Metering) -> None:
        self._core = core
        self._transactions = transactions
        self._profiles = profiles
        self._connectors = connectors
        self._metering = metering
        self._unlocking: dict[str, tuple[int, int]] = {}
        """CALLs of UnlockConnector that wait for their answer: connector, and until when."""

    def stop(self, wish: RemoteStop) -> Answer:
        """The CSMS ends a transaction."""
        tx = self._transactions.by_peer(wish.peer_tx)
        if tx is None or not self._core.registration.accepted or self._core.link.role is Role.OBSERVER:
            return Answer("Rejected", "no such transaction runs, or this CSMS may not end it")
        self.release(tx, "Remote")
        return Answer("Accepted")

    def release(self, tx: StoredTx, reason: str, *, trigger: str = "RemoteStop", token: Presented | None = None) -> None:
        """Its authorisation is over: it ends, or waits for the plug where TxStopPoint is EVConnected alone (2.0.1 E06)."""
        core = self._core
        until_unplugged = core.traits.tells_updates and core.keys.words(txpoints.STOP) == (txpoints.CONNECTED,)
        if until_unplugged and self._connectors.armed(tx.connector) and tx.waits != "unplug":
            self._transactions.pause(tx, reason, trigger, token)
        elif tx.waits != "unplug":
            self.end(tx, reason, trigger=trigger, token=token)

    def end(self, tx: StoredTx, reason: str, *, trigger: str = "RemoteStop", token: Presented | None = None) -> None:
        """End a transaction and tell that its connector passes through Finishing."""
        core = self._core
        self._metering.health(tx, "End")
        self._transactions.end(tx, reason, self._metering.final(tx), trigger=trigger, token=token)
        self._profiles.forget_tx(tx.id)
        if core.traits.passes_states and core.registration.accepted and not core.keys.number("MinimumStatusDuration"):
            self._connectors.report(tx.connector, status="Finishing")

    def doubted(self, tx: StoredTx, reply: TokenReply) -> None:
        """The CSMS said something of a running transaction's token."""
        core = self._core
        if reply.status in (None, "Accepted") or tx.doubted or tx.until_wh is not None:
            return
        core.audit("token_refused", f"the CSMS answered {reply.status}", tx.connector, WARNING)
        more = core.keys.number("MaxEnergyOnInvalidId")
        if more:
            self._transactions.change(tx, until_wh=self._register(tx) + more)
        elif core.keys.flag("StopTransactionOnInvalidId"):
            self.release(tx, "DeAuthorized", trigger="Deauthorized")
        else:
            self._starve(tx)

    def step(self) -> None:
        """Let go what has had its last energy."""
        tx = self._transactions.active()
        if tx is None or tx.until_wh is None or tx.doubted or self._register(tx) < tx.until_wh:
            return
        if self._core.keys.flag("StopTransactionOnInvalidId"):
            self.end(tx, "DeAuthorized", trigger="EnergyLimitReached")
        else:
            self._starve(tx)

    def unlock(self, wish: Unlock, call_id: str) -> Answer | None:
        """UnlockConnector; None = the answer follows once power is zero or the wait is over."""
        core = self._core
        if wish.connector not in CONNECTORS:
            return Answer("NotSupported", f"there is no connector {wish.connector}")
        tx = self._transactions.active(wish.connector)
        if core.link.role is Role.OBSERVER:
            return Answer("UnlockFailed", "the CSMS is an observer")
        if tx is not None and not core.traits.unlock_ends_tx:
            return Answer("OngoingAuthorizedTransaction")
        if tx is not None:
            self.end(tx, "UnlockCommand", trigger="UnlockCommand")
        self._connectors.disarm(wish.connector)
        self._unlocking[call_id] = (wish.connector, core.now.mono_ns + UNLOCK_S * NS)
        return self.unlocked(call_id)

    def unlock_due(self) -> tuple[str, Answer] | None:
        """The answer of an UnlockConnector that waited, if one is known now."""
        known = ((call_id, self.unlocked(call_id)) for call_id in list(self._unlocking))
        return next(((call_id, answer) for call_id, answer in known if answer), None)

    def unlocked(self, call_id: str) -> Answer | None:
        """Zero power = Unlocked; too late = UnlockFailed; else not known yet."""
        connector, until = self._unlocking[call_id]
        reading = self._core.reading
        power = reading.side(CONNECTORS[connector]).power_w if reading else None
        others = self._core.ledger.direction() is CONNECTORS[connector]
        if (power is not None and power < ZERO_W) or others:
            del self._unlocking[call_id]
            return Answer("Unlocked")
        if self._core.now.mono_ns >= until:
            del self._unlocking[call_id]
            return Answer("UnlockFailed", "the power did not go to zero")
        return None

    def wake_ns(self) -> int | None:
        """When an unlocking is given up."""
        return min((until for _, until in self._unlocking.values()), default=None)

    def link_broke(self) -> None:
        """Answers that nobody waits for any more."""
        self._unlocking.clear()

    def _register(self, tx: StoredTx) -> int:
        return self._core.ledger.register_wh(self._core.link.name, CONNECTORS[tx.connector])

    def _starve(self, tx: StoredTx) -> None:
        self._transactions.change(tx, doubted=True)
        self._core.out.plan_changed = True
