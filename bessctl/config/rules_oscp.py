"""Contradictions in section `oscp`, and between it and the slot table. Each finding names its key. Pure."""

from __future__ import annotations

from bessctl.config.explain import nearest
from bessctl.config.oscp import Group, Oscp, Peer
from bessctl.config.places import Findings
from bessctl.config.site import Site
from bessctl.config.sources import Source

K_INTERVALS = 3
UNKNOWN_AGE_S = 45 * 60


def provider(site: Site) -> Findings:
    """The provider fits its slots."""
    if site.oscp is None:
        return
    yield from _once("groups", "id", [group.id for group in site.oscp.groups])
    yield from _once("peers", "name", [peer.name for peer in site.oscp.peers])
    if not site.oscp.base_url.endswith("/oscp/fp/2.0"):
        yield ("oscp", "base_url"), f"{site.oscp.base_url!r} does not end with /oscp/fp/2.0; peers may rely on it, add it"
    for index, group in enumerate(site.oscp.groups):
        for path, message in _group(site, group):
            yield ("oscp", "groups", index, *path), message
    for index, peer in enumerate(site.oscp.peers):
        for path, message in _peer(site, site.oscp, peer):
            yield ("oscp", "peers", index, *path), message


def _once(key: str, field: str, names: list[str]) -> Findings:
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            yield ("oscp", key, index, field), f"{name!r} stands already in oscp.{key}[{first}]; give each its own"


def _source(site: Site, name: str) -> Source | None:
    return next((source for source in site.sources if source.name == name), None)


def _group(site: Site, group: Group) -> Findings:
    names = [source.name for source in site.sources]
    for key, name in (("source", group.source), ("optimum_source", group.optimum_source)):
        if name is None:
            continue
        source = _source(site, name)
        if source is None:
            yield (key,), f"there is no source {name!r}; {nearest(name, names)}"
        elif site.ocpp is not None and name == site.ocpp.source:
            yield (key,), f"source {name!r} is written by ocpp; give the group one of its own"
        elif group.scope not in source.scopes:
            yield (key,), f"source {name!r} may not use scope {group.scope}; add it to its scopes or choose another scope"
    source = _source(site, group.source)
    if source is not None:
        yield from _limiting(group, source)


def _limiting(group: Group, source: Source) -> Findings:
    if source.class_ == "market":
        yield ("source",), f"source {source.name!r} is of class market, whose limits may widen by lapsing; make it grid or contract"
    limits = source.default_limits
    if not source.required or getattr(limits, f"{group.scope}_lo_w") is None or getattr(limits, f"{group.scope}_hi_w") is None:
        yield (
            ("source",),
            (
                f"source {source.name!r} needs required: true and default_limits for scope {group.scope}: "
                "they hold until the first forecast comes (R7)"
            ),
        )


def _peer(site: Site, oscp: Oscp, peer: Peer) -> Findings:
    known = {group.id: group for group in oscp.groups}
    for index, ident in enumerate(peer.groups):
        if ident not in known:
            yield ("groups", index), f"there is no group {ident!r}; {nearest(ident, known)}"
    if peer.kind in {"dso", "tso"} and peer.adjust == "on":
        yield ("adjust",), f"a {peer.kind} must not distinguish between its customers (OSCP 2.0 2.3.1); write explicit where it offers this"
    lease_s = K_INTERVALS * peer.heartbeat_s if peer.heartbeat_s is not None else peer.forecast_max_age_s or UNKNOWN_AGE_S
    for ident in peer.groups:
        source = _source(site, known[ident].source) if ident in known else None
        if source is not None and lease_s > source.lease_max_s:
            key = "heartbeat_s" if peer.heartbeat_s is not None else "forecast_max_age_s"
            yield (
                (key,),
                f"a lease of {lease_s:g} s is above lease_max_s {source.lease_max_s:g} of source {source.name!r}; shorten it or raise that",
            )
            return
