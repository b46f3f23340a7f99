"""OCPP 1.6 on the wire: error codes, every action of the standard, and our own payloads under the package's schemas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import records as r
from bessctl.protocols.ocpp.messages import schemas
from bessctl.protocols.ocpp.messages.stored import to_text, tx_record
from bessctl.protocols.ocpp.messages.timestamps import format_utc, parse_utc
from bessctl.protocols.ocpp.messages.v16 import outbound
from bessctl.protocols.ocpp.messages.v16.dialect import Dialect16
from bessctl.protocols.ocpp.messages.v16.inbound import DECODERS
from tests.protocols.ocpp.sansio import LINK, T0, Talk, profile
from tests.protocols.ocpp.test_files import FakeVault

FROM_US = {
    "Authorize", "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat", "LogStatusNotification",
    "MeterValues", "SecurityEventNotification", "SignCertificate", "SignedFirmwareStatusNotification", "StartTransaction",
    "StatusNotification", "StopTransaction",
}  # fmt: skip


@pytest.mark.parametrize("action", sorted(schemas.actions("v16") - DECODERS.keys()))
def test_known_but_unserved_is_not_supported(action: str) -> None:
    """Settled 8: NotSupported for what the standard knows, whoever sends it."""
    assert Talk().booted().call(action, {})[0] == "NotSupported"


def test_every_action_a_csms_may_send_is_known() -> None:
    assert DECODERS.keys() <= schemas.actions("v16")
    assert schemas.actions("v16") >= FROM_US


@pytest.mark.parametrize("action", ["Nonsense", "reset", "", "TransactionEvent"])
def test_unknown_is_not_implemented(action: str) -> None:
    assert Talk().booted().call(action, {})[0] == "NotImplemented"


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Reset", {}, "OccurenceConstraintViolation"),
        ("Reset", {"type": 1}, "TypeConstraintViolation"),
        ("Reset", {"type": "Warm"}, "PropertyConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": "T", "connectorId": 2**31}, "PropertyConstraintViolation"),
        ("RemoteStopTransaction", {"transactionId": 2**63}, "PropertyConstraintViolation"),
        (
            "SetChargingProfile",
            {"connectorId": 1, "csChargingProfiles": profile([(0, 5.0)], chargingProfileId=-(2**63))},
            "PropertyConstraintViolation",
        ),
        ("Reset", {"type": "Soft", "more": 1}, "FormationViolation"),
        ("RemoteStartTransaction", {"idTag": "x" * 21}, "TypeConstraintViolation"),
        ("RemoteStartTransaction", {"idTag": "x", "connectorId": "1"}, "TypeConstraintViolation"),
        ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile([(0, 1.05)])}, "PropertyConstraintViolation"),
        ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile([(0, 1.0)], start="soon")}, "PropertyConstraintViolation"),
        ("TriggerMessage", {"requestedMessage": 5}, "TypeConstraintViolation"),
    ],
)
def test_error_codes(action: str, payload: dict[str, Any], code: str) -> None:
    assert Talk().booted().call(action, payload)[0] == code


def test_a_trigger_outside_the_list_is_an_answer_and_no_error() -> None:
    """OCPP-15: StopTransaction is not in 1.6's enumeration."""
    assert Talk().booted().call("TriggerMessage", {"requestedMessage": "StopTransaction"}) == {"status": "NotImplemented"}


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("LogStatusNotification", "LogStatusNotification"),
        ("FirmwareStatusNotification", "FirmwareStatusNotification"),
        ("Heartbeat", "Heartbeat"),
        ("MeterValues", "MeterValues"),
        ("SignChargePointCertificate", "SignCertificate"),
        ("StatusNotification", "StatusNotification"),
    ],
)
def test_extended_triggers(message: str, action: str) -> None:
    """Settled 14: all seven values of the whitepaper, and none that is another version's."""
    talk = Talk(replace(LINK, role=Role.OWNER), vault=FakeVault()).booted()
    talk.sent.clear()
    assert talk.call("ExtendedTriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
    assert talk.actions()[0] == action
    for other in ("SignV2GCertificate", "TransactionEvent", "DiagnosticsStatusNotification", "Nonsense"):
        assert talk.call("ExtendedTriggerMessage", {"requestedMessage": other}) == {"status": "NotImplemented"}


class Names:
    def peer_tx(self, tx: str) -> str | None:
        return "7"

    def utc_ns(self, stamp: object) -> int:
        return T0


STAMP = r.Stamp(T0, 5, "b")
SAMPLES = tuple(
    r.Sample(name, 1.26, unit)
    for name, unit in (
        ("Energy.Active.Export.Register", "Wh"),
        ("Power.Active.Import", "W"),
        ("Current.Export", "A"),
        ("Power.Offered", "W"),
        ("Voltage", "V"),
        ("Frequency", "Hz"),
        ("SoC", "Percent"),
        ("Temperature", "Celsius"),
    )
)
SAMPLES_AT_END = tuple(s for s in SAMPLES if s.quantity != "Frequency")
VALUES = r.MeterRecord(STAMP, "Sample.Periodic", SAMPLES)
REQUESTS: list[r.Request] = [
    r.Boot("a vendor with a long, long name", "a model with a long, long name", "s", "f"),
    r.Heartbeat(),
    r.StatusReport(1, "Faulted", "OtherError", STAMP, "info " * 30, "code " * 30),
    r.Authorize("T"),
    r.MeterReport(2, VALUES),
    r.TxHealth("t", 1, "Begin", 97.54, STAMP),
    r.TransferStatus("diagnostics"),
    r.TransferStatus("firmware"),
    r.TxStarted("t", 1, "T", 100, STAMP),
    r.TxStarted("t", 1, "T", 100, STAMP, reservation_id=5),
    r.TxMetered("t", 1, VALUES),
    r.TxEnded("t", 1, 200, STAMP, "Remote", id_token="T", data=(r.MeterRecord(STAMP, "Transaction.End", SAMPLES_AT_END),)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda q: type(q).__name__)
def test_what_we_send_is_valid(request_: r.Request) -> None:
    action, payload = Dialect16().encode(request_, Names())
    assert schemas.violation("v16", action, payload) is None
    assert action == outbound.action_of(request_)


@pytest.mark.parametrize("record", [q for q in REQUESTS if isinstance(q, (r.TxStarted, r.TxMetered, r.TxEnded, r.TxHealth))])
def test_records_survive_the_store(record: r.TxRecord) -> None:
    assert tx_record(type(record).__name__, to_text(record)) == record


@pytest.mark.parametrize("text", ['{"tx": 1, "more": 2}', "[]"])
def test_a_damaged_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="TxStarted"):
        tx_record("TxStarted", text)
    with pytest.raises(ValueError, match="no transaction record"):
        tx_record("Nonsense", "{}")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2027-01-15T08:00:00Z", T0),
        ("2027-01-15T08:00:00.000Z", T0),
        ("2027-01-15T09:00:00+01:00", T0),
        ("2027-01-15T08:00:00", T0),
        ("2027-01-15T08:00:00.5Z", T0 + 500_000_000),
    ],
)
def test_times_are_read(text: str, ns: int) -> None:
    assert parse_utc(text) == ns


@pytest.mark.parametrize("text", ["", "now", "2027-13-01T00:00:00Z", "2027-01-15T08:00:00Q"])
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_utc(text)


@pytest.mark.parametrize(("text", "ns"), [("9999-12-31T23:59:59-14:00", 2**63 - 1), ("0001-01-01T00:00:00+14:00", -(2**63))])
def test_a_date_beyond_those_that_can_be_kept_is_the_last_of_them(text: str, ns: int) -> None:
    """9999-12-31 says "for ever" in many a local list; it is no reason to drop the list, nor the link."""
    assert parse_utc(text) == ns
    assert format_utc(ns)[:4] in {"2262", "1677"}


@given(st.integers(0, 4_000_000_000_000))
def test_times_end_in_z_and_come_back(ms: int) -> None:
    text = format_utc(ms * 1_000_000)
    assert text.endswith("Z")
    assert parse_utc(text) == ms * 1_000_000


def test_our_words_are_the_standards() -> None:
    """What the session says verbatim are values of the package's enumerations."""
    from ocpp.v16 import enums  # noqa: PLC0415

    from bessctl.protocols.ocpp.session.alarms import TABLE  # noqa: PLC0415
    from bessctl.protocols.ocpp.session.keys import MEASURANDS  # noqa: PLC0415

    assert set(MEASURANDS) <= {str(m) for m in enums.Measurand}
    assert {code for _, code in TABLE} <= {str(c) for c in enums.ChargePointErrorCode}
