"""docs/conformance/modbus.md names tests that exist, in the files it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "conformance" / "modbus.md").read_text()


def named() -> Iterator[tuple[tuple[str, ...], str]]:
    """(files, test): the files that stand last before a test's name; two files side by side both have it."""
    for line in (line for line in PAGE.splitlines() if line.startswith("| ")):
        files: tuple[str, ...] = ()
        after_test = True
        for file, test in re.findall(r"([\w/]+/test_\w+\.py)|`(test_\w+)`", line):
            if file:
                files, after_test = (file,) if after_test else (*files, file), False
            else:
                after_test = True
                yield files, test


@pytest.mark.parametrize(("files", "test"), list(named()), ids=lambda value: value if isinstance(value, str) else None)
def test_the_page_names_tests_that_exist(files: tuple[str, ...], test: str) -> None:
    assert files
    for file in files:
        assert f"def {test}(" in (TESTS / file).read_text(), file
