"""The HTTP headers of OSCP 2.0 4.1.2, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bessctl.protocols.oscp.messages.wire import Malformed

ID_MAX = 200
SEGMENTS_MAX = 64
REQUEST, CORRELATION = "X-Request-ID", "X-Correlation-ID"
INDEX, COUNT = "X-Segment-Index", "X-Segment-Count"


class Unauthorized(Malformed):
    """No Authorization header, or none of the form `Token <t>`: answered with 401."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Which part of how many, from 1."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Headers:
    """What a request says beside its body."""

    request_id: str
    correlation_id: str | None = None
    segment: Segment | None = None


def token(headers: Mapping[str, str]) -> str:
    """The token of the Authorization header; `Token` in any case. Raises Unauthorized."""
    scheme, _, value = headers.get("Authorization", "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() != "token" or not value:
        raise Unauthorized("the header Authorization: Token <token> is missing (OSCP 2.0 4.1.2)")
    return value


def read(headers: Mapping[str, str]) -> Headers:
    """Raises Malformed for what is missing or makes no sense. Header names come in any case: `headers` must know that."""
    return Headers(_ident(headers, REQUEST, needed=True) or "", _ident(headers, CORRELATION, needed=False), _segment(headers))


def _ident(headers: Mapping[str, str], name: str, *, needed: bool) -> str | None:
    value = headers.get(name, "").strip()
    if not value:
        if needed:
            raise Malformed(f"the header {name} is missing (OSCP 2.0 4.1.2)")
        return None
    if len(value) > ID_MAX or not value.isascii() or not value.isprintable():
        raise Malformed(f"the header {name} must be at most {ID_MAX} printable ASCII characters")
    return value


def _segment(headers: Mapping[str, str]) -> Segment | None:
    given = headers.get(INDEX), headers.get(COUNT)
    if given == (None, None):
        return None
    if None in given:
        raise Malformed(f"{INDEX} and {COUNT} belong together (OSCP 2.0 4.1.2.1)")
    index, count = (_number(text or "") for text in given)
    if not 1 <= count <= SEGMENTS_MAX or not 1 <= index <= count:
        raise Malformed(f"segment {index} of {count}: allowed are at most {SEGMENTS_MAX}, counted from 1")
    return Segment(index, count)


def _number(text: str) -> int:
    text = text.strip()
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise Malformed(f"{text[:10]!r} is no segment number")
    return int(text)


def write(token_: str, headers: Headers) -> dict[str, str]:
    """The headers of a request of ours."""
    found = {"Authorization": f"Token {token_}", "Content-Type": "application/json", REQUEST: headers.request_id}
    if headers.correlation_id is not None:
        found[CORRELATION] = headers.correlation_id
    if headers.segment is not None:
        found |= {INDEX: str(headers.segment.index), COUNT: str(headers.segment.count)}
    return found
