"""The mutants of tools/mutants.py: what is one and what is not, and that nothing is excused that is not there any more."""

from __future__ import annotations

import pytest

from tools.mutants import mutants, named
from tools.shadow import CORE
from tools.verdicts import equal_ones

SOURCE = '''
cdef enum:
    STATE_OFF = 0
    STATE_ON = 7
    BITS = 0xFF
cdef double LEAST_W = 2.5
cdef double rest(const double* value, int n) noexcept nogil:
    """A number here, 7, is none."""
    cdef double[4] share
    if n:
        {}
    return 0
'''


def changes(line: str) -> list[str]:
    """What is made of one line of a function."""
    return [f"{mutant.old} -> {mutant.new}" for mutant in mutants(SOURCE.format(line)) if mutant.line == 11]


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("if a < b and c >= 1:", ["< -> >=", "and -> or", ">= -> <", "1 -> 2"]),
        ("total += min(a, -b) - 20", ["+= -> -=", "min -> max", "- -> ", "- -> +", "20 -> 40"]),
        ("return not True", ["not -> ", "True -> False"]),
        ("w = -1.5e3 if x is not None else NAN", ["- -> ", "1.5e3 -> 3000.0"]),
        # none: a cast, a type's size, an index, a bit, a zero
        ("a = <int64_t> value[3] & 0xFF", []),
        ("a = <const double *> value", []),
        ("x = 0", []),
    ],
)
def test_each_comparison_sign_threshold_and_choice_becomes_another_once(line: str, changed: list[str]) -> None:
    assert changes(line) == changed


def test_constants_and_enumerations_at_the_top_are_thresholds_even_those_that_are_0() -> None:
    told = [(mutant.line, mutant.old, mutant.new) for mutant in mutants(SOURCE.format("pass"))]
    assert told == [(3, "0", "1"), (4, "7", "8"), (6, "2.5", "5.0")]


def test_each_mutant_of_a_line_is_made_where_it_stands_and_has_a_name_of_its_own() -> None:
    text = SOURCE.format("a = b - c - d\n        a = b - c - d")
    made = dict(named(text))
    assert len(made) == len(list(mutants(text)))
    assert {mutant.applied(text).splitlines()[mutant.line - 1].strip() for mutant in made.values() if mutant.line > 10} == {
        "a = b + c - d", "a = b - c + d",
    }  # fmt: skip


def test_whoever_is_excused_is_there_and_has_a_reason() -> None:
    excused = equal_ones()
    made = {module: {name for name, _ in named((CORE / f"{module}.pyx").read_text())} for module, _ in excused}
    assert not [f"{module}: {name}" for module, name in excused if name not in made[module]]
    assert all(reason.strip() for reason in excused.values())
