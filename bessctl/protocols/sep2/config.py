"""What a client needs to know. The site model fills it; nothing here reads a file. Frozen: a changed configuration is a new client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bessctl.model.plan import Block
from bessctl.protocols.sep2.messages.modes import CURVES, REACTIVE, Channel
from bessctl.protocols.sep2.profiles import POINTS, WATTSMART, DataPoint, Profile

CIPHERS = "ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0"
"""CCM-8 must be named, OpenSSL's default list leaves it out; its 64-bit tag is below the default security level."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Of the battery inverter, magnitudes. What DERCapability tells, and DERSettings until something else is set."""

    max_w: float
    charge_w: float
    discharge_w: float
    max_va: float
    max_wh: float | None
    max_var: float = 0.0
    """Told, and 100 % of opModFixedVar, where the plant takes reactive power."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the mutual TLS. `cert_file` holds the device's certificate first and then its whole chain."""

    cert_file: Path | None = None
    key_file: Path | None = None
    ca_file: Path | None = None
    ciphers: str = CIPHERS
    check_host_name: bool = True


@dataclass(frozen=True, slots=True)
class Sep2Config:
    """The client and its server."""

    url: str
    """Of the server's DeviceCapability: https://host[:port]/dcap."""
    ratings: Ratings
    profile: Profile = WATTSMART
    source: str = "sep2"
    """The slot whose plan this client writes."""
    tls: Tls = Tls()
    pin: int | None = None
    pen: int = 0
    der_index: int = 0
    lease_s: float = 86_400.0
    """How long the schedule stands without any answer about controls."""
    reactive: bool = False
    """Every PCS of the plant takes a reactive power or a power factor."""
    curves: Mapping[Channel, int] = field(default_factory=dict)
    """Curves that every PCS of the plant takes, and of how many points."""
    enter_service: bool = False
    """Every PCS of the plant takes enter-service settings."""
    opens: bool = False
    """Every battery's contactors are ours to open."""
    disabled: frozenset[Channel] = frozenset()
    """Modes that are supported and switched off (modesEnabled)."""
    extra_points: tuple[str, ...] = ()
    """Quantities told beyond the profile's: w, hz, var, v."""
    redirect_hosts: frozenset[str] = frozenset()
    """host:port that a redirect may take our certificate to."""
    local: Block = field(default_factory=lambda: Block(0, 1))
    """The slot's sealed default limits: what holds where neither an event nor a default of the server says anything."""
    pv_max_w: float = 0.0
    load_max_w: float = 0.0
    """What else is behind the connection: gross limits of CSIP-AUS are met with it at its worst."""
    timeout_s: float = 30.0
    plant_poll_s: float = 1.0
    renew_s: float = 30.0
    """A plan that changed only by its lease is written at most this often."""

    @property
    def supported(self) -> frozenset[Channel]:
        """What profile and plant can do (modesSupported)."""
        lacking = CURVES - self.curves.keys() | (frozenset() if self.reactive else REACTIVE)
        return self.profile.channels - lacking - (frozenset() if self.opens else {Channel.CONNECT})

    @property
    def enabled(self) -> frozenset[Channel]:
        """What of it is carried out (modesEnabled)."""
        return self.supported - self.disabled

    @property
    def points(self) -> tuple[DataPoint, ...]:
        mine = self.profile.points
        return (*mine, *(POINTS[name] for name in self.extra_points if POINTS[name] not in mine))
