"""A tariff or a forecast as a file of its own, YAML: periods of the day, dated stretches, and what holds otherwise.

    time_zone: Europe/Brussels
    otherwise: {buy_per_kwh: 0.21, sell_per_kwh: 0.04}
    periods:
      - {days: [monday, tuesday, wednesday, thursday, friday], start: "07:00", end: "22:00", buy_per_kwh: 0.31, sell_per_kwh: 0.05}
    dated:
      - {start: "2026-01-31T17:00:00+01:00", end: "2026-01-31T20:00:00+01:00", buy_per_kwh: 0.90, sell_per_kwh: 0.40}

Later rows rule before earlier ones, dated ones before periods. A forecast has load_w and pv_w instead of prices.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from bessctl.config import explain
from bessctl.config.base import NotNegativeWatts, Strict
from bessctl.config.places import Tree, read
from bessctl.config.policy import DAY, DateTime, TimeOfDay, ZoneName
from bessctl.errors import ConfigError, ConfigErrors, UsageError
from bessctl.policy.schedule import DAYS, clock, day_number, moment
from bessctl.policy.tables import Dated, Period, Table
from bessctl.policy.zones import zone

T = TypeVar("T")
Price = Annotated[float, Field(ge=-1000, le=1000)]


class Prices(Strict):
    """Per kWh, in the site's currency."""

    buy_per_kwh: Price
    sell_per_kwh: Price = 0.0


class Powers(Strict):
    """Of everything behind the connection but the battery."""

    load_w: NotNegativeWatts
    pv_w: NotNegativeWatts = 0.0


class _Daily(Strict):
    days: Annotated[list[DAY], Field(min_length=1)] | None = None
    """Absent = every day."""
    start: TimeOfDay
    end: TimeOfDay
    """At or before start: on the next day."""


class _Between(Strict):
    start: DateTime
    end: DateTime


class PricePeriod(_Daily, Prices):
    """A time of the day."""


class PriceDated(_Between, Prices):
    """A stretch of time."""


class PowerPeriod(_Daily, Powers):
    """A time of the day."""


class PowerDated(_Between, Powers):
    """A stretch of time."""


class Tariff(Strict):
    """The file of `policy.tariff_file`."""

    time_zone: ZoneName
    currency: str = "EUR"
    otherwise: Prices
    periods: Annotated[list[PricePeriod], Field(max_length=500)] = Field(default=[])
    dated: Annotated[list[PriceDated], Field(max_length=5000)] = Field(default=[])


class Forecast(Strict):
    """The file of `policy.forecast_file`."""

    time_zone: ZoneName
    otherwise: Powers
    periods: Annotated[list[PowerPeriod], Field(max_length=500)] = Field(default=[])
    dated: Annotated[list[PowerDated], Field(max_length=5000)] = Field(default=[])


WORDS = {"buy_per_kwh": "buy", "sell_per_kwh": "sell", "load_w": "load_w", "pv_w": "pv_w"}


def tariff(file: Path) -> Table:
    """Raises ConfigError with file:line:column, NotReachable."""
    return _table(read(file), Tariff)


def forecast(file: Path) -> Table:
    """Raises ConfigError with file:line:column, NotReachable."""
    return _table(read(file), Forecast)


def _table(tree: Tree, model: type[Tariff] | type[Forecast]) -> Table:
    try:
        found = model.model_validate(tree.value)
    except ValidationError as e:
        errors = [explain.sentence(model, error) for error in e.errors(include_url=False)]
        told = [ConfigError(tree.place(path), f"{explain.dotted(path)}: {message}") for path, message in errors]
        raise told[0] if len(told) == 1 else ConfigErrors(told) from None
    _checked(tree, ("time_zone",), lambda: zone(found.time_zone))
    periods = tuple(_period(row) for row in found.periods)
    rows: list[PriceDated] | list[PowerDated] = found.dated
    dated = tuple(_dated(tree, index, row) for index, row in enumerate(list[PriceDated | PowerDated](rows)))
    return Table(found.time_zone, _values(found.otherwise), periods, dated)


def _values(row: BaseModel) -> tuple[tuple[str, float], ...]:
    return tuple((WORDS[key], float(value)) for key, value in row if key in WORDS)


def _period(row: PricePeriod | PowerPeriod) -> Period:
    days = frozenset(day_number(day) for day in row.days or DAYS)
    return Period(days, clock(row.start), clock(row.end), _values(row))


def _dated(tree: Tree, index: int, row: PriceDated | PowerDated) -> Dated:
    start = _checked(tree, ("dated", index, "start"), lambda: moment(row.start))
    end = _checked(tree, ("dated", index, "end"), lambda: moment(row.end))
    if end <= start:
        raise ConfigError(tree.place(("dated", index, "end")), f"dated[{index}].end: {row.end} is not after start; correct one of them")
    return Dated(start, end, _values(row))


def _checked(tree: Tree, path: tuple[str | int, ...], call: Callable[[], T]) -> T:
    try:
        return call()
    except UsageError as e:
        raise ConfigError(tree.place(path), f"{explain.dotted(path)}: {e}") from None
