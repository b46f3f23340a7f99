"""Curves, reactive power, demand response and flow reservation: from the server's XML to plan and curve plan (SEP2-10).

What we answer is read by PyPI's envoy-schema too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from envoy_schema.server.schema.sep2.response import DrResponse, FlowReservationResponseResponse

from bessctl.errors import Refused
from bessctl.model.curve import CurveKind
from bessctl.model.plan import Block, QKind
from bessctl.protocols.sep2.binding.curves import curves_of
from bessctl.protocols.sep2.binding.readings import reading_of
from bessctl.protocols.sep2.messages.codec import decode
from bessctl.protocols.sep2.messages.flow import FlowReservationRequest
from bessctl.protocols.sep2.messages.modes import CURVES, REACTIVE, Channel, ModeBits
from bessctl.protocols.sep2.session.flows import Wanted
from tests.protocols.oscp.rig import PLANT, UNIT
from tests.protocols.sep2.rig import IDENTITY, READING, S, World

ALL_CURVES = dict.fromkeys(CURVES, 10)
SHAPE = [(9200, 4400), (9800, 0), (10200, 0), (10800, -4400)]
RISING = ((92.0, 44.0), (98.0, 0.0), (102.0, 0.0), (108.0, -44.0))


def block_at(world: World, second: float) -> Block:
    """What the plan says at a second of the story."""
    at_ns = world.client.clock.mono_ns(world.at(second)) + S // 2
    return next(b for b in world.plan().blocks if b.start_ns <= at_ns < b.end_ns)


# --- reactive power -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modes", "kind", "value", "absorb"),
    [
        ({"fixed_var": (1, 1000)}, QKind.VAR, 20_000, None),  # % of setMaxW
        ({"fixed_var": (2, -5000)}, QKind.VAR, -50_000, None),  # % of setMaxVar
        ({"fixed_var": (3, 2500)}, QKind.AVAILABLE, 0.25, None),  # % of what is available: reckoned by the loop
        ({"target_var": -12_000}, QKind.VAR, -12_000, None),
        ({"fixed_var": (1, 1000), "target_var": 7_000}, QKind.VAR, 7_000, None),
        ({"fixed_pf_inject": (95, False)}, QKind.PF, 0.95, None),
        ({"fixed_pf_inject": (95, True)}, QKind.PF, -0.95, None),
        ({"fixed_pf_absorb": (90, True)}, QKind.PF, None, -0.90),
        ({"fixed_pf_inject": (95, False), "fixed_pf_absorb": (90, True)}, QKind.PF, 0.95, -0.90),
        ({"fixed_pf_inject": (95, False), "fixed_var": (1, 1000)}, QKind.VAR, 20_000, None),
    ],
)
def test_reactive_modes_become_what_the_loop_follows(modes: dict[str, Any], kind: QKind, value: float | None, absorb: float | None) -> None:
    """Excitation true = absorbing = negative; a reactive power goes before a power factor."""
    world = World(reactive=True)
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, target_w=50_000, **modes)
    world.open()
    during = block_at(world, 25)
    assert (during.q_kind, during.target_w) == (kind, 50_000)
    assert during.q_value == pytest.approx(value)
    assert during.q_absorb == pytest.approx(absorb)
    assert all(b.q_kind is QKind.NONE for b in world.plan().fallback), "like a target it ends with the lease"
    assert world.tree.responses("E1") == [("E1", 1)]


def test_a_plant_without_reactive_power_says_so() -> None:
    """Rule 15: bits off, 252."""
    world = World()
    assert not world.client.settings.supported & REACTIVE
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, fixed_var=(1, 1000))
    world.open()
    assert world.tree.responses("E1") == [("E1", 252)]


# --- connection ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "connect", "energize"), [
    ({"connect": False}, False, None), ({"connect": True}, True, None), ({"energize": False}, None, False),
    ({"connect": False, "energize": True}, False, True), ({"connect": True, "energize": False}, True, False),
])  # fmt: skip
def test_connect_and_energize_are_two_orders(asked: dict[str, bool], connect: bool | None, energize: bool | None) -> None:
    """opModConnect false opens, opModEnergize false ceases: a block says each of them, in the fallback too."""
    world = World()
    assert world.client.settings.supported & {Channel.CONNECT}
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, **asked)
    world.open()
    for series in (world.plan().blocks, world.plan().fallback):
        (block,) = series
        assert (block.connect, block.energize, block.target_w) == (connect, energize, None)


@pytest.mark.parametrize(("asked", "energize"), [({}, False), ({"energize": True}, False), ({"target_w": 5_000}, False)])
def test_without_contactors_of_ours_a_disconnection_ceases_to_energise_and_says_so(asked: dict[str, Any], energize: bool) -> None:
    """Rule 15: the mode's bit is off and 252 is sent; what can be done of it is done all the same."""
    world = World(opens=False)
    world.tree.rates["derp"] = 5
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, connect=False, **asked)
    world.tree.event("a", "E2", world.at(50), 10, connect=True)
    world.open()
    (block,) = [b for b in world.plan().blocks if b.end_ns < world.client.clock.mono_ns(world.at(45))]
    assert (block.connect, block.energize) == (None, energize)
    world.run(40)
    assert sorted(code for _, code in world.tree.responses("E1")) == [1, 2, 3, 252]
    assert world.tree.responses("E2") == [("E2", 252)]
    body = next(body for _, at, body in world.tree.received if at.endswith("/dercap"))
    assert not int(re.search(rb"<modesSupported>(\w+)<", body)[1], 16) & ModeBits.CONNECT  # type: ignore[index]


STATES: list[tuple[tuple[str, ...], str, bool, bool, bool]] = [  # contactors, mode -> connected, available, running
    (("closed",), "run", True, True, True),
    (("opening",), "run", True, True, True),
    (("open",), "run", False, True, False),
    (("closing",), "run", False, True, False),
    (("gave_up",), "run", False, True, False),
    (("open", "closed"), "run", True, True, True),
    (("open", "unknown"), "run", True, True, True),
    (("unknown",), "run", True, True, True),
    (("unknown",), "tripped", False, False, False),
    (("closed",), "tripped", True, False, False),
    (("open",), "stopped", False, True, False),
]


@pytest.mark.parametrize(("contactors", "mode", "connected", "available", "running"), STATES)
def test_the_connect_status_is_the_contactors_real_state(
    contactors: tuple[str, ...], mode: str, connected: bool, available: bool, running: bool
) -> None:
    plant = replace(PLANT, mode=mode, units=tuple(replace(UNIT, contactor=state) for state in contactors))
    reading = reading_of(plant, "sep2")
    assert (reading.connected, reading.available, reading.running) == (connected, available, running)


# --- curves -------------------------------------------------------------------------------------------------------------------------------


def curves(world: World) -> dict[CurveKind, list[tuple[float, float, Any]]]:
    """Steps as (start, end) in the story's seconds, and their points."""
    schedule = world.client.schedule(world.now_ns)
    assert schedule is not None
    found, notes = curves_of(schedule, world.client.shelf, world.client.clock.mono_ns, world.now_ns)
    world.notes += notes
    zero = world.client.clock.mono_ns(world.at(0))
    return {
        kind: [(round((s.start_ns - zero) / S), round((s.end_ns - zero) / S), s.points) for s in steps] for kind, steps in found.items()
    }


def test_a_default_curve_gives_way_to_an_events_and_comes_back() -> None:
    world = World(curves=ALL_CURVES)
    normal = world.tree.services.curve("a", "1", "volt_var", SHAPE)
    other = world.tree.services.curve("a", "2", "volt_var", [(9000, 3000), (11000, -3000)], open_loop_tms=500)
    world.tree.program("a", 1, default={"volt_var": normal})
    world.tree.event("a", "E1", world.at(100), 50, volt_var=other)
    world.open()
    (first, second, third) = curves(world)[CurveKind.VOLT_VAR]
    assert first[1:] == (100, RISING)
    assert second == (100, 150, ((90.0, 30.0), (110.0, -30.0)))
    assert (third[0], third[2]) == (150, RISING)
    assert set(curves(world)) == {CurveKind.VOLT_VAR}, "functions nobody speaks on are not ours"
    world.run(200)
    assert world.tree.responses("E1") == [("E1", code) for code in (1, 2, 3)]


def test_each_function_has_its_own_curve_and_a_change_is_followed() -> None:
    world = World(curves=ALL_CURVES)
    world.tree.rates["derp"] = 60
    volts = world.tree.services.curve("a", "1", "volt_watt", [(10600, 10000), (11000, 0)], reference=1)
    watts = world.tree.services.curve("a", "2", "watt_var", [(-10000, 2000), (10000, -2000)])
    world.tree.program("a", 1, default={"volt_watt": volts, "watt_var": watts})
    world.open()
    found = curves(world)
    assert found[CurveKind.VOLT_WATT][0][2] == ((106.0, 100.0), (110.0, 0.0))
    assert found[CurveKind.WATT_VAR][0][2] == ((-100.0, 20.0), (100.0, -20.0))
    world.tree.services.curve("a", "1", "volt_watt", [(10500, 10000), (11000, 0)], reference=1)
    world.run(70)
    assert curves(world)[CurveKind.VOLT_WATT][0][2] == ((105.0, 100.0), (110.0, 0.0))


@pytest.mark.parametrize(
    ("kind", "points", "reference"),
    [
        ("volt_watt", SHAPE, 1),  # of another type than the mode
        ("volt_var", SHAPE[::-1], 2),
        ("volt_var", SHAPE[:1], 2),
        ("volt_var", SHAPE, 5),
        ("volt_var", [(9200, 4400), (98_000, 0)], 2),
        ("volt_var", [(n * 100, 0) for n in range(90, 101)], 2),  # eleven
    ],
)
def test_a_curve_nobody_can_follow_is_invalid(kind: str, points: list[tuple[int, int]], reference: int) -> None:
    world = World(curves=ALL_CURVES)
    place = world.tree.services.curve("a", "1", kind, points, reference=reference)
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(100), 50, volt_var=place)
    world.open()
    assert world.tree.responses("E1") == [("E1", 253)]
    assert curves(world) == {}


def test_a_curve_that_is_not_there_leaves_the_pcs_as_it_is_and_is_told() -> None:
    world = World(curves=ALL_CURVES)
    world.tree.program("a", 1, default={"volt_var": "/derp/a/dc/9"})
    world.open()
    assert curves(world) == {}
    assert any("not known yet" in note for note in world.notes)


def test_without_the_models_curves_are_252_and_never_asked_for() -> None:
    """modesSupported off (test_reports), 252, and not a request spent."""
    world = World()
    place = world.tree.services.curve("a", "1", "volt_var", SHAPE)
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(100), 50, volt_var=place)
    world.open()
    assert world.tree.responses("E1") == [("E1", 252)]
    assert world.tree.polls("/derp/a/dc") == []


# --- demand response ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asks", "ess_lo_w"),
    [
        ({"duty_cycle": 50}, -80_000),
        ({"load_adjustment": 2500}, -120_000),
        ({"target_w_reduction": 60_000}, -100_000),
        ({"load_reduction": 1}, 0),
        ({"duty_cycle": 50, "load_adjustment": 7500}, -40_000),
    ],
)
def test_demand_response_limits_charging(asks: dict[str, int], ess_lo_w: float) -> None:
    """An EndDeviceControl becomes a limit on the BESS's charging for its time, and is answered."""
    world = World()
    world.tree.services.demand("D1", world.at(20), 10, **asks)
    world.open()
    during = block_at(world, 25)
    assert (during.ess_lo_w, during.ess_hi_w, during.target_w) == (ess_lo_w, None, None)
    world.run(60)
    bodies = [body for _, path, body in world.tree.received if path == "/rsps/1/rsp"]
    found = [DrResponse.from_xml(body) for body in bodies]
    assert [(r.status, r.subject, r.endDeviceLFDI) for r in found] == [(n, "D1", IDENTITY.lfdi) for n in (1, 2, 3)]
    assert world.tree.responses("D1") == [("D1", code) for code in (1, 2, 3)]


def test_a_thermostats_order_is_not_ours() -> None:
    world = World()
    world.tree.services.demand("D1", world.at(20), 10, set_point=2100)
    world.tree.services.demand("D2", world.at(20), 10, category=1, duty_cycle=50)
    world.open()
    assert world.tree.responses() == [("D1", 252)], "and one for another kind of device is not even seen"


# --- flow reservation ---------------------------------------------------------------------------------------------------------------------


def test_energy_is_asked_for_granted_and_charged() -> None:
    """Positive = charging at the utility, discharge here: turned once. The start is the grant's, the end when its energy is used."""
    world = World()
    world.tree.services.has_flow = world.tree.services.grants_at_once = True
    world.tree.program("a", 1)
    world.open()
    wanted = Wanted(10_000, 40_000, world.at(2_000), world.at(9_000))
    mrid = world.client.reserve(wanted, world.now_ns)
    world.run(1)
    request = decode(world.tree.services.requests[0], FlowReservationRequest)
    assert (request.mrid, request.energy.si, request.power.si, request.duration_s) == (mrid, 10_000, 40_000, 900)
    assert (request.within.start_s, request.within.duration_s) == (world.at(2_000), 7_000)
    world.run(400)
    charging = block_at(world, 2_100)
    assert charging.target_w == -40_000
    assert (charging.end_ns - charging.start_ns) / S == pytest.approx(900, abs=0.01), "10 kWh at 40 kW"
    world.run(10_000)
    assert [code for _, code in world.tree.responses("F1")] == [1, 2, 3]
    answer = next(body for _, path, body in world.tree.received if path == "/rsps/1/rsp")
    assert FlowReservationResponseResponse.from_xml(answer).subject == "F1"


def test_energy_that_was_not_taken_may_be_taken_later() -> None:
    """The battery takes half the power: it may go on for twice as long; energy that was used is used."""
    from dataclasses import replace  # noqa: PLC0415

    world = World(reading=replace(READING, values={**READING.values, "w": -20_000.0}))
    world.tree.services.grant("F1", world.at(100), 7_000, power_w=40_000, energy_wh=10_000)
    world.tree.program("a", 1)
    world.open()
    world.run(100 + 900)
    left_s = (block_at(world, 1_012).end_ns - world.now_ns) / S
    assert world.client.flows.used_wh["F1"] == pytest.approx(5_000, rel=0.03)
    assert left_s == pytest.approx(450, rel=0.06)


def test_an_event_goes_before_a_reservation_and_a_reservation_before_the_default() -> None:
    world = World()
    world.tree.services.grant("F1", world.at(100), 1_000, power_w=40_000, energy_wh=100_000)
    world.tree.program("a", 1, default={"target_w": 5_000})
    world.tree.event("a", "E1", world.at(200), 100, target_w=30_000)
    world.open()
    assert [block_at(world, t).target_w for t in (50, 150, 250, 350, 1_200)] == [5_000, -40_000, 30_000, -40_000, 5_000]


def test_a_server_without_reservations_says_why() -> None:
    world = World()
    world.open()
    with pytest.raises(Refused, match="FlowReservationRequestListLink"):
        world.client.reserve(Wanted(1, 1, 0, 1), world.now_ns)
    assert Channel.FLOW in world.client.settings.enabled
