"""What a session needs of a dialect. One instance per version, shared by all links: dialects hold no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bessctl.protocols.ocpp.messages.answers import AnyAnswer
from bessctl.protocols.ocpp.messages.commands import Command
from bessctl.protocols.ocpp.messages.frames import Payload, RpcRules
from bessctl.protocols.ocpp.messages.records import Reply, Request


@dataclass(frozen=True, slots=True)
class Traits:
    """Where a version wants the station to behave, not merely to write, in another way."""

    version: str
    station_names_tx: bool
    """The station gives a transaction its name (our random id); else the CSMS does, in its answer to the start."""
    tells_station: bool
    """Connector 0, the station, has a status of its own."""
    tells_updates: bool
    """A change of state within a transaction is a message of the transaction."""
    passes_states: bool
    """A connector passes through Preparing and Finishing."""
    unlock_ends_tx: bool
    """UnlockConnector ends a running transaction (1.6); else it is refused while one runs."""


class TxNames(Protocol):
    """How a dialect learns what the CSMS calls a transaction, and when an instant was."""

    def peer_tx(self, tx: str) -> str | None:
        """The CSMS's name of our transaction, or None while it has none."""

    def utc_ns(self, stamp: object) -> int:
        """The stamp as UTC ns, by now."""


class BadReply(Exception):
    """The CSMS answered what its dialect does not allow; the text names the field."""


class Dialect(Protocol):
    """Wire <-> station model. No method has side effects."""

    subprotocol: str
    rules: RpcRules
    traits: Traits

    def decode(self, action: str, payload: Payload) -> Command:
        """A CSMS's CALL. Raises CallRefused with the code of this dialect."""

    def answer(self, command: Command, answer: AnyAnswer) -> Payload:
        """Our CALLRESULT's payload."""

    def encode(self, request: Request, names: TxNames) -> tuple[str, Payload]:
        """Our CALL's action and payload."""

    def reply(self, request: Request, payload: Payload) -> Reply:
        """The CSMS's CALLRESULT to `request`. Raises BadReply."""


def dialect(version: str) -> Dialect:
    """The dialect of a version; imports it only now, so that a station pays for what its links speak."""
    if version == "1.6":
        from bessctl.protocols.ocpp.messages.v16.dialect import Dialect16  # noqa: PLC0415

        return Dialect16()
    if version == "2.0.1":
        from bessctl.protocols.ocpp.messages.v201.dialect import Dialect201  # noqa: PLC0415

        return Dialect201()
    raise ValueError(f"OCPP {version!r} is not spoken here; 1.6 and 2.0.1 are")


SUBPROTOCOLS = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1"}
"""The websocket's word for a version (OCPP-J 3.1.2)."""
