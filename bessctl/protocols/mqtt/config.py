"""What the publisher and each broker need to know. The site model fills these; nothing here reads a file.

Frozen: a changed configuration is a new publisher.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DAY_S = 86_400
MINUTE_S = 60.0


class EnergyValue(StrEnum):
    """Which lifetime energy `energyValue` is, Wh."""

    NET = "net"
    """Charged less discharged: its slope is powerValue."""
    IMPORT = "import"
    EXPORT = "export"


class Protocol(StrEnum):
    """The dialect spoken. auto = 5, and 3.1.1 with a broker that does not know 5."""

    AUTO = "auto"
    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True)
class Window:
    """The BMS's SoC that counts as 0 % and as 100 % of the operational window."""

    lo_pct: float = 0.0
    hi_pct: float = 100.0


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that is measured: the plant, or one unit of it. `name` is the device name of the site configuration (assetId)."""

    name: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS link. `ca_file` None = the system's trust store. They are read again at each connect: rotation needs no restart."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class BackOff:
    """Seconds between connection attempts: minimum + random part, doubled each time up to the longest."""

    minimum_s: float = 2.0
    longest_s: float = 120.0
    random_range_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Commands:
    """Inbound commands. A broker without this subscribes to nothing."""

    topic: str
    ttl_max_s: float = 900.0
    age_max_s: float = 30.0
    """A command older than this when it arrives is expired, whatever its TTL."""


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """Retained discovery topics below `prefix`."""

    prefix: str = "homeassistant"


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker."""

    name: str
    """Names the broker in logs, the spool and the status; unique, stable."""
    host: str
    port: int
    topic: str
    """Where measurements go; `{asset}` stands for the asset's name."""
    client_id: str
    availability_topic: str | None = None
    """`online`, retained, while connected; `offline` by last will and at an orderly end."""
    interval_s: float = MINUTE_S
    qos: int = 1
    protocol: Protocol = Protocol.AUTO
    keepalive_s: int = 30
    energy_value: EnergyValue = EnergyValue.NET
    user: str | None = None
    password_file: Path | None = None
    tls: Tls | None = Tls()
    """None = no TLS."""
    spool_days: float = 7.0
    resume_per_s: float = 50.0
    """Messages a second after an outage, at most."""
    in_flight_max: int = 20
    """Messages without PUBACK, at most; the broker's Receive Maximum may lower it."""
    ack_timeout_s: float = 20.0
    """A PUBACK that takes longer means that the connection is dead."""
    back_off: BackOff = BackOff()
    commands: Commands | None = None
    home_assistant: HomeAssistant | None = None

    def capacity(self, assets: int) -> int:
        """Messages the spool holds: `spool_days` at this interval, or at one a minute where that is more often."""
        return max(1, round(self.spool_days * DAY_S / min(self.interval_s, MINUTE_S)) * assets)


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """All brokers, and what is told to each."""

    brokers: tuple[Broker, ...]
    assets: tuple[Asset, ...]
    window: Window = Window()
    source: str = "manual"
    """The slot a command writes."""
