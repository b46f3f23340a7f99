"""What a loop process hands out, without the loop: the segments and the thread that serves them."""

import threading
from pathlib import Path

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
