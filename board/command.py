"""What `python -m board.image` and `python -m board.deb` share: a word, its arguments, an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from inspect import signature

from board.image.debs import ImageError

Jobs = Mapping[str, Callable[..., object]]


def run(name: str, usage: str, jobs: Jobs, arguments: list[str]) -> int:
    """Do the job that the first word names with as many words more as it takes: 0 done, 1 it cannot be built, 2 wrong command line."""
    job = jobs.get(arguments[0]) if arguments else None
    if job is None or len(arguments) - 1 != len(signature(job).parameters):
        print(f"usage: {usage}", file=sys.stderr)
        return 2
    try:
        job(*arguments[1:])
    except ImageError as e:
        print(f"{name}: {e}", file=sys.stderr)
        return 1
    return 0
