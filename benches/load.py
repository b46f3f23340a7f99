"""What a busy controller does beside its loop: `python benches/load.py burn|supervise`. Ends with its parent.

burn       computes, without a pause
supervise  as a supervisor in trouble: threads that never let go of the GIL, memory mapped and given back, a fork every 50 ms
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import threading
import time

FORK_S = 0.05
MAPPED = 32 << 20


def die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def burn() -> None:
    number = 0
    while True:
        number = (number * 31 + 7) % 1_000_003


def supervise() -> None:
    ballast = bytearray(64 << 20)
    for _ in range(2):
        threading.Thread(target=burn, daemon=True).start()
    while True:
        with mmap.mmap(-1, MAPPED) as area:
            for at in range(0, MAPPED, mmap.PAGESIZE):
                area[at] = 1
        child = os.fork()
        if child == 0:
            ballast[0] = 1
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(FORK_S)


if __name__ == "__main__":
    die_with_parent()
    {"burn": burn, "supervise": supervise}[sys.argv[1]]()
