"""The audit: of a size of its own, whatever a peer says; each link's for itself (issue 5: bad input never stops another one)."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.session import writes as w
from bessctl.store import Store
from tests.protocols.ocpp.sansio import Talk, with_keys

LONG = "x" * 200_000


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("RemoteStartTransaction", {"idTag": LONG}),
        ("ReserveNow", {"connectorId": 1, "expiryDate": LONG, "idTag": "T", "reservationId": 1}),
        ("Reset", {LONG: 1, "type": "Soft"}),
        (LONG, {}),
        ("ChangeConfiguration", {"key": LONG[:50], "value": LONG[:500]}),
        ("DataTransfer", {"vendorId": LONG[:255], "data": LONG}),
    ],
)
def test_a_long_text_of_a_peer_is_not_kept(action: str, payload: dict[str, Any]) -> None:
    """A message of 200 kB leaves a line in log and audit, not 200 kB of it."""
    talk = Talk().booted()
    before = len(talk.writes)
    talk.call(action, payload)
    assert len(str(talk.writes[before:])) < 1000


def test_a_long_error_of_a_peer_is_not_kept() -> None:
    talk = Talk().booted()
    talk.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
    talk.auto = False
    talk.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1})
    before = len(talk.writes)
    talk.raw(json.dumps([4, talk.ids[-1], LONG, LONG, {LONG: LONG}]))
    talk.raw(json.dumps([3, talk.ids[-1], {"currentTime": LONG}]))
    assert len(str(talk.writes[before:])) < 4000


@pytest.mark.parametrize(("code", "told"), [("InternalError", "InternalError"), ("SECRETTAG", "an error of no known code")])
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_no_token_comes_into_the_audit_by_an_error_of_the_csms(version: str, code: str, told: str) -> None:
    """OCPP-18: a CSMS that quotes the token in its CALLERROR does not make us keep it, neither as a line nor with a buried message."""
    talk = Talk(with_keys(TransactionMessageAttempts="1"), version=version).booted()
    talk.auto = False
    if version == "1.6":
        talk.call("RemoteStartTransaction", {"idTag": "SECRETTAG", "connectorId": 1})
    else:
        talk.call("RequestStartTransaction", {"idToken": {"idToken": "SECRETTAG", "type": "Central"}, "remoteStartId": 1, "evseId": 1})
    while "SECRETTAG" not in str(talk.sent[-1]):
        talk.raw(json.dumps([3, talk.ids[-1], {}]))
    talk.raw(json.dumps([4, talk.ids[-1], code, "idTag SECRETTAG is unknown", {}]))
    kept = [write for write in talk.writes if isinstance(write, w.Audit | w.Bury)]
    assert told in str(kept)
    assert "SECRETTAG" not in str(kept)


def rows(store: Store, link: str) -> list[str]:
    return [detail for (detail,) in store.read("SELECT detail FROM ocpp_audit WHERE link = ? ORDER BY id", (link,))]


def test_a_noisy_csms_drives_out_nothing_but_its_own_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OCPP-18: neither the audit of the others nor any security event."""
    monkeypatch.setattr(tables, "KEPT", {"": 3, tables.SECURITY: 2})
    store = Store(tmp_path / "s.sqlite")
    store.migrate(tables.NAMESPACE, tables.LADDER)

    def leave(link: str, kind: str, detail: str) -> None:
        store.submit(tables.audit_statements(link, w.Audit(kind, detail), 1, 1)).result(10)

    leave("quiet", "reset", "soft")
    leave("noisy", "security", "FirmwareUpdated")
    for n in range(8):
        leave("noisy", "malformed", f"{n}")
    assert rows(store, "quiet") == ["soft"]
    assert rows(store, "noisy") == ["FirmwareUpdated", "5", "6", "7"]
    for n in range(4):
        leave("noisy", "security", f"s{n}")
    assert rows(store, "noisy") == ["5", "6", "7", "s2", "s3"]
    store.close()


def test_an_audit_of_before_goes_on(tmp_path: Path) -> None:
    """What an older version left is kept, in its order, before what comes now."""
    db = sqlite3.connect(tmp_path / "s.sqlite")
    store = Store(tmp_path / "s.sqlite")
    store.migrate(tables.NAMESPACE, tables.LADDER[:2])
    for n, kind in enumerate(("reset", "security", "reset")):
        db.execute("INSERT INTO ocpp_audit (link, mono_ns, kind, detail) VALUES ('cpo', 1, ?, ?)", (kind, str(n)))
    db.commit()
    db.close()
    store.migrate(tables.NAMESPACE, tables.LADDER)
    for kind in ("reset", "security"):
        store.submit(tables.audit_statements("cpo", w.Audit(kind, "new"), 1, 1)).result(10)
    found = store.read("SELECT log, number, detail FROM ocpp_audit ORDER BY log, number")
    assert found == [("", 1, "0"), ("", 3, "2"), ("", 4, "new"), ("security", 2, "1"), ("security", 3, "new")]
    store.close()
