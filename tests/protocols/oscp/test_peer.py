"""Registration, handshake, heartbeats, forecasts, retries: each rule a row, in invented time (OSCP-1, 2, 3, 4, 8)."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bessctl.protocols.oscp.config import GroupConfig, PeerConfig, ResumeOn, Role, Scope
from bessctl.protocols.oscp.messages.times import NaiveTime
from bessctl.protocols.oscp.session import tokens
from bessctl.protocols.oscp.session.clock import NS
from bessctl.protocols.oscp.session.outbox import Kind
from tests.protocols.oscp.sansio import CP, GROUP, PEER_URL, Talk, body, quirky, registration

CO = PeerConfig("optimizer", frozenset({Role.CO}), ("feeder-7",))
BOTH = PeerConfig("ems", frozenset({Role.CP, Role.CO}), ("feeder-7",))
OTHER = GroupConfig("other", "oscp", Scope.PCC)


# --- registration (3.1.1, 4.3.1) ---


def test_registration_as_server() -> None:
    """OSCP-1: 204, then our register with B, correlated, with C; its 204 revokes A."""
    talk = Talk()
    token_a = talk.peer.registration.invite()
    assert talk.provider.find(token_a) == (talk.peer, tokens.Kind.A)
    assert talk.post("register", registration("token-b"), kind="a", ident="first") == 204
    reply = talk.next(status=None)
    assert reply is not None
    assert (reply.kind, reply.correlation_id, talk.peer.common.record.token) == (Kind.REGISTER, "first", "token-b")
    token_c = body(reply)["token"]
    assert talk.provider.find(token_a), "A stands until C is confirmed"
    again = talk.later(2).next()
    assert again is not None
    assert again.request_id == reply.request_id, "no answer: the same message with the same id"
    assert talk.provider.find(token_a) is None
    assert talk.provider.find(token_c) == (talk.peer, tokens.Kind.C)
    assert talk.peer.common.record.registered
    assert token_c not in repr(talk.peer.common.record), "hashed at rest"


def test_the_peer_using_c_confirms_it_when_its_204_was_lost() -> None:
    talk = Talk()
    talk.peer.registration.invite()
    talk.post("register", registration(), kind="a")
    talk.next(status=None)
    assert talk.post("handshake", {}, kind="next") == 204
    assert talk.peer.common.record.registered
    assert talk.peer.common.record.digests.keys() == {"c"}


def test_registration_begun_by_us() -> None:
    """OSCP-1: the peer's own register with the token we sent is the reply; we do not reply to a reply."""
    talk = Talk()
    talk.peer.registration.begin("https://cp.example/oscp/cp/2.0", "their-token-a")
    first = talk.next()
    assert first is not None
    assert (first.base_url, first.token) == ("https://cp.example/oscp/cp/2.0", "their-token-a")
    assert not talk.peer.common.record.registered
    assert talk.post("register", registration("b"), kind="next", correlation=first.request_id) == 204
    assert talk.peer.common.record.registered
    assert talk.provider.find(body(first)["token"]) == (talk.peer, tokens.Kind.C)
    assert [m.kind for m in talk.drain()] == [Kind.HANDSHAKE]


# (what is offered, status)
VERSIONS = [
    ([("2.0", PEER_URL)], 204),
    ([("1.0", PEER_URL), ("2.0", PEER_URL)], 204),
    ([("1.0", PEER_URL)], 501),
    ([("3.0", PEER_URL), ("2.1", PEER_URL)], 501),
    ([("2.0", "http://cp.example")], 400),
    ([], 400),
]


@pytest.mark.parametrize(("offered", "status"), VERSIONS)
def test_version_choice(offered: list[tuple[str, str]], status: int) -> None:
    """OSCP-1, 4.1.3.2: 501 when none fits."""
    talk = Talk()
    talk.peer.registration.invite()
    said = {"token": "b", "version_url": [{"version": v, "base_url": u} for v, u in offered]}
    assert talk.post("register", said, kind="a") == status
    if status == 501:
        assert "2.0" in talk.said


def test_put_replaces_token_and_url_and_nothing_else() -> None:
    """Row 24: limits and lease stay."""
    talk = Talk().online()
    talk.forecast("CONSUMPTION", (100, 0, 900))
    lease_ns = talk.peer.connection.lease_ns
    assert talk.post("register", registration("b2", url="https://elsewhere/oscp"), method="PUT") == 204
    record = talk.peer.common.record
    assert (record.token, record.base_url) == ("b2", "https://elsewhere/oscp")
    assert (talk.peer.connection.lease_ns, talk.peer.connection.online) == (lease_ns, True)
    assert talk.plan().blocks[0].pcc_lo_w == -100
    assert talk.drain() == []


def test_put_without_a_registration_is_refused() -> None:
    talk = Talk()
    talk.peer.registration.invite()
    assert talk.post("register", registration(), method="PUT", kind="a") == 403


def test_delete_by_the_peer_never_widens() -> None:
    """Row 19: live caps rule on inside the fallback until they end, then the fallback alone, for good."""
    talk = Talk().online(60)
    talk.forecast("CONSUMPTION", (100, 0, 900))
    talk.forecast("FALLBACK_CONSUMPTION", (500, 0, 90_000))
    assert talk.post("register", None, method="DELETE", ident="end") == 204
    plan = talk.plan()
    assert plan.lease_until_ns <= talk.now.mono_ns, "fallback at once"
    assert (plan.fallback[0].pcc_lo_w, plan.fallback[1].pcc_lo_w) == (-100, -500)
    assert talk.later(120).drain() == [], "heartbeats and measurements stop"
    assert talk.post("register", None, method="DELETE", ident="end", kind="gone") == 204, "its 204 was lost"
    assert talk.post("heartbeat", {}, kind="gone") == 403
    assert talk.restarted().plan().fallback[0].pcc_lo_w == -100
    talk.peer.remove()
    assert talk.plan().fallback == (), "the operator ends it"


def test_a_registered_peer_may_register_again() -> None:
    """2.6.1, 3.1.1: in case a new token is needed; a handshake must follow."""
    talk = Talk().online(60)
    assert talk.post("register", registration("b2")) == 204
    reply = talk.next()
    assert reply is not None
    assert reply.kind == Kind.REGISTER
    assert talk.beat(60) == 403
    assert talk.shake(60).peer.connection.online


def test_after_a_restart_in_the_middle_our_reply_goes_out_again() -> None:
    talk = Talk()
    talk.peer.registration.invite()
    talk.post("register", registration(), kind="a", ident="first")
    again = talk.restarted()
    reply = again.next()
    assert reply is not None
    assert (reply.kind, reply.correlation_id) == (Kind.REGISTER, "first")
    assert again.provider.find(body(reply)["token"]) is not None


# (endpoint, method, token, role) that is refused with 403
WRONG = [
    ("heartbeat", "POST", "a", CP),
    ("handshake", "POST", "a", CP),
    ("update_group_capacity_forecast", "POST", "a", CP),
    ("handshake", "POST", "c", CO),
]


@pytest.mark.parametrize(("endpoint", "method", "kind", "peer"), WRONG)
def test_wrong_token_or_role(endpoint: str, method: str, kind: str, peer: PeerConfig) -> None:
    talk = Talk(peer).register()
    assert talk.post(endpoint, {}, method=method, kind=kind) == 403


# --- handshake (3.1.2, 4.3.2, 4.3.3) ---


@pytest.mark.parametrize("endpoint", ["heartbeat", "update_group_capacity_forecast", "handshake_acknowledge"])
def test_nothing_is_served_before_the_handshake(endpoint: str) -> None:
    """OSCP-2."""
    talk = Talk(replace(CP, handshake=False)).register()
    assert talk.post(endpoint, {"offline_mode_at": talk.at(60)}) == 403


def test_handshake_of_a_provider() -> None:
    """OSCP-2: our acknowledgement carries both wishes and names the handshake; its 204 is online; then heartbeats."""
    talk = Talk(replace(CP, handshake=False)).register()
    assert talk.post("handshake", {"required_behaviour": {"heartbeat_interval": 30}}, ident="shake") == 204
    assert not talk.peer.connection.online
    message = talk.next()
    assert message is not None
    assert (message.kind, message.correlation_id) == (Kind.ACKNOWLEDGE, "shake")
    assert body(message) == {"required_behaviour": {"heartbeat_interval": 60, "measurement_configuration": []}}
    assert talk.peer.connection.online
    assert [m.kind for m in talk.drain()] == [Kind.HEARTBEAT]
    assert [m.kind for m in talk.later(29).drain()] == []
    assert [m.kind for m in talk.later(1).drain()] == [Kind.HEARTBEAT]
    assert body(talk.sent[-1]) == {"offline_mode_at": talk.at(90)}


def test_an_acknowledgement_that_is_refused_is_no_handshake() -> None:
    """3.1.2, failure: the provider does not accept our wish."""
    talk = Talk(replace(CP, handshake=False)).register()
    talk.post("handshake", {})
    assert talk.next(status=400) is not None
    assert not talk.peer.connection.online
    assert talk.forecast("CONSUMPTION", (1, 0, 900)) == 403


def test_a_wish_we_cannot_grant_is_refused_and_the_old_ones_stay() -> None:
    """3.1.2, row 3."""
    talk = Talk(replace(CP, min_heartbeat_s=10)).online(30)
    assert talk.post("handshake", {"required_behaviour": {"heartbeat_interval": 5}}) == 400
    assert talk.peer.connection.online
    assert talk.peer.connection.theirs.heartbeat_interval_s == 30


def test_handshake_with_an_optimizer_is_ours_to_start() -> None:
    """4.3.2, 3.2.2: at start-up; again after each restart."""
    talk = Talk(CO).register()
    message = talk.next()
    assert message is not None
    assert message.kind == Kind.HANDSHAKE
    assert talk.post("handshake_acknowledge", {"required_behaviour": {"heartbeat_interval": 60}}) == 204
    assert talk.peer.connection.online
    again = talk.restarted()
    assert not again.peer.connection.online
    assert [m.kind for m in again.drain()] == [Kind.HANDSHAKE]


def test_a_handshake_that_is_not_acknowledged_is_tried_again_later_and_later() -> None:
    talk = Talk(CO).register()
    began_s, times = talk.now.mono_ns / NS, []
    for _ in range(1200):
        if any(m.kind == Kind.HANDSHAKE for m in talk.drain()):
            times.append(talk.now.mono_ns / NS - began_s)
        talk.later(1)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == sorted(gaps)
    assert 30 <= gaps[0] <= 40
    assert gaps[-1] == 300


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_provider_that_serves_no_handshake_is_waited_for(status: int) -> None:
    """Row 6."""
    talk = Talk().register()
    assert [m.kind for m in talk.drain(status)] == [Kind.HANDSHAKE]
    assert talk.later(3600).drain() == []
    assert talk.shake().peer.connection.online


def test_a_peer_that_forgot_us_is_shaken_by_the_hand_again() -> None:
    """It restarted: 403 to our heartbeat."""
    talk = Talk().online(30)
    talk.later(30)
    assert [m.kind for m in talk.drain(403)][:1] == [Kind.HEARTBEAT]
    assert Kind.HANDSHAKE in [m.kind for m in talk.sent]


def test_no_message_of_ours_while_a_request_is_unanswered() -> None:
    """1.8 FR.01, row 26."""
    talk = Talk().register()
    talk.peer.arrived(talk.now)
    talk.peer.tick(talk.now)
    assert talk.peer.outgoing(talk.now) is None
    talk.peer.answered()
    assert talk.peer.outgoing(talk.now) is not None


# --- heartbeats and offline (3.4.2, 3.4.3, 4.3.4) ---

# (offline_mode_at in seconds from now, status, lease in seconds) with the interval we ask, 60 s: row 7
BEATS = [
    (60, 204, 62),  # one interval, and the grace
    (120, 204, 122),
    (3600, 204, 180),  # at most 3 intervals
    (0.5, 204, 2.5),
    (-1, 204, 1),  # within the grace
    (-3, 400, 180),  # past
    (-3600, 400, 180),
]


@pytest.mark.parametrize(("offline_in_s", "status", "lease_s"), BEATS)
def test_the_lease_a_heartbeat_gives(offline_in_s: float, status: int, lease_s: float) -> None:
    """OSCP-3."""
    talk = Talk().online(60)
    assert talk.beat(offline_in_s) == status
    assert (talk.peer.connection.lease_ns - talk.now.mono_ns) / NS == pytest.approx(lease_s)


@pytest.mark.parametrize("skew_s", [-3600, -50, 50, 3600])
def test_a_peer_whose_clock_is_off_gets_a_lease_of_its_own_length_at_most(skew_s: float) -> None:
    """Row 7: never longer than 3 intervals; a clock an hour behind is told so."""
    talk = Talk().online(60)
    talk.skew_s = skew_s
    assert talk.beat(60) == (400 if skew_s == -3600 else 204)
    assert 0 < talk.peer.connection.lease_ns - talk.now.mono_ns <= 180 * NS


def test_offline_at_the_lease_and_back_by_a_handshake_alone() -> None:
    """OSCP-5, 3.4.3: heartbeats after it are 403, and we start a handshake ourselves."""
    talk = Talk().online(60)
    talk.beat(60)
    talk.drain()
    assert talk.later(61.9).peer.connection.online
    assert not talk.later(0.1).peer.connection.online
    assert (talk.beat(60), talk.forecast("CONSUMPTION", (1, 0, 900))) == (403, 403)
    assert Kind.HANDSHAKE in [m.kind for m in talk.drain()]
    assert talk.shake().beat(60) == 204


def test_a_peer_may_be_allowed_to_resume_by_heartbeat() -> None:
    """Row 8, `resume_on`."""
    talk = Talk(replace(CP, resume_on=ResumeOn.HEARTBEAT)).online(60)
    talk.later(200)
    assert not talk.peer.connection.online
    assert talk.beat(60) == 204
    assert talk.peer.connection.online


def test_before_the_first_heartbeat_the_lease_is_three_intervals() -> None:
    """Row 22."""
    talk = Talk().online(60)
    assert talk.later(179).peer.connection.online
    assert not talk.later(1).peer.connection.online


def test_silence_is_an_alarm() -> None:
    """Row 8: no peer strands us in fallback unseen."""
    talk = Talk().online(60)
    talk.later(180).later(181)
    assert [text for level, text in talk.peer.common.notes if level >= 40] == [
        "dso: still offline, no handshake came; its fallback capacities rule"
    ]


def test_without_a_date_a_heartbeat_gives_one_interval() -> None:
    talk = Talk().online(60)
    beat = {"offline_mode_at": talk.at(3000)}
    talk.now = replace(talk.now, utc_ns=None)
    assert talk.post("heartbeat", beat) == 204
    assert talk.peer.connection.lease_ns - talk.now.mono_ns == 62 * NS


def test_no_heartbeat_asked_leaves_the_forecasts_to_say() -> None:
    """Row 22: no heartbeat agreed, the age of the forecasts alone."""
    talk = Talk(replace(CP, heartbeat_s=None, forecast_max_age_s=600.0)).register()
    talk.post("handshake", {})
    assert body(talk.drain()[0]) == {"required_behaviour": {"measurement_configuration": []}}
    talk.forecast("CONSUMPTION", (1, 0, 90_000))
    assert talk.peer.lease_ns("feeder-7") - talk.now.mono_ns == 600 * NS
    assert talk.later(599).peer.connection.online
    assert talk.later(10_000).forecast("CONSUMPTION", (1, 0, 90_000)) == 204, "a new forecast is believed again"


# --- forecasts (3.2, 4.4.1) ---

# (who, type, group, status) rows 5 and 15
WHO = [
    (CP, "CONSUMPTION", "feeder-7", 204),
    (CP, "OPTIMUM", "feeder-7", 204),
    (CP, "CONSUMPTION", "nowhere", 400),
    (CP, "CONSUMPTION", "other", 403),
    (CO, "OPTIMUM", "feeder-7", 204),
    (CO, "CONSUMPTION", "feeder-7", 403),
    (CO, "FALLBACK_GENERATION", "feeder-7", 403),
    (BOTH, "CONSUMPTION", "feeder-7", 204),
    (BOTH, "FALLBACK_GENERATION", "feeder-7", 204),
    (BOTH, "OPTIMUM", "feeder-7", 204),
]


@pytest.mark.parametrize(("who", "kind", "group", "status"), WHO)
def test_who_may_send_what(who: PeerConfig, kind: str, group: str, status: int) -> None:
    """OSCP-4, OSCP-8."""
    talk = Talk(who, groups=(GROUP, OTHER)).online()
    assert talk.forecast(kind, (0, 0, 900), group=group) == status


# (type, capacity, sign the peer is agreed to write, status) FR.01.05, FR.01.06, FR.02.04, FR.02.05, row 2
SIGNS = [
    ("CONSUMPTION", 0, "auto", 204),
    ("CONSUMPTION", -1, "auto", 400),
    ("FALLBACK_CONSUMPTION", -0.001, "auto", 400),
    ("GENERATION", -1, "auto", 204),
    ("GENERATION", 1, "auto", 204),
    ("GENERATION", 1, "negative", 400),
    ("GENERATION", -1, "negative", 204),
    ("FALLBACK_GENERATION", -1, "magnitude", 400),
    ("FALLBACK_GENERATION", 1, "magnitude", 204),
    ("OPTIMUM", -1, "magnitude", 204),
]


@pytest.mark.parametrize(("kind", "capacity", "sign", "status"), SIGNS)
def test_signs(kind: str, capacity: float, sign: str, status: int) -> None:
    talk = Talk(quirky(generation_sign=type(CP.quirks.generation_sign)(sign))).online()
    assert talk.forecast(kind, (capacity, 0, 900)) == status


def test_the_newest_message_replaces_the_whole_series() -> None:
    """FR.01.04, FR.02.02, row 9: also by something wider."""
    talk = Talk().online()
    talk.forecast("CONSUMPTION", (10, 0, 900), (20, 900, 1800))
    talk.forecast("CONSUMPTION", (50, 0, 300))
    assert [(b.pcc_lo_w) for b in talk.plan().blocks] == [-50, 0]


def test_past_blocks_are_dropped_and_a_wholly_past_message_changes_nothing() -> None:
    """Row 11."""
    talk = Talk().online()
    assert talk.forecast("CONSUMPTION", (10, -900, 0), (20, 0, 900)) == 204
    assert len(talk.peer.forecasts.series["feeder-7", "CONSUMPTION"].blocks) == 1
    assert talk.forecast("CONSUMPTION", (99, -900, 0)) == 400
    assert talk.plan().blocks[0].pcc_lo_w == -20


def test_a_message_with_one_bad_block_changes_nothing() -> None:
    talk = Talk().online()
    talk.forecast("CONSUMPTION", (20, 0, 900))
    assert talk.forecast("CONSUMPTION", (99, 0, 900), (99, 900, 900)) == 400
    assert talk.plan().blocks[0].pcc_lo_w == -20


# (forecasts at these seconds, seconds of age that are believed) row 22
AGES = [
    ([0], 45 * 60),
    ([0, 300], 900),
    ([0, 300, 1200], 2700),
    ([0, 5], 45 * 60),  # two messages of one update
]


@pytest.mark.parametrize(("times", "age_s"), AGES)
def test_forecasts_grow_old(times: list[float], age_s: float) -> None:
    """FR.02.03: heartbeats go on and forecasts stop."""
    talk = Talk(replace(CP, heartbeat_s=None)).online()
    at = 0.0
    for when in times:
        talk.later(when - at).forecast("CONSUMPTION", (1, 0, 90_000))
        at = when
    assert talk.peer.lease_ns("feeder-7") - talk.now.mono_ns == age_s * NS


def test_a_lapse_by_age_ends_with_the_next_forecast() -> None:
    """FR.02.03: the connection is there, so no handshake is needed."""
    talk = Talk(replace(CP, forecast_max_age_s=100.0)).online(60)
    talk.forecast("CONSUMPTION", (9, 0, 90_000))
    talk.beat(180)
    talk.later(150)
    assert talk.plan().lease_until_ns < talk.now.mono_ns
    talk.forecast("CONSUMPTION", (9, 0, 90_000))
    assert talk.plan().lease_until_ns > talk.now.mono_ns


# --- retries (row 18) ---


def test_the_same_request_again_gets_the_same_answer_and_is_applied_once() -> None:
    talk = Talk().online()
    first = talk.forecast_body("CONSUMPTION", (10, 0, 900))
    assert talk.post("update_group_capacity_forecast", first, ident="x") == 204
    assert talk.forecast("CONSUMPTION", (5, 0, 900)) == 204
    assert talk.post("update_group_capacity_forecast", first, ident="x") == 204
    assert talk.plan().blocks[0].pcc_lo_w == -5, "an old message that is repeated must not replace a newer one"


def test_a_used_id_with_another_content_is_another_message() -> None:
    """A peer that numbers carelessly must not lose its limits."""
    talk = Talk().online()
    for capacity in (10, 5):
        talk.post("update_group_capacity_forecast", talk.forecast_body("CONSUMPTION", (capacity, 0, 900)), ident="same")
    assert talk.plan().blocks[0].pcc_lo_w == -5


def test_a_refused_request_may_be_sent_again_with_its_id() -> None:
    """403 before the handshake is no answer for ever."""
    talk = Talk().register()
    message = talk.forecast_body("CONSUMPTION", (10, 0, 900))
    assert talk.post("update_group_capacity_forecast", message, ident="x") == 403
    talk.shake()
    assert talk.post("update_group_capacity_forecast", message, ident="x") == 204


def test_too_many_requests_are_held_up() -> None:
    talk = Talk().online()
    assert sum(talk.peer.arrived(talk.now) for _ in range(300)) <= 200
    assert talk.peer.arrived(talk.now.later(1))


# --- what we send (rows 25, 27) ---


@pytest.mark.parametrize("status", [None, 500, 503, 429])
def test_an_unanswered_message_goes_again_with_its_id_and_a_growing_pause(status: int | None) -> None:
    talk = Talk(replace(CP, handshake=False)).register()
    talk.post("handshake", {})
    seen = []
    for second in range(30):
        message = talk.next(status)
        if message is not None:
            seen.append((second, message.request_id))
        talk.later(1)
    assert [second for second, _ in seen] == [0, 1, 3, 7, 15]
    assert len({ident for _, ident in seen}) == 1
    assert not talk.peer.connection.online, "given up after five tries; the provider will shake hands again"


def test_a_sign_of_life_ends_the_pause() -> None:
    talk = Talk(replace(CP, heartbeat_s=600)).online(30)
    talk.later(30)
    for _ in range(6):
        talk.drain(None)
        talk.later(30)
    assert talk.peer.outbox.wake_ns(online=True) > talk.now.mono_ns
    talk.beat(60)
    assert Kind.HEARTBEAT in [m.kind for m in talk.drain()]


def test_a_peer_that_cannot_take_so_much_gets_smaller_segments() -> None:
    """Row 29: 413."""
    talk = Talk().register()
    talk.next(status=413)
    assert talk.peer.segment_bytes == 1024
    again = talk.next()
    assert again is not None
    assert again.kind == Kind.HANDSHAKE


# --- optimizer (3.2.2) ---


def two() -> Talk:
    """A provider and an optimizer, both online."""
    talk = Talk(CP, CO)
    return talk.online().as_("optimizer").online()


def test_forecasts_go_on_to_the_optimizer() -> None:
    """OSCP-8: as they came; OPTIMUM does not."""
    talk = two().as_("dso")
    talk.forecast("CONSUMPTION", (10, 0, 900), unit="KW")
    talk.forecast("OPTIMUM", (1, 0, 900))
    forwarded = talk.as_("optimizer").drain()
    assert [m.kind for m in forwarded] == [Kind.FORECAST]
    assert body(forwarded[0]) == talk.forecast_body("CONSUMPTION", (10, 0, 900), unit="KW")


def test_an_optimizer_that_comes_later_learns_what_holds() -> None:
    talk = Talk(CP, CO).online()
    talk.forecast("CONSUMPTION", (10, 0, 900))
    talk.forecast("FALLBACK_GENERATION", (-3, 0, 900))
    sent = talk.as_("optimizer").register().shake().sent
    assert sorted(body(m)["type"] for m in sent if m.kind == Kind.FORECAST) == ["CONSUMPTION", "FALLBACK_GENERATION"]


def test_of_two_providers_the_optimizer_learns_the_tighter() -> None:
    talk = Talk(CP, replace(CP, name="tso"), CO)
    for name, capacity in (("dso", 10), ("tso", 4)):
        talk.as_(name).online().forecast("GENERATION", (-capacity, 0, 900))
    sent = talk.as_("optimizer").online().sent
    blocks = next(body(m) for m in sent if m.kind == Kind.FORECAST)["forecasted_blocks"]
    assert [(b["capacity"], b["unit"]) for b in blocks] == [(-4, "W")]


def test_an_optimum_is_the_target_within_the_limits_by_priority() -> None:
    """OSCP-8, row 14: + is consumption there and charge here."""
    talk = Talk(CP, CO, replace(CO, name="second", optimum_priority=5))
    for name in ("dso", "optimizer", "second"):
        talk.as_(name).online()
    talk.as_("dso").forecast("CONSUMPTION", (100, 0, 900))
    talk.as_("optimizer").forecast("OPTIMUM", (70, 0, 900))
    assert talk.plan().blocks[0].target_w == -70
    talk.as_("second").forecast("OPTIMUM", (-20, 0, 300))
    assert [b.target_w for b in talk.plan().blocks[:2]] == [20, -70]


def test_an_optimizer_never_moves_a_limit() -> None:
    """Row 5."""
    talk = two()
    talk.forecast("OPTIMUM", (1e6, 0, 900))
    block = talk.plan().blocks[0]
    assert (block.pcc_lo_w, block.pcc_hi_w, block.target_w) == (None, None, -1e6)


# --- quirks (row 28) ---

# (quirks of the peer, what it sends, its status, and that of the same from a peer without)
QUIRKS: list[tuple[dict[str, Any], str, Any, int, int]] = [
    ({"naive_time": NaiveTime.UTC}, "heartbeat", {"offline_mode_at": "2027-01-15T08:01:00"}, 204, 400),
    ({"single_version_url": True}, "register", {"token": "b", "version_url": {"version": "2.0", "base_url": PEER_URL}}, 204, 400),
]


@pytest.mark.parametrize(("quirks", "endpoint", "said", "with_it", "without"), QUIRKS)
def test_a_quirk_is_taken_where_it_is_agreed_and_nowhere_else(
    quirks: dict[str, Any], endpoint: str, said: Any, with_it: int, without: int
) -> None:
    assert Talk(quirky(**quirks)).online(60).post(endpoint, said) == with_it
    assert Talk().online(60).post(endpoint, said) == without


def test_the_other_spelling_of_the_acknowledgement() -> None:
    talk = Talk(quirky(acknowledge_path="handshake_acknowledgment")).register()
    talk.post("handshake", {})
    message = talk.next()
    assert message is not None
    assert talk.peer.path(message) == "handshake_acknowledgment"


@pytest.mark.parametrize(("quirk", "has_body"), [(False, False), (True, True)])
def test_removal_by_the_operator_tells_the_peer(quirk: bool, has_body: bool) -> None:
    """OSCP-1: DELETE, with a body where the peer wants one."""
    talk = Talk(quirky(delete_body=quirk)).online()
    talk.forecast("CONSUMPTION", (1, 0, 900))
    talk.peer.remove()
    message = talk.next()
    assert message is not None
    assert (message.kind, message.method, bool(message.body)) == (Kind.UNREGISTER, "DELETE", has_body)
    assert talk.plan().blocks == ()
    assert talk.restarted().peer.state == "unregistered"


def test_generation_is_mirrored_in_the_sign_the_peer_writes() -> None:
    """Row 2."""
    talk = Talk(CP, BOTH).online()
    talk.forecast("GENERATION", (-7, 0, 900))
    talk.as_("ems").online().forecast("GENERATION", (9, 0, 900))
    talk.as_("dso").forecast("GENERATION", (-6, 0, 900))
    forwarded = [m for m in talk.as_("ems").drain() if m.kind == Kind.FORECAST]
    assert json.loads(forwarded[-1].body)["forecasted_blocks"][0]["capacity"] == 6
