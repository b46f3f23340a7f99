"""The latest-value hand-over: whole or nothing, whatever becomes of the writer. Writer and reader on different cores, full-size plans."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl_core import layout
from bessctl_core.handover import Channel
from bessctl_core.segment import LoopSegments
from tests.core.loop_rig import on_another_core, told
from tests.core.writer_nursery import CONTROL_WORDS, PATTERNS, SIZE, SLOT

# --- one process ------------------------------------------------------------------------------------------------------------------------


def channel(size: int = 100) -> tuple[bytearray, Channel]:
    memory = bytearray(Channel.bytes_for(size) + 64)
    return memory, Channel(memory, size)


def test_nothing_written_reads_as_nothing() -> None:
    _, values = channel()
    assert (values.read(), values.version, values.retries) == (None, 0, 0)


@given(st.lists(st.binary(min_size=100, max_size=100), min_size=1, max_size=20))
def test_the_last_value_written_is_the_one_read(payloads: list[bytes]) -> None:
    _, values = channel()
    versions = set()
    for payload in payloads:
        values.write(payload)
        versions.add(values.version)
        assert values.read() == payload
    assert len(versions) == len(payloads), "each value has a number of its own"
    assert 0 not in versions


@pytest.mark.parametrize("size", [99, 101, 0])
def test_a_value_of_another_size_is_refused(size: int) -> None:
    _, values = channel()
    with pytest.raises(ValueError, match="the channel carries 100"):
        values.write(bytes(size) or bytearray(b"x" * 3))


def test_a_buffer_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="the buffer has 10 bytes"):
        Channel(bytearray(10), 100)


def test_a_published_slot_under_write_costs_four_counted_tries_and_gives_nothing() -> None:
    memory, values = channel()
    values.write(b"a" * 100)
    memory[64 + 8 * memory[0]] |= 1
    assert (values.read(), values.retries) == (None, 4)


@pytest.mark.parametrize("index", [4, 2**32, 2**63 - 1, 2**64 - 1])
def test_an_index_that_is_not_there_is_torn_and_the_next_write_heals_it(index: int) -> None:
    memory, values = channel()
    values.write(b"a" * 100)
    memory[0:8] = struct.pack("=Q", index)
    assert (values.read(), values.retries) == (None, 4)
    values.write(b"b" * 100)
    assert values.read() == b"b" * 100


@given(left_odd=st.integers(0, 2**64 - 1), slot=st.integers(0, 3))
def test_a_slot_left_half_written_never_hides_what_follows(left_odd: int, slot: int) -> None:
    """A writer that died leaves any number behind; its successor moves on through that slot. (The last writes before 2**64 wrap to 0.)"""
    memory, values = channel()
    values.write(b"a" * 100)
    published = memory[0]
    if slot == published or left_odd >= 2**64 - 16:
        return
    memory[64 + 8 * slot : 72 + 8 * slot] = struct.pack("=Q", left_odd | 1)
    assert values.read() == b"a" * 100
    for fill in b"bcdefgh":
        values.write(bytes([fill]) * 100)
        assert values.read() == bytes([fill]) * 100


# --- two processes ----------------------------------------------------------------------------------------------------------------------


def test_a_thousand_killed_writers_tear_nothing_and_block_nothing() -> None:
    """SIGKILL at random instants while the loop's own function reads on the other core: 0 torn reads, never unreadable."""
    loop = LoopSegments(bytes(32))
    seen = torn = 0
    with on_another_core("kill-plans", loop.plans_fd, 1000, fds=(loop.plans_fd,)) as nursery:
        while nursery.poll() is None:
            for _ in range(200):
                try:
                    plan = loop.take_plan(SLOT)
                except BlockingIOError:
                    continue  # no whole copy in four tries: what the tick then keeps is its last good one
                seen += plan is not None
                torn += plan is not None and plan != plan[:1] * SIZE
        result = told(nursery)
    assert (result["unreadable"], result["torn"], torn) == (0, 0, 0)
    assert result["kills"] == 1000
    assert result["halfway"] > 20, "the kills must hit writers in the middle of a slot"
    assert seen > 1000


def test_a_flooding_writer_never_keeps_a_value_from_the_reader() -> None:
    """At most four tries a read, each one counted; the value is always whole."""
    loop = LoopSegments(bytes(32))
    missed = torn = seen = 0
    with on_another_core("flood-plans", loop.plans_fd, fds=(loop.plans_fd,)) as nursery:
        told(nursery)
        while seen < 20_000:
            try:
                plan = loop.take_plan(SLOT)
            except BlockingIOError:
                missed += 1
                continue
            seen += plan is not None
            torn += plan is not None and plan != plan[:1] * SIZE
    assert torn == 0
    assert missed <= loop.plan_retries // 4
    assert missed <= 20


def test_the_nursery_writes_full_size_plans() -> None:
    assert SIZE == layout.SIZES["Plan"] == len(PATTERNS[0])
    assert Channel.bytes_for(64) == CONTROL_WORDS + 4 * 64
