"""What Home Assistant reads to make entities of an asset: one retained configuration topic for each sensor."""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True)
class Sensor:
    """One entity; `key` is the field of the measurement it shows."""

    key: str
    name: str
    unit: str
    device_class: str
    state_class: str


def sensors(energy_only_grows: bool) -> tuple[Sensor, ...]:
    """Net energy falls when the plant discharges; the other two only grow."""
    return (
        Sensor("powerValue", "Power", "W", "power", "measurement"),
        Sensor("energyValue", "Energy", "Wh", "energy", "total_increasing" if energy_only_grows else "total"),
        Sensor("currentStateOfCharge", "State of charge", "%", "battery", "measurement"),
    )


def announcements(
    prefix: str, asset: str, state_topic: str, availability_topic: str, sensors: tuple[Sensor, ...]
) -> list[tuple[str, bytes]]:
    """(topic, payload) of every sensor of an asset."""
    node = re.sub(r"[^a-zA-Z0-9_-]", "_", asset)
    device = {"identifiers": [f"bessctl_{node}"], "name": asset, "manufacturer": "bessctl", "model": "BESS"}
    found = []
    for sensor in sensors:
        config = {
            "name": sensor.name,
            "unique_id": f"bessctl_{node}_{sensor.key}",
            "state_topic": state_topic,
            "value_template": f"{{{{ value_json.{sensor.key} }}}}",
            "unit_of_measurement": sensor.unit,
            "device_class": sensor.device_class,
            "state_class": sensor.state_class,
            "availability_topic": availability_topic,
            "payload_available": ONLINE.decode(),
            "payload_not_available": OFFLINE.decode(),
            "device": device,
        }
        found.append((f"{prefix}/sensor/bessctl_{node}/{sensor.key}/config", orjson.dumps(config)))
    return found
