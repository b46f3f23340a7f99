"""Runs a bench as a user does, small, and hands back its JSON. No figure is judged: only that it is there and is a number."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def bench(name: str, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
    command = [sys.executable, "-m", "benches", name, "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "one object on standard output and nothing else"
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    assert {"cpu", "cores", "kernel", "arch", "python"} <= set(result["machine"])
    assert result["judged"] or result["reason"]
    return result


def assert_numbers(figures: dict[str, Any], *names: str) -> None:
    for name in names:
        assert isinstance(figures[name], int | float), name
        assert math.isfinite(figures[name]), name
        assert figures[name] >= 0, name
