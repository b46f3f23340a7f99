"""Every setting that may be changed means behaviour (settled 13): those whose effect no other test shows, and a count of all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509

from bessctl.protocols.ocpp.binding.vault import FileVault
from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.session import keys, settings
from bessctl.protocols.ocpp.session.backoff import Retry
from tests.protocols.ocpp.authority import make
from tests.protocols.ocpp.sansio import LINK, Talk
from tests.protocols.ocpp.test_files import FakeVault

HERE = Path(__file__).parent


def talk(version: str = "2.0.1", **given: str) -> Talk:
    named = {name.replace("__", "."): value for name, value in given.items()}
    return Talk(replace(LINK, version=(version,), keys=named), version=version).booted()


def begun(version: str = "2.0.1", **given: str) -> Talk:
    t = talk(version, **given)
    t.hand("swipe", token="T", connectors=(1,))
    t.sent.clear()
    return t


@pytest.mark.parametrize(("value", "lease_s", "expected"), [("17", 6000.0, 17.0), ("0", 6000.0, 2000.0), ("300", 60.0, 20.0)])
def test_the_websocket_is_pinged_as_the_key_says_and_often_enough_for_the_lease(value: str, lease_s: float, expected: float) -> None:
    """WebSocketPingInterval; 0 = off, but a lease that lives of pongs needs them."""
    for version in ("1.6", "2.0.1"):
        t = Talk(replace(LINK, version=(version,), lease_s=lease_s, keys={"WebSocketPingInterval": value}), version=version).booted()
        assert t.station.ping_interval_s == expected
    quiet = Talk(replace(LINK, lease_s=lease_s, pong_is_evidence=False, keys={"WebSocketPingInterval": "0"})).booted()
    assert quiet.station.ping_interval_s == 0.0


def test_retry_back_off_is_the_csmss_to_set() -> None:
    """RetryBackOffWaitMinimum, RetryBackOffRandomRange, RetryBackOffRepeatTimes."""
    t = talk(
        OCPPCommCtrlr__RetryBackOffWaitMinimum="4", OCPPCommCtrlr__RetryBackOffRandomRange="0", OCPPCommCtrlr__RetryBackOffRepeatTimes="2"
    )
    retry = Retry(t.station.back_off, Random(1))
    assert [retry.next_s() for _ in range(5)] == [4.0, 8.0, 16.0, 16.0, 16.0]


def test_the_organisation_in_a_certificates_request() -> None:
    """CpoName, SecurityCtrlr.OrganizationName."""
    asked: list[str] = []

    class Vault(FakeVault):
        def csr(self, name: str, organisation: str, kind: str = "ChargingStationCertificate") -> str:
            asked.append(organisation)
            return "request"

    t = Talk(replace(LINK, role=Role.OWNER, keys={"CpoName": "Acme Energy"}), vault=Vault()).booted()
    t.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    assert asked == ["Acme Energy"]


def aligned(t: Talk) -> list[str]:
    t.pass_time(61)
    return [p["meterValue"][0]["sampledValue"][0]["context"] for a, p in t.sent if a in {"MeterValues", "TransactionEvent"}]


def test_aligned_values_and_when_they_are_told() -> None:
    """AlignedDataCtrlr.Enabled, AlignedDataCtrlr.SendDuringIdle."""
    every = {"ClockAlignedDataInterval": "60", "MeterValueSampleInterval": "0"}
    assert aligned(talk(**every)) == ["Sample.Clock"] * 2
    assert aligned(talk(**every, AlignedDataCtrlr__SendDuringIdle="false")) == []
    assert aligned(begun(**every, AlignedDataCtrlr__SendDuringIdle="false")) == ["Sample.Clock"]
    assert aligned(talk(**every, AlignedDataCtrlr__Enabled="false")) == []


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_which_values_are_told(version: str) -> None:
    """MeterValuesAlignedData, MeterValuesSampledData."""

    def measurands(**given: str) -> set[str]:
        t = begun(version, **given)
        t.pass_time(61)
        found = [p["meterValue"][0] for a, p in t.sent if a in {"MeterValues", "TransactionEvent"} and "meterValue" in p]
        return {s["measurand"] for v in found for s in v["sampledValue"]}

    off = {"MeterValueSampleInterval": "0", "ClockAlignedDataInterval": "0"}
    assert measurands(**{**off, "ClockAlignedDataInterval": "60"}, MeterValuesAlignedData="SoC") == {"SoC"}
    assert measurands(**{**off, "MeterValueSampleInterval": "60"}, MeterValuesSampledData="Voltage") == {"Voltage"}


def test_the_values_that_go_with_a_beginning() -> None:
    """SampledDataCtrlr.TxStartedMeasurands; without any the register alone."""
    for given, expected in (("Voltage,SoC", {"Energy.Active.Export.Register", "Voltage", "SoC"}), ("", {"Energy.Active.Export.Register"})):
        t = talk(SampledDataCtrlr__TxStartedMeasurands=given)
        t.hand("swipe", token="T", connectors=(1,))
        started = t.of("TransactionEvent")[0]
        assert {s["measurand"] for v in started["meterValue"] for s in v["sampledValue"]} == expected


def test_samples_switched_off_as_a_whole() -> None:
    """SampledDataCtrlr.Enabled."""
    t = begun(SampledDataCtrlr__Enabled="false", MeterValueSampleInterval="10")
    t.pass_time(100)
    assert t.of("TransactionEvent") == []


def test_blocks_that_are_off() -> None:
    """ReservationCtrlr.Enabled, DisplayMessageCtrlr.Enabled, MonitoringCtrlr.Enabled."""
    t = talk(ReservationCtrlr__Enabled="false", DisplayMessageCtrlr__Enabled="false", MonitoringCtrlr__Enabled="false")
    token = {"idToken": "T", "type": "Central"}
    assert t.call("ReserveNow", {"id": 1, "expiryDateTime": "2027-01-15T09:00:00Z", "idToken": token})["status"] == "Rejected"
    shown = {"id": 1, "priority": "InFront", "message": {"format": "UTF8", "content": "x"}}
    assert t.call("SetDisplayMessage", {"message": shown})["status"] == "Rejected"
    place = {"component": {"name": "DSTO"}, "variable": {"name": "SocEffWhPct"}}
    assert t.call("SetVariableMonitoring", {"setMonitoringData": [{**place, "type": "Periodic", "value": 1, "severity": 5}]})
    t.pass_time(10)
    assert t.of("NotifyEvent") == []


def test_a_cache_that_is_off_learns_nothing() -> None:
    """AuthorizationCacheEnabled."""
    t = begun("1.6", AuthorizationCacheEnabled="false")
    t.hand("swipe", token="T", connectors=(1,))
    t.disconnect()
    assert "not known here" in str(t.hand("swipe", token="T", connectors=(1,)))


def test_no_setting_is_without_a_test() -> None:
    """Its name is in a test. ResetRetries alone has nothing to do: a restart here cannot fail and leave the old station."""
    link = replace(LINK, password_file=Path("p"))
    text = "".join(path.read_text() for path in HERE.glob("test_*.py"))

    def tested(name: str) -> bool:
        component, _, variable = name.rpartition(".")
        return any(
            word in text for word in (name, f"{component}__{variable}", f'"{component}"), "{variable}"', f'("{component}", "{variable}")')
        )

    writable = {k.name for k in (*keys.table(link), *settings.table(link)) if k.check is not None}
    assert {name for name in writable if not tested(name)} == set()


def entries(first: int, count: int) -> list[dict[str, Any]]:
    """As long as 1.6 allows them to be."""
    info = {"status": "ConcurrentTx", "parentIdTag": "P" * 20, "expiryDate": "2027-12-31T23:59:59.000+00:00"}
    return [{"idTag": f"T{n:019d}", "idTagInfo": info} for n in range(first, first + count)]


def test_a_local_list_is_taken_as_long_as_the_keys_say() -> None:
    """SendLocalListMaxLength of the longest entries fit into a frame; LocalAuthListMaxLength are taken by several messages, no more."""
    t, sent, most = talk("1.6"), keys.MAX_LIST_MESSAGE, keys.MAX_LIST

    def send(version: int, listed: list[dict[str, Any]], kind: str = "Differential") -> str:
        status: str = t.call("SendLocalList", {"listVersion": version, "updateType": kind, "localAuthorizationList": listed})["status"]
        return status

    assert send(1, entries(0, sent + 1), "Full") == "Failed"
    assert send(1, entries(0, sent), "Full") == "Accepted"
    assert [send(2 + n, entries(sent * (n + 1), sent)) for n in range(most // sent - 1)] == ["Accepted"] * (most // sent - 1)
    assert send(99, entries(most, 1)) == "Failed"
    assert t.call("GetLocalListVersion", {}) == {"listVersion": most // sent}
    longest: dict[str, dict[str, Any]] = {"idToken": {"idToken": "T" * 36, "type": "ISO14443"}}
    info = {"status": "NotAllowedTypeEVSE", "cacheExpiryDateTime": "2027-12-31T23:59:59.000+00:00", "groupIdToken": longest["idToken"]}
    longest["idTokenInfo"] = info
    assert len(json.dumps([longest] * sent)) < LINK.max_frame_bytes - 500


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_certificate_chain_that_is_too_long(version: str, tmp_path: Path) -> None:
    """CertificateSignedMaxChainSize: a whole chain for our own request, as long as it may be, is taken and used; one longer is not."""
    vault = FileVault(tmp_path)
    owner = Talk(replace(LINK, role=Role.OWNER, version=(version,)), vault=vault, version=version).booted()
    kind = "CentralSystemRootCertificate" if version == "1.6" else "CSMSRootCertificate"
    if version == "1.6":
        owner.call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    else:
        owner.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})
    request = x509.load_pem_x509_csr(owner.of("SignCertificate")[-1]["csr"].encode())
    root = make("root")
    sub = make("sub", root)
    assert owner.call("InstallCertificate", {"certificateType": kind, "certificate": root.pem}) == {"status": "Accepted"}
    chain = make("BESS1", sub, public=request.public_key()).pem + sub.pem + root.pem
    for length, taken in ((10_001, False), (10_000, True)):
        answer = owner.call("CertificateSigned", {"certificateChain": chain + "\n" * (length - len(chain))})
        assert (answer == {"status": "Accepted"}) is taken
        assert owner.redials == (["a new certificate"] if taken else [])
        assert (vault.tls(LINK.tls).cert_file is not None) is taken


def test_a_certificate_store_is_bounded(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    root = make("root")
    said = [vault.install("CSMSRootCertificate", make(f"r{n}").pem)[0] for n in range(keys.MAX_CERTIFICATES)]
    assert set(said) == {"Accepted"}
    assert vault.install("CSMSRootCertificate", root.pem) == ("Rejected", f"{keys.MAX_CERTIFICATES} certificates are installed")
