"""The site's OSCP section as the provider's own configuration."""

from __future__ import annotations

from pathlib import Path

from bessctl.config import oscp as section
from bessctl.config.site import Site
from bessctl.protocols.oscp.config import (
    Adjust,
    GenerationSign,
    GroupConfig,
    Listen,
    PeerConfig,
    ProviderConfig,
    Quirks,
    ResumeOn,
    Role,
    Scope,
)
from bessctl.protocols.oscp.messages.times import NaiveTime


def provider(site: Site, oscp: section.Oscp, folder: Path) -> ProviderConfig:
    """Relative file names count from `folder`, the site file's."""
    va = sum(unit.apparent_max_va for unit in site.units)
    return ProviderConfig(
        base_url=oscp.base_url,
        listen=Listen(oscp.listen.host, oscp.listen.port, folder / oscp.listen.cert_file, folder / oscp.listen.key_file),
        groups=tuple(group(entry) for entry in oscp.groups),
        peers=tuple(peer(entry, folder) for entry in oscp.peers),
        lease_max_s={source.name: source.lease_max_s for source in site.sources},
        reactive_va={source.name: va for source in site.sources if "reactive" in source.scopes},
        site=site.site,
        nominal_v=oscp.nominal_v,
        compliance_margin_w=oscp.compliance_margin_w,
        compliance_s=oscp.compliance_s,
    )


def group(entry: section.Group) -> GroupConfig:
    """One group."""
    return GroupConfig(
        entry.id, entry.source, Scope(entry.scope), entry.optimum_source, entry.missing_generation, entry.no_forecast_limit_w
    )


def peer(entry: section.Peer, folder: Path) -> PeerConfig:
    """One peer."""
    return PeerConfig(
        name=entry.name,
        roles=frozenset(Role(role) for role in entry.roles),
        groups=tuple(entry.groups),
        kind=entry.kind,
        optimum_priority=entry.optimum_priority,
        heartbeat_s=entry.heartbeat_s,
        min_heartbeat_s=entry.min_heartbeat_s,
        grace_s=entry.grace_s,
        forecast_max_age_s=entry.forecast_max_age_s,
        measure_interval_s=entry.measure_interval_s,
        handshake=entry.handshake,
        resume_on=ResumeOn(entry.resume_on),
        adjust=Adjust(entry.adjust),
        segment_bytes=entry.segment_bytes,
        quirks=quirks(entry.quirks),
        ca_file=None if entry.ca_file is None else folder / entry.ca_file,
        request_timeout_s=entry.request_timeout_s,
    )


def quirks(entry: section.Quirks) -> Quirks:
    """Where a peer leaves the standard."""
    return Quirks(
        acknowledge_path=entry.acknowledge_path,
        naive_time=NaiveTime(entry.naive_time),
        correlation=entry.correlation,
        single_version_url=entry.single_version_url,
        delete_body=entry.delete_body,
        adjust_hours=entry.adjust_hours,
        generation_sign=GenerationSign(entry.generation_sign),
        amps_per_phase=entry.amps_all == "per_phase",
    )
