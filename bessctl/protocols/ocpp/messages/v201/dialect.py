"""OCPP 2.0.1 as a dialect of the station model: schema first, then meaning. Codes are those of part 4, table 8."""

from __future__ import annotations

from bessctl.protocols.ocpp.messages import reading
from bessctl.protocols.ocpp.messages.answers import AnyAnswer
from bessctl.protocols.ocpp.messages.commands import CallRefused, Command
from bessctl.protocols.ocpp.messages.dialect import BadReply, Traits, TxNames
from bessctl.protocols.ocpp.messages.frames import RULES_201, Payload
from bessctl.protocols.ocpp.messages.records import Reply, Request
from bessctl.protocols.ocpp.messages.v201 import answers, inbound, outbound

_CODES = {
    "type": "TypeConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
}
BOOK = reading.Book("2.0.1", "v201", inbound.DECODERS, _CODES)


class Dialect201:
    """OCPP 2.0.1."""

    subprotocol = "ocpp2.0.1"
    rules = RULES_201
    traits = Traits("2.0.1", station_names_tx=True, tells_station=False, tells_updates=True, passes_states=False, unlock_ends_tx=False)

    def decode(self, action: str, payload: Payload) -> Command:
        return reading.decode(BOOK, action, payload)

    def answer(self, command: Command, answer: AnyAnswer) -> Payload:
        return answers.encode(command, answer)

    def encode(self, request: Request, names: TxNames) -> tuple[str, Payload]:
        return outbound.encode(request, names)

    def reply(self, request: Request, payload: Payload) -> Reply:
        reading.require_answer(BOOK, outbound.action_of(request), payload)
        try:
            return outbound.decode_reply(request, payload)
        except CallRefused as e:
            raise BadReply(str(e)) from e
