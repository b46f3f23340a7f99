"""Reset (1.6 5.14; settled question 5): the station of this link begins anew; the loop never.

Soft: transactions end (reason SoftReset) and their messages are delivered, for at most `GRACE_S`; then the restart.
Hard: transactions end (HardReset) on disk and nothing new is sent; their messages are delivered after the new boot.
Both wait for the answer to a CALL of ours that is under way (Hard for at most `HARD_S`): a CSMS that answers into a closed connection
may never read our answer to its Reset.
"""

from __future__ import annotations

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import Answer, Reset
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.remote import Remote
from bessctl.protocols.ocpp.session.transactions import Transactions

GRACE_S = 10
HARD_S = 1


class Resetting:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, remote: Remote) -> None:
        self._core = core
        self._transactions = transactions
        self._remote = remote
        self._asked: tuple[bool, int] | None = None
        self._over = False

    def ask(self, wish: Reset) -> Answer:
        """The CSMS's Reset."""
        core = self._core
        if core.link.role is Role.OBSERVER:
            return Answer("Rejected")
        tx = self._transactions.active()
        if tx is not None:
            self._remote.end(tx, "HardReset" if wish.hard else "SoftReset")
        self._asked = (wish.hard, core.now.mono_ns + (HARD_S if wish.hard else GRACE_S) * NS)
        core.resetting = "hard" if wish.hard else "soft"
        core.audit("reset", "hard" if wish.hard else "soft")
        return Answer("Accepted")

    def step(self, idle: bool) -> None:
        """Restart once everything is delivered, or the grace is over, or the link is gone. `idle`: no CALL of ours is unanswered."""
        if self._asked is None or self._over:
            return
        hard, until = self._asked
        core = self._core
        delivered = idle and (hard or len(core.queue) == 0)
        if delivered or core.now.mono_ns >= until or not core.online:
            core.out.restart = "hard" if hard else "soft"
            self._over = True

    def wake_ns(self) -> int | None:
        """When the grace is over."""
        return self._asked[1] if self._asked and not self._over else None
