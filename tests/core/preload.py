"""A Python process of its own with a C library in front of the kernel's ioctl, for devices that no test machine has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@cache
def library(fake: str) -> str:
    """The compiled library; skips the test where there is no compiler."""
    if not shutil.which("gcc"):
        pytest.skip("no compiler for what is preloaded")
    out = Path(tempfile.mkdtemp(prefix="bessctl-preload-")) / "preloaded.so"
    source = ROOT / "tests/core/c" / fake
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(out), str(source), "-ldl"], check=True)
    return str(out)


def in_a_process(folder: Path, fake: str, script: str, **environment: str) -> Any:
    """Run a script with tests/core/c/FAKE preloaded; it gets the folder as its argument, and what it prints as JSON comes back."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}", "LD_PRELOAD": library(fake), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
