"""libmodbus as a slave (tests/core/c/libmodbus_slave.c), built once where Debian's libmodbus-dev is there."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "c" / "libmodbus_slave.c"
ARM = 199
HOW = {"nothing": 1, "late": 2, "busy": 3, "another unit": 4, "another function": 5, "another byte count": 6, "byte by byte": 7}
"""What a number written to register ARM does to the answer to the next read."""


@cache
def program() -> str:
    """The compiled slave; skips the test where it cannot be built (`make test` installs what it needs)."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], capture_output=True, text=True, check=False) \
        if shutil.which("pkg-config") else None  # fmt: skip
    if flags is None or flags.returncode or not shutil.which("gcc"):
        pytest.skip("Debian's libmodbus-dev, pkg-config or gcc is not installed")
    out = Path(tempfile.mkdtemp(prefix="bessctl-libmodbus-")) / "slave"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", str(out), str(SOURCE), *flags.stdout.split()], check=True)
    return str(out)


@contextmanager
def slave(*words: str) -> Iterator[int]:
    """It serves; its TCP port, or 0 on a serial line."""
    with subprocess.Popen([program(), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(10)
