"""Mirrored meter readings (SEP2-5): samples at :00 and :30 of server time, posted at each MirrorUsagePoint's postRate. Pure.

Rules. One MirrorUsagePoint per data point, under an mRID that never changes: low 32 bits our PEN, the rest a digest of LFDI and quantity.
A postRate above 30 s: one POST with a MirrorReadingSet that holds a Reading for each 30 s since the last one that was taken. Up to 30 s,
or where the profile wants single readings: the latest sample. What could not be delivered waits, BACKLOG samples at most, oldest lost.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field

from bessctl.protocols.sep2.messages.codec import encode
from bessctl.protocols.sep2.messages.control import Interval
from bessctl.protocols.sep2.messages.reports import MirrorMeterReading, MirrorReadingSet, MirrorUsagePoint, Reading, ReadingType
from bessctl.protocols.sep2.profiles import SINGLE, DataPoint, Profile
from bessctl.protocols.sep2.session.clock import NS

SAMPLE_S = 30
BACKLOG = 2880
"""A day."""
A_POST = 240
"""Readings in one POST."""
INSTANTANEOUS, DEFAULT_QUALIFIER, ELECTRICITY = 12, 0, 1


def ident(pen: int, *words: str) -> str:
    """A 128-bit mRID that is the same each time: a digest, and the PEN in the low 32 bits."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()[:24].upper() + f"{pen & 0xFFFFFFFF:08X}"


@dataclass(slots=True)
class Mirror:
    """One data point and its mirror on the server."""

    point: DataPoint
    mrid: str
    url: str = ""
    post_rate_s: int | None = None
    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=BACKLOG))
    """(server second, value in the point's own multiple)."""
    due_ns: int = 0
    sent_to_s: int = 0
    """The last sample of the POST that is under way."""
    lost: int = 0


class Mirrors:
    """All data points of the profile."""

    def __init__(self, profile: Profile, points: tuple[DataPoint, ...], lfdi: str, pen: int) -> None:
        self._profile, self._lfdi, self._pen = profile, lfdi, pen
        self.mirrors = {p.quantity: Mirror(p, ident(pen, lfdi, p.quantity)) for p in points}

    def sample(self, values: dict[str, float | None], at_s: int) -> None:
        """Take a sample of everything that is known."""
        for quantity, mirror in self.mirrors.items():
            value = values.get(quantity)
            if value is None:
                continue
            sign = self._profile.flow_sign if quantity in {"w", "var"} else 1
            mirror.lost += len(mirror.samples) == BACKLOG
            mirror.samples.append((at_s, round(sign * value / 10**mirror.point.multiplier)))

    def creation(self, mirror: Mirror) -> bytes:
        """The POST that makes a mirror."""
        return encode(
            MirrorUsagePoint(
                mrid=mirror.mrid,
                description=mirror.point.quantity,
                role_flags=self._profile.role_flags,
                service_category=0,
                status=1,
                device_lfdi=self._lfdi,
                meter_readings=(MirrorMeterReading(mrid=self._reading_mrid(mirror), type=self._type(mirror.point)),),
            )
        )

    def _reading_mrid(self, mirror: Mirror) -> str:
        return ident(self._pen, self._lfdi, mirror.point.quantity, "reading")

    @staticmethod
    def _type(point: DataPoint) -> ReadingType:
        return ReadingType(
            accumulation=INSTANTANEOUS, commodity=ELECTRICITY, qualifier=DEFAULT_QUALIFIER, flow_direction=point.flow_direction,
            interval_s=SAMPLE_S, kind=point.kind, multiplier=point.multiplier, uom=point.uom,
        )  # fmt: skip

    def rate_s(self, mirror: Mirror) -> int:
        """How often it is posted."""
        return max(1, mirror.post_rate_s or self._profile.post_rate_s)

    def reading(self, mirror: Mirror) -> bytes | None:
        """The next POST; None = nothing to tell."""
        if not mirror.samples:
            return None
        if self._profile.reading_shape == SINGLE or self.rate_s(mirror) <= SAMPLE_S:
            at_s, value = mirror.samples[-1]
            mirror.sent_to_s = at_s
            period = Interval(duration_s=SAMPLE_S, start_s=at_s - SAMPLE_S)
            return encode(MirrorMeterReading(mrid=self._reading_mrid(mirror), reading=Reading(period=period, value=value)))
        batch = [mirror.samples[i] for i in range(min(A_POST, len(mirror.samples)))]
        mirror.sent_to_s = batch[-1][0]
        first_s = batch[0][0] - SAMPLE_S
        readings = tuple(
            Reading(period=Interval(duration_s=SAMPLE_S, start_s=at_s - SAMPLE_S), value=value, local_id=place)
            for place, (at_s, value) in enumerate(batch)
        )
        readings_set = MirrorReadingSet(
            mrid=ident(self._pen, self._lfdi, mirror.point.quantity, str(first_s)),
            period=Interval(duration_s=batch[-1][0] - first_s, start_s=first_s),
            readings=readings,
        )
        return encode(MirrorMeterReading(mrid=self._reading_mrid(mirror), last_update_s=batch[-1][0], sets=(readings_set,)))

    def delivered(self, mirror: Mirror) -> bool:
        """The POST was taken; True when more waits."""
        while mirror.samples and mirror.samples[0][0] <= mirror.sent_to_s:
            mirror.samples.popleft()
        return len(mirror.samples) >= A_POST

    @property
    def urls(self) -> list[str]:
        """Of those that the server has."""
        return [mirror.url for mirror in self.mirrors.values() if mirror.url]

    def by_url(self, url: str) -> Mirror | None:
        return next((mirror for mirror in self.mirrors.values() if mirror.url == url), None)

    def listed(self, found: tuple[MirrorUsagePoint, ...], whole: bool) -> list[Mirror]:
        """The server's list; returns those that must be created."""
        by_mrid = {item.mrid: item for item in found}
        missing = []
        for mirror in self.mirrors.values():
            item = by_mrid.get(mirror.mrid)
            if item is not None and item.href:
                mirror.url = item.href
                mirror.post_rate_s = item.post_rate_s or mirror.post_rate_s
            elif whole:
                mirror.url = ""
                missing.append(mirror)
        return missing

    def next_ns(self) -> int | None:
        return min((m.due_ns for m in self.mirrors.values() if m.url and m.samples), default=None)

    def due(self, now_ns: int) -> list[Mirror]:
        """Those whose POST is due."""
        return [m for m in self.mirrors.values() if m.url and m.samples and m.due_ns <= now_ns]

    def posted(self, mirror: Mirror, now_ns: int) -> None:
        """A POST was queued: the next one after the postRate."""
        mirror.due_ns = now_ns + self.rate_s(mirror) * NS
