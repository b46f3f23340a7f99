"""What the flexibility provider and each of its peers need to know. The site model fills these; nothing here reads a file.

Frozen: a changed configuration is a new provider. Row numbers are those of the decisions in docs/conformance/oscp.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bessctl.errors import UsageError
from bessctl.protocols.oscp.messages.times import NaiveTime

K_INTERVALS = 3
"""Rows 7 and 22: how many heartbeat intervals a peer is believed at most."""


class Role(StrEnum):
    """OSCP 2.0 1.6: who a peer is to us."""

    CP = "cp"
    CO = "co"


class GenerationSign(StrEnum):
    """Row 2: how a peer writes generation capacities."""

    AUTO = "auto"
    NEGATIVE = "negative"
    MAGNITUDE = "magnitude"


class ResumeOn(StrEnum):
    """Row 8: what ends fallback."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"


class Adjust(StrEnum):
    """Row 16: may we ask this peer for another capacity? A DSO or TSO only where its entry says `explicit`."""

    OFF = "off"
    ON = "on"
    EXPLICIT = "explicit"


class Scope(StrEnum):
    """Where a group's power is counted: at the PCS's terminals or at the connection point."""

    ESS = "ess"
    PCC = "pcc"


@dataclass(frozen=True, slots=True)
class Quirks:
    """Row 28: where a deployed peer leaves the standard. The defaults are the standard."""

    acknowledge_path: str = "handshake_acknowledge"
    naive_time: NaiveTime = NaiveTime.REJECT
    correlation: bool = True
    """False: send this peer no X-Correlation-ID, and expect none on segments."""
    single_version_url: bool = False
    """It writes one version_url object where the standard has an array."""
    delete_body: bool = False
    """It wants the registration as body of a DELETE."""
    adjust_hours: bool = False
    """It understands an Adjust only as 24 blocks of one hour."""
    generation_sign: GenerationSign = GenerationSign.AUTO
    amps_per_phase: bool = False
    """Row 13: phase ALL in A means amperes per phase instead of their sum."""


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """An area (`group_id`) and the slot that its capacities limit."""

    ident: str
    source: str
    scope: Scope = Scope.PCC
    optimum_source: str | None = None
    """The slot of OPTIMUM targets; None = the group's own."""
    missing_generation: str = "zero"
    """Row 12: GENERATION was never received: `zero`, or `site_limit` = this peer says nothing about it."""
    no_forecast_limit_w: float = 0.0
    """Row 10: the limit both ways where neither forecast nor fallback says anything."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """One capacity provider or optimizer."""

    name: str
    roles: frozenset[Role]
    groups: tuple[str, ...]
    kind: str = "other"
    """dso, tso, ems or other; row 16."""
    optimum_priority: int = 100
    """Whose OPTIMUM rules on a group: the lowest number first."""
    heartbeat_s: int | None = 60
    """The interval we ask for; None = we ask for none (then forecast_max_age_s alone is the lease)."""
    min_heartbeat_s: int = 1
    """A peer that asks us for more frequent heartbeats is refused, row 3."""
    grace_s: float = 2.0
    forecast_max_age_s: float | None = None
    """Row 22; None = 3 x the observed interval, 45 minutes while unknown."""
    measure_interval_s: float | None = None
    """None = the interval of its forecasts, 15 minutes while unknown."""
    handshake: bool = True
    """Whether we start handshakes too; a CO always needs it."""
    resume_on: ResumeOn = ResumeOn.HANDSHAKE
    adjust: Adjust = Adjust.OFF
    segment_bytes: int = 256 * 1024
    quirks: Quirks = Quirks()
    ca_file: Path | None = None
    request_timeout_s: float = 10.0

    @property
    def may_adjust(self) -> bool:
        """Row 16."""
        return (
            Role.CP in self.roles and self.adjust is not Adjust.OFF and (self.kind not in {"dso", "tso"} or self.adjust is Adjust.EXPLICIT)
        )


@dataclass(frozen=True, slots=True)
class Listen:
    """Our one listener."""

    host: str
    port: int
    cert_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """The flexibility provider."""

    base_url: str
    """What peers are told: https://HOST/oscp/fp/2.0."""
    listen: Listen
    groups: tuple[GroupConfig, ...]
    peers: tuple[PeerConfig, ...]
    lease_max_s: Mapping[str, float] = field(default_factory=dict)
    """Per slot, as sealed; a plan is never written with a longer lease."""
    reactive_va: Mapping[str, float] = field(default_factory=dict)
    """Slots that may ask for reactive power, and the plant's apparent power: row 13."""
    site: str = "site"
    nominal_v: float = 230.0
    """Phase to neutral, row 13."""
    compliance_margin_w: float = 1000.0
    """Row 21: power beyond a limit by no more than this still complies: meters and ramps are not exact."""
    compliance_s: float = 5.0
    backlog_max: int = 20_000
    """Measurements kept per peer while it is away."""
    look_s: float = 0.25
    """How often the plant and the clock are looked at."""

    def __post_init__(self) -> None:
        names = [peer.name for peer in self.peers]
        if len(set(names)) != len(names):
            raise UsageError("oscp: two peers have the same name")
        groups = [group.ident for group in self.groups]
        if len(set(groups)) != len(groups):
            raise UsageError("oscp: two groups have the same id")
        for peer in self.peers:
            for ident in peer.groups:
                if ident not in groups:
                    raise UsageError(f"oscp peer {peer.name}: there is no group {ident!r}")
        if not self.base_url.startswith("https://") or self.base_url.endswith("/"):
            raise UsageError(f"oscp: base_url {self.base_url!r} must start with https:// and not end with a slash")

    def group(self, ident: str) -> GroupConfig:
        """The group of that id; it exists."""
        return next(group for group in self.groups if group.ident == ident)
