"""The shared segments: what the kernel refuses, what the headers refuse, and what the loop's side makes of garbage."""

import fcntl
import mmap
import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout, ports, segment
from bessctl_core.segment import LoopSegments, SegmentError

HASH = bytes(range(32))
STATE = bytes(layout.SIZES["PlantState"])
HEADER = 256
BLOCK = (10, 20, -1.0, 1.0, None, None, 0.5, 0, 0, 0.0, None, None, None)
EVENT = {"seq": 0, "at_ns": 1, "value": 0.0, "limit": 0.0, "detail": 7, "place": 16, "row": -1, "slot": 3, "code": 8, "level": 0}


@dataclass
class Bench:
    loop: LoopSegments
    state: ports.StatePort
    plans: ports.PlanPort
    commands: ports.CommandPort


@pytest.fixture
def shared() -> Bench:
    loop = LoopSegments(HASH)
    state = ports.StatePort(loop.state_fd, HASH)
    return Bench(loop, state, ports.PlanPort(loop.plans_fd, HASH), ports.CommandPort(loop.plans_fd, state, HASH))


def plan_of(data: bytes | None) -> np.void:
    assert data is not None
    return np.frombuffer(data, layout.dtype("Plan"))[0]  # type: ignore[no-any-return]


# --- layout -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Plan", "SiteConfig", "Event", "PlantState", "JournalRecord"])
def test_reflected_dtypes_have_the_size_of_their_structures(name: str) -> None:
    assert layout.dtype(name).itemsize == layout.SIZES[name]


# --- what goes through ------------------------------------------------------------------------------------------------------------------


def test_nothing_is_there_before_it_is_written(shared: Bench) -> None:
    assert shared.state.read() is None
    assert shared.state.version == 0
    assert [shared.loop.take_plan(slot) for slot in range(layout.LIMITS["slots"])] == [None] * layout.LIMITS["slots"]
    assert shared.loop.take_command() is None
    assert ports.EventReader(shared.loop.state_fd).drain() == []


def test_a_plan_arrives_whole_and_once(shared: Bench) -> None:
    assert shared.plans.write(3, 99, 2, [BLOCK], [(20, 30, None, None, -5.0, 5.0, None, 1, 2, -0.9, None, False, 100.0)]) == 1
    plan = plan_of(shared.loop.take_plan(3))
    assert shared.loop.take_plan(3) is None
    assert (plan["serial"], plan["lease_until_ns"], plan["lapse"]) == (1, 99, 2)
    live, fallback = plan["live"], plan["fallback"]
    assert (live["count"], live["start_ns"][0], live["end_ns"][0]) == (1, 10, 20)
    assert (live["ess_lo_w"][0], live["ess_hi_w"][0], live["target_w"][0]) == (-1.0, 1.0, 0.5)
    assert live["stated"][0] == 1 | 2 | 16
    assert np.isnan(live["pcc_lo_w"][0])
    assert (fallback["count"], fallback["stated"][0], fallback["energize"][0], fallback["q_kind"][0]) == (1, 4 | 8 | 32 | 64, 0, 2)


def test_a_plan_carries_the_boot_and_a_growing_serial_across_supervisors(shared: Bench) -> None:
    shared.plans.write(0, 1, 0, [])
    assert ports.PlanPort(shared.loop.plans_fd).write(0, 1, 0, []) == 2
    plan = plan_of(shared.loop.take_plan(0))
    assert struct.pack("=QQ", plan["boot_id_hi"], plan["boot_id_lo"]) == segment.boot_id()


@pytest.mark.parametrize(
    "blocks",
    [
        [BLOCK] * 97,
        [BLOCK, BLOCK[:11]],
        [BLOCK, (2**63, *BLOCK[1:])],
        [BLOCK, (*BLOCK[:2], "much", *BLOCK[3:])],
        [BLOCK, (*BLOCK[:7], 300, *BLOCK[8:])],
    ],
    ids=["too many", "too short", "time too large", "no number", "code too large"],
)
def test_what_cannot_be_written_leaves_the_slot_as_it_was(shared: Bench, blocks: list[tuple[object, ...]]) -> None:
    shared.plans.write(0, 77, 0, [BLOCK])
    with pytest.raises((ValueError, TypeError, OverflowError)):
        shared.plans.write(0, 88, 0, blocks)
    assert plan_of(shared.loop.take_plan(0))["lease_until_ns"] == 77
    shared.plans.write(0, 99, 0, [BLOCK])
    assert plan_of(shared.loop.take_plan(0))["lease_until_ns"] == 99


@pytest.mark.parametrize("slot", [-1, 16, 2**31 - 1])
def test_a_slot_that_is_not_there_is_refused_on_both_sides(shared: Bench, slot: int) -> None:
    with pytest.raises(IndexError):
        shared.plans.write(slot, 0, 0, [])
    assert shared.loop.take_plan(slot) is None


def test_the_state_reads_as_a_dict_of_every_field(shared: Bench) -> None:
    """Arrays of bytes too: a C string would end at the first zero."""
    dtype = layout.dtype("PlantState")
    sent = bytearray(random.Random(1).randbytes(dtype.itemsize))
    sent[: dtype.fields["mode"][1]] = bytes(dtype.fields["mode"][1])
    shared.loop.publish(sent)
    read, raw = shared.state.read(), shared.state.read_bytes()
    assert read is not None
    assert raw is not None
    record = np.frombuffer(raw, dtype)[0]
    assert set(read) == set(dtype.names)
    for name in dtype.names:
        value = read[name]
        np.testing.assert_array_equal(list(value) if isinstance(value, (list, bytes)) else value, record[name], err_msg=name)


def test_commands_arrive_in_order_and_are_never_local(shared: Bench) -> None:
    assert [shared.commands.push(code, code * 10) for code in (1, 2, 3)] == [1, 2, 3]
    taken = [shared.loop.take_command() for _ in range(4)]
    assert [c and (c["id"], c["code"], c["arg"], c["local"]) for c in taken] == [(1, 1, 10, 0), (2, 2, 20, 0), (3, 3, 30, 0), None]


def test_commands_wait_for_a_loop_that_takes_them(shared: Bench) -> None:
    for _ in range(64):
        shared.commands.push(1)
    with pytest.raises(ports.CommandsWaiting):
        shared.commands.push(1)
    assert shared.loop.take_command()
    with pytest.raises(ports.CommandsWaiting):
        shared.commands.push(1)
    shared.loop.publish(STATE)
    assert shared.commands.push(1) == 65


def test_events_arrive_numbered_and_losses_are_counted(shared: Bench) -> None:
    reader = ports.EventReader(shared.loop.state_fd)
    shared.loop.publish(STATE, [EVENT, {**EVENT, "detail": 8}])
    assert [(e["seq"], e["detail"], e["place"], e["slot"]) for e in reader.drain()] == [(1, 7, 16, 3), (2, 8, 16, 3)]
    assert reader.drain() == []
    for _ in range(50):
        shared.loop.publish(STATE, [EVENT] * 32)
    drained = reader.drain()
    assert reader.lost == 1600 - 1024
    assert [e["seq"] for e in drained] == list(range(1602 - 1024 + 1, 1603))
    late = ports.EventReader(shared.loop.state_fd)
    assert (late.drain()[0]["seq"], late.lost) == (1602 - 1024 + 1, 0)


# --- what the kernel refuses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["plans_fd", "state_fd"])
@pytest.mark.parametrize("size", [0, 4096, 1 << 30])
def test_nobody_can_change_the_size(shared: Bench, which: str, size: int) -> None:
    """A file cut short under an mlocked loop would kill it by SIGBUS."""
    fd = os.open(f"/proc/self/fd/{getattr(shared.loop, which)}", os.O_RDWR)
    before = os.fstat(fd).st_size
    with pytest.raises(PermissionError):
        os.ftruncate(fd, size)
    assert os.fstat(fd).st_size == before
    os.close(fd)


def writable_mapping(fd: int) -> None:
    mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def write_call(fd: int) -> None:
    os.pwrite(fd, b"x", 0)


def more_seals(fd: int) -> None:
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


@pytest.mark.parametrize("attempt", [writable_mapping, write_call, more_seals])
@pytest.mark.parametrize("flags", [None, os.O_RDWR], ids=["as given", "reopened for writing"])
def test_nobody_can_write_the_state(shared: Bench, attempt: Callable[[int], None], flags: int | None) -> None:
    """The descriptor is read-only; reopening it through /proc works (the kernel allows it), and the seal still refuses."""
    fd = shared.loop.state_fd if flags is None else os.open(f"/proc/self/fd/{shared.loop.state_fd}", flags)
    with pytest.raises(OSError, match=r"denied|permitted|Bad file"):
        attempt(fd)
    shared.loop.publish(STATE)
    assert shared.state.read_bytes()


# --- what the headers refuse ------------------------------------------------------------------------------------------------------------


def forged(loop: LoopSegments, offset: int, value: bytes) -> int:
    """A copy of the state segment whose header says something else."""
    fd = os.memfd_create("forged")
    data = bytearray(os.pread(loop.state_fd, os.fstat(loop.state_fd).st_size, 0))
    data[offset : offset + len(value)] = value
    os.write(fd, data)
    return fd


@pytest.mark.parametrize(
    ("offset", "value", "told"),
    [
        (0, b"BESSPLAN", r"magic is b'BESSPLAN', this build expects b'BESSTATE'"),
        (8, struct.pack("=I", 247), r"layout version is 247, this build expects \d+; run loop and supervisor from one installation"),
        (12, struct.pack("=I", 12), rf"size of a value is 12, this build expects {layout.SIZES['PlantState']}"),
        (16, struct.pack("=I", 49), r"size of a ring entry is 49, this build expects 48"),
        (24, struct.pack("=Q", 1 << 60), r"stated size is \d+, this build expects"),
        (56, b"\xff", r"runs configuration ff0102030405, expected was 000102030405"),
    ],
)
def test_another_header_is_refused_with_both_values(shared: Bench, offset: int, value: bytes, told: str) -> None:
    fd = forged(shared.loop, offset, value)
    for port in (ports.StatePort, lambda fd, config_hash: ports.EventReader(fd, 0, config_hash)):
        with pytest.raises(SegmentError, match=told):
            port(fd, HASH)
    os.close(fd)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 100_000])
def test_a_file_of_another_size_is_refused_before_it_is_touched(size: int) -> None:
    fd = os.memfd_create("short")
    os.ftruncate(fd, size)
    for port in (ports.StatePort, ports.PlanPort):
        with pytest.raises(SegmentError):
            port(fd)
    os.close(fd)


def test_the_segments_cannot_be_taken_for_each_other(shared: Bench) -> None:
    with pytest.raises(SegmentError, match="magic"):
        ports.StatePort(shared.loop.plans_fd)
    with pytest.raises(SegmentError, match="magic"):
        ports.PlanPort(shared.loop.state_fd)


def test_the_epoch_tells_peers_to_attach_again(shared: Bench) -> None:
    assert shared.state.current
    assert shared.plans.current
    assert shared.state.epoch == shared.plans.epoch == shared.loop.epoch
    shared.loop.retire()
    assert not shared.state.current
    assert not shared.plans.current


# --- what the loop makes of garbage -----------------------------------------------------------------------------------------------------


def plans_memory(loop: LoopSegments) -> mmap.mmap:
    return mmap.mmap(loop.plans_fd, 0)


def slot_offset(slot: int) -> int:
    return HEADER + slot * (128 + 4 * ((layout.SIZES["Plan"] + 63) // 64 * 64))


COMMANDS = slot_offset(16)


@pytest.mark.parametrize("index", [4, 5, 255, 2**32, 2**63, 2**64 - 1])
def test_a_published_index_beyond_the_slots_reads_as_torn(shared: Bench, index: int) -> None:
    shared.plans.write(0, 1, 0, [BLOCK])
    with plans_memory(shared.loop) as memory:
        memory[slot_offset(0) : slot_offset(0) + 8] = struct.pack("=Q", index)
    try:
        assert shared.loop.take_plan(0) is None
    except BlockingIOError:
        assert shared.loop.plan_retries == 4
    shared.plans.write(0, 2, 0, [BLOCK])
    assert plan_of(shared.loop.take_plan(0))["lease_until_ns"] == 2


@pytest.mark.parametrize("head", [65, 1000, 2**63, 2**64 - 1])
def test_a_command_head_that_ran_away_gives_no_command(shared: Bench, head: int) -> None:
    with plans_memory(shared.loop) as memory:
        memory[COMMANDS : COMMANDS + 8] = struct.pack("=Q", head)
    assert [shared.loop.take_command() for _ in range(100)] == [None] * 100
    shared.loop.publish(STATE)
    if head < 2**64 - 1:
        given = shared.commands.push(4)
        command = shared.loop.take_command()
        assert command is not None
        assert (command["id"], command["code"]) == (given, 4)


def test_a_command_that_was_not_written_whole_is_skipped(shared: Bench) -> None:
    shared.commands.push(1)
    shared.commands.push(2)
    with plans_memory(shared.loop) as memory:
        memory[COMMANDS + 64 : COMMANDS + 72] = struct.pack("=Q", 12345)
    taken = [shared.loop.take_command() for _ in range(3)]
    assert [c and c["code"] for c in taken] == [None, 2, None]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_bytes_all_over_the_plans_never_crash_the_loop_and_never_pass_for_a_plan_of_this_boot(seed: int) -> None:
    loop = LoopSegments(HASH)
    with plans_memory(loop) as memory:
        memory[:] = random.Random(seed).randbytes(len(memory))
        # Worst case: the index is one that a reader follows.
        for slot in range(16):
            memory[slot_offset(slot) : slot_offset(slot) + 8] = struct.pack("=Q", seed % 4)
    for slot in range(16):
        try:
            data = loop.take_plan(slot)
        except BlockingIOError:
            continue
        assert data is None or data[:16] != segment.boot_id()
    for _ in range(200):
        loop.take_command()
    ports_after = ports.StatePort(loop.state_fd)
    loop.publish(STATE, [EVENT])
    assert ports_after.read_bytes()


def test_a_hole_punched_into_the_plans_reads_as_nothing_written(shared: Bench) -> None:
    """Sealing does not forbid it to a writer; the loop sees zeros, not a signal."""
    shared.plans.write(0, 1, 0, [BLOCK])
    with plans_memory(shared.loop) as memory:
        memory.madvise(mmap.MADV_REMOVE)
        assert shared.loop.take_plan(0) is None
        assert shared.loop.take_command() is None
