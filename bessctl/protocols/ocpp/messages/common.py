"""What both versions write alike: date-times, charging schedules, certificate hashes, security events. Each dialect names the rest."""

from __future__ import annotations

from typing import Any

from bessctl.protocols.ocpp.messages import profile as pr
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages.commands import CallRefused
from bessctl.protocols.ocpp.messages.device import CertificateHash, OcspName
from bessctl.protocols.ocpp.messages.dialect import BadReply, TxNames
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc, parse_utc

DAY_S = 86_400
RECURRENCE_S = {"Daily": DAY_S, "Weekly": 7 * DAY_S}


def time_ns(payload: Payload, name: str, path: str = "") -> int | None:
    """A date-time field, UTC ns; None where it is absent. Raises CallRefused, naming the field."""
    text = payload.get(name)
    if text is None:
        return None
    try:
        return parse_utc(text)
    except ValueError as e:
        field = f"{path}.{name}" if path else name
        raise CallRefused("PropertyConstraintViolation", field, f"{field} is no date-time") from e


def current_time(payload: Payload) -> int:
    """The CSMS's time in its answer. Raises BadReply."""
    try:
        return parse_utc(payload["currentTime"])
    except ValueError as e:
        raise BadReply("currentTime is no date-time") from e


def profile(payload: Payload, path: str, ident: str, schedule: Payload, purposes: dict[str, pr.Purpose]) -> pr.Profile:
    """A ChargingProfile (1.6 7.8, 2.0.1 2.10). `ident` is the version's name of its number, `schedule` its only schedule."""
    tx = payload.get("transactionId")
    return pr.Profile(
        id=payload[ident],
        stack=payload["stackLevel"],
        purpose=purposes[payload["chargingProfilePurpose"]],
        kind=pr.Kind(payload["chargingProfileKind"].lower()),
        schedule=pr.Schedule(
            unit=schedule["chargingRateUnit"],
            periods=tuple(
                pr.Period(p["startPeriod"], float(p["limit"]), p.get("numberPhases"), p.get("phaseToUse"))
                for p in schedule["chargingSchedulePeriod"]
            ),
            start_ns=time_ns(schedule, "startSchedule", f"{path}.chargingSchedule"),
            duration_s=schedule.get("duration"),
            min_rate=schedule.get("minChargingRate"),
        ),
        every_s=RECURRENCE_S.get(payload.get("recurrencyKind", "")),
        valid_from_ns=time_ns(payload, "validFrom", path),
        valid_to_ns=time_ns(payload, "validTo", path),
        tx=None if tx is None else str(tx),
    )


def periods(found: tuple[pr.Period, ...]) -> list[dict[str, Any]]:
    """ChargingSchedulePeriods; limits have one decimal."""
    return [
        {"startPeriod": p.start_s, "limit": round(p.limit, 1), **({} if p.phases is None else {"numberPhases": p.phases})} for p in found
    ]


def certificate_hash(payload: Payload) -> CertificateHash:
    """CertificateHashData."""
    return CertificateHash(
        payload["hashAlgorithm"], payload["issuerNameHash"].lower(), payload["issuerKeyHash"].lower(), payload["serialNumber"].lower()
    )


def hash_data(h: CertificateHash) -> Payload:
    """CertificateHashData."""
    return {"hashAlgorithm": h.algorithm, "issuerNameHash": h.issuer_name, "issuerKeyHash": h.issuer_key, "serialNumber": h.serial}


def ocsp_name(name: OcspName) -> Payload:
    """OCSPRequestData."""
    return {**hash_data(name.hash), "responderURL": name.responder}


def security_event(q: r.SecurityEvent, names: TxNames) -> Payload:
    """SecurityEventNotification."""
    return {"type": q.kind, "timestamp": format_utc(names.utc_ns(q.at)), **({"techInfo": q.info[:255]} if q.info else {})}
