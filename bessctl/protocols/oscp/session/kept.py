"""What must survive a power cut, as records, and the writes that keep it. The binding knows the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bessctl.protocols.oscp.messages.records import Block, CapacityForecastType


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """What we know of a peer."""

    base_url: str = ""
    token: str = ""
    """What we show to the peer. It must be kept as it is; the file is ours alone (mode 0600)."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of what the peer shows to us, by kind (session/tokens.py)."""
    registered: bool = False
    ended: bool = False
    """The peer ended its registration (DELETE): fallback for good, until the operator removes it (row 19)."""
    initiated: str = ""
    """X-Request-ID of a registration of ours that the peer has not replied to."""
    reply_to: str = ""
    """X-Request-ID of the peer's registration that we have not replied to."""
    generation_negative: bool = True
    """How this peer writes generation; outbound blocks mirror it (row 2)."""


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """The last message of a (group, type), as it came."""

    group: str
    type: CapacityForecastType
    request_id: str
    received_utc_ns: int | None
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement that waits for its peer: the counters of all units at an instant of UTC, and those of the meter at the connection
    point, where it has any. `role`: cp or co, who it is for."""

    seq: int
    role: str
    group: str
    utc_ns: int
    units: tuple[UnitReading, ...]
    meter: UnitReading | None = None


@dataclass(frozen=True, slots=True)
class UnitReading:
    """A unit at that instant. Lifetime energies in Wh; `start_*`: the counters when the period began (INTERMITTENT)."""

    name: str
    import_wh: float
    export_wh: float
    start_import_wh: float
    start_export_wh: float
    start_utc_ns: int
    consumption_w: float | None = None
    stored_wh: float | None = None


@dataclass(slots=True)
class Saved:
    """Everything of one peer, as it is read at the start."""

    record: PeerRecord = field(default_factory=PeerRecord)
    series: list[StoredSeries] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PutPeer:
    record: PeerRecord


@dataclass(frozen=True, slots=True)
class PutSeries:
    series: StoredSeries


@dataclass(frozen=True, slots=True)
class PutReading:
    reading: Reading


@dataclass(frozen=True, slots=True)
class DropReadings:
    """These were taken, refused or given up."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ForgetPeer:
    """The operator removed it: nothing is left."""


Write = PutPeer | PutSeries | PutReading | DropReadings | ForgetPeer
