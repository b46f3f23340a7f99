"""ISO 15118 readiness and revocation: V2G certificates, OCSP through the CSMS, contracts, the envelope of 1.6, CRLs of the CSMS's issuer
(OCPP-2, OCPP-20; 2.0.1 A02, C07, M03-M06)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.binding.ocsp import hash_of, names_of, verdict
from bessctl.protocols.ocpp.binding.vault import FileVault
from bessctl.protocols.ocpp.config import Role, Tls
from bessctl.protocols.ocpp.messages.v16.pnc import VENDOR
from bessctl.protocols.ocpp.transport.tls import client_context
from bessctl.sim.csms import Csms
from tests.protocols.ocpp.authority import RESPONDER, Signed, inner, make, ocsp_answer, responder_of, revocation_list
from tests.protocols.ocpp.certificates import server_context
from tests.protocols.ocpp.harness import station
from tests.protocols.ocpp.sansio import LINK, Talk, saved_after

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
ON = {"ISO15118PnCEnabled": "true"}


class Pnc(Talk):
    """A station with a real vault; messages of 2.0.1 go in 1.6's envelope, so that each test says the same to both."""

    def __init__(self, version: str, folder: Path, keys: dict[str, str], **changes: Any) -> None:
        link = replace(LINK, role=Role.OWNER, version=(version,), keys=keys, **changes)
        super().__init__(link, version=version, vault=FileVault(folder))

    def tell(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """A message of 2.0.1; returns its own answer."""
        if self.version != "1.6":
            found: dict[str, Any] = self.call(action, payload)
            return found
        answer = self.call("DataTransfer", {"vendorId": VENDOR, "messageId": action, "data": json.dumps(payload)})
        return inner(answer) if "data" in answer else answer

    def told(self, action: str) -> list[dict[str, Any]]:
        """What the station said of an action of 2.0.1."""
        if self.version != "1.6":
            return self.of(action)
        return [inner(p) for p in self.of("DataTransfer") if (p["vendorId"], p["messageId"]) == (VENDOR, action)]

    def answers(self, action: str, payload: dict[str, Any]) -> None:
        """What the CSMS says to it from now on."""
        if self.version != "1.6":
            self.replies[action] = lambda p: payload
            return
        before = self.replies.get("DataTransfer")

        def reply(p: dict[str, Any]) -> dict[str, Any] | None:
            if p["messageId"] == action:
                return {"status": "Accepted", "data": json.dumps(payload)}
            return before(p) if before else {"status": "Accepted"}

        self.replies["DataTransfer"] = reply


def enabled(version: str, folder: Path, **keys: str) -> Pnc:
    t = Pnc(version, folder, {**ON, **keys})
    t.answers("SignCertificate", {"status": "Accepted"})
    t.answers("GetCertificateStatus", {"status": "Failed"})
    t.booted()
    return t


def v2g(t: Pnc, sub: Signed, root: Signed) -> x509.Certificate:
    """Ask for a V2G certificate, sign it, hand it over; its root is known here."""
    assert t.vault is not None
    assert t.vault.install("V2GRootCertificate", root.pem)[0] == "Accepted"
    assert t.tell("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}) == {"status": "Accepted"}
    request = t.told("SignCertificate")[-1]
    assert request["certificateType"] == "V2GCertificate"
    csr = x509.load_pem_x509_csr(request["csr"].encode())
    leaf = make("BESS1", sub, public=csr.public_key())
    chain = leaf.pem + sub.pem + root.pem
    assert t.tell("CertificateSigned", {"certificateChain": chain, "certificateType": "V2GCertificate"}) == {"status": "Accepted"}
    return leaf.certificate


@VERSIONS
def test_a_v2g_certificate_from_trigger_to_ocsp(version: str, tmp_path: Path) -> None:
    """A02 for V2G, M06: asked for, taken, listed; OCSP asked for the leaf and what is between it and the root, asked again in time."""
    root, t = make("V2G root"), enabled(version, tmp_path)
    sub = make("V2G sub", root)
    leaf = v2g(t, sub, root)
    assert t.redials == [], "it is not the link's"
    asked = [p["ocspRequestData"] for p in t.told("GetCertificateStatus")]
    assert [a["serialNumber"] for a in asked] == [f"{c.serial_number:x}" for c in (leaf, sub.certificate)]
    assert {a["responderURL"] for a in asked} == {RESPONDER}
    assert asked[0]["issuerKeyHash"] == hash_of(sub.certificate, "SHA256", sub.certificate).issuer_key
    # It could not be had: again a day later, and not in between.
    t.pass_time(86_000)
    assert len(t.told("GetCertificateStatus")) == 2
    t.answers("GetCertificateStatus", {"status": "Accepted", "ocspResult": ocsp_answer(leaf, sub)})
    t.pass_time(1000)
    assert len(t.told("GetCertificateStatus")) == 4
    assert "good" in audits(t)
    assert "about another certificate" in audits(t), "the sub-CA's was answered with the leaf's"
    assert len(list(tmp_path.glob("v2g-*.ocsp"))) == 1
    listed = t.tell("GetInstalledCertificateIds", {"certificateType": ["V2GCertificateChain"]})["certificateHashDataChain"]
    (entry,) = listed
    assert entry["certificateHashData"]["serialNumber"] == f"{leaf.serial_number:x}"
    assert [h["serialNumber"] for h in entry["childCertificateHashData"]] == [
        f"{c.serial_number:x}" for c in (sub.certificate, root.certificate)
    ]
    again = Pnc(version, tmp_path, ON)
    again.booted()
    assert len(again.told("GetCertificateStatus")) == 2, "asked anew at a start"


@VERSIONS
def test_a_revoked_v2g_certificate_is_told_and_replaced(version: str, tmp_path: Path) -> None:
    root, t = make("V2G root"), enabled(version, tmp_path)
    sub = make("V2G sub", root)
    leaf = v2g(t, sub, root)
    t.answers("GetCertificateStatus", {"status": "Accepted", "ocspResult": ocsp_answer(leaf, sub, good=False)})
    t.pass_time(90_000)
    event = t.of("SecurityEventNotification")[-1]
    assert (event["type"], event["techInfo"]) == ("InvalidChargingStationCertificate", "the V2G certificate was revoked")
    assert len(t.told("SignCertificate")) >= 2


@VERSIONS
def test_a_v2g_chain_is_deleted_as_one(version: str, tmp_path: Path) -> None:
    """M03, M04: by the hash of its first certificate; its sub-CA names no chain, its root only the root that is installed."""
    root, t = make("V2G root"), enabled(version, tmp_path)
    v2g(t, make("V2G sub", root), root)

    def listed() -> dict[str, Any]:
        return t.tell("GetInstalledCertificateIds", {"certificateType": ["V2GCertificateChain"]})

    entry = listed()["certificateHashDataChain"][0]
    wanted = [*entry["childCertificateHashData"], entry["certificateHashData"]]
    said = [t.tell("DeleteCertificate", {"certificateHashData": each})["status"] for each in wanted]
    assert said == ["NotFound", "Accepted", "Accepted"]
    assert listed()["status"] == "NotFound"
    assert [p.name for p in tmp_path.glob("v2g*") if p.suffix in {".pem", ".ocsp"}] == []


@VERSIONS
def test_roots_of_vehicles_go_through_the_envelope_too(version: str, tmp_path: Path) -> None:
    """M03-M05."""
    t, root = enabled(version, tmp_path), make("MO root")
    for kind in ("V2GRootCertificate", "MORootCertificate"):
        assert t.tell("InstallCertificate", {"certificateType": kind, "certificate": root.pem}) == {"status": "Accepted"}
    found = t.tell("GetInstalledCertificateIds", {"certificateType": ["MORootCertificate"]})["certificateHashDataChain"]
    assert [entry["certificateType"] for entry in found] == ["MORootCertificate"]
    wanted = found[0]["certificateHashData"]
    assert [t.tell("DeleteCertificate", {"certificateHashData": wanted})["status"] for _ in range(3)] == [
        "Accepted",
        "Accepted",
        "NotFound",
    ]


@VERSIONS
def test_plug_and_charge_that_is_off(version: str, tmp_path: Path) -> None:
    t = Pnc(version, tmp_path, {})
    t.booted()
    assert t.tell("TriggerMessage", {"requestedMessage": "SignV2GCertificate"})["status"] == "Rejected"
    assert t.tell("CertificateSigned", {"certificateChain": "x", "certificateType": "V2GCertificate"})["status"] == "Rejected"
    assert t.hand("swipe", token="EMAID", connectors=(1,), certificate="x") == "Plug & Charge is not enabled (ISO15118PnCEnabled)"


def test_the_envelope_itself(tmp_path: Path) -> None:
    """1.6: what is not known or not readable is said by the envelope; the answer in it is 2.0.1's."""
    t = enabled("1.6", tmp_path)

    def put(message: str, data: str) -> Any:
        return t.call("DataTransfer", {"vendorId": VENDOR, "messageId": message, "data": data})

    assert put("Reset", "{}") == {"status": "UnknownMessageId"}
    for wrong in ("", "[]", "{", '{"certificateType": "MORootCertificate"}', '{"certificateType": "x", "certificate": "y"}'):
        assert put("InstallCertificate", wrong) == {"status": "Rejected"}
    assert put("TriggerMessage", '{"requestedMessage": "Heartbeat"}') == {"status": "Accepted", "data": '{"status":"NotImplemented"}'}
    assert t.call("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}) == {"status": "NotImplemented"}


@pytest.mark.parametrize("answer", [{"status": "UnknownVendorId"}, {"status": "Accepted", "data": "no JSON"}, {"status": "Accepted"}])
def test_a_csms_that_knows_no_envelope(answer: dict[str, Any], tmp_path: Path) -> None:
    """A contract is refused, a certificate does not come; nothing else is held up."""
    t = Pnc("1.6", tmp_path, {**ON, "CentralContractValidationAllowed": "true"})
    t.replies["DataTransfer"] = lambda p: answer
    t.booted()
    t.tell("TriggerMessage", {"requestedMessage": "SignV2GCertificate"})
    contract = make("EMAID", make("MO"))
    t.hand("swipe", token="EMAID", connectors=(1,), certificate=contract.pem)
    assert t.of("StartTransaction") == []
    assert t.hand("swipe", token="CARD", connectors=(1,)) is None
    assert len(t.of("StartTransaction")) == 1


# --- contracts: the hand stands for the vehicle


@VERSIONS
@pytest.mark.parametrize(
    ("said", "begins"), [("Accepted", True), ("CertificateRevoked", False), ("ContractCancelled", False), (None, True)]
)
def test_a_contract_is_asked_about(version: str, said: str | None, begins: bool, tmp_path: Path) -> None:
    """C07: eMAID, OCSP names of leaf and sub-CA; the chain itself stays here where the roots installed here are enough."""
    root, t = make("MO root"), enabled(version, tmp_path)
    sub = make("MO sub", root)
    contract = make("EMAID", sub)
    assert t.tell("InstallCertificate", {"certificateType": "MORootCertificate", "certificate": root.pem})["status"] == "Accepted"
    t.answers("Authorize", {"idTokenInfo": {"status": "Accepted"}, **({} if said is None else {"certificateStatus": said})})
    assert t.hand("swipe", token="EMAID", connectors=(1,), certificate=contract.pem + sub.pem) is None
    ask = t.told("Authorize")[-1]
    assert ask["idToken"] == {"idToken": "EMAID", "type": "eMAID"}
    assert [n["serialNumber"] for n in ask["iso15118CertificateHashData"]] == [f"{c.certificate.serial_number:x}" for c in (contract, sub)]
    assert "certificate" not in ask
    started = t.of("StartTransaction") + [p for p in t.of("TransactionEvent") if p["eventType"] == "Started"]
    assert bool(started) == begins


@VERSIONS
def test_a_contract_of_an_unknown_root(version: str, tmp_path: Path) -> None:
    """C07.FR.06: refused here, or sent whole to the CSMS where CentralContractValidationAllowed."""
    contract = make("EMAID", make("MO"))
    refused = enabled(version, tmp_path / "a").hand("swipe", token="E", connectors=(1,), certificate=contract.pem)
    assert "no MORootCertificate" in str(refused)
    t = enabled(version, tmp_path / "b", CentralContractValidationAllowed="true")
    t.answers("Authorize", {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"})
    assert t.hand("swipe", token="E", connectors=(1,), certificate=contract.pem) is None
    assert t.told("Authorize")[-1]["certificate"] == contract.pem
    assert contract.pem not in str(saved_after(t.writes))


@VERSIONS
@pytest.mark.parametrize(("offline", "trusted", "begins"), [("true", True, True), ("true", False, False), ("false", True, False)])
def test_a_contract_without_the_csms(version: str, offline: str, trusted: bool, begins: bool, tmp_path: Path) -> None:
    """C07.FR.07-09: ContractValidationOffline, by the roots installed here."""
    root = make("MO root")
    t = enabled(
        version, tmp_path, ContractValidationOffline=offline, AllowOfflineTxForUnknownId="true", CentralContractValidationAllowed="true"
    )
    if trusted:
        t.tell("InstallCertificate", {"certificateType": "MORootCertificate", "certificate": root.pem})
    t.disconnect()
    why = t.hand("swipe", token="E", connectors=(1,), certificate=make("E", root).pem)
    assert (why is None) == begins
    assert (t.station.transactions.active() is not None) == begins


def test_contracts_that_are_not_good(tmp_path: Path) -> None:
    vault, root = FileVault(tmp_path), make("MO root")
    vault.install("MORootCertificate", root.pem)
    assert vault.contract("nonsense")[1] == "the contract certificate cannot be read"
    assert vault.contract(make("E", root, days=0).pem)[1] == "the certificate is expired"
    assert "broken" in str(vault.contract(make("E", root).pem + make("x").pem)[1])
    names, why = vault.contract(make("E", root).pem)
    assert (len(names), why) == (1, None)


# --- what an OCSP answer is worth


def test_what_an_ocsp_answer_is_worth() -> None:
    """RFC 6960: about this certificate, signed by its issuer or by whom the issuer gave the right, and not over."""
    root, now = make("root"), datetime.now(UTC)
    leaf = make("leaf", root).certificate
    impostor, stranger = make("impostor", root), make("stranger")

    def said(text: str) -> str:
        return verdict(text, leaf, root.certificate, now)[0]

    assert said(ocsp_answer(leaf, root)) == "good"
    assert said(ocsp_answer(leaf, root, by=responder_of(root))) == "good"
    assert said(ocsp_answer(leaf, root, good=False)) == "revoked"
    for by in (impostor, stranger, responder_of(stranger)):
        assert said(ocsp_answer(leaf, root, by=by)) == "nobody whom the issuer trusts signed the answer"
    assert said(ocsp_answer(leaf, root, hours=-1)) == "the answer is over"
    assert said(ocsp_answer(make("other", root).certificate, root)) == "the answer is about another certificate"
    assert said("!!") == "the answer cannot be read"
    assert said("AAAA") == "the answer cannot be read"
    assert verdict(ocsp_answer(leaf, root), leaf, root.certificate, now)[1] is not None
    assert names_of([root.certificate]) == ()
    assert names_of([leaf, root.certificate])[0].responder == RESPONDER


# --- revocation of the CSMS's certificate


@pytest.mark.parametrize(
    ("revoked", "days", "fits", "connects"),
    [
        (False, 1, True, True),
        (True, 1, True, False),  # revoked
        (False, -1, True, False),  # the list is over: nobody knows any more
        (False, 1, False, False),  # a list of another issuer
    ],
)
def test_a_csms_is_held_to_the_revocation_list(  # noqa: PLR0917 - four columns of a table and two fixtures
    revoked: bool, days: int, fits: bool, connects: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused, and the security event follows once a good connection stands (settled 1)."""
    root = make("root")
    csms_certificate = make("csms", root)
    files = csms_certificate.files(tmp_path, "csms")
    ca = tmp_path / "ca.pem"
    ca.write_text(root.pem)
    crl = revocation_list(root if fits else make("root"), tmp_path / "crl.pem", *([csms_certificate] if revoked else []), days=days)
    tls = Tls(ca_file=ca, crl_file=crl)

    async def story() -> None:
        async with Csms(context=server_context(*files)) as csms, station(csms, tmp_path, tls=tls) as rig:
            if connects:
                await rig.peer()
                return
            await rig.until(lambda: "security: InvalidCentralSystemCertificate" in caplog.text)
            assert csms.events == []
            # The list is renewed in its file: the next dialling uses it, and tells what was.
            revocation_list(root, crl)
            await rig.peer()
            await csms.wait("SecurityEventNotification", where=lambda p: p["type"] == "InvalidCentralSystemCertificate")

    asyncio.run(story())


def test_a_revocation_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "crl.pem").write_text("nonsense")
    with pytest.raises(UsageError, match=r"crl\.pem"):
        client_context(Tls(crl_file=tmp_path / "crl.pem"))


def audits(t: Talk) -> str:
    return " ".join(w.detail for w in t.writes if getattr(w, "kind", "") == "ocsp" and hasattr(w, "detail"))


def test_an_ocsp_answer_lasts_a_week_at_most(tmp_path: Path) -> None:
    """M06.FR.10."""
    root, t = make("V2G root"), enabled("2.0.1", tmp_path)
    assert t.vault is not None
    t.vault.install("V2GRootCertificate", root.pem)
    t.tell("TriggerMessage", {"requestedMessage": "SignV2GCertificate"})
    csr = x509.load_pem_x509_csr(t.told("SignCertificate")[-1]["csr"].encode())
    leaf = make("BESS1", root, public=csr.public_key(), days=300)
    t.answers("GetCertificateStatus", {"status": "Accepted", "ocspResult": ocsp_answer(leaf.certificate, root, hours=24 * 400)})
    t.tell("CertificateSigned", {"certificateChain": leaf.pem + root.pem, "certificateType": "V2GCertificate"})
    assert len(t.told("GetCertificateStatus")) == 1
    t.pass_time(timedelta(days=6, hours=23).total_seconds())
    assert len(t.told("GetCertificateStatus")) == 1
    t.pass_time(timedelta(hours=2).total_seconds())
    assert len(t.told("GetCertificateStatus")) == 2
