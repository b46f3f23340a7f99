"""Framing and the dispatcher: the malformed-input rules of both versions (settled 8)."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.ocpp.messages import frames
from bessctl.protocols.ocpp.messages.frames import RULES_16, RULES_201
from bessctl.protocols.ocpp.messages.records import Heartbeat
from bessctl.protocols.ocpp.session.keys import MAX_LIST_MESSAGE
from bessctl.protocols.ocpp.session.rpc import Answered, Called, Rejected, Rpc, message_ids
from tests.protocols.ocpp.sansio import LINK, Talk

BOOT = '[2,"1","Heartbeat",{}]'

# text, code of our CALLERROR in 1.6 and in 2.0.1 (None = no reply), id of the reply
BAD = [
    # no id can be read
    ("", None, "RpcFrameworkError", "-1"),
    ("not json", None, "RpcFrameworkError", "-1"),
    ("{}", None, "RpcFrameworkError", "-1"),
    ("[]", None, "RpcFrameworkError", "-1"),
    ("[2]", None, "RpcFrameworkError", "-1"),
    ('[2,7,"Reset",{}]', None, "RpcFrameworkError", "-1"),
    ('[2,"","Reset",{}]', None, "RpcFrameworkError", "-1"),
    ("null", None, "RpcFrameworkError", "-1"),
    ("[" * 2000, None, "RpcFrameworkError", "-1"),
    ('"\\ud800"', None, "RpcFrameworkError", "-1"),
    # the type is unknown
    ('[5,"a","Reset",{}]', None, "MessageTypeNotSupported", "a"),
    ('["2","a","Reset",{}]', None, "MessageTypeNotSupported", "a"),
    ('[true,"a","Reset",{}]', None, "MessageTypeNotSupported", "a"),
    ('[[2],"a","Reset",{}]', None, "MessageTypeNotSupported", "a"),
    # a CALL with an id and something wrong in it
    ('[2,"a"]', "FormationViolation", "FormatViolation", "a"),
    ('[2,"a","Reset"]', "FormationViolation", "FormatViolation", "a"),
    ('[2,"a",5,{}]', "FormationViolation", "FormatViolation", "a"),
    ('[2,"a","Reset",[]]', "FormationViolation", "FormatViolation", "a"),
    ('[2,"a","Reset",null]', "FormationViolation", "FormatViolation", "a"),
    ('[2,"a","Reset",{},{}]', "FormationViolation", "FormatViolation", "a"),
]


@pytest.mark.parametrize(("text", "code16", "code201", "ident"), BAD)
def test_malformed_frames(text: str, code16: str | None, code201: str, ident: str) -> None:
    for rules, code in ((RULES_16, code16), (RULES_201, code201)):
        event = Rpc(rules, lambda: "x", 1).receive(text)
        assert isinstance(event, Rejected)
        reply = json.loads(event.reply) if event.reply else None
        assert (reply[:3] if reply else None) == ([4, ident, code] if code else None)


# the first words of a message that is too long, code in 1.6 and in 2.0.1, id of the reply
TOO_LONG = [
    ('[2,"a","DataTransfer",{"data":"', "FormationViolation", "FormatViolation", "a"),
    (' [ 2 , "a" ,"DataTransfer",{"data":"', "FormationViolation", "FormatViolation", "a"),
    ('[2,"', None, "RpcFrameworkError", "-1"),
    ('[2,"\u00e9","DataTransfer",{"data":"', None, "RpcFrameworkError", "-1"),
    ("", None, "RpcFrameworkError", "-1"),
    # an answer to nothing we asked
    ('[3,"a",{"data":"', None, None, ""),
]


@pytest.mark.parametrize(("head", "code16", "code201", "ident"), TOO_LONG)
def test_a_message_too_long_is_answered_by_its_first_words(head: str, code16: str | None, code201: str | None, ident: str) -> None:
    """OCPP-10: it is not read further, and it may be cut."""
    for rules, code in ((RULES_16, code16), (RULES_201, code201)):
        for text in (head + "x" * 2000, (head + "x" * 2000).encode()):
            event = Rpc(rules, lambda: "x", 1, 1000).receive(text)
            assert isinstance(event, Rejected)
            reply = json.loads(event.reply) if event.reply else None
            assert (reply[:3] if reply else None) == ([4, ident, code] if code else None)


def test_an_answer_too_long_ends_the_call() -> None:
    rpc = Rpc(RULES_16, lambda: "a", 10, 1000)
    rpc.ask(Heartbeat(), None, "Heartbeat", {}, 0)
    answered = rpc.receive('[3,"a",{"x":"' + "x" * 2000)
    assert isinstance(answered, Answered)
    assert answered.payload is None


def test_ids_are_never_used_twice() -> None:
    """2.0.1 part 4, 4.1.4: not on this connection, not on another."""
    drawn = iter([str(uuid.UUID(int=n)) for n in (7 << 100, 8 << 100)])
    ids = [make() for make in (message_ids(drawn.__next__), message_ids(drawn.__next__)) for _ in range(1000)]
    assert len(set(ids)) == 2000
    assert max(len(ident) for ident in ids) <= 36


def test_one_call_at_a_time_and_answers_by_id() -> None:
    rpc = Rpc(RULES_16, iter("abc").__next__, 10)
    assert json.loads(rpc.ask(Heartbeat(), None, "Heartbeat", {}, 0)) == [2, "a", "Heartbeat", {}]
    with pytest.raises(RuntimeError):
        rpc.ask(Heartbeat(), None, "Heartbeat", {}, 0)
    assert isinstance(rpc.receive('[3,"zzz",{}]'), Rejected)
    assert isinstance(rpc.receive('[2,"q","Reset",{"type":"Soft"}]'), Called)
    assert rpc.asked is not None
    answered = rpc.receive('[3,"a",{"currentTime":"x"}]')
    assert isinstance(answered, Answered)
    assert answered.payload == {"currentTime": "x"}
    assert isinstance(rpc.receive('[3,"a",{}]'), Rejected), "a second answer"


@pytest.mark.parametrize("text", ['[4,"a"]', '[4,"a",1]', '[4,"a","InternalError"]', '[4,"a","X","",{}]', '[3,"a"]', '[3,"a",[]]'])
def test_errors_and_broken_results_end_the_call(text: str) -> None:
    rpc = Rpc(RULES_16, lambda: "a", 10)
    rpc.ask(Heartbeat(), None, "Heartbeat", {}, 0)
    answered = rpc.receive(text)
    assert isinstance(answered, Answered)
    assert answered.payload is None
    assert rpc.asked is None


def test_a_call_expires_on_the_monotonic_clock() -> None:
    rpc = Rpc(RULES_16, lambda: "a", 10)
    rpc.ask(Heartbeat(), None, "Heartbeat", {}, 100)
    assert rpc.expired(109) is None
    assert rpc.expired(110) is not None
    assert rpc.expired(111) is None


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.one_of(st.text(), st.binary(), JSON.map(json.dumps)))
def test_parse_never_raises(text: str | bytes) -> None:
    frames.parse(text, RULES_16)


ACTIONS = ["RemoteStartTransaction", "SetChargingProfile", "ChangeConfiguration", "Reset", "TriggerMessage", "Nonsense", "GetLog"]


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), JSON), max_size=6))
def test_any_payload_is_answered_and_the_station_lives_on(calls: list[tuple[str, Any]]) -> None:
    """Bad input never stops a link: each CALL with an id gets exactly one answer, and a good one after them is served."""
    talk = Talk().booted()
    for action, payload in calls:
        assert talk.call(action, payload) is not None
    assert talk.call("GetConfiguration", {"key": ["NumberOfConnectors"]})["configurationKey"][0]["value"] == "2"


def test_garbage_is_audited_with_the_field_and_without_the_value() -> None:
    talk = Talk().booted()
    talk.writes.clear()
    talk.raw('[2,"a",5,{"idTag":"SECRET"}]')
    talk.raw('[2,"b","RemoteStartTransaction",{"idTag":"SECRETSECRETSECRETSECRETSECRET"}]')
    text = str(talk.writes)
    assert "action" in text
    assert "idTag" in text
    assert "SECRET" not in text
    assert "SECRET" not in str(talk.results)


def test_the_longest_list_we_offer_to_take_fits() -> None:
    """OCPP-10: SendLocalListMaxLength and the size cap agree."""
    info = {"expiryDate": "2027-01-15T08:00:00.000+00:00", "parentIdTag": "P" * 20, "status": "ConcurrentTx"}
    entries = [{"idTag": f"{n:020d}", "idTagInfo": info} for n in range(MAX_LIST_MESSAGE)]
    update = {"listVersion": 2**31 - 1, "localAuthorizationList": entries, "updateType": "Full"}
    assert len(json.dumps([2, "i" * 36, "SendLocalList", update])) < LINK.max_frame_bytes
