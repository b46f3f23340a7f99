"""OCPP 2.0.1: answers -> CALLRESULT payloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from bessctl.protocols.ocpp.messages import answers as a
from bessctl.protocols.ocpp.messages import commands as c
from bessctl.protocols.ocpp.messages import common
from bessctl.protocols.ocpp.messages import device as d
from bessctl.protocols.ocpp.messages.frames import Payload
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.messages.v201 import fields as f

# Words of the station model that 1.6 shares and 2.0.1 calls otherwise.
STATUSES: dict[tuple[type, str], str] = {
    (c.Unlock, "NotSupported"): "UnknownConnector",
    (c.UpdateFirmware, "Invalid"): "InvalidCertificate",
    (c.CertificateSigned, "Failed"): "Rejected",
}
REASON = "Refused"


def _info(why: str) -> Payload:
    return {"statusInfo": {"reasonCode": REASON, "additionalInfo": why[:512]}} if why else {}


def _plain(command: object, answer: a.Answer) -> Payload:
    payload: Payload = {"status": STATUSES.get((type(command), answer.status), answer.status), **_info(answer.why)}
    if answer.tx is not None and isinstance(command, c.RemoteStart):
        payload["transactionId"] = answer.tx
    return payload


def _composite(answer: a.CompositeAnswer) -> Payload:
    if answer.periods is None:
        return {"status": "Rejected"}
    schedule = {
        "evseId": answer.connector,
        "duration": answer.duration_s,
        "scheduleStart": format_utc(answer.start_ns),
        "chargingRateUnit": answer.unit,
        "chargingSchedulePeriod": common.periods(answer.periods),
    }
    return {"status": "Accepted", "schedule": schedule}


def _log(answer: a.LogAnswer) -> Payload:
    return {"status": answer.status, **({} if answer.filename is None else {"filename": answer.filename})}


def _certificates(answer: a.CertificatesAnswer) -> Payload:
    if not answer.found:
        return {"status": "NotFound"}
    return {"status": "Accepted", "certificateHashDataChain": list(_chains(answer.found))}


def _chains(found: tuple[tuple[str, d.CertificateHash], ...]) -> Iterator[Payload]:
    """A root is an entry of its own; of a chain the first is, and those above it are in its entry (2.0.1 2.6: at most four)."""
    for kind, group in groupby(found, key=itemgetter(0)):
        hashes = [common.hash_data(h) for _, h in group]
        chained = kind == a.V2G_CHAIN
        for first in hashes[:1] if chained else hashes:
            above = {"childCertificateHashData": hashes[1:5]} if chained and len(hashes) > 1 else {}
            yield {"certificateType": kind, "certificateHashData": first, **above}


def _tx_status(answer: a.TxStatusAnswer) -> Payload:
    ongoing = {} if answer.ongoing is None else {"ongoingIndicator": answer.ongoing}
    return {"messagesInQueue": answer.waiting, **ongoing}


def _got(row: d.Row) -> Payload:
    assert row.place is not None
    value = {} if row.value is None else {"attributeValue": row.value}
    return {"attributeStatus": row.status, "attributeType": row.attribute, **value, **f.place(row.place)}


def _set(row: d.Row) -> Payload:
    assert row.place is not None
    told = {"attributeStatusInfo": {"reasonCode": REASON, "additionalInfo": row.why[:512]}} if row.why else {}
    return {"attributeStatus": row.status, "attributeType": row.attribute, **told, **f.place(row.place)}


def _monitored(row: d.Row) -> Payload:
    assert row.place is not None
    ident = {} if row.id is None else {"id": row.id}
    return {"status": row.status, "type": row.attribute, "severity": row.severity, **ident, **f.place(row.place)}


ROWS: dict[type, tuple[str, Callable[[d.Row], Payload]]] = {
    d.GetVariables: ("getVariableResult", _got),
    d.SetVariables: ("setVariableResult", _set),
    d.SetMonitors: ("setMonitoringResult", _monitored),
    d.ClearMonitors: ("clearMonitoringResult", lambda row: {"status": row.status, "id": row.id}),
}
ENCODERS: dict[type, Callable[[Any], Payload]] = {
    a.CompositeAnswer: _composite,
    a.LogAnswer: _log,
    a.CertificatesAnswer: _certificates,
    a.TxStatusAnswer: _tx_status,
    a.VersionAnswer: lambda answer: {"versionNumber": max(0, answer.version)},
}


def encode(command: object, answer: a.AnyAnswer) -> Payload:
    """An answer as a CALLRESULT payload."""
    if isinstance(command, c.CostUpdated):
        return {}
    if isinstance(answer, d.RowsAnswer):
        name, one = ROWS[type(command)]
        return {name: [one(row) for row in answer.rows]}
    if isinstance(answer, a.DataAnswer):
        return {"status": answer.status, **({} if answer.data is None else {"data": answer.data})}
    if isinstance(answer, a.Answer):
        return _plain(command, answer)
    return ENCODERS[type(answer)](answer)
