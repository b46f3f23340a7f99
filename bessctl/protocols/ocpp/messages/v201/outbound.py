"""OCPP 2.0.1: our requests -> CALL payloads, CSMS's CALLRESULT payloads -> replies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bessctl.model import points
from bessctl.protocols.ocpp.messages import common
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages.dialect import TxNames
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.messages.v201 import fields as f

LOCATIONS = {"SoC": "EV"}
# What 2.0.1 has no measurand for goes beside the values, in customData (OCPP-8).
CUSTOM = {"Temperature": points.CELL_TEMP_MAX.name, "SoH": points.SOH.name}
# 1.6 has five states of a connector in use; 2.0.1 has one, and tells the rest in the transaction.
STATUSES = dict.fromkeys(("Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing"), "Occupied")
REASONS = {
    "HardReset": "ImmediateReset",
    "SoftReset": "ImmediateReset",
    "UnlockCommand": "Other",
    "EVDisconnected": "EVDisconnected",
}
IMPLIED_UNITS = {"Wh", "Percent"}


def _value(sample: r.Sample, context: str) -> Payload:
    payload: Payload = {
        "value": round(sample.value, 3),
        "context": context,
        "measurand": sample.quantity,
        "location": LOCATIONS.get(sample.quantity, "Outlet"),
    }
    if sample.unit != "Wh":
        payload["unitOfMeasure"] = {"unit": sample.unit}
    return payload


def meter_values(found: tuple[r.MeterRecord, ...], names: TxNames) -> list[Payload]:
    """MeterValues that have at least one measurand of the standard."""
    listed = []
    for record in found:
        samples = [_value(s, record.context) for s in record.samples if s.quantity not in CUSTOM]
        if samples:
            listed.append({"timestamp": format_utc(names.utc_ns(record.at)), "sampledValue": samples})
    return listed


def custom(found: tuple[r.MeterRecord, ...]) -> Payload:
    """The values without a measurand, the newest of each."""
    values = {CUSTOM[s.quantity]: round(s.value, 1) for record in found for s in record.samples if s.quantity in CUSTOM}
    return {"customData": {"vendorId": points.VENDOR, **values}} if values else {}


def _boot(q: r.Boot, names: TxNames) -> Payload:
    station = {"vendorName": q.vendor[:50], "model": q.model[:20]}
    if q.serial:
        station["serialNumber"] = q.serial[:25]
    if q.firmware:
        station["firmwareVersion"] = q.firmware[:50]
    return {"reason": q.reason, "chargingStation": station}


def _status(q: r.StatusReport, names: TxNames) -> Payload:
    return {
        "timestamp": format_utc(names.utc_ns(q.at)),
        "connectorStatus": STATUSES.get(q.status, q.status),
        "evseId": q.connector,
        "connectorId": 1,
    }


def _event(  # noqa: PLR0917 - the fields of one message
    kind: str, q: Any, at: r.Stamp, info: Payload, values: tuple[r.MeterRecord, ...], names: TxNames
) -> Payload:
    payload: Payload = {
        "eventType": kind,
        "timestamp": format_utc(names.utc_ns(at)),
        "triggerReason": q.trigger,
        "seqNo": q.seq,
        "transactionInfo": {"transactionId": q.tx, **info},
        **custom(values),
    }
    listed = meter_values(values, names)
    if listed:
        payload["meterValue"] = listed
    if q.offline:
        payload["offline"] = True
    return payload


def _register(q: r.TxStarted | r.TxEnded, context: str) -> r.MeterRecord:
    """The meter as the transaction begins or ends: 1.6 has fields for it, 2.0.1 a measurand."""
    word = "Export" if q.connector == 1 else "Import"
    return r.MeterRecord(q.at, context, (r.Sample(f"Energy.Active.{word}.Register", float(q.meter_wh), "Wh"),))


def _with_register(register: r.MeterRecord, values: tuple[r.MeterRecord, ...]) -> tuple[r.MeterRecord, ...]:
    named = {s.quantity for v in values for s in v.samples if v.context == register.context}
    return values if register.samples[0].quantity in named else (register, *values)


def _started(q: r.TxStarted, names: TxNames) -> Payload:
    info: Payload = {"chargingState": q.state}
    if q.remote_start_id is not None:
        info["remoteStartId"] = q.remote_start_id
    values = _with_register(_register(q, "Transaction.Begin"), (q.values,) if q.values else ())
    payload = _event("Started", q, q.at, info, values, names)
    payload["evse"] = f.evse(q.connector)
    if q.id_token:  # nobody is authorised yet where plugging in began it
        payload["idToken"] = f.token(q.id_token, q.token_type)
    if q.reservation_id is not None:
        payload["reservationId"] = q.reservation_id
    return payload


def _metered(q: r.TxMetered, names: TxNames) -> Payload:
    values = (q.values,) if q.values else ()
    at = q.at or (q.values.at if q.values else None)
    if at is None:
        raise LookupError(f"the update {q.seq} of transaction {q.tx} has no time")
    payload = _event("Updated", q, at, {"chargingState": q.state}, values, names)
    return payload if q.id_token is None else {**payload, "idToken": f.token(q.id_token, q.token_type)}


def _ended(q: r.TxEnded, names: TxNames) -> Payload:
    values = _with_register(_register(q, "Transaction.End"), q.data)
    info = {"chargingState": "Idle", "stoppedReason": REASONS.get(q.reason, q.reason)}
    payload = _event("Ended", q, q.at, info, values, names)
    payload["evse"] = f.evse(q.connector)
    if q.id_token is not None:
        payload["idToken"] = f.token(q.id_token, q.token_type)
    return payload


def _transfer(q: r.TransferStatus, names: TxNames) -> Payload:
    return {"status": q.status, **({} if q.request is None else {"requestId": q.request})}


def _limit(q: r.LimitTold, names: TxNames) -> Payload:
    place = {"evseId": q.connector} if q.connector else {}
    if q.limit_w is None:
        return {"chargingLimitSource": q.source, **place}
    schedule = {
        "id": 0,
        "startSchedule": format_utc(names.utc_ns(q.at)),
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": round(q.limit_w, 1)}],
    }
    return {"chargingLimit": {"chargingLimitSource": q.source}, "chargingSchedule": [schedule], **place}


def _paged(q: r.Paged, names: TxNames) -> Payload:
    payload: Payload = {**dict(q.head), "tbc": q.more}
    if q.action not in {"ReportChargingProfiles", "NotifyDisplayMessages"}:
        payload["seqNo"] = q.seq
    if q.at is not None:
        payload["generatedAt"] = format_utc(names.utc_ns(q.at))
    if q.field == "data":
        payload["data"] = "".join(str(row["text"]) for row in q.rows)
    elif q.rows:
        payload[q.field] = [dict(row) for row in q.rows]
    return payload


def authorize(q: r.Authorize) -> Payload:
    """Authorize; with a contract certificate's names for OCSP, and itself where the CSMS is to judge it (C07)."""
    payload: Payload = {"idToken": f.token(q.id_token, q.token_type)}
    if q.chain:
        payload["iso15118CertificateHashData"] = [common.ocsp_name(name) for name in q.chain]
    if q.certificate is not None:
        payload["certificate"] = q.certificate
    return payload


_Encoder = Callable[[Any, TxNames], Payload]

ENCODERS: dict[type, tuple[str, _Encoder]] = {
    r.Boot: ("BootNotification", _boot),
    r.Heartbeat: ("Heartbeat", lambda q, n: {}),
    r.StatusReport: ("StatusNotification", _status),
    r.Authorize: ("Authorize", lambda q, n: authorize(q)),
    r.AskStatus: ("GetCertificateStatus", lambda q, n: {"ocspRequestData": common.ocsp_name(q.name)}),
    r.MeterReport: ("MeterValues", lambda q, n: {"evseId": q.connector, "meterValue": meter_values((q.values,), n), **custom((q.values,))}),
    r.TxStarted: ("TransactionEvent", _started),
    r.TxMetered: ("TransactionEvent", _metered),
    r.TxEnded: ("TransactionEvent", _ended),
    r.SecurityEvent: ("SecurityEventNotification", common.security_event),
    r.SignCertificate: ("SignCertificate", lambda q, n: {"csr": q.csr, "certificateType": q.kind}),
    r.ReservationEnded: ("ReservationStatusUpdate", lambda q, n: {"reservationId": q.id, "reservationUpdateStatus": q.status}),
}
TRANSFER_ACTIONS = {
    "diagnostics": "LogStatusNotification",
    "log": "LogStatusNotification",
    "firmware": "FirmwareStatusNotification",
    "signed_firmware": "FirmwareStatusNotification",
}


def action_of(q: r.Request) -> str:
    """The action alone."""
    match q:
        case r.TransferStatus():
            return TRANSFER_ACTIONS[q.what]
        case r.Paged():
            return q.action
        case r.LimitTold():
            return "ClearedChargingLimit" if q.limit_w is None else "NotifyChargingLimit"
    return ENCODERS[type(q)][0]


def encode(q: r.Request, names: TxNames) -> tuple[str, Payload]:
    """The action and payload of one of our requests. Raises LookupError where it cannot be said in 2.0.1."""
    if isinstance(q, r.TxHealth):
        raise LookupError("2.0.1 tells the state of health within the transaction")
    encoder = {r.TransferStatus: _transfer, r.Paged: _paged, r.LimitTold: _limit}.get(type(q)) or ENCODERS[type(q)][1]
    payload: Payload = encoder(q, names)  # type: ignore[operator]
    if isinstance(q, r.MeterReport) and not payload["meterValue"]:
        raise LookupError("2.0.1 has no measurand for any of the values")
    return action_of(q), payload


REPLIES: dict[type, Callable[[Payload], r.Reply]] = {
    r.Boot: lambda p: r.BootReply(p["status"], common.current_time(p), p["interval"]),
    r.Heartbeat: lambda p: r.TimeReply(common.current_time(p)),
    r.Authorize: lambda p: replace(f.token_reply(p["idTokenInfo"]), certificate=p.get("certificateStatus")),
    r.AskStatus: lambda p: r.StatusReply(p.get("ocspResult") if p["status"] == "Accepted" else None),
    r.TxStarted: lambda p: r.StartedReply(None, f.token_reply(p.get("idTokenInfo"))),
    r.TxMetered: lambda p: replace(f.token_reply(p.get("idTokenInfo")), cost=p.get("totalCost")),
    r.TxEnded: lambda p: replace(f.token_reply(p.get("idTokenInfo")), cost=p.get("totalCost")),
    r.SignCertificate: lambda p: r.Judged(p["status"]),
}


def decode_reply(q: r.Request, payload: Payload) -> r.Reply:
    """What the CSMS answered, its payload already valid by schema."""
    decoder = REPLIES.get(type(q))
    return decoder(payload) if decoder else r.Done()
