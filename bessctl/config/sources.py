"""Section `sources`: the slot table. What a source may ask for is sealed here; its plans carry none of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessctl.config.base import Name, Seconds, Strict, Watts


class DefaultLimits(Strict):
    """R7: the limits that hold while the slot has no valid plan. Positive power flows toward the grid."""

    ess_lo_w: Annotated[float, Field(ge=-1e9, le=0)] | None = None
    ess_hi_w: Annotated[float, Field(ge=0, le=1e9)] | None = None
    pcc_lo_w: Watts | None = None
    pcc_hi_w: Watts | None = None


class Source(Strict):
    """One slot."""

    name: Name
    class_: Literal["grid", "contract", "market"] = Field(alias="class")
    """Whose limits win when limits are disjoint (R3): grid before contract before market."""
    priority: Annotated[int, Field(ge=0, le=1000)]
    """Whose target rules: the lowest number first."""
    scopes: Annotated[list[Literal["ess", "pcc", "reactive"]], Field(min_length=1)]
    """reactive: it may ask for reactive power; else that is left to the PCS's own functions."""
    lease_max_s: Seconds
    """The longest a plan may stand without being renewed."""
    required: bool = False
    """R7: its default limits hold from the first tick until a valid plan."""
    advisory: bool = False
    """Its limits may be dropped on lapse."""
    may_force: Literal["none", "charge", "discharge", "both"] = "none"
    """R3: a pcc limit of this source may move power away from zero in this direction."""
    default_limits: DefaultLimits = DefaultLimits()
    operator: bool | None = None
    """The operator's own wish, which does not outlive a stop, out of service or a trip; absent = the source named manual is."""

    @property
    def of_operator(self) -> bool:
        """Is it?"""
        return self.name == "manual" if self.operator is None else self.operator
