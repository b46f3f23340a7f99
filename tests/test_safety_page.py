"""docs/safety.md and the code say the same: every function, every alarm with its action, every default, every rule with its test."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import sunspec2

from bessctl.config import profiles
from bessctl.config.alarms import BMS_BITS, PCS_BITS, Bit
from bessctl.config.base import Strict
from bessctl.config.catalogue import KINDS, Kind
from bessctl.config.loop import Loop, Pcc, Unit

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "safety.md").read_text()
MODELS: dict[str, type[Strict]] = {"loop": Loop, "pcc": Pcc, "unit": Unit}
RULES = [f"R{n}" for n in range(1, 17)]


def section(title: str) -> list[list[str]]:
    """The rows of the one table below a heading."""
    text = PAGE.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def default_of(kind: Kind) -> str:
    if kind.warn_only:
        return "off; may only warn"
    return "none: must be stated or disabled with a reason" if kind.needs else "off"


def test_every_protection_function_is_on_the_page_with_its_default() -> None:
    listed = [(row[0], row[2], row[3], row[4]) for row in section("Functions")]
    assert listed == [(kind.name, kind.way, "beyond" if kind.unseen_trips else "blind", default_of(kind)) for kind in KINDS]


def test_every_function_gives_its_reason_and_what_acts_without_us() -> None:
    assert all(len(row) == 8 and row[5] and row[6] for row in section("Functions"))


SOURCED = ("Functions", "Times and bounds with a default", "What the certified PCS does instead of us")
DOCUMENTS = re.compile(
    r"IEEE 1547-2018 \d+\.\d+(\.\d+)?|IEC 61557-8|UL 1741 SB|foxBMS 2|connection agreement of the site|(its length: )?engineering judgement"
    r"|(cell|pack|PCS|contactor|pack's and PCS)'s data sheets?|design rule R(1[0-6]|[1-9])"
)


@functools.cache
def model_points(model: str) -> set[str]:
    """The points of a SunSpec model, as pysunspec2 ships it."""

    def names(group: dict[str, Any]) -> set[str]:
        return {point["name"] for point in group["points"]}.union(*(names(inner) for inner in group.get("groups", [])))

    path = Path(sunspec2.__file__).parent / "models" / "json" / f"model_{model}.json"
    return names(json.loads(path.read_text())["group"])


def stands(source: str) -> bool:
    """One source: a document, a design rule, points that their model has, or a decision that is there."""
    if found := re.fullmatch(r"SunSpec (\d+) (\w+(?:, \w+)*)(?: \(ADR \d{4}\))?", source):
        return set(found[2].split(", ")) <= model_points(found[1])
    if found := re.fullmatch(r"ADR (\d{4})", source):
        return len(list((ROOT / "docs" / "adr").glob(f"{found[1]}-*.md"))) == 1
    return DOCUMENTS.fullmatch(source) is not None


@pytest.mark.parametrize("title", SOURCED)
def test_every_row_cites_its_sources(title: str) -> None:
    rows = section(title)
    assert rows
    assert [(row[0], source) for row in rows for source in row[-1].split("; ") if not stands(source)] == []


@pytest.mark.parametrize(("device", "point"), [("BMS", "802 Evt1"), ("PCS", "701 Alrm")])
def test_every_table_of_alarms_says_where_its_bits_and_its_actions_come_from(device: str, point: str) -> None:
    text = PAGE.split(f"\n## Alarms of the {device} (SunSpec {point})\n", 1)[1].split("\n## ", 1)[0]
    assert text.lstrip().startswith(f"Source of names and bits: SunSpec {point}. The actions ")
    assert stands(f"SunSpec {point}")


def test_a_source_that_is_none_is_found() -> None:
    for invented in ("", "SunSpec 802 Nonsense", "ADR 0999", "IEEE 1547", "design rule R17", "common practice"):
        assert not stands(invented)


def test_what_the_page_says_of_enter_service_is_what_is_done() -> None:
    """703 ES is written before a start by the shipped profile, and the utility's settings by the loop (ADR 0040)."""
    (row,) = (row for row in section("What the certified PCS does instead of us") if row[0] == "enter service")
    assert "703 ES" in row[2]
    profile = profiles.load("sunspec-7xx").profile
    starts = [write for write in profile.commands.run if write.model == 703]
    assert [(write.offset, [field.number for field in write.fields]) for write in starts] == [(2, [1])]


@pytest.mark.parametrize(("title", "bits"), [("Alarms of the BMS", BMS_BITS), ("Alarms of the PCS", PCS_BITS)])
def test_every_alarm_is_on_the_page_with_its_action(title: str, bits: tuple[Bit, ...]) -> None:
    expected = [[bit.name, str(bit.bit), bit.default.action, bit.default.reset, bit.why] for bit in bits]
    assert section(title) == expected


def test_every_time_on_the_page_is_the_codes_default() -> None:
    rows = section("Times and bounds with a default")
    assert rows
    for key, value, *_ in rows:
        place, _, name = key.partition(".")
        assert float(value) == MODELS[place].model_fields[name].default, key


def test_the_rules_on_the_page_are_the_sixteen() -> None:
    assert [row[0] for row in section("The sixteen rules and their tests")] == RULES


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_test_of_its_name_that_plays_what_it_was_written_for(rule: str) -> None:
    (row,) = (row for row in section("The sixteen rules and their tests") if row[0] == rule)
    file, _, name = row[2].partition("::")
    assert name.startswith(f"test_{rule}_")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert re.match(rf"{rule}\b", ast.get_docstring(tree) or ""), "the file begins with the rule"
    (played,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert (ast.get_docstring(played) or "").startswith(f"The scenario: {row[3]}.")


@pytest.mark.parametrize("file", sorted((ROOT / "tests" / "core").glob("test_R*.py")), ids=lambda file: file.stem)
def test_every_test_of_a_rules_file_carries_its_name(file: Path) -> None:
    rule = file.stem.split("_")[1]
    tests = [
        node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert tests
    assert [name for name in tests if not name.startswith(f"test_{rule}_")] == []


def test_the_alarm_bits_are_those_of_the_standard() -> None:
    """SunSpec 802 Evt1 and 701 Alrm, as pysunspec2 ships them."""
    folder = Path(sunspec2.__file__).parent / "models" / "json"
    for model, point, bits in ((802, "Evt1", BMS_BITS), (701, "Alrm", PCS_BITS)):
        points = json.loads((folder / f"model_{model}.json").read_text())["group"]["points"]
        symbols = next(p["symbols"] for p in points if p["name"] == point)
        assert [(bit.name, bit.bit) for bit in bits] == [(symbol["name"].lower(), symbol["value"]) for symbol in symbols]
