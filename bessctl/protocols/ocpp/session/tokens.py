"""What is known of tokens without asking: the local list and the cache (1.6 3.5, 5.15; 2.0.1 C10-C14, D01, D02).

- Tokens are kept as digests (HMAC-SHA256 of the lower-cased token, settled question 11), their groups too.
- The local list goes before the cache. What has expired is known, and not accepted.
- Every answer of the CSMS about a token refreshes the cache; ClearCache empties it, and it holds `CACHE_ENTRIES` at most, none of them
  for longer than the site's retention time.
- SendLocalList: Differential needs the version to grow, Full takes any; version 0 or less is refused; a double token is refused, and so
  are more entries at once than SendLocalListMaxLength, more in all than LocalAuthListMaxLength.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bessctl.protocols.ocpp.messages.commands import ListEntry, SendList
from bessctl.protocols.ocpp.messages.records import TokenReply
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.writes import DropDoc, PutDoc, PutState

CACHE_ENTRIES = 1000
LIST, CACHE = "token_list", "token_cache"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a token. `parent` is a digest; `seen` orders the cache."""

    status: str
    parent: str | None = None
    expires_ns: int | None = None
    seen: int = 0
    learnt_ns: int | None = None
    """When the CSMS said so, where it was known."""


class Tokens:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core) -> None:
        self._core = core
        docs = core.saved.docs
        self._list = {ident: from_text(Known, text) for ident, text in docs.get(LIST, {}).items()}
        self._cache = {ident: from_text(Known, text) for ident, text in docs.get(CACHE, {}).items()}
        self._seen = max((known.seen for known in self._cache.values()), default=0)
        self._version = int(core.saved.state.get("list_version", "0"))

    @property
    def version(self) -> int:
        """Of the local list; 0 = none."""
        return self._version

    def __len__(self) -> int:
        return len(self._list)

    def known(self, token: str) -> Known | None:
        """What list or cache say of a token; one that expired is Expired."""
        keys, ident = self._core.keys, self._core.digest(token)
        found = self._list.get(ident) if keys.flag("LocalAuthListEnabled") else None
        if found is None and keys.flag("AuthorizationCacheEnabled"):
            found = self._cache.get(ident)
        utc = self._core.time.utc_ns(self._core.now)
        if found is not None and found.expires_ns is not None and (utc is None or found.expires_ns <= utc):
            return replace(found, status="Expired")
        return found

    def parent(self, token: str) -> str | None:
        """Digest of the token's group, where known."""
        found = self.known(token)
        return found.parent if found else None

    def learn(self, token: str, reply: TokenReply) -> None:
        """The CSMS spoke of a token."""
        core = self._core
        if not token or reply.status is None or not core.keys.flag("AuthorizationCacheEnabled"):
            return
        self._seen += 1
        ident = core.digest(token)
        known = Known(
            reply.status,
            None if reply.parent is None else core.digest(reply.parent),
            reply.expires_ns,
            self._seen,
            core.time.utc_ns(core.now),
        )
        self._cache[ident] = known
        core.out.writes.append(PutDoc(CACHE, ident, to_text(known)))
        if len(self._cache) > CACHE_ENTRIES:
            oldest = min(self._cache, key=lambda i: self._cache[i].seen)
            self.forget(oldest)

    def expire(self, before_ns: int) -> None:
        """Take out of the cache what was learnt before; what was learnt while no date was known gets today's."""
        core = self._core
        for ident, known in list(self._cache.items()):
            if known.learnt_ns is None:
                self._cache[ident] = dated = replace(known, learnt_ns=core.time.utc_ns(core.now))
                core.out.writes.append(PutDoc(CACHE, ident, to_text(dated)))
            elif known.learnt_ns < before_ns:
                self.forget(ident)

    def forget(self, ident: str) -> bool:
        """Take a digest out of the cache."""
        if self._cache.pop(ident, None) is None:
            return False
        self._core.out.writes.append(DropDoc(CACHE, ident))
        return True

    def held(self, ident: str) -> tuple[bool, bool]:
        """Is a digest in the list, in the cache?"""
        return ident in self._list, ident in self._cache

    def clear_cache(self) -> str:
        """ClearCache; returns the status."""
        if not self._core.keys.flag("AuthorizationCacheEnabled"):
            return "Rejected"
        self._cache.clear()
        self._core.out.writes.append(DropDoc(CACHE, None))
        return "Accepted"

    def take_list(self, wish: SendList) -> str:
        """SendLocalList; returns the status."""
        core = self._core
        digests = [core.digest(e.id_token) for e in wish.entries]
        most, at_once = core.keys.number("LocalAuthListMaxLength"), core.keys.number("SendLocalListMaxLength")
        new = {} if wish.full else dict(self._list)
        for ident, entry in zip(digests, wish.entries, strict=True):
            self._merge(new, ident, entry)
        if not core.keys.flag("LocalAuthListEnabled"):
            return "NotSupported" if core.traits.version == "1.6" else "Failed"
        if not wish.full and wish.version <= self._version:
            return "VersionMismatch"
        missing = wish.full and any(e.status is None for e in wish.entries)
        double = len(set(digests)) != len(digests)
        if wish.version <= 0 or missing or double or len(new) > most or len(digests) > at_once:
            return "Failed"
        self._keep(new, wish.version)
        return "Accepted"

    def _merge(self, new: dict[str, Known], ident: str, entry: ListEntry) -> None:
        if entry.status is None:
            new.pop(ident, None)
        else:
            parent = None if entry.parent is None else self._core.digest(entry.parent)
            new[ident] = Known(entry.status, parent, entry.expires_ns)

    def _keep(self, new: dict[str, Known], version: int) -> None:
        writes = self._core.out.writes
        writes += [DropDoc(LIST, ident) for ident in self._list if ident not in new]
        writes += [PutDoc(LIST, ident, to_text(known)) for ident, known in new.items() if self._list.get(ident) != known]
        self._list = new
        # An empty full list is no list (1.6 5.15, 2.0.1 D01.FR.04).
        self._version = version if new else 0
        writes.append(PutState("list_version", str(self._version)))
