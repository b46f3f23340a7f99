"""The server's clock as an offset on CLOCK_MONOTONIC (rule 8). The system's own clock is never stepped. Pure.

A Time resource says a whole second, so one answer bounds the offset to a second and the round trip; each further one narrows it. Of what
the bounds leave, the machine's own clock is taken where it is trusted and lies within them: both then follow UTC. Else the offset stays
where it is until the bounds force it out, to their middle, so that plans are not written anew for nothing.

`aim` makes the next answer worth most: asked for at the middle of what is not known, it halves it. After seven answers the bounds are as
wide as the round trip, and as two clocks may part between polls (DRIFT): at a pollRate of 900 s some 0.2 s, at 60 s some 12 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000
DRIFT = 1e-4
"""How fast two clocks may part: the bounds widen by it."""
SAME_NS = 2_000_000
"""The machine's own clock against the offset in use: what is less is no difference."""


@dataclass(slots=True)
class ServerClock:
    """Offsets are server time minus CLOCK_MONOTONIC, ns."""

    offset_ns: int | None = None
    lo_ns: int = 0
    hi_ns: int = 0
    at_ns: int = 0
    trip_ns: int = 0
    """How long the last answer took, there and back."""
    steps: int = 0
    """How often the server's clock jumped."""

    def observe(self, current_s: int, sent_ns: int, got_ns: int, utc_offset_ns: int | None = None) -> None:
        """An answer that said `current_s`, asked for and got at these instants. `utc_offset_ns`: UTC minus CLOCK_MONOTONIC, if trusted."""
        lo, hi = current_s * NS - got_ns, (current_s + 1) * NS - sent_ns
        if self.offset_ns is not None:
            slack = round((got_ns - self.at_ns) * DRIFT)
            both_lo, both_hi = max(lo, self.lo_ns - slack), min(hi, self.hi_ns + slack)
            if both_lo <= both_hi:
                lo, hi = both_lo, both_hi
            else:
                self.steps += 1
        self.lo_ns, self.hi_ns, self.at_ns, self.trip_ns = lo, hi, got_ns, got_ns - sent_ns
        self.offset_ns = self._best(utc_offset_ns)

    def _best(self, utc_offset_ns: int | None) -> int:
        """Of what the bounds leave."""
        now = self.offset_ns
        stays = now is not None and self.lo_ns <= now <= self.hi_ns
        if utc_offset_ns is not None and self.lo_ns <= utc_offset_ns <= self.hi_ns:
            return now if stays and now is not None and abs(utc_offset_ns - now) <= SAME_NS else utc_offset_ns
        return now if stays and now is not None else (self.lo_ns + self.hi_ns) // 2

    def aim(self, wanted_ns: int, earliest_ns: int, latest_ns: int) -> int:
        """When to ask again, near `wanted_ns`: where the server's second turns if the middle of the bounds is right.

        Where the jitter is too small to reach it, as late as may be: poll by poll the turn comes within reach.
        """
        middle_ns = (self.lo_ns + self.hi_ns) // 2
        before_ns = wanted_ns - (wanted_ns + self.trip_ns // 2 + middle_ns) % NS
        turn_ns = next((at for at in (before_ns, before_ns + NS) if earliest_ns <= at <= latest_ns), latest_ns)
        return earliest_ns if 0 < earliest_ns - before_ns <= self.trip_ns // 2 else turn_ns

    def restore(self, offset_ns: int) -> None:
        """What was learnt earlier in this boot of the machine; any answer corrects it."""
        self.offset_ns, self.lo_ns, self.hi_ns, self.at_ns = offset_ns, offset_ns - NS, offset_ns + NS, 0

    @property
    def known(self) -> bool:
        return self.offset_ns is not None

    def server_s(self, mono_ns: int) -> float:
        """Server time at an instant. Only when known."""
        assert self.offset_ns is not None
        return (mono_ns + self.offset_ns) / NS

    def mono_ns(self, server_s: float) -> int:
        """The instant of a server time; never before the machine's start."""
        assert self.offset_ns is not None
        return max(0, round(server_s * NS) - self.offset_ns)
