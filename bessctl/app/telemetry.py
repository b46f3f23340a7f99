"""The site's sections `storage` and `mqtt` as the publisher's own configuration."""

from __future__ import annotations

from pathlib import Path

from bessctl.config import mqtt as section
from bessctl.config.site import Site
from bessctl.config.storage import Storage
from bessctl.protocols.mqtt.config import (
    Asset,
    BackOff,
    Broker,
    Commands,
    EnergyValue,
    HomeAssistant,
    MqttConfig,
    Protocol,
    Tls,
    Window,
)


def publisher(site: Site, mqtt: section.Mqtt, storage: Storage, folder: Path) -> MqttConfig:
    """Relative file names count from `folder`, the site file's."""
    return MqttConfig(
        brokers=tuple(broker(site, entry, folder) for entry in mqtt.brokers),
        assets=(Asset(storage.name), *(Asset(entry.name, entry.unit) for entry in mqtt.units)),
        window=Window(storage.soc_min_pct, storage.soc_max_pct),
        source=mqtt.source,
    )


def broker(site: Site, entry: section.Broker, folder: Path) -> Broker:
    """One broker."""

    def place(name: str | None) -> Path | None:
        return None if name is None else folder / name

    commands, home = entry.commands, entry.home_assistant
    return Broker(
        name=entry.name,
        host=entry.host,
        port=entry.port,
        topic=entry.topic,
        client_id=entry.client_id or f"bessctl-{site.site}",
        availability_topic=entry.availability_topic,
        interval_s=entry.interval_s,
        qos=entry.qos,
        protocol=Protocol(entry.protocol),
        keepalive_s=entry.keepalive_s,
        energy_value=EnergyValue(entry.energy_value),
        user=entry.user,
        password_file=place(entry.password_file),
        tls=None if entry.allow_plain else Tls(place(entry.tls.ca_file), place(entry.tls.cert_file), place(entry.tls.key_file)),
        spool_days=entry.spool_days,
        resume_per_s=entry.resume_per_s,
        in_flight_max=entry.in_flight_max,
        ack_timeout_s=entry.ack_timeout_s,
        back_off=BackOff(entry.back_off.minimum_s, entry.back_off.longest_s, entry.back_off.random_range_s),
        commands=None if commands is None else Commands(commands.topic, commands.ttl_max_s, commands.age_max_s),
        home_assistant=None if home is None else HomeAssistant(home.prefix),
    )
