"""The site's OCPP section as the station's own configuration."""

from __future__ import annotations

from pathlib import Path

from bessctl import __version__
from bessctl.config import ocpp as section
from bessctl.protocols.ocpp.config import BackOff, LinkConfig, Role, StationConfig, Tls, UpdaterCommands


def station(ocpp: section.Ocpp, folder: Path) -> StationConfig:
    """Relative file names count from `folder`, the site file's."""
    return StationConfig(
        links=tuple(link(entry, folder) for entry in ocpp.links),
        source=ocpp.source,
        vendor=ocpp.vendor,
        model=ocpp.model,
        serial=ocpp.serial,
        firmware=__version__,
        state_dir=None if ocpp.state_dir is None else folder / ocpp.state_dir,
        retention_days=ocpp.retention_days,
        logs=tuple(folder / name for name in ocpp.logs),
        journal=tuple(ocpp.journal or ()),
        updater=None if ocpp.updater is None else _updater(ocpp.updater),
        play_updates=ocpp.play_updates,
        hand_socket=None if ocpp.hand_socket is None else folder / ocpp.hand_socket,
    )


def _updater(given: section.Updater) -> UpdaterCommands:
    return UpdaterCommands(
        install=tuple(given.install),
        running=tuple(given.running or ()),
        outcome=tuple(given.outcome or ()),
        restart=tuple(given.restart or ()),
        mark_good=tuple(given.mark_good or ()),
        timeout_s=given.timeout_s,
        outcome_s=given.outcome_s,
    )


def link(entry: section.Link, folder: Path) -> LinkConfig:
    """One CSMS."""

    def place(name: str | None) -> Path | None:
        return None if name is None else folder / name

    return LinkConfig(
        name=entry.name,
        url=entry.url,
        charge_point_id=entry.charge_point_id,
        version=tuple(entry.version),
        role=Role(entry.role),
        priority=entry.priority,
        calls_per_s=entry.calls_per_s,
        armed_by_hand=entry.armed_by_hand,
        password_file=place(entry.password_file),
        password_encoding=entry.password_encoding,
        allow_plain=entry.allow_plain,
        tls=Tls(place(entry.tls.ca_file), place(entry.tls.cert_file), place(entry.tls.key_file), place(entry.tls.crl_file)),
        lease_s=entry.lease_s,
        pong_is_evidence=entry.pong_is_evidence,
        heartbeat_range_s=(entry.heartbeat_range_s[0], entry.heartbeat_range_s[1]),
        sample_range_s=(entry.sample_range_s[0], entry.sample_range_s[1]),
        remote_start_w=entry.remote_start_w,
        max_w=entry.max_w,
        phase_voltage_v=entry.phase_voltage_v,
        call_timeout_s=entry.call_timeout_s,
        back_off=BackOff(entry.back_off.minimum_s, entry.back_off.random_range_s, entry.back_off.repeat_times),
        keys=dict(entry.keys),
    )
