"""The optimiser's entry <-> sections `storage` and `policy` of the site file. Pure, but for `into_text`, which edits the file's text."""

from __future__ import annotations

import io
import re
from typing import Any

from bessctl.config.device_list import BessDevice, DeviceSchedule, ScheduledPolicy
from bessctl.config.policy import Band, When
from bessctl.config.site import Site
from bessctl.config.storage import Storage
from bessctl.errors import UsageError
from bessctl.policy.problem import MIDDLE


def exported(site: Site) -> BessDevice:
    """The entry that describes this site. Raises UsageError without section storage."""
    storage = site.storage
    if storage is None:
        raise UsageError("the site has no section storage, where the device's name and window stand; add it")
    window = (storage.soc_max_pct - storage.soc_min_pct) / 100
    return BessDevice(
        name=storage.name,
        collector=storage.collector,
        charging_efficiency=storage.charging_efficiency,
        discharging_efficiency=storage.discharging_efficiency,
        maximum_charging_power=storage.charging_max_w or sum(unit.charge_max_w for unit in site.units),
        maximum_discharging_power=storage.discharging_max_w or sum(unit.discharge_max_w for unit in site.units),
        operational_battery_capacity=storage.operational_capacity_wh or window * sum(unit.capacity_wh for unit in site.units),
        charging_priority=storage.charging_priority,
        discharging_priority=storage.discharging_priority,
        policies=[_policy(band) for band in (site.policy.bands if site.policy is not None else [])],
    )


def _policy(band: Band) -> ScheduledPolicy:
    return ScheduledPolicy(schedule=_schedule(band.at), minimum_state_of_charge=band.minimum_pct, maximum_state_of_charge=band.maximum_pct)


def _schedule(when: When) -> DeviceSchedule:
    if when.weekly is None:
        return DeviceSchedule(frequency="once", date_times=when.once)
    weekly = when.weekly
    return DeviceSchedule(frequency="weekly", day_of_week=list(weekly.days), time=weekly.time, timezone=weekly.time_zone)


def storage_keys(device: BessDevice, before: Storage | None) -> dict[str, Any]:
    """Section storage after an import. The window is ours: the optimiser does not know it."""
    kept = before or Storage(name=device.name)
    return {
        "name": device.name,
        "collector": device.collector,
        "soc_min_pct": kept.soc_min_pct,
        "soc_max_pct": kept.soc_max_pct,
        "operational_capacity_wh": device.operational_battery_capacity,
        "charging_max_w": device.maximum_charging_power,
        "discharging_max_w": device.maximum_discharging_power,
        "charging_efficiency": device.charging_efficiency,
        "discharging_efficiency": device.discharging_efficiency,
        "charging_priority": device.charging_priority,
        "discharging_priority": device.discharging_priority,
    }


def bands(device: BessDevice, before: list[Band]) -> list[dict[str, Any]]:
    """Section policy.bands after an import: the same bands keep their names, priorities and times to hold, each for one of them."""
    found: list[dict[str, Any]] = []
    left = list(before)
    for policy in device.policies:
        at = _when(policy.schedule)
        same = _same(policy, When.model_validate(at), left)
        if same is not None:
            left.remove(same)
        entry: dict[str, Any] = {
            "name": same.name if same is not None else _new_name([*(band["name"] for band in found), *(band.name for band in before)]),
            "minimum_pct": policy.minimum_state_of_charge,
            "maximum_pct": policy.maximum_state_of_charge,
            "at": at,
            "hold_s": same.hold_s if same is not None else 0.0,
            "priority": same.priority if same is not None else MIDDLE,
        }
        found.append(entry)
    return found


def _same(policy: ScheduledPolicy, at: When, left: list[Band]) -> Band | None:
    """Of the bands with this schedule the one that says the same, else the first."""
    wanted = (policy.minimum_state_of_charge, policy.maximum_state_of_charge)
    there = [band for band in left if band.at == at]
    return next((band for band in there if (band.minimum_pct, band.maximum_pct) == wanted), there[0] if there else None)


def _new_name(taken: list[str]) -> str:
    return next(name for number in range(1, len(taken) + 2) if (name := f"schedule {number}") not in taken)


def _when(schedule: DeviceSchedule) -> dict[str, Any]:
    if schedule.frequency == "once":
        return {"once": list(schedule.date_times or [])}
    days = [day.lower() for day in schedule.day_of_week or []]
    return {"weekly": {"days": days, "time": schedule.time, "time_zone": schedule.timezone}}


def into_text(text: str, device: BessDevice, site: Site) -> str:
    """The site file's text with the entry taken in. Only the two sections are written anew; every other line stays as it is."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - as in places.py

    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 140
    yaml.indent(mapping=2, sequence=4, offset=2)

    def section(key: str, value: Any) -> str:
        out = io.StringIO()
        yaml.dump({key: value}, out)
        return out.getvalue()

    result = spliced(text, "storage", section("storage", storage_keys(device, site.storage)))
    policy = yaml.load(text).get("policy")
    found = bands(device, list(site.policy.bands) if site.policy is not None else [])
    if policy is None and not found:
        return result
    policy = {} if policy is None else policy
    policy["bands"] = found
    return spliced(result, "policy", section("policy", policy))


def spliced(text: str, key: str, section: str) -> str:
    """The text with one top-level section replaced, or appended. Comments between it and the next section stay."""
    lines = text.splitlines(keepends=True)
    section = re.sub(r"(\n[ \t]*(#.*)?)*\Z", "", section) + "\n"
    start = next((i for i, line in enumerate(lines) if re.match(rf"{key}\s*:", line)), None)
    if start is None:
        return text + ("" if text.endswith("\n") else "\n") + section
    end = next((i for i in range(start + 1, len(lines)) if re.match(r"[^\s#]", lines[i])), len(lines))
    while end > start + 1 and re.match(r"\s*(#|$)", lines[end - 1]):
        end -= 1
    return "".join([*lines[:start], section, *lines[end:]])
