"""docs/conformance/oscp.md and sep2.md name tests that exist.

oscp.md: `file: words, words, TABLE; file`. sep2.md: test_file `words`, `words`, or a path under tests. Words are a test's when its name has
all of them that count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGES = {name: (TESTS.parent / "docs" / "conformance" / f"{name}.md").read_text() for name in ("oscp", "sep2")}
OSCP, SEP2 = TESTS / "protocols" / "oscp", TESTS / "protocols" / "sep2"
LITTLE = {"a", "an", "the", "is", "are", "of", "and", "us", "with", "it", "in"}


def cells(page: str, column: str) -> Iterator[str]:
    """The last cell of each row, in the tables whose last column is called so."""
    inside = False
    for line in page.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.rstrip("| ").endswith(f"| {column}"):
            inside = True
        elif inside and not line.startswith("|---"):
            yield line.rstrip("| ").rsplit(" | ", 1)[1]


def oscp() -> Iterator[tuple[Path, str]]:
    """(file, words); no words = the whole file."""
    for cell in cells(PAGES["oscp"], "proved by"):
        file = OSCP / "nothing"
        for part in re.sub(r" \([^)]*\)", "", cell).split("; "):
            named, words = part.split(": ") if ": " in part else (part, "") if re.fullmatch(r"[a-z_/]+", part) else ("", part)
            if named == "same":
                continue
            if named:
                folder, _, stem = named.rpartition("/")
                file = (TESTS / folder if folder else OSCP) / f"test_{stem}.py"
            yield from ((file, phrase) for phrase in words.split(", "))


def sep2() -> Iterator[tuple[Path, str]]:
    """(file, words); no words = the whole file."""
    file = SEP2 / "nothing"
    for path, words in re.findall(r"((?:tests/[\w/]+/)?\btest_\w+(?:\.py)?)|`([\w.-]+)`", "\n".join(sep2_cells())):
        if path:
            file = (TESTS.parent / path if "/" in path else SEP2 / path).with_suffix(".py")
        yield file, words


def sep2_cells() -> list[str]:
    columns = ("shown by", "here")
    return [cell for column in columns for cell in cells(PAGES["sep2"], column)]


def found(file: Path, words: str) -> bool:
    text = file.read_text()
    if re.fullmatch(r"[A-Z][A-Z_0-9]+", words) and re.search(rf"^{words}\b.* = ", text, re.MULTILINE):
        return True
    wanted = [w for w in re.findall(r"[a-z0-9]+", words.lower()) if w not in LITTLE]
    return any(all(w in name.lower() for w in wanted) for name in re.findall(r"def (test_\w+)\(", text))


@pytest.mark.parametrize(("file", "words"), [*oscp(), *sep2()], ids=lambda x: x.stem if isinstance(x, Path) else x)
def test_what_a_page_names_as_a_proof_exists(file: Path, words: str) -> None:
    assert file.exists()
    assert found(file, words)


def test_every_row_names_a_proof_or_says_that_there_is_none() -> None:
    assert all(cell for cell in cells(PAGES["oscp"], "proved by"))
    without = ("not there", "server only", "aggregators", "the same", "not carried out")
    assert [cell for cell in sep2_cells() if "test_" not in cell and not any(word in cell for word in without)] == []
