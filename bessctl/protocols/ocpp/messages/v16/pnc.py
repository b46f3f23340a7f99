"""Plug & Charge over 1.6: messages of 2.0.1 in DataTransfer (OCA, "Using ISO 15118 Plug & Charge with OCPP 1.6"; OCPP-20).

The messageId is 2.0.1's action, the data its payload as JSON text, both ways, and both are held against 2.0.1's schemas. What the envelope
itself says: Accepted = what it holds was understood, and its own answer is in the data; UnknownMessageId; Rejected = it cannot be read.
"""

from __future__ import annotations

import orjson

from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import reading
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages.answers import EnvelopedAnswer
from bessctl.protocols.ocpp.messages.dialect import BadReply, TxNames
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.v201 import answers, inbound, outbound

VENDOR = "org.openchargealliance.iso15118pnc"
TO_STATION = ("CertificateSigned", "DeleteCertificate", "GetInstalledCertificateIds", "InstallCertificate", "TriggerMessage")
BOOK = reading.Book("2.0.1", "v201", {action: inbound.DECODERS[action] for action in TO_STATION}, {})


def decode(action: str, data: str) -> c.Enveloped:
    """What a CSMS put into the envelope."""
    if action not in BOOK.decoders:
        return c.Enveloped(None, "UnknownMessageId")
    try:
        payload = orjson.loads(data)
        if not isinstance(payload, dict):
            return c.Enveloped(None, "Rejected")
        return c.Enveloped(reading.decode(BOOK, action, payload))
    except (orjson.JSONDecodeError, c.CallRefused):
        return c.Enveloped(None, "Rejected")


def encode_answer(command: c.Enveloped, answer: EnvelopedAnswer) -> Payload:
    """The CALLRESULT's payload."""
    if answer.inner is None:
        return {"status": answer.status}
    return {"status": answer.status, "data": orjson.dumps(answers.encode(command.inner, answer.inner)).decode()}


def wraps(request: object) -> bool:
    """Has 1.6 no message of its own for it?"""
    match request:
        case r.AskStatus():
            return True
        case r.SignCertificate(_, kind):
            return kind == "V2GCertificate"
        case r.Authorize():
            return bool(request.chain) or request.certificate is not None
    return False


def encode(request: r.Request, names: TxNames) -> Payload:
    """Our DataTransfer."""
    action, payload = outbound.encode(request, names)
    return {"vendorId": VENDOR, "messageId": action, "data": orjson.dumps(payload).decode()}


def decode_reply(request: r.Request, payload: Payload) -> r.Reply:
    """The CSMS's answer out of its envelope. Raises BadReply; a CSMS that does not take the envelope refuses what is in it."""
    if payload["status"] != "Accepted":
        return _refused(request)
    try:
        inner = orjson.loads(payload.get("data", ""))
    except orjson.JSONDecodeError as e:
        raise BadReply(f"data: not JSON: {e}") from e
    if not isinstance(inner, dict):
        raise BadReply("data: not a JSON object")
    reading.require_answer(BOOK, outbound.action_of(request), inner)
    return outbound.decode_reply(request, inner)


def _refused(request: r.Request) -> r.Reply:
    match request:
        case r.SignCertificate():
            return r.Judged("Rejected")
        case r.Authorize():
            return r.TokenReply("Invalid")
    return r.StatusReply(None)
