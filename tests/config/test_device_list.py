"""The optimiser's entry of our battery: every field, default and range; its own faulty examples are refused by name (PLV-2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl.cli.program import run
from bessctl.config.device_list import BessDevice, device_of, written
from bessctl.config.exchange import bands, exported, into_text, spliced, storage_keys
from bessctl.config.load import site_from_text
from bessctl.config.places import parse
from bessctl.config.policy import Policy
from bessctl.config.site import Site
from bessctl.config.storage import Storage
from bessctl.errors import ConfigError, UsageError
from tests.sites import EXAMPLE

SLOT = "  - {name: policy, class: market, priority: 40, scopes: [ess, pcc], lease_max_s: 3600}\n\n# What protects"
WITH_POLICY = EXAMPLE.read_text().replace("\n# What protects", SLOT, 1)
SEED = """{
"name": "LR34_001",
"collector": "main_collector",
"type": "battery_energy_storage_system",
"charging_efficiency": 0.95,
"discharging_efficiency": 0.95,
"maximum_charging_power": 0,
"maximum_discharging_power": 0,
"operational_battery_capacity": 0,
"charging_priority": 10,
"discharging_priority": 10,
"policies": [
null
]
}
"""
GOOD: dict[str, Any] = {
    "name": "LR34_001", "collector": "main_collector", "maximum_charging_power": 150000, "maximum_discharging_power": 200000,
    "operational_battery_capacity": 320000,
}  # fmt: skip
WEEKLY = {"frequency": "weekly", "day_of_week": ["Monday", "FRIDAY"], "time": "09:00", "timezone": "America/New_York"}


def policy(**changes: Any) -> dict[str, Any]:
    return {"schedule": WEEKLY, "minimum_state_of_charge": 85.49, "maximum_state_of_charge": 85.49} | changes


def told(entry: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        device_of(parse(json.dumps(entry, indent=1), "d.json"))
    return str(caught.value)


def test_the_seeds_own_entry_is_refused_with_each_field() -> None:
    """Powers and capacity of 0, and a policy that is null."""
    with pytest.raises(ConfigError) as caught:
        device_of(parse(SEED, "seed.json"))
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["seed.json:7:1", "maximum_charging_power"],
        ["seed.json:8:1", "maximum_discharging_power"],
        ["seed.json:9:1", "operational_battery_capacity"],
        ["seed.json:13:1", "policies[0]"],
    ]
    assert "0 is too small; allowed: a number above 0" in lines[0]


def test_the_seeds_own_policy_without_a_schedule_is_refused() -> None:
    entry = GOOD | {"policies": [{"type": "schedule", "minimum_state_of_charge": 85.49, "maximum_state_of_charge": 85.49}]}
    assert "policies[0].schedule: required and not there" in told(entry)


def test_what_is_absent_has_its_default() -> None:
    device = device_of(parse(json.dumps(GOOD), "d.json"))
    assert written(device) == {
        **GOOD, "type": "battery_energy_storage_system", "charging_efficiency": 0.95, "discharging_efficiency": 0.95,
        "charging_priority": 10, "discharging_priority": 10, "policies": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # each range at both ends
        ({"charging_efficiency": 0}, "charging_efficiency: 0 is too small; allowed: a number above 0 to 1"),
        ({"discharging_efficiency": 1.01}, "discharging_efficiency: 1.01 is too large"),
        ({"maximum_charging_power": -1}, "maximum_charging_power: -1 is too small"),
        ({"operational_battery_capacity": "10"}, "operational_battery_capacity: '10' is not a number"),
        ({"charging_priority": 0}, "charging_priority: 0 is too small; allowed: a whole number from 1 to 10"),
        ({"discharging_priority": 11}, "discharging_priority: 11 is too large"),
        ({"charging_priority": 1.5}, "charging_priority: 1.5 is not a whole number"),
        ({"name": ""}, "name: '' is not in the form expected"),
        ({"collector": None}, "collector: nothing is not text"),
        ({"type": "charging_pole"}, "type: 'charging_pole' is not one of battery_energy_storage_system"),
        ({"colector": "x"}, "colector: unknown key; did you mean 'collector'?"),
        # policies
        ({"policies": [policy(minimum_state_of_charge=-1)]}, "policies[0].minimum_state_of_charge: -1 is too small"),
        ({"policies": [policy(maximum_state_of_charge=100.1)]}, "policies[0].maximum_state_of_charge: 100.1 is too large"),
        ({"policies": [policy(), policy(minimum_state_of_charge=90)]}, "policies[1].minimum_state_of_charge: 90 is above maximum_state_of"),
        ({"policies": [policy(type="hold")]}, "policies[0].type: 'hold' is not one of schedule"),
        # schedules
        ({"policies": [policy(schedule={"frequency": "daily"})]}, "policies[0].schedule.frequency: 'daily' is not one of once, weekly"),
        ({"policies": [policy(schedule={"frequency": "once"})]}, "policies[0].schedule.date_times: required with frequency once"),
        (
            {"policies": [policy(schedule={"frequency": "once", "date_times": ["2026-01-31T06:00:00"]})]},
            "policies[0].schedule.date_times[0]: '2026-01-31T06:00:00' is no date-time with a zone",
        ),
        ({"policies": [policy(schedule=WEEKLY | {"time": "6:00"})]}, "policies[0].schedule.time: '6:00' is not in the form expected"),
        ({"policies": [policy(schedule=WEEKLY | {"timezone": "Brussels"})]}, "policies[0].schedule.timezone: there is no IANA time zone"),
        (
            {"policies": [policy(schedule=WEEKLY | {"day_of_week": ["mondy"]})]},
            "schedule.day_of_week[0]: 'mondy' is no day of the week",
        ),
        ({"policies": [policy(schedule=WEEKLY | {"day_of_week": []})]}, "schedule.day_of_week: [] has too few items"),
        (
            {"policies": [policy(schedule=WEEKLY | {"date_times": ["2026-01-31T06:00:00Z"]})]},
            "date_times: has no meaning with frequency",
        ),
    ],
)
def test_a_fault_is_told_with_its_field(changes: dict[str, Any], words: str) -> None:
    assert words in told(GOOD | changes)


def test_the_entry_is_found_among_other_devices() -> None:
    pole = {"type": "charging_pole_3phase", "name": "p"}
    two = {"device_list": [pole, GOOD, GOOD | {"name": "B"}]}
    assert device_of(parse(json.dumps(two), "d.json"), "B").name == "B"
    with pytest.raises(UsageError, match=r"there are 2 \(LR34_001, B\); choose one with --name"):
        device_of(parse(json.dumps(two), "d.json"))
    assert device_of(parse(json.dumps([pole, GOOD]), "d.json")).name == "LR34_001"
    assert "device_list[1].charging_priority" in told({"device_list": [pole, GOOD | {"charging_priority": 0}]})
    with pytest.raises(UsageError, match="there are 0"):
        device_of(parse(json.dumps({"device_list": [pole]}), "d.json"))


weekly = st.fixed_dictionaries(
    {
        "frequency": st.just("weekly"),
        "day_of_week": st.lists(st.sampled_from(["monday", "tuesday", "sunday"]), min_size=1, max_size=3, unique=True),
        "time": st.sampled_from(["00:00", "06:00", "23:59"]),
        "timezone": st.sampled_from(["Europe/Brussels", "America/New_York", "UTC"]),
    }
)
instant = st.sampled_from(["2026-01-31T06:00:00+01:00", "2026-07-01T00:00:00Z"])
once = st.fixed_dictionaries({"frequency": st.just("once"), "date_times": st.lists(instant, min_size=1, max_size=2)})
share = st.floats(0.01, 1.0)
entries = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True), "collector": st.from_regex(r"[a-z_]{1,10}", fullmatch=True),
        "type": st.just("battery_energy_storage_system"), "charging_efficiency": share, "discharging_efficiency": share,
        "maximum_charging_power": st.floats(1, 200_000), "maximum_discharging_power": st.floats(1, 200_000),
        "operational_battery_capacity": st.floats(1, 400_000), "charging_priority": st.integers(1, 10),
        "discharging_priority": st.integers(1, 10),
        "policies": st.lists(
            st.builds(
                lambda schedule, ends: {
                    "type": "schedule", "schedule": schedule, "minimum_state_of_charge": min(ends), "maximum_state_of_charge": max(ends),
                },
                weekly | once, st.tuples(st.floats(0, 100), st.floats(0, 100)),
            ), max_size=3,
        ),
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Site:
    return site_from_text(WITH_POLICY).site


def taken(site: Site, device: BessDevice) -> Site:
    """The site's sections after an import."""
    before = list(site.policy.bands) if site.policy is not None else []
    sections = {"storage": Storage(**storage_keys(device, site.storage)), "policy": Policy.model_validate({"bands": bands(device, before)})}
    return site.model_copy(update=sections)


@settings(max_examples=50, deadline=None)
@given(entries)
def test_an_entry_taken_in_comes_out_as_it_was(site: Site, entry: dict[str, Any]) -> None:
    """PLV-2: import and export of every field; taking it in again changes nothing, and every band has a name of its own."""
    device = BessDevice.model_validate(entry)
    once = taken(site, device)
    assert written(exported(once)) == entry
    assert taken(once, device) == once
    assert once.policy is not None
    assert len({band.name for band in once.policy.bands}) == len(entry["policies"])


def test_it_goes_through_the_site_files_text_and_back(site: Site) -> None:
    """Also with two policies of one schedule, which were once given one name between them."""
    weekly = WEEKLY | {"day_of_week": ["monday", "friday"]}
    entry = GOOD | {"policies": [policy(schedule=weekly, minimum_state_of_charge=low) for low in (85.49, 10.0, 85.49)]}
    device = BessDevice.model_validate(entry)
    text = into_text(WITH_POLICY, device, site)
    read = site_from_text(text).site
    assert written(exported(read)) == written(device)
    assert into_text(text, device, read) == text


def test_the_rest_of_the_site_file_stays_to_the_letter() -> None:
    text = WITH_POLICY + "\nstorage: {name: OLD, soc_min_pct: 10, soc_max_pct: 90}  # ours\n\n# the end\npolicy: {reserve_pct: 20}\n"
    new = into_text(text, BessDevice.model_validate(GOOD | {"policies": [policy()]}), site_from_text(text).site)
    assert new.startswith(WITH_POLICY)
    assert "\n# the end\n" in new
    site = site_from_text(new).site
    assert site.storage is not None
    assert site.policy is not None
    assert (site.storage.name, site.storage.soc_min_pct, site.policy.reserve_pct) == ("LR34_001", 10, 20)
    assert [band.name for band in site.policy.bands] == ["schedule 1"]


def test_a_band_that_comes_again_keeps_what_the_optimiser_does_not_know() -> None:
    band = "{name: mornings, minimum_pct: 1, maximum_pct: 2, hold_s: 60, priority: 9, at: {weekly: {days: [monday, friday], "
    band += 'time: "09:00", time_zone: America/New_York}}}'
    text = WITH_POLICY + f"storage: {{name: A}}\npolicy:\n  bands:\n    - {band}\n"
    new = site_from_text(into_text(text, BessDevice.model_validate(GOOD | {"policies": [policy()]}), site_from_text(text).site)).site
    assert new.policy is not None
    (kept,) = new.policy.bands
    assert (kept.name, kept.hold_s, kept.priority, kept.minimum_pct) == ("mornings", 60, 9, 85.49)


def test_a_section_is_put_in_place_of_its_old_self() -> None:
    assert spliced("a: 1\nb:\n  c: 2\n\n# next\nd: 3\n", "b", "b: 9\n# x\n") == "a: 1\nb: 9\n\n# next\nd: 3\n"
    assert spliced("a: 1", "b", "b: 9\n") == "a: 1\nb: 9\n"


def test_the_commands_export_import_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def cli(*arguments: object) -> tuple[int, str, str]:
        code = run([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    site, device = tmp_path / "site.yaml", tmp_path / "device.json"
    site.write_text(WITH_POLICY)
    device.write_text(json.dumps({"device_list": [GOOD | {"policies": [policy()]}]}))
    assert cli("site", "check", device)[0] == 0
    code, _, err = cli("site", "export", site)
    assert (code, "has no section storage" in err) == (2, True)
    assert cli("site", "import", device, "--into", site)[0] == 0
    (entry,) = json.loads(cli("site", "export", site)[1])["device_list"]
    assert entry["maximum_charging_power"] == 150000
    assert entry["policies"][0]["schedule"] == WEEKLY | {"day_of_week": ["monday", "friday"]}
    before = site.read_text()
    device.write_text(json.dumps(GOOD | {"maximum_charging_power": 300000}))
    code, _, err = cli("site", "import", device, "--into", site)
    assert (code, "storage.charging_max_w: 300000 is beyond the units' 200000; lower it" in err) == (2, True)
    assert site.read_text() == before, "a site that would be wrong is not written"
    device.write_text(SEED)
    code, _, err = cli("site", "check", device)
    assert (code, f"{device}:13:1: policies[0]" in err) == (2, True)
