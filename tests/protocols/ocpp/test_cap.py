"""What one connection may cost before the websocket library sees it (OCPP-10; RFC 6455 5.2-5.5)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol

from bessctl.protocols.ocpp.transport.cap import HEAD, Cap
from bessctl.protocols.ocpp.transport.masks import DRAWN, Masks

MOST = 300
HTTP = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def frame(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """As a server writes it."""
    return Frame(opcode, payload, fin).serialize(mask=False)


def message(payload: bytes, cuts: list[int]) -> bytes:
    """One message in as many frames as there are cuts and one."""
    edges = [0, *sorted(c % (len(payload) + 1) for c in cuts), len(payload)]
    parts = [payload[a:b] for a, b in pairwise(edges)]
    return b"".join(frame(Opcode.CONT if n else Opcode.TEXT, part, fin=n == len(parts) - 1) for n, part in enumerate(parts))


def read(stream: bytes) -> tuple[list[bytes], list[bytes]]:
    """What the websocket library makes of it: messages, and pings; it must find nothing wrong."""
    protocol = Protocol(CLIENT, state=OPEN, max_size=MOST + 1)
    protocol.receive_data(stream)
    messages, pings = [b""], []
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.PING:
            pings.append(bytes(event.data))
        elif event.opcode in {Opcode.TEXT, Opcode.CONT}:
            messages[-1] += event.data
            messages += [b""] if event.fin else []
    assert protocol.parser_exc is None
    return messages[:-1], pings


payloads = st.integers(0, 3 * MOST).map(lambda n: (b"0123456789" * n)[:n])
pieces = st.one_of(
    st.tuples(payloads, st.lists(st.integers(0, 10_000), max_size=3)).map(lambda m: (m[0], message(*m))),
    st.just((None, frame(Opcode.PING, b"p"))),
)


@given(st.lists(pieces, max_size=5), st.lists(st.integers(0, 10_000), max_size=6))
def test_every_message_arrives_and_a_long_one_is_cut(sent: list[tuple[bytes | None, bytes]], cuts: list[int]) -> None:
    """However the bytes are cut on their way: what fits is whole, what does not is one byte longer than what fits, and no more."""
    stream = HTTP + b"".join(wire for _, wire in sent)
    edges = [0, *sorted(c % (len(stream) + 1) for c in cuts), len(stream)]
    cap = Cap(MOST)
    passed = b"".join(cap.feed(stream[a:b]) for a, b in pairwise(edges))
    assert passed.startswith(HTTP)
    messages, pings = read(passed.removeprefix(HTTP))
    assert len(messages) == sum(payload is not None for payload, _ in sent)
    for whole, came in zip((payload for payload, _ in sent if payload is not None), messages, strict=True):
        fits, cut = whole[: MOST + 1], b"\0" + whole[:HEAD]
        assert came == whole if len(whole) <= MOST else came in {fits, cut}
    assert len(pings) <= sum(payload is None for payload, _ in sent)
    assert bool(pings) == any(payload is None for payload, _ in sent)


SHORT = frame(Opcode.TEXT, b"{}")


@pytest.mark.parametrize(
    ("before", "data", "short"),
    [
        (b"", SHORT, True),
        (SHORT, frame(Opcode.TEXT, b"x" * 125), True),
        # more or less than one whole text message
        (b"", SHORT[:-1], False),
        (b"", SHORT + SHORT, False),
        (b"", frame(Opcode.TEXT, b"x" * 126), False),
        (b"", frame(Opcode.BINARY, b"{}"), False),
        (b"", frame(Opcode.PING, b"{}"), False),
        (b"", Frame(Opcode.TEXT, b"{}").serialize(mask=True), False),
        (b"", frame(Opcode.TEXT, b"{}", fin=False), False),
        (b"", b"", False),
        # something is under way
        (frame(Opcode.TEXT, b"{", fin=False), SHORT, False),
        (frame(Opcode.TEXT, b"{}" * 50)[:-4], SHORT, False),
        (frame(Opcode.TEXT, b"x" * 2 * MOST)[:-4], SHORT, False),
        (SHORT[:1], SHORT, False),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=True), SHORT, False),
    ],
    ids=[
        *("alone", "after another", "in part", "two", "too long", "binary", "ping", "masked", "not the last", "nothing"),
        *("after a part", "within a message", "within a long message", "within a header", "after a masked one"),
    ],
)
def test_a_short_message_may_go_by(before: bytes, data: bytes, short: bool) -> None:
    """It need not be fed: the cap and the library are what they were."""
    cap = Cap(MOST)
    assert not cap.is_one_small_text(SHORT), "HTTP comes first"
    cap.feed(HTTP)
    cap.feed(before)
    assert cap.is_one_small_text(data) == short


@given(st.lists(st.sampled_from((0, 1, 125, 126, 65_535, 65_536)), min_size=1, max_size=4))
def test_our_frames_are_what_the_library_would_write(lengths: list[int]) -> None:
    """RFC 6455 5.2: each with a key of its own, and whole after unmasking."""
    masks, server = Masks(), Protocol(SERVER, state=OPEN, max_size=None)
    frames = [masks.frame(b"x" * length) for length in lengths]
    server.receive_data(b"".join(frames))
    came = [(event.opcode, event.fin, bytes(event.data)) for event in server.events_received() if isinstance(event, Frame)]
    assert came == [(Opcode.TEXT, True, b"x" * length) for length in lengths]


def test_no_key_masks_two_frames() -> None:
    masks = Masks()
    keys = [masks.frame(b"")[2:] for _ in range(2 * DRAWN)]
    assert len(set(keys)) > 2 * DRAWN - 3, "random: two alike in some thousands are a wonder"


def test_a_message_of_gigabytes_costs_no_more_than_the_cap() -> None:
    cap = Cap(MOST)
    cap.feed(HTTP)
    passed = len(cap.feed(bytes((0x81, 127)) + (2**40).to_bytes(8, "big")))
    assert passed + sum(len(cap.feed(b"x" * 16_384)) for _ in range(100)) < HEAD + 20


def test_a_frame_too_long_leaves_its_first_words() -> None:
    """They name the id to answer; fragments of the same message that follow are gone, the next message is whole."""
    cap = Cap(MOST)
    cap.feed(HTTP)
    long = b'[2,"id","DataTransfer",{"data":"' + b"x" * 1000
    stream = (
        frame(Opcode.TEXT, long, fin=False)
        + frame(Opcode.CONT, b"x" * 900, fin=False)
        + frame(Opcode.CONT, b"x")
        + frame(Opcode.TEXT, b"{}")
    )
    assert read(cap.feed(stream))[0] == [b"\0" + long[:HEAD], b"{}"]


def test_of_many_pings_the_last_is_answered() -> None:
    cap = Cap(MOST)
    cap.feed(HTTP)
    flood = b"".join(frame(Opcode.PING, b"%d" % n) for n in range(1000))
    assert cap.feed(flood) == frame(Opcode.PING, b"999")
    assert cap.controls == 1000


@pytest.mark.parametrize(
    "broken",
    [
        bytes((0x81, 0x85)) + b"mask" + b"hello",
        bytes((0xC1, 5)) + b"hello",
        bytes((0x89, 126, 1, 0)) + bytes(256),
        bytes((0x83, 5)) + b"hello",
    ],
    ids=["masked", "reserved bit", "long ping", "unknown opcode"],
)
def test_what_is_no_websocket_is_left_to_the_library(broken: bytes) -> None:
    """7.1.7: it must close."""
    cap = Cap(MOST)
    cap.feed(HTTP)
    protocol = Protocol(CLIENT, state=OPEN, max_size=MOST + 1)
    protocol.receive_data(cap.feed(broken))
    assert protocol.parser_exc is not None
