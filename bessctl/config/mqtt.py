"""Section `mqtt`: telemetry to one or many brokers. Defaults are the decisions of docs/howto/mqtt.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bessctl.config.base import Name, Strict
from bessctl.config.storage import AssetName

Topic = Annotated[str, StringConstraints(pattern=r"^[^+#\x00$][^+#\x00]*$", max_length=200)]
"""A topic to publish to: no wildcards, and not the broker's own ($...)."""


class Tls(Strict):
    """Files of a TLS link; absent `ca_file` = the system's trust store."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class BackOff(Strict):
    """Time between connection attempts."""

    minimum_s: Annotated[float, Field(ge=0.1, le=3600)] = 2.0
    longest_s: Annotated[float, Field(ge=0.1, le=3600)] = 120.0
    random_range_s: Annotated[float, Field(ge=0, le=3600)] = 2.0


class Commands(Strict):
    """Inbound commands: absent, nothing is subscribed to."""

    topic: Topic
    ttl_max_s: Annotated[float, Field(gt=0, le=86400)] = 900.0
    age_max_s: Annotated[float, Field(gt=0, le=3600)] = 30.0


class HomeAssistant(Strict):
    """Retained discovery topics."""

    prefix: Topic = "homeassistant"


class Broker(Strict):
    """One broker."""

    name: Name
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    topic: Topic
    """Where measurements go; {asset} stands for the asset's name."""
    availability_topic: Topic | None = None
    """online while connected, offline by last will."""
    client_id: Annotated[str, StringConstraints(pattern=r"^[^\s\x00]{1,64}$")] | None = None
    """Absent = bessctl- and the site's name."""
    interval_s: Annotated[float, Field(ge=1, le=300)] = 60.0
    qos: Literal[0, 1] = 1
    """2 would promise nothing more: sessions end with their connection, and a duplicate is known by its timestamp."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: Annotated[int, Field(ge=5, le=1200)] = 30
    energy_value: Literal["net", "import", "export"] = "net"
    user: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    password_file: str | None = None
    allow_plain: bool = False
    """Without TLS only where this is true."""
    tls: Tls = Tls()
    spool_days: Annotated[float, Field(ge=7, le=400)] = 7.0
    resume_per_s: Annotated[float, Field(ge=0.1, le=10000)] = 50.0
    in_flight_max: Annotated[int, Field(ge=1, le=1000)] = 20
    ack_timeout_s: Annotated[float, Field(ge=1, le=300)] = 20.0
    back_off: BackOff = BackOff()
    commands: Commands | None = None
    home_assistant: HomeAssistant | None = None


class UnitAsset(Strict):
    """A unit that is measured by itself, beside the whole plant."""

    unit: str
    name: AssetName


class Mqtt(Strict):
    """The publisher."""

    brokers: Annotated[list[Broker], Field(min_length=1)]
    units: list[UnitAsset] = Field(default=[])
    source: str = "manual"
    """The slot that commands write."""
