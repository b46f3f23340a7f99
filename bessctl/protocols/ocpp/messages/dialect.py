"""What a session needs of a dialect. One instance per version, shared by all links: dialects hold no state."""

from __future__ import annotations

from typing import Protocol

from bessctl.protocols.ocpp.messages.commands import AnyAnswer, Command
from bessctl.protocols.ocpp.messages.frames import Payload, RpcRules
from bessctl.protocols.ocpp.messages.records import Reply, Request


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
    raise ValueError(f"OCPP {version!r} is not spoken here; 1.6 is")
