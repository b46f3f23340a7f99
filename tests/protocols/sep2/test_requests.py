"""What is asked, when, and what of servers' habits is survived: the client against the scripted server in invented time (SEP2-2, -3)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from bessctl.protocols.sep2.messages.wire import Reply
from bessctl.protocols.sep2.profiles import CSIP, WATTSMART
from bessctl.protocols.sep2.session.clock import DRIFT
from bessctl.protocols.sep2.session.discovery import Gate
from bessctl.sim.sep2_tree import HOSTILE, Answer
from tests.protocols.sep2.rig import EPOCH_S, MONO_NS, S, World, offer, step

DAY_S = 86_400


def gate(world: World) -> str:
    return world.client.discovery.gate.value


def test_the_request_pattern_over_simulated_days() -> None:
    """Over any window of 3 x pollRate: 2 to min(3n, n + 3) = 6 polls of page 1, and none sooner than the pollRate (SEP2-2)."""
    world = World(pin=111115)
    for name in ("a", "b"):
        world.tree.program(name, 1, default={"max_lim_w": 5000})
    world.tree.event("a", "E1", world.at(3600), 600, target_w=1000)
    world.run(2 * DAY_S)
    rates = {
        "/dcap": 900, "/tm": 900, "/edev": 900, "/edev/1/rg": 900, "/edev/1/fsa": 900, "/edev/1/fsa/1/derp": 300, "/edev/1/der": 900,
        "/mup": 900, "/mup/1": 900, "/mup/2": 900, "/derp/a/derc": 300, "/derp/a/dderc": 300, "/derp/b/derc": 300, "/derp/b/dderc": 300,
        "/edev/1/der/1/derg": 900,
    }  # fmt: skip
    assert {asked.path for asked in world.tree.log if asked.method == "GET"} == rates.keys()
    for path, rate_s in rates.items():
        polls = world.tree.polls(path)
        pauses = [b - a for a, b in pairwise(polls)]
        assert min(pauses) >= rate_s, path
        assert max(pauses) <= rate_s * 1.05 + 31, path
        for start in range(EPOCH_S + 3 * rate_s, EPOCH_S + 2 * DAY_S - 3 * rate_s, 7 * rate_s):
            assert 2 <= sum(start <= at < start + 3 * rate_s for at in polls) <= 6, path
    assert len({round(pause, 2) for pause in pauses}) > 20, "jitter"


def test_what_is_told_over_a_simulated_day() -> None:
    """SEP2-5, -6, -7, -8: status each minute, readings of every 30 s at postRate, capability and settings once."""
    world = World()
    world.tree.program("a", 1)
    world.run(DAY_S)
    count = {path: len(world.tree.polls(path, "PUT")) for path in sorted(world.tree.put)}
    assert count["/edev/1/der/1/dercap"] == count["/edev/1/der/1/derg"] == 1
    assert DAY_S / 60 - 30 <= count["/edev/1/der/1/ders"] <= DAY_S / 60 + 1
    assert 270 <= len(world.tree.polls("/mup/1", "POST")) <= DAY_S / 300 + 1


def test_a_changed_poll_rate_holds_from_the_next_cycle() -> None:
    world = World()
    world.tree.program("a", 1)
    world.open()
    world.tree.rates["derp"] = 60
    world.run(3000)
    for path in ("/edev/1/fsa/1/derp", "/derp/a/derc"):
        polls = world.tree.polls(path)
        assert polls[1] - polls[0] >= 300
        assert 60 <= polls[3] - polls[2] <= 64, path


def test_without_a_poll_rate_fifteen_minutes_hold() -> None:
    world = World()
    world.tree.rates = dict.fromkeys(world.tree.rates, None)
    world.run(4000)
    polls = world.tree.polls("/dcap")
    assert 900 <= polls[1] - polls[0] <= 946


def test_until_registered_the_list_is_asked_sooner_and_ever_more_slowly() -> None:
    world = World(registered=False)
    world.tree.rates["edev"] = None
    world.run(4000)
    polls = world.tree.polls("/edev")
    pauses = [round(b - a, -1) for a, b in pairwise(polls)]
    assert pauses[:4] == pytest.approx([60, 120, 240, 480], rel=0.1)
    assert max(pauses) <= 950
    assert gate(world) == "unregistered"
    assert {asked.path for asked in world.tree.log} == {"/dcap", "/tm", "/edev"}
    assert any("not registered" in note for note in world.notes)
    world.tree.registered = True
    world.run(1000)
    assert gate(world) == "open"


def test_in_band_registration_posts_the_device() -> None:
    world = World(profile=CSIP, registered=False)
    world.run(30)
    assert world.client.discovery.gate is Gate.OPEN
    (body,) = [body for method, path, body in world.tree.received if (method, path) == ("POST", "/edev")]
    assert b"<lFDI>3E4F45AB31EDFE5B67E343E5E4562E31984E23E5</lFDI>" in body
    assert b"<sFDI>167261211391</sFDI>" in body


def test_a_wrong_pin_stops_everything_but_registration() -> None:
    """SEP2-3: no controls, no telemetry, an alarm; and all is well again when the utility corrects it."""
    world = World(pin=111115)
    world.tree.pin = 222220
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(50), 100_000, target_w=1000)
    world.run(4000)
    assert gate(world) == "pin_wrong"
    assert any("registered another PIN (222220)" in note for note in world.notes)
    after = [asked.path for asked in world.tree.log[world.tree.log.index(next(a for a in world.tree.log if a.path == "/edev/1/rg")) + 1 :]]
    assert set(after) == {"/edev/1/rg"}
    assert 4 <= len(after) <= 5
    assert world.plan().blocks == ()
    world.tree.pin = 111115
    world.run(1000)
    assert gate(world) == "open"
    assert [b.target_w for b in world.plan().blocks] == [1000]


def test_no_registration_link_goes_on_and_says_so() -> None:
    world = World(pin=111115)
    world.tree.pin = None
    world.open()
    assert any("not served" in note for note in world.notes)


@pytest.mark.parametrize("page", [1, 2, 7, 255])
def test_lists_are_read_page_by_page(page: int) -> None:
    world = World()
    world.tree.page_max = page
    world.tree.others(4)
    world.tree.program("a", 1)
    for n in range(30):
        world.tree.event("a", f"{n + 16:02X}", world.at(100 + n * 10), 10, target_w=n)
    world.open()
    assert len(world.client.engine.runs) == 30
    assert len(world.tree.polls("/derp/a/derc")) == 1


def test_an_all_that_never_ends_is_left_alone() -> None:
    world = World()
    world.tree.endless = True
    world.tree.program("a", 1)
    for n in range(60):
        world.tree.event("a", f"{n + 16:02X}", world.at(100 + n * 10), 10, target_w=n)
    world.open()
    assert len(world.client.engine.runs) == 60
    assert sum(asked.method == "GET" for asked in world.tree.log) < 25


def test_a_list_that_shifts_while_it_is_read_repeats_and_loses_nothing_for_good() -> None:
    world = World()
    world.tree.page_max = 5
    world.tree.rates["derp"] = 60
    world.tree.program("a", 1)
    for n in range(20):
        world.tree.event("a", f"{n + 16:02X}", world.at(5000 + n * 10), 10, target_w=n)
    world.run(5)
    shifted = dict(world.tree.events)
    world.tree.event("a", "EE", world.at(9000), 10, target_w=1)
    world.tree.events = {"EE": world.tree.events["EE"], **shifted}
    world.run(130)
    assert len(world.client.engine.runs) == 21


def test_empty_assignments_are_asked_again_until_there_are_some() -> None:
    world = World()
    world.tree.assigned = False
    world.tree.program("a", 1)
    world.open()
    assert world.tree.polls("/edev/1/fsa/1/derp") == []
    world.tree.assigned = True
    world.run(950)
    assert len(world.client.engine.primacy) == 1


@pytest.mark.parametrize("absolute", ["", "https://utility.example"])
def test_references_and_locations_may_be_relative_or_absolute(absolute: str) -> None:
    world = World()
    world.tree.absolute = absolute
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 30, target_w=1)
    world.run(400)
    assert world.tree.responses("E1") == [("E1", 1), ("E1", 2), ("E1", 3)]
    assert len(world.tree.polls("/mup/1", "POST")) >= 1


def test_503_with_retry_after_holds_everything_back() -> None:
    world = World()
    world.tree.forced["*"] = Answer(503, headers={"Retry-After": "120"})
    world.run(119)
    assert len(world.tree.log) == 1
    world.tree.forced.clear()
    world.run(200)
    assert world.client.discovery.gate is Gate.OPEN


def test_silence_is_asked_less_and_less_and_forgotten_at_the_first_answer() -> None:
    world = World()
    world.tree.program("a", 1)
    world.silent = True
    world.run(3600)
    assert 10 < len(world.asked) < 30
    world.silent = False
    world.run(400)
    assert world.client.discovery.gate is Gate.OPEN


def test_an_outage_changes_nothing_of_the_schedule() -> None:
    """Rule 12: what is known runs on; nothing is dropped because the lists could not be read."""
    world = World()
    world.tree.program("a", 1, default={"max_lim_w": 5000})
    world.tree.event("a", "E1", world.at(2000), 600, target_w=1000)
    world.open()
    before = world.plan().blocks
    world.silent = True
    world.run(1900)
    assert world.plan().blocks == before


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_documents_cost_a_poll_and_nothing_else(kind: str) -> None:
    world = World()
    world.tree.rates["derp"] = 60
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(500), 600, target_w=1000)
    world.open()
    before = world.plan().blocks
    world.tree.forced["/derp/a/derc"] = Answer(200, HOSTILE[kind])
    world.run(300)
    assert world.plan().blocks == before
    assert 5 <= len(world.tree.polls("/derp/a/derc")) <= 12
    assert any("refused" in note for note in world.notes)


def test_exi_is_refused_and_never_asked_for() -> None:
    """SEP2-1."""
    world = World()
    request = world.client.request(world.now_ns)
    assert request is not None
    exi = Reply(200, b"\x80\x40", world.now_ns, world.now_ns, media_type="application/sep-exi")
    world.client.answered(request, exi, world.now_ns)
    assert any("sep-exi" in note for note in world.client.take_changes().notes)


@pytest.mark.parametrize("media_type", ["application/sep+xml", "application/sep+xml;level=+S1", "Application/SEP+XML; charset=utf-8"])
def test_media_types_that_are_read(media_type: str) -> None:
    world = World()
    request = world.client.request(world.now_ns)
    assert request is not None
    body = world.tree.handle("GET", "/dcap").body
    world.client.answered(request, Reply(200, body, world.now_ns, world.now_ns, media_type=media_type), world.now_ns)
    assert world.client.take_changes().notes == []


@pytest.mark.parametrize(
    ("location", "hosts", "followed"),
    [
        ("/other", frozenset(), True),
        ("https://utility.example/other", frozenset(), True),
        ("https://utility.example:8443/other", frozenset(), False),
        ("https://elsewhere.example/other", frozenset(), False),
        ("https://elsewhere.example/other", frozenset({"elsewhere.example:443"}), True),
        ("http://utility.example/other", frozenset({"utility.example:80"}), False),
        ("javascript:alert(1)", frozenset(), False),
    ],
)
def test_redirects_never_take_the_certificate_elsewhere(location: str, hosts: frozenset[str], followed: bool) -> None:
    world = World()
    world.client = world.new_client(redirect_hosts=hosts)
    request = world.client.request(world.now_ns)
    assert request is not None
    answer = Reply(302, b"", world.now_ns, world.now_ns, location=location)
    assert (world.client.answered(request, answer, world.now_ns) is not None) == followed
    assert any("not followed" in note for note in world.client.take_changes().notes) != followed


def test_a_circle_of_redirects_ends() -> None:
    world = World()
    world.tree.forced["/dcap"] = Answer(307, headers={"Location": "/dcap"})
    world.run(5)
    assert len(world.tree.log) == 6
    assert any("more than 5 in a row" in note for note in world.notes)


def test_a_lost_report_is_told_again() -> None:
    """404 on what we had PUT: the server forgot; capability and settings go out again."""
    world = World()
    world.tree.program("a", 1)
    world.open()
    world.tree.put.clear()
    world.run(1000)
    assert len(world.tree.polls("/edev/1/der/1/dercap", "PUT")) == 2
    assert len(world.tree.polls("/edev/1/der/1/derg", "PUT")) == 2


def test_responses_are_retried_on_5xx_and_dropped_on_4xx() -> None:
    """Rule 13."""
    world = World()
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(500), 100, target_w=1)
    world.tree.forced["/rsps/1/rsp"] = Answer(500)
    world.open()
    assert world.tree.responses("E1") == []
    del world.tree.forced["/rsps/1/rsp"]
    world.run(60)
    assert world.tree.responses("E1") == [("E1", 1)]
    world.tree.forced["/rsps/1/rsp"] = Answer(400)
    world.run(620)
    del world.tree.forced["/rsps/1/rsp"]
    world.run(400)
    assert world.tree.responses("E1") == [("E1", 1)]


def test_server_time_rules_whatever_its_quality_and_a_jump_is_followed() -> None:
    """Rule 8: quality 7 steps no clock of ours; the schedule follows the server's."""
    world = World()
    world.tree.quality = 7
    world.tree.rates["tm"] = 60
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(5000), 100, target_w=1)
    world.open()
    (before,) = world.plan().blocks
    world.tree.now_s = lambda: world.server_s() + 1000
    world.run(130)
    (after,) = world.plan().blocks
    assert before.start_ns - after.start_ns == pytest.approx(1000 * S, abs=1.1 * S)
    assert any("jumped" in note for note in world.notes)


def true_offset_s(world: World) -> float:
    return EPOCH_S + world.skew_s - MONO_NS / S


def error_s(world: World) -> float:
    return (world.client.clock.offset_ns or 0) / S - true_offset_s(world)


@pytest.mark.parametrize(("rate_s", "polls"), [(7, 30), (60, 12), (300, 12)])
@pytest.mark.parametrize("skew_s", [0.0, 0.3, 0.5, 0.97])
def test_the_servers_second_is_found_by_asking_where_it_may_turn(skew_s: float, rate_s: int, polls: int) -> None:
    """Each poll halves what is not known, within the jitter it has; what is left is the round trip and the drift between two polls."""
    world = World(skew_s=skew_s)
    world.tree.rates["tm"] = rate_s
    world.tree.program("a", 1)
    world.run(rate_s * polls)
    bound_s = 0.02 + 4 * DRIFT * rate_s
    assert world.client.clock.steps == 0
    assert (world.client.clock.hi_ns - world.client.clock.lo_ns) / S < bound_s + 0.02
    assert abs(error_s(world)) < bound_s
    assert len(world.tree.polls("/tm")) <= polls + 1, "no poll more than its rate"


@pytest.mark.parametrize(("own_s", "within_s"), [(0.0, 0.001), (0.0005, 0.001), (0.4, 0.04), (-0.4, 0.04), (3600.0, 0.04)])
def test_this_machines_own_clock_is_believed_as_far_as_the_server_agrees(own_s: float, within_s: float) -> None:
    """Both on UTC: exact from the first answer on. Whoever is off is found out, and the server's time is what counts (rule 8)."""
    world = World(skew_s=0.3)
    world.utc_offset_ns = round((true_offset_s(world) + own_s) * S)
    world.tree.rates["tm"] = 60
    world.tree.program("a", 1)
    world.open()
    if abs(own_s) < 0.01:
        assert abs(error_s(world)) <= within_s
    world.run(900)
    assert abs(error_s(world)) <= within_s
    assert world.client.clock.steps == 0


@pytest.mark.parametrize("correction_s", [0.2, -0.2])
def test_a_correction_of_the_servers_second_starts_and_ends_no_event_twice(correction_s: float) -> None:
    """An instant that has been lived through is not put off: the power neither comes back nor goes away for a moment."""
    world = World(skew_s=0.5)
    world.tree.program("a", 1)
    world.tree.event("a", "E1", world.at(20), 10, target_w=50_000)
    world.open()
    clock = world.client.clock
    for second, power in ((20, 50_000), (30, None)):
        world.run((clock.mono_ns(world.at(second)) + 50_000_000 - world.now_ns) / S)
        assert clock.offset_ns is not None
        clock.offset_ns += round(correction_s * S)
        now = next((b.target_w for b in world.plan().blocks if b.start_ns <= world.now_ns < b.end_ns), None)
        assert now == power
        clock.offset_ns -= round(correction_s * S)


def test_hundreds_of_events_are_shortened_into_something_stricter_and_all_are_kept() -> None:
    world = World()
    world.tree.program("a", 1)
    for n in range(300):
        world.tree.event("a", f"{n + 256:04X}", world.at(100 + n * 10), 10, target_w=1000 + n)
    world.open()
    plan = world.plan()
    assert len(world.client.engine.runs) == 300
    assert len(plan.blocks) <= 96
    assert plan.blocks[0].target_w == 1000
    rig = step()
    rig.now_ns = world.now_ns
    offer(rig, plan)


def test_the_profile_decides_the_shape_of_readings() -> None:
    world = World(profile=replace(WATTSMART, reading_shape="single"))
    world.tree.program("a", 1)
    world.run(700)
    bodies = [body for _, path, body in world.tree.received if path == "/mup/1"]
    assert bodies
    assert all(b"MirrorReadingSet" not in body and body.count(b"<Reading>") == 1 for body in bodies)
