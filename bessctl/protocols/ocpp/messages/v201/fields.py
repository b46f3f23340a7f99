"""OCPP 2.0.1: the types that several messages share, wire <-> station model. Section numbers are those of part 2."""

from __future__ import annotations

from typing import Any

from bessctl.protocols.ocpp.messages import common
from bessctl.protocols.ocpp.messages import profile as pr
from bessctl.protocols.ocpp.messages.commands import CallRefused
from bessctl.protocols.ocpp.messages.common import time_ns
from bessctl.protocols.ocpp.messages.device import Component, Place
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.records import TokenReply
from bessctl.protocols.ocpp.messages.timestamps import format_utc

PURPOSES = {
    "ChargingStationMaxProfile": pr.Purpose.STATION_MAX,
    "TxDefaultProfile": pr.Purpose.TX_DEFAULT,
    "TxProfile": pr.Purpose.TX,
    "ChargingStationExternalConstraints": pr.Purpose.EXTERNAL,
}
PURPOSE_NAMES = {purpose: name for name, purpose in PURPOSES.items()}
RECURRENCE_NAMES = {seconds: name for name, seconds in common.RECURRENCE_S.items()}


def evse(number: int) -> Payload:
    """An EVSE has exactly connector 1 (settled question 2)."""
    return {"id": number, "connectorId": 1}


def connector(payload: Payload) -> int | None:
    """The EVSE a message means; None = the station. One whose connector is not 1 is no EVSE of ours."""
    given = payload.get("evse")
    if given is None:
        return None
    return -1 if given.get("connectorId", 1) != 1 else int(given["id"])


def token(text: str, kind: str) -> Payload:
    """An IdToken."""
    return {"idToken": text, "type": kind}


def group(info: Payload) -> str | None:
    """The group of an IdTokenInfo."""
    given = info.get("groupIdToken")
    return None if given is None else str(given["idToken"])


def token_reply(info: Payload | None) -> TokenReply:
    """An IdTokenInfo; None where nothing was said."""
    if info is None:
        return TokenReply(None)
    return TokenReply(info["status"], group(info), time_ns(info, "cacheExpiryDateTime"))


def component_of(payload: Payload) -> Component:
    """A Component as named by the CSMS."""
    place = payload.get("evse") or {}
    return Component(payload["name"], payload.get("instance"), place.get("id"), place.get("connectorId"))


def place_of(payload: Payload) -> Place:
    """Component and Variable."""
    variable = payload["variable"]
    return Place(component_of(payload["component"]), variable["name"], variable.get("instance"))


def component(c: Component) -> Payload:
    """A Component."""
    payload: Payload = {"name": c.name}
    if c.instance is not None:
        payload["instance"] = c.instance
    if c.evse is not None:
        payload["evse"] = {"id": c.evse} if c.connector is None else {"id": c.evse, "connectorId": c.connector}
    return payload


def place(p: Place) -> Payload:
    """Component and Variable, to be merged into a message."""
    variable: Payload = {"name": p.variable}
    if p.instance is not None:
        variable["instance"] = p.instance
    return {"component": component(p.component), "variable": variable}


def profile(payload: Payload, path: str) -> pr.Profile:
    """A ChargingProfile (2.10). Several schedules are ISO 15118's choice for a car; a plant has none to offer them to."""
    schedules = payload["chargingSchedule"]
    if len(schedules) > 1:
        where = f"{path}.chargingSchedule"
        raise CallRefused("PropertyConstraintViolation", where, f"{where}: one schedule is taken, there is no car to choose among several")
    return common.profile(payload, path, "id", schedules[0], PURPOSES)


def profile_payload(p: pr.Profile) -> Payload:
    """A ChargingProfile as it is reported back."""
    schedule: Payload = {"id": p.id, "chargingRateUnit": p.schedule.unit, "chargingSchedulePeriod": common.periods(p.schedule.periods)}
    optional: tuple[tuple[Payload, str, Any], ...] = (
        (schedule, "startSchedule", None if p.schedule.start_ns is None else format_utc(p.schedule.start_ns)),
        (schedule, "duration", p.schedule.duration_s),
        (schedule, "minChargingRate", p.schedule.min_rate),
    )
    payload: Payload = {
        "id": p.id,
        "stackLevel": p.stack,
        "chargingProfilePurpose": PURPOSE_NAMES[p.purpose],
        "chargingProfileKind": p.kind.value.capitalize(),
        "chargingSchedule": [schedule],
    }
    optional += (
        (payload, "recurrencyKind", RECURRENCE_NAMES.get(p.every_s or 0)),
        (payload, "validFrom", None if p.valid_from_ns is None else format_utc(p.valid_from_ns)),
        (payload, "validTo", None if p.valid_to_ns is None else format_utc(p.valid_to_ns)),
        (payload, "transactionId", p.tx),
    )
    for target, name, value in optional:
        if value is not None:
            target[name] = value
    return payload
