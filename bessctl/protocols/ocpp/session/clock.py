"""Time as a station knows it.

`Now` is handed in by whoever drives the session: CLOCK_MONOTONIC and, where the machine's wall clock is trusted, UTC. While it is
not, the CSMS's own time (BootNotification, Heartbeat) is the date for this link. What happened before any date was known is
stamped in monotonic time and dated when it is sent (no 1970 on the wire).
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.messages.records import Stamp
from bessctl.protocols.ocpp.messages.timestamps import LAST_NS

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Now:
    """This instant. `utc_ns` None = the wall clock is not trusted."""

    mono_ns: int
    utc_ns: int | None = None

    def later(self, seconds: float) -> Now:
        """This instant plus some seconds."""
        step = round(seconds * NS)
        return Now(self.mono_ns + step, None if self.utc_ns is None else self.utc_ns + step)


class StationTime:
    """UTC of one link: the machine's where trusted, else the CSMS's. `boot` names this boot of the machine."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self._peer: tuple[int, int] | None = None

    def learn(self, now: Now, peer_utc_ns: int) -> None:
        """The CSMS told its time."""
        self._peer = (now.mono_ns, peer_utc_ns)

    def utc_ns(self, now: Now) -> int | None:
        """UTC, or None while nobody told it; of 64 bits, whatever the CSMS believes."""
        if now.utc_ns is not None:
            return now.utc_ns
        return None if self._peer is None else min(LAST_NS, self._peer[1] + now.mono_ns - self._peer[0])

    def skew_ns(self, now: Now) -> int | None:
        """How far the CSMS's clock is ahead of ours, where both are known."""
        if now.utc_ns is None or self._peer is None:
            return None
        return self._peer[1] + now.mono_ns - self._peer[0] - now.utc_ns

    def stamp(self, now: Now) -> Stamp:
        """This instant, to be kept."""
        return Stamp(self.utc_ns(now), now.mono_ns, self.boot)

    def resolve(self, stamp: Stamp, now: Now) -> int:
        """The stamp as UTC. One that was never dated and comes from another boot is dated now: the earliest we can vouch for."""
        if stamp.utc_ns is not None:
            return stamp.utc_ns
        utc = self.utc_ns(now)
        if utc is None:
            raise LookupError("no date is known yet")
        return utc - max(0, now.mono_ns - stamp.mono_ns) if stamp.boot == self.boot else utc

    def mono_ns(self, utc_ns: int, now: Now) -> int:
        """The monotonic instant of a UTC one. Only where utc_ns(now) is known."""
        utc = self.utc_ns(now)
        if utc is None:
            raise LookupError("no date is known yet")
        return now.mono_ns + utc_ns - utc
