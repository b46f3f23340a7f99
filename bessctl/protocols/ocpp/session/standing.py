"""How long what a CSMS said stands, and what its transaction gets of the plant meanwhile (OCPP-9).

The CSMS stands where it accepted this boot and was heard within `lease_s`: by any frame, and by a pong where the site says so. A link that
does not stand wants nothing of the plant (the plan ends its target at the same instant, without us) and is granted nothing: its power is
the others', and so is what the meter counts. Its claim stays its own: heard again, it goes on. An owner's limit needs nobody to be heard.

A transaction that a restart of ours found running is told nothing of until its CSMS accepted this boot: what the slot holds may still flow.
"""

from __future__ import annotations

from collections.abc import Callable

from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.demand import Demand, DemandMemo
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.transactions import Transactions


class Standing:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, profiles: Profiles, registered: Callable[[], bool]) -> None:
        self._core = core
        self._transactions = transactions
        self._profiles = profiles
        self._registered = registered
        self._memo = DemandMemo(core, transactions, profiles)
        self._heard_ns: int | None = None

    def heard(self) -> bool:
        """Evidence of the peer, now; True where it did not stand before."""
        before = self.until_ns()
        self._heard_ns = self._core.now.mono_ns
        return before == 0

    def until_ns(self) -> int:
        """The lease where it stands now, else 0."""
        heard = self._heard_ns
        until = 0 if heard is None else heard + round(self._core.link.lease_s * NS)
        return until if until > self._core.now.mono_ns and self._registered() else 0

    def wake_ns(self) -> int | None:
        """When the power of the running transaction goes to the others, where it has any."""
        tx = self._transactions.active()
        return None if tx is None or not self._core.ledger.granted_w(self._core.link.name, tx.id) else self.until_ns() or None

    def demand(self) -> Demand | None:
        """What the link wants of the plant now."""
        return self._memo.demand(self.until_ns())

    def forget(self) -> None:
        """Something was said that changes the demand."""
        self._memo.forget()

    def step(self) -> None:
        """What the transaction may have now; 2.0.1 tells within it whether it gets energy."""
        core, tx = self._core, self._transactions.active()
        if tx is None:
            return
        limit, least_w = self._profiles.rule(tx)
        most = 0.0 if tx.doubted or tx.waits or not self.until_ns() else tx.claim_w
        core.ledger.limit(core.link.name, tx.id, most if limit is None else min(most, limit), least_w)
        if not tx.waits and core.traits.tells_updates and self._registered():
            granted = core.ledger.granted_w(core.link.name, tx.id) > 0
            self._transactions.state(tx, "Charging" if granted else "SuspendedEVSE")
