"""The optimiser's site configuration: the `battery_energy_storage_system` entry of its `device_list`, with every field, default and range.

Key names, defaults and ranges are the optimiser's; `read_device` tells every fault with file:line:column and the exact field. Reading and
writing give the same entry back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from bessctl.config import explain
from bessctl.config.base import Percent, Positive, Share, Strict
from bessctl.config.places import Path, Tree, read
from bessctl.config.policy import TimeOfDay
from bessctl.config.storage import AssetName, Priority
from bessctl.errors import ConfigError, ConfigErrors, UsageError
from bessctl.policy.schedule import DAYS, moment
from bessctl.policy.zones import zone

TYPE: Literal["battery_energy_storage_system"] = "battery_energy_storage_system"


class DeviceSchedule(Strict):
    """`once` has date_times, `weekly` has day_of_week, time and timezone."""

    frequency: Literal["once", "weekly"]
    date_times: Annotated[list[str], Field(min_length=1)] | None = None
    day_of_week: Annotated[list[str], Field(min_length=1)] | None = None
    time: TimeOfDay | None = None
    timezone: str | None = None


class ScheduledPolicy(Strict):
    """At each instant of the schedule the state of charge lies between the two."""

    type: Literal["schedule"] = "schedule"
    schedule: DeviceSchedule
    minimum_state_of_charge: Percent
    maximum_state_of_charge: Percent


class BessDevice(Strict):
    """The entry."""

    name: AssetName
    collector: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    type: Literal["battery_energy_storage_system"] = TYPE
    charging_efficiency: Share = 0.95
    discharging_efficiency: Share = 0.95
    maximum_charging_power: Positive
    maximum_discharging_power: Positive
    operational_battery_capacity: Positive
    charging_priority: Priority = 10
    discharging_priority: Priority = 10
    policies: list[ScheduledPolicy] = Field(default=[])


OF_FREQUENCY = {"once": ("date_times",), "weekly": ("day_of_week", "time", "timezone")}


def read_device(file: FilePath, name: str | None = None) -> BessDevice:
    """The entry in a file (JSON or YAML): a whole site configuration, a device list, or one entry. `name` chooses among several.

    Raises ConfigError with every fault, NotReachable, UsageError where there is no such entry.
    """
    return device_of(read(file), name)


def device_of(tree: Tree, name: str | None = None) -> BessDevice:
    """The same for a parsed file."""
    at, entry = _entry(tree, name)
    try:
        device = BessDevice.model_validate(entry)
    except ValidationError as e:
        raise _together(tree, at, [explain.sentence(BessDevice, error) for error in e.errors(include_url=False)]) from None
    found = list(_findings(device))
    if found:
        raise _together(tree, at, found)
    return device


def _together(tree: Tree, at: Path, findings: list[tuple[Path, str]]) -> ConfigError:
    errors = [ConfigError(tree.place((*at, *path)), f"{explain.dotted((*at, *path))}: {message}") for path, message in findings]
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


def _entry(tree: Tree, name: str | None) -> tuple[Path, Any]:
    """Where the entry stands, and what it holds. Charging poles and the like stay with the optimiser."""
    value = tree.value
    at: Path = ()
    if isinstance(value, dict) and "device_list" in value:
        at, value = ("device_list",), value["device_list"]
    if isinstance(value, dict):
        return at, value
    if not isinstance(value, list):
        raise ConfigError(tree.place(at), "neither a device nor a device_list; give the optimiser's site configuration, or one entry of it")
    ours = [(i, entry) for i, entry in enumerate(value) if not isinstance(entry, dict) or entry.get("type", TYPE) == TYPE]
    if name is not None:
        ours = [(i, entry) for i, entry in ours if isinstance(entry, dict) and entry.get("name") == name]
    if len(ours) != 1:
        names = ", ".join(str(entry.get("name")) for _, entry in ours if isinstance(entry, dict)) or "none"
        raise UsageError(f"{tree.file}: wanted exactly one {TYPE}, there are {len(ours)} ({names}); choose one with --name")
    return (*at, ours[0][0]), ours[0][1]


def _findings(device: BessDevice) -> Iterator[tuple[Path, str]]:
    for index, policy in enumerate(device.policies):
        at: Path = ("policies", index)
        if policy.minimum_state_of_charge > policy.maximum_state_of_charge:
            most = policy.maximum_state_of_charge
            yield (
                (*at, "minimum_state_of_charge"),
                f"{policy.minimum_state_of_charge:g} is above maximum_state_of_charge {most:g}; lower it",
            )
        for path, message in _of_schedule(policy.schedule):
            yield (*at, "schedule", *path), message


def _of_schedule(schedule: DeviceSchedule) -> Iterator[tuple[Path, str]]:
    mine = OF_FREQUENCY[schedule.frequency]
    for keys in OF_FREQUENCY.values():
        for key in keys:
            there = getattr(schedule, key) is not None
            if key in mine and not there:
                yield (key,), f"required with frequency {schedule.frequency} and not there; add it"
            if key not in mine and there:
                yield (key,), f"has no meaning with frequency {schedule.frequency}; take it out"
    for index, text in enumerate(schedule.date_times or []):
        yield from _fails(("date_times", index), moment, text)
    for index, day in enumerate(schedule.day_of_week or []):
        if day.lower() not in DAYS:
            yield ("day_of_week", index), f"{day!r} is no day of the week; {explain.nearest(day.lower(), DAYS)}"
    if schedule.timezone is not None:
        yield from _fails(("timezone",), zone, schedule.timezone)


def _fails(path: Path, call: Any, text: str) -> Iterator[tuple[Path, str]]:
    try:
        call(text)
    except UsageError as e:
        yield path, str(e)


def written(device: BessDevice) -> dict[str, Any]:
    """The entry as it is sent: every field; of a schedule those that its frequency has."""
    return device.model_dump(exclude_none=True)
