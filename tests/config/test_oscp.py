"""Section `oscp`: what is wrong with it is told with its place; what is right arrives in the provider's configuration."""

from pathlib import Path

import pytest

from bessctl.app.oscp import provider
from bessctl.config.load import LoadedSite, site_from_text
from bessctl.errors import ConfigError
from bessctl.protocols.oscp.config import Adjust, Role
from tests.sites import EXAMPLE

SECTION = """
oscp:
  base_url: https://bess.example:8443/oscp/fp/2.0
  listen: {port: 8443, cert_file: fp.pem, key_file: fp.key}
  groups:
    - {id: feeder-7, source: oscp, scope: pcc, missing_generation: zero}
  peers:
    - name: dso
      roles: [cp]
      kind: dso
      groups: [feeder-7]
      quirks: {naive_time: utc, amps_all: per_phase}
    - {name: optimizer, roles: [co], groups: [feeder-7], ca_file: co.pem, heartbeat_s: null, forecast_max_age_s: 1800}
"""
SOURCE = """  - name: oscp
    class: grid
    priority: 1
    scopes: [ess, pcc]
    lease_max_s: 3600
    required: true
    default_limits: {pcc_lo_w: -10000, pcc_hi_w: 0}
"""


def site(*changes: tuple[str, str]) -> LoadedSite:
    """The example with the section."""
    text = EXAMPLE.read_text().replace("  - name: ocpp  ", f"{SOURCE}  - name: ocpp  ") + SECTION
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return site_from_text(text, str(EXAMPLE))


# (what is changed, into what, key, words)
WRONG = [
    ("base_url: https://", "base_url: http://", "oscp.base_url", "is not in the form expected"),
    ("/oscp/fp/2.0\n", "/oscp/fp/2.0/\n", "oscp.base_url", "is not in the form expected"),
    ("/oscp/fp/2.0\n", "/flex\n", "oscp.base_url", "does not end with /oscp/fp/2.0"),
    ("port: 8443,", "port: 0,", "oscp.listen.port", "allowed"),
    ("source: oscp, scope", "source: osc, scope", "oscp.groups[0].source", "there is no source 'osc'; did you mean 'oscp'?"),
    ("source: oscp, scope", "source: ocpp, scope", "oscp.groups[0].source", "is written by ocpp"),
    ("source: oscp, scope", "source: manual, scope", "oscp.groups[0].source", "may not use scope pcc"),
    (", missing_generation: zero", "", "oscp.groups[0].missing_generation", "required and not there"),
    ("missing_generation: zero", "missing_generation: none", "oscp.groups[0].missing_generation", "not one of zero, site_limit"),
    ("    class: grid\n", "    class: market\n", "oscp.groups[0].source", "of class market, whose limits may widen by lapsing"),
    ("    required: true\n    default_limits: {pcc_lo_w: -10000", "    default_limits: {pcc_lo_w: -10000", "oscp.groups[0].source", "(R7)"),
    ("{pcc_lo_w: -10000, pcc_hi_w: 0}", "{pcc_lo_w: -10000}", "oscp.groups[0].source", "default_limits for scope pcc"),
    ("name: optimizer", "name: dso", "oscp.peers[1].name", "stands already in oscp.peers[0]"),
    ("roles: [cp]", "roles: [dso]", "oscp.peers[0].roles[0]", "not one of cp, co"),
    ("      groups: [feeder-7]", "      groups: [feeder-8]", "oscp.peers[0].groups[0]", "there is no group 'feeder-8'"),
    ("kind: dso\n", "kind: dso\n      adjust: on\n", "oscp.peers[0].adjust", "write explicit where it offers this"),
    ("kind: dso\n", "kind: dso\n      heartbeat_s: 3600\n", "oscp.peers[0].heartbeat_s", "a lease of 10800 s is above lease_max_s 3600"),
    ("forecast_max_age_s: 1800", "forecast_max_age_s: 7200", "oscp.peers[1].forecast_max_age_s", "a lease of 7200 s is above"),
    ("naive_time: utc", "naive_time: cet", "oscp.peers[0].quirks.naive_time", "not one of reject, utc, local"),
    ("amps_all: per_phase", "amps_al: per_phase", "oscp.peers[0].quirks.amps_al", "did you mean 'amps_all'?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), WRONG)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site((old, new))
    line = next((line for line in str(caught.value).splitlines() if f": {key}: " in line), "")
    assert words in line, str(caught.value)
    assert line.startswith(f"{EXAMPLE}:")
    assert all(part.isdecimal() for part in line.removeprefix(f"{EXAMPLE}:").split(": ")[0].split(":"))


def test_what_is_right_arrives() -> None:
    """Files count from the site file; the lease of each slot is the sealed one."""
    loaded = site()
    assert loaded.site.oscp is not None
    config = provider(loaded.site, loaded.site.oscp, Path("/etc/bessctl"))
    dso, optimizer = config.peers
    assert (config.listen.cert_file, optimizer.ca_file) == (Path("/etc/bessctl/fp.pem"), Path("/etc/bessctl/co.pem"))
    assert (dso.roles, dso.heartbeat_s, dso.quirks.amps_per_phase) == (frozenset({Role.CP}), 60, True)
    assert (optimizer.heartbeat_s, optimizer.forecast_max_age_s, optimizer.adjust) == (None, 1800.0, Adjust.OFF)
    assert config.lease_max_s["oscp"] == 3600
    assert loaded.site.oscp.sources == {"oscp"}
