"""What a client is told of its site, and what it hands back to be kept or carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bessctl.protocols.sep2.config import Ratings
from bessctl.protocols.sep2.messages.identity import Identity
from bessctl.protocols.sep2.messages.modes import Channel
from bessctl.protocols.sep2.profiles import DataPoint, Profile
from bessctl.protocols.sep2.session.engine import Said


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session needs to know of its site."""

    url: str
    profile: Profile
    identity: Identity
    ratings: Ratings
    points: tuple[DataPoint, ...]
    supported: frozenset[Channel]
    """What profile and plant can do."""
    enabled: frozenset[Channel]
    """What of it is carried out."""
    curve_points: Mapping[Channel, int] = field(default_factory=dict)
    """Points a curve may have."""
    enter_service: bool = False
    """The plant's PCS take enter-service settings."""
    pin: int | None = None
    pen: int = 0
    der_index: int = 0
    redirect_hosts: frozenset[str] = frozenset()


@dataclass(slots=True)
class Changes:
    """What the binding must keep or carry out since the last look."""

    responses: list[Said] = field(default_factory=list)
    responses_done: list[tuple[str, int]] = field(default_factory=list)
    events: set[str] = field(default_factory=set)
    schedule: bool = False
    curves: bool = False
    clock: bool = False
    notes: list[str] = field(default_factory=list)
