"""Messages for the display at the site (2.0.1 O01-O06) and the cost of a transaction (I02, I03, I05).

The plant's page shows what `shown` returns: by priority, then by the state, the transaction and the time they are for. A message for a
transaction goes with it, one whose time is over too. All are on disk.

What a transaction costs, whoever reads it at the site: while it runs what the CSMS said last (CostUpdated, or totalCost in an answer to a
TransactionEvent); after its end totalCost of the answer to that, until the next one begins. TotalCostFallbackMessage stands in for it where
the transaction ended without the CSMS.
"""

from __future__ import annotations

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import CostUpdated
from bessctl.protocols.ocpp.messages.device import ClearDisplay, DisplayMessage, GetDisplays, SetDisplay
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.device_table import CURRENCY
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.variables import ask_paged
from bessctl.protocols.ocpp.session.writes import DropDoc, PutDoc, PutState

KIND = "display"
MAX_MESSAGES = 50
FORMATS = {"ASCII", "UTF8"}
RANK = {"AlwaysFront": 0, "InFront": 1, "NormalCycle": 2}
STATES = {"Available": "Idle", "Reserved": "Idle", "Unavailable": "Unavailable", "Faulted": "Faulted"}


class Displays:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, connectors: Connectors) -> None:
        self._core = core
        self._transactions = transactions
        self._connectors = connectors
        self._running: str | None = None
        self._final = core.saved.state.get("final_cost", "")
        self._all = {m.id: m for m in (from_text(DisplayMessage, text) for text in core.saved.docs.get(KIND, {}).values())}

    def __len__(self) -> int:
        return len(self._all)

    def take(self, wish: SetDisplay) -> str:
        """SetDisplayMessage."""
        core, m = self._core, wish.message
        if core.link.role is Role.OBSERVER or not core.keys.flag("DisplayMessageCtrlr.Enabled"):
            return "Rejected"
        if m.format not in FORMATS:
            return "NotSupportedMessageFormat"
        if m.tx is not None and self._transactions.by_peer(m.tx) is None:
            return "UnknownTransaction"
        if len(self._all) >= MAX_MESSAGES and m.id not in self._all:
            return "Rejected"
        if m.priority == "AlwaysFront":  # there is one of it, and the newer takes its place (O01.FR.12)
            for other in [o.id for o in self._all.values() if o.priority == "AlwaysFront" and o.id != m.id]:
                self._drop(other)
        self._all[m.id] = m
        core.out.writes.append(PutDoc(KIND, str(m.id), to_text(m)))
        return "Accepted"

    def report(self, wish: GetDisplays) -> str:
        """GetDisplayMessages; the messages follow."""
        found = [
            m
            for m in self._all.values()
            if (not wish.ids or m.id in wish.ids) and wish.priority in (None, m.priority) and wish.state in (None, m.state)
        ]
        if not found:
            return "Unknown"
        rows = [_row(m) for m in found]
        ask_paged(self._core, "NotifyDisplayMessages", "messageInfo", rows, (("requestId", wish.request),), size=10, dated=False)
        return "Accepted"

    def clear(self, wish: ClearDisplay) -> str:
        """ClearDisplayMessage."""
        if wish.id not in self._all or self._core.link.role is Role.OBSERVER:
            return "Unknown"
        self._drop(wish.id)
        return "Accepted"

    def cost(self, wish: CostUpdated) -> str:
        """CostUpdated: kept with the transaction, shown with it."""
        tx = self._transactions.by_peer(wish.peer_tx)
        self.running(None if tx is None else tx.id, wish.total)
        return "Accepted"

    def running(self, tx_id: str | None, cost: float | None) -> None:
        """What a transaction costs so far; None = nothing was said, or of none that runs."""
        tx = None if tx_id is None else self._transactions.running(tx_id)
        if tx is not None and cost is not None:
            self._transactions.change(tx, cost=cost)

    def final(self, cost: float | None) -> None:
        """What the CSMS answered to the end of a transaction."""
        if cost is not None:
            self._say(f"{cost:.2f} {CURRENCY}")

    def shown(self) -> list[str]:
        """What the display shows now, the first in front."""
        utc = self._core.time.utc_ns(self._core.now)
        live = [m for m in self._all.values() if self._fits(m, utc)]
        lines = [m.text for m in sorted(live, key=lambda m: (RANK[m.priority], m.id))]
        tx = self._transactions.active()
        cost = self._final if tx is None else "" if tx.cost is None else f"{tx.cost:.2f} {CURRENCY}"
        return [*lines, cost] if cost else lines

    def step(self) -> None:
        """Drop what is over: its time, or its transaction."""
        self._turn()
        utc = self._core.time.utc_ns(self._core.now)
        for m in list(self._all.values()):
            past = m.to_ns is not None and utc is not None and m.to_ns <= utc
            if past or (m.tx is not None and self._transactions.by_peer(m.tx) is None):
                self._drop(m.id)

    def _turn(self) -> None:
        """A transaction began or ended."""
        core, tx = self._core, self._transactions.active()
        before, self._running = self._running, None if tx is None else tx.id
        if tx is not None and self._final:
            self._say("")
        elif tx is None and before is not None and core.traits.version != "1.6" and not core.online:
            self._say(core.keys.text("TariffCostCtrlr.TotalCostFallbackMessage"))

    def _say(self, text: str) -> None:
        self._final = text
        self._core.out.writes.append(PutState("final_cost", text))

    def _fits(self, m: DisplayMessage, utc: int | None) -> bool:
        begun = m.from_ns is None or (utc is not None and m.from_ns <= utc)
        running = self._transactions.active() is not None
        state = "Charging" if running else STATES.get(self._connectors.status(0), "Idle")
        return begun and m.state in (None, state)

    def _drop(self, ident: int) -> None:
        del self._all[ident]
        self._core.out.writes.append(DropDoc(KIND, str(ident)))


def _row(m: DisplayMessage) -> dict[str, object]:
    text = {"format": m.format, "content": m.text, **({} if m.language is None else {"language": m.language})}
    optional = (
        ("state", m.state),
        ("startDateTime", None if m.from_ns is None else format_utc(m.from_ns)),
        ("endDateTime", None if m.to_ns is None else format_utc(m.to_ns)),
        ("transactionId", m.tx),
    )
    return {"id": m.id, "priority": m.priority, "message": text, **{name: value for name, value in optional if value is not None}}
