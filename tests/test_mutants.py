"""The mutants of tools/mutants.py: what is one and what is not, and that nothing is excused that is not there any more."""

from __future__ import annotations

import pytest

from tools.mutants import mutants, named
from tools.mutate import MODULES
from tools.schema import together
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


MODULE = """from libc.math cimport fabs

cdef enum:
    TRIES = 3

cdef double LEAST_W = 2.5       # why

cdef inline double beyond(const double* w,
                          int n) noexcept nogil:
    # more than that
    return w[n] - LEAST_W


cdef void put(double* to, double w) noexcept nogil:
    if w > 0:
        to[0] = w


cdef int none() noexcept nogil:
    return 0
"""
TOGETHER = """from libc.math cimport fabs

cdef enum:
    TRIES = 3

cdef double LEAST_W = 2.5       # why

cdef int MUTANT_NUMBER = 0


cdef inline double beyond__0(const double* w,
                          int n) noexcept nogil:
    # more than that
    return w[n] - LEAST_W


cdef inline double beyond__3(const double* w,
                          int n) noexcept nogil:
    # more than that
    return w[n] + LEAST_W


cdef inline double beyond(const double* w,
                          int n) noexcept nogil:
    if MUTANT_NUMBER == 3:
        return beyond__3(w, n)
    return beyond__0(w, n)


cdef void put__0(double* to, double w) noexcept nogil:
    if w > 0:
        to[0] = w


cdef void put__4(double* to, double w) noexcept nogil:
    if w <= 0:
        to[0] = w


cdef void put(double* to, double w) noexcept nogil:
    if MUTANT_NUMBER == 4:
        put__4(to, w)
        return
    put__0(to, w)


cdef int none() noexcept nogil:
    return 0


def mutants_become(int number):
    global MUTANT_NUMBER, LEAST_W
    MUTANT_NUMBER = number
    if number == 2:
        LEAST_W = 5.0


import os
mutants_become(int(os.environ.get("MUTANT_NUMBER", "0")))
"""


def test_all_mutants_of_a_module_are_one_program_but_those_of_enumerations() -> None:
    text, taken = together(MODULE, enumerate(mutants(MODULE), 1))
    assert (text, taken) == (TOGETHER, {2, 3, 4})


def test_each_mutant_of_the_step_is_in_the_one_program_of_its_module_or_a_number_with_a_name() -> None:
    for module in MODULES:
        made = list(mutants((CORE / f"{module}.pyx").read_text()))
        _, taken = together((CORE / f"{module}.pyx").read_text(), enumerate(made))
        assert {made[number].kind for number in set(range(len(made))) - taken} <= {"threshold"}, module


def test_whoever_is_excused_is_there_and_has_a_reason() -> None:
    excused = equal_ones()
    made = {module: {name for name, _ in named((CORE / f"{module}.pyx").read_text())} for module, _ in excused}
    assert not [f"{module}: {name}" for module, name in excused if name not in made[module]]
    assert all(reason.strip() for reason in excused.values())
