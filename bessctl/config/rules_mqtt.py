"""Contradictions in sections `storage` and `mqtt`, and between them and the plant. Each finding names its key. Pure."""

from __future__ import annotations

from bessctl.config.explain import nearest
from bessctl.config.mqtt import Broker, Mqtt
from bessctl.config.places import Findings, Path
from bessctl.config.site import Site
from bessctl.config.storage import Storage


def telemetry(site: Site) -> Findings:
    """The publisher fits its plant and its slot."""
    if site.storage is not None:
        yield from _storage(site, site.storage)
    if site.policy is not None and site.storage is None:
        yield ("policy",), "a policy needs the battery's window, which stands in section storage; add it"
    if site.mqtt is None:
        return
    if site.storage is None:
        yield ("mqtt",), "measurements need the asset's name: it stands in section storage, which is not there; add storage.name"
    yield from _assets(site, site.mqtt)
    names = [broker.name for broker in site.mqtt.brokers]
    for index, broker in enumerate(site.mqtt.brokers):
        at: Path = ("mqtt", "brokers", index)
        if names.index(broker.name) != index:
            yield (*at, "name"), f"{broker.name!r} stands already in mqtt.brokers[{names.index(broker.name)}]; give each its own"
        for path, message in _broker(site, site.mqtt, broker):
            yield (*at, *path), message


def _storage(site: Site, storage: Storage) -> Findings:
    if storage.soc_min_pct >= storage.soc_max_pct:
        yield ("storage", "soc_min_pct"), f"{storage.soc_min_pct:g} is not below soc_max_pct {storage.soc_max_pct:g}; lower it"
        return
    rated = {
        "operational_capacity_wh": sum(unit.capacity_wh for unit in site.units),
        "charging_max_w": sum(unit.charge_max_w for unit in site.units),
        "discharging_max_w": sum(unit.discharge_max_w for unit in site.units),
    }
    for key, most in rated.items():
        value = getattr(storage, key)
        if value is not None and value > most:
            yield ("storage", key), f"{value:g} is beyond the units' {most:g}; lower it"


def _assets(site: Site, mqtt: Mqtt) -> Findings:
    units = [unit.name for unit in site.units]
    taken = [site.storage.name] if site.storage is not None else []
    for index, asset in enumerate(mqtt.units):
        if asset.unit not in units:
            yield ("mqtt", "units", index, "unit"), f"there is no unit {asset.unit!r}; {nearest(asset.unit, units)}"
        if asset.name in taken:
            yield ("mqtt", "units", index, "name"), f"{asset.name!r} is another asset's name already; give each its own"
        taken.append(asset.name)


def _broker(site: Site, mqtt: Mqtt, broker: Broker) -> Findings:
    plain = broker.tls.ca_file is None and broker.tls.cert_file is None
    if broker.allow_plain and not plain:
        yield ("allow_plain",), "true, and files of TLS are named; drop one of the two"
    if broker.port == 1883 and not broker.allow_plain:
        yield ("port",), "1883 is MQTT's port without TLS; use 8883, or set allow_plain: true"
    if broker.tls.cert_file is None and broker.tls.key_file is not None:
        yield ("tls", "key_file"), "a key without its certificate; name tls.cert_file too"
    if broker.password_file is not None and broker.user is None:
        yield ("password_file",), "a password without a user; name user too"
    if broker.back_off.minimum_s > broker.back_off.longest_s:
        yield ("back_off", "minimum_s"), f"{broker.back_off.minimum_s:g} is above longest_s {broker.back_off.longest_s:g}; lower it"
    if broker.home_assistant is not None:
        if broker.availability_topic is None:
            yield ("home_assistant",), "needs availability_topic, by which a home sees that we are gone; name it"
        if mqtt.units and "{asset}" not in broker.topic:
            yield ("topic",), "several assets on one topic cannot be told apart by home_assistant; put {asset} into it"
    if broker.availability_topic is not None and broker.availability_topic == broker.topic:
        yield ("availability_topic",), "is the topic of the measurements; give it one of its own"
    if broker.commands is not None:
        yield from _commands(site, mqtt, broker)


def _commands(site: Site, mqtt: Mqtt, broker: Broker) -> Findings:
    assert broker.commands is not None
    source = next((source for source in site.sources if source.name == mqtt.source), None)
    if source is None:
        yield ("commands",), f"they write source {mqtt.source!r} (mqtt.source), which is not in sources; add it or name another"
        return
    if broker.commands.ttl_max_s > source.lease_max_s:
        yield (
            ("commands", "ttl_max_s"),
            f"{broker.commands.ttl_max_s:g} is above lease_max_s {source.lease_max_s:g} of source {source.name!r}; shorten it",
        )
    if source.name in site.owners:
        yield ("commands",), f"source {source.name!r} is written by {site.owners[source.name]}; name another as mqtt.source"
