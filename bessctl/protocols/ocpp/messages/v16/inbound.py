"""OCPP 1.6: CSMS's CALL payloads -> commands, answers -> CALLRESULT payloads. Section numbers are those of OCPP 1.6 edition 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages.commands import CallRefused
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc, parse_utc

DAY_S = 86_400
PURPOSES = {
    "ChargePointMaxProfile": c.Purpose.STATION_MAX,
    "TxDefaultProfile": c.Purpose.TX_DEFAULT,
    "TxProfile": c.Purpose.TX,
}
RECURRENCE_S = {"Daily": DAY_S, "Weekly": 7 * DAY_S}


def _time(payload: Payload, name: str, path: str) -> int | None:
    text = payload.get(name)
    if text is None:
        return None
    try:
        return parse_utc(text)
    except ValueError as e:
        raise CallRefused("PropertyConstraintViolation", f"{path}.{name}", f"{path}.{name}: {e}") from e


def profile(payload: Payload, path: str) -> c.Profile:
    """A ChargingProfile (7.8)."""
    schedule = payload["chargingSchedule"]
    tx = payload.get("transactionId")
    return c.Profile(
        id=payload["chargingProfileId"],
        stack=payload["stackLevel"],
        purpose=PURPOSES[payload["chargingProfilePurpose"]],
        kind=c.Kind(payload["chargingProfileKind"].lower()),
        schedule=c.Schedule(
            unit=schedule["chargingRateUnit"],
            periods=tuple(c.Period(p["startPeriod"], float(p["limit"]), p.get("numberPhases")) for p in schedule["chargingSchedulePeriod"]),
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


DECODERS: dict[str, Callable[[Payload], c.Command]] = {
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


def _keys(answer: c.KeysAnswer) -> Payload:
    known = [{"key": k.key, "readonly": k.readonly, **({} if k.value is None else {"value": k.value})} for k in answer.known]
    payload: Payload = {"configurationKey": known}
    if answer.unknown:
        payload["unknownKey"] = list(answer.unknown)
    return payload


def _period(p: c.Period) -> dict[str, Any]:
    phases = {} if p.phases is None else {"numberPhases": p.phases}
    return {"startPeriod": p.start_s, "limit": round(p.limit, 1), **phases}


def _composite(answer: c.CompositeAnswer) -> Payload:
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


def encode_answer(answer: c.AnyAnswer) -> Payload:
    """An answer as a CALLRESULT payload."""
    if isinstance(answer, c.KeysAnswer):
        return _keys(answer)
    if isinstance(answer, c.CompositeAnswer):
        return _composite(answer)
    if isinstance(answer, c.DataAnswer) and answer.data is not None:
        return {"status": answer.status, "data": answer.data}
    return {"status": answer.status}
