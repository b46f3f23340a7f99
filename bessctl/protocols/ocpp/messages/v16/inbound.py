"""OCPP 1.6: CSMS's CALL payloads -> commands, answers -> CALLRESULT payloads. Section numbers are those of OCPP 1.6 edition 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bessctl.protocols.ocpp.messages import answers as a
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import common
from bessctl.protocols.ocpp.messages import profile as pr
from bessctl.protocols.ocpp.messages.common import time_ns
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.messages.v16 import pnc

PURPOSES = {
    "ChargePointMaxProfile": pr.Purpose.STATION_MAX,
    "TxDefaultProfile": pr.Purpose.TX_DEFAULT,
    "TxProfile": pr.Purpose.TX,
}


def profile(payload: Payload, path: str) -> pr.Profile:
    """A ChargingProfile (7.8)."""
    return common.profile(payload, path, "chargingProfileId", payload["chargingSchedule"], PURPOSES)


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
    return c.ListEntry(p[name], info["status"], info.get("parentIdTag"), time_ns(info, "expiryDate", "idTagInfo"))


def _list(p: Payload) -> c.SendList:
    entries = tuple(_info(e, "idTag") for e in p.get("localAuthorizationList", ()))
    return c.SendList(p["listVersion"], p["updateType"] == "Full", entries)


def _diagnostics(p: Payload) -> c.GetLog:
    start, stop = time_ns(p, "startTime"), time_ns(p, "stopTime")
    return c.GetLog("diagnostics", p["location"], None, start, stop, 1 + p.get("retries", 0), p.get("retryInterval", 0))


def _log(p: Payload) -> c.GetLog:
    log = p["log"]
    oldest, latest = time_ns(log, "oldestTimestamp", "log"), time_ns(log, "latestTimestamp", "log")
    return c.GetLog(p["logType"], log["remoteLocation"], p["requestId"], oldest, latest, 1 + p.get("retries", 0), p.get("retryInterval", 0))


def _firmware(p: Payload) -> c.UpdateFirmware:
    when = time_ns(p, "retrieveDate") or 0
    return c.UpdateFirmware(p["location"], when, attempts=1 + p.get("retries", 0), interval_s=p.get("retryInterval", 0))


def _signed_firmware(p: Payload) -> c.UpdateFirmware:
    firmware = p["firmware"]
    return c.UpdateFirmware(
        firmware["location"],
        time_ns(firmware, "retrieveDateTime", "firmware") or 0,
        p["requestId"],
        time_ns(firmware, "installDateTime", "firmware"),
        firmware["signingCertificate"],
        firmware["signature"],
        1 + p.get("retries", 0),
        p.get("retryInterval", 0),
    )


# The whitepaper's names of certificate kinds and messages, in the words of 2.0.1.
KINDS = {"CentralSystemRootCertificate": "CSMSRootCertificate", "ManufacturerRootCertificate": "ManufacturerRootCertificate"}
KIND_NAMES = {kind: name for name, kind in KINDS.items()}
TRIGGERS = {"SignChargePointCertificate": "SignChargingStationCertificate"}


def _reserve(p: Payload) -> c.Reserve:
    return c.Reserve(p["reservationId"], p["connectorId"], p["idTag"], time_ns(p, "expiryDate") or 0, p.get("parentIdTag"))


def _data_transfer(p: Payload) -> c.Command:
    if p["vendorId"] == pnc.VENDOR:
        return pnc.decode(p.get("messageId", ""), p.get("data", ""))
    return c.DataTransfer(p["vendorId"], p.get("messageId", ""), p.get("data", ""))


DECODERS: dict[str, Callable[[Payload], c.Command]] = {
    "CancelReservation": lambda p: c.CancelReservation(p["reservationId"]),
    "CertificateSigned": lambda p: c.CertificateSigned(p["certificateChain"]),
    "DeleteCertificate": lambda p: c.DeleteCertificate(common.certificate_hash(p["certificateHashData"])),
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
    "DataTransfer": _data_transfer,
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
            "chargingSchedulePeriod": common.periods(answer.periods),
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
    return {"status": "Accepted", "certificateHashData": [common.hash_data(h) for _, h in answer.found]}


def _plain(command: object, answer: a.Answer) -> Payload:
    return {"status": STATUSES.get((type(command), answer.status), answer.status)}


def _data(command: object, answer: a.DataAnswer) -> Payload:
    return {"status": answer.status, **({} if answer.data is None else {"data": answer.data})}


ENCODERS: dict[type, Callable[[Any, Any], Payload]] = {
    a.Answer: _plain,
    a.DataAnswer: _data,
    a.EnvelopedAnswer: pnc.encode_answer,
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
