"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A worker's folder gets a short name: the path of a UNIX socket in a test's folder has 107 bytes at most (unix(7))."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        base = Path(config.option.basetemp)
        config.option.basetemp = str(base.with_name(worker["workerid"].removeprefix("gw")))
