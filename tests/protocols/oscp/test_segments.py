"""Segmented messages (OSCP 2.0 4.1.2.1, OSCP-9): any order, either way of naming, limits, and both directions."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.oscp.messages.headers import Headers, Segment
from bessctl.protocols.oscp.messages.wire import Malformed
from bessctl.protocols.oscp.session.clock import NS
from bessctl.protocols.oscp.session.segments import AGE_NS, BYTES_MAX, Assembler, split
from tests.protocols.oscp.sansio import Talk, quirky

Part = tuple[Headers, bytes]


def parts_of(body: bytes, count: int, *, chained: bool = False, correlated: bool = True, name: str = "m") -> list[Part]:
    """A message as a peer cuts it."""
    size = -(-len(body) // count)
    found = []
    for i in range(1, count + 1):
        before = f"{name}{i - 1}" if chained else f"{name}1"
        correlation = "earlier" if i == 1 else before if correlated else None
        found.append((Headers(f"{name}{i}", correlation, Segment(i, count)), body[(i - 1) * size : i * size]))
    return found


def feed(assembler: Assembler, parts: list[Part], endpoint: str = "e") -> bytes | None:
    """The whole message, which only the last part may complete."""
    found = [assembler.add(endpoint, headers, body, 0) for headers, body in parts]
    assert all(whole is None for whole in found[:-1])
    return found[-1].body if found[-1] is not None else None


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_segments_in_any_order(order: tuple[int, ...], chained: bool) -> None:
    """Row 17: named by the first or by the previous segment."""
    parts = parts_of(b"0123456789", 4, chained=chained)
    assert feed(Assembler(), [parts[i] for i in order]) == b"0123456789"


@given(st.binary(min_size=1, max_size=500), st.integers(1, 12), st.randoms(use_true_random=False), st.booleans())
def test_interleaved_messages_do_not_mix(body: bytes, count: int, rng: random.Random, chained: bool) -> None:
    count = min(count, len(body))
    messages = {name: parts_of(name.encode() + body, count, chained=chained, name=name) for name in ("m", "n")}
    mixed = [(name, part) for name, parts in messages.items() for part in parts]
    rng.shuffle(mixed)
    assembler, whole = Assembler(), {}
    for name, (headers, data) in mixed:
        found = assembler.add("e", headers if count > 1 else Headers(headers.request_id), data, 0)
        if found is not None:
            whole[name] = found
    assert {name: found.body for name, found in whole.items()} == {name: name.encode() + body for name in messages}
    assert all(found.headers.request_id == f"{name}1" for name, found in whole.items()), "it is known by its first segment"


def test_the_same_segments_for_two_endpoints_are_two_messages() -> None:
    parts, assembler = parts_of(b"abcd", 2), Assembler()
    assert assembler.add("one", *parts[0], 0) is None
    assert assembler.add("two", *parts[1], 0) is None


# (parts, words)
BAD = [
    ([(Headers("2", None, Segment(2, 2)), b"x")], "must name the first one"),
    ([(Headers("1", None, Segment(1, 2)), b"x"), (Headers("9", "1", Segment(2, 3)), b"x")], "contradicts"),
    ([(Headers("1", None, Segment(1, 3)), b"x"), *[(Headers(i, "1", Segment(2, 3)), b"x") for i in "28"]], "contradicts"),
    ([(Headers(f"{i}", None, Segment(1, 2)), b"x") for i in range(257)], "unfinished messages wait"),
    ([(Headers(f"{i}", None, Segment(1, 2)), b"x" * 900_000) for i in range(5)], "unfinished messages wait"),
    ([(Headers("1", None, Segment(1, 3)), b"x" * 600_000), (Headers("2", "1", Segment(2, 3)), b"x" * 600_000)], "more than"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "words"), BAD)
def test_segments_that_make_no_sense_are_refused(parts: list[Part], words: str) -> None:
    assembler = Assembler()
    for headers, body in parts[:-1]:
        assert assembler.add("e", headers, body, 0) is None
    with pytest.raises(Malformed, match=words):
        assembler.add("e", *parts[-1], 0)


def test_a_message_that_stays_unfinished_is_forgotten() -> None:
    parts, assembler = parts_of(b"abcd", 2), Assembler()
    assembler.add("e", *parts[0], 0)
    assert assembler.add("e", *parts[1], AGE_NS) is None
    assert assembler.add("e", *parts[0], AGE_NS) is not None


def test_a_peer_without_correlation_ids() -> None:
    """Row 28: one message under way per endpoint."""
    parts = parts_of(b"0123456789", 3, correlated=False)
    assert feed(Assembler(correlated=False), [parts[1], parts[0], parts[2]]) == b"0123456789"


def test_a_segmented_forecast_is_applied_when_it_is_whole() -> None:
    """Each segment is answered with 204; half a message limits nothing and harms nothing."""
    talk = Talk().online()
    data = json.dumps(talk.forecast_body("CONSUMPTION", *[(100 - i, 900 * i, 900 * i + 900) for i in range(96)])).encode()
    cut = [data[i : i + 4000] for i in range(0, len(data), 4000)]
    idents = [f"s{i}" for i in range(len(cut))]
    for i in reversed(range(len(cut))):
        assert "oscp" not in {v.peer for v in talk.voices.of("oscp")}
        correlation = idents[0] if i else None
        status = talk.post("update_group_capacity_forecast", cut[i], ident=idents[i], correlation=correlation, segment=(i + 1, len(cut)))
        assert status == 204
    assert [b.pcc_lo_w for b in talk.plan().blocks[:3]] == [-100, -99, -98]
    assert talk.peer.forecasts.series["feeder-7", "CONSUMPTION"].request_id == "s0", "a compliance error names the first segment (row 25)"


def test_segments_half_received_when_the_lease_ends_change_nothing() -> None:
    talk = Talk().online(60)
    talk.forecast("CONSUMPTION", (50, 0, 90_000))
    talk.forecast("FALLBACK_CONSUMPTION", (5, 0, 90_000))
    talk.beat(60)
    before = talk.plan()
    data = json.dumps(talk.forecast_body("CONSUMPTION", (500, 0, 90_000))).encode()
    assert talk.post("update_group_capacity_forecast", data[:100], ident="a", segment=(1, 2)) == 204
    assert talk.plan() == before
    talk.later(62)
    assert talk.post("update_group_capacity_forecast", data[100:], ident="b", correlation="a", segment=(2, 2)) == 403
    assert talk.plan().fallback[0].pcc_lo_w == -5


def test_a_segmented_message_that_is_wrong_is_refused_with_its_last_segment() -> None:
    talk = Talk().online()
    assert talk.post("update_group_capacity_forecast", b'{"a": N', ident="a", segment=(1, 2)) == 204
    assert talk.post("update_group_capacity_forecast", b"aN}", ident="b", correlation="a", segment=(2, 2)) == 400


@given(st.integers(1, 300_000), st.integers(1024, 100_000))
def test_what_we_cut_is_put_together_again(length: int, size: int) -> None:
    """At most 64 segments, whatever the size; the first keeps the message's ids."""
    body, count = bytes(i % 251 for i in range(length)), itertools.count(2)
    parts = split(body, size, Headers("m", "c"), lambda: f"m-{next(count)}")
    assert b"".join(part for _, part in parts) == body
    assert len(parts) <= 64
    assert (parts[0][0].request_id, parts[0][0].correlation_id) == ("m", "c")
    assert feed(Assembler(), parts) == body
    assert length <= BYTES_MAX


def test_a_small_message_has_no_segment_headers() -> None:
    assert split(b"{}", 1024, Headers("m"), lambda: "x") == [(Headers("m"), b"{}")]


def test_too_old_is_measured_from_the_first_part() -> None:
    assert AGE_NS == 30 * NS
    assert quirky(correlation=False).quirks.correlation is False
