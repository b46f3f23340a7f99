"""Sections storage, mqtt and policy: each contradiction is told with its key, what is allowed and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessctl.app.policies import policies
from bessctl.app.telemetry import publisher
from bessctl.config.load import site_from_text
from bessctl.errors import ConfigError
from bessctl.policy.schedule import Weekly
from bessctl.protocols.mqtt.config import Protocol
from tests.sites import EXAMPLE

SLOT = "  - {name: policy, class: market, priority: 40, scopes: [ess, pcc], lease_max_s: 3600, may_force: discharge}\n\n# What protects"
BASE = EXAMPLE.read_text().replace("\n# What protects", SLOT, 1)
STORAGE = "storage: {name: LR34_001, soc_min_pct: 10, soc_max_pct: 90}\n"
MQTT = """mqtt:
  brokers:
    - name: optimiser
      host: broker.example
      topic: sites/{asset}/measurements
      availability_topic: sites/state
      user: site
      password_file: mqtt.password
      tls: {ca_file: ca.pem}
      commands: {topic: sites/orders}
      home_assistant: {}
"""
POLICY = """policy:
  reserve_pct: 20
  time_zone: Europe/Brussels
  peak_shaving: {import_max_w: 200000}
  other_devices:
    - {name: chargers, charging_priority: 10, charging_max_w: 50000}
    - {name: boiler, charging_priority: 3, charging_max_w: 20000}
  bands:
    - {name: morning, minimum_pct: 80, maximum_pct: 100, at: {weekly: {days: [monday], time: "06:00", time_zone: Europe/Brussels}}}
  forces:
    - {name: test, power_w: -20000, for_s: 600, at: {once: ["2026-01-31T06:00:00+01:00"]}}
"""
FIRST = "    - name: optimiser\n"
WHOLE = BASE + STORAGE + MQTT + POLICY


def told(old: str, new: str) -> str:
    assert old in WHOLE, old
    with pytest.raises(ConfigError) as caught:
        site_from_text(WHOLE.replace(old, new, 1))
    return str(caught.value)


def test_a_good_site_becomes_publisher_and_policies() -> None:
    site = site_from_text(WHOLE).site
    assert site.mqtt is not None
    assert site.storage is not None
    assert site.policy is not None
    telemetry = publisher(site, site.mqtt, site.storage, Path("etc"))
    (broker,) = telemetry.brokers
    assert (broker.client_id, broker.port, broker.interval_s, broker.qos, broker.protocol) == ("bessctl-demo", 8883, 60.0, 1, Protocol.AUTO)
    assert broker.password_file == Path("etc/mqtt.password")
    assert broker.tls is not None
    assert broker.tls.ca_file == Path("etc/ca.pem")
    config = policies(site, site.policy, site.storage, Path("etc"))
    assert (config.battery.capacity_wh, config.priority, config.pcc) == (320_000.0, 40, True)
    assert config.connection.charging_before_us_w == 50_000.0, "10 is served first, and an equal before us"
    assert isinstance(config.bands[0].schedule, Weekly)
    assert {slot.name: slot.binding for slot in config.slots} == {"manual": False, "ems": True, "ocpp": False}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # storage
        ("soc_min_pct: 10", "soc_min_pct: 95", "storage.soc_min_pct: 95 is not below soc_max_pct 90"),
        ("soc_max_pct: 90}", "soc_max_pct: 90, charging_max_w: 250000}", "storage.charging_max_w: 250000 is beyond the units' 200000"),
        ("name: LR34_001,", "name: LR34/001,", "storage.name: 'LR34/001' is not in the form expected"),
        ("soc_max_pct: 90}", "soc_max_pct: 90, charging_priority: 11}", "storage.charging_priority: 11 is too large"),
        # mqtt
        (FIRST, FIRST + "      port: 1883\n", "port: 1883 is MQTT's port without TLS; use 8883"),
        (FIRST, FIRST + "      allow_plain: true\n", "allow_plain: true, and files of TLS are named"),
        (FIRST, FIRST + "      interval_s: 301\n", "interval_s: 301 is too large; allowed: a number from 1 to 300"),
        (FIRST, FIRST + "      spool_days: 6\n", "spool_days: 6 is too small; allowed: a number from 7 to 400"),
        (FIRST, FIRST + "      qos: 2\n", "qos: 2 is not one of 0, 1"),
        ("{ca_file: ca.pem}", "{ca_file: ca.pem, key_file: k}", "tls.key_file: a key without its certificate"),
        ("      user: site\n", "", "password_file: a password without a user"),
        ("      availability_topic: sites/state\n", "", "home_assistant: needs availability_topic"),
        ("topic: sites/{asset}/measurements", "topic: sites/+/m", "topic: 'sites/+/m' is not in the form expected"),
        ("availability_topic: sites/state", "availability_topic: sites/{asset}/measurements", "is the topic of the measurements"),
        ("{topic: sites/orders}", "{topic: sites/orders, ttl_max_s: 7200}", "commands.ttl_max_s: 7200 is above lease_max_s 3600"),
        ("mqtt:\n", "mqtt:\n  source: ocpp\n", "commands: source 'ocpp' is written by ocpp"),
        ("mqtt:\n", "mqtt:\n  source: none\n", "commands: they write source 'none' (mqtt.source), which is not in sources"),
        ("mqtt:\n", "mqtt:\n  units: [{unit: unit2, name: B}]\n", "mqtt.units[0].unit: there is no unit 'unit2'; did you mean 'unit1'?"),
        ("mqtt:\n", "mqtt:\n  units: [{unit: unit1, name: LR34_001}]\n", "mqtt.units[0].name: 'LR34_001' is another asset's name already"),
        (STORAGE, "", "mqtt: measurements need the asset's name: it stands in section storage"),
        # policy
        ("policy:\n  reserve", "policy:\n  source: polcy\n  reserve", "policy.source: there is no source 'polcy'; did you mean 'policy'?"),
        ("policy:\n  reserve", "policy:\n  source: ocpp\n  reserve", "policy.source: source 'ocpp' is written by ocpp"),
        ("policy:\n  reserve", "policy:\n  lease_s: 3700\n  reserve", "policy.lease_s: 3700 is above lease_max_s 3600"),
        ("policy:\n  reserve", "policy:\n  lease_s: 100\n  reserve", "policy.lease_s: 100 is below 2 times replan_s 60"),
        (", may_force: discharge}", "}", "policy.peak_shaving: needs source 'policy' to have scope pcc and may_force: discharge"),
        ("{import_max_w: 200000}", "{import_max_w: 260000}", "policy.peak_shaving.import_max_w: 260000 is above pcc.import_max_w 250000"),
        ("minimum_pct: 80, maximum_pct: 100", "minimum_pct: 80, maximum_pct: 70", "bands[0].minimum_pct: 80 is above maximum_pct 70"),
        ("minimum_pct: 80, maximum_pct: 100", "minimum_pct: 5, maximum_pct: 10", "bands[0].maximum_pct: 10 is below reserve_pct 20"),
        ('time: "06:00"', 'time: "6:00"', "bands[0].at.weekly.time: '6:00' is not in the form expected"),
        ('06:00", time_zone: Europe/Brussels', '06:00", time_zone: Brussels', "bands[0].at.weekly.time_zone: there is no IANA time zone"),
        ("days: [monday]", "days: [mondy]", "bands[0].at.weekly.days[0]: 'mondy' is not one of"),
        ('{once: ["2026-01-31T06:00:00+01:00"]}', '{once: ["2026-01-31T06:00"]}', "forces[0].at.once[0]: '2026-01-31T06:00' is no date"),
        ('{once: ["2026-01-31T06:00:00+01:00"]}', "{}", "policy.forces[0].at: needs exactly one of once and weekly"),
        ("power_w: -20000", "power_w: -300000", "policy.forces[0].power_w: -300000 is beyond the units' -200000 to 200000 W"),
        ("{name: test,", "{name: morning,", "policy.bands[0].name: 'morning' is the name of another policy too"),
        ("  time_zone: Europe/Brussels\n  peak", "  time_zone: Nowhere\n  peak", "policy.time_zone: there is no IANA time zone 'Nowhere'"),
    ],
)  # fmt: skip
def test_a_contradiction_is_told_with_its_key(old: str, new: str, words: str) -> None:
    assert words in told(old, new)


def test_priorities_need_a_limit_to_share() -> None:
    text = WHOLE.replace("  import_max_w: 250000\n", "").replace("  export_max_w: 250000\n", "")
    with pytest.raises(ConfigError, match=r"policy.other_devices: priorities share what the connection may carry"):
        site_from_text(text)
