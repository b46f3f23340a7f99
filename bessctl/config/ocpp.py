"""Section `ocpp`: the station and its links to CSMSs. Ranges and defaults of the OCPP-11 row of the requirements."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessctl.config.base import Name, PositiveWatts, Seconds, Strict


class Tls(Strict):
    """Files of a TLS link; absent `ca_file` = the system's trust store."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    crl_file: str | None = None
    """Revocation lists (PEM) of the CSMS's issuers; renew them in time: a list that is over refuses everybody."""


class BackOff(Strict):
    """Time between connection attempts."""

    minimum_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    random_range_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    repeat_times: Annotated[int, Field(ge=0, le=20)] = 5


Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1, max_length=50)]
"""A command: its words, run without a shell."""


class Updater(Strict):
    """How a firmware image is installed."""

    install: Words
    """`{image}` stands for the image's path; a number before `%` in its output is progress. Exit code 0 = the next start is into it."""
    running: Words | None = None
    """Prints what tells the running image from any other: the booted slot, a version."""
    outcome: Words | None = None
    """Instead of `running`: waits for the board's verdict after the start. Exit code 0 = the new image runs and stays."""
    restart: Words | None = None
    """Restarts the machine; absent = the supervisor's own restart is enough."""
    mark_good: Words | None = None
    """Once the new image runs and a CSMS accepted the station; absent = the board does it by itself."""
    timeout_s: Annotated[float, Field(gt=0, le=7200)] = 900.0
    outcome_s: Annotated[float, Field(gt=0, le=86_400)] = 7500.0


Range = Annotated[list[Annotated[int, Field(ge=1, le=86400)]], Field(min_length=2, max_length=2)]


class Link(Strict):
    """One CSMS."""

    name: Name
    url: Annotated[str, Field(pattern=r"^wss?://", max_length=500)]
    charge_point_id: Annotated[str, Field(pattern=r"^[^:/?#\s]{1,255}$")]
    version: Annotated[list[Literal["1.6", "2.0.1"]], Field(min_length=1)] = Field(default=["1.6"])
    """Offered in this order; the CSMS chooses."""
    role: Literal["owner", "operator", "observer"] = "operator"
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Whose transactions get power first: higher before lower, then first come."""
    password_file: str | None = None
    password_encoding: Literal["utf8", "hex"] = "utf8"
    allow_plain: bool = False
    """ws:// only where this is true."""
    tls: Tls = Tls()
    lease_s: Seconds = 60.0
    pong_is_evidence: bool = True
    heartbeat_range_s: Range = Field(default=[30, 3600])
    sample_range_s: Range = Field(default=[1, 300])
    remote_start_w: PositiveWatts = 150000.0
    """OCPP-17: what a RemoteStart allocates."""
    max_w: PositiveWatts | None = None
    phase_voltage_v: Annotated[float, Field(gt=0, le=1000)] = 230.0
    call_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    calls_per_s: Annotated[float, Field(gt=0, le=10_000)] = 2.0
    """CALLs read of this CSMS in the long run."""
    armed_by_hand: bool = False
    back_off: BackOff = BackOff()
    keys: dict[str, str] = Field(default={})
    """First values of configuration keys: 1.6's names, or 2.0.1's Component.Variable."""


class Ocpp(Strict):
    """The station."""

    source: str = "ocpp"
    """The slot it writes."""
    vendor: Annotated[str, Field(min_length=1, max_length=20)] = "bessctl"
    model: Annotated[str, Field(min_length=1, max_length=20)] = "BESS"
    serial: Annotated[str, Field(max_length=25)] = ""
    state_dir: str | None = None
    """The device's key, certificates and firmware images; absent = `ocpp` beside the store."""
    retention_days: Annotated[float, Field(gt=0, le=3650)] = 90.0
    logs: list[str] = Field(default=[])
    """Files that GetDiagnostics and GetLog take along."""
    journal: Words | None = None
    """A command whose output they take along as journal.txt; `{since}` and `{until}` are seconds since 1970. For example
    [journalctl, --no-pager, -o, short-iso, -u, "bess-*", --since, "@{since}"]."""
    updater: Updater | None = None
    """Absent = nothing is installed, and a CSMS that sends firmware is told so."""
    play_updates: bool = False
    """For development: without `updater` an image counts as installed once it is kept."""
    hand_socket: str | None = None
    """A Unix socket for the hand at the station; absent = none."""
    links: Annotated[list[Link], Field(min_length=1)]
