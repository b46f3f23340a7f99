"""Transactions of one link: begun, named by the CSMS, ended, forgotten.

- Our id is random and local; the CSMS's number belongs to this link alone (OCPP-18).
- A transaction is on disk before anything about it is told, and leaves the disk when its end was acknowledged.
- One that was open when the supervisor stopped is resumed: same record, same id, same claim.
- A start that the CSMS never took (last attempt failed) leaves its transaction without name: what follows of it is buried too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bessctl.protocols.ocpp.messages.records import MeterRecord, StartedReply, TxEnded, TxMetered, TxStarted
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.writes import DropTx, PutTx, StoredTx


class Transactions:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, saved: Iterable[StoredTx]) -> None:
        self._core = core
        self._all = {tx.id: tx for tx in saved}
        for tx in sorted(self._all.values(), key=lambda t: t.order):
            if tx.active:
                core.ledger.resume(core.link.name, tx.id, CONNECTORS[tx.connector], tx.claim_w, tx.order)

    def active(self, connector: int | None = None) -> StoredTx | None:
        """The running transaction of a connector, or of any."""
        return next((t for t in self._all.values() if t.active and connector in (None, t.connector)), None)

    def running(self, tx_id: str) -> StoredTx | None:
        """A transaction by our id, while it runs."""
        tx = self._all.get(tx_id)
        return tx if tx and tx.active else None

    def by_peer(self, peer: str) -> StoredTx | None:
        """The running transaction the CSMS means."""
        return next((t for t in self._all.values() if t.active and t.peer == peer), None)

    def peer_tx(self, tx: str) -> str | None:
        """The CSMS's name of a transaction."""
        known = self._all.get(tx)
        return known.peer if known else None

    def begin(self, tx_id: str, connector: int, token: str, claim_w: float, order: int) -> StoredTx:
        """Begin one that the ledger admitted."""
        core = self._core
        meter = core.ledger.register_wh(core.link.name, CONNECTORS[connector])
        tx = StoredTx(tx_id, connector, token, core.time.stamp(core.now), meter, claim_w, order)
        self._keep(tx)
        core.enqueue(TxStarted(tx.id, connector, token, meter, tx.started))
        core.out.plan_changed = True
        return tx

    def metered(self, tx: StoredTx, values: MeterRecord) -> None:
        """Queue values of a running transaction."""
        self._core.enqueue(TxMetered(tx.id, tx.connector, values))

    def end(self, tx: StoredTx, reason: str, data: tuple[MeterRecord, ...] = ()) -> None:
        """End one; its power is free from this step on."""
        core = self._core
        meter = max(tx.meter_start_wh, core.ledger.register_wh(core.link.name, CONNECTORS[tx.connector]))
        self._keep(replace(tx, active=False))
        core.enqueue(TxEnded(tx.id, tx.connector, meter, core.time.stamp(core.now), reason, None, data))
        core.ledger.release(core.link.name, tx.id)
        core.out.plan_changed = True

    def started(self, record: TxStarted, reply: StartedReply) -> StoredTx | None:
        """The CSMS named it. Returns it while it runs."""
        tx = self._all.get(record.tx)
        if tx is None:
            return None
        self._keep(replace(tx, peer=reply.peer_tx))
        return self._all[tx.id] if tx.active else None

    def closed(self, tx_id: str) -> None:
        """The CSMS took the end (or gave the transaction up): forget it."""
        if self._all.pop(tx_id, None) is not None:
            self._core.out.writes.append(DropTx(tx_id))

    def _keep(self, tx: StoredTx) -> None:
        self._all[tx.id] = tx
        self._core.out.writes.append(PutTx(tx))
