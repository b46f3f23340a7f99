"""Segmented messages (OSCP 2.0 4.1.2.1), both ways.

Rules. Segments come in any order; each names the first one's X-Request-ID in X-Correlation-ID, or, as some peers do, the previous one's
(row 17). So segments belong together when one names another, or both name the same. At most 64, 1 MiB together, 30 seconds from the
first that came; of messages that are not whole a peer may have 4 MiB and 256 segments waiting here. Each is answered by itself; the one
that completes the message gets its answer.
A peer whose quirk is to send no correlation at all may have one message under way per endpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bessctl.protocols.oscp.messages.headers import SEGMENTS_MAX, Headers, Segment
from bessctl.protocols.oscp.messages.wire import Malformed
from bessctl.protocols.oscp.session.clock import NS

BYTES_MAX = 1 << 20
AGE_NS = 30 * NS
HELD_BYTES_MAX, HELD_PARTS_MAX = 4 * BYTES_MAX, 4 * SEGMENTS_MAX


@dataclass(slots=True)
class _Partial:
    endpoint: str
    count: int
    began_ns: int
    parts: dict[int, tuple[Headers, bytes]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def joins(self, other: _Partial) -> bool:
        fits = self.endpoint == other.endpoint and self.count == other.count
        return fits and bool(self.names & other.names) and not self.parts.keys() & other.parts.keys()

    def absorb(self, other: _Partial) -> None:
        self.parts |= other.parts
        self.names |= other.names
        self.began_ns = min(self.began_ns, other.began_ns)


@dataclass(frozen=True, slots=True)
class Whole:
    """A message put together: the headers are those of its first segment."""

    headers: Headers
    body: bytes


class Assembler:
    """The messages of one peer that are under way."""

    def __init__(self, *, correlated: bool = True) -> None:
        self._correlated = correlated
        self._partials: list[_Partial] = []

    def add(self, endpoint: str, headers: Headers, body: bytes, now_ns: int) -> Whole | None:
        """A request with its body: whole when it is complete, None while more must come. Raises Malformed."""
        if headers.segment is None:
            return Whole(headers, body)
        self._partials = [p for p in self._partials if now_ns - p.began_ns < AGE_NS]
        partial = self._joined(self._new(endpoint, headers, headers.segment, body, now_ns), headers.segment)
        if sum(len(part) for _, part in partial.parts.values()) > BYTES_MAX:
            self._partials.remove(partial)
            raise Malformed(f"the segments hold more than {BYTES_MAX} bytes")
        if len(partial.parts) < partial.count:
            return None
        self._partials.remove(partial)
        return Whole(partial.parts[1][0], b"".join(partial.parts[i][1] for i in range(1, partial.count + 1)))

    def _new(self, endpoint: str, headers: Headers, segment: Segment, body: bytes, now_ns: int) -> _Partial:
        names = {headers.request_id}
        if segment.index > 1:  # the first one's correlation is to an earlier request
            if headers.correlation_id is not None:
                names.add(headers.correlation_id)
            elif self._correlated:
                raise Malformed(f"segment {segment.index} must name the first one in X-Correlation-ID (OSCP 2.0 4.1.2.1)")
        if not self._correlated:
            names.add("")
        return _Partial(endpoint, segment.count, now_ns, {segment.index: (headers, body)}, names)

    def _joined(self, new: _Partial, segment: Segment) -> _Partial:
        for known in self._partials:
            if known.endpoint == new.endpoint and known.names & new.names and (known.count != new.count or segment.index in known.parts):
                raise Malformed(f"segment {segment.index} of {segment.count} contradicts what came before it")
        for known in [p for p in self._partials if p.joins(new)]:
            new.absorb(known)
            self._partials.remove(known)
        held = [len(part) for partial in (*self._partials, new) for _, part in partial.parts.values()]
        if len(held) > HELD_PARTS_MAX or sum(held) > HELD_BYTES_MAX:
            raise Malformed(f"{len(held)} segments of unfinished messages wait here; finish one first")
        self._partials.append(new)
        return new


def split(body: bytes, size: int, first: Headers, new_id: Callable[[], str], *, correlated: bool = True) -> list[tuple[Headers, bytes]]:
    """A message of ours as requests of at most `size` bytes each; one alone carries no segment headers. ASCII, so any byte may be cut."""
    if len(body) <= size:
        return [(first, body)]
    size = max(size, -(-len(body) // SEGMENTS_MAX))
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    heads = [Headers(first.request_id, first.correlation_id, Segment(1, len(parts)))]
    heads += [Headers(new_id(), first.request_id if correlated else None, Segment(index, len(parts))) for index in range(2, len(parts) + 1)]
    return list(zip(heads, parts, strict=True))
