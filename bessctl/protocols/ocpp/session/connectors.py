"""The state of connectors 0 (the station), 1 and 2, and when it is told (1.6 4.9; OCPP-5).

State of 1 and 2, first row that holds:
    Faulted        a trip is active or latched
    Charging       a transaction runs and something is granted to it
    SuspendedEVSE  a transaction runs and nothing is granted (a limit of 0, the envelope is closed)
    Preparing      a start waits for its authorisation or the plug, or the plug waits for a start
    Finishing      its cable is locked at this side, though nothing is at the other (1.6 UnlockConnectorOnEVSideDisconnect)
    Unavailable    inoperative by ChangeAvailability; the plant does not take commands; the other direction is in use
    Reserved       kept for a token
    Available      else
The station: Faulted, Unavailable or Available; 2.0.1 tells it in the device model, not as a status. The words are 1.6's: 2.0.1 calls all
that is in use Occupied, and tells the rest within the transaction.

A connector is armed as if a cable were plugged in; by UnlockConnector it is not until the next start, and where `armed_by_hand` is set
the hand at the station (settled question 17) plugs it in and out.

A change is told once it lasted `MinimumStatusDuration` seconds. After registration everything is told, after a reconnect what
changed meanwhile: what counts as told is what the CSMS acknowledged. What it answers by an error, or not in time, is told again after
`RETRY_S` seconds, then after twice that, up to an hour; a state that came meanwhile is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bessctl.protocols.ocpp.messages.records import StatusReport
from bessctl.protocols.ocpp.session.alarms import ErrorState, error_state
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import PutState

STATION = 0
RETRY_S = 30
RETRY_S_MAX = 3600
Shown = tuple[str, str, str]


class Connectors:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, inoperative: Iterable[int]) -> None:
        self._core = core
        self._transactions = transactions
        self._inoperative = set(inoperative)
        self._scheduled = {int(n) for n in core.saved.state.get("scheduled", "").split(",") if n}
        self._told: dict[int, Shown] = {}
        self._asked: dict[int, Shown] = {}
        self._failed: dict[int, tuple[Shown, int, int]] = {}
        """What the CSMS did not take, when it is told again (monotonic), and the wait after that, s."""
        self._candidate: dict[int, tuple[Shown, int]] = {}
        self.preparing: set[int] = set()
        self.reserved: Callable[[int], bool] = lambda connector: False
        self._plugged: set[int] = set()
        self._locked: set[int] = set()
        self._by_hand: dict[int, str] = {}

    def operative(self, connector: int) -> bool:
        """By ChangeAvailability alone."""
        return not {STATION, connector} & self._inoperative

    def armed(self, connector: int) -> bool:
        """Is it as if a cable were plugged in?"""
        return connector in self._plugged or not self._core.link.armed_by_hand

    def plug(self, connector: int, *, into: bool, locked: bool = False) -> None:
        """The hand plugs in or out; `locked`: what was plugged in stays locked at this side."""
        if locked and connector in self._plugged:
            self._locked.add(connector)
        else:
            self._locked.discard(connector)
        (self._plugged.add if into else self._plugged.discard)(connector)

    def disarm(self, connector: int) -> None:
        """UnlockConnector: whatever was plugged in is not."""
        self._locked.discard(connector)
        self._plugged.discard(connector)

    def by_hand(self, connector: int, code: str | None) -> None:
        """The hand sets an error of a connector (0 = all), or takes it back."""
        if code is None:
            self._by_hand.pop(connector, None)
        else:
            self._by_hand[connector] = code

    def unusable(self) -> frozenset[int]:
        """Connectors on which no transaction can begin, whoever asks: faulted or inoperative."""
        return frozenset(c for c in CONNECTORS if self.error(c).faulted or not self.operative(c))

    def status(self, connector: int) -> str:
        """The state now."""
        own = self.unreserved(connector)
        return "Reserved" if own == "Available" and self.reserved(connector) and connector != STATION else own

    def unreserved(self, connector: int) -> str:
        """The state now, reservations apart."""
        core, reading = self._core, self._core.reading
        if self.error(connector).faulted:
            return "Faulted"
        tx = self._transactions.active(connector) if connector else None
        if tx is not None:
            return "Charging" if core.ledger.granted_w(core.link.name, tx.id) > 0 else "SuspendedEVSE"
        if connector in self.preparing or connector in self._plugged:
            return "Preparing"
        if connector in self._locked:
            return "Finishing"
        used = core.ledger.direction()
        blocked = connector != STATION and used is not None and used is not CONNECTORS[connector]
        if blocked or not self.operative(connector) or reading is None or not reading.running:
            return "Unavailable"
        return "Available"

    def error(self, connector: int = STATION) -> ErrorState:
        """What the plant's alarms say, the same for all connectors: there is one plant. An error set by hand is its connector's."""
        if self._by_hand:
            by_hand = self._by_hand.get(connector) or self._by_hand.get(STATION)
            if by_hand is not None:
                return ErrorState(by_hand, "", "set by hand", faulted=True)
        return error_state(self._core.reading.troubles) if self._core.reading else ErrorState()

    def change(self, connector: int, operative: bool) -> str:
        """ChangeAvailability; returns the answer's status."""
        running = self._transactions.active(connector or None)
        if not operative and running is not None:
            self._schedule({*self._scheduled, connector})
            return "Scheduled"
        self._schedule(self._scheduled - {connector})
        self._set(connector, operative)
        return "Accepted"

    def step(self) -> None:
        """Carry scheduled changes out, tell what changed."""
        for connector in list(self._scheduled):
            if self._transactions.active(connector or None) is None:
                self._schedule(self._scheduled - {connector})
                self._set(connector, False)
        if self._core.registration.accepted and self._core.online:
            for connector in self._told_of():
                self._consider(connector)

    def wake_ns(self) -> int | None:
        """When a change will have lasted long enough."""
        if not (self._core.registration.accepted and self._core.online):
            return None
        hold = self._core.keys.number("MinimumStatusDuration") * NS
        again = [due for _, due, _ in self._failed.values()]
        return min([since + hold for _, since in self._candidate.values()] + again, default=None)

    def report(self, connector: int, *, triggered: bool = False, status: str | None = None) -> None:
        """Tell a state now; `status` for one that is passed through."""
        core, error = self._core, self.error(connector)
        shown = self._shown(connector)
        if status is None:
            self._asked[connector] = shown
        core.ask(
            StatusReport(connector, status or shown[0], error.code, core.time.stamp(core.now), error.info, error.vendor),
            triggered=triggered,
        )

    def acknowledged(self, report: StatusReport) -> None:
        """The CSMS knows."""
        self._failed.pop(report.connector, None)
        self._told[report.connector] = self._as_told(report)

    def failed(self, report: StatusReport) -> None:
        """The CSMS does not know, and the connection stands."""
        connector, shown = report.connector, self._as_told(report)
        if self._asked.get(connector) != shown:
            return  # another one is on its way, or it was a state passed through
        before, _, wait_s = self._failed.get(connector, (None, 0, 0))
        wait_s = min(2 * wait_s, RETRY_S_MAX) if before == shown else RETRY_S
        self._failed[connector] = (shown, self._core.now.mono_ns + wait_s * NS, wait_s)
        del self._asked[connector]

    def lost(self) -> None:
        """What was under way may not have arrived."""
        self._asked = dict(self._told)
        self._failed.clear()
        self._candidate.clear()

    def forget(self) -> None:
        """A new registration: everything is told."""
        self._told.clear()
        self._asked.clear()
        self._failed.clear()

    def _as_told(self, report: StatusReport) -> Shown:
        if self._core.traits.tells_station:
            return (report.status, report.error, report.vendor_error)
        return (report.status if report.status in {"Available", "Unavailable", "Faulted", "Reserved"} else "Occupied", "", "")

    def _told_of(self) -> tuple[int, ...]:
        return (STATION, *CONNECTORS) if self._core.traits.tells_station else tuple(CONNECTORS)

    def _schedule(self, connectors: set[int]) -> None:
        if connectors != self._scheduled:
            self._scheduled = connectors
            self._core.out.writes.append(PutState("scheduled", ",".join(str(c) for c in sorted(connectors))))

    def _set(self, connector: int, operative: bool) -> None:
        members = (STATION, *CONNECTORS) if connector == STATION else (connector,)
        change = self._inoperative.difference_update if operative else self._inoperative.update
        change(members)
        self._core.out.writes.append(PutState("inoperative", ",".join(str(c) for c in sorted(self._inoperative))))

    def _shown(self, connector: int) -> Shown:
        error, status = self.error(connector), self.status(connector)
        if not self._core.traits.tells_station:
            # 2.0.1 has one word for a connector in use, and tells errors as events.
            return (status if status in {"Available", "Unavailable", "Faulted", "Reserved"} else "Occupied", "", "")
        return (status, error.code, error.vendor)

    def _consider(self, connector: int) -> None:
        shown = self._shown(connector)
        if shown == self._asked.get(connector):
            self._candidate.pop(connector, None)
            return
        failed, due_ns, _ = self._failed.get(connector, (None, 0, 0))
        if failed == shown and self._core.now.mono_ns < due_ns:
            return
        before, since = self._candidate.get(connector, (None, 0))
        if before != shown:
            since = self._core.now.mono_ns
        hold = self._core.keys.number("MinimumStatusDuration") * NS
        if connector not in self._asked or self._core.now.mono_ns - since >= hold:
            self._candidate.pop(connector, None)
            self.report(connector)
        else:
            self._candidate[connector] = (shown, since)
