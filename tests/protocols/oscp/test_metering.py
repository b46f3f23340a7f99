"""Measurements (OSCP-7): what is taken when, in which sign, what waits for a peer that is away, and what is never sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bessctl.protocols.oscp.config import PeerConfig, Role, Scope
from bessctl.protocols.oscp.session.clock import NS
from bessctl.protocols.oscp.session.kept import DropReadings, PutReading
from bessctl.protocols.oscp.session.metering import BATCH, HOLD_NS, METER, UnitSample
from bessctl.protocols.oscp.session.outbox import Kind, Message
from tests.protocols.oscp.sansio import CP, GROUP, START_UTC_S, Talk, body, time_text

EACH_MINUTE = replace(CP, measure_interval_s=60.0, heartbeat_s=None)
CO = PeerConfig("optimizer", frozenset({Role.CO}), ("feeder-7",), measure_interval_s=60.0, heartbeat_s=None)
BOTH = replace(CO, name="ems", roles=frozenset({Role.CP, Role.CO}))


def run(talk: Talk, seconds: int, *, charge_wh_per_s: float = 1.0, step_s: int = 1, **sample: float) -> list[Message]:
    """Let the plant charge for some seconds, sampling each second; what was sent meanwhile."""
    sent = []
    for _ in range(0, seconds, step_s):
        talk.later(step_s)
        wh = 5000 + charge_wh_per_s * (talk.now.mono_ns / NS - 1000)
        talk.peer.metering.sample([UnitSample("u1", wh, 100.0, **sample), UnitSample("u2", 10.0, 20.0)], talk.now)
        sent += talk.drain()
    return sent


def entries(message: Message) -> list[tuple[str, float]]:
    return [(m["direction"], m["value"]) for m in body(message)["measurements"]]


def test_a_provider_gets_the_energy_of_its_group() -> None:
    """OSCP-7, 4.5.1, FR.01.01: each interval, on its whole multiples; NET = IMPORT - EXPORT, import is energy into the asset."""
    talk = Talk(EACH_MINUTE).online()
    sent = run(talk, 121)
    assert [m.kind for m in sent] == [Kind.GROUP_MEASUREMENTS] * 2
    first = body(sent[0])
    assert first["group_id"] == "feeder-7"
    assert entries(sent[0]) == [("NET", 4950.0), ("IMPORT", 5070.0), ("EXPORT", 120.0)]
    assert {m["measure_time"] for m in first["measurements"]} == {time_text(START_UTC_S + 60)}
    assert {(m["phase"], m["unit"], m["energy_type"]) for m in first["measurements"]} == {("ALL", "WH", "FLEXIBLE")}
    assert "initial_measure_time" not in first["measurements"][0]


def test_a_group_at_the_terminals_is_all_there_is() -> None:
    """Absent energy_type = TOTAL (5.6.3)."""
    talk = Talk(EACH_MINUTE, groups=(replace(GROUP, scope=Scope.ESS),)).online()
    assert "energy_type" not in body(run(talk, 61)[0])["measurements"][0]


def test_at_the_connection_the_meter_counts_the_whole_site() -> None:
    """5.6.3.2: FLEXIBLE is the plant, TOTAL what the capacities are about; both survive a restart, and a silent meter is left out."""
    talk = Talk(EACH_MINUTE).online()
    for second in range(125):
        talk.later(1)
        meter = UnitSample(METER, 100.0 + second, 30.0) if second < 100 else None
        talk.peer.metering.sample([UnitSample("u1", 10.0, 4.0)], talk.now, meter)
    again = talk.restarted().online()
    [sent] = [m for m in again.drain() + again.sent if m.kind == Kind.GROUP_MEASUREMENTS]
    said = [(m["energy_type"], m["direction"], m["value"]) for m in body(sent)["measurements"]]
    flexible = [("FLEXIBLE", "NET", 6.0), ("FLEXIBLE", "IMPORT", 10.0), ("FLEXIBLE", "EXPORT", 4.0)]
    assert said == [*flexible, *flexible, ("TOTAL", "NET", 129.0), ("TOTAL", "IMPORT", 159.0), ("TOTAL", "EXPORT", 30.0)]


@pytest.mark.parametrize("wish", [["INTERMITTENT"], ["CONTINUOUS", "INTERMITTENT"]])
def test_intermittent_measurements_begin_where_the_last_ended(wish: list[str]) -> None:
    """5.2.1, 5.6.3: initial_measure_time must be there."""
    talk = Talk(EACH_MINUTE).register()
    talk.post("handshake", {"required_behaviour": {"measurement_configuration": wish}})
    talk.drain()
    sent = run(talk, 181)
    assert entries(sent[1]) == [("NET", 60.0), ("IMPORT", 60.0), ("EXPORT", 0.0)]
    begins = [body(m)["measurements"][0]["initial_measure_time"] for m in sent]
    ends = [body(m)["measurements"][0]["measure_time"] for m in sent]
    assert begins[1:] == ends[:-1]


def test_an_optimizer_gets_each_unit() -> None:
    """OSCP-7, 4.5.2, 5.6: STORAGE, energy, power (+ is consumption) and the energy stored."""
    talk = Talk(CO).online()
    sent = run(talk, 61, consumption_w=-1500.0, stored_wh=200_000.0)
    assert [m.kind for m in sent] == [Kind.ASSET_MEASUREMENTS]
    rows = body(sent[0])["measurements"]
    assert {row["asset_category"] for row in rows} == {"STORAGE"}
    instant = [(r["asset_id"], r["instantaneous_measurement"]) for r in rows if "instantaneous_measurement" in r]
    assert [(i, m["unit"], m["value"]) for i, m in instant] == [("u1", "W", -1500), ("u1", "WH", 200_000)]
    energy = [(r["asset_id"], r["energy_measurement"]["direction"]) for r in rows if "energy_measurement" in r]
    assert energy == [(unit, way) for unit in ("u1", "u2") for way in ("NET", "IMPORT", "EXPORT")]


def test_a_peer_that_is_both_gets_both() -> None:
    """OSCP-8."""
    assert [m.kind for m in run(Talk(BOTH).online(), 61)] == [Kind.GROUP_MEASUREMENTS, Kind.ASSET_MEASUREMENTS]


def test_measurements_wait_for_a_peer_that_is_away_and_survive_a_restart() -> None:
    """OSCP-7: the backlog, in order, oldest first, in few messages."""
    talk = Talk(replace(EACH_MINUTE, heartbeat_s=60)).online()
    talk.later(200)
    assert not talk.peer.connection.online
    assert [m for m in run(talk, 600) if m.kind is Kind.GROUP_MEASUREMENTS] == []
    kept = [w for w in talk.peer.common.writes if isinstance(w, PutReading)]
    again = talk.restarted()
    assert len(again.peer.metering.waiting) == len(kept) > 8
    again.shake()
    sent = [m for m in again.sent if m.kind is Kind.GROUP_MEASUREMENTS]
    times = [m["measure_time"] for message in sent for m in body(message)["measurements"]]
    assert len(times) == 3 * len(kept)
    assert times == sorted(times)
    assert again.peer.metering.waiting == []
    gone = {seq for w in again.peer.common.writes if isinstance(w, DropReadings) for seq in w.seqs}
    assert gone == {w.reading.seq for w in kept}


def test_a_long_backlog_goes_in_pieces_and_the_oldest_is_dropped_first() -> None:
    talk = Talk(replace(EACH_MINUTE, heartbeat_s=60), backlog_max=60).online()
    run(talk.later(200), 60 * 100, step_s=30)
    assert len(talk.peer.metering.waiting) == 60
    sent = [m for m in talk.shake().sent if m.kind is Kind.GROUP_MEASUREMENTS]
    assert [len(body(m)["measurements"]) // 3 for m in sent] == [BATCH, BATCH, 60 - 2 * BATCH]


def test_what_a_peer_refuses_is_dropped_and_what_it_cannot_take_yet_is_not() -> None:
    talk = Talk(EACH_MINUTE).online()
    talk.peer.metering.sample([UnitSample("u1", 1.0, 0.0)], talk.now)
    talk.later(61).peer.metering.sample([UnitSample("u1", 2.0, 0.0)], talk.now)
    assert talk.next(403) is not None
    assert len(talk.peer.metering.waiting) == 1, "it does not know us at the moment"
    talk.drain(404)
    assert Kind.GROUP_MEASUREMENTS not in [m.kind for m in talk.drain()], "held for a while"
    assert Kind.GROUP_MEASUREMENTS in [m.kind for m in talk.later(HOLD_NS / NS).drain(400)]
    assert talk.peer.metering.waiting == []


# (what keeps a measurement from being taken)
NONE = ["no date", "no plant", "not registered"]


@pytest.mark.parametrize("reason", NONE)
def test_nothing_is_measured_without(reason: str) -> None:
    """Row 4: empty messages are never sent."""
    talk = Talk(EACH_MINUTE)
    if reason != "not registered":
        talk.online()
    if reason == "no date":
        talk.now = replace(talk.now, utc_ns=None)
    units = [] if reason == "no plant" else [UnitSample("u1", 1.0, 0.0)]
    for _ in range(5):
        assert not talk.later(60).peer.metering.sample(units, talk.now)


# (configured, seconds between forecasts, interval in seconds) FR.01.01
INTERVALS: list[tuple[float | None, list[float], float]] = [
    (60.0, [0, 300], 60),
    (None, [], 900),
    (None, [0], 900),
    (None, [0, 299.2, 600.1], 300),
    (None, [0, 20.3], 20),
]


@pytest.mark.parametrize(("configured", "times", "interval_s"), INTERVALS)
def test_the_interval_is_that_of_the_forecasts(configured: float | None, times: list[float], interval_s: float) -> None:
    talk = Talk(replace(EACH_MINUTE, measure_interval_s=configured)).online()
    at = 0.0
    for when in times:
        talk.later(when - at).forecast("CONSUMPTION", (1, 0, 90_000))
        at = when
    assert talk.peer.metering.interval_ns("feeder-7") == interval_s * NS


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_was_corrected_by_an_hour_stops_no_measurement(hours: int) -> None:
    talk = Talk(EACH_MINUTE).online()
    run(talk, 90)
    assert talk.now.utc_ns is not None
    talk.now = replace(talk.now, utc_ns=talk.now.utc_ns + hours * 3600 * NS)
    assert len(run(talk, 125)) >= 2


def test_a_counter_that_began_anew_gives_no_negative_energy() -> None:
    talk = Talk(EACH_MINUTE).register()
    talk.post("handshake", {"required_behaviour": {"measurement_configuration": ["INTERMITTENT"]}})
    talk.drain()
    found: list[Any] = []
    for wh in (1000.0, 1010.0, 5.0, 7.0):
        talk.peer.metering.sample([UnitSample("u1", wh, 0.0)], talk.now)
        found += talk.drain()
        talk.later(60)
    assert [entries(m)[1] for m in found] == [("IMPORT", 10.0), ("IMPORT", 0.0), ("IMPORT", 2.0)]
