"""Writers that live for a moment: run as a process of its own, small and with one thread, so that forking it a thousand times is quick.

    python -m tests.core.writer_nursery kill-plans PLANS_FD KILLS
                                        kill-commands PLANS_FD STATE_FD KILLS
                                        flood-plans PLANS_FD
                                        flood-events

Prints one JSON object at its end (the floods: one at their start, and write until they are killed).
"""

import ctypes
import json
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count, cycle

from bessctl_core import layout, ports, segment
from bessctl_core.handover import Channel

SIZE = layout.SIZES["Plan"]
SLOT = 5
PATTERNS = [bytes([value]) * SIZE for value in range(1, 252)]
STATE = bytes(layout.SIZES["PlantState"])
CONTROL_WORDS = 128
HEADER = 256


def slot_memory(plans_fd: int, slot: int = SLOT) -> memoryview:
    """The hand-over buffer of one slot, as it stands in the segment."""
    size = Channel.bytes_for(SIZE)
    return memoryview(mmap.mmap(plans_fd, 0))[HEADER + slot * size : HEADER + (slot + 1) * size]


def sequences(memory: memoryview) -> list[int]:
    """The four slots' sequence numbers; odd = being written."""
    return list(memory[64:96].cast("Q"))


def write_plans(port: ports.PlanPort) -> None:
    for pattern in cycle(PATTERNS):
        port.write_bytes(SLOT, pattern)


def send_commands(port: ports.CommandPort) -> None:
    for code in cycle(range(1, 200)):
        try:
            port.push(code, 3 * code)
        except ports.CommandsWaiting:
            time.sleep(0)


def kill_soon(work: Callable[[], None], chance: random.Random) -> None:
    """Fork a writer and kill it at a random instant."""
    child = os.fork()
    if child == 0:
        try:
            die_with_parent()
            work()
        finally:
            os._exit(1)
    time.sleep(chance.uniform(0.0, 0.001))  # the instant of its death; spinning would keep the writer from its core
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def kill_plans(plans_fd: int, kills: int) -> dict[str, int]:
    """Whether the value could be read after each kill, and how many kills hit a writer in the middle of a slot."""
    port, memory, chance = ports.PlanPort(plans_fd), slot_memory(plans_fd), random.Random(1)
    port.write_bytes(SLOT, PATTERNS[0])
    channel = Channel(memory, SIZE)
    unreadable = torn = halfway = 0
    for _ in range(kills):
        before = max(sequences(memory))
        kill_soon(lambda: write_plans(port), chance)
        value = channel.read()
        unreadable += value is None
        torn += value is not None and value != value[:1] * SIZE
        halfway += any(seq % 2 and seq > before - 8 for seq in sequences(memory))
    return {"kills": kills, "unreadable": unreadable, "torn": torn, "halfway": halfway}


def kill_commands(plans_fd: int, state_fd: int, kills: int) -> dict[str, int]:
    port, chance = ports.CommandPort(plans_fd, ports.StatePort(state_fd)), random.Random(2)
    for _ in range(kills):
        kill_soon(lambda: send_commands(port), chance)
    return {"kills": kills}


def flood_events() -> None:
    loop = segment.LoopSegments(bytes(32))
    print(json.dumps({"state_fd": loop.state_fd}), flush=True)
    for seq in count(1):
        event = {"at_ns": seq * 7, "value": float(seq), "limit": -float(seq), "detail": seq % 1000, "seq": 0}
        loop.publish(STATE, [event | {"place": 1, "row": 2, "slot": 3, "code": 4, "level": 0}])


def die_with_parent() -> None:
    """SIGKILL for this process when the test that started it ends, however it ends (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main(task: str, *numbers: int) -> None:
    die_with_parent()
    if task == "kill-plans":
        print(json.dumps(kill_plans(*numbers)), flush=True)
    elif task == "kill-commands":
        print(json.dumps(kill_commands(*numbers)), flush=True)
    elif task == "flood-plans":
        print("{}", flush=True)
        write_plans(ports.PlanPort(numbers[0]))
    else:
        flood_events()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
