"""Sections storage, mqtt and policy: each contradiction is told with its key, what is allowed and what to do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bessctl.app.policies import policies
from bessctl.app.telemetry import publisher
from bessctl.cli.program import run
from bessctl.config.load import LoadedSite, from_tree, site_from_text
from bessctl.config.places import Tree, parse
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


@cache
def base(text: str) -> Tree:
    """The example parsed once: it is long, and what is changed here mostly stands behind it."""
    return parse(text, "site.yaml")


def loaded(text: str) -> LoadedSite:
    """The whole text as `site_from_text` reads it; the part before section storage from the cache."""
    before, storage, sections = text.partition("storage:") if "\nstorage:" in text else text.partition("mqtt:")
    tree, more = base(before), parse("\n" * before.count("\n") + storage + sections, "site.yaml")
    return from_tree(Path("site.yaml"), Tree("site.yaml", {**tree.value, **more.value}, {**tree.at, **more.at}))


def told(old: str, new: str) -> str:
    assert old in WHOLE, old
    with pytest.raises(ConfigError) as caught:
        loaded(WHOLE.replace(old, new, 1))
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


B = "mqtt.brokers[0]"
WEEKLY = "policy.bands[0].at.weekly"
ONCE = '{once: ["2026-01-31T06:00:00+01:00"]}'
TOP = "policy:\n  reserve"

# (what is changed, into what, key, words)
WRONG = [
    # storage
    ("soc_min_pct: 10", "soc_min_pct: 95", "storage.soc_min_pct", "95 is not below soc_max_pct 90"),
    ("soc_max_pct: 90}", "soc_max_pct: 90, charging_max_w: 250000}", "storage.charging_max_w", "250000 is beyond the units' 200000"),
    ("soc_max_pct: 90}", "soc_max_pct: 90, discharging_max_w: 2e6}", "storage.discharging_max_w", "2e+06 is beyond the units' 200000"),
    (
        "soc_max_pct: 90}", "soc_max_pct: 90, operational_capacity_wh: 5e5}",
        "storage.operational_capacity_wh", "500000 is beyond the units' 400000",
    ),
    ("name: LR34_001,", "name: LR34/001,", "storage.name", "'LR34/001' is not in the form expected"),
    ("soc_max_pct: 90}", "soc_max_pct: 90, charging_priority: 11}", "storage.charging_priority", "11 is too large"),
    ("soc_max_pct: 90}", "soc_max_pct: 90, charging_efficiency: 0}", "storage.charging_efficiency", "0 is too small"),
    # mqtt
    (FIRST, FIRST + "      port: 1883\n", f"{B}.port", "1883 is MQTT's port without TLS; use 8883"),
    (FIRST, FIRST + "      allow_plain: true\n", f"{B}.allow_plain", "true, and files of TLS are named"),
    (FIRST, FIRST + "      interval_s: 301\n", f"{B}.interval_s", "301 is too large; allowed: a number from 1 to 300"),
    (FIRST, FIRST + "      spool_days: 6\n", f"{B}.spool_days", "6 is too small; allowed: a number from 7 to 400"),
    (FIRST, FIRST + "      qos: 2\n", f"{B}.qos", "2 is not one of 0, 1"),
    (FIRST, FIRST + "      protocol: '4'\n", f"{B}.protocol", "'4' is not one of auto, 5, 3.1.1"),
    (FIRST, FIRST + "      back_off: {minimum_s: 300}\n", f"{B}.back_off.minimum_s", "300 is above longest_s 120"),
    (FIRST, FIRST + "      intervall_s: 60\n", f"{B}.intervall_s", "unknown key; did you mean 'interval_s'?"),
    ("{ca_file: ca.pem}", "{ca_file: ca.pem, key_file: k}", f"{B}.tls.key_file", "a key without its certificate"),
    ("      user: site\n", "", f"{B}.password_file", "a password without a user"),
    ("      availability_topic: sites/state\n", "", f"{B}.home_assistant", "needs availability_topic"),
    ("topic: sites/{asset}/measurements", "topic: sites/+/m", f"{B}.topic", "'sites/+/m' is not in the form expected"),
    (
        "availability_topic: sites/state", "availability_topic: sites/{asset}/measurements",
        f"{B}.availability_topic", "is the topic of the measurements",
    ),
    ("{topic: sites/orders}", "{topic: sites/orders, ttl_max_s: 7200}", f"{B}.commands.ttl_max_s", "7200 is above lease_max_s 3600"),
    ("mqtt:\n", "mqtt:\n  source: ocpp\n", f"{B}.commands", "source 'ocpp' is written by ocpp"),
    ("mqtt:\n", "mqtt:\n  source: none\n", f"{B}.commands", "they write source 'none' (mqtt.source), which is not in sources"),
    ("mqtt:\n", "mqtt:\n  units: [{unit: unit2, name: B}]\n", "mqtt.units[0].unit", "there is no unit 'unit2'; did you mean 'unit1'?"),
    ("mqtt:\n", "mqtt:\n  units: [{unit: unit1, name: LR34_001}]\n", "mqtt.units[0].name", "'LR34_001' is another asset's name already"),
    (
        "      home_assistant: {}\n", "      home_assistant: {}\n    - {name: optimiser, host: b, topic: t, password_file: p, user: u}\n",
        "mqtt.brokers[1].name", "'optimiser' stands already in mqtt.brokers[0]",
    ),
    (STORAGE, "", "mqtt", "measurements need the asset's name: it stands in section storage"),
    # policy
    (STORAGE, "", "policy", "a policy needs the battery's window, which stands in section storage"),
    (TOP, "policy:\n  source: polcy\n  reserve", "policy.source", "there is no source 'polcy'; did you mean 'policy'?"),
    (TOP, "policy:\n  source: ocpp\n  reserve", "policy.source", "source 'ocpp' is written by ocpp"),
    (TOP, "policy:\n  source: manual\n  self_consumption: true\n  reserve", "policy.self_consumption", "needs scope pcc"),
    (TOP, "policy:\n  lease_s: 3700\n  reserve", "policy.lease_s", "3700 is above lease_max_s 3600"),
    (TOP, "policy:\n  lease_s: 100\n  reserve", "policy.lease_s", "100 is below 2 times replan_s 60"),
    (TOP, "policy:\n  ask_capacity: more\n  reserve", "policy.ask_capacity", "no capacity provider may be asked; set adjust in oscp.peers"),
    (TOP, "policy:\n  ask_capacity: less\n  reserve", "policy.ask_capacity", "'less' is not one of off, more, more_and_less"),
    (TOP, "policy:\n  horizon_h: 200\n  reserve", "policy.horizon_h", "200 is too large; allowed: a number from 6 to 168"),
    (", may_force: discharge}", "}", "policy.peak_shaving", "needs source 'policy' to have scope pcc and may_force: discharge"),
    ("{import_max_w: 200000}", "{import_max_w: 260000}", "policy.peak_shaving.import_max_w", "260000 is above pcc.import_max_w 250000"),
    ("minimum_pct: 80, maximum_pct: 100", "minimum_pct: 80, maximum_pct: 70", "policy.bands[0].minimum_pct", "80 is above maximum_pct 70"),
    ("minimum_pct: 80, maximum_pct: 100", "minimum_pct: 5, maximum_pct: 10", "policy.bands[0].maximum_pct", "10 is below reserve_pct 20"),
    ("minimum_pct: 80, maximum_pct: 100", "minimum_pct: -1, maximum_pct: 100", "policy.bands[0].minimum_pct", "-1 is too small"),
    ('time: "06:00"', 'time: "6:00"', f"{WEEKLY}.time", "'6:00' is not in the form expected"),
    ('06:00", time_zone: Europe/Brussels', '06:00", time_zone: Brussels', f"{WEEKLY}.time_zone", "there is no IANA time zone"),
    ("days: [monday]", "days: [mondy]", f"{WEEKLY}.days[0]", "'mondy' is not one of"),
    (ONCE, '{once: ["2026-01-31T06:00"]}', "policy.forces[0].at.once[0]", "'2026-01-31T06:00' is no date"),
    (ONCE, "{}", "policy.forces[0].at", "needs exactly one of once and weekly"),
    ("power_w: -20000", "power_w: -300000", "policy.forces[0].power_w", "-300000 is beyond the units' -200000 to 200000 W"),
    ("for_s: 600", "for_s: 0", "policy.forces[0].for_s", "0 is too small; allowed: a number above 0"),
    ("{name: test,", "{name: morning,", "policy.bands[0].name", "'morning' is the name of another policy too"),
    ("charging_priority: 3", "charging_priority: 0", "policy.other_devices[1].charging_priority", "0 is too small"),
    ("  time_zone: Europe/Brussels\n  peak", "  time_zone: Nowhere\n  peak", "policy.time_zone", "there is no IANA time zone 'Nowhere'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), WRONG, ids=[f"{row[2]}-{n}" for n, row in enumerate(WRONG)])
def test_what_is_wrong_is_told_with_its_place_and_key(old: str, new: str, key: str, words: str) -> None:
    """PLV-2, PLV-3: file:line:column point at the very key, in the file as it stands."""
    line = next((line for line in told(old, new).splitlines() if f": {key}: " in line), "")
    assert words in line, told(old, new)
    file, at_line, at_column = line.split(": ")[0].rsplit(":", 2)
    there = WHOLE.replace(old, new, 1).splitlines()[int(at_line) - 1][int(at_column) - 1 :]
    assert file == "site.yaml"
    assert key.endswith("]") or there.startswith(key.rsplit(".", 1)[-1]), there


def test_priorities_need_a_limit_to_share() -> None:
    text = WHOLE.replace("  import_max_w: 250000\n", "").replace("  export_max_w: 250000\n", "")
    with pytest.raises(ConfigError, match=r"policy.other_devices: priorities share what the connection may carry"):
        site_from_text(text)


def test_check_judges_the_policys_files_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tariff that is wrong is told before the plant runs; one that is fetched later is not there yet."""
    site, tariff = tmp_path / "site.yaml", tmp_path / "tariff.yaml"
    site.write_text(WHOLE.replace("policy:\n", "policy:\n  tariff_file: tariff.yaml\n", 1))
    assert run(["check", str(site)]) == 0
    assert f"{tariff} is not there yet" in capsys.readouterr().err
    tariff.write_text("time_zone: UTC\notherwise: {buy_per_kwh: dear}\n")
    assert run(["check", str(site)]) == 2
    assert f"{tariff}:2:13: otherwise.buy_per_kwh: 'dear' is not a number" in capsys.readouterr().err
