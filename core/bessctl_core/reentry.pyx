"""A direction that was closed opens again with a margin; the rules stand in reentry.pxd. Loop, nogil, bounded."""

from .layout cimport BIND_BMS, BIND_ROW


cdef void gate_update(const SiteConfig* c, Gate* g, double rating_w, double* w, int* bind, int* ident, int64_t now_ns) noexcept nogil:
    cdef bint closes = w[0] <= 0 and (bind[0] == BIND_BMS or bind[0] == BIND_ROW)
    if c.reentry_share <= 0 and c.reentry_ns <= 0:
        return
    if closes:
        if g.since_ns == 0:
            g.since_ns = now_ns
        g.bind, g.id = <uint8_t> bind[0], <int16_t> ident[0]
    elif g.since_ns != 0 and now_ns - g.since_ns >= c.reentry_ns and w[0] >= c.reentry_share * rating_w:
        g.since_ns = 0
    if g.since_ns != 0 and w[0] > 0:
        w[0], bind[0], ident[0] = 0, g.bind, g.id
