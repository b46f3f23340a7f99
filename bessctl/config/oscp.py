"""Section `oscp`: the flexibility provider, its groups and its peers. The defaults are the decisions of docs/conformance/oscp.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bessctl.config.base import Name, NotNegativeWatts, Positive, PositiveWatts, Seconds, Strict

HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[^\s/?#@\\][^\s?#@\\]*[^\s/?#@\\]$", max_length=255)]
GroupId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Listen(Strict):
    """Our one listener, for all peers."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "0.0.0.0"
    port: Annotated[int, Field(ge=1, le=65535)] = 8443
    cert_file: str
    """Certificate chain (PEM)."""
    key_file: str
    """Its key, mode 0600."""


class Group(Strict):
    """An area that peers name by its id, and the slot that their capacities limit."""

    id: GroupId
    source: str
    """The slot it writes."""
    scope: Literal["ess", "pcc"] = "pcc"
    """Where its power is counted."""
    optimum_source: str | None = None
    """The slot of OPTIMUM targets; absent = the same."""
    missing_generation: Literal["zero", "site_limit"]
    """A GENERATION capacity that was never received: nothing may be exported, or the site's own limits alone hold."""
    no_forecast_limit_w: NotNegativeWatts = 0.0
    """The limit both ways where neither forecast nor fallback says anything."""


class Quirks(Strict):
    """Where a deployed peer leaves the standard."""

    acknowledge_path: Literal["handshake_acknowledge", "handshake_acknowledgment"] = "handshake_acknowledge"
    naive_time: Literal["reject", "utc", "local"] = "reject"
    correlation: bool = True
    single_version_url: bool = False
    delete_body: bool = False
    adjust_hours: bool = False
    generation_sign: Literal["auto", "negative", "magnitude"] = "auto"
    amps_all: Literal["sum", "per_phase"] = "sum"


class Peer(Strict):
    """One capacity provider or optimizer."""

    name: Name
    roles: Annotated[list[Literal["cp", "co"]], Field(min_length=1, max_length=2)]
    kind: Literal["dso", "tso", "ems", "other"] = "other"
    groups: Annotated[list[GroupId], Field(min_length=1)]
    optimum_priority: Annotated[int, Field(ge=0, le=1000)] = 100
    heartbeat_s: Annotated[int, Field(ge=1, le=86400)] | None = 60
    """The interval we ask for; null = none: then forecast_max_age_s alone says when the peer is lost."""
    min_heartbeat_s: Annotated[int, Field(ge=1, le=3600)] = 1
    grace_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    forecast_max_age_s: Seconds | None = None
    measure_interval_s: Seconds | None = None
    handshake: bool = True
    """Start handshakes ourselves too, where the peer serves them."""
    resume_on: Literal["handshake", "heartbeat"] = "handshake"
    adjust: Literal["off", "on", "explicit"] = "off"
    """Ask for another capacity: for a DSO or TSO only as `explicit`."""
    segment_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 256 * 1024
    quirks: Quirks = Quirks()
    ca_file: str | None = None
    """Who signed its certificate; absent = the system's trust store."""
    request_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0


class Oscp(Strict):
    """The flexibility provider."""

    base_url: HttpsUrl
    """What peers are told: https://HOST/oscp/fp/2.0."""
    listen: Listen
    nominal_v: Annotated[float, Field(gt=50, le=1000)] = 230.0
    """Phase to neutral: amperes become watts with it, or with the measured voltage where that is lower."""
    compliance_margin_w: PositiveWatts = 1000.0
    compliance_s: Positive = 5.0
    groups: Annotated[list[Group], Field(min_length=1)]
    peers: Annotated[list[Peer], Field(min_length=1)]

    @property
    def sources(self) -> frozenset[str]:
        """The slots it writes."""
        return frozenset(name for group in self.groups for name in (group.source, group.optimum_source) if name is not None)
