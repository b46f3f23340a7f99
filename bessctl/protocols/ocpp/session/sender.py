"""What goes out next: BootNotification before all; then requests and transaction messages in the order they arose.

A message of the queue that waits for its retry holds up the messages behind it, never the other requests.
"""

from __future__ import annotations

from dataclasses import replace

from bessctl.protocols.ocpp.messages.records import Request, Stamp, TxEnded, TxHealth, TxMetered
from bessctl.protocols.ocpp.session.core import Core, WaitingAsk
from bessctl.protocols.ocpp.session.registration import PENDING
from bessctl.protocols.ocpp.session.rpc import Rpc
from bessctl.protocols.ocpp.session.transactions import Transactions


class Sender:
    """Chooses and encodes. Supervisor thread; no I/O. It is what the dialect asks for names and dates (`TxNames`)."""

    def __init__(self, core: Core, transactions: Transactions) -> None:
        self._core = core
        self._transactions = transactions

    def peer_tx(self, tx: str) -> str | None:
        """The CSMS's name of a transaction."""
        return self._transactions.peer_tx(tx)

    def utc_ns(self, stamp: object) -> int:
        """A stamp's date."""
        assert isinstance(stamp, Stamp)
        return self._core.time.resolve(stamp, self._core.now)

    def send(self, rpc: Rpc) -> None:
        """Send what may go, as long as no CALL is unanswered."""
        while rpc.asked is None:
            request, seq = self._next()
            if request is None:
                return
            try:
                action, payload = self._core.spoken.encode(request, self)
            except LookupError as e:
                self._unsendable(request, seq, str(e))
                continue
            self._core.out.frames.append(rpc.ask(request, seq, action, payload, self._core.now.mono_ns))

    def wake_ns(self, rpc: Rpc) -> int | None:
        """When something may be sent or given up by time alone."""
        if rpc.asked is not None:
            return rpc.asked.until_ns
        registration = self._core.registration
        return self._core.queue.wake_ns() if registration.accepted else registration.wake_ns()

    def _next(self) -> tuple[Request | None, int | None]:
        core = self._core
        if core.resetting == "hard":
            return None, None
        if core.registration.due(core.now.mono_ns):
            core.registration.sent()
            return replace(core.identity, reason=core.boot_reason), None
        if core.registration.state is PENDING:
            return self._triggered(), None
        if not core.registration.accepted:
            return None, None
        ask = core.asks[0] if core.asks else None
        item = core.queue.ready(core.now.mono_ns)
        if item is not None and (ask is None or core.queued_at(item.seq) < ask.order):
            return item.record, item.seq
        return (core.asks.popleft().ask, None) if ask else (None, None)

    def _triggered(self) -> Request | None:
        found: WaitingAsk | None = next((a for a in self._core.asks if a.triggered), None)
        if found is None:
            return None
        self._core.asks.remove(found)
        return found.ask

    def _unsendable(self, request: Request, seq: int | None, why: str) -> None:
        """A transaction whose start the CSMS never took has no name to send the rest under."""
        core = self._core
        if isinstance(request, TxHealth) or (isinstance(request, TxMetered) and request.values is None):
            core.out.writes += core.queue.acknowledged(seq) if seq is not None else []
            return  # a word of one version that a CSMS which speaks the other by now needs not hear
        core.audit("undeliverable", f"{type(request).__name__}: {why}", None, 40)
        if seq is None:
            return
        core.out.writes += core.queue.bury(seq, why)
        if isinstance(request, TxEnded):
            self._transactions.closed(request.tx)
