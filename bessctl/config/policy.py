"""Section `policy`: what the battery itself should do; docs/howto/policies.md explains it. SoC is of the operational window."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bessctl.config.base import NotNegativeWatts, Percent, PositiveWatts, Strict, Text, Watts
from bessctl.config.storage import Priority

DAY = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
DateTime = Annotated[str, StringConstraints(min_length=1, max_length=40)]
ZoneName = Annotated[str, StringConstraints(min_length=1, max_length=60)]


class Weekly(Strict):
    """A wall time on days of the week."""

    days: Annotated[list[DAY], Field(min_length=1, max_length=7)]
    time: TimeOfDay
    time_zone: ZoneName
    """IANA name: Europe/Brussels."""


class When(Strict):
    """Instants: exactly one of the two."""

    once: Annotated[list[DateTime], Field(min_length=1, max_length=1000)] | None = None
    """ISO 8601 date-times with their zone."""
    weekly: Weekly | None = None


class Band(Strict):
    """At each instant the SoC lies between the two."""

    name: Text
    minimum_pct: Percent
    maximum_pct: Percent
    at: When
    hold_s: Annotated[float, Field(ge=0, le=7 * 86400)] = 0.0
    """So long after each instant it stays there."""
    priority: Priority = 5
    """10 is served first."""


class Force(Strict):
    """From each instant on this power, for its time-out. 0 holds the SoC."""

    name: Text
    power_w: Watts
    """Positive discharges."""
    at: When
    for_s: Annotated[float, Field(gt=0, le=7 * 86400)]
    priority: Priority = 5


class PeakShaving(Strict):
    """Import at the connection point stays below this, as far as the battery can."""

    import_max_w: NotNegativeWatts


class OtherDevice(Strict):
    """A device behind the same connection. With the same priority as ours or a higher one it is served before us."""

    name: Text
    charging_priority: Priority = 10
    charging_max_w: NotNegativeWatts = 0.0
    discharging_priority: Priority = 10
    discharging_max_w: NotNegativeWatts = 0.0


class Policy(Strict):
    """The planner."""

    source: str = "policy"
    """The slot it writes."""
    bands: Annotated[list[Band], Field(max_length=100)] = Field(default=[])
    forces: Annotated[list[Force], Field(max_length=100)] = Field(default=[])
    peak_shaving: PeakShaving | None = None
    self_consumption: bool = False
    """The connection point at 0 W wherever nothing else is planned."""
    reserve_pct: Percent = 0.0
    """Backup reserve: nothing is discharged below it, whoever asks."""
    reserve_hysteresis_pct: Annotated[float, Field(ge=0, le=20)] = 0.5
    soc_tolerance_pct: Annotated[float, Field(ge=0.01, le=10)] = 0.5
    """A band whose ends are equal is as wide as this, each way."""
    tariff_file: str | None = None
    forecast_file: str | None = None
    other_devices: list[OtherDevice] = Field(default=[])
    ask_capacity: Literal["off", "more", "more_and_less"] = "off"
    """Whether a capacity provider is asked for what the plan needs, where that peer's own entry allows it (`adjust`)."""
    time_zone: ZoneName = "UTC"
    """For people: `bessctl plan show`."""
    horizon_h: Annotated[float, Field(ge=6, le=168)] = 48.0
    step_s: Annotated[int, Field(ge=60, le=3600)] = 900
    margin_pct: Annotated[float, Field(ge=0, le=50)] = 5.0
    """Power kept back as long as every target can be met without it."""
    derating_holds_s: Annotated[float, Field(ge=0, le=86400)] = 7200.0
    """A limit of the devices that is seen now is expected to stay so long."""
    replan_s: Annotated[float, Field(ge=5, le=900)] = 60.0
    """At least so often; and at once when anything changes."""
    lease_s: Annotated[float, Field(ge=10, le=86400)] = 300.0
    minimum_w: PositiveWatts = 100.0
    """Smaller powers are not worth a target."""
