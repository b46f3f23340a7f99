"""Events and commands: in order, whole, each once; what is lost is counted."""

import os
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessctl_core import layout, ports
from bessctl_core.segment import LoopSegments
from tests.core.loop_rig import on_another_core, told

STATE = bytes(layout.SIZES["PlantState"])
EVENT = {"seq": 0, "at_ns": 1, "value": 0.0, "limit": 0.0, "detail": 0, "place": -1, "row": -1, "slot": -1, "code": 1, "level": 0}


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["push", "take", "publish"]), max_size=300))
def test_commands_behave_like_a_queue_of_64_with_a_published_tail(steps: list[str]) -> None:
    loop = LoopSegments(bytes(32))
    port = ports.CommandPort(loop.plans_fd, ports.StatePort(loop.state_fd))
    waiting: deque[int] = deque()
    pushed = taken = published = 0
    for step in steps:
        if step == "push" and pushed - published >= 64:
            with pytest.raises(ports.CommandsWaiting):
                port.push(1)
        elif step == "push":
            pushed += 1
            assert port.push(pushed % 250, pushed) == pushed
            waiting.append(pushed)
        elif step == "take":
            command = loop.take_command()
            assert (command and command["id"]) == (waiting.popleft() if waiting else None)
            taken += command is not None
        else:
            loop.publish(STATE)
            published = taken


@given(st.lists(st.one_of(st.integers(1, 32), st.just("drain")), max_size=120))
@settings(max_examples=50)
def test_every_event_is_either_read_or_counted_as_lost(steps: list[object]) -> None:
    loop = LoopSegments(bytes(32))
    reader = ports.EventReader(loop.state_fd)
    pushed, seen = 0, 0
    for step in [*steps, "drain"]:
        if isinstance(step, int):
            loop.publish(STATE, [EVENT] * step)
            pushed += step
            continue
        sequence = [event["seq"] for event in reader.drain()]
        assert sequence == list(range(pushed - len(sequence) + 1, pushed + 1))
        seen += len(sequence)
        assert seen + reader.lost == pushed
    assert reader.next_seq == pushed + 1


def test_a_flooded_reader_gets_whole_events_in_order_and_counts_the_rest() -> None:
    """The writer overwrites the ring under the reader's hands."""
    with on_another_core("flood-events") as nursery:
        fd = os.open(f"/proc/{nursery.pid}/fd/{told(nursery)['state_fd']}", os.O_RDONLY)
        reader = ports.EventReader(fd, 1)
        os.close(fd)
        last = seen = 0
        while reader.next_seq < 50_000:
            for event in reader.drain():
                seq = event["seq"]
                assert seq > last
                assert (event["at_ns"], event["value"], event["limit"], event["detail"]) == (7 * seq, seq, -seq, seq % 1000)
                last, seen = seq, seen + 1
        assert seen + reader.lost == reader.next_seq - 1
        assert seen > 1000


def test_killed_senders_leave_no_half_command() -> None:
    loop = LoopSegments(bytes(32))
    last = 0
    with on_another_core("kill-commands", loop.plans_fd, loop.state_fd, 150, fds=(loop.plans_fd, loop.state_fd)) as nursery:
        while nursery.poll() is None:
            for _ in range(40):
                command = loop.take_command()
                if command is not None:
                    assert (command["id"], command["arg"], command["local"]) == (last + 1, 3 * command["code"], 0)
                    last += 1
            loop.publish(STATE)
    assert last > 500
