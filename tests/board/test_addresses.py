"""Whom the loop may reach and what the board listens on: what the sealed site names, and nobody else (CARD-4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessctl.config.load import LoadedSite
from bessctl.config.seal import seal
from bessctl.devices import discovery
from bessctl.errors import ConfigError
from board.files.usr.lib.bessctl.board import addresses
from tests.config.test_reseal import of_layout
from tests.sites import changed_example, example_site, standard_devices

LAN = "tcp: {host: 127.0.0.1, port: 5020}"
LISTENING = """
oscp:
  base_url: https://bess.example:8443/oscp/fp/2.0
  listen: {port: 8443, cert_file: us.pem, key_file: us.key}
  groups: [{id: feeder, source: ems, scope: pcc, missing_generation: zero}]
  peers: [{name: dso, roles: [cp], kind: dso, groups: [feeder]}]
"""


def written(tmp_path: Path, loaded: LoadedSite, field_lan: str = "") -> tuple[str, str]:
    """(drop-in, firewall) for a site."""
    sealed, lan = tmp_path / "site.sealed", tmp_path / "field-lan"
    sealed.write_bytes(seal(loaded, standard_devices(loaded)).content)
    if field_lan:
        lan.write_text(field_lan)
    addresses.write(sealed, loaded, tmp_path, lan)
    return (tmp_path / addresses.DROP_IN).read_text(), (tmp_path / addresses.FIREWALL).read_text()


def allowed(text: str) -> list[str]:
    return [line.removeprefix("IPAddressAllow=") for line in text.splitlines() if line.startswith("IPAddressAllow=")]


def test_the_loop_may_reach_its_devices_alone(tmp_path: Path) -> None:
    two = changed_example((LAN, "tcp: {host: 192.168.10.7, port: 502}"))
    drop_in, _ = written(tmp_path, two)
    assert allowed(drop_in) == ["192.168.10.7"]
    assert "[Service]" in drop_in


def test_a_site_of_another_layout_is_sealed_again_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ADR 0066: after an update the loop finds its site; what this release cannot run is told and nothing is allowed."""
    loaded = changed_example((LAN, "tcp: {host: 192.168.10.7, port: 502}"))
    beside = LoadedSite(tmp_path / "site.yaml", loaded.site, loaded.tree)
    discovery.store(beside.discovery_file, standard_devices(loaded))
    sealed = tmp_path / "site.sealed"
    sealed.write_bytes(of_layout(seal(beside, standard_devices(loaded)).content, 11))
    addresses.write(sealed, beside, tmp_path, tmp_path / "field-lan")
    assert "sealed again" in capsys.readouterr().out
    assert allowed((tmp_path / addresses.DROP_IN).read_text()) == ["192.168.10.7"]
    changed = changed_example((LAN, "tcp: {host: 192.168.10.8, port: 502}"))
    sealed.write_bytes(of_layout(sealed.read_bytes(), 11))
    with pytest.raises(ConfigError, match="bus_path"):
        addresses.write(sealed, LoadedSite(beside.file, changed.site, changed.tree), tmp_path, tmp_path / "field-lan")


def test_a_site_on_serial_lines_reaches_no_address() -> None:
    """Nothing is allowed beside the unit's IPAddressDeny=any."""
    assert allowed(addresses.drop_in([], 961)) == []


@pytest.mark.parametrize("host", ["fe80::1", "pcs.example", "192.168.10.300"])
def test_an_address_that_the_unit_cannot_allow_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"IPv4|numeric"):
        addresses.device_addresses([host], "site.sealed")


def test_the_firewall_opens_what_the_site_listens_on(tmp_path: Path) -> None:
    site = changed_example(("\nocpp:  ", LISTENING + "\nocpp:  "))
    _, firewall = written(tmp_path, site, "eth1 192.168.10.1/24  # devices\n")
    assert "add element inet bessctl listeners { 8443 }" in firewall
    assert 'add element inet bessctl field { "eth1" }' in firewall


def test_a_site_that_listens_on_nothing_closes_every_port(tmp_path: Path) -> None:
    """Sets are emptied first: what an earlier site opened is closed."""
    _, firewall = written(tmp_path, example_site())
    assert "add element" not in firewall
    assert "flush set inet bessctl listeners" in firewall


def test_a_listener_on_this_machine_alone_opens_nothing() -> None:
    assert all(addresses.is_loopback(host) for host in ("127.0.0.1", "::1", "localhost"))
    assert not any(addresses.is_loopback(host) for host in ("0.0.0.0", "::", "bess.example"))


@pytest.mark.parametrize("text", ["eth1", "eth1 192.168.10.1", "eth1 192.168.10.1/24 gateway", 'a"b 10.0.0.1/8', "eth1 pcs/24"])
def test_a_field_lan_that_is_badly_written_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match="field-lan:2"):
        addresses.field_interfaces(f"# devices\n{text}\n")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert addresses.main([str(tmp_path / "gone.sealed"), str(tmp_path / "gone.yaml")]) == 3
    assert capsys.readouterr().err.count("\n") == 1
