"""The conformance pages tell the truth: every use case, message and key is there, every test they name exists, and what is not applicable
says which fact of a battery plant makes it so (settled 16)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bessctl.protocols.ocpp.messages import schemas
from bessctl.protocols.ocpp.session import keys
from tests.protocols.ocpp.sansio import LINK

HERE = Path(__file__).parent
PAGES = {name: HERE.parents[2] / f"docs/conformance/{name}.md" for name in ("ocpp16", "ocpp201")}
# The use cases of 2.0.1 part 2, edition 2: letter and how many.
BLOCKS = {
    "A": 5,
    "B": 12,
    "C": 16,
    "D": 2,
    "E": 15,
    "F": 6,
    "G": 5,
    "H": 4,
    "I": 6,
    "J": 3,
    "K": 17,
    "L": 4,
    "M": 6,
    "N": 10,
    "O": 6,
    "P": 2,
}
# Of a battery: words of which a reason has at least one.
PHYSICS = ("battery", "vehicle")
KEYS_BEYOND = {"BlinkRepeat", "LightIntensity"}


def rows(page: str) -> Iterator[list[str]]:
    for line in PAGES[page].read_text().splitlines():
        if line.startswith("| ") and not line.startswith(("| use case", "| message", "| key")):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def names_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        n.name.removeprefix("test_") for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name.startswith("test_")
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    known = {path.stem.removeprefix("test_"): names_in(path) for path in HERE.glob("test_*.py")}
    named = set(re.findall(r"`(\w+)\.(\w+)`", PAGES[page].read_text())) - {("file", "test"), ("tls", "crl_file")}
    assert {f"{file}.{test}" for file, test in named if test not in known.get(file, ())} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_row_is_proved_or_says_why_not(page: str) -> None:
    for cells in rows(page):
        text = " ".join(cells)
        if "not applicable" in text:
            assert any(word in text.split("not applicable", 1)[1] for word in PHYSICS), cells[0]
        else:
            assert re.search(r"`\w+\.\w+`", cells[-1].strip("| ")), cells[0]
        assert "missing" not in text.lower(), cells[0]


STATIONS = {"Talk", "Csms", "station", "LINK", "link_to"}
"""Names by which a test gets a station; one that uses none of them shows what is the same in all versions."""


class Sources:
    """What the tests and their helpers say, by module."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, set[str]]] = {}
        self._from: dict[str, dict[str, str]] = {}
        for path in HERE.glob("*.py"):
            tree = ast.parse(path.read_text())
            self._said[path.stem] = {name: words for node in tree.body for name, words in said_by(node)}
            imports = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module and n.module.startswith("tests.protocols.ocpp.")]
            self._from[path.stem] = {a.name: str(n.module).rpartition(".")[2] for n in imports for a in n.names}

    def words(self, module: str, name: str, seen: set[tuple[str, str]] | None = None) -> set[str]:
        """All names and strings of a function or constant, and of what it uses in turn."""
        seen = set() if seen is None else seen
        module = self._from[module].get(name, module)
        if (module, name) in seen or name not in self._said[module]:
            return set()
        seen.add((module, name))
        own = self._said[module][name]
        return own.union(*(self.words(module, word, seen) for word in own))


def said_by(node: ast.stmt) -> Iterator[tuple[str, set[str]]]:
    """What a function or a constant of a module says; classes are what they are whoever speaks."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [node.name]
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [t.id for t in targets if isinstance(t, ast.Name)]
    else:
        return
    words = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    words |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    words |= {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    docstring = ast.get_docstring(node, clean=False) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
    for name in names:
        yield name, words - {docstring or ""}


def test_no_row_of_2_0_1_leans_on_a_station_of_1_6() -> None:
    """At least one test of each row has a station of 2.0.1, or needs none."""
    sources, leaning = Sources(), []
    for cells in rows("ocpp201"):
        named = re.findall(r"`(\w+)\.(\w+)`", cells[-1])
        words = [sources.words(f"test_{file}", f"test_{test}") for file, test in named]
        if named and not any(any("201" in w.replace(".", "") for w in said) or not said & STATIONS for said in words):
            leaning.append(cells[0].strip("| "))
    assert leaning == []


def test_no_use_case_of_2_0_1_is_left_out() -> None:
    listed = [cells[0].split()[0] for cells in rows("ocpp201")]
    assert listed == [f"{letter}{n:02d}" for letter, count in BLOCKS.items() for n in range(1, count + 1)]


def test_no_message_of_1_6_is_left_out() -> None:
    text = PAGES["ocpp16"].read_text().split("## Keys")[0]
    assert {action for action in schemas.actions("v16") if not re.search(rf"\b{action}\b", text)} == set()


def test_no_key_is_left_out_and_none_is_invented() -> None:
    table = PAGES["ocpp16"].read_text().split("## Keys")[1]
    listed = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)[1:]
    served = {key.name for key in keys.table(replace(LINK, password_file=Path("p"))) if key.of_16}
    assert sorted(listed) == sorted(served | KEYS_BEYOND)
