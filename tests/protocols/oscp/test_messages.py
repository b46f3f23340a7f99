"""Datatypes and messages of OSCP 2.0 chapters 1.3, 4 and 5: what passes, what is refused, and what we write ourselves (OSCP-9)."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.oscp.messages import codec, headers
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
    InstantaneousMeasurement,
    Phase,
)
from bessctl.protocols.oscp.messages.times import NaiveTime, instants, utc_ns, written
from bessctl.protocols.oscp.messages.wire import Malformed, parse

GOOD_BLOCK = {"capacity": 10.5, "phase": "ALL", "unit": "KW", "start_time": "2026-01-31T12:00:00Z", "end_time": "2026-01-31T12:15:00Z"}
GOOD = {"group_id": "g", "type": "CONSUMPTION", "forecasted_blocks": [GOOD_BLOCK]}


def changed(**fields: Any) -> bytes:
    """The good forecast with fields of its block replaced; `...` takes one out."""
    block = {key: value for key, value in {**GOOD_BLOCK, **fields}.items() if value is not ...}
    return json.dumps({**GOOD, "forecasted_blocks": [block]}).encode()


# (JSON, words of the refusal)
NO_JSON = [
    (b"", "not JSON"),
    (b"[]", "one JSON object"),
    (b"\xff{}", "not UTF-8"),
    (b'\xef\xbb\xbf{"a":1}', "not JSON"),
    (b'{"a": NaN}', "NaN is no JSON number"),
    (b'{"a": Infinity}', "Infinity is no JSON number"),
    (b'{"a": -Infinity}', "-Infinity is no JSON number"),
    (b'{"a": 1, "a": 2}', "key 'a' stands twice"),
    (b'{"a": {"b": 1, "b": 1}}', "key 'b' stands twice"),
    (b'{"a": 01}', "not JSON"),
    (b'{"a": +1}', "not JSON"),
    (b'{"a": 1' + b"0" * 50 + b"}", "too many digits"),
    (b'{"a": 1.' + b"0" * 50 + b"}", "too many digits"),
    (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
    (b'{"a": 1} x', "not JSON"),
]


@pytest.mark.parametrize(("data", "words"), NO_JSON)
def test_what_is_no_json_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse(data)


# (fields of a block, words of the refusal)
BAD_BLOCKS = [
    # decimal: 1.3.3, 8 places
    ({"capacity": True}, "capacity must be a number"),
    ({"capacity": "10"}, "capacity must be a number"),
    ({"capacity": None}, "capacity is missing"),
    ({"capacity": ...}, "capacity is missing"),
    ({"capacity": 0.123456789}, "more than 8 decimal places"),
    ({"capacity": 1e13}, "is beyond"),
    # enumerations: 5.4.1, 5.5; case matters (1.4)
    ({"unit": "MW"}, "unit must be one of A, W, KW, WH, KWH"),
    ({"unit": "kW"}, "unit must be one of"),
    ({"phase": "FOUR"}, "phase must be one of UNKNOWN, ONE, TWO, THREE, ALL"),
    ({"phase": ["ALL"]}, "phase must be one of"),
    # date-times: 1.9.1
    ({"start_time": "2026-01-31T12:00:00"}, "has no time zone offset"),
    ({"start_time": "2026-01-31"}, "no RFC 3339 date-time"),
    ({"start_time": "2026-W05-6T12:00:00Z"}, "no RFC 3339 date-time"),
    ({"start_time": "20260131T120000Z"}, "no RFC 3339 date-time"),
    ({"start_time": "2026-01-31T12:00:00.1234Z"}, "at most 3 fractional digits"),
    ({"start_time": "2026-02-30T12:00:00Z"}, "no date-time"),
    ({"start_time": "2026-01-31T25:00:00Z"}, "no date-time"),
    ({"start_time": "2026-01-31T24:00:00Z"}, "no date-time"),
    ({"start_time": "2026-01-31T12:00:00+24:00"}, "no date-time"),
    ({"start_time": "2026-01-31T12:00:00+01:60"}, "no date-time"),
    ({"start_time": "２０２６-01-31T12:00:00Z"}, "no RFC 3339 date-time"),
    ({"start_time": 1738324800}, "must be a date-time string"),
    ({"end_time": "2026-01-31T12:00:00Z"}, "start_time is not before end_time"),
    ({"end_time": "2026-01-31T13:00:00+02:00"}, "start_time is not before end_time"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_BLOCKS)
def test_a_block_is_refused_by_the_field_that_is_wrong(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        codec.forecast(changed(**fields))


def test_1e400_is_no_capacity() -> None:
    """Python reads it as infinity."""
    with pytest.raises(Malformed, match="is beyond"):
        codec.forecast(json.dumps(GOOD).replace("10.5", "1e400").encode())


# (fields of the message, words of the refusal)
BAD_FORECASTS = [
    ({"group_id": ""}, "group_id must be a string"),
    ({"group_id": 7}, "group_id must be a string"),
    ({"type": "MAXIMUM"}, "type must be one of CONSUMPTION"),
    ({"forecasted_blocks": []}, "forecasted_blocks must be an array of at least 1"),
    ({"forecasted_blocks": GOOD_BLOCK}, "forecasted_blocks must be an array"),
    ({"forecasted_blocks": [GOOD_BLOCK, 1]}, r"forecasted_blocks\[1\] must be an object"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_FORECASTS)
def test_a_forecast_is_refused_by_the_field_that_is_wrong(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        codec.forecast(json.dumps({**GOOD, **fields}).encode())


@pytest.mark.parametrize("kind", list(CapacityForecastType))
@pytest.mark.parametrize("unit", list(BlockUnit))
@pytest.mark.parametrize("phase", list(Phase))
def test_all_types_units_and_phases_are_taken(kind: CapacityForecastType, unit: BlockUnit, phase: Phase) -> None:
    """5.3, 5.4.1, 5.5."""
    message = codec.forecast(
        json.dumps({**GOOD, "type": kind.value, "forecasted_blocks": [{**GOOD_BLOCK, "unit": unit, "phase": phase}]}).encode()
    )
    assert (message.type, message.blocks[0].unit, message.blocks[0].phase) == (kind, unit, phase)


# (text, UTC nanoseconds since 1970 as seconds)
TIMES = [
    ("1970-01-01T00:00:01Z", 1.0),
    ("1970-01-01t00:00:01z", 1.0),
    ("1970-01-01T02:00:01+02:00", 1.0),
    ("1969-12-31T21:30:01-02:30", 1.0),
    ("1970-01-01T00:00:01.5Z", 1.5),
    ("1970-01-01T00:00:01.125-00:00", 1.125),
    ("1972-06-30T23:59:60Z", 78796800.0),  # a leap second
]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_times_are_read_with_their_offset(text: str, seconds: float) -> None:
    assert utc_ns(text) == round(seconds * 1e9)


def test_a_time_without_offset_needs_its_quirk() -> None:
    """Row 28: zone-less times, refused unless the peer's entry says what they mean."""
    with pytest.raises(Malformed, match="no time zone offset"):
        utc_ns("1970-01-01T00:00:01")
    assert utc_ns("1970-01-01T00:00:01", NaiveTime.UTC) == 1_000_000_000
    assert abs(utc_ns("2026-01-31T12:00:00", NaiveTime.LOCAL) - utc_ns("2026-01-31T12:00:00Z")) <= 14 * 3600 * 10**9


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """This machine stands in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    instants.cache_clear()
    yield ZoneInfo("Europe/Berlin")
    monkeypatch.undo()
    time.tzset()
    instants.cache_clear()


# UTC of the change, and what is in doubt for an hour around it: the first reading, the last one
CHANGES = [(datetime(2026, 10, 25, 1, tzinfo=UTC), 3600), (datetime(2026, 3, 29, 1, tzinfo=UTC), 0), (datetime(2026, 7, 1, tzinfo=UTC), 0)]


@pytest.mark.parametrize(("change", "doubt_s"), CHANGES)
def test_a_local_time_without_offset_means_what_its_writer_meant(zone: ZoneInfo, change: datetime, doubt_s: int) -> None:
    """Row 28, over a change of the clocks: the instant is always among those that may be meant; in the hour that exists twice, two may."""
    for quarter in range(-12, 12):
        at = change + timedelta(minutes=15 * quarter)
        first, last = instants(at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S"), NaiveTime.LOCAL)
        meant = round(at.timestamp()) * 10**9
        assert first <= meant <= last
        assert (last - first) // 10**9 == (doubt_s if -4 <= quarter < 4 else 0)


def test_a_local_time_that_never_was_may_mean_either_reading(zone: ZoneInfo) -> None:
    """02:30 on the night when the clocks go on: a peer that counts in wall time writes it."""
    assert [at // 10**9 for at in instants("2026-03-29T02:30:00", NaiveTime.LOCAL)] == [1774744200, 1774747800]


def test_the_end_of_the_world_is_for_ever() -> None:
    assert utc_ns("9999-12-31T23:59:59Z") == 2**63 - 1
    assert utc_ns("0001-01-01T00:00:00Z") == -(2**63 - 1)


@given(st.integers(-(2**62), 2**62))
def test_what_we_write_reads_back_to_the_millisecond(at_ns: int) -> None:
    text = written(at_ns)
    assert len(text) == 24
    assert text.endswith("Z")
    assert utc_ns(text) == at_ns // 1_000_000 * 1_000_000


# (body, words of the refusal or None)
HANDSHAKES: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"{}", None),
    (b'{"required_behaviour": null}', None),
    (b'{"required_behaviour": {}}', "holds neither"),  # 5.2: empty objects are not allowed
    (b'{"required_behaviour": {"measurement_configuration": []}}', None),  # an empty array is a statement
    (b'{"required_behaviour": {"heartbeat_interval": 1}}', None),
    (b'{"required_behaviour": {"heartbeat_interval": 0}}', "integer of 32 bits from 1"),
    (b'{"required_behaviour": {"heartbeat_interval": 1.0}}', "integer of 32 bits from 1"),
    (b'{"required_behaviour": {"heartbeat_interval": true}}', "integer of 32 bits from 1"),
    (b'{"required_behaviour": {"heartbeat_interval": "60"}}', "integer of 32 bits from 1"),
    (b'{"required_behaviour": {"heartbeat_interval": 2147483648}}', "integer of 32 bits from 1"),
    (b'{"required_behaviour": {"measurement_configuration": ["CONTINUOUS", "INTERMITTENT"]}}', None),
    (b'{"required_behaviour": {"measurement_configuration": ["SOMETIMES"]}}', "must be one of CONTINUOUS, INTERMITTENT"),
    (b'{"required_behaviour": {"measurement_configuration": "CONTINUOUS"}}', "must be an array"),
    (b'{"required_behaviour": []}', "must be an object"),
]


@pytest.mark.parametrize(("data", "words"), HANDSHAKES)
def test_required_behaviour(data: bytes, words: str | None) -> None:
    if words is None:
        codec.handshake(data)
        return
    with pytest.raises(Malformed, match=words):
        codec.handshake(data)


# (base_url, does it pass?) 5.1, row 23
URLS = [
    ("https://cp.example/oscp/cp/2.0", True),
    ("https://cp.example:8443", True),
    ("http://cp.example/oscp/cp/2.0", False),
    ("https://cp.example/oscp/cp/2.0/", False),
    ("https://", False),
    ("cp.example/oscp", False),
    ("https://cp.example/a b", False),
    ("https://user@cp.example/oscp", False),
    ("https://cp.example/" + "a" * 236, True),
    ("https://cp.example/" + "a" * 237, False),
]


@pytest.mark.parametrize(("url", "passes"), URLS)
def test_base_url(url: str, passes: bool) -> None:
    data = json.dumps({"token": "t", "version_url": [{"version": "2.0", "base_url": url}]}).encode()
    if passes:
        assert codec.register(data).version_url[0].base_url == url
        return
    with pytest.raises(Malformed, match="base_url"):
        codec.register(data)


@pytest.mark.parametrize("token", ["", "two words", "tokén", "line\nbreak", "x" * 501, 5])
def test_a_token_is_printable_ascii(token: object) -> None:
    """It goes into a header."""
    with pytest.raises(Malformed, match="token"):
        codec.register(json.dumps({"token": token, "version_url": [{"version": "2.0", "base_url": "https://cp"}]}).encode())


ENERGY = EnergyMeasurement(Decimal("-1.5"), Phase.ALL, EnergyUnit.WH, Direction.NET, 10**18, EnergyType.FLEXIBLE, 9 * 10**17)
INSTANT = InstantaneousMeasurement(Decimal(2), Phase.ALL, BlockUnit.W, 10**18)
BLOCK = Block(Decimal("-10.12345678"), Phase.ONE, BlockUnit.KW, 10**18, 2 * 10**18)
ROUND_TRIPS = [
    (Forecast("gruppe ü", CapacityForecastType.GENERATION, (BLOCK,)), codec.forecast),
    (ComplianceError("cannot", (BLOCK,)), codec.compliance_error),
    (ComplianceError("cannot"), codec.compliance_error),
    (GroupMeasurements("g", (ENERGY,)), codec.group_measurements),
    (
        AssetMeasurements(
            "g",
            (AssetMeasurement("u1", AssetCategory.STORAGE, energy=ENERGY), AssetMeasurement("u1", AssetCategory.STORAGE, None, INSTANT)),
        ),
        codec.asset_measurements,
    ),
]


@pytest.mark.parametrize(("record", "read"), ROUND_TRIPS)
def test_what_we_write_we_can_read(record: Any, read: Any) -> None:
    data = codec.to_bytes(record)
    assert data.isascii()
    assert read(data) == record


def test_optional_fields_that_are_not_there_are_left_out() -> None:
    """4.4.3, 5.6.3; row 3: a compliance error without blocks omits the field."""
    assert json.loads(codec.to_bytes(ComplianceError("cannot"))) == {"message": "cannot"}
    entry = json.loads(codec.to_bytes(GroupMeasurements("g", (EnergyMeasurement(Decimal(1), Phase.ALL, EnergyUnit.WH, Direction.NET, 0),))))
    assert entry["measurements"][0].keys() == {"value", "phase", "unit", "direction", "measure_time"}


@pytest.mark.parametrize("both", [{}, {"energy_measurement": {}, "instantaneous_measurement": {}}])
def test_an_asset_has_exactly_one_measurement(both: dict[str, Any]) -> None:
    """5.6. Absent and empty differ: an empty object is there."""
    entry = {"asset_id": "u1", "asset_category": "STORAGE", **both}
    with pytest.raises(Malformed, match="exactly one of"):
        codec.asset_measurements(json.dumps({"group_id": "g", "measurements": [entry]}).encode())


# --- headers (4.1.2) ---

IDENT = {"X-Request-ID": "1"}
BAD_HEADERS = [
    ({}, "X-Request-ID is missing"),
    ({"X-Request-ID": "  "}, "X-Request-ID is missing"),
    ({"X-Request-ID": "x" * 201}, "at most 200"),
    ({**IDENT, "X-Segment-Index": "1"}, "belong together"),
    ({**IDENT, "X-Segment-Count": "2"}, "belong together"),
    ({**IDENT, "X-Segment-Index": "0", "X-Segment-Count": "2"}, "counted from 1"),
    ({**IDENT, "X-Segment-Index": "3", "X-Segment-Count": "2"}, "counted from 1"),
    ({**IDENT, "X-Segment-Index": "1", "X-Segment-Count": "65"}, "at most 64"),
    ({**IDENT, "X-Segment-Index": "one", "X-Segment-Count": "2"}, "no segment number"),
    ({**IDENT, "X-Segment-Index": "-1", "X-Segment-Count": "2"}, "no segment number"),
]


@pytest.mark.parametrize(("given_", "words"), BAD_HEADERS)
def test_headers_that_make_no_sense_are_refused(given_: dict[str, str], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        headers.read(given_)


def test_headers_that_are_there_are_read() -> None:
    assert headers.read(IDENT) == headers.Headers("1")
    full = {**IDENT, "X-Correlation-ID": "0", "X-Segment-Index": "2", "X-Segment-Count": "3"}
    assert headers.read(full) == headers.Headers("1", "0", headers.Segment(2, 3))
    assert headers.read(headers.write("t", headers.read(full))) == headers.read(full)


# (Authorization, token or None)
AUTHORIZATIONS = [
    ("Token abc", "abc"),
    ("token abc", "abc"),
    ("TOKEN   abc ", "abc"),
    ("Bearer abc", None),
    ("abc", None),
    ("Token", None),
    ("", None),
]


@pytest.mark.parametrize(("value", "token"), AUTHORIZATIONS)
def test_authorization(value: str, token: str | None) -> None:
    """Row 29: `token` in any case."""
    if token is not None:
        assert headers.token({"Authorization": value}) == token
        return
    with pytest.raises(headers.Unauthorized):
        headers.token({"Authorization": value})


@given(st.binary(max_size=300))
def test_whatever_bytes_arrive_the_answer_is_a_record_or_a_refusal(data: bytes) -> None:
    for read in (codec.register, codec.handshake, codec.heartbeat, codec.forecast):
        try:
            read(data)
        except Malformed:
            continue
