"""Long stories against the independent models, until so many ticks have passed: the step with every promise looked at in each of them.

    python -m tools.ticks [TICKS] [--seed N]          (make ticks; make ticks ARGS=10000000)

Every other story is one of tests/properties/plant.py (two units, all rows and sources, resets, restarts, corrected clocks), every other
one of tests/properties/outages.py (1 to 16 units that stop, fall silent and return). Counted are ticks that were run and looked at. A story
that breaks a promise is named by its seed, with which it happens again; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context

MILLION = 1_000_000
OUTAGE_TICKS, EVENTS, LEAST, BATCH = 20000, 300, 500, 16


def outages(seed: int) -> int:
    """One story of outages; its ticks."""
    from tests.properties.outages import told  # noqa: PLC0415 - each worker its own

    return told(seed, OUTAGE_TICKS).ticks


def plant(seed: int) -> int:
    """One story of a whole plant, with each kind of event in it; its ticks."""
    from tests.properties.long_stories import told  # noqa: PLC0415

    return told(seed, EVENTS, LEAST).ticks


STORIES = (outages, plant)


def told(job: tuple[int, int]) -> tuple[str, int, int, str]:
    """Name, seed, ticks, and what broke."""
    which, seed = job
    story = STORIES[which]
    try:
        return story.__name__, seed, story(seed), ""
    except AssertionError:
        return story.__name__, seed, 0, traceback.format_exc()


def jobs(first: int) -> Iterator[tuple[int, int]]:
    """Without an end, one of each in turn."""
    seed = first
    while True:
        yield 0, seed
        yield 1, seed
        seed += 1


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.ticks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ticks", nargs="?", type=lambda text: round(float(text)), default=MILLION)
    parser.add_argument("--seed", type=int, default=1000)
    asked = parser.parse_args(arguments)
    began_s, count, broken = time.monotonic(), dict.fromkeys((story.__name__ for story in STORIES), 0), 0
    work = jobs(asked.seed)
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        while sum(count.values()) < asked.ticks and not broken:
            for name, seed, ticks, what in pool.imap_unordered(told, islice(work, BATCH)):
                count[name] += ticks
                broken += what != ""
                print(f"{name}, seed {seed}:\n{what}" if what else "", end="", flush=True)
    detail = ", ".join(f"{ticks} of {name}" for name, ticks in count.items())
    print(f"{sum(count.values())} ticks ({detail}) in {time.monotonic() - began_s:.0f} s: {'broken' if broken else 'every promise held'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
