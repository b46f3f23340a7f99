"""Reset (1.6 5.14; settled question 5): the station of this link begins anew; the loop never.

Soft: transactions end (reason SoftReset) and their messages are delivered, for at most `GRACE_S`; then the restart.
Hard: transactions end (HardReset) on disk and nothing new is sent; their messages are delivered after the new boot.
A start that is on its way is given up with either.
OnIdle (2.0.1 B12): as Soft, but no transaction ends for it: Scheduled while one runs, and no other begins.
All wait for the answer to a CALL of ours that is under way (Hard for at most `HARD_S`): a CSMS that answers into a closed connection
may never read our answer to its Reset. An EVSE of its own cannot be reset: there is one plant behind both (AllowReset is false).
ResetRetries counts restarts that fail; ours is a new object over the store, which cannot fail and leave the old one.
"""

from __future__ import annotations

from collections.abc import Callable

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.answers import Answer
from bessctl.protocols.ocpp.messages.commands import Reset
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.ending import Ending
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import PutState

GRACE_S = 10
HARD_S = 1


class Resetting:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, ending: Ending, give_up: Callable[[str], None]) -> None:
        """`give_up`: drops a start that is on its way."""
        self._core = core
        self._transactions = transactions
        self._ending = ending
        self._give_up = give_up
        self._asked: tuple[bool, int] | None = None
        self._idle_wanted = False
        self._over = False

    def ask(self, wish: Reset) -> Answer:
        """The CSMS's Reset."""
        core = self._core
        if core.link.role is Role.OBSERVER or wish.connector:
            return Answer("Rejected", "an EVSE cannot be reset by itself" if wish.connector else "the CSMS is an observer")
        tx = self._transactions.active()
        core.resetting = "hard" if wish.hard else "soft"
        if wish.on_idle and tx is not None:
            self._idle_wanted = True
            core.audit("reset", "when no transaction runs")
            return Answer("Scheduled")
        if tx is not None:
            trigger = "ResetCommand"
            self._ending.end(tx, "HardReset" if wish.hard else "SoftReset", trigger=trigger)
        self._begin(hard=wish.hard)
        return Answer("Accepted")

    def _begin(self, *, hard: bool) -> None:
        core = self._core
        self._give_up("the station restarts")
        self._asked = (hard, core.now.mono_ns + (HARD_S if hard else GRACE_S) * NS)
        core.resetting = "hard" if hard else "soft"
        # 2.0.1 says at the next boot why it booted; Immediate and OnIdle are a CSMS's reset both.
        core.out.writes.append(PutState("boot_reason", "ScheduledReset" if self._idle_wanted else "RemoteReset"))
        core.security("ResetOrReboot", "hard" if hard else "soft")

    def step(self, idle: bool) -> None:
        """Restart once everything is delivered, or the grace is over, or the link is gone. `idle`: no CALL of ours is unanswered."""
        if self._idle_wanted and self._asked is None and self._transactions.active() is None:
            self._begin(hard=False)
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
