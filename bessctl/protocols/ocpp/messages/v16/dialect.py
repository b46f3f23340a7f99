"""OCPP 1.6J as a dialect of the station model: schema first, then meaning.

A schema's finding becomes the error code of OCPP-J 1.6 table 7. `TriggerMessage` with a message outside the enumeration is no
formal error but an honest wish: the answer is {status: NotImplemented} (OCPP-15), so the enumeration is checked by us.
"""

from __future__ import annotations

from bessctl.protocols.ocpp.messages import reading
from bessctl.protocols.ocpp.messages.answers import AnyAnswer
from bessctl.protocols.ocpp.messages.commands import CallRefused, Command
from bessctl.protocols.ocpp.messages.dialect import BadReply, Traits, TxNames
from bessctl.protocols.ocpp.messages.frames import RULES_16, Payload
from bessctl.protocols.ocpp.messages.records import Reply, Request
from bessctl.protocols.ocpp.messages.v16 import inbound, outbound

_CODES = {
    "type": "TypeConstraintViolation",
    "maxLength": "TypeConstraintViolation",
    "required": "OccurenceConstraintViolation",
    "minItems": "OccurenceConstraintViolation",
    "maxItems": "OccurenceConstraintViolation",
    "additionalProperties": "FormationViolation",
}
BOOK = reading.Book("1.6", "v16", inbound.DECODERS, _CODES)


class Dialect16:
    """OCPP 1.6J."""

    subprotocol = "ocpp1.6"
    rules = RULES_16
    traits = Traits("1.6", station_names_tx=False, tells_station=True, tells_updates=False, passes_states=True, unlock_ends_tx=True)

    def decode(self, action: str, payload: Payload) -> Command:
        lenient = action in {"TriggerMessage", "ExtendedTriggerMessage"} and isinstance(payload.get("requestedMessage"), str)
        return reading.decode(BOOK, action, payload, {**payload, "requestedMessage": "Heartbeat"} if lenient else None)

    def answer(self, command: Command, answer: AnyAnswer) -> Payload:
        return inbound.encode_answer(command, answer)

    def encode(self, request: Request, names: TxNames) -> tuple[str, Payload]:
        return outbound.encode(request, names)

    def reply(self, request: Request, payload: Payload) -> Reply:
        reading.require_answer(BOOK, outbound.action_of(request), payload)
        try:
            return outbound.decode_reply(request, payload)
        except CallRefused as e:
            raise BadReply(str(e)) from e
