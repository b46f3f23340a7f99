"""OCPP 1.6: our requests -> CALL payloads, CSMS's CALLRESULT payloads -> replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from bessctl.model import points
from bessctl.protocols.ocpp.messages import common
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages.dialect import BadReply, TxNames
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc, parse_utc
from bessctl.protocols.ocpp.messages.v16 import pnc

# 1.6 has the unit Celsius, and calls the outside of the station its Outlet (7.39, 7.25): values are those at the AC terminals.
LOCATIONS = {"SoC": "EV", "Temperature": "Body"}
UNITS = {"Hz": "Hertz"}


def _value(sample: r.Sample, context: str) -> dict[str, str]:
    whole = sample.unit == "Wh"
    return {
        "value": str(int(sample.value)) if whole else f"{sample.value:.1f}",
        "context": context,
        "format": "Raw",
        "measurand": sample.quantity,
        "location": LOCATIONS.get(sample.quantity, "Outlet"),
        "unit": UNITS.get(sample.unit, sample.unit),
    }


def meter_value(values: r.MeterRecord, names: TxNames) -> dict[str, Any]:
    """A MeterValue (7.33)."""
    return {
        "timestamp": format_utc(names.utc_ns(values.at)),
        "sampledValue": [_value(s, values.context) for s in values.samples if s.quantity != "SoH"],
    }


def _peer_tx(tx: str, names: TxNames) -> int:
    name = names.peer_tx(tx)
    if name is None:
        raise LookupError(f"transaction {tx} has no transactionId yet")
    return int(name)


def _boot(q: r.Boot, names: TxNames) -> Payload:
    payload = {"chargePointVendor": q.vendor[:20], "chargePointModel": q.model[:20]}
    if q.serial:
        payload["chargePointSerialNumber"] = q.serial[:25]
    if q.firmware:
        payload["firmwareVersion"] = q.firmware[:50]
    return payload


def _status(q: r.StatusReport, names: TxNames) -> Payload:
    payload: Payload = {
        "connectorId": q.connector,
        "errorCode": q.error,
        "status": q.status,
        "timestamp": format_utc(names.utc_ns(q.at)),
    }
    if q.info:
        payload["info"] = q.info[:50]
    if q.vendor_error:
        payload |= {"vendorId": "bessctl", "vendorErrorCode": q.vendor_error[:50]}
    return payload


def _started(q: r.TxStarted, names: TxNames) -> Payload:
    payload = {
        "connectorId": q.connector,
        "idTag": q.id_token,
        "meterStart": q.meter_wh,
        "timestamp": format_utc(names.utc_ns(q.at)),
    }
    if q.reservation_id is not None:
        payload["reservationId"] = q.reservation_id
    return payload


def _metered(q: r.TxMetered, names: TxNames) -> Payload:
    if q.values is None:
        raise LookupError("1.6 has no message for a transaction's state")
    return {
        "connectorId": q.connector,
        "transactionId": _peer_tx(q.tx, names),
        "meterValue": [meter_value(q.values, names)],
    }


def _ended(q: r.TxEnded, names: TxNames) -> Payload:
    payload: Payload = {
        "transactionId": _peer_tx(q.tx, names),
        "meterStop": q.meter_wh,
        "timestamp": format_utc(names.utc_ns(q.at)),
        "reason": q.reason,
    }
    if q.id_token is not None:
        payload["idTag"] = q.id_token
    if q.data:
        payload["transactionData"] = [meter_value(v, names) for v in q.data]
    return payload


def _health(q: r.TxHealth, names: TxNames) -> Payload:
    # 1.6 has no measurand for it (OCPP-8); the name is IEC 61850-7-420's (OCPP-20).
    data = {
        "transactionId": _peer_tx(q.tx, names),
        "connectorId": q.connector,
        "timestamp": format_utc(names.utc_ns(q.at)),
        "when": q.when,
        points.SOH.variable: round(q.soh_pct, 1),
    }
    return {"vendorId": points.VENDOR, "messageId": points.SOH.name, "data": orjson.dumps(data).decode()}


_Encoder = Callable[[Any, TxNames], Payload]

ENCODERS: dict[type, tuple[str, _Encoder]] = {
    r.Boot: ("BootNotification", _boot),
    r.Heartbeat: ("Heartbeat", lambda q, n: {}),
    r.StatusReport: ("StatusNotification", _status),
    r.Authorize: ("Authorize", lambda q, n: {"idTag": q.id_token}),
    r.MeterReport: ("MeterValues", lambda q, n: {"connectorId": q.connector, "meterValue": [meter_value(q.values, n)]}),
    r.TxStarted: ("StartTransaction", _started),
    r.TxMetered: ("MeterValues", _metered),
    r.TxEnded: ("StopTransaction", _ended),
    r.TxHealth: ("DataTransfer", _health),
    r.SecurityEvent: ("SecurityEventNotification", common.security_event),
    r.SignCertificate: ("SignCertificate", lambda q, n: {"csr": q.csr}),
}
TRANSFER_ACTIONS = {
    "diagnostics": "DiagnosticsStatusNotification",
    "log": "LogStatusNotification",
    "firmware": "FirmwareStatusNotification",
    "signed_firmware": "SignedFirmwareStatusNotification",
}


def encode(request: r.Request, names: TxNames) -> tuple[str, Payload]:
    """The action and payload of one of our requests. Raises LookupError for a transaction the CSMS has not named."""
    if isinstance(request, r.TransferStatus):
        # Only the whitepaper's messages count their transfers.
        numbered = request.what in {"log", "signed_firmware"} and request.request is not None
        return TRANSFER_ACTIONS[request.what], {"status": request.status, **({"requestId": request.request} if numbered else {})}
    if pnc.wraps(request):
        return "DataTransfer", pnc.encode(request, names)
    if type(request) not in ENCODERS:
        raise LookupError(f"1.6 has no message for a {type(request).__name__}")
    action, encoder = ENCODERS[type(request)]
    return action, encoder(request, names)


def action_of(request: r.Request) -> str:
    """The action alone."""
    if pnc.wraps(request):
        return "DataTransfer"
    return TRANSFER_ACTIONS[request.what] if isinstance(request, r.TransferStatus) else ENCODERS[type(request)][0]


def _token(payload: Payload) -> r.TokenReply:
    info = payload.get("idTagInfo")
    if not info:
        return r.TokenReply(None)
    expires = info.get("expiryDate")
    try:
        return r.TokenReply(info["status"], info.get("parentIdTag"), None if expires is None else parse_utc(expires))
    except ValueError as e:
        raise BadReply(f"idTagInfo.expiryDate: {e}") from e


REPLIES: dict[type, Callable[[Payload], r.Reply]] = {
    r.Boot: lambda p: r.BootReply(p["status"], common.current_time(p), p["interval"]),
    r.Heartbeat: lambda p: r.TimeReply(common.current_time(p)),
    r.Authorize: _token,
    r.TxStarted: lambda p: r.StartedReply(str(p["transactionId"]), _token(p)),
    r.TxEnded: _token,
    r.SignCertificate: lambda p: r.Judged(p["status"]),
}


def decode_reply(request: r.Request, payload: Payload) -> r.Reply:
    """What the CSMS answered, its payload already valid by schema."""
    if pnc.wraps(request):
        return pnc.decode_reply(request, payload)
    decoder = REPLIES.get(type(request))
    return decoder(payload) if decoder else r.Done()
