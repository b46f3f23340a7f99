"""OCPP 2.0.1: CSMS's CALL payloads -> commands. The payloads have passed their schemas. Use cases are those of part 2."""

from __future__ import annotations

from collections.abc import Callable

from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import device as d
from bessctl.protocols.ocpp.messages.common import certificate_hash, time_ns
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.v201 import fields as f

ANY_ATTRIBUTE = "Actual"
NO_CAR = "a battery plant has no car behind its connectors"


def _start(p: Payload) -> c.RemoteStart:
    token, inner = p["idToken"], p.get("chargingProfile")
    return c.RemoteStart(
        token["idToken"],
        p.get("evseId"),
        None if inner is None else f.profile(inner, "chargingProfile"),
        token["type"],
        p["remoteStartId"],
        f.group(p),
    )


def _clear_profiles(p: Payload) -> c.ClearProfiles:
    by = p.get("chargingProfileCriteria", {})
    purpose = by.get("chargingProfilePurpose")
    return c.ClearProfiles(p.get("chargingProfileId"), by.get("evseId"), f.PURPOSES[purpose] if purpose else None, by.get("stackLevel"))


def _get_profiles(p: Payload) -> c.GetProfiles:
    by = p["chargingProfile"]
    purpose = by.get("chargingProfilePurpose")
    return c.GetProfiles(
        p["requestId"],
        p.get("evseId"),
        tuple(by.get("chargingProfileId", ())),
        f.PURPOSES[purpose] if purpose else None,
        by.get("stackLevel"),
        tuple(by.get("chargingLimitSource", ())),
    )


def _entry(p: Payload) -> c.ListEntry:
    info = p.get("idTokenInfo")
    if info is None:
        return c.ListEntry(p["idToken"]["idToken"])
    reply = f.token_reply(info)
    return c.ListEntry(p["idToken"]["idToken"], reply.status, reply.parent, reply.expires_ns)


def _wanted(p: Payload) -> tuple[d.Wanted, ...]:
    found = []
    for item in p.get("componentVariable", ()):
        variable = item.get("variable") or {}
        found.append(d.Wanted(f.component_of(item["component"]), variable.get("name"), variable.get("instance")))
    return tuple(found)


def _log(p: Payload) -> c.GetLog:
    log = p["log"]
    return c.GetLog(
        p["logType"],
        log["remoteLocation"],
        p["requestId"],
        time_ns(log, "oldestTimestamp", "log"),
        time_ns(log, "latestTimestamp", "log"),
        1 + p.get("retries", 0),
        p.get("retryInterval", 0),
    )


def _firmware(p: Payload) -> c.UpdateFirmware:
    firmware = p["firmware"]
    return c.UpdateFirmware(
        firmware["location"],
        time_ns(firmware, "retrieveDateTime", "firmware") or 0,
        p["requestId"],
        time_ns(firmware, "installDateTime", "firmware"),
        firmware.get("signingCertificate"),
        firmware.get("signature"),
        1 + p.get("retries", 0),
        p.get("retryInterval", 0),
    )


def _network(p: Payload) -> c.SetNetwork:
    data = p["connectionData"]
    return c.SetNetwork(
        p["configurationSlot"],
        data["ocppCsmsUrl"],
        data["securityProfile"],
        {"OCPP16": "1.6", "OCPP20": "2.0.1"}.get(data["ocppVersion"], "") if data["ocppTransport"] == "JSON" else "",
        data["messageTimeout"],
        "vpn" in data or "apn" in data,
    )


def _customer(p: Payload) -> c.CustomerInformation:
    token = p.get("idToken")
    return c.CustomerInformation(
        p["requestId"],
        p["report"],
        p["clear"],
        None if token is None else token["idToken"],
        p.get("customerIdentifier"),
        "customerCertificate" in p,
    )


def _display(p: Payload) -> d.SetDisplay:
    m = p["message"]
    text = m["message"]
    start, end = time_ns(m, "startDateTime", "message"), time_ns(m, "endDateTime", "message")
    return d.SetDisplay(
        d.DisplayMessage(
            m["id"],
            m["priority"],
            text["content"],
            text["format"],
            text.get("language"),
            m.get("state"),
            start,
            end,
            m.get("transactionId"),
        )
    )


def _monitor(p: Payload) -> d.MonitorWish:
    return d.MonitorWish(f.place_of(p), p["type"], float(p["value"]), p["severity"], p.get("id"), p.get("transaction", False))


def _trigger(p: Payload) -> c.Trigger:
    """A status is a connector's: an EVSE alone names none (F06.FR.12)."""
    message, named = p["requestedMessage"], "connectorId" in p.get("evse", {})
    return c.Trigger(message, f.connector(p) if named or message != "StatusNotification" else None)


DECODERS: dict[str, Callable[[Payload], c.Command]] = {
    "CancelReservation": lambda p: c.CancelReservation(p["reservationId"]),
    "CertificateSigned": lambda p: c.CertificateSigned(p["certificateChain"], p.get("certificateType", "ChargingStationCertificate")),
    "ChangeAvailability": lambda p: c.ChangeAvailability(f.connector(p) or 0, p["operationalStatus"] == "Operative"),
    "ClearCache": lambda p: c.ClearCache(),
    "ClearChargingProfile": _clear_profiles,
    "ClearDisplayMessage": lambda p: d.ClearDisplay(p["id"]),
    "ClearVariableMonitoring": lambda p: d.ClearMonitors(tuple(p["id"])),
    "CostUpdated": lambda p: c.CostUpdated(p["transactionId"], float(p["totalCost"])),
    "CustomerInformation": _customer,
    "DataTransfer": lambda p: c.DataTransfer(p["vendorId"], p.get("messageId", ""), str(p.get("data", ""))),
    "DeleteCertificate": lambda p: c.DeleteCertificate(certificate_hash(p["certificateHashData"])),
    "GetBaseReport": lambda p: d.GetBaseReport(p["requestId"], p["reportBase"]),
    "GetChargingProfiles": _get_profiles,
    "GetCompositeSchedule": lambda p: c.GetComposite(p["evseId"], p["duration"], p.get("chargingRateUnit")),
    "GetDisplayMessages": lambda p: d.GetDisplays(p["requestId"], tuple(p.get("id", ())), p.get("priority"), p.get("state")),
    "GetInstalledCertificateIds": lambda p: c.GetCertificates(tuple(p.get("certificateType", ()))),
    "GetLocalListVersion": lambda p: c.GetListVersion(),
    "GetLog": _log,
    "GetMonitoringReport": lambda p: d.GetMonitors(p["requestId"], tuple(p.get("monitoringCriteria", ())), _wanted(p)),
    "GetReport": lambda p: d.GetReport(p["requestId"], tuple(p.get("componentCriteria", ())), _wanted(p)),
    "GetTransactionStatus": lambda p: c.GetTxStatus(p.get("transactionId")),
    "GetVariables": lambda p: d.GetVariables(tuple((f.place_of(i), i.get("attributeType", ANY_ATTRIBUTE)) for i in p["getVariableData"])),
    "InstallCertificate": lambda p: c.InstallCertificate(p["certificateType"], p["certificate"]),
    "PublishFirmware": lambda p: c.Unserved("Rejected", "no other stations are behind this one to publish firmware to"),
    "RequestStartTransaction": _start,
    "RequestStopTransaction": lambda p: c.RemoteStop(p["transactionId"]),
    "ReserveNow": lambda p: c.Reserve(p["id"], p.get("evseId"), p["idToken"]["idToken"], time_ns(p, "expiryDateTime") or 0, f.group(p)),
    "Reset": lambda p: c.Reset(p["type"] == "Immediate", p["type"] == "OnIdle", p.get("evseId")),
    "SendLocalList": lambda p: c.SendList(
        p["versionNumber"], p["updateType"] == "Full", tuple(_entry(e) for e in p.get("localAuthorizationList", ()))
    ),
    "SetChargingProfile": lambda p: c.SetProfile(p["evseId"], f.profile(p["chargingProfile"], "chargingProfile")),
    "SetDisplayMessage": _display,
    "SetMonitoringBase": lambda p: d.MonitoringBase(p["monitoringBase"]),
    "SetMonitoringLevel": lambda p: d.MonitoringLevel(p["severity"]),
    "SetNetworkProfile": _network,
    "SetVariableMonitoring": lambda p: d.SetMonitors(tuple(_monitor(i) for i in p["setMonitoringData"])),
    "SetVariables": lambda p: d.SetVariables(
        tuple((f.place_of(i), i.get("attributeType", ANY_ATTRIBUTE), i["attributeValue"]) for i in p["setVariableData"])
    ),
    "TriggerMessage": _trigger,
    "UnlockConnector": lambda p: c.Unlock(p["evseId"] if p["connectorId"] == 1 else -1),
    "UnpublishFirmware": lambda p: c.Unserved("NoFirmware", ""),
    "UpdateFirmware": _firmware,
}
