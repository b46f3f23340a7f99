"""Section `protection`: for each line of the catalogue up to three tiers, warn, derate, trip; or `disabled` with a reason.

The unit of the thresholds is part of their keys (`pickup_v`, `dropoff_c`): each unit has its own set of models, made from the three below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, create_model

from bessctl.config.alarms import BmsAlarms, PcsAlarms
from bessctl.config.base import DelaySeconds, Strict, Text
from bessctl.config.catalogue import KINDS, Suffix

Recovery = Annotated[float, Field(ge=0, le=1)] | None
"""With `block` in one direction: the part of the rating that the other one keeps meanwhile; absent = all of it."""


class Tier(Strict):
    """What every tier says: when the row picks up and when it lets go."""

    dropoff: float
    """On the healthy side of pickup."""
    pickup_delay_s: DelaySeconds = 0.0
    dropoff_delay_s: DelaySeconds = 0.0
    max_age_s: Annotated[float, Field(gt=0, le=60)] | None = None
    """Older data counts as not seen; absent = the unit's data_age_s."""
    reset: Literal["auto", "any", "local"] = "auto"
    """auto: it does not latch; any: latched until the operator or a protocol resets it; local: only the operator at the machine may."""
    act_within_ms: Annotated[float, Field(gt=0, le=60000)] | None = None
    """From the threshold crossed at the device to the command on the wire, without the row's own delay; absent = 100 for currents, else no
    bound. `check` refuses a bus and a poll plan that cannot keep it."""


class Warn(Tier):
    """An alarm; power stays as it is."""

    pickup: float


class Derate(Tier):
    """Less power, by a polyline that starts at pickup; or none in one direction, from pickup on."""

    curve: Annotated[list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=2, max_length=6)] | None = None
    """[[threshold, share of the unit's rating], ...], thresholds rising. Its healthy end is the pickup."""
    pickup: float | None = None
    action: Literal["block"] | None = None
    """With `pickup`: no power in `direction`."""
    direction: Literal["charge", "discharge", "both"] | None = None
    """Absent = the direction the catalogue gives this row."""
    recovery_share: Recovery = None


class Trip(Tier):
    """Power to 0 in both directions, or in one (`block`); `reset` has to be stated."""

    pickup: float
    action: Literal["block", "zero", "standby", "open_contactor"]
    reset: Literal["auto", "any", "local"]
    direction: Literal["charge", "discharge", "both"] | None = None
    """With `block`; absent = the direction the catalogue gives this row."""
    recovery_share: Recovery = None


class Row(Strict):
    """One line of the catalogue as this site wants it."""

    warn: Warn | None = None
    derate: Derate | None = None
    trip: Trip | None = None
    disabled: Text | None = None
    """The reason why this site runs without it."""

    def tiers(self) -> list[tuple[str, Warn | Derate | Trip]]:
        """The configured tiers, mildest first."""
        pairs = (("warn", self.warn), ("derate", self.derate), ("trip", self.trip))
        return [(name, tier) for name, tier in pairs if tier is not None]


def _without_threshold(base: type[Strict]) -> type[Strict]:
    """The same model for what is so or not: 1 or 0."""
    return create_model(f"{base.__name__}_state", __base__=base, __module__=__name__, pickup=(Literal[1], 1), dropoff=(Literal[0], 0))


def _with_unit(base: type[Strict], suffix: Suffix) -> type[Strict]:
    """The same model with `pickup` and `dropoff` written as `pickup_<unit>` and `dropoff_<unit>`."""
    if suffix == "state":
        return _without_threshold(base)

    def alias(name: str) -> str:
        return f"{name}_{suffix}" if name in {"pickup", "dropoff"} else name

    return cast(
        type[Strict],
        type(f"{base.__name__}_{suffix}", (base,), {"model_config": ConfigDict(alias_generator=alias), "__module__": __name__}),
    )


def _row(suffix: Suffix, warn_only: bool) -> type[Row]:
    tiers: dict[str, Any] = {"warn": (_with_unit(Warn, suffix) | None, None)}
    if warn_only:
        tiers |= {"derate": (None, None), "trip": (None, None)}
    else:
        tiers["derate"] = (_with_unit(Derate, suffix) | None, None)
        tiers["trip"] = (_with_unit(Trip, suffix) | None, None)
    return create_model(f"Row_{suffix}", __base__=Row, __module__=__name__, **tiers)


_ROWS = {(kind.suffix, kind.warn_only): _row(kind.suffix, kind.warn_only) for kind in KINDS}


class ProtectionBase(Strict):
    """The rows by name; the fields come from the catalogue."""

    bms_alarms: BmsAlarms = BmsAlarms()
    pcs_alarms: PcsAlarms = PcsAlarms()

    def rows(self) -> list[tuple[str, Row]]:
        """The lines this site mentions, in the catalogue's order."""
        pairs = ((kind.name, getattr(self, kind.name)) for kind in KINDS)
        return [(name, row) for name, row in pairs if row is not None]


if TYPE_CHECKING:
    Protection = ProtectionBase
else:
    Protection = create_model(
        "Protection",
        __base__=ProtectionBase,
        __module__=__name__,
        **{kind.name: (_ROWS[kind.suffix, kind.warn_only] | None, None) for kind in KINDS},
    )
