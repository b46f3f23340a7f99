"""Reservations (1.6 3.8, 5.1, 5.13; 2.0.1 H01-H04): a connector is kept for a token, or its group, until it is used or expires.

ReserveNow, first row that holds:
    Rejected     reservations are off, the CSMS is an observer, no such connector, or expired already
    Faulted      the plant is
    Unavailable  the connector is inoperative, or the other direction is in use
    Occupied     a transaction runs there, or it is kept for somebody else (the same id replaces its reservation)
    Accepted     else
Connector 0: whoever begins on one connector closes the other (settled question 2), so that nothing less than the whole station can be
kept for somebody who may come to either.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import Reserve
from bessctl.protocols.ocpp.messages.records import ReservationEnded
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.writes import DropDoc, PutDoc

KIND = "reservation"
STATUSES = {"Faulted": "Faulted", "Unavailable": "Unavailable", "Available": "Accepted"}


@dataclass(frozen=True, slots=True)
class Reservation:
    """`token` and `parent` are digests; `connector` 0 = the station."""

    id: int
    connector: int
    token: str
    expires_ns: int
    parent: str | None = None


class Reservations:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._all = {r.id: r for r in (from_text(Reservation, text) for text in core.saved.docs.get(KIND, {}).values())}

    def __len__(self) -> int:
        return len(self._all)

    def of(self, connector: int) -> Reservation | None:
        """Who a connector is kept for."""
        return next((r for r in self._all.values() if r.connector in (0, connector)), None)

    def fits(self, connector: int, token: str, parent: str | None) -> bool:
        """May this token (digests) use the connector?"""
        held = self.of(connector)
        return held is None or held.token == token or (parent is not None and held.parent == parent)

    def reserve(self, wish: Reserve, status: str) -> str:
        """ReserveNow; `status` is the connector's own, without reservations. Returns the answer's."""
        core = self._core
        connector = wish.connector or 0
        utc = core.time.utc_ns(core.now)
        enabled = core.keys.flag("ReservationCtrlr.Enabled") and core.link.role is not Role.OBSERVER
        if not enabled or connector not in (0, *CONNECTORS) or utc is None or wish.expires_ns <= utc:
            return "Rejected"
        held = [r for r in self._all.values() if r.id != wish.id and (connector == 0 or r.connector in (0, connector))]
        answer = STATUSES.get(status, "Occupied") if not held else "Occupied"
        if answer == "Accepted":
            parent = None if wish.parent is None else core.digest(wish.parent)
            new = Reservation(wish.id, connector, core.digest(wish.id_token), wish.expires_ns, parent)
            self._all[new.id] = new
            core.out.writes.append(PutDoc(KIND, str(new.id), to_text(new)))
        return answer

    def cancel(self, ident: int) -> str:
        """CancelReservation."""
        if ident not in self._all or self._core.link.role is Role.OBSERVER:
            return "Rejected"
        self._drop(ident)
        return "Accepted"

    def use(self, connector: int, token: str, parent: str | None) -> int | None:
        """The reservation that a start by this token uses up."""
        held = self.of(connector)
        if held is None or not self.fits(connector, token, parent):
            return None
        self._drop(held.id)
        return held.id

    def step(self, unusable: frozenset[int]) -> None:
        """Let go what has expired, and what cannot be kept because its connector is faulted or inoperative."""
        core = self._core
        utc = core.time.utc_ns(core.now)
        for held in list(self._all.values()):
            expired = utc is not None and held.expires_ns <= utc
            removed = held.connector in unusable or unusable.issuperset(CONNECTORS)
            if expired or removed:
                self._drop(held.id)
                core.audit("reservation", f"{held.id} {'expired' if expired else 'removed: the connector cannot be used'}", held.connector)
                if core.traits.version != "1.6":
                    core.ask(ReservationEnded(held.id, "Expired" if expired else "Removed"))

    def wake_ns(self) -> int | None:
        """When the next one expires, monotonic."""
        core = self._core
        if not self._all or core.time.utc_ns(core.now) is None:
            return None
        return core.time.mono_ns(min(r.expires_ns for r in self._all.values()), core.now)

    def forget(self, token: str) -> int:
        """Drop what is kept for a digest (CustomerInformation); returns how many."""
        gone = [r.id for r in self._all.values() if r.token == token]
        for ident in gone:
            self._drop(ident)
        return len(gone)

    def _drop(self, ident: int) -> None:
        del self._all[ident]
        self._core.out.writes.append(DropDoc(KIND, str(ident)))
