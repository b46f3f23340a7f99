"""What a loop process hands out, without the loop: the segments and the thread that serves them; and writers on another core."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bessctl_core import attach, segment

SEALED = b"sealed configuration" * 10_000
HASH = bytes(32)


class Loop:
    """A loop process's service thread and what it hands out."""

    def __init__(self, run_dir: Path, supervisor_uid: int = 0, sealed: bytes = SEALED, digest: bytes = HASH, **hello: object) -> None:
        self.segments = segment.LoopSegments(digest)
        greeting = {**attach.greeting(digest, segment.boot_id(), self.segments.epoch), **hello}
        self.server = attach.AttachServer(str(run_dir), self.segments.state_fd, self.segments.plans_fd, sealed, greeting, supervisor_uid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self.server.serve(0.02)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()


@contextmanager
def on_another_core(*args: object, fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run a task of the nursery on one core and the caller on another; with one core both share it. Nothing outlives the block."""
    cores = sorted(os.sched_getaffinity(0))
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tests.core.writer_nursery", *map(str, args)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=fds,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.sched_setaffinity(nursery.pid, cores[-1:])
    os.sched_setaffinity(0, cores[:1])
    try:
        yield nursery
    finally:
        os.sched_setaffinity(0, cores)
        nursery.kill()
        nursery.communicate()


def told(nursery: subprocess.Popen[str]) -> dict[str, Any]:
    assert nursery.stdout is not None
    line = nursery.stdout.readline()
    assert line, "the writers' process ended early"
    return json.loads(line)  # type: ignore[no-any-return]
