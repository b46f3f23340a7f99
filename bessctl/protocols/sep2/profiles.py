"""What differs between utilities, as a table. A site names one; nothing else in the client asks who the utility is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bessctl.protocols.sep2.messages import modes
from bessctl.protocols.sep2.messages.modes import Channel

OUT_OF_BAND, IN_BAND = "out_of_band", "in_band"
SETS, SINGLE = "sets", "single"

STORAGE_CATEGORY = 1 << 25
"""deviceCategory bit of storage."""
OTHER_STORAGE = 80
"""DERType."""


@dataclass(frozen=True, slots=True)
class DataPoint:
    """One MirrorUsagePoint. `quantity` names a reading; `multiplier` is the power of ten its integers count."""

    quantity: str
    uom: int
    multiplier: int
    kind: int
    flow_direction: int


W = DataPoint("w", uom=38, multiplier=0, kind=37, flow_direction=19)
HZ = DataPoint("hz", uom=33, multiplier=-2, kind=0, flow_direction=0)
VAR = DataPoint("var", uom=63, multiplier=0, kind=37, flow_direction=19)
V = DataPoint("v", uom=29, multiplier=-1, kind=0, flow_direction=0)
POINTS = {point.quantity: point for point in (W, HZ, VAR, V)}


@dataclass(frozen=True, slots=True)
class Profile:
    """How one utility, or one family of them, reads the standard."""

    name: str
    channels: frozenset[Channel] = modes.BASE
    """Modes it may use."""
    registration: str = OUT_OF_BAND
    responses: frozenset[int] = frozenset({1, 2, 3, 4, 6, 7, 8, 14, 252, 253, 254})
    """Codes it takes; others are not sent."""
    superseded_by_other_program: int = 7
    """7 or 14."""
    missing_is_cancelled: bool = False
    """The 2023 edition's reading of rule 11."""
    reading_shape: str = SETS
    """sets: a MirrorReadingSet with a Reading per 30 s; single: one Reading a post, which drops the others."""
    points: tuple[DataPoint, ...] = (W, HZ)
    role_flags: int = 0x49
    """Mirror, DER, submeter."""
    flow_sign: int = 1
    """+1: the W data point counts discharge positive."""
    one_inverter: bool = False
    """The EndDevice is one battery inverter, never an aggregate (SEP2-9)."""
    aus_namespace: str = "https://csipaus.org/ns"
    poll_rate_s: int = 900
    """Where a resource states none."""
    post_rate_s: int = 300
    bridge_s: float = 5.0
    """Gaps up to this between successive events are no dip to the default (rule 16)."""


WATTSMART = Profile("wattsmart", one_inverter=True)
CSIP = Profile("csip", registration=IN_BAND, superseded_by_other_program=14, points=(W, VAR, HZ, V))
CSIPAUS = replace(CSIP, name="csipaus", channels=modes.BASE | modes.AUS, superseded_by_other_program=7)

PROFILES = {profile.name: profile for profile in (WATTSMART, CSIP, CSIPAUS)}
