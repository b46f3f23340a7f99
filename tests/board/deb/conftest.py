"""These tests install the package that BESS_DEB names into a throwaway Debian: `make deb-test` alone collects them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if os.environ.get("BESS_DEB") else ["test_*.py"]
TIMEOUT_S = 1500
"""Fetching and unpacking a Debian takes a minute on a machine at leisure."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
