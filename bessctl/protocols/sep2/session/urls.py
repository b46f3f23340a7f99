"""References between resources: relative or absolute, paged, redirected. Pure."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from bessctl.protocols.sep2.messages.codec import Malformed

MAX_HREF = 1024


def absolute(base: str, href: str) -> str:
    """A reference as a full URL; `base` is the document it stood in. Raises Malformed for what is no http(s) reference."""
    if len(href) > MAX_HREF:
        raise Malformed(f"a reference of {len(href)} characters")
    try:
        url = urljoin(base, href.strip())
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as e:
        raise Malformed(f"{href[:80]!r} is no reference: {e}") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise Malformed(f"{href[:80]!r} is no http reference")
    return url


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def paged(url: str, start: int, length: int) -> str:
    """The list from item `start` on, at most `length` items (2030.5 clause 6.6)."""
    parts = urlsplit(url)
    kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in {"s", "l"}]
    return urlunsplit(parts._replace(query=urlencode([*kept, ("s", start), ("l", length)])))


def may_follow(asked: str, location: str, hosts: frozenset[str]) -> bool:
    """May a redirect be followed? Our certificate goes to the server's own origin and to hosts that were named, never to plain http."""
    was, to = origin(asked), origin(location)
    return to == was or (to[0] == "https" and f"{to[1]}:{to[2]}" in hosts)
