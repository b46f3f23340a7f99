"""Logs, firmware, certificates, credentials, endpoints: what is told, and to whom it is refused (OCPP-2, OCPP-7; settled 1, 5, 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bessctl.protocols.ocpp.config import LinkConfig, Role, Tls
from bessctl.protocols.ocpp.messages.device import CertificateHash
from bessctl.protocols.ocpp.session.jobs import Download, Install, MarkGood, Outcome, Password, Restart, Upload, Verify
from bessctl.protocols.ocpp.session.network import Endpoint
from bessctl.protocols.ocpp.session.vault import OURS, NoVault
from tests.protocols.ocpp.sansio import LINK, T0, Talk, saved_after

OWNER = replace(LINK, role=Role.OWNER)
HASH = CertificateHash("SHA256", "aa", "bb", "1f")
WIRE_HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "1f"}


class FakeVault(NoVault):
    """Says what a test wants."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.old = False
        self.begins: int | None = None
        self.kept: list[tuple[str, CertificateHash]] = []

    def install(self, kind: str, pem: str) -> tuple[str, str]:
        if self.why is None:
            self.kept.append((kind, HASH))
        return ("Accepted", "") if self.why is None else ("Rejected", self.why)

    def installed(self, kinds: Sequence[str]) -> list[tuple[str, CertificateHash]]:
        return [(k, h) for k, h in self.kept if not kinds or k in kinds]

    def delete(self, wanted: CertificateHash) -> str:
        found = wanted in [h for _, h in self.kept]
        self.kept.clear()
        return "Accepted" if found else "NotFound"

    def csr(self, name: str, organisation: str, kind: str = OURS) -> str:
        return f"request of {name}"

    def accept(self, chain: str, name: str, kind: str = OURS) -> str | None:
        return self.why

    def expiring(self, kind: str = OURS) -> bool:
        return self.old and kind == OURS

    def begins_utc_ns(self) -> int | None:
        return self.begins

    def firmware_signer(self, pem: str) -> str | None:
        return self.why


def talk(version: str = "1.6", link: LinkConfig = OWNER, vault: FakeVault | None = None) -> Talk:
    return Talk(replace(link, version=(version,)), version=version, vault=vault or FakeVault()).booted()


VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
GET_LOG = {"logType": "DiagnosticsLog", "requestId": 9, "log": {"remoteLocation": "http://x/"}, "retries": 1, "retryInterval": 60}


def statuses(t: Talk, action: str) -> list[str]:
    return [p["status"] for p in t.of(action)]


# --- logs


@VERSIONS
def test_a_log_is_uploaded_tried_again_and_told(version: str) -> None:
    """2.0.1 N01, whitepaper 4.1: Uploading, then the outcome; retries as asked, no more."""
    t = talk(version)
    answer = t.call("GetLog", GET_LOG)
    assert answer["status"] == "Accepted"
    assert answer["filename"].startswith("diagnostics-BESS1-")
    t.done(t.jobs[-1], False, "network: gone")
    t.pass_time(61)
    assert len(t.jobs) == 2
    t.done(t.jobs[-1])
    assert statuses(t, "LogStatusNotification") == ["Uploading", "Uploaded"]
    assert {p["requestId"] for p in t.of("LogStatusNotification")} == {9}


@pytest.mark.parametrize(
    ("detail", "status"),
    [
        ("network: x", "UploadFailure"),
        ("permission: x", "PermissionDenied"),
        ("protocol: x", "NotSupportedOperation"),
        ("request: x", "BadMessage"),
    ],
)
def test_a_log_that_cannot_be_uploaded(detail: str, status: str) -> None:
    t = talk("2.0.1")
    t.call("GetLog", {**GET_LOG, "retries": 0})
    t.done(t.jobs[-1], False, detail)
    assert statuses(t, "LogStatusNotification") == ["Uploading", status]


def test_diagnostics_of_1_6() -> None:
    """5.9: fileName, DiagnosticsStatusNotification; a trigger while it runs tells Uploading."""
    t = talk()
    answer = t.call("GetDiagnostics", {"location": "ftp://x/y/", "startTime": "2027-01-15T07:00:00Z"})
    job = t.jobs[-1]
    assert isinstance(job, Upload)
    assert (job.name, job.what, job.url) == (answer["fileName"], "diagnostics", "ftp://x/y/")
    t.call("TriggerMessage", {"requestedMessage": "DiagnosticsStatusNotification"})
    t.done(job)
    t.call("TriggerMessage", {"requestedMessage": "DiagnosticsStatusNotification"})
    assert statuses(t, "DiagnosticsStatusNotification") == ["Uploading", "Uploading", "Uploaded", "Idle"]
    assert "fileName" not in talk(link=replace(LINK, role=Role.OBSERVER)).call("GetDiagnostics", {"location": "ftp://x"})


def test_a_newer_log_takes_the_place_of_the_one_under_way() -> None:
    t = talk("2.0.1")
    t.call("GetLog", GET_LOG)
    assert t.call("GetLog", {**GET_LOG, "requestId": 10, "logType": "SecurityLog"})["status"] == "AcceptedCanceled"
    t.done(t.jobs[0])  # the first upload's end means nothing any more
    t.done(t.jobs[1])
    assert [(p["requestId"], p["status"]) for p in t.of("LogStatusNotification")] == [
        (9, "Uploading"),
        (9, "AcceptedCanceled"),
        (10, "Uploading"),
        (10, "Uploaded"),
    ]


# --- firmware

FIRMWARE = {"location": "http://x/fw", "retrieveDateTime": "2027-01-15T08:00:00Z", "signingCertificate": "PEM", "signature": "c2ln"}


def update(t: Talk, **fields: Any) -> str:
    action = "SignedUpdateFirmware" if t.version == "1.6" else "UpdateFirmware"
    status: str = t.call(action, {"requestId": 3, "firmware": {**FIRMWARE, **fields}, "retries": 1, "retryInterval": 30})["status"]
    return status


def told(t: Talk) -> list[str]:
    return statuses(t, "SignedFirmwareStatusNotification" if t.version == "1.6" else "FirmwareStatusNotification")


def rebooting(version: str) -> Talk:
    """A station whose image is installed and the start into it ordered."""
    t = talk(version)
    update(t)
    for _ in (Download, Verify, Install, Restart):
        t.done(t.jobs[-1])
    assert t.restarts == ["hard"]
    return t


@VERSIONS
def test_signed_firmware_from_download_to_installed(version: str) -> None:
    """2.0.1 L01, whitepaper 4.2: every status, the restart, the updater's verdict after it, the boot's reason."""
    t = talk(version)
    assert update(t) == "Accepted"
    for kind in (Download, Verify, Install, Restart):
        assert isinstance(t.jobs[-1], kind)
        assert t.restarts == []
        t.done(t.jobs[-1])
    assert t.restarts == ["hard"]
    assert told(t) == ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
    again = t.restarted()
    again.connect()
    assert isinstance(again.jobs[-1], Outcome)
    again.done(again.jobs[-1])
    assert told(again) == ["Installed"]
    assert isinstance(again.jobs[-1], MarkGood), "the CSMS accepted us: the way to the next update is open"
    assert again.restarted().booted().jobs == []
    if version == "2.0.1":
        assert again.of("BootNotification")[0]["reason"] == "FirmwareUpdate"
    types = [p["type"] for talk in (t, again) for p in talk.of("SecurityEventNotification")]
    assert types == ["StartupOfTheDevice", "ResetOrReboot", "StartupOfTheDevice", "FirmwareUpdated"]
    assert saved_after(again.writes).docs.get("firmware", {}) == {}


@VERSIONS
def test_firmware_that_does_not_boot_is_rolled_back(version: str) -> None:
    t = rebooting(version)
    again = t.restarted()
    again.connect()
    again.done(again.jobs[-1], False, "the old one runs")
    assert told(again) == ["InstallationFailed"]
    assert not any(isinstance(job, MarkGood) for job in again.jobs)
    assert update(again) == "Accepted", "and it is ready for the next one"


@VERSIONS
def test_a_restart_waits_until_the_csms_was_told(version: str) -> None:
    """InstallRebooting is no use to a CSMS that never gets it; one that does not answer is waited for ten seconds."""
    t = talk(version)
    update(t)
    t.auto = False
    for _ in range(3):
        t.done(t.jobs[-1])
    assert isinstance(t.jobs[-1], Install)
    t.pass_time(9)
    assert isinstance(t.jobs[-1], Install)
    t.pass_time(2)
    assert isinstance(t.jobs[-1], Restart)


@VERSIONS
def test_a_machine_that_was_not_restarted_is_asked_again(version: str) -> None:
    """A supervisor that died between the order to restart and its obedience."""
    again = rebooting(version).restarted().booted()
    again.done_again(again.jobs[-1])
    assert isinstance(again.jobs[-1], Restart)
    assert told(again) == []
    again.done(again.jobs[-1], False, "reboot: exit code 1: no such right")
    assert told(again) == ["InstallationFailed"]
    assert again.restarts == []


@VERSIONS
def test_an_installation_that_was_interrupted_has_failed(version: str) -> None:
    """Power cut while the other slot was being written: what ran before runs, and no restart is asked for."""
    t = talk(version)
    update(t)
    t.done(t.jobs[-1])
    t.done(t.jobs[-1])
    assert isinstance(t.jobs[-1], Install)
    again = t.restarted().booted()
    again.done_again(again.jobs[-1])
    assert told(again) == ["InstallationFailed"]
    assert not any(isinstance(job, Restart) for job in again.jobs)


@VERSIONS
def test_an_image_is_marked_good_once_the_csms_accepts_the_station(version: str) -> None:
    again = rebooting(version).restarted()
    again.pass_time(1)
    again.done(again.jobs[-1])
    again.pass_time(1000)
    assert not any(isinstance(job, MarkGood) for job in again.jobs), "nobody can reach it yet"
    again.booted()
    assert isinstance(again.jobs[-1], MarkGood)
    again.done(again.jobs[-1], False, "rauc: exit code 1")
    assert told(again) == ["Installed"]


@pytest.mark.parametrize("missing", ["signature", "signingCertificate"])
def test_firmware_that_is_signed_in_half_is_refused(missing: str) -> None:
    """L01: a certificate without signature (or the other way round) is no way around Verify."""
    t = talk("2.0.1")
    half = {name: value for name, value in FIRMWARE.items() if name != missing}
    assert t.call("UpdateFirmware", {"requestId": 3, "firmware": half})["status"] == "Rejected"
    assert t.of("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSignature"
    t.pass_time(60)
    assert t.jobs == []


@VERSIONS
def test_firmware_with_a_wrong_signature(version: str) -> None:
    """L01.FR.03: InvalidSignature, a security event, nothing installed."""
    t = talk(version)
    update(t)
    t.done(t.jobs[-1])
    t.done(t.jobs[-1], False, "signature: the image is not what was signed")
    assert told(t)[-1] == "InvalidSignature"
    assert t.of("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSignature"
    assert not any(isinstance(job, Install) for job in t.jobs)


@VERSIONS
def test_firmware_with_a_bad_certificate(version: str) -> None:
    vault = FakeVault()
    vault.why = "no root signed it"
    t = talk(version, vault=vault)
    assert update(t) == "InvalidCertificate"
    assert t.of("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSigningCertificate"
    assert t.jobs == []


@VERSIONS
def test_downloads_are_scheduled_tried_again_and_given_up(version: str) -> None:
    t = talk(version)
    update(t, retrieveDateTime="2027-01-15T08:05:00Z")
    assert t.jobs == []
    t.pass_time(301)
    t.done(t.jobs[-1], False, "network: x")
    t.pass_time(31)
    t.done(t.jobs[-1], False, "network: x")
    assert told(t) == ["DownloadScheduled", "Downloading", "Downloading", "DownloadFailed"]
    assert len(t.jobs) == 2


@VERSIONS
def test_an_installation_waits_for_its_time_and_for_the_transaction(version: str) -> None:
    """L01.FR.06: not under a running transaction."""
    t = talk(version)
    t.hand("swipe", token="T", connectors=(1,))
    update(t, installDateTime="2027-01-15T08:10:00Z")
    t.done(t.jobs[-1])
    t.done(t.jobs[-1])
    assert told(t)[-1] == "InstallScheduled"
    t.pass_time(700)
    assert not any(isinstance(job, Install) for job in t.jobs)
    t.hand("swipe", token="T", connectors=(1,))
    t.pass_time(1)
    assert isinstance(t.jobs[-1], Install)
    assert update(t) == "Rejected"  # an image is being installed


@VERSIONS
def test_a_download_goes_on_after_a_power_cut(version: str) -> None:
    t = talk(version)
    update(t)
    again = t.restarted().booted()
    assert isinstance(again.jobs[-1], Download)


def test_plain_firmware_of_1_6_knows_fewer_states() -> None:
    """5.19, 7.25: the answer is empty, the words are those of the standard."""
    t = talk()
    assert t.call("UpdateFirmware", {"location": "ftp://x/fw", "retrieveDate": "2027-01-15T08:00:00Z"}) == {}
    t.done(t.jobs[-1])
    t.done(t.jobs[-1])
    again = t.restarted()
    again.connect()
    again.done(again.jobs[-1])
    assert statuses(t, "FirmwareStatusNotification") == ["Downloading", "Downloaded", "Installing"]
    assert statuses(again, "FirmwareStatusNotification") == ["Installed"]


def test_firmware_is_the_owners_business() -> None:
    """Settled 5: Rejected where the answer has a status, SecurityError where it has none."""
    assert update(talk("2.0.1", LINK)) == "Rejected"
    assert update(talk("1.6", LINK)) == "Rejected"
    plain = {"location": "ftp://x/fw", "retrieveDate": "2027-01-15T08:00:00Z"}
    assert talk("1.6", LINK).call("UpdateFirmware", plain)[0] == "SecurityError"


# --- certificates


@VERSIONS
def test_roots_are_installed_listed_and_deleted(version: str) -> None:
    """M03-M05, whitepaper 3."""
    kind = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate"}[version]
    t = talk(version)
    assert t.call("InstallCertificate", {"certificateType": kind, "certificate": "PEM"}) == {"status": "Accepted"}
    one = {"certificateType": kind} if version == "1.6" else {"certificateType": [kind]}
    found = t.call("GetInstalledCertificateIds", one)
    data = found["certificateHashData"][0] if version == "1.6" else found["certificateHashDataChain"][0]["certificateHashData"]
    assert data == WIRE_HASH
    assert t.call("DeleteCertificate", {"certificateHashData": WIRE_HASH}) == {"status": "Accepted"}
    assert t.call("DeleteCertificate", {"certificateHashData": WIRE_HASH}) == {"status": "NotFound"}
    assert t.call("GetInstalledCertificateIds", one)["status"] == "NotFound"


@VERSIONS
@pytest.mark.parametrize("link", [LINK, replace(OWNER, url="ws://x", allow_plain=True)], ids=["operator", "plain"])
def test_certificates_are_the_owners_and_go_over_tls(version: str, link: LinkConfig) -> None:
    """Never taken on an unsecured link."""
    kind = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate"}[version]
    t = talk(version, link)
    assert t.call("InstallCertificate", {"certificateType": kind, "certificate": "PEM"})["status"] == "Rejected"
    assert t.call("DeleteCertificate", {"certificateHashData": WIRE_HASH})["status"] == "Failed"
    assert t.call("CertificateSigned", {"certificateChain": "PEM"})["status"] == "Rejected"
    assert t.redials == []


@VERSIONS
def test_a_new_certificate_is_asked_for_taken_and_used(version: str) -> None:
    """A02, A03: triggered, asked again while none comes (30, 60 s), used by dialling anew."""
    t = talk(version)
    if version == "1.6":
        answer = t.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    else:
        answer = t.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})
    assert answer == {"status": "Accepted"}
    t.pass_time(91)
    assert len(t.of("SignCertificate")) == 3
    assert t.call("CertificateSigned", {"certificateChain": "PEM"}) == {"status": "Accepted"}
    assert t.redials == ["a new certificate"]
    t.pass_time(1000)
    assert len(t.of("SignCertificate")) == 3


@VERSIONS
def test_a_certificate_that_begins_later_is_used_from_that_instant(version: str) -> None:
    """Not before, where it would be refused, and not a day after: the link is dialled anew as notBefore passes, after a restart too."""
    vault = FakeVault()
    t = talk(version, vault=vault)
    vault.begins = T0 + 600 * 10**9
    assert t.call("CertificateSigned", {"certificateChain": "PEM"}) == {"status": "Accepted"}
    t.pass_time(599)
    assert t.redials == []
    again = t.restarted()
    t.pass_time(2)
    assert t.redials == ["a new certificate"]
    again.pass_time(2)
    assert again.redials == ["a new certificate"]
    vault.begins = None
    t.pass_time(5000)
    assert len(t.redials) == 1


@VERSIONS
def test_how_often_a_certificate_is_asked_for_is_the_csmss_to_say(version: str) -> None:
    """CertSigningWaitMinimum, CertSigningRepeatTimes."""
    t = talk(version, replace(OWNER, keys={"CertSigningWaitMinimum": "10", "CertSigningRepeatTimes": "1"}))
    if version == "1.6":
        t.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    else:
        t.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})
    t.pass_time(9)
    assert len(t.of("SignCertificate")) == 1
    t.pass_time(2)
    assert len(t.of("SignCertificate")) == 2
    t.pass_time(5000)
    assert len(t.of("SignCertificate")) == 2


@VERSIONS
def test_a_certificate_that_is_over_soon_is_renewed(version: str) -> None:
    """A03: looked at once a day, asked for by ourselves."""
    vault = FakeVault()
    vault.old = True
    t = talk(version, vault=vault)
    assert len(t.of("SignCertificate")) == 1
    assert t.call("CertificateSigned", {"certificateChain": "PEM"}) == {"status": "Accepted"}
    vault.old = False
    t.pass_time(90_000)
    assert len(t.of("SignCertificate")) == 1


@VERSIONS
def test_a_bad_certificate_is_refused_and_told(version: str) -> None:
    vault = FakeVault()
    vault.why = "the certificate is for another key than our newest"
    t = talk(version, vault=vault)
    assert t.call("CertificateSigned", {"certificateChain": "PEM"})["status"] == "Rejected"
    name = {"1.6": "InvalidChargePointCertificate", "2.0.1": "InvalidChargingStationCertificate"}[version]
    assert t.of("SecurityEventNotification")[-1]["type"] == name


@VERSIONS
def test_tls_events_are_told_once_after_a_good_connection(version: str) -> None:
    """Settled 1: no storm while the CSMS is away, nothing lost over a restart."""
    t = talk(version)
    t.disconnect()
    t.sent.clear()
    end = t.station.network.endpoint()
    for _ in range(50):
        t.take(t.station.dial_failed(end, t.now, "InvalidCsmsCertificate", "expired"))
    again = t.restarted().booted()
    names = [p["type"] for p in again.of("SecurityEventNotification")]
    name = {"1.6": "InvalidCentralSystemCertificate", "2.0.1": "InvalidCsmsCertificate"}[version]
    assert names.count(name) == 1


def test_a_csms_that_knows_no_security_events_is_asked_once() -> None:
    """A 1.6 CSMS without the whitepaper: the event is given up at once and holds nothing up."""
    t = talk()
    t.replies["SecurityEventNotification"] = lambda p: None
    t.auto = False
    t.take(t.station.dial_failed(t.station.network.endpoint(), t.now, "InvalidTLSVersion", "1.1"))
    while t.actions()[-1] != "SecurityEventNotification":
        t.reply(t.ids[-1], t.actions()[-1], {})
    t.raw(f'[4,"{t.ids[-1]}","NotImplemented","",{{}}]')
    assert saved_after(t.writes).queue == []


# --- credentials and endpoints


def test_the_authorization_key_of_1_6(tmp_path: Path) -> None:
    """Settled 12: 40 hex digits, never shown, kept in its file, used by dialling anew."""
    t = talk(link=replace(OWNER, password_file=tmp_path / "p", password_encoding="hex"))
    assert t.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": "short"}) == {"status": "Rejected"}
    assert t.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": "0a" * 20}) == {"status": "Accepted"}
    job = t.jobs[-1]
    assert isinstance(job, Password)
    t.done(job)
    assert t.redials == ["a new password"]
    shown = t.call("GetConfiguration", {"key": ["AuthorizationKey"]})["configurationKey"]
    assert shown == [{"key": "AuthorizationKey", "readonly": False}]
    assert "0a0a" not in str(t.writes)


def test_the_security_profile_goes_up_alone() -> None:
    """A05, whitepaper: never down; up only with the credentials for it; tried, and taken back where it does not connect."""
    certified = replace(OWNER, tls=Tls(cert_file=Path("c"), key_file=Path("k")), url="wss://x")
    assert talk(link=certified).call("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}) == {"status": "Rejected"}
    assert talk().call("ChangeConfiguration", {"key": "SecurityProfile", "value": "3"}) == {"status": "Rejected"}
    plain = replace(OWNER, url="ws://x", allow_plain=True, password_file=Path("p"))
    t = talk(link=plain)
    assert t.call("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}) == {"status": "Accepted"}
    assert t.redials == ["security profile 2"]
    trial = t.station.network.endpoint()
    assert (trial.url, trial.security) == ("wss://x", 2)
    t.take(t.station.dial_failed(trial, t.now))
    assert t.station.network.endpoint().url == "ws://x"
    assert t.call("GetConfiguration", {"key": ["SecurityProfile"]})["configurationKey"][0]["value"] == "1"


@pytest.mark.parametrize("heard", [True, False])
def test_a_higher_security_profile_stands_with_the_first_frame_over_it(heard: bool) -> None:
    """A05: no BootNotification goes out on a reconnect; whatever valid frame comes of the CSMS proves the profile, for good. A connection
    of which none comes proves nothing: back to the profile before."""
    t = talk(link=replace(OWNER, url="ws://x", allow_plain=True, password_file=Path("p")))
    t.call("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
    t.disconnect()
    trial = t.station.network.endpoint()
    t.auto = False
    t.connect(trial)
    assert t.station.network.endpoint() is trial
    if heard:
        t.call("GetConfiguration", {})
    t.disconnect()
    for again in (t, t.restarted()):
        end = again.station.network.endpoint()
        assert (end.url, end.security) == (("wss://x", 2) if heard else ("ws://x", 1))
        again.take(again.station.dial_failed(end, again.now))
        assert again.station.network.endpoint().url == end.url, "one failure later it is what it was"
    assert t.of("BootNotification")[1:] == []


def priority(t: Talk, order: str) -> str:
    data = {
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "NetworkConfigurationPriority"},
        "attributeValue": order,
    }
    return str(t.call("SetVariables", {"setVariableData": [data]})["setVariableResult"][0]["attributeStatus"])


NETWORK = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "ocppCsmsUrl": "wss://other/ocpp",
    "messageTimeout": 30,
    "securityProfile": 2,
    "ocppInterface": "Wired0",
}


@pytest.mark.parametrize(
    ("slot", "changes", "role", "status"),
    [
        (2, {}, Role.OWNER, "Accepted"),
        (2, {}, Role.OPERATOR, "Rejected"),
        (1, {}, Role.OWNER, "Rejected"),
        (9, {}, Role.OWNER, "Rejected"),
        (2, {"securityProfile": 1}, Role.OWNER, "Rejected"),  # a downgrade
        (2, {"securityProfile": 3}, Role.OWNER, "Rejected"),  # no client certificate
        (2, {"ocppTransport": "SOAP"}, Role.OWNER, "Rejected"),
        (2, {"ocppVersion": "OCPP12"}, Role.OWNER, "Rejected"),
        (2, {"ocppCsmsUrl": "ws://other"}, Role.OWNER, "Rejected"),
    ],
)
def test_network_profiles(slot: int, changes: dict[str, Any], role: Role, status: str, tmp_path: Path) -> None:
    """B09, settled 13."""
    t = talk("2.0.1", replace(LINK, role=role, password_file=tmp_path / "p"))
    answer = t.call("SetNetworkProfile", {"configurationSlot": slot, "connectionData": {**NETWORK, **changes}})
    assert answer["status"] == status


def test_endpoints_are_tried_in_their_order_and_the_last_good_one_again(tmp_path: Path) -> None:
    """B10: so many tries each, then the last good one."""
    t = talk("2.0.1", replace(OWNER, password_file=tmp_path / "p", keys={"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "2"}))
    t.call("SetNetworkProfile", {"configurationSlot": 2, "connectionData": NETWORK})
    assert priority(t, "2") == "Accepted"
    again = t.restarted()
    dialled = []
    for _ in range(6):
        end = again.station.network.endpoint()
        dialled.append(end.slot)
        again.take(again.station.dial_failed(end, again.now))
    assert dialled == [2, 2, 1, 1, 2, 2]
    again.connect(again.station.network.endpoint())
    again.disconnect()
    assert again.station.network.endpoint().slot == 2, "from the first of the order again after a good connection"
    again.connect(again.station.network.endpoint())
    again.disconnect()
    for _ in range(4):
        end = again.station.network.endpoint()
        again.take(again.station.dial_failed(end, again.now))
        assert end.slot == 2, "the last good one is the only one of the order"


def test_each_reconnect_is_good_with_its_first_valid_frame() -> None:
    """Settled 7: no BootNotification goes out on a reconnect, and yet the back-off begins anew; noise is no evidence."""
    t = talk("2.0.1")
    assert t.goods == 1
    t.auto = False
    for reconnects in range(3):
        t.disconnect()
        t.connect()
        t.raw("noise")
        t.raw('[3,"never-asked",{}]')
        assert t.goods == 1 + reconnects
        t.call("GetLocalListVersion", {})
        t.call("GetLocalListVersion", {})
        assert t.goods == 2 + reconnects


def test_another_csms_gets_a_boot_notification_and_the_order_names_no_empty_slot() -> None:
    """B10: what was accepted at one slot is nothing to the next; NetworkConfigurationPriority with an empty slot is Rejected."""
    t = talk("2.0.1", replace(OWNER, password_file=Path("p")))
    assert priority(t, "2,1") == "Rejected"
    t.call("SetNetworkProfile", {"configurationSlot": 2, "connectionData": NETWORK})
    assert priority(t, "2,1") == "Accepted"
    assert priority(t, "3") == "Rejected"
    site, other = Endpoint(1, "wss://x", 1), Endpoint(2, "wss://other/ocpp", 2)
    told = []
    for end in (site, other, other, site, site):
        t.disconnect()
        before = len(t.of("BootNotification"))
        t.connect(end)
        told.append(len(t.of("BootNotification")) - before)
    assert told == [0, 1, 0, 1, 0]


def test_a_csms_that_hangs_up_without_a_word_is_a_failed_try() -> None:
    """B10: so the next of the order has its turn. A pong is a word, where the site says so."""
    t = talk("2.0.1", replace(OWNER, password_file=Path("p"), keys={"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "1"}))
    t.call("SetNetworkProfile", {"configurationSlot": 2, "connectionData": NETWORK})
    assert priority(t, "1,2") == "Accepted"
    dialled = []
    for word in (True, True, False, False):
        t.disconnect()
        t.auto = False
        t.connect(end := t.station.network.endpoint())
        if word:
            t.take(t.station.pong(t.now))
        dialled.append(end.slot)
    assert dialled == [1, 1, 1, 2]
