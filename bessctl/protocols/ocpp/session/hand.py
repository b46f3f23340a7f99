"""The hand at the station (settled question 17): plug, token, error; for commissioning and conformance tests.

    {"cmd": "plug_in" | "plug_out", "connector": n}
    {"cmd": "swipe", "token": t, "connectors": [n]}     with "certificate": a contract certificate and its chain (PEM), t its eMAID;
                                                        with "type": another of 2.0.1's kinds of tokens than ISO14443
    {"cmd": "error" | "clear", "code": c, "connector": n}
Dialling is the binding's: {"cmd": "connect" | "disconnect"}.

Plugging out is at the vehicle's side: where 1.6's UnlockConnectorOnEVSideDisconnect is false, the cable stays locked at ours, and the
connector in Finishing, until UnlockConnector or the next plug. It ends the connector's transaction (EVDisconnected) where
StopTransactionOnEVSideDisconnect is true; else it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.ending import Ending
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.starting import Starting
from bessctl.protocols.ocpp.session.transactions import Transactions

TYPES = ("ISO14443", "ISO15693", "Local", "KeyCode", "MacAddress", "eMAID")
"""Of IdTokenEnumType, those that something at the station can present; Local: the station's own (2.0.1 C06)."""


@dataclass(frozen=True, slots=True)
class HandOrder:
    """One thing the hand does. `connector` 0 = all, for errors alone."""

    cmd: str
    connector: int = 1
    token: str = ""
    connectors: tuple[int, ...] = ()
    code: str = ""
    certificate: str = ""
    type: str = ""
    """One of TYPES; empty = ISO14443, with a certificate eMAID."""


class Hand:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, connectors: Connectors, starting: Starting, ending: Ending) -> None:
        self._core = core
        self._transactions = transactions
        self._connectors = connectors
        self._starting = starting
        self._ending = ending

    def do(self, order: HandOrder) -> str | None:
        """Carry it out; returns why it does nothing."""
        wrong = [n for n in (order.connector, *order.connectors) if n not in (0, *CONNECTORS)]
        if wrong:
            return f"there is no connector {wrong[0]}"
        match order.cmd:
            case "plug_in":
                self._connectors.plug(order.connector, into=True)
                self._starting.plugged(order.connector)
            case "plug_out":
                self._plug_out(order.connector)
            case "swipe":
                return self._swipe(order)
            case "error":
                self._error(order)
            case "clear":
                self._connectors.by_hand(order.connector, None)
            case _:
                return f"the hand does not know {order.cmd[:30]!r}"
        return None

    def _swipe(self, order: HandOrder) -> str | None:
        kind = order.type or ("eMAID" if order.certificate else "ISO14443")
        if kind not in TYPES:
            return f"the type of a token is one of {', '.join(TYPES)}"
        return self._starting.swipe(order.token, order.connectors, order.certificate, kind) if order.token else "a swipe needs a token"

    def _plug_out(self, connector: int) -> None:
        unlocks = self._core.traits.version != "1.6" or self._core.keys.flag("UnlockConnectorOnEVSideDisconnect")
        self._connectors.plug(connector, into=False, locked=not unlocks)
        self._starting.drop(connector, "unplugged")
        tx = self._transactions.active(connector)
        ends = self._core.keys.flag("StopTransactionOnEVSideDisconnect")
        if tx is not None and (ends or tx.waits in {"token", "unplug"}):
            self._ending.end(tx, tx.stop_reason or "EVDisconnected", trigger="EVCommunicationLost")

    def _error(self, order: HandOrder) -> None:
        self._connectors.by_hand(order.connector, order.code or "OtherError")
        for connector in CONNECTORS if order.connector == 0 else (order.connector,):
            tx = self._transactions.active(connector)
            if tx is not None:
                self._ending.end(tx, "Other", trigger="AbnormalCondition")
