"""Each message between its JSON and its record, both ways. Decoding raises Malformed; what is encoded is what decodes again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bessctl.protocols.oscp.messages.fields import URL_MAX, Fields
from bessctl.protocols.oscp.messages.records import (
    AssetCategory,
    AssetMeasurement,
    AssetMeasurements,
    Block,
    BlockUnit,
    CapacityForecastType,
    ComplianceError,
    Direction,
    EnergyMeasurement,
    EnergyType,
    EnergyUnit,
    Forecast,
    GroupMeasurements,
    Handshake,
    Heartbeat,
    InstantaneousMeasurement,
    MeasurementConfiguration,
    Phase,
    Register,
    RequiredBehaviour,
    VersionUrl,
)
from bessctl.protocols.oscp.messages.times import NaiveTime, written
from bessctl.protocols.oscp.messages.wire import Malformed, parse, text

TOKEN_MAX = 500
SIMPLE_PLACES = Decimal("0.001")


# --- reading ----------------------------------------------------------------------------------------------------------------------------


def register(data: bytes, *, bare_version: bool = False) -> Register:
    """4.3.1. `bare_version`: the peer writes one object where the standard has an array."""
    fields = Fields(parse(data))
    token = fields.text("token", TOKEN_MAX)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Malformed("token must be printable ASCII without spaces")
    if bare_version and isinstance(fields.value.get("version_url"), dict):
        fields = Fields({"version_url": [fields.value["version_url"]]})
    return Register(token, fields.items("version_url", version_url))


def version_url(fields: Fields) -> VersionUrl:
    """5.1: starts with https://, no trailing slash."""
    url = fields.text("base_url", URL_MAX)
    if not url.startswith("https://") or not url.removeprefix("https://") or url.endswith("/"):
        raise Malformed(f"{fields.name('base_url')} must start with https:// and not end with a slash")
    if not url.isascii() or any(c in url for c in " ?#\\@") or not url.isprintable():
        raise Malformed(f"{fields.name('base_url')} is no base URL")
    return VersionUrl(fields.text("version", 20), url)


def handshake(data: bytes) -> Handshake:
    """4.3.2 and 4.3.3."""
    fields = Fields(parse(data) if data.strip() else {})
    return Handshake(required_behaviour(fields.part("required_behaviour")) if fields.has("required_behaviour") else None)


def required_behaviour(fields: Fields) -> RequiredBehaviour:
    """5.2: at least one field; an empty array is a statement."""
    interval, kinds = fields.has("heartbeat_interval"), fields.has("measurement_configuration")
    if not interval and not kinds:
        raise Malformed(f"{fields.at} holds neither heartbeat_interval nor measurement_configuration (OSCP 2.0 5.2)")
    return RequiredBehaviour(
        fields.integer("heartbeat_interval", 1) if interval else None,
        fields.words("measurement_configuration", MeasurementConfiguration) if kinds else None,
    )


def heartbeat(data: bytes, naive: NaiveTime = NaiveTime.REJECT, utc_ns: int | None = None) -> Heartbeat:
    """4.3.4. A local time that exists twice is the next of the two."""
    first, last = Fields(parse(data), naive=naive).times("offline_mode_at")
    return Heartbeat(last if utc_ns is not None and first <= utc_ns else first)


def forecast(data: bytes, naive: NaiveTime = NaiveTime.REJECT) -> Forecast:
    """4.4.1 and 4.4.2."""
    fields = Fields(parse(data), naive=naive)
    kind = fields.word("type", CapacityForecastType)
    return Forecast(fields.text("group_id"), kind, fields.items("forecasted_blocks", block))


def block(fields: Fields) -> Block:
    """5.4. Where a local time exists twice or never, the block reaches over all that it may mean: it holds in each of them."""
    found = Block(
        fields.decimal("capacity"), fields.word("phase", Phase), fields.word("unit", BlockUnit), fields.times("start_time")[0],
        fields.times("end_time")[1],
    )  # fmt: skip
    if found.start_ns >= found.end_ns:
        raise Malformed(f"{fields.at}: start_time is not before end_time")
    return found


def compliance_error(data: bytes, naive: NaiveTime = NaiveTime.REJECT) -> ComplianceError:
    """4.4.3."""
    fields = Fields(parse(data), naive=naive)
    given = fields.has("forecasted_blocks")
    return ComplianceError(fields.text("message"), fields.items("forecasted_blocks", block, least=0) if given else ())


def energy(fields: Fields) -> EnergyMeasurement:
    """5.6.3."""
    return EnergyMeasurement(
        fields.decimal("value"), fields.word("phase", Phase), fields.word("unit", EnergyUnit), fields.word("direction", Direction),
        fields.time("measure_time"), fields.word("energy_type", EnergyType) if fields.has("energy_type") else None,
        fields.time("initial_measure_time") if fields.has("initial_measure_time") else None,
    )  # fmt: skip


def instantaneous(fields: Fields) -> InstantaneousMeasurement:
    """5.6.4."""
    return InstantaneousMeasurement(
        fields.decimal("value"), fields.word("phase", Phase), fields.word("unit", BlockUnit), fields.time("measure_time")
    )


def asset(fields: Fields) -> AssetMeasurement:
    """5.6."""
    has_energy, has_instant = fields.has("energy_measurement"), fields.has("instantaneous_measurement")
    if has_energy == has_instant:
        raise Malformed(f"{fields.at} needs exactly one of energy_measurement and instantaneous_measurement (OSCP 2.0 5.6)")
    return AssetMeasurement(
        fields.text("asset_id"),
        fields.word("asset_category", AssetCategory),
        energy(fields.part("energy_measurement")) if has_energy else None,
        instantaneous(fields.part("instantaneous_measurement")) if has_instant else None,
    )


def group_measurements(data: bytes, naive: NaiveTime = NaiveTime.REJECT) -> GroupMeasurements:
    """4.5.1."""
    fields = Fields(parse(data), naive=naive)
    return GroupMeasurements(fields.text("group_id"), fields.items("measurements", energy))


def asset_measurements(data: bytes, naive: NaiveTime = NaiveTime.REJECT) -> AssetMeasurements:
    """4.5.2."""
    fields = Fields(parse(data), naive=naive)
    return AssetMeasurements(fields.text("group_id"), fields.items("measurements", asset))


# --- writing ----------------------------------------------------------------------------------------------------------------------------


def to_bytes(message: Any) -> bytes:
    """The JSON of any record of a message."""
    return text(_WRITERS[type(message)](message))


def _register(it: Register) -> dict[str, Any]:
    return {"token": it.token, "version_url": [{"version": v.version, "base_url": v.base_url} for v in it.version_url]}


def _handshake(it: Handshake) -> dict[str, Any]:
    if it.required_behaviour is None:
        return {}
    found: dict[str, Any] = {}
    if it.required_behaviour.heartbeat_interval_s is not None:
        found["heartbeat_interval"] = it.required_behaviour.heartbeat_interval_s
    if it.required_behaviour.measurement_configuration is not None:
        found["measurement_configuration"] = [c.value for c in it.required_behaviour.measurement_configuration]
    return {"required_behaviour": found}


def _heartbeat(it: Heartbeat) -> dict[str, Any]:
    return {"offline_mode_at": written(it.offline_mode_at_ns)}


def _block(it: Block) -> dict[str, Any]:
    return {
        "capacity": it.capacity, "phase": it.phase.value, "unit": it.unit.value, "start_time": written(it.start_ns),
        "end_time": written(it.end_ns),
    }  # fmt: skip


def _forecast(it: Forecast) -> dict[str, Any]:
    return {"group_id": it.group_id, "type": it.type.value, "forecasted_blocks": [_block(b) for b in it.blocks]}


def _compliance(it: ComplianceError) -> dict[str, Any]:
    blocks = {"forecasted_blocks": [_block(b) for b in it.blocks]} if it.blocks else {}
    return {"message": it.message, **blocks}


def _energy(it: EnergyMeasurement) -> dict[str, Any]:
    found: dict[str, Any] = {"value": it.value, "phase": it.phase.value, "unit": it.unit.value}
    if it.energy_type is not None:
        found["energy_type"] = it.energy_type.value
    found |= {"direction": it.direction.value, "measure_time": written(it.measure_time_ns)}
    if it.initial_measure_time_ns is not None:
        found["initial_measure_time"] = written(it.initial_measure_time_ns)
    return found


def _instantaneous(it: InstantaneousMeasurement) -> dict[str, Any]:
    return {"value": it.value, "phase": it.phase.value, "unit": it.unit.value, "measure_time": written(it.measure_time_ns)}


def _asset(it: AssetMeasurement) -> dict[str, Any]:
    head = {"asset_id": it.asset_id, "asset_category": it.asset_category.value}
    if it.energy is not None:
        return {**head, "energy_measurement": _energy(it.energy)}
    assert it.instantaneous is not None
    return {**head, "instantaneous_measurement": _instantaneous(it.instantaneous)}


_WRITERS: dict[type, Any] = {
    Register: _register,
    Handshake: _handshake,
    Heartbeat: _heartbeat,
    Forecast: _forecast,
    ComplianceError: _compliance,
    GroupMeasurements: lambda it: {"group_id": it.group_id, "measurements": [_energy(m) for m in it.measurements]},
    AssetMeasurements: lambda it: {"group_id": it.group_id, "measurements": [_asset(m) for m in it.measurements]},
}


def decimal(value: float) -> Decimal:
    """A measured number as OSCP writes it: three places, far below the eight it allows."""
    return Decimal(value).quantize(SIMPLE_PLACES)
