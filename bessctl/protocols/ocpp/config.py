"""What a station and each of its links need to know. The site model fills these; nothing here reads a file.

Frozen: a changed configuration is a new station.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bessctl.errors import UsageError


class Role(StrEnum):
    """What a CSMS may decide about the plant."""

    OWNER = "owner"
    """Also firmware, hard reset, certificates; its ChargePointMaxProfile limits the whole plant."""
    OPERATOR = "operator"
    """Transactions and profiles; its ChargePointMaxProfile limits its own transactions."""
    OBSERVER = "observer"
    """Reads. Starts, profiles, resets and changes are refused."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """RetryBackOff of settled question 7, in seconds: minimum + random part, doubled each time, held after `repeat_times`."""

    minimum_s: float = 10.0
    random_range_s: float = 10.0
    repeat_times: int = 5


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of a link. `ca_file` None = the system's trust store; certificate and key are profile 3."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    crl_file: Path | None = None
    """Revocation lists (PEM) of the CSMS's issuers: a revoked certificate, and one whose issuer's list is missing or over, is refused."""
    extra_ca_file: Path | None = None
    """Roots trusted beside `ca_file`: what the CSMS installed."""


@dataclass(frozen=True, slots=True)
class UpdaterCommands:
    """Commands that install a firmware image, each a list of words run without a shell (binding/updater.py says when)."""

    install: tuple[str, ...]
    """`{image}` is the image's path; a number before `%` in its output is progress."""
    running: tuple[str, ...] = ()
    """What it prints tells the image that runs from any other: the booted slot, a version."""
    outcome: tuple[str, ...] = ()
    """Instead of `running`: waits for the board's verdict. Exit code 0 = the new image runs and stays, else its last line is why not."""
    restart: tuple[str, ...] = ()
    """Restarts the machine; empty = our own restart is enough."""
    mark_good: tuple[str, ...] = ()
    """Empty = the board does it by itself."""
    timeout_s: float = 900.0
    """The longest that an installation may take."""
    outcome_s: float = 7500.0
    """The longest that the board may think about its verdict."""

    def __post_init__(self) -> None:
        _check(bool(self.running) != bool(self.outcome), "ocpp updater: name one of `running` and `outcome`")


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """One CSMS."""

    name: str
    """Names the link in logs, the store and events; unique, stable."""
    url: str
    """ws:// or wss:// endpoint without the charge point's identity, which is appended."""
    charge_point_id: str
    version: tuple[str, ...] = ("1.6",)
    """Versions offered in the handshake, in order of preference; the CSMS chooses among them."""
    role: Role = Role.OPERATOR
    priority: int = 0
    """Whose transactions get power first: higher before lower, then first come."""
    password_file: Path | None = None
    """BasicAuth password, a file of mode 0600; None = no BasicAuth."""
    password_encoding: str = "utf8"
    """`utf8`: the file's text; `hex`: 40 hex digits that stand for 20 bytes (1.6 AuthorizationKey)."""
    allow_plain: bool = False
    """ws:// is refused unless this is set."""
    tls: Tls = Tls()
    lease_s: float = 60.0
    """How long what this CSMS asked for stands without any frame from it."""
    pong_is_evidence: bool = True
    """A websocket pong counts as a frame from the peer. False where a proxy answers pings."""
    heartbeat_range_s: tuple[int, int] = (30, 3600)
    sample_range_s: tuple[int, int] = (1, 300)
    remote_start_w: float = 150_000.0
    """What a RemoteStart allocates, W."""
    max_w: float | None = None
    """What composite schedules report where no profile rules; None = remote_start_w."""
    phase_voltage_v: float = 230.0
    """Nominal phase-to-neutral voltage that turns a profile's amps into watts."""
    call_timeout_s: float = 30.0
    max_frame_bytes: int = 256 * 1024
    calls_per_s: float = 2.0
    """How many CALLs of this CSMS are read in the long run (half a minute of them at once); malformed frames count tenfold, answers not
    at all. Who does not wait for our answers is then read at an eighth of it: a flood waits in its own socket, and nobody else does."""
    armed_by_hand: bool = False
    """A start waits until the connector is plugged in by hand (commissioning, conformance tests). A plant has no cable: it is always."""
    back_off: BackOff = BackOff()
    installs_firmware: bool = True
    """The station can install firmware; it says so itself, by its updater."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """First values of configuration keys (1.6's names, or 2.0.1's Component.Variable); what the CSMS changed later stays changed."""

    def __post_init__(self) -> None:
        _check(self.url.startswith(("ws://", "wss://")), f"ocpp link {self.name}: url {self.url!r} must begin with ws:// or wss://")
        _check(
            self.allow_plain or self.url.startswith("wss://"),
            f"ocpp link {self.name}: url {self.url!r} is not encrypted; use wss:// or set allow_plain: true",
        )
        _check(bool(self.charge_point_id), f"ocpp link {self.name}: charge_point_id is empty")
        _check(":" not in self.charge_point_id, f"ocpp link {self.name}: charge_point_id must not contain ':' (RFC 7617)")
        _check(bool(self.version), f"ocpp link {self.name}: version lists no dialect")
        _check(self.calls_per_s > 0, f"ocpp link {self.name}: calls_per_s must be above 0")
        _check(self.lease_s > 0, f"ocpp link {self.name}: lease_s must be above 0")
        _check(self.password_encoding in {"utf8", "hex"}, f"ocpp link {self.name}: password_encoding is utf8 or hex")
        for what, (lo, hi) in (("heartbeat_range_s", self.heartbeat_range_s), ("sample_range_s", self.sample_range_s)):
            _check(0 < lo <= hi, f"ocpp link {self.name}: {what} must be 0 < low <= high, is [{lo}, {hi}]")


@dataclass(frozen=True, slots=True)
class StationConfig:
    """The station and all its links."""

    links: tuple[LinkConfig, ...]
    source: str = "ocpp"
    """The slot whose plan this station writes; a binding of this name on the envelope is our own limit."""
    vendor: str = "bessctl"
    model: str = "BESS"
    serial: str = ""
    firmware: str = ""
    plant_poll_s: float = 0.2
    """How often the plant is read for status, grants and energy shares."""
    renew_s: float = 0.25
    """A plan that changed only by its lease is written at most this often."""
    state_dir: Path | None = None
    """The device's key, certificates and firmware images; None = a folder `ocpp` beside the store."""
    retention_days: float = 90.0
    """Audit, messages given up and cached tokens are kept no longer (OCPP-18)."""
    logs: tuple[Path, ...] = ()
    """Files that a log takes along for the CSMS."""
    journal: tuple[str, ...] = ()
    """A command whose output a log takes along as the controller's journal; `{since}` and `{until}` are seconds since 1970."""
    updater: UpdaterCommands | None = None
    """None = nothing is installed."""
    play_updates: bool = False
    """For development, without `updater`: an image is kept as a file and counts as installed."""
    hand_socket: Path | None = None
    """A Unix socket for the hand at the station (settled question 17); None = there is none."""

    def __post_init__(self) -> None:
        names = [link.name for link in self.links]
        _check(len(set(names)) == len(names), "ocpp: two links have the same name")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise UsageError(message)
