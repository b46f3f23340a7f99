"""What the server is told, as PyPI's envoy-schema reads it: ratings, settings, status, readings, alarms (SEP2-5 to SEP2-9)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from envoy_schema.server.schema.sep2 import der as envoy
from envoy_schema.server.schema.sep2.log_events import LogEvent
from envoy_schema.server.schema.sep2.metering_mirror import MirrorMeterReadingRequest, MirrorUsagePointRequest
from envoy_schema.server.schema.sep2.response import DERControlResponse

from bessctl.model.curve import EnterService
from bessctl.protocols.sep2.binding.service import service_of
from bessctl.protocols.sep2.profiles import CSIP, CSIPAUS, WATTSMART, Profile
from bessctl.sim.sep2_tree import Answer
from tests.protocols.sep2.rig import IDENTITY, READING, World


def told(world: World, path: str) -> list[bytes]:
    return [body for _, at, body in world.tree.received if at == path]


def read(body: bytes, model: Any) -> Any:
    return model.from_xml(body.replace(b'"https://csipaus.org/ns"', b'"https://csipaus.org/ns/v1.3"'))


def watts(value: Any) -> float:
    return float(value.value * 10**value.multiplier)


@pytest.mark.parametrize("profile", [WATTSMART, CSIP, CSIPAUS], ids=lambda p: p.name)
def test_capability_and_settings_are_the_battery_inverters(profile: Profile) -> None:
    """SEP2-7, SEP2-8, SEP2-9. The second reader knows the schema with the extension; without it, it misses one element of it alone."""
    world = World(profile=profile)
    world.tree.program("a", 1)
    world.open()
    (capability,) = told(world, "/edev/1/der/1/dercap")
    (settings,) = told(world, "/edev/1/der/1/derg")
    if profile is not CSIPAUS:
        assert b"csipaus" not in capability + settings
        capability = capability.replace(
            b"</DERCapability>", b'<c:doeModesSupported xmlns:c="https://csipaus.org/ns">00</c:doeModesSupported></DERCapability>'
        )
        settings = settings.replace(
            b"</DERSettings>", b'<c:doeModesEnabled xmlns:c="https://csipaus.org/ns">00</c:doeModesEnabled></DERSettings>'
        )
    rated, set_ = read(capability, envoy.DERCapability), read(settings, envoy.DERSettings)
    assert [watts(v) for v in (rated.rtgMaxW, rated.rtgMaxChargeRateW, rated.rtgMaxDischargeRateW, rated.rtgMaxWh)] == [
        2e5,
        1.6e5,
        2e5,
        4e5,
    ]
    assert [watts(v) for v in (set_.setMaxW, set_.setMaxChargeRateW, set_.setMaxDischargeRateW, set_.setMaxWh)] == [2e5, 1.6e5, 2e5, 4e5]
    modes = envoy.DERControlType(int(rated.modesSupported, 16))
    assert {bit.name for bit in envoy.DERControlType if bit in modes} == {
        "CHARGE_MODE", "DISCHARGE_MODE", "OP_MOD_CONNECT", "OP_MOD_ENERGIZE", "OP_MOD_FIXED_W", "OP_MOD_MAX_LIM_W", "OP_MOD_TARGET_W",
    }  # fmt: skip
    assert rated.doeModesSupported == ("0F" if profile is CSIPAUS else "00")
    assert (rated.type_, set_.setGradW) == (80, 0)


def test_a_defaults_gradient_becomes_a_setting() -> None:
    world = World()
    world.tree.rates["derp"] = 30
    world.tree.program("a", 1, default={"max_lim_w": 9000}, grad_w=250)
    world.open()
    world.run(30)
    assert b"<setGradW>250</setGradW>" in told(world, "/edev/1/der/1/derg")[-1]
    world.tree.program("a", 1, default={"max_lim_w": 9000}, grad_w=100)
    world.run(60)
    assert b"<setGradW>100</setGradW>" in told(world, "/edev/1/der/1/derg")[-1]
    assert len(told(world, "/edev/1/der/1/dercap")) == 1


ASKED = {"es_delay": 30_000, "es_high_volt": 10_600, "es_low_volt": 9175, "es_high_freq": 5010, "es_low_freq": 4990}


def test_enter_service_of_the_defaults_by_primacy_becomes_settings_and_goes_to_the_pcs() -> None:
    """setES*: per value the lowest primacy number that states it; what nobody states is neither told nor written."""
    world = World()
    world.tree.rates["derp"] = 30
    world.tree.program("a", 1, default={}, **ASKED)
    world.tree.program("b", 2, default={}, es_delay=100, es_ramp_tms=6_000, es_random_delay=0)
    world.open()
    world.run(30)
    body = told(world, "/edev/1/der/1/derg")[-1]
    found = read(body, envoy.DERSettings)
    assert (found.setESDelay, found.setESHighVolt, found.setESLowFreq, found.setESRampTms, found.setESRandomDelay) == (
        30_000,
        10_600,
        4990,
        6_000,
        0,
    )
    assert service_of(world.client.service) == EnterService(106.0, 91.75, 50.1, 49.9, 300.0, 0.0, 60.0)
    world.tree.program("a", 1, default={})
    world.tree.program("b", 2, default={})
    world.run(60)
    assert b"setES" not in told(world, "/edev/1/der/1/derg")[-1]
    assert service_of(world.client.service) is None


@pytest.mark.parametrize(("takes", "asked", "why"), [
    (False, ASKED, "no PCS here takes enter-service settings"),
    (True, ASKED | {"es_low_volt": 10_600}, "es_low_volt 10600 is not below es_high_volt 10600"),
    (True, ASKED | {"es_high_freq": 500}, "es_high_freq 500 is not within 4000 and 7000"),
    (True, {"es_delay": -1}, "es_delay -1 is not within"),
])  # fmt: skip
def test_enter_service_that_cannot_be_carried_out_is_neither_told_nor_written(takes: bool, asked: dict[str, int], why: str) -> None:
    world = World(enter_service=takes)
    world.tree.rates["derp"] = 30
    world.tree.program("a", 1, default={}, grad_w=250, **asked)
    world.open()
    world.run(120)
    assert [note for note in world.notes if "setES*" in note] == [note for note in world.notes if why in note][:1] != []
    body = told(world, "/edev/1/der/1/derg")[-1]
    assert b"setES" not in body
    assert b"<setGradW>250</setGradW>" in body
    assert world.client.service == {}


def test_status_each_minute_with_the_mandatory_fields() -> None:
    """SEP2-6: readingTime and stateOfChargeStatus, in hundredths of a percent."""
    world = World()
    world.tree.program("a", 1)
    world.open()
    world.run(600)
    statuses = [read(body, envoy.DERStatus) for body in told(world, "/edev/1/der/1/ders")]
    assert len(statuses) == 11
    assert all(s.stateOfChargeStatus.value == 5550 for s in statuses)
    pauses = [b.readingTime - a.readingTime for a, b in pairwise(statuses)]
    assert set(pauses) <= {60, 61}
    assert statuses[0].storageModeStatus.value == envoy.StorageModeStatusType.STORAGE_DISCHARGING


def test_a_contactor_that_moves_is_told_at_once() -> None:
    """genConnectStatus and storConnectStatus: bit 0 connected, 1 available, 2 operating."""
    world = World()
    world.tree.program("a", 1)
    world.open()
    world.reading = replace(READING, connected=False, running=False)
    world.run(2)
    before, after = (read(body, envoy.DERStatus) for body in told(world, "/edev/1/der/1/ders")[-2:])
    assert (before.genConnectStatus.value, before.storConnectStatus.value) == ("07", "07")
    assert (after.genConnectStatus.value, after.storConnectStatus.value) == ("02", "02")
    assert after.readingTime - before.readingTime < 60


def test_a_stale_state_of_charge_is_not_told() -> None:
    world = World(reading=replace(READING, soc_pct=None))
    world.tree.program("a", 1)
    world.open()
    assert b"stateOfCharge" not in told(world, "/edev/1/der/1/ders")[0]


def test_one_mirror_for_each_data_point_with_a_name_that_stays() -> None:
    """SEP2-5."""
    world = World()
    world.open()
    points = [read(body, MirrorUsagePointRequest) for body in told(world, "/mup")]
    types = {p.description: p.mirrorMeterReadings[0].readingType for p in points}
    assert {name: (t.uom, t.accumulationBehaviour, t.dataQualifier, t.powerOfTenMultiplier) for name, t in types.items()} == {
        "w": (38, 12, 0, 0), "hz": (33, 12, 0, -2),
    }  # fmt: skip
    assert (types["w"].kind, types["w"].flowDirection, types["w"].commodity, types["w"].intervalLength) == (37, 19, 1, 30)
    assert {(p.roleFlags, p.serviceCategoryKind, p.status, p.deviceLFDI) for p in points} == {("0049", 0, 1, IDENTITY.lfdi)}
    assert all(p.mRID.endswith("00009F1C") for p in points), "the PEN"
    again = World(seed=9)
    again.tree.mirrors = world.tree.mirrors
    again.open()
    assert told(again, "/mup") == [], "found by their mRIDs, not made twice"


def test_thirty_second_data_at_post_rate() -> None:
    """SEP2-5: samples at :00 and :30 of server time, a Reading each, none twice, none missing."""
    world = World()
    world.open()
    world.run(3700)
    w: list[tuple[int, int]] = []
    hz: list[tuple[int, int]] = []
    for path, into in (("/mup/1", w), ("/mup/2", hz)):
        for body in told(world, path):
            (one,) = read(body, MirrorMeterReadingRequest).mirrorReadingSets
            ends = [r.timePeriod.start + r.timePeriod.duration for r in one.readings]
            assert (one.timePeriod.start, one.timePeriod.duration) == (ends[0] - 30, ends[-1] - ends[0] + 30)
            assert [int(r.localID, 16) for r in one.readings] == list(range(len(ends)))
            into += [(end, r.value) for end, r in zip(ends, one.readings, strict=True)]
    assert {value for _, value in w} == {12_345}
    assert {value for _, value in hz} == {4999}
    for samples in (w, hz):
        times = [at for at, _ in samples]
        assert times == list(range(times[0], times[-1] + 1, 30))
        assert times[0] % 30 == 0
        assert len(times) >= 115
    assert len(told(world, "/mup/1")) == 13


def test_a_new_post_rate_is_learnt_and_a_short_one_sends_the_latest_alone() -> None:
    world = World()
    world.tree.rates["mup"] = 60
    world.open()
    world.tree.post_rate = 30
    world.run(1000)
    bodies = told(world, "/mup/1")[-5:]
    assert all(b"MirrorReadingSet" not in body for body in bodies)
    posts = world.tree.polls("/mup/1", "POST")[-5:]
    assert posts[-1] - posts[0] == pytest.approx(120, abs=5)


def test_readings_wait_while_nobody_answers_and_none_is_lost() -> None:
    world = World()
    world.open()
    world.run(400)
    world.silent = True
    world.run(3 * 3600)
    world.silent = False
    world.run(1200)
    ends = [
        r.timePeriod.start + 30
        for body in told(world, "/mup/1")
        for r in read(body, MirrorMeterReadingRequest).mirrorReadingSets[0].readings
    ]
    assert ends == list(range(ends[0], ends[-1] + 1, 30))
    assert len(ends) > 390


def test_a_mirror_the_server_forgot_is_made_again() -> None:
    world = World()
    world.open()
    world.run(400)
    world.tree.mirrors.clear()
    world.run(700)
    assert len(told(world, "/mup")) == 4
    assert len(world.tree.mirrors) == 2


def test_an_alarm_is_a_log_event_and_hastens_the_status() -> None:
    world = World()
    world.tree.program("a", 1)
    world.open()
    world.run(95)
    world.reading = replace(READING, alarms={"ac_v_high": "warn", "cell_temp_high": "trip"})
    before = len(told(world, "/edev/1/der/1/ders"))
    world.run(1)
    events = {e.details: e for e in (read(body, LogEvent) for body in told(world, "/edev/1/lel"))}
    assert (events["ac_v_high"].logEventCode, events["ac_v_high"].functionSet, events["ac_v_high"].profileID) == (2, 11, 2)
    assert (events["cell_temp_high"].profileID, events["cell_temp_high"].logEventPEN) == (1, 40732)
    statuses = told(world, "/edev/1/der/1/ders")
    assert len(statuses) == before + 1
    assert read(statuses[-1], envoy.DERStatus).alarmStatus == "00000002"
    world.reading = READING
    world.run(1)
    gone = [read(body, LogEvent) for body in told(world, "/edev/1/lel")[2:]]
    assert {e.logEventCode for e in gone if e.details == "ac_v_high"} == {3}


def test_responses_carry_server_time_and_our_lfdi() -> None:
    world = World()
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(60), 60, target_w=1)
    world.run(200)
    found = [read(body, DERControlResponse) for body in told(world, "/rsps/1/rsp")]
    assert [(r.status, r.subject, r.endDeviceLFDI) for r in found] == [(n, "E1", IDENTITY.lfdi) for n in (1, 2, 3)]
    assert [r.createdDateTime for r in found[1:]] == [world.at(60), world.at(120)]


def test_a_server_without_place_for_reports_is_no_trouble() -> None:
    world = World()
    world.tree.forced["/edev/1/der"] = Answer(404)
    world.tree.forced["/mup"] = Answer(404)
    world.tree.program("a", 1)
    world.open()
    world.run(1000)
    assert told(world, "/edev/1/der/1/ders") == []
