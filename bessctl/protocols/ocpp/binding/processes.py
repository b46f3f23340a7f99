"""Other programs, run without a shell: bounded in time and output, in a process group of their own that ends with them. Blocking."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from bessctl.errors import OperationFailed

LAST = 200
KEPT_LINES = 200_000


def argv_of(template: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The template with `{name}` replaced in each word; a word stays one word, whatever the value holds."""
    words = []
    for word in template:
        for name, value in values.items():
            word = word.replace("{" + name + "}", value)  # noqa: PLW2901 - word by word
        words.append(word)
    return words


def run(argv: Sequence[str], timeout_s: float, line: Callable[[str], None] | None = None) -> str:
    """Its output (what it says on stderr included), lines told to `line` as they come. Raises OperationFailed: it cannot be run, it did not
    end in time (it is killed with all it began), or its exit code is not 0, with its last line."""
    name = argv[0] if argv else ""
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as e:
        raise OperationFailed(f"{name}: it cannot be run: {e}") from e
    late = threading.Event()
    watch = threading.Timer(timeout_s, _give_up, (process, late))
    watch.start()
    said: list[str] = []
    try:
        assert process.stdout is not None
        for text in process.stdout:
            said.append(text)
            del said[:-KEPT_LINES]
            if line is not None:
                line(text.rstrip("\n"))
        code = process.wait()
    finally:
        watch.cancel()
        _kill(process)
        if process.stdout is not None:
            process.stdout.close()
        process.wait()
    last = next((text.strip() for text in reversed(said) if text.strip()), "it said nothing")[:LAST]
    if late.is_set():
        raise OperationFailed(f"{name}: no end within {timeout_s:g} s; it was stopped; last said: {last}")
    if code != 0:
        raise OperationFailed(f"{name}: exit code {code}: {last}")
    return "".join(said)


def _give_up(process: subprocess.Popen[str], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """The whole group: what it began must not go on writing into a system slot."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
