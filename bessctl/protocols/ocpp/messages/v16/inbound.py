"""OCPP 1.6: CSMS's CALL payloads -> commands, answers -> CALLRESULT payloads. Section numbers are those of OCPP 1.6 edition 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bessctl.protocols.ocpp.messages import answers as a
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import profile as pr
from bessctl.protocols.ocpp.messages.commands import CallRefused
from bessctl.protocols.ocpp.messages.device import CertificateHash
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc, parse_utc

DAY_S = 86_400
PURPOSES = {
    "ChargePointMaxProfile": pr.Purpose.STATION_MAX,
    "TxDefaultProfile": pr.Purpose.TX_DEFAULT,
    "TxProfile": pr.Purpose.TX,
}
RECURRENCE_S = {"Daily": DAY_S, "Weekly": 7 * DAY_S}


def _time(payload: Payload, name: str, path: str) -> int | None:
    text = payload.get(name)
    if text is None:
        return None
    try:
        return parse_utc(text)
    except ValueError as e:
        raise CallRefused("PropertyConstraintViolation", f"{path}.{name}".lstrip("."), f"{path}.{name}: {e}".lstrip(".")) from e


def profile(payload: Payload, path: str) -> pr.Profile:
    """A ChargingProfile (7.8)."""
    schedule = payload["chargingSchedule"]
    tx = payload.get("transactionId")
    return pr.Profile(
        id=payload["chargingProfileId"],
        stack=payload["stackLevel"],
        purpose=PURPOSES[payload["chargingProfilePurpose"]],
        kind=pr.Kind(payload["chargingProfileKind"].lower()),
        schedule=pr.Schedule(
            unit=schedule["chargingRateUnit"],
            periods=tuple(
                pr.Period(p["startPeriod"], float(p["limit"]), p.get("numberPhases")) for p in schedule["chargingSchedulePeriod"]
            ),
            start_ns=_time(schedule, "startSchedule", f"{path}.chargingSchedule"),
            duration_s=schedule.get("duration"),
            min_rate=schedule.get("minChargingRate"),
        ),
        every_s=RECURRENCE_S.get(payload.get("recurrencyKind", "")),
        valid_from_ns=_time(payload, "validFrom", path),
        valid_to_ns=_time(payload, "validTo", path),
        tx=None if tx is None else str(tx),
    )


def _remote_start(p: Payload) -> c.RemoteStart:
    inner = p.get("chargingProfile")
    return c.RemoteStart(p["idTag"], p.get("connectorId"), None if inner is None else profile(inner, "chargingProfile"))


def _clear_profiles(p: Payload) -> c.ClearProfiles:
    purpose = p.get("chargingProfilePurpose")
    return c.ClearProfiles(p.get("id"), p.get("connectorId"), PURPOSES[purpose] if purpose else None, p.get("stackLevel"))


def _info(p: Payload, name: str) -> c.ListEntry:
    info = p.get("idTagInfo")
    if info is None:
        return c.ListEntry(p[name])
    return c.ListEntry(p[name], info["status"], info.get("parentIdTag"), _time(info, "expiryDate", "idTagInfo"))


def _list(p: Payload) -> c.SendList:
    entries = tuple(_info(e, "idTag") for e in p.get("localAuthorizationList", ()))
    return c.SendList(p["listVersion"], p["updateType"] == "Full", entries)


def _diagnostics(p: Payload) -> c.GetLog:
    start, stop = _time(p, "startTime", ""), _time(p, "stopTime", "")
    return c.GetLog("diagnostics", p["location"], None, start, stop, 1 + p.get("retries", 0), p.get("retryInterval", 0))


def _log(p: Payload) -> c.GetLog:
    log = p["log"]
    oldest, latest = _time(log, "oldestTimestamp", "log"), _time(log, "latestTimestamp", "log")
    return c.GetLog(p["logType"], log["remoteLocation"], p["requestId"], oldest, latest, 1 + p.get("retries", 0), p.get("retryInterval", 0))


def _firmware(p: Payload) -> c.UpdateFirmware:
    when = _time(p, "retrieveDate", "") or 0
    return c.UpdateFirmware(p["location"], when, attempts=1 + p.get("retries", 0), interval_s=p.get("retryInterval", 0))


def _signed_firmware(p: Payload) -> c.UpdateFirmware:
    firmware = p["firmware"]
    return c.UpdateFirmware(
        firmware["location"],
        _time(firmware, "retrieveDateTime", "firmware") or 0,
        p["requestId"],
        _time(firmware, "installDateTime", "firmware"),
        firmware["signingCertificate"],
        firmware["signature"],
        1 + p.get("retries", 0),
        p.get("retryInterval", 0),
    )


# The whitepaper's names of certificate kinds and messages, in the words of 2.0.1.
KINDS = {"CentralSystemRootCertificate": "CSMSRootCertificate", "ManufacturerRootCertificate": "ManufacturerRootCertificate"}
KIND_NAMES = {kind: name for name, kind in KINDS.items()}
TRIGGERS = {"SignChargePointCertificate": "SignChargingStationCertificate"}


def _hash(p: Payload) -> CertificateHash:
    return CertificateHash(p["hashAlgorithm"], p["issuerNameHash"].lower(), p["issuerKeyHash"].lower(), p["serialNumber"].lower())


def _reserve(p: Payload) -> c.Reserve:
    return c.Reserve(p["reservationId"], p["connectorId"], p["idTag"], _time(p, "expiryDate", "") or 0, p.get("parentIdTag"))


DECODERS: dict[str, Callable[[Payload], c.Command]] = {
    "CancelReservation": lambda p: c.CancelReservation(p["reservationId"]),
    "CertificateSigned": lambda p: c.CertificateSigned(p["certificateChain"]),
    "DeleteCertificate": lambda p: c.DeleteCertificate(_hash(p["certificateHashData"])),
    "ExtendedTriggerMessage": lambda p: c.Trigger(
        str(TRIGGERS.get(p["requestedMessage"], p["requestedMessage"])), p.get("connectorId"), extended=True
    ),
    "GetDiagnostics": _diagnostics,
    "GetInstalledCertificateIds": lambda p: c.GetCertificates((KINDS[p["certificateType"]],)),
    "GetLocalListVersion": lambda p: c.GetListVersion(),
    "GetLog": _log,
    "InstallCertificate": lambda p: c.InstallCertificate(KINDS[p["certificateType"]], p["certificate"]),
    "ReserveNow": _reserve,
    "SendLocalList": _list,
    "SignedUpdateFirmware": _signed_firmware,
    "UpdateFirmware": _firmware,
    "ChangeAvailability": lambda p: c.ChangeAvailability(p["connectorId"], p["type"] == "Operative"),
    "ChangeConfiguration": lambda p: c.ChangeKey(p["key"], p["value"]),
    "ClearCache": lambda p: c.ClearCache(),
    "ClearChargingProfile": _clear_profiles,
    "DataTransfer": lambda p: c.DataTransfer(p["vendorId"], p.get("messageId", ""), p.get("data", "")),
    "GetCompositeSchedule": lambda p: c.GetComposite(p["connectorId"], p["duration"], p.get("chargingRateUnit")),
    "GetConfiguration": lambda p: c.GetKeys(tuple(p.get("key", ()))),
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": lambda p: c.RemoteStop(str(p["transactionId"])),
    "Reset": lambda p: c.Reset(p["type"] == "Hard"),
    "SetChargingProfile": lambda p: c.SetProfile(p["connectorId"], profile(p["csChargingProfiles"], "csChargingProfiles")),
    "TriggerMessage": lambda p: c.Trigger(p["requestedMessage"], p.get("connectorId")),
    "UnlockConnector": lambda p: c.Unlock(p["connectorId"]),
}


def _keys(answer: a.KeysAnswer) -> Payload:
    known = [{"key": k.key, "readonly": k.readonly, **({} if k.value is None else {"value": k.value})} for k in answer.known]
    payload: Payload = {"configurationKey": known}
    if answer.unknown:
        payload["unknownKey"] = list(answer.unknown)
    return payload


def _period(p: pr.Period) -> dict[str, Any]:
    phases = {} if p.phases is None else {"numberPhases": p.phases}
    return {"startPeriod": p.start_s, "limit": round(p.limit, 1), **phases}


def _composite(answer: a.CompositeAnswer) -> Payload:
    if answer.periods is None:
        return {"status": "Rejected"}
    return {
        "status": "Accepted",
        "connectorId": answer.connector,
        "scheduleStart": format_utc(answer.start_ns),
        "chargingSchedule": {
            "duration": answer.duration_s,
            "startSchedule": format_utc(answer.start_ns),
            "chargingRateUnit": answer.unit,
            "chargingSchedulePeriod": [_period(p) for p in answer.periods],
        },
    }


def _log_answer(command: object, answer: a.LogAnswer) -> Payload:
    # GetDiagnostics has no status: no name of a file = there is nothing to upload (5.9).
    status = {} if isinstance(command, c.GetLog) and command.what == "diagnostics" else {"status": answer.status}
    name = "fileName" if not status else "filename"
    return {**status, **({} if answer.filename is None else {name: answer.filename})}


def _certificates(answer: a.CertificatesAnswer) -> Payload:
    if not answer.found:
        return {"status": "NotFound"}
    hashes = [
        {"hashAlgorithm": h.algorithm, "issuerNameHash": h.issuer_name, "issuerKeyHash": h.issuer_key, "serialNumber": h.serial}
        for _, h in answer.found
    ]
    return {"status": "Accepted", "certificateHashData": hashes}


def _plain(command: object, answer: a.Answer) -> Payload:
    return {"status": STATUSES.get((type(command), answer.status), answer.status)}


def _data(command: object, answer: a.DataAnswer) -> Payload:
    return {"status": answer.status, **({} if answer.data is None else {"data": answer.data})}


ENCODERS: dict[type, Callable[[Any, Any], Payload]] = {
    a.Answer: _plain,
    a.DataAnswer: _data,
    a.KeysAnswer: lambda command, answer: _keys(answer),
    a.CompositeAnswer: lambda command, answer: _composite(answer),
    a.VersionAnswer: lambda command, answer: {"listVersion": answer.version},
    a.LogAnswer: _log_answer,
    a.CertificatesAnswer: lambda command, answer: _certificates(answer),
}


def encode_answer(command: object, answer: a.AnyAnswer) -> Payload:
    """An answer as a CALLRESULT payload. UpdateFirmware's is empty (6.54)."""
    if isinstance(command, c.UpdateFirmware) and command.signature is None:
        return {}
    return ENCODERS[type(answer)](command, answer)


# Where 1.6 calls a thing otherwise than 2.0.1.
STATUSES: dict[tuple[type, str], str] = {
    (c.UpdateFirmware, "Invalid"): "InvalidCertificate",
    (c.CertificateSigned, "Failed"): "Rejected",
}
