"""Which resources are polled, and when. Pure: time and chance are handed in.

Rules. Each resource is polled at its own pollRate; one that has none at that of the nearest list above it. The next poll comes one pollRate
after the last, and up to JITTER later, never earlier (SEP2-2). A changed pollRate holds from the next cycle. Nothing is asked again "to be
sure": a reference that is seen again keeps its place in time. A resource that failed is asked again after a back-off that never exceeds
its pollRate by more than a cycle; one the server no longer names is dropped with all below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bessctl.protocols.sep2.session.clock import NS

JITTER = 0.05
JITTER_MAX_S = 30.0
RATE_MIN_S, RATE_MAX_S = 1, 86_400
RETRY_S = 30.0
PAGE = 50
PAGES_MAX = 400


def jitter_s(after_s: float) -> float:
    """How much later than after so long a poll may come."""
    return min(JITTER * after_s, JITTER_MAX_S)


@dataclass(slots=True)
class Node:
    """One polled resource. `rate_s` None = the nearest list's above."""

    kind: str
    url: str
    parent: Node | None
    rate_s: int | None = None
    due_ns: int = 0
    fails: int = 0
    context: Any = None
    """What the parent knew of it: a program's primacy."""
    children: dict[tuple[str, str], Node] = field(default_factory=dict)
    items: dict[str, Any] = field(default_factory=dict)
    """Of a list that is being read page by page."""
    start: int = 0
    pages: int = 0
    digest: bytes = b""
    """Of a list that stood in one page when it was last taken in."""
    polls: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return (self.kind, self.url)

    def below(self) -> Iterator[Node]:
        """This node and everything under it."""
        yield self
        for child in self.children.values():
            yield from child.below()


class Tree:
    """All polled resources, under one root."""

    def __init__(self, root_url: str, rng: Random, default_rate_s: int) -> None:
        self.root = Node("dcap", root_url, None)
        self._rng = rng
        self._default_rate_s = default_rate_s

    def nodes(self) -> Iterator[Node]:
        return self.root.below()

    def find(self, kind: str, url: str) -> Node | None:
        """A node by kind and place."""
        return next((node for node in self.nodes() if node.key == (kind, url)), None)

    def expect(
        self, parent: Node, kinds: Iterable[str], wanted: Iterable[tuple[str, str, Any]], now_ns: int, *, whole: bool = True
    ) -> list[Node]:
        """From now on the parent has these children of these kinds, and no others where the list was read whole.

        Returns the new ones, which are due at once.
        """
        mine = frozenset(kinds)
        seen = {(kind, url): context for kind, url, context in wanted}
        for key in [key for key in parent.children if whole and key[0] in mine and key not in seen]:
            del parent.children[key]
        fresh = []
        for (kind, url), context in seen.items():
            node = parent.children.get((kind, url))
            if node is None:
                node = parent.children[kind, url] = Node(kind, url, parent, due_ns=now_ns)
                fresh.append(node)
            node.context = context
        return fresh

    def rate_s(self, node: Node) -> int:
        """In force for a node."""
        at: Node | None = node
        while at is not None:
            if at.rate_s is not None:
                return at.rate_s
            at = at.parent
        return self._default_rate_s

    def polled(self, node: Node, rate_s: int | None, now_ns: int) -> None:
        """The node was read whole; it states this pollRate."""
        node.rate_s = None if rate_s is None else min(RATE_MAX_S, max(RATE_MIN_S, rate_s))
        node.fails = 0
        self.again(node, self.rate_s(node), now_ns)

    def again(self, node: Node, after_s: float, now_ns: int) -> None:
        """Ask again so much later, with jitter on top; a list begins at its first page."""
        node.items, node.start, node.pages = {}, 0, 0
        node.due_ns = now_ns + round((after_s + self._rng.random() * jitter_s(after_s)) * NS)

    def failed(self, node: Node, now_ns: int) -> None:
        """No useful answer: later, but not more often than its own rate allows twice over."""
        node.fails += 1
        self.again(node, min(self.rate_s(node), RETRY_S * 2 ** min(node.fails - 1, 10)), now_ns)
