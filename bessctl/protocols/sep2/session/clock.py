"""The server's clock as an offset on CLOCK_MONOTONIC (rule 8). The system's own clock is neither read nor stepped. Pure.

A Time resource says a whole second, so one answer bounds the offset to a second and the round trip; each further one narrows it. The
offset in use moves only as far as the bounds force it, so that plans are not written anew for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000
DRIFT = 1e-4
"""How fast two clocks may part: the bounds widen by it."""


@dataclass(slots=True)
class ServerClock:
    """Offsets are server time minus CLOCK_MONOTONIC, ns."""

    offset_ns: int | None = None
    lo_ns: int = 0
    hi_ns: int = 0
    at_ns: int = 0
    steps: int = 0
    """How often the server's clock jumped."""

    def observe(self, current_s: int, sent_ns: int, got_ns: int) -> None:
        """An answer that said `current_s`, asked for and got at these instants."""
        lo, hi = current_s * NS - got_ns, (current_s + 1) * NS - sent_ns
        if self.offset_ns is None:
            self.lo_ns, self.hi_ns, self.offset_ns = lo, hi, (lo + hi) // 2
        else:
            slack = round((got_ns - self.at_ns) * DRIFT)
            both_lo, both_hi = max(lo, self.lo_ns - slack), min(hi, self.hi_ns + slack)
            if both_lo > both_hi:
                self.lo_ns, self.hi_ns, self.offset_ns = lo, hi, (lo + hi) // 2
                self.steps += 1
            else:
                self.lo_ns, self.hi_ns = both_lo, both_hi
                self.offset_ns = min(max(self.offset_ns, both_lo), both_hi)
        self.at_ns = got_ns

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
