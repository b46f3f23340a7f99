"""Transactions of one link: begun, named, ended, forgotten.

- Our id is random. In 2.0.1 it is the transaction's name; in 1.6 the CSMS's number is, and belongs to this link alone (OCPP-18).
- A transaction is on disk before anything about it is told, and leaves the disk when its end was acknowledged.
- What the link had of the plant is what its stored transactions have: a claim of anything else ended with the station of before.
- One that was open when the supervisor stopped is resumed: same record, same id, same claim, and the numbers of its messages go on.
- A start that the CSMS never took (last attempt failed) leaves a 1.6 transaction without name: what follows of it is buried too.
- The token is kept as its digest; the token itself goes into the message alone, which is sealed on disk (settled question 11).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, replace

from bessctl.protocols.ocpp.messages.records import MeterRecord, StartedReply, TxEnded, TxMetered, TxStarted
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.writes import DropTx, PutTx, StoredTx

Presented = tuple[str, str]
"""A token in clear, and of which kind it is (IdTokenEnumType)."""


@dataclass(frozen=True, slots=True)
class Begin:
    """What a transaction begins with. `token` in clear: it goes into the first message and nowhere else."""

    tx: str
    connector: int
    token: str
    _: KW_ONLY
    claim_w: float
    order: int
    token_type: str = "Central"
    parent: str | None = None
    """Digest of the token's group."""
    trigger: str = "RemoteStart"
    remote_start_id: int | None = None
    reservation: int | None = None
    state: str = "Charging"
    waits: str = ""


class Transactions:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, saved: Iterable[StoredTx]) -> None:
        self._core = core
        self._all = {tx.id: tx for tx in saved}
        core.ledger.forget(core.link.name)
        for tx in sorted(self._all.values(), key=lambda t: t.order):
            if tx.active and tx.waits not in {"token", "unplug"}:
                core.ledger.resume(core.link.name, tx.id, CONNECTORS[tx.connector], tx.claim_w, tx.order, priority=core.link.priority)

    def open(self) -> bool:
        """Is there any whose end was not acknowledged? Then the link keeps its version (settled question 10)."""
        return bool(self._all)

    def active(self, connector: int | None = None) -> StoredTx | None:
        """The running transaction of a connector, or of any."""
        for tx in self._all.values():  # asked several times at each step: no generator
            if tx.active and connector in {None, tx.connector}:
                return tx
        return None

    def running(self, tx_id: str) -> StoredTx | None:
        """A transaction by our id, while it runs."""
        tx = self._all.get(tx_id)
        return tx if tx and tx.active else None

    def by_peer(self, peer: str) -> StoredTx | None:
        """The running transaction the CSMS means."""
        return next((t for t in self._all.values() if t.active and t.peer == peer), None)

    def known(self, peer: str) -> StoredTx | None:
        """The transaction the CSMS means, running or not yet acknowledged."""
        return next((t for t in self._all.values() if t.peer == peer), None)

    def peer_tx(self, tx: str) -> str | None:
        """The CSMS's name of a transaction."""
        known = self._all.get(tx)
        return known.peer if known else None

    def begin(self, what: Begin, values: MeterRecord | None = None) -> StoredTx:
        """Begin one that the ledger admitted."""
        core = self._core
        meter = core.ledger.register_wh(core.link.name, CONNECTORS[what.connector])
        name = what.tx if core.traits.station_names_tx else None
        now = core.time.stamp(core.now)
        tx = StoredTx(
            what.tx,
            what.connector,
            core.digest(what.token),
            now,
            meter,
            what.claim_w,
            what.order,
            name,
            seq=1,
            state=what.state,
            parent=what.parent,
            remote_start_id=what.remote_start_id,
            waits=what.waits,
        )
        self._keep(tx)
        core.enqueue(
            TxStarted(
                tx.id,
                what.connector,
                what.token,
                meter,
                now,
                reservation_id=what.reservation,
                trigger=what.trigger,
                state=tx.state,
                offline=not core.online,
                remote_start_id=what.remote_start_id,
                token_type=what.token_type,
                values=values,
            )
        )
        core.out.plan_changed = True
        return tx

    def metered(self, tx: StoredTx, values: MeterRecord, trigger: str = "MeterValuePeriodic") -> None:
        """Queue values of a running transaction."""
        self._update(tx, values, trigger)

    def authorise(self, tx: StoredTx, who: Begin) -> StoredTx:
        """One that plugging in began: somebody was authorised, and it has its part of the plant."""
        token, parent = self._core.digest(who.token), who.parent
        now = self.change(
            tx, token=token, parent=parent, claim_w=who.claim_w, order=who.order, waits="", remote_start_id=who.remote_start_id
        )
        self._update(replace(now, state="Charging"), None, who.trigger, token=who.token, token_type=who.token_type)
        self._core.out.plan_changed = True
        return self._all[tx.id]

    def go(self, tx: StoredTx, trigger: str) -> None:
        """What it waited for came: energy may flow."""
        self._update(replace(tx, waits="", state="Charging"), None, trigger)
        self._core.out.plan_changed = True

    def pause(self, tx: StoredTx, reason: str, trigger: str, token: Presented | None = None) -> None:
        """Its authorisation is over; it ends when the plug is out. Its power is free from now on."""
        core = self._core
        text, kind = token or (None, "Central")
        self._update(replace(tx, waits="unplug", stop_reason=reason, state="EVConnected"), None, trigger, token=text, token_type=kind)
        core.ledger.release(core.link.name, tx.id)
        core.out.plan_changed = True

    def state(self, tx: StoredTx, state: str, trigger: str = "ChargingStateChanged") -> None:
        """Its state is another now: 2.0.1 tells it within the transaction."""
        if tx.state == state or not self._core.traits.tells_updates:
            return
        self._update(replace(tx, state=state), None, trigger)

    def told(self, tx: StoredTx, trigger: str) -> None:
        """Tell that something happened, without values (2.0.1 alone)."""
        if self._core.traits.tells_updates:
            self._update(tx, None, trigger)

    def end(
        self, tx: StoredTx, reason: str, data: tuple[MeterRecord, ...] = (), *, trigger: str = "RemoteStop", token: Presented | None = None
    ) -> None:
        """End one; its power is free from this step on. `token`: who ended it, where somebody did by a token."""
        core = self._core
        tx = self._all[tx.id]
        meter = max(tx.meter_start_wh, core.ledger.register_wh(core.link.name, CONNECTORS[tx.connector]))
        self._keep(replace(tx, active=False, seq=tx.seq + 1))
        at = core.time.stamp(core.now)
        text, kind = token or (None, "Central")
        core.enqueue(
            TxEnded(
                tx.id,
                tx.connector,
                meter,
                at,
                reason,
                id_token=text,
                data=data,
                trigger=trigger,
                seq=tx.seq,
                offline=not core.online,
                token_type=kind,
            )
        )
        core.ledger.release(core.link.name, tx.id)
        core.out.plan_changed = True

    def started(self, record: TxStarted, reply: StartedReply) -> StoredTx | None:
        """The CSMS took it, and named it in 1.6. Returns it while it runs."""
        tx = self._all.get(record.tx)
        if tx is None:
            return None
        if reply.peer_tx is not None:
            self._keep(replace(tx, peer=reply.peer_tx))
        return self.running(tx.id)

    def change(self, tx: StoredTx, **fields: object) -> StoredTx:
        """Keep other facts about a running transaction."""
        self._keep(replace(self._all[tx.id], **fields))  # type: ignore[arg-type]
        return self._all[tx.id]

    def closed(self, tx_id: str) -> None:
        """The CSMS took the end (or gave the transaction up): forget it."""
        if self._all.pop(tx_id, None) is not None:
            self._core.out.writes.append(DropTx(tx_id))

    def _update(
        self, tx: StoredTx, values: MeterRecord | None, trigger: str, *, token: str | None = None, token_type: str = "Central"
    ) -> None:
        core, at = self._core, self._core.time.stamp(self._core.now)
        if core.traits.tells_updates:
            self._keep(replace(tx, seq=tx.seq + 1))
        core.enqueue(
            TxMetered(
                tx.id,
                tx.connector,
                values,
                trigger=trigger,
                state=tx.state,
                seq=tx.seq,
                offline=not core.online,
                at=at,
                id_token=token,
                token_type=token_type,
            )
        )

    def _keep(self, tx: StoredTx) -> None:
        self._all[tx.id] = tx
        self._core.out.writes.append(PutTx(tx))
